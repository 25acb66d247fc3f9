"""What stands in cells and boxes and is no number: words, letters, ticks, crosses, boxes, tallies, nothing at all."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.training.faces import set_text
from digitscan.training.handwriting import curve
from digitscan.training.line_texts import GRADES, random_word
from digitscan.training.penmanship import PenBank

Rng = np.random.Generator
Ink = NDArray[np.uint8]
Points = list[tuple[float, float]]


def _lines(strokes: list[Points], height: float, pen: float, rng: Rng, *, smooth: bool = False) -> Ink:
    """Draw strokes that are given in heights, y downwards; the pen wavers."""
    side = int(3.2 * height) + 8
    wide = int((max(x for own in strokes for x, _ in own) + 1.6) * height) + 8
    canvas = np.zeros((side, wide), np.uint8)
    for own in strokes:
        points = (np.array(own) + rng.normal(0, 0.02, (len(own), 2)) + 0.8) * height
        if smooth:
            points = curve(points)
        cv2.polylines(canvas, [(points * 16).astype(np.int32)], False, 255, max(1, round(pen)), cv2.LINE_AA, 4)
    x, y, w, h = cv2.boundingRect((canvas > 90).view(np.uint8))
    return np.ascontiguousarray(canvas[y : y + h, x : x + w])


def _tick(rng: Rng) -> list[Points]:
    knee = (rng.uniform(0.15, 0.4), 1.0)
    return [[(0.0, rng.uniform(0.45, 0.8)), knee, (rng.uniform(0.7, 1.6), rng.uniform(-0.3, 0.2))]]


def _cross(rng: Rng) -> list[Points]:
    w = rng.uniform(0.5, 1.1)
    return [[(0.0, 0.0), (w, 1.0)], [(w, rng.uniform(-0.1, 0.1)), (0.0, 1.0)]]


def _box(rng: Rng) -> list[Points]:
    w = rng.uniform(0.8, 1.3)
    sides: list[Points] = [[(0, 0), (w, 0)], [(w, 0), (w, 1)], [(w, 1), (0, 1)], [(0, 1), (0, 0)]]
    return sides


def _tally(rng: Rng) -> list[Points]:
    """Groups of strokes, each struck through: five at a time, or a few that are left."""
    strokes: list[Points] = []
    x = 0.0
    pitch, lean = rng.uniform(0.14, 0.3), rng.normal(0.05, 0.06)
    for group in range(int(rng.integers(1, 4))):
        count = 4 if group == 0 or rng.random() < 0.6 else int(rng.integers(2, 5))
        start = x
        for _ in range(count):
            strokes.append([(x + lean, rng.normal(0, 0.04)), (x - lean, 1 + rng.normal(0, 0.04))])
            x += pitch * rng.uniform(0.85, 1.15)
        if count == 4:
            strokes.append([(start - 0.8 * pitch, rng.uniform(0.6, 1.0)), (x, rng.uniform(0.0, 0.4))])
        x += rng.uniform(0.3, 0.6)
    return strokes


def _question(rng: Rng) -> list[Points]:
    return [
        [(0.05, 0.25), (0.2, 0.02), (0.5, 0.1), (0.48, 0.38), (0.26, 0.52), (0.25, rng.uniform(0.65, 0.75))],
        [(0.25, 0.95), (0.26, 0.99)],
    ]


def _ditto(rng: Rng) -> list[Points]:
    gap = rng.uniform(0.12, 0.3)
    lean = rng.uniform(-0.02, 0.12)
    strokes: list[Points] = [[(k * gap + lean, 0.0), (k * gap, rng.uniform(0.25, 0.4))] for k in range(2)]
    return strokes


def _wave(rng: Rng) -> list[Points]:
    steps = int(rng.integers(3, 8))
    return [[(k * rng.uniform(0.2, 0.5), 0.5 + rng.normal(0, 0.12)) for k in range(steps)]]


def _scrawl(rng: Rng) -> list[Points]:
    """Loops and humps like a signature."""
    t = np.linspace(0, rng.uniform(6, 26), 60)
    x = t * rng.uniform(0.05, 0.16) + 0.25 * np.sin(t * rng.uniform(0.8, 1.5))
    y = 0.5 + 0.5 * np.cos(t) * np.interp(t, np.linspace(0, t[-1], 6), rng.uniform(0.2, 1.2, 6))
    return [list(zip((x - x.min()).tolist(), y.tolist(), strict=True))]


def _circled(rng: Rng) -> list[Points]:
    """A ring as of a choice that is circled, flat or high, much larger than a zero, or one that is filled in."""
    t = np.linspace(rng.uniform(0, 6), rng.uniform(6.5, 9) + 6, 40)
    a, b = rng.uniform(1.1, 2.6), rng.uniform(0.5, 0.8)
    return [list(zip((a * (1 + np.cos(t))).tolist(), (0.5 + b * np.sin(t)).tolist(), strict=True))]


_STROKES = ((_tick, 0.20), (_cross, 0.20), (_box, 0.13), (_tally, 0.15), (_question, 0.10), (_ditto, 0.07),
            (_wave, 0.05), (_scrawl, 0.06), (_circled, 0.04))  # fmt: skip


def draw_nothing(bank: PenBank, height: float, rng: Rng) -> Ink:
    """Draw one of the things that are no number: (h, w) uint8 ink, tight; without any ink where the place is empty."""
    kind = rng.random()
    faces = [own for own in (bank.printed, bank.scripts) if own]
    if kind < 0.12:  # empty paper, or what a scanner makes of it
        return np.zeros((int(height), int(height * rng.uniform(0.6, 8))), np.uint8)
    if kind < 0.62 and faces:
        own = faces[int(rng.integers(len(faces)))]
        face = own[int(rng.integers(len(own)))]
        if kind < 0.32:  # grades
            text = GRADES[int(rng.integers(len(GRADES)))] + str(rng.choice(["", "", "", "+", "-", "++"]))
        else:
            text = " ".join(random_word(rng) for _ in range(1 if rng.random() < 0.75 else int(rng.integers(2, 4))))
        spacing = float(rng.normal(0, 0.03))
        ink, _ = set_text(face, text, rng, spacing=spacing, jitter=0.015 if rng.random() < 0.3 else 0.0)
        scale = height / face.height
        ink = cv2.resize(ink, None, fx=scale * rng.uniform(0.85, 1.2), fy=scale, interpolation=cv2.INTER_AREA)
        x, y, w, h = cv2.boundingRect((ink > 90).view(np.uint8))
        if w:
            return np.ascontiguousarray(ink[y : y + h, x : x + w])
    return draw_mark(height, rng)


def draw_mark(height: float, rng: Rng) -> Ink:
    """Draw a tick, a cross, a box, a tally, a question mark or the like: (h, w) uint8 ink, tight."""
    pen = height * float(np.exp(rng.uniform(np.log(0.04), np.log(0.14))))
    draw, strokes = rng.random(), _cross
    for make, share in _STROKES:
        if draw < share:
            strokes = make
            break
        draw -= share
    size = height * float(rng.uniform(0.6, 1.2)) * (0.5 if strokes is _ditto else 1.0)
    smooth = strokes in (_question, _tick, _wave) and rng.random() < 0.8
    return _lines(strokes(rng), size, pen, rng, smooth=smooth)
