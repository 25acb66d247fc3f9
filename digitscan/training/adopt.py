"""Make a model of the weights that `digitscan.training.torch_train` leaves in a run's folder."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digitscan.core.errors import ModelError
from digitscan.core.version import __version__
from digitscan.recognition.architectures import architecture, build
from digitscan.recognition.engines import quiet_tensorflow
from digitscan.recognition.portable import save_network
from digitscan.recognition.registry import ModelCard, write_card
from digitscan.training.banks import Material
from digitscan.training.recipes import TrainingConfig
from digitscan.training.tasks import task_for

RUN_FILE, WEIGHTS_FILE = "run.json", "weights.npz"


def adopt(folder: Path, name: str, data: Path | None = None, material: Material | None = None) -> ModelCard:
    """Write ``model.keras``, ``model.tflite`` and ``card.json`` beside a run's weights.

    The temperature of a network of digits is fitted, and either network measured, on what it did not learn from:
    of `material`, or else of what is found.

    Raises
    ------
    ModelError
        If the run's files are missing or damaged, or its weights are those of other layers.
    """
    try:
        told: dict[str, Any] = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        settings, log = told["run"], told["log"]
        with np.load(folder / WEIGHTS_FILE) as archive:
            weights = [archive[key] for key in sorted(archive.files)]
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"no finished run in {folder}: {error}", remedy="train again") from error
    quiet_tensorflow()
    arch = architecture(settings["arch"])
    network = build(arch.id, arch.published_classes)
    if [w.shape for w in weights] != [w.shape for w in network.get_weights()]:
        raise ModelError(f"the weights in {folder} are no {arch.id}", remedy="train again with this version")
    network.set_weights(weights)
    hashes = save_network(network, folder)
    config = replace(TrainingConfig(), arch=arch.id, name=name, seed=settings["seed"])
    card = ModelCard(
        id=name,
        architecture=arch.id,
        **hashes._asdict(),
        polarity="ink-high",
        parameters=network.count_params(),
        digitscan=__version__,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        training={**settings, "by": "digitscan.training.torch_train"}
        | {key: log[-1][key] for key in ("steps", "drawn", "validation")},
        **task_for(config, data, (), material).card(network),
    )
    write_card(folder, card)
    return card
