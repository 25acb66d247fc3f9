"""Finds lines of E-13B print: marks of one height at steps of one pitch, in any direction.

image ─ find_seeds ─> Seed ─ cut_strip ─> Strip (level, one scale) ─ fit_grid ─> MicrLine

The search looks at a reduced image and at boxes of marks alone, so that a page without a line costs little. What it
proposes is often no line; reading decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import GrayImage, Ink, Transform
from digitscan.imaging.binarize import binarize, soft_ink
from digitscan.micr.standard import HEIGHT, PITCH
from digitscan.segmentation.components import label

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SearchParameters:
    """How lines are searched. Lengths are in heights of a character where nothing else is said.

    All were chosen on drawn lines (benchmarks/micr_lines.py); the standard's own step is 1.07 heights.
    """

    faint: float = 10
    """Contrast that is no ink, in grey levels."""
    paper_px: int = 25
    """Neighbourhood that is sure to hold paper, in pixels of the reduced image."""
    oblong: float = 1.7
    """Longer over shorter side from which an image may be one cheque, or a line alone: it is searched again."""
    longest_px: int = 1250
    """Longer side of the image that is searched: a sheet of 14 inches has characters of 12 pixels then."""
    lowest_px: int = 6
    """Lower marks are none, in pixels of the reduced image."""
    shape: tuple[float, float] = (0.22, 1.2)
    """Width over height of a mark; a leaning one is wider."""
    step: tuple[float, float] = (0.68, 1.45)
    """From centre to centre of neighbours: narrow characters stand at the right of their place, and seen from the side
    all stand closer."""
    pitch: tuple[float, float] = (0.76, 1.3)
    """Step of right edges over height, as a share of the standard's."""
    square: float = 0.1
    """By how much that may be off, as a logarithm, before a line is thought to be seen from the side."""
    rise: float = 0.3
    """Steepest line, as a slope: 15 degrees and some."""
    alike: float = 0.17
    """How far heights of neighbours may differ, as a share."""
    regular: float = 0.14
    """How far a right edge may lie off a chain's grid."""
    fewest: int = 4
    """Marks of a chain."""
    most_chains: int = 60
    """The longest chains of a page whose marks are asked whether they are regular."""
    most_seeds: int = 12
    """The longest regular chains of a page that are looked at."""
    most_bar_seeds: int = 5
    """The same where bars are looked for."""


SEARCH = SearchParameters()


class Attempt(NamedTuple):
    """One way to look for marks.

    Attributes
    ----------
    level : float
        Share of the darkest strokes' contrast from which a pixel is ink.
    closed : bool
        Close small voids first.
    skips : bool
        A chain may go on behind a character that is no mark of its own.
    """

    level: float
    closed: bool
    skips: bool


ATTEMPTS = (
    Attempt(0.4, closed=False, skips=False),
    Attempt(0.4, closed=False, skips=True),
    Attempt(0.6, closed=False, skips=True),
    Attempt(0.3, closed=True, skips=True),
)
"""For most print; for broken print; on strong patterns; and for pale print in pieces."""
_BARS = (
    (1, Attempt(0.45, closed=True, skips=False)),
    (2, Attempt(0.4, closed=False, skips=False)),
    (2, Attempt(0.45, closed=True, skips=False)),
)
"""How many times fewer pixels, and how, for print whose bars are to be seen as one mark."""

STRIP_PX = 4
"""Pixels that a module has in a strip."""
_ABOVE, _BELOW = 7.0, 7.0
"""Modules of a strip above and below its characters."""
_WINDOW = 16 * STRIP_PX + 1
"""Neighbourhood of a strip's pixels that is sure to hold paper."""
_MOST_PLACES = 70
_LIKE = 0.16
"""How far heights of a strip's neighbours may differ, as a share."""
_REACH = 9.0
"""Gap between neighbours of one line, in pitches: fields stand apart."""
_FEWEST = 5
_AROUND = 3.5
"""Places beyond a seed's that tell its grid."""
_ON_GRID = 0.8
"""How sharply right edges must stand on the grid, 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class MicrLine:
    """Where a line lies.

    Attributes
    ----------
    to_page : (3, 3) float64
        From modules to pixels of the page: (0, 0) is the lower right end of place 0, x runs along the line, y goes up.
        Pixels are counted from the edges of the first one.
    first, last : int
        Places of the leftmost and rightmost digits seen.
    """

    to_page: Transform
    first: int
    last: int

    @property
    def module_px(self) -> float:
        """Pixels of a module."""
        return float(np.hypot(self.to_page[0, 0], self.to_page[1, 0]))


@dataclass(frozen=True, slots=True, eq=False)
class Seed:
    """A chain of marks that may belong to a line.

    Attributes
    ----------
    line : MicrLine
        The grid that the chain alone suggests, in pixels of the image, read from left to right or from top to bottom.
    """

    line: MicrLine

    def turned(self) -> MicrLine:
        """The same places if the line stands on its head."""
        end = self.line.last * PITCH
        # Characters stand at the right of their place: seen from the other end the widest ones tell where it begins.
        half_turn = np.array([[-1.0, 0.0, end - 7.0], [0.0, -1.0, float(HEIGHT)], [0.0, 0.0, 1.0]])
        return MicrLine(self.line.to_page @ half_turn, 0, self.line.last - self.line.first)


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """The surroundings of a line, level, with `STRIP_PX` pixels a module.

    Attributes
    ----------
    ink : (h, w) uint8
        Soft ink.
    to_page : (3, 3) float64
        From its pixels to those of the image.
    line : MicrLine
        The grid, in pixels of the strip.
    """

    ink: Ink
    to_page: Transform
    line: MicrLine


def find_seeds(image: GrayImage, attempt: int = 0) -> list[Seed]:
    """Chains of marks that may belong to lines of E-13B; the longest first.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white; turned in any way.
    attempt : int
        Which of `ATTEMPTS` to make; all but the first are for oblong images alone.
    """
    way = ATTEMPTS[attempt]
    if attempt and max(image.shape) < SEARCH.oblong * min(image.shape):
        return []
    return _seeds(image, max(1, round(max(image.shape) / SEARCH.longest_px)), way)


def find_bar_seeds(image: GrayImage) -> list[Seed]:
    """Chains of marks that may belong to lines of CMC-7; bars are to be seen as one mark, so it takes fewer pixels."""
    shrink = max(1, round(max(image.shape) / SEARCH.longest_px))
    oblong = max(image.shape) >= SEARCH.oblong * min(image.shape)
    seeds = [seed for times, way in _BARS if oblong or times > 1 for seed in _seeds(image, times * shrink, way)]
    return sorted(seeds, key=lambda seed: seed.line.first - seed.line.last)[: SEARCH.most_bar_seeds]


def _seeds(image: GrayImage, shrink: int, way: Attempt) -> list[Seed]:
    if min(image.shape) // shrink < 2 * SEARCH.lowest_px:
        return []
    small = image
    if shrink > 1:
        size = image.shape[1] // shrink, image.shape[0] // shrink
        cropped = image[: size[1] * shrink, : size[0] * shrink]
        small = np.asarray(cv2.resize(cropped, size, interpolation=cv2.INTER_AREA), np.uint8)
    boxes = _marks(small, way.level, way.closed)
    to_image = np.diag([float(shrink), float(shrink), 1.0])
    seeds = []
    across = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for swap in (False, True):
        x, y, w, h = (boxes[:, k] for k in ((1, 0, 3, 2) if swap else (0, 1, 2, 3)))
        for chain in sorted(_chains(x, y, w, h, way.skips), key=len, reverse=True)[: SEARCH.most_chains]:
            line = _suggested(x[chain], y[chain], w[chain], h[chain])
            if line is None:
                continue
            if swap:  # a transposed image is a mirrored one: the characters stand upright again when the foot is up
                flip = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, float(HEIGHT)], [0.0, 0.0, 1.0]])
                line = MicrLine(across @ line.to_page @ flip, line.first, line.last)
            seeds.append(Seed(MicrLine(to_image @ line.to_page, line.first, line.last)))
    seeds.sort(key=lambda seed: seed.line.first - seed.line.last)
    return seeds[: SEARCH.most_seeds]


def _marks(image: GrayImage, share: float, closed: bool) -> Real:
    """Boxes of what may be characters: (N, 4) left, top, width, height."""
    # Contrast against the lightest paper around: unlike a mean, it does not see the edge of a sheet on a dark desk.
    around = np.ones((SEARCH.paper_px, SEARCH.paper_px), np.uint8)
    contrast = cv2.morphologyEx(image, cv2.MORPH_BLACKHAT, around, borderType=cv2.BORDER_REPLICATE)
    sample = contrast[:: max(1, image.shape[0] // 400), :: max(1, image.shape[1] // 400)]
    strong = sample[sample > SEARCH.faint]
    if strong.size < 20:
        return np.zeros((0, 4))
    # The level follows the darkest strokes, so that a pattern below them is paper.
    level = max(share * float(np.percentile(strong, 98)), SEARCH.faint)
    mask = cv2.threshold(contrast, level, 1, cv2.THRESH_BINARY)[1]
    if closed:
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    boxes = label(np.asarray(mask).view(np.bool_)).boxes.astype(np.float64)
    return boxes[np.minimum(boxes[:, 2], boxes[:, 3]) >= 2]


def _chains(x: Real, y: Real, w: Real, h: Real, skips: bool) -> list[NDArray[np.int64]]:
    """Marks each of which is the nearest neighbour of the next one, a step or two away and of like height."""
    shape = w / np.maximum(h, 1)
    kept = np.flatnonzero((h >= SEARCH.lowest_px) & (shape >= SEARCH.shape[0]) & (shape <= SEARCH.shape[1]))
    if len(kept) < SEARCH.fewest:
        return []
    cx, cy = x[kept] + w[kept] / 2, y[kept] + h[kept] / 2
    high = h[kept]
    order = np.argsort(cx)
    cx, cy, high = cx[order], cy[order], high[order]
    begin = np.searchsorted(cx, cx + SEARCH.step[0] * high)
    end = np.searchsorted(cx, cx + SEARCH.step[1] * (2 if skips else 1) * high)
    many = np.maximum(end - begin, 0)
    left = np.repeat(np.arange(len(cx)), many)
    right = np.arange(len(left)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(begin, many)
    height = high[left]
    rise = np.abs(cy[right] - cy[left])
    fits = (np.abs(high[right] - height) <= np.maximum(SEARCH.alike * height, 1.01)) & (
        rise <= SEARCH.rise * (cx[right] - cx[left]) + 0.5
    )
    left, right, rise, height = left[fits], right[fits], rise[fits], height[fits]
    step = (cx[right] - cx[left]) / height
    steps = np.where(step > SEARCH.step[1], 2, 1)
    cost = rise / height + np.abs(step / steps - PITCH / HEIGHT) + steps
    following = _best(left, right, cost, len(cx))
    before = _best(right, left, cost, len(cx))
    chains = []
    mutual = (following >= 0) & (before[following] == np.arange(len(cx)))
    starts = np.flatnonzero(mutual & ~((before >= 0) & mutual[before]))
    for start in starts.tolist():
        chain = [start]
        while mutual[chain[-1]]:
            chain.append(int(following[chain[-1]]))
        if len(chain) >= SEARCH.fewest:
            chains.append(kept[order[np.array(chain)]])
    return chains


def _best(of: NDArray[np.int64], other: NDArray[np.int64], cost: Real, count: int) -> NDArray[np.int64]:
    """For each mark the cheapest partner; -1 where it has none."""
    best = np.full(count, -1, np.int64)
    order = np.argsort(-cost)  # the cheapest is written last
    best[of[order]] = other[order]
    return best


def _suggested(x: Real, y: Real, w: Real, h: Real) -> MicrLine | None:
    """The grid that a chain's marks stand on; None where their right edges are not regular."""
    cx, cy = x + w / 2, y + h / 2
    slope, _ = _straight(cx, cy)
    angle = float(np.arctan(slope))
    cos, sin = float(np.cos(angle)), abs(float(np.sin(angle)))
    # Boxes of leaning rectangles are larger than these are.
    wide = (w * cos - h * sin) / (cos**2 - sin**2)
    high = (h * cos - w * sin) / (cos**2 - sin**2)
    height = _middle(high)
    along = cx * np.cos(angle) + cy * np.sin(angle) + wide / 2
    down = cy * np.cos(angle) - cx * np.sin(angle)
    steps = np.diff(along)
    place = np.concatenate([[0.0], np.cumsum(np.maximum(np.round(steps / _middle(steps)), 1))])
    pitch, start = _straight(place, along)
    apart = np.sort(np.abs(along - start - pitch * place))[int(0.8 * (len(x) - 1))]
    loose = SEARCH.regular + 0.12 * sin / 0.26 + 0.6 / height
    share = pitch / height / (PITCH / HEIGHT)
    if float(apart) > loose * height or not SEARCH.pitch[0] <= share <= SEARCH.pitch[1]:
        return None
    module = pitch / PITCH
    module_up = module if abs(np.log(share)) < SEARCH.square else height / HEIGHT
    foot = _middle(down) + module_up * HEIGHT / 2
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    level = np.array([[module, 0.0, start], [0.0, -module_up, foot], [0.0, 0.0, 1.0]])
    return MicrLine(turn @ level, 0, int(place[-1]))


def _straight(x: Real, y: Real) -> tuple[float, float]:
    """Slope and start of the straight line nearest to some points; few points are not worth NumPy's general way."""
    dx = x - x.sum() / len(x)
    slope = float(dx @ y / (dx @ dx))
    return slope, float(y.sum() / len(y) - slope * x.sum() / len(x))


def _middle(values: Real) -> float:
    return float(np.sort(values)[len(values) // 2])


def cut_strip(image: GrayImage, line: MicrLine) -> Strip:
    """Lay a line level at one scale, with all that stands left and right of it.

    Parameters
    ----------
    image : (H, W) uint8
        Paper is white.
    line : MicrLine
        In pixels of the image.
    """
    height, width = image.shape
    corners = np.array([[0.0, 0.0, 1.0], [width, 0.0, 1.0], [width, height, 1.0], [0.0, height, 1.0]]).T
    to_modules = np.linalg.inv(line.to_page)
    x = (to_modules @ corners)[0]
    left = max(float(x.min()), (line.last - _MOST_PLACES) * PITCH) - PITCH
    right = min(float(x.max()), (line.first + _MOST_PLACES) * PITCH) + PITCH
    size = round((right - left) * STRIP_PX), round((_ABOVE + HEIGHT + _BELOW) * STRIP_PX)
    to_line = np.array([[1 / STRIP_PX, 0.0, left], [0.0, -1 / STRIP_PX, HEIGHT + _ABOVE], [0.0, 0.0, 1.0]])
    to_page = np.asarray(line.to_page @ to_line, np.float64)
    source, shrink = thinned(image, line.module_px / STRIP_PX)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warp = between_centres(np.diag([1 / shrink, 1 / shrink, 1.0]) @ to_page)
    view = np.asarray(cv2.warpAffine(source, warp, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    ink = soft_ink(view, window=_WINDOW)
    return Strip(ink, to_page, MicrLine(np.asarray(np.linalg.inv(to_line), np.float64), line.first, line.last))


def between_centres(between_edges: Transform) -> NDArray[np.float64]:
    """OpenCV's matrix (2, 3) of a way between pictures: it counts from pixels' centres, we count from their edges."""
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    back = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])
    return np.asarray((back @ between_edges @ half)[:2], np.float64)


def thinned(image: GrayImage, ratio: float) -> tuple[GrayImage, int]:
    """An image with fewer pixels where it has `ratio` times as many as are wanted, and by how much it shrank."""
    shrink = int(ratio / 1.4 + 0.5)
    if shrink < 2:
        return image, 1
    size = image.shape[1] // shrink, image.shape[0] // shrink
    part = image[: size[1] * shrink, : size[0] * shrink]
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8), shrink


def fit_grid(strip: Strip) -> MicrLine:
    """The grid of a strip's marks, as exactly as their right edges tell it; the seed's where they do not.

    Returns
    -------
    MicrLine
        In pixels of the strip.
    """
    mask, _ = binarize(strip.ink, window=_WINDOW)
    boxes = label(mask).boxes.astype(np.float64)
    x, y, w, h = (boxes[:, k] for k in range(4))
    foot = strip.line.to_page[1, 2]
    near = (np.abs(h / STRIP_PX - HEIGHT) < 1.8) & (w / h > 0.3) & (w / h < 0.95)
    near &= np.abs(y + h - foot) < 3.5 * STRIP_PX
    # Farther away the pitch may be another one, on a photograph above all.
    place = ((x + w) - strip.line.to_page[0, 2]) / (PITCH * STRIP_PX)
    near &= (place > strip.line.first - _AROUND) & (place < strip.line.last + _AROUND)
    x, y, w, h = x[near], y[near], w[near], h[near]
    best = None
    for chain in _level_chains(x, y, w, h):
        line = _fitted(x[chain], y[chain], w[chain], h[chain])
        if line is not None and (best is None or line.last - line.first > best.last - best.first):
            best = line
    return best or strip.line


def _level_chains(x: Real, y: Real, w: Real, h: Real) -> list[NDArray[np.int64]]:
    """Marks of like height, each beside the next one at the same level."""
    order = np.argsort(x)
    group = np.arange(len(x))

    def root(k: int) -> int:
        while group[k] != k:
            group[k] = group[group[k]]
            k = int(group[k])
        return k

    bottom, right = y + h, x + w
    for place, k in enumerate(order):
        following = order[place + 1 :]
        following = following[: np.searchsorted(x[following], right[k] + _REACH * h[k] * PITCH / HEIGHT)]
        alike = np.abs(h[following] - h[k]) < _LIKE * h[k]
        gap = x[following] - right[k]
        level = np.abs(bottom[following] - bottom[k]) < 0.15 * h[k] + 0.04 * np.maximum(gap, 0)
        for other in following[alike & level & (gap > -0.1 * h[k])]:
            group[root(int(other))] = root(int(k))
    roots = np.array([root(k) for k in range(len(x))], np.int64)
    chains = [np.flatnonzero(roots == r) for r in np.unique(roots)]
    return [chain for chain in chains if len(chain) >= _FEWEST]


def _fitted(x: Real, y: Real, w: Real, h: Real) -> MicrLine | None:
    """The grid that a chain of marks stands on; None where there is none."""
    right, bottom = x + w, y + h
    slope, level = _level(right, bottom)
    height = float(np.median(h))
    usual = height * PITCH / HEIGHT
    # Along the line, not across the page.
    along = right * np.sqrt(1 + slope**2)
    order = np.argsort(along)
    steps = np.diff(along[order])
    # Neighbours tell the pitch: over a whole line it may drift, on a photograph above all.
    close = steps[(steps > 0.5 * usual) & (steps < 4.5 * usual)]
    if len(close) < _FEWEST - 2:
        return None
    pitches = usual * np.linspace(0.8, 1.12, 321)
    sharp = np.abs(np.exp(2j * np.pi * close[None, :] / pitches[:, None]).mean(axis=1))
    best = int(sharp.argmax())
    if sharp[best] < _ON_GRID:
        return None
    pitch = float(pitches[best])
    places = np.concatenate([[0], np.cumsum(np.round(steps / pitch))])
    along = along[order]
    for _ in range(2):
        pitch, offset = (float(v) for v in np.polyfit(places, along, 1))
        near = np.abs(along - offset - places * pitch) < 0.25 * pitch
        if near.sum() < _FEWEST or len(np.unique(places[near])) < _FEWEST:
            return None
        places, along = places[near], along[near]
    angle = float(np.arctan(slope))
    module = pitch / PITCH
    start = offset / np.sqrt(1 + slope**2)
    cos, sin = np.cos(angle) * module, np.sin(angle) * module
    to_page = np.array([[cos, sin, start], [sin, -cos, level + slope * start], [0.0, 0.0, 1.0]])
    return MicrLine(to_page, int(places.min()), int(places.max()))


def _level(x: Real, y: Real) -> tuple[float, float]:
    """Slope and height of the base line; marks that hang lower or higher are left out in a second look."""
    slope, level = np.polyfit(x, y, 1)
    off = np.abs(y - slope * x - level)
    kept = off <= max(1.5, 2.0 * float(np.median(off)))
    if kept.sum() >= _FEWEST:
        slope, level = np.polyfit(x[kept], y[kept], 1)
    return float(slope), float(level)
