"""What commands share: errors in one line, consoles, exit codes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table

    from digitscan.core.types import PageFailure


def errors_console() -> Console:
    """Standard error, for people: progress, summaries, failures."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def exit_with(code: int) -> NoReturn:
    """End the command with an exit code."""
    import typer

    raise typer.Exit(int(code))


def complain(message: str, remedy: str = "") -> None:
    """Print one red line, with what to do."""
    from rich.markup import escape

    line = f"[bold red]Error:[/] {escape(visible(message))}"
    errors_console().print(line + (f"; {escape(visible(remedy))}" if remedy else ""))


def visible(text: str) -> str:
    """Text that a terminal shows and does not obey: control characters, and bytes that are no UTF-8, are escaped.

    Names of files may hold them: an escape sequence, a line break, a mark that turns the direction of writing.
    """
    import unicodedata

    def shown(sign: str) -> str:
        if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in _TURNING:
            return (
                sign.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                if (unicodedata.category(sign) == "Cs")
                else sign.encode("unicode_escape").decode()
            )
        return sign

    return text if text.isascii() and text.isprintable() else "".join(map(shown, text))


_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of writing."""


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn errors into one line and an exit code; no traceback unless ``DIGITSCAN_DEBUG`` is set."""
    import click
    import typer

    from digitscan.cli.outputs import hush_stdout
    from digitscan.core.errors import DigitscanError, ExitCode
    from digitscan.core.stop import Interrupted

    try:
        yield
    except DigitscanError as error:
        complain(error.message, error.remedy)
        exit_with(error.exit_code)
    except KeyboardInterrupt as interrupt:
        errors_console().print("[yellow]Interrupted.[/]")
        exit_with(interrupt.exit_code if isinstance(interrupt, Interrupted) else ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough; Python's own flush at exit must not complain either.
        hush_stdout()
        exit_with(ExitCode.OK)
    except (typer.Exit, typer.Abort, click.exceptions.Exit, click.ClickException, click.Abort):
        raise
    except Exception as error:
        if os.environ.get("DIGITSCAN_DEBUG"):
            raise
        complain(f"{type(error).__name__}: {error}", "run with DIGITSCAN_DEBUG=1 for the traceback, and report it")
        exit_with(ExitCode.SOME_FAILED)


_FOLDED = 16
"""Letters of a column of words that can still be read."""


def show_table(console: Console, table: Table) -> None:
    """Print a table; where the terminal is too narrow for its figures, a block of lines for each row instead.

    rich cuts what does not fit, and half a figure is another figure. Columns that say ``no_wrap`` are kept whole;
    others may be folded to a few letters.
    """
    from rich.text import Text

    def widest(column: Column) -> int:
        lines = "\n".join([str(column.header), *map(str, column.cells)])
        whole = max(map(len, Text.from_markup(lines).plain.splitlines()), default=0)
        return whole if column.no_wrap else min(whole, _FOLDED)

    if sum(widest(column) + 3 for column in table.columns) + 1 <= console.width:
        console.print(table)
        return
    if table.title:
        console.print(f"[italic]{table.title}[/]")
    names = [str(column.header) for column in table.columns]
    wide = max(map(len, names))
    for cells in zip(*(list(column.cells) for column in table.columns), strict=True):
        for name, cell in zip(names, cells, strict=True):
            lines = str(cell).splitlines() or [""]
            for k, line in enumerate(lines):
                console.print(f"[dim]{'' if k else name:<{wide}}[/]  {line}", soft_wrap=True)
        console.print()


def failure_line(failure: PageFailure) -> str:
    """``file, page N, stage: why; what to do``."""
    where = f"{failure.ref.path}, page {failure.ref.page_number}, {failure.stage}"
    return f"{where}: {failure.message}" + (f"; {failure.remedy}" if failure.remedy else "")


def settings(**given: Any) -> dict[str, Any]:
    """Nested overrides for `load_config` from flat ``section__key`` options; None means not given."""
    nested: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        section, _, key = name.partition("__")
        if key:
            nested.setdefault(section, {})[key] = value
        else:
            nested[section] = value
    return nested


def parse_duration(text: str) -> float:
    """Seconds in ``90s``, ``30m``, ``2h`` or a plain number.

    Raises
    ------
    UsageError
        If the text is no duration.
    """
    from digitscan.core.errors import UsageError

    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:].lower())
    try:
        value = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        value = -1.0
    if value < 0:
        raise UsageError(f"cannot read {text!r} as a duration", remedy="write 90s, 30m or 2h")
    return value
