"""The fields of one page that lies on its form: each cut out, its marks made into candidates for the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from digitscan.core.geometry import union
from digitscan.core.types import Box, GrayImage, Ink, Mask, State
from digitscan.decoding.lattice import Edge
from digitscan.forms.cells import FormCell
from digitscan.forms.constraints import Constraint
from digitscan.forms.form_page import FormPage, Slot
from digitscan.forms.template import MM_PER_INCH
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.imaging.rules import find_rules, line_mask, remove_rules
from digitscan.recognition.lines import line_region
from digitscan.regions.prepared import LineInk, PreparedString, lattice_edges, parts_of
from digitscan.segmentation.components import Components, cut_out, label
from digitscan.segmentation.cuts import build_lattices, paste_inks
from digitscan.segmentation.marks import one_string
from digitscan.segmentation.struck import covers, find_struck


@dataclass(frozen=True, slots=True, kw_only=True)
class CutParameters:
    """What belongs to a field. Heights and widths are those of the field or its box, where nothing else is said.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    tolerance: int = 2
    """How far the page's printed ink may lie from the blank's after registration. [pixels; tried]"""
    printed_line_mm: float = 0.25
    """Thickness of a form's lines, over which strokes are joined again. [mm; digitscan prints them so]"""
    least_rule_mm: float = 7.5
    """Shorter straight strokes may be written. [mm; tried]"""
    least_frame_mm: float = 4.0
    """Lower boxes hold no writing. [mm; tried]"""
    frame_size: float = 1.3
    """How much larger than the template says a cheque's box may be. [ratio; tried]"""
    frame_edge: float = 0.02
    """Its line, which is no part of what stands in it; a pixel at the least. [heights; tried]"""
    reach: float = 0.15
    """How far beyond a field its writing may reach. [heights; tried]"""
    reach_beside: float = 0.3
    """How much of that it may reach at the sides, where other fields are. [share; tried]"""
    least_area: int = 4
    """Smaller marks are noise. [pixels; tried]"""
    tick_edge: float = 0.1
    """Rim of a tick box, where ink is its frame. [shares of its side; tried]"""
    maybe_tick: float = 0.015
    """Ink in a tick box from which there may be a tick. [shares of its area; tried]"""
    tick: float = 0.035
    """The same from which there is one. [shares of its area; tried]"""
    blotted: float = 0.6
    """The same from which one may be blotted out. [shares of its area; tried]"""
    own: float = 0.75
    """Share of a component that must lie in one box to be that box's as a whole. [share; tried]"""
    narrow: float = 0.6
    """A narrower component is one box's wherever it lies. [widths; tried]"""
    shared: float = 0.08
    """Share of a component in a box from which that part of it is the box's too. [share; tried]"""
    empty: float = 0.30
    """A box with nothing larger is empty. [heights; tried]"""
    speck: float = 0.1
    """What is smaller is no bit of a broken digit. [heights; tried]"""
    gap: float = 0.22
    """Paper between the digits of boxes when they are set as a line. [heights of the digits; tried]"""
    line_margin: float = 0.12
    """Paper around them. [heights of the digits; as `digitscan.recognition.lines.line_region`]"""
    print_parts: int = 6
    """The rim of a line where its own print is no hindrance is one of so many parts. [bare; tried]"""
    print_share: float = 0.004
    """Printed ink inside it from which the field is read with that ink too. [share; tried]"""
    field_high: float = 0.98
    """What is higher runs through the field. [heights of its region; tried]"""
    least_height: float = 0.22
    """Where nothing is higher, nothing is written. [heights; tried]"""


_P = CutParameters()


@dataclass(frozen=True, slots=True, eq=False)
class _LaidForm:
    """A page that lies on its form, and what is found on it.

    Attributes
    ----------
    form : FormPage
    soft : (H, W) uint8
        Soft ink.
    raw : (H, W) bool
        Ink, the form's own print and all.
    mask : (H, W) bool
        Ink without it.
    printed : (H, W) bool or None
        The form's own print, where its blank is known.
    frames : list of Box
        Printed boxes, where it is not.
    found : Components
        Of `mask`.
    struck : list of Box
        What was crossed out.
    """

    form: FormPage
    soft: Ink
    raw: Mask
    mask: Mask
    printed: Mask | None
    frames: list[Box]
    found: Components
    struck: list[Box]

    @classmethod
    def of(cls, image: GrayImage, form: FormPage) -> _LaidForm:
        """Part the writing on a page from its form's print."""
        soft = soft_ink(image)
        raw, levels = binarize(soft)
        printed, frames = None, []
        if form.blank is not None:
            printed = form.blank.mask
            side = 2 * _P.tolerance + 1
            near = cv2.dilate(printed.view(np.uint8), np.ones((side, side), np.uint8))
            line = max(1.0, _P.printed_line_mm * form.dpi / MM_PER_INCH) + 2 * _P.tolerance
            mask = remove_rules(raw, np.asarray(near, np.uint8), line)
        else:
            rules, pixels = find_rules(
                line_mask(soft, levels), shortest=round(_P.least_rule_mm * form.dpi / MM_PER_INCH)
            )
            frames = rules.frames
            mask = remove_rules(raw, pixels, rules.thickness_px)
        struck = find_struck(mask & levels.dark_strokes(soft))
        return cls(form, soft, raw, mask, printed, frames, label(mask), struck)

    def framed(self, cell: FormCell) -> FormCell:
        """The cell where its printed box is, if one lies where it is looked for."""
        within = whole_box(cell.box)
        least = _P.least_frame_mm * self.form.dpi / MM_PER_INCH
        inside = [
            frame
            for frame in self.frames
            if min(frame.width, frame.height) >= least
            and within.x <= frame.center[0] <= within.right
            and within.y <= frame.center[1] <= within.bottom
            and frame.width <= _P.frame_size * within.width
            and frame.height <= _P.frame_size * within.height
        ]
        if not inside:
            return cell
        best = max(inside, key=lambda frame: frame.width * frame.height)
        edge = max(1.0, _P.frame_edge * best.height)
        return replace(cell, box=(best.x + edge, best.y + edge, best.width - 2 * edge, best.height - 2 * edge))

    def near(self, box: Box) -> np.ndarray:
        """Components that lie in a field, or reach a little out of it."""
        reach = _P.reach * box.height
        x, y, w, h = (self.found.boxes[:, k].astype(np.float64) for k in range(4))
        middle_x, middle_y = x + w / 2, y + h / 2
        inside = (middle_x >= box.x - _P.reach_beside * reach) & (middle_x <= box.right + _P.reach_beside * reach)
        inside &= (middle_y >= box.y - reach) & (middle_y <= box.bottom + reach)
        return np.flatnonzero(inside & (self.found.areas >= _P.least_area))

    def tick(self, cell: FormCell) -> Slot:
        """A tick box."""
        box = whole_box(cell.box)
        reach = max(1, round(_P.tick_edge * min(box.width, box.height)))
        part = self.mask[box.y + reach : box.bottom - reach, box.x + reach : box.right - reach]
        share = float(part.mean()) if part.size else 0.0
        note = (
            "a faint mark"
            if _P.maybe_tick <= share < _P.tick
            else "blotted out, or filled"
            if share > _P.blotted
            else ""
        )
        state = State.VALUE if share >= _P.tick else State.BLANK
        return Slot(cell, None, string=None, state=state, note=note)


class Cutter:
    """Cuts the fields out of pages that lie on their forms: strings and the candidates' ink of one after the other."""

    def __init__(self) -> None:
        self.strings: list[PreparedString] = []
        self.inks: list[Ink] = []

    def cut(self, image: GrayImage, form: FormPage) -> list[Slot]:
        """All fields of a page that lies on its form, but for those of a cheque's line."""
        sheet = _LaidForm.of(image, form)
        return [
            self._slot(sheet, cell, constraint)
            for cell, constraint in zip(form.cells, form.constraints, strict=True)
            if cell.zone.kind != "micr"
        ]

    def _slot(self, sheet: _LaidForm, cell: FormCell, constraint: Constraint | None) -> Slot:
        if cell.zone.find == "frame":
            cell = sheet.framed(cell)
        if cell.zone.kind == "mark":
            return sheet.tick(cell)
        cut = self._boxes if cell.zone.kind in ("boxes", "comb") else self._line
        slot = cut(sheet, cell, constraint)
        if slot.string is None:
            return replace(slot, state=State.BLANK)
        if any(covers(struck, self.strings[slot.string].box) for struck in sheet.struck):
            return replace(slot, state=State.STRUCK)
        return slot

    def _boxes(self, sheet: _LaidForm, cell: FormCell, constraint: Constraint | None) -> Slot:
        places = cell.zone.places
        box = whole_box(cell.box)
        wide = box.width / places
        parts: list[list[tuple[Box, Ink]]] = [[] for _ in range(places)]
        borders = [round(box.x + k * wide) for k in range(places + 1)]
        for index in sheet.near(box):
            own = sheet.found.box(int(index))
            alone = cut_out(sheet.soft, sheet.found.labels, [int(index) + 1], own)
            at = Box(max(own.x - 1, 0), max(own.y - 1, 0), alone.shape[1], alone.shape[0])
            columns = (alone > 0).sum(axis=0).astype(np.float64)
            shares = np.array([columns[max(a - at.x, 0) : max(b - at.x, 0)].sum() for a, b in pairwise(borders)])
            if not shares.sum():
                continue
            best = int(shares.argmax())
            if shares[best] >= _P.own * columns.sum() or own.width <= _P.narrow * wide:
                parts[best].append((at, alone))
                continue
            # A stroke through two boxes belongs to both.
            for k in np.flatnonzero(shares > _P.shared * shares.sum()).tolist():
                left, right = max(borders[k] - at.x, 0), min(borders[k + 1] - at.x, at.width)
                piece = np.ascontiguousarray(alone[:, left:right])
                if piece.any():
                    x, y, w, h = cv2.boundingRect((piece > 0).view(np.uint8))
                    parts[k].append((Box(at.x + left + x, at.y + y, w, h), piece[y : y + h, x : x + w]))
        digits: list[tuple[Box, Ink]] = []
        filled = []
        for k, own_parts in enumerate(parts):
            tall = [p for p in own_parts if max(p[0].width, p[0].height) > _P.empty * box.height]
            if not tall:
                continue
            # Bits of a broken digit are its own; specks are not.
            bits = [p for p in own_parts if max(p[0].width, p[0].height) > _P.speck * box.height]
            digits.append(paste_inks(bits))
            filled.append(k)
        if not digits:
            return Slot(cell, constraint, string=None)
        gap = next((k for k in range(filled[0], filled[-1]) if k not in filled), None)
        note = f"box {gap + 1} between digits is empty" if gap is not None else ""
        height = float(np.median([own.height for own, _ in digits]))
        edges = tuple(Edge(k, k + 1, own, cuts=0, small=False) for k, (own, _) in enumerate(digits))
        whole = LineInk(_set_as_line(digits, height)) if len(digits) > 1 else None
        area = union(own for own, _ in digits)
        self.strings.append(
            PreparedString(
                edges=edges,
                first_crop=len(self.inks),
                pieces=len(digits),
                height=height,
                box=area,
                cell=None,
                region=area,
                whole=whole,
                marked=False,
            )
        )
        self.inks.extend(ink for _, ink in digits)
        return Slot(cell, constraint, string=len(self.strings) - 1, note=note)

    def _line(self, sheet: _LaidForm, cell: FormCell, constraint: Constraint | None) -> Slot:
        box = whole_box(cell.box)
        index = self._read_region(sheet, box, sheet.mask)
        if index is None:
            return Slot(cell, constraint, string=None)
        again = None
        if sheet.printed is None:
            return Slot(cell, constraint, string=index)
        inner = sheet.printed[
            box.y + box.height // _P.print_parts : box.bottom - box.height // _P.print_parts,
            box.x + 3 : max(box.right - 3, box.x + 4),
        ]
        if inner.mean() > _P.print_share:  # the form prints something where one writes: read it with that ink too
            again = self._read_region(sheet, box, sheet.raw)
        return Slot(cell, constraint, string=index, unsubtracted=again)

    def _read_region(self, sheet: _LaidForm, box: Box, mask: Mask) -> int | None:
        """Make a region that holds one number into a string; gives its row, None where it is empty."""
        reach = round(_P.reach * box.height)
        top, left = max(box.y - reach, 0), max(box.x, 0)
        bottom, right = min(box.bottom + reach, mask.shape[0]), min(box.right, mask.shape[1])
        part, soft = np.ascontiguousarray(mask[top:bottom, left:right]), sheet.soft[top:bottom, left:right]
        if part.size == 0:
            return None
        found = label(part)
        # What hangs into the field from the lines above and below has its middle outside.
        middle = found.boxes[:, 1] + found.boxes[:, 3] / 2 + top
        own = (middle >= box.y - 0.5 * reach) & (middle <= box.bottom + 0.5 * reach)
        own &= (found.areas >= _P.least_area) & (found.boxes[:, 3] < _P.field_high * part.shape[0])
        found = replace(found, areas=np.where(own, found.areas, 0))
        if not own.any() or found.boxes[own, 3].max() < _P.least_height * box.height:
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
        edges = tuple(replace(e, box=moved(e.box, left, top)) for e in lattice_edges(lattice))
        self.strings.append(
            PreparedString(
                edges=edges,
                first_crop=len(self.inks),
                pieces=len(lattice.pieces),
                height=lattice.height,
                box=moved(lattice.box, left, top),
                cell=None,
                region=moved(region, left, top),
                whole=LineInk(canvas, parts_of(lattice)) if several else None,
                marked=lattice.marked,
            )
        )
        self.inks.extend(candidate.ink for candidate in lattice.candidates)
        return len(self.strings) - 1


def whole_box(box: tuple[float, float, float, float]) -> Box:
    """A box of whole pixels."""
    left, top = round(box[0]), round(box[1])
    return Box(left, top, round(box[0] + box[2]) - left, round(box[1] + box[3]) - top)


def moved(box: Box, dx: int, dy: int) -> Box:
    """A box elsewhere."""
    return Box(box.x + dx, box.y + dy, box.width, box.height)


def _set_as_line(digits: Sequence[tuple[Box, Ink]], height: float) -> Ink:
    """Digits of boxes side by side, as the line recognizer knows them; each keeps its height above the base line."""
    gap, margin = round(_P.gap * height), max(2, round(_P.line_margin * height))
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
