"""A folder that is watched: what comes in is read once it is whole, and goes out by the right door.

A file is recorded under the place that it will have in ``done`` or ``failed``, then moved there; so a run that is
killed between the two finds the file again, knows its content, and only moves it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from digitscan.core.errors import IngestError, OutputError, UsageError
from digitscan.core.types import PageFailure, PageOutcome, PageRef, PageResult
from digitscan.ingest.discover import find_sources
from digitscan.ingest.source import open_regular
from digitscan.jobs.journal import Journal
from digitscan.pipeline.items import PageRead

ReadFile = Callable[[str], Iterable[PageRead]]
"""Reads all pages of one file."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that was read and moved.

    Attributes
    ----------
    path : Path
        Where it is now.
    outcomes : tuple of PageOutcome
        Of its pages, under that path.
    again : bool
        Its content had been read before a restart: nothing was read now.
    """

    path: Path
    outcomes: tuple[PageOutcome, ...]
    again: bool = False


class Inbox:
    """A folder whose files are taken as they come.

    Parameters
    ----------
    folder, done, failed : Path
        `done` gets files of which every page was read, `failed` the others. Both may lie in `folder`.
    settle_s : float
        A file is taken when its size and time have not changed for so long: copies and scans are not read half.
    exclude : iterable of Path
        What the run itself writes.

    Raises
    ------
    UsageError
        If the folder is not there, or a door is the folder itself.
    OutputError
        If `done` or `failed` cannot be made.
    """

    def __init__(
        self, folder: Path, done: Path, failed: Path, *, settle_s: float = 2.0, exclude: Iterable[Path] = ()
    ) -> None:
        if not folder.is_dir():
            raise UsageError(f"no folder {folder}", remedy="make it, or check the path")
        for door in (done, failed):
            if door.resolve() == folder.resolve():
                raise UsageError(f"{door} is the watched folder itself", remedy="name another folder")
            try:
                door.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot make {door}: {error.strerror}", remedy="choose another place") from error
        self.folder, self.done, self.failed = folder, done, failed
        self._root = os.path.realpath(folder)
        self._settle_s = settle_s
        self._exclude = {path.resolve() for path in (done, failed, *exclude)}
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        self.refused: dict[str, str] = {}
        """Files that are left where they are, and why."""

    def ready(self, now: float | None = None) -> list[str]:
        """Files that have settled, in natural order."""
        now = time.monotonic() if now is None else now
        seen: dict[str, tuple[tuple[int, int], float]] = {}
        settled = []
        for found in find_sources([str(self.folder)], exclude=self._exclude):
            if isinstance(found, PageFailure):
                if found.ref.path != str(self.folder):  # an empty folder is nothing to speak of
                    self.refused.setdefault(found.ref.path, found.message)
                continue
            try:
                # A link might lead to any file of this machine, and moving it away would be no copy's end.
                if not os.path.realpath(found).startswith(self._root + os.sep):
                    self.refused.setdefault(found, "a link out of the watched folder")
                    continue
                status = Path(found).stat()
            except OSError:
                continue  # gone since it was listed
            mark = (status.st_size, status.st_mtime_ns)
            before = self._seen.get(found)
            since = before[1] if before is not None and before[0] == mark else now
            seen[found] = (mark, since)
            if now - since >= self._settle_s and found not in self.refused:
                settled.append(found)
        self._seen = seen
        return settled

    @property
    def waiting(self) -> bool:
        """Whether files were there at the last look that may yet be taken."""
        return any(path not in self.refused and Path(path).exists() for path in self._seen)

    def take(self, path: str, read: ReadFile, journal: Journal) -> Arrival | None:
        """Read a file, record its pages, and move it; None where it is gone or cannot be moved."""
        try:
            with open_regular(path) as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        except IngestError as error:
            self.refused[path] = error.message
            return None
        except OSError as error:
            self.refused[path] = f"cannot be read: {error.strerror or error}"
            return None
        before = journal.moving
        if before is not None and before[0] == path and before[2] == sha256 and not Path(before[1]).exists():
            return self._moved(path, Arrival(Path(before[1]), (), again=True), journal)
        pages = [page.outcome for page in read(path)]
        if any(isinstance(o, PageResult) and o.ref.sha256 not in ("", sha256) for o in pages):
            return None  # it was written to meanwhile: it is taken again when it has settled
        good = bool(pages) and all(isinstance(outcome, PageResult) for outcome in pages)
        place = _free(self.done if good else self.failed, Path(path).name)
        outcomes = tuple(replace(o, ref=PageRef(str(place), o.ref.page_index, sha256)) for o in pages)
        # A file that was put back to be read again leaves no trace of its first failure.
        gone = [old for old in journal.places(sha256) if not Path(old).exists()]
        journal.add_file(outcomes, path, gone)
        return self._moved(path, Arrival(place, outcomes), journal)

    def _moved(self, path: str, arrival: Arrival, journal: Journal) -> Arrival | None:
        try:
            shutil.move(path, arrival.path)
        except OSError as error:
            # It would be read again and again: it stays, and is told once.
            self.refused[path] = f"cannot be moved to {arrival.path}: {error.strerror or error}"
            return None
        journal.moved()
        return arrival


def _free(folder: Path, name: str) -> Path:
    """A path in a folder that no file has: ``scan.png``, ``scan-2.png``, …"""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return path


def watch(
    inbox: Inbox, read: ReadFile, journal: Journal, *, poll_s: float = 1.0, once: bool = False
) -> Iterator[Arrival | None]:
    """Take files as they come, for ever; with `once`, until the folder is empty.

    Yields
    ------
    Arrival or None
        None after each look into the folder, so that the caller may write and tell.
    """
    while True:
        for path in inbox.ready():
            arrival = inbox.take(path, read, journal)
            if arrival is not None:
                yield arrival
        yield None
        if once and not inbox.waiting:
            return
        time.sleep(poll_s)
