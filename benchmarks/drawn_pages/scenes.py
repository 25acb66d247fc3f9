"""Pages that lie upside down, and a printed grid photographed with what lies around it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from .printing import pick_font
from .puzzles import puzzle
from .registers import register
from .sheet import Sheet
from .tables import printed
from .text import form
from .truth import Canvas, DrawnPage, Number, Quad, Rect, Rng


def turned(seed: int, rng: Rng) -> DrawnPage:
    """A form, a register or a printed table that was scanned upside down."""
    draw = (form, register, printed)[int(rng.integers(3))]
    page = draw(seed, rng)
    h, w = page.image.shape

    def over(number: Number) -> Number:
        x, y, wide, high = number.box
        cells: tuple[Quad, ...] = tuple(tuple((w - cx, h - cy) for cx, cy in cell) for cell in number.cells)
        return replace(number, box=Rect(w - x - wide, h - y - high, wide, high), cells=cells)

    image = np.ascontiguousarray(page.image[::-1, ::-1])
    return DrawnPage("turned", seed, image, tuple(map(over, page.numbers)), page.layout)


def _wood(shape: tuple[int, int], rng: Rng) -> Canvas:
    """Grain of a desk: (H, W) float32 grey, 0 to 1."""
    h, w = shape
    grain = rng.normal(0, 1, (h, max(2, w // 60))).astype(np.float32)
    grain = cv2.GaussianBlur(cv2.resize(grain, (w, h), interpolation=cv2.INTER_CUBIC), (0, 0), 1.2)
    waves = np.sin(np.linspace(0, float(rng.uniform(20, 90)), h, dtype=np.float32))[:, None]
    wood = float(rng.uniform(0.2, 0.55)) + 0.05 * grain / max(1e-6, float(grain.std())) + 0.03 * waves
    return np.asarray(np.clip(wood, 0.05, 0.8), np.float32)


def _print_around(page: DrawnPage, rng: Rng, size: tuple[int, int], at: tuple[int, int]) -> Canvas:
    """Newsprint without digits above and below the grid: (H, W) float32 ink, 0 to 1."""
    sheet = Sheet(size[0], size[1], 1, rng)
    font, small = pick_font(rng, "Serif"), float(rng.uniform(9, 14))
    for top, bottom in ((0, at[1]), (at[1] + page.image.shape[0], size[1])):
        for y in np.arange(top + 1.6 * small, bottom - 0.5 * small, 1.7 * small).tolist():
            words = " ".join("".join(rng.choice(list("aeionrstlcdumhg"), int(rng.integers(2, 9)))) for _ in range(40))
            sheet.print(words[: int(0.85 * size[0] / (0.75 * small))], 0.05 * size[0], y, small, font, 0.8)
    return sheet.ink


def desk(seed: int, rng: Rng) -> DrawnPage:
    """A 9x9 grid on a sheet of newsprint, askew on a desk."""
    page = puzzle(seed, rng)
    h, w = page.image.shape
    left, top = (int(side * rng.uniform(0.05, 0.25)) for side in (w, h))
    size = int(w * rng.uniform(1.1, 1.3)) + left, int(h * rng.uniform(1.1, 1.3)) + top
    light = float(np.median(page.image)) / 255
    paper = light * (1 - 0.85 * _print_around(page, rng, size, (left, top)))
    own = page.image.astype(np.float32) / 255
    fade = np.clip(np.minimum(*np.meshgrid(*(np.minimum(np.arange(s), np.arange(s)[::-1]) for s in (w, h)))) / 8, 0, 1)
    region = paper[top : top + h, left : left + w]
    region[:] = fade * own + (1 - fade) * region
    around = int(0.12 * max(size))
    whole = size[0] + 2 * around, size[1] + 2 * around
    turn = cv2.getRotationMatrix2D((whole[0] / 2, whole[1] / 2), float(rng.normal(0, 4)), 1.0)
    matrix = np.vstack([turn, [0, 0, 1]]) @ np.array([[1, 0, around], [0, 1, around], [0, 0, 1.0]])
    photo = cv2.warpPerspective(paper, matrix, whole, flags=cv2.INTER_LINEAR)
    there = cv2.warpPerspective(np.ones_like(paper), matrix, whole, flags=cv2.INTER_LINEAR)
    photo = there * photo + (1 - there) * _wood((whole[1], whole[0]), rng)

    def moved(points: np.ndarray) -> np.ndarray:
        place = np.asarray(points, np.float64) + [left, top]
        return np.asarray(cv2.perspectiveTransform(place[None], matrix)[0])

    numbers = tuple(
        replace(
            n,
            box=Rect.around(moved(n.box.corners)),
            cells=tuple(tuple((float(x), float(y)) for x, y in moved(np.array(c))) for c in n.cells),
        )
        for n in page.numbers
    )
    image = np.asarray(np.clip(255 * photo, 0, 255), np.uint8)
    return DrawnPage("desk", seed, image, numbers)
