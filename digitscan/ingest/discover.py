"""Files, folders, globs and lists become source paths, in a stable order."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from digitscan.core.errors import IngestError
from digitscan.core.types import PageFailure, PageRef
from digitscan.core.urls import is_url
from digitscan.ingest.remote import expand
from digitscan.ingest.source import what_it_is

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp")
    + (".pbm", ".pgm", ".ppm", ".pnm", ".tif", ".tiff", ".pdf")
)
"""What is taken from inside a folder; a file that is named outright is always tried."""


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts page2 before page10."""
    return tuple(
        (0, int(part)) if part.isdigit() else (1, part.casefold()) for part in re.split(r"(\d+)", name) if part
    )


def _failed(path: str, message: str, remedy: str) -> PageFailure:
    return PageFailure(PageRef(path), "ingest", "IngestError", message, remedy)


def _walk(folder: str, exclude: Collection[Path], seen: set[str]) -> Iterator[str | PageFailure]:
    """Images and PDFs below a folder; hidden ones and link loops are left out.

    A link to itself, and a pipe, a socket or a device that bears the name of a picture, are named, and passed by.
    """
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda e: (_natural(e.name), e.name))
    except OSError as error:
        yield _failed(folder, f"cannot list the folder: {error.strerror or error}", "check its permissions")
        return
    for entry in entries:
        # Not Path.resolve, which raises where a link leads to itself.
        if entry.name.startswith(".") or Path(os.path.realpath(entry.path)) in exclude:
            continue
        try:
            mode = entry.stat().st_mode
        except OSError as error:
            if error.errno == errno.ELOOP:
                yield _failed(entry.path, "is a link that leads to itself", "remove it")
                continue
            mode = stat.S_IFREG  # whoever opens it says why it cannot be
        if stat.S_ISDIR(mode):
            yield from _walk(entry.path, exclude, seen)
        elif Path(entry.name).suffix.lower() in SUFFIXES:
            if words := what_it_is(mode):
                yield _failed(entry.path, f"is {words}, not a file", "name files, or folders of files")
            else:
                yield entry.path


def _expand_url(given: str) -> Iterator[str | PageFailure]:
    try:
        found = sorted(expand(given), key=lambda url: (_natural(url), url))
    except IngestError as error:
        yield _failed(given, error.message, error.remedy)
        return
    pages = found if found == [given] else [url for url in found if Path(url).suffix.lower() in SUFFIXES]
    yield from pages
    if not pages:
        yield _failed(given, "holds no page", "give a folder with images or PDFs")


def _expand(given: str, exclude: Collection[Path]) -> Iterator[str | PageFailure]:
    if is_url(given):
        yield from _expand_url(given)
    elif Path(given).is_dir():
        empty = True
        for found in _walk(given, exclude, set()):
            empty = False
            yield found
        if empty:
            kinds = "PNG, JPEG, BMP, WebP, PNM, TIFF or PDF"
            yield _failed(given, "the folder holds no page", f"give a folder with {kinds} files")
    elif os.path.lexists(given):
        yield given
    elif glob.has_magic(given):
        # Path.glob refuses absolute patterns.
        matches = sorted(glob.glob(given, recursive=True), key=lambda m: (_natural(m), m))  # noqa: PTH207  (absolute patterns)
        if not matches:
            yield _failed(given, "no file matches the pattern", "quote the pattern, or check its folder")
        for match in matches:
            if not Path(match).is_dir():
                yield match
    else:
        yield _failed(given, "no such file or folder", "check the path")


def find_sources(
    inputs: Sequence[str], *, stdin: TextIO | None = None, exclude: Collection[Path] = ()
) -> Iterator[str | PageFailure]:
    """Turn what the user named into source paths, each once.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders (searched through, natural order), globs, URLs of these, and ``-`` for a list on standard input.
    stdin : text stream, optional
        Where ``-`` reads from, one path a line.
    exclude : collection of Path
        Resolved paths that are never taken from inside a folder: what the run itself writes.

    Yields
    ------
    str or PageFailure
        A failure for each input that leads nowhere; the others go on.
    """
    taken: set[str] = set()

    def each() -> Iterator[str]:
        for given in inputs:
            if given == "-" and stdin is not None:
                yield from (line.rstrip("\r\n") for line in stdin if line.strip())
            else:
                yield given

    for given in each():
        for found in _expand(given, exclude):
            if isinstance(found, str):
                real = found if is_url(found) else os.path.realpath(found)
                if real in taken:
                    continue
                taken.add(real)
            yield found
