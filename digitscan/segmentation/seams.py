"""Where a component may be parted: paths from top to bottom that cross little ink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box, Ink

MAX_CUTS = 24
"""Most cuts through one component."""
_ROWS = 28
"""Rows at which paths are sought: enough to see strokes, few enough to be quick."""
_LIMIT = 0.45
"""Most ink that a cut may cross, in heights of a digit."""
_SPACING = 0.16
"""Least distance between two cuts, in heights of a digit."""
_ASIDE = 0.25
"""Price of a step aside, in pixels of ink."""
_CHUNK = 20_000
"""Columns searched at once: bounds memory on pages of noise."""
_WALL = 1e6
"""Price of stepping from one component into the next."""


class Seam(NamedTuple):
    """A cut: its sheared column in each row of a component, (h,) float64, and the ink it crosses, in heights."""

    columns: NDArray[np.float64]
    ink: float


def find_cuts(components: Sequence[tuple[Ink, float, float]]) -> list[list[Seam]]:
    """Ways to part components that may be two digits.

    A path bends around strokes at a small price, so it finds its way between digits that lean over each other,
    and crosses the stroke that joins them once.

    Parameters
    ----------
    components : sequence of (ink, height, slant)
        Soft ink (h, w) uint8 of one component; typical height of its string's digits in pixels; the string's slant
        as `digitscan.segmentation.cuts.string_slant` gives it.

    Returns
    -------
    list of list of Seam
        For each component left to right by their means, none nearer than a fifth of a digit to an end.

    References
    ----------
    Wang and Jean 1994, Segmentation of merged characters by neural networks and shortest path (Pattern
    Recognition 27(5)): the cut as the shortest path through ink.
    """
    reduced = [_reduced(ink, slant) for ink, _, slant in components]
    found: list[list[Seam]] = []
    start = 0
    while start < len(reduced):
        stop, width = start, 0
        while stop < len(reduced) and (stop == start or width + reduced[stop].shape[1] + 1 <= _CHUNK):
            width += reduced[stop].shape[1] + 1
            stop += 1
        totals, paths = _cheapest_paths(_side_by_side(reduced[start:stop]))
        left = 1
        for small, (ink, height, _) in zip(reduced[start:stop], components[start:stop], strict=True):
            own = np.s_[left : left + small.shape[1]]
            rows = paths[_ROWS - small.shape[0] :, own] - left
            found.append(_choose(small, totals[own], rows, ink.shape[0], height))
            left += small.shape[1] + 1
        start = stop
    return found


def _reduced(ink: Ink, slant: float) -> Ink:
    """A component without its slant, at most `_ROWS` high."""
    sheared = _shear(ink, slant)
    if sheared.shape[0] <= _ROWS:
        return sheared
    width = max(1, round(sheared.shape[1] * _ROWS / sheared.shape[0]))
    return np.asarray(cv2.resize(sheared, (width, _ROWS), interpolation=cv2.INTER_AREA), np.uint8)


def _side_by_side(inks: Sequence[Ink]) -> NDArray[np.float64]:
    """Prices of pixels of many components, walls between them: (_ROWS, W) float64; low ones have paper above."""
    width = 1 + sum(ink.shape[1] + 1 for ink in inks)
    prices = np.full((_ROWS, width), _WALL)
    left = 1
    for ink in inks:
        block = prices[:, left : left + ink.shape[1]]
        block[: _ROWS - ink.shape[0]] = 0.0
        block[_ROWS - ink.shape[0] :] = ink / 255.0
        left += ink.shape[1] + 1
    return prices


def _cheapest_paths(prices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """For every column at the foot the cheapest path from the top, at most a column aside a row.

    Returns
    -------
    total : (w,) float64
        Ink crossed in pixels, with what moving aside costs.
    paths : (h, w) int32
        Column of each path in each row.
    """
    height, width = prices.shape
    best = prices[0].copy()
    came = np.zeros((height, width), np.int8)
    ways = np.full((3, width), np.inf)
    for y in range(1, height):
        ways[0, 1:] = best[:-1] + _ASIDE
        ways[1] = best
        ways[2, :-1] = best[1:] + _ASIDE
        # Straight on wins ties: of equal paths the straightest is the one a person would draw.
        aside = np.where(ways[0] <= ways[2], np.int8(-1), np.int8(1))
        came[y] = np.where(ways[1] <= np.minimum(ways[0], ways[2]), np.int8(0), aside)
        best = ways.min(axis=0) + prices[y]
    paths = np.empty((height, width), np.int32)
    paths[-1] = np.arange(width)
    for y in range(height - 1, 0, -1):
        paths[y - 1] = paths[y] + came[y, paths[y]]
    return best, paths


def _choose(small: Ink, total: NDArray[np.float64], paths: NDArray[np.int32], rows: int, height: float) -> list[Seam]:
    """The cheapest paths of one component that lie apart, at the size of its ink: `rows` high."""
    scale = small.shape[0] / rows
    inked = np.flatnonzero(small.max(axis=0) > 60)
    if not len(inked):
        return []
    first, last = int(inked[0]), int(inked[-1])
    margin = max(1.0, 0.18 * height * scale)
    if last - first < 2 * margin + 2:
        return []
    middles = paths.mean(axis=0)
    unit = 1.0 / (height * scale)
    spacing = max(1.0, _SPACING * height * scale)
    most = min(MAX_CUTS, max(1, round(1.7 * (last - first) * unit / 0.55)))
    chosen: list[int] = []
    for x in np.argsort(total, kind="stable"):
        if total[x] * unit > _LIMIT or len(chosen) >= most:
            break
        at = middles[x]
        if first + margin <= at <= last - margin and all(abs(at - middles[k]) > spacing for k in chosen):
            chosen.append(int(x))
    chosen.sort(key=lambda k: float(middles[k]))
    full = np.arange(rows) + 0.5
    at_rows = (np.arange(small.shape[0]) + 0.5) / scale
    return [Seam(np.interp(full, at_rows, (paths[:, k] + 0.5) / scale), float(total[k] * unit)) for k in chosen]


def _offset(height: int, slant: float) -> float:
    """What keeps sheared columns from going below zero when the writing leans left."""
    return max(-slant, 0.0) * height


def _shear(ink: Ink, slant: float) -> Ink:
    """Ink with its slant taken out: pixel (x, y) goes to column ``x + slant * y + offset``."""
    height, width = ink.shape
    matrix = np.array([[1, slant, _offset(height, slant)], [0, 1, 0]], np.float64)
    size = (int(width + abs(slant) * height) + 1, height)
    return np.asarray(cv2.warpAffine(ink, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)


def split(box: Box, ink: Ink, cuts: Sequence[Seam], slant: float) -> list[tuple[Box, Ink, float]]:
    """Part an ink at its cuts; every pixel goes to exactly one part, empty parts are left out.

    Each part comes with the ink that the cut before it crosses, in heights; 0 for the first.
    """
    if not cuts:
        return [(box, ink, 0.0)]
    ys, xs = np.mgrid[0 : ink.shape[0], 0 : ink.shape[1]].astype(np.float32)
    columns = xs + slant * ys + _offset(ink.shape[0], slant)
    side = np.zeros(ink.shape, np.int64)
    for seam in cuts:
        side += columns >= seam.columns[:, None]
    parts: list[tuple[Box, Ink, float]] = []
    for index in range(len(cuts) + 1):
        own = np.where(side == index, ink, np.uint8(0))
        x, y, w, h = cv2.boundingRect(own)
        if w and int(own.max()) > 60:
            crossed = cuts[index - 1].ink if parts else 0.0
            parts.append((Box(box.x + x, box.y + y, w, h), np.ascontiguousarray(own[y : y + h, x : x + w]), crossed))
    return parts
