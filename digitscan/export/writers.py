"""Result files, written page by page: memory does not grow with the batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from digitscan.core.errors import UsageError
from digitscan.core.types import PageFailure, PageOutcome, RunInfo
from digitscan.export.atomic import AtomicFile
from digitscan.export.records import clean, page_record, run_record

COLUMNS = (
    "file", "page", "field", "row", "column", "text", "confidence", "state", "review", "reason",
    "x", "y", "width", "height", "model", "written",
)  # fmt: skip
"""Of ``results.csv``, in order."""


class ResultWriter:
    """Base of the writers: ``write`` each outcome, then ``close`` to publish or ``abort`` to forget.

    As a context manager it closes on success and on Ctrl-C, so that what was read is kept, and aborts on errors.
    """

    def __init__(self, target: str, run: RunInfo) -> None:
        self.target = target
        self.run = run
        self._file = AtomicFile(target)
        self._open = True
        self.begin()

    def begin(self) -> None:
        """Write what comes before the first page."""

    def write(self, outcome: PageOutcome) -> None:
        """Write one page."""
        raise TypeError("a writer must say how it writes a page")

    def end(self) -> None:
        """Write what comes after the last page."""

    def close(self) -> None:
        """Publish the file."""
        if self._open:
            self._open = False
            try:
                self.end()
            except BaseException:
                self._file.abort()
                raise
            self._file.commit()

    def abort(self) -> None:
        """Forget the file; an older one of the same name stays."""
        if self._open:
            self._open = False
            self._file.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self.abort()


class CsvWriter(ResultWriter):
    """RFC 4180, UTF-8, one row a reading; a page that failed gives one row with state ``missing``.

    File names are kept to the letter, since programs join on them.
    """

    def _rows(self, rows: list[list[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows(rows)
        self._file.write(text.getvalue().encode("utf-8", "backslashreplace"))

    def begin(self) -> None:
        """Write the header."""
        self._rows([list(COLUMNS)])

    def write(self, outcome: PageOutcome) -> None:
        """Write a page's readings."""
        file, page, model = clean(outcome.ref.path), outcome.ref.page_number, self.run.model.id
        if isinstance(outcome, PageFailure):
            why = f"{outcome.stage}: {outcome.message}" + (f"; {outcome.remedy}" if outcome.remedy else "")
            self._rows([[file, page, "", "", "", "", "", "missing", "true", clean(why), "", "", "", "", model, ""]])
            return
        rows: list[list[object]] = [
            [
                file, page, r.name, "" if r.row is None else r.row, "" if r.column is None else r.column, r.text,
                f"{r.confidence:.4f}", r.state.value, "true" if r.review else "false", r.reason, *r.box, model,
                r.written,
            ]
            for r in outcome.readings
        ]  # fmt: skip
        if rows:
            self._rows(rows)


class JsonWriter(ResultWriter):
    """One JSON document, as the contract has it, written piece by piece."""

    _first = True

    def begin(self) -> None:
        """Write the origin and open the list of pages."""
        head = msgspec.json.encode(run_record(self.run))
        self._file.write(head[:-1] + b',"pages":[\n')

    def write(self, outcome: PageOutcome) -> None:
        """Write a page."""
        self._file.write((b"" if self._first else b",\n") + msgspec.json.encode(page_record(outcome)))
        self._first = False

    def end(self) -> None:
        """Close the list and the document."""
        self._file.write(b"\n]}\n")


class JsonlWriter(ResultWriter):
    """JSON lines: the origin first, then a page a line."""

    def begin(self) -> None:
        """Write the origin."""
        self._file.write(msgspec.json.encode(run_record(self.run)) + b"\n")

    def write(self, outcome: PageOutcome) -> None:
        """Write a page."""
        self._file.write(msgspec.json.encode(page_record(outcome)) + b"\n")


WRITERS: dict[str, Callable[[str, RunInfo], ResultWriter]] = {
    ".csv": CsvWriter,
    ".json": JsonWriter,
    ".jsonl": JsonlWriter,
}


def check_target(target: str) -> None:
    """Refuse a target whose kind is not known.

    Raises
    ------
    UsageError
        If the suffix is none of those that can be written.
    """
    if target != "-" and Path(target).suffix.lower() not in WRITERS:
        raise UsageError(f"cannot tell the format of {target!r}", remedy=f"end it in {', '.join(WRITERS)}, or write -")


def open_writer(target: str, run: RunInfo) -> ResultWriter:
    """Open a result file by its suffix; ``-`` is CSV on standard output.

    Raises
    ------
    UsageError
        If the suffix is not known.
    OutputError
        If the file cannot be written.
    """
    check_target(target)
    if target == "-":
        return CsvWriter(target, run)
    return WRITERS[Path(target).suffix.lower()](target, run)
