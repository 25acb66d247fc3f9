"""Rules across fields: which readings of several fields together are likeliest, given that the rules mostly hold.

Every field brings its guesses with their probabilities; all likely combinations are weighed together, those that
break a rule count `BREAKS` times. A sum that comes out right makes its parts surer; one that only another guess
makes right takes that guess, and says so; one that no likely guess makes right leaves everything for review.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np

from digitscan.decoding.rules import Operand


@dataclass(frozen=True, slots=True, kw_only=True)
class JointParameters:
    """How combinations of guesses are weighed.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    most_guesses: int = 8000
    """Guesses in all combinations that are weighed for one rule, the likeliest ones: many of few fields, few of
    many. [bare; cost alone]"""
    fewest_combinations: int = 100
    """Combinations that are weighed however many fields there are. [bare; cost alone]"""
    all_but: float = 1e-5
    """Share of all combinations that may be left unweighed. [probability; cost alone]"""
    no_rival: float = 1e-9
    """Share of the likeliest combination below which another one changes nothing; divisors are no smaller.
    [probability; arithmetic]"""
    by_chance: float = 0.02
    """How often a rule that equates holds for texts at random; one that compares holds half the time. [probability;
    tried]"""


_P = JointParameters()

BREAKS = 0.01
"""How often a text on paper breaks its field's rules: slips of the pen, copied wrong."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A text that a field may hold, and its probability; `breaks` names the rules that it breaks."""

    text: str
    probability: float
    breaks: tuple[str, ...] = ()


class JointRule(Protocol):
    """What `weigh` asks: `digitscan.decoding.rules.CrossFieldRule`, or the total of a table."""

    @property
    def names(self) -> tuple[str, ...]:
        """Fields that it speaks of."""

    @property
    def equates(self) -> bool:
        """It says that two sides are equal: few texts fulfil it by chance."""

    def holds(self, values: Mapping[str, Operand]) -> bool | None:
        """Whether it is fulfilled; None where that cannot be told."""


@dataclass(slots=True)
class Choice:
    """A field as the rules see it: its guesses, the one that is taken, and what was decided.

    Attributes
    ----------
    guesses : list of Guess
        Most probable first; none for a field that is blank or could not be read.
    chosen : int
        Row of the guess that is taken.
    decided_by : str
        Label of the rule that took it against the ink; empty where none did.
    broken : list of str
        Labels of rules that do not hold.
    upheld : list of str
        Labels of rules that hold.
    """

    guesses: list[Guess]
    numbers: list[Decimal | None]
    chosen: int = 0
    decided_by: str = ""
    broken: list[str] | None = None
    upheld: list[str] | None = None


def _combinations(choices: Sequence[Choice]) -> list[tuple[float, tuple[int, ...]]]:
    """The likeliest combinations of independent guesses with their probability, best first."""
    ranked = [np.argsort([-g.probability for g in c.guesses], kind="stable").tolist() for c in choices]
    tops = [[c.guesses[k].probability for k in order] for c, order in zip(choices, ranked, strict=True)]

    first = (0,) * len(choices)
    best = float(np.prod([top[0] for top in tops]))
    # Each combination is made in one way only: by going on at its last guess that is not the first, or behind it.
    waiting = [(-best, first, 0)]
    found: list[tuple[float, tuple[int, ...]]] = []
    left = 1.0
    most = max(_P.fewest_combinations, _P.most_guesses // len(choices))
    while waiting and len(found) < most and left > _P.all_but:
        negative, places, start = heapq.heappop(waiting)
        left += negative
        if found and -negative < _P.no_rival * found[0][0]:
            break
        found.append((-negative, tuple(ranked[k][place] for k, place in enumerate(places))))
        for k in range(start, len(places)):
            place = places[k] + 1
            if place < len(tops[k]) and tops[k][place] > 0:
                worth = negative * tops[k][place] / tops[k][place - 1]
                heapq.heappush(waiting, (worth, (*places[:k], place, *places[k + 1 :]), k))
    return found


def weigh(rule: JointRule, label: str, choices: Mapping[str, Choice], columns: Mapping[str, Sequence[str]]) -> None:
    """Apply one rule to the fields it speaks of, in place.

    Parameters
    ----------
    rule : JointRule
    label : str
        What the reason says.
    choices : mapping of str to Choice
        All fields by name.
    columns : mapping of str to sequence of str
        Names of the cells of each grid, and of each ``grid.column``.
    """
    names = [cell for name in rule.names for cell in columns.get(name, (name,))]
    involved = [choices[name] for name in names if choices[name].guesses]
    where = {name: k for k, name in enumerate(name for name in names if choices[name].guesses)}
    if not involved:
        return

    def holds(rows: Sequence[int]) -> bool | None:
        def number(name: str) -> Decimal | None:
            return choices[name].numbers[rows[where[name]]] if name in where else None

        values: dict[str, Operand] = {
            name: [number(cell) for cell in columns[name]] if name in columns else number(name) for name in rule.names
        }
        return rule.holds(values)

    combinations = _combinations(involved)
    verdicts = [holds(rows) for _, rows in combinations]
    if verdicts[0] is not None:
        _take_likeliest(rule, label, involved, combinations, verdicts)


def _take_likeliest(
    rule: JointRule,
    label: str,
    involved: Sequence[Choice],
    combinations: Sequence[tuple[float, tuple[int, ...]]],
    verdicts: Sequence[bool | None],
) -> None:
    """Take the guesses of the likeliest combination, in place, where those that break the rule count `BREAKS` times.

    Guesses of fields that a rule upholds get the share of all combinations that they are part of.
    """
    weights = np.array(
        [p * (BREAKS if verdict is False else 1.0) for (p, _), verdict in zip(combinations, verdicts, strict=True)]
    )
    # Texts that nobody guessed fulfil the rule by chance at the most.
    chance = _P.by_chance if rule.equates else 0.5
    unseen = max(0.0, 1.0 - sum(p for p, _ in combinations))
    overlooked = unseen * (chance + (1 - chance) * BREAKS)
    total = float(weights.sum()) + overlooked
    # In a combination that nobody guessed, most fields read as guessed: one is to blame, by what its guesses leave.
    masses = np.array([sum(guess.probability for guess in choice.guesses) for choice in involved])
    blame = np.maximum(1.0 - masses, 0.0) + _P.no_rival
    blame /= blame.sum()
    best = int(weights.argmax())
    rows = combinations[best][1]
    for k, choice in enumerate(involved):
        if verdicts[best]:
            if rows[k] != choice.chosen:
                choice.decided_by = label
            choice.upheld = [*(choice.upheld or []), label]
        else:
            choice.broken = [*(choice.broken or []), label]
        choice.chosen = rows[k]
        shares = np.zeros(len(choice.guesses))
        for weight, (_, own) in zip(weights, combinations, strict=True):
            shares[own[k]] += weight
        if not verdicts[best]:
            continue  # a broken rule says that something is wrong, not what
        own_prior = np.array([guess.probability for guess in choice.guesses])
        shares += overlooked * (1.0 - blame[k]) * own_prior / max(float(masses[k]), _P.no_rival)
        choice.guesses = [
            Guess(guess.text, float(share / total), guess.breaks)
            for guess, share in zip(choice.guesses, shares, strict=True)
        ]
