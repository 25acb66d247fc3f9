"""What can go wrong, each with the exit code it ends a run with and a remedy.

::

    DigitscanError
    ├── UsageError        2  the command line or a configuration makes no sense
    ├── IngestError       1  one source or page cannot be read (the run goes on)
    ├── ModelError        4  a model is missing, damaged or made for another version
    ├── DataError         4  training or evaluation data cannot be found or used
    └── OutputError       5  a result cannot be written
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of the ``digitscan`` command."""

    OK = 0
    """Every page was read."""
    SOME_FAILED = 1
    """Some pages failed; the others are in the results."""
    USAGE = 2
    """The command line or the configuration is wrong."""
    NOTHING_READABLE = 3
    """No page at all could be read."""
    MODEL = 4
    """The model, or the data to train it, is missing or wrong."""
    CANNOT_WRITE = 5
    """A result could not be written."""
    HUNG_UP = 129
    """SIGHUP: the terminal was closed; what was done is written."""
    INTERRUPTED = 130
    """Ctrl-C; what was done is written."""
    TERMINATED = 143
    """SIGTERM; what was done is written."""


class DigitscanError(Exception):
    """Base of all errors that digitscan raises on purpose.

    Parameters
    ----------
    message : str
        What happened, in one line, without the file's name when the caller adds it.
    remedy : str
        What the user can do about it, in one line.
    """

    exit_code: ExitCode = ExitCode.SOME_FAILED

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class UsageError(DigitscanError):
    """The command line or a configuration makes no sense."""

    exit_code = ExitCode.USAGE


class IngestError(DigitscanError):
    """One source or one of its pages cannot be read; the run goes on with the next."""

    exit_code = ExitCode.SOME_FAILED


class ModelError(DigitscanError):
    """A model is missing, damaged, or made for another version of digitscan."""

    exit_code = ExitCode.MODEL


class DataError(DigitscanError):
    """Data to train or evaluate with cannot be found or used."""

    exit_code = ExitCode.MODEL


class OutputError(DigitscanError):
    """A result cannot be written."""

    exit_code = ExitCode.CANNOT_WRITE
