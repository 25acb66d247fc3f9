"""Sources become page references, and a reference becomes pixels; both lazily, one page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from digitscan.core.config import IngestConfig
from digitscan.core.errors import IngestError, UsageError
from digitscan.core.types import PageRef, RasterPage
from digitscan.ingest.remote import here
from digitscan.ingest.source import Source, opened

SourceKind = Literal["image", "tiff", "pdf"]

_MAGIC: tuple[tuple[bytes, SourceKind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"BM", "image"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"GIF8", "a GIF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"{\\rtf", "an RTF document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)


@dataclass(frozen=True, slots=True)
class PageSelection:
    """Pages of a file to read: 1-based, inclusive ranges; an end of None is open. Empty means all."""

    ranges: tuple[tuple[int, int | None], ...] = ()

    @classmethod
    def parse(cls, text: str) -> PageSelection:
        """Read ``1,3-5`` or ``7-``.

        Raises
        ------
        UsageError
            If the text is no such list.
        """
        ranges: list[tuple[int, int | None]] = []
        for part in filter(None, (p.strip() for p in text.split(","))):
            match = re.fullmatch(r"(\d+)(?:\s*(-)\s*(\d*))?", part)
            first = int(match[1]) if match else 0
            last = first if match and not match[2] else int(match[3]) if match and match[3] else None
            if first < 1 or (last is not None and last < first):
                raise UsageError(f"cannot read {part!r} as pages", remedy="write pages like 1,3-5 or 7-")
            ranges.append((first, last))
        return cls(tuple(ranges))

    def indices(self, count: int) -> Iterator[int]:
        """0-based pages of a file with `count` pages, ascending, each once."""
        for index in range(count):
            number = index + 1
            if not self.ranges or any(a <= number and (b is None or number <= b) for a, b in self.ranges):
                yield index


def sniff(source: Source) -> SourceKind:
    """What a file is, by its content, never by its name.

    Raises
    ------
    IngestError
        If it cannot be read or is nothing that digitscan reads; the message says what it looks like.
    """
    try:
        source.stream.seek(0)
        head = source.stream.read(1024)
    except OSError as error:
        raise IngestError(f"cannot read: {error.strerror or error}", remedy="check the disk and try again") from error
    if not head:
        raise IngestError("empty file (0 bytes)", remedy="scan or copy it again")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if b"%PDF-" in head:
        return "pdf"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image"
    if re.match(rb"P[1-6]\s", head):
        return "image"
    lowered = head.lstrip().lower()
    for magic, words in _STRANGERS:
        if lowered.startswith(magic.lower()):
            raise IngestError(f"is {words}, not an image or PDF", remedy="convert it to PNG, TIFF or PDF")
    raise IngestError("is not an image or PDF that digitscan knows", remedy="convert it to PNG, JPEG, TIFF or PDF")


def list_pages(path: str, config: IngestConfig) -> Iterator[PageRef]:
    """References to the pages of one source that are to be read.

    Raises
    ------
    IngestError
        If the source cannot be opened, or has none of the pages asked for.
    UsageError
        If ``config.pages`` is no list of pages.
    """
    selection = PageSelection.parse(config.pages)
    with opened(here(path)) as source:
        kind = sniff(source)
        if kind == "pdf":
            from digitscan.ingest.pdf import count_pages
        elif kind == "tiff":
            from digitscan.ingest.tiff import count_pages
        count = 1 if kind == "image" else count_pages(source)
        sha256 = source.sha256
    empty = True
    for index in selection.indices(count):
        empty = False
        yield PageRef(path, index, sha256)
    if empty:
        words = f"{count} page" + ("" if count == 1 else "s")
        raise IngestError(f"has {words}, none of those asked for", remedy=f"change --pages {config.pages}")


_TRIES = 3
"""How often a page is read whose file changes meanwhile."""


def load_page(ref: PageRef, config: IngestConfig) -> RasterPage:
    """Decode one page; may be called from any thread, in any order, in any process.

    The reference of what comes back has the hash of what was decoded, whatever the file was when it was listed; a file
    that changed since is told by a warning.

    Raises
    ------
    IngestError
        If the page is damaged, locked or larger than ``config.max_pixels``, or if its file changes all the time.
    """
    copy = here(ref.path)
    for _ in range(_TRIES):
        with opened(copy) as source:
            try:
                page = _decoded(source, ref, config)
            except IngestError:
                if source.unchanged():
                    raise
                continue
            if source.unchanged():
                sha256 = source.sha256
                changed = bool(ref.sha256) and sha256 != ref.sha256
                told = ("the file was changed after the run had listed it",) if changed else ()
                return replace(page, ref=replace(ref, sha256=sha256), warnings=(*page.warnings, *told))
    raise IngestError("changes while it is read", remedy="wait until it is written, and run again")


def _decoded(source: Source, ref: PageRef, config: IngestConfig) -> RasterPage:
    kind = sniff(source)
    if kind == "pdf":
        from digitscan.ingest.pdf import load
    elif kind == "tiff":
        from digitscan.ingest.tiff import load
    else:
        from digitscan.ingest.image import load
    return load(source, ref, config)
