"""``digitscan form``: make, check, print and stress the templates of forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitscan.cli.common import errors_console, report_errors, show_table

if TYPE_CHECKING:
    from digitscan.authoring.stress import Score

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Templates of forms: which fields a page has, where, and what may stand in them.

    [bold]From a blank to a table[/]

      digitscan form new blank.png -o survey.toml

      digitscan form check survey.toml

      digitscan process scans/ --form survey.toml --wide --out survey.csv
    """,
)


@app.command("new")
def new(
    blanks: Annotated[
        list[Path],
        typer.Argument(
            help="The empty form: a picture or a PDF. Or several filled pages of it, where there is no blank."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The template to write.")],
    dpi: Annotated[
        float | None, typer.Option(min=50, max=1200, help="Resolution, where the file does not say.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a template that is there.")] = False,
) -> None:
    """Find the boxes, combs, tick boxes, lines and tables of a form, and draft its template.

    Beside the template comes a picture of what was found. Give the fields names, and rules where you know some.

    [bold]Examples[/]

      digitscan form new blank.pdf -o survey.toml

      digitscan form new filled1.png filled2.png filled3.png -o survey.toml --dpi 300
    """
    with report_errors():
        from digitscan.authoring.drafting import draft_form
        from digitscan.core.errors import UsageError

        if out.exists() and not force:
            raise UsageError(f"{out} is there already", remedy="name another file, or give --force")
        zones = draft_form(blanks, out, dpi)
        console = errors_console()
        kinds = ", ".join(f"{sum(z.kind == k for z in zones)} {k}" for k in dict.fromkeys(z.kind for z in zones))
        console.print(f"[dim]found[/] {len(zones)} zones: {kinds or 'none'}")
        console.print(f"[dim]wrote[/] {out} and {out.with_suffix('.zones.png')}")


@app.command("check")
def check(
    template: Annotated[Path, typer.Argument(help="The template.")],
    page: Annotated[Path | None, typer.Argument(help="A filled page to lay on the form.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Picture to write; beside the template if not given.")
    ] = None,
) -> None:
    """Validate a template, and draw its zones over the blank, or over a filled page that is laid on it.

    [bold]Examples[/]

      digitscan form check survey.toml

      digitscan form check survey.toml scan.png -o zones.png
    """
    with report_errors():
        from digitscan.authoring.drafting import zone_pictures
        from digitscan.core.atomic import write_whole
        from digitscan.forms.template import load_template

        form = load_template(template)
        console = errors_console()
        for number, (picture, quality) in enumerate(zone_pictures(form, page), 1):
            target = out or template.with_suffix(".zones.png" if form.form.pages == 1 else f".zones-{number}.png")
            write_whole(target, picture)
            console.print(f"[dim]wrote[/] {target}")
            if quality is not None:
                console.print(f"[dim]the page lies on the form:[/] {quality:.0%} of its print was found")
        console.print(f"[green]fine[/]: form {form.form.name}, {len(form.columns())} values, {len(form.rule)} rules")


@app.command("print")
def print_form(
    template: Annotated[Path, typer.Argument(help="A template without a blank of its own.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PDF, or PNG of the first page.")],
    dpi: Annotated[int, typer.Option(min=150, max=1200, help="Resolution.")] = 600,
) -> None:
    """Print a form from its template alone: boxes, combs, labels, and corner marks that name form and page.

    [bold]Example[/]

      digitscan form print survey.toml -o survey.pdf
    """
    with report_errors():
        from digitscan.authoring.drafting import printed_form
        from digitscan.core.atomic import write_whole
        from digitscan.forms.template import load_template

        write_whole(out, printed_form(load_template(template), out.suffix.lower(), dpi))
        errors_console().print(f"[dim]wrote[/] {out}")


@app.command("stress")
def stress(
    templates: Annotated[list[Path], typer.Argument(help="Templates of the forms to test.")],
    pages: Annotated[int, typer.Option("--pages", "-n", min=1, max=100_000, help="Pages to fill.")] = 60,
    seed: Annotated[int, typer.Option(help="Other pages for another number.")] = 1,
    save: Annotated[Path | None, typer.Option(help="Folder for the filled pages.")] = None,
) -> None:
    """Fill a form with synthetic handwriting, damage it as scanners, faxes and phones do, read it, and forecast.

    [bold]Example[/]

      digitscan form stress survey.toml --pages 90
    """
    with report_errors():
        from rich.progress import track

        from digitscan.authoring.stress import Forecast, drawn_hands, stress_pages
        from digitscan.pipeline.read import read_raster
        from digitscan.reader import Reader

        console = errors_console()
        reader = Reader(forms=templates)
        assert reader.forms is not None  # it was given templates
        forecast = Forecast()
        made = stress_pages(reader.forms.pages, pages, seed, drawn_hands())
        for page, how, form, values in track(made, "filling and reading", total=pages, console=console, transient=True):
            if save is not None:
                _save(save, page)
            outcome = read_raster(
                page, reader.classifier, reader.config, line_recognizer=reader.line_recognizer, forms=reader.forms
            )
            forecast.count(how, outcome, values, {cell.name: cell.zone.name for cell in form.cells})
        _show("by damage", forecast.by_damage)
        _show("by field", forecast.by_field)
        for failed in forecast.failed[:10]:
            console.print(f"[red]not read[/] {failed.ref.path}: {failed.message}")


def _save(folder: Path, page: Any) -> None:
    import cv2

    from digitscan.core.atomic import write_whole

    write_whole(folder / f"{page.ref.path}.png", cv2.imencode(".png", page.image)[1].tobytes())


def _show(title: str, scores: dict[str, Score]) -> None:
    from rich.console import Console
    from rich.table import Table

    def share(part: int, whole: int) -> str:
        return f"{100 * part / whole:.1f} %" if whole else "–"

    table = Table(title=title, header_style="bold", title_justify="left")
    for name in ("", "fields", "right", "accepted", "wrong among accepted", "blanks kept"):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    for name, s in scores.items():
        table.add_row(
            name, str(s.fields), share(s.right, s.fields), share(s.accepted, s.fields),
            share(s.accepted_wrong, s.accepted), share(s.blanks_kept, s.blanks),
        )  # fmt: skip
    show_table(Console(), table)
