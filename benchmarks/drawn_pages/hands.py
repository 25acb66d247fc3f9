"""Writers: one person's digits, signs, letters and scrawl.

Digits are those of MNIST's training file where it is found, else those that the project draws by rule. Of each class
the tenth that is least like its fellows is left out, as no person could tell what it is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import DataError
from digitscan.training.allographs import Stroke
from digitscan.training.drawing import trim, warp
from digitscan.training.handwriting import curve, draw, drawn_sources
from digitscan.training.lines import draw_sign
from digitscan.training.sources import Glyph, candidate_folders, load_mnist, tight

from .sheet import Sheet
from .truth import Canvas, Rect, Rng

_STEM: Stroke = ((0.05, 0.00), (0.05, 1.00))
_LETTERS: dict[str, tuple[tuple[Stroke, ...], ...]] = {
    "A": (
        (
            ((0.00, 1.00), (0.16, 0.50), (0.32, 0.00)),
            ((0.32, 0.00), (0.48, 0.50), (0.64, 1.00)),
            ((0.12, 0.62), (0.54, 0.60)),
        ),
        (((0.00, 1.00), (0.20, 0.30), (0.35, 0.00), (0.48, 0.30), (0.60, 1.00)), ((0.08, 0.58), (0.60, 0.55))),
    ),
    "B": (
        (
            _STEM,
            ((0.05, 0.02), (0.45, 0.05), (0.50, 0.30), (0.08, 0.47)),
            ((0.08, 0.47), (0.55, 0.55), (0.55, 0.90), (0.05, 0.98)),
        ),
    ),
    "C": (
        (((0.60, 0.12), (0.30, 0.00), (0.03, 0.40), (0.12, 0.90), (0.40, 1.00), (0.64, 0.86)),),
        (((0.55, 0.20), (0.35, 0.02), (0.05, 0.50), (0.30, 0.98), (0.60, 0.85)),),
    ),
    "D": ((((0.05, 0.00), (0.04, 1.00)), ((-0.08, 0.02), (0.40, 0.08), (0.62, 0.50), (0.42, 0.92), (-0.04, 1.00))),),
    "F": ((_STEM, ((0.02, 0.02), (0.58, 0.00)), ((0.05, 0.48), (0.44, 0.46))),),
    "P": ((_STEM, ((0.05, 0.02), (0.50, 0.06), (0.50, 0.42), (0.06, 0.52))),),
    "a": (
        (
            ((0.50, 0.45), (0.20, 0.42), (0.05, 0.75), (0.25, 0.98), (0.48, 0.70)),
            ((0.50, 0.42), (0.50, 0.90), (0.62, 1.00)),
        ),
    ),
    "b": ((_STEM, ((0.05, 0.60), (0.35, 0.48), (0.48, 0.75), (0.30, 1.00), (0.05, 0.92))),),
    "+": ((((0.30, 0.25), (0.30, 0.75)), ((0.05, 0.50), (0.55, 0.50))),),
}
"""Letters of marks and grades, in a frame of height 1, as in `digitscan.training.allographs`."""


def _apart(text: str) -> list[str]:
    """Characters one by one, but a run of ``o``, zeros in one go, as one."""
    return [m.group() for m in re.finditer("o+|.", text)]


class _Pool(NamedTuple):
    """Digits to choose from: one list of glyphs a class, and small pictures to compare them by, (N, 196) float32."""

    glyphs: tuple[tuple[Glyph, ...], ...]
    looks: tuple[NDArray[np.float32], ...]


def _look(glyph: Glyph) -> NDArray[np.float32]:
    side = max(glyph.shape)
    square = np.zeros((side, side), np.uint8)
    y, x = ((side - s) // 2 for s in glyph.shape)
    square[y : y + glyph.shape[0], x : x + glyph.shape[1]] = glyph
    small = cv2.resize(square, (14, 14), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8).ravel(), np.float32)


@cache
def _pool(each: int = 1500) -> _Pool:
    """Digits of MNIST's training file, or drawn ones; the same ones whenever it is asked."""
    local = any((folder / "mnist").is_dir() or (folder / "train-images-idx3-ubyte.gz").is_file()
                for _, folder in candidate_folders(None))  # fmt: skip
    raw: list[list[Glyph]] = [[] for _ in range(10)]
    try:
        if not local:
            raise DataError("no digits beside the project", remedy="")
        images, labels = load_mnist("train")
        for digit in range(10):
            rows = np.random.default_rng(digit).permutation(np.flatnonzero(labels == digit))[:each]
            raw[digit] = [glyph for row in rows if (glyph := tight(images[row])) is not None]
    except DataError:
        source, _ = drawn_sources(300)
        for glyph, label in zip(source.glyphs, source.labels, strict=True):
            raw[int(label)].append(glyph)
    kept, looks = [], []
    for glyphs in raw:
        own = np.stack([_look(glyph) for glyph in glyphs])
        strange = np.linalg.norm(own - own.mean(axis=0), axis=1)
        rows = np.flatnonzero(strange <= np.quantile(strange, 0.9))
        kept.append(tuple(glyphs[row] for row in rows))
        looks.append(own[rows])
    return _Pool(tuple(kept), tuple(looks))


class Writer:
    """One hand: like digits, one slant, one pen.

    Parameters
    ----------
    rng : Generator
    bare : float, optional
        Share of the 1s that are a single stroke; most hands at random write all or none so.
    """

    def __init__(self, rng: Rng, bare: float | None = None) -> None:
        pool = _pool()
        self.rng = rng
        self.slant = float(rng.normal(0.03, 0.08))
        self.level = float(rng.uniform(0.36, 0.54))
        self.pen = float(rng.uniform(0.07, 0.12))
        """Width of the pen in heights of a digit."""
        self.bare = float(rng.choice([0.0, 1.0, rng.uniform()], p=[0.25, 0.5, 0.25])) if bare is None else bare
        self.gap = float(rng.uniform(0.05, 0.22))
        self.least = 0.04
        """No gap between two digits is smaller, in heights of a digit; below nothing they touch."""
        self._own: list[list[Glyph]] = []
        for glyphs, looks in zip(pool.glyphs, pool.looks, strict=True):
            like = np.linalg.norm(looks - looks[int(rng.integers(len(looks)))], axis=1)
            self._own.append([glyphs[k] for k in np.argsort(like)[:20]])

    def digit(self, digit: int, height: int) -> Canvas:
        """Ink of one digit `height` pixels high: (h, w) float32, 0 to 1, tight."""
        rng = self.rng
        height = max(6, height)
        if digit == 1 and rng.random() < self.bare:
            return self._bare_one(height)
        glyphs = self._own[digit]
        glyph = glyphs[int(rng.integers(len(glyphs)))]
        slant = 0.0 if glyph.shape[1] < 0.3 * glyph.shape[0] else self.slant
        return trim(warp(glyph, height, rng, slant=slant, threshold=self.level, aspect=(0.92, 1.05), strength=0.4))

    def _bare_one(self, height: int) -> Canvas:
        """One stroke, nearly straight and nearly upright."""
        rng = self.rng
        lean, bend = height * float(rng.normal(0.04 + self.slant, 0.05)), height * float(rng.normal(0, 0.02))
        middle = height + lean / 2
        points = np.array([[middle + lean / 2, 4.0], [middle + bend, height / 2], [middle - lean / 2, height - 4.0]])
        points[[0, 2], 1] = height * 0.02 + 2, height * 0.98 + 2
        return self.pen_stroke(points, height)

    def pen_stroke(self, points: NDArray[np.float64], height: int) -> Canvas:
        """A smooth stroke of this pen through points (N, 2), on a canvas for a digit `height` pixels high."""
        canvas = np.zeros((height + 8, 2 * height + 8), np.float32)
        pen = max(1, round(self.pen * height))
        cv2.polylines(canvas, [(curve(points) * 16).astype(np.int32)], False, 1.0, pen, cv2.LINE_AA, shift=4)
        return trim(canvas)

    def loops(self, count: int, height: int) -> Canvas:
        """Zeros in one go, each running into the next: (h, w) float32, tight."""
        rng = self.rng
        turn = -np.pi / 2 - np.linspace(0, 2 * np.pi, 24, endpoint=False)  # from the top and leftwards
        step, round_ = height * float(rng.uniform(0.72, 0.95)), height * float(rng.uniform(0.26, 0.34))
        own = []
        for k in range(count):
            high = height * float(rng.uniform(0.85, 1.0))
            xs, ys = k * step + round_ * np.cos(turn), height - high / 2 + high / 2 * np.sin(turn)
            own.append(np.stack([xs, ys], axis=1))
            if k + 1 < count:  # over to the next one's top
                own.append(
                    np.array([[k * step, height - high], [(k + 0.5) * step, height * float(rng.uniform(0.02, 0.2))]])
                )
        points = np.concatenate([*own, own[-1][:1]])
        xs, ys = (points - points.min(axis=0) + 4).T
        points = np.stack([xs, ys], axis=1)
        canvas = np.zeros((int(np.ptp(ys)) + 10, int(np.ptp(xs)) + 10), np.float32)
        pen = max(1, round(self.pen * height))
        cv2.polylines(canvas, [(points * 16).astype(np.int32)], False, 1.0, pen, cv2.LINE_AA, shift=4)
        return trim(canvas)

    def letter(self, letter: str, height: int) -> Canvas:
        """Ink of a letter of `_LETTERS`, about `height` pixels high for a capital."""
        shapes = _LETTERS[letter]
        glyph = draw(shapes[int(self.rng.integers(len(shapes)))], self.rng)
        assert glyph is not None
        own = height // 2 if letter == "+" else round(0.75 * height) if letter == "a" else height
        return trim(
            warp(glyph, max(4, own), self.rng, slant=self.slant, threshold=0.45, aspect=(0.9, 1.1), strength=0.3)
        )

    def compose(self, text: str, height: float, over: int) -> tuple[Canvas, float]:
        """Write digits, letters, signs and zeros in one go (``o``) in a row, on a canvas finer by `over`.

        Digits are `height` pixels high.

        Returns
        -------
        (h, w) float32
            Ink, 0 to 1.
        float
            How far it hangs below the line, in pixels of the canvas.
        """
        rng, high = self.rng, height * over
        pen = max(1, round(self.pen * high))
        parts: list[tuple[Canvas, float, float]] = []
        at = 0.0
        for character in _apart(text):
            if character == " ":
                at += 0.45 * high
                continue
            if character[0] == "o":
                own, rise = self.loops(len(character), round(0.9 * high)), 0.0
            elif character.isdigit():
                own, rise = (
                    self.digit(int(character), round(high * rng.uniform(0.92, 1.08))),
                    rng.normal(0, 0.03) * high,
                )
            elif character == "+":
                own, rise = self.letter("+", round(high)), 0.2 * high
            elif character.isalpha():
                own, rise = self.letter(character, round(high)), 0.0
            else:
                own, share = draw_sign(character, max(6, round(high)), pen, rng)
                while character == "/" and own.shape[1] < 0.33 * own.shape[0]:  # a steep one would be a 1 to anybody
                    own, share = draw_sign(character, max(6, round(high)), pen, rng)
                rise = share * high
            parts.append((own, at, rise))
            at += own.shape[1] + high * max(self.least, self.gap + rng.normal(0, 0.04))
        top = max(own.shape[0] + rise for own, _, rise in parts)
        below = max(0.0, -min(rise for _, _, rise in parts))
        canvas = np.zeros((int(top + below) + 2, int(at + high)), np.float32)
        for own, x, rise in parts:
            y = max(0, round(top - rise - own.shape[0]))
            region = canvas[y : y + own.shape[0], round(x) : round(x) + own.shape[1]]
            np.maximum(region, own[: region.shape[0]], out=region)
        x, y, w, h = cv2.boundingRect((canvas > 0.2).astype(np.uint8))
        return canvas[y : y + h, x : x + w], y + h - top

    def write(
        self, sheet: Sheet, text: str, x: float, line: float, height: float, darkness: float = 0.85, *,
        align: str = "left", squeeze: float | None = None,
    ) -> Rect | None:  # fmt: skip
        """Write on a line of a sheet, from, to or around `x`; narrower where it is wider than `squeeze` pixels."""
        own, hangs = self.compose(text, height, sheet.over)
        wide = own.shape[1] / sheet.over
        if squeeze is not None and wide > squeeze:
            size = max(2, round(squeeze * sheet.over)), own.shape[0]
            own, wide = np.asarray(cv2.resize(own, size, interpolation=cv2.INTER_AREA), np.float32), squeeze
        x -= {"left": 0.0, "right": wide, "center": wide / 2}[align]
        return sheet.put(own, x, line + (hangs - own.shape[0]) / sheet.over, darkness)

    def scrawl(self, sheet: Sheet, x: float, line: float, width: float, height: float, darkness: float = 0.85) -> None:
        """A word that nobody can read: humps, loops and now and then a tall stroke."""
        rng = self.rng
        points, at = [[x, line]], x
        while at < x + width:
            tall = 1.0 if rng.random() < 0.25 else 0.5
            step = height * rng.uniform(0.3, 0.6)
            points += [[at + 0.4 * step, line - height * tall * rng.uniform(0.8, 1.1)],
                       [at + 0.8 * step, line - height * rng.uniform(-0.06, 0.12)]]  # fmt: skip
            at += step
        sheet.stroke(curve(np.array(points)), max(0.8, 0.7 * self.pen * height), darkness)
