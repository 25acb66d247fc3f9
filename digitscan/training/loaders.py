"""A user's own digits: a folder with a subfolder a class, a table in Kaggle's form, npz, or IDX."""

from __future__ import annotations

import csv
import zipfile
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import DataError
from digitscan.core.types import NOT_A_DIGIT
from digitscan.imaging.binarize import digit_window, soft_ink
from digitscan.training.sources import Glyph, GlyphSource, read_idx, tight

NOT_A_DIGIT_FOLDERS = ("not-a-digit", "none", "10")
_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm"}


def load_own(entry: str) -> GlyphSource:
    """Load one source, written ``PATH`` or ``PATH=WEIGHT``; the weight is its share beside MNIST's 0.5.

    Raises
    ------
    DataError
        If it is missing, empty or broken; the message names the file or folder.
    """
    text, _, share = entry.rpartition("=")
    path, weight = (Path(entry), 0.2) if not text or Path(entry).exists() else (Path(text), _weight(share, entry))
    if path.is_dir():
        images, labels = load_class_folders(path)
    elif not path.is_file():
        raise DataError(f"no data at {path}", remedy="give a folder, a .csv, a .npz or an IDX file of images")
    elif path.suffix.lower() == ".csv":
        images, labels = load_csv(path)
    elif path.suffix.lower() == ".npz":
        images, labels = load_npz(path)
    else:
        images, labels = load_idx_pair(path)
    glyphs, kept = [], []
    for image, label in zip(images, labels, strict=True):
        glyph = tight(image)
        if glyph is not None:
            glyphs.append(glyph)
            kept.append(label)
    if not glyphs:
        raise DataError(f"{path} holds no digit with ink", remedy="ink must be high on a dark ground, or dark on paper")
    return GlyphSource(path.stem, glyphs, np.array(kept, np.uint8), weight)


def _weight(text: str, entry: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= 100:
        raise DataError(f"{entry!r}: {text!r} is no weight", remedy="write PATH=0.2")
    return weight


def _class_of(name: str, where: Path) -> int:
    if name.lower() in NOT_A_DIGIT_FOLDERS:
        return NOT_A_DIGIT
    if name.isascii() and name.isdigit() and len(name) == 1:
        return int(name)
    raise DataError(
        f"{where}: class folder named {name!r}",
        remedy="name the folders 0 to 9, and not-a-digit for everything else",
    )


def as_ink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small grey picture of one digit as ink: dark on light is contrast against its paper, else it is ink already.

    Parameters
    ----------
    image : (H, W) uint8

    Returns
    -------
    (H, W) uint8
        Ink high.
    """
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    if float(np.median(rim)) <= 127:
        return image
    return soft_ink(image, digit_window(image.shape))


def load_class_folders(folder: Path) -> tuple[list[Glyph], list[int]]:
    """Pictures sorted into subfolders ``0`` to ``9`` and ``not-a-digit``; any size, either polarity.

    Raises
    ------
    DataError
        If a subfolder is no class, a class is empty, or a picture cannot be read.
    """
    subfolders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not subfolders:
        raise DataError(f"{folder} has no class folders", remedy="put the pictures into subfolders 0 to 9")
    images: list[Glyph] = []
    labels: list[int] = []
    for sub in subfolders:
        label = _class_of(sub.name, folder)
        files = sorted(p for p in sub.iterdir() if p.suffix.lower() in _PICTURES)
        if not files:
            raise DataError(f"class folder {sub} holds no pictures", remedy="fill it or remove it")
        for file in files:
            raw = file.read_bytes()
            image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE) if raw else None
            if image is None:
                raise DataError(f"cannot read the picture {file}", remedy="remove it or save it again")
            images.append(as_ink(np.asarray(image, np.uint8)))
            labels.append(label)
    return images, labels


def _numbers(row: list[str]) -> NDArray[np.float64]:
    """The row's numbers; none when one of its fields is no number."""
    try:
        return np.array(row, dtype=np.float64)
    except ValueError:
        return np.zeros(0)


def load_csv(path: Path) -> tuple[list[Glyph], list[int]]:
    """Kaggle's form: a header, then ``label,pixel0,...``; square pictures, ink high.

    Raises
    ------
    DataError
        If a row is short, long or not numeric; the message names the line.
    """
    images: list[Glyph] = []
    labels: list[int] = []
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        rows = csv.reader(stream)
        try:
            header = next(rows, None)
            if not header or len(header) < 2:
                raise DataError(f"{path} is empty", remedy="the first line reads label,pixel0,pixel1,...")
            side = int(round((len(header) - 1) ** 0.5))
            if side * side != len(header) - 1:
                raise DataError(f"{path}: {len(header) - 1} pixels are no square", remedy="write square pictures")
            headless = header[0].strip().isdigit()
            for row in chain([header] if headless else [], rows):
                values = _numbers(row)
                # Written so that NaN fails it as well.
                if len(values) != len(header) or not (values >= 0).all() or not (values <= 255).all():
                    label = -1
                else:
                    label = int(values[0])
                if not 0 <= label <= NOT_A_DIGIT:
                    raise DataError(
                        f"{path}, line {rows.line_num}: not a label and {side * side} pixels of 0 to 255",
                        remedy="fix or remove the line",
                    )
                images.append(values[1:].astype(np.uint8).reshape(side, side))
                labels.append(label)
        except csv.Error as error:
            raise DataError(
                f"{path}, line {rows.line_num}: {error}", remedy="write the table again as plain comma-separated text"
            ) from error
    return images, labels


def load_npz(path: Path) -> tuple[list[Glyph], list[int]]:
    """An npz with ``x`` (N, H, W) uint8, ink high or dark on light, and ``y`` (N,).

    Raises
    ------
    DataError
        If it is damaged, or pictures and labels do not match.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            x, y = archive["x"], archive["y"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}", remedy="it must hold arrays x and y") from error
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.ndim != 3 or x.dtype != np.uint8 or y.shape != x.shape[:1] or 0 in x.shape[1:]:
        raise DataError(
            f"{path}: x is {x.shape} {x.dtype}, y is {y.shape}", remedy="give x (N, H, W) uint8 and y (N,) alike"
        )
    if not (np.issubdtype(y.dtype, np.integer) or np.issubdtype(y.dtype, np.floating)):
        raise DataError(f"{path}: labels are {y.dtype}", remedy="use numbers: 0 to 9, and 10 for not-a-digit")
    if len(y) and not (y.min() >= 0 and y.max() <= NOT_A_DIGIT):
        raise DataError(f"{path}: labels from {y.min()} to {y.max()}", remedy="use 0 to 9, and 10 for not-a-digit")
    return [as_ink(image) for image in x], [int(label) for label in y]


def load_idx_pair(path: Path) -> tuple[list[Glyph], list[int]]:
    """An IDX file of images, with its labels beside it under MNIST's naming.

    Raises
    ------
    DataError
        If either is missing or damaged, or they do not match.
    """
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == path or not beside.is_file():
        raise DataError(f"no labels beside {path}", remedy=f"expected {beside.name}; name the files as MNIST does")
    images, labels = read_idx(path), read_idx(beside)
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or 0 in images.shape[1:]:
        raise DataError(
            f"{path}: images {images.shape} do not match labels {labels.shape}", remedy="use files of the same set"
        )
    return [as_ink(image) for image in images], [int(label) for label in labels]
