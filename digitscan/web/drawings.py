"""Numbers drawn on a screen: found wherever and however large they are, read, and shown digit by digit.

picture ─ numbers_in ─> one box a number ─ the reader, each as ONE number ─> readings, each digit's crop and bars
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.config import Config
from digitscan.core.types import (
    Box,
    Crops,
    FieldReading,
    GrayImage,
    Layout,
    PageRef,
    PageResult,
    Posteriors,
    RasterPage,
)
from digitscan.imaging.binarize import binarize, digit_window, soft_ink
from digitscan.pipeline.prepare import prepare_page
from digitscan.pipeline.read import read_raster
from digitscan.reader import Reader

LONGEST_SIDE = 2000
"""Pictures are reduced to this: a screen has no more, and a pen's stroke stays wide enough."""
_HEIGHT = 64
"""Height in pixels to which a number is brought before it is read."""
_APART = 1.3
"""Space between two numbers of a row, in heights of the row; fingers write wider than pens."""
_ROW_GAP = 0.12
"""Paper between two rows, in heights of the row above."""
_MARGIN = 0.35
_SPECK = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class DrawnNumber:
    """One number of a drawing.

    Attributes
    ----------
    reading : FieldReading
        Boxes in pixels of the drawing.
    crops : (N, 28, 28) uint8
        What the network sees of each digit.
    posteriors : (N, 11) float32
        What it says of them one by one.
    """

    reading: FieldReading
    crops: Crops
    posteriors: Posteriors


def _spans(covered: NDArray[np.bool_], gap: float) -> list[tuple[int, int]]:
    """Runs of True, joined over gaps of at most `gap`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], covered.astype(np.int8), [0]])))
    joined: list[tuple[int, int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined


def numbers_in(image: GrayImage) -> list[Box]:
    """One box a number, row by row: (H, W) uint8, paper is white.

    Rows are parted by paper from side to side, numbers of a row by a space wider than their digits are high.
    """
    mask, levels = binarize(soft_ink(image, digit_window(image.shape)), faint_strokes=False)
    if levels.contrast < 0.04 or not mask.any():
        return []
    boxes = []
    rows = _spans(np.asarray(mask.any(axis=1)), 0)
    merged: list[tuple[int, int]] = []
    for top, bottom in rows:
        # The loose bar of a 5 or 7 lies just above its digit; a speck is no row.
        high = merged[-1][1] - merged[-1][0] if merged else 0
        if merged and (top - merged[-1][1] <= _ROW_GAP * max(high, bottom - top) or min(high, bottom - top) < 8):
            merged[-1] = merged[-1][0], bottom
        else:
            merged.append((top, bottom))
    for top, bottom in merged:
        high = bottom - top
        for left, right in _spans(np.asarray(mask[top:bottom].any(axis=0)), _APART * high):
            part = mask[top:bottom, left:right]
            inked = np.flatnonzero(part.any(axis=1))
            box = Box(left, top + int(inked[0]), right - left, int(inked[-1] - inked[0]) + 1)
            if max(box.width, box.height) >= max(6.0, _SPECK * high):
                boxes.append(box)
    return boxes


def _cut(image: GrayImage, box: Box) -> tuple[GrayImage, float, int, int]:
    """A number with paper around it at reading size; the factor, and where its corner lies in the drawing."""
    margin = round(_MARGIN * max(box.height, 0.3 * box.width)) + 2
    padded = cv2.copyMakeBorder(
        image[box.y : box.bottom, box.x : box.right], margin, margin, margin, margin, cv2.BORDER_CONSTANT,
        value=int(np.percentile(image, 90)),
    )  # fmt: skip
    factor = _HEIGHT / max(box.height, 0.25 * box.width, 1)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return (
        np.asarray(cv2.resize(padded, None, fx=factor, fy=factor, interpolation=how), np.uint8),
        factor,
        margin,
        margin,
    )


def read_drawing(reader: Reader, image: GrayImage) -> list[DrawnNumber]:
    """Read everything that is drawn.

    Parameters
    ----------
    reader : Reader
        Of any layout.
    image : (H, W) uint8
        Dark on light or light on dark.

    Returns
    -------
    list of DrawnNumber
        Row by row, from the left; empty for an empty sheet.
    """
    scale = min(1.0, LONGEST_SIDE / max(image.shape))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    small = np.asarray(small, np.uint8)
    if float(np.mean(small)) < 110:  # chalk on a board
        small = np.asarray(cv2.bitwise_not(small), np.uint8)
    line = reader.config.model_copy(update={"layout": Layout.LINE})
    digit = reader.config.model_copy(update={"layout": Layout.DIGIT})
    found = []
    for place, box in enumerate(numbers_in(small), 1):
        picture, factor, dx, dy = _cut(small, box)
        page = RasterPage(PageRef("drawing"), picture)
        outcome = read_raster(page, reader.classifier, line, line_recognizer=reader.line_recognizer)
        if not isinstance(outcome, PageResult) or not outcome.readings[0].text:
            continue
        reading = outcome.readings[0]
        crops = [_own_crop(picture, d.box, digit) for d in reading.digits]
        stack = np.stack(crops) if crops else np.zeros((0, 28, 28), np.uint8)

        def back(own: Box, box: Box = box, factor: float = factor, dx: int = dx, dy: int = dy) -> Box:
            x, y = own.x / factor - dx + box.x, own.y / factor - dy + box.y
            return Box(*(round(v / scale) for v in (x, y, own.width / factor, own.height / factor)))

        digits = tuple(replace(d, box=back(d.box)) for d in reading.digits)
        whole = Box(*(round(v / scale) for v in box))
        placed = replace(reading, name=f"s{place}", digits=digits, box=whole)
        found.append(DrawnNumber(placed, stack, reader.classifier.classify(stack)))
    return found


def _own_crop(picture: GrayImage, box: Box, config: Config) -> NDArray[np.uint8]:
    """What the network sees of one digit: its place alone on white paper."""
    margin = round(0.3 * box.height) + 2
    part = picture[max(box.y, 0) : box.bottom, max(box.x, 0) : box.right]
    paper = int(np.percentile(picture, 90))
    alone = cv2.copyMakeBorder(part, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=paper)
    crops = prepare_page(RasterPage(PageRef("digit"), np.asarray(alone, np.uint8)), config).crops
    return np.asarray(crops[0], np.uint8) if len(crops) else np.zeros((28, 28), np.uint8)
