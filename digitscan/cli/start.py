"""The console script: what takes longest begins before anything else is loaded."""

from __future__ import annotations

import sys

from digitscan.core.streams import secure_standard_streams


def main() -> None:
    """Run the command line.

    A command that reads pages has a process read them. That one loads its libraries while this one loads its own, so
    that both are ready at the same time.
    """
    secure_standard_streams()
    try:
        _run()
    except KeyboardInterrupt:  # while libraries load; commands answer for themselves
        from digitscan.core.errors import ExitCode

        sys.stderr.write("Interrupted.\n")
        sys.exit(ExitCode.INTERRUPTED)


def _run() -> None:
    if sys.argv[1:2] in (["process"], ["watch"]) and not {"--help", "-h"} & set(sys.argv):
        from digitscan.batch.worker_pool import start_ahead

        start_ahead()
    from digitscan.cli.app import app

    app()
