"""``digitscan data``: look at what a network learns from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitscan.cli.common import errors_console, report_errors

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Look at the data that networks learn from.")


@app.callback()
def root() -> None:
    """Hold the subcommands, also while there is only one."""


@app.command("preview")
def preview(
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("sheet.png"),
    data: Annotated[Path | None, typer.Option(help="Folder with MNIST, as for `digitscan train`.")] = None,
    add: Annotated[list[str] | None, typer.Option(help="Your own digits, as for `digitscan train`.")] = None,
    columns: Annotated[int, typer.Option(min=4, max=100, help="Crops in a row; one row a class and two more.")] = 40,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Draw a sheet of crops as the network sees them: a row for each digit, and three of what is no digit.

    [bold]Examples[/]

      digitscan data preview

      digitscan data preview --add corrections/=5 --out mine.png
    """
    with report_errors():
        import cv2
        import numpy as np

        from digitscan.cli.stages import contact_sheet
        from digitscan.core.atomic import write_whole
        from digitscan.core.types import CLASS_COUNT, NOT_A_DIGIT
        from digitscan.training.drawing import GlyphBank
        from digitscan.training.recipes import TrainingConfig
        from digitscan.training.stream import training_sources
        from digitscan.training.synthesis import synthesize

        config = TrainingConfig(seed=seed)
        sources = training_sources(config, data, tuple(add or ()))
        crops, labels = synthesize(GlyphBank.of(sources), columns * 60, seed, config.clean_share, config.number_share)
        rng = np.random.default_rng(seed)
        rows = [
            crops[rng.choice(np.flatnonzero(labels == label), columns)]
            for label in (*range(CLASS_COUNT), NOT_A_DIGIT, NOT_A_DIGIT)
        ]
        picture = cv2.bitwise_not(contact_sheet(np.concatenate(rows), columns))
        write_whole(out, cv2.imencode(".png", picture)[1].tobytes())
        console = errors_console()
        for source in sources:
            if source.glyphs:
                console.print(f"{source.name:28} {len(source.glyphs):7,} glyphs, weight {source.weight:g}")
        console.print(f"[green]{out}[/] shows {columns} crops of each class")
