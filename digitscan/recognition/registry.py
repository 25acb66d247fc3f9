"""Models on disk: a folder with ``model.keras``, ``model.tflite`` and ``card.json``; a mismatch is refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from digitscan.core.errors import ModelError
from digitscan.core.types import CLASS_COUNT, CROP_SIZE, NOT_A_DIGIT, ModelInfo
from digitscan.recognition.lines import ALPHABET, LINE_HEIGHT, LINE_NORMALIZATION_VERSION
from digitscan.recognition.normalize import NORMALIZATION_VERSION

DEFAULT_MODEL = "digitnet-1"
DEFAULT_LINE_MODEL = "linenet-2"
MODEL_FILE = "model.keras"
LIGHT_FILE = "model.tflite"
CARD_FILE = "card.json"


class ModelCard(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a model says of itself.

    Attributes
    ----------
    id, architecture : str
        The folder's name; the network's name in `digitscan.recognition.architectures`.
    sha256 : str
        Hash of ``model.keras``.
    light_sha256 : str
        Hash of ``model.tflite``, the same network for the light runtime; empty where there is none.
    input_shape : tuple of int
        (28, 28, 1), or (32, 0, 1) for lines 32 pixels high and of any width.
    polarity : str
        ``ink-high``: 0 is paper, 1 is full ink.
    normalization_version : int
        Of `digitscan.recognition.normalize`, or of `digitscan.recognition.lines`.
    classes : tuple of str
        Names of the network's outputs: the ten digits, and not-a-digit where it knows that class; for lines CTC's
        blank and the alphabet.
    parameters : int
        Trainable and fixed numbers in the network.
    temperature : float
        Divides the log posteriors before use; fitted on validation data.
    data, training, accuracy : dict
        What it was trained on, how, and how well it does.
    licence : str
        Of the weights.
    """

    id: str
    architecture: str
    sha256: str
    input_shape: tuple[int, int, int]
    polarity: str
    normalization_version: int
    classes: tuple[str, ...]
    parameters: int
    light_sha256: str = ""
    temperature: float = 1.0
    digitscan: str = ""
    created: str = ""
    licence: str = "MIT"
    data: list[dict[str, Any]] = []
    training: dict[str, Any] = {}
    accuracy: dict[str, Any] = {}

    @property
    def reads_lines(self) -> bool:
        """Whether it takes whole lines instead of crops of one digit."""
        return self.input_shape[0] != CROP_SIZE

    def info(self) -> ModelInfo:
        """The part that every result carries."""
        return ModelInfo(self.id, self.sha256, self.normalization_version)


def file_sha256(path: Path) -> str:
    """Hash a file without holding it in memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def model_folders() -> list[Path]:
    """Folders that hold models, first match wins: ``$DIGITSCAN_MODELS``, the package's own, a checkout's."""
    package = Path(__file__).resolve().parent.parent
    places = [package / "_models", package.parent / "models"]
    if os.environ.get("DIGITSCAN_MODELS"):
        places.insert(0, Path(os.environ["DIGITSCAN_MODELS"]))
    return places


def find_models() -> Iterator[tuple[Path, ModelCard]]:
    """Every model whose card can be read, each id once."""
    seen = set()
    for place in model_folders():
        for card in sorted(place.glob(f"*/{CARD_FILE}")):
            if card.parent.name not in seen:
                seen.add(card.parent.name)
                try:
                    yield card.parent, read_card(card.parent)
                except ModelError:
                    continue


def locate(model: str) -> Path:
    """Folder of a model given by id or by path; empty means the default.

    Raises
    ------
    ModelError
        If there is none; the message lists where it was looked for.
    """
    wanted = model or DEFAULT_MODEL
    if (Path(wanted) / CARD_FILE).is_file():
        return Path(wanted)
    for place in model_folders():
        if (place / wanted / CARD_FILE).is_file():
            return place / wanted
    looked = ", ".join(str(place) for place in model_folders())
    raise ModelError(
        f"no model {wanted!r}: looked in {looked}",
        remedy="see `digitscan models list`, or train one with `digitscan train`",
    )


def read_card(folder: Path) -> ModelCard:
    """Read and check a model's card.

    Raises
    ------
    ModelError
        If it is missing, damaged, or made for another normalization or input.
    """
    try:
        card = msgspec.json.decode((folder / CARD_FILE).read_bytes(), type=ModelCard)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(
            f"model card {folder / CARD_FILE}: {error}", remedy="install or train the model again"
        ) from error
    version = LINE_NORMALIZATION_VERSION if card.reads_lines else NORMALIZATION_VERSION
    if card.normalization_version != version:
        raise ModelError(
            f"model {card.id} was trained for normalization {card.normalization_version}, "
            f"this digitscan makes {version}",
            remedy="train it again with `digitscan train`",
        )
    digits = card.input_shape == (CROP_SIZE, CROP_SIZE, 1) and len(card.classes) in (NOT_A_DIGIT, CLASS_COUNT)
    outputs = "blank", *ALPHABET  # earlier networks know no struck out digits, which come last
    lines = card.input_shape == (LINE_HEIGHT, 0, 1) and card.classes in (outputs, outputs[:-1])
    if not (digits or lines) or card.polarity != "ink-high":
        raise ModelError(
            f"model {card.id} does not take 28x28 ink-high crops of ten digits, with or without not-a-digit",
            remedy="use another model",
        )
    return card


def write_card(folder: Path, card: ModelCard) -> None:
    """Write ``card.json``, readable by people."""
    (folder / CARD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
