"""What a run writes, and where: result files, folders of pictures and tables, the job file, a table on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitscan.core.types import PageOutcome


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
    def folders(self) -> list[Path]:
        """Folders that get a file a page."""
        return [folder for folder in (self.annotate, self.tables, self.alto) if folder is not None]

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
