"""Result files, written page by page: memory does not grow with the batch."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from digitscan.core.errors import UsageError
from digitscan.core.types import GrayImage, PageFailure, PageOutcome, RunInfo
from digitscan.export.base import COLUMNS, ResultWriter, failure_row, reading_row, rows_as_csv
from digitscan.export.records import clean, page_record, run_record
from digitscan.export.wide import LEADING, FilledForm, FormColumns, Gatherer, form_row, header


class CsvWriter(ResultWriter):
    """RFC 4180, UTF-8, one row a reading; a page that failed gives one row with state ``missing``.

    File names are kept to the letter, since programs join on them. With `for_excel` the file begins with a byte order
    mark and digits are formulas like ``="007"``, so that a spreadsheet shows them as they are when the file is opened.
    """

    def __init__(self, target: str, run: RunInfo, *, for_excel: bool = False) -> None:
        self._for_excel = for_excel
        super().__init__(target, run)

    def _rows(self, rows: list[list[object]]) -> None:
        self._file.write(rows_as_csv(rows))

    def begin(self) -> None:
        """Write the header."""
        if self._for_excel:
            self._file.write(codecs.BOM_UTF8)
        self._rows([list(COLUMNS)])

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Write a page's readings."""
        model = self.run.model.id
        if isinstance(outcome, PageFailure):
            rows = [failure_row(outcome, model)]
        else:
            rows = [reading_row(outcome, reading, model) for reading in outcome.readings]
        if self._for_excel:
            rows = [[_shown(cell) if name in _DIGITS else _harmless(cell)
                     for name, cell in zip(COLUMNS, row, strict=True)] for row in rows]  # fmt: skip
        if rows:
            self._rows(rows)


_DIGITS = frozenset(("text", "written", "raw", "value"))


def _shown(cell: object) -> str:
    """Digits as a formula that a spreadsheet shows to the letter."""
    text = str(cell).replace('"', '""')
    return f'="{text}"' if text else ""


def _harmless(cell: object) -> object:
    """A cell that a spreadsheet would take for a formula, as a formula for its own text."""
    return _shown(cell) if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else cell


class WideCsvWriter(ResultWriter):
    """RFC 4180, UTF-8, one row a filled form, a column a field with its confidence and its state."""

    def __init__(self, target: str, run: RunInfo, forms: Sequence[FormColumns], *, for_excel: bool = False) -> None:
        self._forms = tuple(forms)
        self._for_excel = for_excel
        self._gatherer = Gatherer(self._forms)
        super().__init__(target, run)

    def _rows(self, rows: Sequence[Sequence[str]]) -> None:
        self._file.write(rows_as_csv(rows))

    def begin(self) -> None:
        """Write the header."""
        if self._for_excel:
            self._file.write(codecs.BOM_UTF8)
        self._rows([header(self._forms)])

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Take a page; forms that are complete are written."""
        self._rows([self._cells(form) for form in self._gatherer.add(outcome)])

    def end(self) -> None:
        """Write forms whose pages did not all come."""
        self._rows([self._cells(form) for form in self._gatherer.rest()])

    def _cells(self, form: FilledForm) -> list[str]:
        cells = [clean(cell) for cell in form_row(form, self._forms)]
        if self._for_excel:
            cells[len(LEADING) :: 3] = map(_shown, cells[len(LEADING) :: 3])
            cells[: len(LEADING)] = [str(_harmless(cell)) for cell in cells[: len(LEADING)]]
        return cells


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


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """What a writer may be told.

    Attributes
    ----------
    wide : tuple of FormColumns
        Forms whose fields become columns, in CSV and Excel.
    for_excel : bool
        CSV is made for a spreadsheet to open.
    """

    wide: tuple[FormColumns, ...] = ()
    for_excel: bool = False


_PLAIN = WriterOptions()


def _excel(target: str, run: RunInfo, options: WriterOptions) -> ResultWriter:
    from digitscan.export.excel import ExcelWriter

    return ExcelWriter(target, run, options.wide)


def _parquet(target: str, run: RunInfo, options: WriterOptions) -> ResultWriter:
    from digitscan.export.parquet import ParquetWriter

    return ParquetWriter(target, run)


def _hocr(target: str, run: RunInfo, options: WriterOptions) -> ResultWriter:
    from digitscan.export.archive import HocrWriter

    return HocrWriter(target, run)


def _csv(target: str, run: RunInfo, options: WriterOptions) -> ResultWriter:
    if options.wide:
        return WideCsvWriter(target, run, options.wide, for_excel=options.for_excel)
    return CsvWriter(target, run, for_excel=options.for_excel)


WRITERS: dict[str, Callable[[str, RunInfo, WriterOptions], ResultWriter]] = {
    ".csv": _csv,
    ".xlsx": _excel,
    ".json": lambda target, run, _: JsonWriter(target, run),
    ".jsonl": lambda target, run, _: JsonlWriter(target, run),
    ".parquet": _parquet,
    ".hocr": _hocr,
}
"""By the ending of the target."""


def check_target(target: str) -> None:
    """Refuse a target whose kind is not known.

    Raises
    ------
    UsageError
        If the suffix is none of those that can be written.
    """
    if target != "-" and Path(target).suffix.lower() not in WRITERS:
        raise UsageError(f"cannot tell the format of {target!r}", remedy=f"end it in {', '.join(WRITERS)}, or write -")


def open_writer(target: str, run: RunInfo, options: WriterOptions = _PLAIN) -> ResultWriter:
    """Open a result file by its suffix; ``-`` is CSV on standard output.

    Raises
    ------
    UsageError
        If the suffix is not known, or what writes it is not installed.
    OutputError
        If the file cannot be written.
    """
    check_target(target)
    kind = ".csv" if target == "-" else Path(target).suffix.lower()
    return WRITERS[kind](target, run, options)
