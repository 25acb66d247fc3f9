"""Excel workbooks: digits stay text, doubtful cells are coloured, and what is to be looked at shows its picture."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2

from digitscan.core.atomic import output_error
from digitscan.core.errors import UsageError
from digitscan.core.types import Box, FieldReading, GrayImage, PageFailure, PageOutcome, RunInfo
from digitscan.export.base import COLUMNS, ResultWriter, reading_row
from digitscan.export.records import clean
from digitscan.export.wide import LEADING, FormColumns, Gatherer, form_row, header

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

_THUMB_PX = (180, 40)
"""Largest width and height of a picture in a cell."""
_MOST_PICTURES = 20_000
"""Pictures in one workbook; spreadsheets with more do not open."""
_MOST_ROWS = 1_048_000
_REVIEW = ("file", "page", "field", "text", "confidence", "state", "reason", "picture")
_PALE_RED, _PALE_YELLOW = "#F8CBAD", "#FFF2CC"


class _Sink:
    """The file as the library sees it: once it is given up, what an unfinished archive still writes goes nowhere."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.dead = False

    def write(self, data: bytes) -> int:
        """Write, or drop."""
        return len(data) if self.dead else self._stream.write(data)

    def seek(self, place: int, whence: int = 0) -> int:
        """Move, unless nobody is there."""
        return 0 if self.dead else self._stream.seek(place, whence)

    def tell(self) -> int:
        """Where it stands."""
        return 0 if self.dead else self._stream.tell()

    def flush(self) -> None:
        """Flush what is written."""
        if not self.dead:
            self._stream.flush()


class ExcelWriter(ResultWriter):
    """One row a reading, or with forms one row a form; and a sheet of everything that a person should look at.

    Rows are written as they come; only the pictures of the review sheet are kept until the end.
    """

    wants_images = True

    def __init__(self, target: str, run: RunInfo, forms: Sequence[FormColumns] = ()) -> None:
        try:
            import xlsxwriter
        except ImportError as error:
            raise UsageError(
                f"cannot write {target}: Excel files need XlsxWriter", remedy="pip install 'digitscan[excel]'"
            ) from error
        self._xlsxwriter = xlsxwriter
        self._forms = tuple(forms)
        self._gatherer = Gatherer(self._forms) if forms else None
        # Rows wait in files of their own until the end: in a folder that goes with this writer, however it ends.
        self._waiting = tempfile.TemporaryDirectory(prefix="digitscan-xlsx-", ignore_cleanup_errors=True)
        try:
            super().__init__(target, run)
        except BaseException:
            self._waiting.cleanup()
            raise

    def clear_up(self) -> None:
        """Delete the files in which rows waited."""
        for sheet in self._book.worksheets():
            if (rows := getattr(sheet, "row_data_fh", None)) is not None:
                with contextlib.suppress(OSError, ValueError):
                    rows.close()
        self._sink.dead = True
        self._book.fileclosed = True  # or it tells, when it is taken apart, that it was not closed
        self._waiting.cleanup()

    def begin(self) -> None:
        """Open the workbook with its two sheets."""
        options = {
            "constant_memory": True,
            "tmpdir": self._waiting.name,
            "strings_to_numbers": False,
            "strings_to_formulas": False,
            "strings_to_urls": False,
        }
        self._sink = _Sink(self._file.stream)
        self._book = self._xlsxwriter.Workbook(self._sink, options)
        self._book.set_properties({"author": "digitscan"})
        bold = self._book.add_format({"bold": True, "bottom": 1})
        self._text = self._book.add_format({"num_format": "@"})
        self._doubt = self._book.add_format({"num_format": "@", "bg_color": _PALE_YELLOW})
        self._wrong = self._book.add_format({"num_format": "@", "bg_color": _PALE_RED})
        self._main = self._book.add_worksheet("forms" if self._forms else "readings")
        self._look = self._book.add_worksheet("review")
        names = header(self._forms) if self._forms else list(COLUMNS)
        for sheet, titles in ((self._main, names), (self._look, _REVIEW)):
            sheet.freeze_panes(1, 0)
            for column, title in enumerate(titles):
                sheet.write_string(0, column, title, bold)
        self._main.set_column(0, 0, 28)
        self._look.set_column(0, 0, 28)
        self._look.set_column(len(_REVIEW) - 1, len(_REVIEW) - 1, _THUMB_PX[0] / 7)
        self._rows = self._looked = 1
        self._pictures = 0

    def _line(self, cells: Sequence[str], formats: dict[int, Any]) -> None:
        if self._rows >= _MOST_ROWS:
            raise UsageError(f"{self.target}: a sheet holds {_MOST_ROWS} rows", remedy="write CSV, or split the batch")
        for column, cell in enumerate(cells):
            self._main.write_string(self._rows, column, clean(cell)[:32_000], formats.get(column, self._text))
        self._rows += 1

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Write a page; `image` is its picture for the review sheet."""
        try:
            self._write(outcome, image)
        except OSError as error:
            raise output_error(self.target, error) from error

    def _write(self, outcome: PageOutcome, image: GrayImage | None) -> None:
        if self._gatherer is not None:
            self._wide(outcome)
        elif isinstance(outcome, PageFailure):
            why = f"{outcome.stage}: {outcome.message}" + (f"; {outcome.remedy}" if outcome.remedy else "")
            cells = [outcome.ref.path, str(outcome.ref.page_number), *[""] * 5, "missing", "true", why]
            self._line(cells, {COLUMNS.index("text"): self._wrong})
        else:
            for reading in outcome.readings:
                formats = {COLUMNS.index("text"): self._format(reading)} if reading.review else {}
                self._line([str(cell) for cell in reading_row(outcome, reading, self.run.model.id)], formats)
        if isinstance(outcome, PageFailure):
            return
        for reading in outcome.readings:
            if reading.review:
                self._review(outcome.ref.path, outcome.ref.page_number, reading, image)

    def _format(self, reading: FieldReading) -> Any:
        return self._wrong if reading.state.value in ("invalid", "illegible", "struck", "missing") else self._doubt

    def _wide(self, outcome: PageOutcome) -> None:
        assert self._gatherer is not None
        for form in self._gatherer.add(outcome):
            self._filled(form)

    def _filled(self, form: Any) -> None:
        names = header(self._forms)
        places = {name: names.index(name, len(LEADING)) for name in form.readings}
        formats = {places[name]: self._format(r) for name, r in form.readings.items() if r.review}
        self._line(form_row(form, self._forms), formats)

    def _review(self, file: str, page: int, reading: FieldReading, image: GrayImage | None) -> None:
        if self._looked >= _MOST_ROWS:
            return
        sheet: Worksheet = self._look
        if image is not None and self._pictures < _MOST_PICTURES:
            sheet.set_row_pixels(self._looked, _THUMB_PX[1] + 4)  # before its cells: rows are written once
        cells = [
            clean(file), str(page), reading.name, reading.text, f"{reading.confidence:.4f}", reading.state.value,
            reading.reason,
        ]  # fmt: skip
        for column, cell in enumerate(cells):
            sheet.write_string(self._looked, column, cell, self._text)
        if image is not None and self._pictures < _MOST_PICTURES:
            picture = _thumbnail(image, reading.box)
            sheet.insert_image(
                self._looked, len(_REVIEW) - 1, f"{reading.name}.png",
                {"image_data": io.BytesIO(picture), "x_offset": 2, "y_offset": 2, "object_position": 1},
            )  # fmt: skip
            self._pictures += 1
        self._looked += 1

    def end(self) -> None:
        """Write forms whose pages did not all come, and the workbook."""
        try:
            if self._gatherer is not None:
                for form in self._gatherer.rest():
                    self._filled(form)
            self._book.close()
        except OSError as error:
            raise output_error(self.target, error) from error
        except self._xlsxwriter.exceptions.XlsxFileError as error:
            cause = error.args[0] if error.args and isinstance(error.args[0], OSError) else OSError(str(error))
            raise output_error(self.target, cause) from error


def _thumbnail(image: GrayImage, box: Box) -> bytes:
    """A reading's place on its page with some paper around it, as PNG."""
    margin = round(0.2 * box.height) + 2
    part = image[max(box.y - margin, 0) : box.bottom + margin, max(box.x - margin, 0) : box.right + margin]
    scale = min(_THUMB_PX[0] / part.shape[1], _THUMB_PX[1] / part.shape[0])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return cv2.imencode(".png", small)[1].tobytes()
