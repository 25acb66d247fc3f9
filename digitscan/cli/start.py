"""The console script: what takes longest begins before anything else is loaded."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import NoReturn

from digitscan.core.streams import secure_standard_streams


def main() -> None:
    """Run the command line.

    A command that reads pages has a process read them. That one loads its libraries while this one loads its own, so
    that both are ready at the same time.
    """
    from digitscan.core.errors import ExitCode
    from digitscan.core.stop import ignore_signals, raise_on_signals

    secure_standard_streams()
    code: object = ExitCode.OK
    signals = raise_on_signals()
    try:
        try:
            _run()
        except KeyboardInterrupt:  # while libraries load; commands answer for themselves
            sys.stderr.write("Interrupted.\n")
            code = ExitCode.INTERRUPTED
        except SystemExit as ended:
            code = ended.code
        # What lies between the commands and this has codes of its own for Ctrl-C, and knows no other signal.
        code = code if signals.exit_code is None else signals.exit_code
        if isinstance(code, int) and code > 128 and _threads():
            _leave_at_once(code)  # one that hangs in a page would keep the interpreter for ever
        ignore_signals()
    except KeyboardInterrupt:
        _leave_at_once(signals.exit_code or ExitCode.INTERRUPTED)
    sys.exit(code)  # type: ignore[arg-type]


def _threads() -> list[threading.Thread]:
    """Threads that the interpreter would wait for."""
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]


def _leave_at_once(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run() -> None:
    if sys.argv[1:2] in (["process"], ["watch"]) and not {"--help", "-h"} & set(sys.argv):
        from digitscan.batch.worker_pool import start_ahead

        start_ahead()
    from digitscan.cli.app import app

    app()
