"""Ruling lines, boxes and combs: found, remembered, removed, and the strokes that crossed them repaired."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box, GrayImage, Ink, Mask
from digitscan.imaging.binarize import MIN_CONTRAST, InkLevels, binarize, soft_ink
from digitscan.imaging.reduce import shrink_by

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleParameters:
    """What tells printed lines from strokes of digits; a length is that of a page's shortest run.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    level_share: float = 0.16
    """Where between paper and typical ink the level for rules lies: many are printed pale. [share; tried]"""
    length_share: float = 0.023
    """Shortest run on a page: 7 mm on A4, more than a stroke. [shares of the long side; tried]"""
    least_length: int = 28
    """The same, at the least. [pixels; tried]"""
    most_length: int = 90
    """The same, at the most. [pixels; tried]"""
    down_share: float = 0.75
    """Shortest vertical run: sides of boxes are low. [lengths; tried]"""
    long: float = 2.8
    """No stroke of a digit is so long, wherever it stands. [lengths; tried]"""
    beyond_doubt: int = 3
    """A run from which its group is a rule, whatever else it looks like. [long runs; tried]"""
    thick_share: float = 0.4
    """Thicker runs are blocks. [lengths; tried]"""
    least_thick: int = 5
    """The same, at the least. [pixels; tried]"""
    outer_cover: float = 0.7
    """How much of a group's side the two outermost lines cover. [share; tried]"""
    inner_cover: float = 0.3
    """How much of it makes an inner line: those of a table may span one block only. [share; tried]"""
    group_length: float = 1.2
    """Smaller groups are no rules. [lengths; tried]"""
    hollow_side: float = 0.5
    """Groups that are higher and wider than this are boxes or blocks. [lengths; tried]"""
    hollow_ink: float = 0.45
    """Ink in a box, at the most; a bold 8 has more. [shares of its area; tried]"""
    longest: tuple[float, ...] = (0.0, 0.2, 0.5, 0.8)
    """Lines at least so long are looked at for a box, one share after the other. [shares of the longest; tried]"""
    closed_side: float = 0.9
    """Side of a box that is closed, at the least. [lengths; tried]"""
    closed_thick: float = 0.1
    """Its lines, at the most: the strokes of an 8 are thick for its size. [shares of its side; tried]"""
    usual_thick: float = 1.25
    """How much thicker than the page's lines a doubtful one may be; a pixel is always allowed. [ratio; tried]"""
    bold: float = 2.5
    """How much thicker a line may be that ends at others: a box may have one bold side. [thicknesses; tried]"""
    thin: float = 1.5
    """How much thicker a line may be that goes on one of those. [thicknesses; tried]"""
    beside: float = 1.2
    """How far beside it such a line may lie. [thicknesses; tried]"""
    least_beside: float = 3.0
    """The same, at the least. [pixels; tried]"""
    bowed: float = 2.5
    """Height of a line from which it bows or falls; two pixels are added. [thicknesses; tried]"""
    bridge: int = 5
    """How much wider than a rule the gap is over which strokes are joined again. [pixels; tried]"""
    across: int = 20
    """Up to which a line's thickness is followed, on either side. [pixels; cost alone]"""
    places: int = 9
    """Along a line, at which its thickness is measured. [bare; cost alone]"""
    string_run: tuple[int, int] = (14, 60)
    """In an image that is one string, a run is half its height, within these. [pixels; tried]"""
    string_cover: float = 0.4
    """Part of its width that a line in it has. [share; tried]"""
    string_fall: float = 0.12
    """How much such a line may fall; four pixels are added. [shares of its height; tried]"""
    string_post: float = 0.85
    """Height of a post at its ends. [shares of its height; tried]"""
    least_post: int = 12
    """The same, at the least; smaller images have no rules. [pixels; tried]"""
    string_end: float = 0.03
    """Where its ends are. [shares of its width; tried]"""


_P = RuleParameters()


@dataclass(frozen=True, slots=True, eq=False)
class RulingLines:
    """The printed lines of a page.

    Attributes
    ----------
    horizontals, verticals : list of Box
        One a line segment, in pixels of the binary page.
    frames : list of Box
        Connected line work: a box, a row of boxes, a table.
    frame_cells : list of (int, int)
        How many rows and columns of cells each frame has.
    thickness_px : float
        Typical line thickness.
    pixels : (H, W) uint8 or None
        1 where their ink is.
    """

    horizontals: list[Box] = field(default_factory=list)
    verticals: list[Box] = field(default_factory=list)
    frames: list[Box] = field(default_factory=list)
    frame_cells: list[tuple[int, int]] = field(default_factory=list)
    thickness_px: float = 0.0
    pixels: Pixels | None = None


def rule_length(shape: tuple[int, int]) -> int:
    """Shortest straight run, in pixels, that may be part of a rule on a page of this size."""
    return int(np.clip(_P.length_share * max(shape), _P.least_length, _P.most_length))


def _boxes(pixels: Pixels) -> NDArray[np.int32]:
    """(N, 4) boxes of connected components, by their outlines: faster than labelling a page of few lines."""
    contours, _ = cv2.findContours(pixels, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return np.array([cv2.boundingRect(c) for c in contours], np.int32).reshape(-1, 4)


def _runs(pixels: Pixels, length: int, *, horizontal: bool, thickest: int = 0) -> Pixels:
    """Ink in straight runs of at least `length`, thin ones only: a solid block is no line."""
    thickest = thickest or max(_P.least_thick, round(_P.thick_share * length))
    along, across = ((1, length), (thickest, 1)) if horizontal else ((length, 1), (1, thickest))
    runs = cv2.morphologyEx(pixels, cv2.MORPH_OPEN, np.ones(along, np.uint8))
    if not runs.any():
        return np.asarray(runs, np.uint8)
    thick = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones(across, np.uint8))
    return np.asarray(cv2.subtract(runs, thick), np.uint8)


def _levels(positions: NDArray[np.int32], lengths: NDArray[np.int32], side: int, apart: float) -> int:
    """How many lines a group has: clusters of segments that together cover most of the group's side.

    Inner lines of a table may span one block only; less of the side makes a line there, as long as the two outermost
    cover most of it.
    """
    if len(positions) < 2:
        return 0
    order = np.argsort(positions)
    groups = np.split(order, np.flatnonzero(np.diff(positions[order]) > apart) + 1)
    covers = [lengths[group].sum() / max(side, 1) for group in groups]
    if sum(cover >= _P.outer_cover for cover in covers) < 2:
        return 0
    return sum(cover >= _P.inner_cover for cover in covers)


def _line_rules(pixels: Pixels) -> Pixels:
    """Rules of an image that is one string: lines along a good part of its width, and posts at its ends.

    A line that falls a little is many short runs, each a row lower: runs that nearly touch count together.
    """
    height, width = pixels.shape
    across = _runs(pixels, int(np.clip(0.5 * height, *_P.string_run)), horizontal=True)
    joined = cv2.dilate(across, np.ones((3, 15), np.uint8))
    count, groups, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    for group in range(1, count):
        _, _, w, h, _ = stats[group]
        if w < _P.string_cover * width or h > 4 + _P.string_fall * height:
            across[groups == group] = 0
    down = _runs(pixels, max(_P.least_post, int(_P.string_post * height)), horizontal=False)
    end = max(3, int(_P.string_end * width))
    middle = slice(end, width - end)
    down[:, middle] = 0
    return np.asarray(cv2.bitwise_or(across, down), np.uint8)


def _thickness(pixels: Pixels, runs: Pixels, boxes: NDArray[np.int32], *, horizontal: bool) -> NDArray[np.float64]:
    """Ink across each line, (N,) in pixels, the median of many places: one that falls or bows is no thicker for it."""
    if not len(boxes):
        return np.zeros(0)
    if not horizontal:
        pixels, runs, boxes = pixels.T, runs.T, boxes[:, [1, 0, 3, 2]]
    left, top, width, height = (boxes[:, k].astype(np.int64)[:, None] for k in range(4))
    columns = left + (np.arange(_P.places) + 0.5) * width // _P.places
    columns = columns.astype(np.int64)
    # Where in its box the line runs there, looked for at so many levels.
    levels = np.arange(_P.across)
    places = top[:, :, None] + levels * np.maximum(height[:, :, None] - 1, 0) // (_P.across - 1)
    rows = np.take_along_axis(places, runs[places, columns[:, :, None]].argmax(axis=2)[:, :, None], axis=2)
    steps, last = 1 + levels, pixels.shape[0] - 1
    below = np.cumprod(pixels[np.minimum(rows + steps, last), columns[:, :, None]], axis=2)
    above = np.cumprod(pixels[np.maximum(rows - steps, 0), columns[:, :, None]], axis=2)
    return np.asarray(np.median(1.0 + below.sum(axis=2) + above.sum(axis=2), axis=1), np.float64)


def _typical_thickness(thickness: NDArray[np.float64], weight: NDArray[Any]) -> float:
    """Median thickness of lines, each counted by its weight."""
    order = np.argsort(thickness)
    total = np.cumsum(weight[order])
    return float(thickness[order][int(np.searchsorted(total, total[-1] / 2))])


def _keep_lines(
    runs: Pixels,
    others: Pixels,
    boxes: NDArray[np.int32],
    thick: NDArray[np.float64],
    thickness: float,
    long: int,
    *,
    horizontal: bool,
) -> NDArray[np.int32]:
    """Take straight strokes of digits that cross a rule out of `runs`, in place; gives the boxes that are left.

    A run is a line when it is long, when it ends at other lines on both sides, or when it is thin and continues
    one of those. The stem of a 1 that stands on a rule is none of these.
    """
    reach = max(3, round(2 * thickness))
    sure = np.zeros(len(boxes), bool)
    for index, box in enumerate(boxes):
        x, y, w, h = (int(v) for v in box)
        if horizontal:
            ends = (
                others[y : y + h, max(x - reach, 0) : x + reach],
                others[y : y + h, max(x + w - reach, 0) : x + w + reach],
            )
        else:
            ends = (
                others[max(y - reach, 0) : y + reach, x : x + w],
                others[max(y + h - reach, 0) : y + h + reach, x : x + w],
            )
        of_a_line = thick[index] <= _P.bold * thickness + 1
        sure[index] = (w if horizontal else h) >= long or (of_a_line and all(bool(end.any()) for end in ends))
    axis = 1 if horizontal else 0
    middles = boxes[:, axis] + boxes[:, axis + 2] / 2
    lines = np.sort(middles[sure])
    thin = thick <= _P.thin * thickness + 1
    if len(lines):
        place = np.searchsorted(lines, middles)
        apart = np.minimum(
            np.abs(middles - lines[np.maximum(place - 1, 0)]),
            np.abs(middles - lines[np.minimum(place, len(lines) - 1)]),
        )
        sure |= thin & (apart <= max(_P.least_beside, _P.beside * thickness))
    for x, y, w, h in boxes[~sure]:
        runs[y : y + h, x : x + w] = 0
    return boxes[sure]


def _straight_pieces(runs: Pixels, boxes: NDArray[np.int32], thickness: float, length: int) -> NDArray[np.int32]:
    """Part lines that bow or fall into pieces of about `length` that say where they run; (N, 4) boxes to (M, 4)."""
    bowed = (boxes[:, 3] > _P.bowed * thickness + 2) & (boxes[:, 2] > 2 * length)
    pieces = [boxes[~bowed]]
    for x, y, w, h in boxes[bowed]:
        part = runs[y : y + h, x : x + w]
        for start, stop in pairwise(np.linspace(0, w, max(2, round(w / length)) + 1).astype(int)):
            left, top, wide, high = cv2.boundingRect(np.ascontiguousarray(part[:, start:stop]))
            if wide:
                pieces.append(np.array([[x + start + left, y + top, wide, high]], np.int32))
    return np.concatenate(pieces)


def line_mask(ink: Ink, levels: InkLevels) -> Mask:
    """Ink at a low level: rules are often printed paler than what is written on them."""
    level = max(levels.paper + _P.level_share * (levels.ink - levels.paper), MIN_CONTRAST)
    return np.asarray(ink > int(level))


def print_mask(image: GrayImage) -> Mask:
    """All print of an empty form, pale lines too: (H, W) bool of a (H, W) uint8 picture whose paper is white."""
    ink = soft_ink(image)
    return line_mask(ink, binarize(ink)[1])


@dataclass(frozen=True, slots=True, eq=False)
class _LineWork:
    """Runs that hang together.

    Attributes
    ----------
    of_h, of_v : (N,) int32
        Group of every horizontal and vertical run.
    accepted : (G,) bool
        Which groups are printed lines.
    thickness : (N,) float64
        Of the horizontal runs, then of the vertical ones.
    frames, cells
        Of the groups that close a box, see `RulingLines`.
    """

    of_h: NDArray[np.int32]
    of_v: NDArray[np.int32]
    accepted: NDArray[np.bool_]
    thickness: NDArray[np.float64]
    frames: list[Box]
    cells: list[tuple[int, int]]


def _in_a_character(pixels: Pixels, runs: NDArray[np.int32], length: int) -> bool:
    """Whether runs of ink are strokes of a character, or of a few that touch: marks that end within `length` of the
    longest run, and are higher than it is thick."""
    if not len(runs):
        return False
    x, y, w, h = (int(v) for v in runs[np.argmax(runs[:, 2:].max(axis=1))])
    left, top = max(x - length, 0), max(y - length, 0)
    part = np.ascontiguousarray(pixels[top : y + h + length, left : x + w + length])
    _, marks, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    own = marks[y - top : y - top + h, x - left : x - left + w]
    mark = int(np.bincount(own[own > 0]).argmax()) if own.any() else 0
    mark_x, mark_y, wide, high = (int(v) for v in stats[mark, :4])
    inside = mark_x > 0 and mark_y > 0 and mark_x + wide < part.shape[1] and mark_y + high < part.shape[0]
    return mark > 0 and inside and (high > 3 * h if w > h else wide > 3 * w)


def _longest(runs: NDArray[np.int32], at: int, along: int, share: float) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Positions and lengths of the runs that are at least so long as a share of the longest one."""
    kept = runs[runs[:, along] >= share * runs[:, along].max(initial=0)]
    return kept[:, at], kept[:, along]


def _line_work(
    pixels: Pixels,
    across: Pixels,
    down: Pixels,
    h_boxes: NDArray[np.int32],
    v_boxes: NDArray[np.int32],
    length: int,
    long: int,
) -> _LineWork:
    """Tell groups of runs that are printed lines from bars and stems of digits; `length` is that of the shortest run,
    `long` one that no stroke of a digit has."""
    # Which lines hang together is seen well enough at a quarter of the size, at a sixteenth of the cost.
    height, width = across.shape
    both = cv2.bitwise_or(across, down) * np.uint8(255)
    if height % 4 or width % 4:
        both = cv2.copyMakeBorder(both, 0, -height % 4, 0, -width % 4, cv2.BORDER_CONSTANT, value=0)
    small = shrink_by(np.asarray(both, np.uint8), 4)
    count, groups, stats, _ = cv2.connectedComponentsWithStats((small > 0).view(np.uint8), connectivity=8)

    def group_of(boxes: NDArray[np.int32]) -> NDArray[np.int32]:
        found = np.zeros(len(boxes), np.int32)
        for index, (x, y, w, h) in enumerate(boxes // 4):
            # The box of a long line that falls holds other marks too: its own are the most.
            inside = groups[y : y + h + 1, x : x + w + 1]
            inside = inside[inside > 0]
            found[index] = np.bincount(inside).argmax() if len(inside) else 0
        return found

    h_group, v_group = group_of(h_boxes), group_of(v_boxes)
    thickness_of = np.concatenate(
        [_thickness(pixels, across, h_boxes, horizontal=True), _thickness(pixels, down, v_boxes, horizontal=False)]
    )
    group_of_each, length_of = np.concatenate([h_group, v_group]), np.concatenate([h_boxes[:, 2], v_boxes[:, 3]])
    frames, cells = [], []
    accepted, beyond_doubt = np.zeros(count, bool), np.zeros(count, bool)
    for group in range(1, count):
        x, y, w, h = (4 * int(v) for v in stats[group, :4])
        if max(w, h) < _P.group_length * length:
            continue
        mine_h, mine_v = h_boxes[h_group == group], v_boxes[v_group == group]
        own = group_of_each == group
        # Boxes are hollow; a bold 8 or a block is not.
        inked = float((thickness_of[own] * length_of[own]).sum())
        if min(w, h) > _P.hollow_side * length and inked > _P.hollow_ink * w * h:
            continue
        # A box is closed by lines along its whole sides; a 5 or an E has two bars and a stem, but no such sides.
        # Digits that touch a box hang together with it: the longest lines alone may show what all of them hide.
        levels = posts = 0
        for share in _P.longest:
            levels = max(levels, _levels(*_longest(mine_h, 1, 2, share), w, length / 3))
            posts = max(posts, _levels(*_longest(mine_v, 0, 3, share), h, length / 3))
            if levels >= 2 and posts >= 2:
                break
        closed = levels >= 2 and posts >= 2 and min(w, h) >= _P.closed_side * length
        if closed:  # the strokes of an 8 are thick for its size, the lines of a box are not
            closed = _typical_thickness(thickness_of[own], length_of[own]) <= _P.closed_thick * min(w, h)
        if closed:
            frames.append(Box(int(x), int(y), int(w), int(h)))
            cells.append((levels - 1, posts - 1))
        accepted[group] = closed or max(w, h) >= long
        longest = max(mine_h[:, 2].max(initial=0), mine_v[:, 3].max(initial=0))
        beyond_doubt[group] = closed or longest >= _P.beyond_doubt * long
    sure = beyond_doubt[group_of_each]
    if sure.any():  # the bars of 4s that touch, of 2s side by side, are thicker than the page's lines
        usual = _typical_thickness(thickness_of[sure], length_of[sure])
        most = max(_P.usual_thick * usual, usual + 1)
        for doubtful in np.flatnonzero(accepted & ~beyond_doubt):
            own = group_of_each == doubtful
            ink = thickness_of[own] * length_of[own]  # so that slivers beside strokes count little
            thin = own.any() and _typical_thickness(thickness_of[own], ink) <= most
            accepted[doubtful] = thin or not _in_a_character(pixels, np.concatenate([h_boxes, v_boxes])[own], length)
    return _LineWork(of_h=h_group, of_v=v_group, accepted=accepted, thickness=thickness_of, frames=frames, cells=cells)


def find_rules(mask: Mask, *, line: bool = False, shortest: int = 0) -> tuple[RulingLines, Pixels]:
    """Find the printed lines of a page.

    A group of connected runs is line work when it is long, or when it closes a box: so the stem of a 1 and the
    bar of a 7 stay, however straight.

    Parameters
    ----------
    mask : (H, W) bool
        Ink.
    line : bool
        The image is one string: only lines along most of its width, or along its edges, count.
    shortest : int
        Straight run in pixels that may be part of a rule; 0 chooses by the page's size.

    Returns
    -------
    rules : RulingLines
    pixels : (H, W) uint8
        1 where a rule's ink is.
    """
    pixels = cv2.threshold(mask.view(np.uint8), 0, 1, cv2.THRESH_BINARY)[1]
    height, width = mask.shape
    empty = np.zeros_like(pixels)
    if height < _P.least_post or width < _P.least_post:
        return RulingLines(), empty
    if line:
        found = _line_rules(pixels)
        heights = _boxes(found)[:, 3]
        return RulingLines(thickness_px=float(np.median(heights)) if len(heights) else 0.0), found
    length = shortest or rule_length((height, width))
    long = round(_P.long * length)
    thickest = max(_P.least_thick, round(_P.thick_share * length))
    across, down = (
        _runs(pixels, length, horizontal=True, thickest=thickest),
        _runs(pixels, round(_P.down_share * length), horizontal=False, thickest=thickest),
    )
    h_boxes, v_boxes = _boxes(across), _boxes(down)
    if not len(h_boxes) and not len(v_boxes):
        return RulingLines(), empty
    groups = _line_work(pixels, across, down, h_boxes, v_boxes, length, long)
    kept_h, kept_v = groups.accepted[groups.of_h], groups.accepted[groups.of_v]
    keep_h, keep_v = h_boxes[kept_h], v_boxes[kept_v]
    if not len(keep_h) and not len(keep_v):
        return RulingLines(), empty
    for runs, boxes in ((across, h_boxes[~kept_h]), (down, v_boxes[~kept_v])):
        for x, y, w, h in boxes:
            runs[y : y + h, x : x + w] = 0
    thick_h, thick_v = groups.thickness[: len(h_boxes)][kept_h], groups.thickness[len(h_boxes) :][kept_v]
    thickness = _typical_thickness(np.concatenate([thick_h, thick_v]), np.concatenate([keep_h[:, 2], keep_v[:, 3]]))
    keep_h = _keep_lines(across, down, keep_h, thick_h, thickness, long, horizontal=True)
    keep_v = _keep_lines(down, across, keep_v, thick_v, thickness, long, horizontal=False)
    found = cv2.bitwise_or(across, down)
    keep_h = _straight_pieces(across, keep_h, thickness, length)
    keep_v = _straight_pieces(down.T, keep_v[:, [1, 0, 3, 2]], thickness, length)[:, [1, 0, 3, 2]]
    to_boxes = [[Box(*(int(v) for v in row)) for row in rows] for rows in (keep_h, keep_v)]
    return RulingLines(
        horizontals=to_boxes[0],
        verticals=to_boxes[1],
        frames=groups.frames,
        frame_cells=groups.cells,
        thickness_px=thickness,
        pixels=np.asarray(found, np.uint8),
    ), np.asarray(found, np.uint8)


def remove_rules(mask: Mask, rule_pixels: Pixels, thickness_px: float) -> Mask:
    """Erase rules and give back the strokes that crossed them.

    Parameters
    ----------
    mask : (H, W) bool
        Ink.
    rule_pixels : (H, W) uint8
        As `find_rules` gives them.
    thickness_px : float
        Typical thickness of the rules.

    Returns
    -------
    (H, W) bool
        Ink without rules: where ink stands on both sides of a rule, the stroke between is kept.
    """
    if not rule_pixels.any():
        return mask
    band = cv2.dilate(rule_pixels, np.ones((3, 3), np.uint8))
    pixels = mask.view(np.uint8)
    rest = cv2.bitwise_and(pixels, 1 - band)
    reach = int(np.ceil(thickness_px)) + _P.bridge
    bridged = np.zeros_like(rest)
    for shape in ((reach, 3), (3, reach)):
        closed = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones(shape, np.uint8))
        bridged = cv2.bitwise_or(bridged, closed)
    repaired = cv2.bitwise_and(cv2.bitwise_and(bridged, band), pixels)
    return cv2.bitwise_or(rest, repaired).view(np.bool_)
