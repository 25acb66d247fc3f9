"""Temporary folders that do not outlive the next start of the program, however its last run ended."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO

_LOCK = ".lock"
"""File in a folder that its process keeps locked: the system lets go of it when the process ends, even by SIGKILL."""


class OwnFolder:
    """A new folder in the system's temporary one, for as long as it is open.

    Folders of the same prefix that killed processes of this user have left are deleted first.

    Parameters
    ----------
    prefix : str
        What its name begins with.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, prefix: str) -> None:
        sweep(prefix)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix))
            lock = (self.path / _LOCK).open("wb")
            if _locked(lock) is not False and (self.path / _LOCK).exists():
                self._lock = lock
                return
            lock.close()  # another process was sweeping just then, and took it for one of a killed one

    def close(self) -> None:
        """Delete the folder and all that is in it."""
        self._lock.close()  # first: where files that are open cannot be deleted
        shutil.rmtree(self.path, ignore_errors=True)


def sweep(prefix: str) -> None:
    """Delete folders of this user whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
                continue
            with (folder / _LOCK).open("r+b") as lock:
                gone = _locked(lock) is True
                if gone and os.name == "posix":  # while it is held, nobody else takes the folder for a new one
                    shutil.rmtree(folder, ignore_errors=True)
            if gone:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # no lock in it, or it went in this moment
            continue


def _locked(file: IO[bytes]) -> bool | None:
    """Lock a file until it is closed: False where another process holds it, None where the file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True
