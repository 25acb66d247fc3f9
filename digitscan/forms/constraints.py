"""What a field may hold, as automata that are asked one digit at a time, from the left.

The decoder walks them beside the lattice and beside the line, so that a rule chooses among readings instead of
judging the first one afterwards. States are small hashable values; a state of several rules is a tuple of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from digitscan.core.patterns import PatternTable, parse_pattern
from digitscan.core.template import Rules

State = Hashable


class Automaton(Protocol):
    """Which texts of digits are allowed."""

    @property
    def start(self) -> State:
        """The state before the first digit."""

    def step(self, state: State, digit: int) -> State | None:
        """The state after one more digit; None where it may not stand."""

    def accepts(self, state: State) -> bool:
        """Whether a text may end here."""


def allows(automaton: Automaton, text: str) -> bool:
    """Whether a whole text is allowed."""
    state: State | None = automaton.start
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

    def step(self, state: State, digit: int) -> State | None:
        """Count."""
        assert isinstance(state, int)
        return state + 1 if state < self.high else None

    def accepts(self, state: State) -> bool:
        """Enough."""
        assert isinstance(state, int)
        return state >= self.low


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression."""

    table: PatternTable
    start: int = 0

    def step(self, state: State, digit: int) -> State | None:
        """Move."""
        assert isinstance(state, int)
        after = self.table.moves[state][digit]
        return after if after >= 0 else None

    def accepts(self, state: State) -> bool:
        """In an accepting state."""
        return state in self.table.accepting


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `low` to `high`; leading zeros do not count."""

    low: int
    high: int
    start: int = 0

    def step(self, state: State, digit: int) -> State | None:
        """The number so far."""
        assert isinstance(state, int)
        value = 10 * state + digit
        return value if value <= self.high else None

    def accepts(self, state: State) -> bool:
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

    def step(self, state: State, digit: int) -> State | None:
        """Down the tree of values."""
        assert isinstance(state, int)
        return self._moves[state].get(digit)

    def accepts(self, state: State) -> bool:
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

    def step(self, state: State, digit: int) -> State | None:
        """Add one digit."""
        assert isinstance(state, tuple)
        position, total = state
        if self.length is not None and position >= self.length:
            return None
        position_after = position + 1 if self.length is not None else 0
        return position_after, self.add(total, position, digit) % self.modulus

    def accepts(self, state: State) -> bool:
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

    def step(self, state: State, digit: int) -> State | None:
        """As the last digit of the text, and as the last but one."""
        assert isinstance(state, tuple)
        as_last, as_other = state
        return (as_other + digit) % 10, (as_last + self.other[digit]) % 10

    def accepts(self, state: State) -> bool:
        """A multiple of ten."""
        assert isinstance(state, tuple)
        return bool(state[0] == 0)


@dataclass(frozen=True, slots=True)
class Verhoeff:
    """Verhoeff's check digit over the group of the pentagon (Verhoeff 1969, Error Detecting Decimal Codes)."""

    length: int
    start: tuple[int, int] = (0, 0)

    def step(self, state: State, digit: int) -> State | None:
        """From the left: the new element stands before the product so far."""
        assert isinstance(state, tuple)
        position, product = state
        if position >= self.length:
            return None
        from_right = self.length - 1 - position
        return position + 1, _pentagon(_permuted(from_right % 8, digit), product)

    def accepts(self, state: State) -> bool:
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


class Both:
    """Every one of several rules."""

    def __init__(self, parts: Sequence[Automaton]) -> None:
        self._parts = tuple(parts)
        self.start: State = tuple(part.start for part in self._parts)

    def step(self, state: State, digit: int) -> State | None:
        """All of them move, or none."""
        assert isinstance(state, tuple)
        after = []
        for part, own in zip(self._parts, state, strict=True):
            moved = part.step(own, digit)
            if moved is None:
                return None
            after.append(moved)
        return tuple(after)

    def accepts(self, state: State) -> bool:
        """All of them do."""
        assert isinstance(state, tuple)
        return all(part.accepts(own) for part, own in zip(self._parts, state, strict=True))


class Any_:  # noqa: N801  (one of several rules; `any` and `Any` are taken)
    """At least one of several rules of the same kind, such as one a length."""

    def __init__(self, parts: Sequence[Automaton]) -> None:
        self._parts = tuple(parts)
        self.start: State = tuple(part.start for part in self._parts)

    def step(self, state: State, digit: int) -> State | None:
        """Those that can move do."""
        assert isinstance(state, tuple)
        after = tuple(
            None if own is None else part.step(own, digit) for part, own in zip(self._parts, state, strict=True)
        )
        return after if any(own is not None for own in after) else None

    def accepts(self, state: State) -> bool:
        """One of them does."""
        assert isinstance(state, tuple)
        return any(own is not None and part.accepts(own) for part, own in zip(self._parts, state, strict=True))


def _weighted(modulus: int, weights: Sequence[int]) -> Remainder:
    return Remainder(modulus, 0, lambda total, place, digit: total + weights[place] * digit, len(weights))


def _mod11(length: int) -> Remainder:
    """Weights 2 to 7 over and over from the last but one digit to the left, the check digit counts once."""
    return _weighted(11, [*(2 + (k % 6) for k in range(length - 1))][::-1] + [1])


def _check(rules: Rules) -> list[Automaton]:
    low, high = rules.length
    doubled = tuple(2 * d if d < 5 else 2 * d - 9 for d in range(10))
    tripled = tuple(3 * d % 10 for d in range(10))
    match rules.check:
        case "luhn":
            return [Alternating(doubled)]
        case "mod10":
            return [Alternating(tripled)]
        case "ean13":
            return [Alternating(tripled), Length(13, 13)]
        case "isbn13":
            return [Alternating(tripled), Pattern(parse_pattern(r"97[89]\d{10}"))]
        case "isbn10":
            return [_weighted(11, range(10, 0, -1))]
        case "aba":
            return [_weighted(10, [3, 7, 1] * 3)]
        case "mod97":
            return [Remainder(97, 1, lambda total, place, digit: 10 * total + digit)]
        case "mod11":
            return [Any_([_mod11(length) for length in range(max(low, 2), high + 1)])]
        case "verhoeff":
            return [Any_([Verhoeff(length) for length in range(low, high + 1)])]
        case "weights":
            return [_weighted(rules.modulus, rules.weights)]
        case None:
            return []


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """All rules of one field, and what to call each of them.

    Attributes
    ----------
    whole : Automaton
    named : tuple of (str, Automaton)
        Each rule alone, to say which of them a text breaks.
    """

    whole: Automaton
    named: tuple[tuple[str, Automaton], ...]

    def broken(self, text: str) -> list[str]:
        """Names of the rules that a text breaks."""
        return [name for name, automaton in self.named if not allows(automaton, text)]


def constraint_of(rules: Rules, allowed: Sequence[str] = ()) -> Constraint | None:
    """The automaton of a field's rules; None where any text will do.

    Parameters
    ----------
    rules : Rules
    allowed : sequence of str
        Its roster; empty allows any value.
    """
    named: list[tuple[str, Automaton]] = []
    if rules.digits is not None:
        low, high = rules.length
        named.append((f"{low} digits" if low == high else f"{low} to {high} digits", Length(low, high)))
    if rules.pattern:
        named.append((f"pattern {rules.pattern}", Pattern(parse_pattern(rules.pattern))))
    if rules.range is not None:
        named.append((f"range {rules.range[0]} to {rules.range[1]}", Range(*rules.range)))
    if allowed:
        named.append(("allowed values", Roster(allowed)))
    named += [(f"check digit {rules.check}", automaton) for automaton in _check(rules)]
    if not named:
        return None
    return Constraint(Both([automaton for _, automaton in named]), tuple(named))
