"""What stands in one ruled cell, or in one row of boxes, is ONE number, however wide its gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitscan.core.types import Box
from digitscan.layout.strings import merge_strings
from digitscan.layout.structure import CellId, RuledStructure
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
    lines : int
        Lines of text in a cell from which on it is a column rather than a cell.
    label : float
        Least height of a string in a row of boxes, in heights of the boxes: labels are lower.
    """

    alike: float = 0.5
    level: float = 0.45
    gap: float = 2.0
    lines: int = 3
    label: float = 0.3


PARAMETERS = CellParameters()


def join_in_cells(
    strings: list[StringMarks],
    structure: RuledStructure,
    fields: Sequence[Box] = (),
    parameters: CellParameters = PARAMETERS,
) -> tuple[list[StringMarks], list[CellId | None]]:
    """Make the strings of each cell, of each row of boxes and of each comb one string.

    Parameters
    ----------
    strings : list of StringMarks
    structure : RuledStructure
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
            merged = _in_one_cell([strings[k] for k in members], parameters)
            joined += merged
            own_cells += [owner] * len(merged)
        else:
            ordered = sorted((strings[k] for k in members), key=lambda s: s.box.x)
            joined.append(merge_strings(ordered))
            own_cells.append(cells[members[0]])
    return joined, own_cells


def _in_one_cell(strings: list[StringMarks], parameters: CellParameters) -> list[StringMarks]:
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
            gap = string.box.x - run[-1].box.right
            if column or gap > parameters.gap * max(string.height, run[-1].height):
                merged.append(merge_strings(run))
                run = [string]
            else:
                run.append(string)
        merged.append(merge_strings(run) if len(run) > 1 else run[0])
    return merged


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
