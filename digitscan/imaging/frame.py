"""The printed frame of a box that was cut out together with the digit in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from digitscan.core.types import Mask


@dataclass(frozen=True, slots=True)
class FrameShape:
    """What a frame looks like, in shares of the sides of the box that holds it; checked on 5,000 digits without one.

    Attributes
    ----------
    extent : float
        Of the picture's sides, how much the frame spans at the least.
    straight : float
        Share of a side's columns or rows that lie on one line.
    wander : float
        How far they may lie from it.
    inset : float
        How far a side may lie inside the box, as in a frame that is not upright.
    thickest : float
        Thickness of a side, at the most.
    sides : int
        Of the four, how many must be there: a box may be cut off at one.
    content : float
        Height of what stands in the frame, at the least.
    """

    extent: float = 0.5
    straight: float = 0.85
    wander: float = 0.025
    inset: float = 0.08
    thickest: float = 0.12
    sides: int = 3
    content: float = 0.25


SHAPE = FrameShape()


def without_frame(mask: Mask, shape: FrameShape = SHAPE) -> Mask:
    """Take the frame away that encloses the ink of a picture of one digit; the same mask where there is none.

    Parameters
    ----------
    mask : (H, W) bool
        True is ink.
    shape : FrameShape
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    outer = 1 + int(np.argmax(stats[1:, 2] * stats[1:, 3]))
    x, y, width, height = (int(v) for v in stats[outer, :4])
    if width < shape.extent * mask.shape[1] or height < shape.extent * mask.shape[0] or min(width, height) < 12:
        return mask
    own = labels[y : y + height, x : x + width] == outer
    found = [side for turns in range(4) if (side := _side(own, turns, shape)) is not None]
    if len(found) < shape.sides:
        return mask
    rest = mask.copy()
    rest[y : y + height, x : x + width] &= ~np.logical_or.reduce(found)
    rest = _without_crumbs(rest, max(2, round(0.05 * height)))
    rows = np.flatnonzero(rest.any(axis=1))
    # A digit of straight strokes, as on a clock, has nothing inside.
    return rest if len(rows) and rows[-1] - rows[0] + 1 >= shape.content * height else mask


def _side(own: Mask, turns: int, shape: FrameShape) -> Mask | None:
    """Pixels of the side that is uppermost after some quarter turns, turned back; None where it is no straight line."""
    turned = np.rot90(own, turns)
    high, wide = turned.shape
    across = np.flatnonzero(turned.any(axis=0))
    first = turned[:, across].argmax(axis=0)
    slope, start = _line(across, first)
    away = np.abs(first - (slope * across + start))
    on_it = away <= max(1.5, shape.wander * high)
    if on_it.sum() < shape.straight * wide or np.median(first) > max(2.0, shape.inset * high):
        return None
    below = turned[:, across]
    runs = np.array([_run(below[top:, k]) for k, top in enumerate(first)])
    thickness = float(np.median(runs[on_it]))
    if thickness > shape.thickest * high:
        return None
    rows = np.arange(high)[:, None]
    part = np.zeros_like(turned)
    # A little more than the side's own thickness, for its soft edge; what hangs on it is the digit's.
    part[:, across] = on_it & (rows >= first) & (rows < first + thickness + 1.5)
    return np.asarray(np.rot90(part, -turns))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and start of a line through most points: through the medians of both halves."""
    half = len(x) // 2
    if half == 0:
        return 0.0, float(y[0])
    x0, x1 = np.median(x[:half]), np.median(x[half:])
    y0, y1 = np.median(y[:half]), np.median(y[half:])
    slope = float((y1 - y0) / max(x1 - x0, 1e-6))
    return slope, float(y0 - slope * x0)


def _run(column: np.ndarray) -> int:
    """Length of the ink at the beginning of a column."""
    gaps = np.flatnonzero(~column)
    return int(gaps[0]) if len(gaps) else len(column)


def _without_crumbs(mask: Mask, largest: int) -> Mask:
    """Without what is left of the corners: marks smaller than `largest` in both directions."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = np.maximum(stats[:, 2], stats[:, 3]) > largest
    keep[0] = False
    return np.asarray(keep[labels])
