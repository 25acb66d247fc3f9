"""Marks that are one string: what a region of one number holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box
from digitscan.segmentation.components import Components


@dataclass(frozen=True, slots=True, eq=False)
class StringMarks:
    """One string before its digits are known.

    Attributes
    ----------
    characters : list of int
        0-based components of character size, left to right.
    marks : list of int
        Smaller components beside them: points, commas, dashes, broken bits.
    height : float
        Typical height of the characters, in pixels.
    box : Box
        Around the characters.
    """

    characters: list[int]
    marks: list[int]
    height: float
    box: Box


def typical_height(heights: NDArray[np.float64]) -> float:
    """Height that most characters of a string share, in pixels: small ones count less."""
    if not len(heights):
        return 0.0
    ordered = np.sort(heights)
    weight = np.cumsum(ordered)
    return float(ordered[int(np.searchsorted(weight, weight[-1] * 0.5))])


def string_of(characters: list[int], found: Components, marks: Sequence[int] = ()) -> StringMarks:
    """The string of some components, left to right, and of the smaller ones beside them."""
    boxes = found.boxes[characters]
    low, high = boxes[:, :2].min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    box = Box(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
    return StringMarks(list(characters), list(marks), typical_height(boxes[:, 3].astype(np.float64)), box)


def one_string(found: Components, page_shape: tuple[int, int]) -> StringMarks | None:
    """Take the whole image as ONE string; None when it holds nothing of character size.

    Parameters
    ----------
    found : Components
    page_shape : (int, int)
        Height and width of the image.
    """
    height, width = page_shape
    w, h = found.boxes[:, 2], found.boxes[:, 3]
    y, x = found.boxes[:, 1], found.boxes[:, 0]
    keep = (h >= max(4, 0.16 * height)) & (found.areas >= 10) & ~((w > 0.5 * width) & (h < 0.25 * height))
    if not keep.any():
        keep = found.areas >= max(4, 0.3 * found.areas.max(initial=0))
        if not keep.any():
            return None
    size = typical_height(h[keep].astype(np.float64))
    # What the crop cut off at its edge, much smaller than the digits, belongs to the line above or below.
    at_edge = (y <= 1) | (y + h >= height - 1)
    keep &= ~(at_edge & (h < 0.45 * size))
    at_side = (x <= 1) | (x + w >= width - 1)
    keep &= ~(at_side & (w < 0.12 * size) & (h < 0.8 * size))
    characters = keep & (h >= 0.38 * size)
    if not characters.any():
        return None
    small = ~characters & (found.areas >= 4) & ~at_edge
    ids = np.flatnonzero(characters)
    ids = ids[np.argsort(x[ids], kind="stable")]
    return string_of([int(i) for i in ids], found, [int(i) for i in np.flatnonzero(small)])
