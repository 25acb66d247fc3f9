"""Finds lines of E-13B print: marks of one height whose right edges stand on a grid of one known pitch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Transform
from digitscan.micr.standard import HEIGHT, PITCH
from digitscan.segmentation.components import Components

Real = NDArray[np.float64]

_LOWEST_PX = 7
"""Marks lower than this are not read."""
_MOST_MARKS = 4000
_SHAPE = (0.3, 0.95)
"""Width over height of a digit, damaged ones included."""
_LIKE = 0.16
"""How far heights of neighbours may differ, as a share."""
_REACH = 7.0
"""Gap between neighbours of one line, in pitches: fields stand apart."""
_FEWEST = 6
_ON_GRID = 0.8
"""How sharply right edges must stand on the grid, 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class MicrLine:
    """Where a line lies.

    Attributes
    ----------
    to_page : (3, 3) float64
        From modules to pixels of the page: (0, 0) is the lower right end of place 0, x runs along the line, y goes up.
    first, last : int
        Places of the leftmost and rightmost digits seen.
    """

    to_page: Transform
    first: int
    last: int

    @property
    def module_px(self) -> float:
        """Pixels of a module."""
        return float(np.hypot(self.to_page[0, 0], self.to_page[1, 0]))


def find_micr_lines(found: Components) -> list[MicrLine]:
    """Lines of E-13B on a page that stands upright, give or take a degree or two; what they say is not looked at.

    Parameters
    ----------
    found : Components

    Returns
    -------
    list of MicrLine
        From top to bottom.
    """
    x, y, w, h = (found.boxes[:, k].astype(np.float64) for k in range(4))
    shape = w / np.maximum(h, 1)
    kept = np.flatnonzero((h >= _LOWEST_PX) & (shape >= _SHAPE[0]) & (shape <= _SHAPE[1]))
    if len(kept) > _MOST_MARKS:
        kept = kept[np.argsort(-found.areas[kept])[:_MOST_MARKS]]
    lines = []
    for chain in _chains(x[kept], y[kept], w[kept], h[kept]):
        line = _fitted(x[kept][chain], y[kept][chain], w[kept][chain], h[kept][chain])
        if line is not None:
            lines.append(line)
    return sorted(lines, key=lambda line: float(line.to_page[1, 2]))


def _chains(x: Real, y: Real, w: Real, h: Real) -> list[NDArray[np.int64]]:
    """Marks of like height, each beside the next one at the same level."""
    order = np.argsort(x)
    group = np.arange(len(x))

    def root(k: int) -> int:
        while group[k] != k:
            group[k] = group[group[k]]
            k = int(group[k])
        return k

    bottom, right = y + h, x + w
    for place, k in enumerate(order):
        following = order[place + 1 :]
        following = following[: np.searchsorted(x[following], right[k] + _REACH * h[k] * PITCH / HEIGHT)]
        alike = np.abs(h[following] - h[k]) < _LIKE * h[k]
        gap = x[following] - right[k]
        level = np.abs(bottom[following] - bottom[k]) < 0.15 * h[k] + 0.04 * np.maximum(gap, 0)
        for other in following[alike & level & (gap > -0.1 * h[k])]:
            group[root(int(other))] = root(int(k))
    roots = np.array([root(k) for k in range(len(x))], np.int64)
    chains = [np.flatnonzero(roots == r) for r in np.unique(roots)]
    return [chain for chain in chains if len(chain) >= _FEWEST]


def _fitted(x: Real, y: Real, w: Real, h: Real) -> MicrLine | None:
    """The grid that a chain of marks stands on; None where there is none."""
    right, bottom = x + w, y + h
    slope, level = _level(right, bottom)
    height = float(np.median(h))
    usual = height * PITCH / HEIGHT
    # Along the line, not across the page.
    along = right * np.sqrt(1 + slope**2)
    order = np.argsort(along)
    steps = np.diff(along[order])
    # Neighbours tell the pitch: over a whole line it may drift, on a photograph above all.
    close = steps[(steps > 0.5 * usual) & (steps < 4.5 * usual)]
    if len(close) < _FEWEST - 2:
        return None
    pitches = usual * np.linspace(0.8, 1.12, 321)
    sharp = np.abs(np.exp(2j * np.pi * close[None, :] / pitches[:, None]).mean(axis=1))
    best = int(sharp.argmax())
    if sharp[best] < _ON_GRID:
        return None
    pitch = float(pitches[best])
    places = np.concatenate([[0], np.cumsum(np.round(steps / pitch))])
    along = along[order]
    for _ in range(2):
        pitch, offset = (float(v) for v in np.polyfit(places, along, 1))
        near = np.abs(along - offset - places * pitch) < 0.25 * pitch
        if near.sum() < _FEWEST or len(np.unique(places[near])) < _FEWEST:
            return None
        places, along = places[near], along[near]
    angle = float(np.arctan(slope))
    module = pitch / PITCH
    start = offset / np.sqrt(1 + slope**2)
    cos, sin = np.cos(angle) * module, np.sin(angle) * module
    to_page = np.array([[cos, sin, start], [sin, -cos, level + slope * start], [0.0, 0.0, 1.0]])
    return MicrLine(to_page, int(places.min()), int(places.max()))


def _level(x: Real, y: Real) -> tuple[float, float]:
    """Slope and height of the base line; marks that hang lower or higher are left out in a second look."""
    slope, level = np.polyfit(x, y, 1)
    off = np.abs(y - slope * x - level)
    kept = off <= max(1.5, 2.0 * float(np.median(off)))
    if kept.sum() >= _FEWEST:
        slope, level = np.polyfit(x[kept], y[kept], 1)
    return float(slope), float(level)
