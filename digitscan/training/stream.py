"""Epochs of crops: drawn by another process while the last ones are learned, or MNIST as its authors use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import CROP_SIZE, Crops
from digitscan.training.drawing import GlyphBank
from digitscan.training.fonts import font_sources
from digitscan.training.handwriting import drawn_sources
from digitscan.training.loaders import load_own
from digitscan.training.recipes import TrainingConfig
from digitscan.training.sources import GlyphSource, load_sources
from digitscan.training.synthesis import synthesize

Labels = NDArray[np.uint8]


class Stream(Protocol):
    """Something that gives an epoch's crops and labels, the same for the same number."""

    def epoch(self, number: int) -> tuple[Crops, Labels]:
        """Shuffled crops and labels of epoch `number` (0-based)."""

    def close(self) -> None:
        """Let go of what it holds."""


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


def training_sources(config: TrainingConfig, data: Path | None, own: Sequence[str] = ()) -> list[GlyphSource]:
    """All sources of the default recipe; of MNIST only the digits that do not validate."""
    sources = []
    for source in load_sources(data, without=config.without):
        if source.name == "mnist-train":
            source = source.only(~validation_rows(len(source.glyphs), config))
        sources.append(source)
    return [*sources, *font_sources(), *drawn_sources(), *(load_own(entry) for entry in own)]


_bank: GlyphBank | None = None


def _start_worker(config: TrainingConfig, data: Path | None, own: Sequence[str]) -> None:
    global _bank
    cv2.setNumThreads(1)
    _bank = GlyphBank.of(training_sources(config, data, own))


def _draw(count: int, seed: int, clean_share: float, number_share: float) -> tuple[Crops, Labels]:
    assert _bank is not None
    return synthesize(_bank, count, seed, clean_share, number_share)


class SampleStream:
    """The default recipe's epochs; the next one is drawn by another process while this one is learned.

    The samples of an epoch depend on the seed and the epoch's number alone, never on timing.
    """

    def __init__(
        self, config: TrainingConfig, data: Path | None, raw: tuple[Crops, Labels], own: Sequence[str] = ()
    ) -> None:
        self._config = config
        self._raw = raw
        self._fresh = int(config.epoch_samples * (1 - config.raw_share)) // config.reuse
        self._parts: dict[int, tuple[Crops, Labels]] = {}
        self._pending: dict[int, list[Future[tuple[Crops, Labels]]]] = {}
        # spawn: forking a process that holds TensorFlow hangs.
        self._pool = ProcessPoolExecutor(
            1, get_context("spawn"), initializer=_start_worker, initargs=(config, data, own)
        )

    def _request(self, number: int) -> None:
        if number not in self._pending and number not in self._parts:
            chunk = 2000
            counts = [min(chunk, self._fresh - start) for start in range(0, self._fresh, chunk)]
            seeds = [self._config.seed * 1_000_003 + number * 1_009 + index for index in range(len(counts))]
            shares = self._config.clean_share, self._config.number_share
            self._pending[number] = [
                self._pool.submit(_draw, c, s, *shares) for c, s in zip(counts, seeds, strict=True)
            ]

    def _part(self, number: int) -> tuple[Crops, Labels]:
        if number not in self._parts:
            self._request(number)
            drawn = [future.result() for future in self._pending.pop(number)]
            self._parts[number] = np.concatenate([d[0] for d in drawn]), np.concatenate([d[1] for d in drawn])
        return self._parts[number]

    def epoch(self, number: int) -> tuple[Crops, Labels]:
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


class FileStream:
    """A published recipe's epochs: all training digits, shuffled, augmented where the author did."""

    def __init__(self, config: TrainingConfig, raw: tuple[Crops, Labels]) -> None:
        self._config = config
        self._raw = raw

    def epoch(self, number: int) -> tuple[Crops, Labels]:
        """Shuffled crops and labels of epoch `number` (0-based)."""
        rng = np.random.default_rng((self._config.seed, number))
        order = rng.permutation(len(self._raw[1]))
        crops, labels = self._raw[0][order], self._raw[1][order]
        return (augment(crops, rng) if self._config.augmentation else crops), labels

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


def batches(crops: Crops, labels: Labels, size: int) -> Iterator[tuple[NDArray[np.float32], Labels]]:
    """Whole batches as the network takes them: (size, 28, 28, 1) float32, 0 to 1, and (size,) labels."""
    for start in range(0, len(labels) - size + 1, size):
        yield crops[start : start + size, :, :, None].astype(np.float32) / 255.0, labels[start : start + size]
