"""Which marks of a page belong together: fields, tables and strings, found from rules and components.

BinaryPage and RulingLines ─ find_lattices ─> StringLattices in reading order
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from digitscan.core.observer import Observer, unobserved
from digitscan.core.types import BinaryPage, Box, Layout, Mask
from digitscan.imaging.rules import RulingLines, remove_rules
from digitscan.layout.brackets import find_brackets
from digitscan.layout.cells import join_in_cells, rows_of_text
from digitscan.layout.grid import corridors
from digitscan.layout.ledger import left_over
from digitscan.layout.strings import Barriers, character_like, edges_of, find_strings, natural_gap, reading_order
from digitscan.layout.structure import RuledStructure
from digitscan.layout.walls import find_remains, find_teeth
from digitscan.segmentation.components import label
from digitscan.segmentation.cuts import StringLattice, build_lattices, whole_lattice
from digitscan.segmentation.marks import one_string

MAX_CHARACTERS = 15_000
"""Marks of character size read on one page, the largest first: three times a page of dense print."""


def _barriers(rules: RulingLines, structure: RuledStructure, others: list[Box]) -> Barriers:
    """What parts strings: vertical rules, not the sides of boxes of one row, and `others`."""
    posts = list(others)
    rows = [structure.tables[k].frame for k in structure.box_rows]
    for post in rules.verticals:
        if any(f.x - 3 <= post.x <= f.right + 3 and f.y - 3 <= post.center[1] <= f.bottom + 3 for f in rows):
            continue
        posts.append(Box(post.x, post.y - 4, post.width, post.height + 8))
    posts.extend(structure.walls())
    return Barriers(tuple(posts))


def _without_strays(page: BinaryPage, rules: RulingLines, structure: RuledStructure) -> tuple[Mask, RulingLines, Mask]:
    """Give short strokes that lie on no line of their table back to the ink.

    Returns
    -------
    mask : (H, W) bool
        Ink without rules.
    rules : RulingLines
        Without such strokes.
    walls : (H, W) bool
        Ink of the lines of tables.
    """
    if rules.pixels is None or not structure.tables:
        return page.mask, rules, np.zeros_like(page.mask)
    across, down = structure.strays(rules)
    pixels, walls = rules.pixels.copy(), np.zeros_like(rules.pixels)
    for table in structure.tables:
        x, y, w, h = table.frame
        inside = np.s_[max(y - 3, 0) : y + h + 3, max(x - 3, 0) : x + w + 3]
        walls[inside] = rules.pixels[inside]
    reach = rules.thickness_px + 2
    given: tuple[set[int], set[int]] = (set(), set())
    for segments, places, back, horizontal in (
        (rules.horizontals, across, given[0], True),
        (rules.verticals, down, given[1], False),
    ):
        for k in places:
            x, y, w, h = segments[k]
            walls[y : y + h, x : x + w] = 0
            if not structure.is_wall(segments[k], reach, horizontal=horizontal):
                pixels[y : y + h, x : x + w] = 0
                back.add(k)
    walls = cv2.dilate(walls, np.ones((3, 3), np.uint8)).view(np.bool_)
    if not any(given):
        return page.mask, rules, walls
    kept = replace(
        rules,
        horizontals=[s for k, s in enumerate(rules.horizontals) if k not in given[0]],
        verticals=[s for k, s in enumerate(rules.verticals) if k not in given[1]],
        pixels=pixels,
    )
    return remove_rules(page.ruled, pixels, rules.thickness_px), kept, walls


def _combs(teeth: list[list[Box]]) -> list[Box]:
    """Combs as places that hold ONE number however far apart its digits are."""
    fields = []
    for own in teeth:
        left, right = own[0].x, own[-1].right
        pitch = (right - left) / max(len(own) - 1, 1)
        foot, high = max(t.bottom for t in own), round(1.6 * pitch)
        fields.append(Box(left, foot - high, right - left, high + 4))
    return fields


class PageLayout(NamedTuple):
    """What stands where on a page.

    Attributes
    ----------
    lattices : list of StringLattice
        All strings with their hypotheses, in reading order.
    table_found : bool
        There is a ruled table, and its strings have their cells.
    walls : (H, W) bool
        Ink of the lines of tables and boxes.
    """

    lattices: list[StringLattice]
    table_found: bool
    walls: Mask


def find_lattices(page: BinaryPage, rules: RulingLines, layout: Layout, look: Observer = unobserved) -> PageLayout:
    """All strings of a page with their hypotheses, by its rules and its marks."""
    no_walls = np.zeros_like(page.mask)
    shape = (page.mask.shape[0], page.mask.shape[1])
    if layout is Layout.LINE or layout is Layout.DIGIT:
        found = label(page.mask)
        look("components", found)
        string = one_string(found, shape)
        if string is None:
            return PageLayout([], False, no_walls)
        if layout is Layout.DIGIT:
            return PageLayout([whole_lattice(string, found, page.ink)], False, no_walls)
        lattices = build_lattices([string], found, page.ink)
        look("lattices", lattices)
        return PageLayout(lattices, False, no_walls)
    structure = RuledStructure.of(rules, page.ink)
    mask, rules, walls = _without_strays(page, rules, structure)
    found = label(mask)
    look("components", found)
    keep = character_like(found, shape)
    if keep.sum() > MAX_CHARACTERS:  # noise, grass, a carpet: time and memory stay bounded
        keep &= found.areas >= np.sort(found.areas[keep])[-MAX_CHARACTERS]
    heights = found.boxes[keep, 3]
    typical = float(np.median(heights)) if len(heights) else 0.0
    left = find_remains(found, keep, rules, structure, typical)
    remains = left.are
    teeth = find_teeth(found, rules, structure)
    combs = _combs([[found.box(k) for k in own] for own in teeth])
    toothed = np.zeros(len(found), bool)
    toothed[[k for own in teeth for k in own]] = True
    remains |= toothed
    keep &= ~remains
    brackets = find_brackets(found, keep)
    keep &= ~brackets
    found = replace(found, areas=np.where(remains, 0, found.areas))
    posts = [found.box(int(k)) for k in np.flatnonzero((brackets | remains) & ~toothed)]
    posts += [post for line in left.courses for post in line.posts(typical)]
    barriers = _barriers(rules, structure, posts)
    if layout is Layout.TABLE:
        near = (found.areas >= 6) & (found.boxes[:, 3] < 2.5 * max(typical, 1.0))
        barriers = replace(barriers, lanes=tuple(corridors(found.boxes[near], typical)))
    gap = natural_gap(found, keep) if layout is Layout.TABLE else 0.75
    strings = find_strings(found, keep, barriers, gap=gap)
    strings, cells = join_in_cells(strings, structure, found, combs)
    order = reading_order([s.box for s in strings])
    strings, cells = [strings[k] for k in order], [cells[k] for k in order]
    lattices = build_lattices(strings, found, page.ink)
    cell_of = structure.cells_of([found.box(k) for k in range(len(found))])
    strokes = left_over(strings, cells, found, brackets | remains, cell_of, edges_of(barriers.posts))
    lattices = [replace(own, left_over=stroke) for own, stroke in zip(lattices, strokes, strict=True)]
    numbered = layout in (Layout.AUTO, Layout.TABLE) and structure.main is not None
    if numbered:
        own = [cell if cell is not None and cell.table == structure.main else None for cell in cells]
        rows = rows_of_text([lattice.box for lattice in lattices], own, structure.tables[structure.main or 0])
        lattices = [
            lattice if cell is None else replace(lattice, row=row, column=cell.column)
            for lattice, cell, row in zip(lattices, own, rows, strict=True)
        ]
    look("lattices", lattices)
    return PageLayout(lattices, numbered, walls)
