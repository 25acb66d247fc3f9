"""Whole-page geometry before any ink is found: polarity, quarter turns, and photographs made flat."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Transform
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.imaging.reduce import shrink_by


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryParameters:
    """What tells a sheet and its frame from what lies around them.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    outline_side: int = 900
    """Long side at which outlines are searched. [pixels; cost alone]"""
    least_side: int = 300
    """Smaller photographs are not made flat. [pixels; tried]"""
    least_perspective: float = 1.2
    """Corners nearer to right angles are left alone: skew is another stage's. [degrees; tried]"""
    least_quad: float = 0.15
    """Area of a frame or sheet from which the page is made flat by it. [shares of the image; tried]"""
    most_perspective: float = 28.0
    """Corners further from right angles are no page's. [degrees; tried]"""
    least_area: float = 0.07
    """A smaller frame says nothing about the page's perspective. [shares of the photograph; tried]"""
    frame_ink: float = 0.45
    """Ink in a frame, at the most: a picture holds more. [shares of its box; tried]"""
    most_frames: int = 5
    """Frames that are looked at, the largest ones. [bare; cost alone]"""
    sheet_area: float = 0.2
    """A smaller light area is no sheet. [shares of the photograph; tried]"""
    sheet_convex: float = 0.85
    """A sheet fills at least so much of its convex hull. [share; tried]"""
    sheet_blur: int = 9
    """Side of the blur before sheet and ground part. [pixels; tried]"""
    sheet_close: int = 15
    """Thinner writing does not part a sheet; the sheet's own edge is as wide. [pixels; tried]"""
    corner_steps: tuple[float, ...] = (0.01, 0.015, 0.02, 0.03, 0.045, 0.06)
    """How far an outline may lie from its four corners' quadrilateral, tried in turn. [shares of its length; tried]"""
    quad_area: float = 0.88
    """The quadrilateral covers at least so much of the outline's hull. [share; tried]"""
    polarity_side: int = 600
    """Long side at which polarity is judged. [pixels; cost alone]"""
    polarity_contrast: int = 24
    """Pages of less contrast have no polarity. [grey levels; tried]"""
    light_share: float = 0.45
    """Where more of a page is light, the light is paper. [share; tried]"""
    thick_parts: int = 7
    """What is thicker than the shorter side through this is no stroke. [bare; tried]"""
    gap_parts: int = 4
    """Into so many parts of that thickness gaps by print are closed. [bare; tried]"""
    thick_share: float = 0.02
    """Share of the light area that may be so thick where the light is writing. [share; tried]"""
    dark_ground: float = 0.6
    """Tone of the ground beside a sheet below which it is no paper. [shares of the sheet's tone; tried]"""
    grain: float = 0.6
    """Contrast of the ground's strongest marks below which they are no writing. [shares of the sheet's; tried]"""
    grain_percentile: float = 99.9
    """Which of the ground's marks are its strongest. [percentile; tried]"""
    writing_percentile: float = 99
    """Which of the sheet's marks are its strongest. [percentile; tried]"""
    sheet_inset: float = 0.985
    """A little less than the sheet: its edge is a step in tone. [shares of the sheet; tried]"""


_P = GeometryParameters()


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
    step = max(1, max(image.shape) // _P.polarity_side)
    small = np.ascontiguousarray(image[::step, ::step])
    if int(small.max()) - int(small.min()) < _P.polarity_contrast:
        return False
    _, light = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    share = float(light.mean())
    if share > _P.light_share:
        return False
    side = max(3, min(small.shape) // _P.thick_parts) | 1
    if side > 12:  # print and rules on a sheet must not cut its light area to pieces
        light = cv2.morphologyEx(
            light, cv2.MORPH_CLOSE, np.ones((side // _P.gap_parts, side // _P.gap_parts), np.uint8)
        )
    thick = cv2.erode(light, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return bool(thick.sum() < _P.thick_share * max(int(light.sum()), 1))


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
    for share in _P.corner_steps:
        polygon = cv2.approxPolyDP(hull, share * length, True).reshape(-1, 2)
        if len(polygon) == 4:
            quad = _order(polygon.astype(np.float32))
            return quad if area > 0 and cv2.contourArea(quad) > _P.quad_area * area else None
        if len(polygon) < 4:
            return None
    return None


def _frame_quads(small: GrayImage) -> list[NDArray[np.float32]]:
    """Corners of ruled frames: components that enclose much and hold little ink."""
    mask, _ = binarize(soft_ink(small))
    closed = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for contour in sorted(contours, key=lambda c: -cv2.boundingRect(c)[2] * cv2.boundingRect(c)[3])[: _P.most_frames]:
        x, y, w, h = cv2.boundingRect(contour)
        if w * h < _P.least_area * small.size or cv2.countNonZero(closed[y : y + h, x : x + w]) > _P.frame_ink * w * h:
            continue
        quad = _as_quad(contour)
        if quad is not None and cv2.contourArea(quad) > _P.least_area * small.size:
            quads.append(quad)
    return quads


def _sheet_quads(small: GrayImage) -> list[NDArray[np.float32]]:
    """Corners of a light sheet on a darker ground."""
    _, light = cv2.threshold(
        cv2.GaussianBlur(small, (_P.sheet_blur, _P.sheet_blur), 0), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    light = cv2.morphologyEx(light, cv2.MORPH_CLOSE, np.ones((_P.sheet_close, _P.sheet_close), np.uint8))
    contours, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return []
    largest = max(contours, key=cv2.contourArea)
    height, width = small.shape
    x, y, w, h = cv2.boundingRect(largest)
    if cv2.contourArea(largest) < max(
        _P.sheet_area * small.size, _P.sheet_convex * cv2.contourArea(cv2.convexHull(largest))
    ):
        return []
    # A sheet cut off by the picture's edge shows the edge's corners, not its own.
    if sum((x <= 1, y <= 1, x + w >= width - 1, y + h >= height - 1)) >= 2:
        return []
    quad = _as_quad(largest)
    return [] if quad is None else [quad]


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
    shrink = max(1, round(max(image.shape) / _P.outline_side))
    small = shrink_by(image, shrink)
    quads = _sheet_quads(small)
    if not quads:
        return image
    inside = np.zeros(small.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.round(quads[0]).astype(np.int32), 1)
    edge = np.ones((_P.sheet_close, _P.sheet_close), np.uint8)  # the sheet's own edge is a strong mark
    sheet, ground = cv2.erode(inside, edge) > 0, cv2.dilate(inside, edge) == 0
    if not sheet.any() or not ground.any():
        return image
    tone = np.median(small[sheet])
    marks = soft_ink(small)
    if np.median(small[ground]) >= _P.dark_ground * tone:
        return image
    if np.percentile(marks[ground], _P.grain_percentile) >= _P.grain * np.percentile(
        marks[sheet], _P.writing_percentile
    ):
        return image
    middle = quads[0].mean(axis=0)
    within = (middle + (quads[0] - middle) * _P.sheet_inset + 0.5) * shrink
    keep = np.zeros(image.shape, np.uint8)
    cv2.fillConvexPoly(keep, np.round(within).astype(np.int32), 255)
    blank = np.full_like(image, np.uint8(tone))
    cv2.copyTo(image, keep, blank)
    return blank


def ruled_quads(image: GrayImage) -> list[NDArray[np.float32]]:
    """Corners of a page's ruled frames, the largest first: (4, 2) each, clockwise from the upper left, in pixels."""
    shrink = max(1, round(max(image.shape) / _P.outline_side))
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


def flatten_photo(
    image: GrayImage, min_perspective_degrees: float = _P.least_perspective
) -> tuple[GrayImage, Transform] | None:
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
    shrink = max(1, round(max(height, width) / _P.outline_side))  # whole factors are averaged fast
    if max(height, width) < _P.least_side:
        return None
    small = shrink_by(image, shrink)
    quads = _frame_quads(small) or _sheet_quads(small)
    if not quads:
        return None
    quad = (quads[0] + 0.5) * shrink
    # A small frame, such as a row of boxes, tells little of the page around it.
    if cv2.contourArea(quad.astype(np.float32)) < _P.least_quad * height * width:
        return None
    if not min_perspective_degrees <= perspective_of(quad) <= _P.most_perspective:
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
