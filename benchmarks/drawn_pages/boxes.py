"""Rows of boxes with a digit each, combs, and the wide box of an amount."""

from __future__ import annotations

import numpy as np

from .damage import damaged, random_damage
from .hands import Writer
from .sheet import DrawnPage, Rect, Rng, RuleStyle, Sheet, pick_font, rule_style
from .words import BOX_LABELS


def _digits(rng: Rng, count: int) -> str:
    """Digits of a number in boxes; ones and zeros come often, as they do in dates and ids."""
    shares = np.array([0.16, 0.22, 0.11, 0.08, 0.07, 0.08, 0.07, 0.07, 0.07, 0.07])
    return "".join(map(str, rng.choice(10, count, p=shares)))


def _box_row(
    sheet: Sheet, rng: Rng, writer: Writer, x: float, y: float, cells: int, side: float, style: RuleStyle, dark: float
) -> float:
    """One row of boxes or a comb, and its number; gives where it ends below."""
    wide, gap = side * float(rng.uniform(0.75, 1.1)), 0.0
    comb = rng.random() < 0.15
    if not comb and rng.random() < 0.3:
        gap = side * float(rng.uniform(0.12, 0.3))
    text = _digits(rng, cells if rng.random() < 0.6 else int(rng.integers(max(1, cells // 2), cells + 1)))
    if comb:
        sheet.rule(x, y + side, x + cells * wide, y + side, style)
        for k in range(cells + 1):
            sheet.rule(x + k * wide, y + (0.6 if 0 < k < cells else 0.4) * side, x + k * wide, y + side, style)
    elif gap:
        for k in range(cells):
            sheet.frame(Rect(x + k * (wide + gap), y, wide, side), style)
    else:
        sheet.frame(Rect(x, y, cells * wide, side), style)
        for k in range(1, cells):
            sheet.rule(x + k * wide, y, x + k * wide, y + side, style)
    loose = rng.random() < 0.25
    share = float(rng.uniform(0.55, 0.8))
    spots: list[Rect] = []
    for k, character in enumerate(text):
        height = side * share * (1.0 if not loose else float(rng.uniform(0.9, 1.3)))
        middle = x + k * (wide + gap) + wide / 2 + rng.normal(0, 0.04 if not loose else 0.12) * wide
        foot = y + side / 2 + height / 2 + rng.normal(0, 0.03 if not loose else 0.08) * side
        spot = writer.write(
            sheet, character, middle, foot, height, dark, align="center", squeeze=wide * (0.85 if not loose else 1.15)
        )
        if spot is not None:
            spots.append(spot)
    sheet.note(text, Rect.around(np.concatenate([spot.corners for spot in spots])))
    bottom = y + side
    if not comb and rng.random() < 0.3:
        letters = "DDMMYYYY" if cells == 8 else "".join(rng.choice(list("DMYHJTN"), cells))
        font = pick_font(rng, "Sans-Bold")
        for k, letter in enumerate(letters):
            sheet.print(
                letter, x + k * (wide + gap) + wide / 2, y + 1.55 * side, 0.36 * side, font, 0.85, align="center"
            )
        bottom += 0.6 * side
    return bottom


def box_rows(seed: int, rng: Rng) -> DrawnPage:
    """Labels and rows of 4 to 16 boxes, filled by one hand; some rows end in empty boxes."""
    side = float(np.exp(rng.uniform(np.log(26), np.log(85))))
    over = 2 if side < 40 else 1
    rows = int(rng.integers(2, 7))
    writer = Writer(rng)
    cells = [int(rng.integers(4, 17)) for _ in range(rows)]
    sheet = Sheet(int((1.3 * max(cells) + 4) * side), int(rows * 2.9 * side + 2 * side), over, rng)
    style = rule_style(rng, 0.65 * side)
    font = pick_font(rng, "Sans")
    y, x, dark = 1.0 * side, side * float(rng.uniform(0.6, 2.0)), float(rng.uniform(0.6, 1.0))
    for count in cells:
        if rng.random() < 0.7:
            sheet.print(str(rng.choice(BOX_LABELS)), x, y + 0.2 * side, float(np.clip(0.33 * side, 9, 24)), font, 0.85)
        y += 0.45 * side
        y = _box_row(sheet, rng, writer, x, y, count, side, style, dark) + side * float(rng.uniform(0.5, 0.9))
    image, numbers = damaged(sheet, random_damage(rng, 0.65 * side, patterned=0.15), rng)
    return DrawnPage("boxes", seed, image, numbers)


def _written_amount(rng: Rng) -> str:
    """An amount as people write it on a cheque."""
    value = (
        str(rng.integers(1, 100)) + "0" * int(rng.integers(1, 6))
        if rng.random() < 0.6
        else str(int(np.exp(rng.uniform(np.log(20), np.log(3e6)))))
    )
    text = value
    if len(value) > 3 and rng.random() < 0.6:
        step = 2 if rng.random() < 0.3 else 3  # two digits a group, as in lakhs
        groups, rest = [value[-3:]], value[:-3]
        while rest:
            groups.insert(0, rest[-step:])
            rest = rest[:-step]
        text = str(rng.choice([",", ".", ","])).join(groups)
    elif rng.random() < 0.3:
        text += str(rng.choice([".", ","])) + f"{rng.integers(0, 100):02d}"
    return text + str(rng.choice(["/-", ".-", "=", "-", "", "", "/="]))


def amount(seed: int, rng: Rng) -> DrawnPage:
    """A cheque's amount in its box, on plain or patterned paper; the whole picture is one line."""
    height = float(np.exp(rng.uniform(np.log(18), np.log(60))))
    over = 2 if height < 30 else 1
    writer = Writer(rng)
    text = _written_amount(rng)
    own, _ = writer.compose(text, height, over)
    wide = own.shape[1] / over
    left, sign = height * float(rng.uniform(0.4, 2.0)), height * float(rng.uniform(1.1, 1.6))
    box = Rect(left, 0.5 * height, sign + wide + height * float(rng.uniform(0.8, 3)), 1.9 * height)
    sheet = Sheet(int(box.x + box.width + height * rng.uniform(0.3, 1.5)), int(2.9 * height), over, rng)
    style = rule_style(rng, height)
    sheet.frame(box, style)
    currency = str(rng.choice(["€", "$", "£", "₹", "Fr", "Rs"]))
    if rng.random() < 0.8:
        sheet.print(
            currency,
            left + sign / 2,
            box.y + 1.4 * height,
            0.75 * height,
            pick_font(rng, "DejaVuSans"),
            0.9,
            align="center",
        )
        if rng.random() < 0.7:
            sheet.rule(left + sign, box.y, left + sign, box.y + box.height, style)
    x = left + sign + height * float(rng.uniform(0.15, 0.6))
    line = box.y + 1.45 * height + rng.normal(0, 0.08) * height
    spot = writer.write(sheet, text, x, line, height, float(rng.uniform(0.65, 1.0)))
    sheet.note(text, spot)
    image, numbers = damaged(sheet, random_damage(rng, height, patterned=0.5), rng)
    return DrawnPage("amounts", seed, image, numbers, "line")
