"""``digitscan models``: what can read, and what can be trained."""

from __future__ import annotations

from typing import Annotated

import typer

from digitscan.cli.common import teaching_errors

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="List models and architectures, show a model's card."
)


@app.command("list")
def list_models() -> None:
    """List the trained models found, and the architectures that can be trained."""
    with teaching_errors():
        from rich.console import Console
        from rich.table import Table

        from digitscan.recognition.architectures import ARCHITECTURES
        from digitscan.recognition.registry import DEFAULT_MODEL, find_models

        console = Console(highlight=False)
        table = Table("model", "architecture", "parameters", "accuracy", "folder", title="Models", title_justify="left")
        for folder, card in find_models():
            name = f"{card.id} [dim](default)[/]" if card.id == DEFAULT_MODEL else card.id
            accuracy = "\n".join(f"{key} {value:.4f}" for key, value in card.accuracy.items())
            table.add_row(name, card.architecture, f"{card.parameters:,}", accuracy, str(folder))
        console.print(table)
        table = Table("architecture", "what it is", "source", title="Architectures", title_justify="left")
        for arch in ARCHITECTURES.values():
            table.add_row(arch.id, arch.summary, arch.source)
        console.print(table)


@app.command("show")
def show_model(model: Annotated[str, typer.Argument(help="Model id or folder; empty means the default.")] = "") -> None:
    """Print a model's card as JSON."""
    with teaching_errors():
        import msgspec

        from digitscan.recognition.registry import locate, read_card

        card = read_card(locate(model))
        typer.echo(msgspec.json.format(msgspec.json.encode(card), indent=2).decode())
