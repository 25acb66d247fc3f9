"""``digitscan process``: read pages, write results."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from digitscan.cli.common import errors_console, failure_line, leave, settings, teaching_errors

if TYPE_CHECKING:
    from digitscan.core.types import PageOutcome

LayoutName = Literal["auto", "page", "line", "digit", "table"]
_WRITE = "What comes out"
_READ = "How to read"
_RUN = "How to run"


class Tally:
    """Counts for the summary and the exit code."""

    def __init__(self) -> None:
        self.pages = self.strings = self.digits = self.review = self.failed = 0
        self.started = time.monotonic()

    def add(self, outcome: PageOutcome) -> None:
        """Count one page."""
        from digitscan.core.types import PageFailure

        if isinstance(outcome, PageFailure):
            self.failed += 1
            return
        self.pages += 1
        self.strings += len(outcome.readings)
        self.digits += sum(len(r.digits) for r in outcome.readings)
        self.review += sum(r.review for r in outcome.readings)

    def exit_code(self) -> int:
        """0, 1 or 3 of the documented exit codes."""
        from digitscan.core.errors import ExitCode

        if not self.pages:
            return ExitCode.NOTHING_READABLE
        return ExitCode.SOME_FAILED if self.failed else ExitCode.OK

    def show(self) -> None:
        """Print the summary to standard error."""
        from rich.table import Table

        seconds = max(time.monotonic() - self.started, 1e-6)
        table = Table(box=None, pad_edge=False, header_style="dim")
        cells = {
            "pages": self.pages,
            "strings": self.strings,
            "digits": self.digits,
            "for review": self.review,
            "failed": self.failed,
            "pages/s": f"{self.pages / seconds:.1f}",
        }
        for name in cells:
            table.add_column(name, justify="right")
        table.add_row(*(str(v) for v in cells.values()))
        errors_console().print(table)


def result_table() -> Any:
    """An empty table for readings."""
    from rich.table import Table

    table = Table(header_style="bold")
    for name, justify in (
        ("file", "left"), ("page", "right"), ("field", "left"), ("row", "right"), ("col", "right"),
        ("text", "left"), ("confidence", "right"), ("note", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def add_rows(table: Any, outcome: PageOutcome) -> None:
    """Show a page's readings, or its failure, as rows."""
    from rich.markup import escape

    from digitscan.core.types import PageFailure

    name, page = escape(Path(outcome.ref.path).name), str(outcome.ref.page_number)
    if isinstance(outcome, PageFailure):
        table.add_row(name, page, "", "", "", "", "", f"[red]{escape(outcome.message)}[/]")
        return
    for r in outcome.readings:
        color = "green" if r.confidence >= 0.9 else "yellow" if r.confidence >= 0.6 else "red"
        cell = [str(v) if v is not None else "" for v in (r.row, r.column)]
        note = escape(r.reason) if r.review else ""
        table.add_row(name, page, r.name, *cell, f"[bold]{r.text}[/]", f"[{color}]{r.confidence:.3f}[/]", note)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Any]:
    """A function ``(found, done, failed)`` that shows progress on standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = errors_console()
    if quiet:
        yield lambda found, done, failed: None
        return
    if not console.is_terminal:
        last = [time.monotonic()]

        def plain(found: int, done: int, failed: int) -> None:
            if time.monotonic() - last[0] >= 30:
                last[0] = time.monotonic()
                console.print(f"{done} of {found}+ pages, {failed} failed")

        yield plain
        return
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}[/]"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading pages", total=None, failed="")

        def rich_update(found: int, done: int, failed: int) -> None:
            bar.update(task, total=found, completed=done, failed=f"{failed} failed" if failed else "")

        yield rich_update


def process(
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, globs; [bold]-[/] reads a list of paths from standard input.")
    ],
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            "-o",
            help="Result file: .csv, .xlsx, .json or .jsonl; may be given several times; - is standard output.",
            rich_help_panel=_WRITE,
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures with boxes and digits drawn over each page.", rich_help_panel=_WRITE),
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(help="Folder for one CSV a table, in the page's own shape.", rich_help_panel=_WRITE),
    ] = None,
    layout: Annotated[
        LayoutName | None,
        typer.Option(
            help="auto: a page or a ruled table; line: an image is ONE number; digit: ONE digit. [dim]Default: auto[/]",
            rich_help_panel=_READ,
        ),
    ] = None,
    form: Annotated[
        list[Path] | None,
        typer.Option(
            "--form",
            "-f",
            help="Template of the form that the pages are filled from; several, and each page finds its own.",
            rich_help_panel=_READ,
        ),
    ] = None,
    wide: Annotated[
        bool,
        typer.Option(
            "--wide", help="With --form: CSV and Excel have a row a form, a column a field.", rich_help_panel=_WRITE
        ),
    ] = False,
    pages: Annotated[
        str | None, typer.Option(help="Pages of PDF and TIFF files, like 1,3-5.", rich_help_panel=_READ)
    ] = None,
    orientation: Annotated[
        Literal["auto", "0", "90", "180", "270"] | None,
        typer.Option(help="Degrees clockwise to turn pages. [dim]Default: auto[/]", rich_help_panel=_READ),
    ] = None,
    polarity: Annotated[
        Literal["auto", "dark-on-light", "light-on-dark"] | None,
        typer.Option(help="[dim]Default: auto[/]", rich_help_panel=_READ),
    ] = None,
    binarization: Annotated[
        Literal["adaptive", "otsu", "sauvola"] | None,
        typer.Option(help="[dim]Default: adaptive[/]", rich_help_panel=_READ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out numbers below this. [dim]Default: 0.3[/]", rich_help_panel=_READ),
    ] = None,
    review_below: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Mark numbers below this for review. [dim]Default: 0.9[/]", rich_help_panel=_READ
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model id or folder; see `digitscan models list`.", rich_help_panel=_RUN)
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "gpu"] | None, typer.Option(help="[dim]Default: auto[/]", rich_help_panel=_RUN)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=0, help="Crops in one call; 0 chooses by device.", rich_help_panel=_RUN)
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=0, help="Processes that read pages; 0 takes the cores.", rich_help_panel=_RUN),
    ] = 0,
    page_timeout: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds that a page may take; 0 sets no limit. [dim]Default: 180[/]", rich_help_panel=_RUN
        ),
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(
            help="Job file, from which a run goes on. [dim]Default: beside the first --out[/]", rich_help_panel=_RUN
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Read everything anew, whatever was read before.", rich_help_panel=_RUN)
    ] = False,
    no_job: Annotated[bool, typer.Option("--no-job", help="Keep no job file.", rich_help_panel=_RUN)] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", rich_help_panel=_RUN)] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no summary.", rich_help_panel=_RUN)
    ] = False,
) -> None:
    """Read every number on the pages of files, folders and PDFs.

    Run the same command again after an interruption, and it goes on where it ended: pages that were read are in the
    job file beside the results, and are known by their content.

    Without --out a terminal gets a table and a pipe gets CSV. Pages that cannot be read are named, and the
    rest goes on. Exit status: 0 all read, 1 some pages failed, 2 usage, 3 nothing readable, 4 model missing
    or wrong, 5 cannot write, 130 interrupted.

    [bold]Examples[/]

      digitscan process scans/ --out results.csv

      digitscan process survey.pdf --pages 1,3-5 --out results.json --annotate pictures/

      digitscan process amounts/ --layout line | sort

      digitscan process forms/ --form survey.toml --wide --out survey.xlsx

      find . -name '*.tif' | digitscan process - --out results.csv
    """
    with teaching_errors(), ExitStack() as stack:
        from digitscan.batch.crew import Crew

        # Its first worker loads its libraries while this process still loads its own.
        crew = stack.enter_context(Crew(jobs))
        from digitscan.core.config import load_config

        chosen = load_config(
            config,
            settings(
                layout=layout, ingest__pages=pages, imaging__orientation=orientation, imaging__polarity=polarity,
                imaging__binarization=binarization, decode__min_confidence=min_confidence,
                decode__review_below=review_below, recognition__model=model, recognition__device=device,
                recognition__batch_size=batch_size, batch__page_timeout_s=page_timeout,
            ),
        )  # fmt: skip
        asked = _Outputs(out or [], annotate, tables, wide, _job_path(job, out or [], no_job), fresh)
        if not chosen.batch.isolated:
            crew.close()
        _run(sources, asked, chosen, jobs, quiet, form or [], crew if chosen.batch.isolated else None)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What a run writes, and where."""

    out: list[str]
    annotate: Path | None
    tables: Path | None
    wide: bool
    job: Path | None
    fresh: bool


def _job_path(job: Path | None, out: list[str], no_job: bool) -> Path | None:
    """The job file: as named, or beside the first result file; none for what only goes to a screen or a pipe."""
    if no_job:
        return None
    first = next((Path(target) for target in out if target != "-"), None)
    return job if job is not None else first.with_suffix(".job") if first is not None else None


def _run(
    sources: list[str], asked: _Outputs, config: Any, jobs: int, quiet: bool, forms: list[Path], crew: Any
) -> None:
    from digitscan.core.errors import ExitCode, UsageError
    from digitscan.core.types import PageFailure, PageResult
    from digitscan.export.writers import check_target
    from digitscan.ingest.pages import PageSelection

    out, annotate, tables, wide = asked.out, asked.annotate, asked.tables, asked.wide
    PageSelection.parse(config.ingest.pages)
    if wide and not forms:
        raise UsageError("--wide needs to know the fields", remedy="give the form's template with --form")
    for target in out:
        check_target(target)
    to_terminal = not out and sys.stdout.isatty()
    targets = out or ([] if to_terminal else ["-"])

    from digitscan.batch.journal import Journal
    from digitscan.export.writers import open_writer
    from digitscan.reader import Reader

    tally = Tally()
    interrupted = False
    with ExitStack() as stack:
        if not quiet and errors_console().is_terminal:
            with errors_console().status("loading the model"):
                reader = Reader(config, jobs=jobs, forms=forms, crew=crew)
        else:
            reader = Reader(config, jobs=jobs, forms=forms, crew=crew)
        # Outputs are opened before the first page is read: an hour's work must not end at a read-only folder.
        journal = stack.enter_context(Journal(asked.job, reader.run_info, fresh=asked.fresh)) if asked.job else None
        columns = [form_columns(template) for template in reader.forms.templates] if reader.forms and wide else []
        writers = [stack.enter_context(open_writer(target, reader.run_info, columns)) for target in targets]
        keep_images = annotate is not None or any(writer.wants_images for writer in writers)
        for folder in filter(None, (annotate, tables)):
            _check_folder(folder)
        table = result_table() if to_terminal else None
        written = [Path(target) for target in out] + [p for p in (asked.job, annotate, tables) if p is not None]
        own = {path.resolve() for path in written}
        taken: set[str] = set()
        tables_taken: set[str] = set()
        found = [0]
        tally.started = time.monotonic()
        with progress_bar(quiet) as show:
            stream = reader.stream(
                *sources,
                keep_images=keep_images,
                stdin=sys.stdin if "-" in sources else None,
                exclude=own,
                on_found=lambda count: found.__setitem__(0, count),
                known=journal.known if journal is not None else None,
            )
            try:
                for page in stream:
                    outcome = page.outcome
                    if journal is not None:
                        journal.add(outcome)
                    for writer in writers:
                        writer.write(outcome, page.image)
                    if isinstance(outcome, PageFailure):
                        errors_console().print(f"[red]failed[/] {_plain(failure_line(outcome))}")
                    elif annotate is not None and page.image is not None and isinstance(outcome, PageResult):
                        from digitscan.export.annotate import write_annotation

                        write_annotation(annotate, page.image, outcome, taken)
                    if tables is not None and isinstance(outcome, PageResult):
                        from digitscan.export.tables import write_tables

                        write_tables(tables, outcome, tables_taken)
                    if table is not None:
                        add_rows(table, outcome)
                    tally.add(outcome)
                    show(found[0], tally.pages + tally.failed, tally.failed)
            except KeyboardInterrupt:
                interrupted = True  # what is done is written below
            finally:
                stream.close()
        if journal is not None and not interrupted:
            journal.finish()
        reused = journal.reused if journal is not None else 0
    if table is not None and table.row_count:
        from rich.console import Console

        Console().print(table)
    if not quiet:
        tally.show()
        if reused:
            errors_console().print(f"[dim]{reused} of these pages were read before: --fresh reads them anew[/]")
        for target in out:
            if target != "-":
                errors_console().print(f"[dim]wrote[/] {_plain(target)}")
        if annotate is not None and taken:
            errors_console().print(f"[dim]wrote[/] {len(taken)} pictures in {_plain(str(annotate))}")
        if tables is not None and tables_taken:
            errors_console().print(f"[dim]wrote[/] {len(tables_taken)} tables in {_plain(str(tables))}")
    if interrupted:
        errors_console().print("[yellow]Interrupted: what was read is written.[/]")
        leave(ExitCode.INTERRUPTED)
    code = tally.exit_code()
    if code:
        leave(code)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text.encode("utf-8", "backslashreplace").decode())


def form_columns(template: Any) -> Any:
    """What a wide table has to know of a template."""
    from digitscan.export.wide import FormColumns

    return FormColumns(template.form.name, template.form.pages, tuple(template.columns()))


def _check_folder(folder: Path) -> None:
    """Make the folder for pictures, and try to write in it."""
    from digitscan.export.atomic import AtomicFile

    AtomicFile(folder / ".digitscan-check").abort()
