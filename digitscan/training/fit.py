"""Train a network from a stream of crops: read it from top to bottom."""

from __future__ import annotations

import datetime
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from digitscan.core.atomic import write_whole
from digitscan.core.errors import DataError, ModelError, OutputError
from digitscan.recognition.architectures import build
from digitscan.recognition.averaging import taken_over
from digitscan.recognition.engines import quiet_tensorflow
from digitscan.recognition.portable import save_network
from digitscan.recognition.registry import MODEL_FILE, ModelCard, locate, read_card, write_card
from digitscan.training.history import EpochReport, History, read_log
from digitscan.training.precision import choose_precision
from digitscan.training.recipes import TrainingConfig
from digitscan.training.stream import Stream
from digitscan.training.tasks import Task, task_for

CHECKPOINT = "checkpoint.keras"
BEST = "best.keras"
STATE = "state.json"

Progress = Callable[[EpochReport], None]
BatchProgress = Callable[[float], None]
"""Called after each batch with the share of the whole run that is done, 0 to 1."""


def schedule(progress: float, peak: float) -> float:
    """Learning rate at `progress` 0..1: a short rise, then half a cosine down to a hundredth."""
    if progress < 0.03:
        return peak * (0.1 + 0.9 * progress / 0.03)
    turn = (progress - 0.03) / 0.97
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(turn, 1.0))))


def _optimizer(config: TrainingConfig) -> Any:
    import keras

    average = {"use_ema": True, "ema_momentum": config.averaging} if config.averaging else {}
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(config.learning_rate, momentum=config.momentum, **average)
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, **average)
    kind = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[config.optimizer]
    return kind(config.learning_rate, **average)


def train(
    config: TrainingConfig,
    out: Path,
    *,
    data: Path | None = None,
    own: Sequence[str] = (),
    resume: bool = False,
    tensorboard: bool = False,
    on_epoch: Progress | None = None,
    on_batch: BatchProgress | None = None,
) -> ModelCard:
    """Train a network and write ``out/<name>/model.keras`` with its card and its learning curve.

    A checkpoint is written after every epoch into ``out/<name>/``; with `resume` a killed run goes on there.
    Ctrl-C ends the run and keeps the weights so far.

    Parameters
    ----------
    config : TrainingConfig
    out : Path
        Gets the model's folder.
    data : Path, optional
        Where MNIST and the sets beside it are; found as `load_mnist` does if not given.
    own : sequence of str
        Further sources, each ``PATH`` or ``PATH=WEIGHT``, as `digitscan.training.loaders.load_own` takes them.
        The default recipe only.
    resume : bool
    tensorboard : bool
        Write TensorBoard's event files as well.
    on_epoch, on_batch : callable, optional

    Raises
    ------
    DataError
        If data is missing or broken, or the loss stops being a number.
    OutputError
        If a checkpoint cannot be written; the last one is kept.
    """
    quiet_tensorflow()
    task = task_for(config, data, own)

    import keras

    folder = out / config.name
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_dtype_policy(choose_precision(config.precision))
    try:
        network = build(config.arch, task.outputs)
        if config.start_from:
            _take_weights(network, config.start_from, config.arch)
        network.compile(_optimizer(config), task.loss(), metrics=task.metrics())
        history = History(folder, tensorboard=tensorboard)
        first, spent = 0, 0.0
        if resume and (folder / STATE).is_file():
            state = json.loads((folder / STATE).read_text())
            network = keras.saving.load_model(folder / CHECKPOINT)
            first, spent = int(state["epoch"]), float(state["elapsed_s"])
            history.reload()
        stream = task.open()
        try:
            started = time.monotonic() - spent
            done = _loop(network, config, task, stream, folder, history, first, started, on_epoch, on_batch)
        finally:
            stream.close()
        network.optimizer.finalize_variable_values(network.trainable_variables)
        if config.patience and (folder / BEST).is_file():
            network = keras.saving.load_model(folder / BEST)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    return _finish(network, config, task, folder, done, history)


def _demand_finite(loss: float, epoch: int, kept: int, folder: Path) -> None:
    """End a run whose loss is no number; `kept` is the epoch, 1-based, of the last checkpoint, 0 if there is none."""
    if not math.isfinite(loss):
        weights = f"; the weights of epoch {kept} are in {folder / CHECKPOINT}" if kept else ""
        raise DataError(f"the loss is {loss} in epoch {epoch}", remedy=f"lower --learning-rate{weights}")


def _loop(
    network: Any,
    config: TrainingConfig,
    task: Task,
    stream: Stream,
    folder: Path,
    history: History,
    first: int,
    started: float,
    on_epoch: Progress | None,
    on_batch: BatchProgress | None,
) -> int:
    """All epochs; gives how many were done. Ctrl-C ends them early: what was learned so far is worth keeping."""
    rate = config.learning_rate
    done = first
    try:
        for epoch in range(first, config.epochs):
            batches = stream.epoch(epoch)
            sums, taken = np.zeros(2), 0  # Keras gives each batch's own loss and accuracy
            progress = 0.0
            for step, (batch, target) in enumerate(batches):
                progress = (epoch + step / len(batches)) / config.epochs
                if config.time_budget_s:
                    progress = max(progress, (time.monotonic() - started) / config.time_budget_s)
                if config.schedule == "cosine":
                    rate = schedule(progress, config.learning_rate)
                network.optimizer.learning_rate.assign(rate)
                logs = network.train_on_batch(batch, target, return_dict=True)
                sums += float(logs["loss"]), float(logs.get("accuracy", math.nan))
                taken += 1
                if on_batch is not None and step % 10 == 0:
                    on_batch(min(progress, 1.0))
                _demand_finite(float(logs["loss"]), epoch + 1, done, folder)
                if progress >= 1.0:
                    break
            done = epoch + 1
            elapsed = time.monotonic() - started
            loss, accuracy = task.validate(network)
            _demand_finite(loss, done, epoch, folder)  # the last step may have broken the weights
            _checkpoint(network, folder, done, elapsed)
            remaining = max(elapsed / max(done / config.epochs, progress) - elapsed, 0.0)
            mean_loss, mean_accuracy = (float(value) for value in sums / max(taken, 1))
            report = EpochReport(
                done,
                config.epochs,
                mean_loss,
                mean_accuracy,
                loss,
                accuracy,
                rate,
                elapsed,
                remaining,
            )
            history.add(report)
            if on_epoch is not None:
                on_epoch(report)
            best = history.best_epoch()
            if config.patience and best == done:
                (folder / CHECKPOINT).replace(folder / BEST)
                _checkpoint(network, folder, done, elapsed)
            if config.schedule == "plateau" and done - best >= 3:  # Keras' ReduceLROnPlateau, patience 3, factor 0.5
                rate = max(rate * 0.5, 1e-5)
            if progress >= 1.0 or (config.patience and done - best >= config.patience):
                break
    except KeyboardInterrupt:
        pass
    return done


@dataclass(frozen=True, slots=True)
class FoldsResult:
    """Validation accuracy of each fold, and their mean and sample standard deviation."""

    accuracies: tuple[float, ...]
    mean: float
    deviation: float


def cross_validate(config: TrainingConfig, folds: int, out: Path, **options: Any) -> FoldsResult:
    """k-fold: train `folds` networks, each validated with another part of MNIST's training file.

    Every fold is a model of its own in ``out/<name>-fold<k>/`` with its curve; the summary is ``<name>-folds.json``.
    """
    accuracies = []
    for fold in range(folds):
        named = replace(config, name=f"{config.name}-fold{fold + 1}", fold=fold, folds=folds)
        train(named, out, **options)
        accuracies.append(read_log(out / named.name)[-1].validation_accuracy)
    deviation = float(np.std(accuracies, ddof=1)) if folds > 1 else 0.0
    result = FoldsResult(tuple(accuracies), float(np.mean(accuracies)), deviation)
    write_whole(out / f"{config.name}-folds.json", (json.dumps(asdict(result), indent=2) + "\n").encode(), own=True)
    return result


def _take_weights(network: Any, model: str, arch: str) -> None:
    """Start where a model stands. Outputs that it does not have, always the last ones, start from nothing."""
    taken = taken_over(network.get_weights(), load_network(model, arch).get_weights())
    if taken is None:
        raise ModelError(
            f"{model} is an older {arch} with other layers", remedy="leave --start-from out, and train from nothing"
        )
    network.set_weights(taken)


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
    except OSError as error:
        raise OutputError(
            f"cannot write a checkpoint in {folder}: {error}", remedy="free some space and use --resume"
        ) from error
    write_whole(folder / STATE, json.dumps({"epoch": epoch, "elapsed_s": elapsed_s}).encode(), own=True)


def _finish(network: Any, config: TrainingConfig, task: Task, folder: Path, epochs: int, history: History) -> ModelCard:
    import keras

    from digitscan.core.version import __version__

    bare = build(config.arch, task.outputs)
    bare.set_weights(network.get_weights())
    try:
        hashes = save_network(bare, folder)
    except OSError as error:
        raise OutputError(
            f"cannot write the model in {folder}: {error}", remedy="free some space and use --resume"
        ) from error
    card = ModelCard(
        id=config.name,
        architecture=config.arch,
        **hashes._asdict(),
        polarity="ink-high",
        parameters=bare.count_params(),
        digitscan=__version__,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        training={
            **asdict(config),
            "epochs_done": epochs,
            "elapsed_s": round(history.reports[-1].elapsed_s) if history.reports else 0,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
        },
        **task.card(bare),
    )
    write_card(folder, card)
    for leftover in (STATE, CHECKPOINT, BEST):
        (folder / leftover).unlink(missing_ok=True)
    return card
