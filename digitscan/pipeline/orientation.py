"""Which way up a page lies: by what was read, and by its lines of text. Reads a page again only when in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from digitscan.core.config import Config
from digitscan.core.types import Crops, Layout, PageResult, Posteriors, RasterPage
from digitscan.pipeline.finish import finish_page
from digitscan.pipeline.prepare import prepare_page
from digitscan.regions.prepared import PreparedPage

_MANY_UPRIGHT = 20.0
"""Evidence of `uprightness` from which a page as found is kept against what its lines of text say."""
_ROW = 4
"""Digits of a number from which on it counts no more for being long."""
_MANY_MARKS = 60
"""From so many marks of digit size on, lines of text tell which way a page lies."""
_LEVEL = 0.85
"""Share of marks in strings of four or more from which text runs level."""
_LEVEL_GAP = 0.15
"""How much more of them a page must have one way than across."""
_REACH = 0.2
"""How far beyond its line a mark must reach, in heights, to be an ascender or a descender."""
_FEWEST_REACHING = 20
"""Ascenders and descenders from which on they tell up from down."""
_UP_OVER_DOWN = 2.0
"""How many times more ascenders than descenders printed words have at the least; Latin text has three and more."""


@dataclass(frozen=True, slots=True)
class TextLines:
    """What a page's lines of text say of its position.

    Attributes
    ----------
    marks : int
        Marks of digit size.
    level : float
        Share of them in strings of four or more.
    ascenders, descenders : int
        Marks of those strings that reach above the others, and below.
    """

    marks: int
    level: float
    ascenders: int
    descenders: int

    @property
    def upright(self) -> bool | None:
        """Whether the text stands upright; None where it does not tell.

        Latin text has far more letters that reach up (b d f h k l t, capitals) than down (g j p q y); see Caprari
        2000, Algorithm for text page up/down orientation determination (Pattern Recognition Letters 21(4)).
        """
        if self.ascenders + self.descenders < _FEWEST_REACHING:
            return None
        if self.ascenders >= _UP_OVER_DOWN * self.descenders:
            return True
        return False if self.descenders >= _UP_OVER_DOWN * self.ascenders else None

    def clearly_level_beside(self, across: TextLines) -> bool:
        """Whether text runs level here, and not on the same page turned by a quarter."""
        return self.level >= _LEVEL and self.level > across.level + _LEVEL_GAP


def text_lines(page: PreparedPage) -> TextLines:
    """Look at the strings of a page, before anything is classified."""
    marks = in_lines = ascenders = descenders = 0
    for string in page.strings:
        boxes = [e.box for e in string.edges if e.stop - e.start == 1 and not e.small]
        marks += len(boxes)
        if len(boxes) < 4:
            continue
        in_lines += len(boxes)
        top, bottom = np.array([b.y for b in boxes]), np.array([b.bottom for b in boxes])
        reach = _REACH * float(np.median(bottom - top))
        ascenders += int((top < np.median(top) - reach).sum())
        descenders += int((bottom > np.median(bottom) + reach).sum())
    return TextLines(marks, in_lines / max(marks, 1), ascenders, descenders)


def _sure_digits(result: PageResult) -> list[str]:
    return [d.digit for r in result.readings for d in r.digits if d.confidence > 0.8]


def uprightness(result: PageResult) -> float:
    """Evidence that a page stands upright: from digits that look like none when turned.

    A 3, 4 or 7 is no digit in any other position; a 2 or 5 is one upside down too and counts half; 0, 1, 6, 8
    and 9 say nothing. Letters that lie on their side look like lone digits (an m like a 3); numbers stand in rows, and
    each digit of a number counts as often as it has digits, four times at the most.
    """
    weight = {"3": 1.0, "4": 1.0, "7": 1.0, "2": 0.5, "5": 0.5}
    return sum(
        weight.get(digit.digit, 0.0) * digit.confidence * min(len(reading.digits), _ROW) * reading.confidence
        for reading in result.readings
        for digit in reading.digits
        if digit.confidence > 0.8
    )


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A page in one turn: its crops, what the network said of them, and what that reads."""

    page: PreparedPage
    posteriors: Posteriors
    result: PageResult

    @classmethod
    def of(cls, page: PreparedPage, posteriors: Posteriors, config: Config) -> Reading:
        """Read a page piece by piece."""
        return cls(page, posteriors, finish_page(page, posteriors, config))


def in_doubt(reading: Reading, config: Config) -> bool:
    """Whether a page may lie on its side or upside down, so that other turns should be tried."""
    page, result = reading.page, reading.result
    if config.imaging.orientation != "auto" or page.layout in (Layout.LINE, Layout.DIGIT) or not len(page.crops):
        return False
    digits = _sure_digits(result)
    firm = sum(d in "347" for d in digits)
    lines = text_lines(page)
    # A third of all digits are a 3, 4 or 7. A page that is read leaves few marks of digit size unread; one that is
    # full of words has them in lines, which fall apart on a page that lies on its side. Letters that are turned look
    # like a few digits over and over; numbers have all of them.
    read = firm >= 2 and firm >= 0.12 * len(digits) and len(digits) >= 0.25 * lines.marks
    worded = firm >= 6 and firm >= 0.18 * len(digits) and lines.level >= 0.8 and len(set(digits)) >= 5
    plain = firm >= 20 and firm >= 0.25 * len(digits) and len(set(digits)) >= 6
    return not (read or worded or plain)


def best_turn(
    page: RasterPage,
    first: Reading,
    config: Config,
    classify: Callable[[Crops], Posteriors],
) -> Reading:
    """Try other quarter turns of a page in doubt, and keep the one that reads best.

    Where lines of text tell which way a page lies, only the turns that they leave are read.

    Parameters
    ----------
    page : RasterPage
    first : Reading
        The page as found.
    config : Config
    classify : callable
        (N, 28, 28) uint8 to (N, 11) posteriors.
    """
    pages = {0: first.page}

    def turned(turn: int) -> PreparedPage:
        if turn not in pages:
            pages[turn] = prepare_page(page, config, turn=turn)
        return pages[turn]

    def read(turn: int) -> Reading:
        return first if turn == 0 else Reading.of(turned(turn), classify(turned(turn).crops), config)

    turns = [0, 180, 90, 270]
    as_found = text_lines(first.page)
    if as_found.marks >= _MANY_MARKS:
        across = text_lines(turned(90))
        for lines, way, upside_down in ((as_found, 0, 180), (across, 90, 270)):
            if lines.clearly_level_beside(across if way == 0 else as_found):
                left = {None: [way, upside_down], True: [way], False: [upside_down]}
                turns = left[lines.upright]
    kept = read(turns[0])
    # The first is kept unless another is clearly better: as found, a page is upright more often than not.
    kept_score = uprightness(kept.result) * 1.25 + 1.0
    for turn in turns[1:]:
        other = read(turn)
        score = uprightness(other.result)
        sure = not in_doubt(other, config)
        if score > kept_score and (sure or len(set(_sure_digits(other.result))) >= 5):
            kept, kept_score = other, score
            if sure:
                break
    # Lines of text are a hint, many digits read as found are none that a turned page would show.
    found = uprightness(first.result)
    if 0 not in turns and found >= _MANY_UPRIGHT and found > 3 * uprightness(kept.result):
        return first
    return kept
