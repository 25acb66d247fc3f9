"""``digitscan predict``: one digit an image, with its ten bars."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from digitscan.cli.common import complain, exit_with, failure_line, report_errors, settings


def predict(
    images: Annotated[list[str], typer.Argument(help="Images of ONE digit each.")],
    model: Annotated[str | None, typer.Option(help="Model id or folder.")] = None,
) -> None:
    """Read one digit an image: the digit, how sure, and a bar for each of the ten.

    Any size, dark on light or light on dark, anywhere in the picture. On a pipe: one line a picture, tab
    separated: file, digit (or not-a-digit), confidence, then the eleven probabilities.

    [bold]Examples[/]

      digitscan predict seven.png

      digitscan predict drawn/*.png > digits.tsv
    """
    with report_errors():
        import numpy as np
        from rich.console import Console

        from digitscan.core.config import load_config
        from digitscan.core.errors import ExitCode
        from digitscan.core.types import NOT_A_DIGIT
        from digitscan.reader import Reader

        config = load_config(None, settings(layout="digit", recognition__model=model))
        reader = Reader(config)
        console = Console(highlight=False)
        failed = 0
        for single in reader.posteriors_of(*images):
            if single.failure is not None:
                failed += 1
                complain(failure_line(single.failure))
                continue
            row = single.posteriors
            if row is None:
                failed += 1
                complain(f"{single.path}: no ink found", "give a picture of one digit")
                continue
            best = int(np.argmax(row))
            name = "not-a-digit" if best == NOT_A_DIGIT else str(best)
            if not sys.stdout.isatty():
                values = "\t".join(f"{p:.5f}" for p in row)
                sys.stdout.write(f"{single.path}\t{name}\t{row[best]:.5f}\t{values}\n")
                continue
            console.print(f"[dim]{single.path}[/]  [bold]{name}[/]  {row[best]:.1%}")
            for label, p in zip((*map(str, range(10)), "-"), row, strict=True):
                color = "green" if p == row[best] else "dim"
                console.print(f"  {label}  [{color}]{'█' * round(float(p) * 40):<40}[/] {p:6.1%}")
        if failed:
            exit_with(ExitCode.NOTHING_READABLE if failed == len(images) else ExitCode.SOME_FAILED)
