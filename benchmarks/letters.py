"""Numbers invented on pages of words: ``python benchmarks/letters.py [--pages N]``.

Sets some 2,000 letters of this project's own prose a page, punctuation and all but without digits, in the free fonts of
this machine, scans them, and counts the strings that are read.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.core.types import PageResult
from digitscan.training.drawing import scan
from digitscan.training.fonts import find_fonts

ROOT = Path(__file__).resolve().parent.parent
NOT_LETTERS = re.compile(r"(?i)dseg|seven|segment|symbol|dingbat|ocr|math|stix|cmex|cmsy|cmmi|lcd")


def words() -> list[str]:
    """Words of the documentation, with their punctuation; none with a digit or markup."""
    texts = [path.read_text(encoding="utf-8") for path in (*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md")]
    return [w for w in " ".join(texts).split() if re.fullmatch(r"[\"'(]?[A-Za-z]+(-[A-Za-z]+)?[.,;:\"')!?]*", w)]


def text_page(font: Path, size: int, pool: list[str], rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """(2339, 1654) uint8, an A4 page at 200 dpi, and how many letters are on it."""
    face = ImageFont.truetype(font, size)
    picture = Image.new("L", (1654, 2339), 250)
    draw = ImageDraw.Draw(picture)
    start = int(rng.integers(len(pool)))
    x, y, letters = 120.0, 120, 0
    while letters < 2000 and y < 2180:
        word = pool[start % len(pool)]
        start += 1
        width = draw.textlength(word + " ", font=face)
        if x + width > 1540:
            x, y = 120.0, y + round(1.5 * size)
        draw.text((x, y), word, fill=35, font=face)
        x += width
        letters += sum(c.isalpha() for c in word)
    return scan(np.asarray(picture, np.float32) / 255, rng), letters


def main() -> None:
    """Set, scan, read, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=24)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(11)
    fonts = [path for path in find_fonts()[0] if not NOT_LETTERS.search(path.name)]
    reader, pool = Reader(), words()
    table = Table("font", "size, px", "letters", "strings read")
    letters = found = 0
    for index in rng.permutation(len(fonts))[: arguments.pages]:
        size = int(rng.integers(24, 44))
        page, count = text_page(fonts[index], size, pool, rng)
        outcome = reader.read_image(page)
        if not isinstance(outcome, PageResult):
            raise SystemExit(f"{fonts[index]}: {outcome.message}")
        table.add_row(
            fonts[index].stem,
            str(size),
            str(count),
            " ".join(f"{r.text}({r.confidence:.2f})" for r in outcome.readings),
        )
        letters, found = letters + count, found + len(outcome.readings)
    console = Console()
    console.print(table)
    console.print(f"{found} strings on {letters} letters: {2000 * found / letters:.2f} on 2,000")


if __name__ == "__main__":
    main()
