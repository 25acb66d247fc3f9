"""Glyphs as distances to their middle lines, so that any of them can be drawn with any pen.

The digits of public sets were written with thick pens and scanned coarsely: made thinner by a threshold their strokes
break. Here each glyph is thinned to its middle line once, and kept as the distance of every pixel to that line. A
distance is smooth: it can be scaled, sheared and turned by bilinear interpolation, and a pen of any width is a
threshold on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.training.sources import Glyph

FIELD_HEIGHT = 40
"""Height in pixels of a glyph's middle line in its field; wide glyphs are as wide at the most."""
FIELD_MARGIN = 8
_STEPS = 16
"""Levels of a field for each pixel of distance."""
_CELL = FIELD_HEIGHT + 2 * FIELD_MARGIN
_AT_ONCE = 256


class Shape(NamedTuple):
    """One glyph, ready to be drawn at any size.

    Attributes
    ----------
    image : (H, W) uint8
        Ink of the glyph, or distance to its middle line in `_STEPS` of a pixel, saturated.
    box : (x, y, w, h)
        Where the glyph's ink, or its middle line, lies in the image.
    is_field : bool
        Whether the image holds distances.
    slant : float
        Horizontal shift per pixel of height of its strokes; positive leans right.
    stroke : float
        Mean width of the glyph's own strokes, as a share of its height.
    """

    image: NDArray[np.uint8]
    box: tuple[int, int, int, int]
    is_field: bool
    slant: float
    stroke: float

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.box[2] / self.box[3]


def lean(ink: NDArray[np.uint8]) -> float:
    """Slant of a glyph by its second moments, positive leaning right, within a half."""
    m = cv2.moments(ink)
    return float(np.clip(-m["mu11"] / max(m["mu02"], 1.0), -0.5, 0.5))


def _stroke_share(ink: NDArray[np.uint8]) -> float:
    solid = (ink > 100).view(np.uint8)
    area = cv2.countNonZero(solid)
    inside = cv2.countNonZero(cv2.erode(solid, None, borderType=cv2.BORDER_CONSTANT, borderValue=0))
    return 2.0 * area / max(area - inside, 1) / ink.shape[0]


def plain_shape(glyph: Glyph) -> Shape:
    """A glyph with its own strokes."""
    h, w = glyph.shape
    image = cv2.copyMakeBorder(glyph, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    return Shape(image, (2, 2, w, h), False, lean(glyph), _stroke_share(glyph))


@cache
def _removable() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Tables of both steps of Zhang and Suen: 0 where a pixel with such neighbours goes, 1 where it stays."""
    tables = []
    for step in range(2):
        keep = np.ones(256, np.uint8)
        for code in range(256):
            n = [code >> k & 1 for k in range(8)]  # clockwise from north
            changes = sum(n[k] == 0 and n[(k + 1) % 8] == 1 for k in range(8))
            north, east, south, west = n[0], n[2], n[4], n[6]
            if step == 0:
                edge = north * east * south == 0 and east * south * west == 0
            else:
                edge = north * east * west == 0 and north * south * west == 0
            if 2 <= sum(n) <= 6 and changes == 1 and edge:
                keep[code] = 0
        tables.append(keep)
    return tables[0], tables[1]


_WEIGHTS = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)


def thin(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Middle lines of a 0/1 mask, one pixel wide (Zhang and Suen 1984, CACM 27(3)): (H, W) uint8, 0 or 1."""
    ink = mask.copy()
    while True:
        before = cv2.countNonZero(ink)
        for keep in _removable():
            code = cv2.filter2D(ink, cv2.CV_8U, _WEIGHTS, borderType=cv2.BORDER_CONSTANT)
            ink &= keep[code]
        if cv2.countNonZero(ink) == before:
            return ink


def field_shapes(glyphs: Sequence[Glyph]) -> list[Shape | None]:
    """Glyphs as distances to their middle lines; None where next to nothing is left of one."""
    shapes: list[Shape | None] = []
    for start in range(0, len(glyphs), _AT_ONCE):
        part = glyphs[start : start + _AT_ONCE]
        strip = np.zeros((_CELL * len(part), _CELL), np.uint8)
        scaled = []
        for row, glyph in enumerate(part):
            h, w = glyph.shape
            scale = FIELD_HEIGHT / max(h, w)
            size = (max(2, round(w * scale)), max(2, round(h * scale)))
            large = cv2.resize(glyph, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
            scaled.append(large)
            top = row * _CELL + FIELD_MARGIN
            strip[top : top + size[1], FIELD_MARGIN : FIELD_MARGIN + size[0]] = large
        smooth = cv2.GaussianBlur(strip, (0, 0), 1.0)
        lines = thin((smooth > 110).view(np.uint8))
        for row, (glyph, large) in enumerate(zip(part, scaled, strict=True)):
            line = lines[row * _CELL : (row + 1) * _CELL]
            x, y, w, h = cv2.boundingRect(line)
            if cv2.countNonZero(line) < 6 or h < 0.6 * large.shape[0]:
                shapes.append(None)
                continue
            x0, y0 = max(x - FIELD_MARGIN, 0), max(y - FIELD_MARGIN, 0)
            own = line[y0 : y + h + FIELD_MARGIN, x0 : x + w + FIELD_MARGIN]
            away = cv2.distanceTransform(1 - own, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            image = cv2.convertScaleAbs(away, alpha=_STEPS)
            shapes.append(Shape(image, (x - x0, y - y0, w, h), True, lean(large), _stroke_share(glyph)))
    return shapes


@cache
def _pen_table(half_width: int, scale: int) -> NDArray[np.uint8]:
    """Ink at each level of a field for a pen, both arguments in 32nds of a pixel of the drawing."""
    distance = np.arange(256, dtype=np.float32) / _STEPS * (scale / 32)
    return np.clip((half_width / 32 + 0.5 - distance) * 255, 0, 255).astype(np.uint8)


@cache
def _edge_table(threshold: int, gain: int) -> NDArray[np.uint8]:
    """Ink with its edges drawn at a level, in 64ths, and sharpened, in quarters."""
    level = np.arange(256, dtype=np.float32) / 255
    return np.clip(((level - threshold / 64) * (gain / 4) + 0.5) * 255, 0, 255).astype(np.uint8)


def draw_shape(
    shape: Shape,
    height: float,
    *,
    width: float | None = None,
    slant: float = 0.0,
    angle: float = 0.0,
    pen: float = 2.0,
    threshold: float = 0.5,
) -> NDArray[np.uint8]:
    """Draw a glyph.

    Parameters
    ----------
    shape : Shape
    height, width : float
        Of its ink, in pixels, before it is slanted and turned; the width keeps the aspect where it is not given.
    slant : float
        Horizontal shift per pixel of height that is added to its own; positive leans right.
    angle : float
        Turn in radians.
    pen : float
        Width of the strokes in pixels, of a shape that is a field.
    threshold : float
        Level, 0 to 1, that becomes the edge of the strokes, of one that is not.

    Returns
    -------
    (h, w) uint8
        Ink high, tight.
    """
    x, y, w, h = shape.box
    if shape.is_field:  # a pen goes beyond the middle line
        height = max(height - pen, 2.0)
    sy = height / h
    sx = (width if width is not None else w * sy) / w
    sx = min(max(sx, 0.3 * sy), 3.0 * sy)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    a, b = cos * sx, (-cos * slant - sin) * sy
    c, d = sin * sx, (-sin * slant + cos) * sy
    margin = 2.0 + (0.6 * pen if shape.is_field else 0.0)
    half_w = (abs(a) * w + abs(b) * h) / 2 + margin
    half_h = (abs(c) * w + abs(d) * h) / 2 + margin
    size = (int(2 * half_w) + 1, int(2 * half_h) + 1)
    mx, my = x + (w - 1) / 2, y + (h - 1) / 2
    matrix = np.array([[a, b, size[0] / 2 - a * mx - b * my], [c, d, size[1] / 2 - c * mx - d * my]])
    scale = float(np.sqrt(sx * sy))
    image = shape.image
    if not shape.is_field and scale < 0.6:  # area averages first, or thin strokes alias away
        side = max(2, round(1 / scale))
        image = cv2.blur(image, (side, side))
    drawn = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=255 if shape.is_field else 0)
    if shape.is_field:
        table = _pen_table(round(16 * pen), round(32 * scale))
    else:
        gain = max(min(max(0.8 * scale, 1.0), 3.0), 0.5 / min(threshold, 1 - threshold))
        table = _edge_table(round(64 * threshold), round(4 * gain))
    ink = cv2.LUT(drawn, table)
    left, top, right, bottom = cv2.boundingRect((ink > 90).view(np.uint8))
    if not right:
        return np.full((2, 2), 255, np.uint8)
    return np.ascontiguousarray(ink[top : top + bottom, left : left + right])
