"""``digitscan doctor``: is everything there, and does it read?"""

from __future__ import annotations

import platform
import shutil
import sys

from digitscan.cli.common import exit_with, report_errors


def doctor() -> None:
    """Check the installation: versions, devices, poppler, the model, and a drawn digit read back.

    [bold]Example[/]

      digitscan doctor
    """
    with report_errors():
        import importlib.metadata as metadata

        from rich.console import Console
        from rich.table import Table

        from digitscan.core.errors import ExitCode
        from digitscan.core.version import __version__

        table = Table("check", "result", box=None, header_style="dim")
        table.add_row("digitscan", __version__)
        table.add_row("python", f"{sys.version.split()[0]} on {platform.platform()}")
        for package in (
            "tensorflow",
            "keras",
            "ai-edge-litert",
            "opencv-python-headless",
            "numpy",
            "pillow",
            "pypdfium2",
        ):
            try:
                table.add_row(package, metadata.version(package))
            except metadata.PackageNotFoundError:
                table.add_row(package, "[yellow]not installed under this name[/]")
        table.add_row("poppler", shutil.which("pdftoppm") or "absent: pypdfium2 rasterizes PDF pages")
        console = Console(highlight=False)
        try:
            from digitscan.reader import Reader

            reader = Reader(layout="line")
            card = reader.classifier.card
            table.add_row("model", f"{card.id}, {card.parameters:,} parameters, hash checked")
            lines = reader.line_recognizer.card if reader.line_recognizer else None
            table.add_row(
                "model of lines", f"{lines.id}, {lines.parameters:,} parameters, hash checked" if lines else "none"
            )
            table.add_row(
                "device",
                f"{reader.classifier.device} by {reader.classifier.runtime}, batches of {reader.classifier.batch_size}",
            )
            read = self_test(reader)
            right = read == "7"
            verdict = f"a drawn 7 was read as {read}"
            table.add_row("self-test", f"[green]{verdict}[/]" if right else f"[red]{verdict}[/]")
        finally:
            console.print(table)
        if not right:
            exit_with(ExitCode.SOME_FAILED)


def self_test(reader: object) -> str:
    """Draw a seven on paper, read it as a page is read, and give the text."""
    import numpy as np

    from digitscan.core.types import PageResult
    from digitscan.reader import Reader

    if not isinstance(reader, Reader):
        raise TypeError("self_test needs a Reader")
    paper = np.full((120, 90), 235, np.uint8)
    paper[20:28, 20:70] = 40
    for row in range(28, 100):
        left = round(64 - (row - 28) * 0.42)
        paper[row, left : left + 8] = 40
    outcome = reader.read_image(paper, "self-test")
    return outcome.readings[0].text if isinstance(outcome, PageResult) and outcome.readings else "nothing"
