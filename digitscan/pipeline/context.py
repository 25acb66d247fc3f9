"""What a page says of its numbers: how high its digits are, and where running text stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import NOT_A_DIGIT, Box, Posteriors
from digitscan.decoding.lattice import Edge
from digitscan.decoding.readings import ReadString

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


class _Around(NamedTuple):
    """All neighbours, column by column: one string is held against all of them at once, never all against all."""

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    top: NDArray[np.float64]
    tall: NDArray[np.float64]
    height: NDArray[np.float64]
    letters: NDArray[np.float64]
    digits: NDArray[np.float64]

    @classmethod
    def of(cls, neighbours: Sequence[Neighbour]) -> _Around:
        rows = [(n.box.x, n.box.right, n.box.y, n.box.height, n.height, n.letters, n.digits) for n in neighbours]
        return cls(*np.array(rows, np.float64).reshape(-1, 7).T)


class _Text(NamedTuple):
    """The words right beside a string: their height, and the gap to the nearest one in such heights."""

    height: float
    gap: float


def neighbour(
    edges: Sequence[Edge], posteriors: Posteriors, box: Box, height: float, *, number: bool = True
) -> Neighbour:
    """What a lattice is to the strings around it; of one that gave no number, all that is no sure digit is a letter."""
    single = [k for k, edge in enumerate(edges) if edge.stop - edge.start == 1 and not edge.small]
    rows = posteriors[single]
    letters = int((rows[:, NOT_A_DIGIT] > _SURE).sum())
    digits = int((rows[:, :NOT_A_DIGIT].max(axis=1, initial=0.0) > _SURE).sum())
    return Neighbour(box, height, letters if number else len(single) - digits, digits)


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
    others = _Around.of(around)
    return [_is_like_others(string, usual) and _is_no_part_of_text(string, others) for string in strings]


def _is_no_part_of_text(string: ReadString, around: _Around) -> bool:
    text = _running_text(string.box, around)
    if text is not None and not _stands_out(string, text):
        return False
    like_a_quote = len(string.text) <= 2 and set(string.text) <= set("19")
    return not (like_a_quote and _hangs_on(string.box, around))


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


def _place(box: Box, around: _Around) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which neighbours share a line with a box, and the gap to each in pixels, negative where they overlap."""
    middle = box.y + box.height / 2 - around.top
    in_line = (middle > -_OVER * around.height) & (middle < around.tall + _OVER * around.height)
    return in_line, np.maximum(around.left - box.right, box.x - around.right)


def _running_text(box: Box, around: _Around) -> _Text | None:
    """The words right beside a box on a line of running text; None where it stands elsewhere."""
    in_line, gap = _place(box, around)
    near = in_line & (gap < _REACH * around.height)
    letters, digits = float(around.letters[near].sum()), float(around.digits[near].sum())
    words = near & (around.letters > around.digits)
    if letters < _LEAST_LETTERS or letters < digits or not words.any():
        return None
    apart = np.where(words, gap / around.height, np.inf)
    nearest = int(apart.argmin())
    return _Text(float(around.height[nearest]), float(apart[nearest])) if apart[nearest] < _BESIDE else None


def _hangs_on(box: Box, around: _Around) -> bool:
    """Whether a box is low and stands close to a string of several marks, as quotes and commas do."""
    in_line, gap = _place(box, around)
    close = in_line & (gap > -0.5 * box.width) & (gap < 2 * _GLUED * around.height)
    return bool((close & (box.height < _HANGING * around.tall) & (around.letters + around.digits >= 2)).any())


def _stands_out(string: ReadString, text: _Text) -> bool:
    """Whether a string among words is a number beyond doubt: quotes look like 11, "is" like 15."""
    height = np.median([d.box.height for d in string.digits])
    if height > _LARGE * text.height:
        return True
    if height < _MARK * text.height or text.gap < _GLUED:
        return False
    bar = _SURE_ONES_IN_TEXT if all(d.digit in "01" for d in string.digits) else _SURE_IN_TEXT
    return min(string.confidence, *(d.confidence for d in string.digits)) >= bar
