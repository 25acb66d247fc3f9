"""Files that must not be harmed, and files that are none: sources, strangers, links, pipes, files that change."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from digitscan.batch.journal import JobFile
from digitscan.cli.app import app
from digitscan.core.errors import UsageError
from digitscan.core.targets import made_here, marked, refuse_foreign
from digitscan.core.types import RunInfo
from digitscan.export.atomic import AtomicFile, write_whole
from digitscan.export.writers import WRITERS, open_writer
from tests.small_form import write_template

run = CliRunner().invoke


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, links as they are."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


# ----------------------------------------------------------------------------------- outputs over sources and strangers


@pytest.mark.parametrize(
    "given",
    [
        ["--annotate", "{scans}"],
        ["--annotate", "{scans}/../scans"],
        ["--annotate", "{link}"],
        ["--annotate", "{strangers}"],
        ["--alto", "{strangers}"],
        ["--out", "{strangers}/r.csv"],
        ["--out", "{strangers}/r.json"],
        ["--out", "{strangers}/r.jsonl"],
        ["--out", "{strangers}/r.xlsx"],
        ["--out", "{strangers}/r.parquet"],
        ["--out", "{strangers}/r.hocr"],
        ["--out", "{strangers}/link.csv"],
        ["--job", "{scans}/p0.jpg"],
        ["--fresh", "--job", "{scans}/p0.jpg"],
        ["--fresh", "--job", "{strangers}/scan.jpg"],
        ["--fresh", "--job", "{strangers}/other.db"],
        ["--job", "{strangers}/other.db"],
        ["--fresh", "--job", "{strangers}/link.job"],
    ],
)
def test_what_digitscan_did_not_make_is_never_written_over(
    fake: None, scans: Path, tmp_path: Path, given: list[str]
) -> None:
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    for name in ("scan.jpg", "r.csv", "r.json", "r.jsonl", "r.xlsx", "r.parquet", "r.hocr", "p0.xml", "real.csv"):
        (strangers / name).write_bytes(b'{"a": 1}\nsomebody,else\n' * 30)
    (strangers / "link.csv").symlink_to(strangers / "real.csv")
    (strangers / "link.job").symlink_to(strangers / "real.csv")
    (tmp_path / "link").symlink_to(scans)
    database = sqlite3.connect(strangers / "other.db")
    database.execute("CREATE TABLE t (x)")
    database.close()
    before = hashes(tmp_path)
    places = {"scans": scans, "strangers": strangers, "link": tmp_path / "link"}
    result = run(app, ["process", str(scans), "-q", *(word.format(**places) for word in given)])
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error:") and len(result.stderr.strip().splitlines()) == 1
    assert hashes(tmp_path) == before


def test_a_picture_may_not_land_beside_its_single_source(fake: None, scans: Path) -> None:
    before = hashes(scans)
    assert run(app, ["process", str(scans / "p1.jpg"), "--annotate", str(scans), "-q"]).exit_code == 2
    assert hashes(scans) == before


def test_own_results_are_written_over(fake: None, scans: Path, tmp_path: Path) -> None:
    out = [str(tmp_path / f"r{suffix}") for suffix in WRITERS]
    given = [word for target in out for word in ("--out", target)]
    folders = [word for name in ("annotate", "alto", "tables") for word in (f"--{name}", str(tmp_path / name))]
    for _ in range(2):
        result = run(app, ["process", str(scans), *given, *folders, "--layout", "table", "--fresh", "-q"])
        assert result.exit_code == 0, result.output
    made = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".job"]
    assert all(made_here(path) for path in made if path.parent != scans) and len(made) == 3 + len(out) + 9
    assert not any(made_here(path) for path in scans.iterdir())
    (tmp_path / "own.csv").touch()  # an empty file is nobody's loss
    assert run(app, ["process", str(scans), "--out", str(tmp_path / "own.csv"), "-q"]).exit_code == 0


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_mark_changes_no_pixel(suffix: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    data = cv2.imencode(suffix, image)[1].tobytes()
    assert b"digitscan" in marked(data)
    read = [cv2.imdecode(np.frombuffer(d, np.uint8), cv2.IMREAD_GRAYSCALE) for d in (data, marked(data))]
    assert np.array_equal(read[0], read[1])


def test_a_file_that_came_while_the_run_went_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "r.csv"
    file = AtomicFile(target)
    file.write(b"file,page\n")
    target.write_text("somebody's")
    with pytest.raises(UsageError, match="did not write it"):
        file.commit()
    assert target.read_text() == "somebody's" and len(list(tmp_path.iterdir())) == 1


def test_devices_and_links_are_no_targets(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for target in (tmp_path / "pipe", tmp_path / "dangling", Path("/dev/null")):
        with pytest.raises(UsageError):
            refuse_foreign(target)
        with pytest.raises(UsageError):
            write_whole(target, b"x")
    assert not (tmp_path / "nowhere").exists() and Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    "command",
    [
        ["models", "export", "{target}.keras"],
        ["form", "new", "{blank}", "-o", "{target}.toml"],
        ["form", "new", "{blank}", "-o", "{target}.toml", "--force"],
        ["form", "new", "{blank}", "-o", "{blank}", "--force"],
        ["form", "print", "{template}", "-o", "{target}.png"],
        ["form", "check", "{template}", "-o", "{target}.png"],
        ["export", "{job}", "-o", "{target}.csv"],
        ["corrections", "export", "{job}", "{target}"],
    ],
)
def test_other_commands_pass_the_same_guard(
    command: list[str], tmp_path: Path, run_info: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.test_review import reviewed_job

    job = reviewed_job(tmp_path, run_info)
    template = write_template(tmp_path)
    assert run(app, ["form", "print", str(template), "-o", str(tmp_path / "blank.pdf")]).exit_code == 0
    blank = tmp_path / "blank.png"
    image = np.full((600, 500), 255, np.uint8)
    cv2.rectangle(image, (50, 50), (300, 110), 0, 3)
    cv2.imwrite(str(blank), image)
    target = tmp_path / "mine"
    for suffix in ("keras", "toml", "png", "csv"):
        target.with_suffix(f".{suffix}").write_text("mine")
    target.mkdir()
    for label in (*"0123456789", "not-a-digit"):
        (target / label).mkdir()
    monkeypatch.setattr("digitscan.review.labelled_crops", lambda job: [("7", "a", image)])
    (target / "7" / "a.png").write_text("mine")
    JobFile(job).close()
    before = {path: digest for path, digest in hashes(tmp_path).items() if "mine" in path or path == str(blank)}
    places = {"target": target, "blank": blank, "template": template, "job": job}
    result = run(app, [word.format(**places) for word in command])
    assert result.exit_code == 2, result.output
    assert {path: digest for path, digest in hashes(tmp_path).items() if path in before} == before


def test_a_job_of_digitscan_is_replaced_with_fresh(fake: None, scans: Path, tmp_path: Path) -> None:
    job = tmp_path / "r.job"
    for _ in range(2):
        given = ["--out", str(tmp_path / "r.json"), "--job", str(job), "--fresh", "-q"]
        assert run(app, ["process", str(scans), *given]).exit_code == 0
    file = JobFile(job)
    assert file.summary().pages == 3 and len(json.loads((tmp_path / "r.json").read_bytes())["pages"]) == 3
    file.close()


def test_an_aborted_run_leaves_the_old_result(tmp_path: Path, run_info: RunInfo) -> None:
    target = tmp_path / "r.csv"
    open_writer(str(target), run_info).close()
    old = target.read_bytes()
    with pytest.raises(RuntimeError), open_writer(str(target), run_info):
        raise RuntimeError
    assert target.read_bytes() == old
