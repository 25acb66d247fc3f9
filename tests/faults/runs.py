"""Real runs in processes of their own, with a page that takes as long as a test wants."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2

from tests.conftest import paper, put

POSIX = os.name == "posix"
"""Whether the system has signals that one process may send another."""


def small_scans(folder: Path, count: int = 2) -> list[str]:
    """Pages with one number each, read in a moment."""
    folder.mkdir(exist_ok=True)
    paths = []
    for k in range(count):
        image = paper(400, 200)
        put(image, str(123 + k), 60, 120)
        path = folder / f"p{k}.png"
        cv2.imwrite(str(path), image)
        paths.append(str(path))
    return paths


class SlowPoppler:
    """Stands before poppler in the search path: ``pdftoppm`` takes `seconds`, and leaves its number in a folder."""

    def __init__(self, folder: Path, seconds: float) -> None:
        import pypdfium2 as pdfium

        self._bin, self._started = folder / "bin", folder / "started"
        self._bin.mkdir(parents=True)
        self._started.mkdir()
        page = folder / "page.pgm"
        cv2.imwrite(str(page), paper(300, 300))
        wait = 'case "$*" in *-v*) echo "pdftoppm version 22.12.0" >&2; exit 0;; esac\n'
        wait += f"touch {self._started}/$$\nsleep {seconds:g} &\nwait\ncat {page}\n"
        for name, body in (("pdfinfo", 'echo "Pages: 1"\n'), ("pdftoppm", wait)):
            tool = self._bin / name
            tool.write_text(f"#!/bin/sh\n{body}")
            tool.chmod(0o755)
        document = pdfium.PdfDocument.new()
        document.new_page(200, 200)
        self.page = str(folder / "slow.pdf")
        """A PDF that goes to poppler, since it is no scan."""
        document.save(self.page)
        document.close()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a run that finds it."""
        return {**os.environ, "PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}"}

    def all_started(self) -> list[int]:
        """Process numbers of all that were started, in that order."""
        return [int(path.name) for path in sorted(self._started.iterdir(), key=lambda path: path.stat().st_mtime_ns)]

    def wait_until_busy(self, count: int = 1) -> int:
        """Wait until so many were started; gives the process number of the last."""
        wait_for(lambda: len(self.all_started()) >= count, f"pdftoppm number {count}")
        return self.all_started()[-1]


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def descendants(pid: int) -> list[int]:
    """All processes below one, the nearest first."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(path.name))
            except OSError:
                continue
    return found + [below for child in found for below in descendants(child)]


@contextmanager
def started(*arguments: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """``digitscan`` with some arguments; it is killed with all its processes if it is there at the end."""
    # Where the tests run in the background of a shell, Ctrl-C is ignored, and so it would be by what they start.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "preexec_fn": heed}
    command = [sys.executable, "-m", "digitscan", *arguments]
    with subprocess.Popen(command, **(given | options)) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            below = descendants(process.pid)
            process.kill()
            for pid in filter(alive, below):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, object]]:
    """What a run with ``--log-json`` tells, as it tells it."""
    assert process.stderr is not None
    for line in process.stderr:
        yield json.loads(line)


def until_read(process: subprocess.Popen[str], pages: int) -> None:
    """Wait until so many pages are read."""
    for event in events(process):
        pages -= event["event"] == "page"
        if not pages:
            return
    raise AssertionError("the run ended before")
