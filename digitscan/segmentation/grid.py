"""Tables: rows and columns, by ruling lines where there are any, else by alignment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box


def _clusters(values: NDArray[np.float64], apart: float) -> list[float]:
    """Centres of groups of values that are nearer than `apart` to their neighbours, ascending."""
    if not len(values):
        return []
    ordered = np.sort(values)
    breaks = np.flatnonzero(np.diff(ordered) > apart) + 1
    return [float(group.mean()) for group in np.split(ordered, breaks)]


def ruled_lines(segments: Sequence[Box], frame: Box, *, horizontal: bool) -> list[float]:
    """Positions of a table's lines along one axis, from segments that cover a fair part of the frame.

    Parameters
    ----------
    segments : sequence of Box
        Rule segments of one direction.
    frame : Box
        The table.
    horizontal : bool
        Whether the segments are horizontal (positions are y) or vertical (x).

    Returns
    -------
    list of float
        Ascending, in pixels of the binary page.
    """
    length = frame.width if horizontal else frame.height
    across = frame.height if horizontal else frame.width
    inside = [
        s
        for s in segments
        if frame.x - 4 <= s.center[0] <= frame.right + 4 and frame.y - 4 <= s.center[1] <= frame.bottom + 4
    ]
    if not inside:
        return []
    centers = np.array([s.center[1 if horizontal else 0] for s in inside], np.float64)
    spans = np.array([s.width if horizontal else s.height for s in inside], np.float64)
    apart = max(6.0, across * 0.012)
    order = np.argsort(centers)
    lines = []
    for group in np.split(order, np.flatnonzero(np.diff(centers[order]) > apart) + 1):
        if spans[group].sum() >= 0.3 * length:
            lines.append(float(np.average(centers[group], weights=spans[group])))
    return lines


def cell_of(box: Box, rows: Sequence[float], columns: Sequence[float]) -> tuple[int, int] | None:
    """1-based row and column of the cell that holds a box's middle; None outside the table."""
    x, y = box.center
    row, column = int(np.searchsorted(rows, y)), int(np.searchsorted(columns, x))
    if not (0 < row < len(rows) and 0 < column < len(columns)):
        return None
    return row, column


def aligned_cells(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """1-based row and column of every box, from how boxes line up; for tables without lines.

    Rows are chains of boxes at one height; columns are groups of boxes that overlap horizontally, found from
    the gaps that most rows leave free.

    Parameters
    ----------
    boxes : sequence of Box
        One a string.

    Returns
    -------
    list of (int, int)
        In the order of `boxes`.
    """
    if not boxes:
        return []
    height = float(np.median([b.height for b in boxes]))
    order = sorted(range(len(boxes)), key=lambda k: boxes[k].center[1])
    rows: list[list[int]] = []
    for k in order:
        middle_x, middle_y = boxes[k].center
        best = None
        best_distance = 0.6 * height
        for line in rows[-4:]:
            near = min(line, key=lambda m: abs(boxes[m].center[0] - middle_x))
            distance = abs(boxes[near].center[1] - middle_y)
            taken = boxes[near].x < boxes[k].right and boxes[k].x < boxes[near].right
            if distance < best_distance and not taken:
                best, best_distance = line, distance
        if best is None:
            rows.append([k])
        else:
            best.append(k)
    rows.sort(key=lambda line: float(np.mean([boxes[k].center[1] for k in line])))
    full = [line for line in rows if len(line) >= 0.5 * max(len(r) for r in rows)]
    columns = _column_edges([[boxes[k] for k in line] for line in full], height)
    cells = [(0, 0)] * len(boxes)
    for number, line in enumerate(rows, 1):
        for k in line:
            cells[k] = number, 1 + int(np.searchsorted(columns, boxes[k].center[0]))
    return cells


def corridors(boxes: NDArray[np.int32], height: float) -> list[Box]:
    """White lanes between the columns of a table, top to bottom.

    Parameters
    ----------
    boxes : (N, 4) int32
        Left, top, width, height of every mark on the page; points too, or they would open lanes inside numbers.
    height : float
        Typical height of a character in pixels.

    Returns
    -------
    list of Box
        Lanes that few rows cross, each at least a third of a character wide, as thin posts in their middles.
    """
    if len(boxes) < 12 or height <= 0:
        return []
    left, right = int(boxes[:, 0].min()), int((boxes[:, 0] + boxes[:, 2]).max())
    top, bottom = int(boxes[:, 1].min()), int((boxes[:, 1] + boxes[:, 3]).max())
    steps = np.zeros(right - left + 2, np.int64)
    fits = boxes[boxes[:, 2] < 6 * height]
    np.add.at(steps, fits[:, 0] - left, 1)
    np.add.at(steps, fits[:, 0] + fits[:, 2] - left, -1)
    covered = np.cumsum(steps)
    rows = float(np.percentile(covered, 90))
    free = np.concatenate([[False], covered[:-1] <= max(0.0, 0.12 * rows), [False]])
    edges = np.flatnonzero(np.diff(free.astype(np.int8)))
    posts = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= 0.3 * height:
            posts.append(Box(left + int(start + stop) // 2, top, 1, bottom - top))
    return posts


def _column_edges(rows: list[list[Box]], height: float) -> list[float]:
    """x positions between columns: places that few rows cover."""
    left = min(b.x for row in rows for b in row)
    right = max(b.right for row in rows for b in row)
    covered = np.zeros(right - left + 2, np.float64)
    for row in rows:
        for b in row:
            covered[b.x - left : b.right - left] += 1
    free = covered <= 0.12 * len(rows)
    edges = []
    start = None
    for x, is_free in enumerate(free):
        if is_free and start is None:
            start = x
        elif not is_free and start is not None:
            if start > 0 and x - start >= max(1.0, 0.08 * height):
                edges.append(left + (start + x) / 2)
            start = None
    return edges
