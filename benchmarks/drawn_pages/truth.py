"""What stands on a drawn page, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Canvas = NDArray[np.float32]
Gray = NDArray[np.uint8]
Quad = tuple[tuple[float, float], ...]
"""Corners, clockwise from the top left."""


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

    @property
    def quad(self) -> Quad:
        """Corners as `Number` holds them."""
        return tuple((float(x), float(y)) for x, y in self.corners)

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
    cells: tuple[Quad, ...] = ()
    size: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPage:
    """A page and its truth; `image` is (H, W) uint8, paper is light, `layout` what it is read with."""

    kind: str
    seed: int
    image: Gray
    numbers: tuple[Number, ...]
    layout: str = "auto"
