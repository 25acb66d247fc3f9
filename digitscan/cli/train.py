"""``digitscan train``: make a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitscan.cli.common import errors_console, parse_duration, teaching_errors


def train(
    arch: Annotated[str, typer.Option(help="Architecture; see `digitscan models list`.")] = "digitnet",
    name: Annotated[str, typer.Option(help="Name of the new model.")] = "digitnet-local",
    data: Annotated[
        Path | None, typer.Option(help="Folder with MNIST's IDX files, or with mnist/ and digits/.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that gets the model's folder.")] = Path("runs"),
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    epoch_samples: Annotated[int | None, typer.Option(min=256, help="Crops in an epoch.")] = None,
    time_budget: Annotated[str, typer.Option(help="Stop after about this long: 90s, 30m, 2h.")] = "0",
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0)] = None,
    seed: Annotated[int, typer.Option()] = 1,
    start_from: Annotated[str, typer.Option(help="Model id or folder whose weights to start from.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Train a network on MNIST and the sets beside it, drawn on synthetic paper and read back as pages are.

    Data is looked for in --data, $DIGITSCAN_DATA, ../shared/data, the Keras cache, and last downloaded. A
    checkpoint is kept after every epoch; Ctrl-C ends the run and keeps what was learned.

    [bold]Examples[/]

      digitscan train

      digitscan train --time-budget 30m --name mine && digitscan process scans/ --model runs/mine
    """
    with teaching_errors():
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        from digitscan.training.fit import EpochReport, TrainingConfig
        from digitscan.training.fit import train as fit

        given = {
            "epochs": epochs, "epoch_samples": epoch_samples, "batch_size": batch_size, "learning_rate": learning_rate,
        }  # fmt: skip
        config = TrainingConfig(
            arch=arch,
            name=name,
            seed=seed,
            start_from=start_from,
            time_budget_s=parse_duration(time_budget),
            **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
        )
        console = errors_console()
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(f"training {arch}", total=1.0)

            def on_epoch(report: EpochReport) -> None:
                console.print(
                    f"epoch {report.epoch}/{report.epochs}  loss {report.loss:.4f}  accuracy {report.accuracy:.4f}  "
                    f"validation {report.validation_accuracy:.4f}  "
                    f"{report.elapsed_s:.0f} s, {report.remaining_s:.0f} s left"
                )

            card = fit(
                config,
                out,
                data=data,
                resume=resume,
                on_epoch=on_epoch,
                on_batch=lambda share: bar.update(task, completed=share),
            )
        accuracy = ", ".join(f"{key} {value:.4f}" for key, value in card.accuracy.items())
        console.print(f"[green]{card.id}[/] is in {out / card.id}: {card.parameters:,} parameters; {accuracy}")
