"""Uploaded folders and archives: unpacked with care, read one after the other, and kept for a while.

Nothing that a visitor names becomes a path: files lie under numbers, and their names are for showing only.
"""

from __future__ import annotations

import contextlib
import errno
import lzma
import queue
import re
import secrets
import shutil
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Literal, TypeVar

import cv2

from digitscan.batch.worker_pool import WorkerPool
from digitscan.core.config import Config
from digitscan.core.errors import DigitscanError, OutputError, UsageError
from digitscan.core.types import PageFailure, PageOutcome, PageResult
from digitscan.export.annotate import draw
from digitscan.export.wide import FormColumns
from digitscan.export.writers import WriterOptions, open_writer
from digitscan.forms.template import Template, load_template
from digitscan.ingest.discover import SUFFIXES
from digitscan.ingest.pages import load_page
from digitscan.jobs.journal import JobFile, Journal
from digitscan.jobs.review import ReviewDesk
from digitscan.reader import Reader
from digitscan.web.settings import WebSettings

Outcome = TypeVar("Outcome", PageResult, PageFailure, PageOutcome)
JobState = Literal["waiting", "reading", "done", "failed"]
_PIECE = 1 << 20
_MOST_TIMES_LARGER = 300
"""What an archive's entry may grow by: scans hardly shrink, bombs do."""


@dataclass(slots=True)
class WebJob:
    """One upload that is read as a batch."""

    id: str
    folder: Path
    names: dict[str, str] = field(default_factory=dict)
    """Names to show, by the number under which a file is stored."""
    form: str = ""
    state: JobState = "waiting"
    found: int = 0
    done: int = 0
    failed: int = 0
    readings: int = 0
    review: int = 0
    error: str = ""
    started: float = field(default_factory=time.time)
    ended: float = 0.0
    desk: ReviewDesk | None = None
    """Open for review, from the first time that somebody asks."""

    @property
    def journal(self) -> Path:
        """Its job file."""
        return self.folder / "upload.job"

    def remove(self) -> None:
        """Delete all that it keeps."""
        if self.desk is not None:
            self.desk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def shown(self, outcome: Outcome) -> Outcome:
        """A page under the name that its visitor gave it."""
        stored = Path(outcome.ref.path).name
        return replace(outcome, ref=replace(outcome.ref, path=self.names.get(stored, stored)))

    def as_read(self) -> Iterator[PageOutcome]:
        """The pages that are read so far, under their stored paths, with corrections."""
        if not self.journal.is_file():
            return
        file = JobFile(self.journal)
        try:
            yield from file.outcomes()
        finally:
            file.close()


class WebJobs:
    """All uploads of a server: read one after the other by processes of their own, forgotten after a while.

    Parameters
    ----------
    settings : WebSettings
    config : Config
    root : Path
        A folder that goes with the server.
    """

    def __init__(self, settings: WebSettings, config: Config, root: Path) -> None:
        self._settings, self._config = settings, config
        self._root = root / "jobs"
        self._root.mkdir()
        self._jobs: dict[str, WebJob] = {}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[WebJob | None] = queue.Queue()
        self._coming = 0
        """Uploads that are being unpacked; they count as jobs."""
        self._worker_pool: WorkerPool | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End what is read; the files go with the server's folder."""
        with self._lock:
            self._closed.set()
            worker_pool = self._worker_pool
        if worker_pool is not None:
            worker_pool.close()
        self._waiting.put(None)
        self._thread.join(timeout=10)
        for job in self._jobs.values():
            if job.desk is not None:
                job.desk.close()

    def get(self, key: str) -> WebJob | None:
        """A job by its id."""
        with self._lock:
            self._forget()
            return self._jobs.get(key)

    def all(self) -> list[WebJob]:
        """All jobs, the newest first."""
        with self._lock:
            self._forget()
            return sorted(self._jobs.values(), key=lambda job: -job.started)

    def delete(self, key: str) -> bool:
        """Forget a job that is not being read; gives whether there was one."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.state == "reading":
                return False
            del self._jobs[key]
        job.remove()
        return True

    def _forget(self) -> None:
        for key, job in list(self._jobs.items()):
            if job.ended and time.time() - job.ended > self._settings.keep_jobs_s:
                del self._jobs[key]
                job.remove()

    def desk(self, key: str) -> ReviewDesk | None:
        """A job that was read, open for review; None where there is none."""
        job = self.get(key)
        if job is None or not job.ended or not job.journal.is_file():
            return None
        with self._lock:
            if job.desk is None:
                job.desk = ReviewDesk(job.journal, self._config, job.names)
            return job.desk

    def add(self, files: Sequence[tuple[str, BinaryIO]], form: str = "") -> WebJob:
        """Take files, or archives of files, and put them in line.

        Raises
        ------
        UsageError
            If there are none that can be read, too many, too large a sum, or the form is not known; or too many jobs
            wait.
        """
        forms = {template.form.name for template in self._templates()}
        if form and form not in forms:
            raise UsageError(f"no form named {form[:60]!r}", remedy=f"choose from {', '.join(sorted(forms)) or 'none'}")
        with self._lock:
            self._forget()
            if len(self._jobs) + self._coming >= self._settings.most_jobs:
                raise UsageError("too many jobs are kept", remedy="delete one, or come back later")
            self._coming += 1
        key = secrets.token_hex(16)
        job = WebJob(key, self._root / key, form=form)
        try:
            job.folder.mkdir()
            _Unpacked(job, self._settings).take(files)
        except BaseException:
            shutil.rmtree(job.folder, ignore_errors=True)
            with self._lock:
                self._coming -= 1
            raise
        with self._lock:
            self._coming -= 1
            self._jobs[key] = job
        self._waiting.put(job)
        return job

    def _templates(self) -> list[Template]:
        return [load_template(path) for path in self._settings.templates]

    def columns(self, job: WebJob) -> tuple[FormColumns, ...]:
        """What a wide table has to know of a job's form; empty without one."""
        return tuple(FormColumns.of(t) for t in self._templates() if t.form.name == job.form)

    # ------------------------------------------------------------------------------------------------ reading

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            with self._lock:
                if self._closed.is_set():
                    return
                if self._jobs.get(job.id) is not job:  # deleted while it waited
                    continue
                job.state = "reading"
            try:
                self._read(job)
                job.state = "done"
            except Exception as error:  # noqa: BLE001  (one job's trouble is told, and the next one is read)
                job.state = "failed"
                job.error = str(error) if isinstance(error, DigitscanError) else f"{type(error).__name__}: {error}"
            job.ended = time.time()

    def _read(self, job: WebJob) -> None:
        chosen = [path for path, t in zip(self._settings.templates, self._templates(), strict=True)
                  if t.form.name == job.form]  # fmt: skip
        with WorkerPool() as worker_pool:
            with self._lock:
                self._worker_pool = worker_pool
                if self._closed.is_set():
                    return
            reader = Reader(self._config, forms=chosen, worker_pool=worker_pool)
            with Journal(job.journal, reader.run_info) as journal:
                stream = reader.stream(
                    *(job.folder / name for name in job.names), on_found=lambda found: setattr(job, "found", found)
                )
                try:
                    for page in stream:
                        if self._closed.is_set():  # what was given up has failed for no fault of its own
                            return
                        journal.add(page.outcome, seconds=page.seconds)
                        job.done += 1
                        job.failed += isinstance(page.outcome, PageFailure)
                        if isinstance(page.outcome, PageResult):
                            job.readings += len(page.outcome.readings)
                            job.review += sum(r.review for r in page.outcome.readings)
                finally:
                    stream.close()
                journal.finish()

    # ------------------------------------------------------------------------------------------------ results

    def results(self, job: WebJob, kind: str) -> Path:
        """A result file of a job, made anew: ``csv``, ``json``, ``jsonl`` or ``xlsx``."""
        file = JobFile(job.journal)
        out = job.folder / f"results-{secrets.token_hex(4)}.{kind}"
        try:
            with open_writer(str(out), file.run, WriterOptions(self.columns(job))) as writer:
                for outcome in file.outcomes():
                    image = None
                    if writer.wants_images and isinstance(outcome, PageResult):
                        image = load_page(outcome.ref, self._config.ingest).image
                    writer.write(job.shown(outcome), image)
        finally:
            file.close()
        return out

    def picture(self, job: WebJob, number: int) -> bytes:
        """The annotated page of that number, 1 for the first, as JPEG; empty where there is none."""
        for place, outcome in enumerate(job.as_read(), 1):
            if place == number:
                if not isinstance(outcome, PageResult):
                    return b""
                image = load_page(outcome.ref, self._config.ingest).image
                return bytes(
                    cv2.imencode(".jpg", draw(image, job.shown(outcome)), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
                )
        return b""


class _Unpacked:
    """Files of an upload on their way to disk, counted."""

    def __init__(self, job: WebJob, settings: WebSettings) -> None:
        self._job, self._settings = job, settings
        self._bytes = 0

    def take(self, files: Sequence[tuple[str, BinaryIO]]) -> None:
        for name, stream in files:
            head = stream.read(4)
            stream.seek(0)
            if head == b"PK\x03\x04":
                self._archive(stream)
            elif PurePosixPath(name).suffix.lower() in SUFFIXES:
                self._store(name, stream, self._settings.max_job_bytes)
        if not self._job.names:
            raise UsageError("nothing in it can be read", remedy="send images, PDFs, or a ZIP archive of them")

    def _archive(self, stream: BinaryIO) -> None:
        with _telling_of_damage():
            archive = zipfile.ZipFile(stream)
        with archive:
            for entry in archive.infolist():
                name = PurePosixPath(entry.filename.replace("\\", "/"))
                if entry.is_dir() or name.name.startswith(".") or "__MACOSX" in name.parts:
                    continue
                if name.suffix.lower() not in SUFFIXES:
                    continue
                if entry.flag_bits & 1:
                    raise UsageError("the archive has a password", remedy="pack it without one")
                # What an archive says of itself may be a lie: what comes out is counted as well.
                most = max(entry.compress_size, 1) * _MOST_TIMES_LARGER
                with _telling_of_damage():
                    source = archive.open(entry)
                with source:
                    self._store(str(name), source, most)

    def _store(self, name: str, source: IO[bytes], most: int) -> None:
        job, settings = self._job, self._settings
        if len(job.names) >= settings.most_files:
            raise UsageError(f"more than {settings.most_files} files", remedy="send fewer at once")
        suffix = PurePosixPath(name).suffix.lower()
        stored = f"{len(job.names) + 1:06d}{suffix if re.fullmatch(r'[.][a-z]{2,5}', suffix) else ''}"
        taken = 0
        for piece in _pieces(source):
            taken += len(piece)
            self._bytes += len(piece)
            if taken > most or self._bytes > settings.max_job_bytes:
                raise UsageError(
                    "the upload is too large, or grows too much when it is unpacked",
                    remedy=f"send at most {settings.max_job_bytes // 1_000_000} MB of scans at once",
                )
            self._keep(job.folder / stored, piece)
        if not taken:
            self._keep(job.folder / stored, b"")
        job.names[stored] = "".join(c for c in name if c.isprintable())[-200:] or stored

    def _keep(self, path: Path, piece: bytes) -> None:
        try:
            with path.open("ab") as target:
                target.write(piece)
        except OSError as error:
            full = error.errno == errno.ENOSPC
            why = "the server's disk is full" if full else error.strerror or str(error)
            raise OutputError(
                f"cannot keep the upload: {why}", remedy="delete older jobs, or tell who runs it"
            ) from error


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while True:
        with _telling_of_damage():
            piece = source.read(_PIECE)
        if not piece:
            return
        yield piece


@contextlib.contextmanager
def _telling_of_damage() -> Iterator[None]:
    """Make what the unpackers raise over broken bytes one line; each of them has errors of its own."""
    try:
        yield
    except (
        zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,  # bz2 raises the last two
        NotImplementedError, RuntimeError,  # a way of packing that Python does not know
    ) as error:  # fmt: skip
        raise UsageError(f"the archive is damaged: {error}", remedy="pack it again") from error
