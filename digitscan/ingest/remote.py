"""Sources named by URL: listed where they are, and copied here while their pages are read."""

from __future__ import annotations

import atexit
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from digitscan.core.errors import IngestError, UsageError
from digitscan.core.folders import OwnFolder
from digitscan.core.urls import file_system, is_url

_KEPT = 8
"""Copies that a process keeps: the pages of a file are read one after the other."""
_lock = threading.Lock()
_copies: OrderedDict[str, Path] = OrderedDict()
_folder: list[OwnFolder] = []


def expand(url: str) -> Iterator[str]:
    """Files that a URL of a folder, a pattern or a file stands for, unsorted.

    Raises
    ------
    IngestError
        If it leads nowhere, or the place does not answer.
    """
    try:
        system, path = file_system(url)
        if any(sign in path for sign in "*?["):
            found = system.glob(path)
        elif system.isdir(path):
            found = system.find(path)
        else:
            yield url
            return
        yield from (str(system.unstrip_protocol(one)) for one in found)
    except UsageError as error:
        raise IngestError(error.message, remedy=error.remedy) from error
    except Exception as error:  # every kind of place has errors of its own
        raise IngestError(f"cannot list: {error}", remedy="check the address and your access to it") from error


def here(path: str) -> str:
    """A path on this machine with a source's bytes: itself, or a copy of what a URL names.

    Raises
    ------
    IngestError
        If it cannot be copied.
    """
    if not is_url(path):
        return path
    with _lock:
        if path in _copies:
            _copies.move_to_end(path)
            return str(_copies[path])
        if not _folder:
            _folder.append(OwnFolder("digitscan-copies-"))
            atexit.register(_folder[0].close)
        copy = Path(tempfile.mkstemp(dir=_folder[0].path, suffix=PurePosixPath(path).suffix[:12])[1])
        try:
            system, remote = file_system(path)
            system.get_file(remote, str(copy))
        except Exception as error:  # every kind of place has errors of its own
            copy.unlink(missing_ok=True)
            raise IngestError(f"cannot fetch: {error}", remedy="check the address and your access to it") from error
        _copies[path] = copy
        while len(_copies) > _KEPT:
            # A page that is being read keeps its open file; one about to be opened is the newest.
            _copies.popitem(last=False)[1].unlink(missing_ok=True)
        return str(copy)
