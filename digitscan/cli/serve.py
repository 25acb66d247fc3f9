"""``digitscan serve``: the web page."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from digitscan.cli.common import errors_console, exit_with, report_errors, settings
from digitscan.core.errors import ExitCode

_GRACE_S = 3
"""Seconds that requests get to finish when the server ends; streams of events never do."""


def serve(
    job: Annotated[Path | None, typer.Argument(help="A run's .job file: its doubtful readings are reviewed.")] = None,
    host: Annotated[str, typer.Option(help="Where to listen; beyond this machine a token is wanted.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None, typer.Option(envvar="DIGITSCAN_TOKEN", help="What visitors must bring; made up where it is needed.")
    ] = None,
    form: Annotated[
        list[Path] | None, typer.Option("--form", "-f", help="Template of the forms that are uploaded.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model id or folder.")] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Host name that it answers to as well, behind a proxy; several.")
    ] = None,
    max_mb: Annotated[int, typer.Option(min=1, max=2000, help="Largest upload in MB.")] = 30,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
) -> None:
    """Open a web page on this machine: draw or upload numbers and read the answer, or review what a run has read.

    With a job its doubtful readings are settled at /review, the most doubtful first, by keyboard alone; several
    people may do so at once. What they say is kept in the job, survives new runs, and is in every export.

    Nothing leaves the machine, and it works without a network.

    [bold]Examples[/]

      digitscan serve

      digitscan serve results.job

      digitscan serve --port 9000 --form survey.toml
    """
    with report_errors():
        from digitscan.core.config import load_config
        from digitscan.core.errors import UsageError

        try:
            import uvicorn

            from digitscan.web.app import create_app
            from digitscan.web.settings import WebSettings, new_token
        except ImportError as error:
            raise UsageError(f"the web page needs {error.name}", remedy="pip install 'digitscan[web]'") from error
        if job is not None:
            from digitscan.jobs.review import ReviewDesk

            ReviewDesk(job).close()  # what is no job is told before anything listens
        given = WebSettings(
            host=host, port=port, token=token or "", max_bytes=max_mb * 1_000_000, templates=tuple(form or ()), job=job,
            names=tuple(one.lower() for one in name or ()),
        )  # fmt: skip
        if not given.local and not given.token:
            given = replace(given, token=new_token())
        chosen = load_config(config, settings(recognition__model=model))
        page = "review" if job is not None and not given.token else ""
        shown = f"http://{'[::1]' if host == '::1' else host}:{port}/{page}" + (
            f"?token={given.token}" if given.token else ""
        )
        console = errors_console()
        console.print(f"[bold]digitscan[/] is at {shown}  [dim](Ctrl-C ends it)[/]")
        if not given.local:
            console.print("[yellow]Anyone who has this address with its token can use it.[/]")
        _serve(
            uvicorn.Config(
                create_app(given, chosen), host=host, port=port, log_level="warning", server_header=False,
                access_log=False, timeout_graceful_shutdown=_GRACE_S,
            )
        )  # fmt: skip


def _serve(config: Any) -> None:
    """Serve until a signal asks to end."""
    import uvicorn

    from digitscan.core.stop import Interrupted

    server = uvicorn.Server(config)
    hung_up: list[int] = []

    def hang_up(signum: int, frame: object) -> None:
        hung_up.append(signum)
        server.should_exit = True

    # uvicorn heeds SIGINT and SIGTERM alone, and raises them again when it has cleared up.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hang_up)
    server.run()
    if hung_up:
        raise Interrupted(hung_up[0])
    if not server.started:
        exit_with(ExitCode.SOME_FAILED)
