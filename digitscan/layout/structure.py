"""The ruled structure of a page: every table, row of boxes and single box that its ruling lines make.

RulingLines ─ RuledStructure.of ─> tables ─ cells_of ─> which cell each mark stands in
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box, Ink
from digitscan.imaging.rules import RulingLines, rule_length
from digitscan.layout.faint import has_ridge, with_faint_lines, with_open_ends
from digitscan.layout.ruled import RuledLine, RuledTable, spanned


@dataclass(frozen=True, slots=True)
class StructureParameters:
    """What counts as ruled structure.

    Attributes
    ----------
    on_course : float
        How far from the course of a line, in thicknesses of a rule, a piece of it may lie; at least `on_course_px`.
        Paper: print wavers by about its own thickness.
    on_course_px : float
        The same in pixels, for hairlines.
    box_width : float
        Widest cell, in its heights, that holds one digit. Boxes for single digits are made a little higher than wide.
    fewest_boxes : int
        Cells side by side from which on a single row of them is one number.
    even : float
        Largest share by which the boxes of one row differ in width.
    pitch : float
        Largest share by which a box may differ from the usual one for a line inside it to be no side of a box.
    level : float
        How far apart, in heights, the middles of boxes of one row may stand.
    box_gap : float
        Widest gap between two boxes of one row, in widths of a box.
    box_share : float
        Least share of an image's sides that the box of its number takes.
    """

    on_course: float = 1.5
    on_course_px: float = 3.0
    box_width: float = 1.5
    fewest_boxes: int = 2
    even: float = 0.35
    level: float = 0.2
    pitch: float = 0.15
    box_gap: float = 1.0
    box_share: float = 0.35


PARAMETERS = StructureParameters()


class CellId(NamedTuple):
    """A cell: number of its table in `RuledStructure.tables`, 1-based row and column in it."""

    table: int
    row: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class RuledStructure:
    """All tables of a page, the largest first: rows of boxes and single boxes are tables of one row.

    Attributes
    ----------
    tables : tuple of RuledTable
    box_rows : frozenset of int
        Numbers of those that are a row of boxes: ONE number, a digit a cell.
    main : int or None
        The table whose rows and columns stand in the results; None where the page has none.
    """

    tables: tuple[RuledTable, ...]
    box_rows: frozenset[int]
    main: int | None

    @classmethod
    def of(cls, rules: RulingLines, ink: Ink, parameters: StructureParameters = PARAMETERS) -> RuledStructure:
        """Make tables of a page's ruling lines.

        Parameters
        ----------
        rules : RulingLines
        ink : (H, W) uint8
            Soft ink of the page, rules and all.
        """
        shape = (ink.shape[0], ink.shape[1])
        frames = sorted(rules.frames, key=lambda f: -f.width * f.height)
        made = [RuledTable.of(rules.horizontals, rules.verticals, f, rule_length(shape)) for f in frames]
        whole = [_completed(table, ink, rule_length(shape)) for table in made if table is not None]
        tables = tuple(_with_rows_of_boxes(whole, parameters))
        boxes = frozenset(k for k, table in enumerate(tables) if _is_box_row(table, parameters))
        main = next(
            (
                k
                for k, table in enumerate(tables)
                if min(table.first.shape[:2]) >= 2
                and table.frame.width * table.frame.height >= 0.05 * shape[0] * shape[1]
            ),
            None,
        )
        return cls(tables, boxes, main)

    def cells_of(self, boxes: Sequence[Box]) -> list[CellId | None]:
        """The cell that holds each box's middle, of the smallest table there; None outside all of them."""
        found: list[CellId | None] = [None] * len(boxes)
        for number, table in enumerate(self.tables):  # smaller ones come later and win
            for k, cell in enumerate(table.cells_of(boxes)):
                if cell is not None:
                    found[k] = CellId(number, *cell)
        return found

    def number_box(self, shape: tuple[int, int], parameters: StructureParameters = PARAMETERS) -> Box | None:
        """Inside of the box that holds the number of an image that is one string; None where no box stands out.

        The widest cell is it: a currency sign, or a word, may have a cell of its own beside it.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the image.
        """
        best: Box | None = None
        for table in self.tables:
            for r, row in enumerate(table.rows[:-1]):
                for c, column in enumerate(table.columns[:-1]):
                    x = (column.at(table.frame.center[1]) + table.columns[c + 1].at(table.frame.center[1])) / 2
                    top, bottom = row.at(x), table.rows[r + 1].at(x)
                    middle = (top + bottom) / 2
                    left, right = column.at(middle), table.columns[c + 1].at(middle)
                    box = Box(round(left), round(top), round(right - left), round(bottom - top))
                    if best is None or box.width > best.width:
                        best = box
        if (
            best is None
            or best.height < parameters.box_share * shape[0]
            or best.width < parameters.box_share * shape[1]
        ):
            return None
        return best

    def borders(self, number: int) -> list[int]:
        """Where the boxes of a row part, from left to right, in pixels; `number` is its place in `tables`."""
        table = self.tables[number]
        middle = float(np.mean([np.median(row.across) for row in table.rows]))
        return [round(line.at(middle)) for line in table.columns]

    def walls(self) -> list[Box]:
        """The vertical lines between cells that hold numbers of their own, as thin boxes."""
        return [wall for k, table in enumerate(self.tables) if k not in self.box_rows for wall in table.walls()]

    def strays(self, rules: RulingLines, parameters: StructureParameters = PARAMETERS) -> tuple[list[int], list[int]]:
        """Segments inside a table that lie on none of its lines: places in `rules.horizontals` and `verticals`.

        A straight stroke of a digit looks like a rule when it is as long as a cell; it lies where no line runs.
        """
        reach = max(parameters.on_course_px, parameters.on_course * rules.thickness_px)
        across = [k for k, s in enumerate(rules.horizontals) if self._is_stray(s, reach, horizontal=True)]
        return across, [k for k, s in enumerate(rules.verticals) if self._is_stray(s, reach, horizontal=False)]

    def _is_stray(self, segment: Box, reach: float, *, horizontal: bool) -> bool:
        x, y = segment.center
        inside = False
        for table in self.tables:
            if not (table.frame.x <= x <= table.frame.right and table.frame.y <= y <= table.frame.bottom):
                continue
            inside = True
            lines, place, at = (table.rows, x, y) if horizontal else (table.columns, y, x)
            if any(abs(line.at(place) - at) <= reach for line in lines):
                return False
        return inside

    def is_wall(self, segment: Box, reach: float, *, horizontal: bool) -> bool:
        """Whether a segment that lies on no line of its table parts a cell: it goes from line to line, or across one.

        A stroke of a digit stays inside its cell.
        """
        x, y = segment.center
        first, last = (segment.x, segment.right) if horizontal else (segment.y, segment.bottom)
        for number, table in enumerate(self.tables):
            if table.frame.x <= x <= table.frame.right and table.frame.y <= y <= table.frame.bottom:
                if number in self.box_rows:  # its boxes are even: nothing else is a side of one
                    continue
                others = [o.at(y if horizontal else x) for o in (table.columns if horizontal else table.rows)]
                crossed = any(first + reach < at < last - reach for at in others)
                ends = [any(abs(at - end) <= reach for at in others) for end in (first, last)]
                if crossed or all(ends):
                    return True
        return False


def _completed(table: RuledTable, ink: Ink, shortest: float) -> RuledTable:
    """A table with the lines that are too faint to be found by themselves, and its cells made anew."""
    rows, columns = with_open_ends(table.rows, table.columns), with_open_ends(table.columns, table.rows)
    if len(rows) == 2:
        columns = _even(columns)
    columns = with_faint_lines(columns, rows, ink, horizontal=False)
    rows = with_faint_lines(rows, columns, ink, horizontal=True)
    first = spanned(
        rows,
        columns,
        shortest,
        lambda line, start, stop, horizontal: has_ridge(ink, line, start, stop, horizontal=horizontal),
    )
    return RuledTable(table.frame, rows, columns, first)


def _even(columns: list[RuledLine], parameters: StructureParameters = PARAMETERS) -> list[RuledLine]:
    """The sides of even boxes, without a line that parts one of them: a 1 as high as its box."""
    at = [float(np.median(line.across)) for line in columns]
    usual = float(np.median(np.diff(at)))
    kept = [0]
    for k in range(1, len(columns) - 1):
        whole = at[k + 1] - at[kept[-1]]
        inside = at[k] - at[kept[-1]] < 0.8 * usual and at[k + 1] - at[k] < 0.8 * usual
        if not (len(columns) > 4 and inside and abs(whole - usual) <= parameters.pitch * usual):
            kept.append(k)
    return [columns[k] for k in (*kept, len(columns) - 1)]


def _with_rows_of_boxes(tables: list[RuledTable], parameters: StructureParameters) -> list[RuledTable]:
    """Join single boxes of like size that stand side by side at an even pitch: a row of boxes that do not touch."""
    single = [t for t in tables if t.first.shape[:2] == (1, 1) and _is_box(t, parameters)]
    single.sort(key=lambda t: t.frame.x)
    rows: list[list[RuledTable]] = []
    for table in single:
        for row in rows:
            last = row[-1].frame
            level = abs(table.frame.center[1] - last.center[1]) <= parameters.level * last.height
            alike = abs(table.frame.width - last.width) <= parameters.even * last.width
            apart = table.frame.x - last.right
            if level and alike and 0 <= apart <= parameters.box_gap * last.width:
                row.append(table)
                break
        else:
            rows.append([table])
    joined = [row for row in rows if len(row) >= parameters.fewest_boxes]
    taken = {id(table) for row in joined for table in row}
    return [t for t in tables if id(t) not in taken] + [_one_row(row) for row in joined]


def _is_box(table: RuledTable, parameters: StructureParameters) -> bool:
    return table.frame.width <= parameters.box_width * table.frame.height


def _one_row(boxes: list[RuledTable]) -> RuledTable:
    """A row of boxes as a table of one row, whose columns part in the middle between them."""
    left, right = boxes[0].frame, boxes[-1].frame
    top, bottom = min(b.frame.y for b in boxes), max(b.frame.bottom for b in boxes)
    frame = Box(left.x, top, right.right - left.x, bottom - top)
    places = [
        float(left.x),
        *((a.frame.right + b.frame.x) / 2 for a, b in pairwise(boxes)),
        float(right.right),
    ]
    rows = [_level(y, frame.x, frame.right) for y in (top, bottom)]
    columns = [_level(x, top, bottom) for x in places]
    first = np.moveaxis(np.indices((1, len(boxes)), np.int64), 0, 2)
    return RuledTable(frame, rows, columns, first)


def _level(across: float, start: float, stop: float) -> RuledLine:
    """A straight line from one place to another."""
    ends = np.array([start, stop], np.float64)
    return RuledLine(ends, np.full(2, across, np.float64), ends[None])


def _is_box_row(table: RuledTable, parameters: StructureParameters) -> bool:
    """Whether a table is one row of boxes of like width, each for one digit."""
    if len(table.rows) != 2 or len(table.columns) - 1 < parameters.fewest_boxes:
        return False
    widths = np.diff([float(np.median(line.across)) for line in table.columns])
    height = float(np.median(table.rows[1].across) - np.median(table.rows[0].across))
    usual = float(np.median(widths))
    alike: NDArray[np.bool_] = np.abs(widths - usual) <= parameters.even * usual
    return usual <= parameters.box_width * height and float(alike.mean()) >= 0.7
