"""What still goes wrong, as a picture: ``python benchmarks/worst_cases.py --out docs/worst-cases.png``.

Amounts are drawn by rule in the regional hands of `digitscan.training.handwriting` (no writer's page is shown), put on
patterned paper, read with the shipped model as one string each, and the mistakes are laid out with truth and reading.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from digitscan import Reader
from digitscan.core.types import PageResult
from digitscan.training.handwriting import drawn_sources
from digitscan.training.sources import Glyph


def amount(glyphs: dict[int, list[Glyph]], text: str, rng: np.random.Generator) -> np.ndarray:
    """(H, W) uint8: an amount in one hand, digits close together or touching, on patterned grey paper."""
    height = 46
    parts = []
    for character in text:
        glyph = glyphs[int(character)][int(rng.integers(len(glyphs[int(character)])))]
        width = max(4, round(glyph.shape[1] * height / glyph.shape[0] * rng.uniform(0.8, 1.1)))
        parts.append(cv2.resize(glyph, (min(width, 60), height), interpolation=cv2.INTER_AREA))
    sheet = np.zeros((92, 60 + sum(p.shape[1] + 10 for p in parts)), np.float32)
    x = 24
    for part in parts:
        y = 22 + int(rng.integers(-2, 3))
        region = sheet[y : y + height, x : x + part.shape[1]]
        np.maximum(region, part.astype(np.float32) / 255, out=region)
        x += part.shape[1] + round(height * rng.uniform(-0.10, 0.14))
    sheet = sheet[:, : x + 30]
    lean = float(rng.uniform(0, 0.35))
    matrix = np.array([[1, -lean, lean * 60], [0, 1, 0]])
    sheet = cv2.warpAffine(sheet, matrix, (sheet.shape[1] + 20, sheet.shape[0]))
    ys, xs = np.mgrid[0 : sheet.shape[0], 0 : sheet.shape[1]]
    wave = np.sin((ys + 3 * np.sin(xs / 17)) * 2 * np.pi / rng.uniform(5, 9)) > 0.3
    paper = rng.uniform(0.6, 0.8) - 0.05 * wave + rng.normal(0, 0.015, sheet.shape)
    page = cv2.GaussianBlur((paper * (1 - 0.7 * sheet)).astype(np.float32), (0, 0), 0.8)
    return np.clip(page * 255, 0, 255).astype(np.uint8)


def main() -> None:
    """Draw, read, and show the mistakes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("worst-cases.png"))
    parser.add_argument("--model", default="")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--shown", type=int, default=20)
    arguments = parser.parse_args()
    rng = np.random.default_rng(11)
    digits, _ = drawn_sources(120, seed=99)  # another seed than training's: these very drawings were never seen
    glyphs = {d: [g for g, label in zip(digits.glyphs, digits.labels, strict=True) if label == d] for d in range(10)}
    reader = Reader(layout="line", model=arguments.model)
    tiles, right = [], 0
    for number in range(arguments.count):
        text = "".join(rng.choice(list("0000123456789"), int(rng.integers(3, 7))))
        page = amount(glyphs, text, rng)
        outcome = reader.read_image(page, f"{number}")
        read = "".join(r.text for r in outcome.readings) if isinstance(outcome, PageResult) else "nothing"
        right += read == text
        if read != text and len(tiles) < arguments.shown:
            tile = np.full((124, 330), 255, np.uint8)
            shown = page[:, :320]
            tile[4 : 4 + shown.shape[0], 5 : 5 + shown.shape[1]] = shown
            cv2.putText(tile, f"{text} read as {read}", (6, 116), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
            tiles.append(tile)
    while len(tiles) % 4:
        tiles.append(np.full((124, 330), 255, np.uint8))
    rows = [np.hstack(tiles[k : k + 4]) for k in range(0, len(tiles), 4)]
    if rows:
        cv2.imwrite(str(arguments.out), np.vstack(rows))
    Console().print(f"{right} of {arguments.count} drawn amounts right; mistakes are in {arguments.out}")


if __name__ == "__main__":
    main()
