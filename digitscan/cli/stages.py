"""Pictures of what the stages make, for ``digitscan segment --debug``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Crops
from digitscan.recognition.lines import LINE_HEIGHT, Line, pad_lines
from digitscan.segmentation.components import Components
from digitscan.segmentation.cuts import StringLattice

Picture = NDArray[np.uint8]

_COLORS = np.random.default_rng(7).integers(40, 210, (256, 3)).astype(np.uint8)


def picture_of(stage: str, product: object, page: Picture | None) -> Picture:
    """A picture of one stage's product.

    Parameters
    ----------
    stage : str
        As `digitscan.pipeline.prepare.prepare_page` names it.
    product : object
        Grey image, soft ink, mask, rules, components, lattices, crops or lines.
    page : array or None
        The last picture of the whole page, to draw on.
    """
    if isinstance(product, Components):
        colors = _COLORS[np.asarray(product.labels) % len(_COLORS)]
        colors[np.asarray(product.labels) == 0] = 255
        return np.asarray(colors, np.uint8)
    if isinstance(product, list):
        return _lattices(product, page)
    if isinstance(product, tuple):
        return line_sheet(product)
    array = np.asarray(product)
    if stage == "crops":
        return contact_sheet(array)
    if array.dtype == np.bool_:
        return np.where(array, 0, 255).astype(np.uint8)
    if stage == "rules":
        return np.where(array > 0, 0, 255).astype(np.uint8)
    if stage == "soft ink":
        return np.asarray(255 - array, np.uint8)
    return np.asarray(array, np.uint8)


def _lattices(lattices: list[StringLattice], page: Picture | None) -> Picture:
    """Strings in blue, pieces in green, cuts in red, over the page."""
    if page is None:
        return np.full((10, 10, 3), 255, np.uint8)
    canvas: Any = cv2.cvtColor(page, cv2.COLOR_GRAY2BGR) if page.ndim == 2 else page.copy()
    for lattice in lattices:
        for piece in lattice.pieces:
            b = piece.box
            cv2.rectangle(canvas, (b.x, b.y), (b.right - 1, b.bottom - 1), (80, 160, 40), 1)
            if piece.cut_before:
                cv2.line(canvas, (b.x, b.y), (b.x, b.bottom), (40, 40, 230), 2)
        b = lattice.box
        cv2.rectangle(canvas, (b.x - 3, b.y - 3), (b.right + 2, b.bottom + 2), (200, 110, 0), 2)
    return np.asarray(canvas, np.uint8)


def line_sheet(lines: Sequence[Line], most: int = 400) -> Picture:
    """Lines one below the other as the line recognizer sees them, doubled in size.

    Parameters
    ----------
    lines : sequence of (32, w) uint8
    most : int
        Further lines are left out of the picture.
    """
    if not lines:
        return np.full((LINE_HEIGHT, LINE_HEIGHT), 255, np.uint8)
    rows = pad_lines(lines[:most], step=4, after=0)
    sheet = np.pad(rows, ((0, 0), (1, 1), (1, 1)), constant_values=90).reshape(-1, rows.shape[2] + 2)
    return np.asarray(cv2.resize(sheet, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), np.uint8)


def contact_sheet(crops: Crops, columns: int = 40, most: int = 4000) -> Picture:
    """Crops side by side as the network sees them, doubled in size, with thin lines between.

    Parameters
    ----------
    crops : (N, 28, 28) uint8
    columns : int
        Crops in a row.
    most : int
        Further crops are left out of the picture.
    """
    shown = crops[:most]
    if not len(shown):
        return np.full((28, 28), 255, np.uint8)
    from skimage.util import montage

    columns = min(columns, len(shown))
    sheet = montage(shown, fill=90, grid_shape=(-(-len(shown) // columns), columns), padding_width=2)
    return np.asarray(cv2.resize(sheet, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), np.uint8)
