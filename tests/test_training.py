"""Training: recipes, runs that stop and go on, folds, and the card at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from digitscan.cli.app import app
from digitscan.core.errors import DataError, ModelError, OutputError, UsageError
from digitscan.core.types import NOT_A_DIGIT
from digitscan.recognition.architectures import ARCHITECTURES
from digitscan.recognition.averaging import average_models, taken_over
from digitscan.recognition.lines import ALPHABET, LINE_CLASS_COUNT
from digitscan.recognition.normalize import normalize_all
from digitscan.recognition.registry import read_card
from digitscan.recognition.runtime import Classifier, LineRecognizer
from digitscan.training import fit
from digitscan.training.drawing import GlyphBank
from digitscan.training.fit import cross_validate, load_network, schedule, train
from digitscan.training.history import EpochReport, read_log
from digitscan.training.recipes import PUBLISHED, TrainingConfig, config_for
from digitscan.training.sources import load_mnist
from digitscan.training.stream import CropBatches, validation_rows
from digitscan.training.synthesis import synthesize


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
    assert sorted(p.name for p in trained.iterdir()) == ["card.json", "log.csv", "model.keras", "model.tflite"]


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


def test_every_classic_network_has_its_authors_recipe() -> None:
    for arch in ARCHITECTURES.values():
        if arch.published_classes == 10:
            config = config_for(arch.id, "published")
            assert config.epochs == PUBLISHED[arch.id]["epochs"] and config.averaging == 0 == config.label_smoothing
    assert config_for("cnn-he-sgd", "published", epochs=1, batch_size=None).batch_size == 16
    quick = config_for("digitnet", "quick", seed=7)
    assert (quick.recipe, quick.time_budget_s, quick.seed, quick.batch_size) == ("quick", 900, 7, 128)
    assert config_for("digitnet", "quick", time_budget_s=60.0).time_budget_s == 60
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


def test_a_reader_of_lines_can_be_trained(data: Path, tmp_path: Path) -> None:
    config = config_for("linenet", name="lines", epochs=1, epoch_samples=192, batch_size=32, held_out=40)
    card = train(config, tmp_path, data=data)
    assert card.reads_lines and card.classes == ("blank", *ALPHABET) and card.input_shape == (32, 0, 1)
    assert set(card.accuracy) == {"drawn-lines-40"} and card.training["epochs_done"] == 1
    [answers] = LineRecognizer(str(tmp_path / "lines")).read([np.zeros((32, 64), np.uint8)])
    assert answers.shape == (16, LINE_CLASS_COUNT)


def test_the_mean_of_a_network_and_its_successor(data: Path, tmp_path: Path) -> None:
    config = config_for("mlp-128", "published", held_out=200, epochs=1, name="a")
    train(config, tmp_path, data=data)
    train(replace(config, name="b", start_from=str(tmp_path / "a"), seed=2), tmp_path, data=data)
    done = CliRunner().invoke(
        app, ["models", "average", str(tmp_path / "a"), str(tmp_path / "b"), "--name", "m", "--out", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    a, b, mean = (load_network(str(tmp_path / name), "mlp-128").get_weights() for name in "abm")
    assert all(np.allclose((x + y) / 2, m, atol=1e-6) for x, y, m in zip(a, b, mean, strict=True))
    assert read_card(tmp_path / "m").training["mean_of"] == ["a", "b"] and Classifier(str(tmp_path / "m"))
    with pytest.raises(ModelError, match="other layers"):
        average_models(str(tmp_path / "a"), "lenet-dl4j", tmp_path, "n")


def test_new_outputs_start_from_nothing() -> None:
    own = [np.ones((3, 2)), np.full((2, 5), 7.0), np.full(5, 7.0)]
    known = [np.zeros((3, 2)), np.zeros((2, 4)), np.zeros(4)]
    taken = taken_over(own, known)
    assert taken is not None and [w.shape for w in taken] == [w.shape for w in own]
    assert not taken[0].any() and not taken[1][:, :4].any() and (taken[1][:, 4] == 7).all() and taken[2][4] == 7
    assert taken_over(known, own) is None and taken_over(own, known[1:]) is None
