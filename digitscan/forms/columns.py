"""Numbers of a table that stand in columns: what lies between columns is no digit, and numbers that run together part.

Remains of ruling lines look like ones. Where most numbers of a column have as many digits and stand between the same
edges, a one beyond the edges is such a remain, and digits between the edges of two columns are two numbers. Nothing is
mended in silence: a number that lost a digit or was parted here is for review.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from digitscan.core.geometry import union
from digitscan.core.types import Alternative, Box, FieldReading, State
from digitscan.forms.readings import ReadDigit, ReadString
from digitscan.forms.totals import counts_up, is_summand

Cell = tuple[int, int]
Placed = tuple[ReadString, Cell | None]

_FEWEST = 6
"""Numbers of one length that make a column regular."""
_REGULAR = 0.7
"""Share of a column's cells that hold one number of that length."""
_FIXED = 0.96
_FIXED_FEWEST = 25
"""Share, and count, of a column's numbers of one length from which those of another one are doubtful: of numbers below
10,000 one in ten has fewer digits than four, and nothing is wrong with them."""
_MANY = 6
"""Columns that share a length, from which one among them with another is doubtful."""
_FULL = 0.8
"""Share of the cells of a row, and of a column, that are read: one among them that is not may have been overlooked."""
_WHOLLY_FULL = 0.9
"""The same, where there is no ink."""
_NEAR = 7
"""Numbers of a column, the nearest ones, that say where its edges are at a row."""
_SLACK = 0.3
"""How far beyond the edges a digit's middle may lie, in heights."""
_DOUBTFUL = 0.5
"""Confidence, at the most, of a number that was changed here."""


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
        near = np.argsort(np.abs(self.edges[:, 0] - row), kind="stable")[:_NEAR]
        left, right, height = np.median(self.edges[near, 1:], axis=0)
        return float(left), float(right), float(height)

    def holds(self, digit: ReadDigit, row: int) -> bool:
        """Whether a digit stands between its edges."""
        left, right, height = self.at(row)
        return left - _SLACK * height < digit.box.center[0] < right + _SLACK * height


def find_columns(placed: Sequence[Placed]) -> dict[int, Column]:
    """The regular columns of a table by their number."""
    cells: dict[Cell, list[ReadString]] = defaultdict(list)
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
        if count < _FEWEST or count < _REGULAR * total or digits < 2:
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

    def is_remain(string: ReadString) -> bool:
        return string.text == "1" and not 0.85 * usual <= string.box.height <= 1.15 * usual

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
            sure = min(string.confidence, _DOUBTFUL)
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
    near = _SLACK * height
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
    sure = min(float(np.prod([d.confidence for d in digits])), _DOUBTFUL)
    reason = f"cut at the edges of its column: {string.text} runs over them"
    return replace(
        string, box=union(d.box for d in digits), text=text, digits=tuple(digits), confidence=sure,
        alternatives=(), reason=reason, written="",
    )  # fmt: skip


def _lengths(readings: Sequence[FieldReading]) -> dict[int, Counter[int]]:
    """How many numbers of each length every column holds."""
    lengths: dict[int, Counter[int]] = defaultdict(Counter)
    for reading in readings:
        if reading.column is not None and reading.text:
            lengths[reading.column][len(reading.text)] += 1
    return lengths


def weigh_lengths(readings: Sequence[FieldReading]) -> list[FieldReading]:
    """Let the usual length of a regular column's numbers choose among the readings of the others.

    A text that the ink says less clearly is taken where it is as long as the column's numbers and that outweighs it. It
    is for review, and `raw` keeps what the ink says.

    Parameters
    ----------
    readings : sequence of FieldReading
        Of one table, with their cells.
    """
    lengths = _lengths(readings)
    out = []
    for reading in readings:
        counts = lengths[reading.column] if reading.column is not None and reading.text else Counter[int]()
        usual, count = counts.most_common(1)[0] if counts else (0, 0)
        share = count / max(counts.total(), 1)
        fitting = [a for a in reading.alternatives if len(a.text) == usual]
        if usual < 2 or len(reading.text) == usual or count < _FEWEST or share < _REGULAR or not fitting:
            out.append(reading)
            continue
        best = max(fitting, key=lambda a: a.probability)
        # One more in each count: a column of few numbers proves less.
        odds = (count + 1) / (counts.total() - count + 1) * best.probability / max(reading.confidence, 1e-9)
        out.append(_of_usual_length(reading, best, odds / (1 + odds)) if odds > 1 else reading)
    return out


def doubt_lengths(readings: Sequence[FieldReading]) -> list[FieldReading]:
    """Mark for review what has more or fewer digits than its column, where that has one length; headings are let be.

    Parameters
    ----------
    readings : sequence of FieldReading
        Of one table, with their cells.
    """
    lengths = _lengths(readings)
    # Whoever writes 089 writes all numbers with as many digits.
    padded = {r.column for r in readings if r.column is not None and len(r.text) > 1 and r.text[0] == "0"}
    expected = {}
    for column, counts in lengths.items():
        usual, count = counts.most_common(1)[0]
        share, fewest = (_REGULAR, _FEWEST) if column in padded else (_FIXED, _FIXED_FEWEST)
        if usual >= 2 and count >= max(fewest, share * counts.total()):
            expected[column] = usual
    if padded:
        expected |= _odd_within(lengths)

    def is_odd(reading: FieldReading) -> bool:
        usual = expected.get(reading.column, 0) if reading.column is not None else 0
        return bool(usual and reading.text and len(reading.text) != usual)

    odd = Counter(reading.row for reading in readings if is_odd(reading))
    held = Counter(reading.row for reading in readings if reading.column in expected and reading.text)
    headings = {row for row, count in odd.items() if count > 0.5 * held[row] and count > 1}
    out = []
    for reading in readings:
        if is_odd(reading) and reading.row not in headings:
            usual = expected[reading.column or 0]
            reason = f"numbers of this column have {usual} digits, this one {len(reading.text)}"
            reason = f"{reading.reason}; {reason}" if reading.reason else reason
            reading = replace(reading, review=True, reason=reason)
        out.append(reading)
    return out


def _odd_within(lengths: dict[int, Counter[int]]) -> dict[int, int]:
    """Columns with another length, or none of their own, between many that share one: and that length.

    Where a page runs into its binding, a whole column loses digits. Labels stand in the first column.
    """
    regular = {}
    for column, counts in lengths.items():
        usual, count = counts.most_common(1)[0]
        if count >= max(_FEWEST, _REGULAR * counts.total()):
            regular[column] = usual
    if not regular:
        return {}
    common, count = Counter(regular.values()).most_common(1)[0]
    if common < 2 or count < max(_FULL * len(regular), _MANY):
        return {}
    first = min(lengths)
    return {k: common for k in lengths if regular.get(k) != common and k > first and regular.get(k + 1) == common}


def _of_usual_length(reading: FieldReading, best: Alternative, confidence: float) -> FieldReading:
    rest = [a for a in reading.alternatives if a is not best]
    return replace(
        reading, text=best.text, written="", raw=reading.raw or reading.text, digits=(), confidence=confidence,
        alternatives=(Alternative(reading.text, 1 - confidence), *rest), review=True,
        reason=f"numbers of this column have {len(best.text)} digits: the ink says {reading.text}",
    )  # fmt: skip


def with_overlooked(readings: Sequence[FieldReading], is_ink: Callable[[float, float], bool]) -> list[FieldReading]:
    """The readings of a table, and one for review for each cell that is not read though its row and column are full.

    Parameters
    ----------
    readings : sequence of FieldReading
        Of one table, with their cells, in reading order.
    is_ink : callable
        Whether some marks lie at a point of the source page, (x, y) in pixels.

    Returns
    -------
    list of FieldReading
        In reading order. The new ones, without a name, are illegible where there is ink; blank where there is none and
        the cell lies inside the table.
    """
    middles: dict[Cell, tuple[float, float]] = {}
    sizes: dict[Cell, Box] = {}
    for reading in readings:
        if reading.row is not None and reading.column is not None:
            middles[reading.row, reading.column] = reading.box.center
            sizes[reading.row, reading.column] = reading.box
    by_column = Counter(column for _, column in middles)
    columns = {column for column, count in by_column.items() if count >= _FEWEST}
    by_row = Counter(row for row, column in middles if column in columns)
    rows = {row for row, count in by_row.items() if count >= max(_FULL * len(columns), 2)}
    rows -= {row for row in rows if _heads(row, readings)}
    out = list(readings)
    for column in sorted(columns):
        there = sum((row, column) in middles for row in rows) / max(len(rows), 1)
        if there < _FULL:
            continue
        for row in sorted(rows):
            if (row, column) in middles:
                continue
            x, y, box = _place_of(row, column, middles, sizes)
            full = min(there, by_row[row] / len(columns)) >= _WHOLLY_FULL
            if is_ink(x, y):
                state, reason = State.ILLEGIBLE, "what stands here could not be read"
            elif full and min(rows) < row < max(rows) and min(columns) < column < max(columns):
                state, reason = State.BLANK, "no number found, though its row and its column are full"
            else:
                continue
            overlooked = FieldReading("", row, column, "", (), 0.0, state, True, reason, (), box)
            in_row = [k for k, reading in enumerate(out) if reading.row == row and reading.column is not None]
            out.insert(next((k for k in in_row if (out[k].column or 0) > column), in_row[-1] + 1), overlooked)
    return out


def _heads(row: int, readings: Sequence[FieldReading]) -> bool:
    """Whether a row is a heading that counts its columns."""
    cells = sorted((r for r in readings if r.row == row and is_summand(r.text)), key=lambda r: r.column or 0)
    return counts_up([int(cell.text) for cell in cells])


def _place_of(
    row: int, column: int, middles: dict[Cell, tuple[float, float]], sizes: dict[Cell, Box]
) -> tuple[float, float, Box]:
    """Middle and box of a cell, by the nearest cells in its row and in its column: a page may lie any way."""
    beside = min((c for r, c in middles if r == row), key=lambda c: abs(c - column))
    above = min(
        (r for r, c in middles if c == column), key=lambda r: (abs(r - row) + (10 * ((r, beside) not in middles)), r)
    )
    corner = middles.get((above, beside), middles[above, column])
    x = middles[row, beside][0] + middles[above, column][0] - corner[0]
    y = middles[row, beside][1] + middles[above, column][1] - corner[1]
    like = sizes[above, column]
    return x, y, Box(max(round(x - like.width / 2), 0), max(round(y - like.height / 2), 0), like.width, like.height)
