"""Processes that read pages: one that crashes or hangs costs its page alone, and a hostile file never sees ours.

::

    WorkerPool.read(ref) ─ frame, stdin ─> python -m digitscan.batch.worker ─ pickle, stdout ─> PageRead

Workers are plain child processes, not `multiprocessing`'s: a program that uses the library needs no guard around its
main module. They start on demand, so one page costs one start; the first starts with the pool and loads its libraries
while the caller loads its own. Each leads a process group, and ends with all that it started (docs/adr/0017).
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from digitscan.core import errors
from digitscan.core.cores import usable_cores
from digitscan.core.processes import end_group, write_frame

if TYPE_CHECKING:
    from digitscan.core.config import Config
    from digitscan.core.types import PageFailure, PageRef
    from digitscan.forms.template import Template
    from digitscan.pipeline.items import PageRead, PageTask


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker must know before its first page.

    Attributes
    ----------
    config : Config
    templates : tuple of Template or str
        Forms that the pages are filled from.
    model, line_model : str
        Folders of the networks, empty where the worker shall not read: then it only prepares pages.
    threads : int
        Threads of its networks.
    """

    config: Config
    templates: tuple[Template | str, ...] = ()
    model: str = ""
    line_model: str = ""
    threads: int = 1


class WorkerLostError(Exception):
    """A worker died or was ended; `stage` is what it was busy with."""

    def __init__(self, why: str, stage: str) -> None:
        super().__init__(why)
        self.why = why
        self.stage = stage


class _Worker:
    """One child process; used by one thread at a time."""

    def __init__(self) -> None:
        environment = dict(os.environ)
        package = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package, environment.get("PYTHONPATH"))))
        self.ready = False
        self._expired = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "digitscan.batch.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal is the parent's business, and the group ends as one
        )

    def ask(self, task: str, *given: Any, timeout_s: float = 0.0) -> Any:
        """Hand a task over and wait for its answer.

        Raises
        ------
        WorkerLostError
            If the process ends before it answers, or `timeout_s` passes (0 waits for ever).
        """
        stage = "ingest"
        watch = threading.Timer(timeout_s, self._expire) if timeout_s else None
        if watch is not None:
            watch.daemon = True
            watch.start()
        try:
            to, back = self._process.stdin, self._process.stdout
            if to is None or back is None:
                raise RuntimeError("a worker has pipes")
            write_frame(to, pickle.dumps((task, given), protocol=5))
            while True:
                kind, value = pickle.load(back)  # our own child's words
                if kind != "stage":
                    return value
                stage = value
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            # ValueError: another thread, which ended this worker, closed the pipe that is read here.
            self.end()
            raise WorkerLostError(self._why(timeout_s), stage) from error
        finally:
            if watch is not None:
                watch.cancel()

    def _expire(self) -> None:
        self._expired = True
        end_group(self._process)

    def _why(self, timeout_s: float) -> str:
        if self._expired:
            return f"took more than {timeout_s:g} s"
        code = self._process.returncode
        with contextlib.suppress(ValueError):
            return f"its worker was ended by {signal.Signals(-code).name}"
        return f"its worker ended with status {code}"

    def dismiss(self) -> None:
        """Have an idle process leave by itself, which clears up what it keeps on disk."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(3.0)
        self.end()

    def end(self) -> None:
        """Kill the process with all that it started, and wait for it."""
        end_group(self._process)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


_ahead: list[_Worker] = []


def start_ahead() -> None:
    """Start the first worker of a pool that is to come; it leaves with this process if none comes."""
    _ahead.append(_Worker())


class _Turnstile:
    """Many may pass together, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._closed = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()


def _met_its_limit(answer: Any) -> bool:
    """Whether a worker had no memory left: what it has taken by then may not come back for the next page."""
    told = getattr(answer, "outcome", getattr(answer, "settled", None))
    return getattr(told, "error", "") == "MemoryError"


_LOST = "look at the file: it may be damaged, or need more memory than batch.worker_memory_mb allows"


class WorkerPool:
    """Worker processes, as many as are busy, up to a limit. Any thread may ask.

    Parameters
    ----------
    jobs : int
        Workers at the most; 0 takes `default_jobs`.
    threads : int
        Of each worker's networks: with one, so many workers keep so many cores busy.
    """

    def __init__(self, jobs: int = 0, threads: int = 1) -> None:
        self.limit = jobs or default_jobs()
        self.threads = threads
        self._timeout_s = 0.0
        self._setup: Setup | None = None
        self._changed = threading.Condition()
        self._idle = [_ahead.pop() if _ahead else _Worker()]
        self._all = set(self._idle)
        self._gate = _Turnstile()
        self._closed = False

    def begin(self, setup: Setup) -> None:
        """Say what and how to read. Comes before the first page.

        A page that takes longer than ``setup.config.batch.page_timeout_s`` has its worker ended.
        """
        self._timeout_s = setup.config.batch.page_timeout_s
        self._setup = setup

    def list(self, source: str) -> list[PageRef | PageFailure]:
        """The pages of a source, or why it has none; a source that hangs or crashes its worker is a failure too."""
        from digitscan.core.types import PageRef

        answer: list[PageRef | PageFailure] = self._try_twice("list", PageRef(source), source)
        return answer if isinstance(answer, list) else [answer]

    def read(self, ref: PageRef, keep_image: bool) -> PageRead:
        """Read a page; one that costs its worker is tried once more alone, and then is a failure."""
        from digitscan.core.types import PageFailure
        from digitscan.pipeline.items import PageRead

        started = time.monotonic()
        answer: PageRead | PageFailure = self._try_twice("read", ref, ref, keep_image)
        took = time.monotonic() - started
        if isinstance(answer, PageFailure):
            return PageRead(answer, None, took)
        return PageRead(answer.outcome, answer.image, took)

    def prepare(self, ref: PageRef) -> PageTask:
        """Prepare a page for a classifier elsewhere; fails as `read` does."""
        from digitscan.core.types import PageFailure
        from digitscan.pipeline.items import PageTask

        answer: PageTask | PageFailure = self._try_twice("prepare", ref, ref)
        return PageTask(ref, settled=answer) if isinstance(answer, PageFailure) else answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        with self._changed:
            self._closed = True
            idle = [worker for worker in self._idle if worker.ready]
            others = self._all - set(idle)  # busy, or not even started
            self._changed.notify_all()
        for worker in others:
            worker.end()
        for worker in idle:
            worker.dismiss()

    def _try_twice(self, task: str, ref: PageRef, *given: Any) -> Any:
        from digitscan.core.types import PageFailure

        with contextlib.suppress(WorkerLostError), self._gate.together():
            return self._ask(task, *given)
        try:
            with self._gate.alone():
                return self._ask(task, *given)
        except WorkerLostError as lost:
            hung = lost.why.startswith("took")
            remedy = "raise --page-timeout, or look at the page" if hung else _LOST
            return PageFailure(ref, lost.stage, "WorkerLostError", f"{lost.why}, twice", remedy)

    def _ask(self, task: str, *given: Any) -> Any:
        worker = self._take()
        try:
            if not worker.ready:
                _raise_told(worker.ask("start", self._setup))
                worker.ready = True
            answer = worker.ask(task, *given, timeout_s=self._timeout_s)
        except BaseException:
            with self._changed:
                self._all.discard(worker)
                self._changed.notify()
            worker.end()
            raise
        spent = _met_its_limit(answer)
        with self._changed:
            (self._all.discard if spent else self._idle.append)(worker)
            self._changed.notify()
        if spent:
            worker.end()
        return answer

    def _take(self) -> _Worker:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._idle or len(self._all) < self.limit)
            if self._closed:
                raise WorkerLostError("the run was ended", "ingest")
            if self._idle:
                return self._idle.pop()  # the one used last, so that no more start than are needed
            worker = _Worker()
            self._all.add(worker)
            return worker


def default_jobs() -> int:
    """Workers that this machine can feed: the cores that this process may use."""
    return usable_cores()


def _raise_told(told: tuple[str, str, str] | None) -> None:
    """Raise what a worker could not start with."""
    if told is not None:
        name, message, remedy = told
        kind = getattr(errors, name, errors.DigitscanError)
        raise kind(message, remedy=remedy)
