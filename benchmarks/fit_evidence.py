"""How much each reader's evidence counts: ``python benchmarks/fit_evidence.py [--data DIR] [--count N]``.

Draws numbers that neither network learned from, lets both readers bring their texts, and finds the weights under which
the true texts are likeliest. They are fields of `digitscan.decoding.rivals.RivalParameters`.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from evidence import Evidence, best_weights, drawn_numbers, gather, surprise
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.evaluation.metrics import reliability

UNSEEN_SEED = 99_000_017


def figures(strings: list[Evidence], lattice: float, line: float) -> tuple[str, str, str]:
    """Surprise, share right and calibration error under weights, as text."""
    shares = [s.shares(lattice, line) for s in strings]
    right = np.array([int(p.argmax()) == s.true for p, s in zip(shares, strings, strict=True)])
    ece = reliability(np.array([float(p.max()) for p in shares]), right).ece
    return f"{surprise(strings, lattice, line):.4f}", f"{right.mean():.2%}", f"{ece:.2%}"


def main() -> None:
    """Draw, read, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--count", type=int, default=1500)
    arguments = parser.parse_args()
    reader = Reader(layout="line")
    found = (gather(reader, page, text) for page, text in drawn_numbers(arguments.data, UNSEEN_SEED))
    strings = list(islice((string for string in found if string is not None), arguments.count))
    missing = sum(s.true < 0 for s in strings)
    title = f"{len(strings)} drawn lines; {missing} without the true text among the rivals"
    table = Table("lattice", "line", "surprise, nats", "right", "ECE", title=title)
    for lattice in np.arange(0.0, 0.81, 0.2):
        for line in np.arange(0.0, 1.01, 0.2):
            if lattice + line > 0:
                table.add_row(f"{lattice:.1f}", f"{line:.1f}", *figures(strings, lattice, line))
    console = Console()
    console.print(table)
    lattice, line = best_weights(strings)
    _, right, ece = figures(strings, lattice, line)
    console.print(f"best: lattice {lattice:.2f}, line {line:.2f}: {right} right, ECE {ece}")


if __name__ == "__main__":
    main()
