"""How a network is trained: the whole configuration of a run, and the recipes that authors published."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from digitscan.core.errors import UsageError

RecipeName = Literal["default", "quick", "published"]
Optimizer = Literal["adamw", "adam", "sgd", "rmsprop"]
Schedule = Literal["cosine", "constant", "plateau"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that makes a run; saved in the model's card."""

    arch: str = "digitnet"
    name: str = "digitnet-local"
    recipe: RecipeName = "default"
    """``default`` learns from every source through synthetic paper; ``quick`` the same in a quarter of an hour;
    ``published`` from MNIST as its author did."""
    epochs: int = 46
    epoch_samples: int = 60_000
    """Crops in an epoch of the default recipe; a published one takes the whole training file."""
    raw_share: float = 0.2
    """Share of each epoch that is MNIST as published, only normalized."""
    clean_share: float = 0.25
    """Share of the drawn crops that are MNIST digits, warped but never put on paper."""
    number_share: float = 0.35
    """Share of the drawn crops that come from whole numbers, parted as the reader parts them."""
    reuse: int = 3
    """Epochs in which a synthetic crop is seen: drawing one costs as much as learning from it."""
    held_out: int = 5_000
    """Digits at the end of MNIST's training file that validate and train nothing."""
    batch_size: int = 128
    optimizer: Optimizer = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.0
    """Of stochastic gradient descent."""
    weight_decay: float = 1e-4
    schedule: Schedule = "cosine"
    label_smoothing: float = 0.02
    averaging: float = 0.999
    """Momentum of the weight average that is kept at the end; 0 keeps the last weights."""
    augmentation: bool = False
    """Published recipes: rotate by up to 10 degrees, zoom and shift by up to a tenth."""
    patience: int = 0
    """Stop when validation has not improved for so many epochs, and keep the best weights; 0 never stops early."""
    precision: Precision = "auto"
    """``auto`` computes in bfloat16 where the processor has units for it."""
    time_budget_s: float = 0.0
    """Stop after about this long, with the learning rate brought down in time; 0 means no limit."""
    seed: int = 1
    start_from: str = ""
    """Model id or folder whose weights the run starts from; empty starts from nothing."""
    without: tuple[str, ...] = ()
    """Sets beside MNIST that train nothing, so that they can be measured with."""
    fold: int = 0
    folds: int = 0
    """With `folds` above 1, every `folds`-th digit from number `fold` on validates instead of the held-out end."""


_DEFAULTS: dict[str, dict[str, Any]] = {
    "linenet": {"batch_size": 48, "epoch_samples": 18_000, "reuse": 3, "averaging": 0.998},
}
"""What the default recipe does otherwise for a network, since a line is more work than a crop."""

_QUICK: dict[str, Any] = {"time_budget_s": 900.0, "raw_share": 0.5, "clean_share": 0.7, "number_share": 0.15}
"""A first network by the coffee's end: most of it from MNIST's digits, which cost next to nothing to draw."""

PUBLISHED: dict[str, dict[str, Any]] = {
    "mlp-128": {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 32, "epochs": 5},
    "mlp-512-128": {
        "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 32, "epochs": 5, "held_out": 12_000,
    },
    "lenet-dl4j": {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "batch_size": 64, "epochs": 3},
    "cnn-he-sgd": {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "batch_size": 16, "epochs": 10},
    "cnn-bn-128": {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 32, "epochs": 5},
    "cnn-887k": {
        "optimizer": "rmsprop", "learning_rate": 1e-3, "batch_size": 86, "epochs": 15, "schedule": "plateau",
        "augmentation": True, "held_out": 6_000,
    },
    "vgg16": {"optimizer": "adam", "learning_rate": 1e-4, "batch_size": 32, "epochs": 5},
}  # fmt: skip
"""What the authors state; where they state nothing: Keras' own defaults, and for VGG16 a rate at which it learns."""

_AS_PUBLISHED = {
    "recipe": "published", "schedule": "constant", "label_smoothing": 0.0, "averaging": 0.0, "weight_decay": 0.0,
}  # fmt: skip


def config_for(arch: str, recipe: RecipeName = "default", **given: Any) -> TrainingConfig:
    """The configuration of a recipe, with what the caller gives put over it; None counts as not given.

    Raises
    ------
    UsageError
        If nobody published a recipe for the network, or a setting has no such name.
    """
    names = {field.name for field in fields(TrainingConfig)}
    if unknown := set(given) - names:
        raise UsageError(
            f"no training setting named {min(unknown)!r}", remedy=f"choose from {', '.join(sorted(names))}"
        )
    settings: dict[str, Any] = {"arch": arch} | (_DEFAULTS.get(arch, {}) if recipe != "published" else {})
    if recipe == "published":
        if arch not in PUBLISHED:
            raise UsageError(
                f"nobody published a recipe for {arch}",
                remedy=f"leave --recipe out, or choose one of: {', '.join(PUBLISHED)}",
            )
        settings |= _AS_PUBLISHED | PUBLISHED[arch]
    if recipe == "quick":
        settings |= {"recipe": "quick"} | _QUICK
    settings |= {key: value for key, value in given.items() if value is not None}
    return replace(TrainingConfig(), **settings)
