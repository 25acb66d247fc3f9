"""Strings to hypotheses: pieces, cuts through touching digits, and joins of broken ones.

The pieces of a string, left to right, are the nodes of a lattice; every run of neighbouring pieces that could
be one digit is a candidate. Which run is one, the decoder says (LeCun et al. 1998, sections VI and VII).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from digitscan.core.geometry import union
from digitscan.core.types import Box, Candidate, Ink
from digitscan.segmentation.components import Components, cut_out
from digitscan.segmentation.marks import StringMarks
from digitscan.segmentation.seams import Seam, find_cuts, split

MAX_JOINED = 4
"""Most pieces in one candidate."""
_SLANT_POINTS = 4000
"""Ink pixels, evenly taken, that tell a string's slant."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A component, or a part of one between two cuts.

    Attributes
    ----------
    box : Box
        In pixels of the binary page.
    ink : (h, w) uint8
        Soft ink of this piece alone, the size of `box`.
    cut_before : bool
        The piece was cut from the one before it.
    cut_ink : float
        Ink that this cut crosses, in heights of a digit; 0 where there is none.
    small : bool
        Much lower than the string: a point, a dash, or a broken bit.
    """

    box: Box
    ink: Ink
    cut_before: bool
    small: bool
    cut_ink: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class StringLattice:
    """All hypotheses of one string.

    Attributes
    ----------
    box : Box
        Of the whole string, in pixels of the binary page.
    height : float
        Typical height of its characters in pixels.
    pieces : list of Piece
        Left to right.
    candidates : list of Candidate
        Their spans index `pieces`.
    row, column : int or None
        Cell of a table, 1-based.
    ink : (Box, (h, w) uint8)
        Where all marks of the string lie, and their soft ink alone: no rules, no neighbours.
    marked : bool
        There are marks much lower than a digit beside, between or over the digits: points, dashes, or specks.
    left_over : Box or None
        The largest stroke of digit size beside the string that is part of no number.
    """

    box: Box
    height: float
    pieces: list[Piece]
    candidates: list[Candidate]
    ink: tuple[Box, Ink]
    row: int | None = None
    column: int | None = None
    marked: bool = False
    left_over: Box | None = None


def paste_inks(parts: list[tuple[Box, Ink]]) -> tuple[Box, Ink]:
    """One ink from several, each with its box."""
    if len(parts) == 1:
        return parts[0]
    box = union(part for part, _ in parts)
    canvas = np.zeros((box.height, box.width), np.uint8)
    for part, ink in parts:
        region = canvas[part.y - box.y : part.bottom - box.y, part.x - box.x : part.right - box.x]
        np.maximum(region, ink, out=region)
    return box, canvas


def _cut_component(found: Components, ink: Ink, index: int) -> tuple[Box, Ink]:
    """Soft ink of one component, on a box one pixel larger where the page allows."""
    box = found.box(index)
    alone = cut_out(ink, found.labels, [index + 1], box)
    return Box(max(box.x - 1, 0), max(box.y - 1, 0), alone.shape[1], alone.shape[0]), alone


def string_slant(parts: list[tuple[Box, Ink]]) -> float:
    """Slant of a string's writing: horizontal shift per pixel of height, positive leaning right.

    The slant at which upright strokes stand most upright: the sheared ink's columns are sharpest.
    """
    _, canvas = paste_inks(parts)
    height, width = canvas.shape
    if height < 10:
        return 0.0
    if height > 48:
        canvas = cv2.resize(canvas, (max(1, width * 48 // height), 48), interpolation=cv2.INTER_AREA)
        height = 48
    ys, xs = np.nonzero(canvas > 100)
    if len(xs) < 20:
        return 0.0
    step = len(xs) // _SLANT_POINTS + 1
    xs, ys = xs[::step], ys[::step]
    slants = np.arange(-0.4, 0.85, 0.1)
    columns = (xs + slants[:, None] * (ys - height) + height).astype(np.int64)
    span = int(columns.max()) + 1
    rows = columns + np.arange(len(slants))[:, None] * span
    counts = np.bincount(rows.ravel(), minlength=len(slants) * span).reshape(len(slants), span).astype(np.float64)
    scores = (counts**2).sum(axis=1) * (1.0 - 0.08 * np.abs(slants))
    return float(slants[int(scores.argmax())])


def _merge_overlapping(parts: list[tuple[Box, Ink]], height: float) -> list[tuple[Box, Ink]]:
    """Join a component with a smaller one above or below it: the bar of a 5, a broken 8."""
    merged: list[tuple[Box, Ink]] = []
    for box, ink in sorted(parts, key=lambda p: (p[0].x, p[0].y)):
        if merged:
            last, last_ink = merged[-1]
            overlap = min(last.right, box.right) - max(last.x, box.x)
            narrow = min(last.width, box.width)
            both_tall = min(last.height, box.height) > 0.62 * height
            if overlap > 0.5 * narrow and not both_tall and max(last.right, box.right) - last.x < 1.5 * height:
                merged[-1] = paste_inks([(last, last_ink), (box, ink)])
                continue
        merged.append((box, ink))
    return merged


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """A string's components, and which of them may be several digits."""

    parts: list[tuple[Box, Ink]]
    slant: float
    wide: list[int]
    all_ink: tuple[Box, Ink]


def _parts(string: StringMarks, found: Components, ink: Ink) -> _Parts:
    parts = [_cut_component(found, ink, index) for index in string.characters]
    height = string.height
    marks = [_cut_component(found, ink, index) for index in string.marks]
    all_ink = paste_inks([*parts, *marks])
    # Bits as high as a third of the digits, or lying over one, may be a digit's own; points are not.
    bits = [(box, bit) for box, bit in marks if max(box.height, box.width) - 2 > 0.3 * height]
    parts = _merge_overlapping(parts + bits, height)
    # Writing that leans is wider than it would be upright: where nothing is wide, nothing will be cut.
    slant = string_slant(parts) if any(box.width > 0.68 * height for box, _ in parts) else 0.0
    usual = float(np.median([box.width for box, _ in parts]))
    wide = []
    for index, (box, _) in enumerate(parts):
        upright = box.width - abs(slant) * box.height
        # In a long string the usual width tells which components are two digits; in a short one only the shape.
        limit = 1.25 if upright < 0.95 * height else 1.1 if len(parts) >= 10 else 0.0
        broad = upright > 0.68 * height or box.width > 1.2 * height
        if broad and not _is_small(box, height) and (len(parts) < 6 or box.width > limit * usual):
            wide.append(index)
    return _Parts(parts, slant, wide, all_ink)


def _is_small(box: Box, height: float, base: float = np.inf) -> bool:
    """Much lower than its string: a point, a dash, or a broken bit; or a comma, which hangs below the base line."""
    hangs = box.bottom > base + 0.1 * height and box.y > base - 0.55 * height
    return box.height < (0.75 if hangs else 0.45) * height


def _base_line(parts: Sequence[tuple[Box, Ink]], height: float) -> float:
    """Where the digits of a string stand, in pixels from the top of the page."""
    feet = [box.bottom for box, _ in parts if box.height >= 0.75 * height]
    return float(np.median(feet)) if len(feet) >= 2 else np.inf


def _pieces(string: StringMarks, parts: _Parts, cuts: dict[int, list[Seam]]) -> list[Piece]:
    pieces: list[Piece] = []
    base = _base_line(parts.parts, string.height)
    for index, (box, own) in enumerate(parts.parts):
        small = _is_small(box, string.height, base)
        for number, (part, part_ink, crossed) in enumerate(split(box, own, cuts.get(index, []), parts.slant)):
            low = small or part.height < 0.3 * string.height
            pieces.append(Piece(part, part_ink, number > 0, low, crossed))
    return pieces if _in_order(pieces) else _reordered(pieces)


def _in_order(pieces: list[Piece]) -> bool:
    return all(a.box.center[0] <= b.box.center[0] for a, b in pairwise(pieces))


def _reordered(pieces: list[Piece]) -> list[Piece]:
    """Pieces by their middles: the parts of a long component may lie on both sides of another one."""
    follows = {id(b): a for a, b in pairwise(pieces) if b.cut_before}
    ordered = sorted(pieces, key=lambda p: p.box.center[0])
    return [
        p if not p.cut_before or (k > 0 and follows[id(p)] is ordered[k - 1]) else replace(p, cut_before=False)
        for k, p in enumerate(ordered)
    ]


def _may_join(pieces: list[Piece], start: int, stop: int, height: float) -> bool:
    """Whether pieces start..stop-1 could be one digit."""
    if stop - start == 1:
        return True
    run = pieces[start:stop]
    width = max(p.box.right for p in run) - min(p.box.x for p in run)
    if width > 1.55 * height:
        return False
    for before, after in pairwise(run):
        if after.cut_before:
            continue
        gap = after.box.x - before.box.right
        whole = before.box.height > 0.7 * height and after.box.height > 0.7 * height
        if gap > (0.05 if whole else 0.22) * height or width > 1.15 * height:
            return False
    return True


def build_lattices(strings: Sequence[StringMarks], found: Components, ink: Ink) -> list[StringLattice]:
    """Make every hypothesis of every string of a page; the cuts of all are sought together.

    Parameters
    ----------
    strings : sequence of StringMarks
    found : Components
        Of the whole page.
    ink : (H, W) uint8
        Soft ink of the page.
    """
    parted = [_parts(string, found, ink) for string in strings]
    asked = [(number, index) for number, parts in enumerate(parted) for index in parts.wide]
    seams = find_cuts([(parted[n].parts[k][1], strings[n].height, parted[n].slant) for n, k in asked])
    cuts: list[dict[int, list[Seam]]] = [{} for _ in strings]
    for (number, index), own in zip(asked, seams, strict=True):
        cuts[number][index] = own
    return [
        _lattice(string, _pieces(string, parts, own), parts, number)
        for number, (string, parts, own) in enumerate(zip(strings, parted, cuts, strict=True))
    ]


def _lattice(string: StringMarks, pieces: list[Piece], parts: _Parts, string_index: int) -> StringLattice:
    candidates = []
    for start in range(len(pieces)):
        for stop in range(start + 1, min(start + MAX_JOINED, len(pieces)) + 1):
            if stop - start > 1 and not _may_join(pieces, start, stop, string.height):
                continue
            box, joined = paste_inks([(p.box, p.ink) for p in pieces[start:stop]])
            if int(joined.max()) > 0:
                candidates.append(Candidate(box, joined, string_index, (start, stop)))
    base = _base_line(parts.parts, string.height)
    marked = bool(string.marks) or any(_is_small(box, string.height, base) for box, _ in parts.parts)
    return StringLattice(string.box, string.height, pieces, candidates, parts.all_ink, marked=marked)


def whole_lattice(string: StringMarks, found: Components, ink: Ink) -> StringLattice:
    """A lattice with a single hypothesis: all ink of the string is ONE digit."""
    largest = max(int(found.areas[index]) for index in string.characters)
    # Bits of a broken digit are its own; specks far smaller than it are not.
    own = [i for i in (*string.characters, *string.marks) if found.areas[i] >= 0.08 * largest]
    box, joined = paste_inks([_cut_component(found, ink, index) for index in own])
    piece = Piece(box, joined, cut_before=False, small=False)
    return StringLattice(box, float(box.height), [piece], [Candidate(box, joined, 0, (0, 1))], (box, joined))
