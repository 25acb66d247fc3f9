"""``digitscan jobs`` and ``digitscan export``: what a run has read, looked at and written again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from digitscan.cli.common import errors_console, report_errors
from digitscan.cli.progress import plain

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Runs and their job files.")


@app.command("show")
def show(job: Annotated[Path, typer.Argument(help="The .job file beside a run's results.")]) -> None:
    """Say where a job stands: pages, failures by reason, what is for review.

    [bold]Example[/]

      digitscan jobs show results.job
    """
    with report_errors():
        from rich.console import Console
        from rich.table import Table

        from digitscan.jobs.journal import JobFile

        file = JobFile(job)
        s = file.summary()
        took = max(s.last - s.started, 1e-6)
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in (
            ("state", "finished" if s.finished else "not finished: run the same command again to go on"),
            ("pages", f"{s.pages}, {s.failed} failed"),
            ("readings", f"{s.readings}, {s.review} for review, {s.settled} settled"),
            ("started", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(s.started))),
            ("took so far", f"{took:.0f} s, {s.pages / took:.1f} pages/s"),
            ("a page", f"{s.page_s:.2f} s of a worker" if s.page_s else "not timed: pages were read together"),
            ("model", file.run.model.id),
        ):
            table.add_row(f"[dim]{name}[/]", value)
        console = Console(highlight=False)
        console.print(table)
        for reason, count in s.failures[:20]:
            console.print(f"[red]{count:6d}[/] {reason}")
        file.close()


def export(
    job: Annotated[Path, typer.Argument(help="The .job file beside a run's results.")],
    out: Annotated[
        list[str] | None,
        typer.Option("--out", "-o", help=".csv, .xlsx, .json, .jsonl, .parquet or .hocr; several times; - is CSV."),
    ] = None,
    form: Annotated[
        list[Path] | None, typer.Option("--form", "-f", help="The run's templates: CSV and Excel are wide then.")
    ] = None,
    alto: Annotated[Path | None, typer.Option(help="Folder for one ALTO file a page.")] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help="CSV that a spreadsheet opens with its leading zeros.")
    ] = False,
) -> None:
    """Write a job's results again, in any format, without reading a page.

    [bold]Example[/]

      digitscan export results.job --out results.json --out results.xlsx
    """
    with report_errors():
        from contextlib import ExitStack

        from digitscan.cli.outputs import Results, form_columns
        from digitscan.core.errors import UsageError
        from digitscan.core.types import PageResult
        from digitscan.export.archive import write_alto
        from digitscan.export.writers import WriterOptions, check_target, open_writer
        from digitscan.forms.template import load_template
        from digitscan.jobs.journal import JobFile

        if not out and alto is None:
            raise UsageError("nothing to write", remedy="give --out or --alto")
        for target in out or ():
            check_target(target)
        options = WriterOptions(tuple(form_columns(load_template(path)) for path in form or ()), excel)
        file = JobFile(job)
        if form and not file.run.config.get("forms"):
            raise UsageError(f"the job {job} was read without a form", remedy="leave --form out")
        with ExitStack() as stack:
            writers = stack.enter_context(Results(others=alto is not None))
            for target in out or ():
                writers.add(open_writer(target, file.run, options))
            taken: set[str] = set()
            for outcome in file.outcomes():
                writers.write(outcome)
                if alto is not None and isinstance(outcome, PageResult):
                    write_alto(alto, outcome, file.run, taken)
        file.close()
        for target in writers.published:
            errors_console().print(f"[dim]wrote[/] {plain(target)}")
        writers.raise_trouble()
