"""Networks as single files: out to other programs, and in from them."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digitscan.core.errors import ModelError, OutputError
from digitscan.core.targets import refuse_any
from digitscan.core.types import CLASS_COUNT, CROP_SIZE, NOT_A_DIGIT
from digitscan.core.version import __version__
from digitscan.recognition.engines import convert, quiet_tensorflow
from digitscan.recognition.normalize import NORMALIZATION_VERSION
from digitscan.recognition.registry import (
    CARD_FILE,
    LIGHT_FILE,
    MODEL_FILE,
    ModelCard,
    file_sha256,
    locate,
    read_card,
    write_card,
)

KERAS_SUFFIXES = (".keras", ".h5")
SUFFIXES = (*KERAS_SUFFIXES, ".tflite")


class Hashes(NamedTuple):
    """Hashes of a model's files, as its card names them; `light_sha256` is empty without that file."""

    sha256: str
    light_sha256: str


def save_network(network: Any, folder: Path) -> Hashes:
    """Write a network into a model's folder: for Keras, and for the light runtime where it can be converted.

    Raises
    ------
    UsageError
        If the folder holds a network of another program: one without a card, or a run's log.
    OSError
        If the folder cannot be written.
    """
    for name in (MODEL_FILE, LIGHT_FILE):
        if not any((folder / own).exists() for own in (CARD_FILE, "log.csv")):
            refuse_any(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    network.save(folder / MODEL_FILE)
    light = convert(network)
    if light:
        (folder / LIGHT_FILE).write_bytes(light)
    else:
        (folder / LIGHT_FILE).unlink(missing_ok=True)
    return Hashes(file_sha256(folder / MODEL_FILE), file_sha256(folder / LIGHT_FILE) if light else "")


def _checked(path: Path, suffixes: Sequence[str] = SUFFIXES) -> Path:
    if path.suffix.lower() not in suffixes:
        raise ModelError(f"{path}: unknown format {path.suffix!r}", remedy=f"use {' or '.join(suffixes)}")
    return path


def _fold_temperature(network: Any, temperature: float) -> None:
    """Put a model's temperature into the network: the softmax's weights are divided by it.

    Other programs know nothing of the card; what they read must be as sure as what we read.
    """
    if temperature == 1.0:
        return
    last = network.layers[-1]
    last.set_weights([weights / temperature for weights in last.get_weights()])


def export_network(model: str, out: Path, *, force: bool = False) -> None:
    """Write a model's network to one file, its temperature folded in.

    A network does not say who wrote it, so with `force` alone one that is there is written over.

    Raises
    ------
    ModelError
        If the model is missing, or the file's ending is not one of `SUFFIXES`.
    UsageError
        If the file is there.
    OutputError
        If the file cannot be written.
    """
    _checked(out)
    if not force:
        refuse_any(out)
    folder = locate(model)
    quiet_tensorflow()
    import keras

    network = keras.saving.load_model(folder / MODEL_FILE, compile=False)
    _fold_temperature(network, read_card(folder).temperature)
    temporary = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras calls HDF5 a legacy format; that is why one asks for it
            if out.suffix.lower() == ".tflite":
                temporary.write_bytes(_light(network))
            else:
                network.save(temporary)
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {out}: {error}", remedy="choose another place") from error


def _light(network: Any) -> bytes:
    light = convert(network)
    if not light:
        raise ModelError(
            "only TensorFlow can write .tflite files", remedy="leave KERAS_BACKEND unset, or export to .keras"
        )
    return light


def import_network(file: Path, out: Path, name: str) -> ModelCard:
    """Make a model folder ``out/<name>`` from a Keras file.

    Raises
    ------
    ModelError
        If the file cannot be read as a network, or takes or gives other shapes than (28, 28, 1) and 10 or 11.
    OutputError
        If the folder cannot be written.
    """
    _checked(file, KERAS_SUFFIXES)
    if not file.is_file():
        raise ModelError(f"no file {file}", remedy="check the path")
    quiet_tensorflow()
    import keras

    try:
        network = keras.saving.load_model(file, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"cannot load {file}: {error}", remedy="save the network again with Keras 3") from error
    takes, gives = tuple(network.input_shape), tuple(network.output_shape)
    if takes != (None, CROP_SIZE, CROP_SIZE, 1) or len(gives) != 2 or gives[1] not in (NOT_A_DIGIT, CLASS_COUNT):
        raise ModelError(
            f"{file} takes {takes} and gives {gives}",
            remedy="it must take (None, 28, 28, 1) and give (None, 10) or (None, 11) probabilities",
        )
    folder = out / name
    try:
        hashes = save_network(network, folder)
    except OSError as error:
        raise OutputError(f"cannot write the model in {folder}: {error}", remedy="choose another --out") from error
    card = ModelCard(
        id=name,
        architecture=network.name,
        **hashes._asdict(),
        input_shape=(CROP_SIZE, CROP_SIZE, 1),
        polarity="ink-high",
        normalization_version=NORMALIZATION_VERSION,
        classes=(*map(str, range(10)), "not-a-digit")[: gives[1]],
        parameters=network.count_params(),
        digitscan=__version__,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        licence="unknown",
        training={"imported_from": file.name},
    )
    write_card(folder, card)
    return card
