"""What a long run tells people and programs while it goes: a bar, plain lines, JSON lines, or nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from digitscan.cli.common import errors_console, failure_line, visible

if TYPE_CHECKING:
    from digitscan.core.types import PageOutcome

_PLAIN_EVERY_S = 30.0
_JSON_EVERY_S = 5.0


class Tally:
    """Counts for progress, the summary and the exit code."""

    def __init__(self) -> None:
        self.found = self.pages = self.strings = self.digits = self.review = self.failed = self.reused = 0
        self.started = time.monotonic()

    @property
    def done(self) -> int:
        """Pages that have an outcome."""
        return self.pages + self.failed

    @property
    def pages_per_s(self) -> float:
        """Pages that were read, each second so far."""
        return (self.done - self.reused) / max(time.monotonic() - self.started, 1e-6)

    @property
    def left_s(self) -> float:
        """Seconds that the pages found so far will take."""
        return (self.found - self.done) / max(self.pages_per_s, 1e-6)

    @property
    def review_share(self) -> float:
        """Share of the numbers that a person should look at."""
        return self.review / max(self.strings, 1)

    def restart(self) -> None:
        """Start the clock: what was loaded until now counts for no page."""
        self.started = time.monotonic()

    def find(self, found: int) -> None:
        """Take the number of pages found so far."""
        self.found = found

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


class ProgressReporter:
    """Base: says nothing but which pages failed."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what was begun."""

    def page(self, outcome: PageOutcome) -> None:
        """Tell of a page that is done; it is counted already."""
        from digitscan.core.types import PageFailure

        if isinstance(outcome, PageFailure):
            errors_console().print(f"[red]failed[/] {plain(failure_line(outcome))}")

    def stopping(self, busy: Sequence[str], grace_s: float) -> None:
        """Tell at once what a run that was asked to end still waits for, and how to end it now."""
        if not busy:
            return
        what = busy[0] if len(busy) == 1 else f"{len(busy)} pages ({'; '.join(busy[:4])}{'; …' if busy[4:] else ''})"
        errors_console().print(
            f"[yellow]Interrupted: waiting up to {grace_s:g} s for {plain(what)}. "
            "Ctrl-C, or the signal, again does not wait.[/]"
        )

    def end(self, written: Sequence[str], interrupted: bool, remark: str = "") -> None:
        """Tell how it came out; `written` says where results are, in words, and `remark` what else is worth knowing."""
        if interrupted:
            errors_console().print("[yellow]Interrupted: what was read is written.[/]")


class PlainReporter(ProgressReporter):
    """For logs: a line every half minute, and the summary."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self._last = time.monotonic()

    def page(self, outcome: PageOutcome) -> None:
        """Tell of a page that is done."""
        super().page(outcome)
        if time.monotonic() - self._last >= _PLAIN_EVERY_S:
            self._last = time.monotonic()
            t = self.tally
            errors_console().print(
                f"{t.done} of {t.found}+ pages, {t.pages_per_s:.1f} pages/s, {minutes(t.left_s)} left for these, "
                f"{t.failed} failed, {t.review_share:.0%} for review"
            )

    def end(self, written: Sequence[str], interrupted: bool, remark: str = "") -> None:
        """Print the summary."""
        from rich.table import Table

        t = self.tally
        table = Table(box=None, pad_edge=False, header_style="dim")
        cells = {
            "pages": t.pages,
            "strings": t.strings,
            "digits": t.digits,
            "for review": t.review,
            "failed": t.failed,
            "pages/s": f"{t.pages_per_s:.1f}",
        }
        for name in cells:
            table.add_column(name, justify="right")
        table.add_row(*(str(v) for v in cells.values()))
        errors_console().print(table)
        if t.reused:
            errors_console().print(f"[dim]{t.reused} of these pages were read before: --fresh reads them anew[/]")
        for words in written:
            errors_console().print(f"[dim]wrote[/] {plain(words)}")
        if remark:
            errors_console().print(f"[dim]{plain(remark)}[/]")
        super().end(written, interrupted, remark)


class BarReporter(PlainReporter):
    """For terminals: a bar with time left, and the summary."""

    def __enter__(self) -> Self:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
        from rich.progress import TimeRemainingColumn as Left

        columns = (
            SpinnerColumn(), TextColumn("reading pages"), BarColumn(), MofNCompleteColumn(), Left(),
            TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        self._bar = Progress(*columns, console=errors_console(), transient=True)
        self._task = self._bar.add_task("reading pages", total=None, note="[dim]starting[/]")
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def page(self, outcome: PageOutcome) -> None:
        """Tell of a page that is done."""
        ProgressReporter.page(self, outcome)
        t = self.tally
        failed = f", [red]{t.failed} failed[/]" if t.failed else ""
        note = f"[dim]{t.pages_per_s:.1f} pages/s, {t.review_share:.0%} for review[/]{failed}"
        self._bar.update(self._task, total=t.found, completed=t.done, note=note)


class JsonReporter(ProgressReporter):
    """For programs: one JSON object a line on standard error."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self._last = time.monotonic()

    def _say(self, event: str, **more: Any) -> None:
        line = {"event": event, "time": round(time.time(), 3), **more}
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()

    def _counts(self) -> dict[str, Any]:
        t = self.tally
        counts: dict[str, Any] = {
            name: getattr(t, name) for name in ("pages", "failed", "strings", "digits", "review", "reused")
        }
        return counts | {"pages_per_s": round(t.pages_per_s, 3)}

    def page(self, outcome: PageOutcome) -> None:
        """Tell of a page that is done."""
        from digitscan.core.types import PageFailure
        from digitscan.export.records import clean

        where = {"file": clean(outcome.ref.path), "page": outcome.ref.page_number}
        if isinstance(outcome, PageFailure):
            why = {"stage": outcome.stage, "error": outcome.error, "message": clean(outcome.message)}
            self._say("failed", **where, **why, remedy=clean(outcome.remedy))
        else:
            self._say("page", **where, readings=len(outcome.readings), review=sum(r.review for r in outcome.readings))
        if time.monotonic() - self._last >= _JSON_EVERY_S:
            self._last = time.monotonic()
            left = {"found": self.tally.found, "left_s": round(self.tally.left_s, 1)}
            self._say("progress", **self._counts(), **left)

    def stopping(self, busy: Sequence[str], grace_s: float) -> None:
        """Tell what is waited for."""
        from digitscan.export.records import clean

        self._say("stopping", waits_for=[clean(what) for what in busy], grace_s=grace_s)

    def end(self, written: Sequence[str], interrupted: bool, remark: str = "") -> None:
        """Tell how it came out."""
        self._say("end", **self._counts(), interrupted=interrupted, wrote=list(written), remark=remark)


def progress_reporter(tally: Tally, *, quiet: bool, json_lines: bool) -> ProgressReporter:
    """Who tells: as asked for, else by what standard error is."""
    if json_lines:
        return JsonReporter(tally)
    if quiet:
        return ProgressReporter(tally)
    return BarReporter(tally) if errors_console().is_terminal else PlainReporter(tally)


def minutes(seconds: float) -> str:
    """A duration for people: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def plain(text: str) -> str:
    """Text as it is: no markup in it counts, and what a terminal would obey shows as escapes."""
    from rich.markup import escape

    return escape(visible(text))
