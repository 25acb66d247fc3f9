"""How much each reader's evidence counts: ``python benchmarks/fit_evidence.py [--data DIR] [--count N]``.

Draws numbers that neither network learned from, lets both readers bring their texts, and finds the weights under which
the true texts are likeliest. They are `_LATTICE_WEIGHT` and `_LINE_WEIGHT` of `digitscan.forms.readings`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.core.types import PageRef, RasterPage
from digitscan.evaluation.metrics import reliability
from digitscan.forms.decode import REJECT_COST_NUMBER
from digitscan.forms.readings import WholeLine, rank_texts
from digitscan.pipeline import prepare_page
from digitscan.training.drawing import GlyphBank
from digitscan.training.lines import draw_sheet
from digitscan.training.recipes import TrainingConfig
from digitscan.training.stream import training_sources

UNSEEN_SEED = 99_000_017


def main() -> None:
    """Draw, read, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--count", type=int, default=1500)
    arguments = parser.parse_args()
    reader = Reader(layout="line")
    bank = GlyphBank.of(training_sources(TrainingConfig(), arguments.data))
    rng = np.random.default_rng(UNSEEN_SEED)
    # Of each line: evidence of every text from the lattice and from the line, and which one is true.
    lattice, line, true = [], [], []
    missing = 0
    while len(true) + missing < arguments.count:
        image, text, _ = draw_sheet(bank, rng)
        digits = "".join(c for c in text if c.isdigit())
        page = prepare_page(RasterPage(PageRef("drawn"), image), reader.config)
        if not page.strings or not page.strings[0].lines or reader.line_reader is None:
            continue
        string = page.strings[0]
        rows = reader.classifier.classify(page.crops)
        answers = reader.line_reader.read(string.lines)
        ranked = rank_texts(
            string.edges,
            rows,
            string.pieces,
            string.height,
            REJECT_COST_NUMBER,
            WholeLine(tuple(answers), string.region),
        )
        texts = [rival.text for rival in ranked]
        if digits not in texts:
            missing += 1
            continue
        lattice.append(np.array([rival.lattice for rival in ranked]))
        line.append(np.array([rival.line for rival in ranked]))
        true.append(texts.index(digits))
    table = Table(
        "lattice",
        "line",
        "surprise, nats",
        "right",
        "ECE",
        title=f"{len(true)} drawn lines; {missing} without the true text among the rivals",
    )
    best: tuple[float, ...] = (np.inf,)
    for a in np.arange(0.0, 1.01, 0.1):
        for b in np.arange(0.0, 1.01, 0.1):
            surprise, right, confidence = 0.0, [], []
            for x, y, k in zip(lattice, line, true, strict=True):
                evidence = a * x + b * y
                shares = np.exp(evidence - evidence.max())
                shares /= shares.sum()
                surprise -= float(np.log(max(shares[k], 1e-12)))
                right.append(int(shares.argmax()) == k)
                confidence.append(float(shares.max()))
            ece = reliability(np.array(confidence), np.array(right)).ece
            row = (surprise / len(true), a, b, float(np.mean(right)), ece)
            best = min(best, row)
            if round(a * 10) % 2 == 0 and round(b * 10) % 2 == 0 and a + b > 0:
                table.add_row(f"{a:.1f}", f"{b:.1f}", f"{row[0]:.4f}", f"{row[3]:.2%}", f"{ece:.2%}")
    console = Console()
    console.print(table)
    console.print(f"best: lattice {best[1]:.1f}, line {best[2]:.1f}: {best[3]:.2%} right, ECE {best[4]:.2%}")


if __name__ == "__main__":
    main()
