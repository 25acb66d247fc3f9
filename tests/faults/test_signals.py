"""Signals that ask a run to end: what was read is written, nothing is left, and the status says which signal it was."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from digitscan.core.errors import ExitCode
from tests.faults.runs import POSIX, SlowPoppler, alive, descendants, events, small_scans, started, until_read, wait_for

pytestmark = pytest.mark.skipif(not POSIX, reason="signals of POSIX")
SIGNALS = [
    (signal.SIGINT, ExitCode.INTERRUPTED),
    (signal.SIGTERM, ExitCode.TERMINATED),
    (signal.SIGHUP, ExitCode.HUNG_UP),
]


def files_read(results: Path) -> list[str]:
    with results.open(newline="") as stream:
        return [Path(row["file"]).name for row in csv.DictReader(stream)]


@pytest.mark.parametrize(("signum", "code"), SIGNALS, ids=["INT", "TERM", "HUP"])
def test_a_signal_writes_what_was_read_and_leaves_nothing(tmp_path: Path, signum: int, code: int) -> None:
    slow = SlowPoppler(tmp_path / "poppler", 60)
    out = tmp_path / "out"
    sources = [*small_scans(tmp_path / "scans"), slow.page]
    environment = slow.environment | {"DIGITSCAN_BATCH__STOP_GRACE_S": "1"}
    with started("process", *sources, "--out", str(out / "r.csv"), "--log-json", "-j2", env=environment) as run:
        until_read(run, 2)
        drawing = slow.wait_until_busy()
        below = descendants(run.pid)
        asked = time.monotonic()
        run.send_signal(signum)
        told = next(events(run))
        assert time.monotonic() - asked < 0.9
        assert told["event"] == "stopping" and told["waits_for"] == [f"{slow.page}, page 1"] and told["grace_s"] == 1
        last = list(events(run))[-1]
        assert run.wait(5) == code and time.monotonic() - asked < 6
    assert last["event"] == "end" and last["interrupted"] is True
    assert files_read(out / "r.csv") == ["p0.png", "p1.png"]
    assert sorted(path.name for path in out.iterdir()) == ["r.csv", "r.job"]
    assert drawing in below
    wait_for(lambda: not any(map(alive, below)), "the processes of the run to end", 5)


def test_what_is_being_read_may_finish(tmp_path: Path) -> None:
    slow = SlowPoppler(tmp_path / "poppler", 1.5)
    sources = [*small_scans(tmp_path / "scans", 1), slow.page, *small_scans(tmp_path / "more", 40)]
    out = tmp_path / "r.jsonl"
    with started("process", *sources, "--out", str(out), "-q", "-j1", env=slow.environment) as run:
        slow.wait_until_busy()
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=10)
        assert run.returncode == 143
    assert f"waiting up to 5 s for {slow.page}, page 1" in told and "again does not wait" in told
    pages = [json.loads(line) for line in out.read_text().splitlines()[1:]]
    assert [Path(page["file"]).name for page in pages] == ["p0.png", "slow.pdf"]
    assert [page["status"] for page in pages] == ["ok", "ok"]


def test_a_second_ctrl_c_waits_for_nothing_and_still_writes(tmp_path: Path) -> None:
    slow = SlowPoppler(tmp_path / "poppler", 60)
    sources = [*small_scans(tmp_path / "scans", 1), slow.page]
    environment = slow.environment | {"DIGITSCAN_BATCH__STOP_GRACE_S": "60"}
    with started("process", *sources, "--out", str(tmp_path / "r.csv"), "--log-json", env=environment) as run:
        until_read(run, 1)
        slow.wait_until_busy()
        run.send_signal(signal.SIGINT)
        assert next(events(run))["event"] == "stopping"
        time.sleep(0.4)
        asked = time.monotonic()
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=10)
        assert run.returncode == 130 and time.monotonic() - asked < 5
    assert files_read(tmp_path / "r.csv") == ["p0.png"]


def test_any_number_of_ctrl_cs_at_any_time_is_130(tmp_path: Path) -> None:
    sources = small_scans(tmp_path / "scans", 30)
    with started("process", *sources, "--out", str(tmp_path / "r.csv"), "--log-json") as run:
        until_read(run, 3)
        while run.poll() is None:
            run.send_signal(signal.SIGINT)
            time.sleep(0.01)
        assert run.returncode == 130


@pytest.mark.parametrize("isolated", [True, False])
def test_a_list_that_does_not_come_keeps_nobody(tmp_path: Path, isolated: bool) -> None:
    (source,) = small_scans(tmp_path / "scans", 1)
    environment = {**os.environ, "DIGITSCAN_BATCH__ISOLATED": str(isolated).lower()}
    command = ("process", "-", "--out", str(tmp_path / "r.csv"), "--log-json")
    with started(*command, env=environment, stdin=subprocess.PIPE) as run:
        assert run.stdin is not None
        run.stdin.write(f"{source}\n")
        run.stdin.flush()
        time.sleep(3.0)  # it waits for the next line
        run.send_signal(signal.SIGTERM)
        assert run.wait(8) == 143
    assert files_read(tmp_path / "r.csv") == ["p0.png"]


def test_a_signal_before_the_first_page_leaves_older_results(tmp_path: Path) -> None:
    out = tmp_path / "r.csv"
    older = "file,page,field,row,column\n"
    out.write_text(older)
    with started("process", "-", "--out", str(out), "--no-job", "--log-json", stdin=subprocess.PIPE) as run:
        wait_for(lambda: any(tmp_path.glob(".*.part")), "the outputs to be opened")
        run.send_signal(signal.SIGTERM)
        last = list(events(run))[-1]
        assert run.wait(8) == 143
    assert out.read_text() == older and [path.name for path in tmp_path.iterdir()] == ["r.csv"]
    assert last["event"] == "end" and last["wrote"] == []


@pytest.mark.parametrize(("signum", "code"), SIGNALS, ids=["INT", "TERM", "HUP"])
def test_a_signal_while_libraries_load_is_one_line(signum: int, code: int) -> None:
    with started("process", "nothing-here.png") as run:
        wait_for(lambda: bool(descendants(run.pid)), "the first worker")
        worker = descendants(run.pid)
        run.send_signal(signum)
        _, told = run.communicate(timeout=10)
    assert run.returncode == code and told.strip() == "Interrupted."
    wait_for(lambda: not any(map(alive, worker)), "the worker to end", 5)


@pytest.mark.parametrize(("signum", "code"), SIGNALS, ids=["INT", "TERM", "HUP"])
def test_a_signal_between_the_commands_and_the_end_has_its_own_code(signum: int, code: int) -> None:
    """The library that parses options makes 130 of any interruption, or 1."""
    program = f"""
import os, signal, sys
import digitscan.cli.app
from digitscan.cli import start
def between():
    os.kill(os.getpid(), {int(signum)})
digitscan.cli.app.app.callback()(between)
sys.argv = ["digitscan", "doctor"]
start.main()
"""
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=30, check=False, preexec_fn=heed
    )
    assert done.returncode == code


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """``nohup`` has SIGHUP ignored: the run goes on when its terminal closes."""
    sources = small_scans(tmp_path / "scans", 3)
    code = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "digitscan", "process", *sources, "--log-json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        until_read(run, 1)
        run.send_signal(signal.SIGHUP)
        run.communicate(timeout=20)
        assert run.returncode == 0


def test_a_terminal_that_closes_costs_no_result(tmp_path: Path) -> None:
    import pty

    slow = SlowPoppler(tmp_path / "poppler", 60)
    sources = [*small_scans(tmp_path / "scans", 1), slow.page]
    pid, terminal = pty.fork()
    if pid == 0:  # all that the child does is to become the run
        environment = slow.environment | {"DIGITSCAN_BATCH__STOP_GRACE_S": "1"}
        command = [sys.executable, "-m", "digitscan", "process", *sources, "--out", str(tmp_path / "r.csv")]
        os.execve(sys.executable, command, environment)
    try:
        slow.wait_until_busy()
        below = descendants(pid)
    finally:
        os.close(terminal)
    ended: list[int] = []

    def has_ended() -> bool:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(done)

    wait_for(has_ended, "the run to end", 8)
    assert ended == [129] and files_read(tmp_path / "r.csv") == ["p0.png"]
    wait_for(lambda: not any(map(alive, below)), "its processes to end", 5)


def test_a_watched_folder_ends_on_a_signal(tmp_path: Path) -> None:
    slow = SlowPoppler(tmp_path / "poppler", 60)
    small_scans(tmp_path / "in", 1)
    out = tmp_path / "r.csv"
    doors = ("--done", str(tmp_path / "done"), "--failed", str(tmp_path / "failed"))
    with started(
        "watch", str(tmp_path / "in"), *doors, "--out", str(out), "--settle", "0", "--poll", "0.1", env=slow.environment
    ) as run:
        wait_for(lambda: (tmp_path / "done" / "p0.png").exists(), "the first file")
        late = tmp_path / "in" / "slow.pdf"
        Path(slow.page).rename(late)
        drawing = slow.wait_until_busy()
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=8)
        assert run.returncode == 143 and "what was read is written" in told
    assert files_read(out) == ["p0.png"] and late.exists()
    assert not list(tmp_path.glob(".*.part")) and not list(tmp_path.glob("*-wal"))
    wait_for(lambda: not alive(drawing), "pdftoppm to end", 5)
