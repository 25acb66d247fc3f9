"""Source files, opened once: what is decoded is what was hashed, and a file of many pages stays open between them."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from digitscan.core.errors import IngestError

_KEPT = 2 if os.name != "nt" else 0
"""Files of many pages that stay open in a process; on Windows an open file cannot be moved by its owner."""
_HASHES = 256
"""Hashes of files that are remembered while the files do not change."""

Stamp = tuple[int, int, int, int]
"""Device, number, size and time of change: what tells that a file is still the same."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def what_it_is(mode: int) -> str:
    """What a file that is no regular one is, for people; empty for a regular file."""
    return next((words for test, words in _KINDS if test(mode)), "")


def _cannot_open(error: OSError) -> IngestError:
    return IngestError(f"cannot open: {error.strerror or error}", remedy="check the path and its permissions")


def open_regular(path: str) -> BinaryIO:
    """Open a regular file to read; a pipe, a socket or a device is refused at once, and never waited for.

    Raises
    ------
    IngestError
        If it is no regular file, or cannot be opened.
    """
    try:
        # A pipe that nobody writes to would be waited for otherwise, even between a look at it and its opening.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError):
            if words := what_it_is(os.stat(path).st_mode):  # noqa: PTH116  (a path that is no text for Path)
                raise IngestError(f"is {words}, not a file", remedy="name files, or folders of files") from error
        if isinstance(error, OSError):
            raise _cannot_open(error) from error
        raise IngestError(f"cannot open: {error}", remedy="check the path") from error
    words = what_it_is(os.fstat(number).st_mode)
    if words:
        os.close(number)
        remedy = "name the folder itself as a source" if words == "a folder" else "name files, or folders of files"
        raise IngestError(f"is {words}, not a file", remedy=remedy)
    return os.fdopen(number, "rb")


@dataclass(slots=True, eq=False)
class Source:
    """An open source.

    Attributes
    ----------
    path : str
        On this machine.
    stream : binary file
    stamp : Stamp
        Of the file as it was opened.
    handle : Any
        What a decoder keeps between pages; `close_handle` ends it.
    """

    path: str
    stream: BinaryIO
    stamp: Stamp
    handle: Any = None
    close_handle: Callable[[], None] | None = None
    _sha256: str = field(default="")

    @property
    def sha256(self) -> str:
        """Hash of the whole file, lower-case hexadecimal."""
        if not self._sha256:
            self._sha256 = _hash_of(self)
        return self._sha256

    @property
    def size(self) -> int:
        """Bytes of the file as it was opened."""
        return self.stamp[2]

    def know(self, sha256: str) -> None:
        """Take the hash from whoever has read the bytes anyway."""
        self._sha256 = sha256

    def unchanged(self) -> bool:
        """Whether file and path are as they were when it was opened; a path that is gone does not matter."""
        try:
            if _stamp(os.fstat(self.stream.fileno())) != self.stamp:
                return False
        except OSError:
            return False
        try:
            return _stamp(os.stat(self.path)) == self.stamp  # noqa: PTH116
        except OSError:
            return True

    def close(self) -> None:
        """Close file and decoder."""
        if self.close_handle is not None:
            with contextlib.suppress(Exception):
                self.close_handle()
        self.stream.close()


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


_lock = threading.Lock()
_idle: OrderedDict[str, Source] = OrderedDict()
_hashes: OrderedDict[Stamp, str] = OrderedDict()


def _hash_of(source: Source) -> str:
    with _lock:
        known = _hashes.get(source.stamp)
    if known is not None:
        return known
    try:
        source.stream.seek(0)
        sha256 = hashlib.file_digest(source.stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        raise IngestError(f"cannot read: {error.strerror or error}", remedy="check the disk and try again") from error
    if source.unchanged():
        with _lock:
            _hashes[source.stamp] = sha256
            while len(_hashes) > _HASHES:
                _hashes.popitem(last=False)
    return sha256


def _open(path: str) -> Source:
    stream = open_regular(path)
    return Source(path, stream, _stamp(os.fstat(stream.fileno())))


@contextlib.contextmanager
def opened(path: str) -> Iterator[Source]:
    """A source, open for this thread alone; one with a decoder's handle stays open for the next page.

    Raises
    ------
    IngestError
        If it cannot be opened, or is no regular file.
    """
    with _lock:
        source = _idle.pop(path, None)
    if source is not None and not source.unchanged():
        source.close()
        source = None
    source = source if source is not None else _open(path)
    try:
        yield source
    except BaseException:
        source.close()
        raise
    gone = [source]
    if source.handle is not None and _KEPT:
        with _lock:
            gone = [_idle.pop(path)] if path in _idle else []
            _idle[path] = source
            while len(_idle) > _KEPT:
                gone.append(_idle.popitem(last=False)[1])
    for each in gone:
        each.close()


@atexit.register
def forget_open_sources() -> None:
    """Close what is kept open."""
    with _lock:
        gone = list(_idle.values())
        _idle.clear()
    for each in gone:
        each.close()
