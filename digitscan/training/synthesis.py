"""Crops as the reader makes them: glyphs are put on paper, damaged, and read back by the page path.

A sheet is one synthetic page of many cells. Its ink is found by `digitscan.imaging.binarize`, its crops are
made by `digitscan.recognition.normalize`: the very functions that read pages.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import CROP_SIZE, NOT_A_DIGIT, Box, Crops
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.recognition.normalize import normalize_ink
from digitscan.segmentation.components import cut_out, label
from digitscan.training.drawing import (
    GlyphBank,
    SheetStyle,
    Stroke,
    beside,
    draw_digit,
    paper,
    pick,
    scan,
    sheet_style,
    trim,
    warp,
)
from digitscan.training.nothings import draw_mark
from digitscan.training.overwriting import draw_struck
from digitscan.training.sources import GlyphSource
from digitscan.training.written import number_crops

Rng = np.random.Generator
Canvas = NDArray[np.float32]

NEGATIVE_SHARE = 0.2
"""Share of samples that are not a digit."""
CUT_SHARE = 0.15
"""Share of samples that are digits cut free from touching neighbours."""

ZEROS_SHARE = 0.25
"""Share of touching digits that are zeros among zeros: round amounts end in them, written in one go."""


def _cut_from_neighbours(bank: GlyphBank, style: SheetStyle, rng: Rng) -> Stroke:
    """A digit that touched its neighbours and was cut free: stubs of them stay, its own ends may be missing.

    Digits written in one go hang together by ligatures, above all zeros: those are drawn too.
    """
    only = 0 if rng.random() < ZEROS_SHARE else None
    whole = draw_digit(bank, style, rng, only)
    own = trim(whole.ink)
    height, width = own.shape
    canvas, offset = own, 0
    pen = max(1, round(style.height * rng.uniform(0.05, 0.11)))
    for side in (-1, 1):
        if rng.random() < 0.3:
            continue
        other = trim(draw_digit(bank, style, rng, only).ink)
        gap = -round(style.height * rng.uniform(-0.06, 0.14))
        before = canvas.shape[1]
        if side < 0:
            joined = beside(other, canvas, gap)
            moved = joined.shape[1] - before
            offset += moved
            seam = moved
        else:
            joined = beside(canvas, other, gap)
            seam = before
        canvas = np.ascontiguousarray(joined)
        if rng.random() < 0.5:
            y = int(canvas.shape[0] - height * rng.uniform(0.1, 1.0))
            reach = int(style.height * rng.uniform(0.1, 0.3))
            drop = int(style.height * rng.uniform(-0.15, 0.15))
            cv2.line(canvas, (seam - reach, y), (seam + reach, y + drop), 1.0, pen, cv2.LINE_AA)
    jitter = (rng.normal(0, 0.03, 2) + (-0.02, 0.02)) * style.height
    tilt = rng.normal(style.slant, 0.08)
    ys, xs = np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]].astype(np.float32)
    upright = xs + np.float32(tilt) * (ys - canvas.shape[0] / 2)
    inside = (upright >= offset + jitter[0]) & (upright < offset + width + jitter[1])
    return Stroke(np.where(inside, canvas, np.float32(0)), whole.label)


def _scribble(height: int, rng: Rng) -> Canvas:
    """Ticks, crosses, corners, scratches: a few straight or bent strokes."""
    side = height + 8
    canvas = np.zeros((side, side), np.float32)
    thickness = max(1, int(height * rng.uniform(0.05, 0.14)))
    kind = rng.integers(6)
    low, high = 4, side - 4
    if kind == 0:  # a cross
        cv2.line(canvas, (low, low), (high, high), 1.0, thickness, cv2.LINE_AA)
        cv2.line(canvas, (low, high), (high, low), 1.0, thickness, cv2.LINE_AA)
    elif kind == 1:  # a tick
        knee = (int(side * rng.uniform(0.25, 0.4)), high)
        cv2.line(canvas, (low, int(side * rng.uniform(0.5, 0.7))), knee, 1.0, thickness, cv2.LINE_AA)
        cv2.line(canvas, knee, (high, low), 1.0, thickness, cv2.LINE_AA)
    elif kind == 2:  # a corner or a crossing of box lines
        x, y = int(rng.choice([low, side // 2, high])), int(rng.choice([low, side // 2, high]))
        cv2.line(canvas, (x, low), (x, high), 1.0, thickness)
        cv2.line(canvas, (low, y), (high, y), 1.0, thickness)
    elif kind == 3:  # a long flat line, straight or wavy
        y = side // 2
        steps = np.linspace(low, high, 8)
        wave = y + rng.normal(0, side * 0.04, 8)
        points = np.stack([steps, wave], axis=1).astype(np.int32)
        cv2.polylines(canvas, [points], False, 1.0, thickness, cv2.LINE_AA)
    elif kind == 4:  # a scratched-out place
        points = np.stack([np.sort(rng.uniform(low, high, 9)), rng.uniform(low, high, 9)], axis=1).astype(np.int32)
        cv2.polylines(canvas, [points], False, 1.0, thickness, cv2.LINE_AA)
    else:  # a blot
        axes = (int(side * rng.uniform(0.1, 0.4)), int(side * rng.uniform(0.1, 0.4)))
        cv2.ellipse(canvas, (side // 2, side // 2), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    return canvas


def _halved(ink: Canvas, rng: Rng) -> Canvas:
    """A piece of a digit, as a wrong cut leaves it."""
    ink = trim(ink)
    h, w = ink.shape
    cut = rng.uniform(0.35, 0.65)
    side = rng.integers(3)
    if side == 0:
        return ink[:, : int(w * cut)]
    if side == 1:
        return ink[:, int(w * cut) :]
    return ink[: int(h * cut)] if rng.random() < 0.5 else ink[int(h * cut) :]


def _miscut(bank: GlyphBank, style: SheetStyle, rng: Rng) -> Canvas:
    """What wrong cuts through touching digits give: two halves, or a whole digit with half of its neighbour."""
    only = 0 if rng.random() < ZEROS_SHARE else None
    left, right = draw_digit(bank, style, rng, only), draw_digit(bank, style, rng, only)
    while left.label in (1, 4, 7, 9):  # their right side is a stem, which any eye takes for a one
        left = draw_digit(bank, style, rng)
    while right.label in (1, 4, 7):
        right = draw_digit(bank, style, rng)
    first, second = trim(left.ink), trim(right.ink)
    touching = beside(first, second, -round(style.height * rng.uniform(0.02, 0.12)))
    seam = touching.shape[1] - second.shape[1]
    start, stop = rng.uniform(0.35, 0.65), rng.uniform(0.4, 0.7)
    which = rng.integers(3)
    begin = 0 if which == 1 else int(seam * start)
    end = touching.shape[1] if which == 2 else int(seam + second.shape[1] * stop)
    return touching[:, begin:end]


def _negative(bank: GlyphBank, style: SheetStyle, rng: Rng) -> Stroke:
    """Something that is not one digit."""
    height = style.height
    draw = rng.random()
    plain = {"slant": style.slant, "threshold": style.threshold, "aspect": (0.8, 1.2)}
    ink: Canvas | None = None
    if draw < 0.30 and bank.letters:
        glyph, _ = pick(bank.letters[int(rng.integers(len(bank.letters)))], rng)
        ink = warp(glyph, height, rng, slant=0.0, threshold=style.threshold, aspect=(0.85, 1.15), strength=0.5)
        if rng.random() < 0.3:  # pages come upside down and on their side
            ink = np.rot90(ink, int(rng.integers(1, 4)))
    elif draw < 0.42 and bank.scripts is not None:
        ink = warp(pick(bank.scripts, rng)[0], height, rng, **plain)  # type: ignore[arg-type]
    elif draw < 0.52 and bank.marks:
        glyph, _ = pick(bank.marks[int(rng.integers(len(bank.marks)))], rng)
        ink = warp(glyph, max(8, int(height * rng.uniform(0.3, 1))), rng, **plain)  # type: ignore[arg-type]
    elif draw < 0.62:  # two digits in one piece
        left, right = draw_digit(bank, style, rng), draw_digit(bank, style, rng)
        if left.label == right.label == 1:  # two ones that touch may well be an eleven or an H
            right = draw_digit(bank, style, rng)
        ink = beside(trim(left.ink), trim(right.ink), -int(height * rng.uniform(0.0, 0.12)))
    elif draw < 0.74:
        ink = _miscut(bank, style, rng)
    elif draw < 0.82:
        whole = draw_digit(bank, style, rng)
        # Half a 0 or 1, and the stems of 4, 7 and 9, are ones to any eye.
        while whole.label in (0, 1, 4, 7, 9):
            whole = draw_digit(bank, style, rng)
        ink = _halved(whole.ink, rng)
    elif draw < 0.86:  # a digit lying on its side, or upside down where that differs
        whole = draw_digit(bank, style, rng)
        while whole.label not in (2, 3, 4, 5, 7):
            whole = draw_digit(bank, style, rng)
        quarter = int(rng.choice([1, 3])) if whole.label in (2, 5) else int(rng.choice([1, 2, 3]))
        ink = np.rot90(whole.ink, quarter)
    elif draw < 0.93:
        ink = draw_struck(bank, style, rng)
    elif draw < 0.97:
        ink = draw_mark(height, rng).astype(np.float32) / np.float32(255)
    if ink is None or ink.size == 0 or not (ink > 0.5).any():
        ink = _scribble(height, rng)
    return Stroke(np.ascontiguousarray(ink), NOT_A_DIGIT)


def _scraps(cell: Canvas, box: Box, rng: Rng) -> None:
    """What rule and box removal leave behind, and neighbours' ends, touching or near the glyph."""
    height = max(box.height, 4)
    thickness = max(1, int(height * rng.uniform(0.02, 0.07)))
    if rng.random() < 0.5:  # a piece of a ruling line under or through the foot
        y = int(box.bottom - rng.uniform(-0.04, 0.12) * height)
        start = box.x + rng.uniform(-0.2, 0.8) * box.width
        end = start + rng.uniform(0.15, 0.5) * height
        cv2.line(cell, (int(start), y), (int(end), y), float(rng.uniform(0.4, 1)), thickness)
    else:  # a piece of a box's side, or of the neighbour
        x = int(box.x if rng.random() < 0.5 else box.right)
        start = box.y + rng.uniform(-0.1, 0.8) * box.height
        end = start + rng.uniform(0.1, 0.35) * height
        cv2.line(cell, (x, int(start)), (x, int(end)), float(rng.uniform(0.4, 1)), thickness)


def _place(cell: Canvas, ink: Canvas, rng: Rng) -> tuple[int, int]:
    """Put an ink into its cell, off-centre by a little; gives its left and top."""
    side = cell.shape[0]
    h, w = ink.shape
    if max(h, w) > side - 4:
        shrink = (side - 4) / max(h, w)
        ink = cv2.resize(ink, (max(1, int(w * shrink)), max(1, int(h * shrink))), interpolation=cv2.INTER_AREA)
        h, w = ink.shape
    top = int(np.clip((side - h) // 2 + rng.integers(-2, 3), 0, side - h))
    left = int(np.clip((side - w) // 2 + rng.integers(-2, 3), 0, side - w))
    cell[top : top + h, left : left + w] = ink
    return left, top


def make_sheet(bank: GlyphBank, rng: Rng, columns: int = 12) -> tuple[NDArray[np.uint8], list[Stroke], int]:
    """Draw one synthetic page of `columns` x `columns` cells.

    Returns
    -------
    image : (H, W) uint8
        Paper is white.
    strokes : list of Stroke
        What stands in each cell, row by row, as placed: (side, side) float32 ink.
    side : int
        Side of a cell in pixels.
    """
    style = sheet_style(rng)
    height = style.height
    side = int(height * 1.9) + 12
    sheet = np.zeros((columns * side, columns * side), np.float32)
    strokes = []
    for index in range(columns * columns):
        row, column = divmod(index, columns)
        cell = sheet[row * side : (row + 1) * side, column * side : (column + 1) * side]
        own = style._replace(height=max(10, int(height * rng.uniform(0.8, 1.1))))
        draw = rng.random()
        if draw < NEGATIVE_SHARE:
            stroke = _negative(bank, own, rng)
        elif draw < NEGATIVE_SHARE + CUT_SHARE:
            stroke = _cut_from_neighbours(bank, own, rng)
        else:
            stroke = draw_digit(bank, own, rng)
        _place(cell, stroke.ink, rng)
        strokes.append(Stroke(cell.copy(), stroke.label))
        if rng.random() < 0.12:
            box = Box(*cv2.boundingRect((cell > 0.5).astype(np.uint8)))
            if box.width:
                _scraps(cell, box, rng)
    if rng.random() < 0.3:  # a ballpoint that skips
        fade = rng.normal(0.8, 0.25, (columns * 4, columns * 4)).astype(np.float32)
        fade = cv2.resize(fade, (sheet.shape[1], sheet.shape[0]), interpolation=cv2.INTER_LINEAR)
        sheet *= np.clip(fade, 0.35, 1)
    image = paper(sheet.shape, rng) * (1 - style.darkness * sheet)
    return scan(image, rng), strokes, side


def read_sheet(image: NDArray[np.uint8], strokes: list[Stroke], side: int) -> tuple[Crops, NDArray[np.uint8]]:
    """Find every cell's ink as the reader would, and normalize it; cells whose ink is lost are left out.

    Returns
    -------
    crops : (N, 28, 28) uint8
    labels : (N,) uint8
    """
    ink = soft_ink(image)
    mask, _ = binarize(ink)
    found = label(mask)
    columns = image.shape[1] // side
    crops, labels = [], []
    for index, stroke in enumerate(strokes):
        row, column = divmod(index, columns)
        left, top = column * side, row * side
        part = found.labels[top : top + side, left : left + side]
        core = part[stroke.ink > 0.6]
        ids, counts = np.unique(core[core > 0], return_counts=True)
        # A component counts as the glyph's when a fair part of the glyph lies in it.
        ids = ids[counts >= max(2, 0.03 * counts.sum())] if len(ids) else ids
        if not len(ids) or counts.sum() < 0.4 * core.size:
            continue
        boxes = found.boxes[ids - 1]
        low = np.maximum(boxes[:, :2].min(axis=0), (left, top))
        high = np.minimum((boxes[:, :2] + boxes[:, 2:]).max(axis=0), (left + side, top + side))
        box = Box(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
        drawn = Box(*cv2.boundingRect((stroke.ink > 0.5).astype(np.uint8)))
        # Ink that ran into the paper's pattern says nothing about the glyph.
        if box.height > 1.5 * drawn.height + 2 or box.width > drawn.width + 0.5 * drawn.height + 2:
            continue
        crops.append(normalize_ink(cut_out(ink, found.labels, [int(i) for i in ids], box)))
        labels.append(stroke.label)
    return np.array(crops, np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE), np.array(labels, np.uint8)


def clean_crops(source: GlyphSource, count: int, rng: Rng) -> tuple[Crops, NDArray[np.uint8]]:
    """Warp digits a little and normalize them without paper between: as clean as the set they come from."""
    crops, labels = [], []
    for _ in range(count):
        glyph, digit = pick(source, rng)
        ink = warp(
            glyph, 20, rng, slant=0.0, threshold=float(rng.uniform(0.42, 0.58)), aspect=(0.88, 1.14), strength=0.7
        )
        crops.append(normalize_ink((ink * 255).astype(np.uint8)))
        labels.append(digit)
    return np.array(crops, np.uint8).reshape(-1, CROP_SIZE, CROP_SIZE), np.array(labels, np.uint8)


def synthesize(
    bank: GlyphBank, count: int, seed: int, clean_share: float = 0.0, number_share: float = 0.0
) -> tuple[Crops, NDArray[np.uint8]]:
    """Make `count` labelled crops, deterministically from `seed`.

    Parameters
    ----------
    bank : GlyphBank
    count : int
    seed : int
    clean_share : float
        Share of the crops that are MNIST digits, warped but never put on paper.
    number_share : float
        Share of the crops that come from lattices of whole numbers.
    """
    rng = np.random.default_rng(seed)
    clean = int(count * clean_share) if bank.clean.glyphs else 0
    parts = [clean_crops(bank.clean, clean, rng)]
    if number_share:
        drawn, truth = number_crops(bank, rng, int(count * number_share))
        parts.append((np.array(drawn, np.uint8), np.array(truth, np.uint8)))
    made = sum(len(truth) for _, truth in parts)
    while made < count:
        parts.append(read_sheet(*make_sheet(bank, rng)))
        made += len(parts[-1][1])
    return np.concatenate([crops for crops, _ in parts])[:count], np.concatenate([truth for _, truth in parts])[:count]
