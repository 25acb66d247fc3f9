"""Which thin strokes are remains of ruling lines, and which may be digits: by the courses of the lines alone.

A bare 1 and a piece of a vertical rule look the same. A piece of a rule lies where a rule runs, and as far as it runs;
a stroke that stands elsewhere is writing, however thin and straight it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.imaging.rules import RulingLines
from digitscan.layout.ruled import RuledLine, upright_courses
from digitscan.layout.structure import RuledStructure
from digitscan.segmentation.components import Components


@dataclass(frozen=True, slots=True)
class WallParameters:
    """What a remain of a vertical rule looks like; heights are the typical ones of the page's characters.

    Attributes
    ----------
    thin, thin_px : float
        Widest remain, in heights, and in pixels for small print.
    slim : float
        Least height of a remain, in its own widths.
    tall : float
        Height from which a thin stroke that no character stands beside is a rule by itself.
    beside : float
        Gap to a character of like height up to which a tall stroke belongs to it: large writing beside small print.
    near, level : float
        Gap to a character of its line, and how far apart both may begin and end, when a stroke is level with it.
    apart, apart_px : float
        How far from a rule's course a remain of it may lie, in heights and in pixels.
    goes_on : float
        How far beyond the end of a rule a remain may stand, in heights.
    wander : float
        How far sideways a rule goes from one piece of it to the next, in heights: scans bow.
    long : float
        Ink that makes a rule, in heights: no stroke of a digit is as long.
    cover : float
        Share of its length that the pieces of a rule have ink in.
    """

    thin: float = 0.2
    thin_px: float = 3.0
    slim: float = 2.0
    tall: float = 1.8
    beside: float = 1.0
    near: float = 2.5
    level: float = 0.15
    apart: float = 0.15
    apart_px: float = 2.5
    goes_on: float = 1.0
    wander: float = 0.25
    long: float = 4.0
    cover: float = 0.15


PARAMETERS = WallParameters()


@dataclass(frozen=True, slots=True, eq=False)
class Remains:
    """What is left of vertical rules on a page.

    Attributes
    ----------
    are : (N,) bool
        Components that are remains.
    courses : list of RuledLine
        Where vertical rules run, closed or not, however broken.
    """

    are: NDArray[np.bool_]
    courses: list[RuledLine]


def find_remains(
    found: Components,
    keep: NDArray[np.bool_],
    rules: RulingLines,
    structure: RuledStructure,
    typical: float,
    parameters: WallParameters = PARAMETERS,
) -> Remains:
    """Tell remains of vertical rules from writing.

    Parameters
    ----------
    found : Components
        Of the page without rules.
    keep : (N,) bool
        Those of character size.
    rules : RulingLines
    structure : RuledStructure
    typical : float
        Height of the page's characters in pixels.
    """
    are = np.zeros(len(found), bool)
    if not len(found) or typical <= 0:
        return Remains(are, [])
    edges = found.boxes.astype(np.float64)
    edges[:, 2:] += edges[:, :2]
    w, h = found.boxes[:, 2], found.boxes[:, 3]
    thin = (w <= max(parameters.thin_px, parameters.thin * typical)) & (h >= parameters.slim * w)
    tall = thin & (h > parameters.tall * typical)
    others = edges[keep & ~thin]
    places = np.flatnonzero(tall)
    for k, cell in zip(places, structure.cells_of([found.box(int(k)) for k in places]), strict=True):
        # Inside a cell of a table only its lines tell what is a wall.
        tall[k] = cell is None and not _stands_beside(edges[k], others, parameters)
    are |= tall
    slim = np.flatnonzero(thin & ~tall)
    # Writing stands level with its neighbours; pieces of a rule begin and end anywhere.
    anywhere = [k for k in slim.tolist() if not _is_level(edges[k], others, typical, parameters)]
    pieces = [*rules.verticals, *(found.box(int(k)) for k in np.flatnonzero(tall)), *map(found.box, anywhere)]
    open_ones = upright_courses(
        pieces, max(4.0, parameters.wander * typical), parameters.long * typical, parameters.cover
    )
    courses = [
        (line, float(table.frame.y), float(table.frame.bottom)) for table in structure.tables for line in table.columns
    ]
    courses += [(line, *line.ends) for line in open_ones]
    apart, reach = max(parameters.apart_px, parameters.apart * typical), parameters.goes_on * typical
    for own in slim.tolist():
        left, top, right, bottom = edges[own]
        x, y = (left + right) / 2, (top + bottom) / 2
        are[own] = any(
            first - reach <= y <= last + reach and abs(line.at(y) - x) <= apart for line, first, last in courses
        )
    return Remains(are, open_ones)


def _stands_beside(own: NDArray[np.float64], others: NDArray[np.float64], parameters: WallParameters) -> bool:
    """Whether a character of like height stands close beside a stroke."""
    left, top, right, bottom = own
    high, tall = bottom - top, others[:, 3] - others[:, 1]
    shared = np.minimum(others[:, 3], bottom) - np.maximum(others[:, 1], top)
    gap = np.maximum(others[:, 0] - right, left - others[:, 2])
    like = (tall >= 0.5 * high) & (tall <= 2 * high) & (shared > 0.5 * np.minimum(tall, high))
    return bool((like & (gap <= parameters.beside * high)).any())


def _is_level(
    own: NDArray[np.float64], others: NDArray[np.float64], typical: float, parameters: WallParameters
) -> bool:
    """Whether a stroke begins and ends where a character near it in its line does."""
    left, top, right, bottom = own
    gap = np.maximum(others[:, 0] - right, left - others[:, 2])
    slack = max(2.0, parameters.level * typical)
    level = (np.abs(others[:, 1] - top) <= slack) & (np.abs(others[:, 3] - bottom) <= slack)
    return bool((level & (gap <= parameters.near * typical)).any())


@dataclass(frozen=True, slots=True)
class CombParameters:
    """What the teeth of a comb look like.

    Attributes
    ----------
    fewest : int
        Teeth of one comb at least.
    uneven : float
        How far the pitch between two teeth may lie from the usual one, in pitches; print is even.
    alike : float
        How far the top of a tooth may lie from those of its fellows, in heights of a tooth.
    foot : float
        Gap between a tooth and its floor, in thicknesses of a rule.
    """

    fewest: int = 4
    uneven: float = 0.1
    alike: float = 0.2
    foot: float = 1.6


COMBS = CombParameters()


def find_teeth(
    found: Components,
    rules: RulingLines,
    structure: RuledStructure,
    parameters: CombParameters = COMBS,
) -> list[list[int]]:
    """Teeth of combs, comb by comb: thin strokes of like height that stand on one horizontal rule at an even pitch.

    A 1 that stands on a line is no tooth: it has no fellows of its height at a pitch of their own, and what stands in
    a ruled cell is writing.

    Returns
    -------
    list of list of int
        0-based components, from left to right.
    """
    if not rules.horizontals:
        return []
    thin = max(3.0, 1.6 * rules.thickness_px + 1)
    x, y, w, h = (found.boxes[:, k].astype(np.float64) for k in range(4))
    narrow = np.flatnonzero((w <= thin) & (h >= 1.5 * w) & (h >= 4) & (found.areas > 0))
    cells = structure.cells_of([found.box(int(k)) for k in narrow])
    narrow = narrow[[cell is None for cell in cells]] if len(narrow) else narrow
    combs = []
    slack = max(3.0, parameters.foot * rules.thickness_px + 1)
    for floor in rules.horizontals:
        on = (x[narrow] + w[narrow] >= floor.x) & (x[narrow] <= floor.right)
        own = narrow[on & (np.abs(floor.y - (y[narrow] + h[narrow])) <= slack)]
        if len(own) >= parameters.fewest:
            combs += _even_runs(own[np.argsort(x[own], kind="stable")], x + w / 2, y, h, parameters)
    return combs


def _even_runs(
    own: NDArray[np.int64],
    middle: NDArray[np.float64],
    top: NDArray[np.float64],
    high: NDArray[np.float64],
    parameters: CombParameters,
) -> list[list[int]]:
    """The longest run of strokes on one floor that stand at an even pitch and end at one height; none, or one."""
    best: list[int] = []
    for k, first in enumerate(own.tolist()):
        level = [j for j in own[k + 1 :].tolist() if abs(top[j] - top[first]) <= parameters.alike * high[first]]
        for second in level:
            pitch = middle[second] - middle[first]
            run = [first, second]
            for j in level:
                step = (middle[j] - middle[run[-1]]) / pitch if pitch > 0 else 0.0
                if abs(step - 1) <= parameters.uneven:
                    run.append(j)
            if len(run) > len(best):
                best = run
    return [best] if len(best) >= parameters.fewest else []
