"""Lines of E-13B in an image, found and read.

image ─ find_seeds ─> Seed ─ may_be_line, cut_strip, fit_grid ─> Strip, MicrLine ─ read_places ─> ReadMicr
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Transform
from digitscan.micr.find import (
    ATTEMPTS,
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
from digitscan.micr.match import COARSE, SCALE, MicrPlaces, ink_window, likeness_of, read_places, window_origin
from digitscan.micr.standard import HEIGHT, PITCH, SYMBOLS, WIDTH

_SURE = 0.9
_ALIKE = 0.72
"""Likeness from which a character says where its place is."""
_LINE_ALIKE = 0.8
"""Mean likeness of its characters from which a line is one of E-13B."""
_MAY_BE = 0.77
"""Mean likeness of a chain's marks at first sight from which it is looked at."""
_MARKS = 6
"""Marks of a chain that are looked at first."""
_UNLIKE = 0.2
"""How far a character's likeness may lie below that of its line."""
_UNLIKE_APART = 0.1
"""The same of one that stands alone: the edge of the paper looks a little like a 3, and goes on above and below."""
_ON = 3
"""Places beyond the last character in which ink tells that the line may go on."""
_INK = 0.12
"""Ink at a place, as a share of what characters have, that is no speck."""
_DARK = 0.55
"""How dark that ink is, as a share of theirs: a pattern of the paper is paler."""
_FEWEST = 6
_FEWEST_TRACKED = 4
"""Sure characters by which a line is followed."""
_LOOKS = 8
"""Coarse looks at most; each goes on where the one before ended."""
_COARSE_LOOK, _WIDE_LOOK, _FINE_LOOK = (3, COARSE), (6, COARSE), (3, SCALE)
"""Pixels by which characters may lie off their place, and pixels a module has."""
_AHEAD_FIRST, _AHEAD = 4, 14
"""Places beyond the last sure one that a look takes in: fields stand apart."""
_BEYOND = 6
"""Places beyond those that were read up to which the line's bend is thought to grow."""
_MOST_LOST = 3
"""Characters in a row that are not sure at which a line is thought to have been lost."""
_MET = 0.6
"""Modules by which a character behind a blot may lie off the course."""
_SPAN = 6
"""Places between first and last from which a line is seen to be askew; bent, from twice as many."""
_FLAT = 15.0
"""How strongly paper is thought to face the camera: modules that places are read to, by the usual change of their
pitch from place to place, as a share."""
_NOTHING = len(SYMBOLS)
UNREAD = "?"
"""Stands for a character that is not read."""


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
    open_ends : (bool, bool)
        Whether the line may go on before its first place, and behind its last: ink stands there that is not read.
    """

    line: MicrLine
    places: NDArray[np.int64]
    posteriors: NDArray[np.float32]
    unread: NDArray[np.bool_]
    quality: float
    corners: NDArray[np.float64]
    open_ends: tuple[bool, bool] = (False, False)
    symbols: str = SYMBOLS
    """What the columns of `posteriors` stand for."""
    named: bool = False
    """Whether it is only known to be a line: its characters cannot be read."""

    def holds(self, other: MicrLine) -> bool:
        """Whether the places of another grid lie in this line."""
        middle = other.to_page @ np.array([(other.last + other.first) / 2 * PITCH, HEIGHT / 2, 1.0])
        x, y, _ = np.linalg.inv(self.line.to_page) @ middle
        inside = self.places[0] - 2 <= x / PITCH <= self.places[-1] + 2
        return bool(inside and -HEIGHT < y < 2 * HEIGHT)

    @property
    def doubtful(self) -> bool:
        """Whether another look at the line might read more of it."""
        there = self.posteriors[:, :-1].max(axis=1) > 0.5
        unsure = there & (self.posteriors.max(axis=1) < _SURE)
        return bool(self.unread.any() or any(self.open_ends) or unsure.any())

    @property
    def text(self) -> str:
        """What stands there: `SYMBOLS`, and a space for each place without one."""
        return "".join((self.symbols + " ")[int(k)] for k in self.posteriors.argmax(axis=1))

    @property
    def marked_text(self) -> str:
        """The same with `UNREAD` for each place whose ink is like no character."""
        return "".join(UNREAD if lost else own for own, lost in zip(self.text, self.unread, strict=True))


def read_micr_lines(image: GrayImage) -> list[ReadMicr]:
    """All lines of E-13B of an image, from top to bottom; they may run in any direction.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.
    """
    for attempt in range(len(ATTEMPTS)):
        if lines := _lines_of(image, find_seeds(image, attempt)):
            return lines
    return []


def _lines_of(image: GrayImage, seeds: Sequence[Seed]) -> list[ReadMicr]:
    read: list[ReadMicr] = []
    for seed in seeds:
        own = [k for k, line in enumerate(read) if line.holds(seed.line)]
        if any(not read[k].doubtful for k in own):
            continue
        found = [_read(cut_strip(image, line)) for line in _may_be_lines(image, seed)]
        good = [line for line in found if line is not None]
        if not good:
            continue
        best = max(good, key=_characters)
        if not own:
            read.append(best)
        elif _characters(best) > max(_characters(read[k]) for k in own):
            read = [line for k, line in enumerate(read) if k not in own] + [best]
    return sorted(read, key=lambda line: float(line.corners[:, :, 1].mean()))


def _characters(line: ReadMicr) -> float:
    """How much of a line was read."""
    return float(line.posteriors[:, :_NOTHING].max(axis=1).sum() * line.quality)


def _may_be_lines(image: GrayImage, seed: Seed) -> list[MicrLine]:
    """The one or two directions in which a chain may be a line of E-13B at first sight; none for most chains."""
    reach = 2
    lines = seed.line, seed.turned()
    first, last = seed.line.first, min(seed.line.last, seed.line.first + _MARKS - 1)
    corner, near = _around(image, seed.line, first, last)
    source, shrink = thinned(near, seed.line.module_px / COARSE)
    to_source = np.diag([1 / shrink, 1 / shrink, 1.0]) @ corner
    scores = []
    for line, places in zip(lines, ((first, last), (seed.line.last - last, seed.line.last - first)), strict=True):
        ways = [to_source @ line.to_page @ _window_to_line(p, reach, COARSE) for p in range(places[0], places[1] + 1)]
        windows = np.stack([ink_window(source, between_centres(way), reach, COARSE, 255) for way in ways])
        scores.append(float(np.median(likeness_of(255 - windows, reach, COARSE)[0].max(axis=1))))
    kept = [k for k in (0, 1) if scores[k] >= max(_MAY_BE, max(scores) - 0.08)]
    return [lines[k] for k in kept]


def _around(image: GrayImage, line: MicrLine, first: int, last: int) -> tuple[Transform, GrayImage]:
    """The way to the pixels of that part of an image which holds some places, and that part."""
    left, right = (first - 1) * PITCH - WIDTH, (last + 1) * PITCH
    corners = np.array([[left, right, right, left], [-6, -6, HEIGHT + 6, HEIGHT + 6], [1.0] * 4])
    x, y = (line.to_page @ corners)[:2]
    x0, y0 = max(int(x.min()), 0), max(int(y.min()), 0)
    part = image[y0 : max(int(y.max()) + 1, y0 + 1), x0 : max(int(x.max()) + 1, x0 + 1)]
    return np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0], [0.0, 0.0, 1.0]]), part


def _window_to_line(place: float, reach: int, scale: int) -> Transform:
    """From pixels of a place's window to modules of its line."""
    left, top = window_origin(reach, scale)
    return np.array([[1 / scale, 0.0, left + place * PITCH - WIDTH], [0.0, -1 / scale, top], [0.0, 0.0, 1.0]])


def _read(strip: Strip) -> ReadMicr | None:
    """A line's places: coarsely from the marks outward until its ends are reached, then as finely as they are read."""
    line = fit_grid(strip)
    track = _Track(strip, line)
    ahead, look = _AHEAD_FIRST, _COARSE_LOOK
    for _ in range(_LOOKS):
        before = track.ends
        if not track.look(track.places(before[0] - ahead, before[1] + ahead), *look):
            return None
        if track.ends != before or ahead != _AHEAD:
            ahead, look = _AHEAD, _COARSE_LOOK
        elif track.strayed and look is not _WIDE_LOOK:  # far from what was read, a course may be off by more
            look = _WIDE_LOOK
        elif track.dropped and not track.bridging:
            track.bridging = True
        else:
            break
    low, high = track.ends
    places = track.places(low - _ON, high + _ON)
    if not track.look(places, *_FINE_LOOK):
        return None
    return _result(strip, track, places)


class _Track:
    """A line that is followed along its strip: what was read says where its places lie.

    Parameters
    ----------
    strip : Strip
    line : MicrLine
        The grid to begin with, in pixels of the strip.
    """

    def __init__(self, strip: Strip, line: MicrLine) -> None:
        self.strip, self.line = strip, line
        self.ends = line.first, line.last
        """First and last place with a character that is sure."""
        self.sure: NDArray[np.int64] = np.zeros(0, np.int64)
        self.off: NDArray[np.float64] = np.zeros((0, 2))
        """How far the sure places lie off the grid, in modules."""
        self.bridging = False
        """Whether the course is known well enough to go on behind a blot."""
        self.dropped = False
        """Whether characters were seen behind a blot that the course has not met again."""
        self.strayed = False
        """Whether characters stood at the rim of where they were looked for."""
        self.seen: MicrPlaces

    @property
    def course(self) -> Course:
        """Where the line runs by what was read."""
        return Course(self.sure, self.off)

    def places(self, first: int, last: int) -> NDArray[np.int64]:
        """Those of some places that lie on the strip."""
        places = np.arange(first, last + 1)
        to_strip = self.line.to_page
        x = np.array(
            [(to_strip @ way @ [p * PITCH, 0, 1.0])[0] for way, p in zip(self.course.ways(places), places, strict=True)]
        )
        width = self.strip.ink.shape[1]
        return places[(x > 0.5 * PITCH * STRIP_PX) & (x < width + 0.3 * PITCH * STRIP_PX)]

    def look(self, places: NDArray[np.int64], reach: int, scale: int) -> bool:
        """Read places within `reach` pixels of where they are expected, and set the course; False for no line."""
        if not len(places):
            return False
        course = self.course
        source, shrink = thinned(self.strip.ink, STRIP_PX / scale)
        to_source = np.diag([1 / shrink, 1 / shrink, 1.0]) @ self.line.to_page
        windows = [
            ink_window(source, between_centres(to_source @ way @ _window_to_line(p, reach, scale)), reach, scale)
            for way, p in zip(course.ways(places), places.tolist(), strict=True)
        ]
        seen = read_places(np.stack(windows), reach, scale)
        sure = (seen.posteriors[:, :_NOTHING].max(axis=1) > _SURE) & (seen.likeness > _ALIKE)
        # What lies at the rim of its window may lie beyond it.
        rim = np.abs(seen.shifts[:, 0]) > (reach - 0.4) / scale
        self.strayed = bool((sure & rim).any())
        sure &= ~rim
        joined = joined_with(sure, seen.likeness > 0, int(np.searchsorted(places, sum(self.ends) / 2)))
        if self.bridging:  # a line that was lost on a wrong course would not meet its places again
            joined |= (np.abs(seen.shifts) < _MET).all(axis=1)
        self.dropped = bool((sure & ~joined).any())
        sure &= joined
        if sure.sum() < _FEWEST_TRACKED:
            return False
        self.seen, self.sure, self.off = seen, places[sure], (course.off(places) + seen.shifts)[sure]
        self.ends = int(self.sure[0]), int(self.sure[-1])
        return True


def joined_with(sure: NDArray[np.bool_], dark: NDArray[np.bool_], middle: int) -> NDArray[np.bool_]:
    """Places up to where two in a row hold something else than a sure character: there the course has been left."""
    joined = np.zeros(len(sure), bool)
    start = int(np.abs(np.flatnonzero(sure) - middle).argmin()) if sure.any() else 0
    start = int(np.flatnonzero(sure)[start]) if sure.any() else middle
    for step in (-1, 1):
        lost, k = 0, start
        while 0 <= k < len(sure) and lost < _MOST_LOST:
            joined[k] = True
            lost = 0 if sure[k] else lost + int(dark[k])
            k += step
    return joined


def _result(strip: Strip, track: _Track, places: NDArray[np.int64]) -> ReadMicr | None:
    """What was seen, if it is a line of E-13B."""
    seen = track.seen
    there = seen.posteriors.argmax(axis=1) < _NOTHING
    if there.sum() < _FEWEST or float(seen.likeness[there].mean()) < _LINE_ALIKE:
        return None
    # What lies beside a cheque looks like this or that symbol, but never as much as its neighbours on the line do.
    usual = float(np.median(seen.likeness[there]))
    strange = there & (seen.likeness < usual - _UNLIKE)
    apart = _apart(there & ~strange)
    strange |= apart & (seen.likeness < usual - _UNLIKE_APART)
    strange |= apart & (seen.outside > _DARK * float(np.median(seen.strength[there])))
    seen.posteriors[strange] = np.eye(_NOTHING + 1, dtype=np.float32)[_NOTHING]
    there &= ~strange
    if there.sum() < _FEWEST:
        return None
    unread = ~there & (seen.ink > _INK * float(np.median(seen.ink[there])))
    unread &= seen.strength > _DARK * float(np.median(seen.strength[there]))
    inside = slice(int(there.argmax()), len(there) - int(there[::-1].argmax()))
    # A character at the very rim of what was looked at says that the line was lost there.
    ends = bool(unread[: inside.start].any() or there[0]), bool(unread[inside.stop :].any() or there[-1])
    line = track.line
    ways = [strip.to_page @ line.to_page @ way for way in track.course.ways(places)]
    corners = np.stack([corners_of(way, p) for way, p in zip(ways, places.tolist(), strict=True)])
    straight = _set_right(line, track.sure, track.off)
    straight = MicrLine(strip.to_page @ straight.to_page, int(places[inside][0]), int(places[inside][-1]))
    quality = float(seen.likeness[there].mean())
    return ReadMicr(straight, places[inside], seen.posteriors[inside], unread[inside], quality, corners[inside], ends)


def _apart(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Single characters with no other one within two places."""
    padded = np.pad(there, 2)
    near = padded[:-4] | padded[1:-3] | padded[3:-1] | padded[4:]
    return np.asarray(there & ~near, np.bool_)


def corners_of(to_page: Transform, place: int) -> NDArray[np.float64]:
    """Where a place's character stands: (4, 2), upper left, upper right, lower right, lower left."""
    right = place * PITCH
    box = [(right - WIDTH, HEIGHT), (right, HEIGHT), (right, 0.0), (right - WIDTH, 0.0)]
    return np.asarray([(to_page @ np.array([x, y, 1.0]))[:2] for x, y in box], np.float64)


class Course:
    """Where the places of a line lie: on flat paper seen from any side they follow ``(a p + b) / (1 + c p)``.

    Parameters
    ----------
    places : (N,) int
        Those that were read; none for the straight grid.
    off : (N, 2) float64
        Modules by which they lie off the grid, right and up.
    """

    def __init__(self, places: NDArray[np.int64], off: NDArray[np.float64]) -> None:
        self.a, self.b, self.c = PITCH, 0.0, 0.0
        self.rise = np.zeros(1)
        if not len(places):
            return
        p, x, up = places.astype(np.float64), places * PITCH + off[:, 0], off[:, 1]
        span = float(np.ptp(p))
        askew = span >= _SPAN and len(p) >= _SPAN - 1
        kept = np.ones(len(p), bool)
        for _ in range(4):
            # Few places tell little of how askew the paper lies: it is thought to be flat until they do.
            flat = np.array([[0.0, 0.0, _FLAT if askew else 1e6]])
            rows = np.stack([p[kept], np.ones(int(kept.sum())), -p[kept] * x[kept]], axis=1)
            found = np.linalg.lstsq(np.concatenate([rows, flat]), np.append(x[kept], 0.0), rcond=None)[0]
            self.a, self.b, self.c = found.tolist()
            self.rise = np.polyfit(p[kept], up[kept], 2 if span >= 2 * _SPAN else 1)
            apart = np.hypot(x - self.along(p), up - np.polyval(self.rise, p))
            now = apart <= max(0.4, 2.5 * float(np.median(apart)))
            if now.sum() < _FEWEST_TRACKED or (now == kept).all():
                break
            kept = now
        self.reach = float(p.min()) - _BEYOND, float(p.max()) + _BEYOND

    def along(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Modules along the line where places end."""
        return (self.a * p + self.b) / np.maximum(1 + self.c * p, 0.2)

    def off(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Modules by which places lie off the grid, right and up: (N, 2)."""
        p = places.astype(np.float64)
        return np.stack([self.along(p) - p * PITCH, self._height(p)[0]], axis=1)

    def _height(self, p: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Modules by which places lie above the grid, and the change from place to place; straight on at the ends."""
        if len(self.rise) < 2:
            return np.zeros(len(p)), np.zeros(len(p))
        near = np.clip(p, *self.reach)
        steep = np.polyval(np.polyder(self.rise), near)
        return np.polyval(self.rise, near) + steep * (p - near), steep

    def ways(self, places: NDArray[np.int64]) -> list[Transform]:
        """For each place the way from modules of the line as it stands there to modules of the straight grid."""
        p = places.astype(np.float64)
        right = self.along(p)
        up, steep = self._height(p)
        # Seen askew, characters grow half as fast as the steps between them.
        pitch = (self.a - self.b * self.c) / np.maximum(1 + self.c * p, 0.2) ** 2
        wide = np.clip(pitch / PITCH, 0.6, 1.6)
        high = np.sqrt(wide)
        slope = steep / PITCH
        ways = []
        for k, place in enumerate(p.tolist()):
            turn = np.array([[wide[k], -slope[k] * high[k], right[k]], [slope[k], high[k], up[k]], [0.0, 0.0, 1.0]])
            back = np.array([[1.0, 0.0, -place * PITCH], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
            ways.append(turn @ back)
        return ways


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
