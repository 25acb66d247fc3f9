"""Strokes of a digit's size added to a drawn page, where a person would see them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .hands import Writer
from .truth import Canvas, DrawnPage, Gray, Number, Rect, Rng

SORTS = ("bare 1", "hook", "slash", "bar", "digit")
"""A single upright stroke; a hook; a leaning stroke; a short level stroke; any digit but 1."""
PLACES = ("free", "touching", "other ink")
"""On bare paper; against the number's own ink; with its end on the cell's rule, or on print beside the number."""
_FINER = 3
"""Strokes are drawn at so many times their size and reduced, as scanned ones are."""
_MAY_BE_SIGNS = ("slash", "bar")

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Added:
    """One stroke that was added.

    Attributes
    ----------
    number : Number
        The number whose cell, line or box it stands in.
    sort, place : str
        Of `SORTS` and `PLACES`.
    box : Rect
        Its ink.
    """

    number: Number
    sort: str
    place: str
    box: Rect

    @property
    def may_be_sign(self) -> bool:
        """A reader may tell of it by a sign in `written`: it is a minus, a dash, a slash to anybody."""
        return self.sort in _MAY_BE_SIGNS


def draw_stroke(sort: str, size: float, rng: Rng) -> Canvas:
    """Ink of one stroke beside digits `size` pixels high: (h, w) float32, 0 to 1."""
    writer = Writer(rng, bare=1.0)
    writer.pen = max(writer.pen, 1.6 / size)  # a thinner one would be pale
    own = _fine_stroke(sort, max(6, round(_FINER * size * float(rng.uniform(0.8, 1.05)))), writer, rng)
    own = np.pad(own, [(0, -side % _FINER) for side in own.shape])
    small = own.reshape(own.shape[0] // _FINER, _FINER, own.shape[1] // _FINER, _FINER).mean(axis=(1, 3))
    return np.asarray(small, np.float32)


def _fine_stroke(sort: str, high: int, writer: Writer, rng: Rng) -> Canvas:
    if sort == "bare 1":
        return writer.digit(1, high)
    if sort == "digit":
        return writer.digit(int(rng.choice([0, 2, 3, 4, 5, 6, 7, 8, 9])), high)
    if sort == "slash":
        lean = high * float(rng.uniform(0.35, 0.7))
        points = np.array([[4.0 + lean, 4.0], [4.0 + lean / 2, 4 + high / 2], [4.0, 2.0 + high]])
    elif sort == "bar":
        wide, rise = high * float(rng.uniform(0.5, 0.75)), high * float(rng.normal(0, 0.04))
        points = np.array([[4.0, high / 2 + rise], [4 + wide / 2, high / 2], [4 + wide, high / 2 - rise]])
    else:
        # A hook at the foot or at the head: an arc alone would be a bracket.
        wide, share = high * float(rng.uniform(0.3, 0.5)), float(rng.uniform(0.45, 0.7))
        turn = np.linspace(0, np.pi * float(rng.uniform(0.5, 0.9)), 7)
        hook = np.stack([wide / 2 * (1 - np.cos(turn)), share * high + (1 - share) * high * np.sin(turn)], axis=1)
        points = np.concatenate([[[0.0, 0.0], [0.0, share * high / 2]], hook])
        if rng.random() < 0.5:
            points[:, 1] = high - points[::-1, 1]
            points[:, 0] = points[::-1, 0]
        if rng.random() < 0.5:
            points[:, 0] *= -1
        points += [4 + high / 2, 3]
    return writer.pen_stroke(points, high)


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """The ground around a number: all (h, w), the first pixel at `left`, `top` of the page.

    `paper` is what the page would be without ink, `depth` how much darker this number's ink is; `cell` is True inside
    one of the number's cells.
    """

    left: int
    top: int
    view: Gray
    paper: NDArray[np.float32]
    depth: float
    dark: Mask
    own: Mask
    cell: Mask


def _surroundings(page: DrawnPage, number: Number, cell: int) -> _Surroundings | None:
    quad = np.array(number.cells[cell])
    margin = number.size
    whole = Rect.around(np.concatenate([quad, number.box.corners]))
    left, top = max(0, int(whole.x - margin)), max(0, int(whole.y - margin))
    view = page.image[top : int(whole.y + whole.height + margin), left : int(whole.x + whole.width + margin)]
    reach = 2 * round(0.3 * number.size) + 1
    paper = cv2.morphologyEx(view, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8)).astype(np.float32)
    paper = cv2.GaussianBlur(paper, (0, 0), 0.3 * number.size)
    x, y, w, h = (round(v) for v in number.box)
    ink = slice(max(0, y - top), y + h - top + 1), slice(max(0, x - left), x + w - left + 1)
    darker = (paper - view)[ink]
    darkest = float(np.percentile(darker, 99.5))
    if darkest < 20:
        return None  # too pale to say what is ink
    depth = float(np.percentile(darker[darker > darkest / 2], 70))
    dark = view < paper - 0.4 * depth
    own = np.zeros(view.shape, bool)
    own[ink] = dark[ink]
    inside = np.zeros(view.shape, np.uint8)
    cv2.fillConvexPoly(inside, (quad - [left, top]).round().astype(np.int32), 1)
    return _Surroundings(left, top, view, np.asarray(paper, np.float32), depth, dark, own, inside > 0)


def _place_of(ink: Canvas, x: int, y: int, around: _Surroundings, size: float) -> str:
    """Which of `PLACES` the stroke has with its corner at (x, y) of the view; empty where nobody might notice it."""
    h, w = ink.shape
    gap = max(2, round(0.1 * size))
    if x < gap or y < gap or x + w + gap > around.view.shape[1] or y + h + gap > around.view.shape[0]:
        return ""
    stroke = ink > 0.35
    here = slice(y, y + h), slice(x, x + w)
    if not around.cell[here][stroke].mean() >= 0.94:
        return ""
    near = slice(y - gap, y + h + gap), slice(x - gap, x + w + gap)
    wide = cv2.dilate(np.pad(stroke.astype(np.uint8), gap), np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)) > 0
    if not (around.dark[near] & wide).any():
        return "free"
    own = float(around.own[here][stroke].mean())
    other = float((around.dark[here] & ~around.own[here])[stroke].mean())
    others_near = (around.dark[near] & ~around.own[near] & wide).any()
    if 0 < own <= 0.1 and not others_near:
        # End to end with a stroke of the number it would only make that longer.
        rows = np.flatnonzero(around.own.any(axis=1))
        common = min(y + h, int(rows[-1]) + 1) - max(y, int(rows[0]))
        return "touching" if common >= 0.6 * h else ""
    if 0 < other <= 0.1 and not (around.own[near] & wide).any() and h > 0.6 * size:
        return "other ink"
    return ""


def _blend(image: Gray, ink: Canvas, x: int, y: int, around: _Surroundings) -> None:
    """Lay the stroke on the page as dark as the number's own ink; the paper's grain stays."""
    soft = cv2.GaussianBlur(np.pad(ink, 2), (0, 0), 0.4)
    top, left = max(0, y - 2), max(0, x - 2)
    soft = soft[top - y + 2 :, left - x + 2 :]
    rows, columns = around.view.shape
    soft = soft[: rows - top, : columns - left]
    h, w = soft.shape
    paper = around.paper[top : top + h, left : left + w]
    region = image[around.top + top : around.top + top + h, around.left + left : around.left + left + w]
    laid = np.maximum(region - soft * around.depth, np.minimum(region, paper - around.depth))
    if set(np.unique(image)) <= {0, 255}:  # a page of one bit a pixel stays one
        laid = np.where((soft > 0.5) | (region == 0), 0, 255)
    region[:] = np.clip(laid, 0, 255).astype(np.uint8)


def add_stroke(page: DrawnPage, number: Number, image: Gray, rng: Rng, tries: int = 60) -> Added | None:
    """Add a stroke at random to `image`, a copy of the page's own, in the cell of a number.

    Most stand free, some touch the number or end on other ink. None, and the image as it was, where no room is found.
    """
    wanted = str(rng.choice(PLACES, p=[0.55, 0.3, 0.15]))
    sort = str(rng.choice(SORTS, p=[0.35, 0.2, 0.15, 0.1, 0.2]))
    around = _surroundings(page, number, int(rng.integers(len(number.cells))))
    if around is None:
        return None
    ys, xs = np.nonzero(around.cell)
    ink = draw_stroke(sort, number.size, rng)
    h, w = ink.shape
    fallback: tuple[str, int, int] | None = None
    for _ in range(tries):
        k = int(rng.integers(len(ys)))
        x, y = int(xs[k]) - w // 2, int(ys[k]) - h // 2
        place = _place_of(ink, x, y, around, number.size)
        if place and sort == "bar" and place != "free":
            continue  # a serif, a crossed 7
        if place == wanted:
            fallback = place, x, y
            break
        if place and fallback is None:
            fallback = place, x, y
    if fallback is None:
        return None
    place, x, y = fallback
    _blend(image, ink, x, y, around)
    return Added(number, sort, place, Rect(around.left + x, around.top + y, w, h))
