"""Templates and their blanks, as pages that filled ones are laid on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadParameters:
    """How finely a blank is looked at.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    dpi: float = 150.0
    """Working resolution of a blank, at the least. [dpi; tried]"""
    most_dpi: float = 300.0
    """The same at the most. [dpi; tried]"""
    cell_px: int = 44
    """Height that the lowest field has at the working resolution, within these. [pixels; tried]"""
    most_px: int = 3000
    """Long side of a blank at the most. [pixels; cost alone]"""
    same_scale: float = 0.02
    """A blank that is nearly of the right size is not resampled. [share; tried]"""


_P = LoadParameters()


def blank_image(template: Template, page: int, config: Config) -> tuple[GrayImage, float]:
    """A form's empty page and its resolution: its file's, or drawn from the template.

    Raises
    ------
    UsageError
        If the blank has no such page or no known size.
    """
    path = template.blank_path
    if path is None:
        return draw_form(template, page, _P.most_dpi), _P.most_dpi
    refs = list(list_pages(str(path), config.ingest.model_copy(update={"pages": "", "pdf_dpi": int(_P.most_dpi)})))
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
    return raster.image, _P.most_dpi


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
    lowest = min((cell.box[3] for cell in cells), default=_P.cell_px)
    wanted = float(np.clip(dpi * _P.cell_px / max(lowest, 1.0), _P.dpi, _P.most_dpi))
    scale = min(wanted / dpi, _P.most_px / max(image.shape))
    if abs(scale - 1) > _P.same_scale:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), np.uint8)
        cells = [replace(cell, box=_scaled(cell.box, scale)) for cell in cells]
        dpi *= scale
    by_zone = {zone.name: constraint_of(zone, template.allowed(zone)) for zone in zones}
    constraints = tuple(by_zone[cell.zone.name] for cell in cells)
    blank = describe_blank(image, framed=template.form.anchor == "frame")
    return FormPage(template, page, blank=blank, cells=tuple(cells), constraints=constraints, dpi=dpi)


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
