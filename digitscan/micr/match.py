"""Reads a line of E-13B: each place is laid over the fourteen shapes of the standard, drawn as a scanner sees them.

The print is made for machines: one size, one pitch, fourteen shapes that no two places of which look alike. A matched
filter needs neither training nor weights (Turin 1960, IRE Trans. IT-6; docs/adr/0013).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Ink
from digitscan.micr.standard import GLYPHS, HEIGHT, SYMBOLS, WIDTH

SCALE = 4
"""Pixels a module has when it is read."""
COARSE = 2
"""Pixels a module has when it is only asked whether a line may be one."""
MARGIN = 2.0
"""Modules of paper around a shape that is drawn: neighbours begin beyond."""
_WEIGHTS = (-0.3, 0.0, 0.35)
"""Modules that print may be thinner or thicker on each side."""
_BLURS = (0.45, 0.85)
"""Of the scan, in modules: a good one, and one of 100 dpi or out of focus."""
_EVIDENCE = 60.0
"""What a unit of likeness counts, in log units: a shape that is likelier by a twentieth is twenty times as probable."""
_NOTHING = 0.45
"""Likeness that paper, or whatever else may stand there, is credited with."""
_PAPER = 0.35
"""Ink of a place, as a share of the line's, below which it is paper."""

Real = NDArray[np.float32]


def draw_glyph(symbol: str, pixels: float, weight: float = 0.0) -> Real:
    """One place of the line, drawn.

    Parameters
    ----------
    symbol : str
        One of `SYMBOLS`.
    pixels : float
        Of a module.
    weight : float
        Modules by which strokes grow on each side; negative ones shrink.

    Returns
    -------
    (h, w) float32
        0 paper to 1 ink; the shape of 9 by 7 modules with `MARGIN` around it.
    """
    fine = 8.0
    size = round((HEIGHT + 2 * MARGIN) * fine), round((WIDTH + 2 * MARGIN) * fine)
    canvas = np.zeros(size, np.uint8)

    def box(left: float, bottom: float, right: float, top: float) -> tuple[int, int, int, int]:
        x0, x1 = (left + MARGIN) * fine, (right + MARGIN) * fine
        y0, y1 = (HEIGHT - top + MARGIN) * fine, (HEIGHT - bottom + MARGIN) * fine
        return round(x0), round(y0), round(x1) - 1, round(y1) - 1

    glyph = GLYPHS[symbol]
    for x0, y0, x1, y1 in (box(*r) for r in glyph.ink):
        cv2.rectangle(canvas, (x0, y0), (x1, y1), 255, -1)
    for x0, y0, x1, y1 in (box(*r) for r in glyph.paper):
        cv2.rectangle(canvas, (x0, y0), (x1, y1), 0, -1)
    if glyph.outline:
        corners = [((x + MARGIN) * fine, (HEIGHT - y + MARGIN) * fine) for x, y in glyph.outline]
        cv2.fillPoly(canvas, [np.array(corners).round().astype(np.int32)], 255)
    # Opening and closing with a disc rounds the corners, those of paper too.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    canvas = np.asarray(cv2.morphologyEx(canvas, cv2.MORPH_OPEN, disc), np.uint8)
    if weight:
        reach = round(abs(weight) * fine) * 2 + 1
        change = cv2.dilate if weight > 0 else cv2.erode
        canvas = np.asarray(change(canvas, np.ones((reach, reach), np.uint8)), np.uint8)
    factor = pixels / fine
    small = cv2.resize(canvas, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


@dataclass(frozen=True, slots=True, eq=False)
class _Bank:
    """All shapes, in all weights and blurs, as a matched filter wants them.

    Attributes
    ----------
    size : (int, int)
        Height and width of a shape in pixels.
    filters : (P, K) float32
        A shape a column: its pixels, with mean 0 and length 1.
    """

    size: tuple[int, int]
    filters: Real


@cache
def _bank(scale: int) -> _Bank:
    """Shapes at so many pixels a module; symbol by symbol."""
    drawn = [
        cv2.GaussianBlur(draw_glyph(symbol, scale, weight), (0, 0), blur * scale)
        for symbol in SYMBOLS
        for weight in _WEIGHTS
        for blur in _BLURS
    ]
    filters = np.stack([np.asarray(shape, np.float32).ravel() for shape in drawn], axis=1)
    filters -= filters.mean(axis=0)
    filters /= np.linalg.norm(filters, axis=0)
    return _Bank(drawn[0].shape, filters)


@dataclass(frozen=True, slots=True, eq=False)
class MicrPlaces:
    """What stands at each place of a line, from the left.

    Attributes
    ----------
    posteriors : (N, 15) float32
        Rows sum to 1: `SYMBOLS`, then nothing (paper, or no character of this print).
    likeness : (N,) float32
        Of the best shape to what stands there, -1 to 1.
    shifts : (N, 2) float64
        How far from its place that shape lies, in modules, right and up.
    ink : (N,) float64
        Mean soft ink at the place, 0 to 255.
    strength, outside : (N,) float64
        Soft ink of its darkest pixels, and of the darkest a module or more above and below it, 0 to 255.
    """

    posteriors: Real
    likeness: Real
    shifts: NDArray[np.float64]
    ink: NDArray[np.float64]
    strength: NDArray[np.float64]
    outside: NDArray[np.float64]


def window_origin(reach: int, scale: int = SCALE) -> tuple[float, float]:
    """Left and upper edge of a place's window in modules, from the lower left corner of its shape.

    Parameters
    ----------
    reach : int
        Pixels of the window by which a character may lie off its place, on each side.
    scale : int
        Pixels a module has in the window.
    """
    return -MARGIN - reach / scale, HEIGHT + MARGIN + reach / scale


def window_size(reach: int, scale: int = SCALE) -> tuple[int, int]:
    """Height and width of a place's window in pixels, see `window_origin`."""
    height, width = _bank(scale).size
    return height + 2 * reach, width + 2 * reach


def likeness_of(windows: NDArray[np.uint8], reach: int, scale: int = SCALE) -> tuple[Real, NDArray[np.float64]]:
    """How much each place looks like each symbol, wherever in its window that stands.

    Parameters
    ----------
    windows : (N, h, w) uint8
        Ink is high; of `window_size`.
    reach, scale : int

    Returns
    -------
    scores : (N, 14) float32
        Normalized correlation with the best of a symbol's shapes, -1 to 1.
    places : (N, 14, 2) float64
        Where that shape lies in the window: pixels down and right, with fractions.
    """
    bank = _bank(scale)
    count = len(windows)
    side = 2 * reach + 1
    real = windows.astype(np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(real, bank.size, axis=(1, 2))
    flat = np.ascontiguousarray(patches).reshape(count * side * side, -1)
    # The filters have mean 0, so a patch's own mean matters for its length alone.
    pixels = flat.shape[1]
    mean = _sums(real, bank.size) / pixels
    length = np.sqrt(np.maximum(_sums(real * real, bank.size) - pixels * mean * mean, 0)).reshape(-1, 1)
    scores = (flat @ bank.filters) / np.maximum(length, 1.0)
    per_symbol = scores.reshape(count, side * side, len(SYMBOLS), -1).max(axis=3)
    where = per_symbol.argmax(axis=1)
    grid = per_symbol.reshape(count, side, side, len(SYMBOLS)).transpose(0, 3, 1, 2)
    down, right = np.divmod(where, side)
    return np.asarray(per_symbol.max(axis=1), np.float32), np.stack(_tops(grid, down, right), axis=2)


def _tops(grid: Real, down: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """Where the parabolas through the best position and its neighbours are highest: (N, 14) down and right."""
    n, k = np.indices(down.shape)
    side = grid.shape[2]
    tops: list[NDArray[np.float64]] = []
    for axis, at in enumerate((down, right)):
        inside = np.clip(at, 1, side - 2)
        before, here, after = (
            grid[n, k, inside + d, right] if axis == 0 else grid[n, k, down, inside + d] for d in (-1, 0, 1)
        )
        bend = np.minimum(before - 2 * here + after, -1e-6)
        shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
        tops.append(at.astype(np.float64) + np.where(inside == at, shift, 0.0))
    return tuple(tops)


def _sums(windows: Real, size: tuple[int, int]) -> NDArray[np.float64]:
    """Sum of the pixels of each patch: (N, rows, columns)."""
    total = np.cumsum(np.cumsum(windows, axis=1, dtype=np.float64), axis=2)
    total = np.pad(total, ((0, 0), (1, 0), (1, 0)))
    h, w = size
    return np.asarray(total[:, h:, w:] - total[:, :-h, w:] - total[:, h:, :-w] + total[:, :-h, :-w], np.float64)


def read_places(windows: NDArray[np.uint8], reach: int, scale: int = SCALE) -> MicrPlaces:
    """Read places of a line.

    Parameters
    ----------
    windows : (N, h, w) uint8
        Soft ink around each place, of `window_size`; the shape is expected in the middle.
    reach : int
        Pixels by which it may lie off the middle.
    scale : int
        Pixels a module has.

    Returns
    -------
    MicrPlaces
    """
    edge = reach + round(MARGIN * scale)
    middles = windows[:, edge:-edge, edge:-edge].reshape(len(windows), -1)
    ink = middles.mean(axis=1)
    strength = np.percentile(middles, 97, axis=1)
    rim = reach + round((MARGIN - 1) * scale)
    beyond = np.concatenate([windows[:, :rim, edge:-edge], windows[:, -rim:, edge:-edge]], axis=1)
    outside = np.percentile(beyond.reshape(len(windows), -1), 97, axis=1)
    # A fifth of the places at least have characters, and their ink tells how dark this line's is.
    dark = strength >= max(_PAPER * float(np.percentile(strength, 85)), 12.0)
    best = np.zeros((len(windows), len(SYMBOLS)), np.float32)
    where = np.full((len(windows), len(SYMBOLS), 2), float(reach))
    if dark.any():
        best[dark], where[dark] = likeness_of(windows[dark], reach, scale)
    symbol = best.argmax(axis=1)
    down, right = where[np.arange(len(best)), symbol].T
    shifts = np.stack([right - reach, reach - down], axis=1) / scale
    known = np.concatenate([best, np.full((len(best), 1), _NOTHING, np.float32)], axis=1)
    powers = np.exp(_EVIDENCE * (known - known.max(axis=1, keepdims=True)))
    shares = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return MicrPlaces(shares, best.max(axis=1, initial=0.0), shifts, ink, strength, outside)


def ink_window(
    ink: Ink, matrix: NDArray[np.float64], reach: int, scale: int = SCALE, border: int = 0
) -> NDArray[np.uint8]:
    """What a place shows: `matrix` (2, 3) leads from the window's pixels to those of the page's soft ink."""
    height, width = window_size(reach, scale)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(ink, matrix, (width, height), flags=how, borderValue=border), np.uint8)
