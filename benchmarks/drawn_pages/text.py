"""Forms with a few handwritten numbers, pages of words alone, and pages on which their back shows through."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from .damage import damaged, random_damage
from .hands import Writer
from .printing import pick_font, text_size
from .sheet import RuleStyle, Sheet, rule_style
from .truth import Canvas, DrawnPage, Rect, Rng
from .words import FIELD_LABELS, NAMES, SMALL_WORDS, WORDS


def _sentence(rng: Rng, longest: float, font: Path, size: float) -> str:
    """Words up to a width in pixels."""
    words: list[str] = []
    while True:
        word = str(rng.choice(SMALL_WORDS) if rng.random() < 0.55 else rng.choice(WORDS)).lower()
        if not words or rng.random() < 0.08:
            word = word.capitalize()
        if rng.random() < 0.1:
            word += str(rng.choice([",", ".", ";", ":"]))
        if words and text_size(" ".join([*words, word]), font, size)[0] > longest:
            return " ".join(words)
        words.append(word)


def _paragraph(
    sheet: Sheet, rng: Rng, x: float, y: float, width: float, lines: int, font: Path, size: float, dark: float
) -> float:
    """Lines of words without a digit; gives where they end."""
    for _ in range(lines):
        y += 1.9 * size
        sheet.print(_sentence(rng, width, font, size), x, y, size, font, dark)
    return y


def _number(rng: Rng) -> str:
    draw = rng.random()
    if draw < 0.2:
        return f"{rng.integers(1, 2000)}{rng.choice(['.', ','])}{rng.integers(0, 100):02d}"
    if draw < 0.35:
        return str(rng.choice(["1", "11", "111", "10", "101", "1100", "71", "41"]))
    return str(int(np.exp(rng.uniform(np.log(2), np.log(3e6)))))


def form(seed: int, rng: Rng) -> DrawnPage:
    """Printed words, and labels with a number by hand after each: on a line, on dots, in a box, on nothing."""
    size = float(np.exp(rng.uniform(np.log(11), np.log(26))))
    over = 2 if size < 18 else 1
    font, writer = pick_font(rng), Writer(rng)
    width = size * float(rng.uniform(38, 55))
    labels = list(rng.permutation(FIELD_LABELS)[: int(rng.integers(3, 9))])
    before, after = int(rng.integers(1, 7)), int(rng.integers(0, 6))
    step = size * float(rng.uniform(3.2, 4.6))
    margin = 3 * size
    sheet = Sheet(
        int(width + 2 * margin),
        int((before + after) * 1.9 * size + len(labels) * step + 3 * margin + 3 * size),
        over,
        rng,
    )
    dark, pen_dark = float(rng.uniform(0.7, 1.0)), float(rng.uniform(0.6, 1.0))
    sheet.print(" ".join(map(str, rng.choice(WORDS, 3))), margin, margin + size, 1.6 * size, font, dark)
    y = _paragraph(sheet, rng, margin, margin + 1.5 * size, width, before, font, size, dark) + size
    kind, style = str(rng.choice(["line", "dots", "box", "none"])), rule_style(rng, size)
    start = margin + max(text_size(str(label), font, size)[0] for label in labels) + 1.5 * size
    for label in labels:
        y += step
        sheet.print(str(label), margin, y, size, font, dark)
        high = size * float(rng.uniform(1.3, 2.0))
        if kind == "line":
            sheet.rule(start, y + 0.2 * size, start + 11 * size, y + 0.2 * size, style)
        elif kind == "dots":
            sheet.rule(
                start, y + 0.1 * size, start + 11 * size, y + 0.1 * size, RuleStyle(max(1.0, 0.1 * size), 0.8, "dotted")
            )
        elif kind == "box":
            sheet.frame(Rect(start - 0.4 * size, y - 2.2 * size, 12 * size, 2.8 * size), style)
        if rng.random() < 0.12:
            writer.scrawl(sheet, start, y, 5 * size, high, pen_dark)
        elif rng.random() < 0.9:
            text = _number(rng)
            x = start + size * float(rng.uniform(0, 2))
            spot = writer.write(sheet, text, x, y - rng.uniform(0, 0.15) * size, high, pen_dark)
            field = Rect(start - 0.4 * size, y - 2.2 * size, 12 * size, 2.8 * size)
            sheet.note(text, spot, cells=[field], size=high)
    y = _paragraph(sheet, rng, margin, y + size, width, after, font, size, dark)
    if rng.random() < 0.5:
        writer.scrawl(sheet, margin + 0.5 * width, sheet.height - 0.8 * margin, 9 * size, 2 * size, pen_dark)
    image, numbers = damaged(sheet, random_damage(rng, size), rng)
    return DrawnPage("forms", seed, image, numbers)


def words_only(seed: int, rng: Rng) -> DrawnPage:
    """A page of words: no number stands on it."""
    size = float(np.exp(rng.uniform(np.log(9), np.log(26))))
    over = 2 if size < 16 else 1
    font = pick_font(rng)
    columns = int(rng.choice([1, 1, 2]))
    width = size * float(rng.uniform(22, 45))
    lines = int(rng.integers(8, 26))
    margin = 3 * size
    sheet = Sheet(int(columns * (width + margin) + margin), int(lines * 1.9 * size + 7 * size + 2 * margin), over, rng)
    dark = float(rng.uniform(0.7, 1.0))
    sheet.print(" ".join(map(str, rng.choice(WORDS, 3))), margin, margin + size, 1.7 * size, font, dark)
    for k in range(columns):
        _paragraph(sheet, rng, margin + k * (width + margin), margin + 2 * size, width, lines, font, size, dark)
    if rng.random() < 0.4:
        _stamp(sheet, rng, size)
    if rng.random() < 0.4:
        Writer(rng).scrawl(sheet, margin, sheet.height - margin, 10 * size, 2.2 * size, 0.8)
    image, numbers = damaged(sheet, random_damage(rng, size), rng)
    return DrawnPage("text", seed, image, numbers)


def _stamp(sheet: Sheet, rng: Rng, size: float) -> None:
    """Rings and a word, stamped askew over what stands there."""
    side = round(9 * size) * sheet.over
    canvas = np.zeros((side, side), np.float32)
    pen = max(1, round(0.15 * size * sheet.over))
    for radius in (0.46, 0.36):
        cv2.circle(canvas, (side // 2, side // 2), int(radius * side), 1.0, pen, cv2.LINE_AA)
    word = Sheet(side // sheet.over, side // sheet.over, sheet.over, rng)
    font = pick_font(rng, "Bold")
    text = str(rng.choice(["PAID", "COPY", "VOID", "FILED", "SEEN"]))
    word.print(text, side / sheet.over / 2, side / sheet.over / 2 + 0.6 * size, 1.4 * size, font, 1.0, align="center")
    canvas = np.maximum(canvas, word.ink[:side, :side])
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.uniform(-30, 30)), 1.0)
    worn = cv2.resize(rng.uniform(0.3, 1.0, (12, 12)).astype(np.float32), (side, side))
    stamp = cv2.warpAffine(canvas, turn, (side, side)) * worn
    room = sheet.width - 9 * size, sheet.height - 9 * size
    sheet.put(
        np.asarray(stamp, np.float32),
        rng.uniform(0, max(1, room[0])),
        rng.uniform(0, max(1, room[1])),
        float(rng.uniform(0.3, 0.7)),
    )


def _back(shape: tuple[int, int], rng: Rng, size: float) -> Canvas:
    """The back of a page: words, figures and rules, mirrored and soft; (H, W) float32, 0 to 1."""
    height, width = shape
    sheet = Sheet(width, height, 1, rng)
    font, y = pick_font(rng), 2.0 * size
    if rng.random() < 0.5:
        pitch, style = 2 * size, RuleStyle(2.0, 0.8)
        for x in np.arange(2 * size, width - 2 * size, 7 * size).tolist():
            sheet.rule(x, 2 * size, x, height - 2 * size, style)
        while y < height - 3 * size:
            y += pitch
            for x in np.arange(3 * size, width - 8 * size, 7 * size).tolist():
                sheet.print(str(rng.integers(1, 100000)), x, y, size, font, 0.9)
    else:
        while y < height - 3 * size:
            y += 2 * size
            line = _sentence(rng, width - 5 * size, font, size)
            sheet.print(
                line + (f" {rng.integers(1, 3000)}" if rng.random() < 0.4 else ""), 2 * size, y, size, font, 0.9
            )
    return cv2.GaussianBlur(np.ascontiguousarray(sheet.ink[:, ::-1]), (0, 0), float(rng.uniform(0.06, 0.14) * size))


def ghost(seed: int, rng: Rng) -> DrawnPage:
    """A page through which its back shows: empty, or with up to three numbers by hand; now and then folds, a stamp."""
    size = float(np.exp(rng.uniform(np.log(14), np.log(40))))
    sheet = Sheet(int(size * rng.uniform(28, 45)), int(size * rng.uniform(22, 45)), 1, rng)
    writer = Writer(rng)
    for k in range(int(rng.choice([0, 0, 1, 1, 2, 3]))):
        text = str(rng.integers(10, 1000000))
        x, y = sheet.width * float(rng.uniform(0.1, 0.5)), sheet.height * (0.25 + 0.22 * k) + size
        spot = writer.write(sheet, text, x, y, 1.5 * size, float(rng.uniform(0.8, 1.0)))
        if spot is not None:
            line = Rect(spot.x - 2 * size, y - 1.8 * size, spot.width + 4 * size, 2.2 * size)
            sheet.note(text, spot, cells=[line], size=1.5 * size)
        if rng.random() < 0.5:
            sheet.print(str(rng.choice(NAMES)) + ":", 0.3 * size, y, 0.8 * size, pick_font(rng), 0.9)
    for _ in range(int(rng.integers(0, 3))):  # folds
        style = RuleStyle(float(rng.uniform(1, 2.5)), float(rng.uniform(0.06, 0.2)), wobble=1.0)
        if rng.random() < 0.5:
            y = sheet.height * float(rng.uniform(0.2, 0.8))
            sheet.rule(0, y, sheet.width, y + rng.normal(0, 3), style)
        else:
            x = sheet.width * float(rng.uniform(0.2, 0.8))
            sheet.rule(x, 0, x + rng.normal(0, 3), sheet.height, style)
    if rng.random() < 0.2:
        _stamp(sheet, rng, 0.6 * size)
    back = _back((sheet.height, sheet.width), rng, size * float(rng.uniform(0.7, 1.2))) * float(rng.uniform(0.08, 0.28))
    how = random_damage(rng, size)
    if how.one_bit or how.contrast < 0.7:  # ink must be told from what shows through
        how = type(how)(how.skew_degrees, how.bow, contrast=0.9, blur=how.blur, noise=how.noise, jpeg=how.jpeg)
    image, numbers = damaged(sheet, how, rng, np.asarray(back, np.float32))
    return DrawnPage("ghosts", seed, image, numbers)
