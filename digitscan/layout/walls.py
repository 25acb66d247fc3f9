"""Which thin strokes are remains of ruling lines, and which may be digits: by the courses of the lines alone.

A bare 1 and a piece of a vertical rule look the same. A piece of a rule lies where a rule runs, and as far as it runs;
a stroke that stands elsewhere is writing, however thin and straight it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box
from digitscan.imaging.rules import Rules
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
    apart, apart_px : float
        How far from a rule's course a remain of it may lie, in heights and in pixels.
    goes_on : float
        How far beyond the end of a rule a remain may begin, in heights.
    broken : float
        Widest gap between remains of one rule, where no part of it was found; rows of text leave wider ones.
    fewest : int
        Remains one below the other, with no wider gap between, that are a rule.
    wander : float
        How far sideways a rule goes from one piece of it to the next, in heights: scans bow.
    long : float
        Ink that makes a rule, in heights: no stroke of a digit is as long.
    """

    thin: float = 0.2
    thin_px: float = 3.0
    slim: float = 2.0
    tall: float = 1.8
    beside: float = 1.0
    apart: float = 0.12
    apart_px: float = 2.5
    goes_on: float = 0.35
    broken: float = 0.3
    fewest: int = 4
    wander: float = 0.25
    long: float = 5.0


PARAMETERS = WallParameters()


def find_remains(
    found: Components,
    keep: NDArray[np.bool_],
    rules: Rules,
    structure: RuledStructure,
    typical: float,
    parameters: WallParameters = PARAMETERS,
) -> NDArray[np.bool_]:
    """Components that are remains of vertical rules.

    Parameters
    ----------
    found : Components
        Of the page without rules.
    keep : (N,) bool
        Those of character size.
    rules : Rules
    structure : RuledStructure
    typical : float
        Height of the page's characters in pixels.

    Returns
    -------
    (N,) bool
    """
    remains = np.zeros(len(found), bool)
    if not len(found) or typical <= 0:
        return remains
    x, y, w, h = (found.boxes[:, k].astype(np.float64) for k in range(4))
    thin = (w <= max(parameters.thin_px, parameters.thin * typical)) & (h >= parameters.slim * w)
    apart = max(parameters.apart_px, parameters.apart * typical)
    tall = thin & (h > parameters.tall * typical)
    for k in np.flatnonzero(tall):
        tall[k] = not _has_fellow(int(k), x, y, w, h, keep & ~tall, parameters)
    remains |= tall
    posts = [*rules.verticals, *(found.box(int(k)) for k in np.flatnonzero(tall))]
    top = np.array([p.y for p in posts], np.float64) - parameters.goes_on * typical
    bottom = np.array([p.bottom for p in posts], np.float64) + parameters.goes_on * typical
    middle = np.array([p.center[0] for p in posts], np.float64)
    courses = [(line, table.frame.y, table.frame.bottom) for table in structure.tables for line in table.columns]
    courses += [(line, *line.ends) for line in open_courses(rules, typical, parameters)]
    for k in np.flatnonzero(thin & ~tall):
        at_x, at_y = x[k] + w[k] / 2, y[k] + h[k] / 2
        on_post = (np.abs(middle - at_x) <= apart) & (top <= y[k]) & (y[k] + h[k] <= bottom)
        remains[k] = bool(on_post.any()) or any(
            first - typical <= at_y <= last + typical and abs(line.at(at_y) - at_x) <= apart
            for line, first, last in courses
        )
    remains |= _chains(np.flatnonzero(thin & ~remains), x, y, w, h, apart, typical, parameters)
    return remains


def open_courses(rules: Rules, typical: float, parameters: WallParameters = PARAMETERS) -> list[RuledLine]:
    """Vertical lines of the page that may close no cell: where remains of them are looked for."""
    return upright_courses(rules.verticals, max(4.0, parameters.wander * typical), parameters.long * typical)


def _has_fellow(
    k: int,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    h: NDArray[np.float64],
    others: NDArray[np.bool_],
    parameters: WallParameters,
) -> bool:
    """Whether a character of like height stands close beside a stroke."""
    shared = np.minimum(y + h, y[k] + h[k]) - np.maximum(y, y[k])
    gap = np.maximum(x - (x[k] + w[k]), x[k] - (x + w))
    like = (h >= 0.5 * h[k]) & (h <= 2 * h[k]) & (shared > 0.5 * np.minimum(h, h[k]))
    return bool((others & like & (gap <= parameters.beside * h[k])).any())


def _chains(
    slim: NDArray[np.int64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    w: NDArray[np.float64],
    h: NDArray[np.float64],
    apart: float,
    typical: float,
    parameters: WallParameters,
) -> NDArray[np.bool_]:
    """Hairlines one below the other with hardly a gap: a rule that printed badly. 1s of a column leave rows between."""
    found = np.zeros(len(x), bool)
    order = slim[np.argsort(y[slim], kind="stable")]
    chains: list[list[int]] = []
    for k in order.tolist():
        for chain in chains:
            last = chain[-1]
            gap = y[k] - (y[last] + h[last])
            if abs(x[k] + w[k] / 2 - x[last] - w[last] / 2) <= apart and gap <= parameters.broken * typical:
                chain.append(k)
                break
        else:
            chains.append([k])
    for chain in chains:
        if len(chain) >= parameters.fewest:
            found[chain] = True
    return found


def find_teeth(found: Components, keep: NDArray[np.bool_], rules: Rules) -> list[list[Box]]:
    """Teeth of combs: short thin strokes that stand on one horizontal rule at an even pitch, floor by floor.

    A 1 that stands on a line has no fellows at a pitch of their own.
    """
    if not rules.horizontals:
        return []
    thin = max(3.0, 1.6 * rules.thickness_px + 1)
    x, y, w, h = (found.boxes[:, k].astype(np.float64) for k in range(4))
    narrow = np.flatnonzero((w <= thin) & (h >= 4) & (found.areas > 0))
    combs = []
    for floor in rules.horizontals:
        on = (x[narrow] + w[narrow] >= floor.x) & (x[narrow] <= floor.right)
        at_foot = np.minimum(
            np.abs(floor.y - (y[narrow] + h[narrow])), np.abs(floor.bottom - y[narrow])
        ) <= thin + 2
        own = narrow[on & at_foot]
        if len(own) < 3:
            continue
        own = own[np.argsort(x[own], kind="stable")]
        pitch = np.diff(x[own] + w[own] / 2)
        usual = float(np.median(pitch))
        even = float((np.abs(pitch - usual) <= max(2.0, 0.15 * usual)).mean())
        alike = float(np.median(np.abs(h[own] - np.median(h[own])))) <= max(2.0, 0.15 * float(np.median(h[own])))
        if even >= 0.7 and alike and usual > 2 * thin:
            combs.append([found.box(int(k)) for k in own])
    return combs
