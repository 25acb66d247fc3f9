"""Threads and child processes: what they share is given back, and nothing outlives the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from digitscan.recognition import quiet


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
