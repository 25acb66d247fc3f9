"""Readings and numbers of one page, matched by place: what is right, silent and made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .truth import Number, Rect

COUNTS = ("pages", "failed", "numbers", "right", "silent", "made_up", "review")
"""What a `Tally` counts."""


@dataclass(frozen=True, slots=True)
class Found:
    """A reading as the results give it; `box` in pixels of the page."""

    text: str
    box: Rect
    review: bool
    reason: str = ""
    written: str = ""

    @property
    def digits(self) -> str:
        """Its digits alone."""
        return "".join(c for c in self.text if c in "0123456789")


@dataclass(slots=True)
class Tally:
    """Counts of one page or of many.

    Attributes
    ----------
    pages, failed : int
        Pages read, and those that gave no result.
    numbers : int
        True numbers, without the optional ones.
    right : int
        Those that stand in the results as one reading, digit for digit.
    silent : int
        Those that are wrong, in pieces or missing, with nothing there marked for review.
    made_up : int
        Readings not marked for review where the truth has no number, or beside a right one in its place.
    review : int
        Readings marked for review, right or wrong.
    mistakes : list of dict
        One entry each, for looking it up.
    """

    pages: int = 0
    failed: int = 0
    numbers: int = 0
    right: int = 0
    silent: int = 0
    made_up: int = 0
    review: int = 0
    mistakes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another page's."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.mistakes += other.mistakes


def _entry(what: str, number: Number | None, readings: Sequence[Found], box: Rect) -> dict[str, Any]:
    return {
        "what": what,
        "truth": number.written or number.text if number else "",
        "readings": [{"text": r.text, "review": r.review, "reason": r.reason} for r in readings],
        "box": [round(v, 1) for v in box],
    }


def _fits(reading: Found, own: Sequence[Number]) -> bool:
    """Whether a reading is one of these numbers, or all of them in a row, or holds no digit."""
    together = "".join(n.text for n in sorted(own, key=lambda n: n.box.x))
    return reading.digits in {"", together, *(text for n in own for text in (n.text, *n.also))}


def match(numbers: Sequence[Number], readings: Sequence[Found]) -> Tally:
    """Compare one page's readings with its truth.

    A reading belongs to a number if more than half of the smaller of their boxes is common to both; one over two
    numbers belongs to both.
    """
    tally = Tally(pages=1, review=sum(r.review for r in readings))
    homeless = [r for r in readings if not any(r.box.overlap(n.box) > 0.5 for n in numbers)]
    for number in numbers:
        there = [r for r in readings if r.box.overlap(number.box) > 0.5]
        right = [r for r in there if r.digits in (number.text, *number.also)]
        told = any(r.review for r in there)
        if number.optional:
            continue
        tally.numbers += 1
        if right:
            tally.right += 1
            more = [r for r in there if r is not right[0] and not r.review and r.digits]
            tally.made_up += len(more)
            if more:
                tally.mistakes.append(_entry("made up", number, there, number.box))
            continue
        tally.silent += not told
        tally.mistakes.append(_entry("review" if told else "silent", number, there, number.box))
    for reading in readings:
        own = [n for n in numbers if reading.box.overlap(n.box) > 0.5]
        if own and all(n.optional for n in own) and not reading.review and not _fits(reading, own):
            tally.made_up += 1
            tally.mistakes.append(_entry("made up", own[0], [reading], reading.box))
    for reading in homeless:
        if reading.digits and not reading.review:
            tally.made_up += 1
            tally.mistakes.append(_entry("made up", None, [reading], reading.box))
    return tally
