"""Disks that are full and streams that are closed: what can be written is, and nothing else is left."""

from __future__ import annotations

import csv
import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from digitscan.cli.app import app
from digitscan.cli.outputs import Results
from digitscan.core.errors import OutputError
from digitscan.core.streams import Lenient
from digitscan.core.types import RunInfo
from digitscan.export import excel
from digitscan.export.writers import open_writer
from digitscan.jobs.journal import JobFile
from tests.test_export import FAILURE

run = CliRunner().invoke


def full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_under_the_workbook_leaves_csv_job_and_no_litter(
    fake: None, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = tmp_path / "tmp"
    waiting.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(waiting))
    monkeypatch.setattr(excel._Sink, "write", full)
    out = tmp_path / "out"
    given = [word for name in ("r.csv", "r.xlsx") for word in ("--out", str(out / name))]
    done = run(app, ["process", str(scans), *given, "-q"])
    assert done.exit_code == 5 and "disk is full" in done.stderr and "Traceback" not in done.output
    assert sorted(path.name for path in out.iterdir()) == ["r.csv", "r.job"] and not list(waiting.iterdir())
    with (out / "r.csv").open(newline="") as stream:
        assert {Path(row["file"]).name for row in csv.DictReader(stream)} == {"p0.jpg", "p1.jpg", "p2.jpg"}
    job = JobFile(out / "r.job")
    assert job.summary().pages == 3
    job.close()


def test_rows_that_find_no_room_in_mid_run_end_their_file_alone(
    tmp_path: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Results() as results:
        for name in ("r.xlsx", "r.json"):
            results.add(open_writer(str(tmp_path / name), run_info))
        results.write(FAILURE)
        monkeypatch.setattr("xlsxwriter.worksheet.Worksheet.write_string", full)
        results.write(FAILURE)
        monkeypatch.undo()
    assert results.published == [str(tmp_path / "r.json")]
    with pytest.raises(OutputError, match="full"):
        results.raise_trouble()
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_a_run_without_any_result_left_ends(tmp_path: Path, run_info: RunInfo) -> None:
    with pytest.raises(OutputError), Results() as results:
        results.add(open_writer(str(tmp_path / "r.csv"), run_info))
        results._writers[0].write = full_output  # type: ignore[method-assign]
        results.write(FAILURE)
    assert not list(tmp_path.iterdir())


def full_output(*_: object) -> None:
    raise OutputError("the disk is full")


def process(scans: Path, *given: str, **options: object) -> subprocess.Popen[bytes]:
    environment = os.environ | {"DIGITSCAN_RECOGNITION__WHOLE_LINES": "false", "DIGITSCAN_BATCH__ISOLATED": "false"}
    command = [sys.executable, "-m", "digitscan", "process", str(scans), *given]
    return subprocess.Popen(command, env=environment, **options)  # type: ignore[call-overload, no-any-return]


def test_a_pipe_whose_reader_leaves_ends_that_output_alone(scans: Path, tmp_path: Path) -> None:
    given = "--out", str(tmp_path / "r.csv"), "--out", "-"
    with process(scans, *given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None and done.stderr is not None
        done.stdout.readline()
        done.stdout.close()
        said = done.stderr.read()
        assert done.wait(60) == 0 and b"Traceback" not in said and b"Exception ignored" not in said
    with (tmp_path / "r.csv").open(newline="") as stream:
        assert {Path(row["file"]).name for row in csv.DictReader(stream)} == {"p0.jpg", "p1.jpg", "p2.jpg"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_messages_that_find_no_room_fail_no_run(scans: Path, tmp_path: Path) -> None:
    (scans / "bad.png").write_bytes(b"junk")
    for more in ((), ("--log-json",)):
        with Path("/dev/full").open("wb", buffering=0) as no_room:
            done = process(scans, "--out", str(tmp_path / "r.csv"), "--fresh", *more, stdout=no_room, stderr=no_room)
            assert done.wait(60) == 1  # one page failed, and nothing else
        assert len((tmp_path / "r.csv").read_text().splitlines()) > 4


def test_closed_standard_streams_are_opened_on_nothing(scans: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys; os.closerange(0, 3)\n"
        f"os.execv(sys.executable, [sys.executable, '-m', 'digitscan', 'process', {str(scans)!r}, '--out', "
        f"{str(tmp_path / 'r.csv')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)
    assert done.returncode == 0
    with (tmp_path / "r.csv").open(newline="") as stream:
        assert {row["state"] for row in csv.DictReader(stream)} <= {"value", "blank"}


def test_a_lenient_stream_drops_what_it_cannot_write(tmp_path: Path) -> None:
    stream = (tmp_path / "log").open("w", encoding="utf-8")
    lenient = Lenient(stream)
    assert lenient.write("a") == 1 and not lenient.isatty() and lenient.encoding == "utf-8"
    stream.close()
    assert lenient.write("bc") == 2
    lenient.flush()
    assert (tmp_path / "log").read_text(encoding="utf-8") == "a"
