"""A line's groups as readings: the digits between spaces and symbols, each group with its own confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from digitscan.core.types import Alternative, Box, DigitReading, FieldReading, State
from digitscan.micr.read import UNREAD, ReadMicr
from digitscan.micr.standard import DASH

_HARD_TO_READ = 0.84
"""Mean likeness of a line's characters to the standard's below which all its groups are for review."""
_MAYBE = 1e-4
"""Rivals less probable than this are not told."""


class Group(NamedTuple):
    """Part of a line: places ``start`` to ``stop - 1`` hold its digits, `left` to `right - 1` its symbols too."""

    left: int
    start: int
    stop: int
    right: int


def groups_of(text: str) -> list[Group]:
    """Part a line into groups.

    A dash joins what stands beside it, as banks write numbers in parts. Any other symbol belongs to the digits before
    it, or else to those behind it.

    Parameters
    ----------
    text : str
        Of `SYMBOLS`, spaces, and `UNREAD` for characters that may be digits.

    Returns
    -------
    list of Group
        From left to right; symbols without digits are in none of them.
    """
    groups = []
    k, end = 0, len(text)
    taken = 0
    while k < end:
        if not _is_digit(text[k]):
            k += 1
            continue
        start = k
        while k < end and (_is_digit(text[k]) or text[k] == DASH):
            k += 1
        stop = k
        left = start
        while left > taken and text[left - 1] != " ":
            left -= 1
        while k < end and text[k] != " " and not _is_digit(text[k]) and not _opens(text, k):
            k += 1
        groups.append(Group(left, start, stop, k))
        taken = k
    return groups


def _opens(text: str, k: int) -> bool:
    """Whether a symbol begins the next field: ``⑈12⑈⑆345⑆`` has its two fields side by side."""
    follows_another = not _is_digit(text[k - 1]) and text[k - 1] != text[k]
    return follows_another and _is_digit(text[k + 1 : k + 2])


def _is_digit(symbol: str) -> bool:
    return symbol.isdigit() or symbol == UNREAD


def readings_of(line: ReadMicr, shape: tuple[int, int], review_below: float) -> list[FieldReading]:
    """The groups of a line as readings.

    Parameters
    ----------
    line : ReadMicr
    shape : (int, int)
        Height and width of the image in pixels.
    review_below : float
        Confidence below which a person should look.

    Returns
    -------
    list of FieldReading
        Without names. `text` holds the digits, `written` the symbols too, as Unicode has them. A line that is only
        known to be one is one reading without text.
    """
    if line.named:
        box, why = _box(line, range(len(line.places)), shape), "a CMC-7 line, not read: scan at 300 dpi or more"
        return [FieldReading("", None, None, "", (), 0.0, State.ILLEGIBLE, True, why, (), box)]
    return [_reading(line, group, shape, review_below) for group in groups_of(line.marked_text)]


def _reading(line: ReadMicr, group: Group, shape: tuple[int, int], review_below: float) -> FieldReading:
    text = line.marked_text
    rows = line.posteriors
    best = rows.max(axis=1)
    order = np.argsort(-rows, axis=1)
    names = line.symbols + " "
    kept = [k for k in range(group.start, group.stop) if text[k].isdigit()]
    digits = tuple(
        DigitReading(
            box=_box(line, [k], shape),
            digit=text[k],
            confidence=float(best[k]),
            runner_up=names[int(order[k, 1])].strip(),
            margin=float(best[k] - rows[k, order[k, 1]]),
        )
        for k in kept
    )
    confidence = float(np.prod(best[group.left : group.right]))
    reasons = []
    if line.quality < _HARD_TO_READ:
        reasons.append("the line's print is hard to read")
    if confidence < review_below:
        weakest = group.left + int(best[group.left : group.right].argmin())
        reasons.append(f"{text[weakest]} may be {_named(names[int(order[weakest, 1])])}")
    if UNREAD in text[group.left : group.right]:
        reasons.append("a character of it is not read")
    elif _ends_open(line, group):
        reasons.append("the line may go on: what stands beside it is not read")
    if reasons:
        confidence = min(confidence, 0.5)
    return FieldReading(
        name="",
        row=None,
        column=None,
        text="".join(text[k] for k in kept),
        digits=digits,
        confidence=confidence,
        state=State.VALUE if kept else State.ILLEGIBLE,
        review=bool(reasons),
        reason="; ".join(reasons),
        alternatives=_alternatives(line, kept),
        box=_box(line, range(group.left, group.right), shape),
        written=text[group.left : group.right],
    )


def _named(symbol: str) -> str:
    return symbol if symbol.strip() else "no character"


def _ends_open(line: ReadMicr, group: Group) -> bool:
    """Whether a group is the first or last of a line beside which stands ink that is like no character."""
    before, behind = line.open_ends
    digits = [k for k, symbol in enumerate(line.text) if symbol.isdigit()]
    return (before and group.start <= digits[0]) or (behind and group.stop > digits[-1])


def _alternatives(line: ReadMicr, kept: Sequence[int]) -> tuple[Alternative, ...]:
    """Texts that differ in one digit, most probable first."""
    text, rows = line.text, line.posteriors
    whole = float(np.prod(rows[kept].max(axis=1)))
    rivals = []
    for place, k in enumerate(kept):
        own = int(rows[k].argmax())
        for digit in np.argsort(-rows[k, :10])[:2].tolist():
            share = whole * float(rows[k, digit] / rows[k, own])
            if digit != own and share > _MAYBE:
                digits = [text[j] for j in kept]
                digits[place] = str(digit)
                rivals.append(Alternative("".join(digits), share))
    return tuple(sorted(rivals, key=lambda rival: -rival.probability)[:3])


def _box(line: ReadMicr, places: Sequence[int] | range, shape: tuple[int, int]) -> Box:
    points = line.corners[list(places)].reshape(-1, 2)
    height, width = shape
    left, top = np.clip(np.floor(points.min(axis=0)), 0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(points.max(axis=0)), (left + 1, top + 1), (width, height)).astype(int).tolist()
    return Box(left, top, right - left, bottom - top)
