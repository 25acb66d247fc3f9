"""Papers, rules, walls and neighbours at the scale of one line, and what a scanner makes of them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box
from digitscan.training.faces import set_text
from digitscan.training.line_texts import random_word
from digitscan.training.penmanship import PenBank

Rng = np.random.Generator
Ink = NDArray[np.uint8]
_TEXTURE = (192, 1024)


class Scene(NamedTuple):
    """A line with what stands around it, not yet on paper.

    Attributes
    ----------
    ink : (H, W) uint8
        All that is drawn; 255 is full ink.
    place : Box
        Of the line's own ink.
    region : Box
        What a reader takes for the line.
    own : (H, W) uint8
        The line's own ink alone.
    alone : bool
        Whether the reader hides what is not the line's own.
    """

    ink: Ink
    place: Box
    region: Box
    own: Ink
    alone: bool


@cache
def _textures() -> list[NDArray[np.float32]]:
    """Patterns of security paper and grain, 0 to 1, drawn once: each line takes a window of one."""
    rng = np.random.default_rng(5)
    height, width = _TEXTURE
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    out: list[NDArray[np.float32]] = []
    for _ in range(16):  # waves that cross
        total = np.zeros(_TEXTURE, np.float32)
        for _ in range(int(rng.integers(1, 4))):
            angle, period = rng.uniform(0, np.pi), rng.uniform(3, 14)
            wave = np.sin(xs * rng.uniform(0.005, 0.06) + ys * rng.uniform(0, 0.03)) * rng.uniform(0, 6)
            phase = (xs * np.cos(angle) + ys * np.sin(angle) + wave) * (2 * np.pi / period)
            total = np.maximum(total, np.clip(np.sin(phase) * 2 - rng.uniform(0, 1.4), 0, 1))
        out.append(total)
    for _ in range(4):  # rings
        middle = rng.uniform(-200, 1200), rng.uniform(-300, 400)
        away = np.hypot(xs - middle[0], ys - middle[1]) + 3 * np.sin(np.arctan2(ys, xs) * 9)
        rings = np.clip(np.sin(away * 2 * np.pi / rng.uniform(3.5, 10)) * 2 - rng.uniform(0, 1), 0, 1)
        out.append(rings.astype(np.float32))
    for _ in range(4):  # dots, as of a printer's screen
        pitch = rng.uniform(3, 8)
        out.append(np.clip(np.sin(xs * 6.28 / pitch) * np.sin(ys * 6.28 / pitch) * 2.5, 0, 1))
    for _ in range(10):  # grain, fine or in blots
        noise = rng.normal(0, 1, _TEXTURE).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.7, 6)))
        out.append(np.clip(noise / (3 * noise.std()) + 0.3, 0, 1))
    for _ in range(8):  # small print and outlines of large letters
        canvas = np.zeros(_TEXTURE, np.uint8)
        large = rng.random() < 0.4
        size, step = (rng.uniform(1.5, 4), 90) if large else (rng.uniform(0.25, 0.4), 12)
        word = str(rng.choice(["BANK", "CHEQUE", "ORIGINAL", "VOID", "SPECIMEN", "Payable", "AAAA", "00000"])) + " "
        for y in range(0, height, step):
            at = (int(rng.integers(-60, 0)), y + step)
            cv2.putText(canvas, word * 60, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1 + large, cv2.LINE_AA)
        out.append(canvas.astype(np.float32) / np.float32(255))
    return [np.asarray(cv2.GaussianBlur(t, (0, 0), 0.5), np.float32) for t in out]


@cache
def _noises() -> list[NDArray[np.float32]]:
    """Noise of sensors, of unit deviation: white, and a little smoothed."""
    rng = np.random.default_rng(6)
    white = [rng.normal(0, 1, _TEXTURE).astype(np.float32) for _ in range(3)]
    soft = cv2.GaussianBlur(white[0], (0, 0), 0.8)
    return [*white, np.asarray(soft / soft.std(), np.float32)]


def _window(large: NDArray[np.float32], shape: tuple[int, int], rng: Rng) -> NDArray[np.float32]:
    h, w = shape
    if h > large.shape[0] or w > large.shape[1]:
        large = np.tile(large, (-(-h // large.shape[0]), -(-w // large.shape[1])))
    y, x = int(rng.integers(large.shape[0] - h + 1)), int(rng.integers(large.shape[1] - w + 1))
    part = large[y : y + h, x : x + w]
    return part[:, ::-1] if rng.random() < 0.5 else part


def paper_for(shape: tuple[int, int], rng: Rng) -> NDArray[np.float32]:
    """Brightness of paper, 0 to 1: shade, pattern, grain: (H, W) float32."""
    height, width = shape
    level = float(rng.uniform(0.55, 0.99))
    if rng.random() < 0.6:
        corners = (level * (1 + rng.normal(0, rng.uniform(0, 0.1), (3, 4)))).astype(np.float32)
        ground = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        ground = np.full(shape, level, np.float32)
    patterns = int(rng.choice(3, p=(0.45, 0.4, 0.15)))
    for _ in range(patterns):
        texture = _textures()[int(rng.integers(len(_textures())))]
        ground = ground * (1 - np.float32(rng.uniform(0.015, 0.17)) * _window(texture, shape, rng))
    return np.minimum(ground, np.float32(1))


def scan_line(picture: NDArray[np.float32], height: float, rng: Rng) -> NDArray[np.uint8]:
    """Lens, sensor and file format of a picture of one line, (H, W) float32 0 to 1; `height` is that of its digits."""
    draw = rng.random()
    if draw < 0.65:
        blur = float(np.exp(rng.uniform(np.log(0.35), np.log(max(0.055 * height, 0.6)))))
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    elif draw < 0.7:  # a hand that shook
        length = max(2, round(float(rng.uniform(0.05, 0.14)) * height))
        picture = cv2.blur(picture, (length, 1) if rng.random() < 0.5 else (1, length))
    if rng.random() < 0.12:  # an unsharp mask, as cameras and drivers of scanners put over it
        soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.8, 2)))
        picture = picture + np.float32(rng.uniform(0.3, 1.5)) * (picture - soft)
    if rng.random() < 0.75:
        noise = _window(_noises()[int(rng.integers(4))], (picture.shape[0], picture.shape[1]), rng)
        picture = picture + np.float32(np.exp(rng.uniform(np.log(0.003), np.log(0.05)))) * noise
    out = np.clip(picture * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        encoded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(18, 92))])[1]
        out = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
    if rng.random() < 0.06:  # one bit a pixel
        level = cv2.threshold(out, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]
        out = (out > level).view(np.uint8) * np.uint8(255)
    return out


def _stroke(canvas: Ink, start: tuple[float, float], stop: tuple[float, float], level: float, width: float) -> None:
    """A straight stroke; one thinner than a pixel is fainter."""
    shade = int(255 * np.clip(level * min(width, 1.0), 0, 1))
    ends = [(int(16 * x), int(16 * y)) for x, y in (start, stop)]
    cv2.line(canvas, ends[0], ends[1], shade, max(1, round(width)), cv2.LINE_AA, 4)


def _neighbours(canvas: Ink, place: Box, height: float, bank: PenBank, rng: Rng) -> None:
    """Ends of the lines above and below: tails of letters and digits that reach in."""
    faces = bank.scripts or bank.printed
    for above in (True, False):
        if rng.random() < 0.5:
            continue
        if faces and rng.random() < 0.6:
            face = faces[int(rng.integers(len(faces)))]
            text = " ".join(random_word(rng) for _ in range(3)) if rng.random() < 0.6 else "3 7940 817 2904 613"
            ink, _ = set_text(face, text, rng)
            scale = height * rng.uniform(0.8, 1.3) / face.height
            ink = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            x, y, w, h = cv2.boundingRect((ink > 90).view(np.uint8))
            part = ink[y : y + h, x : x + w]
            seen = int(rng.uniform(0.08, 0.5) * h)
            part = part[h - seen :] if above else part[:seen]
            part = part[:, : canvas.shape[1]]
            if not part.size:
                continue
            room = place.y if above else canvas.shape[0] - place.bottom
            seen = min(part.shape[0], max(room, 1))
            start = int(rng.integers(canvas.shape[1] - part.shape[1] + 1))
            rows = slice(0, seen) if above else slice(canvas.shape[0] - seen, canvas.shape[0])
            region = canvas[rows, start : start + part.shape[1]]
            np.maximum(region, part[part.shape[0] - seen :] if above else part[:seen], out=region)
        else:
            for _ in range(int(rng.integers(1, 4))):
                x = rng.uniform(0, canvas.shape[1])
                y = 0.0 if above else float(canvas.shape[0])
                reach = rng.uniform(0.05, 0.5) * height * (1 if above else -1)
                stop = (x + rng.normal(0, 0.25) * height, y + reach)
                _stroke(canvas, (x, y), stop, 1.0, rng.uniform(0.04, 0.12) * height)


def set_scene(ink: Ink, height: float, bank: PenBank, rng: Rng, *, frame: bool = False) -> Scene:
    """Put a line's ink on a sheet of its own: in a cell, in a box, over a rule, or among neighbours.

    Parameters
    ----------
    ink : (h, w) uint8
        Tight.
    height : float
        Of its digits in pixels.
    bank : PenBank
    rng : Generator
    frame : bool
        Draw a box around it with a label before, as forms and cheques print them.
    """
    h, w = ink.shape
    kind = 0.9 if frame else rng.random()
    cell = kind > 0.8
    low, high = (0.05, 0.9) if cell else (0.02, 0.35)
    margins = rng.uniform(low, high, 4) * height + 2
    if cell and rng.random() < 0.35:  # a wide cell, its number at one side
        margins[int(rng.integers(2, 4))] += rng.uniform(0.5, 5) * height
    top, bottom, left, right = (int(m) for m in margins)
    label: Ink | None = None
    if frame and bank.printed:
        label = _label(height, bank, rng)
        left += label.shape[1] + int(rng.uniform(0.2, 1) * height)
    sheet = np.zeros((max(h + top + bottom, 8), w + left + right), np.uint8)
    sheet[top : top + h, left : left + w] = ink
    own = sheet.copy()
    place = Box(left, top, w, h)
    if label is not None:
        y = max(0, top + (h - label.shape[0]) // 2)
        region = sheet[y : y + label.shape[0], : label.shape[1]]
        np.maximum(region, label[: region.shape[0], : region.shape[1]], out=region)
    thin = max(rng.uniform(0.015, 0.07) * height, 0.5)
    rows, columns = sheet.shape
    tilt = float(rng.normal(0, 0.012)) * columns
    if cell:
        _walls(sheet, place, height, thin, tilt, rng, box=frame)
    else:
        if rng.random() < 0.25:
            y = place.bottom + rng.uniform(-0.08, 0.3) * height
            _stroke(sheet, (0, y), (columns, y + tilt), rng.uniform(0.4, 1), thin)
        if rng.random() < 0.1:
            y = place.y - rng.uniform(-0.03, 0.3) * height
            _stroke(sheet, (0, y), (columns, y + tilt), rng.uniform(0.4, 1), thin)
        if rng.random() < 0.03:
            y = place.y + rng.uniform(0.3, 0.9) * h
            _stroke(sheet, (0, y), (columns, y + tilt), rng.uniform(0.2, 0.6), thin)
    if rng.random() < 0.12:
        _neighbours(sheet, place, height, bank, rng)
    if rng.random() < 0.05:  # specks, holes of a punch, a stain
        for _ in range(int(rng.integers(1, 8))):
            x, y = int(rng.integers(columns)), int(rng.integers(rows))
            radius = int(rng.uniform(0.01, 0.06) * height) + 1
            if sheet[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max(initial=0) < 90:
                cv2.circle(sheet, (x, y), radius, int(rng.integers(90, 255)), -1, cv2.LINE_AA)
    alone = not cell and not frame and rng.random() < 0.45
    if cell or (not alone and rng.random() < 0.5):
        taken = Box(0, 0, columns, rows)
        if cell and rng.random() < 0.5:  # the reader cuts a cell within its walls, or a little outside
            x0 = int(rng.uniform(0, 0.9) * left) if label is None else 0
            x1 = columns - int(rng.uniform(0, 0.9) * right)
            y0, y1 = int(rng.uniform(0, 0.95) * top), rows - int(rng.uniform(0, 0.95) * bottom)
            taken = Box(x0, y0, x1 - x0, y1 - y0)
    else:
        taken = _tight_region(place, sheet.shape, height, rng)
    return Scene(sheet, place, taken, own, alone)


def _tight_region(place: Box, shape: tuple[int, ...], height: float, rng: Rng) -> Box:
    """A string's box with the margin of `digitscan.recognition.lines.line_region`, found a little inexactly."""
    margin = max(2, round(0.12 * place.height))
    off = np.maximum(rng.normal(0.0, 0.03, 4) * height, -0.08 * height).astype(int) + margin
    if rng.random() < 0.25:  # a flourish or a scrap makes the string higher than its digits
        off[:2] += (rng.uniform(0, 0.4, 2) * place.height).astype(int)
    x0, y0 = max(place.x - int(off[2]), 0), max(place.y - int(off[0]), 0)
    x1, y1 = min(place.right + int(off[3]), shape[1]), min(place.bottom + int(off[1]), shape[0])
    if rng.random() < 0.4:  # the whole width, as of an image that is one string
        x0, x1 = 0, shape[1]
    return Box(x0, y0, max(x1 - x0, 4), max(y1 - y0, 4))


def _walls(sheet: Ink, place: Box, height: float, thin: float, tilt: float, rng: Rng, *, box: bool) -> None:
    """Sides of a cell, some of them missing, faint, broken or touching the digits."""
    rows, columns = sheet.shape
    level = rng.uniform(0.35, 1.0)
    inset = rng.uniform(0, 1, 4)
    # Sides above and below are plain rules; one at either end looks much like a 1, and most are gone before this.
    seen = rng.random(4) < ((1.0, 1.0, 1.0, 1.0) if box else (0.25, 0.25, 0.5, 0.5))
    x0 = (place.x - rng.uniform(0.05, 0.3) * height) if box else inset[0] * max(place.x - 0.04 * height, 0)
    x1 = columns - 1 - inset[1] * max(columns - place.right - 0.04 * height, 0)
    y0 = inset[2] * max(place.y, 0)
    y1 = rows - 1 - inset[3] * max(rows - place.bottom, 0)
    lean = float(rng.normal(0, 0.01)) * rows
    for own, start, stop in (
        (seen[0], (x0, -2.0), (x0 + lean, rows + 2.0)),
        (seen[1], (x1, -2.0), (x1 + lean, rows + 2.0)),
        (seen[2], (x0 if box else -2.0, y0), (columns + 2.0, y0 + tilt)),
        (seen[3], (x0 if box else -2.0, y1), (columns + 2.0, y1 + tilt)),
    ):
        if not own:
            continue
        if rng.random() < 0.25:  # softened, as where a remover of rules has been
            part = np.zeros_like(sheet)
            _stroke(part, start, stop, level, thin)
            gaps = np.clip(rng.normal(0.5, 0.5, (5, 9)), 0, 1).astype(np.float32)
            part = (part * cv2.resize(gaps, (columns, rows))).astype(np.uint8)
            np.maximum(sheet, part, out=sheet)
        else:
            _stroke(sheet, start, stop, level, thin * (2 if rng.random() < 0.08 else 1))


def _label(height: float, bank: PenBank, rng: Rng) -> Ink:
    """Print that stands before a box: a word, a sign of currency, both."""
    face = bank.printed[int(rng.integers(len(bank.printed)))]
    text = random_word(rng) if rng.random() < 0.6 else ""
    sign = str(rng.choice(["₹", "€", "£", "Rs.", "Fr.", "CHF", "kr", "¥", ""]))
    ink, _ = set_text(face, f"{text}  {sign}", rng)
    scale = height * rng.uniform(0.4, 1.1) / face.height
    ink = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y, w, h = cv2.boundingRect((ink > 90).view(np.uint8))
    return np.ascontiguousarray(ink[y : y + h, x : x + w]) if w else np.zeros((2, 2), np.uint8)
