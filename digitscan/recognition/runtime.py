"""Crops to posteriors: one compiled call with a fixed signature, any number of crops."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from digitscan.core.errors import ModelError
from digitscan.core.types import CLASS_COUNT, CROP_SIZE, Crops, ModelInfo, Posteriors
from digitscan.recognition.calibration import temper
from digitscan.recognition.lines import COLUMN_STEP, LINE_HEIGHT, Line, pad_lines
from digitscan.recognition.registry import (
    DEFAULT_LINE_MODEL,
    MODEL_FILE,
    ModelCard,
    file_sha256,
    locate,
    read_card,
)

Device = Literal["auto", "cpu", "gpu"]

_BATCH = {"cpu": 512, "gpu": 8192}
_LINE_BATCH = 32


def quiet_tensorflow() -> None:
    """Import Keras with its backend, and keep TensorFlow's start-up notes off the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "keras" in sys.modules or os.environ.get("DIGITSCAN_DEBUG"):
        return
    # The notes are written by C++ code before any log level applies, straight to file descriptor 2.
    try:
        kept = os.dup(2)
        silent = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        import keras
    else:
        sys.stderr.flush()
        os.dup2(silent, 2)
        try:
            import keras  # noqa: F401
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(silent)


class Classifier:
    """A trained network, loaded once.

    Parameters
    ----------
    model : str
        Id or folder; empty means the shipped default.
    device : {"auto", "cpu", "gpu"}
        ``auto`` takes a GPU where TensorFlow sees one.
    batch_size : int
        Crops in one call; 0 chooses by device.

    Raises
    ------
    ModelError
        If the model is missing, damaged or made for another version, or the GPU asked for is not there.
    """

    def __init__(self, model: str = "", *, device: Device = "auto", batch_size: int = 0) -> None:
        folder = locate(model)
        self.card: ModelCard = read_card(folder)
        if self.card.reads_lines:
            raise ModelError(f"model {self.card.id} reads whole lines", remedy="choose a model of single digits")
        self._network = _load(folder, self.card)
        self._call, self.device = _compile(self._network, (CROP_SIZE, CROP_SIZE), device)
        self.batch_size = batch_size or _BATCH[self.device]

    @property
    def info(self) -> ModelInfo:
        """What every result says of the model."""
        return self.card.info()

    def classify(self, crops: Crops) -> Posteriors:
        """Posteriors of crops.

        Parameters
        ----------
        crops : (N, 28, 28) uint8
            As `digitscan.recognition.normalize` makes them; N may be 0.

        Returns
        -------
        (N, 11) float32
            Rows sum to 1; column 10 is not-a-digit, 0 for networks that know digits only. Tempered by the
            card's temperature.
        """
        if crops.ndim != 3 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE) or crops.dtype != np.uint8:
            raise ValueError(f"crops must be (N, {CROP_SIZE}, {CROP_SIZE}) uint8, not {crops.shape} {crops.dtype}")
        out = np.zeros((len(crops), CLASS_COUNT), np.float32)
        start = 0
        while start < len(crops):
            stop = min(start + self.batch_size, len(crops))
            try:
                part = self._run(crops[start:stop])
            except Exception as error:
                if not _out_of_memory(error) or self.batch_size <= 16:
                    raise
                self.batch_size //= 2  # back off for good: the next batch would fail as well
                continue
            out[start:stop, : part.shape[1]] = part
            start = stop
        return out

    def _run(self, crops: Crops) -> Posteriors:
        count = len(crops)
        # Batches are padded to few distinct sizes, so that kernels are chosen once and results do not
        # depend on how crops were grouped.
        step = 32 if count <= 32 else 64 if count <= 512 else 512
        size = -(-count // step) * step
        batch = np.zeros((size, CROP_SIZE, CROP_SIZE, 1), np.float32)
        batch[:count, :, :, 0] = crops
        batch *= np.float32(1 / 255)
        posteriors = np.asarray(self._call(batch))[:count]
        return temper(posteriors.astype(np.float32), self.card.temperature)


class LineReader:
    """A trained network for whole lines, checked at once and loaded when the first line comes.

    Parameters
    ----------
    model : str
        Id or folder; empty means the shipped one.
    device : {"auto", "cpu", "gpu"}

    Raises
    ------
    ModelError
        If the model is missing, damaged, made for another version, or no reader of lines.
    """

    def __init__(self, model: str = "", *, device: Device = "auto") -> None:
        folder = locate(model or DEFAULT_LINE_MODEL)
        self.card: ModelCard = read_card(folder)
        if not self.card.reads_lines:
            raise ModelError(f"model {self.card.id} reads single digits", remedy="choose a model of lines")
        self._folder, self._device = folder, device
        self._call: Any = None

    def read(self, lines: Sequence[Line]) -> list[Posteriors]:
        """Posteriors along lines.

        Parameters
        ----------
        lines : sequence of (32, w) uint8
            As `digitscan.recognition.lines.normalize_line` makes them.

        Returns
        -------
        list of (w / 4, 19) float32
            Rows sum to 1: CTC's blank, then `ALPHABET`.
        """
        if self._call is None and lines:
            self._call, _ = _compile(_load(self._folder, self.card), (LINE_HEIGHT, None), self._device)
        out: list[Posteriors] = [np.zeros((0, len(self.card.classes)), np.float32)] * len(lines)
        order = sorted(range(len(lines)), key=lambda k: lines[k].shape[1])
        for start in range(0, len(order), _LINE_BATCH):
            rows = order[start : start + _LINE_BATCH]
            batch = pad_lines([lines[k] for k in rows])[..., None].astype(np.float32) / np.float32(255)
            logits = np.asarray(self._call(batch), np.float32)
            powers = np.exp(logits - logits.max(axis=2, keepdims=True))
            posteriors = powers / powers.sum(axis=2, keepdims=True)
            for k, answers in zip(rows, posteriors, strict=True):
                out[k] = answers[: lines[k].shape[1] // COLUMN_STEP]
        return out


def _out_of_memory(error: Exception) -> bool:
    return (
        type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError") or "out of memory" in str(error).lower()
    )


def _load(folder: Path, card: ModelCard) -> Any:
    file = folder / MODEL_FILE
    if not file.is_file():
        raise ModelError(f"model file {file} is missing", remedy="install or train the model again")
    if file_sha256(file) != card.sha256:
        raise ModelError(f"{file} is not the file that its card describes", remedy="install or train the model again")
    quiet_tensorflow()
    import keras

    try:
        return keras.saving.load_model(file, compile=False)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"cannot load {file}: {error}", remedy="install or train the model again") from error


def _compile(network: Any, shape: tuple[int, int | None], device: Device) -> tuple[Any, Literal["cpu", "gpu"]]:
    """One function from (N, *shape, 1) float32 to the network's answers, on the device asked for."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return network.predict_on_batch, "cpu"  # compiled by the backend, once for each padded size
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise ModelError("no GPU that TensorFlow can use", remedy="use --device auto, or install tensorflow[and-cuda]")
    use_gpu = bool(gpus) and device != "cpu"
    if use_gpu:
        for gpu in gpus:
            try:
                tf.config.experimental.set_memory_growth(gpu, True)
            except RuntimeError:  # already initialized by the program that uses the library
                break
    place = "/GPU:0" if use_gpu else "/CPU:0"
    signature = [tf.TensorSpec((None, *shape, 1), tf.float32)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def call(batch: Any) -> Any:
        with tf.device(place):
            return network(batch, training=False)

    return call, "gpu" if use_gpu else "cpu"
