"""How readings are scored against the real data folders; the rules of the field's own leaderboards."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from digitscan.core.types import FieldReading, PageResult
from digitscan.evaluation.metrics import coverage_at, reliability

Pages = dict[str, list[FieldReading]]


def digits(text: str) -> str:
    """The digits of a text alone."""
    return "".join(c for c in text if c.isdigit())


def by_name(results: Iterable[PageResult]) -> Pages:
    """Readings by file name."""
    found: Pages = {}
    for result in results:
        found.setdefault(Path(result.ref.path).name, []).extend(result.readings)
    return found


def score_cheques(folder: Path, pages: Pages) -> dict[str, Any]:
    """Whole strings right; the share accepted at 1 % errors; calibration error of the confidence (10 bins)."""
    scored = []
    with (folder / "labels.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["file"] in pages:
                readings = sorted(pages[row["file"]], key=lambda r: r.box.x)
                text = "".join(digits(r.text) for r in readings)
                scored.append((min((r.confidence for r in readings), default=0.0), text == row["text"]))
    confidence = np.array([s[0] for s in scored])
    right = np.array([s[1] for s in scored], bool)
    return {
        "strings": len(scored),
        "exact": right.mean(),
        "accepted_at_1pct_error": coverage_at(0.01, confidence, right),
        "ece": reliability(confidence, right, bins=10).ece,
    }


def longest_common(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence."""
    previous = [0] * (len(b) + 1)
    for x in a:
        current = [0]
        for j, y in enumerate(b):
            current.append(previous[j] + 1 if x == y else max(previous[j + 1], current[j]))
        previous = current
    return previous[-1]


def in_reading_order(readings: list[FieldReading]) -> list[str]:
    """Numbers row by row: rows by vertical middle, then by x."""
    left = sorted((r for r in readings if digits(r.text)), key=lambda r: r.box.center[1])
    if not left:
        return []
    height = float(np.median([r.box.height for r in left])) or 1
    rows = [[left[0]]]
    for reading in left[1:]:
        reference = np.mean([r.box.center[1] for r in rows[-1][-6:]])
        if reading.box.center[1] - reference > 0.6 * height:
            rows.append([])
        rows[-1].append(reading)
    return [digits(r.text) for row in rows for r in sorted(row, key=lambda r: r.box.x)]


def score_tables(folder: Path, pages: Pages) -> dict[str, Any]:
    """Numbers found in reading order, and numbers read for each true one (days and hours are read too)."""
    found = total = read = placed = unmarked = 0
    for name, readings in pages.items():
        with (folder / f"{Path(name).stem}.csv").open(newline="") as stream:
            truth = list(csv.reader(stream, quotechar="'"))[1:]
        want = [digits(value) for row in truth for value in row[1:] if digits(value)]
        got = in_reading_order(readings)
        found += longest_common(want, got)
        total += len(want)
        read += len(got)
        right, slipped = _in_their_cells(truth, readings)
        placed += right
        unmarked += slipped
    return {
        "pages": len(pages),
        "numbers": total,
        "recall": found / total,
        "in_right_cell": placed / total,
        "wrong_and_unmarked": unmarked / total,
        "read_over_true": read / total,
    }


def _in_their_cells(truth: list[list[str]], readings: list[FieldReading]) -> tuple[int, int]:
    """Numbers that are right and in their right row and column, and cells that are wrong with nothing for review.

    Titles above and beside the table shift all alike. A number that was not read at all is wrong too.
    """
    texts: dict[tuple[int, int], str] = {}
    marked = {(r.row, r.column) for r in readings if r.review}
    for reading in readings:
        if reading.row is not None and reading.column is not None:
            at = reading.row, reading.column
            texts[at] = texts.get(at, "") + digits(reading.text)
    want = [((i, j), digits(v)) for i, row in enumerate(truth, 1) for j, v in enumerate(row) if j and digits(v)]
    shifts = [(down, right) for down in range(-3, 12) for right in range(-2, 4)]

    def cell_of(place: tuple[int, int], shift: tuple[int, int]) -> tuple[int, int]:
        return place[0] + shift[0], place[1] + 1 + shift[1]

    best = max(shifts, key=lambda shift: sum(texts.get(cell_of(place, shift)) == v for place, v in want))
    wrong = [cell_of(place, best) for place, v in want if texts.get(cell_of(place, best)) != v]
    return len(want) - len(wrong), sum(cell not in marked for cell in wrong)


def score_photos(folder: Path, pages: Pages) -> dict[str, Any]:
    """The right digit in each cell of the photographed 9x9 grids, and blanks that were read."""
    right = cells = blanks = false = 0
    with (folder / "corners.csv").open(newline="") as stream:
        corners = {row["file"]: row for row in csv.DictReader(stream)}
    for name, readings in pages.items():
        row = corners[name]
        names = ("topleft", "topright", "bottomright", "bottomleft")
        source = np.array([[float(row[f"x_{n}"]), float(row[f"y_{n}"])] for n in names], np.float32)
        to_grid = cv2.getPerspectiveTransform(source, np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32))
        texts: dict[tuple[int, int], str] = {}
        for reading in readings:
            point = np.array([[reading.box.center]], np.float32)
            x, y = cv2.perspectiveTransform(point, to_grid).reshape(2)
            if 0 <= x < 9 and 0 <= y < 9:
                cell = (int(y), int(x))
                texts[cell] = texts.get(cell, "") + digits(reading.text)
        for i, line in enumerate((folder / f"{Path(name).stem}.txt").read_text().splitlines()):
            for j, value in enumerate(map(int, line.split())):
                text = texts.get((i, j), "")
                if value == 0:
                    blanks += 1
                    false += bool(text)
                elif value < 10:
                    cells += 1
                    right += text == str(value)
    return {"photos": len(pages), "cells": cells, "exact": right / cells, "blank_read": false / max(blanks, 1)}
