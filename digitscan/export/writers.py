"""Result files, written page by page: memory does not grow with the batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from digitscan.core.errors import UsageError
from digitscan.core.types import FieldReading, GrayImage, PageFailure, PageOutcome, PageResult, RunInfo
from digitscan.export.atomic import AtomicFile
from digitscan.export.records import clean, page_record, run_record
from digitscan.export.wide import FormColumns, Gatherer, form_row, header

COLUMNS = (
    "file", "page", "field", "row", "column", "text", "confidence", "state", "review", "reason",
    "x", "y", "width", "height", "model", "written", "raw", "value",
)  # fmt: skip
"""Of ``results.csv``, in order."""


def reading_row(page: PageResult, r: FieldReading, model: str) -> list[object]:
    """One reading in the order of `COLUMNS`."""
    return [
        clean(page.ref.path), page.ref.page_number, r.name, "" if r.row is None else r.row,
        "" if r.column is None else r.column, r.text, f"{r.confidence:.4f}", r.state.value,
        "true" if r.review else "false", r.reason, *r.box, model, r.written, r.raw, r.value,
    ]  # fmt: skip


class ResultWriter:
    """Base of the writers: ``write`` each outcome, then ``close`` to publish or ``abort`` to forget.

    `wants_images` says whether it shows pictures of what it writes.
    As a context manager it closes on success and on Ctrl-C, so that what was read is kept, and aborts on errors.
    """

    wants_images = False

    def __init__(self, target: str, run: RunInfo) -> None:
        self.target = target
        self.run = run
        self._file = AtomicFile(target)
        self._open = True
        self.begin()

    def begin(self) -> None:
        """Write what comes before the first page."""

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Write one page; `image` is its picture, for writers whose `wants_images` is set."""
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

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Write a page's readings."""
        file, page, model = clean(outcome.ref.path), outcome.ref.page_number, self.run.model.id
        if isinstance(outcome, PageFailure):
            why = f"{outcome.stage}: {outcome.message}" + (f"; {outcome.remedy}" if outcome.remedy else "")
            self._rows(
                [[file, page, "", "", "", "", "", "missing", "true", clean(why), "", "", "", "", model, "", "", ""]]
            )
            return
        rows = [reading_row(outcome, reading, model) for reading in outcome.readings]
        if rows:
            self._rows(rows)


class WideCsvWriter(ResultWriter):
    """RFC 4180, UTF-8, one row a filled form, a column a field with its confidence and its state."""

    def __init__(self, target: str, run: RunInfo, forms: Sequence[FormColumns]) -> None:
        self._forms = tuple(forms)
        self._gatherer = Gatherer(self._forms)
        super().__init__(target, run)

    def _rows(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows(rows)
        self._file.write(text.getvalue().encode("utf-8", "backslashreplace"))

    def begin(self) -> None:
        """Write the header."""
        self._rows([header(self._forms)])

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Take a page; forms that are complete are written."""
        self._rows([[clean(cell) for cell in form_row(form, self._forms)] for form in self._gatherer.add(outcome)])

    def end(self) -> None:
        """Write forms whose pages did not all come."""
        self._rows([[clean(cell) for cell in form_row(form, self._forms)] for form in self._gatherer.rest()])


class JsonWriter(ResultWriter):
    """One JSON document, as the contract has it, written piece by piece."""

    _first = True

    def begin(self) -> None:
        """Write the origin and open the list of pages."""
        head = msgspec.json.encode(run_record(self.run))
        self._file.write(head[:-1] + b',"pages":[\n')

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
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

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
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
    kinds = [".csv", ".xlsx", ".json", ".jsonl"]
    if target != "-" and Path(target).suffix.lower() not in kinds:
        raise UsageError(f"cannot tell the format of {target!r}", remedy=f"end it in {', '.join(kinds)}, or write -")


def open_writer(target: str, run: RunInfo, wide: Sequence[FormColumns] = ()) -> ResultWriter:
    """Open a result file by its suffix; ``-`` is CSV on standard output. Tables are wide where forms are given.

    Raises
    ------
    UsageError
        If the suffix is not known.
    OutputError
        If the file cannot be written.
    """
    check_target(target)
    kind = ".csv" if target == "-" else Path(target).suffix.lower()
    if kind == ".xlsx":
        from digitscan.export.excel import ExcelWriter

        return ExcelWriter(target, run, wide)
    if kind == ".csv" and wide:
        return WideCsvWriter(target, run, wide)
    return WRITERS[kind](target, run)
