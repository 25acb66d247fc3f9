"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import re
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, BinaryIO

from digitscan.core.errors import DigitscanError, OutputError
from digitscan.core.targets import marked, refuse_foreign
from digitscan.core.types import PageRef
from digitscan.core.urls import file_system, is_url


def output_error(path: str | Path, error: OSError) -> OutputError:
    """Make an operating-system error one clear line."""
    if error.errno == errno.ENOSPC:
        return OutputError(f"cannot write {path}: the disk is full", remedy="free some space and run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"cannot write {path}: no permission", remedy="choose another place with --out")
    if error.errno == errno.EISDIR:
        return OutputError(f"cannot write {path}: it is a folder", remedy="name a file")
    if error.errno == errno.ENOTDIR:
        return OutputError(f"cannot write {path}: a part of its path is a file", remedy="choose another place")
    return OutputError(f"cannot write {path}: {error.strerror or error}", remedy="choose another place with --out")


_STALE_S = 86_400.0
"""Age of an unfinished file from which the run that wrote it was killed."""


def _forget_remains(target: Path) -> None:
    """Delete what killed runs left beside a target."""
    for remains in target.parent.glob(f".{glob.escape(target.name[:80])}.????????.part"):
        with contextlib.suppress(OSError):
            if time.time() - remains.stat().st_mtime > _STALE_S:
                remains.unlink()


class AtomicFile:
    """A binary file that replaces its target on `commit`, and leaves it alone on `abort`.

    Parameters
    ----------
    path : str or Path
        The target; ``-`` is standard output, which is written at once; a URL gets the file when it is whole.
    own : bool
        The caller knows the file that may be there for its own: the state of a training run, say.

    Raises
    ------
    UsageError
        If the target is a file that digitscan did not make, or a link.
    OutputError
        If the target's folder cannot be written to; missing folders are made.
    """

    def __init__(self, path: str | Path, *, own: bool = False) -> None:
        self.path = path
        self._own = own
        self._stream: BinaryIO
        self._temporary: Path | None = None
        self._remote: tuple[Any, str] | None = None
        if str(path) == "-":
            self._stream = sys.stdout.buffer
            return
        if is_url(str(path)):
            self._remote = file_system(str(path))
            self._temporary = Path(tempfile.mkstemp(prefix="digitscan-")[1])
            self._stream = self._temporary.open("wb")
            return
        target = Path(path)
        try:
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            if not own:
                refuse_foreign(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, "read-only")
            _forget_remains(target)
            self._temporary = target.with_name(f".{target.name[:80]}.{uuid.uuid4().hex[:8]}.part")
            self._stream = self._temporary.open("wb")
        except OSError as error:
            raise output_error(path, error) from error

    @property
    def stream(self) -> BinaryIO:
        """The open file, for libraries that write by themselves."""
        return self._stream

    def write(self, data: bytes) -> None:
        """Append bytes."""
        try:
            self._stream.write(data)
            if self._temporary is None:
                self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise output_error(self.path, error) from error

    def commit(self) -> None:
        """Put the file in its place; on an error the old one stays."""
        if self._temporary is None:
            return
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            if self._remote is None:
                if not self._own:
                    refuse_foreign(Path(self.path))  # it may have come since
                self._temporary.replace(self.path)
        except DigitscanError:
            self.abort()
            raise
        except OSError as error:
            self.abort()
            raise output_error(self.path, error) from error
        if self._remote is not None:
            self._send(self._temporary, *self._remote)

    def _send(self, temporary: Path, system: Any, path: str) -> None:
        try:
            system.put_file(str(temporary), path)
        except Exception as error:  # every kind of place has errors of its own
            raise OutputError(
                f"cannot write {self.path}: {error}; the results are in {temporary}",
                remedy="check the address and your access to it",
            ) from error
        temporary.unlink()

    def abort(self) -> None:
        """Forget what was written."""
        if self._temporary is None:
            return
        # A full disk fails again when the rest is flushed; the file goes anyway.
        with contextlib.suppress(OSError):
            self._stream.close()
        self._temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, *, own: bool = False) -> None:
    """Write a small file atomically; a picture or a PDF gets the mark that says who made it.

    `own` is as for `AtomicFile`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    file = AtomicFile(path, own=own)
    try:
        file.write(marked(data))
    except BaseException:
        file.abort()
        raise
    file.commit()


def page_stem(ref: PageRef, taken: set[str], part: str = "") -> str:
    """A file name for something made of a page: of safe characters, without suffix, never given twice.

    Parameters
    ----------
    ref : PageRef
    taken : set of str
        Names given so far; the new one is added.
    part : str
        Which part of the page it is, such as a table's name.
    """
    stem = re.sub(r"[^\w.-]+", "_", Path(ref.path).stem, flags=re.ASCII).strip("._")[:80] or "page"
    paged = ref.page_index > 0 or Path(ref.path).suffix.lower() in (".pdf", ".tif", ".tiff")
    name = (f"{stem}-p{ref.page_number:04d}" if paged else stem) + (f"-{part}" if part else "")
    if name in taken:
        name += "-" + hashlib.sha256(ref.path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    while name in taken:
        name += "x"
    taken.add(name)
    return name
