"""Cheque amounts when weights and threshold are set on amounts: ``python benchmarks/tuned.py [--data DIR]``.

Five folds: on four of them the weights of both readers' evidence and the confidence from which one amount in a hundred
is wrong, on the fifth the figures. What a bank gets that labels some hundred amounts of its own; no network is trained.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from evidence import Evidence, best_weights, gather
from rich.console import Console

from digitscan import Reader
from digitscan.core.types import PageRef
from digitscan.evaluation.metrics import coverage_at, reliability
from digitscan.ingest.pages import load_page

ROOT = Path(__file__).resolve().parent.parent
FOLDS = 5
RISK = 0.01


def judged(strings: list[Evidence], weights: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence of each string's best text, and whether it is right."""
    shares = [s.shares(*weights) for s in strings]
    right = [int(p.argmax()) == s.true for p, s in zip(shares, strings, strict=True)]
    return np.array([float(p.max()) for p in shares]), np.array(right, bool)


def main() -> None:
    """Read, fold, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DIGITSCAN_DATA", ROOT / ".." / "shared" / "data"))
    )
    folder = parser.parse_args().data / "cheque-amounts"
    reader = Reader(layout="line")
    strings = []
    with (folder / "labels.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            page = load_page(PageRef(str(folder / "images" / row["file"])), reader.config.ingest)
            found = gather(reader, page, row["text"])
            strings.append(found or Evidence([""], np.zeros(1), np.zeros(1), -1))
    places = np.random.default_rng(0).permutation(len(strings)) % FOLDS
    confidence, right = np.zeros(len(strings)), np.zeros(len(strings), bool)
    accepted = np.zeros(len(strings), bool)
    for fold in range(FOLDS):
        test = np.flatnonzero(places == fold)
        train = [strings[k] for k in np.flatnonzero(places != fold)]
        weights = best_weights(train)
        sure, correct = judged(train, weights)
        share = coverage_at(RISK, sure, correct)
        threshold = np.sort(sure)[::-1][max(round(share * len(sure)) - 1, 0)] if share else np.inf
        confidence[test], right[test] = judged([strings[k] for k in test], weights)
        accepted[test] = confidence[test] >= threshold
    console = Console()
    wrong = int((accepted & ~right).sum())
    console.print(
        f"{right.mean():.2%} of {len(strings)} amounts right; ECE {reliability(confidence, right, 10).ece:.2%}"
    )
    console.print(f"accepted: {accepted.mean():.2%}, {wrong} of them wrong ({wrong / max(accepted.sum(), 1):.2%})")


if __name__ == "__main__":
    main()
