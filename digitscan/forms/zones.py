"""A template drafted from an empty form: its boxes, combs, tick boxes, lines and tables, found by their print.

Every closed box leaves a rectangular hole in the form's ink. Holes side by side are one field of boxes or a table;
lines with teeth are combs, lines without are written on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from digitscan.core.types import Box, Mask
from digitscan.forms.template import MM_PER_INCH
from digitscan.imaging.rules import Pixels

ZoneKind = Literal["boxes", "comb", "free", "mark", "grid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneParameters:
    """What a form's print is taken for. Sizes are those on paper.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    smallest_mm: float = 2.4
    """Lower or narrower holes hold no digit. [mm; tried]"""
    largest: float = 0.35
    """A larger hole is no place for a number. [shares of the page; tried]"""
    hole_fill: float = 0.9
    """How much of its box a hole fills: the ring of an O or of a 0 does not. [share; tried]"""
    hole_ink: float = 0.25
    """Ink in a hole, at the most. [share; tried]"""
    apart_mm: float = 1.2
    """Print between two boxes of one field, at the most. [mm; tried]"""
    side_by_side: float = 0.6
    """How much of their sides two boxes of one field share. [shares of the shorter; tried]"""
    shared_wall: int = 3
    """Pixels of a thin wall that two holes share. [pixels; tried]"""
    fewest_cells: float = 1.35
    """How many more cells rows and columns may make than there are holes: else it is a drawing, or boxes in boxes.
    [ratio; tried]"""
    tick_mm: float = 8.5
    """A larger box is no tick box. [mm; tried]"""
    tick_square: float = 1.3
    """A tick box is at most so much longer than wide. [ratio; tried]"""
    free_long: float = 1.4
    """A box to write on is at least so much wider than high. [ratio; tried]"""
    free_high_mm: int = 25
    """It is no higher. [mm; tried]"""
    square: float = 1.6
    """A box for one digit is at most so much wider than high. [ratio; tried]"""
    upright: float = 2.2
    """It is at most so much higher than wide. [ratio; tried]"""
    line_mm: float = 12.0
    """Shortest line that one writes on. [mm; tried]"""
    bar_mm: float = 1.5
    """A thicker line is a bar. [mm; tried]"""
    page_wide: float = 0.85
    """A longer line parts the page. [shares of its width; tried]"""
    edge_mm: float = 0.8
    """Around boxes their own lines are left out. [mm; tried]"""
    room_mm: float = 4.5
    """Paper above a line that one writes on, at the least. [mm; tried]"""
    most_room_mm: float = 10.0
    """How much of it the field takes. [mm; tried]"""
    tooth_mm: float = 0.8
    """Height of a comb's tooth, at the least. [mm; tried]"""
    most_tooth_mm: float = 6.0
    """The same at the most. [mm; tried]"""
    foot_mm: float = 0.35
    """Above a line, where its own edge is no tooth. [mm; tried]"""
    tooth_ink: float = 0.6
    """Ink in a tooth's column. [share; tried]"""
    tooth_wide_mm: float = 1.2
    """A tooth is no thicker. [mm; tried]"""
    even: float = 1.25
    """How differently teeth may stand apart. [ratio; tried]"""
    first_tooth: float = 0.6
    """How far from the line's ends the first and the last tooth stand, at the most. [pitches; tried]"""
    digit_tall: float = 1.1
    """Height of a comb's field. [pitches; tried]"""
    short_tooth: float = 0.6
    """A longer tooth is the whole side of a box. [pitches; tried]"""
    teeth_tall: float = 3.2
    """Height of a comb's field, at the least. [heights of a short tooth; tried]"""
    row_mm: int = 8
    """Zones this near in height are one row, when they are numbered. [mm; tried]"""


_P = ZoneParameters()


@dataclass(frozen=True, slots=True)
class DraftZone:
    """A zone that was found; `box` in pixels, `rows` and `columns` of its cells; `name` where somebody gave one."""

    kind: ZoneKind
    box: Box
    rows: int = 1
    columns: int = 1
    name: str = ""


def _holes(pixels: Pixels, per_mm: float) -> list[Box]:
    """Rectangular holes in the ink."""
    contours, tree = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if tree is None:
        return []
    found = []
    for contour, (_, _, _, parent) in zip(contours, np.asarray(tree).reshape(-1, 4), strict=True):
        if parent < 0:
            continue
        x, y, w, h = cv2.boundingRect(contour)
        if min(w, h) < _P.smallest_mm * per_mm or w * h > _P.largest * pixels.size:
            continue
        # The ring of an O or of a 0 is no box.
        if cv2.contourArea(contour) < _P.hole_fill * (w - 1) * (h - 1):
            continue
        inside = pixels[y + 2 : y + h - 2, x + 2 : x + w - 2]
        if inside.mean() > _P.hole_ink:
            continue
        found.append(Box(int(x), int(y), int(w), int(h)))
    return found


def _groups(holes: Sequence[Box], apart: float) -> list[list[Box]]:
    """Holes that share a wall."""
    owner = list(range(len(holes)))

    def root(k: int) -> int:
        while owner[k] != k:
            owner[k] = owner[owner[k]]
            k = owner[k]
        return k

    # A hole is bounded by the ink around it: neighbours share the pixels of a thin wall.
    for i, a in enumerate(holes):
        for j in range(i + 1, len(holes)):
            b = holes[j]
            over_x = min(a.right, b.right) - max(a.x, b.x)
            over_y = min(a.bottom, b.bottom) - max(a.y, b.y)
            beside = over_y > _P.side_by_side * min(a.height, b.height) and -apart <= over_x <= _P.shared_wall
            below = over_x > _P.side_by_side * min(a.width, b.width) and -apart <= over_y <= _P.shared_wall
            if beside or below:
                owner[root(j)] = root(i)
    groups: dict[int, list[Box]] = {}
    for k, hole in enumerate(holes):
        groups.setdefault(root(k), []).append(hole)
    return list(groups.values())


def _levels(values: Sequence[float], apart: float) -> int:
    ordered = np.sort(np.array(values, np.float64))
    return int((np.diff(ordered) > apart).sum()) + 1


def _frame(group: Sequence[Box], per_mm: float) -> DraftZone | None:
    left, top = min(b.x for b in group), min(b.y for b in group)
    box = Box(left, top, max(b.right for b in group) - left, max(b.bottom for b in group) - top)
    wide, high = float(np.median([b.width for b in group])), float(np.median([b.height for b in group]))
    rows = _levels([b.center[1] for b in group], 0.5 * high)
    columns = _levels([b.center[0] for b in group], 0.5 * wide)
    if rows * columns > _P.fewest_cells * len(group):
        return None  # not a table: a drawing, or boxes in boxes
    if len(group) == 1:
        if max(wide, high) <= _P.tick_mm * per_mm and max(wide, high) <= _P.tick_square * min(wide, high):
            return DraftZone("mark", box)
        return DraftZone("free", box) if wide >= _P.free_long * high and high <= _P.free_high_mm * per_mm else None
    square = wide <= _P.square * high and high <= _P.upright * wide
    if rows == 1 and square:
        return DraftZone("boxes", box, 1, columns)
    return DraftZone("grid", box, rows, columns)


def _lines(pixels: Pixels, taken: Sequence[Box], per_mm: float) -> list[DraftZone]:
    """Combs, and lines to write on, outside the boxes."""
    rest = pixels.copy()
    edge = round(_P.edge_mm * per_mm)
    for box in taken:
        rest[max(box.y - edge, 0) : box.bottom + edge, max(box.x - edge, 0) : box.right + edge] = 0
    length = round(_P.line_mm * per_mm)
    runs = cv2.morphologyEx(rest, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    joined = cv2.dilate(runs, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        x, y, w, h = cv2.boundingRect(contour)
        if h > _P.bar_mm * per_mm or w > _P.page_wide * pixels.shape[1]:
            continue  # a bar, or the rule that parts a page
        top = y + 1
        low, high = (round(v * per_mm) for v in (_P.tooth_mm, _P.most_tooth_mm))
        strip = rest[max(top - low, 0) : max(top - round(_P.foot_mm * per_mm), 1), x : x + w]
        teeth = _teeth(strip, per_mm)
        if len(teeth) >= 3:
            above = rest[max(top - high, 0) : top, x : x + w]
            column = above[:, max(teeth[1] - 1, 0) : teeth[1] + 2].max(axis=1)
            tooth = int(column[::-1].argmin()) if not column.all() else len(column)
            pitch = w / (len(teeth) - 1)
            tall = round(max(_P.digit_tall * pitch, _P.teeth_tall * tooth if tooth < _P.short_tooth * pitch else tooth))
            found.append(DraftZone("comb", Box(x, max(y + h - tall, 0), w, tall), 1, len(teeth) - 1))
            continue
        room = rest[max(top - round(_P.most_room_mm * per_mm), 0) : top - 1, x + edge : x + w - edge]
        inked = np.flatnonzero(room.any(axis=1))
        free = room.shape[0] - (int(inked[-1]) + 1 if len(inked) else 0)
        if free >= _P.room_mm * per_mm:
            found.append(DraftZone("free", Box(x, max(y + h - free, 0), w, free)))
    return found


def _teeth(strip: Pixels, per_mm: float) -> list[int]:
    """Columns of thin marks at even distances along a strip above a line; none where they are uneven."""
    if not strip.size:
        return []
    inked = strip.mean(axis=0) > _P.tooth_ink
    changes = np.flatnonzero(np.diff(np.concatenate([[0], inked.astype(np.int8), [0]])))
    starts, stops = changes[::2], changes[1::2]
    if len(starts) < 3 or (stops - starts).max() > _P.tooth_wide_mm * per_mm:
        return []
    middles = (starts + stops) / 2
    gaps = np.diff(middles)
    even = gaps.max() < _P.even * gaps.min()
    spans = middles[0] < _P.first_tooth * gaps.mean() and middles[-1] > strip.shape[1] - _P.first_tooth * gaps.mean()
    return [int(m) for m in middles] if even and spans else []


def draft_zones(mask: Mask, dpi: float) -> list[DraftZone]:
    """Find the zones of an empty form.

    Parameters
    ----------
    mask : (H, W) bool
        Its ink.
    dpi : float

    Returns
    -------
    list of DraftZone
        In reading order, roughly: by rows of zones from the top.
    """
    per_mm = dpi / MM_PER_INCH
    # Scanned lines break here and there: small gaps are closed before holes are sought.
    pixels = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    zones = []
    groups = _groups(_holes(np.asarray(pixels, np.uint8), per_mm), _P.apart_mm * per_mm)
    for group in groups:
        zone = _frame(group, per_mm)
        if zone is not None:
            zones.append(zone)
    taken = [hole for group in groups for hole in group]
    zones += _lines(np.asarray(pixels, np.uint8), taken, per_mm)
    row = _P.row_mm * per_mm
    return sorted(zones, key=lambda z: (round(z.box.center[1] / row), z.box.x))


def draft_toml(
    name: str,
    blank: str,
    pages: Sequence[Sequence[DraftZone]],
    dpi: float,
    size_px: tuple[int, int],
    *,
    known_dpi: bool,
) -> str:
    """A template's text, to be given names and rules by its owner.

    Parameters
    ----------
    name, blank : str
    pages : sequence of sequence of DraftZone
        Zones of each page.
    dpi : float
    size_px : (int, int)
        Width and height of a page.
    known_dpi : bool
        Whether the resolution is known; else the template is in pixels.
    """
    per_unit = dpi / MM_PER_INCH if known_dpi else 1.0
    unit = "mm" if known_dpi else "px"
    size = ", ".join(f"{v / per_unit:.1f}" for v in size_px)
    lines = [
        "# Drafted by digitscan form new: give the fields their names, and rules where you know some.",
        "# A field may have: digits, pattern, range, allowed, check, decimals, locale, required. See docs/forms.md.",
        "", "[form]", f'name = "{name}"', f'blank = "{blank}"', f'unit = "{unit}"', f"size = [{size}]",
    ]  # fmt: skip
    if known_dpi:
        lines.append(f"dpi = {dpi:.1f}")
    if len(pages) > 1:
        lines.append(f"pages = {len(pages)}")
    counts: dict[str, int] = {}
    for number, zones in enumerate(pages, 1):
        for zone in zones:
            word = {"mark": "tick", "grid": "table"}.get(zone.kind, "field")
            counts[word] = counts.get(word, 0) + 1
            box = ", ".join(f"{v / per_unit:.1f}" for v in zone.box)
            called = zone.name or f"{word}{counts[word]}"
            lines += ["", "[[grid]]" if zone.kind == "grid" else "[[field]]", f'name = "{called}"']
            if len(pages) > 1:
                lines.append(f"page = {number}")
            if zone.kind == "grid":
                lines += ['kind = "free"', f"box = [{box}]", f"rows = {zone.rows}", f"columns = {zone.columns}"]
                continue
            lines += [f'kind = "{zone.kind}"', f"box = [{box}]"]
            if zone.kind in ("boxes", "comb"):
                lines.append(f"digits = [1, {zone.columns}]")
    return "\n".join(lines) + "\n"
