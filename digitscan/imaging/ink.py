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


def scaling(scale: float) -> Transform:
    """From pixels of a page to those of the page enlarged by `scale`; centres of pixels lie at whole numbers."""
    off = (scale - 1) / 2
    return np.array([[scale, 0.0, off], [0.0, scale, off], [0.0, 0.0, 1.0]])


def find_ink(
    page: RasterPage, config: Config, turn: int, look: Observer, *, scale: float = 1.0
) -> tuple[BinaryPage, InkLevels, RulingLines]:
    """Everything before segmentation: polarity, quarter turn, perspective, ink, skew, rules.

    The page is enlarged by `scale` first; the way back to the source makes up for it.
    """
    imaging = config.imaging
    single = config.layout in (Layout.LINE, Layout.DIGIT)
    image: GrayImage = page.image
    if scale != 1:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), np.uint8)
        look("scaled", image)
    light = imaging.polarity == "light-on-dark" or (imaging.polarity == "auto" and is_light_on_dark(image))
    if light:
        image = np.asarray(cv2.bitwise_not(image), np.uint8)
    image, to_page = quarter_turn(image, turn)
    if scale != 1:
        to_page = to_page @ scaling(scale)
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
    rules, ruled = RulingLines(), mask
    if imaging.remove_rules and config.layout is not Layout.DIGIT:
        line = config.layout is Layout.LINE
        rules, pixels = find_rules(mask if line else line_mask(ink, levels), line=line)
        look("rules", pixels)
        mask = remove_rules(mask, pixels, rules.thickness_px)
        look("without rules", mask)
    elif imaging.remove_rules:
        mask = without_frame(mask)
        look("without frame", mask)
    return BinaryPage(page.ref, ink, mask, ruled, skew, np.asarray(np.linalg.inv(to_page), np.float64)), levels, rules


def _window(image: GrayImage, layout: Layout) -> int | None:
    """Neighbourhood for binarization; None for a page, whose size chooses it."""
    if layout is Layout.DIGIT:
        return digit_window(image.shape)
    if layout is Layout.LINE:
        return string_window(image.shape)
    return None
