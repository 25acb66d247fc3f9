"""A page being drawn: ink on a finer grid than the page's own pixels, and the numbers that stand on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .printing import set_text, text_size
from .truth import Canvas, Number, Rect, Rng


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
        self, digits: str, box: Rect | None, written: str = "", *, also: tuple[str, ...] = (), optional: bool = False,
        cells: Sequence[Rect] = (), size: float = 0.0,
    ) -> None:  # fmt: skip
        """Note a number as truth; signs among its digits are left out, and nothing is noted without digits or ink."""
        text = "".join(c for c in digits if c in "0123456789")
        if text and box is not None:
            quads = tuple(cell.quad for cell in cells)
            self.numbers.append(Number(text, box, written or digits, also, optional, quads, size))

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
