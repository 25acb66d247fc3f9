"""Files that must not be harmed, and files that are none: sources, strangers, links, pipes, files that change."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from digitscan.batch.watch import Inbox
from digitscan.cli.app import app
from digitscan.core.atomic import AtomicFile, write_whole
from digitscan.core.config import IngestConfig
from digitscan.core.errors import IngestError, UsageError
from digitscan.core.targets import made_here, marked, refuse_foreign
from digitscan.core.types import PageFailure, PageRef, PageResult, Quality, RunInfo
from digitscan.export.writers import WRITERS, open_writer
from digitscan.ingest.pages import list_pages, load_page
from digitscan.ingest.source import forget_open_sources
from digitscan.jobs.journal import JobFile, Journal
from tests.conftest import paper, put
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
    monkeypatch.setattr("digitscan.jobs.review.labelled_crops", lambda job: [("7", "a", image)])
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


# ----------------------------------------------------------------------------------- what is no file, what changes


def test_links_to_themselves_pipes_and_sockets_are_named_and_passed_by(fake: None, scans: Path, tmp_path: Path) -> None:
    for name in ("loop", "loop.png"):
        (scans / name).symlink_to(scans / name)
    (scans / "round").symlink_to(scans)
    os.mkfifo(scans / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(scans / "s.png"))
        started = time.monotonic()
        result = run(app, ["process", str(scans), "--out", str(tmp_path / "r.json"), "-q"])
        assert time.monotonic() - started < 20
    assert result.exit_code == 1
    pages = json.loads((tmp_path / "r.json").read_bytes())["pages"]
    failed = {Path(p["file"]).name: p["error"]["message"] for p in pages if p["error"]}
    assert failed == {
        "loop": "is a link that leads to itself",
        "loop.png": "is a link that leads to itself",
        "pipe.png": "is a named pipe, not a file",
        "s.png": "is a socket, not a file",
    }
    assert sum(p["status"] == "ok" for p in pages) == 3


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_a_source_that_is_named_and_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    with socket.socket(socket.AF_UNIX) as listening:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listening.bind(str(path))
        elif kind == "folder":
            path.mkdir()
        source = "/dev/zero" if kind == "device" else str(path)
        with pytest.raises(IngestError, match=kind):
            list(list_pages(source, IngestConfig()))
        with pytest.raises(IngestError, match=kind):
            load_page(PageRef(source), IngestConfig())


def test_a_pipe_in_a_watched_folder_is_told_and_left(tmp_path: Path) -> None:
    for name in ("in", "done", "failed"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "in" / "a.png")
    box = Inbox(tmp_path / "in", tmp_path / "done", tmp_path / "failed", settle_s=0)
    assert box.ready() == [] and not box.waiting
    assert box.refused == {str(tmp_path / "in" / "a.png"): "is a named pipe, not a file"}


def write_page(path: Path, text: str, frames: int = 1) -> None:
    image = Image.fromarray(paper(300, 120))
    pages = []
    for number in range(frames):
        canvas = np.asarray(image).copy()
        put(canvas, f"{text}{number}", 20, 90)
        pages.append(Image.fromarray(canvas))
    more = {"save_all": True, "append_images": pages[1:]} if frames > 1 else {}
    pages[0].save(path, **more)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pdf"])
def test_a_file_replaced_in_mid_run_is_filed_under_its_own_hash(tmp_path: Path, suffix: str) -> None:
    path, other = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_page(path, "1", 1 if suffix == ".png" else 2)
    write_page(other, "7", 1 if suffix == ".png" else 2)
    [first, *rest] = list_pages(str(path), IngestConfig())
    if rest:
        load_page(first, IngestConfig())  # its file is open now
    new = hashlib.sha256(other.read_bytes()).hexdigest()
    shown = load_page(PageRef(str(other), len(rest)), IngestConfig()).image
    other.replace(path)
    page = load_page((rest or [first])[0], IngestConfig())
    assert page.ref.sha256 == new != first.sha256
    assert np.array_equal(page.image, shown) and any("changed after" in warning for warning in page.warnings)


def test_a_file_rewritten_in_place_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_page(path, "1", 3)
    refs = list(list_pages(str(path), IngestConfig()))
    old = load_page(refs[0], IngestConfig())
    write_page(path, "2", 3)
    page = load_page(refs[1], IngestConfig())
    assert page.ref.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != old.ref.sha256


def test_a_file_that_changes_all_the_time_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_page(path, "1")
    monkeypatch.setattr("digitscan.ingest.source.Source.unchanged", lambda self: False)
    with pytest.raises(IngestError, match="changes while it is read"):
        load_page(PageRef(str(path)), IngestConfig())


def many_frames(count: int) -> bytes:
    """A TIFF of so many white frames of 8 x 8 pixels, which all show the same 64 bytes."""
    tags = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 8), (278, 8), (279, 64))
    entries = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    size, start = len(entries) + 4, 8 + 64
    nexts = (start + size * k if k < count else 0 for k in range(1, count + 1))
    frames = (entries + struct.pack("<I", after) for after in nexts)
    return b"II*\x00" + struct.pack("<I", start) + b"\xff" * 64 + b"".join(frames)


def many_pages(count: int) -> bytes:
    """A PDF of so many pages, which all show the same line."""
    kids = b" ".join(b"%d 0 R" % (4 + k) for k in range(count))
    line = zlib.compress(b"0 0 m 9 9 l S")
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[" % count + kids + b"]>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n" % len(line) + line + b"\nendstream",
        *[b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 3 0 R>>"] * count,
    ]
    out, places, start = [b"%PDF-1.4\n"], [], 9
    for number, part in enumerate(parts, 1):
        places.append(start)
        out.append(b"%d 0 obj" % number + part + b"endobj\n")
        start += len(out[-1])
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(parts) + 1
    end = b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (size, start)
    return b"".join(out) + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end


@pytest.mark.parametrize(("suffix", "make", "count"), [(".tif", many_frames, 1500), (".pdf", many_pages, 6000)])
def test_the_pages_of_a_long_file_cost_alike(
    suffix: str, make: Callable[[int], bytes], count: int, tmp_path: Path
) -> None:
    path = tmp_path / f"long{suffix}"
    path.write_bytes(make(count))
    refs = list(list_pages(str(path), IngestConfig()))
    assert len(refs) == count

    def seconds(part: list[PageRef]) -> float:
        started = time.process_time()
        for ref in part:
            load_page(ref, IngestConfig())
        return time.process_time() - started

    load_page(refs[0], IngestConfig())
    early, late = seconds(refs[10:110]), seconds(refs[-110:-10])
    assert late < 3 * early + 0.1  # it was 25 times as much
    forget_open_sources()


def test_files_that_stay_open_are_few(tmp_path: Path) -> None:
    for number in range(6):
        write_page(tmp_path / f"{number}.tif", "1", 2)
        refs = list(list_pages(str(tmp_path / f"{number}.tif"), IngestConfig()))
        assert [load_page(ref, IngestConfig()).image.shape for ref in refs] == [(120, 300)] * 2
    numbers = Path("/proc/self/fd")
    if numbers.is_dir():
        held = [str(number.readlink()) for number in numbers.iterdir() if number.is_symlink()]
        assert sum(str(tmp_path) in path for path in held) <= 2
    forget_open_sources()


# ----------------------------------------------------------------------------------- jobs that are damaged


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE pages SET outcome = x'7b22'",
        "UPDATE pages SET outcome = 'null', status = 'failed'",
        "UPDATE pages SET outcome = '{\"ref\": 7}'",
        "UPDATE run SET value = '{}' WHERE key = 'run'",
        "UPDATE run SET value = 'x' WHERE key = 'run'",
        "UPDATE run SET value = x'ff' WHERE key = 'run'",
        "UPDATE run SET value = 'yesterday' WHERE key = 'started'",
        "DROP TABLE statements",
        "DROP TABLE pages",
        "PRAGMA user_version = 99",
    ],
)
def test_a_damaged_job_is_told_in_one_line(damage: str, tmp_path: Path, run_info: RunInfo) -> None:
    path = tmp_path / "a.job"
    with Journal(path, run_info) as journal:
        journal.add(PageFailure(PageRef("a.png"), "ingest", "IngestError", "is empty"))
    database = sqlite3.connect(path)
    with database:
        database.execute(damage)
    database.close()
    for command in (["jobs", "show", str(path)], ["export", str(path), "-o", str(tmp_path / "r.json")]):
        done = run(app, command)
        assert done.exit_code in (0, 2), done.output  # some damage is beside what a command looks at
        assert len(done.stderr.strip().splitlines()) <= 1 and "Traceback" not in done.output
    codes = [run(app, command).exit_code for command in (["jobs", "show", str(path)], ["export", str(path), "-o", "-"])]
    assert 2 in codes


def test_a_page_whose_row_is_damaged_is_read_again(tmp_path: Path, run_info: RunInfo) -> None:
    path, ref = tmp_path / "a.job", PageRef("a.png", 0, "ab")
    page = PageResult(ref, 9, 9, None, 0.0, Quality(1.0, 9.0), ())
    with Journal(path, run_info) as journal:
        journal.add(page)
        assert journal.known(ref) == page
        journal._db.execute("UPDATE pages SET outcome = x'7b'")
        assert journal.known(ref) is None
