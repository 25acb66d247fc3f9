"""Patterns of digits as automata: what may follow what, one digit at a time.

::

    (07|08)\\d{4} ─ _Parser ─> tree ─ _Nfa ─> states, each with the digits that lead on ─ _determine ─> PatternTable

The syntax is that of Python's `re`, as far as it says which texts match as a whole. The work is counted while it is
done: a pattern of a few characters may stand for a machine that no memory holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

MAX_LENGTH = 400
"""Characters of one pattern, at the most."""
MAX_DEPTH = 40
"""Groups within groups, at the most."""
MAX_STATES = 20_000
"""States of one pattern, at the most: of the machine it is written as, and of the table that is made of it."""
MAX_STEPS = 1_000_000
"""Steps in making a table, at the most: about a second."""

_ALL = (1 << 10) - 1
"""A set of digits: bit d stands for the digit d."""
_CLASSES = {"d": _ALL, "D": 0, "w": _ALL, "W": 0, "s": 0, "S": _ALL}
_CONTROL = set("afnrtv")
"""Escapes of characters that are no digits."""


class PatternTable(NamedTuple):
    """A deterministic automaton over the ten digits.

    Attributes
    ----------
    moves : tuple of tuple of int
        For each state the state after each digit; -1 where the digit may not stand.
    accepting : frozenset of int
        States in which a text may end. State 0 is the first.
    """

    moves: tuple[tuple[int, ...], ...]
    accepting: frozenset[int]


@lru_cache(maxsize=256)
def parse_pattern(pattern: str) -> PatternTable:
    """Compile a regular expression that a whole text must match.

    Parameters
    ----------
    pattern : str
        Without look-around or back references; ``^`` and ``$`` at its ends are allowed and mean nothing more.

    Raises
    ------
    ValueError
        If it cannot be read, is too large, or no text of digits matches it.
    """
    bare = pattern.removeprefix("^").removesuffix("$")
    if len(bare) > MAX_LENGTH:
        raise ValueError(f"pattern is longer than {MAX_LENGTH} characters")
    try:
        machine = _Nfa(_Parser(bare).tree())
        moves, accepting = _determine(machine)
    except _UnreadableError as error:
        raise ValueError(f"cannot read pattern {pattern!r}: {error}") from error
    except _TooLargeError as error:
        raise ValueError(f"pattern {pattern!r} is too large: {error}") from error
    table = _without_dead_ends(moves, accepting)
    if table is None:
        raise ValueError(f"no text of digits matches pattern {pattern!r}")
    return table


class _UnreadableError(Exception):
    """The pattern breaks the syntax, or goes beyond it."""


class _TooLargeError(Exception):
    """A limit is reached."""


@dataclass(frozen=True, slots=True)
class _Digits:
    """One digit of a set; of the empty set where the pattern has another character."""

    mask: int


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    """`part`, at least `low` and at most `high` times; without limit where that is None."""

    part: _Node
    low: int
    high: int | None


_Node = _Digits | _Sequence | _Choice | _Repeat


class _Parser:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._class = 0

    def tree(self) -> _Node:
        """The whole pattern."""
        tree = self._choice()
        if self._at < len(self._text):
            raise self._error("a bracket is closed that was not opened")
        return tree

    def _error(self, why: str) -> _UnreadableError:
        return _UnreadableError(f"{why}, at character {self._at + 1}")

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._next()
        if not character:
            raise self._error("it ends too early")
        self._at += 1
        return character

    def _skip(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) * found
        return found

    def _choice(self) -> _Node:
        parts = [self._sequence()]
        while self._skip("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Choice(tuple(parts))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        return _Sequence(tuple(parts))

    def _repeated(self, part: _Node) -> _Node:
        if self._skip("*"):
            low, high = 0, None
        elif self._skip("+"):
            low, high = 1, None
        elif self._skip("?"):
            low, high = 0, 1
        elif self._skip("{"):
            low, high = self._counts()
        else:
            return part
        self._skip("?")  # as few as can be, or as many: of a whole text that is the same
        if self._next() and self._next() in "*+?{":
            raise self._error("two counts follow each other")
        return _Repeat(part, low, high)

    def _counts(self) -> tuple[int, int | None]:
        first = self._number()
        if self._skip("}") and first is not None:
            return first, first
        if not self._skip(","):
            raise self._error("a count is written {3}, {2,} or {2,5}")
        last = self._number()
        if not self._skip("}"):
            raise self._error("a count is written {3}, {2,} or {2,5}")
        if last is not None and last < (first or 0):
            raise self._error("the fewest come before the most")
        return first or 0, last

    def _number(self) -> int | None:
        start = self._at
        while self._next() and self._next() in "0123456789":
            self._at += 1
        return int(self._text[start : self._at]) if self._at > start else None

    def _atom(self) -> _Node:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return _Digits(self._set())
        if character == ".":
            return _Digits(_ALL)
        if character == "\\":
            return _Digits(self._escape())
        if character in "*+?{^$":
            self._at -= 1
            raise self._error(f"{character!r} cannot stand there")
        return _Digits(_mask(character))

    def _group(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _TooLargeError(f"more than {MAX_DEPTH} groups within each other")
        if self._skip("?P<"):
            while self._take() != ">":
                pass
        elif not self._skip("?:") and self._next() == "?":
            raise self._error("look-around, flags and back references are not known")
        inside = self._choice()
        if not self._skip(")"):
            raise self._error("a bracket is not closed")
        self._depth -= 1
        return inside

    def _escape(self) -> int:
        """The digits that an escape stands for; its backslash is taken."""
        character = self._take()
        if character in _CLASSES:
            return _CLASSES[character]
        if character == "x":
            return _mask(self._coded(2))
        if character == "u":
            return _mask(self._coded(4))
        if character.isalnum() and character not in _CONTROL:
            raise self._error(f"\\{character} is not known")
        return _mask(character)

    def _coded(self, length: int) -> str:
        code = "".join(self._take() for _ in range(length))
        try:
            return chr(int(code, 16))
        except ValueError:
            raise self._error(f"{code!r} is no character's code") from None

    def _set(self) -> int:
        """The digits of a class; its opening bracket is taken."""
        negated = self._skip("^")
        mask, first = 0, True
        while first or self._next() != "]":
            first = False
            if (low := self._member()) is None:  # a class of its own, such as \\d
                mask |= self._class
                continue
            if self._next() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._member()
                if high is None or high < low:
                    raise self._error("a range goes from the lower to the higher character")
                mask |= sum(1 << d for d in range(10) if low <= chr(48 + d) <= high)
            else:
                mask |= _mask(low)
        self._at += 1
        return _ALL & ~mask if negated else mask

    def _member(self) -> str | None:
        """One character of a class; None for an escape that stands for several, which are in `_class`."""
        character = self._take()
        if character != "\\":
            return character
        after = self._next()
        if after in ("x", "u"):
            self._at += 1
            return self._coded(2 if after == "x" else 4)
        self._class = self._escape()
        return None if after in _CLASSES else "\n" if after in _CONTROL else after


def _mask(character: str) -> int:
    return 1 << (ord(character) - 48) if character in "0123456789" else 0


class _Nfa:
    """A machine that may be in several states at once.

    Attributes
    ----------
    digits : list of int
        For each state the digits that lead on to the next number; 0 where none does.
    free : list of list of int
        States that each state may become without a digit.
    last : int
        The state in which a text may end. State 0 is the first.
    """

    def __init__(self, tree: _Node) -> None:
        self.digits: list[int] = []
        self.free: list[list[int]] = []
        self._left = MAX_STATES
        self._new()
        self._add(tree)
        self.last = self._new()
        self.free[self.last - 1].append(self.last)

    def _new(self) -> int:
        self.digits.append(0)
        self.free.append([])
        return len(self.digits) - 1

    def _add(self, node: _Node) -> None:
        """Go on from the newest state; the newest state afterwards is the end."""
        self._left -= 1  # counted for empty parts too, which add no state
        if self._left < 0:
            raise _TooLargeError(f"more than {MAX_STATES} states")
        if isinstance(node, _Digits):
            self.digits[-1] = node.mask
            self._new()
        elif isinstance(node, _Sequence):
            for part in node.parts:
                self._add(part)
        elif isinstance(node, _Choice):
            self._add_choice(node)
        else:
            self._add_repeat(node)

    def _branch(self, node: _Node) -> tuple[int, int]:
        """A part between new states of its own."""
        start = self._new()
        self._add(node)
        return start, len(self.digits) - 1

    def _add_choice(self, node: _Choice) -> None:
        before = len(self.digits) - 1
        ends = []
        for part in node.parts:
            start, end = self._branch(part)
            self.free[before].append(start)
            ends.append(end)
        after = self._new()
        for end in ends:
            self.free[end].append(after)

    def _add_repeat(self, node: _Repeat) -> None:
        for _ in range(node.low):
            self._add(node.part)
        if node.high is None:
            before = len(self.digits) - 1
            start, end = self._branch(node.part)
            self.free[before].append(start)
            self.free[end].append(start)
            after = self._new()
            self.free[before].append(after)
            self.free[end].append(after)
            return
        leaves = []
        for _ in range(node.high - node.low):
            leaves.append(len(self.digits) - 1)
            start, end = self._branch(node.part)
            self.free[leaves[-1]].append(start)
        if leaves:
            leaves.append(len(self.digits) - 1)
            after = self._new()
            for leaf in leaves:
                self.free[leaf].append(after)


def _determine(machine: _Nfa) -> tuple[list[list[int]], set[int]]:
    """Moves between sets of states, each set under a number, and the numbers in which a text may end."""
    left = MAX_STEPS

    def spend(steps: int) -> None:
        nonlocal left
        left -= steps
        if left < 0:
            raise _TooLargeError(f"its table takes more than {MAX_STEPS:,} steps")

    # Digits that no state tells apart go the same way.
    masks = sorted(set(machine.digits))
    alike: dict[tuple[bool, ...], list[int]] = {}
    for digit in range(10):
        alike.setdefault(tuple(bool(mask >> digit & 1) for mask in masks), []).append(digit)

    first = _reached(machine, [0], spend)
    number = {first: 0}
    order = [first]
    moves: list[list[int]] = []
    while len(moves) < len(order):
        states = order[len(moves)]
        row = [-1] * 10
        for digits in alike.values():
            spend(len(states))
            heads = [state + 1 for state in states if machine.digits[state] >> digits[0] & 1]
            if not heads:
                continue
            after = _reached(machine, heads, spend)
            if after not in number:
                if len(order) == MAX_STATES:
                    raise _TooLargeError(f"more than {MAX_STATES} states")
                number[after] = len(order)
                order.append(after)
            for digit in digits:
                row[digit] = number[after]
        moves.append(row)
    return moves, {k for k, states in enumerate(order) if machine.last in states}


def _reached(machine: _Nfa, heads: list[int], spend: Callable[[int], None]) -> frozenset[int]:
    """All states that some states may be without a digit."""
    found, waiting = set(heads), list(heads)
    while waiting:
        free = machine.free[waiting.pop()]
        spend(1 + len(free))
        for state in free:
            if state not in found:
                found.add(state)
                waiting.append(state)
    return frozenset(found)


def _without_dead_ends(moves: list[list[int]], accepting: set[int]) -> PatternTable | None:
    """The table of those states alone from which a text may yet end well; None where the first is none."""
    before: list[list[int]] = [[] for _ in moves]
    for state, row in enumerate(moves):
        for target in row:
            if target >= 0:
                before[target].append(state)
    alive, waiting = set(accepting), list(accepting)
    while waiting:
        for state in before[waiting.pop()]:
            if state not in alive:
                alive.add(state)
                waiting.append(state)
    if 0 not in alive:
        return None
    number = {state: k for k, state in enumerate(sorted(alive))}
    table = tuple(tuple(number.get(target, -1) for target in moves[state]) for state in sorted(alive))
    return PatternTable(table, frozenset(number[state] for state in accepting))
