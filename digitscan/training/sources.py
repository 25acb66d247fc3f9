"""Where glyphs come from: MNIST and the npz sets beside it.

A glyph is a tight (h, w) uint8 array, ink high, with its class: 0-9, or 10 for not-a-digit.
"""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import DataError
from digitscan.core.types import NOT_A_DIGIT
from digitscan.imaging.binarize import binarize, soft_ink

Glyph = NDArray[np.uint8]

MNIST_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


@dataclass(frozen=True, slots=True, eq=False)
class GlyphSource:
    """Glyphs of one origin.

    Attributes
    ----------
    name : str
        What the model card calls it.
    glyphs : list of (h, w) uint8
        Tight crops, ink high.
    labels : (N,) uint8
        0-9, or 10 for not-a-digit.
    weight : float
        Share of the drawn samples, relative to the other sources.
    aspect : (float, float)
        Range of a horizontal squeeze: sets whose digits were stretched to a square need one.
    printed : bool
        Print varies less than handwriting: it is warped half as much and never slanted.
    writers : (N,) int, optional
        Who wrote each glyph, where that is known.
    """

    name: str
    glyphs: list[Glyph]
    labels: NDArray[np.uint8]
    weight: float
    aspect: tuple[float, float] = (0.85, 1.15)
    printed: bool = False
    writers: NDArray[np.int64] | None = None

    def only(self, rows: NDArray[np.bool_]) -> GlyphSource:
        """The same source with some of its glyphs: `rows` is (N,) bool."""
        if rows.all():
            return self
        chosen = np.flatnonzero(rows)
        writers = None if self.writers is None else self.writers[chosen]
        return replace(self, glyphs=[self.glyphs[k] for k in chosen], labels=self.labels[chosen], writers=writers)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    Raises
    ------
    DataError
        If the file is missing, truncated or not IDX.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError) as error:
        raise DataError(f"cannot read {path}: {error}", remedy="fetch the file again") from error
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise DataError(f"{path} is not an IDX file of bytes", remedy="give the original MNIST files")
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    body = np.frombuffer(raw, np.uint8, offset=4 + 4 * rank)
    if body.size != int(np.prod(shape)):
        raise DataError(
            f"{path} holds {body.size} bytes where its header says {int(np.prod(shape))}",
            remedy="fetch the file again",
        )
    return body.reshape(shape)


def candidate_folders(data: Path | None) -> list[tuple[str, Path]]:
    """Places that are looked into, in order, each with the words that name it in an error."""
    places: list[tuple[str, Path]] = []
    if data is not None:
        return [("--data", data)]
    if os.environ.get("DIGITSCAN_DATA"):
        places.append(("$DIGITSCAN_DATA", Path(os.environ["DIGITSCAN_DATA"])))
    beside = Path("..") / "shared" / "data"
    if not any(place.resolve() == beside.resolve() for _, place in places):
        places.append(("../shared/data", beside))
    return places


def load_mnist(split: str, data: Path | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load MNIST from the first place that has it.

    Parameters
    ----------
    split : {"train", "test"}
        60,000 or 10,000 digits.
    data : Path, optional
        A folder with the four IDX files, or with a folder ``mnist`` that holds them.

    Returns
    -------
    images : (N, 28, 28) uint8
        Ink high.
    labels : (N,) uint8

    Raises
    ------
    DataError
        If no place has it; the message lists what was tried.
    """
    tried = []
    for words, folder in candidate_folders(data):
        for base in (folder / "mnist", folder):
            for suffix in ("", ".gz"):
                names = [name.removesuffix(".gz") + suffix for name in MNIST_FILES[split]]
                if (base / names[0]).is_file():
                    images, labels = read_idx(base / names[0]), read_idx(base / names[1])
                    if len(images) != len(labels):
                        raise DataError(
                            f"{base}: {len(images)} images but {len(labels)} labels",
                            remedy="use an image file and a label file of the same set",
                        )
                    return images, labels
        tried.append(f"{words} ({folder})")
    if data is None:
        cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets" / "mnist.npz"
        try:
            if cache.is_file():
                with np.load(cache) as archive:
                    return archive[f"x_{split}"], archive[f"y_{split}"].astype(np.uint8)
            tried.append(f"the Keras cache ({cache})")
            from keras.datasets import mnist

            (x_train, y_train), (x_test, y_test) = mnist.load_data()
        except Exception as error:  # noqa: BLE001  (whatever a download or a damaged cache raises)
            tried.append(f"download ({type(error).__name__})")
        else:
            x, y = (x_train, y_train) if split == "train" else (x_test, y_test)
            return x, y.astype(np.uint8)
    raise DataError(
        f"MNIST was not found; tried {', '.join(tried)}",
        remedy="give --data FOLDER with the four MNIST IDX files",
    )


def tight(image: NDArray[np.uint8], level: int = 32) -> Glyph | None:
    """Crop to the ink; None when there is none."""
    x, y, w, h = cv2.boundingRect(cv2.compare(image, level, cv2.CMP_GT))
    return None if w == 0 else np.ascontiguousarray(image[y : y + h, x : x + w])


def _smooth(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Enlarge a coarse bitmap so that its strokes have smooth edges instead of steps."""
    padded = cv2.copyMakeBorder(image, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    large = cv2.resize(padded, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(large, (0, 0), 0.55 * factor)
    return cv2.convertScaleAbs(cv2.subtract(soft, 64), alpha=2.0)


def _central(image: NDArray[np.uint8]) -> Glyph | None:
    """Ink of the component nearest the middle: cells cut from grids carry scraps of their lines."""
    ink = soft_ink(image, 31)
    mask, _ = binarize(ink, window=31)
    count, labels, stats, centers = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    side = image.shape[0]
    best, best_distance = 0, side * 0.3
    for index in range(1, count):
        if stats[index, cv2.CC_STAT_AREA] < side * side * 0.01 or stats[index, cv2.CC_STAT_HEIGHT] < side * 0.25:
            continue
        distance = float(np.hypot(*(centers[index] - side / 2)))
        if distance < best_distance:
            best, best_distance = index, distance
    if not best:
        return None
    own = cv2.dilate((labels == best).astype(np.uint8), np.ones((3, 3), np.uint8))
    return tight(cv2.convertScaleAbs(ink * own, alpha=255.0 / max(int(ink[labels == best].max()), 1)))


def _load_npz(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64] | None]:
    try:
        with np.load(path) as archive:
            if "bits" in archive:
                images = np.unpackbits(archive["bits"], axis=1)[:, :11025].reshape(-1, 105, 105) * np.uint8(255)
            else:
                images = archive["x"]
            writers = archive["writer"].astype(np.int64) if "writer" in archive else None
            return images, archive["y"].astype(np.uint8), writers
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}", remedy="fetch the file again") from error


def _glyphs(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], prepare: Callable[[NDArray[np.uint8]], Glyph | None]
) -> tuple[list[Glyph], NDArray[np.uint8]]:
    """Glyphs of all pictures that hold one, and their labels."""
    pairs = [(glyph, own) for image, own in zip(images, labels, strict=True) if (glyph := prepare(image)) is not None]
    return [glyph for glyph, _ in pairs], np.array([own for _, own in pairs], np.uint8)


@dataclass(frozen=True, slots=True)
class _KnownSet:
    """A set of digits as its authors give it, and what makes glyphs of its pictures."""

    prepare: Callable[[NDArray[np.uint8]], Glyph | None]
    weight: float = 0.0
    """Share beside MNIST's 0.5 of the drawn samples; 0 where its glyphs are only material, or only measure."""
    aspect: tuple[float, float] = (0.85, 1.15)
    trains: bool = True
    printed: bool = False
    file: str = ""
    """Where it differs from the set's own name."""
    rows: Callable[[NDArray[np.uint8]], NDArray[np.bool_]] | None = None
    """Which labels are kept; all where not given."""
    by: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None
    """Whose digits are kept, by the writer's number; everybody's where not given."""
    digits: bool = True
    """False where nothing in it is a digit."""


def _letters(image: NDArray[np.uint8]) -> Glyph | None:
    return tight(_smooth(image[::2, ::2], 1))


KNOWN_SETS = {
    "optdigits32_train": _KnownSet(lambda image: tight(_smooth(image, 2)), 0.09, (0.75, 1.1)),
    "semeion16": _KnownSet(lambda image: tight(_smooth(image, 3)), 0.09, (0.5, 0.95)),
    "usps16_train": _KnownSet(lambda image: tight(_smooth(image, 3)), aspect=(0.5, 0.95), trains=False),
    "hwd1000": _KnownSet(lambda image: tight(_smooth(image, 2)), 0.03),
    # Three of the seventeen writers train nothing: they validate, and confidence is fitted on them.
    "swiss48": _KnownSet(tight, 0.16, by=lambda writer: writer % 7 != 4),
    "swiss48_held_out": _KnownSet(tight, trains=False, file="swiss48", by=lambda writer: writer % 7 == 4),
    "cvl28": _KnownSet(tight, trains=False),
    # Class 0 is an empty cell, 10 are strays.
    "printed28_train": _KnownSet(
        lambda image: _central(cv2.bitwise_not(image)), 0.03, printed=True, rows=lambda y: (y > 0) & (y < 10)
    ),
    # 10 is blank, 11 are small candidates.
    "sudoku_cells56_train": _KnownSet(_central, 0.05, rows=lambda y: y < 10),
    # Every eighth letter trains nothing: it measures how unseen letters are told from digits.
    "omniglot105_negatives": _KnownSet(_letters, rows=lambda y: y % 8 != 7, digits=False),
    "omniglot105_held_out": _KnownSet(
        _letters, trains=False, file="omniglot105_negatives", rows=lambda y: y % 8 == 7, digits=False
    ),
}
"""Sets that are known beside MNIST, by the name of their npz file."""
CREDITS = {"swiss48": "Anagnostes' collection of digits for payment slips, Apache 2.0"}
"""Authors whose terms ask to be named: the model's card does."""


def load_sources(data: Path | None = None, *, without: Sequence[str] = ()) -> list[GlyphSource]:
    """Load every handwritten and printed set that may train shipped weights.

    Parameters
    ----------
    data : Path, optional
        A folder with ``mnist/`` and, where present, ``digits/*.npz``; found as `load_mnist` does if not given.
    without : sequence of str
        Names of sets to leave out, so that they can be measured with.

    Raises
    ------
    DataError
        If MNIST is nowhere to be found, or `without` names no known set. The other sets are optional.
    """
    if unknown := set(without) - set(KNOWN_SETS):
        raise DataError(f"no set named {min(unknown)!r}", remedy=f"choose from {', '.join(KNOWN_SETS)}")
    images, labels = load_mnist("train", data)
    sources = [GlyphSource("mnist-train", *_glyphs(images, labels, tight), 0.50)]
    folder = next((place / "digits" for _, place in candidate_folders(data) if (place / "digits").is_dir()), None)
    if folder is not None:
        names = [name for name in set_names(folder) if KNOWN_SETS[name].trains and name not in without]
        sources += [load_set(folder, name) for name in names]
    return sources


def set_names(folder: Path) -> list[str]:
    """Sets in a folder of npz files that are known here, by file; what is held out of a file follows the rest of it."""
    files = {name: known.file or name for name, known in KNOWN_SETS.items()}
    found = [name for name, file in files.items() if (folder / f"{file}.npz").is_file()]
    return sorted(found, key=lambda name: (files[name], files[name] != name))


def load_set(folder: Path, name: str) -> GlyphSource:
    """Load one of the sets beside MNIST, cleaned of what is no digit.

    Raises
    ------
    DataError
        If its file cannot be read.
    """
    known = KNOWN_SETS[name]
    x, y, writers = _load_npz(folder / f"{known.file or name}.npz")
    kept = np.ones(len(y), np.bool_)
    if known.rows is not None:
        kept &= known.rows(y)
    if known.by is not None:
        if writers is None:
            raise DataError(f"{folder / (known.file or name)}.npz names no writers", remedy="fetch the file again")
        kept &= known.by(writers)
    x, y = x[kept], y[kept]
    if not known.digits:
        y = np.full(len(y), NOT_A_DIGIT, np.uint8)
    source = GlyphSource(name, *_glyphs(x, y, known.prepare), known.weight, known.aspect, known.printed)
    if writers is not None and len(source.glyphs) == len(y):
        source = replace(source, writers=writers[kept])
    return source
