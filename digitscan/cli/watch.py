"""``digitscan watch``: read what comes into a folder."""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitscan.cli.common import errors_console, exit_with, failure_line, report_errors, settings
from digitscan.cli.progress import plain

if TYPE_CHECKING:
    from digitscan.batch.watch import Arrival, Inbox

_WRITE_EVERY_S = 5.0
"""Result files are written anew no more often than this, and than ten times as long as that takes."""


def watch(
    inbox: Annotated[Path, typer.Argument(help="Folder to watch; folders in it are looked through.")],
    done: Annotated[Path, typer.Option(help="Folder for files of which every page was read.")],
    failed: Annotated[Path, typer.Option(help="Folder for files of which a page could not be read.")],
    out: Annotated[
        list[str],
        typer.Option("--out", "-o", help="Result file, as for `process`; several times. All that was ever read."),
    ],
    form: Annotated[
        list[Path] | None, typer.Option("--form", "-f", help="Template of the form that pages are filled from.")
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="With --form: a row a form, a column a field.")] = False,
    settle: Annotated[float, typer.Option(min=0, help="Seconds that a file must stay as it is to be taken.")] = 2.0,
    poll: Annotated[float, typer.Option(min=0.05, help="Seconds between looks into the folder.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Leave when the folder is empty.")] = False,
    job: Annotated[Path | None, typer.Option(help="Job file. [dim]Default: beside the first --out[/]")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes that read pages; 0: the cores.")] = 0,
    layout: Annotated[str | None, typer.Option(help="auto, page, line, digit or table.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Tell of failures only.")] = False,
) -> None:
    """Read files as they come into a folder, and move them out of it.

    A file is taken when it has stopped growing. Restarted after a crash, it reads nothing twice and loses nothing:
    what was read is in the job file. Links that lead out of the folder are left alone. Ctrl-C, SIGTERM or SIGHUP ends
    it; what was read is written.

    [bold]Examples[/]

      digitscan watch inbox/ --done done/ --failed failed/ --out results.csv

      digitscan watch inbox/ --done done/ --failed failed/ --out survey.xlsx --form survey.toml --wide --once
    """
    with report_errors(), ExitStack() as stack:
        from digitscan.batch.worker_pool import WorkerPool

        worker_pool = stack.enter_context(WorkerPool(jobs))
        from digitscan.batch.watch import Inbox
        from digitscan.batch.watch import watch as arrivals
        from digitscan.cli.outputs import form_columns, job_path
        from digitscan.core.config import load_config
        from digitscan.core.errors import ExitCode, UsageError
        from digitscan.core.stop import Stop
        from digitscan.core.targets import refuse_sources
        from digitscan.export.writers import WriterOptions, check_target
        from digitscan.jobs.journal import Journal
        from digitscan.reader import Reader

        for target in out:
            if target == "-":
                raise UsageError("results of a watched folder go to a file", remedy="name one with --out")
            check_target(target)
        reader = Reader(
            load_config(config, settings(layout=layout)), jobs=jobs, forms=form or (), worker_pool=worker_pool
        )
        columns = tuple(form_columns(template) for template in reader.forms.templates) if reader.forms else ()
        if wide and not columns:
            raise UsageError("--wide needs to know the fields", remedy="give the form's template with --form")
        path = job_path(job, out, no_job=False)
        if path is None:
            raise UsageError("a watched folder needs a job file", remedy="name it with --job")
        refuse_sources([str(inbox)], [path, *map(Path, out)], [])
        box = Inbox(inbox, done, failed, settle_s=settle, exclude=[path, *(Path(target) for target in out)])
        journal = stack.enter_context(Journal(path, reader.run_info))
        results = _Results(path, out, WriterOptions(columns if wide else ()))
        results.write()
        told: set[str] = set()
        # The file that is being read is left to the next run; what waits for its worker is let go.
        stop = stack.enter_context(Stop(on_now=worker_pool.close, raises=True))
        try:
            for arrival in arrivals(box, reader.stream, journal, poll_s=poll, once=once):
                if arrival is not None:
                    results.stale = True
                    if not quiet:
                        _tell(arrival)
                _tell_refused(box, told)
                results.write_if_due()
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):
                errors_console().print("[yellow]Ended: what was read is written.[/]")
            exit_with(stop.exit_code if stop.asked else ExitCode.INTERRUPTED)
        finally:
            results.write()


def _tell(arrival: Arrival) -> None:
    from digitscan.core.types import PageFailure

    failures = [outcome for outcome in arrival.outcomes if isinstance(outcome, PageFailure)]
    for failure in failures:
        errors_console().print(f"[red]failed[/] {plain(failure_line(failure))}")
    if arrival.again:
        errors_console().print(f"[dim]read before:[/] {plain(str(arrival.path))}")
    elif not failures:
        readings = [reading for outcome in arrival.outcomes for reading in getattr(outcome, "readings", ())]
        review = sum(reading.review for reading in readings)
        errors_console().print(
            f"{plain(str(arrival.path))}: {len(arrival.outcomes)} pages, {len(readings)} readings, {review} for review"
        )


def _tell_refused(box: Inbox, told: set[str]) -> None:
    for path in box.refused.keys() - told:
        told.add(path)
        errors_console().print(f"[yellow]left alone[/] {plain(path)}: {plain(box.refused[path])}")


class _Results:
    """The result files: views of the job, written anew now and then."""

    def __init__(self, job: Path, targets: list[str], options: Any) -> None:
        self._job, self._targets, self._options = job, targets, options
        self._due = 0.0
        self.stale = True

    def write_if_due(self) -> None:
        """Write if anything came and the last time is a while ago."""
        if self.stale and time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Write all result files, unless nothing came since."""
        if not self.stale:
            return
        from digitscan.export.writers import open_writer
        from digitscan.jobs.journal import JobFile

        started = time.monotonic()
        file = JobFile(self._job)
        with ExitStack() as stack:
            stack.callback(file.close)
            writers = [stack.enter_context(open_writer(t, file.run, self._options)) for t in self._targets]
            for outcome in file.outcomes():
                for writer in writers:
                    writer.write(outcome)
        now = time.monotonic()
        self._due = now + max(_WRITE_EVERY_S, 10 * (now - started))
        self.stale = False
