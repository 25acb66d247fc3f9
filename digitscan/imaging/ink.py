"""From a page's pixels to its ink, upright and without rules: everything before segmentation."""

from __future__ import annotations

import cv2
import numpy as np

from digitscan.core.config import Config
from digitscan.core.observer import Observer
from digitscan.core.types import BinaryPage, GrayImage, Layout, RasterPage, Transform
from digitscan.imaging.binarize import InkLevels, binarize, digit_window, soft_ink, string_window
from digitscan.imaging.deskew import NEGLIGIBLE_DEGREES, estimate_skew, turn_ink
from digitscan.imaging.frame import without_frame
from digitscan.imaging.geometry import blank_ground, flatten_photo, is_light_on_dark, quarter_turn
from digitscan.imaging.rules import RulingLines, find_rules, line_mask, remove_rules

_HALVING: Transform = np.array([[0.5, 0.0, -0.25], [0.0, 0.5, -0.25], [0.0, 0.0, 1.0]])
"""From pixels of a page to those of its half, whose centres lie between theirs."""


def find_ink(
    page: RasterPage, config: Config, turn: int, look: Observer, *, halved: bool = False
) -> tuple[BinaryPage, InkLevels, RulingLines]:
    """Everything before segmentation: polarity, quarter turn, perspective, ink, skew, rules.

    A page that is `halved` has a quarter of the pixels; the way back to the source makes up for it.
    """
    imaging = config.imaging
    single = config.layout in (Layout.LINE, Layout.DIGIT)
    image: GrayImage = page.image
    if halved:
        image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        look("halved", image)
    light = imaging.polarity == "light-on-dark" or (imaging.polarity == "auto" and is_light_on_dark(image))
    if light:
        image = np.asarray(cv2.bitwise_not(image), np.uint8)
    image, to_page = quarter_turn(image, turn)
    if halved:
        to_page = to_page @ _HALVING
    look("turned", image)
    if imaging.rectify and not single:
        sheet = blank_ground(image)
        if sheet is not image:
            look("sheet", sheet)
        image = sheet
    if imaging.rectify and not single and (flat := flatten_photo(image)) is not None:
        image, warp = flat
        to_page = warp @ to_page
        look("rectified", image)
    window = _window(image, config.layout)
    ink = soft_ink(image, window)
    look("soft ink", ink)
    mask, levels = binarize(ink, imaging.binarization, window, faint_strokes=not single)
    look("binarized", mask)
    skew = 0.0
    if imaging.deskew and not single:
        skew = estimate_skew(mask)
        if abs(skew) >= NEGLIGIBLE_DEGREES:
            ink, straighten = turn_ink(ink, skew)
            to_page = straighten @ to_page
            mask, levels = binarize(ink, imaging.binarization, window, faint_strokes=not single)
            look("deskewed", mask)
        else:
            skew = 0.0
    rules = RulingLines()
    if imaging.remove_rules and config.layout is not Layout.DIGIT:
        line = config.layout is Layout.LINE
        rules, pixels = find_rules(mask if line else line_mask(ink, levels), line=line)
        look("rules", pixels)
        mask = remove_rules(mask, pixels, rules.thickness_px)
        look("without rules", mask)
    elif imaging.remove_rules:
        mask = without_frame(mask)
        look("without frame", mask)
    return BinaryPage(page.ref, ink, mask, skew, np.asarray(np.linalg.inv(to_page), np.float64)), levels, rules


def _window(image: GrayImage, layout: Layout) -> int | None:
    """Neighbourhood for binarization; None for a page, whose size chooses it."""
    if layout is Layout.DIGIT:
        return digit_window(image.shape)
    if layout is Layout.LINE:
        return string_window(image.shape)
    return None
