"""Glyphs to ink, ink to scans: the parts that synthetic sheets and synthetic numbers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import NOT_A_DIGIT
from digitscan.training.pen_shapes import Shape, draw_shape
from digitscan.training.sources import Glyph, GlyphSource

Rng = np.random.Generator
Canvas = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class GlyphBank:
    """All sources, ready to draw from: digits by weight and class, and the raw material of negatives."""

    digits: list[GlyphSource]
    letters: list[GlyphSource]
    marks: list[GlyphSource]
    scripts: GlyphSource | None
    clean: GlyphSource
    fields: Mapping[str, list[list[Shape]]] = field(default_factory=dict)
    """Digits of some sources as distances to their middle lines, by source and digit: drawn with pens of any width."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Chance of each source of digits, (len(digits),); they sum to 1."""
        weights = np.array([source.weight for source in self.digits])
        return np.asarray(weights / weights.sum(), np.float64)

    @classmethod
    def of(cls, sources: list[GlyphSource]) -> GlyphBank:
        """Sort sources into roles by what they hold."""
        empty = GlyphSource("none", [], np.zeros(0, np.uint8), 0.0)
        by_name = {source.name: source for source in sources}
        drawn = [source for source in sources if source.weight > 0]
        digits = [source.only(source.labels != NOT_A_DIGIT) for source in drawn]
        others = [source.only(source.labels == NOT_A_DIGIT) for source in drawn]
        marks = [source for source in sources if source.name.endswith("-marks")]
        letters = [source for source in sources if source.name.endswith("-letters")]
        return cls(
            [source for source in digits if source.glyphs],
            [source for source in letters if source.glyphs],
            [source for source in (*marks, *others) if source.glyphs],
            by_name.get("omniglot105_negatives"),
            by_name.get("mnist-train", empty),
        )


FIELD_SHARE = 0.5
"""Share of the digits that are drawn with a pen of any width, where a source has such."""


class SheetStyle(NamedTuple):
    """What all cells of one sheet share: one pen, one paper, one scanner."""

    height: int
    slant: float
    threshold: float
    darkness: float


class Stroke(NamedTuple):
    """One warped glyph: (h, w) float32 ink 0..1."""

    ink: Canvas
    label: int


def sheet_style(rng: Rng, least: int = 13) -> SheetStyle:
    """One pen, one paper, one scanner, at random; digits from `least` to 70 pixels high."""
    height = int(np.exp(rng.uniform(np.log(least), np.log(70))))
    return SheetStyle(
        height,
        float(rng.normal(0.08, 0.18)),
        float(rng.uniform(0.28 if height > 28 else 0.42, 0.62)),
        float(rng.uniform(0.3, 0.95)),
    )


def warp(
    glyph: Glyph,
    height: int,
    rng: Rng,
    *,
    slant: float,
    threshold: float,
    aspect: tuple[float, float],
    strength: float = 1.0,
) -> Canvas:
    """Draw a glyph at a new size with slant, rotation, aspect, elastic warp and another stroke thickness.

    Parameters
    ----------
    glyph : (h, w) uint8
        Ink high.
    height : int
        Height of the result's glyph in pixels, before rotation.
    slant : float
        Horizontal shear per unit of height; positive leans right.
    threshold : float
        Ink level, 0 to 1, that becomes the stroke's edge: below one half thickens, above thins.
    aspect : (float, float)
        Range of the horizontal squeeze.
    strength : float
        Scale of the random deformation.

    Returns
    -------
    (H, W) float32
        0 to 1, about twice the glyph's size, glyph in the middle.
    """
    source_h, source_w = glyph.shape
    width = max(2.0, source_w * height / source_h * rng.uniform(*aspect))
    # A wide, low mark keeps its shape: it is scaled by its longer side.
    if width > 1.6 * height:
        height, width = max(2, int(height * 1.6 * height / width)), 1.6 * height
    angle = np.deg2rad(rng.normal(0, 5.0 * strength))
    shear = slant + rng.normal(0, 0.10 * strength)
    cos, sin = np.cos(angle), np.sin(angle)
    forward = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, -shear], [0, 1]])
    corners = forward @ (np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) * np.array([[width / 2], [height / 2]]))
    margin = 4 + 0.08 * height
    out_w = int(np.ptp(corners[0]) + 2 * margin)
    out_h = int(np.ptp(corners[1]) + 2 * margin)
    inverse = np.linalg.inv(forward)
    scale = np.array([[source_w / width, 0], [0, source_h / height]])
    linear = scale @ inverse
    ys, xs = np.mgrid[0:out_h, 0:out_w].astype(np.float32)
    xs -= np.float32(out_w / 2 - 0.5)
    ys -= np.float32(out_h / 2 - 0.5)
    map_x = linear[0, 0] * xs + linear[0, 1] * ys + (source_w / 2 - 0.5)
    map_y = linear[1, 0] * xs + linear[1, 1] * ys + (source_h / 2 - 0.5)
    bend = rng.normal(0, 0.035 * strength * max(source_h, source_w), (2, 4, 4)).astype(np.float32)
    map_x += cv2.resize(bend[0], (out_w, out_h), interpolation=cv2.INTER_CUBIC)
    map_y += cv2.resize(bend[1], (out_w, out_h), interpolation=cv2.INTER_CUBIC)
    # Shrinking needs area averaging first, or thin strokes alias away.
    if source_h > 2 * height:
        glyph = cv2.blur(glyph, (source_h // height, source_h // height))
    drawn = cv2.remap(
        glyph,
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    # Enlarged edges are sharpened; the gain is never so low that bare paper would turn grey.
    gain = max(float(np.clip(0.8 * height / source_h, 1.0, 3.0)), 0.5 / min(threshold, 1 - threshold))
    return np.clip((drawn.astype(np.float32) / 255.0 - threshold) * gain + 0.5, 0.0, 1.0)


def pick(source: GlyphSource, rng: Rng, only: int | None = None) -> tuple[Glyph, int]:
    """A glyph and its class at random; of class `only` where the source has it."""
    rows = np.flatnonzero(source.labels == only) if only is not None else ()
    index = int(rng.choice(rows)) if len(rows) else int(rng.integers(len(source.glyphs)))
    return source.glyphs[index], int(source.labels[index])


def draw_digit(
    bank: GlyphBank, style: SheetStyle, rng: Rng, only: int | None = None, source: GlyphSource | None = None
) -> Stroke:
    """Draw a digit in a sheet's style: of class `only`, from `source`, or of any."""
    if source is None:
        source = bank.digits[int(rng.choice(len(bank.digits), p=bank.shares))]
    fields = bank.fields.get(source.name)
    if fields is not None and rng.random() < FIELD_SHARE:
        digit = int(rng.integers(10)) if only is None else only
        if fields[digit]:
            shape = fields[digit][int(rng.integers(len(fields[digit])))]
            height = float(style.height)
            drawn = draw_shape(
                shape,
                height,
                width=max(shape.aspect * height * float(rng.uniform(*source.aspect)), 2.0),
                slant=style.slant + float(rng.normal(0, 0.1)),
                angle=float(rng.normal(0, 0.08)),
                pen=max(height * float(np.exp(rng.uniform(np.log(0.04), np.log(0.17)))), 1.0),
            )
            return Stroke(np.pad(drawn, 2).astype(np.float32) / np.float32(255), digit)
    glyph, digit = pick(source, rng, only)
    ink = warp(
        glyph,
        style.height,
        rng,
        slant=0.0 if source.printed else style.slant,
        threshold=style.threshold,
        aspect=source.aspect,
        strength=0.5 if source.printed else 1.0,
    )
    if digit == 7 and source.name.startswith("mnist") and rng.random() < 0.15:
        _cross_seven(ink, rng)
    return Stroke(ink, digit)


def _cross_seven(ink: Canvas, rng: Rng) -> None:
    """Put the Continental bar through the stem of a seven."""
    h, w = ink.shape
    y = int(h * rng.uniform(0.48, 0.62))
    columns = np.flatnonzero(ink[y] > 0.5)
    if not len(columns):
        return
    middle, half = float(columns.mean()), w * rng.uniform(0.14, 0.28)
    tilt = rng.uniform(-0.08, 0.05) * h
    thickness = max(1, round(len(columns) * 0.8))
    cv2.line(ink, (int(middle - half), int(y - tilt)), (int(middle + half), int(y + tilt)), 1.0, thickness, cv2.LINE_AA)


def beside(left: Canvas, right: Canvas, gap: int) -> Canvas:
    """Two inks side by side on a common baseline; a negative gap overlaps them."""
    (hl, wl), (hr, wr) = left.shape, right.shape
    height = max(hl, hr)
    canvas = np.zeros((height, max(wl + wr + gap, wl, wr)), np.float32)
    canvas[height - hl :, :wl] = left
    start = max(canvas.shape[1] - wr, 0)
    region = canvas[height - hr :, start:]
    np.maximum(region, right[:, : region.shape[1]], out=region)
    return canvas


def trim(ink: Canvas) -> Canvas:
    """Crop to the ink."""
    x, y, w, h = cv2.boundingRect((ink > 0.4).astype(np.uint8))
    return ink[y : y + h, x : x + w] if w else ink


def paper(shape: tuple[int, int], rng: Rng, patterned: float = 0.35) -> Canvas:
    """Paper brightness, 0 to 1: shade, texture, and with chance `patterned` a security pattern."""
    height, width = shape
    paper = np.full(shape, rng.uniform(0.55, 0.98), np.float32)
    shade = rng.normal(0, rng.uniform(0, 0.10), (4, 4)).astype(np.float32)
    paper *= 1 + cv2.resize(shade, (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < patterned:
        ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
        angle, period = rng.uniform(0, np.pi), rng.uniform(4, 14)
        wave = np.sin(xs * rng.uniform(0.005, 0.05)) * rng.uniform(0, 4)
        phase = (xs * np.cos(angle) + ys * np.sin(angle) + wave) * (2 * np.pi / period)
        paper *= 1 - rng.uniform(0.02, 0.16) * np.clip(np.sin(phase) * 2, 0, 1)
    return paper


def scan(image: Canvas, rng: Rng) -> NDArray[np.uint8]:
    """What the lens, the sensor and the file format do; (H, W) float32 0..1 to uint8."""
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.8:
        image = image + rng.normal(0, rng.uniform(0.003, 0.04), image.shape).astype(np.float32)
    out = np.clip(image * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(25, 95))
        encoded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
    if rng.random() < 0.07:  # fax: one bit a pixel
        level = cv2.threshold(out, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]
        out = (out > level).astype(np.uint8) * np.uint8(255)
    return out
