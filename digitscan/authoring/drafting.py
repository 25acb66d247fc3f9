"""Work on templates themselves: drafted from a blank or from filled pages, checked on a page, printed."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitscan.authoring.blank_cheque import draw_cheque
from digitscan.core.atomic import write_whole
from digitscan.core.config import Config
from digitscan.core.errors import IngestError, UsageError
from digitscan.core.types import GrayImage, RasterPage
from digitscan.forms.cheques import find_cheques
from digitscan.forms.form_page import FormPage
from digitscan.forms.formset import FormSet
from digitscan.forms.registration import best_fit, describe_blank
from digitscan.forms.render import ZONE_COLORS, draw_form, draw_zones
from digitscan.forms.template import MM_PER_INCH, Template
from digitscan.forms.zones import DraftZone, draft_toml, draft_zones
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.imaging.deskew import NEGLIGIBLE_DEGREES, estimate_skew, turn_ink
from digitscan.imaging.rules import print_mask
from digitscan.ingest.pages import list_pages, load_page

_MOST_FILLED = 31
"""Filled pages that a blank is made of, at the most."""


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def _load_all(path: Path, config: Config) -> list[RasterPage]:
    try:
        return [load_page(ref, config.ingest) for ref in list_pages(str(path), config.ingest)]
    except IngestError as error:
        raise UsageError(f"{path}: {error.message}", remedy=error.remedy) from error


def blank_from_filled(pages: Sequence[GrayImage]) -> GrayImage:
    """The form that filled pages share: each laid on the first one, and of every pixel the middle value.

    Raises
    ------
    UsageError
        If fewer than three pages can be laid on the first.
    """
    straight = straightened(pages[0])
    first = describe_blank(straight)
    laid = [straight]
    for page in pages[1:_MOST_FILLED]:
        fit = best_fit(page, [first])
        if fit is not None:
            laid.append(fit[1].image)
    if len(laid) < 3:
        raise UsageError(
            f"{len(laid)} of {len(pages)} pages are of the same form",
            remedy="give the blank, or at least three filled pages",
        )
    # Print is dark on all pages, writing on a few: what three quarters of them show as paper is paper.
    return np.asarray(np.percentile(np.stack(laid), 70, axis=0, method="higher"), np.uint8)


def straightened(image: GrayImage) -> GrayImage:
    """A scanned page turned so that its rows run level; the same picture where they do."""
    skew = estimate_skew(binarize(soft_ink(image))[0])
    if abs(skew) < NEGLIGIBLE_DEGREES:
        return image
    turned, _ = turn_ink(np.asarray(cv2.bitwise_not(image), np.uint8), skew)
    return np.asarray(cv2.bitwise_not(turned), np.uint8)


def zones_of(image: GrayImage, dpi: float | None) -> tuple[list[DraftZone], float]:
    """The zones of a blank, and the resolution that was taken: as if it were A4 where none is known."""
    resolution = dpi or max(image.shape) / 297.0 * MM_PER_INCH
    return draft_zones(print_mask(image), resolution), resolution


def draft_form(sources: Sequence[Path], out: Path, dpi: float | None = None) -> list[DraftZone]:
    """Draft the template of a form, and write it with a picture of its zones.

    Parameters
    ----------
    sources : sequence of Path
        The blank; or several filled pages, of which a blank is made. What is made or straightened is written beside
        the template.
    out : Path
        The template. The blank is named relative to it.
    dpi : float, optional
        Resolution where the file does not say.

    Raises
    ------
    UsageError, IngestError
        If the pages cannot be read or do not belong together.
    """
    config = Config()
    if len(sources) == 1:
        pages = _load_all(sources[0], config)
        blank = sources[0]
        straight = straightened(pages[0].image)
        if len(pages) == 1 and straight is not pages[0].image:
            pages = [RasterPage(pages[0].ref, straight, pages[0].dpi)]
            blank = out.with_suffix(".blank.png")
    else:
        filled = [page for source in sources for page in _load_all(source, config)]
        image = blank_from_filled([page.image for page in filled])
        pages = [RasterPage(filled[0].ref, image, filled[0].dpi)]
        blank = out.with_suffix(".blank.png")
    known = dpi or pages[0].dpi
    drafts = [zones_of(page.image, known) for page in pages]
    zones, resolution = [found for found, _ in drafts], drafts[0][1]
    if not any(zones):
        raise UsageError(
            f"{sources[0]}: no box, comb, tick box, line or table was found",
            remedy="scan the empty form darker, or write the template by hand: see docs/forms.md",
        )
    if blank not in sources:
        write_whole(blank, _png(pages[0].image))
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", out.stem) or "form"
    relative = _relative(blank, out.parent)
    shape = pages[0].image.shape
    text = draft_toml(name, relative, zones, resolution, (shape[1], shape[0]), known_dpi=bool(known))
    write_whole(out, text.encode())
    canvas = cv2.cvtColor(pages[0].image, cv2.COLOR_GRAY2BGR)
    for zone in zones[0]:
        color = ZONE_COLORS[zone.kind]
        x, y, w, h = zone.box
        cv2.rectangle(canvas, (x, y), (x + w, y + h), color, max(2, round(resolution / 75)))
        label = f"{zone.kind} {zone.rows}x{zone.columns}" if zone.kind == "grid" else f"{zone.kind} {zone.columns}"
        cv2.putText(canvas, label, (x, y - 6), cv2.FONT_HERSHEY_SIMPLEX, resolution / 300, color, 2, cv2.LINE_AA)
    write_whole(out.with_suffix(".zones.png"), _png(canvas))
    return [zone for page in zones for zone in page]


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def zone_pictures(template: Template, page: Path | None = None) -> Iterator[tuple[bytes, float | None]]:
    """Pictures (PNG) of a form's pages with the zones drawn in, and how well a filled page lies on the form.

    Raises
    ------
    UsageError
        If the page is none of this form's.
    """
    config = Config()
    forms = FormSet([template], config)
    if page is None:
        for form in forms.pages:
            yield _png(_zones_on_empty(form)), None
        return
    for raster in _load_all(page, config):
        if template.form.anchor == "micr":
            yield from _zones_on_cheques(raster, forms.pages[0])
            continue
        fit = best_fit(raster.image, [form.blank for form in forms.pages if form.blank is not None])
        if fit is None:
            raise UsageError(f"{page} is no page of {template.form.name}", remedy="check the scan and the template")
        number, laid = fit
        yield _png(draw_zones(laid.image, forms.pages[number].cells)), laid.registration.quality


def _zones_on_empty(form: FormPage) -> NDArray[np.uint8]:
    if form.blank is not None:
        return draw_zones(form.blank.image, form.cells)
    example = {"transit": "122000661", "account": "0123456789", "serial": "1001"}
    values = {f.name: example.get(f.part, "") for f in form.template.field if f.kind == "micr"}
    empty = draw_cheque(form, values, np.random.default_rng(1)).image
    found = find_cheques(empty, [form])
    return draw_zones(empty, form.cells if found is None else [slot.cell for slot in found.slots])


def _zones_on_cheques(page: RasterPage, form: FormPage) -> Iterator[tuple[bytes, float]]:
    """Each cheque of a page, upright, with its zones where its boxes were found."""
    found = find_cheques(page.image, [form])
    if found is None:
        raise UsageError(f"{page.ref.path} shows no cheque", remedy="scan the whole cheque, with the line at its foot")
    assert form.template.form.size is not None
    width, height = (round(side * form.dpi / MM_PER_INCH) for side in form.template.form.size)
    for copy in dict.fromkeys(slot.copy for slot in found.slots):
        slots = [slot for slot in found.slots if slot.copy == copy]
        way = next(slot.to_source for slot in slots if slot.to_source is not None)
        how = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
        upright = cv2.warpPerspective(page.image, way, (width, height), flags=how, borderValue=255)
        yield _png(draw_zones(np.asarray(upright, np.uint8), [slot.cell for slot in slots])), found.quality


def printed_form(template: Template, suffix: str, dpi: int) -> bytes:
    """A form as PDF, or its first page as PNG.

    Raises
    ------
    UsageError
        If the suffix is neither, or the form has a blank of its own.
    """
    if template.form.anchor == "micr":
        raise UsageError(
            "a cheque is printed by its bank",
            remedy="see its zones with: digitscan form check TEMPLATE --out zones.png",
        )
    if suffix == ".png":
        return _png(draw_form(template, 1, dpi))
    if suffix != ".pdf":
        raise UsageError(f"cannot print as {suffix or 'a file without suffix'}", remedy="end the name in .pdf or .png")
    pages = [Image.fromarray(draw_form(template, page, dpi)) for page in range(1, template.form.pages + 1)]
    out = io.BytesIO()
    pages[0].save(out, "PDF", resolution=dpi, save_all=True, append_images=pages[1:], title=template.form.title)
    return out.getvalue()
