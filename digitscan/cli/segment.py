"""``digitscan segment``: how a page is taken apart, as pictures; loads no network."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from digitscan.cli.common import errors_console, report_errors, settings


def segment(
    source: Annotated[str, typer.Argument(help="An image, TIFF or PDF.")],
    debug: Annotated[bool, typer.Option("--debug", help="Write every stage as a numbered picture.")] = False,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="The same, and the network scores every candidate and shows the best way."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures. [dim]Default: debug/NAME[/]")] = None,
    layout: Annotated[Literal["auto", "page", "line", "digit", "table"] | None, typer.Option()] = None,
    pages: Annotated[str | None, typer.Option(help="Pages of PDF and TIFF files, like 1,3-5.")] = None,
) -> None:
    """Take a page apart into strings and digit candidates, without reading them.

    With --debug every stage becomes a numbered picture, from the source to the crops that the network would
    see, and a table says how long each stage took. The picture of lattices has the ink of every string, its cuts
    in red and its candidates as bars; with --scores each bar says what the network takes it for.

    [bold]Examples[/]

      digitscan segment page.png --debug

      digitscan segment amount.png --layout line --scores

      digitscan segment scan.pdf --pages 3 --debug --out stages/
    """
    with report_errors():
        import cv2

        from digitscan.core.config import load_config
        from digitscan.ingest.pages import list_pages, load_page
        from digitscan.pipeline.prepare import prepare_page

        config = load_config(None, settings(layout=layout, ingest__pages=pages))
        refs = list(list_pages(source, config.ingest))
        for ref in refs:
            started = time.perf_counter()
            page = load_page(ref, config.ingest)
            stages: list[tuple[str, object, float]] = [("source", page.image, time.perf_counter() - started)]
            clock = [time.perf_counter()]

            def look(stage: str, product: object, stages: Any = stages, clock: list[float] = clock) -> None:
                now = time.perf_counter()
                stages.append((stage, product, now - clock[0]))
                clock[0] = time.perf_counter()

            prepared = prepare_page(page, config, look=look)
            if not (debug or scores):
                _print_strings(ref.page_number, prepared)
                continue
            folder = out or Path("debug") / Path(source).stem
            if len(refs) > 1:
                folder = folder / f"p{ref.page_number:04d}"
            _add_candidates(stages, config, scores)
            _write_pictures(folder, stages, cv2)
            _print_timings(stages, folder)


def _add_candidates(stages: list[tuple[str, object, float]], config: Any, scores: bool) -> None:
    """Put a picture of all candidates after that of the lattices, with what the network says of them if asked for."""
    from digitscan.cli.lattices import lattice_sheet
    from digitscan.core.types import Layout

    started = time.perf_counter()
    products: dict[str, Any] = {stage: product for stage, product, _ in stages}
    posteriors = None
    if scores:
        from digitscan.recognition.runtime import Classifier

        posteriors = Classifier(config.recognition.model, device=config.recognition.device).classify(products["crops"])
    number = config.layout in (Layout.LINE, Layout.DIGIT)
    sheet = lattice_sheet(products["lattices"], posteriors, number=number)
    place = [stage for stage, _, _ in stages].index("lattices") + 1
    stages.insert(place, ("candidates", sheet, time.perf_counter() - started))


def _print_strings(page: int, prepared: Any) -> None:
    rows = [
        (str(page), f"s{n}", *(str(v) for v in s.box), str(s.pieces), str(len(s.edges)))
        for n, s in enumerate(prepared.strings, 1)
    ]
    names = ("page", "string", "x", "y", "width", "height", "pieces", "candidates")
    if not sys.stdout.isatty():
        for row in (names, *rows):
            typer.echo(",".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*names)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _print_timings(stages: list[tuple[str, object, float]], folder: Path) -> None:
    from rich.table import Table

    table = Table("stage", "ms", box=None, header_style="dim")
    for stage, _, seconds in stages:
        table.add_row(stage, f"{seconds * 1000:.1f}")
    table.add_row("[bold]all[/]", f"{sum(s for _, _, s in stages) * 1000:.1f}")
    errors_console().print(table)
    errors_console().print(f"[dim]wrote[/] {len(stages)} pictures in {folder}")


def _write_pictures(folder: Path, stages: list[tuple[str, object, float]], cv2: Any) -> None:
    import numpy as np

    from digitscan.cli.stages import picture_of
    from digitscan.core.atomic import write_whole

    last: Any = None
    for number, (stage, product, _) in enumerate(stages, 1):
        picture = picture_of(stage, product, last)
        if isinstance(product, np.ndarray) and stage != "crops":
            last = picture
        encoded = cv2.imencode(".png", picture)[1]
        write_whole(folder / f"{number:02d}-{stage.replace(' ', '-')}.png", encoded.tobytes())
