"""One hand a line: whose digits, which shapes of them, what pen, what slant, and what habits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.training.allographs import ALLOGRAPHS
from digitscan.training.drawing import GlyphBank
from digitscan.training.faces import Face, by_kind
from digitscan.training.overwriting import UNLIKE, strike_out, write_over
from digitscan.training.pen_shapes import Shape, draw_shape, field_shapes, plain_shape
from digitscan.training.sources import GlyphSource

Rng = np.random.Generator
Ink = NDArray[np.uint8]

FIELDS_OF_EACH = 9_000
"""Glyphs of one source that are thinned: thinning costs a millisecond each, and so many hands are enough."""


class Pool(NamedTuple):
    """Shapes of one writer, or of many whose order is not known: by digit, plain and as fields.

    `mixed` where many wrote them, whose digits must be matched to look like one hand's.
    """

    plain: list[list[Shape]]
    fields: list[list[Shape]]
    mixed: bool


class PenBank(NamedTuple):
    """What lines are drawn from: pools of handwriting by source, the summed up chances of the sources, and faces of
    print."""

    names: list[str]
    pools: list[list[Pool]]
    shares: NDArray[np.float64]
    allographs: list[list[list[Shape]]]
    printed: list[Face]
    scripts: list[Face]

    @classmethod
    def of(cls, bank: GlyphBank, faces: Sequence[Face]) -> PenBank:
        """Make pools of all handwriting in a bank, by writer where the writer is known."""
        pools: list[list[Pool]] = []
        weights: list[float] = []
        names: list[str] = []
        allographs: list[list[list[Shape]]] = [[] for _ in range(10)]
        for source in bank.digits:
            if source.printed or source.name.startswith("fonts"):
                continue
            if source.name == "drawn-digits":
                allographs = _allograph_shapes(source)
                continue
            groups = _writers(source)
            pools.append([_pool(source, rows, mixed=len(groups) == 1) for rows in groups])
            names.append(source.name)
            weights.append(_HAND_WEIGHTS.get(source.name, source.weight))
        shares = np.cumsum(weights) / max(sum(weights), 1e-9)
        printed, scripts = by_kind(faces)
        return cls(names, pools, shares, allographs, printed, scripts)

    def named(self) -> Iterator[tuple[str, list[Pool]]]:
        """Pools with their source's name."""
        return zip(self.names, self.pools, strict=True)


_HAND_WEIGHTS = {
    "mnist-train": 0.36, "swiss48": 0.30, "optdigits32_train": 0.10, "semeion16": 0.08, "hwd1000": 0.04,
    "sudoku_cells56_train": 0.03, "hands-digits": 0.09,
}  # fmt: skip


def _writers(source: GlyphSource) -> list[NDArray[np.int64]]:
    """Rows of each writer of a source; all of them where writers are not known."""
    if source.name.startswith("hands"):  # a font's ten digits follow each other
        return [np.arange(start, start + 10) for start in range(0, len(source.glyphs) - 9, 10)]
    if source.writers is None:
        return [np.arange(len(source.glyphs))]
    return [np.flatnonzero(source.writers == writer) for writer in np.unique(source.writers)]


def _pool(source: GlyphSource, rows: NDArray[np.int64], *, mixed: bool) -> Pool:
    plain: list[list[Shape]] = [[] for _ in range(10)]
    fields: list[list[Shape]] = [[] for _ in range(10)]
    for row in rows:
        plain[source.labels[row]].append(plain_shape(source.glyphs[row]))
    thinned = rows if len(rows) <= FIELDS_OF_EACH else rows[:: -(-len(rows) // FIELDS_OF_EACH)]
    for row, shape in zip(thinned, field_shapes([source.glyphs[k] for k in thinned]), strict=True):
        if shape is not None:
            fields[source.labels[row]].append(shape)
    return Pool(plain, fields, mixed)


def _allograph_shapes(source: GlyphSource) -> list[list[list[Shape]]]:
    """Fields of the digits that are drawn by rule: by digit, then by shape, as `drawn_sources` orders them."""
    out: list[list[list[Shape]]] = []
    for digit in range(10):
        rows = np.flatnonzero(source.labels == digit)[: 40 * len(ALLOGRAPHS[digit])]
        kinds: list[list[Shape]] = [[] for _ in ALLOGRAPHS[digit]]
        for k, shape in enumerate(field_shapes([source.glyphs[row] for row in rows])):
            if shape is not None:
                kinds[k % len(kinds)].append(shape)
        out.append([own for own in kinds if own])
    return out


class Scribe:
    """One writer with one pen: draws digits at a height, the same way throughout a line.

    Attributes
    ----------
    pen : float
        Width of the strokes in pixels.
    slant : float
        Of the writing; positive leans right.
    """

    def __init__(self, bank: PenBank, height: float, rng: Rng) -> None:
        self._bank, self._rng = bank, rng
        self.height = height
        self.as_field = bool(rng.random() < 0.62)
        self.pen = max(height * float(np.exp(rng.uniform(np.log(0.035), np.log(0.155)))), 0.9)
        self._threshold = float(rng.uniform(0.3, 0.62))
        self.slant = float(rng.normal(0.12, 0.18))
        self._squeeze = float(np.exp(rng.normal(0, 0.13)))
        draw = rng.random()
        self._loose = 0.3 if draw < 0.3 else 1.0 if draw < 0.8 else 1.6
        self._pool: Pool | None = None
        if bank.pools:
            own = bank.pools[int(np.searchsorted(bank.shares, rng.random()))]
            self._pool = own[int(rng.integers(len(own)))]
        count = int(rng.integers(1, 4)) if rng.random() < 0.35 else 10 if rng.random() < 0.07 else 0
        self._odd: dict[int, int] = {}
        if count and bank.allographs[0]:
            odd = range(10) if count == 10 else np.searchsorted(_ODD_SHARES, rng.random(count))
            self._odd = {int(d): int(rng.integers(1 << 20)) for d in odd}
        self._kept: dict[int, list[Shape]] = {}
        self._fickle = bool(rng.random() < 0.3)
        self.tails = float(rng.uniform(1.1, 1.6)) if rng.random() < 0.3 else 1.0
        self.head = float(rng.uniform(1.15, 1.7)) if rng.random() < 0.12 else 1.0
        self.zeros = float(rng.uniform(0.4, 0.92)) if rng.random() < 0.28 else 1.0
        self.uneven = float(rng.uniform(0.0, 0.12))
        self._reference = (self.slant, float(rng.uniform(0.06, 0.2)), float(np.exp(rng.normal(0, 0.15))))

    def _exemplars(self, digit: int) -> list[Shape]:
        """The shapes that this writer uses for a digit."""
        if digit in self._kept:
            return self._kept[digit]
        rng, pool = self._rng, self._pool
        kinds = self._bank.allographs[digit]
        found: list[Shape] = []
        if kinds and (digit in self._odd or pool is None or not pool.plain[digit]):
            own = kinds[self._odd.get(digit, int(rng.integers(1 << 20))) % len(kinds)]
            found = [own[int(rng.integers(len(own)))] for _ in range(2)]
        elif pool is not None:
            own = pool.fields[digit] if self.as_field and pool.fields[digit] else pool.plain[digit]
            if pool.mixed:
                # Of some strangers' digits those that look most like this hand.
                some = [own[k] for k in rng.integers(len(own), size=12)]
                _, stroke, squeeze = self._reference
                middle = squeeze * sum(s.box[2] / s.box[3] for s in some) / len(some)
                some.sort(
                    key=lambda s: (
                        abs(s.slant - self.slant) + 4 * abs(s.stroke - stroke) + abs(s.box[2] / s.box[3] - middle)
                    )
                )
                found = some[:2]
            else:
                found = [own[int(rng.integers(len(own)))] for _ in range(6 if self._fickle else 2)]
        self._kept[digit] = found
        return found

    def digit(self, digit: int, height: float) -> Ink:
        """Ink of a digit, tight, (h, w) uint8."""
        rng = self._rng
        found = self._exemplars(digit)
        if not found:
            return np.full((int(height), 2), 255, np.uint8)
        shape = found[0] if len(found) == 1 or rng.random() < 0.65 else found[int(rng.integers(1, len(found)))]
        loose = self._loose
        own = self._pool is not None and not self._pool.mixed
        # A writer's own slant is kept in the main; strangers' digits are set to this hand's.
        extra = 0.3 * self.slant if own and digit not in self._odd else 0.8 * (self.slant - shape.slant)
        width = shape.aspect * height * self._squeeze * float(np.exp(rng.normal(0, 0.05 * loose)))
        return draw_shape(
            shape,
            height,
            width=max(width, 1.5),
            slant=extra + float(rng.normal(0, 0.05 * loose)),
            angle=float(rng.normal(0, 0.035 * loose)),
            pen=self.pen * float(np.exp(rng.normal(0, 0.06))),
            threshold=self._threshold,
        )

    def size(self, digit: int, first: bool) -> tuple[float, float]:
        """Height of a digit and of its foot above the base line, in heights of the hand."""
        height = self.head if first else self.zeros if digit == 0 else 1.0
        if digit in (1, 4, 7, 9) and self.tails > 1:
            return height * self.tails, -height * (self.tails - 1)
        return height, 0.0

    def spoilt(self, height: float) -> Ink:
        """A digit that its writer made unreadable: (h, w) uint8 ink, tight."""
        rng = self._rng
        digit = int(rng.integers(10))
        ink = self.digit(digit, height).astype(np.float32) / np.float32(255)
        if digit in UNLIKE and rng.random() < 0.25:
            other = self.digit(int(rng.choice(UNLIKE[digit])), height).astype(np.float32) / np.float32(255)
            out = write_over(ink, other, rng)
        else:
            out = strike_out(ink, max(1, round(self.pen)), rng)
        drawn = (np.minimum(out, 1) * 255).astype(np.uint8)
        x, y, w, h = cv2.boundingRect((drawn > 90).view(np.uint8))
        return np.ascontiguousarray(drawn[y : y + h, x : x + w]) if w else drawn


_ODD_SHARES = np.array([1.2, 3.0, 1.3, 0.7, 1.2, 1.2, 0.6, 1.3, 0.6, 1.6]).cumsum() / 12.7
"""Summed up: how often a digit of a hand is one of the shapes drawn by rule: flagged ones before all."""
