"""What a page says of its numbers: how high its digits are, and where running text stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from digitscan.core.types import NOT_A_DIGIT, Box, Posteriors
from digitscan.forms.decode import Edge
from digitscan.forms.readings import ReadString

_SURE = 0.8
_BESIDE = 1.3
"""Gap between the words of a line, in heights of the word, at the most."""
_OVER = 0.3
"""How far above or below a line of text the middle of a mark of it may be, in heights of the word."""
_REACH = 20.0
"""How far along a line its other words are looked for, in heights of the word."""
_LEAST_LETTERS = 6
"""Sure letters on a line of running text, and no fewer than sure digits."""
_GLUED = 0.35
"""Gap up to which a string and letters are one word, in heights of the word."""
_MARK = 0.85
"""Quotes, commas and apostrophes are lower than this share of the words beside them."""
_HANGING = 0.62
"""The same, of a string of several marks, capitals and tails and all."""
_LARGE = 1.8
"""Print has digits half as high again as its small letters; what is higher than this was written beside them."""
_SURE_IN_TEXT = 0.9
_SURE_ONES_IN_TEXT = 0.97


class Neighbour(NamedTuple):
    """A string, read or not, as part of what stands around the others.

    Attributes
    ----------
    box : Box
        In pixels of the binary page.
    height : float
        Of its marks.
    letters, digits : int
        Marks that are surely no digits, and surely digits.
    """

    box: Box
    height: float
    letters: int
    digits: int


class _Text(NamedTuple):
    """The words right beside a string: their height, and the gap to the nearest one in such heights."""

    height: float
    gap: float


def neighbour(edges: Sequence[Edge], posteriors: Posteriors, box: Box, height: float) -> Neighbour:
    """What a lattice is to the strings around it."""
    single = [k for k, edge in enumerate(edges) if edge.stop - edge.start == 1 and not edge.small]
    rows = posteriors[single]
    letters = int((rows[:, NOT_A_DIGIT] > _SURE).sum())
    digits = int((rows[:, :NOT_A_DIGIT].max(axis=1, initial=0.0) > _SURE).sum())
    return Neighbour(box, height, letters, digits)


def plausible(strings: Sequence[ReadString], around: Sequence[Neighbour]) -> list[bool]:
    """Which strings of a page are numbers that somebody wrote, and neither scratches nor parts of words.

    Digits that can be nothing else (2 to 9, well read) say how high digits are on this page.

    Parameters
    ----------
    strings : sequence of ReadString
    around : sequence of Neighbour
        All lattices of the page.
    """
    sure = [d.box.height for s in strings for d in s.digits if d.digit not in "01" and d.confidence > 0.9]
    usual = float(np.median(sure)) if len(sure) >= 3 else 0.0
    boxes = [string.box for string in strings]
    in_text, hanging = _in_running_text(boxes, around), _hang_on(boxes, around)
    return [
        _is_like_others(string, usual)
        and (text is None or _stands_out(string, text))
        and not (hangs and len(string.text) <= 2 and set(string.text) <= set("19"))
        for string, text, hangs in zip(strings, in_text, hanging, strict=True)
    ]


def _is_like_others(string: ReadString, usual: float) -> bool:
    height = float(np.median([d.box.height for d in string.digits]))
    ones = all(d.digit == "1" for d in string.digits)
    if usual and (height < 0.35 * usual or (ones and not 0.6 * usual <= height <= 1.7 * usual)):
        return False
    # A speck that is half as high as the page's digits, alone and hardly read, is a speck.
    if usual and len(string.digits) == 1 and height < 0.5 * usual and string.confidence < 0.5:
        return False
    # An l or an I alone, on a page that shows no number, is no one.
    if not usual and ones and string.confidence < 0.6:
        return False
    # What may be a word is one when it is printed smaller than the page's numbers, or when there are none.
    return not string.maybe_word or bool(usual and height >= 0.75 * usual)


def _in_running_text(boxes: Sequence[Box], around: Sequence[Neighbour]) -> list[_Text | None]:
    """The words right beside each box on a line of running text; None where it stands elsewhere."""
    if not boxes or not around:
        return [None] * len(boxes)
    own = np.array(boxes, np.float64)[:, None]
    others = np.array([neighbour.box for neighbour in around], np.float64)[None]
    height, letters, digits = np.array([neighbour[1:] for neighbour in around], np.float64).T
    middle = own[..., 1] + own[..., 3] / 2 - others[..., 1]
    in_line = (middle > -_OVER * height) & (middle < others[..., 3] + _OVER * height)
    gap = np.maximum(others[..., 0] - own[..., 0] - own[..., 2], own[..., 0] - others[..., 0] - others[..., 2])
    near = in_line & (gap < _REACH * height)
    is_text = ((near * letters).sum(axis=1) >= _LEAST_LETTERS) & ((near * (letters - digits)).sum(axis=1) >= 0)
    gap = np.where(near & (letters > digits), gap / height, np.inf)
    nearest = gap.argmin(axis=1)
    return [
        _Text(float(height[n]), float(gap[k, n])) if is_text[k] and gap[k, n] < _BESIDE else None
        for k, n in enumerate(nearest)
    ]


def _hang_on(boxes: Sequence[Box], around: Sequence[Neighbour]) -> list[bool]:
    """Which boxes are low and stand close to a string of several marks, as quotes and commas do."""
    if not boxes or not around:
        return [False] * len(boxes)
    own = np.array(boxes, np.float64)[:, None]
    others = np.array([neighbour.box for neighbour in around], np.float64)[None]
    height, letters, digits = np.array([neighbour[1:] for neighbour in around], np.float64).T
    gap = np.maximum(others[..., 0] - own[..., 0] - own[..., 2], own[..., 0] - others[..., 0] - others[..., 2])
    middle = own[..., 1] + own[..., 3] / 2 - others[..., 1]
    in_line = (middle > -_OVER * height) & (middle < others[..., 3] + _OVER * height)
    close = in_line & (gap > -0.5 * own[..., 2]) & (gap < 2 * _GLUED * height)
    hangs = close & (own[..., 3] < _HANGING * others[..., 3]) & (letters + digits >= 2)
    return [bool(h) for h in hangs.any(axis=1)]


def _stands_out(string: ReadString, text: _Text) -> bool:
    """Whether a string among words is a number beyond doubt: quotes look like 11, "is" like 15."""
    height = np.median([d.box.height for d in string.digits])
    if height > _LARGE * text.height:
        return True
    if height < _MARK * text.height or text.gap < _GLUED:
        return False
    bar = _SURE_ONES_IN_TEXT if all(d.digit in "01" for d in string.digits) else _SURE_IN_TEXT
    return min(string.confidence, *(d.confidence for d in string.digits)) >= bar
