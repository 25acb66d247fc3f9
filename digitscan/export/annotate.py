"""Pictures that show what was read where."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.atomic import page_stem, write_whole
from digitscan.core.types import Box, FieldReading, GrayImage, PageRef, PageResult, State

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8, blue-green-red."""
Color = tuple[int, int, int]

SURE: Color = (150, 110, 0)
"""Blue-green; the scale can be told apart by colour-blind readers (Okabe and Ito 2008), BGR order."""
FAIR: Color = (0, 140, 225)
POOR: Color = (60, 30, 200)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BASE_PX = 22.0
"""Height of a capital of the font at scale 1."""
_SMALL_SIDE = 700
"""Pictures smaller than this are enlarged, so that text on them can be read."""
_LABEL_PX = 13
"""Least room in pixels for a label between two rows; dense pages are enlarged to have it."""
_MOST_SIDE = 7000
"""Pictures are not enlarged beyond this."""


def color_of(confidence: float) -> Color:
    """Colour for a confidence: sure from 0.9, fair from 0.6, poor below."""
    return SURE if confidence >= 0.9 else FAIR if confidence >= 0.6 else POOR


def _put(canvas: Picture, text: str, at: tuple[int, int], size_px: float, color: Color) -> None:
    scale = size_px / _BASE_PX
    cv2.putText(canvas, text, at, _FONT, scale, color, max(1, round(size_px / 11)), cv2.LINE_AA)


def _width(text: str, size_px: float) -> int:
    return int(cv2.getTextSize(text, _FONT, size_px / _BASE_PX, max(1, round(size_px / 11)))[0][0])


def _label(canvas: Picture, reading: FieldReading, box: Box, size: float, color: Color) -> None:
    """The text in a filled label above its box, below it where there is no room."""
    text = reading.text or reading.state.value
    width, height = _width(text, size) + 6, round(size * 1.45)
    top = box.y - height - 2 if box.y - height - 2 >= 0 else min(box.bottom + 2, canvas.shape[0] - height)
    left = int(np.clip(box.x - 1, 0, max(canvas.shape[1] - width, 0)))
    top = max(top, 0)
    area = canvas[top : top + height, left : left + width]
    if area.size:
        area[:] = (0.15 * area + 0.85 * np.array(color, np.float32)).astype(np.uint8)
        _put(canvas, text, (left + 3, top + round(size * 1.2)), size, (255, 255, 255))


def _legend(width: int, size: float, result: PageResult) -> Picture:
    name = Path(result.ref.path).name.encode("ascii", "replace").decode()
    digits = sum(len(r.digits) for r in result.readings)
    review = sum(r.review for r in result.readings)
    strip = np.full((round(size * 2.4), width, 3), 255, np.uint8)
    words = f"{name}  p.{result.ref.page_number}   {len(result.readings)} strings  {digits} digits  {review} to review"
    fit = min(size, size * 0.96 * width / max(_width(words, size) + 8 * size, 1))
    y = round(strip.shape[0] / 2 + fit / 2)
    _put(strip, words, (6, y), fit, (60, 60, 60))
    x = 6 + _width(words, fit) + round(fit)
    for color, text in ((SURE, "90+"), (FAIR, "60+"), (POOR, "<60 %")):
        cv2.rectangle(strip, (x, y - round(fit)), (x + round(fit), y), color, -1)
        _put(strip, text, (x + round(fit * 1.3), y), fit, (60, 60, 60))
        x += round(fit * 1.9) + _width(text, fit)
    return strip


def _room_above(result: PageResult) -> NDArray[np.float64]:
    """Free pixels between each reading and the next one over it; infinite where none stands near."""
    boxes = np.array([r.box for r in result.readings], np.float64).reshape(-1, 4)
    left, top = boxes[:, 0], boxes[:, 1]
    right, bottom = left + boxes[:, 2], top + boxes[:, 3]
    room = np.full(len(boxes), np.inf)
    for k in range(len(boxes)):
        over = (
            (left < right[k]) & (right > left[k]) & ((top + bottom) / 2 < top[k]) & (bottom > top[k] - 3 * boxes[k, 3])
        )
        if over.any():
            room[k] = max(float((top[k] - bottom[over]).min()), 0.0)
    return room


def draw(image: GrayImage, result: PageResult) -> Picture:
    """Draw boxes, digits and a legend over a page.

    Parameters
    ----------
    image : (H, W) uint8
        The source page, paper white.
    result : PageResult
        Its readings, boxes in pixels of `image`.

    Returns
    -------
    (H', W', 3) uint8
        Blue-green-red; small images are enlarged by a whole factor, and a legend is added below.
    """
    room = _room_above(result)
    if result.form is not None:  # fields are larger than what stands in them: a label has room inside
        room = np.maximum(room, [0.3 * reading.box.height for reading in result.readings])
    zoom = int(np.clip(round(_SMALL_SIDE / max(*image.shape, 1)), 1, 6))
    crowded = float(np.median(room[np.isfinite(room)])) if np.isfinite(room).any() else np.inf
    dense = int(np.clip(np.ceil(_LABEL_PX / max(crowded, 1.0)), 1, 3))
    zoom = max(zoom, min(dense, max(_MOST_SIDE // max(*image.shape, 1), 1)))
    page = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC) if zoom > 1 else image
    # The page steps back a little, so that thin coloured lines stand out from black print.
    canvas = np.asarray(cv2.cvtColor(cv2.addWeighted(page, 0.82, np.full_like(page, 255), 0.18, 0), cv2.COLOR_GRAY2BGR))
    line = max(1, round(max(canvas.shape) / 1400))

    def scaled(box: Box) -> Box:
        return Box(*(v * zoom for v in box))

    for reading in result.readings:
        color = color_of(reading.confidence)
        for digit in reading.digits:
            b = scaled(digit.box)
            cv2.rectangle(canvas, (b.x, b.y), (b.right - 1, b.bottom - 1), color_of(digit.confidence), line)
        b = scaled(reading.box)
        pad = 2 * line
        thick = 3 * line if reading.review else line
        cv2.rectangle(canvas, (b.x - pad, b.y - pad), (b.right + pad - 1, b.bottom + pad - 1), color, thick)
    for reading, free in zip(result.readings, room * zoom, strict=True):
        if reading.state is State.BLANK and not reading.review:
            continue
        b = scaled(reading.box)
        # In close rows a label may lie on the feet of the row above, no more.
        most = max(free, 0.35 * b.height) / 1.45
        size = float(np.clip(min(0.5 * b.height, 0.04 * max(canvas.shape), most), 8, 60))
        _label(canvas, reading, b, size, color_of(reading.confidence))
    legend = _legend(max(canvas.shape[1], 320), float(np.clip(canvas.shape[1] / 90, 9, 26)), result)
    if legend.shape[1] > canvas.shape[1]:
        canvas = cv2.copyMakeBorder(
            canvas, 0, 0, 0, legend.shape[1] - canvas.shape[1], cv2.BORDER_CONSTANT, value=(255, 255, 255)
        )
    return np.asarray(np.vstack([canvas, legend]), np.uint8)


def annotation_path(folder: Path, ref: PageRef, taken: set[str]) -> Path:
    """A name for a page's picture, see `page_stem`."""
    return folder / f"{page_stem(ref, taken)}.jpg"


def write_annotation(folder: Path, image: GrayImage, result: PageResult, taken: set[str]) -> Path:
    """Draw a page and write the picture as JPEG.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = annotation_path(folder, result.ref, taken)
    encoded = cv2.imencode(".jpg", draw(image, result), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    write_whole(path, encoded.tobytes())
    return path
