"""What every result file is made of: the columns, their rows, and the base of the writers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from digitscan.core.atomic import AtomicFile
from digitscan.core.types import FieldReading, GrayImage, PageFailure, PageOutcome, PageResult, RunInfo
from digitscan.export.records import clean

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


def failure_row(failed: PageFailure, model: str) -> list[object]:
    """A page that failed, in the order of `COLUMNS`."""
    why = f"{failed.stage}: {failed.message}" + (f"; {failed.remedy}" if failed.remedy else "")
    cells = {
        "file": clean(failed.ref.path), "page": failed.ref.page_number, "state": "missing", "review": "true",
        "reason": clean(why), "model": model,
    }  # fmt: skip
    return [cells.get(name, "") for name in COLUMNS]


def rows_as_csv(rows: Sequence[Sequence[object]]) -> bytes:
    """Rows as RFC 4180 has them, in UTF-8."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


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

    @property
    def is_open(self) -> bool:
        """Neither published nor forgotten."""
        return self._open

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
            finally:
                self.clear_up()
            self._file.commit()

    def abort(self) -> None:
        """Forget the file; an older one of the same name stays."""
        if self._open:
            self._open = False
            self._file.abort()
            self.clear_up()

    def clear_up(self) -> None:
        """Let go of what was needed only while it was written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or issubclass(kind, KeyboardInterrupt):
            self.close()
        else:
            self.abort()
