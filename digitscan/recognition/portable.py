"""Networks as single files: out to other programs, and in from them."""

from __future__ import annotations

import datetime
import warnings
from pathlib import Path
from typing import Any

from digitscan.core.errors import ModelError, OutputError
from digitscan.core.types import CLASS_COUNT, CROP_SIZE, NOT_A_DIGIT
from digitscan.core.version import __version__
from digitscan.recognition.normalize import NORMALIZATION_VERSION
from digitscan.recognition.registry import MODEL_FILE, ModelCard, file_sha256, locate, read_card, write_card
from digitscan.recognition.runtime import quiet_tensorflow

SUFFIXES = (".keras", ".h5")


def _checked(path: Path) -> Path:
    if path.suffix.lower() not in SUFFIXES:
        raise ModelError(f"{path}: unknown format {path.suffix!r}", remedy=f"use {' or '.join(SUFFIXES)}")
    return path


def _fold_temperature(network: Any, temperature: float) -> None:
    """Put a model's temperature into the network: the softmax's weights are divided by it.

    Other programs know nothing of the card; what they read must be as sure as what we read.
    """
    if temperature == 1.0:
        return
    last = network.layers[-1]
    last.set_weights([weights / temperature for weights in last.get_weights()])


def export_network(model: str, out: Path) -> None:
    """Write a model's network to one file, its temperature folded in.

    Raises
    ------
    ModelError
        If the model is missing, or the file's ending is not one of `SUFFIXES`.
    OutputError
        If the file cannot be written.
    """
    _checked(out)
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
            network.save(temporary)
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {out}: {error}", remedy="choose another place") from error


def import_network(file: Path, out: Path, name: str) -> ModelCard:
    """Make a model folder ``out/<name>`` from a Keras file.

    Raises
    ------
    ModelError
        If the file cannot be read as a network, or takes or gives other shapes than (28, 28, 1) and 10 or 11.
    OutputError
        If the folder cannot be written.
    """
    _checked(file)
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
        folder.mkdir(parents=True, exist_ok=True)
        network.save(folder / MODEL_FILE)
    except OSError as error:
        raise OutputError(f"cannot write the model in {folder}: {error}", remedy="choose another --out") from error
    card = ModelCard(
        id=name,
        architecture=network.name,
        sha256=file_sha256(folder / MODEL_FILE),
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
