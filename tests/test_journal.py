"""Job files: what was read is kept, known again by content, and written again; whatever ends the run."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from digitscan.batch.local import read_pages
from digitscan.cli.app import app
from digitscan.core.config import Config
from digitscan.core.errors import UsageError
from digitscan.core.types import (
    Alternative,
    Box,
    DigitReading,
    FieldReading,
    FormMatch,
    ModelInfo,
    PageFailure,
    PageRef,
    PageResult,
    Quality,
    RunInfo,
    State,
)
from digitscan.jobs.journal import JobFile, Journal, origin_of

RUN = RunInfo("1", ModelInfo("m", "f" * 64, 1), {"layout": "auto", "decode": {"min_confidence": 0.3}}, None)


def _result(path: str, sha256: str, page: int = 0) -> PageResult:
    digit = DigitReading(Box(1, 2, 3, 4), "7", 0.9, "1", 0.8)
    reading = FieldReading(
        "s1", 1, 2, "007", (digit,), 0.91, State.STRUCK, True, "why", (Alternative("001", 0.05),), Box(1, 2, 30, 40),
        written="0.07", raw="001", table="t", value="0.07",
    )  # fmt: skip
    quality = Quality(0.9, 20.0, ("w",))
    return PageResult(PageRef(path, page, sha256), 9, 8, 300.0, -0.5, quality, (reading,), FormMatch("f", 1, 0.9))


FAILED = PageFailure(PageRef("gone.png", 0, "b" * 64), "ingest", "IngestError", "is empty", "scan it again")


def test_everything_comes_back_as_it_went_in(tmp_path: Path) -> None:
    odd = "dir/\udcff\udcfe name.png"  # bytes that are no UTF-8
    outcomes = [_result("a.png", "a" * 64), FAILED, _result(odd, "c" * 64, 3)]
    with Journal(tmp_path / "r.job", RUN) as journal:
        for outcome in outcomes:
            journal.add(outcome)
        journal.finish()
    file = JobFile(tmp_path / "r.job")
    assert list(file.outcomes()) == outcomes
    assert file.run == RUN
    summary = file.summary()
    assert (summary.pages, summary.failed, summary.readings, summary.review) == (3, 1, 2, 2)
    assert summary.failures == (("ingest: is empty", 1),) and summary.finished
    file.close()


def test_pages_are_known_by_content_and_failures_are_tried_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "r.job", RUN) as journal:
        journal.add(_result("a.png", "a" * 64, 1))
        journal.add(FAILED)
    with Journal(tmp_path / "r.job", RUN) as journal:
        moved = PageRef("elsewhere/b.png", 1, "a" * 64)
        known = journal.known(moved)
        assert known is not None and known.ref == moved and known.readings[0].text == "007"
        assert journal.known(PageRef("a.png", 0, "a" * 64)) is None  # another page
        assert journal.known(PageRef("a.png", 1, "d" * 64)) is None  # the file has changed
        assert journal.known(PageRef("a.png", 1, "")) is None
        assert journal.known(FAILED.ref) is None
        assert journal.reused == 1


def test_a_page_that_is_read_again_takes_its_own_place(tmp_path: Path) -> None:
    with Journal(tmp_path / "r.job", RUN) as journal:
        journal.add(_result("a.png", "a" * 64))
        journal.add(_result("b.png", "b" * 64))
        journal.add(_result("a.png", "e" * 64))
    outcomes = list(JobFile(tmp_path / "r.job").outcomes())
    assert [(o.ref.path, o.ref.sha256[0]) for o in outcomes] == [("b.png", "b"), ("a.png", "e")]


def test_a_job_of_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    Journal(tmp_path / "r.job", RUN).close()
    other = dataclasses.replace(RUN, config={"layout": "auto", "decode": {"min_confidence": 0.5}})
    with pytest.raises(UsageError, match=r"config\.decode\.min_confidence: 0\.3 there, 0\.5 now.*--fresh"):
        Journal(tmp_path / "r.job", other)
    assert origin_of(RUN) != origin_of(other)
    with Journal(tmp_path / "r.job", other, fresh=True) as journal:
        assert journal.known(PageRef("a.png", 0, "a" * 64)) is None


@pytest.mark.parametrize("content", [b"x" * 4000, b"SQLite format 3\x00" + bytes(4080)])
def test_a_file_that_is_no_job_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.job"
    path.write_bytes(content)
    for opened in (lambda: Journal(path, RUN), lambda: JobFile(path)):
        with pytest.raises(UsageError, match="no job of digitscan"):
            opened()
    assert path.read_bytes() == content
    with pytest.raises(UsageError, match="no job"):
        JobFile(tmp_path / "none.job")


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.job"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE run (x)")
    other.commit()
    other.close()
    with pytest.raises(UsageError, match="no job of digitscan"):
        Journal(path, RUN)


def test_known_pages_are_not_loaded_and_keep_their_place(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((60, 60), 255, np.uint8))

    class Nothing:
        def classify(self, crops: np.ndarray) -> np.ndarray:
            return np.zeros((len(crops), 11), np.float32)

    def known(ref: PageRef) -> PageResult | None:
        return _result(ref.path, ref.sha256) if ref.path.endswith("b.png") else None

    paths = [str(tmp_path / f"{name}.png") for name in ("a", "b", "c")]
    read = list(read_pages(iter(paths), Nothing(), Config(), known=known, keep_images=True))
    assert [Path(page.outcome.ref.path).name for page in read] == ["a.png", "b.png", "c.png"]
    assert [page.image is None for page in read] == [False, True, False]
    assert isinstance(read[1].outcome, PageResult) and read[1].outcome.readings[0].text == "007"


# ------------------------------------------------------------------------------------- the command line


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(8):
        page = np.full((700, 900), 245, np.uint8)
        for row in range(6):
            text = str(rng.integers(10_000, 99_999))
            cv2.putText(page, text, (60, 100 + 90 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 30, 3, cv2.LINE_AA)
        cv2.imwrite(str(folder / f"page{k}.png"), page)
    return folder


def _process(scans: Path, out: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["process", str(scans), "--out", str(out), "--orientation", "0", *more])
    return done.exit_code, done.output


def test_running_again_reads_nothing_twice_and_writes_the_same(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.csv"
    assert _process(scans, out)[0] == 0
    first = out.read_bytes()
    code, told = _process(scans, out)
    assert code == 0 and "8 of these pages were read before" in told
    assert out.read_bytes() == first
    (scans / "page3.png").rename(scans / "page9.png")  # a moved file is known, at its new place
    code, told = _process(scans, out)
    assert code == 0 and "8 of these" in told and b"page9.png" in out.read_bytes()
    cv2.imwrite(str(scans / "page0.png"), np.full((700, 900), 245, np.uint8))
    assert "7 of these" in _process(scans, out)[1]
    code, told = _process(scans, out, "--min-confidence", "0.4")
    assert code == 2 and "read in another way" in told and "--fresh" in told
    assert _process(scans, out, "--min-confidence", "0.4", "--fresh")[0] == 0
    runner = CliRunner()
    shown = runner.invoke(app, ["jobs", "show", str(tmp_path / "r.job")])
    assert shown.exit_code == 0 and "finished" in shown.output and "8, 0 failed" in shown.output
    again = tmp_path / "again.json"
    assert runner.invoke(app, ["export", str(tmp_path / "r.job"), "--out", str(again)]).exit_code == 0
    assert len(json.loads(again.read_bytes())["pages"]) == 8


def test_no_job_is_kept_where_none_is_wanted(scans: Path, tmp_path: Path) -> None:
    assert _process(scans, tmp_path / "r.csv", "--no-job")[0] == 0
    assert not (tmp_path / "r.job").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(scans: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.csv", tmp_path / "r.csv"
    assert _process(scans, whole)[0] == 0
    command = [
        sys.executable,
        "-m",
        "digitscan",
        "process",
        str(scans),
        "--out",
        str(out),
        "--orientation",
        "0",
        "-j",
        "1",
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    job = tmp_path / "r.job"
    kept = 0
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        if job.exists():
            try:
                database = sqlite3.connect(f"file:{job}?mode=ro", uri=True)
                kept = database.execute("SELECT count(*) FROM pages").fetchone()[0]
                database.close()
            except sqlite3.Error:
                kept = 0
        if kept:
            break
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    code, told = _process(scans, out)
    assert code == 0
    assert kept >= 1 and " of these pages were read before" in told
    assert out.read_bytes() == whole.read_bytes()
