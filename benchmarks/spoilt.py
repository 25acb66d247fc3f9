"""Digits that their writer made unreadable: ``python benchmarks/spoilt.py [--data DIR] [--count N]``.

One digit of a number is scribbled over, or another one is written over it. How often is that seen, how often is the
reading for review, and how often does one pass for a number; and how many numbers as they were are called struck out.

- numbers of MNIST's test digits, as images of one string each;
- the amounts of the folder ``cheque-amounts``, over a digit whose box is known;
- fields of boxes and combs on scanned pages of the forms in ``samples/forms``, filled with such digits, one digit of
  each field scribbled over.

The scribbles are drawn here, not by what the networks learned from.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from forms import FORMS, NAMES, mnist_writer
from rich.console import Console
from rich.table import Table
from strings import HEIGHT, Rng, glyph, side_by_side

from digitscan import Reader
from digitscan.authoring.stress import damaged, fill, random_values
from digitscan.core.config import Config
from digitscan.core.types import FieldReading, PageRef, PageResult, RasterPage, State
from digitscan.forms.formset import FormSet
from digitscan.pipeline.read import read_raster
from digitscan.training.sources import load_mnist

ROOT = Path(__file__).resolve().parent.parent


def scribbled(image: np.ndarray, place: tuple[int, int, int, int], rng: Rng) -> np.ndarray:
    """A picture with a pen drawn to and fro over a place: left, top, width, height."""
    x, y, w, h = place
    turns = int(rng.integers(5, 10))
    level = rng.random() < 0.7
    along, across = (np.linspace(0, 1, turns), np.arange(turns) % 2)
    points = np.stack([across, along] if level else [along, across], axis=1) * (w + 2, h) + (x - 1, y)
    points += rng.normal(0, max(1.0, 0.03 * h), points.shape)
    out = image.copy()
    cv2.polylines(
        out, [points.round().astype(np.int32)], False, int(np.percentile(image, 2)), max(2, h // 10), cv2.LINE_AA
    )
    return out


def overwritten(image: np.ndarray, place: tuple[int, int, int, int], other: np.ndarray) -> np.ndarray:
    """A picture with another digit's ink, (h, w) 0..1, put over a place."""
    x, y, w, h = place
    ink = cv2.resize(other, (max(w, h // 2), h))[:, : image.shape[1] - x]
    out = image.copy()
    region = out[y : y + h, x : x + ink.shape[1]]
    dark = float(np.percentile(image, 2))
    region[:] = np.minimum(region, (region * (1 - ink[: len(region)]) + dark * ink[: len(region)])).astype(np.uint8)
    return out


@dataclass
class Tally:
    """What became of pictures of one kind."""

    count: int = 0
    struck: int = 0
    review: int = 0
    passed_right: int = 0
    passed_wrong: int = 0

    def add(self, reading: FieldReading | None, text: str) -> None:
        """Count one."""
        self.count += 1
        if reading is None:
            self.review += 1
            return
        self.struck += reading.state is State.STRUCK
        self.review += reading.review
        self.passed_right += not reading.review and reading.text == text
        self.passed_wrong += not reading.review and reading.text != text


def drawn_numbers(data: Path | None, count: int, rng: Rng) -> Iterator[tuple[np.ndarray, str, list[tuple[int, ...]]]]:
    """Pictures of numbers of MNIST's test digits, their texts, and where each digit stands."""
    images, labels = load_mnist("test", data)
    for _ in range(count):
        rows = rng.integers(len(images), size=int(rng.integers(3, 8)))
        page = side_by_side([glyph(images[k]) for k in rows], rng, overlap=False)
        columns = np.flatnonzero((page < 150).any(axis=0))
        ends = np.flatnonzero(np.diff(columns) > 3)
        starts = [int(columns[0]), *(int(columns[k + 1]) for k in ends)]
        stops = [*(int(columns[k]) for k in ends), int(columns[-1])]
        if len(starts) == len(rows):
            places = [(a, 24, b - a + 1, HEIGHT) for a, b in zip(starts, stops, strict=True)]
            yield page, "".join(str(labels[k]) for k in rows), places


def amounts(folder: Path, count: int) -> Iterator[tuple[np.ndarray, str, list[tuple[int, ...]]]]:
    """Amounts of real cheques, and the boxes of their digits."""
    places: dict[str, list[tuple[int, ...]]] = {}
    with (folder / "boxes.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            places.setdefault(row["file"], []).append(tuple(round(float(row[k])) for k in "xywh"))
    with (folder / "labels.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if len(places.get(row["file"], ())) >= 3]
    for row in rows[:: max(1, len(rows) // count)][:count]:
        image = cv2.imread(str(folder / "images" / row["file"]), cv2.IMREAD_GRAYSCALE)
        if image is not None:
            yield image, row["text"], places[row["file"]]


def on_forms(reader: Reader, pages: int, data: Path | None) -> Tally:
    """Boxed fields of scanned forms, one digit of each scribbled over."""
    ruled = FormSet([FORMS / f"{name}.toml" for name in NAMES], Config())
    writer, tally = mnist_writer(data), Tally()
    for number in range(pages):
        rng = np.random.default_rng((8, number))
        form = ruled.pages[number % len(ruled.pages)]
        values = random_values(form.template, form.page, rng)
        page = fill(form, values, writer(rng), rng)
        fields = [c for c in form.cells if c.zone.kind in ("boxes", "comb") and len(values.get(c.name, "")) > 1]
        for cell in fields:
            x, y, w, h = cell.box
            wide, text = w / cell.zone.places, values[cell.name]
            box = cell.zone.places - 1 - int(rng.integers(len(text)))
            place = (round(x + (box + 0.15) * wide), round(y + 0.15 * h), round(0.7 * wide), round(0.7 * h))
            page = scribbled(page, place, rng)
        raster = RasterPage(PageRef("form"), damaged(page, "scan", rng, form.dpi))
        outcome = read_raster(
            raster, reader.classifier, reader.config, line_recognizer=reader.line_recognizer, forms=ruled
        )
        found = {r.name: r for r in outcome.readings} if isinstance(outcome, PageResult) else {}
        for cell in fields:
            tally.add(found.get(cell.name), values[cell.name])
    return tally


def main() -> None:
    """Draw, read, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DIGITSCAN_DATA", ROOT / ".." / "shared" / "data"))
    )
    parser.add_argument("--count", type=int, default=200)
    arguments = parser.parse_args()
    reader, console = Reader(layout="line"), Console()
    images, _ = load_mnist("test", arguments.data)

    def read(image: np.ndarray) -> FieldReading | None:
        outcome = reader.read_image(image)
        return outcome.readings[0] if isinstance(outcome, PageResult) and outcome.readings else None

    table = Table("numbers", "what", "count", "struck", "for review", "passed, right", "passed, wrong")
    cheques = arguments.data / "cheque-amounts"
    for name, numbers in (
        ("drawn", drawn_numbers(arguments.data, arguments.count, np.random.default_rng(6))),
        ("cheques", amounts(cheques, arguments.count) if (cheques / "boxes.csv").is_file() else iter(())),
    ):
        rng = np.random.default_rng(7)
        tallies = {"as they are": Tally(), "scribbled over": Tally(), "overwritten": Tally()}
        for image, text, places in numbers:
            place = places[int(rng.integers(len(places)))]
            other = glyph(images[int(rng.integers(len(images)))])
            tallies["as they are"].add(read(image), text)
            tallies["scribbled over"].add(read(scribbled(image, place, rng)), text)  # type: ignore[arg-type]
            tallies["overwritten"].add(read(overwritten(image, place, other)), text)  # type: ignore[arg-type]
        for what, t in tallies.items():
            shares = (f"{part / max(t.count, 1):.1%}" for part in (t.struck, t.review, t.passed_right, t.passed_wrong))
            table.add_row(name, what, str(t.count), *shares)
    t = on_forms(reader, arguments.count // 10, arguments.data)
    shares = (f"{part / max(t.count, 1):.1%}" for part in (t.struck, t.review, t.passed_right, t.passed_wrong))
    table.add_row("boxes of forms", "scribbled over", str(t.count), *shares)
    console.print(table)


if __name__ == "__main__":
    main()
