"""Readings that were right, read again with a stroke added beside them: did the reader see it?"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from digitscan.core.types import PageFailure

from . import draw_page
from .matching import Found
from .reading import readings_of
from .strokes import Added, add_stroke
from .truth import DrawnPage, Gray, Number, Rect

OUTCOMES = ("text", "signs", "review", "failed", "unseen")
"""The digits changed; the signs alone did; the reading is for review; the page gave no result; nothing changed."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What became of one added stroke.

    Attributes
    ----------
    kind, seed : str and int
        The page.
    added : Added
    outcome : str
        Of `OUTCOMES`.
    before, after : tuple of str
        What is read there, with its signs.
    picture : (h, w) uint8 or None
        The place without and with the stroke, one above the other; of unseen strokes alone.
    """

    kind: str
    seed: int
    added: Added
    outcome: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    picture: Gray | None

    @property
    def seen(self) -> bool:
        """Somebody who reads the results knows of the stroke: other digits, a review, or a sign where it may be one."""
        return self.outcome in ("text", "review", "failed") or (self.outcome == "signs" and self.added.may_be_sign)


def _there(readings: Sequence[Found], boxes: Sequence[Rect]) -> list[Found]:
    own = [r for r in readings if any(r.box.overlap(box) > 0.5 for box in boxes)]
    return sorted(own, key=lambda r: (r.box.x, r.box.y))


def judge(before: Sequence[Found], after: Sequence[Found], number: Rect, stroke: Rect) -> str:
    """One of `OUTCOMES`, from all readings of the page without and with the stroke."""
    old, new = (_there(side, (number, stroke)) for side in (before, after))
    if any(r.review for r in new):
        return "review"
    if [r.digits for r in old] != [r.digits for r in new]:
        return "text"
    return "signs" if [r.written for r in old] != [r.written for r in new] else "unseen"


def sure_numbers(page: DrawnPage, readings: Sequence[Found]) -> list[Number]:
    """Numbers that are read right with nothing around them for review, and whose cells are known."""
    sure = []
    for number in page.numbers:
        there = _there(readings, (number.box,))
        cells = [Rect.around(np.array(cell)) for cell in number.cells]
        around = _there(readings, (number.box, *cells))
        right = len(there) == 1 and there[0].digits in (number.text, *number.also)
        if cells and right and not any(r.review for r in around):
            sure.append(number)
    return sure


def _picture(page: DrawnPage, image: Gray, added: Added) -> Gray:
    corners = np.concatenate([np.array(cell) for cell in added.number.cells] + [added.number.box.corners])
    whole, margin = Rect.around(corners), added.number.size
    x, y = max(0, int(whole.x - margin)), max(0, int(whole.y - margin))
    place = slice(y, int(whole.y + whole.height + margin)), slice(x, int(whole.x + whole.width + margin))
    both = np.vstack([page.image[place], image[place]])
    scale = min(4.0, max(0.5, 80 / added.number.size / 2))
    return np.asarray(cv2.resize(both, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)


def _far_from(number: Number, others: Sequence[Added]) -> bool:
    """Two strokes in one reading must not meet: several digits' height lies between their cells."""
    reach = 3 * number.size
    own = Rect.around(np.concatenate([np.array(cell) for cell in number.cells]))
    wide = Rect(own.x - reach, own.y - reach, own.width + 2 * reach, own.height + 2 * reach)
    return all(wide.overlap(other.box) == 0 and wide.overlap(other.number.box) == 0 for other in others)


def strokes_on_page(kind: str, seed: int, *, rounds: int = 2, together: int = 4) -> list[Answer]:
    """Read a page, then again `rounds` times with up to `together` strokes each, in the cells of different numbers."""
    page = draw_page(kind, seed)
    rng = np.random.default_rng((zlib.crc32(kind.encode()), seed, 1))
    before = readings_of(page.image, page.layout)
    if isinstance(before, PageFailure):
        return []
    sure = sure_numbers(page, before)
    left = [int(k) for k in rng.permutation(len(sure))]
    answers: list[Answer] = []
    for _ in range(rounds):
        image, added = page.image.copy(), list[Added]()
        for k in tuple(left):
            if len(added) == together:
                break
            if not _far_from(sure[k], added):
                continue
            left.remove(k)
            own = add_stroke(page, sure[k], image, rng)
            if own is not None:
                added.append(own)
        if not added:
            break
        after = readings_of(image, page.layout)
        for own in added:
            boxes = own.number.box, own.box
            failed = isinstance(after, PageFailure)
            outcome = "failed" if failed else judge(before, after, *boxes)
            old, new = (tuple(r.written or r.text for r in _there(side, boxes))
                        for side in (before, () if failed else after))  # fmt: skip
            picture = _picture(page, image, own) if outcome in ("unseen", "signs") else None
            answers.append(Answer(kind, seed, own, outcome, old, new, picture))
    return answers
