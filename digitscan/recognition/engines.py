"""What runs a network: LiteRT, which starts at once, or Keras, which drives a GPU."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from digitscan.core.cores import usable_cores
from digitscan.core.errors import ModelError
from digitscan.recognition.quiet import without_notes
from digitscan.recognition.registry import LIGHT_FILE, MODEL_FILE, ModelCard, file_sha256

Device = Literal["auto", "cpu", "gpu"]
Precision = Literal["float32", "bfloat16"]
Batch = NDArray[np.float32]
_NVIDIA = Path("/dev/nvidiactl")


class Engine(Protocol):
    """A loaded network.

    Attributes
    ----------
    name : str
        The library that runs it.
    device : {"cpu", "gpu"}
    few_sizes : bool
        Whether batches should come in few distinct sizes: each new one is costly, or moves a row's last bits.
    """

    name: str
    device: Literal["cpu", "gpu"]
    few_sizes: bool

    def open(self) -> None:
        """Load the network now; else the first batch does."""
        ...

    def run(self, batch: Batch) -> Batch:
        """Answers of the network to (N, H, W, 1) float32, 0 paper to 1 ink; N is 1 or more."""
        ...


class LightEngine:
    """LiteRT on the CPU, on so many threads (0: the cores): no start-up, and no row's answer depends on its batch.

    Any number of the caller's threads may share it.
    """

    name = "LiteRT"
    device: Literal["cpu", "gpu"] = "cpu"
    few_sizes = False

    def __init__(self, file: Path, threads: int = 0) -> None:
        self._file, self._threads = file, threads
        self._interpreter: Any = None
        self._input = self._output = 0
        self._shape: tuple[int, ...] = ()
        self._lock = threading.Lock()

    def open(self) -> None:
        """Load the network now; see `Engine`."""
        if self._interpreter is not None:
            return
        from ai_edge_litert.interpreter import Interpreter

        try:
            opened = without_notes(
                lambda: Interpreter(model_content=self._file.read_bytes(), num_threads=self._threads or usable_cores())
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"cannot load {self._file}: {error}", remedy="install or train the model again") from error
        self._input = opened.get_input_details()[0]["index"]
        self._output = opened.get_output_details()[0]["index"]
        self._interpreter = opened

    def run(self, batch: Batch) -> Batch:
        """Answers of the network; see `Engine`."""
        with self._lock:
            self.open()
            if batch.shape != self._shape:
                self._interpreter.resize_tensor_input(self._input, batch.shape)
                # It speaks of its delegate once, when the first batch is given room.
                allocate = self._interpreter.allocate_tensors
                without_notes(allocate) if not self._shape else allocate()
                self._shape = batch.shape
            self._interpreter.set_tensor(self._input, batch)
            self._interpreter.invoke()
            return np.asarray(self._interpreter.get_tensor(self._output), np.float32)


class KerasEngine:
    """Keras on its backend; TensorFlow takes a GPU where it sees one and the caller allows it."""

    few_sizes = True

    def __init__(self, file: Path, device: Device, precision: Precision = "float32") -> None:
        quiet_tensorflow()
        import keras

        try:
            network = keras.saving.load_model(file, compile=False)
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"cannot load {file}: {error}", remedy="install or train the model again") from error
        if precision == "bfloat16":
            network = in_bfloat16(network)
        self.name = keras.backend.backend()
        self.device: Literal["cpu", "gpu"] = "cpu"
        if self.name == "tensorflow":
            self._call, self.device = _traced(network, device)
        else:
            self._call = network.predict_on_batch  # compiled by the backend, once for each size

    def open(self) -> None:
        """Nothing is left to load; see `Engine`."""

    def run(self, batch: Batch) -> Batch:
        """Answers of the network; see `Engine`."""
        return np.asarray(self._call(batch), np.float32)


def open_engine(
    folder: Path, card: ModelCard, device: Device, threads: int = 0, precision: Precision = "float32"
) -> Engine:
    """Load a model for a device.

    LiteRT runs it unless a GPU is asked for or ``auto`` finds one, the model has no light copy, LiteRT is not
    installed, another precision is asked for, or ``KERAS_BACKEND`` names another backend than TensorFlow.

    Raises
    ------
    ModelError
        If a file is missing or not the one that the card describes, or the GPU asked for is not there.
    """
    light = bool(card.light_sha256) and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    wants_gpu = device == "gpu" or (device == "auto" and _NVIDIA.exists())
    if light and precision == "float32" and not (wants_gpu and (device == "gpu" or _sees_gpu())) and _has_litert():
        return LightEngine(_checked(folder / LIGHT_FILE, card.light_sha256), threads)
    return KerasEngine(_checked(folder / MODEL_FILE, card.sha256), device, precision)


def in_bfloat16(network: Any) -> Any:
    """The same network that computes in bfloat16: variables, the input and the last layer keep float32."""
    config = network.get_config()
    for layer in config["layers"][1:-1]:
        layer["config"]["dtype"] = "mixed_bfloat16"
    same = type(network).from_config(config)
    if not same.built:
        same.build(network.input_shape)
    same.set_weights(network.get_weights())
    return same


def convert(network: Any) -> bytes:
    """A Keras network as a LiteRT file; empty where Keras does not run on TensorFlow, whose converter it takes."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return b""
    import tensorflow as tf

    with contextlib.redirect_stdout(io.StringIO()):  # the converter prints the network's variables
        return bytes(without_notes(tf.lite.TFLiteConverter.from_keras_model(network).convert))


def quiet_tensorflow() -> None:
    """Import Keras with its backend, and keep TensorFlow's start-up notes off the terminal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "keras" in sys.modules:
        return

    def load() -> None:
        import keras  # noqa: F401

    without_notes(load)


def _has_litert() -> bool:
    return importlib.util.find_spec("ai_edge_litert") is not None


def _sees_gpu() -> bool:
    quiet_tensorflow()
    try:
        import tensorflow as tf
    except ImportError:
        return False
    return bool(tf.config.list_physical_devices("GPU"))


def _checked(file: Path, sha256: str) -> Path:
    if not file.is_file():
        raise ModelError(f"model file {file} is missing", remedy="install or train the model again")
    if file_sha256(file) != sha256:
        raise ModelError(f"{file} is not the file that its card describes", remedy="install or train the model again")
    return file


def _traced(network: Any, device: Device) -> tuple[Any, Literal["cpu", "gpu"]]:
    """One TensorFlow function for every size of batch, on the device asked for."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise ModelError("no GPU that TensorFlow can use", remedy="use --device auto, or install tensorflow[and-cuda]")
    use_gpu = bool(gpus) and device != "cpu"
    if use_gpu:
        for gpu in gpus:
            try:
                tf.config.experimental.set_memory_growth(gpu, True)
            except RuntimeError:  # already initialized by the program that uses the library
                break
    places = [f"/GPU:{k}" for k in range(len(gpus))] if use_gpu else ["/CPU:0"]
    return _spread(network, places), "gpu" if use_gpu else "cpu"


def _spread(network: Any, places: Sequence[str]) -> Any:
    """One traced function that gives each device an equal part of a batch, and joins the answers in order."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def call(batch: Any) -> Any:
        if len(places) == 1:
            return network(batch, training=False)
        count = tf.shape(batch)[0]
        size = -(-count // len(places))
        # No device is left without a crop: some kernels refuse an empty batch.
        filled = [[0, size * len(places) - count], *([[0, 0]] * (len(signature[0].shape) - 1))]
        batch = tf.pad(batch, filled)
        parts = []
        for k, place in enumerate(places):
            with tf.device(place):
                parts.append(network(batch[k * size : (k + 1) * size], training=False))
        return tf.concat(parts, axis=0)[:count]

    return call
