"""Components to strings: which marks stand together, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.geometry import union
from digitscan.core.types import Box
from digitscan.segmentation.components import Components
from digitscan.segmentation.marks import StringMarks, string_of, typical_height

_LANE_GAP = 0.42
"""Space between two digits, in heights, from which a lane may part them."""
_BRIDGED_GAP = 0.85
"""Widest space that a mark may bridge, in heights."""
MIN_HEIGHT_PX = 7
"""Characters lower than this cannot be read; they are specks."""


@dataclass(frozen=True, slots=True)
class Barriers:
    """What parts strings: vertical rules of tables, and white lanes between columns, as boxes in page pixels.

    No string crosses a post. A lane parts two digits only where a fair space lies between them: on a bowed page it
    touches a number here and there.
    """

    posts: tuple[Box, ...] = ()
    lanes: tuple[Box, ...] = ()


def character_like(found: Components, page_shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which components could be a character or a few that touch.

    Too small are specks, too large are pictures and frames, too long or too full are lines and bars.

    Parameters
    ----------
    found : Components
    page_shape : (int, int)

    Returns
    -------
    (N,) bool
    """
    w, h = found.boxes[:, 2].astype(np.float64), found.boxes[:, 3].astype(np.float64)
    area = found.areas.astype(np.float64)
    fill = area / np.maximum(w * h, 1)
    tall = max(page_shape) * 0.22
    keep = (h >= MIN_HEIGHT_PX) & (h <= max(tall, 60)) & (w <= 9 * h) & (h <= 14 * w)
    keep &= area >= 12
    # Solid blocks are logos and blots; but a bold 1 is a solid block too.
    keep &= ~((fill > 0.85) & (w > 0.5 * h))
    # Dots spread thinly are the remains of a screen or of noise.
    return np.asarray(keep & (fill > 0.04))


def natural_gap(found: Components, keep: NDArray[np.bool_], widest: float = 0.75) -> float:
    """Widest space inside a number of this table, in heights: the valley between spaces inside and between numbers.

    Parameters
    ----------
    found : Components
    keep : (N,) bool
        Characters.
    widest : float
        What is given when the spaces show no valley.
    """
    ids = np.flatnonzero(keep)
    if len(ids) < 40:
        return widest
    rects = found.boxes[ids].astype(np.float64)
    rects = rects[np.argsort(rects[:, 0], kind="stable")]
    edges = np.concatenate([rects[:, :2], rects[:, :2] + rects[:, 2:]], axis=1)
    following = _chain(edges, np.zeros((0, 4)), np.zeros((0, 4)), 1.4)
    pairs = np.array([(k, other) for k, other in enumerate(following) if other >= 0], np.int64).reshape(-1, 2)
    if len(pairs) < 40:
        return widest
    high = np.maximum(edges[pairs[:, 0], 3] - edges[pairs[:, 0], 1], edges[pairs[:, 1], 3] - edges[pairs[:, 1], 1])
    spaces = (edges[pairs[:, 1], 0] - edges[pairs[:, 0], 2]) / high
    counts, bins = np.histogram(spaces, bins=np.arange(0.40, widest + 0.051, 0.05))
    # The first empty width with many wider ones beyond it; where spaces run on without a break, none is a border.
    for count, low in zip(counts, bins, strict=False):
        if count <= 0.02 * len(spaces) and (spaces > low + 0.05).sum() >= 0.1 * len(spaces):
            return float(low + 0.025)
    return widest


def _chain(
    boxes: NDArray[np.float64],
    posts: NDArray[np.float64],
    marks: NDArray[np.float64],
    gap: float,
    lanes: NDArray[np.float64] | None = None,
) -> list[int]:
    """For each box the nearest box to its right in the same line, or -1.

    All are (N, 4) left, top, right, bottom; `boxes` and `marks` sorted by left. A mark between two boxes, such
    as a decimal point, bridges a space that would otherwise part them.
    """
    left, top, right, bottom = boxes.T
    height = bottom - top
    following = [-1] * len(boxes)
    for i in range(len(boxes)):
        reach = right[i] + max(gap, _BRIDGED_GAP) * height[i] * 1.6
        stop = int(np.searchsorted(left, reach, side="right"))
        if stop <= i + 1:
            continue
        others = np.s_[i + 1 : stop]
        overlap = np.minimum(bottom[i], bottom[others]) - np.maximum(top[i], top[others])
        low, high = np.minimum(height[i], height[others]), np.maximum(height[i], height[others])
        space = left[others] - right[i]
        fits = (overlap > 0.45 * low) & (low > 0.42 * high) & (space < max(gap, _BRIDGED_GAP) * high)
        middle = (left[others] + right[others]) / 2 > (left[i] + right[i]) / 2
        candidates = np.flatnonzero(fits & middle)
        for k in candidates:
            j = i + 1 + int(k)
            if len(posts) and _crossed(boxes[i], boxes[j], posts):
                continue
            if lanes is not None and space[k] > _LANE_GAP * high[k] and _crossed(boxes[i], boxes[j], lanes):
                continue
            if space[k] >= gap * high[k] and not _bridged(boxes[i], boxes[j], marks):
                continue
            following[i] = j
            break
    return following


def _bridged(a: NDArray[np.float64], b: NDArray[np.float64], marks: NDArray[np.float64]) -> bool:
    """Whether a small mark stands in the space between two boxes, at their height."""
    start, stop = np.searchsorted(marks[:, 0], [a[2] - 1, b[0]])
    near = marks[start:stop]
    low, high = min(a[1], b[1]), max(a[3], b[3])
    return bool(((near[:, 2] <= b[0] + 1) & (near[:, 1] >= low) & (near[:, 3] <= high + 0.2 * (high - low))).any())


def _crossed(a: NDArray[np.float64], b: NDArray[np.float64], posts: NDArray[np.float64]) -> bool:
    """Whether a post stands between two boxes."""
    middle_y = (max(a[1], b[1]) + min(a[3], b[3])) / 2
    between = (posts[:, 0] + posts[:, 2]) / 2
    low, high = (a[0] + a[2]) / 2, (b[0] + b[2]) / 2
    return bool(((between > low) & (between < high) & (posts[:, 1] <= middle_y) & (posts[:, 3] >= middle_y)).any())


def edges_of(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(N, 4) left, top, right, bottom."""
    return np.array([[b.x, b.y, b.right, b.bottom] for b in boxes], np.float64).reshape(-1, 4)


def find_strings(
    found: Components, keep: NDArray[np.bool_], barriers: Barriers, *, gap: float = 0.75
) -> list[StringMarks]:
    """Link characters that stand side by side into strings.

    Parameters
    ----------
    found : Components
    keep : (N,) bool
        Characters, as `character_like` gives them.
    barriers : Barriers
    gap : float
        Widest space inside a string, in heights of its characters.

    Returns
    -------
    list of StringMarks
        Not yet in reading order.
    """
    ids = np.flatnonzero(keep)
    if not len(ids):
        return []
    ids = ids[np.argsort(found.boxes[ids, 0], kind="stable")]
    rects = found.boxes[ids].astype(np.float64)
    edges = np.concatenate([rects[:, :2], rects[:, :2] + rects[:, 2:]], axis=1)
    posts = edges_of(barriers.posts)
    low = found.boxes[:, 3] < 0.5 * float(np.median(rects[:, 3]))
    small = found.boxes[(~keep | low) & (found.areas >= 5)].astype(np.float64)
    small = small[np.argsort(small[:, 0], kind="stable")]
    marks = np.concatenate([small[:, :2], small[:, :2] + small[:, 2:]], axis=1)
    following = _chain(edges, posts, marks, gap, edges_of(barriers.lanes))
    owner = list(range(len(ids)))

    def root(k: int) -> int:
        while owner[k] != k:
            owner[k] = owner[owner[k]]
            k = owner[k]
        return k

    for k, other in enumerate(following):
        if other >= 0:
            owner[root(other)] = root(k)
    groups: dict[int, list[int]] = {}
    for k in range(len(ids)):
        groups.setdefault(root(k), []).append(k)
    strings = []
    for members in groups.values():
        strings.append(string_of([int(ids[k]) for k in members], found))
    return _attach_marks(_absorb(strings), found, keep)


def _absorb(strings: list[StringMarks]) -> list[StringMarks]:
    """Give low strings that lie inside a higher one to it as marks: the loose bar of a 5 or 7, a point."""
    rects = np.array([s.box for s in strings], np.float64).reshape(-1, 4)
    heights = np.array([s.height for s in strings])
    left, top = rects[:, 0], rects[:, 1]
    right, bottom = left + rects[:, 2], top + rects[:, 3]
    # A single large component may be a frame or a picture: only what is nearly its size belongs to it.
    reach = np.where([len(s.characters) > 1 for s in strings], 6.0, 3.4)
    kept = []
    for string in strings:
        x, y = string.box.center
        slack = 0.12 * heights
        hosts = (left - slack <= x) & (x <= right + slack) & (top - slack <= y) & (y <= bottom + slack)
        hosts &= (
            (heights > string.height / 0.62)
            & (heights < reach * string.height)
            & (rects[:, 2] >= 0.6 * string.box.width)
        )
        found = np.flatnonzero(hosts)
        if len(found):
            strings[int(found[np.argmin(heights[found])])].marks.extend(string.characters)
        else:
            kept.append(string)
    return kept


def _attach_marks(strings: list[StringMarks], found: Components, keep: NDArray[np.bool_]) -> list[StringMarks]:
    """Give small components to the string whose box, a little widened, they lie in."""
    rest = np.flatnonzero(~keep & (found.areas >= 4) & (found.boxes[:, 3] < 200) & (found.boxes[:, 2] < 200))
    if not len(rest) or not strings:
        return strings
    rects = found.boxes[rest].astype(np.float64)
    center_x, center_y = rects[:, 0] + rects[:, 2] / 2, rects[:, 1] + rects[:, 3] / 2
    order = np.argsort(center_x)
    sorted_x = center_x[order]
    for string in strings:
        x, y, w, h = string.box
        start, stop = np.searchsorted(sorted_x, [x - 0.3 * string.height, x + w + 0.3 * string.height])
        near = order[start:stop]
        inside = (
            (center_y[near] > y - 0.1 * h) & (center_y[near] < y + 1.25 * h) & (rects[near, 3] < 0.6 * string.height)
        )
        inside &= rects[near, 2] < 1.2 * string.height
        string.marks.extend(int(rest[k]) for k in near[inside])
    return strings


def merge_strings(parts: Sequence[StringMarks]) -> StringMarks:
    """One string from several that stand side by side, given left to right."""
    heights = np.array([part.height for part in parts], np.float64)
    return StringMarks(
        [index for part in parts for index in part.characters],
        [index for part in parts for index in part.marks],
        typical_height(heights),
        union(part.box for part in parts),
    )


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """Order boxes as one reads: lines from the top, each from the left.

    A line is a run of boxes that overlap vertically with their neighbours, so a slightly bowed line stays one.
    """
    if not boxes:
        return []
    by_top = sorted(range(len(boxes)), key=lambda k: (boxes[k].center[1], boxes[k].x))
    lines: list[list[int]] = []
    for k in by_top:
        middle = boxes[k].center[1]
        best, best_distance = None, float("inf")
        for line in lines[-6:]:
            # Compare with the member nearest in x: the line may rise or fall across the page.
            near = min(line, key=lambda m: abs(boxes[m].center[0] - boxes[k].center[0]))
            size = min(boxes[near].height, boxes[k].height)
            distance = abs(boxes[near].center[1] - middle)
            overlaps_x = boxes[near].x < boxes[k].right and boxes[k].x < boxes[near].right
            if distance < 0.55 * size and not overlaps_x and distance < best_distance:
                best, best_distance = line, distance
        if best is None:
            lines.append([k])
        else:
            best.append(k)
    lines.sort(key=lambda line: float(np.mean([boxes[k].center[1] for k in line])))
    return [k for line in lines for k in sorted(line, key=lambda k: boxes[k].x)]
