"""Accuracy on real pages: ``python benchmarks/accuracy.py [--data DIR] [--model ID] [--limit N]``.

Looks for the folders ``mnist``, ``cheque-amounts``, ``weather-tables`` and ``sudoku-photos`` in --data,
$DIGITSCAN_DATA or ../shared/data, reads what is there, and prints one table. The shipped samples are always
read. Nothing is trained or tuned here.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scoring import by_name, score_cheques, score_photos, score_tables

from digitscan import Reader
from digitscan.core.types import PageResult
from digitscan.recognition.normalize import normalize_all
from digitscan.training.sources import load_mnist

ROOT = Path(__file__).resolve().parent.parent


def samples_right(reader_for: Callable[[str], Reader]) -> tuple[int, int]:
    """Strings of the shipped samples that are right, and all."""
    truth: dict[tuple[str, int], list[str]] = {}
    with (ROOT / "samples" / "truth.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            truth.setdefault((row["file"], int(row["page"])), []).append(row["text"])
    right = total = 0
    for file in dict.fromkeys(f for f, _ in truth):
        reader = reader_for(file.split("/")[0] if "/" in file else "auto")
        for outcome in reader.read(ROOT / "samples" / file):
            want = truth[file, outcome.ref.page_number]
            total += len(want)
            if isinstance(outcome, PageResult):
                got = [r.text for r in outcome.readings]
                right += sum(a == b for a, b in zip(want, got, strict=False)) if len(got) == len(want) else 0
    return right, total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DIGITSCAN_DATA", ROOT / ".." / "shared" / "data"))
    )
    parser.add_argument("--model", default="")
    parser.add_argument("--limit", type=int, default=0, help="pages of each folder; 0 reads all")
    arguments = parser.parse_args()
    console = Console()
    table = Table("set", "layout", "what", "result", "s/page", title="digitscan on real pages", title_justify="left")
    readers: dict[str, Reader] = {}

    def reader_for(layout: str) -> Reader:
        if layout not in readers:
            puzzle = [ROOT / "samples" / "forms" / "puzzle.toml"] if layout == "form" else []
            plain = "auto" if layout == "form" else layout
            readers[layout] = Reader(layout=plain, model=arguments.model, forms=puzzle)
        return readers[layout]

    if (arguments.data / "mnist").is_dir():
        images, labels = load_mnist("test", arguments.data)
        posteriors = reader_for("digit").classifier.classify(normalize_all(list(images)))
        table.add_row(
            "MNIST test", "crops", f"{len(labels):,} digits right", f"{(posteriors.argmax(1) == labels).mean():.2%}", ""
        )
    for name, layout, score in (
        ("cheque-amounts", "line", score_cheques),
        ("weather-tables", "table", score_tables),
        ("sudoku-photos", "auto", score_photos),
        ("sudoku-photos", "form", score_photos),
    ):
        folder = arguments.data / name
        images_in = folder / "images" if (folder / "images").is_dir() else folder
        files = sorted(images_in.glob("*.jpg"))
        if arguments.limit:
            files = files[: arguments.limit]
        if not files:
            continue
        started = time.perf_counter()
        outcomes = reader_for(layout).read(*files)
        seconds = (time.perf_counter() - started) / len(files)
        results = [o for o in outcomes if isinstance(o, PageResult)]
        if len(results) < len(outcomes):
            console.print(f"[red]{name}: {len(outcomes) - len(results)} pages failed[/]")
        for what, value in score(folder, by_name(results)).items():
            shown = f"{value:.2%}" if isinstance(value, float | np.floating) else str(value)
            table.add_row(name, layout, what, shown, f"{seconds:.2f}")
    right, total = samples_right(reader_for)
    table.add_row("samples", "auto", "strings right", f"{right} of {total}", "")
    console.print(table)


if __name__ == "__main__":
    main()
