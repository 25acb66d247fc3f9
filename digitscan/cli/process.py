"""``digitscan process``: read pages, write results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from digitscan.cli.common import exit_with, report_errors, settings
from digitscan.cli.outputs import Folders, Outputs, Results, add_rows, form_columns, job_path, result_table
from digitscan.cli.progress import ProgressReporter, Tally, progress_reporter
from digitscan.core.stop import Interrupted, Stop

if TYPE_CHECKING:
    from digitscan.pipeline.items import PageRead

LayoutName = Literal["auto", "page", "line", "digit", "table"]
_WRITE = "What comes out"
_READ = "How to read"
_RUN = "How to run"


def process(
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, globs; [bold]-[/] reads a list of paths from standard input.")
    ],
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            "-o",
            help="Result file: .csv, .xlsx, .json, .jsonl, .parquet or .hocr; may be given several times; "
            "- is standard output.",
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
    alto: Annotated[Path | None, typer.Option(help="Folder for one ALTO file a page.", rich_help_panel=_WRITE)] = None,
    excel: Annotated[
        bool,
        typer.Option("--excel", help="CSV that a spreadsheet opens with its leading zeros.", rich_help_panel=_WRITE),
    ] = False,
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
        typer.Option(
            "--jobs", "-j", min=0, help="Processes that read pages, a core each; 0: all cores.", rich_help_panel=_RUN
        ),
    ] = 0,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="local: this machine; ray: the nodes of a Ray cluster.", rich_help_panel=_RUN),
    ] = "local",
    address: Annotated[
        str,
        typer.Option(help="Of the Ray cluster; empty takes one that runs, or starts one here.", rich_help_panel=_RUN),
    ] = "",
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
    log_json: Annotated[
        bool,
        typer.Option("--log-json", help="Tell progress as JSON lines on standard error.", rich_help_panel=_RUN),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress and no summary.", rich_help_panel=_RUN)
    ] = False,
) -> None:
    """Read every number on the pages of files, folders and PDFs.

    Run the same command again after an interruption, and it goes on where it ended: pages that were read are in the
    job file beside the results, and are known by their content.

    Without --out a terminal gets a table and a pipe gets CSV. Pages that cannot be read are named, and the
    rest goes on. Exit status: 0 all read, 1 some pages failed, 2 usage, 3 nothing readable, 4 model missing
    or wrong, 5 cannot write; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP: pages that are being read get
    some seconds to finish, and what was read is written. A second signal gives them up.

    [bold]Examples[/]

      digitscan process scans/ --out results.csv

      digitscan process survey.pdf --pages 1,3-5 --out results.json --annotate pictures/

      digitscan process amounts/ --layout line | sort

      digitscan process forms/ --form survey.toml --wide --out survey.xlsx

      find . -name '*.tif' | digitscan process - --out results.csv
    """
    with report_errors(), ExitStack() as stack:
        from digitscan.batch.worker_pool import WorkerPool

        # Its first worker loads its libraries while this process still loads its own.
        worker_pool = stack.enter_context(WorkerPool(jobs))
        from digitscan.core.config import load_config
        from digitscan.core.errors import UsageError

        chosen = load_config(
            config,
            settings(
                layout=layout, ingest__pages=pages, imaging__orientation=orientation, imaging__polarity=polarity,
                imaging__binarization=binarization, decode__min_confidence=min_confidence,
                decode__review_below=review_below, recognition__model=model, recognition__device=device,
                recognition__batch_size=batch_size, batch__page_timeout_s=page_timeout,
            ),
        )  # fmt: skip
        if wide and not form:
            raise UsageError("--wide needs to know the fields", remedy="give the form's template with --form")
        asked = Outputs(out or [], annotate, tables, alto, wide, excel, job_path(job, out or [], no_job), fresh)
        own_processes = chosen.batch.isolated and engine == "local"
        if not own_processes:
            worker_pool.close()
        reporter = progress_reporter(Tally(), quiet=quiet, json_lines=log_json)
        execution = _Execution(jobs, worker_pool if own_processes else None, address if engine == "ray" else None)
        _run(sources, asked, chosen, execution, reporter, form or [])


@dataclass(frozen=True, slots=True)
class _Execution:
    """By what pages are read: threads and a pool of processes here, or a cluster's nodes where there is an address."""

    jobs: int
    worker_pool: Any
    cluster: str | None


def _run(
    sources: list[str],
    asked: Outputs,
    config: Any,
    execution: _Execution,
    reporter: ProgressReporter,
    forms: list[Path],
) -> None:
    from digitscan.core.errors import ExitCode
    from digitscan.export.writers import WriterOptions, check_target
    from digitscan.ingest.pages import PageSelection

    PageSelection.parse(config.ingest.pages)
    for target in asked.out:
        check_target(target)
    asked.refuse_harm(sources)
    to_terminal = not asked.out and sys.stdout.isatty()
    targets = asked.out or ([] if to_terminal else ["-"])
    table = result_table() if to_terminal else None
    from digitscan.export.writers import open_writer
    from digitscan.jobs.journal import Journal
    from digitscan.reader import Reader

    tally = reporter.tally
    interrupted = False
    with ExitStack() as stack:
        # From here on no signal comes between a page's way into the job and into the results.
        stop = stack.enter_context(
            Stop(
                grace_s=config.batch.stop_grace_s,
                on_asked=lambda busy: reporter.stopping(busy, config.batch.stop_grace_s),
                on_now=execution.worker_pool.close if execution.worker_pool is not None else None,
            )
        )
        reader = Reader(config, jobs=execution.jobs, forms=forms, worker_pool=execution.worker_pool)
        # Outputs are opened before the first page is read: an hour's work must not end at a read-only folder.
        journal = stack.enter_context(Journal(asked.job, reader.run_info, fresh=asked.fresh)) if asked.job else None
        columns = tuple(form_columns(template) for template in reader.forms.templates) if reader.forms else ()
        options = WriterOptions(columns if asked.wide else (), asked.excel)
        writers = stack.enter_context(Results(others=journal is not None or bool(asked.folders)))
        for target in targets:
            writers.add(open_writer(target, reader.run_info, options))
        folders = Folders(asked, reader.run_info)
        tally.restart()
        stream = reader.stream(
            *sources,
            keep_images=asked.annotate is not None or any(writer.wants_images for writer in writers),
            stdin=sys.stdin if "-" in sources else None,
            exclude=asked.own,
            on_found=tally.find,
            known=journal.known if journal is not None else None,
            cluster=execution.cluster,
            stop=stop,
        )
        with reporter:
            try:
                for page in stream if execution.cluster is None else _until_asked(stream, stop):
                    if journal is not None:
                        journal.add(page.outcome, seconds=page.seconds)
                        tally.reused = journal.reused
                        page = replace(page, outcome=journal.corrected(page.outcome))
                    writers.write(page.outcome, page.image)
                    folders.write(page)
                    if table is not None:
                        add_rows(table, page.outcome)
                    tally.add(page.outcome)
                    reporter.page(page.outcome)
            except KeyboardInterrupt:
                interrupted = True  # what is done is written below
            finally:
                stream.close()
        interrupted = interrupted or stop.asked
        if interrupted and not tally.done:  # results of an earlier run are worth more than none of this one
            for writer in writers:
                writer.abort()
        if journal is not None and not interrupted:
            journal.finish()
    if table is not None and table.row_count:
        from rich.console import Console

        Console().print(table)
    words = reader.balance.words() if reader.classifier.device == "gpu" else ""
    reporter.end(writers.published + folders.words(), interrupted, words)
    writers.raise_trouble()
    code = stop.exit_code if stop.asked else ExitCode.INTERRUPTED if interrupted else tally.exit_code()
    if code:
        exit_with(code)


def _until_asked(stream: Iterator[PageRead], stop: Stop) -> Iterator[PageRead]:
    """Pages until the run is asked to end; the one that is waited for then is left."""
    with contextlib.suppress(Interrupted):
        while True:
            with stop.interruptible():
                page = next(stream, None)
            if page is None:
                return
            yield page
