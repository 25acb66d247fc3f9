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
from numpy.typing import NDArray

from digitscan.core.types import Box, Mask
from digitscan.forms.template import MM_PER_INCH

Kind = Literal["boxes", "comb", "free", "mark", "grid"]
Pixels = NDArray[np.uint8]

_SMALLEST_MM = 2.4
_LARGEST_SHARE = 0.35
"""A hole that is a larger share of the page is no place for a number."""
_TICK_MM = 8.5
_APART_MM = 1.2
"""Print between two boxes of one field, at the most."""
_LINE_MM = 12.0
"""Shortest line that one writes on."""
_ROOM_MM = (4.5, 10.0)
"""Paper above a line that one writes on: at least, and how much of it the field takes."""
_TOOTH_MM = (0.8, 6.0)
_SQUARE = 1.6
"""A box for one digit is at most so much wider than high, and the other way round."""


@dataclass(frozen=True, slots=True)
class DraftZone:
    """A zone that was found; `box` in pixels, `rows` and `columns` of its cells; `name` where somebody gave one."""

    kind: Kind
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
        if min(w, h) < _SMALLEST_MM * per_mm or w * h > _LARGEST_SHARE * pixels.size:
            continue
        # The ring of an O or of a 0 is no box.
        if cv2.contourArea(contour) < 0.9 * (w - 1) * (h - 1):
            continue
        inside = pixels[y + 2 : y + h - 2, x + 2 : x + w - 2]
        if inside.mean() > 0.25:
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
            beside = over_y > 0.6 * min(a.height, b.height) and -apart <= over_x <= 3
            below = over_x > 0.6 * min(a.width, b.width) and -apart <= over_y <= 3
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
    if rows * columns > 1.35 * len(group):
        return None  # not a table: a drawing, or boxes in boxes
    if len(group) == 1:
        if max(wide, high) <= _TICK_MM * per_mm and max(wide, high) <= 1.3 * min(wide, high):
            return DraftZone("mark", box)
        return DraftZone("free", box) if wide >= 1.4 * high and high <= 25 * per_mm else None
    square = wide <= _SQUARE * high and high <= 2.2 * wide
    if rows == 1 and square:
        return DraftZone("boxes", box, 1, columns)
    return DraftZone("grid", box, rows, columns)


def _lines(pixels: Pixels, taken: Sequence[Box], per_mm: float) -> list[DraftZone]:
    """Combs, and lines to write on, outside the boxes."""
    rest = pixels.copy()
    edge = round(0.8 * per_mm)
    for box in taken:
        rest[max(box.y - edge, 0) : box.bottom + edge, max(box.x - edge, 0) : box.right + edge] = 0
    length = round(_LINE_MM * per_mm)
    runs = cv2.morphologyEx(rest, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    joined = cv2.dilate(runs, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        x, y, w, h = cv2.boundingRect(contour)
        if h > 1.5 * per_mm or w > 0.85 * pixels.shape[1]:
            continue  # a bar, or the rule that parts a page
        top = y + 1
        low, high = (round(v * per_mm) for v in _TOOTH_MM)
        strip = rest[max(top - low, 0) : max(top - round(0.35 * per_mm), 1), x : x + w]
        teeth = _teeth(strip, per_mm)
        if len(teeth) >= 3:
            above = rest[max(top - high, 0) : top, x : x + w]
            column = above[:, max(teeth[1] - 1, 0) : teeth[1] + 2].max(axis=1)
            tooth = int(column[::-1].argmin()) if not column.all() else len(column)
            pitch = w / (len(teeth) - 1)
            tall = round(max(1.1 * pitch, 3.2 * tooth if tooth < 0.6 * pitch else tooth))
            found.append(DraftZone("comb", Box(x, max(y + h - tall, 0), w, tall), 1, len(teeth) - 1))
            continue
        room = rest[max(top - round(_ROOM_MM[1] * per_mm), 0) : top - 1, x + edge : x + w - edge]
        inked = np.flatnonzero(room.any(axis=1))
        free = room.shape[0] - (int(inked[-1]) + 1 if len(inked) else 0)
        if free >= _ROOM_MM[0] * per_mm:
            found.append(DraftZone("free", Box(x, max(y + h - free, 0), w, free)))
    return found


def _teeth(strip: Pixels, per_mm: float) -> list[int]:
    """Columns of thin marks at even distances along a strip above a line; none where they are uneven."""
    if not strip.size:
        return []
    inked = strip.mean(axis=0) > 0.6
    changes = np.flatnonzero(np.diff(np.concatenate([[0], inked.astype(np.int8), [0]])))
    starts, stops = changes[::2], changes[1::2]
    if len(starts) < 3 or (stops - starts).max() > 1.2 * per_mm:
        return []
    middles = (starts + stops) / 2
    gaps = np.diff(middles)
    even = gaps.max() < 1.25 * gaps.min()
    spans = middles[0] < 0.6 * gaps.mean() and middles[-1] > strip.shape[1] - 0.6 * gaps.mean()
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
    groups = _groups(_holes(np.asarray(pixels, np.uint8), per_mm), _APART_MM * per_mm)
    for group in groups:
        zone = _frame(group, per_mm)
        if zone is not None:
            zones.append(zone)
    taken = [hole for group in groups for hole in group]
    zones += _lines(np.asarray(pixels, np.uint8), taken, per_mm)
    row = 8 * per_mm
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
