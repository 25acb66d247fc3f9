"""Brackets around numbers: ``[9.866]`` and ``(120)`` are no ones beside the digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitscan.segmentation.components import Components

_NARROW = 0.5
"""Width, in its own heights, at the most."""
_LEAST_HEIGHT_PX = 10
_OVER = 0.06
"""How far what it encloses may stand out above or below it, in its own heights."""
_HIGHER = 1.15
"""Its height in heights of what it encloses, at the least."""
_LEAST_ENCLOSED = 0.5
"""Height of what it encloses, in its own heights, at the least."""
_NEAR = 0.8
"""Space between a bracket and what it encloses, in its own heights, at the most."""
_APART = (0.5, 14.0)
"""Space between the two of a pair, in their heights: the halves of a broken zero are nearer."""
_ALIKE = 0.15
"""How much the heights and the tops of a pair may differ, in their heights."""
_HOOK = 0.05
"""How far the ends turn to what is enclosed, in its own heights, at the least: the side of a box has straight ends."""


def find_brackets(found: Components, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which components are brackets or parentheses, always in pairs.

    Each is higher than what stands beside it and both of its ends turn inwards; a one is neither.

    Parameters
    ----------
    found : Components
    keep : (N,) bool
        Characters, as `character_like` gives them.

    Returns
    -------
    (N,) bool
    """
    brackets = np.zeros(len(found), bool)
    ids = np.flatnonzero(keep)
    ids = ids[np.argsort(found.boxes[ids, 0], kind="stable")]
    left, top, width, height = found.boxes[ids].astype(np.float64).T
    right, bottom = left + width, top + height
    widest = float(width.max(initial=0.0))
    opening: list[int] = []
    closing: list[int] = []
    for k in np.flatnonzero((width <= _NARROW * height) & (height >= _LEAST_HEIGHT_PX)):
        reach, out = _NEAR * height[k], _OVER * height[k]
        start, stop = np.searchsorted(left, [left[k] - reach - widest, right[k] + reach])
        near = np.arange(start, stop)
        near = near[(top[near] >= top[k] - out) & (bottom[near] <= bottom[k] + out) & (near != k)]
        near = near[(height[near] >= _LEAST_ENCLOSED * height[k]) & (_HIGHER * height[near] <= height[k])]
        after = (left[near] >= right[k] - 1) & (left[near] <= right[k] + reach)
        before = (right[near] <= left[k] + 1) & (right[near] >= left[k] - reach)
        if not (after.any() or before.any()):
            continue
        turn = _turn(found, int(ids[k]))
        if turn > _HOOK and after.any():
            opening.append(int(k))
        elif turn < -_HOOK and before.any():
            closing.append(int(k))
    others = np.array(closing, np.int64)  # by their left edge, as all are
    for a in opening:
        low, high = np.searchsorted(left[others], right[a] + np.array(_APART) * height[a])
        near = others[low:high]
        alike = np.abs(height[near] - height[a]) <= _ALIKE * height[a]
        alike &= np.abs(top[near] - top[a]) <= _ALIKE * height[a] + 0.05 * (left[near] - right[a])
        if alike.any():
            brackets[ids[[a, int(near[alike.argmax()])]]] = True
    return brackets


def _turn(found: Components, index: int) -> float:
    """How far to the right both ends of a component lie of its middle, in its heights; negative to the left.

    The end that turns less counts.
    """
    x, y, w, h = (int(v) for v in found.boxes[index])
    own = found.labels[y : y + h, x : x + w] == index + 1
    weight = own.sum(axis=1)
    centers = (own * np.arange(w)).sum(axis=1) / np.maximum(weight, 1)
    end = max(1, h // 8)
    middle = float(np.median(centers[3 * h // 8 : h - 3 * h // 8]))
    # The hook of a square bracket is a row or two.
    turns = [part[np.abs(part).argmax()] / h for part in (centers[:end] - middle, centers[-end:] - middle)]
    return float(min(turns, key=abs)) if turns[0] * turns[1] > 0 else 0.0
