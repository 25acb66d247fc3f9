"""Digits cut from pages by boxes that a person drew: ``images/`` and ``boxes.csv`` with a row a digit."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from digitscan.core.errors import DataError
from digitscan.core.types import Ink
from digitscan.imaging.binarize import binarize, soft_ink, string_window
from digitscan.training.sources import Glyph, GlyphSource, tight


def load_boxed(folder: Path) -> GlyphSource:
    """Cut every boxed digit out of its page's ink.

    Parameters
    ----------
    folder : Path
        Holds ``images/`` and ``boxes.csv`` with columns file, x, y, w, h, digit; boxes in pixels.

    Raises
    ------
    DataError
        If the table or a page is missing or broken.
    """
    rows: dict[str, list[tuple[int, int, int, int, int]]] = {}
    try:
        with (folder / "boxes.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                x, y, w, h = (round(float(row[key])) for key in "xywh")
                rows.setdefault(row["file"], []).append((x, y, w, h, int(row["digit"])))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"cannot read {folder / 'boxes.csv'}: {error}", remedy="its columns are file, x, y, w, h, digit"
        ) from error
    glyphs: list[Glyph] = []
    labels: list[int] = []
    for name, boxes in rows.items():
        image = cv2.imread(str(folder / "images" / name), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise DataError(f"cannot read the page {folder / 'images' / name}", remedy="check boxes.csv")
        window = string_window(image.shape)
        ink = soft_ink(np.asarray(image, np.uint8), window)
        mask, _ = binarize(ink, window=window)
        near = cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8))
        bare = np.where(near > 0, ink, np.uint8(0))
        for x, y, w, h, digit in boxes:
            part = bare[max(y, 0) : y + h, max(x, 0) : x + w]
            glyph = tight(_own_ink(part)) if part.size else None
            if glyph is not None:
                glyphs.append(glyph)
                labels.append(digit)
    return GlyphSource(folder.name, glyphs, np.array(labels, np.uint8), 0.0)


def _own_ink(part: Ink) -> Ink:
    """A box's ink without its neighbours' ends: small pieces that the box cuts at its left or right side."""
    mask = (part > 60).view(np.uint8)
    count, found, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 3:
        return np.ascontiguousarray(part)
    areas = stats[:, cv2.CC_STAT_AREA]
    left = stats[:, cv2.CC_STAT_LEFT]
    cut = (left == 0) | (left + stats[:, cv2.CC_STAT_WIDTH] == part.shape[1])
    low = stats[:, cv2.CC_STAT_HEIGHT] < 0.5 * part.shape[0]
    scrap = cut & low & (areas < 0.3 * areas[1:].max())
    scrap[0] = False
    return np.where(scrap[found], np.uint8(0), part)
