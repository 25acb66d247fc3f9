"""What people do to a digit that was wrong: scribble over it, hatch it, cross it out, write another one over it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.training.drawing import GlyphBank, SheetStyle, draw_digit, trim
from digitscan.training.handwriting import curve

Rng = np.random.Generator
Canvas = NDArray[np.float32]
Points = NDArray[np.float64]

_OVER_SHARE = 0.25
"""Share of the spoilt digits that have another one written over them."""
UNLIKE = {0: (2, 3, 4, 5, 7), 2: (0, 4, 5, 6, 9), 3: (0, 4, 6), 4: (0, 2, 3, 5, 6), 5: (0, 2, 4, 7), 6: (2, 3, 4, 7),
           7: (0, 5, 6), 9: (2, 6)}  # fmt: skip
"""Digits that give no third one, and do not vanish in each other, when one is written over the other."""


def draw_struck(bank: GlyphBank, style: SheetStyle, rng: Rng) -> Canvas:
    """A digit that its writer made unreadable: (H, W) float32 ink, 0 to 1, tight."""
    below = draw_digit(bank, style, rng)
    ink = trim(below.ink)
    if below.label in UNLIKE and rng.random() < _OVER_SHARE:
        above = draw_digit(bank, style, rng, int(rng.choice(UNLIKE[below.label])))
        if above.label in UNLIKE[below.label]:  # some sets have no zeros
            return write_over(ink, trim(above.ink), rng)
    return trim(strike_out(ink, max(1, round(style.height * rng.uniform(0.05, 0.12))), rng))


def strike_out(ink: Canvas, pen: int, rng: Rng) -> Canvas:
    """Make a digit unreadable by strokes of a pen.

    One bar or slash is none of the ways: that is how sevens are crossed and zeros slashed.

    Parameters
    ----------
    ink : (h, w) float32
        One digit, 0 to 1, trimmed.
    pen : int
        Width of the pen in pixels.
    rng : Generator

    Returns
    -------
    (H, W) float32
        A little larger, as strokes run over the digit's edges.
    """
    height, width = ink.shape
    beyond = pen + round(0.25 * height)
    canvas = np.pad(ink, beyond)
    # A one is struck out as wide as any other digit.
    half = np.array([max(width, 0.45 * height) / 2, height / 2]) * rng.uniform(0.85, 1.25, 2)
    middle = beyond + np.array([width, height]) / 2
    draw = rng.random()
    if draw < 0.40:
        strokes = [_zigzag(rng)]
    elif draw < 0.55:
        strokes = [_coil(rng)]
    elif draw < 0.72:
        strokes = _hatching(rng)
    elif draw < 0.84:
        strokes = _cross(rng)
    else:
        strokes = [_zigzag(rng), _zigzag(rng)]
    thickness = max(1, round(pen * rng.uniform(0.8, 1.6)))
    for points in strokes:
        pixels = ((middle + points * half) * 16).astype(np.int32)
        cv2.polylines(canvas, [pixels], False, 1.0, thickness, cv2.LINE_AA, shift=4)
    return canvas


def write_over(below: Canvas, above: Canvas, rng: Rng) -> Canvas:
    """Two digits in one place, as of a writer who mends one by going over it: (H, W) float32 of the larger size.

    Parameters
    ----------
    below, above : (h, w) float32
        0 to 1, trimmed.
    rng : Generator
    """
    shape = tuple(max(a, b) for a, b in zip(below.shape, above.shape, strict=True))
    canvas = np.zeros(shape, np.float32)
    for ink in (below, above):
        free = np.array(shape) - ink.shape
        top, left = (int(round(room * float(np.clip(rng.normal(0.5, 0.2), 0, 1)))) for room in free)
        region = canvas[top : top + ink.shape[0], left : left + ink.shape[1]]
        np.maximum(region, ink, out=region)
    return canvas


def _turned(points: Points, angle: float) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def _zigzag(rng: Rng) -> Points:
    """To and fro across the frame -1..1, along it, or askew."""
    turns = int(rng.integers(5, 15))
    along = np.linspace(-1, 1, turns) + rng.normal(0, 0.12, turns)
    across = np.where(np.arange(turns) % 2, 1.0, -1.0) * rng.uniform(0.6, 1.1, turns)
    points = _turned(np.stack([along, across], axis=1), float(rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.45)))
    return curve(points) if rng.random() < 0.6 else points


def _coil(rng: Rng) -> Points:
    """Rings that run on: the pen goes round and round from one side to the other."""
    rounds = float(rng.uniform(3, 7))
    t = np.linspace(0, 2 * np.pi * rounds, int(24 * rounds))
    # No two rings are alike, or they would make a bold zero.
    radius = np.interp(t, np.linspace(0, t[-1], 8), np.tile([1.0, 0.3], 4) * rng.uniform(0.6, 1.1, 8))
    drift = np.linspace(-1, 1, len(t)) * rng.uniform(0.0, 0.7)
    points = np.stack([drift + radius * np.cos(t), radius * rng.uniform(0.7, 1.2) * np.sin(t)], axis=1)
    return _turned(points, float(rng.uniform(0, np.pi)))


def _hatching(rng: Rng) -> list[Points]:
    """Two to six strokes side by side, level, askew or upright."""
    upright = rng.random() < 0.2
    count = int(rng.integers(4 if upright else 2, 7))  # two upright strokes would be an eleven
    angle = float(np.pi / 2 if upright else rng.choice([0.0, 0.0, np.pi / 4, -np.pi / 4])) + rng.normal(0, 0.15)
    spread = rng.uniform(0.25, 0.6)  # further out they would be rules over and under the digit
    strokes = []
    for place in np.linspace(-spread, spread, count):
        ends = np.array([[-1.0, place], [1.0, place]]) * (rng.uniform(0.9, 1.25), 1.0)
        strokes.append(_turned(ends + rng.normal(0, 0.08, (2, 2)), angle))
    return strokes


def _cross(rng: Rng) -> list[Points]:
    """Two long strokes across each other, from corner to corner."""
    strokes = [np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([[-1.0, 1.0], [1.0, -1.0]])]
    return [stroke * rng.uniform(0.95, 1.3) + rng.normal(0, 0.12, (2, 2)) for stroke in strokes]
