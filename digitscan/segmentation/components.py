"""Connected components: labelled once a page, cut out many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box, Ink, Mask

_GROW = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Every connected component of a mask.

    Attributes
    ----------
    labels : (H, W) int32 or uint16
        0 is paper, k is component k.
    boxes : (N, 4) int32
        Left, top, width, height; row k - 1 belongs to label k.
    areas : (N,) int32
        Pixels.
    """

    labels: NDArray[np.int32] | NDArray[np.uint16]
    boxes: NDArray[np.int32]
    areas: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.areas)

    def box(self, index: int) -> Box:
        """Box of component `index` (0-based)."""
        x, y, w, h = self.boxes[index]
        return Box(int(x), int(y), int(w), int(h))


def label(mask: Mask) -> Components:
    """Label the 8-connected components of `mask`, (H, W) bool."""
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    try:  # short labels take a third of the time; a page of noise has too many components for them
        _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8, ltype=cv2.CV_16U)
    except cv2.error:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8, ltype=cv2.CV_32S)
    return Components(labels, stats[1:, :4], stats[1:, cv2.CC_STAT_AREA])


def cut_out(ink: Ink, labels: NDArray[np.int32] | NDArray[np.uint16], ids: Sequence[int], box: Box) -> Ink:
    """Soft ink of some components alone, with the soft edge around them.

    Parameters
    ----------
    ink : (H, W) uint8
        Soft ink of the page.
    labels : (H, W) int
        As `label` gives it.
    ids : sequence of int
        Labels (1-based) to keep; every other component is blanked.
    box : Box
        Their box; the result is one pixel larger on every side that the page allows.

    Returns
    -------
    (h, w) uint8
        Soft ink, 0 outside the components.
    """
    top, left = max(box.y - 1, 0), max(box.x - 1, 0)
    window = np.s_[top : box.bottom + 1, left : box.right + 1]
    part = labels[window]
    own = part == ids[0]
    for other in ids[1:]:
        own |= part == other
    edge = cv2.dilate(own.view(np.uint8), _GROW).view(np.bool_)
    # The soft edge must not reach into a neighbour that lies one pixel away.
    edge &= own | (part == 0)
    return np.where(edge, ink[window], np.uint8(0))
