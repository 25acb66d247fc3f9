"""What a field may hold, as automata that are asked one digit at a time, from the left.

The decoder walks them beside the lattice and beside the line, so that a rule chooses among readings instead of
judging the first one afterwards. States are small hashable values; a state of several rules is a tuple of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from digitscan.decoding.patterns import PatternTable

AutomatonState = Hashable


class Automaton(Protocol):
    """Which texts of digits are allowed."""

    @property
    def start(self) -> AutomatonState:
        """The state before the first digit."""

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """The state after one more digit; None where it may not stand."""

    def accepts(self, state: AutomatonState) -> bool:
        """Whether a text may end here."""


def allows(automaton: Automaton, text: str) -> bool:
    """Whether a whole text is allowed."""
    state: AutomatonState | None = automaton.start
    for character in text:
        state = automaton.step(state, int(character))
        if state is None:
            return False
    return automaton.accepts(state)


@dataclass(frozen=True, slots=True)
class Length:
    """At least `low` and at most `high` digits."""

    low: int
    high: int
    start: int = 0

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """Count."""
        assert isinstance(state, int)
        return state + 1 if state < self.high else None

    def accepts(self, state: AutomatonState) -> bool:
        """Enough."""
        assert isinstance(state, int)
        return state >= self.low


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression."""

    table: PatternTable
    start: int = 0

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """Move."""
        assert isinstance(state, int)
        after = self.table.moves[state][digit]
        return after if after >= 0 else None

    def accepts(self, state: AutomatonState) -> bool:
        """In an accepting state."""
        return state in self.table.accepting


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`; leading zeros do not count."""

    low: int
    high: int
    start: int = 0

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """The number so far."""
        assert isinstance(state, int)
        value = 10 * state + digit
        return value if value <= self.high else None

    def accepts(self, state: AutomatonState) -> bool:
        """Large enough."""
        assert isinstance(state, int)
        return state >= self.low


class Roster:
    """One of some values."""

    start = 0

    def __init__(self, values: Sequence[str]) -> None:
        self._moves: list[dict[int, int]] = [{}]
        self._ends: set[int] = set()
        for value in values:
            state = 0
            for character in value:
                after = self._moves[state].get(int(character))
                if after is None:
                    after = len(self._moves)
                    self._moves[state][int(character)] = after
                    self._moves.append({})
                state = after
            self._ends.add(state)

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """Down the tree of values."""
        assert isinstance(state, int)
        return self._moves[state].get(digit)

    def accepts(self, state: AutomatonState) -> bool:
        """A value ends here."""
        return state in self._ends


@dataclass(frozen=True, slots=True)
class Remainder:
    """A sum of weighted digits, or the number itself, leaves a remainder; position by position from the left.

    `add` takes the sum so far, the position from the left and the digit. `length` is fixed where weights count from
    the right.
    """

    modulus: int
    target: int
    add: Callable[[int, int, int], int]
    length: int | None = None
    start: tuple[int, int] = (0, 0)

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """Add one digit."""
        assert isinstance(state, tuple)
        position, total = state
        if self.length is not None and position >= self.length:
            return None
        position_after = position + 1 if self.length is not None else 0
        return position_after, self.add(total, position, digit) % self.modulus

    def accepts(self, state: AutomatonState) -> bool:
        """The remainder is the one wanted."""
        assert isinstance(state, tuple)
        return bool(state[1] == self.target and (self.length is None or state[0] == self.length))


@dataclass(frozen=True, slots=True)
class Alternating:
    """A sum modulo ten in which every second digit, counted from the right, is changed by `other`: Luhn, EAN.

    From the left it is not known which digits these are: both sums are kept, and change places at each digit.
    """

    other: tuple[int, ...]
    start: tuple[int, int] = (0, 0)

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """As the last digit of the text, and as the last but one."""
        assert isinstance(state, tuple)
        as_last, as_other = state
        return (as_other + digit) % 10, (as_last + self.other[digit]) % 10

    def accepts(self, state: AutomatonState) -> bool:
        """A multiple of ten."""
        assert isinstance(state, tuple)
        return bool(state[0] == 0)


@dataclass(frozen=True, slots=True)
class Verhoeff:
    """Verhoeff's check digit over the group of the pentagon (Verhoeff 1969, Error Detecting Decimal Codes)."""

    length: int
    start: tuple[int, int] = (0, 0)

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """From the left: the new element stands before the product so far."""
        assert isinstance(state, tuple)
        position, product = state
        if position >= self.length:
            return None
        from_right = self.length - 1 - position
        return position + 1, _pentagon(_permuted(from_right % 8, digit), product)

    def accepts(self, state: AutomatonState) -> bool:
        """The identity."""
        return state == (self.length, 0)


def _pentagon(a: int, b: int) -> int:
    """Product in the dihedral group of order ten."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


@lru_cache(maxsize=80)
def _permuted(times: int, digit: int) -> int:
    """Verhoeff's permutation (0)(14)(23)(56789) in the order that he found best, applied `times` times."""
    for _ in range(times):
        digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
    return digit


class AllOf:
    """Every one of several rules."""

    def __init__(self, parts: Sequence[Automaton]) -> None:
        self._parts = tuple(parts)
        self.start: AutomatonState = tuple(part.start for part in self._parts)

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """All of them move, or none."""
        assert isinstance(state, tuple)
        after = []
        for part, own in zip(self._parts, state, strict=True):
            moved = part.step(own, digit)
            if moved is None:
                return None
            after.append(moved)
        return tuple(after)

    def accepts(self, state: AutomatonState) -> bool:
        """All of them do."""
        assert isinstance(state, tuple)
        return all(part.accepts(own) for part, own in zip(self._parts, state, strict=True))


class AnyOf:
    """At least one of several rules of the same kind, such as one a length."""

    def __init__(self, parts: Sequence[Automaton]) -> None:
        self._parts = tuple(parts)
        self.start: AutomatonState = tuple(part.start for part in self._parts)

    def step(self, state: AutomatonState, digit: int) -> AutomatonState | None:
        """Those that can move do."""
        assert isinstance(state, tuple)
        after = tuple(
            None if own is None else part.step(own, digit) for part, own in zip(self._parts, state, strict=True)
        )
        return after if any(own is not None for own in after) else None

    def accepts(self, state: AutomatonState) -> bool:
        """One of them does."""
        assert isinstance(state, tuple)
        return any(own is not None and part.accepts(own) for part, own in zip(self._parts, state, strict=True))
