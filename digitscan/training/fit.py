"""Train a network from a stream of synthetic crops: read it from top to bottom."""

from __future__ import annotations

import datetime
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import DataError, ModelError, OutputError
from digitscan.core.types import CLASS_COUNT, CROP_SIZE, Crops
from digitscan.recognition.architectures import build
from digitscan.recognition.normalize import NORMALIZATION_VERSION, normalize_all
from digitscan.recognition.registry import MODEL_FILE, ModelCard, file_sha256, locate, read_card, write_card
from digitscan.recognition.runtime import quiet_tensorflow
from digitscan.training.handwriting import drawn_sources
from digitscan.training.sources import GlyphSource, font_sources, load_mnist, load_sources
from digitscan.training.synthesis import GlyphBank, synthesize

CHECKPOINT = "checkpoint.keras"
STATE = "state.json"
HELD_OUT = 5000
"""The last digits of MNIST's training file, kept for validation. The test file trains and tunes nothing."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that makes a run; saved in the model's card."""

    arch: str = "digitnet"
    name: str = "digitnet-local"
    epochs: int = 40
    epoch_samples: int = 60_000
    raw_share: float = 0.1
    """Share of each epoch that is MNIST as published, only normalized."""
    clean_share: float = 0.25
    """Share of the drawn crops that are MNIST digits, warped but never put on paper."""
    reuse: int = 2
    """Epochs in which a synthetic crop is seen: drawing one costs as much as learning from it."""
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.02
    averaging: float = 0.999
    """Momentum of the weight average that is kept at the end."""
    time_budget_s: float = 0.0
    """Stop after about this long, with the learning rate brought down in time; 0 means no limit."""
    seed: int = 1
    start_from: str = ""
    """Model id or folder whose weights the run starts from; empty starts from nothing."""


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What a caller may show after an epoch."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    validation_accuracy: float
    elapsed_s: float
    remaining_s: float


Progress = Callable[[EpochReport], None]
BatchProgress = Callable[[float], None]
"""Called after each batch with the share of the whole run that is done, 0 to 1."""

_bank: GlyphBank | None = None


def _start_worker(data: Path | None) -> None:
    global _bank
    import cv2

    cv2.setNumThreads(1)
    _bank = GlyphBank.of(_training_sources(data))


def _draw(count: int, seed: int, clean_share: float) -> tuple[Crops, NDArray[np.uint8]]:
    assert _bank is not None
    return synthesize(_bank, count, seed, clean_share)


def _training_sources(data: Path | None) -> list[GlyphSource]:
    """All sources, MNIST without the digits held out for validation."""
    sources = []
    for source in load_sources(data):
        if source.name == "mnist-train":
            keep = len(source.glyphs) - HELD_OUT if len(source.glyphs) > 2 * HELD_OUT else len(source.glyphs)
            source = GlyphSource(source.name, source.glyphs[:keep], source.labels[:keep], source.weight, source.aspect)
        sources.append(source)
    return [*sources, *font_sources(), *drawn_sources()]


class SampleStream:
    """Epochs of crops; the next epoch is drawn by another process while this one is learned.

    The samples of an epoch depend on the seed and the epoch's number alone, never on timing.
    """

    def __init__(self, config: TrainingConfig, data: Path | None, raw: tuple[Crops, NDArray[np.uint8]]) -> None:
        self._config = config
        self._raw = raw
        self._fresh = int(config.epoch_samples * (1 - config.raw_share)) // config.reuse
        self._parts: dict[int, tuple[Crops, NDArray[np.uint8]]] = {}
        self._pending: dict[int, list[Future[tuple[Crops, NDArray[np.uint8]]]]] = {}
        # spawn: forking a process that holds TensorFlow hangs.
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_start_worker, initargs=(data,))

    def _request(self, number: int) -> None:
        if number not in self._pending and number not in self._parts:
            chunk = 2000
            counts = [min(chunk, self._fresh - start) for start in range(0, self._fresh, chunk)]
            seeds = [self._config.seed * 1_000_003 + number * 1_009 + index for index in range(len(counts))]
            share = self._config.clean_share
            self._pending[number] = [self._pool.submit(_draw, c, s, share) for c, s in zip(counts, seeds, strict=True)]

    def _part(self, number: int) -> tuple[Crops, NDArray[np.uint8]]:
        if number not in self._parts:
            self._request(number)
            drawn = [future.result() for future in self._pending.pop(number)]
            self._parts[number] = np.concatenate([d[0] for d in drawn]), np.concatenate([d[1] for d in drawn])
        return self._parts[number]

    def epoch(self, number: int) -> tuple[Crops, NDArray[np.uint8]]:
        """Shuffled crops and labels of epoch `number` (0-based)."""
        parts = [self._part(number + offset) for offset in range(self._config.reuse)]
        self._request(number + self._config.reuse)
        self._parts.pop(number, None)
        rng = np.random.default_rng((self._config.seed, number))
        count = self._config.epoch_samples - self._fresh * self._config.reuse
        chosen = rng.integers(len(self._raw[1]), size=count)
        crops = np.concatenate([*(p[0] for p in parts), self._raw[0][chosen]])
        labels = np.concatenate([*(p[1] for p in parts), self._raw[1][chosen]])
        order = rng.permutation(len(labels))
        return crops[order], labels[order]

    def close(self) -> None:
        """Stop the drawing process."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _batches(
    crops: Crops, labels: NDArray[np.uint8], size: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    for start in range(0, len(labels) - size + 1, size):
        yield crops[start : start + size, :, :, None].astype(np.float32) / 255.0, labels[start : start + size]


def schedule(progress: float, peak: float) -> float:
    """Learning rate at `progress` 0..1: a short rise, then half a cosine down to a hundredth."""
    if progress < 0.03:
        return peak * (0.1 + 0.9 * progress / 0.03)
    turn = (progress - 0.03) / 0.97
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(turn, 1.0))))


def _accuracy(network: Any, crops: Crops, labels: NDArray[np.uint8]) -> float:
    inputs = crops[:, :, :, None].astype(np.float32) / 255.0
    return float((network.predict(inputs, batch_size=512, verbose=0).argmax(1) == labels).mean())


def train(
    config: TrainingConfig,
    out: Path,
    *,
    data: Path | None = None,
    resume: bool = False,
    on_epoch: Progress | None = None,
    on_batch: BatchProgress | None = None,
) -> ModelCard:
    """Train a network and write ``out/<name>/model.keras`` with its card.

    A checkpoint is written after every epoch into ``out/<name>/``; with `resume` a killed run goes on there.
    Ctrl-C ends the run and keeps the weights so far.

    Raises
    ------
    DataError
        If MNIST cannot be found, or the loss stops being a number.
    OutputError
        If a checkpoint cannot be written.
    """
    quiet_tensorflow()
    images, truth = load_mnist("train", data)
    usable = len(truth) - HELD_OUT if len(truth) > 2 * HELD_OUT else len(truth)
    raw = normalize_all(list(images[:usable])), truth[:usable]
    validation = (normalize_all(list(images[usable:])), truth[usable:]) if usable < len(truth) else raw

    import keras

    folder = out / config.name
    keras.utils.set_random_seed(config.seed)
    network = build(config.arch)
    if config.start_from:
        network.set_weights(load_network(config.start_from, config.arch).get_weights())
    optimizer = keras.optimizers.AdamW(
        config.learning_rate,
        weight_decay=config.weight_decay,
        use_ema=True,
        ema_momentum=config.averaging,
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    network.compile(optimizer, loss, metrics=["accuracy"])
    first, spent = 0, 0.0
    if resume and (folder / STATE).is_file():
        state = json.loads((folder / STATE).read_text())
        network = keras.saving.load_model(folder / CHECKPOINT)
        optimizer = network.optimizer
        first, spent = int(state["epoch"]), float(state["elapsed_s"])
    stream = SampleStream(config, data, raw)
    started = time.monotonic() - spent
    reached = float("nan")
    one_hot = np.eye(CLASS_COUNT, dtype=np.float32)
    epoch = first
    try:
        for epoch in range(first, config.epochs):
            crops, labels = stream.epoch(epoch)
            steps = len(labels) // config.batch_size
            network.reset_metrics()
            logs: dict[str, float] = {}
            progress = 0.0
            for step, (batch, target) in enumerate(_batches(crops, labels, config.batch_size)):
                progress = (epoch + step / steps) / config.epochs
                if config.time_budget_s:
                    progress = max(progress, (time.monotonic() - started) / config.time_budget_s)
                optimizer.learning_rate.assign(schedule(progress, config.learning_rate))
                logs = network.train_on_batch(batch, one_hot[target], return_dict=True)
                if on_batch is not None and step % 10 == 0:
                    on_batch(min(progress, 1.0))
                if step % 100 == 0 and not math.isfinite(float(logs["loss"])):
                    raise DataError(
                        f"the loss is {logs['loss']} in epoch {epoch + 1}",
                        remedy="lower --learning-rate; the last checkpoint is kept",
                    )
                if progress >= 1.0:
                    break
            elapsed = time.monotonic() - started
            _checkpoint(network, folder, epoch + 1, elapsed)
            reached = _accuracy(network, *validation)
            if on_epoch is not None:
                remaining = elapsed / max((epoch + 1) / config.epochs, progress) - elapsed
                report = (float(logs["loss"]), float(logs["accuracy"]), reached, elapsed, remaining)
                on_epoch(EpochReport(epoch + 1, config.epochs, *report))
            if progress >= 1.0:
                break
    except KeyboardInterrupt:
        pass  # what was learned so far is worth keeping
    finally:
        stream.close()
    optimizer.finalize_variable_values(network.trainable_variables)
    return _finish(network, config, folder, validation, epoch + 1, time.monotonic() - started, data)


def load_network(model: str, arch: str) -> Any:
    """The network of a model given by id or folder.

    Raises
    ------
    ModelError
        If the model is missing, or has another architecture.
    """
    import keras

    folder = locate(model)
    card = read_card(folder)
    if card.architecture != arch:
        raise ModelError(
            f"model {card.id} is a {card.architecture}, not a {arch}", remedy=f"use --arch {card.architecture}"
        )
    return keras.saving.load_model(folder / MODEL_FILE, compile=False)


def _checkpoint(network: Any, folder: Path, epoch: int, elapsed_s: float) -> None:
    """Write weights, optimizer and progress so that a crash in the middle leaves the older one whole."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / "checkpoint.tmp.keras"
        network.save(temporary)
        temporary.replace(folder / CHECKPOINT)
        (folder / STATE).write_text(json.dumps({"epoch": epoch, "elapsed_s": elapsed_s}))
    except OSError as error:
        raise OutputError(
            f"cannot write a checkpoint in {folder}: {error}", remedy="free some space and use --resume"
        ) from error


def _finish(
    network: Any,
    config: TrainingConfig,
    folder: Path,
    validation: tuple[Crops, NDArray[np.uint8]],
    epochs: int,
    elapsed_s: float,
    data: Path | None,
) -> ModelCard:
    import keras

    from digitscan.core.version import __version__

    bare = build(config.arch)
    bare.set_weights(network.get_weights())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        bare.save(folder / MODEL_FILE)
    except OSError as error:
        raise OutputError(
            f"cannot write the model in {folder}: {error}", remedy="free some space and use --resume"
        ) from error
    sources = _training_sources(data)
    card = ModelCard(
        id=config.name,
        architecture=config.arch,
        sha256=file_sha256(folder / MODEL_FILE),
        input_shape=(CROP_SIZE, CROP_SIZE, 1),
        polarity="ink-high",
        normalization_version=NORMALIZATION_VERSION,
        classes=(*map(str, range(10)), "not-a-digit"),
        parameters=bare.count_params(),
        digitscan=__version__,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        data=[{"name": s.name, "glyphs": len(s.glyphs), "weight": s.weight} for s in sources if s.glyphs],
        training={
            **asdict(config),
            "epochs_done": epochs,
            "elapsed_s": round(elapsed_s),
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
        },
        accuracy={f"mnist-train-last-{len(validation[1])}": round(_accuracy(bare, *validation), 5)},
    )
    write_card(folder, card)
    (folder / STATE).unlink(missing_ok=True)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return card
