"""Whole-page geometry before any ink is found: polarity, quarter turns, and photographs made flat."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Transform
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.imaging.reduce import shrink_by

_SMALL = 900
"""Long side in pixels at which outlines are searched."""
_MAX_PERSPECTIVE_DEGREES = 28.0
"""Corners further from right angles than this are no page's."""
_MIN_AREA_SHARE = 0.07
"""A frame or sheet smaller than this share of the photo says nothing about the page's perspective."""


def moving(x: float, y: float) -> Transform:
    """From pixels of a part of an image to those of the whole, whose part begins at (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def is_light_on_dark(image: GrayImage) -> bool:
    """Whether ink is lighter than paper.

    Light areas that vanish when thinned by a stroke's width are strokes; light areas that stay are paper, also
    when a sheet lies on a dark desk.

    Parameters
    ----------
    image : (H, W) uint8
    """
    step = max(1, max(image.shape) // 600)
    small = np.ascontiguousarray(image[::step, ::step])
    if int(small.max()) - int(small.min()) < 24:
        return False
    _, light = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    share = float(light.mean())
    if share > 0.45:
        return False
    side = max(3, min(small.shape) // 7) | 1
    if side > 12:  # print and rules on a sheet must not cut its light area to pieces
        light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((side // 4, side // 4), np.uint8))
    thick = cv2.erode(light, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return bool(thick.sum() < 0.02 * max(int(light.sum()), 1))


def quarter_turn(image: GrayImage, degrees: int) -> tuple[GrayImage, Transform]:
    """Turn an image clockwise by 0, 90, 180 or 270 degrees.

    Returns
    -------
    image : (H, W) or (W, H) uint8
    transform : (3, 3) float64
        Old pixel coordinates to new ones.
    """
    height, width = image.shape
    if degrees == 90:
        turned = cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
        matrix = [[0, -1, height], [1, 0, 0], [0, 0, 1]]
    elif degrees == 180:
        turned = cv2.rotate(image, cv2.ROTATE_180)
        matrix = [[-1, 0, width], [0, -1, height], [0, 0, 1]]
    elif degrees == 270:
        turned = cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)
        matrix = [[0, 1, 0], [-1, 0, width], [0, 0, 1]]
    elif degrees == 0:
        turned, matrix = image, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    else:
        raise ValueError(f"degrees must be 0, 90, 180 or 270, not {degrees}")
    return np.asarray(turned, dtype=np.uint8), np.array(matrix, dtype=np.float64)


def _order(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Top-left, top-right, bottom-right, bottom-left."""
    around = corners[np.argsort(np.arctan2(*(corners - corners.mean(axis=0)).T[::-1]))]
    return np.roll(around, -int(around.sum(axis=1).argmin()), axis=0)


def _as_quad(points: NDArray[np.int32]) -> NDArray[np.float32] | None:
    """Four corners whose quadrilateral is nearly the convex hull of `points`; None when there are none."""
    hull = cv2.convexHull(points.reshape(-1, 1, 2))
    area = cv2.contourArea(hull)
    length = cv2.arcLength(hull, True)
    for share in (0.01, 0.015, 0.02, 0.03, 0.045, 0.06):
        polygon = cv2.approxPolyDP(hull, share * length, True).reshape(-1, 2)
        if len(polygon) == 4:
            quad = _order(polygon.astype(np.float32))
            return quad if area > 0 and cv2.contourArea(quad) > 0.88 * area else None
        if len(polygon) < 4:
            return None
    return None


def _frame_quads(small: GrayImage) -> list[NDArray[np.float32]]:
    """Corners of ruled frames: components that enclose much and hold little ink."""
    mask, _ = binarize(soft_ink(small))
    closed = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for contour in sorted(contours, key=lambda c: -cv2.boundingRect(c)[2] * cv2.boundingRect(c)[3])[:5]:
        x, y, w, h = cv2.boundingRect(contour)
        if w * h < _MIN_AREA_SHARE * small.size or cv2.countNonZero(closed[y : y + h, x : x + w]) > 0.45 * w * h:
            continue
        quad = _as_quad(contour)
        if quad is not None and cv2.contourArea(quad) > _MIN_AREA_SHARE * small.size:
            quads.append(quad)
    return quads


def _sheet_quads(small: GrayImage) -> list[NDArray[np.float32]]:
    """Corners of a light sheet on a darker ground."""
    _, light = cv2.threshold(cv2.GaussianBlur(small, (9, 9), 0), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    contours, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return []
    largest = max(contours, key=cv2.contourArea)
    height, width = small.shape
    x, y, w, h = cv2.boundingRect(largest)
    if cv2.contourArea(largest) < 0.2 * small.size or cv2.contourArea(largest) < 0.85 * cv2.contourArea(
        cv2.convexHull(largest)
    ):
        return []
    # A sheet cut off by the picture's edge shows the edge's corners, not its own.
    if sum((x <= 1, y <= 1, x + w >= width - 1, y + h >= height - 1)) >= 2:
        return []
    quad = _as_quad(largest)
    return [] if quad is None else [quad]


_DARK_GROUND = 0.6
"""Tone of the ground beside a sheet, as a share of the sheet's, below which it is no paper."""
_GRAIN = 0.6
"""Contrast of the ground's strongest marks, as a share of that of the sheet's, below which they are no writing."""


def blank_ground(image: GrayImage) -> GrayImage:
    """Make the darker ground beside a photographed sheet white: the grain of a table is no writing.

    A shadow on a sheet has an outline as well. So nothing is touched where what lies outside has marks nearly as strong
    as the sheet's own.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.

    Returns
    -------
    (H, W) uint8
        A copy, or the image itself where no whole sheet lies on a clearly darker ground without marks.
    """
    shrink = max(1, round(max(image.shape) / _SMALL))
    small = shrink_by(image, shrink)
    quads = _sheet_quads(small)
    if not quads:
        return image
    inside = np.zeros(small.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.round(quads[0]).astype(np.int32), 1)
    edge = np.ones((15, 15), np.uint8)  # the sheet's own edge is a strong mark
    sheet, ground = cv2.erode(inside, edge) > 0, cv2.dilate(inside, edge) == 0
    if not sheet.any() or not ground.any():
        return image
    tone = np.median(small[sheet])
    marks = soft_ink(small)
    if np.median(small[ground]) >= _DARK_GROUND * tone:
        return image
    if np.percentile(marks[ground], 99.9) >= _GRAIN * np.percentile(marks[sheet], 99):
        return image
    middle = quads[0].mean(axis=0)
    # A little less than the sheet: its edge is a step in tone.
    within = (middle + (quads[0] - middle) * 0.985 + 0.5) * shrink
    keep = np.zeros(image.shape, np.uint8)
    cv2.fillConvexPoly(keep, np.round(within).astype(np.int32), 255)
    blank = np.full_like(image, np.uint8(tone))
    cv2.copyTo(image, keep, blank)
    return blank


def ruled_quads(image: GrayImage) -> list[NDArray[np.float32]]:
    """Corners of a page's ruled frames, the largest first: (4, 2) each, clockwise from the upper left, in pixels."""
    shrink = max(1, round(max(image.shape) / _SMALL))
    quads = _frame_quads(shrink_by(image, shrink))
    return [np.asarray((quad + 0.5) * shrink, np.float32) for quad in quads]


def _sides(quad: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)


def perspective_of(quad: NDArray[np.float32]) -> float:
    """How far a quadrilateral is from a rectangle: the largest corner angle off 90 degrees, in degrees."""
    forward = np.roll(quad, -1, axis=0) - quad
    back = np.roll(quad, 1, axis=0) - quad
    cosine = (forward * back).sum(axis=1) / (np.linalg.norm(forward, axis=1) * np.linalg.norm(back, axis=1) + 1e-9)
    return float(np.abs(np.degrees(np.arccos(np.clip(cosine, -1, 1))) - 90).max())


def flatten_photo(image: GrayImage, min_perspective_degrees: float = 1.2) -> tuple[GrayImage, Transform] | None:
    """Undo the perspective of a photographed page, found by a ruled frame or by the sheet's own outline.

    Parameters
    ----------
    image : (H, W) uint8
    min_perspective_degrees : float
        Pages whose corners are nearer to right angles than this are left alone; skew is another stage's.

    Returns
    -------
    (image, transform) or None
        The flat page, all of it that the canvas can hold, and the (3, 3) map from old pixels to new ones;
        None when the page is flat or shows no quadrilateral.
    """
    height, width = image.shape
    shrink = max(1, round(max(height, width) / _SMALL))  # whole factors are averaged fast
    if max(height, width) < 300:
        return None
    small = shrink_by(image, shrink)
    quads = _frame_quads(small) or _sheet_quads(small)
    if not quads:
        return None
    quad = (quads[0] + 0.5) * shrink
    if not min_perspective_degrees <= perspective_of(quad) <= _MAX_PERSPECTIVE_DEGREES:
        return None
    top, right, bottom, left = _sides(quad)
    wide, high = float(top + bottom) / 2, float(left + right) / 2
    x, y = quad.mean(axis=0) - (wide / 2, high / 2)
    target = np.array([[x, y], [x + wide, y], [x + wide, y + high], [x, y + high]], np.float32)
    warp = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    # The canvas keeps what lies around the quadrilateral too, within half its size.
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float32)
    mapped = cv2.perspectiveTransform(corners, warp)[0]
    low = np.maximum(mapped.min(axis=0), target.min(axis=0) - 0.5 * np.array([wide, high]))
    high_corner = np.minimum(mapped.max(axis=0), target.max(axis=0) + 0.5 * np.array([wide, high]))
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], dtype=np.float64)
    transform = shift @ warp.astype(np.float64)
    size = tuple(int(v) for v in np.ceil(high_corner - low))
    flat = cv2.warpPerspective(image, transform, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, dtype=np.uint8), transform
