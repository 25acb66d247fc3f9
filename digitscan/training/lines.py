"""Whole numbers as one writes them, separators and all: what the line recognizer learns from.

Lines are drawn at about the size that their network sees, in one hand or one face each, put on paper, scanned, and
read back by the reader's own functions: a few in full, as a page is; most by those alone that shape the ink.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.config import Config
from digitscan.core.observer import unobserved
from digitscan.core.types import Box, Layout, PageRef, RasterPage
from digitscan.imaging.binarize import binarize, soft_ink, string_window
from digitscan.imaging.ink import find_ink
from digitscan.recognition.lines import COLUMN_STEP, Line, line_region, normalize_line
from digitscan.segmentation.components import label
from digitscan.segmentation.marks import one_string
from digitscan.training.faces import Face, set_text
from digitscan.training.line_scenes import Scene, paper_for, scan_line, set_scene
from digitscan.training.line_signs import draw_sign, draw_zeros
from digitscan.training.line_texts import HALF, LONG_DASH, SPOILT, random_text, spoil, told
from digitscan.training.nothings import draw_nothing
from digitscan.training.penmanship import PenBank, Scribe

Rng = np.random.Generator
Ink = NDArray[np.uint8]

_ONE_LINE = Config(layout=Layout.LINE)
STRUCK_SHARE = 0.06
"""Share of the handwritten numbers of which a part, or all, is made unreadable."""
NOTHING_SHARE = 0.08
"""Share of the lines that hold no number: words, letters, ticks, boxes, or nothing at all."""
PRINT_SHARE = 0.29
PAGE_SHARE = 0.12
"""Share of the lines that are read back by all that finds ink on a page."""


class WrittenLine(NamedTuple):
    """A normalized line and what stands in it, in `ALPHABET`."""

    line: Line
    text: str


class DrawnInk(NamedTuple):
    """Ink of a line, tight (h, w) uint8; what it is to read; the height of its digits, and how it leans."""

    ink: Ink
    text: str
    height: float
    slant: float = 0.0


def tight_ink(ink: Ink) -> Ink:
    """Crop to the ink; all of it where there is none."""
    x, y, w, h = cv2.boundingRect((ink > 90).view(np.uint8))
    return np.ascontiguousarray(ink[y : y + h, x : x + w]) if w else ink


def _paste(canvas: Ink, ink: Ink, top: int, left: int) -> None:
    region = canvas[max(top, 0) : top + ink.shape[0], left : left + ink.shape[1]]
    part = ink[max(-top, 0) : max(-top, 0) + region.shape[0], : region.shape[1]]
    if part.size:
        np.maximum(region, part, out=region)


def _reach(part: Ink, height: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last column of ink of each row, a stroke's reach up and down included; far off where there is none."""
    side = max(1, int(height / 7)) * 2 + 1
    spread = cv2.dilate((part > 100).view(np.uint8), np.ones((side, 1), np.uint8))
    some = spread.any(axis=1)
    first = np.where(some, spread.argmax(axis=1), 10_000)
    last = np.where(some, spread.shape[1] - 1 - spread[:, ::-1].argmax(axis=1), -10_000)
    return first, last


def draw_handwriting(bank: PenBank, text: str, height: float, rng: Rng) -> DrawnInk:
    """Write a text in one hand.

    Digits stand as near each other as this hand sets them, by their outlines or by their extent; some touch, some are
    tied by a stroke of the pen.
    """
    scribe = Scribe(bank, height, rng)
    pen = max(1, round(scribe.pen))
    draw = rng.random()
    by_outline = rng.random() < 0.6
    closeness = rng.uniform(0.4, 1.2) if draw < 0.1 else rng.uniform(-0.07 if by_outline else -0.12, 0.3)
    in_one_go = rng.random() < 0.35
    touching = rng.uniform(0.2, 0.9) if rng.random() < 0.2 else 0.0
    tied = rng.uniform(0.1, 0.6) if rng.random() < 0.12 else 0.0
    climb = float(rng.normal(0, 0.03))
    drop_cents = rng.random() < 0.12
    face = bank.scripts[int(rng.integers(len(bank.scripts)))] if bank.scripts else None
    canvas = np.zeros((int(5 * height), int((len(text) + 4) * 2.6 * height)), np.uint8)
    foot = int(3.2 * height)
    x = int(height)
    before: tuple[NDArray[np.int64], int] | None = None  # last columns of the character before, and its top
    cents = _cents_at(text) if drop_cents else -1
    comb = text.isdecimal() and len(text) > 1 and rng.random() < 0.015
    if comb:  # a box for each digit
        closeness, by_outline, touching, tied = rng.uniform(0.35, 1.0), False, 0.0, 0.0
    wall = (rng.uniform(0.2, 0.5), rng.uniform(1.2, 1.6), int(rng.integers(110, 256)), max(1, round(0.4 * pen)))
    airy = rng.uniform(0.1, 0.9) if rng.random() < 0.2 else 0.0  # points stand apart
    k = 0
    while k < len(text):
        sign = text[k]
        taken = 1
        rise = float(rng.normal(0, 0.25 * scribe.uneven))
        is_digit = sign.isdecimal() or sign == SPOILT
        if sign == " ":
            x += int(rng.uniform(0.25, 0.7) * height)
            before = None
            k += 1
            continue
        if sign == SPOILT:
            ink = scribe.spoilt(height)
        elif sign == "0" and in_one_go and text[k : k + 2] == "00":
            run = len(text[k:]) - len(text[k:].lstrip("0"))
            taken = run if rng.random() < 0.8 else 2
            zeros = draw_zeros(taken, max(int(height), 8), pen, rng)
            ink = (np.minimum(zeros, 1) * 255).astype(np.uint8)
        elif sign.isdecimal():
            tall, drop = scribe.size(int(sign), first=k == 0)
            own = max(tall * height * (1 - abs(rng.normal(0, scribe.uneven))), 5.0)
            rise += drop
            if cents >= 0 and k >= cents:
                own *= 0.62
                rise += 0.42
            ink = scribe.digit(int(sign), own)
        else:
            found, rise = _hand_sign(sign, height, pen, face, rng)
            if found is None:
                k += 1
                continue
            ink = found
            if airy and sign in ".,·":
                x += int(airy * height * rng.uniform(0.3, 1))
                before = None
        top = foot - ink.shape[0] - round((rise + climb * x / height) * height)
        first, last = _reach(ink, height)
        place = x
        if before is not None and (by_outline or is_digit):
            reach, above = before
            low, high = max(above, top), min(above + len(reach), top + ink.shape[0])
            if by_outline and high > low:
                gap = (first[low - top : high - top] - reach[low - above : high - above]).min()
                wanted = round((closeness + 0.06 + rng.normal(0, 0.05)) * height)
                if is_digit and rng.random() < touching:
                    wanted = -round(rng.uniform(0.0, 0.1) * height)
                place = int(np.clip(wanted - gap, x - 0.6 * height, x + 0.5 * height)) if abs(gap) < 5000 else x
        if before is not None and is_digit and rng.random() < tied:
            _tie(canvas, before, ink, top, place, pen, height, rng)
        place = min(max(place, 0), canvas.shape[1] - ink.shape[1] - 1)
        if comb and k:
            at = int(place - 0.5 * closeness * height)
            ends = (at, int(foot + wall[0] * height)), (at, int(foot - wall[1] * height))
            cv2.line(canvas, ends[0], ends[1], wall[2], wall[3], cv2.LINE_AA)
        _paste(canvas, ink, top, place)
        before = np.where(last > -1000, last + place, last), top
        advance = ink.shape[1] + round((closeness + rng.normal(0, 0.05)) * height)
        x = place + max(advance, 2)
        if airy and sign in ".,·":
            x += int(airy * height * rng.uniform(0.3, 1))
            before = None
        if x > canvas.shape[1] - 2.5 * height:  # very wide writing
            canvas = cv2.copyMakeBorder(canvas, 0, 0, 0, canvas.shape[1], cv2.BORDER_CONSTANT, value=0)
        k += taken
    if cents >= 0 and rng.random() < 0.5:  # cents are raised and underlined
        left = int(x - 1.6 * height)
        y = foot - round((0.36 + climb * x / height) * height)
        cv2.line(canvas, (left, y), (x, y + int(rng.normal(0, 0.04) * height)), 255, pen, cv2.LINE_AA)
    whole = tight_ink(canvas)
    if rng.random() < 0.5:
        whole = tight_ink(_bent(whole, height, rng))
    if rng.random() < 0.15:  # a ballpoint that skips
        fade = np.clip(rng.normal(0.8, 0.25, (4, max(4, whole.shape[1] // 8))), 0.3, 1).astype(np.float32)
        whole = (whole * cv2.resize(fade, (whole.shape[1], whole.shape[0]))).astype(np.uint8)
    return DrawnInk(whole, told(text), height, scribe.slant)


def _cents_at(text: str) -> int:
    """Where two last digits after a separator begin; -1 where there are none."""
    tail = text[-3:]
    return len(text) - 2 if len(text) > 3 and tail[0] in ".,-" and tail[1:].isdecimal() else -1


def _hand_sign(sign: str, height: float, pen: int, face: Face | None, rng: Rng) -> tuple[Ink | None, float]:
    """Ink of what is no digit, and how high its foot stands above the base line, in heights."""
    if sign in ".,-=/:*$·":
        canvas, rise = draw_sign(sign, max(int(height), 8), pen, rng)
        return (np.minimum(canvas, 1) * 255).astype(np.uint8), rise
    if sign == LONG_DASH:
        length = int(rng.uniform(1.0, 2.6) * height)
        ink = np.zeros((int(0.5 * height) + 2 * pen + 2, length + 2 * pen), np.uint8)
        middle = ink.shape[0] // 2
        points = np.array(
            [(pen + t * length, middle + rng.normal(0, 0.06) * height) for t in np.linspace(0, 1, 4)], np.float32
        )
        cv2.polylines(ink, [(points * 16).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 4)
        return tight_ink(ink), float(rng.uniform(0.05, 0.5))
    if sign in "()":
        ink = np.zeros((int(1.4 * height) + 2, int(0.6 * height) + 2 * pen), np.uint8)
        axes = (int(rng.uniform(0.15, 0.4) * height), int(0.65 * height))
        center = (int(0.5 * height) if sign == "(" else 0, ink.shape[0] // 2)
        turn = (110, 250) if sign == "(" else (-70, 70)
        cv2.ellipse(ink, center, axes, 0, turn[0], turn[1], 255, pen, cv2.LINE_AA)
        return tight_ink(ink), -0.12
    if sign in "#+":
        side = int(height * (1.1 if sign == "#" else 0.6)) + 2 * pen + 2
        ink = np.zeros((side, side), np.uint8)
        lean = rng.uniform(0.0, 0.25) * side
        for place in (0.35, 0.65) if sign == "#" else (0.5,):
            at = place * side + rng.normal(0, 0.04) * side
            lines = (((at + lean / 2, pen), (at - lean / 2, side - pen)), ((pen, at), (side - pen, at - 0.05 * side)))
            for start, stop in lines:
                ends = [(int(16 * a), int(16 * b)) for a, b in (start, stop)]
                cv2.line(ink, ends[0], ends[1], 255, pen, cv2.LINE_AA, 4)
        return tight_ink(ink), 0.0 if sign == "#" else float(rng.uniform(0.1, 0.3))
    character = {"'": "'", HALF: "½"}.get(sign, sign)
    if face is None or character not in face.letters:
        return None, 0.0
    letter = face.letters[character]
    if letter.ink is None:
        return None, 0.0
    scale = height * rng.uniform(0.85, 1.1) / face.height
    size = (max(2, round(letter.ink.shape[1] * scale)), max(2, round(letter.ink.shape[0] * scale)))
    ink = np.asarray(cv2.resize(letter.ink, size, interpolation=cv2.INTER_AREA), np.uint8)
    if pen > 0.07 * height and rng.random() < 0.7:
        ink = cv2.dilate(ink, np.ones((2, 2), np.uint8))
    return ink, -(letter.top + letter.ink.shape[0]) / face.height


def _tie(
    canvas: Ink,
    before: tuple[NDArray[np.int64], int],
    ink: Ink,
    top: int,
    place: int,
    pen: int,
    height: float,
    rng: Rng,
) -> None:
    """A stroke from the end of one digit to the beginning of the next."""
    reach, at = before
    y = top + int(rng.uniform(0.05, 0.95) * ink.shape[0])
    row = min(max(y - at, 0), len(reach) - 1)
    start, stop = int(reach[row]), place + int(0.25 * ink.shape[1])
    if start < 0 or not 0 < stop - start < 0.9 * height:
        return
    drop = int(rng.normal(0, 0.08) * height)
    cv2.line(canvas, (start, y), (stop, y + drop), 255, pen, cv2.LINE_AA)


def _bent(ink: Ink, height: float, rng: Rng) -> Ink:
    """Bend a line a little, as no two digits of a hand are alike."""
    pad = max(2, int(0.12 * height))
    h, w = ink.shape[0] + 2 * pad, ink.shape[1] + 2 * pad
    knots = (3, max(3, round(w / height * 1.6)))
    size = (w, h)
    amount = height * rng.uniform(0.01, 0.05)
    moved = [
        cv2.resize(rng.normal(0, amount, knots).astype(np.float32), size, interpolation=cv2.INTER_LINEAR) for _ in "xy"
    ]
    map_x = moved[0] + np.arange(-pad, w - pad, dtype=np.float32)
    map_y = moved[1] + np.arange(-pad, h - pad, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(ink, map_x, map_y, cv2.INTER_LINEAR, borderValue=0), np.uint8)


def draw_print(bank: PenBank, text: str, height: float, rng: Rng) -> DrawnInk:
    """Set a text in one face: even, or as a typewriter or a worn ribbon prints it."""
    faces = bank.printed
    face = faces[int(rng.integers(len(faces)))]
    if rng.random() < 0.3:
        some = [f for f in faces if f.typed or f.name.startswith("matrix")]
        face = some[int(rng.integers(len(some)))] if some else face
    typed = face.typed and rng.random() < 0.7
    shown = text
    if typed and rng.random() < 0.2 and "l" in face.letters:  # machines without a one
        shown = shown.replace("1", "l")
    shown = "".join(c if c in face.letters else {LONG_DASH: "-", "·": "."}.get(c, c) for c in shown)
    if not face.has(shown):
        shown = "".join(c for c in shown if c in face.letters)
        text = "".join(c for c in text if c in face.letters or c in (LONG_DASH, "·"))
    spacing = float(rng.normal(0, 0.03)) if rng.random() < 0.7 else float(rng.uniform(0, 0.35))
    if rng.random() < 0.08:  # points stand apart
        for point in ".,·":
            shown = shown.replace(point, f" {point} " if rng.random() < 0.5 else f"{point} ")
    ink, _ = set_text(
        face, shown, rng, spacing=spacing, jitter=0.02 * float(rng.random()) if typed else 0.0,
        uneven=float(rng.uniform(0, 0.7)) if typed else 0.0,
    )  # fmt: skip
    ink = tight_ink(ink)
    draw = rng.random()
    if draw < 0.12:  # thin faces, and print that has spread
        ink = cv2.dilate(ink, np.ones((3, 3), np.uint8))
    elif draw < 0.25 and not face.name.startswith("matrix"):
        ink = cv2.erode(cv2.blur(ink, (2, 2)), np.ones((2, 2), np.uint8))
    scale = height / face.height
    wide = scale * float(np.exp(rng.normal(0, 0.1)))
    slant = float(rng.normal(0, 0.05)) if rng.random() < 0.3 else 0.0
    tilt = float(rng.normal(0, 0.01))
    h, w = ink.shape
    if scale < 0.7:
        side = max(1, round(0.8 / scale))
        ink = cv2.blur(ink, (side, side))
    size = (int(w * wide + abs(slant) * h * scale) + 3, int(h * scale + abs(tilt) * w * wide) + 3)
    left = 1 + max(slant, 0) * h * scale
    rise = 1 + max(-tilt, 0) * w * wide
    matrix = np.array([[wide, -slant * scale, left], [tilt * wide, scale, rise]])
    drawn = cv2.warpAffine(ink, matrix, size, flags=cv2.INTER_LINEAR, borderValue=0)
    if scale < 0.7 or rng.random() < 0.3:
        drawn = cv2.convertScaleAbs(drawn, alpha=float(rng.uniform(1.0, 1.7)))
    return DrawnInk(tight_ink(drawn), told(text), height, slant)


def draw_ink(bank: PenBank, rng: Rng, *, numbers_only: bool = False) -> DrawnInk:
    """Draw a random line: a number in one hand or one face, or, unless `numbers_only`, what is no number."""
    if not numbers_only and rng.random() < NOTHING_SHARE:
        height = float(np.exp(rng.uniform(np.log(14), np.log(34))))
        return DrawnInk(draw_nothing(bank, height, rng), "", height)
    text = random_text(rng)
    if bank.printed and (rng.random() < PRINT_SHARE or not bank.pools):
        return draw_print(bank, text, float(np.exp(rng.uniform(np.log(7), np.log(36)))), rng)
    if not numbers_only and rng.random() < STRUCK_SHARE:
        text = spoil(text, rng)
    return draw_handwriting(bank, text, float(np.exp(rng.uniform(np.log(15), np.log(36)))), rng)


def _on_paper(scene: Scene, height: float, rng: Rng) -> NDArray[np.uint8]:
    ground = paper_for((scene.ink.shape[0], scene.ink.shape[1]), rng)
    darkness = float(rng.uniform(0.3, 0.97))
    ground = ground * (1 - np.float32(darkness / 255) * scene.ink)
    if rng.random() < 0.2 and height > 16:  # a coarse scan
        small = rng.uniform(0.45, 0.9)
        ground = cv2.resize(ground, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
        out = scan_line(ground, height * small, rng)
        size = (scene.ink.shape[1], scene.ink.shape[0])
        return np.asarray(cv2.resize(out, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return scan_line(ground, height, rng)


def _look(ink: Ink, slant: float, rng: Rng) -> Line:
    """One of the views that the reader takes of a line: as it stands, set upright, smaller."""
    draw = rng.random()
    upright = slant if draw < 0.3 and abs(slant) > 0.1 else 0.0
    if upright:
        upright += float(rng.normal(0, 0.05))
    return normalize_line(ink, upright, 0.09 if rng.random() < 0.25 else 0.0)


def read_scene(scene: Scene, drawn: DrawnInk, rng: Rng) -> Line:
    """Scan a scene and normalize its line: by the functions that give a page its soft ink, at the line's scale."""
    image = _on_paper(scene, drawn.height, rng)
    shape = image.shape
    window = string_window(shape) if rng.random() < 0.5 else int(max(15, rng.uniform(1.2, 3) * drawn.height)) | 1
    ink = soft_ink(image, window)
    if scene.alone:  # on a page only a string's own marks are looked at
        mask, _ = binarize(ink, window=window)
        near = cv2.dilate(scene.own, np.ones((5, 5), np.uint8)) > 60
        kept = cv2.dilate((mask & near).view(np.uint8), np.ones((3, 3), np.uint8))
        ink = ink * kept
    r = scene.region
    return _look(ink[r.y : r.bottom, r.x : r.right], drawn.slant, rng)


def read_page(image: NDArray[np.uint8], place: Box, drawn: DrawnInk, rng: Rng) -> Line | None:
    """Find the string in an image as the reader does, and normalize it; None where much of it is lost."""
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
    region = line_region(box, image.shape)
    return _look(binary.ink[region.y : region.bottom, region.x : region.right], drawn.slant, rng)


def draw_scene(bank: PenBank, rng: Rng, *, numbers_only: bool = False) -> tuple[Scene, DrawnInk]:
    """Draw a line and what stands around it."""
    drawn = draw_ink(bank, rng, numbers_only=numbers_only)
    return set_scene(drawn.ink, drawn.height, bank, rng, frame=bool(rng.random() < 0.03)), drawn


def draw_sheet(bank: PenBank, rng: Rng, *, numbers_only: bool = False) -> tuple[NDArray[np.uint8], str, Box]:
    """Scan a sheet with one line on it.

    Returns
    -------
    image : (H, W) uint8
        Paper is white.
    text : str
        In `ALPHABET`.
    place : Box
        Of the line's ink.
    """
    scene, drawn = draw_scene(bank, rng, numbers_only=numbers_only)
    return _on_paper(scene, drawn.height, rng), drawn.text, scene.place


def draw_sample(bank: PenBank, rng: Rng) -> WrittenLine | None:
    """One line and its text; None where too little of it can be read."""
    scene, drawn = draw_scene(bank, rng)
    line: Line | None
    if drawn.text and drawn.height >= 18 and rng.random() < PAGE_SHARE:
        line = read_page(_on_paper(scene, drawn.height, rng), scene.place, drawn, rng)
    else:
        line = read_scene(scene, drawn, rng)
    if line is None or line.shape[1] < COLUMN_STEP * columns_needed(drawn.text):
        return None
    return WrittenLine(line, drawn.text)


def columns_needed(text: str) -> int:
    """Fewest answers of the network that can spell a text: a blank stands between two that are alike."""
    return max(1, len(text) + sum(a == b for a, b in pairwise(text)))


def line_samples(bank: PenBank, count: int, seed: int) -> list[WrittenLine]:
    """Make `count` lines, the same for the same seed."""
    rng = np.random.default_rng(seed)
    samples: list[WrittenLine] = []
    while len(samples) < count:
        sample = draw_sample(bank, rng)
        if sample is not None:
            samples.append(sample)
    return samples
