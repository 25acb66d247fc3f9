"""``digitscan compare``: models side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitscan.cli.common import errors_console, report_errors, show_table


def compare(
    models: Annotated[
        list[str] | None, typer.Argument(help="Model ids or folders; every model found when none is given.")
    ] = None,
    classical: Annotated[
        bool, typer.Option("--classical/--no-classical", help="Fit kNN, SVM and random forest beside them.")
    ] = True,
    classical_samples: Annotated[
        int, typer.Option(min=0, help="Training digits for those; 0 takes all 60,000: 20 minutes or so.")
    ] = 0,
    train_missing: Annotated[
        bool, typer.Option("--train-missing", help="First train every classic network that is in no folder yet.")
    ] = False,
    runs: Annotated[Path, typer.Option(help="Folder where trained models are looked for and put.")] = Path("runs"),
    data: Annotated[Path | None, typer.Option(help="Folder with MNIST and the sets beside it.")] = None,
    add: Annotated[list[str] | None, typer.Option(help="Your own labelled digits, as for `evaluate`.")] = None,
    out: Annotated[list[Path] | None, typer.Option(help="table.md, table.csv, or both.")] = None,
) -> None:
    """Measure models on the same digits in the same run: accuracy on every set, size, training time, speed.

    [bold]Examples[/]

      digitscan compare

      digitscan compare digitnet-1 runs/mine --no-classical --add my-digits/

      digitscan compare --train-missing --out docs/models.md
    """
    with report_errors():
        import shlex
        import sys

        from rich.console import Console
        from rich.table import Table

        from digitscan.core.atomic import write_whole
        from digitscan.core.errors import UsageError
        from digitscan.evaluation.assessment import compare as measure
        from digitscan.evaluation.compare import ModelRow, to_csv, to_markdown
        from digitscan.recognition.registry import CARD_FILE, find_models
        from digitscan.training.classical import SUMMARIES
        from digitscan.training.fit import train
        from digitscan.training.recipes import PUBLISHED, config_for

        for path in out or ():
            if path.suffix.lower() not in (".md", ".csv"):
                raise UsageError(f"cannot write a table as {path.suffix or path}", remedy="use .md or .csv")
        console = errors_console()
        wanted = list(models or ())
        if not wanted:
            wanted = [str(folder) for folder, card in find_models() if not card.reads_lines]
            known = {Path(folder).name for folder in wanted}
            for arch in PUBLISHED:
                if arch not in known and train_missing and not (runs / arch / CARD_FILE).is_file():
                    console.print(f"training {arch} with its published recipe")
                    config = config_for(arch, "published", name=arch)
                    train(config, runs, data=data, on_epoch=lambda r: console.print(f"  epoch {r.epoch}/{r.epochs}"))
                if arch not in known and (runs / arch / CARD_FILE).is_file():
                    wanted.append(str(runs / arch))
        rows: list[ModelRow] = []
        with console.status("looking for data") as status:
            for row in measure(
                wanted,
                tuple(SUMMARIES) if classical else (),
                data=data,
                own=tuple(add or ()),
                classical_samples=classical_samples,
                announce=status.update,
            ):
                rows.append(row)
                console.print(f"{row.id}: " + ", ".join(f"{name} {share:.2%}" for name, share in row.accuracy.items()))
        names = list(rows[0].accuracy) if rows else []
        table = Table(title="Models", title_justify="left")
        for column in ("model", "published", *names, "parameters", "crops/s"):
            table.add_column(column, no_wrap=True)
        for row in rows:
            shares = [f"{row.accuracy[name]:.2%}" for name in names]
            stated = f"{row.published:.2%}" if row.published else "-"
            table.add_row(row.id, stated, *shares, f"{row.numbers:,}", f"{row.crops_per_s:,.0f}")
        show_table(Console(highlight=False), table)
        for path in out or ():
            if path.suffix.lower() == ".csv":
                text = to_csv(rows)
            else:
                text = to_markdown(rows, command=shlex.join(["digitscan", *sys.argv[1:]]), machine=_machine())
            write_whole(path, text.encode())
            console.print(f"[green]{path}[/] written")


def _machine() -> str:
    """This machine in a few words."""
    import os
    import platform

    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} cores of {name}"
