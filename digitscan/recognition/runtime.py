"""Crops and lines to posteriors: any number of them, in batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitscan.core.errors import ModelError
from digitscan.core.types import CLASS_COUNT, CROP_SIZE, Crops, ModelInfo, Posteriors
from digitscan.recognition.calibration import temper
from digitscan.recognition.engines import Device, Engine, Precision, open_engine
from digitscan.recognition.lines import COLUMN_STEP, Line, pad_lines
from digitscan.recognition.registry import DEFAULT_LINE_MODEL, ModelCard, locate, read_card

_BATCH = {"cpu": 512, "gpu": 8192}
_LINE_BATCH = 32


class Classifier:
    """A trained network, loaded once.

    Parameters
    ----------
    model : str
        Id or folder; empty means the shipped default.
    device : {"auto", "cpu", "gpu"}
        ``auto`` takes a GPU where TensorFlow sees one, else the light runtime.
    batch_size : int
        Crops in one call; 0 chooses by device.
    threads : int
        Of the light runtime; 0 takes the cores.
    load : bool
        False leaves the light runtime to the first call: for a program whose other processes read.
    precision : {"float32", "bfloat16"}
        In which Keras computes; see `digitscan.core.config.RecognitionConfig`.

    Raises
    ------
    ModelError
        If the model is missing, damaged or made for another version, or the GPU asked for is not there.
    """

    def __init__(
        self,
        model: str = "",
        *,
        device: Device = "auto",
        batch_size: int = 0,
        threads: int = 0,
        load: bool = True,
        precision: Precision = "float32",
    ) -> None:
        self.folder = locate(model)
        self.card: ModelCard = read_card(self.folder)
        if self.card.reads_lines:
            raise ModelError(f"model {self.card.id} reads whole lines", remedy="choose a model of single digits")
        self._engine = open_engine(self.folder, self.card, device, threads, precision)
        if load:
            self._engine.open()
        self.device = self._engine.device
        self.batch_size = batch_size or _BATCH[self.device]

    @property
    def runtime(self) -> str:
        """The library that runs the network."""
        return self._engine.name

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
        places: dict[bytes, int] = {}  # identical crops, of print above all, are classified once
        copy_of = [places.setdefault(crop.tobytes(), len(places)) for crop in crops]
        if len(places) < len(crops):
            _, first = np.unique(copy_of, return_index=True)
            return self._classify(crops[first])[copy_of]
        return self._classify(crops)

    def _classify(self, crops: Crops) -> Posteriors:
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
        # On Keras batches are padded to few distinct sizes: kernels and memory are laid out once for each, and results
        # do not depend on how crops were grouped. On the light runtime they never do, and a single digit costs one.
        step = 1 if not self._engine.few_sizes else 32 if count <= 32 else 64 if count <= 512 else 512
        size = -(-count // step) * step
        batch = np.zeros((size, CROP_SIZE, CROP_SIZE, 1), np.float32)
        batch[:count, :, :, 0] = crops
        batch *= np.float32(1 / 255)
        return temper(self._engine.run(batch)[:count], self.card.temperature)


class LineRecognizer:
    """A trained network for whole lines, checked at once and loaded when the first line comes.

    Parameters
    ----------
    model : str
        Id or folder; empty means the shipped one.
    device : {"auto", "cpu", "gpu"}
    threads : int
        Of the light runtime; 0 takes the cores.
    precision : {"float32", "bfloat16"}
        In which Keras computes; see `digitscan.core.config.RecognitionConfig`.

    Raises
    ------
    ModelError
        If the model is missing, damaged, made for another version, or no line recognizer.
    """

    def __init__(
        self, model: str = "", *, device: Device = "auto", threads: int = 0, precision: Precision = "float32"
    ) -> None:
        self.folder = locate(model or DEFAULT_LINE_MODEL)
        self.card: ModelCard = read_card(self.folder)
        if not self.card.reads_lines:
            raise ModelError(f"model {self.card.id} reads single digits", remedy="choose a model of lines")
        self._opening = self.folder, self.card, device, threads, precision
        self._engine: Engine | None = None

    def read(self, lines: Sequence[Line]) -> list[Posteriors]:
        """Posteriors along lines.

        Parameters
        ----------
        lines : sequence of (32, w) uint8
            As `digitscan.recognition.lines.normalize_line` makes them.

        Returns
        -------
        list of (w / 4, 20) float32
            Rows sum to 1: CTC's blank, then `ALPHABET`.
        """
        out: list[Posteriors] = [np.zeros((0, len(self.card.classes)), np.float32)] * len(lines)
        if not lines:
            return out
        if self._engine is None:
            self._engine = open_engine(*self._opening)
        order = sorted(range(len(lines)), key=lambda k: lines[k].shape[1])
        for start in range(0, len(order), _LINE_BATCH):
            rows = order[start : start + _LINE_BATCH]
            batch = pad_lines([lines[k] for k in rows])[..., None].astype(np.float32) / np.float32(255)
            logits = self._engine.run(batch)
            powers = np.exp(logits - logits.max(axis=2, keepdims=True))
            posteriors = powers / powers.sum(axis=2, keepdims=True)
            for k, answers in zip(rows, posteriors, strict=True):
                out[k] = answers[: lines[k].shape[1] // COLUMN_STEP]
        return out


def _out_of_memory(error: Exception) -> bool:
    return (
        type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError") or "out of memory" in str(error).lower()
    )
