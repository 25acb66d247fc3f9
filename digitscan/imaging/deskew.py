"""Skew: the angle of a page's rows, and turning it away."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Ink, Mask, Transform
from digitscan.imaging.reduce import shrink_by

MAX_SKEW_DEGREES = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskewParameters:
    """How the angle of rows is sought.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    reduced: int = 1000
    """Long side of the page on which it is sought. [pixels; cost alone]"""
    points: int = 12_000
    """Ink positions that are looked at, at the most. [bare; cost alone]"""
    coarse_points: int = 5000
    """The same in the coarse search. [bare; cost alone]"""
    fewest_points: int = 30
    """Fewer say nothing of rows. [bare; tried]"""
    ink_level: int = 60
    """Level of the reduced page from which a pixel is ink: a quarter of a block. [grey levels; tried]"""
    coarse_step: float = 0.5
    """Between the angles of the coarse search. [degrees; tried]"""
    fine_reach: float = 0.6
    """How far around the best of them the fine search goes: a little more than a step. [degrees; geometry]"""
    fine_step: float = 0.1
    """Between the angles of the fine search; the parabola through the best three is finer. [degrees; tried]"""
    sharper: float = 1.08
    """How much sharper rows must be at the best angle than at the middle one for the page to have rows. [ratio;
    tried]"""
    turn_cost: float = 1e-3
    """What a degree costs, so that among equals the smallest turn wins. [share a degree; tried]"""


_P = DeskewParameters()

NEGLIGIBLE_DEGREES = 0.12
"""Below this a page is not turned: resampling would blur more than it straightens."""


def _points(mask: Mask) -> NDArray[np.float32]:
    """(N, 2) ink positions (x, y) at reduced size, centred; N may be 0."""
    shrink = max(1, round(max(mask.shape) / _P.reduced))
    pixels = mask.view(np.uint8)
    if shrink > 1:
        pixels = (shrink_by(pixels * np.uint8(255), shrink) > _P.ink_level).astype(np.uint8)
    # The lower edge of ink says more about a row than its bulk, and large dark areas become outlines.
    below = np.zeros_like(pixels)
    below[:-1] = pixels[1:]
    edge = (pixels == 1) & (below == 0)
    ys, xs = np.nonzero(edge)
    if len(xs) > _P.points:
        chosen = np.linspace(0, len(xs) - 1, _P.points).astype(np.int64)
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
    return scores * (1 - _P.turn_cost * np.abs(angles))


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
    if len(points) < _P.fewest_points:
        return 0.0
    coarse = np.arange(-MAX_SKEW_DEGREES, MAX_SKEW_DEGREES + _P.coarse_step / 2, _P.coarse_step)
    scores = _sharpness(points[:: max(1, len(points) // _P.coarse_points)], coarse)
    best = int(scores.argmax())
    if scores[best] < _P.sharper * np.median(scores):
        return 0.0
    fine = coarse[best] + np.arange(-_P.fine_reach, _P.fine_reach + _P.fine_step / 2, _P.fine_step)
    sharp = _sharpness(points, fine)
    top = int(sharp.argmax())
    angle = float(fine[top])
    if 0 < top < len(fine) - 1:  # the parabola through the three best
        left, middle, right = sharp[top - 1 : top + 2]
        bend = left - 2 * middle + right
        if bend < 0:
            angle += _P.fine_step * 0.5 * float((left - right) / bend)
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
