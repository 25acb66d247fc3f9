"""Tables that check themselves: a last column, or row, that is the sum or the mean of the others.

Printed and written tables often carry totals. Where most rows agree with one, it is taken for the rule of all of them:
a row that disagrees chooses among the readings of its cells, or goes to review.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from digitscan.core.types import Alternative, FieldReading, State
from digitscan.decoding.joint import Choice, Guess, weigh
from digitscan.decoding.rules import Operand


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalParameters:
    """From where a table has totals.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    fewest_lines: int = 4
    """Lines that can be checked, from which a total is believed. [bare; tried]"""
    longest: int = 18
    """Digits of a number that can be part of a total; what is longer is an account or several numbers. [bare; paper]"""
    fewest_parts: int = 3
    """Parts of a total, at the least: of two, too many things are the sum. [bare; tried]"""
    agree: float = 0.2
    """Share of the lines that must agree: one digit read wrongly spoils a line, and a wrong rule hardly ever agrees.
    [share; tried]"""
    agree_by_chance: float = 0.6
    """The same of numbers so short that a wrong rule may agree. [share; tried]"""
    chance: float = 0.02
    """How often a wrong rule may agree with a line for the lower share to do. [probability; tried]"""
    better: float = 0.02
    """How many more lines must agree with another rule for it to be taken instead. [share; tried]"""
    wraps: float = 0.85
    """Share of numbers of one width from which they may be the last digits of longer ones. [share; tried]"""
    labels: int = 3
    """Columns of labels and counters before the parts, at the most. [bare; tried]"""
    headings: int = 12
    """Rows of titles and headings before the parts, at the most. [bare; tried]"""
    counting: float = 0.8
    """Share of steps by one from which numbers count something. [share; tried]"""
    negligible: float = 1e-4
    """Less likely alternatives are not told. [probability; tried]"""


_P = TotalParameters()


TotalKind = Literal["sum", "mean"]


@dataclass(frozen=True, slots=True)
class Total:
    """A rule of a table's lines.

    Attributes
    ----------
    kind : {"sum", "mean"}
    by_row : bool
        The last cell of each row; else of each column.
    first : int
        Where the parts begin, 1-based: label columns stand before.
    last : int
        Where the total stands.
    wraps : int
        Numbers are printed without their leading digits: all is modulo this; 0 where they are whole.
    """

    kind: TotalKind
    by_row: bool
    first: int
    last: int
    wraps: int

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.kind} of the {'row' if self.by_row else 'column'}"

    @property
    def names(self) -> tuple[str, ...]:
        """Parts and total, as `holds` wants them."""
        return tuple(str(k) for k in range(self.first, self.last + 1))

    @property
    def equates(self) -> bool:
        """Few texts fulfil it by chance."""
        return True

    def holds(self, values: Mapping[str, Operand]) -> bool | None:
        """Whether a line fulfils it; None where a cell is not there."""
        cells = [values[name] for name in self.names]
        numbers = [int(v) for v in cells if isinstance(v, Decimal)]
        return agrees(numbers[:-1], numbers[-1], self) if len(numbers) == len(cells) else None


def off_by(parts: Sequence[int], total: int, rule: Total) -> int:
    """How much parts exceed their total: their sum, or as many times the mean as there are parts."""
    off = sum(parts) - (len(parts) if rule.kind == "mean" else 1) * total
    return (off + rule.wraps // 2) % rule.wraps - rule.wraps // 2 if rule.wraps else off


def slack(count: int, rule: Total) -> float:
    """How much the sum of so many parts may be off: means are rounded, or cut off, to the last digit."""
    return 0.5 * count + 0.5 if rule.kind == "mean" else 0.0


def agrees(parts: Sequence[int], total: int, rule: Total) -> bool:
    """Whether numbers add up to their total."""
    return abs(off_by(parts, total, rule)) <= slack(len(parts), rule)


def is_summand(text: str) -> bool:
    """Whether a text is digits, and no more of them than a number in a sum has."""
    return 0 < len(text) <= _P.longest and text.isascii() and text.isdigit()


TableLine = dict[int, FieldReading]


def _lines(readings: Sequence[FieldReading], *, by_row: bool) -> dict[int, TableLine]:
    """Cells by line and place; places with several numbers, and those with none that adds up, are left out."""
    lines: dict[int, TableLine] = {}
    twice: set[tuple[int, int]] = set()
    for reading in readings:
        if reading.row is None or reading.column is None or not is_summand(reading.text):
            continue
        line, place = (reading.row, reading.column) if by_row else (reading.column, reading.row)
        if place in lines.setdefault(line, {}):
            twice.add((line, place))
        lines[line][place] = reading
    for line, place in twice:
        del lines[line][place]
    return lines


def find_totals(readings: Sequence[FieldReading]) -> list[Total]:
    """Rules that most complete lines of a table fulfil: at most one for its rows, and one for its columns."""
    found = []
    for by_row in (True, False):
        lines = _lines(readings, by_row=by_row)
        widths = Counter(len(r.text) for line in lines.values() for r in line.values())
        if not widths:  # every place is taken twice
            continue
        last = Counter(max(line) for line in lines.values() if line).most_common(1)[0][0]
        digits, common = widths.most_common(1)[0]
        # Numbers of one width may be the last digits of longer ones.
        wraps = 10**digits if common > _P.wraps * widths.total() else 0
        best: tuple[float, Total] | None = None
        for first in range(1, (_P.labels if by_row else _P.headings) + 1):
            if last - first < _P.fewest_parts:
                continue
            whole = [line for line in lines.values() if all(k in line for k in range(first, last + 1))]
            if len(whole) < _P.fewest_lines:
                continue
            numbers = [[int(line[k].text) for k in range(first, last + 1)] for line in whole]
            kinds: tuple[TotalKind, ...] = ("sum", "mean")
            for kind in kinds:
                for modulus in {0, wraps}:
                    rule = Total(kind=kind, by_row=by_row, first=first, last=last, wraps=modulus)
                    share = sum(agrees(row[:-1], row[-1], rule) for row in numbers) / len(numbers)
                    width = 1 if kind == "sum" else last - first
                    enough = _P.agree if width <= _P.chance * 10**digits else _P.agree_by_chance
                    if share >= enough and (best is None or share > best[0] + _P.better):
                        best = share, rule
        if best is not None:
            found.append(best[1])
    return found


def _choice(reading: FieldReading) -> Choice:
    rivals = [a for a in reading.alternatives if is_summand(a.text)]
    guesses = [Guess(reading.text, reading.confidence), *(Guess(a.text, a.probability) for a in rivals)]
    return Choice(guesses, [Decimal(g.text) for g in guesses])


@dataclass(frozen=True, slots=True)
class _Broken:
    """A line that does not add up: its cells, the total last, what is said of them, and by how much it is off."""

    cells: list[FieldReading]
    rule: Total
    off: int

    def suspects(self, cleared: Mapping[int, float]) -> list[FieldReading]:
        """Cells that may be wrong: those that no other total clears, or all where that leaves none.

        A total clears a cell, by its id, where an error as large as this line's would break that total too.
        """
        *parts, total = self.cells
        each = [(part, float(abs(self.off))) for part in parts]
        each.append((total, abs(self.off) / (len(parts) if self.rule.kind == "mean" else 1)))
        left = [cell for cell, error in each if error <= 2 * cleared.get(id(cell), error)]
        return left or self.cells


def check_totals(readings: Sequence[FieldReading], review_below: float) -> list[FieldReading]:
    """Let a table's totals choose among the readings of its cells; what does not add up goes to review.

    Where both rows and columns have totals, the one tells which cells of the other's are wrong. Nothing changes where
    no total is found.

    Parameters
    ----------
    readings : sequence of FieldReading
        Of one table, with their cells.
    review_below : float
        Confidence under which a reading is marked for review.
    """
    out = {id(r): r for r in readings}
    broken: list[_Broken] = []
    cleared: dict[int, float] = {}
    rules = find_totals(readings)
    for rule in rules:
        across = [other for other in rules if other.by_row != rule.by_row]
        for number, line in _lines(readings, by_row=rule.by_row).items():
            there = [k for k in range(rule.first, rule.last + 1) if k in line]
            if any(not other.first <= number <= other.last for other in across) or counts_up(
                [int(line[k].text) for k in there]
            ):
                continue
            if len(there) <= rule.last - rule.first:
                if rule.last in line and len(there) > 0.5 * (rule.last - rule.first):
                    out[id(line[rule.last])] = _unchecked(out[id(line[rule.last])], rule.label)
                continue
            cells = {str(k): line[k] for k in range(rule.first, rule.last + 1)}
            choices = {name: _choice(out[id(cell)]) for name, cell in cells.items()}
            weigh(rule, rule.label, choices, {})
            if any(choice.broken for choice in choices.values()):
                *parts, total = (int(out[id(cell)].text) for cell in cells.values())
                broken.append(_Broken(list(cells.values()), rule, off_by(parts, total, rule)))
                continue
            for name, cell in cells.items():
                out[id(cell)] = _decided(out[id(cell)], choices[name], rule, review_below)
                cleared[id(cell)] = slack(len(cells) - 1, rule)
    for line_off in broken:
        for cell in line_off.suspects(cleared):
            out[id(cell)] = _doubted(out[id(cell)], line_off.rule.label)
    return [out[id(r)] for r in readings]


def counts_up(numbers: Sequence[int]) -> bool:
    """Whether numbers side by side are a heading that counts the others: 1, 2, 3."""
    steps = [b - a for a, b in pairwise(numbers)]
    return len(steps) >= _P.fewest_parts and sum(step == 1 for step in steps) >= _P.counting * len(steps)


def _unchecked(reading: FieldReading, label: str) -> FieldReading:
    reason = f"{label} could not be checked: a number is missing, or two stand in one cell"
    return replace(reading, review=True, reason=f"{reading.reason}; {reason}" if reading.reason else reason)


def _doubted(reading: FieldReading, label: str) -> FieldReading:
    reason = f"{reading.reason}; {label} does not hold" if reading.reason else f"{label} does not hold"
    return replace(reading, review=True, state=State.INVALID, reason=reason)


def _decided(reading: FieldReading, choice: Choice, rule: Total, review_below: float) -> FieldReading:
    if not choice.upheld:
        return reading
    best = choice.guesses[choice.chosen]
    rest = tuple(
        Alternative(g.text, g.probability)
        for k, g in enumerate(choice.guesses)
        if k != choice.chosen and g.probability > _P.negligible
    )
    # A mean forgives a last digit: one that the ink did not show, and something else supplied, is not proved by it.
    supplied = rule.kind == "mean" and reading.raw not in ("", best.text)
    review = best.probability < review_below or supplied
    if best.text == reading.text:
        return replace(
            reading,
            confidence=best.probability,
            alternatives=rest,
            review=review,
            reason=(reading.reason or f"{rule.label} holds for other readings too") if review else "",
        )
    return replace(
        reading, text=best.text, written="", raw=reading.raw or reading.text, digits=(), confidence=best.probability,
        alternatives=rest, review=review, reason=f"{rule.label} decided: the ink says {reading.text}",
    )  # fmt: skip
