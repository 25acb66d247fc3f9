"""Graded sheets: touching, struck-out and overwritten marks, ticks, crosses, empty boxes and question marks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .damage import damaged, random_damage
from .hands import Writer
from .printing import pick_font
from .sheet import RuleStyle, Sheet
from .tables import draw_ruling, random_ruling
from .truth import DrawnPage, Rect, Rng
from .words import SUBJECTS

_SHAPES: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "tick": (((0.0, 0.55), (0.12, 0.75), (0.28, 1.0), (0.55, 0.45), (0.85, 0.0)),),
    "cross": (((0.0, 0.05), (0.4, 0.5), (0.8, 0.98)), ((0.78, 0.0), (0.4, 0.5), (0.02, 1.0))),
    "question": (
        ((0.05, 0.22), (0.2, 0.02), (0.5, 0.05), (0.52, 0.32), (0.28, 0.5), (0.26, 0.72)),
        ((0.26, 0.94), (0.27, 0.97), (0.26, 1.0)),
    ),
    "box": (((0.0, 0.2), (0.0, 1.0), (0.8, 1.0), (0.8, 0.2), (0.0, 0.2)),),
}
"""Marks that are no numbers, in a frame of height 1."""


def _draw(
    sheet: Sheet, rng: Rng, what: str, middle: float, foot: float, height: float, pen: float, dark: float
) -> None:
    for stroke in _SHAPES[what]:
        points = np.array(stroke) + (rng.normal(0, 0.03, (len(stroke), 2)) if what != "box" else 0.0)
        points = points * 0.9 * height + [middle - 0.36 * height, foot - 0.9 * height]
        sheet.stroke(points, pen, dark)


def _struck(sheet: Sheet, rng: Rng, spot: Rect, pen: float, dark: float) -> None:
    """Strike a number out: a line or two, or a slanting cross."""
    x, y, w, h = spot
    ends = (
        [((-0.1, 0.55), (1.1, 0.45))]
        if rng.random() < 0.5
        else [((-0.05, 0.9), (1.05, 0.1)), ((-0.05, 0.1), (1.05, 0.9))]
    )
    for (x0, y0), (x1, y1) in ends:
        sheet.stroke(np.array([[x + x0 * w, y + y0 * h], [x + x1 * w, y + y1 * h]]), pen, dark)


def graded(seed: int, rng: Rng) -> DrawnPage:
    """Cells of one hand's marks; a struck-out mark often has the right one beside it, which alone is a number."""
    height = float(np.exp(rng.uniform(np.log(16), np.log(42))))
    over = 2 if height < 28 else 1
    writer = Writer(rng)
    if rng.random() < 0.5:  # a hand whose digits touch
        writer.gap, writer.least = -0.03, -0.06
    dark, pen = float(rng.uniform(0.65, 1.0)), max(1.0, writer.pen * height)
    rows, columns = int(rng.integers(5, 11)), int(rng.integers(3, 7))
    ruling = random_ruling(rng, height, open_share=0.0)
    pitch, wide, margin = height * float(rng.uniform(1.5, 2.2)), height * 4.2, 1.5 * height + 8
    xs = [margin + wide * k for k in range(columns + 1)]
    ys = [margin + pitch * k for k in range(rows + 2)]
    sheet = Sheet(int(xs[-1] + margin), int(ys[-1] + margin), over, rng)
    draw_ruling(sheet, xs, ys, ruling)
    font = pick_font(rng, "Sans")
    for j in range(columns):
        word = str(rng.choice(SUBJECTS))
        sheet.print(word, (xs[j] + xs[j + 1]) / 2, ys[1] - 0.4 * pitch, 0.5 * height, font, 0.85, align="center")
    for i in range(1, rows + 1):
        for left, right in pairwise(xs):
            cell, foot = Rect(left, ys[i], wide, pitch), ys[i + 1] - 0.5 * (pitch - height)
            middle, text = (
                (left + right) / 2,
                str(rng.integers(0, 101) if rng.random() < 0.7 else rng.integers(10, 1000)),
            )
            draw = rng.random()
            if draw < 0.2:
                _draw(sheet, rng, str(rng.choice(list(_SHAPES))), middle, foot, height, pen, dark)
                continue
            if draw < 0.28:
                old = writer.write(
                    sheet, str(rng.integers(10, 100)), left + 0.3 * height, foot, height, dark, squeeze=1.4 * height
                )
                if old is not None:
                    _struck(sheet, rng, old, pen, dark)
                if rng.random() < 0.4:
                    continue  # struck out, and nothing instead
                spot = writer.write(
                    sheet, text[:2], right - 0.3 * height, foot, height, dark, align="right", squeeze=1.7 * height
                )
                sheet.note(text[:2], spot, cells=[cell], size=height)
                continue
            x = middle + rng.normal(0, 0.15) * height
            if draw < 0.33:  # written over a lighter one
                text = str(rng.integers(1, 10))
                writer.write(sheet, str(rng.integers(2, 10)), x, foot, 0.95 * height, 0.45 * dark, align="center")
            spot = writer.write(sheet, text, x, foot, height, dark, align="center", squeeze=wide - height)
            sheet.note(text, spot, cells=[cell], size=height)
    image, numbers = damaged(sheet, random_damage(rng, height), rng)
    return DrawnPage("graded", seed, image, numbers, "table")


def bubbles(seed: int, rng: Rng) -> DrawnPage:
    """A number in a row of boxes above columns of printed bubbles; those in bubbles are optional."""
    side = float(np.exp(rng.uniform(np.log(24), np.log(60))))
    writer, count = Writer(rng), int(rng.integers(4, 11))
    margin = 1.2 * side
    sheet = Sheet(
        int(count * side + 2 * margin), int(12.5 * side * 0.8 + 2 * margin + side), 2 if side < 40 else 1, rng
    )
    style, font = RuleStyle(float(rng.uniform(1, 2.5)), float(rng.uniform(0.4, 0.9))), pick_font(rng, "Sans")
    text = "".join(map(str, rng.integers(0, 10, count)))
    boxes = [Rect(margin + k * side, margin, side, side) for k in range(count)]
    spots, round_ = [], np.linspace(0, 2 * np.pi, 25)
    empty = rng.random() < 0.4  # bubbles without a digit in them
    for box, digit in zip(boxes, text, strict=True):
        sheet.frame(box, style)
        spot = writer.write(
            sheet, digit, box.x + side / 2, box.y + 0.85 * side, 0.7 * side, 0.9, align="center", squeeze=0.85 * side
        )
        spots += [spot.corners] if spot is not None else []
        for k in range(10):
            x, y = box.x + side / 2, margin + side * (1.6 + 0.8 * k)
            ring = np.stack([x + 0.3 * side * np.cos(round_), y + 0.3 * side * np.sin(round_)], axis=1)
            sheet.stroke(ring, max(1.0, 0.6 * style.weight), 0.7 * style.darkness)
            if str(k) == digit:
                sheet.stroke(ring * 0.5 + [x / 2, y / 2], 0.32 * side, 0.85)
            elif not empty:
                own = sheet.print(str(k), x, y + 0.15 * side, 0.3 * side, font, 0.8 * style.darkness, align="center")
                sheet.note(str(k), own, optional=True)
    sheet.note(text, Rect.around(np.concatenate(spots)), cells=boxes, size=0.7 * side)
    image, numbers = damaged(sheet, random_damage(rng, 0.7 * side), rng)
    return DrawnPage("bubbles", seed, image, numbers)
