"""Numbers of a table that stand in columns: what lies between columns is no digit, and numbers that run together part.

Remains of ruling lines look like ones. Where most numbers of a column have as many digits and stand between the same
edges, a one beyond the edges is such a remain, and digits between the edges of two columns are two numbers. Nothing is
mended in silence: a number that lost a digit or was parted here is for review.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from digitscan.core.geometry import union
from digitscan.core.types import Box
from digitscan.decoding.readings import ReadDigit, ReadString

TableCell = tuple[int, int]
Placed = tuple[ReadString, TableCell | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnParameters:
    """What a regular column is, and what lies beside it.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    fewest: int = 6
    """Numbers of one length that make a column regular. [bare; tried]"""
    regular: float = 0.7
    """Share of a column's cells that hold one number of that length. [share; tried]"""
    near: int = 7
    """Numbers of a column, the nearest ones, that say where its edges are at a row. [bare; tried]"""
    slack: float = 0.3
    """How far beyond the edges a digit's middle may lie. [heights; tried]"""
    unlike_height: float = 0.15
    """How much higher or lower than the table's digits a lone one is a remain of a line. [share; tried]"""
    doubtful: float = 0.5
    """Confidence, at the most, of a number that was changed here. [probability; below every threshold of review]"""


COLUMNS = ColumnParameters()


@dataclass(frozen=True, slots=True)
class Column:
    """A regular column: how many digits its numbers have, and where those of that length stand.

    Attributes
    ----------
    digits : int
    edges : (N, 4) float64
        Row, left, right and height of a digit, of each such number.
    """

    digits: int
    edges: np.ndarray

    def at(self, row: int) -> tuple[float, float, float]:
        """Left edge, right edge and height of a digit near a row, in pixels."""
        near = np.argsort(np.abs(self.edges[:, 0] - row), kind="stable")[: COLUMNS.near]
        left, right, height = np.median(self.edges[near, 1:], axis=0)
        return float(left), float(right), float(height)

    def holds(self, digit: ReadDigit, row: int) -> bool:
        """Whether a digit stands between its edges."""
        left, right, height = self.at(row)
        return left - COLUMNS.slack * height < digit.box.center[0] < right + COLUMNS.slack * height


def find_columns(placed: Sequence[Placed]) -> dict[int, Column]:
    """The regular columns of a table by their number."""
    cells: dict[TableCell, list[ReadString]] = defaultdict(list)
    for string, cell in placed:
        if cell is not None and string.digits:
            cells[cell].append(string)
    columns = {}
    for number in {column for _, column in cells}:
        alone = [
            (row, strings[0]) for (row, column), strings in cells.items() if column == number and len(strings) == 1
        ]
        if not alone:
            continue
        digits, count = Counter(len(string.digits) for _, string in alone).most_common(1)[0]
        total = sum(column == number for _, column in cells)
        if count < COLUMNS.fewest or count < COLUMNS.regular * total or digits < 2:
            continue
        edges = [
            (row, s.digits[0].box.x, s.digits[-1].box.right, float(np.median([d.box.height for d in s.digits])))
            for row, s in alone
            if len(s.digits) == digits
        ]
        columns[number] = Column(digits, np.array(edges, np.float64))
    return columns


def in_columns(placed: Sequence[Placed]) -> list[Placed]:
    """The numbers of a table without what lies between its columns, those that run together parted.

    Parameters
    ----------
    placed : sequence of (ReadString, cell)
        With their 1-based row and column; None where a string has none.
    """
    columns = find_columns(placed)
    if not columns:
        return list(placed)
    full = {
        cell: string.box
        for string, cell in placed
        if cell is not None and cell[1] in columns and len(string.digits) == columns[cell[1]].digits
    }
    out: list[Placed] = []
    for string, cell in placed:
        if cell is None or string.struck or not string.digits or cell[1] not in columns:
            out.append((string, cell))
            continue
        row, column = cell
        own = columns[column]
        if len(string.digits) == own.digits:
            out.append((string, cell))
        elif cell in full and _ones_beside(string, full[cell]):
            continue
        elif len(string.digits) > own.digits:
            trimmed = _trimmed(string, row, own)
            out.extend([(trimmed, cell)] if trimmed is not None else _parted(string, row, columns) or [(string, cell)])
        else:
            out.append((string, cell))
    return out


def without_stray_rows(placed: Sequence[Placed]) -> list[Placed]:
    """A table without rows that are nothing but remains of lines: ones that are higher or lower than its digits.

    The rows below move up. For tables without lines, whose rows are where something stands. Lone ones as high as the
    digits, in columns of longer numbers, make no row either, but are kept, without a cell.
    """
    columns = find_columns(placed)
    in_row: dict[int, list[tuple[ReadString, int]]] = defaultdict(list)
    for string, cell in placed:
        if cell is not None:
            in_row[cell[0]].append((string, cell[1]))
    heights = [column.edges[:, 3] for column in columns.values() if column.digits > 2]
    if not heights:
        return list(placed)
    usual = float(np.median(np.concatenate(heights)))
    lowest, highest = (1 - COLUMNS.unlike_height) * usual, (1 + COLUMNS.unlike_height) * usual

    def is_remain(string: ReadString) -> bool:
        return string.text == "1" and not lowest <= string.box.height <= highest

    def is_misfit(string: ReadString, column: int) -> bool:
        return string.text == "1" and column in columns and columns[column].digits > 2

    stray = {row for row, strings in in_row.items() if all(is_remain(string) for string, _ in strings)}
    misfits = {row for row, strings in in_row.items() if all(is_misfit(string, column) for string, column in strings)}
    gone = stray | misfits
    out: list[Placed] = []
    for string, cell in placed:
        if cell is None or cell[0] not in gone:
            out.append((string, cell if cell is None else (cell[0] - sum(row < cell[0] for row in gone), cell[1])))
        elif cell[0] not in stray:
            sure = min(string.confidence, COLUMNS.doubtful)
            out.append((replace(string, confidence=sure, reason="a one between the rows of the table"), None))
    return out


def _ones_beside(string: ReadString, number: Box) -> bool:
    """Whether a string is nothing but ones before or after the number of its cell."""
    return all(d.digit == "1" and not number.x < d.box.center[0] < number.right for d in string.digits)


def _trimmed(string: ReadString, row: int, column: Column) -> ReadString | None:
    """A string without the one before or after it, where what is left stands just between its column's edges."""
    if len(string.digits) != column.digits + 1:
        return None
    left, right, height = column.at(row)
    near = COLUMNS.slack * height
    first, last = string.digits[0], string.digits[-1]
    for extra, rest, beyond in (
        (first, string.digits[1:], left - first.box.right),
        (last, string.digits[:-1], last.box.x - right),
    ):
        fits = abs(rest[0].box.x - left) < near and abs(rest[-1].box.right - right) < near
        if extra.digit == "1" and fits and beyond > -0.5 * near:
            return _part(string, rest)
    return None


def _parted(string: ReadString, row: int, columns: dict[int, Column]) -> list[Placed]:
    """A string as the numbers of the columns that it covers; empty where that does not come out."""
    parts: dict[int, list[ReadDigit]] = defaultdict(list)
    for digit in string.digits:
        owner = next((number for number, column in columns.items() if column.holds(digit, row)), None)
        if owner is not None:
            parts[owner].append(digit)
        elif digit.digit != "1":
            return []
    if any(len(digits) != columns[number].digits for number, digits in parts.items()):
        return []
    return [((_part(string, digits)), (row, number)) for number, digits in sorted(parts.items())]


def _part(string: ReadString, digits: Sequence[ReadDigit]) -> ReadString:
    text = "".join(d.digit for d in digits)
    sure = min(float(np.prod([d.confidence for d in digits])), COLUMNS.doubtful)
    reason = f"cut at the edges of its column: {string.text} runs over them"
    return replace(
        string, box=union(d.box for d in digits), text=text, digits=tuple(digits), confidence=sure,
        alternatives=(), reason=reason, written="",
    )  # fmt: skip
