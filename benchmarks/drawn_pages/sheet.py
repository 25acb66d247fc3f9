"""A page being drawn: ink on a finer grid than the page's own pixels, and the truth of what stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitscan.training.fonts import find_fonts

Rng = np.random.Generator
Canvas = NDArray[np.float32]
Gray = NDArray[np.uint8]

_FINER = 4
"""Print is set at so many times its size and reduced: a scanner averages, it does not hint."""


class Rect(NamedTuple):
    """An upright rectangle in pixels of the page: left, top, width, height; fractions are kept."""

    x: float
    y: float
    width: float
    height: float

    @property
    def corners(self) -> NDArray[np.float64]:
        """Corners, clockwise from the top left, (4, 2)."""
        x1, y1 = self.x + self.width, self.y + self.height
        return np.array([[self.x, self.y], [x1, self.y], [x1, y1], [self.x, y1]])

    def overlap(self, other: Rect) -> float:
        """Common area as a share of the smaller rectangle, 0 to 1."""
        w = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        h = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        smaller = min(self.width * self.height, other.width * other.height)
        return max(0.0, w) * max(0.0, h) / smaller if smaller > 0 else 0.0

    @classmethod
    def around(cls, points: NDArray[np.float64]) -> Rect:
        """The smallest rectangle that holds all points, (N, 2)."""
        low, high = points.min(axis=0), points.max(axis=0)
        return cls(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


@dataclass(frozen=True, slots=True)
class Number:
    """A number on a page.

    Attributes
    ----------
    text : str
        Its digits alone, leading zeros too.
    box : Rect
        Its ink with all signs, in pixels of the page.
    written : str
        As it stands there.
    also : tuple of str
        Other digits that are right too: a printed half may be given as 12 or left out.
    optional : bool
        It may be read or left out, as a year in a heading; read wrong it counts as made up.
    """

    text: str
    box: Rect
    written: str = ""
    also: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPage:
    """A page and its truth; `image` is (H, W) uint8, paper is light, `layout` what it is read with."""

    kind: str
    seed: int
    image: Gray
    numbers: tuple[Number, ...]
    layout: str = "auto"


@dataclass(frozen=True, slots=True)
class RuleStyle:
    """How the rules of one page are drawn.

    Attributes
    ----------
    weight : float
        Thickness in pixels of the page.
    darkness : float
        0 to 1; coloured rules are grey ones to a reader.
    pattern : {"solid", "dotted", "dashed", "double", "broken"}
    wobble : float
        How far a hand or a worn plate strays from straight, in pixels of the page.
    """

    weight: float
    darkness: float
    pattern: str = "solid"
    wobble: float = 0.0


def rule_style(rng: Rng, text_height: float) -> RuleStyle:
    """Rules at random: 1 to 5 pixels heavy, never heavier than a fifth of the writing is high."""
    weight = float(np.exp(rng.uniform(0, np.log(5))))
    pattern = str(rng.choice(["solid", "dotted", "dashed", "double", "broken"], p=[0.62, 0.1, 0.08, 0.08, 0.12]))
    darkness = float(rng.uniform(0.25, 0.95))
    return RuleStyle(
        max(0.8, min(weight, 0.2 * text_height)), darkness, pattern, float(rng.choice([0.0, rng.uniform(0, 1.2)]))
    )


@cache
def printed_fonts() -> tuple[Path, ...]:
    """Free fonts of this machine whose digits are those of books and forms, in order of their file names."""
    own = (p for p in find_fonts()[0] if not any(s in p.name for s in ("Siz", "NonUni", "Display", "DSEG", "Math")))
    return tuple(p for p in own if 50 < -_face(p, 100).getbbox("0", anchor="ls")[1] < 100)


def pick_font(rng: Rng, like: str = "") -> Path:
    """A printed font at random; of those whose name holds `like` where there are any."""
    fonts = printed_fonts()
    wanted = [p for p in fonts if like.lower() in p.name.lower()] or list(fonts)
    return wanted[int(rng.integers(len(wanted)))]


@cache
def _face(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


def set_text(text: str, font: Path, size: float, over: int) -> Canvas:
    """Print at `size` pixels a digit's height on a canvas `over` times finer: (h, w) float32 ink 0 to 1, tight."""
    fine = _FINER * over
    # A digit is about 0.72 of the nominal size high, whatever the font.
    probe = _face(font, 100).getbbox("0", anchor="ls")
    face = _face(font, max(4, round(100 * size * fine / max(1, -probe[1]))))
    left, top, right, bottom = (int(v) for v in face.getbbox(text, anchor="ls"))
    w, h = max(1, right - left), max(1, bottom - top)
    image = Image.new("L", (w + 2 * fine, h + 2 * fine), 0)
    ImageDraw.Draw(image).text((fine - left, fine - top), text, fill=255, font=face, anchor="ls")
    large = np.asarray(image, np.float32) / 255
    rows, columns = (max(1, round(side / _FINER)) for side in large.shape)
    return np.asarray(cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def text_size(text: str, font: Path, size: float) -> tuple[float, float]:
    """Width of print, and how far it hangs below its line, in units of `size`'s pixel."""
    face = _face(font, 100)
    scale = size / max(1, -face.getbbox("0", anchor="ls")[1])
    left, _, right, bottom = face.getbbox(text, anchor="ls")
    return (right - left) * scale, bottom * scale


@dataclass(eq=False)
class Sheet:
    """White paper of `width` by `height` pixels, its ink on a grid `over` times finer."""

    width: int
    height: int
    over: int
    rng: Rng
    numbers: list[Number] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ink: Canvas = np.zeros((self.height * self.over, self.width * self.over), np.float32)

    def put(self, own: Canvas, x: float, y: float, darkness: float = 1.0, *, erase: bool = False) -> Rect | None:
        """Lay ink down with its corner at (x, y); gives where it is dark, None where it fell off the page.

        With `erase` it is taken out of a dark ground instead.
        """
        left, top = round(x * self.over), round(y * self.over)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(self.ink.shape[1], left + own.shape[1]), min(self.ink.shape[0], top + own.shape[0])
        if x1 <= x0 or y1 <= y0:
            return None
        own = own[y0 - top : y1 - top, x0 - left : x1 - left]
        region = self.ink[y0:y1, x0:x1]
        if erase:
            np.minimum(region, 1 - own * darkness, out=region)
        else:
            np.maximum(region, own * darkness, out=region)
        bx, by, bw, bh = cv2.boundingRect((own > 0.35).astype(np.uint8))
        if not bw:
            return None
        return Rect((x0 + bx) / self.over, (y0 + by) / self.over, bw / self.over, bh / self.over)

    def print(
        self, text: str, x: float, line: float, size: float, font: Path, darkness: float = 0.9, *,
        align: str = "left", erase: bool = False,
    ) -> Rect | None:  # fmt: skip
        """Print words on the line at height `line`, from, to or around `x`."""
        if not text.strip():
            return None
        own = set_text(text, font, size, self.over)
        wide, hangs = text_size(text, font, size)
        x -= {"left": 0.0, "right": wide, "center": wide / 2}[align]
        return self.put(own, x - 1, line + hangs + 1 - own.shape[0] / self.over, darkness, erase=erase)

    def note(
        self, digits: str, box: Rect | None, written: str = "", *, also: tuple[str, ...] = (), optional: bool = False
    ) -> None:
        """Note a number as truth; signs among its digits are left out, and nothing is noted without digits or ink."""
        text = "".join(c for c in digits if c in "0123456789")
        if text and box is not None:
            self.numbers.append(Number(text, box, written or digits, also, optional))

    def rule(self, x0: float, y0: float, x1: float, y1: float, style: RuleStyle) -> None:
        """Draw a rule from one point to another."""
        length = float(np.hypot(x1 - x0, y1 - y0))
        if length < 1:
            return
        if style.pattern == "double":
            gap = 1.2 * style.weight + 1.5
            nx, ny = (y0 - y1) / length * gap, (x1 - x0) / length * gap
            single = replace(style, pattern="solid", weight=max(0.8, 0.6 * style.weight))
            self.rule(x0 - nx, y0 - ny, x1 - nx, y1 - ny, single)
            self.rule(x0 + nx, y0 + ny, x1 + nx, y1 + ny, single)
            return
        for start, stop in self._dashes(length, style):
            count = max(2, int((stop - start) / 40) + 2)
            t = np.linspace(start, stop, count)[:, None] / length
            points = np.array([[x0, y0]]) * (1 - t) + np.array([[x1, y1]]) * t
            if style.wobble and count > 2:
                points += np.cumsum(self.rng.normal(0, 0.25 * style.wobble, points.shape), axis=0).clip(
                    -style.wobble, style.wobble
                )
            self.stroke(points, style.weight, style.darkness)

    def stroke(self, points: NDArray[np.float64], weight: float, darkness: float) -> None:
        """Draw a line through points, (N, 2) in pixels of the page."""
        pixels = ((points * self.over + (self.over - 1) / 2) * 16).round().astype(np.int32)
        low = pixels.min(axis=0) // 16 - round(weight * self.over) - 3
        high = pixels.max(axis=0) // 16 + round(weight * self.over) + 3
        x0, y0 = (max(0, int(v)) for v in low)
        x1, y1 = min(self.ink.shape[1], int(high[0])), min(self.ink.shape[0], int(high[1]))
        if x1 <= x0 or y1 <= y0:
            return
        layer = np.zeros((y1 - y0, x1 - x0), np.float32)
        thickness = max(1, round(weight * self.over))
        cv2.polylines(layer, [pixels - np.array([x0, y0]) * 16], False, darkness, thickness, cv2.LINE_AA, shift=4)
        region = self.ink[y0:y1, x0:x1]
        np.maximum(region, layer, out=region)

    def _dashes(self, length: float, style: RuleStyle) -> Sequence[tuple[float, float]]:
        """Where a rule is drawn: stretches from and to, in pixels along it."""
        if style.pattern == "dotted":
            pitch = style.weight + max(1.5, 1.2 * style.weight)
            return [(s, s + 0.01) for s in np.arange(0, length, pitch).tolist()]
        if style.pattern == "dashed":
            pitch = max(8.0, 6 * style.weight)  # a dash's ends are round and add the weight
            return [(s, min(length, s + 0.65 * pitch - style.weight)) for s in np.arange(0, length, pitch).tolist()]
        if style.pattern == "broken":
            holes = np.sort(self.rng.uniform(0, length, int(self.rng.poisson(length / 150))))
            edges, at = [], 0.0
            for hole in holes.tolist():
                wide = float(self.rng.uniform(1, 6))
                if hole > at:
                    edges.append((at, hole))
                at = hole + wide
            return [*edges, (at, length)] if at < length else edges
        return [(0.0, length)]

    def block(self, box: Rect, darkness: float) -> None:
        """Fill a rectangle."""
        x0, y0 = round(box.x * self.over), round(box.y * self.over)
        x1, y1 = round((box.x + box.width) * self.over), round((box.y + box.height) * self.over)
        region = self.ink[max(0, y0) : y1, max(0, x0) : x1]
        np.maximum(region, darkness, out=region)

    def frame(self, box: Rect, style: RuleStyle) -> None:
        """Draw a rectangle's four sides."""
        for (x0, y0), (x1, y1) in zip(box.corners, np.roll(box.corners, -1, axis=0), strict=True):
            self.rule(x0, y0, x1, y1, style)
