"""Binarization: from grey levels to soft ink and a mask.

Soft ink is contrast against the local paper, so shadow, coloured paper and uneven light are gone before any
threshold is chosen.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Ink, Mask
from digitscan.imaging.reduce import shrink_by

Method = Literal["adaptive", "otsu", "sauvola"]

MIN_CONTRAST = 14
"""Soft-ink levels that ink must stand above paper; below this a page counts as blank (noise, show-through)."""
_THRESHOLD_SHARE = 0.42
"""Where between paper and typical ink the threshold lies. Below one half, since thin strokes are pale."""
_DARK = 6
"""Grey levels below which paper is too dark to tell ink from it."""
_FAINT_SHARE = 0.13
"""Where the level for faint strokes lies: pencil beside print is this pale, erased writing is paler."""
_LOCAL_SHARE = 0.20
"""How far above its neighbourhood ink must stand, in the same unit: patterned paper stays paper."""


class InkLevels(NamedTuple):
    """Typical soft-ink levels of a page, 0 to 255."""

    paper: float
    ink: float

    @property
    def contrast(self) -> float:
        """Ink above paper, 0 to 1."""
        return max(self.ink - self.paper, 0.0) / 255.0

    def dark_strokes(self, ink: Ink) -> Mask:
        """(H, W) bool: soft ink that is at least half as strong as the typical one."""
        return np.asarray(ink > max(round((self.paper + self.ink) / 2), MIN_CONTRAST))


def default_window(shape: tuple[int, int]) -> int:
    """Side of the neighbourhood, in pixels, that is sure to hold paper: wider than any stroke."""
    return int(max(31, max(shape) // 40)) | 1


def string_window(shape: tuple[int, ...]) -> int:
    """Side of the neighbourhood for an image that is one string: strokes fill much of it."""
    return max(31, int(0.8 * min(shape))) | 1


def digit_window(shape: tuple[int, ...]) -> int:
    """Side of the neighbourhood for an image that is one digit: paper may lie at its rim only."""
    return max(15, int(1.2 * max(shape))) | 1


def paper_level(image: GrayImage, window: int) -> GrayImage:
    """Estimate the paper under the ink.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.
    window : int
        Side in pixels of the neighbourhood; must be wider than the thickest stroke.

    Returns
    -------
    (H, W) uint8
        Local paper brightness: a grey closing at reduced size, smoothed.
    """
    height, width = image.shape
    shrink = int(np.clip(window // 12, 1, 8))
    small = image
    if shrink > 1:
        # What is left over at the right and below is narrower than a block, and takes its neighbour's paper.
        small = shrink_by(image, shrink)
    side = max(3, window // shrink) | 1
    kernel = np.ones((side, side), np.uint8)
    # A light blur first: the closing takes maxima, and single bright noise pixels would lift the paper.
    closed = cv2.morphologyEx(cv2.blur(small, (3, 3)), cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.blur(closed, (side, side), borderType=cv2.BORDER_REPLICATE)
    if shrink > 1:
        across, down = smooth.shape[1] * shrink, smooth.shape[0] * shrink
        smooth = cv2.resize(smooth, (across, down), interpolation=cv2.INTER_LINEAR)
        if (down, across) != (height, width):
            smooth = cv2.copyMakeBorder(
                smooth, 0, max(height - down, 0), 0, max(width - across, 0), cv2.BORDER_REPLICATE
            )[:height, :width]
    return np.asarray(smooth, dtype=np.uint8)


def soft_ink(image: GrayImage, window: int | None = None) -> Ink:
    """Contrast of every pixel against its local paper.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.
    window : int, optional
        See `paper_level`; chosen from the image's size when not given.

    Returns
    -------
    (H, W) uint8
        0 is paper, 255 is full ink: ``255 * (1 - image / paper)``, clipped.
    """
    paper = paper_level(image, window or default_window(image.shape))
    # A small constant on both sides: on nearly black paper a contrast means nothing, and black is no ink there.
    share = cv2.divide(cv2.add(image, _DARK), cv2.add(paper, _DARK), scale=255.0)
    return np.asarray(cv2.bitwise_not(share), dtype=np.uint8)


def ink_levels(ink: Ink) -> InkLevels:
    """Mean soft-ink level of paper and of ink, split by Otsu's threshold (Otsu 1979, IEEE SMC 9(1)).

    Both are equal on a page without ink.
    """
    step = max(1, int(np.sqrt(ink.size / 1_000_000)))
    sample = np.ascontiguousarray(ink[::step, ::step])
    histogram = np.bincount(sample.ravel(), minlength=256).astype(np.float64)
    threshold = int(cv2.threshold(sample, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0])
    levels = np.arange(256)
    low, high = histogram[: threshold + 1], histogram[threshold + 1 :]
    paper = float((low * levels[: threshold + 1]).sum() / max(low.sum(), 1))
    if high.sum() == 0:
        return InkLevels(paper, paper)
    # The upper half of the ink class: the lower half is the blurred edge of strokes.
    ranks = np.cumsum(high) / high.sum()
    start = int(np.searchsorted(ranks, 0.4))
    top = high[start:]
    return InkLevels(paper, float((top * levels[threshold + 1 + start :]).sum() / max(top.sum(), 1)))


def _sauvola(ink: Ink, window: int, k: float = 0.2, dynamic_range: float = 128.0) -> Mask:
    """Sauvola and Pietikäinen 2000 (Pattern Recognition 33), with box filters instead of sliding windows."""
    paper_up = cv2.bitwise_not(ink)
    area = (window, window)
    mean = cv2.boxFilter(paper_up, cv2.CV_32F, area, borderType=cv2.BORDER_REPLICATE)
    square = cv2.sqrBoxFilter(paper_up, cv2.CV_32F, area, borderType=cv2.BORDER_REPLICATE)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    threshold = mean * (1 + k * (deviation / dynamic_range - 1))
    return np.asarray(paper_up < threshold)


def binarize(
    ink: Ink, method: Method = "adaptive", window: int | None = None, *, faint_strokes: bool = False
) -> tuple[Mask, InkLevels]:
    """Decide which pixels are ink.

    Parameters
    ----------
    ink : (H, W) uint8
        Soft ink, as `soft_ink` gives it.
    method : {"adaptive", "otsu", "sauvola"}
        ``adaptive``: a page-wide level together with a local one, so that patterned paper stays paper.
    window : int, optional
        Side in pixels of the local neighbourhood.
    faint_strokes : bool
        Take strokes that are pale throughout as well, where they stand alone: pencil beside print.

    Returns
    -------
    mask : (H, W) bool
        True is ink. Nothing is ink on a page whose contrast is below `MIN_CONTRAST`.
    levels : InkLevels
        Typical levels of paper and ink.
    """
    levels = ink_levels(ink)
    span = levels.ink - levels.paper
    if span < MIN_CONTRAST:
        return np.zeros(ink.shape, dtype=np.bool_), levels
    if method == "otsu":
        threshold = cv2.threshold(ink, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]
        return np.asarray(ink > threshold), levels
    window = window or default_window(ink.shape)
    floor = levels.paper + _THRESHOLD_SHARE * span
    if method == "sauvola":
        return np.asarray(_sauvola(ink, window) & (ink > max(floor * 0.6, MIN_CONTRAST))), levels
    local = cv2.blur(ink, (window, window), borderType=cv2.BORDER_REPLICATE)
    needed = cv2.add(local, int(round(_LOCAL_SHARE * span)))
    # Ink at nearly the full level is ink also inside a solid stroke, where the neighbourhood is dark too.
    solid = levels.paper + 0.75 * span
    needed = cv2.min(cv2.max(needed, int(round(floor))), int(round(solid)))
    strong = cv2.compare(ink, needed, cv2.CMP_GT)
    if not faint_strokes:
        return cv2.threshold(strong, 0, 1, cv2.THRESH_BINARY)[1].view(np.bool_), levels
    faint_level = max(levels.paper + _FAINT_SHARE * span, MIN_CONTRAST)
    above = cv2.compare(ink, cv2.add(local, int(round(0.5 * _FAINT_SHARE * span))), cv2.CMP_GT)
    faint = cv2.bitwise_and((ink > int(faint_level)).view(np.uint8) * np.uint8(255), above)
    return _with_faint_strokes(strong, faint).view(np.bool_), levels


def _with_faint_strokes(strong: NDArray[np.uint8], faint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add strokes that are faint throughout, such as pencil beside print.

    The lower level would fatten dark strokes and join neighbours, so a component of the `faint` mask is taken
    only where little of it is strong. Masks are 0 or 255; the result is 0 or 1.
    """
    solid = cv2.threshold(strong, 0, 1, cv2.THRESH_BINARY)[1]
    near = cv2.dilate(strong, np.ones((7, 7), np.uint8))
    alone = cv2.bitwise_and(faint, cv2.bitwise_not(near))
    if cv2.countNonZero(alone) < 40:
        return np.asarray(solid, np.uint8)
    # A whole page of faint texture is paper, not writing.
    try:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(faint, connectivity=8, ltype=cv2.CV_16U)
    except cv2.error:  # more components than short labels can name
        return np.asarray(solid, np.uint8)
    if count > 20_000:
        return np.asarray(solid, np.uint8)
    strong_pixels = np.bincount(labels[solid > 0], minlength=count)
    taken = (strong_pixels < 0.3 * stats[:, cv2.CC_STAT_AREA]) & (stats[:, cv2.CC_STAT_AREA] >= 20)
    taken &= (stats[:, cv2.CC_STAT_WIDTH] >= 5) | (stats[:, cv2.CC_STAT_HEIGHT] >= 5)
    taken[0] = False
    return np.where(taken[labels], np.uint8(1), solid)
