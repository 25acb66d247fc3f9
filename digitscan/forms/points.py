"""What number the digits of an amount mean, and how sure it is where its decimal point stands.

A point is the smallest mark on paper: it is pale, touches a digit, is raised, written as a dash, or left to a gap, to
small raised cents or to a fraction. An amount whose point was not seen is never taken for a whole number in silence:
that would be wrong by a power of ten.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from digitscan.core.types import Box
from digitscan.decoding.readings import ReadDigit
from digitscan.forms.template import FieldRules, Locale


@dataclass(frozen=True, slots=True)
class PointSigns:
    """What tells of a point that was not read, in heights of a digit; chosen for few mistakes on drawn amounts.

    Attributes
    ----------
    gap : float
        Space between two digits, at the least.
    gap_ratio : float
        How much larger it is than any other space in the amount.
    small : float
        Height of the cents beside that of the lowest digit before them, at the most.
    reach : float
        How far a mark may reach beside the space between two digits.
    """

    gap: float = 0.35
    gap_ratio: float = 2.0
    small: float = 0.75
    reach: float = 0.2


SIGNS = PointSigns()
_SEPARATORS: dict[Locale, tuple[str, str]] = {
    "en": (".", ","),
    "de": (",", "."),
    "fr": (",", " "),
    "ch": (".", "'"),
}
"""The decimal point, and what parts thousands."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A number, and why its point may stand elsewhere; `doubt` is empty where it is plain."""

    value: str
    doubt: str = ""


def meaning_of(text: str, written: str, rules: FieldRules, *, point_seen: bool = False) -> Meaning:
    """The number that a text means by its field's declaration; empty where the field declares no decimals.

    Boxes hold their decimals by place. On a free line with a locale the written point decides: ``1.234,5`` is
    1234.50 in German, ``25.441.-`` has no cents. Where no point was read the declared places count, and unless
    `point_seen` says that one stands there all the same, that is in doubt.

    Parameters
    ----------
    text : str
        Digits.
    written : str
        The same digits with their points and signs; empty where they were not read.
    rules : FieldRules
    point_seen : bool
        Something else than the written text tells of a point before the last declared places; see `tells_of_point`.
    """
    if rules.decimals is None or not text:
        return Meaning("")
    decimals = rules.decimals
    by_places = Meaning(with_point(text, decimals))
    if not rules.locale or not decimals:
        return by_places
    if "".join(c for c in written if c.isdigit()) != text:
        written = ""  # of another text: its signs say nothing of this one
    if fraction := re.search(rf"(\d+)\D*(\d{{{decimals}}})/1(0{{{decimals}}})$", written):
        return Meaning(with_point(fraction[1] + fraction[2], decimals))
    point, _ = _SEPARATORS[rules.locale]
    bare = written.rstrip("-=/* ")
    last = max(bare.rfind("."), bare.rfind(","))
    after = sum(c.isdigit() for c in bare[last + 1 :]) if last >= 0 else -1
    if last >= 0 and ((bare[last] != point and after == 3) or after == 0):
        return Meaning(with_point(text + "0" * decimals, decimals))  # an amount without cents: 25.441.-
    if 0 < after <= decimals:
        return Meaning(with_point(text + "0" * (decimals - after), decimals))
    signs = re.fullmatch(rf"\d+([^\d])\d{{{decimals}}}", bare)
    if point_seen or signs:  # a dash, or another sign, in the point's place
        return by_places
    whole = with_point(text + "0" * decimals, decimals)
    return Meaning(by_places.value, f"no decimal point was seen: {by_places.value}, or {whole}")


def tells_of_point(digits: Sequence[ReadDigit], marks: Sequence[Box], decimals: int, signs: PointSigns = SIGNS) -> bool:
    """Whether the ink tells of a point before the last `decimals` digits: a mark, a gap, or small cents.

    Parameters
    ----------
    digits : sequence of ReadDigit
        From left to right, with tight boxes.
    marks : sequence of Box
        What else stands among them and is much smaller.
    decimals : int
        1 or more.
    signs : PointSigns
    """
    if len(digits) <= decimals:
        return False
    boxes = [digit.box for digit in digits]
    front, cents = boxes[:-decimals], boxes[-decimals:]
    height = float(np.median([box.height for box in front]))
    left, right = front[-1], cents[0]
    if any(left.right - signs.reach * height <= mark.center[0] <= right.x + signs.reach * height for mark in marks):
        return True
    if max(box.height for box in cents) <= signs.small * min(box.height for box in front):
        return True
    spaces = [max(b.x - a.right, 0) for a, b in pairwise(boxes)]
    own = spaces.pop(len(front) - 1)
    return bool(spaces) and own >= signs.gap * height and own >= signs.gap_ratio * max(spaces)


def with_point(text: str, decimals: int) -> str:
    """Digits with a point before the last `decimals` of them, without leading zeros: ``0042`` and 2 give ``0.42``."""
    if not decimals:
        return text.lstrip("0") or "0"
    padded = text.rjust(decimals + 1, "0")
    whole = padded[:-decimals].lstrip("0") or "0"
    return f"{whole}.{padded[-decimals:]}"
