"""Reads lines of CMC-7: seven bars a character, whose six distances tell it; two of them are long.

Sizes are those of ISO 1004-2: 8 characters an inch, 2.85 mm high, bars 0.15 mm wide and 0.3 or 0.5 mm from one to the
next. Which distances are long was measured on a photographed cheque of Brazil and agrees with digits of French
ones; the five symbols are the five codes that end in a long distance, in the standard's order.

image ─ find_seeds ─> Seed ─ profile of its bars ─> correlation with each code, place by place ─> ReadMicr
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Transform
from digitscan.micr.find import MicrLine, between_centres, find_bar_seeds, thinned
from digitscan.micr.read import Course, ReadMicr, corners_of, joined_with
from digitscan.micr.standard import HEIGHT, MODULE_INCH, PITCH

MM = 1 / (25.4 * MODULE_INCH)
"""Modules of a millimetre: grids count in those of E-13B, whose pitch is the same."""
SHORT, LONG, BAR, TALL = 0.3 * MM, 0.5 * MM, 0.15 * MM, 2.85 * MM
"""Distances between bars, their width, and the height of a character, in modules."""
BAR_SYMBOLS = "0123456789:<;=>"
"""The ten digits and the symbols S1 (internal), S2 (amount), S3 (end), S4 (not used) and S5 (routing), as readers that
are sold give them."""
CODES = (
    "001100", "100010", "011000", "101000", "100100", "000110", "001010", "110000", "010010", "010100",
    "100001", "010001", "001001", "000101", "000011",
)  # fmt: skip
"""Which of a character's distances are long, from the left; in the order of `BAR_SYMBOLS`."""
WIDE = 4 * SHORT + 2 * LONG
"""From the first bar to the last, in modules; the same for all."""

_PX = 8
"""Pixels of a module in the profile."""
_SHARPNESS = (0.07 * MM, 0.11 * MM)
"""Spread of a bar as it is seen, in modules."""
_STRETCH = (0.92, 0.96, 1.0, 1.04, 1.08)
_SHEARS = np.linspace(-0.3, 0.3, 11)
"""How far bars may lean against their line, as a slope."""
_BARS = 5.5, 8
"""Bars that half of a chain's marks must have, at least and at most: letters have one to four strokes."""
_STROKES = 4.6, 7.6
"""Strokes for each mark in a third of a chain's height, at least and at most."""
_ROWS = 8
_DEPTH = 0.15
"""How deep the valleys between bars are, as a share of the highest."""
_DRIFT = 3.0
"""Modules by which a line may rise or fall from where its first marks suggest."""
_CURL = 2.0
"""Places within which curled paper leaves its course alike."""
_MARKS = 6
"""Marks of a chain that are looked at first."""
_SLACK = 1.6
"""Modules by which a character may lie off its place."""
_EVIDENCE = 30.0
"""What a unit of likeness counts, in log units."""
_NOTHING = 0.58
_ALIKE = 0.62
"""Likeness from which a character says where its place is."""
_LINE_ALIKE = 0.8
"""Mean likeness of its characters from which a line is one of CMC-7."""
_NAMED = 0.74
"""The same from which a line has bars, though they cannot be read."""
_SYMBOLS_COST = 0.4
_MOST_SYMBOLS = 0.25
"""Share of symbols, and of what is not read, above which a line is not read: it may stand on its head."""
_CERTAIN = 0.85
"""The same from which no other chain of the line is asked."""
_FEW = 3
"""Sure characters by which a line is followed."""
_UNREAD = 0.35
"""Contrast of a place's profile, as a share of the line's, that is no paper."""
_AHEAD = 10
_LOOKS = 7
_FEWEST = 6

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """What the bars of a strip look like, column by column.

    Attributes
    ----------
    likeness : (W, 15) float64
        Correlation with each code where a character's middle is this column; `_PX` columns a module.
    strength : (W,) float64
        Contrast there.
    left : float
        Module at which they begin.
    to_page : (3, 3) float64
        From modules, upright ones, to pixels of the image.
    """

    likeness: Real
    strength: Real
    left: float
    to_page: Transform


@cache
def _templates() -> Real:
    """(P, 15 * K): each code in all widths and sharpnesses, with mean 0 and length 1; code by code."""
    half = (WIDE + 1.6) / 2
    x = np.arange(round(2 * half * _PX)) / _PX - half + 0.5 / _PX
    columns = []
    for code in CODES:
        steps = [LONG if long == "1" else SHORT for long in code]
        bars = np.concatenate([[0.0], np.cumsum(steps)]) - WIDE / 2
        for stretch in _STRETCH:
            for spread in _SHARPNESS:
                columns.append(np.exp(-0.5 * ((x[:, None] - bars * stretch) / spread) ** 2).sum(axis=1))
    drawn = np.stack(columns, axis=1)
    drawn -= drawn.mean(axis=0)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0), np.float64)


def read_bar_lines(image: GrayImage) -> list[ReadMicr]:
    """All lines of CMC-7 of an image, from top to bottom; they may run in any direction.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.

    Returns
    -------
    list of ReadMicr
        Of `BAR_SYMBOLS`. One that has bars which cannot be told apart has no places that are read: `named` is set.
    """
    read: list[ReadMicr] = []
    for seed in find_bar_seeds(image):
        if not _has_bars(image, seed.line):
            continue
        if any(line.holds(seed.line) and line.quality > _CERTAIN for line in read):
            continue
        found = [line for line in (_read(image, way) for way in (seed.line, seed.turned())) if line is not None]
        if not found:
            continue
        best = max(found, key=_rank)
        own = [line for line in read if line.holds(best.line) or best.holds(line.line)]
        if all(_rank(best) > _rank(line) for line in own):
            read = [line for line in read if all(line is not other for other in own)] + [best]
    return sorted(read, key=lambda line: float(line.corners[:, :, 1].mean()))


def _rank(line: ReadMicr) -> tuple[bool, float]:
    """Likeness, less what symbols cost: on its head many a digit looks like one, and lines have few."""
    signs = sum(not c.isdigit() for c in line.text if c != " ")
    return not line.named, line.quality - _SYMBOLS_COST * signs / max(len(line.text.replace(" ", "")), 1)


def _read(image: GrayImage, line: MicrLine) -> ReadMicr | None:
    """A line followed from a chain of marks outward; None where these have no bars."""
    profile = _profile(image, line)
    if profile is None:
        return None
    places = np.arange(line.first, line.last + 1)
    course = Course(places[:0], np.zeros((0, 2)))
    drift = np.zeros(len(places))
    _, _, dark = _at(profile, course, places, _SLACK, drift)
    usual = float(np.median(dark))
    sure = np.zeros(0, bool)
    for _ in range(_LOOKS):
        seen, shifts, dark = _at(profile, course, places, _SLACK, drift)
        there = dark > _UNREAD * usual
        sure = there & (seen.max(axis=1) > _ALIKE) & (np.abs(shifts) < _SLACK - 0.2)
        sure &= joined_with(sure, there, int(np.searchsorted(places, (line.first + line.last) / 2)))
        if sure.sum() < _FEW:
            break
        off = course.off(places)[:, 0] + drift + shifts
        course = Course(places[sure], np.stack([off, np.zeros(len(off))], axis=1)[sure])
        left = off[sure] - course.off(places[sure])[:, 0]
        wanted = np.arange(int(places[sure][0]) - _AHEAD, int(places[sure][-1]) + _AHEAD + 1)
        done = len(wanted) == len(places) and bool((wanted == places).all())
        drift, places = _near(places[sure], left, wanted), wanted
        if done:
            break
    seen, shifts, dark = _at(profile, course, places, _SLACK / 2, drift)
    there = dark > _UNREAD * usual
    kept = there & (seen.max(axis=1) > _NOTHING)
    if kept.sum() < _FEWEST:
        return None
    inside = slice(int(kept.argmax()), len(kept) - int(kept[::-1].argmax()))
    quality = float(seen[kept].max(axis=1).mean())
    if quality < _NAMED:
        return None
    posteriors = _posteriors(np.where(there[:, None], seen, -1.0))
    signs = float((posteriors[kept].argmax(axis=1) >= 10).mean())
    named = quality < _LINE_ALIKE or sure.sum() < _FEWEST or signs > _MOST_SYMBOLS
    if named:
        posteriors[:] = np.eye(len(CODES) + 1, dtype=np.float32)[-1]
    unread = there & (posteriors.argmax(axis=1) == len(CODES))
    ways = [profile.to_page @ way for way in course.ways(places)]
    corners = np.stack([corners_of(way, p) for way, p in zip(ways, places.tolist(), strict=True)])
    return ReadMicr(
        line=MicrLine(profile.to_page, int(places[inside][0]), int(places[inside][-1])),
        places=places[inside],
        posteriors=posteriors[inside],
        unread=unread[inside],
        quality=quality,
        corners=corners[inside],
        open_ends=(bool(unread[: inside.start].any()), bool(unread[inside.stop :].any())),
        symbols=BAR_SYMBOLS,
        named=named,
    )


def _near(places: NDArray[np.int64], left: Real, wanted: NDArray[np.int64]) -> Real:
    """What a course leaves of the places that were read, carried to their neighbours: paper curls."""
    apart = wanted[:, None] - places[None, :]
    weights = np.exp(-0.5 * (apart / _CURL) ** 2) + 1e-9
    middle = (weights * apart).sum(axis=1) / weights.sum(axis=1)
    level = (weights * left).sum(axis=1) / weights.sum(axis=1)
    around = apart - middle[:, None]
    slope = (weights * around * left).sum(axis=1) / ((weights * around**2).sum(axis=1) + 1.0)
    fade = np.exp(-np.maximum(np.abs(apart).min(axis=1) - 2, 0) / 3)
    return np.asarray((level - slope * middle) * fade, np.float64)


def _posteriors(seen: Real) -> NDArray[np.float32]:
    known = np.concatenate([seen, np.full((len(seen), 1), _NOTHING)], axis=1)
    powers = np.exp(_EVIDENCE * (known - known.max(axis=1, keepdims=True)))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _profile(image: GrayImage, line: MicrLine) -> _Profile | None:
    """The bars along a line; None where its marks have none."""
    height, width = image.shape
    corners = np.array([[0.0, 0.0, 1.0], [width, 0.0, 1.0], [width, height, 1.0], [0.0, height, 1.0]]).T
    x = (np.linalg.inv(line.to_page) @ corners)[0]
    left = max(float(x.min()), (line.last - 60) * PITCH)
    right = min(float(x.max()), (line.first + 60) * PITCH)
    source, shrink = thinned(image, line.module_px / _PX)
    ways = [line.to_page @ np.array([[1.0, s, -s * HEIGHT / 2], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) for s in _SHEARS]
    # The first marks tell how the bars lean, and whether there are any.
    marks = np.arange(line.first, min(line.last, line.first + _MARKS - 1) + 1)
    course = Course(marks[:0], np.zeros((0, 2)))
    scores, bars = [], []
    for way in ways:
        start = (line.first - 2) * PITCH
        values = _columns(source, shrink, way, start, (marks[-1] + 1) * PITCH)
        few = _Profile(*_likeness(values), start, way)
        cells = [values[round((k + 1) * PITCH * _PX) :][: round(PITCH * _PX)] for k in range(len(marks))]
        bars.append(float(np.median([_count_bars(cell) for cell in cells])))
        scores.append(float(np.median(_at(few, course, marks, _SLACK, np.zeros(len(marks)))[0].max(axis=1))))
    best = int(np.argmax(scores))
    if scores[best] < _ALIKE or not _BARS[0] <= max(bars[max(best - 1, 0) : best + 2]) <= _BARS[1]:
        return None
    # Along a photographed line bars lean more here and less there.
    near = range(max(best - 1, 0), min(best + 2, len(ways)))
    seen = [_likeness(_columns(source, shrink, ways[k], left, right)) for k in near]
    likeness = np.max([one for one, _ in seen], axis=0)
    return _Profile(likeness, np.max([strength for _, strength in seen], axis=0), left, ways[best])


def _has_bars(image: GrayImage, line: MicrLine) -> bool:
    """Whether as many strokes as bars stand side by side in a chain's first marks; letters have one to three there."""
    last = min(line.last, line.first + _MARKS - 1)
    source, shrink = thinned(image, line.module_px / _PX)
    size = round((last - line.first + 1) * PITCH * _PX), 3 * _ROWS
    step = TALL / (3 * _ROWS)
    to_line = np.array([[1 / _PX, 0.0, (line.first - 1) * PITCH], [0.0, -step, (HEIGHT + TALL) / 2], [0.0, 0.0, 1.0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    marks = last - line.first + 1
    for shear in _SHEARS[::2]:
        lean = np.array([[1.0, shear, -shear * HEIGHT / 2], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        warp = between_centres(np.diag([1 / shrink, 1 / shrink, 1.0]) @ line.to_page @ lean @ to_line)
        view = cv2.warpAffine(source, warp, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        thirds = (255 - np.asarray(view, np.uint8)).reshape(3, _ROWS, -1).max(axis=1).astype(np.float64)
        if any(_STROKES[0] <= _count_bars(third - third.min()) / marks <= _STROKES[1] for third in thirds):
            return True
    return False


def _count_bars(values: Real) -> int:
    """Peaks of a profile between deep valleys."""
    deep = _DEPTH * float(values.max(initial=0.0))
    count, rising, low, high = 0, True, float("inf"), -float("inf")
    for value in values.tolist():
        low, high = min(low, value), max(high, value)
        if rising and value - low > deep:
            rising, high = False, value
            count += 1
        elif not rising and high - value > deep:
            rising, low = True, value
    return count


def _columns(source: GrayImage, shrink: int, to_page: Transform, left: float, right: float) -> Real:
    """Darkness of the bars at each column of a strip: of a broken bar that of its parts."""
    high = TALL + 2 * _DRIFT
    size = max(round((right - left) * _PX), 8), round(high * _PX)
    to_line = np.array([[1 / _PX, 0.0, left], [0.0, -1 / _PX, (HEIGHT + high) / 2], [0.0, 0.0, 1.0]])
    warp = between_centres(np.diag([1 / shrink, 1 / shrink, 1.0]) @ to_page @ to_line)
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(source, warp, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    ink = 255.0 - view.astype(np.float32)
    fine = ink - cv2.blur(ink, (round(2.2 * LONG * _PX), 1), borderType=cv2.BORDER_REPLICATE)
    # A third of a bar's height at least is inked; the rest may be a gap of its digit.
    rows = round(TALL * _PX / 3)
    top = np.partition(np.maximum(fine, 0), -rows, axis=0)[-rows:]
    return np.asarray(top.mean(axis=0), np.float64)


def _likeness(values: Real) -> tuple[Real, Real]:
    """Correlation with each code, and contrast, where a character's middle is each column: (W, 15) and (W,)."""
    templates = _templates()
    half = templates.shape[0] // 2
    padded = np.pad(values, (half, templates.shape[0] - half - 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, templates.shape[0])
    centred = windows - windows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    scores = (centred @ templates) / np.maximum(length, 1e-6)[:, None]
    return scores.reshape(len(scores), len(CODES), -1).max(axis=2), length


def _at(
    profile: _Profile, course: Course, places: NDArray[np.int64], slack: float, drift: Real
) -> tuple[Real, Real, Real]:
    """What stands at some places: likeness (N, 15), how far off its place in modules (N,), contrast (N,)."""
    middles = places * PITCH + course.off(places)[:, 0] + drift - PITCH / 2
    likeness, strength = profile.likeness, profile.strength
    reach = round(slack * _PX)
    seen = np.zeros((len(places), len(CODES)))
    shifts, dark = np.zeros(len(places)), np.zeros(len(places))
    for k, middle in enumerate(((middles - profile.left) * _PX).round().astype(int).tolist()):
        low, high = max(middle - reach, 0), min(middle + reach + 1, len(likeness))
        if high - low < reach:
            continue
        part = likeness[low:high]
        row = int(part.max(axis=1).argmax())
        seen[k], shifts[k], dark[k] = part[row], (low + row - middle) / _PX, strength[low + row]
    return seen, shifts, dark
