"""``digitscan models``: what can read, and what can be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitscan.cli.common import report_errors, show_table

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="List models and architectures, show a model's card."
)


@app.command("list")
def list_models() -> None:
    """List the trained models found, and the architectures that can be trained."""
    with report_errors():
        from rich.console import Console
        from rich.table import Table

        from digitscan.recognition.architectures import ARCHITECTURES
        from digitscan.recognition.registry import DEFAULT_LINE_MODEL, DEFAULT_MODEL, find_models

        console = Console(highlight=False)
        table = Table(title="Models", title_justify="left")
        for column in ("model", "architecture", "parameters", "accuracy"):
            table.add_column(column, no_wrap=True)
        table.add_column("folder", overflow="fold")
        for folder, card in find_models():
            name = f"{card.id} [dim](default)[/]" if card.id in (DEFAULT_MODEL, DEFAULT_LINE_MODEL) else card.id
            accuracy = "\n".join(f"{key} {value:.4f}" for key, value in card.accuracy.items())
            table.add_row(name, card.architecture, f"{card.parameters:,}", accuracy, str(folder))
        show_table(console, table)
        table = Table(title="Architectures", title_justify="left")
        for column, figures in (
            ("architecture", True), ("what it is", False), ("source", False), ("MNIST, as published", True)
        ):  # fmt: skip
            table.add_column(column, no_wrap=figures, overflow="fold")
        for arch in ARCHITECTURES.values():
            stated = f"{arch.published_accuracy:.2%}" if arch.published_accuracy else "-"
            table.add_row(arch.id, arch.summary, arch.source, stated)
        show_table(console, table)


@app.command("show")
def show_model(model: Annotated[str, typer.Argument(help="Model id or folder; empty means the default.")] = "") -> None:
    """Print a model's card as JSON."""
    with report_errors():
        import msgspec

        from digitscan.recognition.registry import locate, read_card

        card = read_card(locate(model))
        typer.echo(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())


@app.command("export")
def export_model(
    out: Annotated[Path, typer.Argument(help="File to write: .keras, .h5 for older tools, .tflite for small devices.")],
    model: Annotated[str, typer.Option(help="Model id or folder; the default when not given.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a model's network as one file, for other programs that use Keras or LiteRT.

    [bold]Example[/]

      digitscan models export digitnet.h5
    """
    with report_errors():
        from digitscan.recognition.portable import export_network
        from digitscan.recognition.registry import locate, read_card

        export_network(model, out, force=force)
        height, width, _ = read_card(locate(model)).input_shape
        typer.echo(f"{out}: input (N, {height}, {width or 'any width'}, 1) float32, 0 paper to 1 ink")


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A Keras network, .keras or .h5: (28, 28, 1) in, 10 or 11 classes out.")],
    name: Annotated[str, typer.Option(help="Id of the new model.")] = "",
    out: Annotated[Path, typer.Option(help="Folder that gets the model's folder.")] = Path("runs"),
) -> None:
    """Make a model that digitscan can read with from a Keras file.

    [bold]Example[/]

      digitscan models import mine.h5 && digitscan process scans/ --model runs/mine
    """
    with report_errors():
        from digitscan.recognition.portable import import_network

        card = import_network(file, out, name or file.stem)
        typer.echo(f"{out / card.id}: {card.parameters:,} parameters, {len(card.classes)} classes")


@app.command("average")
def average(
    before: Annotated[str, typer.Argument(help="Model id or folder.")],
    after: Annotated[str, typer.Argument(help="Model id or folder that was trained from it, with --start-from.")],
    name: Annotated[str, typer.Option(help="Id of the new model.")] = "mean",
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="How much the second one counts.")] = 0.5,
    out: Annotated[Path, typer.Option(help="Folder that gets the model's folder.")] = Path("runs"),
) -> None:
    """Make the mean of a model and one that was trained further from it: it keeps what both know.

    [bold]Example[/]

      digitscan models average digitnet-1 runs/ours --name both
    """
    with report_errors():
        from digitscan.recognition.averaging import average_models

        card = average_models(before, after, out, name, share)
        typer.echo(f"{out / card.id}: the mean of {before} and {after}")
