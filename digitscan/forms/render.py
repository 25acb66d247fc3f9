"""Templates as pictures: a good form to print, and zones drawn over a page to check them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitscan.core.errors import UsageError
from digitscan.core.types import GrayImage
from digitscan.forms.cells import FormCell
from digitscan.forms.template import MARK_FAMILY, MM_PER_INCH, FieldSpec, GridSpec, Template, corner_mark


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintParameters:
    """What a printed form looks like. In brackets stand unit and source; all is set by hand."""

    line_mm: float = 0.25
    """Thickness of lines. [mm; set]"""
    label_mm: float = 2.8
    """Height of the letters that name a field. [mm; set]"""
    column_label: float = 0.85
    """Height of the letters that name a grid's column. [labels; set]"""
    title_mm: float = 5.0
    """Height of the title. [mm; set]"""
    title_apart_mm: int = 6
    """Paper between a corner mark and the title. [mm; set]"""
    page_mm: int = 55
    """From the page's right edge to its number. [mm; set]"""
    grey: int = 90
    """Tone of boxes and combs: dark enough for a fax, paler than a pen. [grey level; set]"""
    above_mm: float = 0.8
    """Paper between a label and what it names. [mm; set]"""
    grid_above_mm: float = 2.2
    """The same above the names of a grid's columns. [mm; set]"""
    row_beside_mm: float = 1.5
    """The same beside the names of its rows. [mm; set]"""
    row_foot: float = 0.75
    """How far down a row its name stands. [rows; set]"""
    tooth: float = 0.7
    """How far down a comb's teeth begin. [heights; set]"""
    zone_letters: float = 0.4
    """Size of the letters over a picture's zones. [OpenCV's font scale a line's width; set]"""


_P = PrintParameters()

MARK_MM = 8.0
"""Side of a corner mark."""
MARK_MARGIN_MM = 6.0
"""Paper between a corner mark and the page's edge: printers leave a margin."""
ZONE_COLORS = {
    "boxes": (200, 90, 0), "comb": (160, 0, 160), "free": (0, 130, 0), "mark": (0, 60, 220), "printed": (90, 90, 90),
    "grid": (90, 90, 90), "micr": (150, 0, 60),
}  # fmt: skip
"""Blue, green, red of a zone's frame in pictures, by kind."""


class _Drawing:
    """A page that is drawn on in millimetres."""

    def __init__(self, size: tuple[float, float], dpi: float) -> None:
        self._scale = dpi / MM_PER_INCH
        self.picture = Image.new("L", (round(size[0] * self._scale), round(size[1] * self._scale)), 255)
        self._pen = ImageDraw.Draw(self.picture)
        self._line = max(1, round(_P.line_mm * self._scale))

    def _px(self, *millimetres: float) -> list[int]:
        return [round(v * self._scale) for v in millimetres]

    def text(self, x: float, y: float, height: float, text: str, anchor: str = "ld") -> None:
        """A line of text whose letters are `height` high, its lower left corner, or another, at x, y."""
        font = ImageFont.load_default(max(6, round(height * self._scale)))
        left, foot = self._px(x, y)
        self._pen.text((left, foot), text, fill=0, font=font, anchor=anchor)

    def lines(self, x: float, y: float, w: float, h: float, columns: int, rows: int, *, tooth: float = 0.0) -> None:
        """A box parted into like cells; with a `tooth` from 0 to 1, a comb whose teeth start so far down."""
        left, top, right, bottom = self._px(x, y, x + w, y + h)
        start = top + round(tooth * (bottom - top))
        for k in range(columns + 1):
            at = left + round(k * (right - left) / columns)
            self._pen.line((at, start, at, bottom), fill=_P.grey, width=self._line)
        for k in range(rows + 1):
            at = top + round(k * (bottom - top) / rows)
            if not tooth or k == rows:
                self._pen.line((left, at, right, at), fill=_P.grey, width=self._line)

    def underline(self, x: float, y: float, w: float, h: float) -> None:
        """A line to write on."""
        left, right, bottom = self._px(x, x + w, y + h)
        self._pen.line((left, bottom, right, bottom), fill=_P.grey, width=self._line)

    def mark(self, x: float, y: float, number: int) -> None:
        """A corner mark, its upper left corner at x, y."""
        left, top, side = self._px(x, y, MARK_MM)
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, MARK_FAMILY))
        self.picture.paste(Image.fromarray(cv2.aruco.generateImageMarker(dictionary, number, side)), (left, top))


def draw_form(template: Template, page: int, dpi: float) -> GrayImage:
    """Draw a page of a form from its template alone: boxes, combs, lines, labels, corner marks that name the page.

    Parameters
    ----------
    template : Template
        With a size in millimetres, and without a blank of its own.
    page : int
        1-based.
    dpi : float

    Returns
    -------
    (H, W) uint8
        Paper is white.

    Raises
    ------
    UsageError
        If the form has a blank of its own.
    """
    size = template.form.size
    if size is None or template.form.blank:
        raise UsageError(
            f"form {template.form.name} has a blank of its own", remedy=f"print {template.form.blank}, or leave it out"
        )
    sheet = _Drawing(size, dpi)
    if template.form.anchor == "frame":
        for zone in template.zones(page):
            _draw_lines(sheet, zone)
        return np.asarray(sheet.picture, np.uint8)
    near, right, low = MARK_MARGIN_MM, size[0] - MARK_MARGIN_MM - MARK_MM, size[1] - MARK_MARGIN_MM - MARK_MM
    for corner, (x, y) in enumerate([(near, near), (right, near), (right, low), (near, low)]):
        sheet.mark(x, y, corner_mark(page, corner))
    title = template.form.title or template.form.name
    sheet.text(MARK_MARGIN_MM + MARK_MM + _P.title_apart_mm, MARK_MARGIN_MM + MARK_MM, _P.title_mm, title)
    if template.form.pages > 1:
        sheet.text(size[0] - _P.page_mm, MARK_MARGIN_MM + MARK_MM, _P.label_mm, f"page {page} of {template.form.pages}")
    for zone in template.zones(page):
        _draw_zone(sheet, zone)
    return np.asarray(sheet.picture, np.uint8)


def _draw_zone(sheet: _Drawing, zone: FieldSpec | GridSpec) -> None:
    assert zone.box is not None  # a form without blank has no frames
    x, y, w, h = zone.box
    label = zone.name.replace("_", " ")
    if isinstance(zone, GridSpec):
        sheet.text(x, y - _P.label_mm - _P.grid_above_mm, _P.label_mm, label)
        for k, name in enumerate(zone.column_names):
            left = x + k * w / zone.column_count + _P.above_mm
            sheet.text(left, y - _P.above_mm, _P.column_label * _P.label_mm, name.replace("_", " "))
        for k in range(zone.row_count):
            name = zone.rows[k] if isinstance(zone.rows, tuple) else str(k + 1)
            foot = y + (k + _P.row_foot) * h / zone.row_count
            sheet.text(x - _P.row_beside_mm, foot, _P.label_mm, name, anchor="rd")
        _draw_lines(sheet, zone)
        return
    sheet.text(x, y - _P.above_mm, _P.label_mm, label)
    if zone.kind in ("boxes", "mark"):
        sheet.lines(x, y, w, h, zone.places, 1)
    elif zone.kind == "comb":
        sheet.lines(x, y, w, h, zone.places, 1, tooth=_P.tooth)
    else:
        sheet.underline(x, y, w, h)


def _draw_lines(sheet: _Drawing, zone: FieldSpec | GridSpec) -> None:
    """The lines of a table or a box alone."""
    assert zone.box is not None
    columns, rows = (zone.column_count, zone.row_count) if isinstance(zone, GridSpec) else (1, 1)
    sheet.lines(*zone.box, columns * zone.places, rows)


def draw_zones(image: GrayImage, cells: Sequence[FormCell]) -> np.ndarray:
    """Draw the places of values over a page.

    Parameters
    ----------
    image : (H, W) uint8
        The blank, or a page laid on it.
    cells : sequence of FormCell

    Returns
    -------
    (H, W, 3) uint8
        Blue, green, red.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    thick = max(1, round(max(image.shape) / 1200))
    for cell in cells:
        x, y, w, h = (round(v) for v in cell.box)
        color = ZONE_COLORS[cell.zone.kind]
        cv2.rectangle(canvas, (x, y), (x + w, y + h), color, thick + 1)
        if cell.zone.places > 1:
            for k in range(1, cell.zone.places):
                at = x + round(k * w / cell.zone.places)
                cv2.line(canvas, (at, y), (at, y + h), color, thick)
        if (cell.row or 1) == 1 and (cell.column or 1) == 1:
            label = cell.zone.name
            size = _P.zone_letters * thick
            cv2.putText(canvas, label, (x, y - 3), cv2.FONT_HERSHEY_SIMPLEX, size, color, thick, cv2.LINE_AA)
    return np.asarray(canvas, np.uint8)
