"""Readings of a table that are doubted, or missed, for what the rest of their columns and rows look like.

Nothing is mended in silence: what is changed or doubted here is for review.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from digitscan.core.types import Alternative, Box, FieldReading, State
from digitscan.tables.columns import COLUMNS, TableCell
from digitscan.tables.totals import counts_up, is_summand


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckParameters:
    """From where a reading is doubted for what the rest of its table looks like.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    fixed: float = 0.96
    """Share of a column's numbers of one length from which those of another one are doubtful: of numbers below
    10,000 one in ten has fewer digits than four, and nothing is wrong with them. [share; arithmetic]"""
    fixed_fewest: int = 25
    """How many they must be: one in 25 is the share above. [bare; arithmetic]"""
    many: int = 6
    """Columns that share a length, from which one among them with another is doubtful. [bare; tried]"""
    full: float = 0.8
    """Share of the cells of a row, and of a column, that are read: one among them that is not may have been
    overlooked. [share; tried]"""
    wholly_full: float = 0.9
    """The same, where there is no ink. [share; tried]"""
    least_confidence: float = 1e-9
    """So that a reading without any can be divided by. [probability; arithmetic]"""


_P = CheckParameters()


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
        if usual < 2 or len(reading.text) == usual or count < COLUMNS.fewest or share < COLUMNS.regular or not fitting:
            out.append(reading)
            continue
        best = max(fitting, key=lambda a: a.probability)
        # One more in each count: a column of few numbers proves less.
        odds = (
            (count + 1) / (counts.total() - count + 1) * best.probability / max(reading.confidence, _P.least_confidence)
        )
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
        share, fewest = (COLUMNS.regular, COLUMNS.fewest) if column in padded else (_P.fixed, _P.fixed_fewest)
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
        if count >= max(COLUMNS.fewest, COLUMNS.regular * counts.total()):
            regular[column] = usual
    if not regular:
        return {}
    common, count = Counter(regular.values()).most_common(1)[0]
    if common < 2 or count < max(_P.full * len(regular), _P.many):
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
    middles: dict[TableCell, tuple[float, float]] = {}
    sizes: dict[TableCell, Box] = {}
    for reading in readings:
        if reading.row is not None and reading.column is not None:
            middles[reading.row, reading.column] = reading.box.center
            sizes[reading.row, reading.column] = reading.box
    by_column = Counter(column for _, column in middles)
    columns = {column for column, count in by_column.items() if count >= COLUMNS.fewest}
    by_row = Counter(row for row, column in middles if column in columns)
    rows = {row for row, count in by_row.items() if count >= max(_P.full * len(columns), 2)}
    rows -= {row for row in rows if _heads(row, readings)}
    out = list(readings)
    for column in sorted(columns):
        there = sum((row, column) in middles for row in rows) / max(len(rows), 1)
        if there < _P.full:
            continue
        for row in sorted(rows):
            if (row, column) in middles:
                continue
            x, y, box = _place_of(row, column, middles, sizes)
            full = min(there, by_row[row] / len(columns)) >= _P.wholly_full
            if is_ink(x, y):
                state, reason = State.ILLEGIBLE, "what stands here could not be read"
            elif full and min(rows) < row < max(rows) and min(columns) < column < max(columns):
                state, reason = State.BLANK, "no number found, though its row and its column are full"
            else:
                continue
            overlooked = FieldReading(
                name="",
                row=row,
                column=column,
                text="",
                digits=(),
                confidence=0.0,
                state=state,
                review=True,
                reason=reason,
                alternatives=(),
                box=box,
            )
            in_row = [k for k, reading in enumerate(out) if reading.row == row and reading.column is not None]
            out.insert(next((k for k in in_row if (out[k].column or 0) > column), in_row[-1] + 1), overlooked)
    return out


def _heads(row: int, readings: Sequence[FieldReading]) -> bool:
    """Whether a row is a heading that counts its columns."""
    cells = sorted((r for r in readings if r.row == row and is_summand(r.text)), key=lambda r: r.column or 0)
    return counts_up([int(cell.text) for cell in cells])


def _place_of(
    row: int, column: int, middles: dict[TableCell, tuple[float, float]], sizes: dict[TableCell, Box]
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
