"""What is learned: digits from crops, or whole lines. A task knows its data, its loss, and how well it is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from digitscan.core.types import CLASS_COUNT, CROP_SIZE, Crops, Posteriors
from digitscan.recognition.architectures import architecture
from digitscan.recognition.calibration import fit_temperature
from digitscan.recognition.lines import ALPHABET, LINE_CLASS_COUNT, LINE_HEIGHT, LINE_NORMALIZATION_VERSION, spell
from digitscan.recognition.normalize import NORMALIZATION_VERSION, normalize_all
from digitscan.training.drawing import GlyphBank
from digitscan.training.lines import line_samples
from digitscan.training.recipes import TrainingConfig
from digitscan.training.sources import GlyphSource, load_mnist
from digitscan.training.stream import (
    FileStream,
    Labels,
    LineStream,
    SampleStream,
    Stream,
    line_batch,
    training_sources,
    validation_rows,
)
from digitscan.training.synthesis import synthesize

_UNSEEN_SEED = 7_000_003
"""Added to a run's seed, so that what it is measured and calibrated with is nothing that it learned from."""


class Task(Protocol):
    """One kind of network: its data, its loss, its validation and its card."""

    @property
    def outputs(self) -> int:
        """Outputs of the network."""

    def loss(self) -> Any:
        """Keras' loss."""

    def metrics(self) -> list[str]:
        """Keras' metrics, computed in training."""

    def open(self) -> Stream:
        """Epochs to learn from."""

    def validate(self, network: Any) -> tuple[float, float]:
        """Loss, and the share that is right, of what the network does not learn from."""

    def card(self, network: Any) -> dict[str, Any]:
        """What the model's card says of a finished network."""


def task_for(config: TrainingConfig, data: Path | None, own: Sequence[str]) -> Task:
    """The task of a configuration; everything that can be wrong with its data is said here.

    Raises
    ------
    DataError
        If data is missing or broken.
    """
    return (LineTask if architecture(config.arch).reads_lines else CropTask)(config, data, own)


def _origins(sources: Sequence[GlyphSource]) -> list[dict[str, Any]]:
    return [{"name": s.name, "glyphs": len(s.glyphs), "weight": s.weight} for s in sources if s.glyphs]


def _predict(network: Any, crops: Crops) -> Posteriors:
    inputs = crops[:, :, :, None].astype(np.float32) / np.float32(255)
    return np.asarray(network.predict(inputs, batch_size=512, verbose=0), np.float32)


class CropTask:
    """Which digit a crop is, if any: the default recipe, or one from MNIST alone as its author published it."""

    def __init__(self, config: TrainingConfig, data: Path | None, own: Sequence[str]) -> None:
        self._config, self._data, self._own = config, data, own
        images, truth = load_mnist("train", data)
        held = validation_rows(len(truth), config)
        self._raw = normalize_all([images[k] for k in np.flatnonzero(~held)]), truth[~held]
        self._validation = normalize_all([images[k] for k in np.flatnonzero(held)]), truth[held]
        self._published = config.recipe == "published"
        self._sources = [] if self._published else training_sources(config, data, own)
        self.outputs: int = architecture(config.arch).published_classes if self._published else CLASS_COUNT

    def loss(self) -> Any:
        """Cross-entropy of the posteriors."""
        import keras

        return keras.losses.CategoricalCrossentropy(label_smoothing=self._config.label_smoothing)

    def metrics(self) -> list[str]:
        """Accuracy."""
        return ["accuracy"]

    def open(self) -> Stream:
        """Crops, drawn or as published."""
        if self._published:
            return FileStream(self._config, self._raw, self.outputs)
        return SampleStream(self._config, self._data, self._raw, self._own)

    def validate(self, network: Any) -> tuple[float, float]:
        """Cross-entropy in nats, and accuracy, of the MNIST digits that are held out."""
        crops, labels = self._validation
        posteriors = _predict(network, crops)
        own = posteriors[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(own, 1e-7)).mean()), float((posteriors.argmax(1) == labels).mean())

    def _unseen(self) -> list[tuple[Crops, Labels]]:
        """What confidence is fitted on. Real pages are harder than MNIST, and it must hold on both."""
        if self._published:
            return [self._validation]
        count, seed = len(self._validation[1]), self._config.seed + _UNSEEN_SEED
        bank = GlyphBank.of(self._sources)
        return [self._validation, synthesize(bank, count, seed, 0.0, self._config.number_share)]

    def card(self, network: Any) -> dict[str, Any]:
        """Input, classes, temperature, origins and held-out accuracy."""
        unseen = self._unseen()
        posteriors = np.concatenate([_predict(network, crops) for crops, _ in unseen])
        labels = np.concatenate([labels for _, labels in unseen])
        mnist = {"name": "mnist-train", "glyphs": len(self._raw[1]), "weight": 1.0}
        return {
            "input_shape": (CROP_SIZE, CROP_SIZE, 1),
            "normalization_version": NORMALIZATION_VERSION,
            "classes": (*map(str, range(10)), "not-a-digit")[: self.outputs],
            "temperature": fit_temperature(posteriors, labels),
            "data": [mnist] if self._published else _origins(self._sources),
            "accuracy": {f"mnist-train-held-out-{len(self._validation[1])}": round(self.validate(network)[1], 5)},
        }


class LineTask:
    """What a whole line reads: every line is drawn, with known text."""

    outputs = LINE_CLASS_COUNT

    def __init__(self, config: TrainingConfig, data: Path | None, own: Sequence[str]) -> None:
        self._config, self._data, self._own = config, data, own
        self._sources = training_sources(config, data, own)
        count = min(config.held_out, 1_000)
        samples = line_samples(GlyphBank.of(self._sources), count, config.seed + _UNSEEN_SEED)
        self._validation = sorted(samples, key=lambda sample: sample.line.shape[1])

    def loss(self) -> Any:
        """Connectionist temporal classification."""
        import keras

        return keras.losses.CTC()

    def metrics(self) -> list[str]:
        """None: the text of a line is found after the network, not by it."""
        return []

    def open(self) -> Stream:
        """Drawn lines."""
        return LineStream(self._config, self._data, self._own)

    def validate(self, network: Any) -> tuple[float, float]:
        """CTC loss a line in nats, and the share of whole lines right, of lines that are drawn but never learned."""
        loss, right = 0.0, 0
        for start in range(0, len(self._validation), 64):
            samples = self._validation[start : start + 64]
            inputs, targets = line_batch(samples)
            logits = network.predict_on_batch(inputs)
            loss += float(self.loss()(targets, logits)) * len(samples)
            answers = np.asarray(logits).argmax(axis=-1)
            right += sum(spell(row) == sample.text for row, sample in zip(answers, samples, strict=True))
        return loss / len(self._validation), right / len(self._validation)

    def card(self, network: Any) -> dict[str, Any]:
        """Input, alphabet, origins and the share of drawn lines right."""
        return {
            "input_shape": (LINE_HEIGHT, 0, 1),
            "normalization_version": LINE_NORMALIZATION_VERSION,
            "classes": ("blank", *ALPHABET),
            "data": _origins(self._sources),
            "accuracy": {f"drawn-lines-{len(self._validation)}": round(self.validate(network)[1], 5)},
        }
