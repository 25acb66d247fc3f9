"""A printed 9x9 grid in perspective, as of a photographed newspaper: one digit a cell, most cells empty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .damage import damaged, random_damage
from .hands import Writer
from .printing import pick_font
from .sheet import RuleStyle, Sheet
from .truth import DrawnPage, Rect, Rng


def puzzle(seed: int, rng: Rng) -> DrawnPage:
    """Printed digits, and often some by hand; each digit is a number of its own."""
    size = float(rng.uniform(18, 42))
    side = size * float(rng.uniform(1.6, 2.1))
    margin = side * float(rng.uniform(0.6, 1.5))
    sheet = Sheet(int(9 * side + 2 * margin), int(9 * side + 2 * margin), 1, rng)
    thin = RuleStyle(float(rng.uniform(1, 2)), float(rng.uniform(0.4, 0.9)))
    thick = RuleStyle(thin.weight + float(rng.uniform(1, 3)), 0.95)
    for k in range(10):
        style = thick if k % 3 == 0 else thin
        sheet.rule(margin + k * side, margin, margin + k * side, margin + 9 * side, style)
        sheet.rule(margin, margin + k * side, margin + 9 * side, margin + k * side, style)
    font, writer = pick_font(rng), Writer(rng)
    share, hand = float(rng.uniform(0.25, 0.45)), float(rng.choice([0.0, 0.0, 0.2, 0.5]))
    for i in range(9):
        for j in range(9):
            x, line = margin + (j + 0.5) * side, margin + (i + 0.5) * side + size / 2
            text = str(rng.integers(1, 10))
            cell = Rect(margin + j * side, margin + i * side, side, side)
            if rng.random() < share:
                spot = sheet.print(text, x, line, size, font, 0.92, align="center")
                sheet.note(text, spot, cells=[cell], size=size)
            elif rng.random() < hand:
                spot = writer.write(sheet, text, x + rng.normal(0, 0.05) * side, line, size, 0.75, align="center")
                sheet.note(text, spot, cells=[cell], size=size)
    how = random_damage(rng, size, corners=float(rng.uniform(0.0, 0.09)))
    how = replace(how, shadow=float(rng.uniform(0, 0.5)), skew_degrees=float(rng.normal(0, 2)), one_bit=False)
    image, numbers = damaged(sheet, how, np.random.default_rng(rng.integers(2**32)))
    return DrawnPage("puzzles", seed, image, numbers)
