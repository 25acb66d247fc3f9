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
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from digitscan import reader as reader_module
from digitscan.cli.app import app
from digitscan.cli.lattices import lattice_sheet
from digitscan.core.config import Config
from digitscan.core.types import Layout, ModelInfo, PageRef, RasterPage
from digitscan.pipeline.prepare import prepare_page
from digitscan.segmentation.cuts import StringLattice
from tests.conftest import SAMPLES, AlwaysSeven, paper, put

run = CliRunner().invoke


class FakeClassifier(AlwaysSeven):
    """Stands in for the network: fast, and wrong in a known way."""

    info = ModelInfo("fake", "00", 1)
    device, batch_size, runtime = "cpu", 512, "fake"

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "Classifier", FakeClassifier)
    monkeypatch.setenv("DIGITSCAN_RECOGNITION__WHOLE_LINES", "false")
    monkeypatch.setenv("DIGITSCAN_BATCH__ISOLATED", "false")  # the fake lives in this process


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for k in range(3):
        image = paper(400, 200)
        put(image, "123", 60, 120)
        cv2.imwrite(str(folder / f"p{k}.png"), image)
    return folder


def test_help_of_every_command_has_examples() -> None:
    for command in ([], ["process"], ["segment"], ["predict"], ["train"], ["doctor"]):
        result = run(app, [*command, "--help"])
        assert result.exit_code == 0 and "Example" in result.output
    assert run(app, ["--version"]).output.startswith("digitscan 0.")


@pytest.mark.parametrize("arguments", [["--help"], ["process", "--help"], ["models", "--help"]])
def test_help_is_light(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['digitscan', *{arguments!r}]\nfrom digitscan.cli.start import main\n"
        "try:\n main()\nexcept SystemExit: pass\n"
        "heavy = {'cv2', 'tensorflow', 'keras', 'skimage', 'PIL'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_process_writes_what_was_asked_for(fake: None, scans: Path, tmp_path: Path) -> None:
    out = [tmp_path / name for name in ("r.csv", "r.json", "r.jsonl")]
    given = [a for path in out for a in ("--out", str(path))]
    result = run(app, ["process", str(scans), *given, "--annotate", str(tmp_path / "pictures"), "--orientation", "0"])
    assert result.exit_code == 0, result.output
    with out[0].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [r["text"] for r in rows] == ["777"] * 3 and {r["model"] for r in rows} == {"fake"}
    document = json.loads(out[1].read_bytes())
    assert [p["page"] for p in document["pages"]] == [1, 1, 1]
    assert len(out[2].read_text().splitlines()) == 4
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == ["p0.jpg", "p1.jpg", "p2.jpg"]
    assert "pages" in result.stderr and "777" not in result.stdout


def test_a_pipe_gets_csv(fake: None, scans: Path) -> None:
    for extra in ([], ["--out", "-"]):
        result = run(app, ["process", str(scans), "--quiet", *extra])
        assert [r["text"] for r in csv.DictReader(result.stdout.splitlines())] == ["777"] * 3
        assert result.stderr == ""


def test_a_list_on_standard_input(fake: None, scans: Path) -> None:
    listed = f"{scans / 'p2.png'}\n{scans / 'p0.png'}\n"
    result = run(app, ["process", "-", "-q"], input=listed)
    assert [Path(r["file"]).name for r in csv.DictReader(result.stdout.splitlines())] == ["p2.png", "p0.png"]


def test_bad_pages_are_named_and_the_rest_is_read(fake: None, scans: Path, tmp_path: Path) -> None:
    (scans / "a.pdf").write_bytes(b"")
    (scans / "b.tif").write_bytes(b"words")
    result = run(app, ["process", str(scans), "--out", str(tmp_path / "r.csv")])
    assert result.exit_code == 1
    assert "a.pdf, page 1, ingest: empty file (0 bytes); scan or copy it again" in result.stderr.replace("\n", " ")
    with (tmp_path / "r.csv").open(newline="") as stream:
        states = [r["state"] for r in csv.DictReader(stream)]
    assert sorted(states) == ["missing", "missing", "value", "value", "value"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["process", "gone.png"], 3, "no such file"),
        (["process", "x.png", "--out", "r.doc"], 2, ".csv"),
        (["process", "x.png", "--pages", "x"], 2, "1,3-5"),
        (["process", "x.png", "--config", "gone.toml"], 2, "gone.toml"),
        (["process"], 2, "sources"),
        (["process", "x.png", "--layout", "spiral"], 2, "spiral"),
        (["models", "show", "nope"], 4, "no model 'nope'"),
        (["segment", "gone.png"], 1, "No such file"),
        (["train", "--data", "gone", "--epochs", "1"], 4, "MNIST was not found; tried --data (gone)"),
        (["train", "--time-budget", "soon"], 2, "30m"),
    ],
)
def test_errors_teach_and_have_their_codes(
    fake: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(app, arguments)
    assert result.exit_code == code, result.output
    assert words in result.stderr.replace("\n", " ") and "Traceback" not in result.output


def test_a_missing_model_is_code_four(scans: Path) -> None:
    result = run(app, ["process", str(scans), "--model", "nope"])
    assert result.exit_code == 4 and "digitscan models list" in result.stderr.replace("\n", " ")


def test_outputs_are_checked_before_the_first_page(fake: None, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for given in (["--out", str(tmp_path / "file" / "r.csv")], ["--annotate", str(tmp_path / "file" / "p")]):
        result = run(app, ["process", str(scans), *given])
        assert result.exit_code == 5 and "cannot write" in result.stderr


def test_ctrl_c_writes_what_is_done(fake: None, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = reader_module.Reader.stream

    def interrupted(self, *sources, **options):  # type: ignore[no-untyped-def]
        stream = real(self, *sources, **options)
        yield next(stream)
        yield next(stream)
        stream.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(reader_module.Reader, "stream", interrupted)
    result = run(app, ["process", str(scans), "--out", str(tmp_path / "r.json")])
    assert result.exit_code == 130 and "what was read is written" in result.stderr
    assert len(json.loads((tmp_path / "r.json").read_bytes())["pages"]) == 2


def test_own_pictures_are_not_read(fake: None, scans: Path) -> None:
    for _ in range(2):
        result = run(app, ["process", str(scans), "--annotate", str(scans / "pictures"), "-q"])
        assert len(list(csv.DictReader(result.stdout.splitlines()))) == 3


def test_segment_draws_every_stage_and_loads_no_network(scans: Path, tmp_path: Path) -> None:
    arguments = ["digitscan", "segment", str(scans / "p0.png"), "--debug", "--out", str(tmp_path / "d")]
    code = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from digitscan.cli.start import main\ntry:\n main()\nexcept SystemExit as e: assert not e.code, e.code\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    names = sorted(p.name for p in (tmp_path / "d").iterdir())
    assert names[0] == "01-source.png" and names[-1].endswith("lines.png")
    assert all(any(stage in n for n in names) for stage in ("crops", "lattices", "candidates", "binarized"))
    assert "binarized" in done.stderr and all(cv2.imread(str(tmp_path / "d" / n)) is not None for n in names)


def test_scored_candidates_say_what_the_network_takes_them_for(tmp_path: Path) -> None:
    image = paper(300, 100)
    put(image, "77", 60, 75)
    cv2.line(image, (80, 60), (140, 60), 30, 4)  # one component, to be cut
    lattices = prepare(image)
    count = sum(len(lattice.candidates) for lattice in lattices)
    assert count > 2
    plain = lattice_sheet(lattices, number=True)
    scored = lattice_sheet(lattices, AlwaysSeven().classify(np.zeros((count, 28, 28), np.uint8)), number=True)
    red, green = (40, 40, 230), (60, 140, 20)
    assert (plain == red).all(axis=2).any() and not (plain == green).all(axis=2).any()
    assert (scored == green).all(axis=2).sum() > 60 and scored.shape[0] > plain.shape[0]
    assert lattice_sheet([], number=False).shape[2] == 3


def prepare(image: np.ndarray) -> list[StringLattice]:
    """The lattices of an image that is one string."""
    found: dict[str, Any] = {}
    prepare_page(
        RasterPage(PageRef("a"), image), Config(layout=Layout.LINE), look=lambda stage, x: found.update({stage: x})
    )
    return list(found["lattices"])


def test_segment_without_debug_lists_strings(scans: Path) -> None:
    rows = list(csv.DictReader(run(app, ["segment", str(scans / "p0.png")]).stdout.splitlines()))
    assert len(rows) == 1 and int(rows[0]["pieces"]) >= 3


def test_predict_reads_digits_anywhere(tmp_path: Path) -> None:
    light = paper(300, 200)
    put(light, "4", 200, 190, 1.2, 40, 4)
    cv2.imwrite(str(tmp_path / "light.png"), light)
    dark = np.zeros((90, 90), np.uint8)
    put(dark, "3", 10, 60, 1.5, 255, 5)
    cv2.imwrite(str(tmp_path / "dark.png"), dark)
    cv2.imwrite(str(tmp_path / "none.png"), paper(50, 50))
    result = run(app, ["predict", *(str(tmp_path / n) for n in ("light.png", "dark.png", "none.png"))])
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[1] for line in lines] == ["4", "3"] and all(len(line) == 14 for line in lines)
    assert result.exit_code == 1 and "no ink" in result.stderr


def test_models_and_doctor() -> None:
    listed = run(app, ["models", "list"]).stdout
    assert "digitnet" in listed and "Architectures" in listed
    assert json.loads(run(app, ["models", "show"]).stdout)["polarity"] == "ink-high"
    result = run(app, ["doctor"])
    assert result.exit_code == 0 and "a drawn 7 was read as 7" in result.stdout


def test_broken_pipe_is_quiet() -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = f"{sys.executable} -m digitscan segment {SAMPLES / 'table-printed.png'} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.startswith("page,") and "Traceback" not in done.stderr


def test_progress_as_json_lines(fake: None, scans: Path, tmp_path: Path) -> None:
    (scans / "broken.png").write_bytes(b"")
    result = run(
        app, ["process", str(scans), "--out", str(tmp_path / "r.csv"), "--alto", str(tmp_path / "alto"), "--log-json"]
    )
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["failed", "page", "page", "page", "end"]
    assert lines[0]["file"].endswith("broken.png") and lines[0]["stage"] == "ingest" and lines[0]["remedy"]
    end = lines[-1]
    assert (end["pages"], end["failed"], end["strings"], end["interrupted"]) == (3, 1, 3, False)
    assert end["wrote"] == [str(tmp_path / "r.csv"), f"3 ALTO files in {tmp_path / 'alto'}"]
    assert len(list((tmp_path / "alto").glob("*.xml"))) == 3


def test_ctrl_c_while_libraries_load_is_one_line() -> None:
    code = "import sys; from digitscan.cli.start import main; print('ready', flush=True); main()"
    # Where the tests run in the background of a shell, Ctrl-C is ignored, and so it would be by what they start.
    heed = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-c", code, "process", "nothing-here.png"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and told.strip() == "Interrupted."
