"""Separators, signs and linked zeros of handwriting, drawn by strokes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.training.drawing import trim
from digitscan.training.handwriting import curve
from digitscan.training.line_texts import RAISED_POINT

Rng = np.random.Generator
Canvas = NDArray[np.float32]


def _stroke(canvas: Canvas, points: Sequence[tuple[float, float]], pen: int) -> None:
    pixels = (np.array(points) * 16).astype(np.int32)
    cv2.polylines(canvas, [pixels], False, 1.0, pen, cv2.LINE_AA, shift=4)


def draw_sign(sign: str, height: int, pen: int, rng: Rng) -> tuple[Canvas, float]:
    """One separator or sign by a few strokes; gives its ink and how high it stands above the baseline, in heights."""
    h = float(height)
    side = height * 2
    canvas = np.zeros((side, side), np.float32)
    x = y = 0.5 * h

    def wobble() -> float:
        return float(rng.normal(0, 0.03 * h))

    rise = 0.0
    if sign in ".:" + RAISED_POINT:
        radius = max(1, round(pen * rng.uniform(0.5, 1.0)))
        cv2.circle(canvas, (int(x), int(y)), radius, 1.0, -1, cv2.LINE_AA)
        if rng.random() < 0.4:
            _stroke(canvas, [(x, y), (x + wobble() * 2, y + wobble())], pen)
        if sign == ":":
            cv2.circle(canvas, (int(x + wobble()), int(y + h * rng.uniform(0.3, 0.5))), radius, 1.0, -1, cv2.LINE_AA)
        rise = rng.uniform(-0.08, 0.06) if sign != RAISED_POINT else rng.uniform(0.3, 0.55)
        rise += 0.15 if sign == ":" else 0.0
    elif sign == ",":
        drop = h * rng.uniform(0.15, 0.35)
        _stroke(canvas, [(x, y), (x + wobble(), y + drop / 2), (x - h * rng.uniform(0.02, 0.15), y + drop)], pen)
        rise = rng.uniform(-0.3, -0.05)
    elif sign in "-=":
        width = h * rng.uniform(0.2, 0.9)
        bend = wobble()
        _stroke(canvas, [(x, y), (x + width / 2, y + bend), (x + width, y + 2 * wobble())], pen)
        if sign == "=":
            below = float(y + h * rng.uniform(0.15, 0.35))
            if rng.random() < 0.25:  # in one go
                _stroke(canvas, [(x + width, y), (x + wobble(), below)], pen)
            _stroke(canvas, [(x + wobble(), below), (x + width * rng.uniform(0.7, 1.2), below + wobble())], pen)
        rise = rng.uniform(0.15, 0.6)
    elif sign == "/":
        lean = h * rng.uniform(0.1, 0.5)
        _stroke(canvas, [(x + lean, y), (x, y + h * rng.uniform(0.9, 1.25))], pen)
        rise = rng.uniform(-0.15, 0.05)
    elif sign == "*":
        reach = h * rng.uniform(0.12, 0.3)
        turn = rng.uniform(0, np.pi)
        for k in range(int(rng.integers(2, 4))):
            a = turn + k * np.pi / 3
            dx, dy = reach * np.cos(a), reach * np.sin(a)
            _stroke(canvas, [(x - dx, y - dy), (x + dx, y + dy)], pen)
        rise = rng.uniform(0.2, 0.6)
    else:  # the currency sign
        points = np.array([(0.55, 0.15), (0.2, 0.05), (0.1, 0.35), (0.5, 0.6), (0.4, 0.92), (0.0, 0.85)])
        points = (points + rng.normal(0, 0.03, points.shape)) * h + (x, y)
        _stroke(canvas, [(float(a), float(b)) for a, b in curve(points)], pen)
        for place in ([0.3], [0.22, 0.38])[int(rng.integers(2))]:
            _stroke(canvas, [(x + place * h, y - 0.08 * h), (x + place * h + wobble(), y + 1.08 * h)], pen)
        rise = -0.05
    return trim(canvas), rise


def draw_zeros(count: int, height: int, pen: int, rng: Rng) -> Canvas:
    """Zeros written in one go: rings that hang together at the top, or a curve that runs on in loops or humps."""
    high = height * rng.uniform(0.4, 1.0)
    make = _linked_rings if rng.random() < 0.75 else _running_loops
    points = make(count, high, rng)
    points += height / 2 - points.min(axis=0)
    right, low = (int(v) for v in points.max(axis=0) + height)
    canvas = np.zeros((low, right), np.float32)
    _stroke(canvas, [(float(a), float(b)) for a, b in points], pen)
    return trim(canvas)


def _linked_rings(count: int, high: float, rng: Rng) -> NDArray[np.float64]:
    """Each ring runs from the top to the left and round; then the pen goes over to the next: (M, 2) points."""
    half = high * rng.uniform(0.28, 0.55)
    pitch = half * rng.uniform(1.7, 2.7)
    begin, end = rng.uniform(-0.5, 0.9), 2 * np.pi + rng.uniform(-0.9, 1.1)
    parts = []
    for k in range(count):
        t = np.linspace(begin + rng.normal(0, 0.2), end + rng.normal(0, 0.2), 40)
        wide, tall = (1 + rng.normal(0, 0.12, 2)) * (half, high / 2)
        center = k * pitch + rng.normal(0, 0.08 * half), rng.normal(0, 0.05 * high)
        parts.append(np.stack([center[0] - wide * np.sin(t), center[1] - tall * np.cos(t)], axis=1))
    line = np.concatenate(parts)
    # A pen does not turn on the spot: the links round off.
    span = int(rng.integers(3, 13))
    padded = np.pad(line, ((span // 2, span // 2), (0, 0)), mode="edge")
    kernel = np.full(span, 1.0 / span)
    return np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)


def _running_loops(count: int, high: float, rng: Rng) -> NDArray[np.float64]:
    """A trochoid: the pen goes round and on at once, in loops that cross at the top or the foot: (M, 2) points."""
    pitch = high * rng.uniform(0.6, 1.2)
    half = pitch * rng.uniform(0.22, 0.6)
    t = np.linspace(rng.uniform(-0.6, 0.8), 2 * np.pi * count + rng.uniform(-0.9, 0.6), 32 * count)
    knots = np.linspace(t[0], t[-1], 2 * count + 2)
    swell = np.interp(t, knots, rng.normal(1.0, 0.12, len(knots)))
    x = pitch * t / (2 * np.pi) - half * swell * np.sin(t)
    y = -0.5 * high * swell * np.cos(t)
    return np.stack([x, -y if rng.random() < 0.5 else y], axis=1)
