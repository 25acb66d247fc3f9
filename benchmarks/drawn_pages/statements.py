"""Printed statements: tables below each other, headings that span columns, years, leaders, minus signs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .damage import damaged, random_damage
from .printing import pick_font, text_size
from .sheet import RuleStyle, Sheet, rule_style
from .truth import DrawnPage, Rect, Rng
from .words import WORDS


def _entry(rng: Rng) -> str:
    """An amount; one in four is negative, one in twelve is a dash."""
    if rng.random() < 0.08:
        return str(rng.choice(["-", "–", "nil"]))
    text = f"{int(np.exp(rng.uniform(np.log(2), np.log(2e6)))):,}" + (f".{rng.integers(10)}" * (rng.random() < 0.2))
    draw = rng.random()
    return f"({text})" if draw < 0.12 else f"{rng.choice(['-', '–'])}{text}" if draw < 0.25 else text


def _year(rng: Rng) -> tuple[str, tuple[str, ...]]:
    """A year or two as a heading, and the other digits that are right for it."""
    year = int(rng.integers(1950, 2030))
    if rng.random() < 0.3:
        return f"{year}-{(year + 1) % 100:02d}", (str(year), f"{(year + 1) % 100:02d}")
    return str(year), ()


def _heads(
    sheet: Sheet, rng: Rng, xs: list[float], groups: list[int], y: float, high: float, font: Path, size: float,
    style: RuleStyle | None,
) -> None:  # fmt: skip
    """Two rows of headings: one over each group of columns, one over each column; a year is optional truth."""
    at = 1
    years = rng.random() < 0.6
    for group in groups:
        left, right = xs[at], xs[at + group]
        word = str(rng.choice(["Budget", "Actual", "Domestic", "Foreign", "Total", "Change"]))
        sheet.print(word, (left + right) / 2, y + 0.7 * high, size, font, 0.9, align="center")
        if style is not None:
            sheet.rule(left, y + high, right, y + high, style)
            sheet.rule(left, y, left, y + 2 * high, style)
        for k in range(group):
            middle = (xs[at + k] + xs[at + k + 1]) / 2
            own, also = _year(rng) if years else (str(rng.choice(["Gross", "Net", "Paid", "Due"])), ())
            spot = sheet.print(own, middle, y + 1.7 * high, size, font, 0.9, align="center")
            sheet.note(own, spot, also=also, optional=True)
        at += group


def _table(sheet: Sheet, rng: Rng, x: float, y: float, font: Path, size: float, groups: list[int], rows: int) -> float:
    """One table from (x, y); gives where it ends below."""
    columns = sum(groups)
    style = rule_style(rng, size)
    kind = str(rng.choice(["all", "columns", "heads", "none"], p=[0.45, 0.2, 0.25, 0.1]))
    wide, pitch, pad = size * float(rng.uniform(9, 11)), size * float(rng.uniform(1.6, 2.2)), 0.6 * size
    xs = [x, *(x + 15 * size + wide * k for k in range(columns + 1))]
    dark, head = float(rng.uniform(0.75, 1.0)), 1.3 * pitch
    _heads(sheet, rng, xs, groups, y, head, font, size, style if kind != "none" else None)
    top = y + 2 * head
    leaders = rng.random() < 0.5
    row = 0
    for _ in range(rows):
        above, foot = top + row * pitch, top + (row + 0.5) * pitch + size / 2
        row += 1
        if kind == "all":
            sheet.rule(xs[0], above, xs[-1], above, style)
        if rng.random() < 0.1:  # one cell over the whole width
            sheet.print(" ".join(map(str, rng.choice(WORDS, 2))), xs[0] + pad, foot, size, font, dark)
            continue
        word = str(rng.choice(WORDS))
        sheet.print(word, xs[0] + pad, foot, size, font, dark)
        if leaders:
            start = xs[0] + pad + text_size(word, font, size)[0] + size
            for dot in np.arange(start, xs[1] - 1.5 * size, 0.8 * size).tolist():
                sheet.print(".", dot, foot, size, font, dark)
        for j in range(columns):
            own = _entry(rng)
            spot = sheet.print(own, xs[j + 2] - pad, foot, size, font, dark, align="right")
            sheet.note(own, spot, cells=[Rect(xs[j + 1], above, wide, pitch)], size=size)
    bottom = top + row * pitch
    if kind != "none":
        for line in (y, top, bottom):
            sheet.rule(xs[0], line, xs[-1], line, style)
    if kind in ("all", "columns"):
        for k, edge in enumerate(xs):
            if 1 < k < len(xs) - 1:
                sheet.rule(edge, y + head, edge, bottom, style)
            else:
                sheet.rule(edge, y, edge, bottom, style)
    return bottom


def statement(seed: int, rng: Rng) -> DrawnPage:
    """One to three tables on a page, each with its own columns."""
    size = float(np.exp(rng.uniform(np.log(9), np.log(24))))
    over = 2 if size < 16 else 1
    font = pick_font(rng, str(rng.choice(["Sans", "Serif", "STIX", "cm"])))
    tables = [([int(rng.integers(1, 4)) for _ in range(int(rng.integers(1, 3)))], int(rng.integers(4, 11)))
              for _ in range(int(rng.integers(1, 4)))]  # fmt: skip
    widest = max(sum(groups) for groups, _ in tables)
    margin = 2 * size + 10
    height = sum(2.2 * size * (rows + 3) + 4 * size for _, rows in tables) + 2 * margin
    sheet = Sheet(int(2 * margin + 15 * size + 11.1 * size * widest), int(height), over, rng)
    y = margin
    for groups, rows in tables:
        sheet.print(" ".join(map(str, rng.choice(WORDS, 3))), margin, y + 1.4 * size, 1.3 * size, font, 0.9)
        y = _table(sheet, rng, margin, y + 2.4 * size, font, size, groups, rows) + 1.6 * size
    image, numbers = damaged(sheet, random_damage(rng, size), rng)
    return DrawnPage("statements", seed, image, numbers, "table")
