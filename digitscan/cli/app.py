"""The ``digitscan`` command: each subcommand is a small file of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from digitscan.cli import (
    compare,
    corrections,
    data,
    doctor,
    evaluate,
    form,
    jobs,
    models,
    predict,
    process,
    segment,
    serve,
    train,
    watch,
)
from digitscan.core.version import __version__

app = typer.Typer(
    name="digitscan",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="""Numbers written on paper become data.

    Point it at scans, photos and PDFs of forms, cheques and tables; get a CSV that you can trust, with a
    confidence for every number and pictures that show where it was read.

    [bold]Examples[/]

      digitscan process scans/ --out results.csv

      digitscan process scans/ --out results.csv --out results.json --annotate pictures/

      digitscan process amounts/ --layout line

      digitscan segment page.png --debug
    """,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"digitscan {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Hold the options that come before a command."""


app.command("process")(process.process)
app.command("segment")(segment.segment)
app.command("predict")(predict.predict)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.command("export")(jobs.export)
app.command("watch")(watch.watch)
app.command("doctor")(doctor.doctor)
app.add_typer(jobs.app, name="jobs")
app.add_typer(corrections.app, name="corrections")
app.add_typer(form.app, name="form")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
