"""Threads and child processes: what they share is given back, and nothing outlives the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from digitscan.batch.worker import Inbox
from digitscan.core.processes import read_frame, write_frame
from digitscan.recognition import quiet
from tests.faults.runs import POSIX, SlowPoppler, alive, descendants, events, small_scans, started, wait_for

posix = pytest.mark.skipif(not POSIX, reason="process groups of POSIX")


def test_standard_error_comes_back_whoever_leaves_first(capfd: pytest.CaptureFixture[str]) -> None:
    """The second thread enters while the first is inside, and leaves after it: the order that lost the descriptor."""
    second_is_inside, first_is_out = threading.Event(), threading.Event()

    def first() -> None:
        os.write(2, b"first inside\n")
        assert second_is_inside.wait(10)

    def second() -> None:
        second_is_inside.set()
        assert first_is_out.wait(10)
        os.write(2, b"second inside\n")

    def enter_first() -> None:
        quiet.without_notes(first)
        first_is_out.set()

    before = os.fstat(2)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(enter_first), pool.submit(quiet.without_notes, second)]:
            done.result(20)
    assert os.path.samestat(os.fstat(2), before)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_engines_in_many_threads_leave_standard_error_alone() -> None:
    code = """
import threading, os, sys
import numpy as np
from digitscan.recognition.engines import LightEngine
from digitscan.recognition.registry import LIGHT_FILE, locate
model = locate("") / LIGHT_FILE
start = threading.Barrier(4)
def use():
    for count in (1, 2, 3):
        engine = LightEngine(model, 1)
        start.wait(30)
        engine.run(np.zeros((count, 28, 28, 1), np.float32))
threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
os.write(2, b"still here")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "still here"


@posix
def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    slow = SlowPoppler(tmp_path / "poppler", 60)
    sources = [*small_scans(tmp_path / "scans"), slow.page]
    with started("process", *sources, "--out", str(tmp_path / "r.csv"), "-j2", env=slow.environment) as run:
        drawing = slow.wait_until_busy()
        below = descendants(run.pid)
        assert drawing in below and len(below) >= 3
        run.kill()
        wait_for(lambda: not any(map(alive, below)), "all processes of the run to end", 5)


@posix
def test_a_killed_worker_leaves_no_process_and_its_page_is_tried_again(tmp_path: Path) -> None:
    slow = SlowPoppler(tmp_path / "poppler", 60)
    with started("process", slow.page, "--out", str(tmp_path / "r.csv"), "--log-json", env=slow.environment) as run:
        for attempt in (1, 2):
            drawing = slow.wait_until_busy(attempt)
            (worker,) = [pid for pid in descendants(run.pid) if drawing in descendants(pid)]
            below = descendants(worker)
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda gone=below: not any(map(alive, gone)), "the worker's processes to end", 5)  # type: ignore[misc]
        failed = [event for event in events(run) if event["event"] == "failed"]
    assert [event["message"] for event in failed] == ["its worker was ended by SIGKILL, twice"]


@posix
def test_a_page_that_takes_too_long_leaves_no_process(tmp_path: Path) -> None:
    slow = SlowPoppler(tmp_path / "poppler", 60)
    out = str(tmp_path / "r.csv")
    with started("process", slow.page, "--page-timeout", "2", "--out", out, "--log-json", env=slow.environment) as run:
        slow.wait_until_busy()
        failed = next(event for event in events(run) if event["event"] == "failed")
        assert failed["message"] == "took more than 2 s, twice"
        run.communicate(timeout=10)
    assert len(slow.all_started()) == 2
    wait_for(lambda: not any(map(alive, slow.all_started())), "pdftoppm to end", 5)


@posix
def test_what_training_has_started_ends_with_it(tmp_path: Path) -> None:
    """A process of `multiprocessing` that waits for work does not see by itself that nobody will send any."""
    code = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from digitscan.core.processes import end_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""
    script = tmp_path / "pool.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        assert alive(child)
        run.kill()
    wait_for(lambda: not alive(child), "the child to end", 5)


def test_tasks_come_whole_and_in_order() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as asks, os.fdopen(writing, "wb") as to:
        for data in (b"", b"one", b"two" * 100_000):
            threading.Thread(target=write_frame, args=(to, data)).start()
            assert read_frame(asks) == data
        to.write(b"\x05\0\0\0\0\0\0\0cut")
        to.close()
        assert read_frame(asks) is None


def test_a_worker_without_a_task_is_told_that_none_will_come() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as asks:
        inbox = Inbox(asks)
        os.close(writing)
        assert inbox.next() is None
