"""Cheques: found by the line at their foot, one or several on a page, laid straight, and cut into their fields.

page ─ read_micr_lines ─> ReadMicr ─ where it stands on a cheque ─> the cheque, upright ─ Cutter ─> slots
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from digitscan.core.types import Box, GrayImage, Posteriors, State, Transform
from digitscan.decoding.lattice import Edge
from digitscan.forms.cells import cells_of
from digitscan.forms.constraints import constraint_of
from digitscan.forms.cut import Cutter
from digitscan.forms.form_page import FormPage, PrintedText, Slot
from digitscan.forms.template import MM_PER_INCH, Template
from digitscan.imaging.geometry import flatten_photo
from digitscan.micr.read import ReadMicr, read_micr_lines
from digitscan.micr.standard import (
    BASE_INCH,
    DASH,
    HEIGHT,
    MODULE_INCH,
    ON_US,
    PITCH,
    TRANSIT,
    TRANSIT_POSITION,
    WIDTH,
    inches_from_right,
    parts_of_line,
)

DPI = 200.0
"""Resolution at which cheques are read."""
_WIDE_MM = 170.0
"""Cheques of persons are 152 mm wide, those of firms 216."""
_FOOT_INCH = 0.625
"""Height of the band at a cheque's foot that is kept clear for the line (ANSI X9.100-160)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cheques:
    """All cheques of a page, cut into fields.

    Attributes
    ----------
    form : FormPage
    cutter : Cutter
        Has their strings.
    slots : tuple of Slot
        From the top cheque to the lowest.
    quality : float
        How well their lines match the standard's shapes, 0 to 1.
    """

    form: FormPage
    cutter: Cutter
    slots: tuple[Slot, ...]
    quality: float


def cheque_form(template: Template) -> FormPage:
    """A template for cheques at the resolution at which they are read."""
    assert template.form.size is not None  # the template has seen to it
    width, height = template.form.size
    scale = DPI / MM_PER_INCH
    foot = _FOOT_INCH * MM_PER_INCH
    cells = []
    for zone in template.field:
        x, y, w, h = zone.box or (0.0, height - foot, width, foot)
        cells += cells_of(zone, (x * scale, y * scale, w * scale, h * scale))
    constraints = tuple(constraint_of(cell.zone, template.allowed(cell.zone)) for cell in cells)
    return FormPage(template, 1, None, tuple(cells), constraints, DPI)


def find_cheques(image: GrayImage, forms: Sequence[FormPage]) -> Cheques | None:
    """The cheques of a page whichever way up it lies, by the first form whose printed boxes are found best.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.
    forms : sequence of FormPage
        As `cheque_form` makes them.

    Returns
    -------
    Cheques or None
        None where no line with a bank's number stands on the page.
    """
    views = [(image, np.eye(3))]
    if (flat := flatten_photo(image)) is not None:
        views.insert(0, flat)
    for view, to_view in views:
        lines = [_on_cheque(line) for line in read_micr_lines(view) if line.text.count(TRANSIT) >= 2]
        if lines:
            back = np.asarray(np.linalg.inv(to_view), np.float64)
            laid = [_laid(image, lines, back, form) for form in forms]
            best = max(laid, key=lambda found: (_is_of_its_size(lines[0], found[1].form), found[0]))
            return best[1]  # the first of equals
    return None


def _is_of_its_size(line: ReadMicr, form: FormPage) -> bool:
    """Whether a form is wide where the line says so: cheques of firms have room for a number before the bank's."""
    size = form.template.form.size
    return size is not None and (size[0] > _WIDE_MM) == (0 <= line.text.find(ON_US) < line.text.index(TRANSIT))


def _on_cheque(line: ReadMicr) -> ReadMicr:
    """A line without what stands right of place 1: that is no more of this cheque."""
    last = line.text.index(TRANSIT) + TRANSIT_POSITION
    return replace(
        line,
        places=line.places[:last],
        posteriors=line.posteriors[:last],
        unread=line.unread[:last],
        corners=line.corners[:last],
    )


def _laid(image: GrayImage, lines: Sequence[ReadMicr], to_image: Transform, form: FormPage) -> tuple[int, Cheques]:
    """All cheques cut as those of a form, and how many of its printed boxes were found."""
    cutter, slots, boxes = Cutter(), [], 0
    assert form.template.form.size is not None
    width, height = (round(side * DPI / MM_PER_INCH) for side in form.template.form.size)
    for number, line in enumerate(lines, 1):
        to_line = _to_modules(line, form.template.form.size)
        to_source = np.asarray(to_image @ line.line.to_page @ to_line, np.float64)
        how = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
        cheque = cv2.warpPerspective(image, to_source, (width, height), flags=how, borderValue=255)
        own = cutter.cut(np.asarray(cheque, np.uint8), form)
        by_name = {slot.cell.name: slot for slot in own}
        boxes += sum(by_name[cell.name].cell.box != cell.box for cell in form.cells if cell.zone.find == "frame")
        for cell, constraint in zip(form.cells, form.constraints, strict=True):
            slot = by_name.get(cell.name) or _of_line(line, Slot(cell, constraint, None), to_line)
            slots.append(replace(slot, to_source=to_source, copy=number if len(lines) > 1 else None))
    quality = float(np.mean([line.quality for line in lines]))
    return boxes, Cheques(form, cutter, tuple(slots), quality)


def _to_modules(line: ReadMicr, size_mm: tuple[float, float]) -> Transform:
    """From pixels of the upright cheque to modules of its line: the left transit symbol tells where the line stands."""
    width, height = (side / MM_PER_INCH for side in size_mm)
    place = int(line.places[line.text.index(TRANSIT)])
    zero = width - inches_from_right(TRANSIT_POSITION + place)
    per_module = DPI * MODULE_INCH
    return np.array(
        [
            [1 / per_module, 0.0, -zero / MODULE_INCH],
            [0.0, -1 / per_module, (height - BASE_INCH) / MODULE_INCH],
            [0.0, 0.0, 1.0],
        ]
    )


def _of_line(line: ReadMicr, slot: Slot, to_line: Transform) -> Slot:
    """A field of the line: its digits place by place."""
    text, zone = line.text, slot.cell.zone
    start, stop = parts_of_line(text).get(zone.part, (0, 0))
    exactly = slot.constraint is not None and zone.length == (stop - start, stop - start)
    kept = [k for k in range(start, stop) if text[k].isdigit() or (exactly and text[k] not in DASH)]
    if not kept:
        return replace(slot, state=State.BLANK)
    boxes = [_place_box(int(line.places[k]), to_line) for k in kept]
    rows = line.posteriors[kept]
    posteriors: Posteriors = np.concatenate([rows[:, :10], rows[:, 10:].sum(axis=1, keepdims=True)], axis=1)
    edges = tuple(Edge(k, k + 1, box, 0, False) for k, box in enumerate(boxes))
    left, right = boxes[0], boxes[-1]
    area = (float(left.x), float(left.y), float(right.right - left.x), float(left.height))
    printed = PrintedText(edges, posteriors, text[start:stop].strip())
    note = "a character of the line is not read" if line.unread[start:stop].any() else ""
    return replace(slot, cell=replace(slot.cell, box=area), printed=printed, note=note)


def _place_box(place: int, to_line: Transform) -> Box:
    """Where a place's character stands on the upright cheque, in pixels."""
    to_cheque = np.linalg.inv(to_line)
    right, foot = to_cheque[:2] @ np.array([place * PITCH, 0.0, 1.0])
    left, top = to_cheque[:2] @ np.array([place * PITCH - WIDTH, float(HEIGHT), 1.0])
    return Box(round(left), round(top), round(right - left), round(foot - top))
