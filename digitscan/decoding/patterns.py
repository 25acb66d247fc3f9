"""Patterns of digits as automata: what may follow what, one digit at a time."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NamedTuple

MAX_STATES = 20_000
"""States of one pattern, at the most."""
MAX_REPEATS = 4096
"""Product of all counts in a pattern: ``(\\d{50}|\\d{60}){40}`` would take forever."""


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
    import greenery

    bare = pattern.removeprefix("^").removesuffix("$")
    if len(bare) > 400:
        raise ValueError("pattern is longer than 400 characters")
    counts = [int(n) for n in re.findall(r"\d+(?=\})", bare) if int(n)]
    if math.prod(counts) > MAX_REPEATS:
        raise ValueError(f"pattern {pattern!r} repeats too often")
    try:
        machine = greenery.parse(bare).to_fsm()
    except Exception as error:  # (the library has many kinds of them)
        raise ValueError(f"cannot read pattern {pattern!r}: {error}") from error
    if len(machine.states) > MAX_STATES:
        raise ValueError(f"pattern {pattern!r} is too large")
    columns = {
        digit: next(
            group
            for group in machine.alphabet
            if (chr(48 + digit) in group.get_chars()) != group.negated  # a negated class lists what it leaves out
        )
        for digit in range(10)
    }
    raw = {state: [machine.map[state][columns[d]] for d in range(10)] for state in machine.states}
    alive = set(machine.finals)
    before: dict[object, set[object]] = {}
    for state, row in raw.items():
        for target in row:
            before.setdefault(target, set()).add(state)
    waiting = list(alive)
    while waiting:
        for state in before.get(waiting.pop(), ()):
            if state not in alive:
                alive.add(state)
                waiting.append(state)
    if machine.initial not in alive:
        raise ValueError(f"no text of digits matches pattern {pattern!r}")
    order = [machine.initial, *(s for s in machine.states if s in alive and s != machine.initial)]
    number = {state: k for k, state in enumerate(order)}
    moves = tuple(tuple(number.get(target, -1) for target in raw[state]) for state in order)
    return PatternTable(moves, frozenset(number[state] for state in machine.finals if state in number))
