"""Digits drawn by rule: the regional hands that public sets hold few of.

Every allograph is a list of strokes; a stroke is a list of points that a smooth curve runs through, in a frame of
height 1, y downwards. Points are moved at random before each drawing, so that no two drawings are alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import NOT_A_DIGIT
from digitscan.training.allographs import ALLOGRAPHS, MARKS, Stroke
from digitscan.training.sources import Glyph, GlyphSource, tight

Rng = np.random.Generator

_SIZE = 72
"""Height of the frame in pixels."""


def curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Catmull-Rom spline through points: (N, 2) to (M, 2). Two points give a straight line."""
    if len(points) < 3:
        return points
    ends = np.concatenate([points[:1] * 2 - points[1:2], points, points[-1:] * 2 - points[-2:-1]])
    t = np.linspace(0, 1, 10, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*parts, points[-1:]])


def draw(strokes: Sequence[Stroke], rng: Rng) -> Glyph | None:
    """Draw strokes once, each point moved a little; joints stay joints.

    Returns
    -------
    (h, w) uint8 or None
        Ink high, tight; None when nothing was drawn.
    """
    side = 2 * _SIZE
    canvas = np.zeros((side, side), np.uint8)
    pen = max(2, round(_SIZE * rng.uniform(0.045, 0.13)))
    spread = rng.uniform(0.015, 0.045)
    scale = np.array([rng.uniform(0.75, 1.3), 1.0])
    moved: dict[tuple[float, float], NDArray[np.float64]] = {}
    for stroke in strokes:
        for point in stroke:
            if point not in moved:
                moved[point] = np.array(point) + rng.normal(0, spread, 2)
        points = np.array([moved[point] for point in stroke])
        pixels = (curve(points) * scale * _SIZE + _SIZE / 2) * 16
        cv2.polylines(canvas, [pixels.astype(np.int32)], False, 255, pen, cv2.LINE_AA, shift=4)
    return tight(canvas)


def drawn_sources(each: int = 900, seed: int = 7) -> tuple[GlyphSource, GlyphSource]:
    """Digits and marks drawn by rule: `each` of every class, the same for the same seed."""
    rng = np.random.default_rng(seed)
    glyphs: list[Glyph] = []
    labels: list[int] = []
    for digit, shapes in ALLOGRAPHS.items():
        for k in range(each):
            glyph = draw(shapes[k % len(shapes)], rng)
            if glyph is not None:
                glyphs.append(glyph)
                labels.append(digit)
    marks = [glyph for k in range(each) if (glyph := draw(MARKS[k % len(MARKS)], rng)) is not None]
    return (
        GlyphSource("drawn-digits", glyphs, np.array(labels, np.uint8), 0.18),
        GlyphSource("drawn-marks", marks, np.full(len(marks), NOT_A_DIGIT, np.uint8), 0.0),
    )
