"""Touching digits, and what a string costs: ``python benchmarks/strings.py [--data DIR] [--pairs N]``.

- pairs of MNIST's test digits, pushed together until they are one component, read as a string of unknown length;
- numbers struck out with one uneven stroke, as an image of their own and on a page, and how many others are called so;
- candidates a digit on lines of such digits, and how time grows from 5 to 40 digits, as ratios in this run.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.core.types import PageRef, PageResult, RasterPage, State
from digitscan.evaluation.metrics import wilson_interval
from digitscan.pipeline.prepare import prepare_page
from digitscan.training.sources import load_mnist, tight

HEIGHT = 56
Rng = np.random.Generator
Ink = np.ndarray


def glyph(image: np.ndarray) -> Ink:
    """A digit of MNIST at page size: (HEIGHT, w) float32 ink 0..1."""
    small = tight(image)
    assert small is not None
    width = max(4, round(small.shape[1] * HEIGHT / small.shape[0]))
    large = cv2.resize(small, (width, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    return np.clip((large - 0.35) * 2.5 + 0.35, 0, 1)


def side_by_side(inks: list[Ink], rng: Rng, overlap: bool) -> np.ndarray:
    """A scan of digits in a row: (H, W) uint8; with `overlap` each is pushed 1 to 5 pixels into the one before."""
    canvas = np.zeros((HEIGHT + 48, sum(i.shape[1] for i in inks) + 16 * len(inks) + 64), np.float32)
    x, before = 32, None
    for ink in inks:
        drop = 24 + int(rng.integers(-4, 5))
        if before is not None:
            x += (
                _clearance(before, ink) - int(rng.integers(1, 6))
                if overlap
                else before.shape[1] + int(rng.integers(6, 14))
            )
        part = canvas[drop : drop + HEIGHT, x : x + ink.shape[1]]
        np.maximum(part, ink, out=part)
        before = ink
    page = cv2.GaussianBlur(0.92 - 0.75 * canvas[:, : x + inks[-1].shape[1] + 32], (0, 0), 0.8)
    return np.clip(255 * page + rng.normal(0, 3, page.shape), 0, 255).astype(np.uint8)


def _clearance(left: Ink, right: Ink) -> int:
    """Shift of the right digit at which the two just touch."""
    ends = np.where((left > 0.5).any(axis=1), left.shape[1] - (left[:, ::-1] > 0.5).argmax(axis=1), -999)
    starts = np.where((right > 0.5).any(axis=1), (right > 0.5).argmax(axis=1), 999)
    near = cv2.dilate(ends.astype(np.float32)[:, None], np.ones((9, 1)))[:, 0]
    return max(int((near - starts).max()), 4)


def in_one(image: np.ndarray) -> bool:
    """Whether the ink is one component."""
    mask = (image < 128).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    return count > 1 and int((stats[1:, cv2.CC_STAT_AREA] > 20).sum()) == 1


def strike(image: np.ndarray, rng: Rng) -> np.ndarray:
    """The same picture with a stroke through it that wavers, slopes and stands out at both ends."""
    height, width = image.shape
    x = np.linspace(24 - rng.uniform(0, 12), width - 24 + rng.uniform(0, 12), 20)
    start = height / 2 + rng.normal(0, 5)
    y = np.interp(x, [x[0], x[-1]], [start, start + rng.normal(0, 8)]) + np.cumsum(rng.normal(0, 0.7, 20))
    points = (np.stack([x, y], axis=1) * 16).astype(np.int32)
    out = image.copy()
    cv2.polylines(out, [points], False, 50, int(rng.integers(3, 6)), cv2.LINE_AA, shift=4)
    return out


def on_page(image: np.ndarray) -> np.ndarray:
    """The picture in the middle of an empty page."""
    page = np.full((700, 1000), 235, np.uint8)
    page[300 : 300 + image.shape[0], 200 : 200 + image.shape[1]] = image
    return page


def says_struck(reader: Reader, image: np.ndarray) -> bool:
    """Whether anything in a picture is read as struck out."""
    outcome = reader.read_image(image)
    return isinstance(outcome, PageResult) and any(r.state is State.STRUCK for r in outcome.readings)


def main() -> None:
    """Draw, read, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--pairs", type=int, default=1000)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(5)
    images, labels = load_mnist("test", arguments.data)
    reader, console = Reader(layout="line"), Console()

    right = seen = 0
    while seen < arguments.pairs:
        a, b = rng.integers(len(images), size=2)
        picture = side_by_side([glyph(images[a]), glyph(images[b])], rng, overlap=True)
        if not in_one(picture):
            continue
        outcome = reader.read_image(picture)
        seen += 1
        right += isinstance(outcome, PageResult) and outcome.readings[0].text == f"{labels[a]}{labels[b]}"
    low, high = wilson_interval(right, seen)
    console.print(f"touching pairs: {right / seen:.2%} of {seen} right (95 %: {low:.2%} to {high:.2%})")

    pages = Reader(layout="page")
    told, alarms, count = np.zeros(2, int), np.zeros(2, int), 150
    for _ in range(count):
        rows = rng.integers(len(images), size=int(rng.integers(3, 8)))
        picture = side_by_side([glyph(images[k]) for k in rows], rng, overlap=False)
        struck = strike(picture, rng)
        told += [says_struck(reader, struck), says_struck(pages, on_page(struck))]
        alarms += [says_struck(reader, picture), says_struck(pages, on_page(picture))]
    for what, yes, false in zip(("alone", "on a page"), told, alarms, strict=True):
        console.print(f"struck out, {what}: {yes / count:.1%} of {count} seen; {false} others called so")

    table = Table("digits", "candidates a digit", "time a digit, ratio", title="Lines of digits", title_justify="left")
    first = 0.0
    for count in (5, 10, 20, 40):
        candidates, seconds = [], []
        for _ in range(8):
            rows = rng.integers(len(images), size=count)
            picture = side_by_side([glyph(images[k]) for k in rows], rng, overlap=False)
            candidates.append(len(prepare_page(RasterPage(PageRef("drawn"), picture), reader.config).crops) / count)
            reader.read_image(picture)
            started = time.perf_counter()
            reader.read_image(picture)
            seconds.append((time.perf_counter() - started) / count)
        first = first or float(np.median(seconds))
        table.add_row(str(count), f"{np.mean(candidates):.1f}", f"{np.median(seconds) / first:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
