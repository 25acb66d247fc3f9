"""Strings to hypotheses: pieces, cuts through touching digits, and joins of broken ones.

The pieces of a string, left to right, are the nodes of a lattice; every run of neighbouring pieces that could
be one digit is a candidate. Which run is one, the decoder says (LeCun et al. 1998, sections VI and VII).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.geometry import union
from digitscan.core.types import Box, Candidate, Ink
from digitscan.segmentation.components import Components, cut_out
from digitscan.segmentation.strings import StringMarks

MAX_JOINED = 4
"""Most pieces in one candidate."""
MAX_CUTS = 24
"""Most cuts through one component."""
_SEAM_ROWS = 28
"""Rows at which paths are sought: enough to see strokes, few enough to be quick."""
_SEAM_LIMIT = 0.45
"""Most ink that a cut may cross, in heights of a digit."""
_SEAM_SPACING = 0.16
"""Least distance between two cuts, in heights of a digit."""
_ASIDE = 0.25
"""Price of a step aside, in pixels of ink."""
_SLANT_POINTS = 4000
"""Ink pixels, evenly taken, that tell a string's slant."""


class Seam(NamedTuple):
    """A cut: its sheared column in each row of a component, (h,) float64, and the ink it crosses, in heights."""

    columns: NDArray[np.float64]
    ink: float


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
    """

    box: Box
    height: float
    pieces: list[Piece]
    candidates: list[Candidate]
    row: int | None = None
    column: int | None = None


def _paste(parts: list[tuple[Box, Ink]]) -> tuple[Box, Ink]:
    """One ink from several."""
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
    _, canvas = _paste(parts)
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


def find_cuts(ink: Ink, height: float, slant: float) -> list[Seam]:
    """Ways to part a component that may be two digits: paths from top to bottom that cross little ink.

    A path bends around strokes at a small price, so it finds its way between digits that lean over each other,
    and crosses the stroke that joins them once.

    Parameters
    ----------
    ink : (h, w) uint8
        Soft ink of one component.
    height : float
        Typical height of the string's digits in pixels.
    slant : float
        As `string_slant` gives it.

    Returns
    -------
    list of Seam
        Left to right by their means, none nearer than a fifth of a digit to an end.

    References
    ----------
    Wang and Jean 1993, Segmentation of merged characters by neural networks and shortest path (Pattern
    Recognition 27(5), 1994): the cut as the shortest path through ink.
    """
    sheared = _shear(ink, slant)
    rows = ink.shape[0]
    scale = min(1.0, _SEAM_ROWS / rows)
    small = sheared
    if scale < 1.0:
        size = (max(1, round(sheared.shape[1] * scale)), _SEAM_ROWS)
        small = np.asarray(cv2.resize(sheared, size, interpolation=cv2.INTER_AREA), np.uint8)
    inked = np.flatnonzero(small.max(axis=0) > 60)
    if not len(inked):
        return []
    first, last = int(inked[0]), int(inked[-1])
    margin = max(1.0, 0.18 * height * scale)
    if last - first < 2 * margin + 2:
        return []
    total, paths = _cheapest_paths(small)
    middles = paths.mean(axis=0)
    unit = 1.0 / (height * scale)
    spacing = max(1.0, _SEAM_SPACING * height * scale)
    most = min(MAX_CUTS, max(1, round(1.7 * (last - first) * unit / 0.55)))
    chosen: list[int] = []
    for x in np.argsort(total, kind="stable"):
        if total[x] * unit > _SEAM_LIMIT or len(chosen) >= most:
            break
        at = middles[x]
        if first + margin <= at <= last - margin and all(abs(at - middles[k]) > spacing for k in chosen):
            chosen.append(int(x))
    chosen.sort(key=lambda k: float(middles[k]))
    full = np.arange(rows) + 0.5
    at_rows = (np.arange(small.shape[0]) + 0.5) / scale
    return [Seam(np.interp(full, at_rows, (paths[:, k] + 0.5) / scale), float(total[k] * unit)) for k in chosen]


def _cheapest_paths(ink: Ink) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For every column at the foot the path from the top that crosses the least ink, a column aside a row.

    Returns
    -------
    total : (w,) float64
        Ink crossed in pixels, with what moving aside costs.
    paths : (h, w) int64
        Column of each path in each row.
    """
    cost = ink.astype(np.float64) / 255.0
    height, width = cost.shape
    best = cost[0].copy()
    came = np.zeros((height, width), np.int8)
    ways = np.full((3, width), np.inf)
    for y in range(1, height):
        ways[0, 1:] = best[:-1] + _ASIDE
        ways[1] = best
        ways[2, :-1] = best[1:] + _ASIDE
        # Straight on wins ties: of equal paths the straightest is the one a person would draw.
        choice = np.where(ways[1] <= np.minimum(ways[0], ways[2]), 1, np.where(ways[0] <= ways[2], 0, 2))
        came[y] = choice - 1
        best = ways.min(axis=0) + cost[y]
    paths = np.empty((height, width), np.int64)
    paths[-1] = np.arange(width)
    for y in range(height - 1, 0, -1):
        paths[y - 1] = paths[y] + came[y, paths[y]]
    return best, paths


def _offset(height: int, slant: float) -> float:
    """What keeps sheared columns from going below zero when the writing leans left."""
    return max(-slant, 0.0) * height


def _shear(ink: Ink, slant: float) -> Ink:
    """Ink with its slant taken out: pixel (x, y) goes to column ``x + slant * y + offset``."""
    height, width = ink.shape
    matrix = np.array([[1, slant, _offset(height, slant)], [0, 1, 0]], np.float64)
    size = (int(width + abs(slant) * height) + 1, height)
    return np.asarray(cv2.warpAffine(ink, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)


def split(box: Box, ink: Ink, cuts: list[Seam], slant: float) -> list[tuple[Box, Ink, float]]:
    """Part an ink at its cuts; every pixel goes to exactly one part, empty parts are left out.

    Each part comes with the ink that the cut before it crosses, in heights; 0 for the first.
    """
    if not cuts:
        return [(box, ink, 0.0)]
    ys, xs = np.mgrid[0 : ink.shape[0], 0 : ink.shape[1]].astype(np.float32)
    columns = xs + slant * ys + _offset(ink.shape[0], slant)
    side = np.zeros(ink.shape, np.int64)
    for seam in cuts:
        side += columns >= seam.columns[:, None]
    parts: list[tuple[Box, Ink, float]] = []
    for index in range(len(cuts) + 1):
        own = np.where(side == index, ink, np.uint8(0))
        x, y, w, h = cv2.boundingRect(own)
        if w and int(own.max()) > 60:
            crossed = cuts[index - 1].ink if parts else 0.0
            parts.append((Box(box.x + x, box.y + y, w, h), np.ascontiguousarray(own[y : y + h, x : x + w]), crossed))
    return parts


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
                merged[-1] = _paste([(last, last_ink), (box, ink)])
                continue
        merged.append((box, ink))
    return merged


def _pieces(string: StringMarks, found: Components, ink: Ink) -> list[Piece]:
    parts = [_cut_component(found, ink, index) for index in string.characters]
    height = string.height
    bits = []
    for index in string.marks:
        box = found.box(index)
        # Bits as high as a third of the digits, or lying over one, may be a digit's own; points are not.
        if box.height > 0.3 * height or box.width > 0.3 * height:
            bits.append(_cut_component(found, ink, index))
    parts = _merge_overlapping(parts + bits, height)
    # Writing that leans is wider than it would be upright: where nothing is wide, nothing will be cut.
    slant = string_slant(parts) if any(box.width > 0.68 * height for box, _ in parts) else 0.0
    usual = float(np.median([box.width for box, _ in parts]))
    pieces: list[Piece] = []
    for box, own in parts:
        small = box.height < 0.45 * height
        upright = box.width - abs(slant) * box.height
        # In a long string the usual width tells which components are two digits; in a short one only the shape.
        limit = 1.25 if upright < 0.95 * height else 1.1 if len(parts) >= 10 else 0.0
        wide = (upright > 0.68 * height or box.width > 1.2 * height) and (len(parts) < 6 or box.width > limit * usual)
        cuts = find_cuts(own, height, slant) if wide and not small else []
        for number, (part, part_ink, crossed) in enumerate(split(box, own, cuts, slant)):
            pieces.append(Piece(part, part_ink, number > 0, small or part.height < 0.3 * height, crossed))
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


def build_lattice(string: StringMarks, found: Components, ink: Ink, string_index: int) -> StringLattice:
    """Make every hypothesis of one string.

    Parameters
    ----------
    string : StringMarks
    found : Components
        Of the whole page.
    ink : (H, W) uint8
        Soft ink of the page.
    string_index : int
        Stored in each candidate.
    """
    pieces = _pieces(string, found, ink)
    candidates = []
    for start in range(len(pieces)):
        for stop in range(start + 1, min(start + MAX_JOINED, len(pieces)) + 1):
            if stop - start > 1 and not _may_join(pieces, start, stop, string.height):
                continue
            box, joined = _paste([(p.box, p.ink) for p in pieces[start:stop]])
            if int(joined.max()) > 0:
                candidates.append(Candidate(box, joined, string_index, (start, stop)))
    return StringLattice(string.box, string.height, pieces, candidates)


def whole_lattice(string: StringMarks, found: Components, ink: Ink) -> StringLattice:
    """A lattice with a single hypothesis: all ink of the string is ONE digit."""
    largest = max(int(found.areas[index]) for index in string.characters)
    # Bits of a broken digit are its own; specks far smaller than it are not.
    own = [i for i in (*string.characters, *string.marks) if found.areas[i] >= 0.08 * largest]
    box, joined = _paste([_cut_component(found, ink, index) for index in own])
    piece = Piece(box, joined, cut_before=False, small=False)
    return StringLattice(box, float(box.height), [piece], [Candidate(box, joined, 0, (0, 1))])
