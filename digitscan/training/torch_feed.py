"""Drawing processes that keep a GPU fed: what they draw goes through shared memory into pools on the device.

Each process draws chunks for ever, hands them over in slabs of shared memory, and waits where none is free. The
training loop takes what has come, and draws its batches from all that came so far.
"""

from __future__ import annotations

import multiprocessing as mp
import queue
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitscan.recognition.lines import LINE_HEIGHT, encode
from digitscan.training.banks import Banks
from digitscan.training.lines import line_samples
from digitscan.training.synthesis import synthesize

WIDTHS = (64, 96, 128, 160, 192, 256, 320, 448, 640)
"""Widths of the pools of lines: a line goes into the narrowest that holds it."""
TEXT_LENGTH = 40
"""Longest text of a line that trains."""
_SLAB = 1 << 22
_CHUNK_LINES, _CHUNK_CROPS = 500, 1500


class Chunk(NamedTuple):
    """Samples of one pool: (N, h, w) uint8, and (N, L) uint8 targets, 0 after a text's end."""

    pool: int
    samples: NDArray[np.uint8]
    targets: NDArray[np.uint8]


def line_chunks(banks: Banks, seed: int, count: int = _CHUNK_LINES) -> list[Chunk]:
    """Draw lines and sort them by width."""
    by_pool: dict[int, list[tuple[NDArray[np.uint8], str]]] = {}
    for line, text in line_samples(banks.pens, count, seed):
        if len(text) <= TEXT_LENGTH:
            by_pool.setdefault(int(np.searchsorted(WIDTHS, line.shape[1])), []).append((line, text))
    return [as_chunk(pool, own) for pool, own in by_pool.items()]


def as_chunk(pool: int, lines: list[tuple[NDArray[np.uint8], str]]) -> Chunk:
    """Lines of one pool and their texts as arrays."""
    samples = np.zeros((len(lines), LINE_HEIGHT, WIDTHS[pool]), np.uint8)
    targets = np.zeros((len(lines), TEXT_LENGTH), np.uint8)
    for row, target, (line, text) in zip(samples, targets, lines, strict=True):
        row[:, : line.shape[1]] = line
        target[: len(text)] = encode(text)
    return Chunk(pool, samples, targets)


def crop_chunks(banks: Banks, seed: int, count: int = _CHUNK_CROPS) -> list[Chunk]:
    """Draw crops of digits and of what is none."""
    crops, labels = synthesize(banks.glyphs, count, seed, clean_share=0.2, number_share=0.4)
    return [Chunk(0, crops, labels[:, None])]


Draw = Callable[[Banks, int], list[Chunk]]


def _work(draw: Draw, banks: Banks, seeds: tuple[int, int], slabs: Any, free: Any, ready: Any) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    seed, step = seeds
    while True:
        for pool, samples, targets in _fitting(draw(banks, seed)):
            slab = free.get()
            if slab is None:
                return
            view = np.frombuffer(slabs[slab], np.uint8)
            view[: samples.size] = samples.ravel()
            view[samples.size : samples.size + targets.size] = targets.ravel()
            ready.put((slab, pool, samples.shape, targets.shape))
        seed += step


def _fitting(chunks: list[Chunk]) -> Iterator[Chunk]:
    """Chunks in parts that a slab holds."""
    for pool, samples, targets in chunks:
        size = samples[0].size + targets.shape[1]
        most = _SLAB // size
        for start in range(0, len(samples), most):
            yield Chunk(pool, samples[start : start + most], targets[start : start + most])


class Feed:
    """Drawing processes. They are forked, so that they share the banks: make it before the GPU is first used."""

    def __init__(self, draw: Draw, banks: Banks, processes: int, seed: int) -> None:
        context = mp.get_context("fork")
        count = 3 * processes + 2
        self._slabs = [context.RawArray("B", _SLAB) for _ in range(count)]
        self._free, self._ready = context.Queue(), context.Queue()
        for k in range(count):
            self._free.put(k)
        self._processes = [
            context.Process(
                target=_work,
                args=(draw, banks, (seed * 1_000_003 + k, processes), self._slabs, self._free, self._ready),
                daemon=True,
            )
            for k in range(processes)
        ]
        for process in self._processes:
            process.start()

    def take(self, into: Callable[[Chunk], None], wait_s: float = 0.0) -> int:
        """Hand over all that is ready; gives how many samples that were. Waits so long for the first."""
        count = 0
        while True:
            try:
                slab, pool, shape, target_shape = self._ready.get(wait_s > 0 and not count, wait_s or None)
            except queue.Empty:
                return count
            view = np.frombuffer(self._slabs[slab], np.uint8)
            size, targets = int(np.prod(shape)), int(np.prod(target_shape))
            into(Chunk(pool, view[:size].reshape(shape), view[size : size + targets].reshape(target_shape)))
            self._free.put(slab)
            count += shape[0]

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(5)


class Pools:
    """Samples on the device, by width; the oldest give way where one is full."""

    def __init__(self, shapes: list[tuple[int, int]], length: int, room: list[int], device: torch.device) -> None:
        self._samples = [
            torch.zeros((n, *s), dtype=torch.uint8, device=device) for s, n in zip(shapes, room, strict=True)
        ]
        self._targets = [torch.zeros((n, length), dtype=torch.uint8, device=device) for n in room]
        self.seen = [0] * len(room)
        self._device = device
        # A stream of their own, or copies would wait for the networks, and the networks then for the next batch.
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def add(self, chunk: Chunk) -> None:
        """Keep a chunk's samples."""
        pool = chunk.pool
        room, start = len(self._samples[pool]), self.seen[pool] % len(self._samples[pool])
        count = min(len(chunk.samples), room - start)
        with torch.cuda.stream(self._stream):
            for kept, new in ((self._samples[pool], chunk.samples), (self._targets[pool], chunk.targets)):
                kept[start : start + count].copy_(torch.from_numpy(new[:count].copy()))
        if self._stream is not None:
            self._stream.synchronize()
        self.seen[pool] += count

    def held(self, pool: int) -> int:
        """How many samples a pool holds."""
        return min(self.seen[pool], len(self._samples[pool]))

    def batch(self, pool: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples at random, with those of the others: (size, h, w) uint8 and (size, L) uint8."""
        rows = torch.randint(self.held(pool), (size,), device=self._device)
        return self._samples[pool][rows], self._targets[pool][rows]
