"""What may be written where: the guard that every output passes before it is opened, and before it takes its place.

A file is replaced only if digitscan made it, which its own bytes say: a result file begins as results do, a picture and
a PDF carry a mark, which `marked` puts in. Links, folders and devices are never replaced. See docs/adr/0014.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from digitscan.core.errors import UsageError
from digitscan.core.urls import is_url

_NAME = b"digitscan"
_PNG, _JPEG, _PDF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"%PDF-"
_IHDR_END = 33
"""Bytes of a PNG up to its second chunk."""
_LOOK = 8192
"""Bytes at a file's beginning and end in which its mark is looked for."""
_HEADS: dict[str, tuple[bytes, ...]] = {
    ".csv": (b"file,page,field,row,", b"file,page,form,review,", b"model,published,"),
    ".json": (b'{"schema":',),
    ".jsonl": (b'{"schema":',),
}
"""How results begin that have no room for a mark."""
TABLE_SUFFIX = ".table.csv"
"""Tables in the page's own shape have no room for a mark either: they have a name of their own."""


def marked(data: bytes) -> bytes:
    """A PNG, JPEG or PDF with the mark by which `made_here` knows it; other data as they are."""
    if data.startswith(_PNG) and len(data) > _IHDR_END:
        body = b"tEXtSoftware\x00" + _NAME
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[:_IHDR_END] + chunk + data[_IHDR_END:]
    if data.startswith(_JPEG):
        return data[:2] + b"\xff\xfe" + struct.pack(">H", len(_NAME) + 2) + _NAME + data[2:]
    if data.startswith(_PDF):
        return data + (b"" if data.endswith(b"\n") else b"\n") + b"% " + _NAME + b"\n"
    return data


def made_here(path: Path) -> bool:
    """Whether a file is empty, or something that digitscan wrote.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    name = path.name.lower()
    size = path.stat().st_size
    if size == 0 or name.endswith(TABLE_SUFFIX):
        return True
    with path.open("rb") as stream:
        head = stream.read(_LOOK)
        stream.seek(max(size - _LOOK, 0))
        tail = stream.read(_LOOK)
    if name.endswith(".toml"):
        return b"[form]" in head
    if path.suffix.lower() in _HEADS:
        return b"".join(head[:80].removeprefix(b"\xef\xbb\xbf").split()).startswith(_HEADS[path.suffix.lower()])
    if name.endswith(".xlsx"):
        return _is_own_workbook(path)
    return _NAME in head or _NAME in tail


def _is_own_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as book, book.open("docProps/core.xml") as properties:
            return _NAME in properties.read(_LOOK)
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError, zlib.error):
        return False


def refuse_foreign(path: Path) -> None:
    """Refuse to replace what digitscan did not make, a link, or what is no regular file.

    Raises
    ------
    UsageError
        The file stays as it is.
    """
    try:
        status = path.lstat()
    except OSError:  # not there, or not to be seen: opening it will say so
        return
    if stat.S_ISLNK(status.st_mode):
        raise UsageError(f"{path} is a link, and is not replaced", remedy="name the file that it leads to, or another")
    if stat.S_ISDIR(status.st_mode):
        return  # whoever opens it says so
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{path} is no regular file", remedy="name another; - is standard output")
    try:
        own = made_here(path)
    except OSError:
        own = False
    if not own:
        raise UsageError(
            f"{path} is there already, and digitscan did not write it",
            remedy="name another file, or move that one away",
        )


def refuse_any(path: Path) -> None:
    """Refuse to replace a file whose kind does not say who made it.

    Raises
    ------
    UsageError
        If it is there, and not empty.
    """
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file() or path.stat().st_size):
        raise UsageError(f"{path} is there already", remedy="name another file, or move that one away")


def refuse_sources(sources: Sequence[str], files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Refuse outputs that would land on a source.

    Parameters
    ----------
    sources : sequence of str
        As the user named them: files, folders, patterns, URLs.
    files : iterable of Path
        Single files to be written.
    folders : iterable of Path
        Folders that get files named as the sources are.

    Raises
    ------
    UsageError
        If a file is a source, or a folder is a source folder, or the folder that a source lies in.
    """
    named = [Path(source) for source in sources if source != "-" and not is_url(source)]
    for file in files:
        if any(_same(file, source) for source in named):
            raise UsageError(f"{file} is a source, and would be written over", remedy="name another file")
    homes = [source if source.is_dir() else source.parent for source in named]
    for folder in folders:
        if any(_same(folder, home) for home in homes):
            raise UsageError(
                f"{folder} is where the sources lie: a picture there would take the name of its scan",
                remedy="name a folder of its own",
            )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def refuse_foreign_in(folder: Path, suffix: str) -> None:
    """Refuse a folder for results that holds files of their kind which digitscan did not make.

    Raises
    ------
    UsageError
        Names the first of them.
    """
    try:
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing if entry.name.lower().endswith(suffix))
    except OSError:
        return
    for name in names:
        refuse_foreign(folder / name)
