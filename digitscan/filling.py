"""Filled forms: a page laid on its blank, its fields cut out, read under their rules, and told with their states.

RasterPage ─ FormSet.prepare ─> FilledPage (crops) ─ classifier ─> posteriors ─ finish_form ─> PageResult
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np

from digitscan.cheques import Cheques, cheque_form, find_cheques
from digitscan.core.config import Config
from digitscan.core.errors import IngestError, UsageError
from digitscan.core.geometry import map_box
from digitscan.core.rules import parse_rule
from digitscan.core.template import MM_PER_INCH, Template, Zone, copy_name, load_template
from digitscan.core.types import (
    Alternative,
    Box,
    DigitReading,
    FieldReading,
    FormMatch,
    GrayImage,
    Layout,
    PageResult,
    Posteriors,
    Quality,
    RasterPage,
    State,
    Transform,
)
from digitscan.cutting import Cutter, FormPage, Slot, whole_box
from digitscan.finishing import worth_reading_whole
from digitscan.forms.constraints import allows, constraint_of
from digitscan.forms.draft import draft_zones
from digitscan.forms.fields import FieldText, Guess, no_digits, read_field, reason_of
from digitscan.forms.joint import Choice, weigh
from digitscan.forms.points import Meaning, meaning_of, tells_of_point
from digitscan.forms.readings import WholeLine
from digitscan.forms.render import cells_of, draw_form
from digitscan.imaging.geometry import is_light_on_dark
from digitscan.imaging.register import best_fit, describe_blank
from digitscan.imaging.rules import print_mask
from digitscan.ingest.pages import list_pages, load_page
from digitscan.preparing import PreparedPage
from digitscan.recognition.normalize import normalize_all

_DPI = (150.0, 300.0)
"""Working resolution of a blank, at the least and at the most."""
_CELL_PX = 44
"""Height in pixels that the lowest field has at the working resolution, within `_DPI`."""


@dataclass(frozen=True, slots=True, eq=False)
class FilledPage:
    """A page laid on its blank, ready for the classifier; of several cheques on it, all of one form."""

    prepared: PreparedPage
    form: FormPage
    slots: tuple[Slot, ...]
    match: FormMatch


# ------------------------------------------------------------------------------------------------ the forms


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


class FormSet:
    """Forms that pages may be filled from; finds the right one, and cuts its fields out.

    Parameters
    ----------
    templates : sequence of Template or path
    config : Config

    Raises
    ------
    UsageError
        If a template or a blank makes no sense.
    """

    def __init__(self, templates: Sequence[Template | str | Path], config: Config) -> None:
        loaded = [t if isinstance(t, Template) else load_template(t) for t in templates]
        names = [t.form.name for t in loaded]
        if len(set(names)) < len(names):
            raise UsageError("two templates have the same form name", remedy="give each form a name of its own")
        self.templates = tuple(loaded)
        try:
            self.pages = tuple(load_form_page(t, p, config) for t in loaded for p in range(1, t.form.pages + 1))
        except IngestError as error:
            raise UsageError(f"blank: {error.message}", remedy=error.remedy) from error

    @property
    def digest(self) -> str:
        """Which forms these are: their hashes."""
        return "+".join(f"{t.form.name}:{t.digest}" for t in self.templates)

    def prepare(self, page: RasterPage) -> FilledPage:
        """Lay a page on its blank, and make its fields into crops.

        Raises
        ------
        IngestError
            If the page is filled from none of the forms.
        """
        image = page.image
        if is_light_on_dark(image):
            image = np.asarray(cv2.bitwise_not(image), np.uint8)
        blanks = [(form, form.blank) for form in self.pages if form.blank is not None]
        fit = best_fit(image, [blank for _, blank in blanks]) if blanks else None
        of_cheques = [form for form in self.pages if form.blank is None]
        if fit is None and of_cheques and (cheques := find_cheques(image, of_cheques)) is not None:
            return _filled_cheques(page, cheques)
        if fit is None and not blanks:
            raise IngestError(
                "shows no line of magnetic characters (E-13B) with a bank's number",
                remedy="scan the whole cheque, at 150 dpi or more",
            )
        if fit is None:
            names = ", ".join(t.form.name for t in self.templates)
            raise IngestError(f"is no page of {names}", remedy="check the scan, or give this form's template too")
        number, laid = fit
        form = blanks[number][0]
        match = FormMatch(form.template.form.name, form.page, round(laid.registration.quality, 3))
        to_source = np.asarray(np.linalg.inv(laid.registration.to_blank), np.float64)
        cutter = Cutter()
        slots = cutter.cut(laid.image, form)
        return FilledPage(_prepared(page, to_source, cutter), form, tuple(slots), match)


def _filled_cheques(page: RasterPage, cheques: Cheques) -> FilledPage:
    match = FormMatch(cheques.form.template.form.name, 1, round(cheques.quality, 3))
    to_source = next(slot.to_source for slot in cheques.slots if slot.to_source is not None)
    return FilledPage(_prepared(page, to_source, cheques.cutter), cheques.form, cheques.slots, match)


def _prepared(page: RasterPage, to_source: Transform, cutter: Cutter) -> PreparedPage:
    """What was cut out of a page, as the classifier takes it."""
    down = to_source @ np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    across = (down[:2, 1] / down[2, 1]) - (down[:2, 0] / down[2, 0])
    return PreparedPage(
        ref=page.ref,
        width=page.image.shape[1],
        height=page.image.shape[0],
        dpi=page.dpi,
        skew_degrees=float(-np.degrees(np.arctan2(across[1], across[0]))),
        to_source=to_source,
        contrast=1.0,
        layout=Layout.PAGE,
        strings=tuple(cutter.strings),
        crops=normalize_all(cutter.inks),
        table_found=False,
    )


# --------------------------------------------------------------------------------------------- the readings


def worth_reading_whole_form(page: FilledPage, posteriors: Posteriors) -> list[int]:
    """Strings that the second reader should see: as on any page, and those whose first reading breaks their rules."""
    chosen = set(worth_reading_whole(page.prepared, posteriors))
    for slot in page.slots:
        for index in (slot.string, slot.unsubtracted):
            if index is None or page.prepared.strings[index].whole is None:
                continue
            if index != slot.string or (slot.constraint is not None and index not in chosen):
                string = page.prepared.strings[index]
                rows = string.rows(posteriors)
                first = read_field(string.edges, rows, string.pieces, string.height, None, None)
                if first is None or slot.constraint is None or not allows(slot.constraint.whole, first.raw):
                    chosen.add(index)
    return sorted(chosen)


def finish_form(
    page: FilledPage,
    posteriors: Posteriors,
    config: Config,
    whole_lines: Mapping[int, Sequence[Posteriors]] | None = None,
) -> PageResult:
    """Read every field of a filled page under its rules, then the rules across fields.

    Parameters
    ----------
    page : FilledPage
    posteriors : (N, 11) float32
        Of ``page.prepared.crops``, row by row.
    config : Config
    whole_lines : mapping of int to sequence of (T, 19) float32, optional
        What the reader of lines says of some strings, by their index.
    """
    whole_lines = whole_lines or {}

    def read(slot: Slot, index: int | None) -> FieldText | None:
        if slot.printed is not None and index == slot.string:
            edges, height = slot.printed.edges, float(slot.printed.edges[0].box.height)
            return read_field(edges, slot.printed.posteriors, len(edges), height, None, slot.constraint, boxed=True)
        if index is None or slot.state is not State.VALUE:
            return None
        string = page.prepared.strings[index]
        rows = string.rows(posteriors)
        line = WholeLine(tuple(whole_lines[index]), string.region) if index in whole_lines else None
        if no_digits(string.edges, rows, string.pieces, string.height):
            return None
        boxed = slot.cell.zone.kind in ("boxes", "comb")
        return read_field(string.edges, rows, string.pieces, string.height, line, slot.constraint, boxed=boxed)

    readings: list[FieldReading] = []
    template = page.form.template
    columns = template.grid_columns(page.form.page)
    for copy in dict.fromkeys(slot.copy for slot in page.slots):  # rules hold within one form
        slots = [slot for slot in page.slots if slot.copy == copy]
        texts = [read(slot, slot.string) for slot in slots]
        again = [read(slot, slot.unsubtracted) for slot in slots]
        choices = {slot.cell.name: _choice(slot, text) for slot, text in zip(slots, texts, strict=True)}
        for rule in template.rule:
            parsed = parse_rule(rule.expression)
            if all(name in columns or name in choices for name in parsed.names):
                weigh(parsed, rule.label, choices, columns)
        readings += (
            _reading(page, slot, text, other, choices[slot.cell.name], config)
            for slot, text, other in zip(slots, texts, again, strict=True)
        )
    heights = [digit.box.height for reading in readings for digit in reading.digits]
    prepared = page.prepared
    warnings = () if page.match.quality >= 0.7 else ("the form's own print is hard to find: check the scan",)
    return PageResult(
        ref=prepared.ref,
        width=prepared.width,
        height=prepared.height,
        dpi=prepared.dpi,
        skew_degrees=round(prepared.skew_degrees, 3),
        quality=Quality(prepared.contrast, float(np.median(heights)) if heights else 0.0, warnings),
        readings=tuple(readings),
        form=page.match,
    )


def _choice(slot: Slot, text: FieldText | None) -> Choice:
    if slot.cell.zone.kind == "mark":
        ticked = slot.state is State.VALUE
        return Choice([Guess("1" if ticked else "", 1.0)], [Decimal(int(ticked))])
    if text is None:
        return Choice([], [])
    return Choice(list(text.guesses), [_number(guess.text, text, slot) for guess in text.guesses])


def _number(text: str, read: FieldText, slot: Slot) -> Decimal:
    return Decimal(_meaning(text, read, slot).value or text)


def _meaning(text: str, read: FieldText, slot: Slot) -> Meaning:
    """The number that one of a field's guesses means."""
    zone = slot.cell.zone
    seen = (
        text == read.best.text
        and bool(zone.decimals)
        and read.marks is not None
        and tells_of_point(read.digits, read.marks, zone.decimals or 0)
    )
    return meaning_of(text, slot.printed.written if slot.printed else read.written, zone, point_seen=seen)


def _reading(
    page: FilledPage, slot: Slot, text: FieldText | None, again: FieldText | None, choice: Choice, config: Config
) -> FieldReading:
    prepared, zone = page.prepared, slot.cell.zone
    way = slot.to_source if slot.to_source is not None else prepared.to_source

    def to_source(box: Box) -> Box:
        return map_box(box, way, width=prepared.width, height=prepared.height)

    empty = FieldReading(
        name=copy_name(slot.cell.name, slot.copy),
        row=slot.copy or slot.cell.row,
        column=slot.cell.column,
        text="",
        digits=(),
        confidence=1.0,
        state=slot.state,
        review=False,
        reason="",
        alternatives=(),
        box=to_source(whole_box(slot.cell.box)),
        table=zone.name if slot.cell.row is not None else "",
    )
    if zone.kind == "mark":
        ticked = slot.state is State.VALUE
        return replace(
            empty,
            text="1" if ticked else "",
            confidence=0.7 if slot.note else 0.999,
            review=bool(slot.note),
            reason=slot.note,
        )
    if slot.state is State.STRUCK:
        return replace(empty, review=True, reason="struck out")
    if slot.state is State.BLANK:
        return replace(
            empty, review=zone.required, reason="required, and empty" if zone.required else "", confidence=0.999
        )
    if text is None:
        return replace(empty, state=State.ILLEGIBLE, review=True, reason="no digits could be made out", confidence=0.0)
    if text.struck > 0.5:
        why = f"digits are struck out: {text.written}" if text.raw else "struck out"
        return replace(empty, state=State.STRUCK, review=True, reason=why, confidence=text.struck)
    best = choice.guesses[choice.chosen]
    review, reason = reason_of(text, config.decode)
    reasons = [reason] if reason else []
    state = State.INVALID if best.breaks else State.VALUE
    taken = text.best.text
    if best.text != taken:  # the rules across fields chose another guess
        review, reasons = (
            best.probability < config.decode.review_below,
            [f"{choice.decided_by} decided: the ink says {text.raw}"],
        )
    elif not text.decided_by and not best.breaks:
        review = best.probability < config.decode.review_below
        reasons = reasons if review else []
    if choice.broken:
        state, review = State.INVALID, True
        reasons += [f"{label} does not hold" for label in choice.broken]
    if slot.note:
        review, reasons = True, [*reasons, slot.note]
    if again is not None and again.best.text != best.text:
        review, reasons = True, [*reasons, f"with the form's own print it reads {again.best.text}"]
    meaning = _meaning(best.text, text, slot)
    if meaning.doubt:
        review, reasons = True, [*reasons, meaning.doubt]
    rest = sorted((g for k, g in enumerate(choice.guesses) if k != choice.chosen), key=lambda g: -g.probability)
    return replace(
        empty,
        text=best.text,
        digits=tuple(DigitReading(to_source(d.box), d.digit, d.confidence, d.runner_up, d.margin) for d in text.digits)
        if best.text == taken
        else (),
        confidence=min(max(best.probability, 0.0), 1.0),
        state=state,
        review=review,
        reason="; ".join(reasons),
        alternatives=tuple(
            Alternative(g.text, g.probability) for g in rest[: config.decode.alternatives] if g.probability > 1e-4
        ),
        written=(slot.printed.written if slot.printed else text.written) if best.text == text.raw else best.text,
        raw=text.raw if best.text != text.raw else "",
        value=meaning.value,
    )
