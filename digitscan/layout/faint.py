"""Lines of a table that are too pale or too broken to be found by themselves, looked for where their fellows say.

Tables are regular: where a gap between two lines is a whole number of the usual ones, a line may be missing. It is one
if the soft ink has a ridge along the course where it should run; a wide column has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Ink
from digitscan.layout.ruled import RuledLine


@dataclass(frozen=True, slots=True)
class FaintParameters:
    """When a line is taken to run where none was found.

    Attributes
    ----------
    off : float
        How far a gap may lie from a whole number of usual gaps, in usual gaps.
    most : int
        Usual gaps in one gap at most.
    ridge : int
        Soft-ink levels by which a line stands above the paper beside it: paper's grain is below.
    share : float
        Share of its course on which it does.
    beyond : float
        By how much this share is larger than that of courses beside it: texture is everywhere.
    sticks_out : float
        How far lines go on beyond the last one that crosses them, in usual gaps, where a row or column is open.
    agree : float
        Share of them that do.
    reach, beside : int
        Pixels to either side where the line itself, and then the paper, is looked for.
    """

    off: float = 0.16
    most: int = 8
    ridge: int = 5
    share: float = 0.55
    beyond: float = 0.3
    sticks_out: float = 0.6
    agree: float = 0.5
    reach: int = 2
    beside: int = 6


PARAMETERS = FaintParameters()


def ridge_share(
    ink: Ink,
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    *,
    horizontal: bool,
    parameters: FaintParameters = PARAMETERS,
) -> float:
    """Share of a course along which soft ink stands above the paper on both sides.

    Parameters
    ----------
    ink : (H, W) uint8
        Soft ink, rules and all.
    along, across : (K,) float64
        The course; x and y of a horizontal one, y and x of a vertical one.
    """
    pixels = ink if not horizontal else ink.T
    reach, beside = parameters.reach, parameters.beside
    rows, middle = np.round(along).astype(np.int64), np.round(across).astype(np.int64)
    inside = (rows >= 0) & (rows < pixels.shape[0])
    inside &= (middle >= reach + beside) & (middle < pixels.shape[1] - reach - beside)
    if not inside.any():
        return 0.0
    rows, middle = rows[inside, None], middle[inside, None]
    own = pixels[rows, middle + np.arange(-reach, reach + 1)].max(axis=1).astype(np.int64)
    left = np.median(pixels[rows, middle - reach - np.arange(1, beside + 1)], axis=1)
    right = np.median(pixels[rows, middle + reach + np.arange(1, beside + 1)], axis=1)
    return float((own - np.maximum(left, right) >= parameters.ridge).mean())


def has_ridge(
    ink: Ink, line: RuledLine, start: float, stop: float, *, horizontal: bool, parameters: FaintParameters = PARAMETERS
) -> bool:
    """Whether a stretch of a line has left a faint trace in the soft ink, (H, W) uint8."""
    margin = 0.12 * (stop - start)
    places = np.linspace(start + margin, stop - margin, 24)
    across = np.array([line.at(p) for p in places])
    shares = [
        ridge_share(ink, places, across + s, horizontal=horizontal, parameters=parameters)
        for s in (0, -parameters.reach, parameters.reach)
    ]
    return max(shares) >= parameters.share


def with_faint_lines(
    lines: list[RuledLine],
    others: Sequence[RuledLine],
    ink: Ink,
    *,
    horizontal: bool,
    parameters: FaintParameters = PARAMETERS,
) -> list[RuledLine]:
    """Add the lines that are missing between others and have left a faint trace.

    Parameters
    ----------
    lines : list of RuledLine
        Of one direction, in order.
    others : sequence of RuledLine
        Of the other direction, in order: the table ends at the first and at the last.
    ink : (H, W) uint8
        Soft ink of the page, rules and all.
    horizontal : bool
        Direction of `lines`.
    """
    if len(lines) < 4:
        return lines
    at = np.array([float(np.median(line.across)) for line in lines])
    gaps = np.diff(at)
    usual = float(np.median(gaps))
    if usual < 2 * (parameters.reach + parameters.beside):
        return lines
    first, last = sorted((_edge(others[0]), _edge(others[-1])))
    places: NDArray[np.float64] = np.linspace(first, last, 160)[4:-4]
    found = [lines[0]]
    for before, after, gap in zip(lines, lines[1:], gaps.tolist(), strict=False):
        count = round(gap / usual)
        if 2 <= count <= parameters.most and abs(gap / usual - count) <= min(
            parameters.off * count, 2 * parameters.off
        ):
            low = np.array([before.at(p) for p in places])
            high = np.array([after.at(p) for p in places])
            for k in range(1, count):
                across = low + (high - low) * k / count
                beside = [across + s * usual for s in (-0.3, 0.3)]
                near = [_best_shift(ink, places, across, usual, horizontal, parameters)]
                control = float(
                    np.mean([ridge_share(ink, places, b, horizontal=horizontal, parameters=parameters) for b in beside])
                )
                share, course = near[0]
                if share >= max(parameters.share, control + parameters.beyond):
                    found.append(RuledLine(places, course, np.array([[places[0], places[-1]]])))
        found.append(after)
    return found


def _best_shift(
    ink: Ink,
    places: NDArray[np.float64],
    across: NDArray[np.float64],
    usual: float,
    horizontal: bool,
    parameters: FaintParameters,
) -> tuple[float, NDArray[np.float64]]:
    """A course moved a little sideways to where its ridge is longest."""
    step = 2 * parameters.reach
    shifts = np.arange(-round(0.12 * usual), round(0.12 * usual) + 1, step)
    tried = [
        (ridge_share(ink, places, across + s, horizontal=horizontal, parameters=parameters), -abs(s)) for s in shifts
    ]
    best = max(range(len(tried)), key=lambda k: tried[k])
    return tried[best][0], across + shifts[best]


def _edge(line: RuledLine) -> float:
    return float(np.median(line.across))


def with_open_ends(
    lines: list[RuledLine], others: Sequence[RuledLine], parameters: FaintParameters = PARAMETERS
) -> list[RuledLine]:
    """Close a table where the lines across go on beyond its first or last line: cells stand open there.

    Parameters
    ----------
    lines : list of RuledLine
        Of one direction, in order.
    others : sequence of RuledLine
        Of the other direction: how far they go says where the table ends.
    """
    if len(lines) < 3 or len(others) < 3:
        return lines
    usual = float(np.median(np.diff([_edge(line) for line in lines])))
    first, last = lines[0], lines[-1]
    before = np.array([first.at(_edge(other)) - other.ends[0] for other in others])
    after = np.array([other.ends[1] - last.at(_edge(other)) for other in others])
    found = list(lines)
    for away, line, sign in ((before, first, -1.0), (after, last, 1.0)):
        out = away >= parameters.sticks_out * usual
        if out.mean() >= parameters.agree:
            moved = RuledLine(line.along, line.across + sign * float(np.median(away[out])), line.spans)
            found = [moved, *found] if sign < 0 else [*found, moved]
    return found
