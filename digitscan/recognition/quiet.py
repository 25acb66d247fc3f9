"""What C++ libraries say straight to the terminal, past any log level, kept off it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class _NullStderr:
    """File descriptor 2 on the null device while anyone is inside.

    The descriptor belongs to the process, not to a thread. So the first one in swaps it, the last one out swaps it
    back: two threads that each kept and restored it by themselves would leave it on the null device for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept = -1

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            try:
                self._kept = os.dup(2)
                silent = os.open(os.devnull, os.O_WRONLY)
            except OSError:  # closed, or no descriptor is left: then the notes show
                self._forget()
                return
            try:
                if sys.stderr is not None:
                    sys.stderr.flush()
                os.dup2(silent, 2)
            except (OSError, ValueError):
                self._forget()
            finally:
                os.close(silent)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._kept >= 0:
                os.dup2(self._kept, 2)
                self._forget()

    def _forget(self) -> None:
        if self._kept >= 0:
            os.close(self._kept)
        self._kept = -1


_null_stderr = _NullStderr()


def without_notes(work: Callable[[], Result]) -> Result:
    """Do what makes C++ code talk to the terminal, silently; ``DIGITSCAN_DEBUG`` lets it talk.

    Any number of threads may be inside. What other threads write to standard error meanwhile is lost: call it for the
    few steps that are known to talk, not for each batch.
    """
    if os.environ.get("DIGITSCAN_DEBUG"):
        return work()
    with _null_stderr:
        return work()
