"""Digits drawn on a screen, wherever and however large: stroke fonts and drawn hands, as the page sends them.

    python benchmarks/drawn.py [--digits 500]

Every drawing is one digit on the page's sheet of 960 x 480 pixels, 24 to 400 pixels high, with a pen of 4 to 30 pixels.
It is read as ``POST /api/draw`` reads it; right is one number whose text is the digit.
"""

from __future__ import annotations

import argparse
from collections import Counter

import cv2
import numpy as np
from rich.console import Console

from digitscan import Reader
from digitscan.authoring.stress import drawn_hands
from digitscan.web.drawings import read_drawing

SHEET = (480, 960)
FACES = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)  # fmt: skip


def by_font(rng: np.random.Generator, digit: int, height: int) -> np.ndarray:
    """(h, w) float in 0..1: a digit of a stroke font, slanted and stretched."""
    face = FACES[int(rng.integers(len(FACES)))]
    (_, tall), _ = cv2.getTextSize(str(digit), face, 1.0, 1)
    scale = height / max(tall, 1)
    pen = int(np.clip(rng.integers(4, 31), 1, max(2, height // 5)))
    (wide, tall), base = cv2.getTextSize(str(digit), face, scale, pen)
    margin = pen + height // 2
    ink = np.zeros((tall + base + 2 * margin, wide + 2 * margin), np.uint8)
    cv2.putText(ink, str(digit), (margin, margin + tall), face, scale, 255, pen, cv2.LINE_AA)
    shear = np.array([[rng.uniform(0.85, 1.15), rng.uniform(-0.25, 0.25), 0], [0, 1, 0]], np.float64)
    ink = cv2.warpAffine(ink, shear, (ink.shape[1], ink.shape[0]))
    x, y, w, h = cv2.boundingRect((ink > 40).view(np.uint8))
    return ink[y : y + h, x : x + w] / 255.0


def main() -> None:
    """Draw, read, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--digits", type=int, default=500)
    given = parser.parse_args()
    rng = np.random.default_rng(11)
    hand, reader = drawn_hands(), Reader(jobs=1)
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    wrong: list[str] = []
    for number in range(given.digits):
        digit, height = number % 10, int(np.exp(rng.uniform(np.log(24), np.log(400))))
        kind = "stroke fonts" if number // 10 % 2 else "drawn hands"
        ink = hand(rng)(digit, height, rng) if kind == "drawn hands" else by_font(rng, digit, height)
        ink = ink[: SHEET[0] - 4, : SHEET[1] - 4]
        sheet = np.full(SHEET, 255, np.float32)
        y, x = (int(rng.integers(2, max(3, side - length - 2))) for side, length in zip(SHEET, ink.shape, strict=True))
        sheet[y : y + ink.shape[0], x : x + ink.shape[1]] *= 1 - ink
        texts = [n.reading.text for n in read_drawing(reader, sheet.astype(np.uint8))]
        total[kind] += 1
        if texts == [str(digit)]:
            right[kind] += 1
        else:
            wrong.append(f"{digit}->{'+'.join(texts) or 'nothing'} ({kind}, {height} px)")
    console = Console(highlight=False)
    for kind in total:
        console.print(f"{kind}: {right[kind]} of {total[kind]}, {right[kind] / total[kind]:.1%}")
    console.print(f"all: {sum(right.values()) / sum(total.values()):.1%}")
    console.print("wrong: " + ", ".join(wrong[:40]))


if __name__ == "__main__":
    main()
