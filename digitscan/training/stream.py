"""Epochs of crops: drawn by another process while the last ones are learned, or MNIST as its authors use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.processes import end_with_parent
from digitscan.core.types import CLASS_COUNT, CROP_SIZE, Crops
from digitscan.recognition.lines import encode, pad_lines
from digitscan.training.banks import Banks, Material, gather, make_banks
from digitscan.training.lines import WrittenLine, line_samples
from digitscan.training.loaders import load_own
from digitscan.training.recipes import TrainingConfig
from digitscan.training.sources import GlyphSource, load_sources
from digitscan.training.synthesis import synthesize

Labels = NDArray[np.uint8]


Batch = tuple[NDArray[np.float32], NDArray[Any]]
"""Inputs and targets, as the network and its loss take them."""


class Stream(Protocol):
    """Something that gives an epoch's batches, the same for the same number."""

    def epoch(self, number: int) -> Sequence[Batch]:
        """Batches of epoch `number` (0-based), shuffled; each is made when it is asked for."""

    def close(self) -> None:
        """Let go of what it holds."""


class CropBatches(Sequence[Batch]):
    """Whole batches of crops: (size, 28, 28, 1) float32, 0 to 1, and (size, classes) float32 one-hot labels."""

    def __init__(self, crops: Crops, labels: Labels, size: int, classes: int) -> None:
        self._crops, self._labels = crops, labels
        self._size = min(size, len(labels))
        self._one_hot = np.eye(classes, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._labels) // max(self._size, 1)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rows = slice(index * self._size, (index + 1) * self._size)
        inputs = self._crops[rows, :, :, None].astype(np.float32) / np.float32(255)
        return inputs, self._one_hot[self._labels[rows]]


class LineBatches(Sequence[Batch]):
    """Batches of lines of like width: (size, 32, W, 1) float32, and (size, L) int32 texts, 0 after their end."""

    def __init__(self, samples: Sequence[WrittenLine], size: int, rng: np.random.Generator) -> None:
        order = sorted(rng.permutation(len(samples)).tolist(), key=lambda k: samples[k].line.shape[1] // _WIDTH_STEP)
        size = min(size, len(samples))
        self._batches = [
            [samples[k] for k in order[start : start + size]] for start in range(0, len(order) - size + 1, size)
        ]
        rng.shuffle(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: Any) -> Any:
        return line_batch(self._batches[index])


_WIDTH_STEP = 32


def line_batch(samples: Sequence[WrittenLine]) -> Batch:
    """Lines and texts as arrays, see `LineBatches`."""
    targets = np.zeros((len(samples), max(1, *(len(s.text) for s in samples))), np.int32)
    for row, sample in zip(targets, samples, strict=True):
        row[: len(sample.text)] = encode(sample.text)
    inputs = pad_lines([s.line for s in samples])[..., None].astype(np.float32) / np.float32(255)
    return inputs, targets


def validation_rows(count: int, config: TrainingConfig) -> NDArray[np.bool_]:
    """Which of `count` training digits validate: a fold, or the end of the file; (count,) bool.

    A file too small to give its end away validates with every tenth digit.
    """
    rows = np.arange(count)
    if config.folds > 1:
        return np.asarray(rows % config.folds == config.fold)
    if count > 2 * config.held_out:
        return np.asarray(rows >= count - config.held_out)
    return np.asarray(rows % 10 == 9)


def training_material(config: TrainingConfig, data: Path | None, own: Sequence[str] = ()) -> Material:
    """All that the default recipe draws from; of MNIST only the digits that do not validate."""
    sources: list[GlyphSource] = []
    for source in load_sources(data, without=config.without):
        if source.name == "mnist-train":
            source = source.only(~validation_rows(len(source.glyphs), config))
        sources.append(source)
    return gather([*sources, *(load_own(entry) for entry in own)], data)


def training_banks(config: TrainingConfig, data: Path | None, own: Sequence[str] = ()) -> Banks:
    """Banks of `training_material`; a minute or so goes into them."""
    return make_banks(training_material(config, data, own))


Part = TypeVar("Part")
_banks: Banks | None = None


def _start_worker(config: TrainingConfig, data: Path | None, own: Sequence[str]) -> None:
    global _banks
    end_with_parent()
    cv2.setNumThreads(1)
    _banks = training_banks(config, data, own)


def _draw_crops(count: int, seed: int, clean_share: float, number_share: float) -> tuple[Crops, Labels]:
    assert _banks is not None
    return synthesize(_banks.glyphs, count, seed, clean_share, number_share)


def _draw_lines(count: int, seed: int) -> list[WrittenLine]:
    assert _banks is not None
    return line_samples(_banks.pens, count, seed)


class _DrawnParts(Generic[Part]):
    """Samples drawn by another process while the last ones are learned; each part serves `reuse` epochs.

    What is drawn depends on the seed and the epoch's number alone, never on timing.
    """

    def __init__(
        self,
        config: TrainingConfig,
        data: Path | None,
        own: Sequence[str],
        count: int,
        chunk: int,
        draw: Callable[[int, int], Part],
    ) -> None:
        self._config, self._count, self._chunk, self._draw = config, count, chunk, draw
        self._parts: dict[int, list[Part]] = {}
        self._pending: dict[int, list[Future[Part]]] = {}
        # spawn: forking a process that holds TensorFlow hangs.
        self._pool = ProcessPoolExecutor(
            1, get_context("spawn"), initializer=_start_worker, initargs=(config, data, own)
        )

    def _request(self, number: int) -> None:
        if number not in self._pending and number not in self._parts:
            counts = [min(self._chunk, self._count - start) for start in range(0, self._count, self._chunk)]
            seeds = [self._config.seed * 1_000_003 + number * 1_009 + index for index in range(len(counts))]
            self._pending[number] = [self._pool.submit(self._draw, c, s) for c, s in zip(counts, seeds, strict=True)]

    def _part(self, number: int) -> list[Part]:
        if number not in self._parts:
            self._request(number)
            self._parts[number] = [future.result() for future in self._pending.pop(number)]
        return self._parts[number]

    def of_epoch(self, number: int) -> list[Part]:
        """All that epoch `number` learns from; what the next one needs is begun."""
        parts = [chunk for offset in range(self._config.reuse) for chunk in self._part(number + offset)]
        self._request(number + self._config.reuse)
        self._parts.pop(number, None)
        return parts

    def close(self) -> None:
        """Stop the drawing process."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class SampleStream:
    """The default recipe's epochs of crops: drawn ones, and MNIST's digits as they are."""

    def __init__(
        self, config: TrainingConfig, data: Path | None, raw: tuple[Crops, Labels], own: Sequence[str] = ()
    ) -> None:
        self._config = config
        self._raw = raw
        fresh = int(config.epoch_samples * (1 - config.raw_share)) // config.reuse
        draw = partial(_draw_crops, clean_share=config.clean_share, number_share=config.number_share)
        self._drawn = _DrawnParts(config, data, own, fresh, 2000, draw)

    def epoch(self, number: int) -> CropBatches:
        """Batches of epoch `number` (0-based)."""
        parts = self._drawn.of_epoch(number)
        rng = np.random.default_rng((self._config.seed, number))
        count = self._config.epoch_samples - sum(len(labels) for _, labels in parts)
        chosen = rng.integers(len(self._raw[1]), size=max(count, 0))
        crops = np.concatenate([*(part[0] for part in parts), self._raw[0][chosen]])
        labels = np.concatenate([*(part[1] for part in parts), self._raw[1][chosen]])
        order = rng.permutation(len(labels))
        return CropBatches(crops[order], labels[order], self._config.batch_size, CLASS_COUNT)

    def close(self) -> None:
        """Stop the drawing process."""
        self._drawn.close()


class LineStream:
    """Epochs of whole lines, all of them drawn."""

    def __init__(self, config: TrainingConfig, data: Path | None, own: Sequence[str] = ()) -> None:
        self._config = config
        self._drawn = _DrawnParts(config, data, own, config.epoch_samples // config.reuse, 250, _draw_lines)

    def epoch(self, number: int) -> LineBatches:
        """Batches of epoch `number` (0-based)."""
        samples = [sample for part in self._drawn.of_epoch(number) for sample in part]
        return LineBatches(samples, self._config.batch_size, np.random.default_rng((self._config.seed, number)))

    def close(self) -> None:
        """Stop the drawing process."""
        self._drawn.close()


class FileStream:
    """A published recipe's epochs: all training digits, shuffled, augmented where the author did."""

    def __init__(self, config: TrainingConfig, raw: tuple[Crops, Labels], classes: int) -> None:
        self._config, self._raw, self._classes = config, raw, classes

    def epoch(self, number: int) -> CropBatches:
        """Batches of epoch `number` (0-based)."""
        rng = np.random.default_rng((self._config.seed, number))
        order = rng.permutation(len(self._raw[1]))
        crops, labels = self._raw[0][order], self._raw[1][order]
        if self._config.augmentation:
            crops = augment(crops, rng)
        return CropBatches(crops, labels, self._config.batch_size, self._classes)

    def close(self) -> None:
        """Hold nothing."""


def augment(crops: Crops, rng: np.random.Generator) -> Crops:
    """Rotate by up to 10 degrees, zoom and shift by up to a tenth: what Keras' image generator was asked to do.

    Parameters
    ----------
    crops : (N, 28, 28) uint8
    rng : Generator

    Returns
    -------
    (N, 28, 28) uint8
        Not normalized again: the author did not.
    """
    middle = (CROP_SIZE - 1) / 2
    turned = np.empty_like(crops)
    angles = rng.uniform(-10, 10, len(crops))
    zooms = rng.uniform(0.9, 1.1, len(crops))
    shifts = rng.uniform(-0.1 * CROP_SIZE, 0.1 * CROP_SIZE, (len(crops), 2))
    for row, (crop, angle, zoom, shift) in enumerate(zip(crops, angles, zooms, shifts, strict=True)):
        matrix = cv2.getRotationMatrix2D((middle, middle), float(angle), float(zoom))
        matrix[:, 2] += shift
        turned[row] = cv2.warpAffine(crop, matrix, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR)
    return turned
