"""Tables without lines: rows and columns by how numbers line up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box

_SAME_ROW = 0.55
"""Numbers whose levelled middles are nearer than this, in heights, stand in one row."""


def _levelled(boxes: Sequence[Box], height: float) -> NDArray[np.float64]:
    """Vertical middles as if the page lay flat: (N,) in pixels.

    Every number and its right neighbour tell how its row falls there; the slopes of all of them make a smooth field,
    which is taken out along each row. So a page that is skewed, bowed or photographed keeps its rows whole.
    """
    middles = np.array([b.center for b in boxes], np.float64)
    left = np.array([b.x for b in boxes], np.float64)
    right = np.array([b.right for b in boxes], np.float64)
    x, y = middles.T
    order = np.argsort(left, kind="stable")
    slopes, places = [], []
    for k in range(len(boxes)):
        others = order[np.searchsorted(left[order], right[k] - 0.3 * height) :]
        near = others[np.abs(y[others] - y[k]) < 0.6 * height]
        if len(near) and (gap := left[near[0]] - right[k]) < 8 * height:
            other = near[0]
            slopes.append((y[other] - y[k]) / max(x[other] - x[k], 1.0))
            places.append(((x[k] + x[other]) / 2, (y[k] + y[other]) / 2, gap))
    if len(slopes) < 24:
        return y
    where, fall = np.array(places), np.array(slopes)
    middle, span = middles.mean(axis=0), max(float(np.ptp(x)), float(np.ptp(y)), 1.0)

    def terms(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)

    def integrated(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([u, u * u / 2, u * v, u**3 / 3, u * u * v / 2, u * v * v], axis=1)

    u, v = ((where[:, :2] - middle) / span).T
    use = np.ones(len(fall), bool)
    field = np.zeros(6)
    for _ in range(4):  # without those that stand out: neighbours of another row
        field = np.linalg.lstsq(terms(u[use], v[use]), fall[use], rcond=None)[0]
        off = np.abs(fall - terms(u, v) @ field)
        use = off <= max(0.004, 2.5 * float(np.median(off[use])))
    u, v = ((middles - middle) / span).T
    return np.asarray(y - span * (integrated(u, v) @ field), np.float64)


def _without_strays(rows: list[list[int]], level: NDArray[np.float64]) -> list[list[int]]:
    """Give the few marks that lie between two full rows of a table to the nearer one: specks make no row."""
    most = max(len(row) for row in rows)
    at = np.array([float(np.median(level[row])) for row in rows])
    full = np.array([len(row) >= 0.5 * most for row in rows])
    if most < 4 or full.sum() < 3:
        return rows
    pitch = float(np.median(np.diff(at[full])))
    kept: dict[int, list[int]] = {}
    for k, row in enumerate(rows):
        near = int(np.flatnonzero(full)[np.abs(at[full] - at[k]).argmin()])
        stray = not full[k] and len(row) < 0.25 * most and abs(at[near] - at[k]) < 0.8 * pitch
        kept.setdefault(near if stray else k, []).extend(row)
    return [kept[k] for k in sorted(kept)]


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
    level = _levelled(boxes, height)
    order = np.argsort(level, kind="stable")
    rows: list[list[int]] = []
    # Rows are where levelled middles crowd; a row's own spread is far below the space between rows.
    for k in order.tolist():
        if rows and level[k] - float(np.median(level[rows[-1]])) < _SAME_ROW * height:
            rows[-1].append(k)
        else:
            rows.append([k])
    rows = _without_strays(rows, level)
    full = [line for line in rows if len(line) >= 0.5 * max(len(r) for r in rows)]
    upright = _levelled([Box(b.y, b.x, b.height, b.width) for b in boxes], height)
    columns = _column_edges([[(upright[k], boxes[k].width) for k in line] for line in full], height)
    cells = [(0, 0)] * len(boxes)
    for number, line in enumerate(rows, 1):
        for k in line:
            cells[k] = number, 1 + int(np.searchsorted(columns, upright[k]))
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


def _column_edges(rows: list[list[tuple[float, int]]], height: float) -> list[float]:
    """x positions between columns: places that few rows cover; a number is its middle and its width."""
    spans = [(round(x - w / 2), round(x + w / 2)) for row in rows for x, w in row]
    left, right = min(s[0] for s in spans), max(s[1] for s in spans)
    covered = np.zeros(right - left + 2, np.float64)
    for start, stop in spans:
        covered[start - left : stop - left] += 1
    free = covered <= 0.12 * len(rows)
    edges = []
    begin = None
    for x, is_free in enumerate(free):
        if is_free and begin is None:
            begin = x
        elif not is_free and begin is not None:
            if begin > 0 and x - begin >= max(1.0, 0.08 * height):
                edges.append(left + (begin + x) / 2)
            begin = None
    return edges
