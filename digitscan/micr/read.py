"""Lines of E-13B in an image, found and read.

image ─ find_seeds ─> Seed ─ may_be_line, cut_strip, fit_grid ─> Strip, MicrLine ─ read_places ─> ReadMicr
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Transform
from digitscan.micr.find import (
    STRIP_PX,
    MicrLine,
    Seed,
    Strip,
    between_centres,
    cut_strip,
    find_seeds,
    fit_grid,
    thinned,
)
from digitscan.micr.match import COARSE, SCALE, ink_window, likeness_of, read_places, window_origin
from digitscan.micr.standard import HEIGHT, PITCH, SYMBOLS, WIDTH

_MOST_PLACES = 70
_SURE = 0.9
_ALIKE = 0.72
"""Likeness from which a character says where its place is."""
_LINE_ALIKE = 0.8
"""Mean likeness of its characters from which a line is one of E-13B."""
_MAY_BE = 0.6
"""Mean likeness of a chain's marks at first sight from which it is looked at."""
_UNLIKE = 0.2
"""How far a character's likeness may lie below that of its line."""
_INK = 0.35
"""Ink at a place, as a share of what characters have, that is no speck."""
_FEWEST = 6
_REACHES = (6, 4, 3, 3)
"""Pixels by which characters may lie off the grid, look by look: each look sets it right."""
_BEYOND = 6
"""Places beyond those that were read up to which the line's bend is thought to go on."""
_NOTHING = len(SYMBOLS)


@dataclass(frozen=True, slots=True, eq=False)
class ReadMicr:
    """A line that was read.

    Attributes
    ----------
    line : MicrLine
        The straight grid that is nearest to its characters, in pixels of the image.
    places : (N,) int
        Places that were looked at, from the left; the number of a place grows to the right.
    posteriors : (N, 15) float32
        Of each place: `SYMBOLS`, then nothing.
    unread : (N,) bool
        Places with ink that is like no character.
    quality : float
        Mean likeness of its characters to the standard's shapes, 0 to 1.
    corners : (N, 4, 2) float64
        Of each place's character in pixels of the image: upper left, upper right, lower right, lower left.
    """

    line: MicrLine
    places: NDArray[np.int64]
    posteriors: NDArray[np.float32]
    unread: NDArray[np.bool_]
    quality: float
    corners: NDArray[np.float64]

    @property
    def text(self) -> str:
        """What stands there: `SYMBOLS`, and a space for each place without one."""
        return "".join((SYMBOLS + " ")[int(k)] for k in self.posteriors.argmax(axis=1))


def read_micr_lines(image: GrayImage) -> list[ReadMicr]:
    """All lines of E-13B of an image, from top to bottom; they may run in any direction.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.
    """
    read: list[ReadMicr] = []
    for seed in find_seeds(image):
        if any(_lies_in(seed, line) for line in read):
            continue
        found = [_read(cut_strip(image, line)) for line in _may_be_lines(image, seed)]
        good = [line for line in found if line is not None]
        if good:
            read.append(max(good, key=lambda line: line.quality))
    return sorted(read, key=lambda line: float(line.corners[:, :, 1].mean()))


def _lies_in(seed: Seed, line: ReadMicr) -> bool:
    """Whether a chain is part of a line that was read."""
    line_of = seed.line
    middle = line_of.to_page @ np.array([(line_of.last + line_of.first) / 2 * PITCH, HEIGHT / 2, 1.0])
    x, y, _ = np.linalg.inv(line.line.to_page) @ middle
    inside = line.places[0] - 2 <= x / PITCH <= line.places[-1] + 2
    return bool(inside and -HEIGHT < y < 2 * HEIGHT)


def _may_be_lines(image: GrayImage, seed: Seed) -> list[MicrLine]:
    """The one or two directions in which a chain may be a line of E-13B at first sight; none for most chains."""
    reach = 3
    source, shrink = thinned(image, seed.line.module_px / COARSE)
    scores = []
    for line in (seed.line, seed.turned()):
        places = range(line.first, min(line.last, line.first + 11) + 1)
        to_source = np.diag([1 / shrink, 1 / shrink, 1.0]) @ line.to_page
        windows = [
            ink_window(source, between_centres(to_source @ _window_to_line(p, reach, COARSE)), reach, COARSE, 255)
            for p in places
        ]
        best, _ = likeness_of(255 - np.stack(windows), reach, COARSE)
        scores.append(float(np.median(best.max(axis=1))))
    kept = [k for k in (0, 1) if scores[k] >= max(_MAY_BE, max(scores) - 0.08)]
    return [(seed.line, seed.turned())[k] for k in kept]


def _window_to_line(place: float, reach: int, scale: int) -> Transform:
    """From pixels of a place's window to modules of its line."""
    left, top = window_origin(reach, scale)
    return np.array([[1 / scale, 0.0, left + place * PITCH - WIDTH], [0.0, -1 / scale, top], [0.0, 0.0, 1.0]])


def _read(strip: Strip) -> ReadMicr | None:
    """A line's places, read until its grid lies right: paper that is curled or seen askew bends it."""
    line = fit_grid(strip)
    first, last = _within(strip, line)
    places = np.arange(first, last + 1)
    bend = _Bend.none(places)
    for reach in _REACHES:
        matrices = [line.to_page @ bend.of(k) @ _window_to_line(p, reach, SCALE) for k, p in enumerate(places.tolist())]
        windows = np.stack([ink_window(strip.ink, between_centres(matrix), reach) for matrix in matrices])
        seen = read_places(windows, reach)
        sure = (seen.posteriors[:, :_NOTHING].max(axis=1) > _SURE) & (seen.likeness > _ALIKE)
        if sure.sum() < _FEWEST:
            return None
        found = (bend.off + seen.shifts)[sure]
        bend = _Bend.through(places[sure], found, places)
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
    corners = np.stack([_corners(strip.to_page @ line.to_page @ bend.of(k), p) for k, p in enumerate(places.tolist())])
    straight = _set_right(line, places[sure], found)
    straight = MicrLine(strip.to_page @ straight.to_page, int(places[inside][0]), int(places[inside][-1]))
    return ReadMicr(straight, places[inside], seen.posteriors[inside], unread[inside], quality, corners[inside])


def _corners(to_page: Transform, place: int) -> NDArray[np.float64]:
    right = place * PITCH
    box = [(right - WIDTH, HEIGHT), (right, HEIGHT), (right, 0.0), (right - WIDTH, 0.0)]
    return np.asarray([(to_page @ np.array([x, y, 1.0]))[:2] for x, y in box], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Bend:
    """How a line leaves its grid.

    Attributes
    ----------
    places : (N,) int
    off : (N, 2) float64
        Modules by which each place lies off the grid, right and up.
    slope : (N, 2) float64
        Change of `off` from place to place, in modules a module.
    """

    places: NDArray[np.int64]
    off: NDArray[np.float64]
    slope: NDArray[np.float64]

    @classmethod
    def none(cls, places: NDArray[np.int64]) -> _Bend:
        zero = np.zeros((len(places), 2))
        return cls(places, zero, zero)

    @classmethod
    def through(cls, places: NDArray[np.int64], off: NDArray[np.float64], wanted: NDArray[np.int64]) -> _Bend:
        """A curve through those places that were read; far from them it goes on straight."""
        both = [_smooth(places, off[:, k], wanted) for k in range(2)]
        return cls(wanted, np.stack([b[0] for b in both], axis=1), np.stack([b[1] for b in both], axis=1))

    def of(self, index: int) -> Transform:
        """From modules of the line as this place sees it to modules of the straight grid."""
        right, up = self.off[index]
        wider, rising = self.slope[index]
        x = self.places[index] * PITCH
        grow = 1 + wider
        turn = np.array([[grow, -rising, 0.0], [rising, grow, 0.0], [0.0, 0.0, 1.0]])
        there = np.array([[1.0, 0.0, x + right], [0.0, 1.0, up], [0.0, 0.0, 1.0]])
        back = np.array([[1.0, 0.0, -x], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        return np.asarray(there @ turn @ back, np.float64)


def _smooth(
    places: NDArray[np.int64], off: NDArray[np.float64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far places lie off the grid, as a curve through those that were read, and how fast that changes."""
    degree = 2 if len(np.unique(places)) >= _FEWEST + 2 else 1
    kept = np.ones(len(places), bool)
    for _ in range(2):
        curve = np.polyfit(places[kept], off[kept], degree)
        apart = np.abs(off - np.polyval(curve, places))
        kept = apart <= max(0.3, 2.5 * float(np.median(apart)))
        if kept.sum() < _FEWEST:
            break
    reach = np.clip(wanted, places.min() - _BEYOND, places.max() + _BEYOND)
    steep = np.polyval(np.polyder(curve), reach)
    return np.polyval(curve, reach) + steep * (wanted - reach), steep / PITCH


def _within(strip: Strip, line: MicrLine) -> tuple[int, int]:
    """The places that lie on the strip and may belong to the line."""
    right_px = line.to_page[0, 0] * PITCH
    leftmost = int(np.ceil((0 - line.to_page[0, 2]) / right_px + 0.5))
    rightmost = int(np.floor((strip.ink.shape[1] - line.to_page[0, 2]) / right_px + 0.3))
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
