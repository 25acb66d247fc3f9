"""Tables: handwritten marksheets, and printed tables of amounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .damage import damaged, random_damage
from .hands import Writer
from .printing import pick_font, text_size
from .sheet import RuleStyle, Sheet, rule_style
from .truth import DrawnPage, Rect, Rng
from .words import NAMES, SUBJECTS, WORDS


@dataclass(frozen=True, slots=True)
class Ruling:
    """Which rules of a table are drawn: all, unless said otherwise."""

    style: RuleStyle
    rows: bool = True
    columns: bool = True
    sides: bool = True
    ends: bool = True


def random_ruling(rng: Rng, text_height: float, *, open_share: float = 0.3) -> Ruling:
    """Ruling at random; with `open_share` some of it is missing."""
    style = rule_style(rng, text_height)
    if rng.random() >= open_share:
        return Ruling(style)
    return Ruling(
        style, rows=bool(rng.random() < 0.8), columns=bool(rng.random() < 0.6), sides=bool(rng.random() < 0.4),
        ends=bool(rng.random() < 0.7),
    )  # fmt: skip


def draw_ruling(sheet: Sheet, xs: list[float], ys: list[float], ruling: Ruling) -> None:
    """Rules of a table whose columns end at `xs` and whose rows end at `ys`, in pixels of the page."""
    for k, x in enumerate(xs):
        outer = k in (0, len(xs) - 1)
        if ruling.sides if outer else ruling.columns:
            sheet.rule(x, ys[0], x, ys[-1], ruling.style)
    for k, y in enumerate(ys):
        outer = k in (0, len(ys) - 1)
        if ruling.ends if outer else ruling.rows:
            sheet.rule(xs[0], y, xs[-1], y, ruling.style)


def _mark(rng: Rng) -> str:
    """A mark of 0 to 100, often with 1s; now and then halves."""
    draw = rng.random()
    if draw < 0.30:
        return str(rng.choice(["1", "11", "41", "51", "21", "31", "61", "71", "81", "91", "10", "12", "14", "17"]))
    if draw < 0.36:
        return f"{rng.integers(1, 60)}.{rng.choice([5, 5, 7, 2])}"
    if draw < 0.42:
        return str(rng.integers(100, 131))
    return str(rng.integers(0 if draw < 0.55 else 10, 100))


def marksheet(seed: int, rng: Rng) -> DrawnPage:
    """Names, ids, marks of up to three digits and a letter's grade, in one hand, in ruled cells."""
    height = float(np.exp(rng.uniform(np.log(13), np.log(40))))
    over = 3 if height < 18 else 2 if height < 28 else 1
    writer = Writer(rng)
    dark = float(rng.uniform(0.6, 1.0))
    rows, marks = int(rng.integers(6, 15)), int(rng.integers(3, 9))
    pitch = height * float(rng.uniform(1.4, 2.3))
    columns: list[tuple[str, float]] = []
    if rng.random() < 0.4:
        columns.append((str(rng.choice(["serial", "serial printed"])), 2.2))
    if rng.random() < 0.7:
        columns.append((str(rng.choice(["scrawl", "name", "empty"])), 6.0))
    if rng.random() < 0.3:
        columns.append(("id", 5.0))
    ruling = random_ruling(rng, height)
    # Where no rule parts two columns, paper must: else nobody could tell 80 40 from 8040.
    apart = 0.0 if ruling.columns else 1.0
    columns += [("mark", float(rng.uniform(2.2, 3.2)) + apart)] * marks
    if rng.random() < 0.6:
        columns.append(("grade", 2.4 + apart))
    widths = [height * wide for _, wide in columns]
    heading = rng.random() < 0.6
    margin = 1.5 * height + 8
    xs = np.cumsum([margin, *widths]).tolist()
    ys = [margin + pitch * k for k in range(rows + heading + 1)]
    sheet = Sheet(int(xs[-1] + margin), int(ys[-1] + margin), over, rng)
    draw_ruling(sheet, xs, ys, ruling)
    font, clear = pick_font(rng, "Sans"), ruling.style.weight / 2 + 1 + 0.4 * apart * height
    first_id = int(rng.integers(1000, 60000))
    for i in range(rows + heading):
        foot = ys[i + 1] - max(clear, 0.5 * (pitch - height) + rng.normal(0, 0.04) * height)
        for (kind, _), left, right in zip(columns, xs, xs[1:], strict=False):
            cell = Rect(left, ys[i], right - left, ys[i + 1] - ys[i])
            middle, inside = (left + right) / 2, right - left - 2 * clear - 2
            if heading and i == 0:
                word = {
                    "mark": str(rng.choice(SUBJECTS)),
                    "grade": "Grade",
                    "id": "Roll",
                    "name": "Name",
                    "scrawl": "Name",
                }.get(kind, "No")
                size = min(0.6 * height, 0.6 * height * inside / max(1.0, text_size(word, font, 0.6 * height)[0]))
                sheet.print(word, middle, foot, max(4.0, size), font, 0.85, align="center")
                continue
            index = i - heading
            if kind == "scrawl":
                writer.scrawl(sheet, left + 0.5 * height, foot, rng.uniform(0.4, 0.8) * inside, 0.9 * height, dark)
            elif kind == "name":
                sheet.print(str(rng.choice(NAMES)), left + 0.4 * height, foot, 0.65 * height, font, 0.85)
            elif kind == "serial printed":
                own = str(index + 1)
                spot = sheet.print(own, middle, foot, 0.65 * height, font, 0.85, align="center")
                sheet.note(own, spot, cells=[cell], size=0.65 * height)
            elif kind == "grade":
                grade = str(rng.choice(list("AABBCCDF"))) + str(rng.choice(["", "", "+", "-"]))
                writer.write(sheet, grade, middle, foot, height, dark, align="center", squeeze=inside)
            elif kind != "empty":
                own = str(index + 1) if kind == "serial" else str(first_id + index) if kind == "id" else _mark(rng)
                if kind == "mark" and rng.random() < 0.06:
                    own = str(rng.choice(["", "-", "ab"]))
                    if own:
                        writer.write(sheet, own, middle, foot, height, dark, align="center", squeeze=inside)
                    continue
                x = middle + rng.normal(0, 0.1) * height
                spot = writer.write(sheet, own, x, foot, height, dark, align="center", squeeze=inside)
                sheet.note(own, spot, cells=[cell], size=height)
    image, numbers = damaged(sheet, random_damage(rng, height), rng)
    return DrawnPage("marksheets", seed, image, numbers, "table")


def _amount(rng: Rng, kind: str) -> str:
    """What stands in one cell of a printed column."""
    if rng.random() < 0.08:
        return str(rng.choice(["-", "", "–"]))
    value = int(np.exp(rng.uniform(0, np.log(4e6))))
    if kind == "count":
        return str(value % 1000)
    if kind == "percent":
        return f"{rng.integers(0, 100)}.{rng.integers(0, 100):02d}" + str(rng.choice(["%", " %"]))
    if kind == "negative":
        text = f"{value % 100000:,}"
        return f"({text})" if rng.random() < 0.35 else text
    if kind == "comma":
        return f"{value:,}.{rng.integers(0, 100):02d}".replace(",", " ").replace(".", ",").replace(" ", ".")
    return f"{value:,}.{rng.integers(0, 100):02d}" if kind == "cents" else f"{value:,}"


def printed(seed: int, rng: Rng) -> DrawnPage:
    """Words and columns of amounts in one font, with a heading that may be light on dark."""
    size = float(np.exp(rng.uniform(np.log(8), np.log(30))))
    over = 2 if size < 16 else 1
    font = pick_font(rng, str(rng.choice(["Sans", "Serif", "STIX", "Mono", "cm"])))
    rows = int(rng.integers(6, 22))
    kinds = [
        str(rng.choice(["count", "percent", "negative", "comma", "cents", "whole", "cents"]))
        for _ in range(int(rng.integers(2, 5)))
    ]
    cells = [[_amount(rng, kind) for kind in kinds] for _ in range(rows)]
    words = [" ".join(map(str, rng.choice(WORDS, int(rng.integers(1, 4)), replace=False))) for _ in range(rows)]
    numbered = rng.random() < 0.4
    pad = size * float(rng.uniform(0.5, 1.2))
    widths = [max(text_size(w, font, size)[0] for w in words) + 2 * pad]
    widths += [
        max(text_size(row[j] or "0", font, size)[0] for row in cells) + 2 * pad + 2.5 * size for j in range(len(kinds))
    ]
    if numbered:
        widths.insert(0, 2.2 * size + 2 * pad)
    pitch, margin = size * float(rng.uniform(1.55, 2.4)), 1.5 * size + 10
    head = 1 if rng.random() < 0.85 else 0
    xs = np.cumsum([margin, *widths]).tolist()
    ys = [margin] + [margin + head * 1.6 * pitch + pitch * k for k in range(0 if head else 1, rows + 1)]
    sheet = Sheet(int(xs[-1] + margin), int(ys[-1] + margin), over, rng)
    ruling = random_ruling(rng, size, open_share=0.4)
    draw_ruling(sheet, xs, ys, ruling)
    inverted = bool(head and rng.random() < 0.4)
    if inverted:
        sheet.block(Rect(xs[0], ys[0], xs[-1] - xs[0], ys[1] - ys[0]), 0.95)
    first = 1 if numbered else 0
    if head:
        foot = (ys[0] + ys[1] + size) / 2
        titles = (
            ["No"] * first
            + ["Particulars"]
            + [str(rng.choice(["This Year", "Last Year", "Budget", "Total", "Change", "Quarter"])) for _ in kinds]
        )
        for k, title in enumerate(titles):
            small = min(size, size * (widths[k] - 4) / max(1.0, text_size(title, font, size)[0]))
            sheet.print(title, (xs[k] + xs[k + 1]) / 2, foot, small, font, 0.95, align="center", erase=inverted)
    dark = float(rng.uniform(0.7, 1.0))
    for i in range(rows):
        top, bottom = ys[i + head], ys[i + head + 1]
        foot = (top + bottom + size) / 2
        if numbered:
            own = f"{i // 8 + 1}.{i % 8 + 1}" if rng.random() < 0.5 else str(i + 1)
            cell = Rect(xs[0], top, xs[1] - xs[0], bottom - top)
            sheet.note(own, sheet.print(own, xs[0] + pad, foot, size, font, dark), cells=[cell], size=size)
        sheet.print(words[i], xs[first] + pad, foot, size, font, dark)
        for j, own in enumerate(cells[i]):
            spot = sheet.print(own, xs[first + j + 2] - pad, foot, size, font, dark, align="right")
            left, right = xs[first + j + 1], xs[first + j + 2]
            sheet.note(own, spot, cells=[Rect(left, top, right - left, bottom - top)], size=size)
    image, numbers = damaged(sheet, random_damage(rng, size), rng)
    return DrawnPage("printed", seed, image, numbers, "table")
