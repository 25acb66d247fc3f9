"""A watched folder: whole files once each, out by the right door, through crashes and odd guests."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from digitscan.batch.watch import Inbox, watch
from digitscan.cli.app import app
from digitscan.core.errors import UsageError
from digitscan.core.types import PageFailure, PageRef, RunInfo
from digitscan.jobs.journal import JobFile, Journal
from digitscan.pipeline.items import PageRead
from tests.conftest import paper, put
from tests.test_export import reading, result


def page_of(path: str, number: str, index: int = 0) -> PageRead:
    """A page that holds one number, with the hash of its file."""
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return PageRead(replace(result(path, reading(number)), ref=PageRef(path, index, sha256)), None)


class Reading:
    """Reads a file's text as its number; what begins with "bad" fails, and two-page files have two pages."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: str) -> Iterator[PageRead]:
        self.read.append(Path(path).name)
        text = Path(path).read_text()
        if text.startswith("bad"):
            yield PageRead(PageFailure(PageRef(path), "ingest", "IngestError", "is bad"), None)
            return
        for index, word in enumerate(text.split()):
            yield page_of(path, word, index)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    paths = tmp_path / "in", tmp_path / "done", tmp_path / "failed"
    paths[0].mkdir()
    return paths


def texts(job: Path) -> dict[str, list[str]]:
    file = JobFile(job)
    try:
        return {
            Path(o.ref.path).parent.name + "/" + Path(o.ref.path).name + f"#{o.ref.page_number}": (
                [] if isinstance(o, PageFailure) else [r.text for r in o.readings]
            )
            for o in file.outcomes()
        }
    finally:
        file.close()


def run_once(folders: tuple[Path, Path, Path], job: Path, read: Reading, run_info: RunInfo) -> Inbox:
    box = Inbox(*folders, settle_s=0)
    with Journal(job, run_info) as journal:
        list(watch(box, read, journal, poll_s=0.01, once=True))
    return box


def test_files_go_out_by_the_right_door(folders: tuple[Path, Path, Path], tmp_path: Path, run_info: RunInfo) -> None:
    inbox, done, failed = folders
    (inbox / "sub").mkdir()
    for name, text in (("a.png", "12"), ("b.pdf", "3 4"), ("c.png", "bad"), ("sub/a.png", "56"), (".hid.png", "7")):
        (inbox / name).write_text(text)
    read, job = Reading(), tmp_path / "r.job"
    run_once(folders, job, read, run_info)
    assert sorted(p.name for p in done.iterdir()) == ["a-2.png", "a.png", "b.pdf"]
    assert [p.name for p in failed.iterdir()] == ["c.png"] and [p.name for p in inbox.iterdir()] == [".hid.png", "sub"]
    assert texts(job) == {
        "done/a.png#1": ["12"], "done/b.pdf#1": ["3"], "done/b.pdf#2": ["4"], "failed/c.png#1": [],
        "done/a-2.png#1": ["56"],
    }  # fmt: skip


def test_a_growing_file_is_left_until_it_is_whole(folders: tuple[Path, Path, Path]) -> None:
    box = Inbox(*folders, settle_s=2.0)
    path = folders[0] / "a.png"
    path.write_text("1")
    assert box.ready(100.0) == [] and box.ready(101.0) == []
    path.write_text("12")
    assert box.ready(102.5) == [] and box.ready(104.0) == [] and box.ready(104.6) == [str(path)]


def test_links_out_of_the_folder_are_left_alone(
    folders: tuple[Path, Path, Path], tmp_path: Path, run_info: RunInfo
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_text("99")
    (folders[0] / "link.png").symlink_to(secret)
    (folders[0] / "away").symlink_to(tmp_path)
    read = Reading()
    box = run_once(folders, tmp_path / "r.job", read, run_info)
    assert not read.read and secret.exists()
    assert set(box.refused.values()) == {"a link out of the watched folder"}


def test_killed_between_recording_and_moving(
    folders: tuple[Path, Path, Path], tmp_path: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders[0] / "a.png").write_text("12")
    (folders[0] / "b.png").write_text("34")
    read, job = Reading(), tmp_path / "r.job"

    def pulled_plug(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", pulled_plug)
        with pytest.raises(KeyboardInterrupt):
            run_once(folders, job, read, run_info)
    assert (folders[0] / "a.png").exists() and texts(job) == {"done/a.png#1": ["12"]}
    run_once(folders, job, read, run_info)
    assert read.read == ["a.png", "b.png"] and not list(folders[0].iterdir())
    assert texts(job) == {"done/a.png#1": ["12"], "done/b.png#1": ["34"]}


def test_a_file_put_back_is_read_again(folders: tuple[Path, Path, Path], tmp_path: Path, run_info: RunInfo) -> None:
    inbox, done, failed = folders
    (inbox / "a.png").write_text("bad")
    job = tmp_path / "r.job"
    run_once(folders, job, Reading(), run_info)
    shutil.move(failed / "a.png", inbox / "a.png")

    def mended(path: str) -> Iterator[PageRead]:
        yield page_of(path, "8")

    run_once(folders, job, mended, run_info)  # type: ignore[arg-type]
    assert texts(job) == {"done/a.png#1": ["8"]} and (done / "a.png").exists()
    (inbox / "copy.png").write_text("bad")  # the same scan once more is a page of its own
    run_once(folders, job, mended, run_info)  # type: ignore[arg-type]
    assert texts(job) == {"done/a.png#1": ["8"], "done/copy.png#1": ["8"]}


def test_what_cannot_be_moved_is_told_once(
    folders: tuple[Path, Path, Path], tmp_path: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders[0] / "a.png").write_text("12")

    def read_only(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "move", read_only)
    read = Reading()
    box = run_once(folders, tmp_path / "r.job", read, run_info)
    assert read.read == ["a.png"] and "Permission denied" in next(iter(box.refused.values()))


def test_doors_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        Inbox(tmp_path / "nowhere", tmp_path / "d", tmp_path / "f")
    with pytest.raises(UsageError, match="watched folder itself"):
        Inbox(tmp_path, tmp_path, tmp_path / "f")


def a_scan(path: Path, number: str) -> None:
    image = paper(400, 200)
    put(image, number, 60, 120)
    ok, data = cv2.imencode(".png", image)
    assert ok
    path.write_bytes(data.tobytes())


def test_watching_by_the_command_line_with_all_inside_the_folder(tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    a_scan(inbox / "a.png", "271")
    (inbox / "b.png").write_bytes(b"")
    given = ["watch", str(inbox), "--done", str(inbox / "done"), "--failed", str(inbox / "failed"), "--out",
             str(inbox / "r.csv"), "--once", "--settle", "0.1", "--poll", "0.05", "-j", "1"]  # fmt: skip
    outcome = CliRunner().invoke(app, given)
    assert outcome.exit_code == 0, outcome.output
    with (inbox / "r.csv").open(newline="") as stream:
        rows = {Path(r["file"]).name: r for r in csv.DictReader(stream)}
    assert rows["a.png"]["text"] == "271" and rows["b.png"]["state"] == "missing"
    assert (inbox / "done" / "a.png").exists() and (inbox / "failed" / "b.png").exists()


def test_ctrl_c_writes_what_was_read(tmp_path: Path) -> None:
    inbox, out = tmp_path / "in", tmp_path / "r.csv"
    inbox.mkdir()
    a_scan(inbox / "a.png", "314")
    command = [sys.executable, "-m", "digitscan", "watch", str(inbox), "--done", str(tmp_path / "done"), "--failed",
               str(tmp_path / "failed"), "--out", str(out), "--settle", "0.1", "--poll", "0.1"]  # fmt: skip
    # Where the tests run in the background of a shell, Ctrl-C is ignored, and so it would be by what they start.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        ends = time.monotonic() + 60
        while not (tmp_path / "done" / "a.png").exists() and time.monotonic() < ends:
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None and "Traceback" not in process.stderr.read()
    assert ",314," in out.read_text()
