"""Binarization: from grey levels to soft ink and a mask.

Soft ink is contrast against the local paper, so shadow, coloured paper and uneven light are gone before any
threshold is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Ink, Mask
from digitscan.imaging.reduce import shrink_by

Method = Literal["adaptive", "otsu", "sauvola"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinarizeParameters:
    """What ink is, in levels of soft ink and in sizes of neighbourhoods.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    threshold_share: float = 0.42
    """Where between paper and typical ink the threshold lies. Below one half, since thin strokes are pale. [share;
    tried]"""
    solid_share: float = 0.75
    """The same level from which ink is ink inside a solid stroke too, where the neighbourhood is dark as well.
    [share; tried]"""
    local_share: float = 0.20
    """How far above its neighbourhood ink must stand, in the same unit: patterned paper stays paper. [share; tried]"""
    faint_share: float = 0.13
    """Where the level for faint strokes lies: pencil beside print is this pale, erased writing is paler. [share;
    tried]"""
    sauvola_floor: float = 0.6
    """Share of the threshold below which Sauvola's method takes nothing: it finds ink in empty paper. [share; tried]"""
    sauvola_k: float = 0.2
    """Weight of the deviation in Sauvola's threshold. [bare; scikit-image's default]"""
    sauvola_range: float = 128.0
    """Largest deviation of grey levels. [grey levels; Sauvola and Pietikäinen 2000]"""
    dark: int = 6
    """Level below which paper is too dark to tell ink from it. [grey levels; tried]"""
    edge_rank: float = 0.4
    """Part of the ink class, the palest, that is the blurred edge of strokes and no typical ink. [share; tried]"""
    sample_pixels: int = 1_000_000
    """Pixels of a page that are looked at for its typical levels. [pixels; cost alone]"""
    page_window: int = 31
    """Side of the neighbourhood on a page, at the least: wider than strokes at 300 dpi. [pixels; tried]"""
    page_windows: int = 40
    """How many neighbourhoods lie along a page's long side. [bare; tried]"""
    string_window: float = 0.8
    """Side of the neighbourhood in an image that is one string. [shares of its shorter side; tried]"""
    digit_window: float = 1.2
    """Side of the neighbourhood in an image that is one digit: paper may lie at its rim only. [shares of its longer
    side; tried]"""
    least_digit_window: int = 15
    """The same, at the least. [pixels; tried]"""
    paper_steps: int = 12
    """Into how many pixels a neighbourhood is reduced to find paper in it. [pixels; cost alone]"""
    most_reduced: int = 8
    """By which factor it is reduced at the most: strokes must not vanish. [bare; tried]"""
    faint_apart: int = 7
    """Side of the square around dark ink in which paleness is that ink's own edge. [pixels; tried]"""
    faint_pixels: int = 40
    """Pale pixels that stand alone, from which a page is looked through for faint strokes. [pixels; cost alone]"""
    faint_most_marks: int = 20_000
    """Pale marks from which they are a texture of the paper. [bare; tried]"""
    faint_strong_share: float = 0.3
    """Share of a pale mark that may be dark: more, and the mark is known already. [share; tried]"""
    faint_area: int = 20
    """Area of a pale stroke, at the least. [pixels; tried]"""
    faint_side: int = 5
    """Length of a pale stroke, at the least. [pixels; tried]"""


_P = BinarizeParameters()

MIN_CONTRAST = 14
"""Soft-ink levels that ink must stand above paper; below this a page counts as blank (noise, show-through)."""


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
    return int(max(_P.page_window, max(shape) // _P.page_windows)) | 1


def string_window(shape: tuple[int, ...]) -> int:
    """Side of the neighbourhood for an image that is one string: strokes fill much of it."""
    return max(_P.page_window, int(_P.string_window * min(shape))) | 1


def digit_window(shape: tuple[int, ...]) -> int:
    """Side of the neighbourhood for an image that is one digit: paper may lie at its rim only."""
    return max(_P.least_digit_window, int(_P.digit_window * max(shape))) | 1


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
    shrink = int(np.clip(window // _P.paper_steps, 1, _P.most_reduced))
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
    share = cv2.divide(cv2.add(image, _P.dark), cv2.add(paper, _P.dark), scale=255.0)
    return np.asarray(cv2.bitwise_not(share), dtype=np.uint8)


def ink_levels(ink: Ink) -> InkLevels:
    """Mean soft-ink level of paper and of ink, split by Otsu's threshold (Otsu 1979, IEEE SMC 9(1)).

    Both are equal on a page without ink.
    """
    step = max(1, int(np.sqrt(ink.size / _P.sample_pixels)))
    sample = np.ascontiguousarray(ink[::step, ::step])
    histogram = np.bincount(sample.ravel(), minlength=256).astype(np.float64)
    threshold = int(cv2.threshold(sample, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0])
    levels = np.arange(256)
    low, high = histogram[: threshold + 1], histogram[threshold + 1 :]
    paper = float((low * levels[: threshold + 1]).sum() / max(low.sum(), 1))
    if high.sum() == 0:
        return InkLevels(paper, paper)
    ranks = np.cumsum(high) / high.sum()
    start = int(np.searchsorted(ranks, _P.edge_rank))
    top = high[start:]
    return InkLevels(paper, float((top * levels[threshold + 1 + start :]).sum() / max(top.sum(), 1)))


def _sauvola(ink: Ink, window: int) -> Mask:
    """Sauvola and Pietikäinen 2000 (Pattern Recognition 33), with box filters instead of sliding windows."""
    paper_up = cv2.bitwise_not(ink)
    area = (window, window)
    mean = cv2.boxFilter(paper_up, cv2.CV_32F, area, borderType=cv2.BORDER_REPLICATE)
    square = cv2.sqrBoxFilter(paper_up, cv2.CV_32F, area, borderType=cv2.BORDER_REPLICATE)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    threshold = mean * (1 + _P.sauvola_k * (deviation / _P.sauvola_range - 1))
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
    floor = levels.paper + _P.threshold_share * span
    if method == "sauvola":
        return np.asarray(_sauvola(ink, window) & (ink > max(floor * _P.sauvola_floor, MIN_CONTRAST))), levels
    local = cv2.blur(ink, (window, window), borderType=cv2.BORDER_REPLICATE)
    needed = cv2.add(local, int(round(_P.local_share * span)))
    solid = levels.paper + _P.solid_share * span
    needed = cv2.min(cv2.max(needed, int(round(floor))), int(round(solid)))
    strong = cv2.compare(ink, needed, cv2.CMP_GT)
    if not faint_strokes:
        return cv2.threshold(strong, 0, 1, cv2.THRESH_BINARY)[1].view(np.bool_), levels
    faint_level = max(levels.paper + _P.faint_share * span, MIN_CONTRAST)
    above = cv2.compare(ink, cv2.add(local, int(round(0.5 * _P.faint_share * span))), cv2.CMP_GT)
    faint = cv2.bitwise_and((ink > int(faint_level)).view(np.uint8) * np.uint8(255), above)
    return _with_faint_strokes(strong, faint).view(np.bool_), levels


def _with_faint_strokes(strong: NDArray[np.uint8], faint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add strokes that are faint throughout, such as pencil beside print.

    The lower level would fatten dark strokes and join neighbours, so a component of the `faint` mask is taken
    only where little of it is strong. Masks are 0 or 255; the result is 0 or 1.
    """
    solid = cv2.threshold(strong, 0, 1, cv2.THRESH_BINARY)[1]
    near = cv2.dilate(strong, np.ones((_P.faint_apart, _P.faint_apart), np.uint8))
    alone = cv2.bitwise_and(faint, cv2.bitwise_not(near))
    if cv2.countNonZero(alone) < _P.faint_pixels:
        return np.asarray(solid, np.uint8)
    # A whole page of faint texture is paper, not writing.
    try:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(faint, connectivity=8, ltype=cv2.CV_16U)
    except cv2.error:  # more components than short labels can name
        return np.asarray(solid, np.uint8)
    if count > _P.faint_most_marks:
        return np.asarray(solid, np.uint8)
    strong_pixels = np.bincount(labels[solid > 0], minlength=count)
    taken = (strong_pixels < _P.faint_strong_share * stats[:, cv2.CC_STAT_AREA]) & (
        stats[:, cv2.CC_STAT_AREA] >= _P.faint_area
    )
    taken &= (stats[:, cv2.CC_STAT_WIDTH] >= _P.faint_side) | (stats[:, cv2.CC_STAT_HEIGHT] >= _P.faint_side)
    taken[0] = False
    return np.where(taken[labels], np.uint8(1), solid)
