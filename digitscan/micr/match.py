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
"""Pixels a module has when it is looked at."""
MARGIN = 2.0
"""Modules of paper around a shape that is drawn: neighbours begin beyond."""
_SHIFT = 1.25
"""How far from its place a character may lie, in modules."""
_WEIGHTS = (-0.3, 0.0, 0.35)
"""Modules that print may be thinner or thicker on each side."""
_BLUR = 0.45
"""Of the scan, in modules."""
_EVIDENCE = 60.0
"""What a unit of likeness counts, in log units: a shape that is likelier by a twentieth is twenty times as probable."""
_NOTHING = 0.45
"""Likeness that paper, or whatever else may stand there, is credited with."""

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


@cache
def _shapes() -> tuple[Real, ...]:
    """All shapes in all weights, blurred as by a scan; symbol by symbol."""
    blur = _BLUR * SCALE
    drawn = [draw_glyph(symbol, SCALE, weight) for symbol in SYMBOLS for weight in _WEIGHTS]
    return tuple(np.asarray(cv2.GaussianBlur(shape, (0, 0), blur), np.float32) for shape in drawn)


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
    """

    posteriors: Real
    likeness: Real
    shifts: NDArray[np.float64]
    ink: NDArray[np.float64]


def window_origin() -> tuple[float, float]:
    """Left and upper edge of a place's window in modules, from the lower left corner of its shape."""
    reach = round(_SHIFT * SCALE) / SCALE
    return -MARGIN - reach, HEIGHT + MARGIN + reach


def window_size() -> tuple[int, int]:
    """Height and width in pixels of the window that `read_places` wants of each place."""
    height, width = _shapes()[0].shape
    reach = 2 * round(_SHIFT * SCALE)
    return height + reach, width + reach


def read_places(windows: NDArray[np.uint8]) -> MicrPlaces:
    """Read places of a line.

    Parameters
    ----------
    windows : (N, h, w) uint8
        Soft ink around each place, `SCALE` pixels a module, of `window_size`; the shape is expected in the middle.

    Returns
    -------
    MicrPlaces
    """
    shapes = _shapes()
    best = np.zeros((len(windows), len(SYMBOLS)), np.float32)
    shifts = np.zeros((len(windows), 2))
    middle = round(_SHIFT * SCALE)
    edge = middle + round(MARGIN * SCALE)
    middles = windows[:, edge:-edge, edge:-edge]
    for row, shift, window in zip(best, shifts, windows, strict=True):
        own = np.asarray(cv2.GaussianBlur(window, (0, 0), 0.2 * SCALE), np.float32)
        if own.max() < 40:  # paper
            continue
        maps = [cv2.matchTemplate(own, shape, cv2.TM_CCOEFF_NORMED) for shape in shapes]
        scores = np.array([float(likeness.max()) for likeness in maps])
        row[:] = scores.reshape(len(SYMBOLS), len(_WEIGHTS)).max(axis=1)
        down, right = np.unravel_index(int(maps[int(scores.argmax())].argmax()), maps[0].shape)
        shift[:] = (right - middle) / SCALE, (middle - down) / SCALE
    known = np.concatenate([best, np.full((len(best), 1), _NOTHING, np.float32)], axis=1)
    powers = np.exp(_EVIDENCE * (known - known.max(axis=1, keepdims=True)))
    shares = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return MicrPlaces(shares, best.max(axis=1, initial=0.0), shifts, middles.mean(axis=(1, 2)))


def ink_window(ink: Ink, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What a place shows: `matrix` (2, 3) leads from the window's pixels to those of the page's soft ink."""
    height, width = window_size()
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(ink, matrix, (width, height), flags=how, borderValue=0), np.uint8)
