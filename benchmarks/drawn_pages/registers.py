"""Typed registers: columns between upright rules, tight rows, halves, decimal commas, ditto marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .damage import damaged, random_damage
from .printing import pick_font, set_text, text_size
from .sheet import Sheet, rule_style
from .tables import Ruling, draw_ruling
from .truth import DrawnPage, Rect, Rng
from .words import MONTHS, QUANTITIES


def _entry(rng: Rng, kind: str) -> str:
    """One cell as it is typed; ``½`` and ``¼`` stand for fractions, ``"`` for a ditto mark."""
    if kind == "whole half":
        return str(rng.integers(740, 771)) + str(rng.choice(["½", "", "½", ""]))
    if kind == "small half":
        return str(rng.integers(1, 36)) + str(rng.choice(["½", "", "", "½", "¼"]))
    if kind == "comma":
        return "" if rng.random() < 0.3 else f"{rng.integers(0, 30)},{rng.integers(0, 10)}"
    if kind == "unit":
        return f"{rng.integers(1, 400)} m/m"
    if kind == "thousand":
        return f"{rng.integers(1, 90)}.{rng.integers(0, 1000):03d}"
    return str(rng.integers(1, 10000))


def _entry_width(text: str, font: Path, size: float) -> float:
    plain = text.rstrip("½¼")
    return (text_size(plain, font, size)[0] if plain else 0.0) + 0.75 * size * (plain != text)


def register(seed: int, rng: Rng) -> DrawnPage:
    """A month of readings: a day's number, then columns of values; few rules run across."""
    size = float(np.exp(rng.uniform(np.log(12), np.log(34))))
    over = 2 if size < 18 else 1
    font = pick_font(rng, str(rng.choice(["Mono", "cmtt", "STIX", "Serif", "cmr"])))
    rows = int(rng.integers(8, 26))
    kinds = [
        str(rng.choice(["whole half", "small half", "comma", "unit", "thousand", "whole"]))
        for _ in range(int(rng.integers(3, 7)))
    ]
    pitch, margin = size * float(rng.uniform(1.25, 1.9)), 2.0 * size + 10
    month = rng.random() < 0.6
    entries = [[_entry(rng, kind) for kind in kinds] for _ in range(rows)]
    spare = size * float(rng.uniform(2.6, 4.0))
    columns = [max(_entry_width(row[j], font, size) for row in entries) + spare for j in range(len(kinds))]
    widths = ([7.5 * size] if month else []) + [3.4 * size] + columns
    xs = np.cumsum([margin, *widths]).tolist()
    head = 2.6 * size
    ys = [margin, margin + head, margin + head + 0.6 * pitch + rows * pitch]
    sheet = Sheet(int(xs[-1] + margin), int(ys[-1] + margin + size), over, rng)
    style = rule_style(rng, size)
    sides = bool(rng.random() < 0.5)
    draw_ruling(
        sheet, xs, ys, Ruling(style, rows=bool(rng.random() < 0.85), sides=sides, ends=bool(rng.random() < 0.7))
    )
    dark = float(rng.uniform(0.6, 1.0))
    first = int(month)
    for k in range(len(widths)):
        title = "DAY" if k == first else "MONTH" if k < first else str(rng.choice(QUANTITIES))
        small = min(0.8 * size, 0.8 * size * (widths[k] - 6) / text_size(title, font, 0.8 * size)[0])
        sheet.print(title, (xs[k] + xs[k + 1]) / 2, ys[0] + 1.7 * size, small, font, dark, align="center")
    start = int(rng.integers(1, 5))
    left_aligned = bool(rng.random() < 0.5)
    for i in range(rows):
        line = ys[1] + 0.6 * pitch + (i + 0.8) * pitch + rng.normal(0, 0.03) * size
        if month:
            word = str(rng.choice(MONTHS)) if i == 0 else '"'
            sheet.print(word, xs[0] + (0.4 if i == 0 else 2.0) * size, line, 0.8 * size if i == 0 else size, font, dark)
        day = str(start + i)
        cell = Rect(xs[first], line - 0.8 * size - 0.1 * pitch, xs[first + 1] - xs[first], pitch)
        spot = sheet.print(day, xs[first + 1] - 0.7 * size, line, size, font, dark, align="right")
        sheet.note(day, spot, cells=[cell], size=size)
        for j, own in enumerate(entries[i]):
            if own and i and rng.random() < 0.05:
                sheet.print('"', xs[first + j + 1] + 2.0 * size, line, size, font, dark)
                continue
            left, right = xs[first + j + 1], xs[first + j + 2]
            x = left + 1.1 * size if left_aligned else right - 0.9 * size - _entry_width(own, font, size)
            _type(sheet, own, x, line, size, font, dark, cell._replace(x=left, width=right - left))
    image, numbers = damaged(sheet, random_damage(rng, size), rng)
    return DrawnPage("registers", seed, image, numbers, "table")


def _type(sheet: Sheet, text: str, x: float, line: float, size: float, font: Path, dark: float, cell: Rect) -> None:
    """Type an entry and note it; a fraction is set small, one figure above the other."""
    plain = text.rstrip("½¼")
    spot = sheet.print(plain, x, line, size, font, dark)
    if spot is None:
        return
    if plain != text:
        at = spot.x + spot.width + 0.12 * size
        lower = "2" if text.endswith("½") else "4"
        parts = [sheet.print("1", at + 0.1 * size, line - 0.55 * size, 0.48 * size, font, dark),
                 sheet.print(lower, at + 0.1 * size, line + 0.12 * size, 0.48 * size, font, dark)]  # fmt: skip
        bar = np.array([[at, line - 0.46 * size], [at + 0.55 * size, line - 0.46 * size]])
        sheet.stroke(bar, max(0.8, 0.07 * size), dark)
        spot = Rect.around(np.concatenate([p.corners for p in (spot, *parts) if p is not None]))
        whole = "".join(c for c in plain if c.isdigit())
        sheet.note(whole + "1" + lower, spot, text, also=(whole,), cells=[cell], size=size)
        return
    # A unit's letters are no part of the number.
    if plain.endswith(" m/m"):
        own = set_text(plain.removesuffix(" m/m"), font, size, sheet.over)
        spot = spot._replace(width=own.shape[1] / sheet.over)
    sheet.note(plain, spot, cells=[cell], size=size)
