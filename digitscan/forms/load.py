"""Templates and their blanks, as pages that filled ones are laid on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from digitscan.core.config import Config
from digitscan.core.errors import UsageError
from digitscan.core.types import Box, GrayImage
from digitscan.forms.cells import cells_of
from digitscan.forms.cheques import cheque_form
from digitscan.forms.constraints import constraint_of
from digitscan.forms.form_page import FormPage
from digitscan.forms.registration import describe_blank
from digitscan.forms.render import draw_form
from digitscan.forms.template import MM_PER_INCH, Template, Zone
from digitscan.forms.zones import draft_zones
from digitscan.imaging.rules import print_mask
from digitscan.ingest.pages import list_pages, load_page

_DPI = (150.0, 300.0)
"""Working resolution of a blank, at the least and at the most."""
_CELL_PX = 44
"""Height in pixels that the lowest field has at the working resolution, within `_DPI`."""


def blank_image(template: Template, page: int, config: Config) -> tuple[GrayImage, float]:
    """A form's empty page and its resolution: its file's, or drawn from the template.

    Raises
    ------
    UsageError
        If the blank has no such page or no known size.
    """
    path = template.blank_path
    if path is None:
        return draw_form(template, page, _DPI[1]), _DPI[1]
    refs = list(list_pages(str(path), config.ingest.model_copy(update={"pages": "", "pdf_dpi": int(_DPI[1])})))
    if page > len(refs):
        raise UsageError(
            f"blank {path.name} has {len(refs)} pages, the template speaks of page {page}",
            remedy="give a blank with all pages",
        )
    raster = load_page(refs[page - 1], config.ingest)
    size = template.form.size
    if template.form.dpi:
        return raster.image, template.form.dpi
    if size is not None and template.form.unit == "mm":
        return raster.image, raster.image.shape[1] / size[0] * MM_PER_INCH
    if raster.dpi:
        return raster.image, raster.dpi
    if template.form.unit == "mm":
        raise UsageError(
            f"blank {path.name} does not say its resolution", remedy="give size = [width, height] or dpi under [form]"
        )
    return raster.image, _DPI[1]


def load_form_page(template: Template, page: int, config: Config) -> FormPage:
    """One page of a form at its working resolution."""
    if template.form.anchor == "micr":
        return cheque_form(template)
    image, dpi = blank_image(template, page, config)
    per_unit = dpi / MM_PER_INCH if template.form.unit == "mm" else 1.0
    zones = list(template.zones(page))
    frames: list[Box] = []
    if any(zone.frame for zone in zones):
        frames = [zone.box for zone in draft_zones(print_mask(image), dpi)]
    boxes = [_zone_box(zone, per_unit, frames, image.shape) for zone in zones]
    cells = [cell for zone, box in zip(zones, boxes, strict=True) for cell in cells_of(zone, box)]
    # Fine enough for the lowest field, no finer than is of use.
    lowest = min((cell.box[3] for cell in cells), default=_CELL_PX)
    wanted = float(np.clip(dpi * _CELL_PX / max(lowest, 1.0), *_DPI))
    scale = min(wanted / dpi, 3000 / max(image.shape))
    if abs(scale - 1) > 0.02:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), np.uint8)
        cells = [replace(cell, box=_scaled(cell.box, scale)) for cell in cells]
        dpi *= scale
    by_zone = {zone.name: constraint_of(zone, template.allowed(zone)) for zone in zones}
    constraints = tuple(by_zone[cell.zone.name] for cell in cells)
    blank = describe_blank(image, framed=template.form.anchor == "frame")
    return FormPage(template, page, blank, tuple(cells), constraints, dpi)


def _scaled(box: tuple[float, float, float, float], scale: float) -> tuple[float, float, float, float]:
    x, y, w, h = box
    return x * scale, y * scale, w * scale, h * scale


def _zone_box(
    zone: Zone, per_unit: float, frames: Sequence[Box], shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    if zone.frame is not None:
        if zone.frame > len(frames):
            raise UsageError(
                f"field {zone.name!r} names frame {zone.frame}, the blank has {len(frames)}",
                remedy="see what it has with: digitscan form new",
            )
        box = frames[zone.frame - 1]
        return float(box.x), float(box.y), float(box.width), float(box.height)
    assert zone.box is not None  # the template holds one of both
    x, y, w, h = _scaled(zone.box, per_unit)
    if x + w > shape[1] + 2 or y + h > shape[0] + 2:
        raise UsageError(f"field {zone.name!r} reaches beyond the blank", remedy="check box and unit")
    return x, y, w, h
