"""Networks, by name. Model code uses Keras alone, so it runs on every Keras backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from digitscan.core.errors import UsageError
from digitscan.core.types import CLASS_COUNT, CROP_SIZE
from digitscan.recognition.lines import LINE_CLASS_COUNT, LINE_HEIGHT


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be trained.

    Attributes
    ----------
    id : str
        Its name on the command line.
    summary : str
        Its layers, in words.
    source : str
        Who published it, and where.
    build : callable
        Takes the number of classes, gives an untrained Keras model.
    published_classes : int
        Classes of the published network: 10, or 11 with not-a-digit.
    published_accuracy : float
        Share of MNIST's test digits right that its author states; 0 where none is stated.
    reads_lines : bool
        Takes whole normalized lines instead of crops of one digit.
    """

    id: str
    summary: str
    source: str
    build: Callable[[int], Any]
    published_classes: int = 10
    published_accuracy: float = 0.0
    reads_lines: bool = False


def _input() -> Any:
    from keras import Input

    return Input((CROP_SIZE, CROP_SIZE, 1), name="crop")


def _finish(image: Any, x: Any, classes: int, name: str) -> Any:
    from keras import Model, layers

    # float32 also where the rest computes in bfloat16: posteriors must sum to 1.
    posteriors = layers.Dense(classes, activation="softmax", dtype="float32", name="posteriors")(x)
    return Model(image, posteriors, name=name)


def _digitnet(classes: int) -> Any:
    from keras import layers

    def block(x: Any, filters: int, kernel: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))

    image = _input()
    x = block(image, 32, kernel=5, strides=2)  # the strided stem saves three quarters of the first layers' cost
    x = block(x, 64)
    x = block(x, 64)
    x = layers.MaxPooling2D()(x)
    x = block(x, 128)
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.4)(layers.Flatten()(x))
    x = layers.Dense(128, activation="relu")(x)
    return _finish(image, x, classes, "digitnet")


def _linenet(outputs: int) -> Any:
    from keras import Input, Model, layers

    def norm(x: Any) -> Any:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))

    def block(x: Any, filters: int, kernel: int = 3, strides: int = 1) -> Any:
        return norm(layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x))

    line = Input((LINE_HEIGHT, None, 1), name="line")
    x = block(line, 24, kernel=5, strides=2)
    x = layers.MaxPooling2D(2)(block(x, 48))  # from here on a column is COLUMN_STEP columns of the line
    x = block(x, 80)
    x = layers.MaxPooling2D((2, 1))(block(x, 80))
    x = layers.MaxPooling2D((2, 1))(block(x, 128))
    x = norm(layers.Conv2D(128, (2, 1), use_bias=False)(x))
    x = layers.Reshape((-1, 128))(x)
    for dilation in (1, 2):  # neighbours help to tell where a digit ends
        y = norm(layers.Conv1D(128, 5, padding="same", dilation_rate=dilation, use_bias=False)(x))
        x = layers.add([x, y])
    x = layers.Dropout(0.2)(x)
    # No softmax: CTC's loss takes logits, the reader makes posteriors of them.
    logits = layers.Dense(outputs, dtype="float32", name="logits")(x)
    return Model(line, logits, name="linenet")


def _mlp(*widths: int) -> Callable[[int], Any]:
    def build_mlp(classes: int) -> Any:
        from keras import layers

        image = _input()
        x = layers.Flatten()(image)
        for width in widths:
            x = layers.Dense(width, activation="relu")(x)
        return _finish(image, x, classes, "mlp-" + "-".join(map(str, widths)))

    return build_mlp


def _lenet_dl4j(classes: int) -> Any:
    from keras import layers

    image = _input()
    x = image
    for filters in (20, 50):
        # The example's convolutions have no activation of their own.
        x = layers.Conv2D(filters, 5, kernel_initializer="glorot_normal")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(500, activation="relu", kernel_initializer="glorot_normal")(layers.Flatten()(x))
    return _finish(image, x, classes, "lenet-dl4j")


def _cnn_he_sgd(classes: int) -> Any:
    from keras import layers

    def conv(filters: int) -> Any:
        return layers.Conv2D(filters, 3, activation="relu", kernel_initializer="he_uniform")

    image = _input()
    x = layers.MaxPooling2D()(conv(32)(image))
    x = layers.MaxPooling2D()(conv(64)(conv(64)(x)))
    x = layers.Dense(100, activation="relu", kernel_initializer="he_uniform")(layers.Flatten()(x))
    return _finish(image, x, classes, "cnn-he-sgd")


def _cnn_bn_128(classes: int) -> Any:
    from keras import layers, regularizers

    image = _input()
    x = image
    for filters, kernel in ((32, 3), (64, 5), (128, 3)):
        # Padding is not stated; with "same" the third block still sees 7 x 7 pixels.
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu", kernel_regularizer=regularizers.L2(0.01))(
            x
        )
        x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    x = layers.Dense(120, activation="relu")(layers.Flatten()(x))
    return _finish(image, x, classes, "cnn-bn-128")


def _cnn_887k(classes: int) -> Any:
    from keras import layers

    def conv(filters: int, kernel: int) -> Any:
        return layers.Conv2D(filters, kernel, padding="same", activation="relu")

    image = _input()
    x = layers.Dropout(0.25)(layers.MaxPooling2D()(conv(32, 5)(conv(32, 5)(image))))
    x = layers.Dropout(0.25)(layers.MaxPooling2D()(conv(64, 3)(conv(64, 3)(x))))
    x = layers.Dropout(0.5)(layers.Dense(256, activation="relu")(layers.Flatten()(x)))
    return _finish(image, x, classes, "cnn-887k")


def _vgg16(classes: int) -> Any:
    from keras import layers

    image = _input()
    x = image
    for number, (filters, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for _ in range(depth):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_uniform")(x)
        if number < 5:  # 28 pixels can be halved four times only
            x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(256, activation="relu")(x))
    return _finish(image, x, classes, "vgg16")


_ALL = (
    Architecture(
        "digitnet",
        "strided 5x5 stem, three 3x3 convolutions with batch normalization, two dense layers; 11 classes",
        "digitscan's own, after LeCun et al. 1998 and Simonyan and Zisserman 2015",
        _digitnet,
        published_classes=CLASS_COUNT,
    ),
    Architecture(
        "linenet",
        "whole lines 32 pixels high: six 2-D and two 1-D convolutions with batch normalization, for CTC",
        "digitscan's own, after Shi, Bai and Yao 2017 (CRNN, TPAMI 39(11)), convolutions in place of recurrence",
        _linenet,
        published_classes=LINE_CLASS_COUNT,
        reads_lines=True,
    ),
    Architecture(
        "mlp-128",
        "flatten, dense 128 ReLU, softmax",
        "the beginner's example of the TensorFlow tutorials",
        _mlp(128),
    ),
    Architecture(
        "mlp-512-128",
        "flatten, dense 512 ReLU, dense 128 ReLU, softmax",
        "a common tutorial network; after LeCun et al. 1998, section III-C",
        _mlp(512, 128),
        published_accuracy=0.954,
    ),
    Architecture(
        "lenet-dl4j",
        "5x5 convolutions 20 and 50, each with max pooling, dense 500, softmax",
        "Deeplearning4j's LeNet-MNIST example, after LeCun et al. 1998, section II",
        _lenet_dl4j,
        published_accuracy=0.98,
    ),
    Architecture(
        "cnn-he-sgd",
        "3x3 convolution 32, pool, two of 64, pool, dense 100, softmax; He initialization, valid padding",
        "J. Brownlee, How to develop a CNN for MNIST from scratch, 2019",
        _cnn_he_sgd,
        published_accuracy=0.9905,
    ),
    Architecture(
        "cnn-bn-128",
        "convolutions 32@3x3, 64@5x5, 128@3x3, each with L2 0.01, batch normalization and pool; dense 120, softmax",
        'a published MNIST recognizer; padding is not stated, "same" is taken',
        _cnn_bn_128,
        published_accuracy=0.9878,
    ),
    Architecture(
        "cnn-887k",
        "two 5x5 convolutions 32, pool, dropout, two 3x3 of 64, pool, dropout, dense 256, dropout, softmax",
        "Y. Ghouzam, Introduction to CNN Keras, Kaggle 2017",
        _cnn_887k,
        published_accuracy=0.987,
    ),
    Architecture(
        "vgg16",
        "VGG16's thirteen convolutions on 28x28x1, last pool left out, two dense 256 with dropout, softmax",
        "Simonyan and Zisserman 2015 (ICLR, arXiv 1409.1556), configuration D, made to fit MNIST",
        _vgg16,
        published_accuracy=0.9907,
    ),
)

ARCHITECTURES: dict[str, Architecture] = {architecture.id: architecture for architecture in _ALL}


def architecture(name: str) -> Architecture:
    """Look an architecture up.

    Raises
    ------
    UsageError
        If no architecture has that name.
    """
    if name not in ARCHITECTURES:
        raise UsageError(f"no architecture named {name!r}", remedy=f"choose one of: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(name: str, classes: int = CLASS_COUNT) -> Any:
    """Build an untrained network: (None, 28, 28, 1) float32, 0 paper to 1 ink, in; (None, classes) posteriors out.

    One that reads lines takes (None, 32, W, 1) and gives (None, W / 4, classes) logits.

    Raises
    ------
    UsageError
        If no architecture has that name.
    """
    return architecture(name).build(classes)
