"""Tables in the page's own shape: one CSV a table, a row a row, a column a column."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from digitscan.core.atomic import page_stem, write_whole
from digitscan.core.targets import TABLE_SUFFIX
from digitscan.core.types import FieldReading, PageResult
from digitscan.export.records import clean


def as_rows(readings: Sequence[FieldReading]) -> list[list[str]]:
    """Cells as rows of text: empty where nothing stands, several numbers of one cell with a space between.

    Rows and columns at the edges that hold nothing are left out.
    """
    cells: dict[tuple[int, int], list[FieldReading]] = {}
    for reading in readings:
        if reading.row is not None and reading.column is not None:
            cells.setdefault((reading.row, reading.column), []).append(reading)
    if not cells:
        return []
    rows, columns = [k[0] for k in cells], [k[1] for k in cells]

    def text(row: int, column: int) -> str:
        inside = sorted(cells.get((row, column), []), key=lambda r: r.box.x)
        return " ".join(filter(None, (r.value or r.text for r in inside)))

    return [
        [text(row, column) for column in range(min(columns), max(columns) + 1)]
        for row in range(min(rows), max(rows) + 1)
    ]


def tables_of(page: PageResult) -> dict[str, list[list[str]]]:
    """The tables of a page by name: the grids of a form, or the one table of any other page."""
    if page.form is None:
        rows = as_rows(page.readings)
        return {"": rows} if rows else {}
    grids: dict[str, list[FieldReading]] = {}
    for reading in page.readings:
        if reading.row is not None:
            grids.setdefault(reading.table, []).append(reading)
    return {name: as_rows(readings) for name, readings in grids.items()}


def write_tables(folder: Path, page: PageResult, taken: set[str]) -> int:
    """Write a page's tables into `folder`, each under a name of its own; gives how many.

    Parameters
    ----------
    folder : Path
    page : PageResult
    taken : set of str
        Names that are in use; the new ones are added.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    tables = tables_of(page)
    for name, rows in tables.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([clean(cell) for cell in row] for row in rows)
        write_whole(
            folder / f"{page_stem(page.ref, taken, name)}{TABLE_SUFFIX}",
            text.getvalue().encode("utf-8", "backslashreplace"),
        )
    return len(tables)
