"""ONE normalization: every crop that a network ever sees, in training or in use, is made here."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import CROP_SIZE, Crops, Ink

NORMALIZATION_VERSION = 1
"""Raised whenever `normalize_ink` changes its output; a model made for another version is refused."""

INNER_SIZE = 20
"""Side in pixels of the square that the scaled ink fits."""
MIN_STROKE_PX = 1.7
"""Thinner strokes, measured after scaling, are thickened: a fine pen must not fade to grey."""


def _stroke_width(solid: NDArray[np.uint8]) -> float:
    """Mean stroke width in pixels of a 0/1 mask: twice its area over its boundary."""
    area = cv2.countNonZero(solid)
    inside = cv2.countNonZero(cv2.erode(solid, None, borderType=cv2.BORDER_CONSTANT, borderValue=0))
    return 2.0 * area / max(area - inside, 1)


def normalize_ink(ink: Ink) -> NDArray[np.uint8]:
    """Scale one digit and centre it the way MNIST digits are centred.

    The ink's longer side becomes 20 px, the aspect stays, and the centre of mass moves to the middle of a
    28x28 square, to the pixel. Ink darkness is stretched, so a pencil and a pen give the same crop.

    Parameters
    ----------
    ink : (H, W) uint8
        Soft ink, 0 is paper, 255 is full ink. Not the scan's polarity.

    Returns
    -------
    (28, 28) uint8
        0 is paper, 255 is full ink.

    Raises
    ------
    ValueError
        If `ink` is not 2-D uint8 or holds no ink.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner 1998, Proc. IEEE 86(11), section III-A.
    """
    if ink.ndim != 2 or ink.dtype != np.uint8:
        raise ValueError(f"ink must be a 2-D uint8 array, not {ink.ndim}-D {ink.dtype}")
    peak = int(ink.max()) if ink.size else 0
    if peak == 0:
        raise ValueError("ink holds no ink")
    solid = (ink > peak // 2).view(np.uint8)
    level = cv2.mean(ink, solid)[0]
    stretched = cv2.convertScaleAbs(ink, alpha=255.0 / max(level, 1.0))
    # Pixels at a tenth of the digit's own ink are the halo of a blurred scan, not part of its extent.
    x, y, w, h = cv2.boundingRect((stretched > 40).view(np.uint8))
    stretched = stretched[y : y + h, x : x + w]
    scale = INNER_SIZE / max(h, w)
    if scale < 1.0:
        stroke = _stroke_width(solid)
        missing = int(round(MIN_STROKE_PX / scale - stroke))
        if missing > 0:
            grow = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
            margin = missing // 2 + 1
            stretched = cv2.dilate(
                cv2.copyMakeBorder(stretched, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0), grow
            )
            h, w = stretched.shape
            scale = INNER_SIZE / max(h, w)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = cv2.resize(stretched, size, interpolation=cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR)
    moments = cv2.moments(small)
    mass = max(moments["m00"], 1.0)
    # Pixel centres: an ink of width 1 has its mass at 0, the square's middle lies at 14 as in MNIST.
    left = round(CROP_SIZE / 2 - moments["m10"] / mass)
    top = round(CROP_SIZE / 2 - moments["m01"] / mass)
    left = min(max(left, 0), CROP_SIZE - size[0])
    top = min(max(top, 0), CROP_SIZE - size[1])
    crop = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    crop[top : top + size[1], left : left + size[0]] = small
    return crop


def normalize_all(inks: Sequence[Ink]) -> Crops:
    """Normalize many digits; gives (0, 28, 28) for none."""
    crops = np.zeros((len(inks), CROP_SIZE, CROP_SIZE), np.uint8)
    for crop, ink in zip(crops, inks, strict=True):
        crop[:] = normalize_ink(ink)
    return crops
