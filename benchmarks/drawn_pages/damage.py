"""What paper, lens, sensor and file format do to a drawn page; every box of its truth goes along."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.training.drawing import paper

from .sheet import Sheet
from .truth import Canvas, Gray, Number, Rect, Rng


@dataclass(frozen=True, slots=True)
class Damage:
    """How a page comes back.

    Attributes
    ----------
    skew_degrees : float
        Counter-clockwise.
    bow : float
        How far the middle of the page bends down, as a share of its width.
    corners : float
        Spread of the corners under perspective, as a share of the longer side.
    contrast : float
        Darkness of full ink, 0 to 1.
    shadow : float
        How much darker the page's dark side is, 0 to 1.
    patterned : float
        Chance of a printed ground.
    blur : float
        Standard deviation in pixels.
    noise : float
        Standard deviation, paper white being 1.
    jpeg : int
        Quality; 0 stores without loss.
    one_bit : bool
    """

    skew_degrees: float = 0.0
    bow: float = 0.0
    corners: float = 0.0
    contrast: float = 0.95
    shadow: float = 0.0
    patterned: float = 0.0
    blur: float = 0.4
    noise: float = 0.01
    jpeg: int = 0
    one_bit: bool = False


def random_damage(rng: Rng, text_height: float, *, patterned: float = 0.0, corners: float = 0.0) -> Damage:
    """Damage that a person reads through: small writing is blurred, pressed and dimmed less."""
    one_bit = bool(text_height >= 16 and rng.random() < 0.08)
    contrast = float(rng.uniform(0.35, 1.0) if rng.random() < 0.3 else rng.uniform(0.7, 1.0))
    if text_height < 15:
        contrast = max(contrast, 0.6)
    blur = float(rng.uniform(0.3, np.clip(0.06 * text_height - 0.3, 0.35, 1.4)))
    return Damage(
        skew_degrees=float(np.clip(rng.normal(0, 0.7), -2, 2)) if rng.random() < 0.7 else 0.0,
        bow=float(rng.normal(0, 0.006)) if rng.random() < 0.25 else 0.0,
        corners=corners,
        contrast=contrast if not one_bit else max(contrast, 0.8),
        shadow=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.25 else 0.0,
        patterned=0.0 if one_bit else patterned,
        blur=blur,
        noise=float(rng.uniform(0.0, 0.035) * contrast),
        jpeg=int(rng.integers(45 if text_height > 16 else 65, 95)) if rng.random() < 0.5 else 0,
        one_bit=one_bit,
    )


def _bent(points: NDArray[np.float64], width: int, bow: float) -> NDArray[np.float64]:
    moved = points.copy()
    moved[..., 1] += bow * np.sin(np.pi * points[..., 0] / width)
    return moved


def damaged(sheet: Sheet, how: Damage, rng: Rng, back: Canvas | None = None) -> tuple[Gray, tuple[Number, ...]]:
    """A sheet as it comes back, and its numbers where they lie now.

    Parameters
    ----------
    sheet : Sheet
    how : Damage
    rng : Generator
    back : (H, W) float32, optional
        Ink that shows through from behind, 0 to 1, in pixels of the page; as dark as it is to be seen.

    Returns
    -------
    (H, W) uint8
        Paper is light.
    tuple of Number
    """
    h, w = sheet.height, sheet.width
    bow = how.bow * w
    ink = cv2.resize(sheet.ink, (w, h), interpolation=cv2.INTER_AREA) if sheet.over > 1 else sheet.ink
    matrix = np.vstack([cv2.getRotationMatrix2D((w / 2, h / 2), how.skew_degrees, 1.0), [0, 0, 1]])
    if how.corners:
        whole = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        there = whole + rng.uniform(-how.corners, how.corners, (4, 2)).astype(np.float32) * max(w, h)
        matrix = cv2.getPerspectiveTransform(whole, there.astype(np.float32)) @ matrix
    low, high = _reach(matrix, w, h, bow)
    matrix = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]]) @ matrix
    size = int(np.ceil(high[0] - low[0])), int(np.ceil(high[1] - low[1]))
    numbers = tuple(
        replace(
            n,
            box=Rect.around(_moved(n.box.corners, matrix, w, bow)),
            cells=tuple(tuple(map(tuple, _moved(np.array(c), matrix, w, bow).tolist())) for c in n.cells),
        )
        for n in sheet.numbers
    )
    if not np.allclose(matrix, np.eye(3)) or bow:
        ys, xs = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float64)
        flat = cv2.perspectiveTransform(np.stack([xs, ys], axis=-1).reshape(1, -1, 2), np.linalg.inv(matrix))[0]
        flat = _bent(flat, w, -bow).astype(np.float32).reshape(size[1], size[0], 2)
        ink = cv2.remap(ink, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderValue=0)
        if back is not None:
            back = cv2.remap(back, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderValue=0)
    ground = paper(ink.shape, rng, how.patterned)
    # Paper's shade is no more than a quarter of what the ink has: a person would not take it for writing either.
    ground = ground / float(ground.max()) if how.patterned else 1 - 0.15 * (1 - ground / float(np.median(ground)))
    ground = np.clip(ground, 0.6, 1.05) * rng.uniform(0.85, 1.0)
    page = ground * (1 - how.contrast * ink)
    if back is not None:
        page *= 1 - back
    if how.shadow:
        page *= _shade(page.shape, how.shadow, rng)
    if how.blur > 0.3:
        page = cv2.GaussianBlur(page, (0, 0), how.blur)
    page = page + rng.normal(0, how.noise, page.shape)
    out = np.asarray(np.clip(page * 255, 0, 255), np.uint8)
    if how.jpeg:
        out = np.asarray(cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, how.jpeg])[1], 0), np.uint8)
    if how.one_bit:
        local = cv2.boxFilter(out.astype(np.float32), -1, (101, 101))
        out = np.asarray((out > 0.85 * local) * np.uint8(255), np.uint8)
    return out, numbers


def _reach(matrix: NDArray[np.float64], w: int, h: int, bow: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the page's edge comes to lie: least and largest (x, y)."""
    edge = np.concatenate([Rect(0, 0, w, h).corners, [[w / 2, 0], [w / 2, h]]])
    moved = cv2.perspectiveTransform(_bent(edge, w, bow)[None], matrix)[0]
    return moved.min(axis=0), moved.max(axis=0)


def _moved(points: NDArray[np.float64], matrix: NDArray[np.float64], width: int, bow: float) -> NDArray[np.float64]:
    return np.asarray(cv2.perspectiveTransform(_bent(points, width, bow)[None], matrix)[0], np.float64)


def _shade(shape: tuple[int, ...], depth: float, rng: Rng) -> Canvas:
    """Light that falls off to one side, or the soft edge of a shadow: (H, W) float32 factors."""
    ys, xs = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * (xs / shape[1] - 0.5) + np.sin(angle) * (ys / shape[0] - 0.5)
    if rng.random() < 0.5:
        return np.asarray(1 - depth * (along + 0.5), np.float32)
    edge = rng.uniform(-0.3, 0.3)
    return np.asarray(1 - depth / (1 + np.exp(-(along - edge) / 0.02)), np.float32)
