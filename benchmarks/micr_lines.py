"""Lines of magnetic characters, drawn as printers print them and damaged as scanners and cameras do.

    python benchmarks/micr_lines.py [--lines 1000] [--seed 1] [--print cmc7]

Lines of three countries' layouts and of none, in E-13B: strokes too thick or too thin, ink that spreads or leaves
voids, characters off their place, patterned grounds; then scans at 100 to 600 dpi, leaning up to 15 degrees, and
photographs at an angle. The shapes are the standard's, so they differ from a printer's only as far as we thought of
it. Nothing here trains; the parameters of `digitscan.micr` were chosen on other seeds than the default.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from digitscan.core.types import FieldReading, GrayImage, Layout
from digitscan.micr.bars import BAR, BAR_SYMBOLS, CODES, LONG, SHORT, TALL, WIDE
from digitscan.micr.groups import groups_of, readings_of
from digitscan.micr.match import MARGIN, draw_glyph
from digitscan.micr.page import magnetic_lines
from digitscan.micr.standard import AMOUNT, DASH, HEIGHT, ON_US, PITCH, TRANSIT, WIDTH

Rng = np.random.Generator
Canvas = NDArray[np.float32]
FINE = 8
"""Pixels of a module in the drawing that is damaged."""
KINDS = ("scan", "low", "fax", "photo")


def random_line(rng: Rng) -> str:
    """What may stand on a line: the layouts of three countries, or any order of groups."""

    def digits(count: int) -> str:
        return "".join(str(d) for d in rng.integers(10, size=count))

    kind = rng.integers(5)
    if kind == 0:
        return f"{TRANSIT}{digits(9)}{TRANSIT}{digits(int(rng.integers(6, 13)))}{ON_US} {digits(4)}"
    if kind == 1:
        return f"{ON_US}{digits(6)}{ON_US} {TRANSIT}{digits(9)}{TRANSIT} {digits(8)}{ON_US}"
    if kind == 2:
        blank = " " * int(rng.integers(1, 10))
        return f"{ON_US}{digits(6)}{ON_US} {digits(9)}{TRANSIT}{blank}{digits(6)}{ON_US} {digits(2)}"
    if kind == 3:
        bank = f"{TRANSIT}{digits(5)}{DASH}{digits(3)}{TRANSIT}"
        return f"{ON_US}{digits(3)}{ON_US} {bank} {digits(3)}{DASH}{digits(4)}{ON_US}"
    groups = [digits(int(rng.integers(5, 12))) for _ in range(int(rng.integers(2, 5)))]
    signs = [str(s) for s in rng.choice([TRANSIT, ON_US, AMOUNT, ""], size=len(groups))]
    return " ".join(f"{group}{sign}" for group, sign in zip(groups, signs, strict=True))


def printed(text: str, rng: Rng) -> Canvas:
    """A line as a printer leaves it: (h, w) float32, 0 paper to 1 ink, `FINE` pixels a module, paper around."""
    weight = float(np.clip(rng.normal(0.05, 0.14), -0.2, 0.4))
    rough = float(rng.uniform(0.0, 0.3))
    jitter = float(rng.uniform(0.0, 0.2))
    width = round((len(text) * PITCH + 8 * PITCH) * FINE)
    page = np.zeros((round(3.4 * HEIGHT * FINE), width), np.float32)
    drift = float(rng.normal(0, 0.002))
    for k, symbol in enumerate(text):
        if symbol == " ":
            continue
        glyph = draw_glyph(symbol, FINE, float(np.clip(weight + rng.normal(0, 0.04), -0.2, 0.45)))
        x = (4 + k + 1) * PITCH * (1 + drift) - WIDTH - MARGIN + rng.normal(0, jitter)
        y = 1.2 * HEIGHT - MARGIN + rng.normal(0, 0.8 * jitter)
        left, top = round(x * FINE), round(y * FINE)
        part = page[top : top + glyph.shape[0], left : left + glyph.shape[1]]
        np.maximum(part, glyph[: part.shape[0], : part.shape[1]], out=part)
    noise = cv2.GaussianBlur(rng.normal(0, 1, page.shape).astype(np.float32), (0, 0), 0.35 * FINE)
    noise /= noise.std()
    edges = cv2.GaussianBlur(page, (0, 0), 0.2 * FINE)
    page = np.clip((edges + rough * 0.3 * noise - 0.5) * 4 + 0.5, 0, 1)
    voids = cv2.GaussianBlur(
        rng.normal(0, 1, page.shape).astype(np.float32), (0, 0), float(rng.uniform(0.15, 0.4)) * FINE
    )
    share = float(rng.choice([0.0, 0.02, 0.06, 0.12]))
    if share:
        page[voids > np.quantile(voids[::4, ::4], 1 - share)] *= float(rng.uniform(0.0, 0.6))
    return np.asarray(page, np.float32)


def random_bars(rng: Rng) -> str:
    """What may stand on a line of CMC-7: Brazil's layout, or that of France."""

    def digits(count: int) -> str:
        return "".join(str(d) for d in rng.integers(10, size=count))

    if rng.random() < 0.5:
        return f";{digits(8)}; {digits(10)}> {digits(12)}:"
    return f";{digits(7)}; {digits(12)}: {digits(12)}>"


def printed_bars(text: str, rng: Rng) -> Canvas:
    """A line of CMC-7 as `printed` gives one of E-13B; bars are of any length and parts, since these tell nothing."""
    width = round((len(text) * PITCH + 8 * PITCH) * FINE)
    page = np.zeros((round(3.4 * HEIGHT * FINE), width), np.float32)
    thick = BAR * float(rng.uniform(0.8, 1.4))
    drift, jitter = float(rng.normal(0, 0.002)), float(rng.uniform(0, 0.15))
    for k, symbol in enumerate(text):
        if symbol == " ":
            continue
        steps = [LONG if long == "1" else SHORT for long in CODES[BAR_SYMBOLS.index(symbol)]]
        right = (4 + k + 1) * PITCH * (1 + drift) + rng.normal(0, jitter) - 0.5 * (PITCH - WIDE)
        top = 1.2 * HEIGHT + rng.normal(0, jitter)
        for bar in right - WIDE + np.concatenate([[0.0], np.cumsum(steps)]):
            ends = sorted(rng.uniform(0, 1, 2)) if rng.random() < 0.6 else [1.0, 1.0]
            high, low = 0.12 * float(rng.random()), 1 - 0.12 * float(rng.random())
            cut = min(ends[1], ends[0] + 0.35)
            for begin, end in ((high, ends[0]), (cut, low)):
                if end - begin > 0.12:
                    y0, y1 = (round((top + TALL * part) * FINE) for part in (begin, end))
                    page[y0:y1, round((bar - thick / 2) * FINE) : round((bar + thick / 2) * FINE)] = 1
    noise = cv2.GaussianBlur(rng.normal(0, 1, page.shape).astype(np.float32), (0, 0), 0.15 * FINE)
    page = cv2.GaussianBlur(page, (0, 0), 0.06 * FINE) * (1 - 0.15 * np.clip(noise / noise.std() - 1, 0, 2))
    return np.asarray(page, np.float32)


def on_paper(ink: Canvas, rng: Rng) -> Canvas:
    """Paper with what is printed on it, brightness 0 to 1."""
    height, width = ink.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / FINE
    paper = np.full(ink.shape, float(rng.uniform(0.72, 1.0)), np.float32)
    if rng.random() < 0.5:  # the waves of security print
        angle, length = float(rng.uniform(0, np.pi)), float(rng.uniform(3, 14))
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        waves = 0.5 + 0.5 * np.sin(2 * np.pi * (across + 2 * np.sin(along / 11)) / length)
        paper *= 1 - float(rng.uniform(0.02, 0.25)) * waves.astype(np.float32)
    dark = float(rng.uniform(0.6, 0.95))
    return paper * (1 - dark * ink)


def scanned(page: Canvas, rng: Rng, dpi: float, lean: float, sharp: float, quality: int | None) -> GrayImage:
    """A page of `FINE` pixels a module as a scanner gives it; one of two levels where there is no `quality`."""
    scale = dpi * 0.013 / FINE
    height, width = page.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), lean, 1.0)
    room = abs(np.sin(np.deg2rad(lean))) * width
    size = (round(width + 0.3 * height), round(height + room))
    turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    page = cv2.warpAffine(page, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    page = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    page = cv2.GaussianBlur(page, (0, 0), sharp)
    page = page + rng.normal(0, float(rng.uniform(0.0, 0.03)), page.shape).astype(np.float32)
    out = np.asarray(np.clip(page * 255, 0, 255), np.uint8)
    if quality is None:
        out = np.asarray((out > 0.62 * np.median(out)) * np.uint8(255), np.uint8)
        return np.where(rng.random(out.shape) < 0.0005, 255 - out, out)
    return jpeg(out, quality)


def photographed(page: Canvas, rng: Rng) -> GrayImage:
    """The strip seen from the side, in uneven light."""
    height, width = page.shape
    across = float(rng.uniform(1000, 2400))
    scale = across / width
    w, h = width * scale, height * scale
    margin = 0.06 * w
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]]) + margin
    lean = np.deg2rad(rng.normal(0, 4))
    middle = corners.mean(axis=0)
    corners = (corners - middle) @ np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]]) + middle
    tilt = float(rng.normal(0, 0.09))
    corners[[1, 2], 1] = middle[1] + (corners[[1, 2], 1] - middle[1]) * (1 + tilt)
    corners[[0, 3], 1] = middle[1] + (corners[[0, 3], 1] - middle[1]) * (1 - tilt)
    corners += rng.normal(0, 0.05 * h, (4, 2))
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(whole, corners.astype(np.float32))
    small = cv2.GaussianBlur(page, (0, 0), 0.4 / scale)
    size = (round(w + 2 * margin), round(h + 2 * margin + w * abs(np.sin(lean))))
    view = cv2.warpPerspective(small, warp, size, flags=cv2.INTER_LINEAR, borderValue=float(rng.uniform(0.2, 0.7)))
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    angle = float(rng.uniform(0, 2 * np.pi))
    view *= 1 - float(rng.uniform(0, 0.4)) * (0.5 + 0.5 * (np.cos(angle) * x / size[0] + np.sin(angle) * y / size[1]))
    view = cv2.GaussianBlur(view, (0, 0), float(rng.uniform(0.5, 1.3)))
    view = view + rng.normal(0, float(rng.uniform(0.005, 0.025)), view.shape).astype(np.float32)
    return jpeg(np.asarray(np.clip(view * 255, 0, 255), np.uint8), int(rng.integers(45, 93)))


def jpeg(image: GrayImage, quality: int) -> GrayImage:
    """An image through JPEG."""
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0), np.uint8)


def damaged(page: Canvas, kind: str, rng: Rng) -> GrayImage:
    """A drawn page as it comes back, see `KINDS`."""
    if kind == "photo":
        return photographed(page, rng)
    lean = float(rng.uniform(-15, 15)) if rng.random() < 0.25 else float(rng.normal(0, 1.2))
    if kind == "low":
        return scanned(page, rng, float(rng.uniform(100, 150)), lean, float(rng.uniform(0.3, 0.7)), 60)
    if kind == "fax":
        return scanned(page, rng, 200.0, lean, 0.5, None)
    quality = int(rng.integers(35, 95))
    return scanned(page, rng, float(rng.choice([150, 200, 300, 300, 600])), lean, float(rng.uniform(0.3, 1.2)), quality)


def line_of(kind: str, seed: int, number: int, bars: bool = False) -> tuple[GrayImage, str]:
    """A damaged line and what it says; the same for the same numbers."""
    rng = np.random.default_rng((seed, number, KINDS.index(kind)))
    text = random_bars(rng) if bars else random_line(rng)
    return damaged(on_paper(printed_bars(text, rng) if bars else printed(text, rng), rng), kind, rng), text


def truth_of(text: str) -> list[str]:
    """The digits of each group."""
    return ["".join(c for c in text[g.start : g.stop] if c.isdigit()) for g in groups_of(text)]


def wrong_digits(readings: list[FieldReading], truth: list[str]) -> int:
    """Digits passed without review that are wrong, at least one for each group that is."""
    passed = [r.text for r in readings if not r.review]
    wrong = 0
    rest = list(truth)
    for text in passed:
        if text in rest:
            rest.remove(text)
        else:
            wrong += max(
                1, min(sum(a != b for a, b in zip(text, t, strict=False)) + abs(len(text) - len(t)) for t in truth)
            )
    return wrong


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--print", dest="bars", choices=("e13b", "cmc7"), default="e13b")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--show", action="store_true", help="name the lines that are not right")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    kinds = given.kinds.split(",")
    for number in range(given.lines):
        kind = kinds[number % len(kinds)]
        image, text = line_of(kind, given.seed, number, given.bars == "cmc7")
        start = time.process_time()
        lines = magnetic_lines(image, Layout.AUTO)
        count = counts[kind]
        count["seconds"] += time.process_time() - start
        readings = [r for line in lines for r in readings_of(line, image.shape, 0.9)]
        truth = truth_of(text)
        right = [r.text for r in readings] == truth
        count["lines"] += 1
        count["found"] += bool(lines)
        count["right"] += right
        count["named"] += any(line.named for line in lines)
        count["signs"] += len(lines) == 1 and lines[0].text == text
        count["reviewed"] += right and any(r.review for r in readings)
        count["digits"] += sum(map(len, truth))
        count["wrong"] += wrong_digits(readings, truth)
        if given.show and not right:
            print(number, kind, text, [line.text for line in lines], [r.review for r in readings])
    names = (
        "lines",
        "found",
        "digits right",
        "signs too",
        "named only",
        "right, for review",
        "digits",
        "wrong, passed",
        "ms a line",
    )
    table = Table("damage", *names, title=f"drawn lines, {given.bars}", title_justify="left")
    for kind, c in counts.items():
        n = c["lines"]
        shares = (f"{c[k] / n:.1%}" for k in ("found", "right", "signs", "named", "reviewed"))
        table.add_row(
            kind, f"{n:.0f}", *shares, f"{c['digits']:.0f}", f"{c['wrong']:.0f}", f"{1000 * c['seconds'] / n:.0f}"
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
