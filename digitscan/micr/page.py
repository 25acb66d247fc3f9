"""A page without a template is asked for lines of magnetic characters; what they say takes the place of other readings.

image ─ magnetic_lines ─> ReadMicr; PageResult, ReadMicr ─ with_lines ─> PageResult
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digitscan.core.types import FieldReading, GrayImage, Layout, PageResult
from digitscan.micr.bars import read_bar_lines
from digitscan.micr.groups import readings_of
from digitscan.micr.read import ReadMicr, read_micr_lines
from digitscan.micr.standard import HEIGHT, PITCH

_BESIDE = 2.0
"""Places beyond a line's ends, and half as many characters above and below it, where ink is still the line's."""
_OBLONG = 4
"""Width of an image of one line, in its heights, from which it may be a line of magnetic characters: they are many."""
_NO_NUMBERS = "no numbers found"


def magnetic_lines(image: GrayImage, layout: Layout) -> list[ReadMicr]:
    """The lines of magnetic characters on a page, whichever way up it lies.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.
    layout : Layout
        Images of one digit, and pages that are said to be tables, have none.
    """
    height, width = image.shape
    if layout in (Layout.DIGIT, Layout.TABLE) or (layout is Layout.LINE and width < _OBLONG * height):
        return []
    return read_micr_lines(image) or read_bar_lines(image)


def with_lines(result: PageResult, lines: Sequence[ReadMicr], layout: Layout, review_below: float) -> PageResult:
    """Put a page's lines of magnetic characters among its readings, in place of what else was read there.

    Parameters
    ----------
    result : PageResult
    lines : sequence of ReadMicr
        Of the same page, in its source pixels.
    layout : Layout
        An image that is one line has no other readings.
    review_below : float
        Confidence below which a person should look.
    """
    if not lines:
        return result
    kept = [] if layout is Layout.LINE else [r for r in result.readings if not any(_covers(line, r) for line in lines)]
    shape = (result.height, result.width)
    for line in lines:
        own = readings_of(line, shape, review_below)
        level = float(line.corners[:, :, 1].mean())
        # In a table order is by cells; elsewhere a line comes behind what stands above it.
        above = [k for k, reading in enumerate(kept) if reading.box.center[1] < level]
        place = len(kept) if any(r.row is not None for r in kept) else (above[-1] + 1 if above else 0)
        kept[place:place] = own
    readings = tuple(replace(reading, name=f"s{place}") for place, reading in enumerate(kept, 1))
    warnings = tuple(w for w in result.quality.warnings if w != _NO_NUMBERS)
    return replace(result, readings=readings, quality=replace(result.quality, warnings=warnings))


def _covers(line: ReadMicr, reading: FieldReading) -> bool:
    """Whether a reading was made of a line's ink."""
    x, y, _ = np.linalg.inv(line.line.to_page) @ np.array([*reading.box.center, 1.0])
    beside = line.places[0] - 1 - _BESIDE < x / PITCH < line.places[-1] + _BESIDE
    return bool(beside and -0.5 * HEIGHT < y < 1.5 * HEIGHT)
