"""``digitscan corrections``: what people said of a job's readings, put to use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitscan.cli.common import errors_console, report_errors, show_table

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="What people said of a job's readings.")


@app.command("export")
def export(
    job: Annotated[Path, typer.Argument(help="The .job file that was reviewed.")],
    out: Annotated[Path, typer.Argument(help="Folder that gets a folder for each class.")],
) -> None:
    """Write the digits of settled readings as training data: folders 0 to 9 and not-a-digit.

    A correction gives its digits where as many were found on paper as were meant.

    [bold]Example[/]

      digitscan corrections export results.job corrections/

      digitscan train --start-from digitnet-1 --add corrections/ --time-budget 30m --name ours
    """
    with report_errors():
        from collections import Counter

        import cv2

        from digitscan.core.atomic import write_whole
        from digitscan.jobs.journal import JobFile
        from digitscan.jobs.review import labelled_crops

        JobFile(job).close()
        written: Counter[str] = Counter()
        for label, name, picture in labelled_crops(job):
            safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
            write_whole(out / label / f"{safe}.png", cv2.imencode(".png", picture)[1].tobytes())
            written[label] += 1
        counts = ", ".join(f"{label}: {count}" for label, count in sorted(written.items()))
        errors_console().print(f"{sum(written.values())} pictures in {out}" + (f" ({counts})" if counts else ""))


@app.command("show")
def show(job: Annotated[Path, typer.Argument(help="The .job file that was reviewed.")]) -> None:
    """Say how often people agreed with what was read, by how sure that was.

    A reading was confirmed as it was read, corrected, or completed where nothing could be read.

    [bold]Example[/]

      digitscan corrections show results.job
    """
    with report_errors():
        from rich.console import Console
        from rich.table import Table

        from digitscan.jobs.review import agreement

        table = Table()
        for column in ("confidence", "settled", "confirmed", "corrected", "completed", "as read"):
            table.add_column(column, justify="right", no_wrap=True)
        for band in agreement(job):
            share = f"{band.confirmed / band.settled:.1%}" if band.settled else ""
            counts = (band.settled, band.confirmed, band.corrected, band.completed)
            table.add_row(f"{band.low:.2f} to {band.high:.2f}", *map(str, counts), share)
        show_table(Console(highlight=False), table)
