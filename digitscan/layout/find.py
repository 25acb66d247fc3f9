"""Which marks of a page belong together: fields, tables and strings, found from rules and components.

BinaryPage and RulingLines ─ find_lattices ─> StringLattices in reading order
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from digitscan.core.observer import Observer, unobserved
from digitscan.core.types import BinaryPage, Box, Layout
from digitscan.imaging.rules import RulingLines, rule_length
from digitscan.layout.brackets import find_brackets
from digitscan.layout.grid import corridors
from digitscan.layout.ruled import RuledTable
from digitscan.layout.strings import Barriers, character_like, find_strings, merge_strings, natural_gap, reading_order
from digitscan.segmentation.components import Components, label
from digitscan.segmentation.cuts import StringLattice, build_lattices, whole_lattice
from digitscan.segmentation.marks import StringMarks, one_string

MAX_CHARACTERS = 15_000
"""Marks of character size read on one page, the largest first: three times a page of dense print."""


def _box_rows(rules: RulingLines) -> list[Box]:
    """Rows of boxes: cells that are not much wider than high hold one digit each."""
    return [
        frame
        for frame, (rows, columns) in zip(rules.frames, rules.frame_cells, strict=True)
        if rows == 1 and frame.width <= 1.5 * frame.height * columns
    ]


def _barriers(rules: RulingLines, table: RuledTable | None, others: list[Box]) -> Barriers:
    """What parts strings: vertical rules of tables, not the sides of one row of boxes, and `others`."""
    posts = list(others)
    box_rows = _box_rows(rules)
    for post in rules.verticals:
        if any(f.x - 3 <= post.x <= f.right + 3 and f.y - 3 <= post.center[1] <= f.bottom + 3 for f in box_rows):
            continue
        posts.append(Box(post.x, post.y - 4, post.width, post.height + 8))
    if table is not None:
        posts.extend(table.walls())
    return Barriers(tuple(posts))


def _find_table(rules: RulingLines, shape: tuple[int, int]) -> RuledTable | None:
    """Rows and columns of the largest ruled table; None where there is none."""
    tables = [f for f, (rows, _) in zip(rules.frames, rules.frame_cells, strict=True) if rows >= 2]
    if not tables:
        return None
    frame = max(tables, key=lambda f: f.width * f.height)
    if frame.width * frame.height < 0.05 * shape[0] * shape[1]:
        return None
    return RuledTable.of(rules.horizontals, rules.verticals, frame, rule_length(shape))


def _drop_teeth(
    strings: list[StringMarks], boxes: NDArray[np.int32], rules: RulingLines
) -> tuple[list[StringMarks], list[Box]]:
    """Leave out comb teeth that stand on a horizontal rule; gives the strings without them, and the teeth."""
    if not rules.horizontals:
        return strings, []
    thin = max(3.0, 1.6 * rules.thickness_px + 1)
    floors = np.array([[r.x, r.y, r.right, r.bottom] for r in rules.horizontals]).reshape(-1, 4)
    kept, teeth = [], []
    for string in strings:
        characters = []
        for index in string.characters:
            x, y, w, h = (int(v) for v in boxes[index])
            if w <= thin:
                below = (floors[:, 0] <= x + w) & (floors[:, 2] >= x)
                at_foot = np.minimum(np.abs(floors[:, 1] - (y + h)), np.abs(floors[:, 3] - y)) <= thin + 2
                if bool((below & at_foot).any()):
                    teeth.append(Box(x, y, w, h))
                    continue
            characters.append(index)
        if characters:
            kept.append(StringMarks(characters, string.marks, string.height, string.box))
    return kept, teeth


def _without_hairlines(
    found: Components, rules: RulingLines, typical: float, *, table: bool
) -> tuple[Components, list[Box]]:
    """Blank the remains of broken vertical rules: hairlines much higher than text, and those in line with one.

    Returns the components, remains with area 0, and the remains as boxes.
    """
    if not len(found) or typical <= 0:
        return found, []
    x, w, h = found.boxes[:, 0], found.boxes[:, 2], found.boxes[:, 3]
    thin = w <= max(3.0, 0.2 * typical)
    tall = thin & (h > 1.8 * typical)
    posts = [*rules.verticals, *(found.box(int(k)) for k in np.flatnonzero(tall))]
    slim = np.flatnonzero(thin & ~tall & (h >= 3 * w))
    if not posts and not len(slim):
        return found, []
    # Rules lean and bow: a remain lies in line with a piece that ends not far above or below it.
    reach, apart = 3 * typical, max(3.0, 0.15 * typical)
    middle = np.array([p.center[0] for p in posts])
    top, bottom = np.array([p.y for p in posts]) - reach, np.array([p.bottom for p in posts]) + reach
    residue = tall.copy()
    slim_x, slim_y = x[slim] + w[slim] / 2, found.boxes[slim, 1] + h[slim] / 2
    for k, at_x, at_y in zip(slim, slim_x, slim_y, strict=True):
        in_line = (np.abs(middle - at_x) <= apart) & (top <= at_y) & (at_y <= bottom)
        # In a table, several hairlines one below the other are a rule that printed badly.
        fellows = (np.abs(slim_x - at_x) <= apart) & (np.abs(slim_y - at_y) <= 2 * reach)
        residue[k] = bool(in_line.any()) or (table and fellows.sum() >= 4)
    boxes = [found.box(int(k)) for k in np.flatnonzero(residue)]
    return replace(found, areas=np.where(residue, 0, found.areas)), boxes


def _number_fields(rules: RulingLines, teeth: list[Box]) -> list[Box]:
    """Places that hold ONE number however far apart its digits are: rows of boxes, and combs."""
    fields = _box_rows(rules)
    for floor in rules.horizontals:
        own = [t for t in teeth if floor.x - 4 <= t.x <= floor.right + 4 and abs(t.bottom - floor.y) <= t.height]
        if len(own) >= 3:
            pitch = floor.width / (len(own) - 1)
            high = round(1.6 * pitch)
            fields.append(Box(floor.x, floor.y - high, floor.width, high + floor.height))
    return fields


def _join_in_fields(strings: list[StringMarks], fields: list[Box]) -> list[StringMarks]:
    """Make the strings that stand in one number field one string."""
    owner: dict[int, int] = {}
    for k, string in enumerate(strings):
        x, y = string.box.center
        for number, f in enumerate(fields):
            # Labels printed in or over a field are much wider or lower than a digit of it.
            if f.x <= x <= f.right and f.y <= y <= f.bottom and string.height > 0.3 * f.height:
                owner[k] = number
                break
    joined = [string for k, string in enumerate(strings) if k not in owner]
    for number in dict.fromkeys(owner.values()):
        members = sorted((strings[k] for k, o in owner.items() if o == number), key=lambda m: m.box.x)
        joined.append(merge_strings(members))
    return joined


def find_lattices(
    page: BinaryPage, rules: RulingLines, layout: Layout, look: Observer = unobserved
) -> tuple[list[StringLattice], bool]:
    """All strings of a page with their hypotheses, in reading order, and whether a ruled table was found."""
    found = label(page.mask)
    look("components", found)
    shape = (page.mask.shape[0], page.mask.shape[1])
    if layout is Layout.LINE or layout is Layout.DIGIT:
        string = one_string(found, shape)
        if string is None:
            return [], False
        if layout is Layout.DIGIT:
            return [whole_lattice(string, found, page.ink)], False
        lattices = build_lattices([string], found, page.ink)
        look("lattices", lattices)
        return lattices, False
    keep = character_like(found, shape)
    if keep.sum() > MAX_CHARACTERS:  # noise, grass, a carpet: time and memory stay bounded
        keep &= found.areas >= np.sort(found.areas[keep])[-MAX_CHARACTERS]
    heights = found.boxes[keep, 3]
    typical = float(np.median(heights)) if len(heights) else 0.0
    found, hairlines = _without_hairlines(found, rules, typical, table=layout is Layout.TABLE)
    keep &= found.areas > 0
    brackets = find_brackets(found, keep)
    keep &= ~brackets
    table = _find_table(rules, shape) if layout in (Layout.AUTO, Layout.TABLE) else None
    barriers = _barriers(rules, table, [*hairlines, *(found.box(int(k)) for k in np.flatnonzero(brackets))])
    if layout is Layout.TABLE:
        near = (found.areas >= 6) & (found.boxes[:, 3] < 2.5 * max(typical, 1.0))
        barriers = replace(barriers, lanes=tuple(corridors(found.boxes[near], typical)))
    gap = natural_gap(found, keep) if layout is Layout.TABLE else 0.75
    strings = find_strings(found, keep, barriers, gap=gap)
    strings, teeth = _drop_teeth(strings, found.boxes, rules)
    strings = _join_in_fields(strings, _number_fields(rules, teeth))
    strings = [strings[k] for k in reading_order([s.box for s in strings])]
    lattices = build_lattices(strings, found, page.ink)
    if table is not None:
        cells = table.cells_of([lattice.box for lattice in lattices])
        lattices = [
            lattice if cell is None else replace(lattice, row=cell[0], column=cell[1])
            for lattice, cell in zip(lattices, cells, strict=True)
        ]
    look("lattices", lattices)
    return lattices, table is not None
