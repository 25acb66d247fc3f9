"""Whole numbers as one writes them, separators and all: what the line recognizer learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.config import Config
from digitscan.core.observer import unobserved
from digitscan.core.types import STRUCK_OUT, Box, Layout, PageRef, RasterPage
from digitscan.imaging.ink import find_ink
from digitscan.recognition.lines import Line, line_region, normalize_line
from digitscan.segmentation.components import label
from digitscan.segmentation.marks import one_string
from digitscan.training.drawing import (
    GlyphBank,
    SheetStyle,
    beside,
    draw_digit,
    paper,
    pick,
    scan,
    sheet_style,
    trim,
    warp,
)
from digitscan.training.handwriting import curve
from digitscan.training.overwriting import draw_struck
from digitscan.training.sources import GlyphSource

Rng = np.random.Generator
Canvas = NDArray[np.float32]

_ONE_LINE = Config(layout=Layout.LINE)
_SEPARATOR = "·"
"""A point at half height: drawn so, read as a point."""
STRUCK_SHARE = 0.08
"""Share of the numbers of which a part, or all, is made unreadable."""
WORD_SHARE = 0.06
"""Share of the lines that are a word, and read as nothing."""


class WrittenLine(NamedTuple):
    """A normalized line and what stands in it, in `ALPHABET`."""

    line: Line
    text: str


def random_text(rng: Rng) -> str:
    """An amount, a number, a date or a time, with the signs that people put around them."""
    kind = rng.random()
    if kind < 0.05:
        parts = [f"{rng.integers(1, 32)}", f"{rng.integers(1, 13)}", f"{rng.integers(0, 2100)}"]
        return rng.choice(["/", "-", "."]).join(parts)
    if kind < 0.08:
        return f"{rng.integers(0, 24)}:{rng.integers(0, 60):02d}"
    count = int(rng.integers(1, 9))
    digits = "".join(str(d) for d in rng.integers(0, 10, count))
    if kind < 0.45:  # round amounts: a few digits and zeros
        digits = digits[: int(rng.integers(1, 4))] + "0" * int(rng.integers(2, 6))
    text = digits
    if rng.random() < 0.45 and len(digits) > 3:
        sign = str(rng.choice([".", ".", ",", _SEPARATOR]))
        head = len(digits) % 3 or 3
        text = sign.join([digits[:head], *(digits[k : k + 3] for k in range(head, len(digits), 3))])
    if rng.random() < 0.15:
        text += str(rng.choice([",", "."])) + f"{rng.integers(0, 100):02d}"
    if rng.random() < 0.35:
        text += str(rng.choice([".-", "=", "-", ".", ".=", "--", "*", ",-"]))
    if rng.random() < 0.12:
        text = str(rng.choice(["*", "$", "-", "**", "="])) + text
    return text


def _stroke(canvas: Canvas, points: Sequence[tuple[float, float]], pen: int) -> None:
    pixels = (np.array(points) * 16).astype(np.int32)
    cv2.polylines(canvas, [pixels], False, 1.0, pen, cv2.LINE_AA, shift=4)


def draw_sign(sign: str, height: int, pen: int, rng: Rng) -> tuple[Canvas, float]:
    """One separator or sign by a few strokes; gives its ink and how high it stands above the baseline, in heights."""
    h = float(height)
    side = height * 2
    canvas = np.zeros((side, side), np.float32)
    x = y = 0.5 * h

    def wobble() -> float:
        return float(rng.normal(0, 0.03 * h))

    rise = 0.0
    if sign in ".:" + _SEPARATOR:
        radius = max(1, round(pen * rng.uniform(0.5, 1.0)))
        cv2.circle(canvas, (int(x), int(y)), radius, 1.0, -1, cv2.LINE_AA)
        if rng.random() < 0.4:
            _stroke(canvas, [(x, y), (x + wobble() * 2, y + wobble())], pen)
        if sign == ":":
            cv2.circle(canvas, (int(x + wobble()), int(y + h * rng.uniform(0.3, 0.5))), radius, 1.0, -1, cv2.LINE_AA)
        rise = rng.uniform(-0.08, 0.06) if sign != _SEPARATOR else rng.uniform(0.3, 0.55)
        rise += 0.15 if sign == ":" else 0.0
    elif sign == ",":
        drop = h * rng.uniform(0.15, 0.35)
        _stroke(canvas, [(x, y), (x + wobble(), y + drop / 2), (x - h * rng.uniform(0.02, 0.15), y + drop)], pen)
        rise = rng.uniform(-0.3, -0.05)
    elif sign in "-=":
        width = h * rng.uniform(0.2, 0.9)
        bend = wobble()
        _stroke(canvas, [(x, y), (x + width / 2, y + bend), (x + width, y + 2 * wobble())], pen)
        if sign == "=":
            below = float(y + h * rng.uniform(0.15, 0.35))
            if rng.random() < 0.25:  # in one go
                _stroke(canvas, [(x + width, y), (x + wobble(), below)], pen)
            _stroke(canvas, [(x + wobble(), below), (x + width * rng.uniform(0.7, 1.2), below + wobble())], pen)
        rise = rng.uniform(0.15, 0.6)
    elif sign == "/":
        lean = h * rng.uniform(0.1, 0.5)
        _stroke(canvas, [(x + lean, y), (x, y + h * rng.uniform(0.9, 1.25))], pen)
        rise = rng.uniform(-0.15, 0.05)
    elif sign == "*":
        reach = h * rng.uniform(0.12, 0.3)
        turn = rng.uniform(0, np.pi)
        for k in range(int(rng.integers(2, 4))):
            a = turn + k * np.pi / 3
            dx, dy = reach * np.cos(a), reach * np.sin(a)
            _stroke(canvas, [(x - dx, y - dy), (x + dx, y + dy)], pen)
        rise = rng.uniform(0.2, 0.6)
    else:  # the currency sign
        points = np.array([(0.55, 0.15), (0.2, 0.05), (0.1, 0.35), (0.5, 0.6), (0.4, 0.92), (0.0, 0.85)])
        points = (points + rng.normal(0, 0.03, points.shape)) * h + (x, y)
        _stroke(canvas, [(float(a), float(b)) for a, b in curve(points)], pen)
        for place in ([0.3], [0.22, 0.38])[int(rng.integers(2))]:
            _stroke(canvas, [(x + place * h, y - 0.08 * h), (x + place * h + wobble(), y + 1.08 * h)], pen)
        rise = -0.05
    return trim(canvas), rise


def draw_zeros(count: int, height: int, pen: int, rng: Rng) -> Canvas:
    """Zeros written in one go: rings that hang together at the top, or a curve that runs on in loops or humps."""
    high = height * rng.uniform(0.4, 1.0)
    make = _linked_rings if rng.random() < 0.75 else _running_loops
    points = make(count, high, rng)
    points += height / 2 - points.min(axis=0)
    right, low = (int(v) for v in points.max(axis=0) + height)
    canvas = np.zeros((low, right), np.float32)
    _stroke(canvas, [(float(a), float(b)) for a, b in points], pen)
    return trim(canvas)


def _linked_rings(count: int, high: float, rng: Rng) -> NDArray[np.float64]:
    """Each ring runs from the top to the left and round; then the pen goes over to the next: (M, 2) points."""
    half = high * rng.uniform(0.28, 0.55)
    pitch = half * rng.uniform(1.7, 2.7)
    begin, end = rng.uniform(-0.5, 0.9), 2 * np.pi + rng.uniform(-0.9, 1.1)
    parts = []
    for k in range(count):
        t = np.linspace(begin + rng.normal(0, 0.2), end + rng.normal(0, 0.2), 40)
        wide, tall = (1 + rng.normal(0, 0.12, 2)) * (half, high / 2)
        center = k * pitch + rng.normal(0, 0.08 * half), rng.normal(0, 0.05 * high)
        parts.append(np.stack([center[0] - wide * np.sin(t), center[1] - tall * np.cos(t)], axis=1))
    line = np.concatenate(parts)
    # A pen does not turn on the spot: the links round off.
    span = int(rng.integers(3, 13))
    padded = np.pad(line, ((span // 2, span // 2), (0, 0)), mode="edge")
    kernel = np.full(span, 1.0 / span)
    return np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)


def _running_loops(count: int, high: float, rng: Rng) -> NDArray[np.float64]:
    """A trochoid: the pen goes round and on at once, in loops that cross at the top or the foot: (M, 2) points."""
    pitch = high * rng.uniform(0.6, 1.2)
    half = pitch * rng.uniform(0.22, 0.6)
    t = np.linspace(rng.uniform(-0.6, 0.8), 2 * np.pi * count + rng.uniform(-0.9, 0.6), 32 * count)
    knots = np.linspace(t[0], t[-1], 2 * count + 2)
    swell = np.interp(t, knots, rng.normal(1.0, 0.12, len(knots)))
    x = pitch * t / (2 * np.pi) - half * swell * np.sin(t)
    y = -0.5 * high * swell * np.cos(t)
    return np.stack([x, -y if rng.random() < 0.5 else y], axis=1)


_DRAWN_SHARE = 0.15
"""Share of the hands, beyond what their weight gives them, that write the shapes which public sets hold few of."""


class Hand:
    """How one writer, or one printer, makes each digit."""

    def __init__(self, bank: GlyphBank, rng: Rng) -> None:
        self._bank = bank
        self.source: GlyphSource | None = None
        drawn = [source for source in bank.digits if source.name == "drawn-digits"]
        if drawn and rng.random() < _DRAWN_SHARE:
            self.source = drawn[0]
        elif rng.random() < 0.75:
            self.source = bank.digits[int(rng.choice(len(bank.digits), p=bank.shares))]
        self._font: int | None = None
        if self.source is not None and self.source.name.startswith(("fonts", "hands")):
            self._font = 10 * int(rng.integers(len(self.source.glyphs) // 10))
        written = not self.printed
        self._tails = float(rng.uniform(1.1, 1.5)) if written and rng.random() < 0.35 else 1.0
        self._head = float(rng.uniform(1.15, 1.6)) if written and rng.random() < 0.15 else 1.0
        self._zeros = float(rng.uniform(0.45, 0.9)) if written and rng.random() < 0.25 else 1.0

    @property
    def printed(self) -> bool:
        """Whether it is print."""
        return self.source is not None and self.source.printed

    def size(self, digit: int, first: bool) -> tuple[float, float]:
        """Height of a digit, and of its foot above the line: some let the tails of 1, 4, 7 and 9 hang, write the
        first digit large, or zeros small."""
        height = self._head if first else self._zeros if digit == 0 else 1.0
        if digit in (1, 4, 7, 9) and self._tails > 1:
            return height * self._tails, -height * (self._tails - 1)
        return height, 0.0

    def draw(self, digit: int, style: SheetStyle, rng: Rng) -> Canvas:
        """Ink of one digit, tight."""
        source = self.source
        if source is not None and not (source.labels == digit).any():  # some sets have no zeros
            source = None
        if source is not None and self._font is not None:  # a font's ten digits follow each other
            row = self._font + digit
            glyph = source.glyphs[row : row + 1]
            source = GlyphSource(source.name, glyph, source.labels[row : row + 1], 1.0, source.aspect, source.printed)
        stroke = draw_digit(self._bank, style, rng, digit, source)
        while stroke.label != digit:
            stroke = draw_digit(self._bank, style, rng, digit)
        return trim(stroke.ink)


def spoil(text: str, rng: Rng) -> str:
    """Put `STRUCK_OUT` in place of a digit of a text, of a few that follow each other, or of all."""
    places = [k for k, character in enumerate(text) if character.isdigit()]
    draw = rng.random()
    count = 1 if draw < 0.7 else int(rng.integers(2, 4)) if draw < 0.9 else len(places)
    start = int(rng.integers(max(len(places) - count, 0) + 1))
    spoilt = set(places[start : start + count])
    return "".join(STRUCK_OUT if k in spoilt else character for k, character in enumerate(text))


def draw_word(bank: GlyphBank, style: SheetStyle, rng: Rng) -> Canvas:
    """Write letters side by side: (H, W) float32 ink, tight."""
    sources = [source for source in (*bank.letters, bank.scripts) if source is not None]
    source = sources[int(rng.integers(len(sources)))]
    closeness = rng.uniform(-0.05, 0.25)
    word = np.zeros((1, 1), np.float32)
    for _ in range(int(rng.integers(2, 10))):
        height = max(8, int(style.height * rng.uniform(0.6, 1.0)))
        glyph, _ = pick(source, rng)
        letter = warp(
            glyph, height, rng, slant=style.slant, threshold=style.threshold, aspect=(0.85, 1.15), strength=0.5
        )
        word = beside(word, trim(letter), round((closeness + rng.normal(0, 0.04)) * style.height))
    return trim(word)


def draw_line(bank: GlyphBank, style: SheetStyle, rng: Rng, *, numbers_only: bool = False) -> tuple[Canvas, str]:
    """Write a random number in one hand; gives the ink, tight, and the text in `ALPHABET`.

    Unless `numbers_only`, some digits are struck out, those side by side being one `STRUCK_OUT`; and some lines are a
    word, whose text is empty.
    """
    if bank.letters and not numbers_only and rng.random() < WORD_SHARE:
        return draw_word(bank, style, rng), ""
    text = random_text(rng)
    hand = Hand(bank, rng)
    if not (hand.printed or numbers_only) and rng.random() < STRUCK_SHARE:
        text = spoil(text, rng)
    height = style.height
    pen = max(1, round(height * rng.uniform(0.05, 0.13)))
    closeness = rng.uniform(0.02, 0.3) if hand.printed else rng.uniform(-0.16, 0.3)
    in_one_go = not hand.printed and rng.random() < 0.35
    touching = rng.uniform(0.2, 0.9) if not hand.printed and rng.random() < 0.25 else 0.0
    uneven = 0.0 if hand.printed else rng.uniform(0.0, 0.12)
    climb = rng.normal(0, 0.03)
    parts: list[tuple[Canvas, float]] = []  # ink, and the rise of its foot in heights
    is_digit: list[bool] = []
    k = 0
    while k < len(text):
        sign = text[k]
        if sign == STRUCK_OUT:
            parts.append((draw_struck(bank, style, rng), float(rng.normal(0, 0.05))))
            is_digit.append(True)
            k += 1
            continue
        if not sign.isdigit():
            parts.append(draw_sign(sign, height, pen, rng))
            is_digit.append(False)
            k += 1
            continue
        run = len(text[k:]) - len(text[k:].lstrip("0"))
        if in_one_go and run >= 2:
            taken = run if rng.random() < 0.8 else 2
            parts.append((draw_zeros(taken, height, pen, rng), float(rng.normal(0.03, 0.04))))
            is_digit.append(True)
            k += taken
            continue
        tall, drop = hand.size(int(sign), first=k == 0)
        own = style._replace(height=max(8, int(tall * height * (1 - abs(rng.normal(0, uneven))))))
        parts.append((hand.draw(int(sign), own, rng), drop + float(rng.normal(0, 0.3 * uneven))))
        is_digit.append(True)
        k += 1
    highest = max(ink.shape[0] for ink, _ in parts)
    wide = sum(ink.shape[1] for ink, _ in parts) + len(parts) * height
    canvas = np.zeros((highest + 3 * height, wide + 2 * height), np.float32)
    x = height // 2
    foot = canvas.shape[0] - height
    for k, (ink, rise) in enumerate(parts):
        h, w = ink.shape
        top = int(np.clip(foot - h - (rise + climb * x / height) * height, 0, canvas.shape[0] - h))
        if k and is_digit[k] and is_digit[k - 1] and rng.random() < touching:
            x = _touching_at(canvas, ink, top, x, height) - int(rng.uniform(0, 0.08) * height)
        region = canvas[top : top + h, x : x + w]
        np.maximum(region, ink[:, : region.shape[1]], out=region)
        x += max(2, w + round((closeness + rng.normal(0, 0.06)) * height))
    told = "".join(
        character for k, character in enumerate(text) if character != STRUCK_OUT or text[k - 1 : k] != STRUCK_OUT
    )
    return trim(canvas), told.replace(_SEPARATOR, ".")


def _touching_at(canvas: Canvas, ink: Canvas, top: int, x: int, height: int) -> int:
    """Where a digit must stand to touch the one before it, wherever along its height; at most a height nearer."""
    h = ink.shape[0]
    start = max(x - 2 * height, 0)
    before = canvas[top : top + h, start : x + height] > 0.5
    left = np.where(before.any(axis=1), before.shape[1] - before[:, ::-1].argmax(axis=1), -canvas.shape[1])
    own = ink > 0.5
    right = np.where(own.any(axis=1), own.argmax(axis=1), canvas.shape[1])
    # A stroke touches what is a little higher or lower too.
    reach = max(1, height // 8)
    left = np.array([left[max(k - reach, 0) : k + reach + 1].max() for k in range(h)])
    return int(np.clip(start + (left - right).max(), x - height, x + height // 2))


def _surround(ink: Canvas, height: int, rng: Rng) -> tuple[Canvas, Box]:
    """Put a line on a sheet of its own, with rules and scraps of what stands near; gives the sheet and its place."""
    h, w = ink.shape
    margins = (rng.uniform(0.03, 0.6, 4) * height).astype(int) + 2
    top, bottom, left, right = (int(m) for m in margins)
    sheet = np.zeros((h + top + bottom, w + left + right), np.float32)
    sheet[top : top + h, left : left + w] = ink
    thin = max(1, round(height * rng.uniform(0.02, 0.06)))
    if rng.random() < 0.2:
        y = top + h + int(rng.uniform(-0.05, 0.3) * height)
        cv2.line(sheet, (0, y), (sheet.shape[1], y + int(rng.normal(0, 0.05) * height)), 1.0, thin, cv2.LINE_AA)
    if rng.random() < 0.1:
        y = top - int(rng.uniform(-0.03, 0.3) * height)
        cv2.line(sheet, (0, y), (sheet.shape[1], y), 1.0, thin, cv2.LINE_AA)
    if rng.random() < 0.05:
        y = top + int(rng.uniform(0.3, 0.9) * h)
        cv2.line(sheet, (0, y), (sheet.shape[1], y), float(rng.uniform(0.3, 0.8)), thin, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 3)) if rng.random() < 0.3 else 0):  # ends of the lines above and below
        x = int(rng.integers(sheet.shape[1]))
        y = 0 if rng.random() < 0.5 else sheet.shape[0]
        cv2.line(sheet, (x, y), (x + int(rng.normal(0, 0.2) * height), y), 1.0, 2 * thin, cv2.LINE_AA)
    return sheet, Box(left, top, w, h)


def read_line(image: NDArray[np.uint8], place: Box, rng: Rng) -> Line | None:
    """Find the string as the reader does and normalize it; None where much of it is lost."""
    page = RasterPage(PageRef("drawn"), image)
    binary, _, _ = find_ink(page, _ONE_LINE, 0, unobserved)
    string = one_string(label(binary.mask), image.shape)
    if string is None:
        return None
    box = string.box
    covered = min(box.bottom, place.bottom) - max(box.y, place.y)
    if covered < 0.8 * place.height:
        return None
    lost = max(box.x - place.x, place.right - box.right, 0)
    if lost > 0.25 * place.height or rng.random() < 0.5:  # the whole width, as of an image that is one string
        box = Box(0, box.y, image.shape[1], box.height)
    if rng.random() < 0.3:  # a flourish or a scrap makes the string higher than its digits
        above, below = (rng.uniform(0, 0.35, 2) * box.height).astype(int)
        top = max(box.y - int(above), 0)
        box = Box(box.x, top, box.width, min(box.bottom + int(below), image.shape[0]) - top)
    region = line_region(box, image.shape)
    ink = binary.ink[region.y : region.bottom, region.x : region.right]
    if rng.random() < 0.3:  # as on a page, where only a string's own marks are looked at
        near = cv2.dilate(binary.mask.view(np.uint8), np.ones((3, 3), np.uint8))
        ink = ink * near[region.y : region.bottom, region.x : region.right]
    return normalize_line(ink)


def draw_sheet(bank: GlyphBank, rng: Rng, *, numbers_only: bool = False) -> tuple[NDArray[np.uint8], str, Box]:
    """Scan a sheet with one line on it, as of `draw_line`.

    Returns
    -------
    image : (H, W) uint8
        Paper is white.
    text : str
        In `ALPHABET`.
    place : Box
        Of the line's ink.
    """
    style = sheet_style(rng, least=15)
    ink, text = draw_line(bank, style, rng, numbers_only=numbers_only)
    sheet, place = _surround(ink, style.height, rng)
    if rng.random() < 0.15:  # a ballpoint that skips
        fade = rng.normal(0.8, 0.25, (4, 16)).astype(np.float32)
        sheet *= np.clip(cv2.resize(fade, (sheet.shape[1], sheet.shape[0])), 0.35, 1)
    ground = paper((sheet.shape[0], sheet.shape[1]), rng, patterned=0.6)
    if rng.random() < 0.3:
        ground *= paper((sheet.shape[0], sheet.shape[1]), rng, patterned=1.0) / 0.75
    ground = np.minimum(ground, np.float32(1)) * (1 - np.float32(style.darkness) * np.minimum(sheet, 1))
    return scan(ground, rng), text, place


def line_samples(bank: GlyphBank, count: int, seed: int) -> list[WrittenLine]:
    """Make `count` lines, the same for the same seed."""
    rng = np.random.default_rng(seed)
    samples: list[WrittenLine] = []
    while len(samples) < count:
        image, text, place = draw_sheet(bank, rng)
        line = read_line(image, place, rng)
        if line is not None and line.shape[1] >= 8 * len(text):
            samples.append(WrittenLine(line, text))
    return samples
