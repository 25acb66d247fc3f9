"""What runs the shipped networks fastest on a CPU: time to the first answer, and crops a second.

Each library runs in a process of its own, on the same crops. Keras with TensorFlow and LiteRT come with digitscan;
ONNX Runtime and OpenVINO are measured where they are installed (``pip install onnxruntime openvino tf2onnx``).

    python benchmarks/runtimes.py
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS = 7
SIZES = (1, 32, 128, 512, 1024)
LINES, LINE_WIDTH = 32, 256


def opened(library: str, folder: Path):  # type: ignore[no-untyped-def]
    """Two functions, array to array: the network of digits and the one of lines."""
    from digitscan.recognition.registry import locate, read_card

    models = ("digitnet-1", "linenet-2")
    if library in ("keras", "litert"):
        from digitscan.recognition.engines import KerasEngine, LightEngine
        from digitscan.recognition.registry import LIGHT_FILE, MODEL_FILE

        if library == "litert":
            return [LightEngine(locate(model) / LIGHT_FILE).run for model in models]
        return [KerasEngine(locate(model) / MODEL_FILE, "cpu").run for model in models]
    files = [folder / f"{read_card(locate(model)).id}.onnx" for model in models]
    if library == "onnxruntime":
        import onnxruntime

        sessions = [onnxruntime.InferenceSession(file) for file in files]
        return [lambda x, s=s: s.run(None, {s.get_inputs()[0].name: x})[0] for s in sessions]
    import openvino

    compiled = [openvino.Core().compile_model(file, "CPU") for file in files]
    return [lambda x, c=c: c(x)[0] for c in compiled]


def measure(library: str, folder: Path) -> dict[str, float]:
    """Seconds to the first answer, and the best of `ROUNDS` rates."""
    rng = np.random.default_rng(0)
    crops = rng.random((max(SIZES), 28, 28, 1), np.float32)
    lines = rng.random((LINES, 32, LINE_WIDTH, 1), np.float32)

    def rate(call, batch: np.ndarray) -> float:  # type: ignore[no-untyped-def]
        call(batch)
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            call(batch)
            times.append(time.perf_counter() - started)
        return len(batch) / min(times)

    started = time.perf_counter()
    digits, whole = opened(library, folder)
    digits(crops[:32])
    whole(lines[:1])
    told = {"first answer, s": time.perf_counter() - started}
    told |= {f"crops/s, {size}": rate(digits, crops[:size]) for size in SIZES}
    return told | {"lines/s": rate(whole, lines)}


def write_onnx(folder: Path) -> None:
    """The two networks as ONNX files."""
    import keras
    import tensorflow as tf
    import tf2onnx

    from digitscan.recognition.registry import MODEL_FILE, locate

    for model in ("digitnet-1", "linenet-2"):
        network = keras.saving.load_model(locate(model) / MODEL_FILE, compile=False)
        signature = [tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)]
        call = tf.function(lambda x, network=network: network(x, training=False), input_signature=signature)
        tf2onnx.convert.from_function(call, signature, opset=17, output_path=str(folder / f"{model}.onnx"))


def main() -> None:
    """Measure all in turn and print one table."""
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
        return
    libraries = ["keras", "litert"]
    with tempfile.TemporaryDirectory() as folder:
        others = [name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)]
        if others and importlib.util.find_spec("tf2onnx"):
            write_onnx(Path(folder))
            libraries += others
        rows = {}
        for library in libraries:
            done = subprocess.run(
                [sys.executable, __file__, library, folder], check=True, capture_output=True, text=True
            )
            rows[library] = json.loads(done.stdout.splitlines()[-1])
    print("| library | " + " | ".join(rows["keras"]) + " |")
    print("|---" * (len(rows["keras"]) + 1) + "|")
    for library, told in rows.items():
        print(
            f"| {library} | "
            + " | ".join(f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in told.values())
            + " |"
        )


if __name__ == "__main__":
    main()
