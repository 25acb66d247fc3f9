"""Networks, by name. Model code uses Keras alone, so it runs on every Keras backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from digitscan.core.errors import UsageError
from digitscan.core.types import CLASS_COUNT, CROP_SIZE


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be trained: its name, what it is, and how to build it."""

    id: str
    summary: str
    source: str
    build: Callable[[], Any]


def _digitnet() -> Any:
    from keras import Input, Model, layers

    def block(x: Any, filters: int, kernel: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))

    image = Input((CROP_SIZE, CROP_SIZE, 1), name="crop")
    x = block(image, 32, kernel=5, strides=2)  # the strided stem saves three quarters of the first layers' cost
    x = block(x, 64)
    x = block(x, 64)
    x = layers.MaxPooling2D()(x)
    x = block(x, 128)
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.4)(layers.Flatten()(x))
    x = layers.Dense(128, activation="relu")(x)
    posteriors = layers.Dense(CLASS_COUNT, activation="softmax", dtype="float32", name="posteriors")(x)
    return Model(image, posteriors, name="digitnet")


ARCHITECTURES: dict[str, Architecture] = {
    "digitnet": Architecture(
        "digitnet",
        "strided 5x5 stem, three 3x3 convolutions with batch normalization, two dense layers; 11 classes",
        "digitscan's own, after LeCun et al. 1998 and Simonyan and Zisserman 2015",
        _digitnet,
    ),
}


def build(arch: str) -> Any:
    """Build an untrained network: (None, 28, 28, 1) float32, 0 paper to 1 ink, in; (None, 11) posteriors out.

    Raises
    ------
    UsageError
        If no architecture has that name.
    """
    if arch not in ARCHITECTURES:
        raise UsageError(f"no architecture named {arch!r}", remedy=f"choose one of: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[arch].build()
