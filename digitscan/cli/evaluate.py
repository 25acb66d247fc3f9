"""``digitscan evaluate``: put a model to the test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitscan.cli.common import errors_console, report_errors, show_table


def evaluate(
    model: Annotated[str, typer.Option(help="Model id or folder; the default when not given.")] = "",
    data: Annotated[Path | None, typer.Option(help="Folder with MNIST and the sets beside it.")] = None,
    add: Annotated[
        list[str] | None, typer.Option(help="Your own labelled digits: class folders, Kaggle CSV, npz, IDX.")
    ] = None,
    out: Annotated[
        list[Path] | None, typer.Option(help="report.html (one page with pictures), report.json, or both.")
    ] = None,
) -> None:
    """Measure a model digit by digit on every labelled set that is found, and say which sets it was trained on.

    Accuracy with its confidence interval, figures a class, confusion matrix, calibration, how many digits can be
    accepted at a given error, how well what is no digit is told apart, learning curves, the worst mistakes.

    [bold]Examples[/]

      digitscan evaluate

      digitscan evaluate --model runs/mine --add my-digits/ --out report.html --out report.json
    """
    with report_errors():
        from rich.console import Console
        from rich.table import Table

        from digitscan.core.atomic import write_whole
        from digitscan.core.errors import UsageError
        from digitscan.evaluation.assessment import evaluate as assess
        from digitscan.evaluation.report import to_html, to_json

        for path in out or ():
            if path.suffix.lower() not in (".html", ".json"):
                raise UsageError(f"cannot write a report as {path.suffix or path}", remedy="use .html or .json")
        console = errors_console()
        with console.status("looking for data") as status:
            result = assess(model, data=data, own=tuple(add or ()), announce=lambda name: status.update(name))
        table = Table(title=f"{result.model['id']}, digit by digit", title_justify="left")
        table.add_column("set", no_wrap=True)
        for name in ("crops", "right, 95 %", "of ten", "ECE", "at 1 %"):
            table.add_column(name, justify="right", no_wrap=True)
        for s in result.sets:
            star = "*" if s.note.startswith("trained") else ""
            low, high = s.interval
            table.add_row(
                s.name + star,
                f"{s.total:,}",
                f"{s.accuracy:.2%} ±{(high - low) * 50:.2f}",
                f"{s.ten_digit_accuracy:.2%}",
                f"{s.calibration.ece:.2%}",
                f"{s.coverage_at_1_percent:.1%}",
            )
        show_table(Console(highlight=False), table)
        typer.echo("of ten: not-a-digit left out of the choice. at 1 %: share accepted with 1 % errors among it.")
        if any(s.note.startswith("trained") for s in result.sets):
            typer.echo("*: the model was trained on this set, which says nothing of new writers.")
        if result.reject is not None:
            typer.echo(
                f"telling digits from what is none: AUROC {result.reject.auroc:.4f}; "
                f"{result.reject.digits_lost:.2%} of true digits lost, {result.reject.others_kept:.2%} of others kept"
            )
        for path in out or ():
            write_whole(path, to_html(result).encode() if path.suffix.lower() == ".html" else to_json(result))
            console.print(f"[green]{path}[/] written")
