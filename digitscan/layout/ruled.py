"""Ruled tables: where their lines run on a page that lies as it lies, where lines are missing, and so what their cells
are.

A cell that spans several rows or columns is one where the lines between are missing; it goes by its first row and
column, as in a spreadsheet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box

_LEAST = 0.3
"""Share of a table's side that segments must cover to be one of its lines."""
_WALL = 0.35
"""Share of a cell's side from which a line stands there: print breaks, and digits are taken out of lines."""
_REACHES = 0.6
"""Share of the height of one row at least that a column's line covers: print breaks, and lines lean."""
_REACHES_ALONE = 0.8
"""The same in a table of one row: a tall 1 in a box covers three quarters of it."""
_LONG = 2.8
"""Ink of a line in the shortest pieces found for sure, from which no stroke of a digit is as long."""
_STRAIGHT = 4.0
"""Pixels between the leftmost and the rightmost place of a line that counts as straight."""


@dataclass(frozen=True, slots=True, eq=False)
class RuledLine:
    """One line of a table, from side to side, straight or bowed.

    Attributes
    ----------
    along, across : (K,) float64
        Where it runs, by increasing `along`; of a horizontal line x and y, of a vertical one y and x.
    spans : (M, 2) float64
        Where it has ink, from and to, along it.
    """

    along: NDArray[np.float64]
    across: NDArray[np.float64]
    spans: NDArray[np.float64]

    def at(self, place: float) -> float:
        """Its position at a place along it; beyond its ends as at the nearer one."""
        return float(np.interp(place, self.along, self.across))

    @property
    def ends(self) -> tuple[float, float]:
        """Where it begins and ends along itself."""
        return float(self.spans[:, 0].min()), float(self.spans[:, 1].max())

    def inked(self) -> float:
        """Pixels along it that have ink."""
        return float((self.spans[:, 1] - self.spans[:, 0]).sum())

    def posts(self, step: float) -> list[Box]:
        """A vertical line as thin boxes of so many pixels' height, one below the other, from end to end."""
        first, last = self.ends
        tops = np.arange(first, last, max(step, 1.0))
        return [Box(round(self.at(y + step / 2)), round(y), 1, round(min(step, last - y)) + 1) for y in tops.tolist()]

    def covered(self, start: NDArray[np.float64], stop: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of each of some stretches in which it has ink, (N,)."""
        inside = np.minimum(self.spans[:, 1:], stop) - np.maximum(self.spans[:, :1], start)
        return np.asarray(np.maximum(inside, 0.0).sum(axis=0) / np.maximum(stop - start, 1.0), np.float64)


def ruled_lines(segments: Sequence[Box], frame: Box, *, horizontal: bool) -> list[RuledLine]:
    """A table's lines along one axis: segments in one level that cover a fair part of the frame.

    Parameters
    ----------
    segments : sequence of Box
        Rule segments of one direction.
    frame : Box
        The table.
    horizontal : bool
        Whether the segments are horizontal or vertical.

    Returns
    -------
    list of RuledLine
        From top to bottom, or from left to right.
    """
    length = frame.width if horizontal else frame.height
    depth = frame.height if horizontal else frame.width
    inside = [
        s
        for s in segments
        if frame.x - 4 <= s.center[0] <= frame.right + 4 and frame.y - 4 <= s.center[1] <= frame.bottom + 4
    ]
    if not inside:
        return []
    if horizontal:
        rows = [(s.x, s.right, s.center[1]) for s in inside]
    else:
        rows = [(s.y, s.bottom, s.center[0]) for s in inside]
    start, stop, across = np.array(rows, np.float64).T
    apart = max(6.0, depth * 0.012)
    lines = []
    for group in _levels(start, stop, across, apart):
        if (stop[group] - start[group]).sum() >= _LEAST * length:
            order = group[np.argsort(start[group])]
            middles = (start[order] + stop[order]) / 2
            # A long piece says where it begins and ends, a short one where it is.
            spans = np.stack([start[order], stop[order]], axis=1)
            lines.append(RuledLine(middles, across[order], spans))
    return sorted(lines, key=lambda line: float(np.median(line.across)))


def upright_courses(segments: Sequence[Box], apart: float, least: float, cover: float = _LEAST) -> list[RuledLine]:
    """Vertical lines of a page, closed or not: segments that go on from one another, however broken.

    Parameters
    ----------
    segments : sequence of Box
        Vertical rule segments.
    apart : float
        How far sideways a line may wander from one segment to the next, in pixels.
    least : float
        Pixels of ink that make a line.
    cover : float
        Share of its length that has ink.
    """
    if not segments:
        return []
    start, stop, across = np.array([(s.y, s.bottom, s.center[0]) for s in segments], np.float64).T
    lines = []
    for group in _levels(start, stop, across, apart):
        order = group[np.argsort(start[group])]
        inked = float((stop[order] - start[order]).sum())
        if inked >= max(least, cover * float(stop[order].max() - start[order].min())):
            spans = np.stack([start[order], stop[order]], axis=1)
            lines.append(RuledLine((start[order] + stop[order]) / 2, across[order], spans))
    return lines


def _levels(
    start: NDArray[np.float64], stop: NDArray[np.float64], across: NDArray[np.float64], apart: float
) -> list[NDArray[np.int64]]:
    """Segments that go on from one another: each joins the line whose nearest end is at its level."""
    ends: list[list[int]] = []
    for k in np.argsort(start, kind="stable").tolist():
        best, nearest = None, apart
        for number, members in enumerate(ends):
            close = members[-1]
            away = abs(across[k] - across[close])
            if away <= nearest and start[k] >= start[close]:
                best, nearest = number, away
        if best is None:
            ends.append([k])
        else:
            ends[best].append(k)
    return [np.array(members, np.int64) for members in ends]


@dataclass(frozen=True, slots=True, eq=False)
class RuledTable:
    """A ruled table.

    Attributes
    ----------
    frame : Box
        In pixels of the binary page.
    rows, columns : list of RuledLine
        Its horizontal lines from the top, its vertical ones from the left: one more than there are rows or columns.
    first : (R, C, 2) int64
        For each cell the 0-based row and column of the first one that it is part of: its own, unless it spans others.
    """

    frame: Box
    rows: list[RuledLine]
    columns: list[RuledLine]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, horizontals: Sequence[Box], verticals: Sequence[Box], frame: Box, shortest: float) -> RuledTable | None:
        """The table of a frame; None where its lines close no cell.

        Parameters
        ----------
        horizontals, verticals : sequence of Box
            The page's rule segments.
        frame : Box
        shortest : float
            Pixels of a line that is found for sure: a shorter side of a cell may have one that was not.
        """
        rows = ruled_lines(horizontals, frame, horizontal=True)
        columns = ruled_lines(verticals, frame, horizontal=False)
        if len(rows) < 2:
            return None
        # A column's line goes from line to line somewhere; a slash, or the stem of a digit, does so nowhere.
        columns = [
            line
            for line in columns
            if _reaches(line, rows, _REACHES if len(rows) > 2 else _REACHES_ALONE) or line.inked() >= _LONG * shortest
        ]
        if len(columns) < 2:
            return None
        return cls(frame, rows, columns, spanned(rows, columns, shortest))

    def cells_of(self, boxes: Sequence[Box]) -> list[tuple[int, int] | None]:
        """1-based row and column of the cell that holds each box's middle; None outside the table."""
        x, y = np.array([box.center for box in boxes], np.float64).reshape(-1, 2).T
        rows = np.sum([np.interp(x, line.along, line.across) < y for line in self.rows], axis=0)
        columns = np.sum([np.interp(y, line.along, line.across) < x for line in self.columns], axis=0)
        inside = (rows > 0) & (rows < len(self.rows)) & (columns > 0) & (columns < len(self.columns))
        first = 1 + self.first[np.where(inside, rows, 1) - 1, np.where(inside, columns, 1) - 1]
        return [(int(r), int(c)) if within else None for (r, c), within in zip(first, inside, strict=True)]

    def height(self) -> float:
        """Typical height of its rows in pixels."""
        return float(np.median(np.diff([float(np.median(row.across)) for row in self.rows])))

    def walls(self) -> list[Box]:
        """The vertical lines between its cells as thin boxes, none within a cell that spans; straight ones whole."""
        found = []
        for number, line in enumerate(self.columns):
            middle = float(np.median(line.across))
            levels = np.array([row.at(middle) for row in self.rows])
            inner = 0 < number < len(self.columns) - 1
            spanned = inner & (self.first[:, max(number - 1, 0)] == self.first[:, min(number, len(self.first[0]) - 1)])
            closed = ~np.asarray(spanned.all(axis=1), bool)
            if closed.all() and np.ptp(line.across) < _STRAIGHT:
                stretches = [(levels[0], levels[-1])]
            else:
                stretches = [(levels[k], levels[k + 1]) for k in np.flatnonzero(closed)]
            for top, bottom in stretches:
                found.append(Box(round(line.at((top + bottom) / 2)), round(top), 1, round(bottom - top) + 1))
        return found


def _reaches(line: RuledLine, rows: Sequence[RuledLine], least: float) -> bool:
    """Whether a vertical line covers most of the way between two neighbouring horizontal ones."""
    middle = float(np.median(line.across))
    levels = np.array([row.at(middle) for row in rows])
    return bool((line.covered(levels[:-1], levels[1:]) >= least).any())


Traced = Callable[[RuledLine, float, float, bool], bool]
"""Whether a line, from and to so far along it, has left a trace: the last tells horizontal ones."""


def _untraced(line: RuledLine, start: float, stop: float, horizontal: bool) -> bool:
    return False


def spanned(
    rows: Sequence[RuledLine], columns: Sequence[RuledLine], shortest: float, traced: Traced = _untraced
) -> NDArray[np.int64]:
    """First cell of every cell, see `RuledTable`: cells without a line between are one, where they make a rectangle."""
    height, width = len(rows) - 1, len(columns) - 1
    # (height, width + 1), the left side of each cell; (height + 1, width), the upper side of each
    open_right = _open_sides(columns, rows, shortest, traced, horizontal=False)[:, :height].T
    open_below = _open_sides(rows, columns, shortest, traced, horizontal=True)[:, :width]
    group = np.arange(height * width).reshape(height, width)
    for r, c in np.argwhere(open_right[:, 1:width]):
        group[group == group[r, c + 1]] = group[r, c]
    for r, c in np.argwhere(open_below[1:height]):
        group[group == group[r + 1, c]] = group[r, c]
    first = np.moveaxis(np.indices((height, width), np.int64), 0, 2).copy()
    for number in np.flatnonzero(np.bincount(group.ravel()) > 1):
        members = np.argwhere(group == number)
        low, high = members.min(axis=0), members.max(axis=0)
        if len(members) == int(np.prod(high - low + 1)):
            first[low[0] : high[0] + 1, low[1] : high[1] + 1] = low
    return first


def _open_sides(
    lines: Sequence[RuledLine], others: Sequence[RuledLine], shortest: float, traced: Traced, *, horizontal: bool
) -> NDArray[np.bool_]:
    """Where lines are missing between those that cross them: (len(lines), len(others) - 1)."""
    found = np.zeros((len(lines), len(others) - 1), bool)
    for own, line in zip(found, lines, strict=True):
        middle = float(np.median(line.across))
        places = np.array([other.at(middle) for other in others])
        sides = np.diff(places)
        own[:] = (sides >= shortest) & (line.covered(places[:-1], places[1:]) < _WALL)
        for k in np.flatnonzero(own).tolist():
            own[k] = not traced(line, float(places[k]), float(places[k + 1]), horizontal)
    return found
