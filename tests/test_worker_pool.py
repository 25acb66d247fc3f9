"""Processes that read pages: the same digits as without them, and a page that costs its worker costs no other."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.hostile_files import pdf
from digitscan.batch.local import read_pages
from digitscan.batch.worker_pool import Setup, WorkerLostError, WorkerPool, _Worker
from digitscan.core.config import Config
from digitscan.core.errors import ModelError
from digitscan.core.types import PageFailure, PageRef, PageResult
from digitscan.recognition.registry import locate
from digitscan.recognition.runtime import Classifier
from tests.conftest import SAMPLES, AlwaysSeven

FILES = [str(SAMPLES / name) for name in ("cheque.jpg", "register.tif", "survey-form.png")]
QUICK = Config(imaging={"orientation": "0"}, recognition={"whole_lines": False})  # type: ignore[arg-type]


@pytest.fixture
def worker_pool() -> Iterator[WorkerPool]:
    with WorkerPool(2) as worker_pool:
        worker_pool.begin(Setup(QUICK, model=str(locate(""))))
        yield worker_pool


def a_slow_page(folder: Path, name: str = "hangs.pdf") -> str:
    """A page that takes a quarter of a minute and more to draw: a million lines, within the limit of memory."""
    path = folder / name
    path.write_bytes(pdf(b"0 0 m 500 800 l S 0 800 m 500 0 l S " * 600_000))
    return str(path)


def patient(worker_pool: WorkerPool, seconds: float) -> None:
    batch = QUICK.batch.model_copy(update={"page_timeout_s": seconds})
    worker_pool.begin(Setup(QUICK.model_copy(update={"batch": batch}), model=str(locate(""))))


def test_processes_read_as_threads_do(worker_pool: WorkerPool, classifier: Classifier) -> None:
    ours = list(read_pages(FILES, classifier, QUICK, keep_images=True))
    theirs = list(read_pages(FILES, None, QUICK, worker_pool=worker_pool, keep_images=True))
    assert [page.outcome for page in ours] == [page.outcome for page in theirs] and len(ours) == 4
    assert all((a.image == b.image).all() for a, b in zip(ours, theirs, strict=True) if a.image is not None)
    assert any(isinstance(page.outcome, PageResult) and len(page.outcome.readings) > 5 for page in theirs)


def test_processes_may_prepare_for_a_classifier_here(worker_pool: WorkerPool) -> None:
    seven = AlwaysSeven()
    pages = list(read_pages(FILES, seven, QUICK, worker_pool=worker_pool))
    assert seven.batches and all(isinstance(page.outcome, PageResult) for page in pages)
    texts = {r.text for page in pages if isinstance(page.outcome, PageResult) for r in page.outcome.readings}
    assert texts and all(set(text) == {"7"} for text in texts)


def test_bad_files_are_failures_and_cost_no_worker(worker_pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(Path(FILES[2]).read_bytes()[:5000])
    paths = [str(tmp_path / "empty.png"), FILES[0], str(tmp_path / "cut.png")]
    outcomes = [page.outcome for page in read_pages(paths, None, QUICK, worker_pool=worker_pool)]
    assert [type(o) for o in outcomes] == [PageFailure, PageResult, PageFailure]
    assert all(o.stage == "ingest" and o.error == "IngestError" for o in outcomes if isinstance(o, PageFailure))


def test_a_page_that_hangs_costs_itself_alone(worker_pool: WorkerPool, tmp_path: Path) -> None:
    list(
        read_pages(FILES[:1], None, QUICK, worker_pool=worker_pool)
    )  # the workers are there: only the page is waited for
    patient(worker_pool, 3.0)
    outcomes = [
        page.outcome
        for page in read_pages([FILES[0], a_slow_page(tmp_path), FILES[1]], None, QUICK, worker_pool=worker_pool)
    ]
    assert [type(o) for o in outcomes] == [PageResult, PageFailure, PageResult, PageResult]
    failed = outcomes[1]
    assert isinstance(failed, PageFailure) and failed.message == "took more than 3 s, twice"
    assert "--page-timeout" in failed.remedy and failed.stage == "ingest"


def test_a_worker_that_dies_is_replaced_and_its_page_named(worker_pool: WorkerPool, tmp_path: Path) -> None:
    pipe = PageRef(a_slow_page(tmp_path))
    killed: list[int] = []

    def kill_whoever_waits() -> None:
        while len(killed) < 2:
            time.sleep(0.2)
            for worker in list(worker_pool._all):
                if worker.ready and worker._process.pid not in killed:
                    time.sleep(0.5)
                    os.kill(worker._process.pid, signal.SIGSEGV)
                    killed.append(worker._process.pid)

    threading.Thread(target=kill_whoever_waits, daemon=True).start()
    outcome = worker_pool.read(pipe, False).outcome
    assert isinstance(outcome, PageFailure) and outcome.error == "WorkerLostError"
    assert "SIGSEGV" in outcome.message and len(killed) == 2
    assert isinstance(worker_pool.read(PageRef(FILES[0]), False).outcome, PageResult)


def test_what_a_worker_cannot_start_with_is_told(tmp_path: Path) -> None:
    with WorkerPool(1) as worker_pool:
        worker_pool.begin(Setup(QUICK, model=str(tmp_path / "nowhere")))
        with pytest.raises(ModelError, match="nowhere"):
            worker_pool.read(PageRef(FILES[0]), False)


def test_no_more_workers_than_are_asked_for(worker_pool: WorkerPool) -> None:
    list(read_pages(FILES * 2, None, QUICK, worker_pool=worker_pool, jobs=4))
    assert 1 <= len(worker_pool._all) <= 2


def test_a_closed_crew_gives_up_at_once(tmp_path: Path) -> None:
    worker_pool = WorkerPool(1)
    worker_pool.begin(Setup(QUICK, model=str(locate(""))))
    answers: list[object] = []
    asking = threading.Thread(
        target=lambda: answers.append(worker_pool.read(PageRef(a_slow_page(tmp_path)), False).outcome)
    )
    asking.start()
    time.sleep(1.5)
    worker_pool.close()
    asking.join(10)
    assert not asking.is_alive() and isinstance(answers[0], PageFailure)
    with pytest.raises(WorkerLostError, match="was ended"):
        worker_pool._ask("list", FILES[0])


def test_a_pipe_that_is_closed_under_its_reader_is_a_lost_worker() -> None:
    worker = _Worker()
    assert worker._process.stdout is not None
    worker._process.stdout.close()
    with pytest.raises(WorkerLostError):
        worker.ask("list", FILES[0])
