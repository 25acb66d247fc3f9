"""The ledger of ink: strokes beside a string that belong to nobody, so that no number is shortened unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Box
from digitscan.layout.structure import CellId
from digitscan.segmentation.components import Components
from digitscan.segmentation.marks import StringMarks


@dataclass(frozen=True, slots=True)
class LedgerParameters:
    """Which strokes beside a string may be part of its number; heights are those of the string.

    Attributes
    ----------
    high : float
        Least height of such a stroke: lower ones are points, dashes and specks, which the line recognizer sees.
    shared : float
        Share of its height, or of the string's, that both have in common.
    reach : float
        How far from the string it may stand; nearer than two numbers of one line do.
    bulk : float
        Least share of its box that is inked: show-through and grain are thinner.
    """

    high: float = 0.45
    shared: float = 0.5
    reach: float = 0.4
    bulk: float = 0.06


PARAMETERS = LedgerParameters()


def left_over(
    strings: Sequence[StringMarks],
    cells: Sequence[CellId | None],
    found: Components,
    owned: NDArray[np.bool_],
    cell_of: Sequence[CellId | None],
    posts: NDArray[np.float64],
    parameters: LedgerParameters = PARAMETERS,
) -> list[Box | None]:
    """For each string the largest stroke beside it that is part of no number there; None where all ink is owned.

    Parameters
    ----------
    strings : sequence of StringMarks
    cells : sequence of CellId or None
        The cell of each string.
    found : Components
    owned : (N,) bool
        Components that are no writing: remains of rules, teeth of combs, brackets.
    cell_of : sequence of CellId or None
        The cell of each component.
    posts : (P, 4) float64
        Walls between strings: left, top, right, bottom.
    """
    edges = found.boxes.astype(np.float64)
    edges[:, 2:] += edges[:, :2]
    high = edges[:, 3] - edges[:, 1]
    area = np.maximum((edges[:, 2] - edges[:, 0]) * high, 1)
    writing = ~owned & (found.areas >= parameters.bulk * area) & (found.areas > 0)
    order = np.argsort(edges[:, 0], kind="stable")
    starts = edges[order, 0]
    widest = float((edges[writing, 2] - edges[writing, 0]).max(initial=0.0))
    table = np.array([-1 if c is None else hash(c) for c in cell_of], np.int64)
    result: list[Box | None] = []
    for string, cell in zip(strings, cells, strict=True):
        reach = parameters.reach * string.height
        left, top, right, bottom = string.box.x, string.box.y, string.box.right, string.box.bottom
        near = order[np.searchsorted(starts, left - reach - widest) : np.searchsorted(starts, right + reach)]
        near = near[writing[near] & (edges[near, 2] > left - reach) & (high[near] >= parameters.high * string.height)]
        near = np.setdiff1d(near, [*string.characters, *string.marks])
        shared = np.minimum(edges[near, 3], bottom) - np.maximum(edges[near, 1], top)
        near = near[shared >= parameters.shared * np.minimum(high[near], string.height)]
        near = near[table[near] == (-1 if cell is None else hash(cell))]
        near = np.array([k for k in near.tolist() if not _parted(edges[k], string.box, posts)], np.int64)
        result.append(found.box(int(near[np.argmax(found.areas[near])])) if len(near) else None)
    return result


def _parted(own: NDArray[np.float64], box: Box, posts: NDArray[np.float64]) -> bool:
    """Whether a wall stands between a component and a string."""
    if not len(posts):
        return False
    middle_y = (max(own[1], box.y) + min(own[3], box.bottom)) / 2
    between = (posts[:, 0] + posts[:, 2]) / 2
    a, b = (own[0] + own[2]) / 2, box.center[0]
    inside = (between > min(a, b)) & (between < max(a, b)) & ((between <= box.x) | (between >= box.right))
    return bool((inside & (posts[:, 1] <= middle_y) & (posts[:, 3] >= middle_y)).any())
