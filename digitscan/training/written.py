"""Crops from whole numbers: digits written close together, parted by the reader's own cuts.

Training on digits cut out by hand teaches nothing of what the lattice asks: which of many pieces and joins of pieces
is one digit. Here numbers are drawn, scanned and segmented as a page is, and every candidate of the lattice is
labelled by whose ink it holds.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import NOT_A_DIGIT, Box, Ink
from digitscan.imaging.binarize import binarize, soft_ink, string_window
from digitscan.recognition.normalize import normalize_ink
from digitscan.segmentation.components import label
from digitscan.segmentation.cuts import StringLattice, build_lattices
from digitscan.segmentation.marks import one_string
from digitscan.training.drawing import GlyphBank, SheetStyle, draw_digit, paper, scan, sheet_style, trim
from digitscan.training.overwriting import draw_struck

Rng = np.random.Generator
Canvas = NDArray[np.float32]

WHOLE_RECALL, WHOLE_PRECISION = 0.85, 0.80
"""A candidate that holds this share of a digit's ink, and this share of its own ink from it, is that digit."""
SCRAP_RECALL, MIXED_PRECISION = 0.60, 0.62
"""One that holds less of every digit, or less from any single one, is no digit. What lies between is left out."""
STRUCK_SHARE = 0.1
"""Share of the numbers with a digit in them that their writer made unreadable."""
_STEMS = (0, 1, 4, 7, 9)
"""Digits whose narrow pieces any eye takes for a one."""


def draw_number(bank: GlyphBank, style: SheetStyle, rng: Rng) -> tuple[list[Canvas], list[int]]:
    """Draw digits side by side in one hand, many of them touching.

    Returns
    -------
    inks : list of (H, W) float32
        One canvas a digit, all of the same size, 0 to 1.
    digits : list of int
        Not-a-digit where one was struck out.
    """
    count = int(rng.integers(2, 7))
    closeness = rng.uniform(-0.16, 0.10)  # a hand keeps its distance
    source = bank.digits[int(rng.choice(len(bank.digits), p=bank.shares))] if rng.random() < 0.5 else None
    zeros = rng.random() < 0.35
    struck = int(rng.integers(count)) if rng.random() < STRUCK_SHARE else -1
    parts, digits = [], []
    for place in range(count):
        if place == struck:
            parts.append(draw_struck(bank, style, rng))
            digits.append(NOT_A_DIGIT)
            continue
        only = 0 if zeros and place > 0 and rng.random() < 0.6 else None
        stroke = draw_digit(bank, style, rng, only, source)
        ink = trim(stroke.ink)
        if stroke.label == 0 and zeros:  # zeros at the end are often written smaller
            smaller = rng.uniform(0.6, 1.0)
            ink = cv2.resize(ink, (max(2, int(ink.shape[1] * smaller)), max(2, int(ink.shape[0] * smaller))))
        parts.append(np.asarray(ink, np.float32))
        digits.append(stroke.label)
    margin = style.height // 2 + 4
    tallest = max(p.shape[0] for p in parts)
    width = sum(p.shape[1] for p in parts) + int(0.3 * style.height) * count + 2 * margin
    shape = (tallest + 2 * margin, width)
    inks, x, rise = [], margin, 0.0
    for part in parts:
        canvas = np.zeros(shape, np.float32)
        rise += rng.normal(0, 0.02) * style.height
        top = int(np.clip(shape[0] - margin - part.shape[0] - rise, 1, shape[0] - part.shape[0] - 1))
        stop = min(x + part.shape[1], width)
        canvas[top : top + part.shape[0], x:stop] = part[:, : stop - x]
        inks.append(canvas)
        x = max(stop + round((closeness + rng.normal(0, 0.05)) * style.height), x + 2)
    pen = max(1, round(style.height * rng.uniform(0.05, 0.10)))
    for before, after in pairwise(inks):
        if rng.random() < 0.18:  # a ligature, half of it each digit's own
            _link(before, after, pen, style.height, rng)
    return inks, digits


def _link(before: Canvas, after: Canvas, pen: int, height: int, rng: Rng) -> None:
    left, right = (Box(*cv2.boundingRect((ink > 0.4).astype(np.uint8))) for ink in (before, after))
    if not left.width or not right.width:
        return
    y = int(left.y + left.height * rng.uniform(0.0, 0.9))
    rows = np.flatnonzero(before[min(y, before.shape[0] - 1)] > 0.4)
    start = int(rows[-1]) if len(rows) else left.right
    end = right.x + int(0.1 * height)
    if end <= start or end - start > 0.6 * height:
        return
    middle, drop = (start + end) // 2, int(rng.normal(0, 0.06) * height)
    cv2.line(before, (start, y), (middle, y + drop // 2), 1.0, pen, cv2.LINE_AA)
    cv2.line(after, (middle, y + drop // 2), (end, y + drop), 1.0, pen, cv2.LINE_AA)


def read_number(image: NDArray[np.uint8]) -> tuple[StringLattice, Ink] | None:
    """Segment an image that is one string as the reader does; None where no ink is found."""
    window = string_window(image.shape)
    ink = soft_ink(image, window)
    mask, _ = binarize(ink, window=window)
    found = label(mask)
    string = one_string(found, (mask.shape[0], mask.shape[1]))
    return None if string is None else (build_lattices([string], found, ink)[0], ink)


def label_candidate(
    box: Box, ink: Ink, owners: NDArray[np.float32], totals: NDArray[np.float64], digits: list[int], height: float
) -> int | None:
    """Whose ink a candidate holds.

    Parameters
    ----------
    box : Box
        Of the candidate, in pixels of the string's image.
    ink : (h, w) uint8
        Soft ink of the candidate alone.
    owners : (K, H, W) float32
        Ink of each digit as drawn.
    totals : (K,) float64
        Sum of each.
    digits : list of int
        Not-a-digit where one was struck out.
    height : float
        Typical height of the string's digits in pixels.

    Returns
    -------
    int or None
        0-9, or not-a-digit; None where one cannot say.
    """
    part = owners[:, box.y : box.bottom, box.x : box.right]
    held = (part * (ink[: part.shape[1], : part.shape[2]] > 80)).sum(axis=(1, 2), dtype=np.float64)
    if held.sum() <= 0:
        return None
    best = int(held.argmax())
    recall, precision = held[best] / max(totals[best], 1e-6), held[best] / held.sum()
    if recall >= WHOLE_RECALL and precision >= WHOLE_PRECISION:
        return digits[best]
    held[best] = 0.0
    if precision < MIXED_PRECISION and bool((held >= 0.3 * totals).any()):
        return NOT_A_DIGIT
    narrow = box.width < 0.4 * height
    if recall < SCRAP_RECALL and not (narrow and digits[best] in _STEMS):
        return NOT_A_DIGIT
    return None


def number_crops(bank: GlyphBank, rng: Rng, count: int) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """At least `count` crops from lattices of drawn numbers, and their labels.

    Digits that stand free are kept as they come; of what is no digit at most one for every three digits.
    """
    crops: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    while len(crops) < count:
        style = sheet_style(rng, least=16)
        inks, digits = draw_number(bank, style, rng)
        owners = np.stack(inks)
        picture = paper(owners.shape[1:], rng) * (1 - style.darkness * owners.max(axis=0))
        read = read_number(scan(picture, rng))
        if read is None:
            continue
        lattice, _ = read
        solid = np.where(owners > 0.35, owners, np.float32(0))
        totals = solid.sum(axis=(1, 2), dtype=np.float64)
        others = []
        kept = 0
        for candidate in lattice.candidates:
            own = label_candidate(candidate.box, candidate.ink, solid, totals, digits, lattice.height)
            if own is None or int(candidate.ink.max()) == 0:
                continue
            if own == NOT_A_DIGIT:
                others.append(candidate.ink)
            else:
                kept += 1
                crops.append(normalize_ink(candidate.ink))
                labels.append(own)
        for row in rng.permutation(len(others))[: max(kept // 3, 1)]:
            crops.append(normalize_ink(others[row]))
            labels.append(NOT_A_DIGIT)
    return crops, labels
