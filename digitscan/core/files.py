"""Small files that people write, read with bounded work: no device, no pipe, no endless file, no bottomless TOML."""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

MAX_TOML = 4_000_000
"""Bytes of a template or configuration, at the most."""
_MAX_POINTS = 200
"""Points in one line of TOML, at the most: the work for ``a.a.a…`` grows with the square of their number."""


def read_regular(path: Path, most: int) -> bytes:
    """All bytes of a file that lies on a disk.

    Parameters
    ----------
    path : Path
    most : int
        Bytes that it may have.

    Raises
    ------
    OSError
        If it cannot be read, is a folder, a device, a pipe or a socket, or is larger.
    """
    # Without waiting: a pipe to which nobody writes would hold up whoever opens it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        data = stream.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes")
    return data


def parse_toml(text: str) -> dict[str, Any]:
    """TOML as a dictionary.

    Raises
    ------
    ValueError
        If it is none, or is built to keep its reader busy.
    """
    if any(line.count(".") > _MAX_POINTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MAX_POINTS} points")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
