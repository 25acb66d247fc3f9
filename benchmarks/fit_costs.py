"""Fits what cuts and shapes cost in a lattice: ``python benchmarks/fit_costs.py [--data DIR] [--count N]``.

Draws numbers, takes them apart as the reader does, and changes one cost of `digitscan.decoding.lattice.Costs` after the
other as long as the true texts become likelier among their rivals. With ``cheque-amounts`` in the data folder the share
of them that the lattice alone reads right is printed before and after; nothing is fitted to them.
"""

from __future__ import annotations

import argparse
import csv
import os
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from evidence import drawn_numbers
from rich.console import Console
from rich.progress import track

from digitscan import Reader
from digitscan.core.types import PageRef, Posteriors, RasterPage
from digitscan.decoding.lattice import COSTS, REJECT_COST_NUMBER, Costs, ScoredLattice
from digitscan.ingest.pages import load_page
from digitscan.pipeline.prepare import prepare_page
from digitscan.regions.prepared import PreparedString

ROOT = Path(__file__).resolve().parent.parent
UNSEEN_SEED = 99_000_019
STEPS = (0.5, 0.75, 1.35, 2.0)
SCALES = (0.1, 0.2, 0.3, 0.5, 0.8)
"""What a log unit of the lattice may count: only the order and the spread of the texts are judged."""


class Scored(NamedTuple):
    """A string with its posteriors and its true digits."""

    string: PreparedString
    posteriors: Posteriors
    text: str


def scored(reader: Reader, page: RasterPage, text: str) -> Scored | None:
    """The lattice of an image that is one string; None where it has no ink."""
    prepared = prepare_page(page, reader.config)
    if not prepared.strings:
        return None
    return Scored(prepared.strings[0], reader.classifier.classify(prepared.crops), text)


def lattice_of(item: Scored, costs: Costs) -> ScoredLattice:
    """The string's lattice under costs."""
    string = item.string
    return ScoredLattice(string.edges, item.posteriors, string.pieces, string.height, REJECT_COST_NUMBER, costs)


def surprise(items: list[Scored], costs: Costs) -> float:
    """Mean negative log share of the true texts, at the scale that suits the costs best."""
    margins = []
    for item in items:
        lattice = lattice_of(item, costs)
        true = lattice.best_for(item.text)
        if true is not None:
            rivals = [path.score for path in lattice.best(6) if path.text != item.text]
            margins.append(np.array(rivals) - true.score)
    return min(float(np.mean([np.log1p(np.exp(scale * m).sum()) for m in margins])) for scale in SCALES)


def share_right(items: list[Scored], costs: Costs) -> float:
    """Share of the strings whose best path is the true text."""
    return float(np.mean([lattice_of(item, costs).best(1)[0].text == item.text for item in items]))


def amounts(reader: Reader, folder: Path) -> list[Scored]:
    """The real amounts, where they are at hand."""
    if not (folder / "labels.csv").is_file():
        return []
    with (folder / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    pages = [load_page(PageRef(str(folder / "images" / row["file"])), reader.config.ingest) for row in rows]
    found = [scored(reader, page, row["text"]) for page, row in zip(pages, rows, strict=True)]
    return [item for item in found if item is not None]


def main() -> None:
    """Draw, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DIGITSCAN_DATA", ROOT / ".." / "shared" / "data"))
    )
    parser.add_argument("--count", type=int, default=800)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console()
    reader = Reader(layout="line")
    found = (scored(reader, page, text) for page, text in drawn_numbers(arguments.data, UNSEEN_SEED))
    drawn = list(islice((item for item in found if item is not None), arguments.count))
    half = len(drawn) // 2
    fitted, kept = drawn[:half], drawn[half:]
    real = amounts(reader, arguments.data / "cheque-amounts")
    costs, least = COSTS, surprise(fitted, COSTS)
    for turn in range(2):
        for name in track(Costs._fields, f"round {turn + 1}", console=console, transient=True):
            for step in STEPS:
                trial = costs._replace(**{name: float(f"{getattr(costs, name) * step:.3g}")})
                if (now := surprise(fitted, trial)) < least - 1e-4:
                    costs, least = trial, now
    for what, now in (("as they are", COSTS), ("fitted", costs)):
        console.print(
            f"{what}: surprise {surprise(kept, now):.4f}, {share_right(kept, now):.2%} right of {len(kept)} drawn"
        )
        if real:
            console.print(f"  {share_right(real, now):.2%} right of {len(real)} amounts")
    console.print(costs)


if __name__ == "__main__":
    main()
