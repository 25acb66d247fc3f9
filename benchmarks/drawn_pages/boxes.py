"""Rows of boxes with a digit each, combs, and the wide box of an amount."""

from __future__ import annotations

import numpy as np

from .damage import damaged, random_damage
from .hands import Writer
from .printing import pick_font
from .sheet import RuleStyle, Sheet, rule_style
from .truth import DrawnPage, Rect, Rng
from .words import BOX_LABELS


def _digits(rng: Rng, count: int, ones: float = 0.22) -> str:
    """Digits of a number in boxes; ones and zeros come often, as they do in dates and ids."""
    shares = np.array([0.16, 0.0, 0.11, 0.08, 0.07, 0.08, 0.07, 0.07, 0.07, 0.07])
    shares *= (1 - ones) / 0.78
    shares[1] = ones
    return "".join(map(str, rng.choice(10, count, p=shares)))


def _box_row(
    sheet: Sheet, rng: Rng, writer: Writer, x: float, y: float, cells: int, side: float, style: RuleStyle, dark: float,
    ones: float,
) -> float:  # fmt: skip
    """One row of boxes or a comb, and its number; gives where it ends below."""
    wide, gap = side * float(rng.uniform(0.75, 1.1)), 0.0
    comb = rng.random() < 0.15
    if not comb and rng.random() < 0.3:
        gap = side * float(rng.uniform(0.12, 0.3))
    filled = cells if rng.random() < 0.6 else int(rng.integers(max(1, cells // 2), cells + 1))
    text = _digits(rng, filled, ones)
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
    boxes = [Rect(x + k * (wide + gap), y, wide, side) for k in range(cells)]
    sheet.note(text, Rect.around(np.concatenate([spot.corners for spot in spots])), cells=boxes, size=share * side)
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


def box_rows(seed: int, rng: Rng, *, bare: float | None = None, ones: float = 0.22, kind: str = "boxes") -> DrawnPage:
    """Labels and rows of 4 to 16 boxes, filled by one hand; some rows end in empty boxes.

    `ones` is the share of the digits that are 1, `bare` the share of these that are a single stroke, a hand's own
    habit where it is not given.
    """
    side = float(np.exp(rng.uniform(np.log(26), np.log(85))))
    over = 2 if side < 40 else 1
    rows = int(rng.integers(2, 7))
    writer = Writer(rng, bare)
    cells = [int(rng.integers(4, 17)) for _ in range(rows)]
    sheet = Sheet(int((1.3 * max(cells) + 4) * side), int(rows * 2.9 * side + 2 * side), over, rng)
    style = rule_style(rng, 0.65 * side)
    font = pick_font(rng, "Sans")
    y, x, dark = 1.0 * side, side * float(rng.uniform(0.6, 2.0)), float(rng.uniform(0.6, 1.0))
    for count in cells:
        if rng.random() < 0.7:
            sheet.print(str(rng.choice(BOX_LABELS)), x, y + 0.2 * side, float(np.clip(0.33 * side, 9, 24)), font, 0.85)
        y += 0.45 * side
        y = _box_row(sheet, rng, writer, x, y, count, side, style, dark, ones) + side * float(rng.uniform(0.5, 0.9))
    image, numbers = damaged(sheet, random_damage(rng, 0.65 * side, patterned=0.15), rng)
    return DrawnPage(kind, seed, image, numbers)


def dates(seed: int, rng: Rng) -> DrawnPage:
    """Eight boxes for a date, D, M and Y printed beneath, on a printed ground; one to four rows by one hand."""
    side, writer, rows = float(rng.uniform(26, 75)), Writer(rng), int(rng.integers(1, 5))
    sheet = Sheet(int(12 * side), int((2.4 * rows + 1.5) * side), 2 if side < 40 else 1, rng)
    style, font = rule_style(rng, 0.65 * side), pick_font(rng, "Sans-Bold")
    wide, dark, share = (
        side * float(rng.uniform(0.75, 1.0)),
        float(rng.uniform(0.7, 1.0)),
        float(rng.uniform(0.55, 0.8)),
    )
    for row in range(rows):
        x, y = side * float(rng.uniform(0.6, 2)), (1 + 2.4 * row) * side
        text = f"{rng.integers(1, 32):02d}{rng.integers(1, 13):02d}{rng.integers(1940, 2031)}"
        boxes = [Rect(x + k * wide, y, wide, side) for k in range(8)]
        spots = []
        for box, digit, letter in zip(boxes, text, "DDMMYYYY", strict=True):
            sheet.frame(box, style)
            middle = box.x + wide / 2
            sheet.print(letter, middle, y + 1.5 * side, 0.36 * side, font, 0.85, align="center")
            foot = y + side * (0.5 + share / 2) + rng.normal(0, 0.04) * side
            spot = writer.write(sheet, digit, middle, foot, share * side, dark, align="center", squeeze=0.9 * wide)
            spots += [spot.corners] if spot is not None else []
        sheet.note(text, Rect.around(np.concatenate(spots)), cells=boxes, size=share * side)
    image, numbers = damaged(sheet, random_damage(rng, 0.65 * side, patterned=1.0), rng)
    return DrawnPage("dates", seed, image, numbers)


def box_rows_and_table(seed: int, rng: Rng) -> DrawnPage:
    """Rows of boxes above a small ruled table that the same hand filled."""
    side = float(rng.uniform(28, 60))
    writer, over = Writer(rng), 2 if side < 40 else 1
    cells = [int(rng.integers(4, 12)) for _ in range(int(rng.integers(1, 4)))]
    rows, columns = int(rng.integers(3, 8)), int(rng.integers(2, 5))
    wide, pitch, height = 3.4 * side, 1.1 * side, 0.65 * side
    sheet = Sheet(int(max(1.3 * max(cells), 3.4 * columns) * side + 3 * side),
                  int((2.9 * len(cells) + 1.1 * rows + 3) * side), over, rng)  # fmt: skip
    style, dark, y = rule_style(rng, height), float(rng.uniform(0.65, 1.0)), 0.8 * side
    for count in cells:
        y = _box_row(sheet, rng, writer, side, y + 0.5 * side, count, side, style, dark, 0.22) + 0.6 * side
    xs, top = [side + wide * k for k in range(columns + 1)], y + 0.6 * side
    for x in xs:
        sheet.rule(x, top, x, top + rows * pitch, style)
    for i in range(rows + 1):
        sheet.rule(xs[0], top + i * pitch, xs[-1], top + i * pitch, style)
    for i in range(rows):
        for x in xs[:-1]:
            if rng.random() < 0.15:
                continue
            text, line = str(int(np.exp(rng.uniform(0, np.log(5e4))))), top + (i + 0.5) * pitch + height / 2
            spot = writer.write(sheet, text, x + wide / 2, line, height, dark, align="center", squeeze=0.9 * wide)
            sheet.note(text, spot, cells=[Rect(x, top + i * pitch, wide, pitch)], size=height)
    image, numbers = damaged(sheet, random_damage(rng, height), rng)
    return DrawnPage("mixed", seed, image, numbers)


def bare_ones(seed: int, rng: Rng) -> DrawnPage:
    """Rows of boxes by a hand that writes every 1 as one stroke."""
    return box_rows(seed, rng, bare=1.0, ones=0.45, kind="bare-ones")


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


def flowing_amount(seed: int, rng: Rng) -> DrawnPage:
    """An amount whose zeros were written in one go."""
    text = str(rng.integers(1, 1000)) + "o" * int(rng.integers(2, 5)) + str(rng.choice(["/-", ".-", "=", "", ""]))
    return amount(seed, rng, text, "flowing")


def amount(seed: int, rng: Rng, text: str = "", kind: str = "amounts") -> DrawnPage:
    """A cheque's amount in its box, on plain or patterned paper; the whole picture is one line."""
    height = float(np.exp(rng.uniform(np.log(18), np.log(60))))
    over = 2 if height < 30 else 1
    writer = Writer(rng)
    text = text or _written_amount(rng)
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
    inside = Rect(left + sign, box.y, box.width - sign, box.height)
    text = text.replace("o", "0")
    sheet.note(text, spot, cells=[inside], size=height)
    image, numbers = damaged(sheet, random_damage(rng, height, patterned=0.5), rng)
    return DrawnPage(kind, seed, image, numbers, "line")
