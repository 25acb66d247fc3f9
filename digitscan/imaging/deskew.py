"""Skew: the angle of a page's rows, and turning it away."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Ink, Mask, Transform
from digitscan.imaging.reduce import shrink_by

MAX_SKEW_DEGREES = 15.0
NEGLIGIBLE_DEGREES = 0.12
"""Below this a page is not turned: resampling would blur more than it straightens."""

_POINTS = 12_000
_REDUCED = 1000


def _points(mask: Mask) -> NDArray[np.float32]:
    """(N, 2) ink positions (x, y) at reduced size, centred; N may be 0."""
    shrink = max(1, round(max(mask.shape) / _REDUCED))
    pixels = mask.view(np.uint8)
    if shrink > 1:
        pixels = (shrink_by(pixels * np.uint8(255), shrink) > 60).astype(np.uint8)
    # The lower edge of ink says more about a row than its bulk, and large dark areas become outlines.
    below = np.zeros_like(pixels)
    below[:-1] = pixels[1:]
    edge = (pixels == 1) & (below == 0)
    ys, xs = np.nonzero(edge)
    if len(xs) > _POINTS:
        chosen = np.linspace(0, len(xs) - 1, _POINTS).astype(np.int64)
        ys, xs = ys[chosen], xs[chosen]
    return np.stack([xs - pixels.shape[1] / 2, ys - pixels.shape[0] / 2], axis=1).astype(np.float32)


def _sharpness(points: NDArray[np.float32], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squared row counts of the points turned by each angle: highest when rows are level."""
    reach = int(np.abs(points).sum(axis=1).max()) + 2
    scores = np.empty(len(angles))
    for index, angle in enumerate(np.deg2rad(angles)):
        rows = points[:, 1] * np.cos(angle) - points[:, 0] * np.sin(angle)
        counts = np.bincount((rows + reach).astype(np.int64), minlength=2 * reach).astype(np.float64)
        # A row may straddle two bins: pairs are counted too, or the bins' grid would choose the angle.
        scores[index] = (counts**2).sum() + 2 * (counts[1:] * counts[:-1]).sum()
    # Short rows fit two bins at many angles alike: among equals the smallest turn wins.
    return scores * (1 - 1e-3 * np.abs(angles))


def estimate_skew(mask: Mask) -> float:
    """Angle by which rows fall, in degrees, within plus or minus 15; 0.0 when the page gives no sign.

    Parameters
    ----------
    mask : (H, W) bool
        Ink.

    Returns
    -------
    float
        Positive when rows go down to the right; the page stands straight after turning it
        counter-clockwise by this angle.

    References
    ----------
    Postl 1986, "Detection of linear oblique structures and skew scan in digitized documents", ICPR.
    """
    points = _points(mask)
    if len(points) < 30:
        return 0.0
    coarse = np.arange(-MAX_SKEW_DEGREES, MAX_SKEW_DEGREES + 0.25, 0.5)
    scores = _sharpness(points[:: max(1, len(points) // 5000)], coarse)
    best = int(scores.argmax())
    if scores[best] < 1.08 * np.median(scores):
        return 0.0
    fine = coarse[best] + np.arange(-0.6, 0.61, 0.1)
    sharp = _sharpness(points, fine)
    top = int(sharp.argmax())
    angle = float(fine[top])
    if 0 < top < len(fine) - 1:  # the parabola through the three best
        left, middle, right = sharp[top - 1 : top + 2]
        bend = left - 2 * middle + right
        if bend < 0:
            angle += 0.1 * 0.5 * float((left - right) / bend)
    return angle


def rotation(shape: tuple[int, int], degrees: float) -> tuple[Transform, tuple[int, int]]:
    """Turn a page so that rows falling by `degrees` become level, on a canvas that holds all of it.

    Returns
    -------
    transform : (3, 3) float64
        Old pixels to new pixels.
    size : (int, int)
        New (width, height).
    """
    height, width = shape
    angle = np.deg2rad(degrees)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    new_w = int(np.ceil(width * abs(cos) + height * abs(sin)))
    new_h = int(np.ceil(height * abs(cos) + width * abs(sin)))
    turn = np.array(
        [
            [cos, sin, new_w / 2 - cos * width / 2 - sin * height / 2],
            [-sin, cos, new_h / 2 + sin * width / 2 - cos * height / 2],
            [0, 0, 1],
        ],
        dtype=np.float64,
    )
    return turn, (new_w, new_h)


def turn_ink(ink: Ink, degrees: float) -> tuple[Ink, Transform]:
    """Level soft ink whose rows fall by `degrees`; gives the new ink and the transform from old to new."""
    transform, size = rotation((ink.shape[0], ink.shape[1]), degrees)
    turned = cv2.warpAffine(
        ink, transform[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(turned, dtype=np.uint8), transform
