"""``digitscan train``: make a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from digitscan.cli.common import errors_console, parse_duration, report_errors


def train(
    arch: Annotated[str, typer.Option(help="Architecture; see `digitscan models list`.")] = "digitnet",
    name: Annotated[str, typer.Option(help="Name of the new model; the architecture's when not given.")] = "",
    recipe: Annotated[
        str,
        typer.Option(
            help="default: every source, on synthetic paper. quick: the same in 15 minutes. "
            "published: MNIST, as the author did."
        ),
    ] = "default",
    data: Annotated[
        Path | None, typer.Option(help="Folder with MNIST's IDX files, or with mnist/ and digits/.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(help="Your own digits, PATH or PATH=WEIGHT: class folders, Kaggle CSV, npz, IDX. MNIST has 0.5."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A set beside MNIST to leave out, so as to measure with it: semeion16.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that gets the model's folder.")] = Path("runs"),
    folds: Annotated[int, typer.Option(min=0, help="k-fold: train so many networks, each validated elsewhere.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    epoch_samples: Annotated[int | None, typer.Option(min=256, help="Crops in an epoch (default recipe).")] = None,
    time_budget: Annotated[str, typer.Option(help="Stop after about this long: 90s, 30m, 2h.")] = "",
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0)] = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="Stop after so many epochs without progress; 0 never does.")
    ] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    seed: Annotated[int, typer.Option(help="The same seed gives the same weights on the same machine.")] = 1,
    start_from: Annotated[str, typer.Option(help="Model id or folder whose weights to start from.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's event files too.")] = False,
) -> None:
    """Train a network on MNIST and the sets beside it, drawn on synthetic paper and read back as pages are.

    Data is looked for in --data, $DIGITSCAN_DATA, ../shared/data, the Keras cache, and last downloaded. A
    checkpoint and a line of log.csv are kept after every epoch; Ctrl-C ends the run and keeps what was learned.

    [bold]Examples[/]

      digitscan train

      digitscan train --recipe quick --name mine && digitscan process scans/ --model runs/mine

      digitscan train --time-budget 1h

      digitscan train --arch cnn-he-sgd --recipe published --folds 5

      digitscan train --start-from digitnet-1 --add corrections/ --learning-rate 3e-4 --time-budget 10m
    """
    with report_errors():
        import math

        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        from digitscan.core.errors import UsageError
        from digitscan.training.fit import cross_validate
        from digitscan.training.fit import train as fit
        from digitscan.training.history import EpochReport
        from digitscan.training.recipes import config_for

        for option, value, choices in (
            ("--recipe", recipe, ("default", "quick", "published")),
            ("--precision", precision, ("auto", "float32", "bfloat16")),
        ):
            if value not in choices:
                raise UsageError(f"{option} {value!r} is unknown", remedy=f"choose one of: {', '.join(choices)}")
        for option, given in (("--add", add), ("--without", without)):
            if given and recipe == "published":
                raise UsageError(f"{option} goes with the default and quick recipes", remedy="leave --recipe out")
        config = config_for(
            arch,
            recipe,  # type: ignore[arg-type]
            name=name or (f"{arch}-local" if recipe != "published" else arch),
            seed=seed,
            start_from=start_from,
            time_budget_s=parse_duration(time_budget) if time_budget else None,
            epochs=epochs,
            epoch_samples=epoch_samples,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            precision=precision,
            without=tuple(without or ()),
        )
        console = errors_console()
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(f"training {arch}", total=1.0)

            def on_epoch(report: EpochReport) -> None:
                # Of lines no accuracy is known while they are learned.
                accuracy = f"accuracy {report.accuracy:.4f}  " if math.isfinite(report.accuracy) else ""
                console.print(
                    f"epoch {report.epoch}/{report.epochs}  loss {report.loss:.4f}  {accuracy}"
                    f"validation {report.validation_accuracy:.4f}  "
                    f"{report.elapsed_s:.0f} s, {report.remaining_s:.0f} s left"
                )

            options: dict[str, Any] = {
                "data": data, "own": tuple(add or ()), "tensorboard": tensorboard, "on_epoch": on_epoch,
                "on_batch": lambda share: bar.update(task, completed=share),
            }  # fmt: skip
            if folds > 1:
                result = cross_validate(config, folds, out, **options)
                each = ", ".join(f"{value:.4f}" for value in result.accuracies)
                console.print(f"{folds} folds: {each}; mean {result.mean:.4f}, deviation {result.deviation:.4f}")
                return
            card = fit(config, out, resume=resume, **options)
        accuracy = ", ".join(f"{key} {value:.4f}" for key, value in card.accuracy.items())
        console.print(f"[green]{card.id}[/] is in {out / card.id}: {card.parameters:,} parameters; {accuracy}")
