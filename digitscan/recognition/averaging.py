"""Weights of one network taken over by another, and the mean of two.

A network that was trained further from another one lies in the same valley; their mean keeps what both know
(Wortsman et al. 2022, Robust fine-tuning of zero-shot models, CVPR).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from digitscan.core.errors import ModelError, OutputError
from digitscan.core.version import __version__
from digitscan.recognition.engines import quiet_tensorflow
from digitscan.recognition.portable import save_network
from digitscan.recognition.registry import MODEL_FILE, ModelCard, locate, read_card, write_card

Weights = Sequence[NDArray[Any]]


def taken_over(own: Weights, known: Weights) -> list[NDArray[Any]] | None:
    """Weights of a network in the shapes of another one; None where their layers differ.

    The last layer may have more outputs than is known: those that follow the known ones keep their own weights.
    """
    if len(own) != len(known) or any(w.shape != k.shape for w, k in zip(own[:-2], known[:-2], strict=True)):
        return None
    taken = [*known[:-2]]
    for weights, part in zip(own[-2:], known[-2:], strict=True):
        if weights.shape[:-1] != part.shape[:-1] or weights.shape[-1] < part.shape[-1]:
            return None
        grown = weights.copy()
        grown[..., : part.shape[-1]] = part
        taken.append(grown)
    return taken


def average_models(before: str, after: str, out: Path, name: str, share: float = 0.5) -> ModelCard:
    """Make a model ``out/<name>`` whose weights are the mean of two, the second of which was trained from the first.

    The second one counts `share`, 0 to 1.

    Raises
    ------
    ModelError
        If a model is missing, or their layers differ.
    OutputError
        If the folder cannot be written.
    """
    folders = [locate(model) for model in (before, after)]
    cards = [read_card(folder) for folder in folders]
    quiet_tensorflow()
    import keras

    networks = [keras.saving.load_model(folder / MODEL_FILE, compile=False) for folder in folders]
    own = networks[1].get_weights()
    known = taken_over(own, networks[0].get_weights()) if cards[0].architecture == cards[1].architecture else None
    if known is None:
        raise ModelError(
            f"{cards[0].id} and {cards[1].id} have other layers", remedy="give a model and one trained from it"
        )
    networks[1].set_weights([(1 - share) * a + share * b for a, b in zip(known, own, strict=True)])
    folder = out / name
    try:
        hashes = save_network(networks[1], folder)
        card = msgspec.structs.replace(
            cards[1],
            id=name,
            **hashes._asdict(),
            temperature=float(cards[0].temperature ** (1 - share) * cards[1].temperature ** share),
            digitscan=__version__,
            created=datetime.datetime.now(datetime.UTC).date().isoformat(),
            training={"mean_of": [cards[0].id, cards[1].id], "share": share, cards[1].id: cards[1].training},
            accuracy={},
        )
        write_card(folder, card)
    except OSError as error:
        raise OutputError(f"cannot write the model in {folder}: {error}", remedy="choose another --out") from error
    return card
