"""A field's rules as one automaton, and each of them alone, to say which of them a text breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from digitscan.decoding.automata import (
    AllOf,
    Alternating,
    AnyOf,
    Automaton,
    Length,
    Pattern,
    Range,
    Remainder,
    Roster,
    Verhoeff,
    allows,
)
from digitscan.decoding.patterns import parse_pattern
from digitscan.forms.template import FieldRules


def _weighted(modulus: int, weights: Sequence[int]) -> Remainder:
    return Remainder(modulus, 0, lambda total, place, digit: total + weights[place] * digit, len(weights))


def _mod11(length: int) -> Remainder:
    """Weights 2 to 7 over and over from the last but one digit to the left, the check digit counts once."""
    return _weighted(11, [*(2 + (k % 6) for k in range(length - 1))][::-1] + [1])


def _check(rules: FieldRules) -> list[Automaton]:
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
            return [AnyOf([_mod11(length) for length in range(max(low, 2), high + 1)])]
        case "verhoeff":
            return [AnyOf([Verhoeff(length) for length in range(low, high + 1)])]
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


def constraint_of(rules: FieldRules, allowed: Sequence[str] = ()) -> Constraint | None:
    """The automaton of a field's rules; None where any text will do.

    Parameters
    ----------
    rules : FieldRules
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
    return Constraint(AllOf([automaton for _, automaton in named]), tuple(named))
