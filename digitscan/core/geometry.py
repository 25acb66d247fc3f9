"""Boxes and transforms, without any imaging library."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box, Transform


def union(boxes: Iterable[Box]) -> Box:
    """Smallest box around all `boxes`; raises ValueError when there are none."""
    rects = list(boxes)
    if not rects:
        raise ValueError("union of no boxes")
    left = min(b.x for b in rects)
    top = min(b.y for b in rects)
    return Box(left, top, max(b.right for b in rects) - left, max(b.bottom for b in rects) - top)


def map_points(points: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    """Send (N, 2) points through a (3, 3) homography."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ transform.T
    return homogeneous[:, :2] / homogeneous[:, 2:3]


def map_box(box: Box, transform: Transform, *, width: int, height: int) -> Box:
    """Upright box around a transformed box, clipped to an image of `width` x `height`, at least 1x1."""
    corners = np.array(
        [[box.x, box.y], [box.right, box.y], [box.right, box.bottom], [box.x, box.bottom]], dtype=np.float64
    )
    mapped = map_points(corners, transform)
    low = np.floor(mapped.min(axis=0) + 1e-6)
    high = np.ceil(mapped.max(axis=0) - 1e-6)
    left = int(np.clip(low[0], 0, max(width - 1, 0)))
    top = int(np.clip(low[1], 0, max(height - 1, 0)))
    right = int(np.clip(high[0], left + 1, max(width, left + 1)))
    bottom = int(np.clip(high[1], top + 1, max(height, top + 1)))
    return Box(left, top, right - left, bottom - top)
