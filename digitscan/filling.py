"""Filled forms: a page laid on its blank, its fields cut out, read under their rules, and told with their states.

RasterPage ─ FormSet.prepare ─> FilledPage (crops) ─ classifier ─> posteriors ─ finish_form ─> PageResult
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from digitscan.core.config import Config
from digitscan.core.errors import IngestError, UsageError
from digitscan.core.geometry import map_box, union
from digitscan.core.rules import parse_rule
from digitscan.core.template import MM_PER_INCH, Template, Zone, load_template
from digitscan.core.types import (
    Alternative,
    Box,
    DigitReading,
    FieldReading,
    FormMatch,
    GrayImage,
    Ink,
    Layout,
    Mask,
    PageResult,
    Posteriors,
    Quality,
    RasterPage,
    State,
)
from digitscan.forms.constraints import Constraint, allows, constraint_of
from digitscan.forms.decode import Edge
from digitscan.forms.draft import draft_zones
from digitscan.forms.fields import FieldText, Guess, no_digits, read_field, reason_of, value_of
from digitscan.forms.joint import Choice, weigh
from digitscan.forms.readings import WholeLine
from digitscan.forms.render import Cell, cells_of, draw_form
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.imaging.geometry import is_light_on_dark
from digitscan.imaging.register import Blank, best_fit, describe_blank
from digitscan.imaging.rules import print_mask, remove_rules
from digitscan.ingest.pages import list_pages, load_page
from digitscan.pipeline import LineInk, PreparedPage, PreparedString, lattice_edges, parts_of, worth_reading_whole
from digitscan.recognition.lines import line_region
from digitscan.recognition.normalize import normalize_all
from digitscan.segmentation.components import Components, cut_out, label
from digitscan.segmentation.cuts import build_lattices, paste_inks
from digitscan.segmentation.strings import one_string
from digitscan.segmentation.struck import covers, find_struck

_DPI = (150.0, 300.0)
"""Working resolution of a blank, at the least and at the most."""
_CELL_PX = 44
"""Height in pixels that the lowest field has at the working resolution, within `_DPI`."""
_TOLERANCE_PX = 2
"""How far the page's printed ink may lie from the blank's after registration."""
_EMPTY = 0.30
"""Marks smaller than this share of a box's height are specks."""
_OWN = 0.75
"""Share of a component that must lie in one box to be that box's as a whole."""
_GAP = 0.22
"""Paper between the digits of boxes when they are set as a line, in heights."""
_TICK = (0.015, 0.035, 0.6)
"""Ink in a tick box, as a share of its area: from where it may be a tick, is one, and may be a blotted out one."""
_REACH = 0.15
"""How far beyond a field its writing may reach, in heights of the field."""


@dataclass(frozen=True, slots=True, eq=False)
class FormPage:
    """One page of a form: its blank, and the places of its values in the blank's pixels."""

    template: Template
    page: int
    blank: Blank
    cells: tuple[Cell, ...]
    constraints: tuple[Constraint | None, ...]
    dpi: float


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One value of a filled page.

    Attributes
    ----------
    cell : Cell
    constraint : Constraint or None
    string : int or None
        Its row of the page's strings; None where there is nothing to read.
    unsubtracted : int or None
        The same field read with the form's own ink in it, where that field has some.
    state : State
        What is known before reading: VALUE, BLANK or STRUCK.
    note : str
        What a person should know: an empty box between digits, a mark that may be none.
    """

    cell: Cell
    constraint: Constraint | None
    string: int | None
    unsubtracted: int | None = None
    state: State = State.VALUE
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FilledPage:
    """A page laid on its blank, ready for the classifier."""

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
        fit = best_fit(image, [form.blank for form in self.pages])
        if fit is None:
            names = ", ".join(t.form.name for t in self.templates)
            raise IngestError(f"is no page of {names}", remedy="check the scan, or give this form's template too")
        number, laid = fit
        form = self.pages[number]
        match = FormMatch(form.template.form.name, form.page, round(laid.registration.quality, 3))
        to_source = np.asarray(np.linalg.inv(laid.registration.to_blank), np.float64)
        strings, slots, inks = _Cutter(laid.image, form).cut()
        down = to_source @ np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
        across = (down[:2, 1] / down[2, 1]) - (down[:2, 0] / down[2, 0])
        prepared = PreparedPage(
            ref=page.ref,
            width=page.image.shape[1],
            height=page.image.shape[0],
            dpi=page.dpi,
            skew_degrees=float(-np.degrees(np.arctan2(across[1], across[0]))),
            to_source=to_source,
            contrast=1.0,
            layout=Layout.PAGE,
            strings=tuple(strings),
            crops=normalize_all(inks),
            table_found=False,
        )
        return FilledPage(prepared, form, tuple(slots), match)


# ---------------------------------------------------------------------------------------------- the fields


class _Cutter:
    """Cuts the fields out of one page that lies on its blank."""

    def __init__(self, image: GrayImage, form: FormPage) -> None:
        self._form = form
        self._soft: Ink = soft_ink(image)
        raw, levels = binarize(self._soft)
        printed = form.blank.mask.view(np.uint8)
        side = 2 * _TOLERANCE_PX + 1
        near = cv2.dilate(printed, np.ones((side, side), np.uint8))
        line = max(1.0, 0.25 * form.dpi / MM_PER_INCH) + 2 * _TOLERANCE_PX
        self._raw: Mask = raw
        self._mask: Mask = remove_rules(raw, np.asarray(near, np.uint8), line)
        self._found: Components = label(self._mask)
        self._struck = find_struck(self._mask & levels.dark_strokes(self._soft))
        self._strings: list[PreparedString] = []
        self._inks: list[Ink] = []

    def cut(self) -> tuple[list[PreparedString], list[Slot], list[Ink]]:
        """All fields: what is to be read, what each field is, and the candidates' ink."""
        slots = [
            self._slot(cell, constraint)
            for cell, constraint in zip(self._form.cells, self._form.constraints, strict=True)
        ]
        return self._strings, slots, self._inks

    def _slot(self, cell: Cell, constraint: Constraint | None) -> Slot:
        if cell.zone.kind == "mark":
            return self._tick(cell)
        cut = self._boxes if cell.zone.kind in ("boxes", "comb") else self._line
        slot = cut(cell, constraint)
        if slot.string is None:
            return replace(slot, state=State.BLANK)
        if any(covers(struck, self._strings[slot.string].box) for struck in self._struck):
            return replace(slot, state=State.STRUCK)
        return slot

    def _tick(self, cell: Cell) -> Slot:
        box = _whole(cell.box)
        reach = max(1, round(0.1 * min(box.width, box.height)))
        part = self._mask[box.y + reach : box.bottom - reach, box.x + reach : box.right - reach]
        share = float(part.mean()) if part.size else 0.0
        maybe, surely, blotted = _TICK
        note = "a faint mark" if maybe <= share < surely else "blotted out, or filled" if share > blotted else ""
        state = State.VALUE if share >= surely else State.BLANK
        return Slot(cell, None, None, state=state, note=note)

    def _near(self, box: Box) -> np.ndarray:
        """Components that lie in a field, or reach a little out of it."""
        reach = _REACH * box.height
        x, y, w, h = (self._found.boxes[:, k].astype(np.float64) for k in range(4))
        middle_x, middle_y = x + w / 2, y + h / 2
        inside = (middle_x >= box.x - 0.3 * reach) & (middle_x <= box.right + 0.3 * reach)
        inside &= (middle_y >= box.y - reach) & (middle_y <= box.bottom + reach)
        return np.flatnonzero(inside & (self._found.areas >= 4))

    def _boxes(self, cell: Cell, constraint: Constraint | None) -> Slot:
        places = cell.zone.places
        box = _whole(cell.box)
        wide = box.width / places
        parts: list[list[tuple[Box, Ink]]] = [[] for _ in range(places)]
        borders = [round(box.x + k * wide) for k in range(places + 1)]
        for index in self._near(box):
            own = self._found.box(int(index))
            alone = cut_out(self._soft, self._found.labels, [int(index) + 1], own)
            at = Box(max(own.x - 1, 0), max(own.y - 1, 0), alone.shape[1], alone.shape[0])
            columns = (alone > 0).sum(axis=0).astype(np.float64)
            shares = np.array([columns[max(a - at.x, 0) : max(b - at.x, 0)].sum() for a, b in pairwise(borders)])
            if not shares.sum():
                continue
            best = int(shares.argmax())
            if shares[best] >= _OWN * columns.sum() or own.width <= 0.6 * wide:
                parts[best].append((at, alone))
                continue
            for k in np.flatnonzero(
                shares > 0.08 * shares.sum()
            ).tolist():  # a stroke through two boxes belongs to both
                left, right = max(borders[k] - at.x, 0), min(borders[k + 1] - at.x, at.width)
                piece = np.ascontiguousarray(alone[:, left:right])
                if piece.any():
                    x, y, w, h = cv2.boundingRect((piece > 0).view(np.uint8))
                    parts[k].append((Box(at.x + left + x, at.y + y, w, h), piece[y : y + h, x : x + w]))
        digits: list[tuple[Box, Ink]] = []
        filled = []
        for k, own_parts in enumerate(parts):
            tall = [p for p in own_parts if max(p[0].width, p[0].height) > _EMPTY * box.height]
            if not tall:
                continue
            # Bits of a broken digit are its own; specks are not.
            bits = [p for p in own_parts if max(p[0].width, p[0].height) > 0.1 * box.height]
            digits.append(paste_inks(bits))
            filled.append(k)
        if not digits:
            return Slot(cell, constraint, None)
        gap = next((k for k in range(filled[0], filled[-1]) if k not in filled), None)
        note = f"box {gap + 1} between digits is empty" if gap is not None else ""
        height = float(np.median([own.height for own, _ in digits]))
        edges = tuple(Edge(k, k + 1, own, 0, False) for k, (own, _) in enumerate(digits))
        whole = LineInk(_set_as_line(digits, height)) if len(digits) > 1 else None
        area = union(own for own, _ in digits)
        self._strings.append(
            PreparedString(edges, len(self._inks), len(digits), height, area, None, area, whole, marked=False)
        )
        self._inks.extend(ink for _, ink in digits)
        return Slot(cell, constraint, len(self._strings) - 1, note=note)

    def _line(self, cell: Cell, constraint: Constraint | None) -> Slot:
        box = _whole(cell.box)
        index = self._read_region(box, self._mask)
        if index is None:
            return Slot(cell, constraint, None)
        again = None
        inner = self._form.blank.mask[
            box.y + box.height // 6 : box.bottom - box.height // 6, box.x + 3 : max(box.right - 3, box.x + 4)
        ]
        if inner.mean() > 0.004:  # the form prints something where one writes: read it with that ink too
            again = self._read_region(box, self._raw)
        return Slot(cell, constraint, index, again)

    def _read_region(self, box: Box, mask: Mask) -> int | None:
        """Make a region that holds one number into a string; gives its row, None where it is empty."""
        reach = round(_REACH * box.height)
        top, left = max(box.y - reach, 0), max(box.x, 0)
        bottom, right = min(box.bottom + reach, mask.shape[0]), min(box.right, mask.shape[1])
        part, soft = np.ascontiguousarray(mask[top:bottom, left:right]), self._soft[top:bottom, left:right]
        if part.size == 0:
            return None
        found = label(part)
        # What hangs into the field from the lines above and below has its middle outside.
        middle = found.boxes[:, 1] + found.boxes[:, 3] / 2 + top
        own = (middle >= box.y - 0.5 * reach) & (middle <= box.bottom + 0.5 * reach)
        own &= (found.areas >= 4) & (found.boxes[:, 3] < 0.98 * part.shape[0])
        found = replace(found, areas=np.where(own, found.areas, 0))
        if not own.any() or found.boxes[own, 3].max() < 0.22 * box.height:
            return None
        string = one_string(found, (part.shape[0], part.shape[1]))
        if string is None:
            return None
        lattice = build_lattices([string], found, soft)[0]
        if not lattice.candidates:
            return None
        area, ink = lattice.ink
        region = line_region(area, part.shape)
        canvas = np.zeros((region.height, region.width), np.uint8)
        y, x = area.y - region.y, area.x - region.x
        canvas[max(y, 0) : y + area.height, max(x, 0) : x + area.width] = ink[
            max(-y, 0) : region.height - y, max(-x, 0) : region.width - x
        ]
        several = sum(not p.small for p in lattice.pieces) > 1
        edges = tuple(replace(e, box=_moved(e.box, left, top)) for e in lattice_edges(lattice))
        self._strings.append(
            PreparedString(
                edges,
                len(self._inks),
                len(lattice.pieces),
                lattice.height,
                _moved(lattice.box, left, top),
                None,
                _moved(region, left, top),
                LineInk(canvas, parts_of(lattice)) if several else None,
                marked=lattice.marked,
            )
        )
        self._inks.extend(candidate.ink for candidate in lattice.candidates)
        return len(self._strings) - 1


def _whole(box: tuple[float, float, float, float]) -> Box:
    left, top = round(box[0]), round(box[1])
    return Box(left, top, round(box[0] + box[2]) - left, round(box[1] + box[3]) - top)


def _moved(box: Box, dx: int, dy: int) -> Box:
    return Box(box.x + dx, box.y + dy, box.width, box.height)


def _set_as_line(digits: Sequence[tuple[Box, Ink]], height: float) -> Ink:
    """Digits of boxes side by side, as the reader of lines knows them; each keeps its height above the base line."""
    gap, margin = round(_GAP * height), max(2, round(0.12 * height))
    top = min(box.y for box, _ in digits)
    bottom = max(box.bottom for box, _ in digits)
    width = sum(box.width for box, _ in digits) + gap * (len(digits) - 1)
    canvas = np.zeros((bottom - top + 2 * margin, width + 2 * margin), np.uint8)
    x = margin
    for box, ink in digits:
        y = box.y - top + margin
        canvas[y : y + box.height, x : x + box.width] = ink
        x += box.width + gap
    return canvas


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
        if index is None or slot.state is not State.VALUE:
            return None
        string = page.prepared.strings[index]
        rows = string.rows(posteriors)
        line = WholeLine(tuple(whole_lines[index]), string.region) if index in whole_lines else None
        if no_digits(string.edges, rows, string.pieces, string.height):
            return None
        boxed = slot.cell.zone.kind in ("boxes", "comb")
        return read_field(string.edges, rows, string.pieces, string.height, line, slot.constraint, boxed=boxed)

    texts = [read(slot, slot.string) for slot in page.slots]
    again = [read(slot, slot.unsubtracted) for slot in page.slots]
    choices = {slot.cell.name: _choice(slot, text) for slot, text in zip(page.slots, texts, strict=True)}
    template = page.form.template
    columns = template.grid_columns(page.form.page)
    for rule in template.rule:
        parsed = parse_rule(rule.expression)
        if all(name in columns or name in choices for name in parsed.names):
            weigh(parsed, rule.label, choices, columns)
    readings = tuple(
        _reading(page, slot, text, other, choices[slot.cell.name], config)
        for slot, text, other in zip(page.slots, texts, again, strict=True)
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
        readings=readings,
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
    value = value_of(text, read.written, slot.cell.zone)
    return Decimal(value or text)


def _reading(
    page: FilledPage, slot: Slot, text: FieldText | None, again: FieldText | None, choice: Choice, config: Config
) -> FieldReading:
    prepared, zone = page.prepared, slot.cell.zone

    def to_source(box: Box) -> Box:
        return map_box(box, prepared.to_source, width=prepared.width, height=prepared.height)

    empty = FieldReading(
        name=slot.cell.name,
        row=slot.cell.row,
        column=slot.cell.column,
        text="",
        digits=(),
        confidence=1.0,
        state=slot.state,
        review=False,
        reason="",
        alternatives=(),
        box=to_source(_whole(slot.cell.box)),
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
        written=text.written if best.text == text.raw else best.text,
        raw=text.raw if best.text != text.raw else "",
        value=value_of(best.text, text.written, zone),
    )
