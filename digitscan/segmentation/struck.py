"""Numbers that their writer struck out: one stroke through all of the digits, from end to end."""

from __future__ import annotations

import cv2
import numpy as np

from digitscan.core.types import Box, Mask

_SLOPES = np.tan(np.deg2rad(np.arange(-14.0, 15.0, 2.0)))
_MIDDLE = (0.22, 0.78)
"""Rows through which the stroke runs, as shares of the string's height: neither a line under it nor one over it."""
_COVERED = 0.97
"""Share of the columns from end to end that the stroke must have ink in."""
_BEYOND = 0.9
"""How far the stroke may go on at either side, in heights: a line that goes further is a rule of the form."""
_NARROWEST = 1.3
"""Width of a string, in heights, from which a stroke is told from the bar of a digit."""
_MOST = 0.7
"""Share of a string's width that a stroke goes through when all of it is meant."""
_HIGHEST = 2.5
"""Height of what is struck out, in heights of what is left of it without the stroke."""
_OPEN = 0.08
"""Share of the columns that hold the stroke alone: between digits, not along the bars of touching ones."""
_OUT = 0.08
"""How far the stroke stands out at both ends at least, in heights: joined writing has a digit there."""


_WIDEST = 14.0
"""Width in heights from which marks that hang together are rules and frames."""


def find_struck(mask: Mask) -> list[Box]:
    """Where a page has something struck out: marks that hang together by a stroke through their middle.

    Parameters
    ----------
    mask : (H, W) bool
        Ink of the page, rules and all.
    """
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = [Box(*cv2.boundingRect(contour)) for contour in contours if len(contour) > 8]
    return [box for box in boxes if box.width < _WIDEST * box.height and is_struck(mask, box)]


def covers(struck: Box, string: Box) -> bool:
    """Whether a string, or the part of it that is left without the stroke, is what was struck out."""
    as_high = struck.height <= _HIGHEST * string.height  # a table whose middle line was taken for a stroke is not
    return as_high and struck.holds(string.center) and struck.width >= _MOST * string.width


def is_struck(mask: Mask, box: Box) -> bool:
    """Whether a straight stroke crosses a string out.

    Parameters
    ----------
    mask : (H, W) bool
        Ink of the whole page, rules and all.
    box : Box
        Of the string.
    """
    height = box.height
    if box.width < _NARROWEST * height or height < 8:
        return False
    top, bottom = (box.y + round(share * height) for share in _MIDDLE)
    # Most strings have gaps between their digits, and are done with here.
    if mask[top:bottom, box.x : box.right].any(axis=0).mean() < _COVERED:
        return False
    margin = round((_BEYOND + 0.5) * height)
    left, right = max(box.x - margin, 0), min(box.right + margin, mask.shape[1])
    part = mask[max(box.y, 0) : box.bottom, left:right].view(np.uint8)
    width = part.shape[1]
    inside = slice(box.x - left, box.right - left)
    for slope in _SLOPES:
        level = np.array([[1.0, 0.0, 0.0], [-slope, 1.0, slope * width / 2]])
        turned = cv2.warpAffine(part, level, (width, height), flags=cv2.INTER_NEAREST)
        # The stroke wavers by a row or two.
        band = cv2.dilate(turned, np.ones((max(3, 2 * (height // 16) + 1), 1), np.uint8))
        rows = slice(round(_MIDDLE[0] * height), round(_MIDDLE[1] * height))
        covered = band[rows, inside].mean(axis=1)
        best = int(covered.argmax())
        if covered[best] < _COVERED:
            continue
        row = band[rows][best].astype(bool)
        alone = turned[:, inside].sum(axis=0) <= max(3, 0.2 * height)
        out = max(2, round(_OUT * height))
        free = bool(alone[:out].all() and alone[-out:].all())
        return free and float(alone.mean()) >= _OPEN and _ends_nearby(row, inside, height)
    return False


def _ends_nearby(row: Mask, inside: slice, height: int) -> bool:
    """Whether a line ends soon after the string at both sides; one that runs out of the picture is a rule."""
    before, after = row[: inside.start][::-1], row[inside.stop :]
    return all(len(side) > 1 and not bool(side[: round(_BEYOND * height)].all()) for side in (before, after))
