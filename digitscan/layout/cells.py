"""What stands in one ruled cell, or in one row of boxes, is ONE number, however wide its gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from digitscan.core.types import Box
from digitscan.layout.ruled import RuledTable
from digitscan.layout.strings import merge_strings
from digitscan.layout.structure import CellId, RuledStructure
from digitscan.segmentation.components import Components
from digitscan.segmentation.marks import StringMarks


@dataclass(frozen=True, slots=True)
class CellParameters:
    """When strings of one cell are parts of one number; heights are those of the larger string.

    Attributes
    ----------
    alike : float
        Least height of the lower string: labels printed into a cell are much lower than what is written there.
    level : float
        Share of the lower string's height that both have in common, so that they stand in one line.
    gap : float
        Widest gap between them: two that stand further apart are two numbers, whose wall was not found.
    bridged : float
        The same where a point or a comma stands between them, in a cell that is a column of numbers.
    lines : int
        Lines of text in a cell from which on it is a column rather than a cell.
    same_row : float
        How far apart numbers of one row of text may stand, in heights.
    label : float
        Least height of a string in a row of boxes, in heights of the boxes: labels are lower.
    """

    alike: float = 0.5
    level: float = 0.45
    gap: float = 2.5
    bridged: float = 1.4
    lines: int = 3
    label: float = 0.22
    same_row: float = 0.55


PARAMETERS = CellParameters()


def join_in_cells(
    strings: list[StringMarks],
    structure: RuledStructure,
    found: Components,
    fields: Sequence[Box] = (),
    parameters: CellParameters = PARAMETERS,
) -> tuple[list[StringMarks], list[CellId | None]]:
    """Make the strings of each cell, of each row of boxes and of each comb one string.

    Parameters
    ----------
    strings : list of StringMarks
    structure : RuledStructure
    found : Components
        Whose points and commas join what they stand between.
    fields : sequence of Box
        Combs.

    Returns
    -------
    strings : list of StringMarks
    cells : list of CellId or None
        The cell of each; of a row of boxes its first.
    """
    owners: dict[object, list[int]] = {}
    cells = structure.cells_of([string.box for string in strings])
    joined: list[StringMarks] = []
    own_cells: list[CellId | None] = []
    for k, (string, cell) in enumerate(zip(strings, cells, strict=True)):
        x, y = string.box.center
        field = next((n for n, f in enumerate(fields) if f.holds((x, y)) and string.height > 0.3 * f.height), None)
        if field is not None:
            owners.setdefault(("field", field), []).append(k)
        elif cell is None:
            joined.append(string)
            own_cells.append(None)
        elif cell.table in structure.box_rows:
            if string.height > parameters.label * structure.tables[cell.table].height():
                owners.setdefault(("boxes", cell.table), []).append(k)
            else:
                joined.append(string)
                own_cells.append(cell)
        else:
            owners.setdefault(cell, []).append(k)
    for owner, members in owners.items():
        if isinstance(owner, CellId):
            merged = _in_one_cell([strings[k] for k in members], found, parameters)
            joined += merged
            own_cells += [owner] * len(merged)
        else:
            ordered = sorted((strings[k] for k in members), key=lambda s: s.box.x)
            joined.append(merge_strings(ordered))
            own_cells.append(cells[members[0]])
    return joined, own_cells


def _in_one_cell(strings: list[StringMarks], found: Components, parameters: CellParameters) -> list[StringMarks]:
    """The numbers of one cell: line by line, what is of like height joined."""
    if len(strings) == 1:
        return strings
    lines: list[list[StringMarks]] = []
    for string in sorted(strings, key=lambda s: s.box.x):
        for line in lines:
            if _one_line(line[-1], string, parameters):
                line.append(string)
                break
        else:
            lines.append([string])
    column = len(_levels(strings)) >= parameters.lines
    merged = []
    for line in lines:
        run = [line[0]]
        for string in line[1:]:
            gap = (string.box.x - run[-1].box.right) / max(string.height, run[-1].height)
            bridged = _bridged(run[-1], string, found) if gap <= parameters.bridged else []
            if gap > parameters.gap or (column and not bridged):
                merged.append(merge_strings(run))
                run = [string]
            else:
                run.append(replace(string, marks=[*dict.fromkeys([*string.marks, *bridged])]))
        merged.append(merge_strings(run) if len(run) > 1 else run[0])
    return merged


def _bridged(before: StringMarks, after: StringMarks, found: Components) -> list[int]:
    """The points and commas that stand between two strings, as components."""
    x, y, w, h = (found.boxes[:, k] for k in range(4))
    middle_x, middle_y, height = x + w / 2, y + h / 2, max(before.height, after.height)
    low, high = min(before.box.y, after.box.y), max(before.box.bottom, after.box.bottom)
    between = (
        (middle_x >= before.box.right - 1) & (middle_x <= after.box.x + 1) & (h < 0.6 * height) & (w < 0.6 * height)
    )
    inside = (middle_y >= low) & (middle_y <= high + 0.3 * height) & (found.areas >= 4)
    return [int(k) for k in np.flatnonzero(between & inside)]


def _levels(strings: list[StringMarks]) -> list[float]:
    """Heights at which lines of text stand."""
    levels: list[float] = []
    usual = float(np.median([s.height for s in strings]))
    for middle in sorted(s.box.center[1] for s in strings):
        if not levels or middle - levels[-1] > 0.7 * usual:
            levels.append(middle)
    return levels


def _one_line(a: StringMarks, b: StringMarks, parameters: CellParameters) -> bool:
    low, high = min(a.height, b.height), max(a.height, b.height)
    shared = min(a.box.bottom, b.box.bottom) - max(a.box.y, b.box.y)
    return low >= parameters.alike * high and shared >= parameters.level * min(a.box.height, b.box.height)


def rows_of_text(
    boxes: Sequence[Box], cells: Sequence[CellId | None], table: RuledTable, parameters: CellParameters = PARAMETERS
) -> list[int]:
    """Row of each box that stands in a table, where rows of text count that no line parts.

    Parameters
    ----------
    boxes : sequence of Box
        In pixels of the page.
    cells : sequence of CellId or None
        Of one table; None for boxes outside of it.
    table : RuledTable

    Returns
    -------
    list of int
        1-based; 0 outside of the table. A row between lines is one row of the table, or as many as it has lines of text
        where one of its cells has `lines` of them.
    """
    rows = [0] * len(boxes)
    number = 0
    bands = sorted({cell.row for cell in cells if cell is not None})
    last = 0
    for band in bands:
        number += band - last  # rows without text count too
        last = band
        members = [k for k, cell in enumerate(cells) if cell is not None and cell.row == band]
        above = table.rows[band - 1]
        level = np.array([boxes[k].center[1] - above.at(boxes[k].center[0]) for k in members])
        usual = float(np.median([boxes[k].height for k in members]))
        columns: dict[int, list[float]] = {}
        for at, k in zip(level.tolist(), members, strict=True):
            columns.setdefault(cells[k].column, []).append(at)  # type: ignore[union-attr]
        if max(_lines_at(own, 0.7 * usual) for own in columns.values()) < parameters.lines:
            for k in members:
                rows[k] = number
            continue
        order = np.argsort(level, kind="stable")
        groups: list[list[int]] = []
        for k in order.tolist():
            if groups and level[k] - float(np.median(level[groups[-1]])) < parameters.same_row * usual:
                groups[-1].append(k)
            else:
                groups.append([k])
        for place, group in enumerate(groups):
            for k in group:
                rows[members[k]] = number + place
        number += len(groups) - 1
    return rows


def _lines_at(levels: Sequence[float], apart: float) -> int:
    """How many lines of text stand at some levels."""
    return 1 + int((np.diff(np.sort(levels)) > apart).sum())
