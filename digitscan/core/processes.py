"""Child processes that end with all that they started, and with whoever started them.

A worker leads a process group of its own, where the system has groups: ending the group ends its ``pdftoppm`` too. That
its parent is gone a child learns from a pipe, on every system (docs/adr/0017).
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import threading
from typing import IO, Any

_SIZE = struct.Struct("<Q")
"""Length of a frame, before its bytes."""


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that was started as the leader of a group (``start_new_session=True``), and its group.

    Where there are no groups, as on Windows, the process alone is killed.
    """
    # Once the leader has been waited for, its number may be another group's.
    if process.returncode is None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def end_own_group() -> None:
    """Kill this process, and its group where it leads one."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def end_with_parent() -> None:
    """In a process of `multiprocessing`: end when the process that started it ends, however that happens."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def write_frame(pipe: IO[bytes], data: bytes) -> None:
    """Send bytes that `read_frame` gives as they are."""
    pipe.write(_SIZE.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """The next bytes that were sent; None when the other end is closed."""
    try:
        head = pipe.read(_SIZE.size)
        if len(head) < _SIZE.size:
            return None
        (length,) = _SIZE.unpack(head)
        data = pipe.read(length)
    except (OSError, ValueError):  # ValueError: closed on this side
        return None
    return data if len(data) == length else None
