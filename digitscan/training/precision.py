"""Which arithmetic to train with: bfloat16 pays only where the processor has units for it."""

from __future__ import annotations

from pathlib import Path

from digitscan.training.recipes import Precision


def has_bfloat16_units() -> bool:
    """Whether this machine multiplies bfloat16 in hardware: a GPU that TensorFlow sees, or a CPU with AMX.

    CPUs are recognized on Linux only; elsewhere the answer is no, which costs time, not accuracy.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return True
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def choose_precision(precision: Precision) -> str:
    """Keras' name of the policy to train under."""
    import keras

    if precision == "auto":
        # Only TensorFlow is asked for its devices here; the other backends train in float32 unless told otherwise.
        return "mixed_bfloat16" if keras.backend.backend() == "tensorflow" and has_bfloat16_units() else "float32"
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
