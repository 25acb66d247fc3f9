"""Lines of E-13B on a page, found and read.

soft ink, mask ─ find_micr_lines ─> MicrLine ─ ink_window, read_places ─> ReadMicr
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Ink, Mask, Transform
from digitscan.micr.find import MicrLine, find_micr_lines
from digitscan.micr.match import SCALE, ink_window, read_places, window_origin
from digitscan.micr.standard import PITCH, SYMBOLS, WIDTH
from digitscan.segmentation.components import label

_MOST_PLACES = 70
_SURE = 0.9
_ALIKE = 0.72
"""Likeness from which a character says where its place is."""
_LINE_ALIKE = 0.82
"""Mean likeness of its characters from which a line is one of E-13B: drawn ones have 0.88 and more after all damage of
benchmarks/cheques.py, other print of the same pitch 0.76."""
_UNLIKE = 0.2
"""How far a character's likeness may lie below that of its line."""
_INK = 0.35
"""Ink at a place, as a share of what characters have, that is no speck."""
_FEWEST = 6
_LOOKS = 4
_BEYOND = 6
"""Places beyond those that were read up to which the line's bend is thought to go on."""
_NOTHING = len(SYMBOLS)


@dataclass(frozen=True, slots=True, eq=False)
class ReadMicr:
    """A line that was read.

    Attributes
    ----------
    line : MicrLine
    places : (N,) int
        Places that were looked at, from the left; the number of a place grows to the right.
    posteriors : (N, 15) float32
        Of each place: `SYMBOLS`, then nothing.
    unread : (N,) bool
        Places with ink that is like no character.
    quality : float
        Mean likeness of its characters to the standard's shapes, 0 to 1.
    """

    line: MicrLine
    places: NDArray[np.int64]
    posteriors: NDArray[np.float32]
    unread: NDArray[np.bool_]
    quality: float

    @property
    def text(self) -> str:
        """What stands there: `SYMBOLS`, and a space for each place without one."""
        return "".join((SYMBOLS + " ")[int(k)] for k in self.posteriors.argmax(axis=1))


def read_micr_lines(ink: Ink, mask: Mask) -> list[ReadMicr]:
    """All lines of E-13B of an upright page, from top to bottom.

    Parameters
    ----------
    ink : (H, W) uint8
        Soft ink.
    mask : (H, W) bool
        Ink.
    """
    read = [_read(ink, line) for line in find_micr_lines(label(mask))]
    return [one for one in read if one is not None]


def _read(ink: Ink, line: MicrLine) -> ReadMicr | None:
    """A line's places, read until its grid lies right: paper that is curled or seen askew bends it."""
    first, last = _within(ink, line)
    places = np.arange(first, last + 1)
    bend = np.zeros((len(places), 2))
    for _ in range(_LOOKS):
        windows = np.stack(
            [
                ink_window(ink, _window_matrix(line, place, off))
                for place, off in zip(places.tolist(), bend, strict=True)
            ]
        )
        seen = read_places(windows)
        sure = (seen.posteriors[:, :_NOTHING].max(axis=1) > _SURE) & (seen.likeness > _ALIKE)
        if sure.sum() < _FEWEST:
            return None
        found = (bend + seen.shifts)[sure]
        bend = np.stack([_smooth(places[sure], found[:, k], places) for k in range(2)], axis=1)
    there = seen.posteriors.argmax(axis=1) < _NOTHING
    if there.sum() < _FEWEST or float(seen.likeness[there].mean()) < _LINE_ALIKE:
        return None
    # What lies beside a cheque looks like this or that symbol, but never as much as its neighbours on the line do.
    least = float(np.median(seen.likeness[there])) - _UNLIKE
    strange = there & (seen.likeness < least)
    seen.posteriors[strange] = np.eye(_NOTHING + 1, dtype=np.float32)[_NOTHING]
    there &= ~strange
    inside = slice(int(there.argmax()), len(there) - int(there[::-1].argmax()))
    quality = float(seen.likeness[there].mean())
    unread = ~there & (seen.ink > _INK * float(np.median(seen.ink[there])))
    line = _set_right(line, places[sure], found)
    return ReadMicr(line, places[inside], seen.posteriors[inside], unread[inside], quality)


def _smooth(places: NDArray[np.int64], off: NDArray[np.float64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far places lie off the grid, as a curve through those that were read; far from them it ends level."""
    degree = 2 if len(np.unique(places)) >= _FEWEST + 2 else 1
    kept = np.ones(len(places), bool)
    for _ in range(2):
        curve = np.polyfit(places[kept], off[kept], degree)
        apart = np.abs(off - np.polyval(curve, places))
        kept = apart <= max(0.3, 2.5 * float(np.median(apart)))
        if kept.sum() < _FEWEST:
            break
    reach = np.clip(wanted, places.min() - _BEYOND, places.max() + _BEYOND)
    return np.asarray(np.polyval(curve, reach), np.float64)


def _window_matrix(line: MicrLine, place: int, off: NDArray[np.float64]) -> NDArray[np.float64]:
    """From pixels of the window of a place that lies `off` its grid, in modules, to those of the page: (2, 3)."""
    left, top = window_origin()
    to_modules = np.array(
        [[1 / SCALE, 0.0, left + place * PITCH - WIDTH + off[0]], [0.0, -1 / SCALE, top + off[1]], [0.0, 0.0, 1.0]]
    )
    # Pixels are counted from their centres.
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    back = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
    return np.asarray((back @ line.to_page @ to_modules @ half)[:2], np.float64)


def _within(ink: Ink, line: MicrLine) -> tuple[int, int]:
    """The places that lie on the page and may belong to the line."""
    right_px = line.to_page[0, 0] * PITCH
    leftmost = int(np.ceil((0 - line.to_page[0, 2]) / right_px + 0.5))
    rightmost = int(np.floor((ink.shape[1] - line.to_page[0, 2]) / right_px + 0.3))
    spare = max(0, _MOST_PLACES - (line.last - line.first + 1))
    return max(leftmost, line.first - spare), min(rightmost, line.last + spare)


def _set_right(line: MicrLine, places: NDArray[np.int64], shifts: NDArray[np.float64]) -> MicrLine:
    """The straight grid nearest to the characters: `shifts` (N, 2) are theirs from it in modules, right and up."""
    if len(np.unique(places)) < 3:
        return line
    x = places * PITCH
    kept = np.ones(len(x), bool)
    for _ in range(2):
        along, across = np.polyfit(x[kept], shifts[kept, 0], 1), np.polyfit(x[kept], shifts[kept, 1], 1)
        off = np.hypot(shifts[:, 0] - np.polyval(along, x), shifts[:, 1] - np.polyval(across, x))
        kept = off <= max(0.3, 2.5 * float(np.median(off)))
        if kept.sum() < _FEWEST:
            return line
    change: Transform = np.array(
        [[1 + along[0], -across[0], along[1]], [across[0], 1 + along[0], across[1]], [0.0, 0.0, 1.0]]
    )
    return replace(line, to_page=line.to_page @ change)
