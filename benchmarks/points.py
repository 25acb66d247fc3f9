"""Amounts with a decimal point in free fields: how often the number is right, and how often silently ten times another.

    python benchmarks/points.py [--amounts 500] [--seed 0]

Amounts are written by drawn hands into a form's free fields with `locale = "en"` and two decimals, scanned at 150 to
300 dpi, and read with the template. The point is plain, raised, faint, a comma, or the cents are a fraction; apart from
these five, it is left to a gap, or left out altogether.
"""

from __future__ import annotations

import argparse
from collections import Counter
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.authoring.stress import Canvas, Pen, Rng, damaged, drawn_hands
from digitscan.core.types import FieldReading, PageResult
from digitscan.forms.load import load_form_page
from digitscan.forms.template import load_template
from digitscan.training.lines import draw_sign

WAYS = ("plain", "raised", "faint", "comma", "fraction")
BEYOND = ("gap", "nothing")
RAISED = "·"
COLUMNS, ROWS = 2, 11


def template() -> str:
    """A form of free fields."""
    text = '[form]\nname = "amounts"\nsize = [210.0, 297.0]\n'
    for k in range(COLUMNS * ROWS):
        x, y = 20 + 95 * (k % COLUMNS), 30 + 23 * (k // COLUMNS)
        text += f'[[field]]\nname = "a{k}"\nkind = "free"\nbox = [{x}, {y}, 75, 13]\ndecimals = 2\nlocale = "en"\n'
    return text


def put(page: Canvas, ink: Canvas, x: float, foot: float, dark: float) -> None:
    """Lay ink on a page, its foot on a line."""
    top, left = max(round(foot - ink.shape[0]), 0), max(round(x), 0)
    region = page[top : top + ink.shape[0], left : left + ink.shape[1]]
    region *= 1 - dark * ink[: region.shape[0], : region.shape[1]]


def write(page: Canvas, box: tuple[float, float, float, float], amount: str, way: str, pen: Pen, rng: Rng) -> None:
    """Write an amount like ``15.24`` in one of `WAYS` or `BEYOND`."""
    x, y, _, h = box
    whole, cents = amount.split(".")
    high = rng.uniform(0.5, 0.68) * h
    dark, gap = float(rng.uniform(0.65, 0.95)), rng.uniform(0.08, 0.2) * high
    at, foot = x + rng.uniform(2, 20), y + 0.9 * h

    def digits(text: str, height: float, foot: float) -> None:
        nonlocal at
        for digit in text:
            ink = pen(int(digit), round(height * rng.uniform(0.94, 1.06)), rng)
            put(page, ink, at, foot + rng.normal(0, 0.02 * high), dark)
            at += ink.shape[1] + gap * rng.uniform(0.7, 1.3) * height / high

    digits(whole, high, foot)
    thick = max(2, round(0.08 * high))
    if way == "fraction":
        at += 0.1 * high
        start = at
        digits(cents, 0.48 * high, foot - 0.55 * high)
        bar = round(foot - 0.48 * high)
        cv2.line(page, (round(start), bar), (round(at), bar + round(rng.normal(0, 1))), 1 - dark, thick, cv2.LINE_AA)
        return
    if way == "gap":
        at += rng.uniform(0.5, 0.8) * high
    elif way != "nothing":
        ink, rise = draw_sign({"raised": RAISED, "comma": ","}.get(way, "."), round(high), thick, rng)
        put(page, ink, at, foot - rise * high, dark * (0.3 if way == "faint" else 1.0))
        at += ink.shape[1] + gap
    digits(cents, high, foot)


def main() -> None:
    """Draw, read, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amounts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    writer = drawn_hands()
    counts: dict[str, Counter[str]] = {way: Counter() for way in WAYS + BEYOND}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "amounts.toml"
        path.write_text(template(), encoding="utf-8")
        reader = Reader(forms=[path])
        form = load_form_page(load_template(path), 1, reader.config)
        left = {way: given.amounts // len(WAYS) for way in WAYS} | dict.fromkeys(BEYOND, given.amounts // 10)
        number = 0
        while any(left.values()):
            rng = np.random.default_rng((given.seed, number))
            number += 1
            assert form.blank is not None
            page = form.blank.image.astype(np.float32) / 255.0
            pen = writer(rng)
            truth: dict[str, tuple[str, str]] = {}
            for cell in form.cells:
                ways = [way for way, count in left.items() if count]
                if not ways:
                    break
                way = str(rng.choice(ways))
                left[way] -= 1
                amount = f"{int(10 ** rng.uniform(0, 4))}.{int(rng.integers(100)):02d}"
                truth[cell.name] = (amount, way)
                write(page, cell.box, amount, way, pen, rng)
            image = damaged(np.asarray(np.clip(page * 255, 0, 255), np.uint8), "scan", rng, form.dpi)
            outcome = reader.read_image(image)
            readings = {r.name: r for r in outcome.readings} if isinstance(outcome, PageResult) else {}
            for name, (amount, way) in truth.items():
                count(counts[way], readings.get(name), amount)
    show(counts)


def count(counts: Counter[str], reading: FieldReading | None, amount: str) -> None:
    """Add one amount."""
    counts["all"] += 1
    value = reading.value if reading is not None else ""
    counts["digits"] += reading is not None and reading.text.lstrip("0") == amount.replace(".", "").lstrip("0")
    counts["right"] += bool(value) and Decimal(value) == Decimal(amount)
    if reading is None or reading.review or not value:
        counts["review"] += 1
    elif Decimal(value) != Decimal(amount):
        counts["wrong"] += 1
        ratio = Decimal(value) / Decimal(amount) if Decimal(amount) else Decimal(0)
        counts["ten"] += ratio > 0 and ratio.normalize().as_tuple().digits == (1,)


def show(counts: dict[str, Counter[str]]) -> None:
    """Print a table."""
    table = Table(
        "point", "amounts", "digits right", "value right", "for review", "silently wrong", "by a power of ten"
    )
    five = Counter[str]()
    for way in WAYS:
        five += counts[way]
    for name, c in [*counts.items(), ("the five", five)]:
        cells = [c["digits"], c["right"], c["review"]]
        shares = [f"{cell / max(c['all'], 1):.1%}" for cell in cells]
        table.add_row(name, str(c["all"]), *shares, str(c["wrong"]), str(c["ten"]))
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
