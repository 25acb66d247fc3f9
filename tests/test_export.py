from __future__ import annotations

import csv
import errno
import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitscan.core.atomic import AtomicFile
from digitscan.core.errors import OutputError, UsageError
from digitscan.core.types import (
    Alternative,
    Box,
    DigitReading,
    FieldReading,
    ModelInfo,
    PageFailure,
    PageRef,
    PageResult,
    Quality,
    RunInfo,
    State,
)  # fmt: skip
from digitscan.export.annotate import annotation_path, draw, write_annotation
from digitscan.export.base import COLUMNS
from digitscan.export.writers import open_writer

HERE = Box(10, 20, 60, 30)


def reading(text: str = "007", confidence: float = 0.97, box: Box = HERE, **changes: object) -> FieldReading:
    digits = tuple(
        DigitReading(Box(box.x + 20 * k, box.y, 18, 30), d, confidence, "9", 0.5) for k, d in enumerate(text)
    )
    given = {"row": None, "column": None, "review": confidence < 0.9, "reason": "", "name": "s1", **changes}
    return FieldReading(
        text=text, digits=digits, confidence=confidence, state=State.VALUE, box=box,
        alternatives=(Alternative("001", 0.02),), **given,
    )  # type: ignore[arg-type]  # fmt: skip


def result(path: str = "a.png", *readings: FieldReading) -> PageResult:
    return PageResult(PageRef(path, 0, "ab"), 200, 100, 300.0, 0.25, Quality(0.7, 30.0), readings)


FAILURE = PageFailure(PageRef("bad.pdf", 2), "ingest", "IngestError", "the PDF is damaged", "print it again")


def test_nothing_read_still_gives_valid_files(tmp_path: Path, run_info: RunInfo) -> None:
    for name in ("a.csv", "a.json", "a.jsonl"):
        with open_writer(str(tmp_path / name), run_info):
            pass
    assert (tmp_path / "a.csv").read_bytes() == (",".join(COLUMNS) + "\r\n").encode()
    assert json.loads((tmp_path / "a.json").read_bytes())["pages"] == []
    assert json.loads((tmp_path / "a.jsonl").read_bytes())["schema"] == 1


def test_csv_keeps_zeros_names_and_failures(tmp_path: Path, run_info: RunInfo) -> None:
    target = tmp_path / "deep" / "r.csv"
    with open_writer(str(target), run_info) as writer:
        writer.write(result('odd, "name"\n.png', reading(row=2, column=3)))
        writer.write(FAILURE)
        writer.write(result("\udce9.png", reading()))
    with target.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["file"] == 'odd, "name"\n.png' and rows[0]["text"] == "007"
    assert (rows[0]["row"], rows[0]["column"], rows[0]["x"], rows[0]["height"]) == ("2", "3", "10", "30")
    assert rows[1]["state"] == "missing" and rows[1]["page"] == "3" and "print it again" in rows[1]["reason"]
    assert rows[2]["file"] == "\\xe9.png"


def test_json_is_the_contract(tmp_path: Path, run_info: RunInfo) -> None:
    target = tmp_path / "r.json"
    with open_writer(str(target), run_info) as writer:
        writer.write(result("a.png", reading(), reading("12", 0.5)))
        writer.write(FAILURE)
    document = json.loads(target.read_bytes())
    assert list(document) == ["schema", "digitscan", "model", "config", "pages"]
    both = replace(run_info, line_model=ModelInfo("lines", "11", 1))
    with open_writer(str(target), both) as writer:
        writer.write(FAILURE)
    assert json.loads(target.read_bytes())["line_model"] == {"id": "lines", "sha256": "11", "normalization_version": 1}
    page, failed = document["pages"]
    for key in ("file", "page", "width", "height", "dpi", "skew_degrees", "status", "error", "quality", "readings"):
        assert key in page and key in failed
    first = page["readings"][0]
    for key in (
        "field",
        "row",
        "column",
        "text",
        "written",
        "confidence",
        "state",
        "review",
        "reason",
        "box",
        "digits",
        "alternatives",
    ):
        assert key in first
    assert first["box"] == [10, 20, 60, 30]
    assert first["digits"][0] == {
        "digit": "0",
        "confidence": 0.97,
        "box": [10, 20, 18, 30],
        "runner_up": "9",
        "margin": 0.5,
    }
    assert first["alternatives"] == [{"text": "001", "probability": 0.02}]
    assert failed["status"] == "failed" and failed["error"]["remedy"] == "print it again" and failed["readings"] == []


def test_writers_stream(tmp_path: Path, run_info: RunInfo) -> None:
    page = result("a.png", *(reading() for _ in range(20)))
    tracemalloc.start()
    try:
        for name in ("r.csv", "r.json", "r.jsonl"):
            with open_writer(str(tmp_path / name), run_info) as writer:
                for _ in range(400):
                    writer.write(page)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "r.json").stat().st_size > 3_000_000
    assert peak < 1_500_000


def test_an_error_leaves_the_old_file_and_no_litter(tmp_path: Path, run_info: RunInfo) -> None:
    target = tmp_path / "r.csv"
    old = "file,page,field,row,column\n"
    target.write_text(old)
    with pytest.raises(RuntimeError), open_writer(str(target), run_info) as writer:
        writer.write(result())
        raise RuntimeError
    assert target.read_text() == old and [p.name for p in tmp_path.iterdir()] == ["r.csv"]


def test_ctrl_c_keeps_what_is_done(tmp_path: Path, run_info: RunInfo) -> None:
    target = tmp_path / "r.json"
    with pytest.raises(KeyboardInterrupt), open_writer(str(target), run_info) as writer:
        writer.write(result("a.png", reading()))
        raise KeyboardInterrupt
    assert len(json.loads(target.read_bytes())["pages"]) == 1


def test_places_that_cannot_be_written(tmp_path: Path, run_info: RunInfo) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.csv").mkdir()
    for target in (tmp_path / "file" / "r.csv", tmp_path / "folder.csv"):
        with pytest.raises(OutputError, match="cannot write") as caught:
            open_writer(str(target), run_info)
        assert caught.value.remedy
    with pytest.raises(UsageError, match=r"\.csv, \.xlsx, \.json, \.jsonl"):
        open_writer(str(tmp_path / "r.doc"), run_info)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AtomicFile(tmp_path / "r.csv")

    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    file._stream.close()
    monkeypatch.setattr(file, "_stream", Full())
    with pytest.raises(OutputError, match="the disk is full"):
        file.write(b"x")
    file.abort()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("shape", [(1, 1), (58, 175), (900, 700)])
def test_pictures_of_any_size(shape: tuple[int, int]) -> None:
    picture = draw(np.full(shape, 255, np.uint8), result("a.png", reading(box=Box(0, 0, shape[1], shape[0]))))
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[0] > shape[0]


def test_colours_tell_confidence_apart() -> None:
    page = np.full((900, 900), 255, np.uint8)
    colours = set()
    for confidence in (0.95, 0.7, 0.2):
        picture = draw(page, result("a.png", reading(confidence=confidence, box=Box(300, 300, 60, 30))))
        edge = picture[296:301, 296:301].reshape(-1, 3)
        colours.add(tuple(int(v) for v in edge[edge.sum(axis=1).argmin()]))
    assert len(colours) == 3


def test_picture_names_stay_in_the_folder_and_differ(tmp_path: Path) -> None:
    taken: set[str] = set()
    given = ["../../etc/passwd.png", "a/x.png", "b/x.png", "b/x.png", "\udce9\n.png", ".png"]
    paths = [annotation_path(tmp_path, PageRef(name), taken) for name in given]
    assert len(set(paths)) == len(given) and all(p.parent == tmp_path for p in paths)
    assert annotation_path(tmp_path, PageRef("s.pdf", 2), taken).name == "s-p0003.jpg"


def test_a_page_of_many_readings_is_written(tmp_path: Path) -> None:
    many = [reading(box=Box(10 + 70 * (k % 20), 40 + 35 * (k // 20), 60, 30)) for k in range(500)]
    path = write_annotation(tmp_path, np.full((1000, 1500), 255, np.uint8), result("a.png", *many), set())
    assert path.stat().st_size > 10_000


def test_close_rows_are_enlarged_and_stay_legible() -> None:
    page = np.full((1000, 1000), 255, np.uint8)
    rows = [reading(box=Box(100, 100 + 34 * k, 60, 30)) for k in range(20)]
    picture = draw(page, result("table.png", *rows))
    assert picture.shape[1] == 3000
    # Above the feet of its digits, no label of the next row covers a reading's ink.
    for row in rows[:-1]:
        inside = picture[3 * row.box.y + 9 : 3 * (row.box.y + 18), 3 * 140 : 3 * 158].reshape(-1, 3)
        assert (inside == 255).all(axis=1).mean() > 0.9
    apart = draw(page, result("page.png", *(reading(box=Box(100, 100 + 120 * k, 60, 30)) for k in range(6))))
    assert apart.shape[1] == 1000


def test_what_killed_runs_left_is_deleted_after_a_day(tmp_path: Path, run_info: RunInfo) -> None:
    old, young, other = (
        tmp_path / name for name in (".r.csv.0a1b2c3d.part", ".r.csv.4a1b2c3d.part", ".s.csv.0a1b2c3d.part")
    )
    for path in (old, young, other):
        path.write_text("x")
    for path in (old, other):
        os.utime(path, (1.0, 1.0))
    open_writer(str(tmp_path / "r.csv"), run_info).close()
    assert not old.exists() and young.exists() and other.exists()
