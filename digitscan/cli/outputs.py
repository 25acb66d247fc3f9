"""What a run writes, and where: result files, folders of pictures and tables, the job file, a table on the screen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from digitscan.core.errors import OutputError
    from digitscan.core.types import GrayImage, PageOutcome
    from digitscan.export.base import ResultWriter


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

    from digitscan.cli.common import visible
    from digitscan.core.types import PageFailure

    name, page = escape(visible(Path(outcome.ref.path).name)), str(outcome.ref.page_number)
    if isinstance(outcome, PageFailure):
        table.add_row(name, page, "", "", "", "", "", f"[red]{escape(visible(outcome.message))}[/]")
        return
    for r in outcome.readings:
        color = "green" if r.confidence >= 0.9 else "yellow" if r.confidence >= 0.6 else "red"
        cell = [str(v) if v is not None else "" for v in (r.row, r.column)]
        note = escape(r.reason) if r.review else ""
        table.add_row(name, page, r.name, *cell, f"[bold]{r.text}[/]", f"[{color}]{r.confidence:.3f}[/]", note)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a run writes, and where."""

    out: list[str]
    annotate: Path | None
    tables: Path | None
    alto: Path | None
    wide: bool
    excel: bool
    job: Path | None
    fresh: bool

    @property
    def suffixes(self) -> list[tuple[Path, str]]:
        """Folders that get a file a page, and how its name ends."""
        each = ((self.annotate, ".jpg"), (self.tables, ".table.csv"), (self.alto, ".xml"))
        return [(folder, suffix) for folder, suffix in each if folder is not None]

    @property
    def folders(self) -> list[Path]:
        """Folders that get a file a page."""
        return [folder for folder, _ in self.suffixes]

    def refuse_harm(self, sources: list[str]) -> None:
        """Refuse, before anything is opened, what would be written over a source or over a stranger's file."""
        from digitscan.core.targets import refuse_foreign, refuse_foreign_in, refuse_sources
        from digitscan.core.urls import is_url

        files = [Path(target) for target in self.out if target != "-" and not is_url(target)]
        refuse_sources(sources, [*files, *([self.job] if self.job else [])], [self.annotate] if self.annotate else [])
        for file in files:
            refuse_foreign(file)
        for folder, suffix in self.suffixes:
            refuse_foreign_in(folder, suffix)

    @property
    def own(self) -> set[Path]:
        """Resolved paths that must not be taken for sources."""
        written = [Path(target) for target in self.out] + self.folders + ([self.job] if self.job else [])
        return {path.resolve() for path in written}


class Folders:
    """Writes what goes into folders: pictures, tables, ALTO."""

    def __init__(self, asked: Outputs, run: Any) -> None:
        self._asked, self._run = asked, run
        self._taken: dict[Path, set[str]] = {folder: set() for folder in asked.folders}
        for folder in asked.folders:
            _check_folder(folder)

    def write(self, page: Any) -> None:
        """Write what a page gives."""
        from digitscan.core.types import PageResult

        if not isinstance(page.outcome, PageResult):
            return
        asked, taken = self._asked, self._taken
        if asked.annotate is not None and page.image is not None:
            from digitscan.export.annotate import write_annotation

            write_annotation(asked.annotate, page.image, page.outcome, taken[asked.annotate])
        if asked.tables is not None:
            from digitscan.export.tables import write_tables

            write_tables(asked.tables, page.outcome, taken[asked.tables])
        if asked.alto is not None:
            from digitscan.export.archive import write_alto

            write_alto(asked.alto, page.outcome, self._run, taken[asked.alto])

    def words(self) -> list[str]:
        """What was written, for people."""
        kinds = {self._asked.annotate: "pictures", self._asked.tables: "tables", self._asked.alto: "ALTO files"}
        return [f"{len(names)} {kinds[folder]} in {folder}" for folder, names in self._taken.items() if names]


class Results:
    """The result files of a run: trouble with one ends that one alone, and is told when the others are whole.

    A pipe whose reader has enough is no trouble. As a context manager it publishes on success and on Ctrl-C.

    Parameters
    ----------
    others : bool
        The run has other results, a job say: it goes on though no result file is left.
    """

    def __init__(self, *, others: bool = False) -> None:
        self._writers: list[ResultWriter] = []
        self._others = others
        self._trouble: OutputError | None = None
        self.published: list[str] = []

    def __iter__(self) -> Iterator[ResultWriter]:
        return iter(self._writers)

    def add(self, writer: ResultWriter) -> None:
        """Take a writer."""
        self._writers.append(writer)

    def write(self, outcome: PageOutcome, image: GrayImage | None = None) -> None:
        """Write a page everywhere.

        Raises
        ------
        OutputError, BrokenPipeError
            If no result is left to be written.
        """
        for writer in list(self._writers):
            self._or_drop(writer, lambda writer=writer: writer.write(outcome, image))  # type: ignore[misc]

    def _or_drop(self, writer: ResultWriter, work: Callable[[], None]) -> None:
        from digitscan.core.errors import OutputError

        try:
            work()
        except (BrokenPipeError, OutputError) as error:
            writer.abort()
            self._writers.remove(writer)
            if isinstance(error, OutputError):
                self._trouble = self._trouble or error
            else:
                hush_stdout()
            if not self._writers and not self._others:
                raise

    def raise_trouble(self) -> None:
        """Raise what one of the files met; comes last."""
        if self._trouble is not None:
            raise self._trouble

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._others = True  # one that fails to close keeps the rest from nothing
        for writer in list(self._writers):
            if kind is None or issubclass(kind, KeyboardInterrupt):
                was_open = writer.target != "-" and writer.is_open
                self._or_drop(writer, writer.close)
                if was_open and writer in self._writers:
                    self.published.append(writer.target)
            else:
                writer.abort()


def hush_stdout() -> None:
    """Lead standard output nowhere: whoever read it has enough, and Python's own flush at exit must not complain."""
    import os
    import sys

    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def job_path(job: Path | None, out: list[str], no_job: bool) -> Path | None:
    """The job file: as named, or beside the first result file; none for what only goes to a screen or a pipe."""
    if no_job:
        return None
    from digitscan.core.urls import is_url

    first = next((target for target in out if target != "-"), None)
    if job is not None or first is None:
        return job
    # A job is a database: it stays on this machine, in the working folder, where results go elsewhere.
    return Path(Path(first).name if is_url(first) else first).with_suffix(".job")


def form_columns(template: Any) -> Any:
    """What a wide table has to know of a template."""
    from digitscan.export.wide import FormColumns

    return FormColumns.of(template)


def _check_folder(folder: Path) -> None:
    """Make the folder for pictures, and try to write in it."""
    from digitscan.core.atomic import AtomicFile

    AtomicFile(folder / ".digitscan-check").abort()
