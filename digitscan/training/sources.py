"""Where glyphs come from: MNIST, the npz sets beside it, and fonts.

A glyph is a tight (h, w) uint8 array, ink high, with its class: 0-9, or 10 for not-a-digit.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    """

    name: str
    glyphs: list[Glyph]
    labels: NDArray[np.uint8]
    weight: float
    aspect: tuple[float, float] = (0.85, 1.15)

    def only(self, rows: NDArray[np.bool_]) -> GlyphSource:
        """The same source with some of its glyphs: `rows` is (N,) bool."""
        if rows.all():
            return self
        chosen = np.flatnonzero(rows)
        return GlyphSource(self.name, [self.glyphs[k] for k in chosen], self.labels[chosen], self.weight, self.aspect)


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
    places.append(("../shared/data", Path("..") / "shared" / "data"))
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


def _load_npz(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    try:
        with np.load(path) as archive:
            if "bits" in archive:
                images = np.unpackbits(archive["bits"], axis=1)[:, :11025].reshape(-1, 105, 105) * np.uint8(255)
            else:
                images = archive["x"]
            return images, archive["y"].astype(np.uint8)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}", remedy="fetch the file again") from error


def _collect(
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    prepare: Callable[[NDArray[np.uint8]], Glyph | None],
    weight: float,
    aspect: tuple[float, float] = (0.85, 1.15),
) -> GlyphSource:
    pairs = [
        (glyph, label) for image, label in zip(images, labels, strict=True) if (glyph := prepare(image)) is not None
    ]
    kept = np.array([label for _, label in pairs], np.uint8)
    return GlyphSource(name, [glyph for glyph, _ in pairs], kept, weight, aspect)


def load_sources(data: Path | None = None, *, without: tuple[str, ...] = ()) -> list[GlyphSource]:
    """Load every handwritten and printed set that may train shipped weights.

    Parameters
    ----------
    data : Path, optional
        A folder with ``mnist/`` and, where present, ``digits/*.npz``; found as `load_mnist` does if not given.
    without : tuple of str
        Names of sources to leave out, for a leave-one-source-out measurement.

    Raises
    ------
    DataError
        If MNIST is nowhere to be found. The other sets are optional.
    """
    images, labels = load_mnist("train", data)
    sources = [_collect("mnist-train", images, labels, tight, 0.50)]
    folder = next((place / "digits" for _, place in candidate_folders(data) if (place / "digits").is_dir()), None)
    if folder is not None:
        sources += [
            load_set(folder, name) for name in set_names(folder) if name in TRAINING_SHARE and name not in without
        ]
    return sources


TRAINING_SHARE = {
    "optdigits32_train": 0.09,
    "semeion16": 0.09,
    "hwd1000": 0.03,
    "printed28_train": 0.03,
    "sudoku_cells56_train": 0.05,
    "omniglot105_negatives": 0.0,
}
"""Weights beside MNIST's 0.5 of the sets that train; a set that is not named here is only measured with."""

_PREPARE: dict[str, tuple[Callable[[NDArray[np.uint8]], Glyph | None], tuple[float, float]]] = {
    "optdigits32_train": (lambda im: tight(_smooth(im, 2)), (0.75, 1.1)),
    "semeion16": (lambda im: tight(_smooth(im, 3)), (0.5, 0.95)),
    "usps16_train": (lambda im: tight(_smooth(im, 3)), (0.5, 0.95)),
    "hwd1000": (lambda im: tight(_smooth(im, 2)), (0.85, 1.15)),
    "printed28_train": (lambda im: _central(cv2.bitwise_not(im)), (0.85, 1.15)),
    "sudoku_cells56_train": (lambda im: _central(im), (0.85, 1.15)),
    "omniglot105_negatives": (lambda im: tight(_smooth(im[::2, ::2], 1)), (0.85, 1.15)),
    "omniglot105_held_out": (lambda im: tight(_smooth(im[::2, ::2], 1)), (0.85, 1.15)),
}


def set_names(folder: Path) -> list[str]:
    """Sets in a folder of npz files that are known here, by name."""
    names = sorted(path.stem for path in folder.glob("*.npz") if path.stem in _PREPARE)
    return [*names, "omniglot105_held_out"] if "omniglot105_negatives" in names else names


def load_set(folder: Path, name: str) -> GlyphSource:
    """Load one of the sets beside MNIST, cleaned of what is no digit.

    Raises
    ------
    DataError
        If its file cannot be read.
    """
    file = "omniglot105_negatives" if name == "omniglot105_held_out" else name
    x, y = _load_npz(folder / f"{file}.npz")
    if name.startswith("omniglot"):
        # Every eighth letter trains nothing: it measures how unseen letters are told from digits.
        kept = (y % 8 == 7) == (name == "omniglot105_held_out")
        x, y = x[kept], y[kept]
        y = np.full(len(y), NOT_A_DIGIT, np.uint8)
    elif name.startswith("printed28"):  # class 0 is an empty cell, 10 are strays
        x, y = x[(y > 0) & (y < 10)], y[(y > 0) & (y < 10)]
    elif name.startswith("sudoku"):  # 10 is blank, 11 are small candidates
        x, y = x[y < 10], y[y < 10]
    prepare, aspect = _PREPARE[name]
    return _collect(name, x, y, prepare, TRAINING_SHARE.get(name, 0.0), aspect)


_FREE_FONTS = re.compile(
    r"DejaVu|Liberation|Free(Mono|Sans|Serif)|OCR-?[AB]|Lato|Roboto|Carlito|Caladea|Courier ?Prime|lmroman|lmsans"
    r"|lmmono|DSEG|OldStandard|C059|NimbusMono|NimbusRoman|NimbusSans|P052|URWBookman|URWGothic|Junicode"
    r"|LinLibertine|LinBiolinum|EBGaramond|Inconsolata|Humor|ComicNeue|breip|Ecolier|OpenSans|Cabin|GFSDidot"
    r"|Gentium|Cantarell|Hack|STIX|cmr10|cmss10|cmtt10|SteveHand|scratch|JoeHand|Bravofont",
    re.IGNORECASE,
)
"""Families under free licences (OFL, GPL with font exception, Apache, Bitstream Vera, LPPL)."""
_NO_DIGITS = re.compile(
    r"DSEGWeather|DSEG14|DSEG7.*(Mini|GCHAN)|_K\.|OCRB[EX]\.|Hairline|Symbol|Dingbats|MathJax|Italic.*Swash|Initials|Keyboard|Upright(?!.*Roman)",
    re.IGNORECASE,
)


def find_fonts() -> list[Path]:
    """Free fonts installed on this machine, and those that matplotlib carries; sorted by file name."""
    folders = [
        Path("/usr/share/fonts"),
        Path("/usr/share/texmf/fonts"),
        Path("/Library/Fonts"),
        Path("C:/Windows/Fonts"),
    ]
    folders.append(Path.home() / ".local" / "share" / "fonts")
    try:
        import matplotlib

        folders.append(Path(matplotlib.get_data_path()) / "fonts" / "ttf")
    except ImportError:
        pass
    found: dict[str, Path] = {}
    for folder in folders:
        if folder.is_dir():
            for path in folder.rglob("*"):
                name = path.name
                if path.suffix.lower() in (".ttf", ".otf") and _FREE_FONTS.search(name) and not _NO_DIGITS.search(name):
                    found.setdefault(name, path)
    return [found[name] for name in sorted(found)]


# Letters that a reader of one crop cannot tell from a digit are left out: O o D Q I l | b q g Z z s.
_LETTERS = "ABCEFGHJKLMNPRSTUVWXYacdefhjkmnprtuvwxy" + "äüéñ"
_MARKS = ".,;:-=+*#%&?!\"'@€$£<>~^{}[]"


def _render(font_path: Path, text: str, size: int) -> Iterator[tuple[str, Glyph]]:
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype(str(font_path), size)
    except OSError:
        return
    for character in text:
        canvas = Image.new("L", (size * 2, size * 2), 0)
        ImageDraw.Draw(canvas).text((size // 2, size // 4), character, fill=255, font=font)
        glyph = tight(np.asarray(canvas))
        if glyph is not None and glyph.shape[0] > 2:
            yield character, glyph


def font_sources(size: int = 56) -> tuple[GlyphSource, GlyphSource, GlyphSource]:
    """Digits, letters and marks of every free font found: three sources, empty where there are no fonts."""
    drawn: dict[str, tuple[list[Glyph], list[int]]] = {kind: ([], []) for kind in ("digits", "letters", "marks")}
    for path in find_fonts():
        rendered = list(_render(path, "0123456789", size))
        # A font whose digits are all one shape has none: it shows its "missing" box.
        if len(rendered) < 10 or len({glyph.tobytes() for _, glyph in rendered}) < 10:
            continue
        for character, glyph in rendered:
            drawn["digits"][0].append(glyph)
            drawn["digits"][1].append(int(character))
        for kind, text in (("letters", _LETTERS), ("marks", _MARKS)):
            if "DSEG" in path.name:  # seven-segment letters are digits to the eye
                continue
            for _, glyph in _render(path, text, size):
                drawn[kind][0].append(glyph)
                drawn[kind][1].append(NOT_A_DIGIT)
    digits, letters, marks = (
        GlyphSource(f"fonts-{kind}", glyphs, np.array(labels, np.uint8), weight)
        for (kind, (glyphs, labels)), weight in zip(drawn.items(), (0.30, 0.0, 0.0), strict=True)
    )
    return digits, letters, marks
