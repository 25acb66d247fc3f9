"""Points, commas, dashes and signs in `written`: ``python benchmarks/signs.py [--data DIR] [--lines N]``.

Lines are drawn as training draws them, with other seeds: real signs vary more, and no set at hand has them labelled.
Counted are lines whose digits are right; on the others there is no saying which sign belongs where.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.core.types import PageResult
from digitscan.evaluation.metrics import wilson_interval
from digitscan.training.lines import draw_sheet
from digitscan.training.recipes import TrainingConfig
from digitscan.training.stream import training_banks

SEED = 90_001


def digits(text: str) -> str:
    """The digits of a text alone."""
    return "".join(c for c in text if c.isdigit())


def slots(text: str) -> list[str]:
    """Signs before, between and after the digits of a text."""
    found = [""]
    for character in text:
        if character.isdigit():
            found.append("")
        else:
            found[-1] += character
    return found


def main() -> None:
    """Draw, read, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--lines", type=int, default=500)
    arguments = parser.parse_args()
    bank = training_banks(TrainingConfig(), arguments.data).held_out
    rng = np.random.default_rng(SEED)
    reader, console = Reader(layout="line"), Console()
    whole = usable = 0
    there: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for _ in range(arguments.lines):
        image, text, _ = draw_sheet(bank, rng, numbers_only=True)
        outcome = reader.read_image(image)
        if not isinstance(outcome, PageResult) or outcome.readings[0].text != digits(text):
            continue
        written = outcome.readings[0].written
        usable += 1
        whole += written == text
        for true, read in zip(slots(text), slots(written), strict=True):
            there.update(true)
            found.update(read)
            right.update(Counter(true) & Counter(read))
    low, high = wilson_interval(whole, usable)
    console.print(f"digits right: {usable} of {arguments.lines} lines; of these")
    console.print(f"written right to the last sign: {whole / usable:.1%} (95 %: {low:.1%} to {high:.1%})")
    table = Table("sign", "drawn", "found of these", "right among those read")
    for sign in sorted(there | found):
        recall, precision = right[sign] / max(there[sign], 1), right[sign] / max(found[sign], 1)
        table.add_row(sign, str(there[sign]), f"{recall:.1%}", f"{precision:.1%}")
    console.print(table)


if __name__ == "__main__":
    main()
