"""The classical methods that networks are compared with: k nearest neighbours, SVM, random forest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitscan.core.errors import UsageError
from digitscan.core.types import CLASS_COUNT, Crops, Posteriors
from digitscan.recognition.normalize import normalize_all
from digitscan.training.sources import load_mnist

SUMMARIES = {
    "knn": "3 nearest neighbours of all training digits, weighted by distance",
    "svm-rbf": "support vectors, RBF kernel, C = 10, gamma by scale",
    "random-forest": "300 trees",
}
"""The methods, in words."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassicalModel:
    """A fitted scikit-learn classifier that answers as the networks do.

    Attributes
    ----------
    id : str
    estimator : object
        Knows ``predict``.
    fit_s : float
        Seconds that fitting took.
    numbers : int
        Numbers it keeps: pixels of neighbours or support vectors, nodes of trees.
    """

    id: str
    estimator: Any
    fit_s: float
    numbers: int

    def classify(self, crops: Crops) -> Posteriors:
        """One-hot answers: these methods are compared by what they read, not by how sure they are.

        Parameters
        ----------
        crops : (N, 28, 28) uint8

        Returns
        -------
        (N, 11) float32
        """
        posteriors = np.zeros((len(crops), CLASS_COUNT), np.float32)
        if len(crops):
            posteriors[np.arange(len(crops)), self.estimator.predict(_features(crops))] = 1.0
        return posteriors


def _features(crops: Crops) -> NDArray[np.float32]:
    return crops.reshape(len(crops), -1).astype(np.float32) / np.float32(255)


def fit_classical(method: str, data: Path | None = None, *, samples: int = 0, seed: int = 1) -> ClassicalModel:
    """Fit a classical method on MNIST's training digits, normalized as pages are.

    Parameters
    ----------
    method : str
        One of `SUMMARIES`.
    data : Path, optional
        Where MNIST is.
    samples : int
        Use so many digits only; 0 takes all.
    seed : int

    Raises
    ------
    UsageError
        If scikit-learn, of the extra ``reports``, is not installed, or the method is unknown.
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.svm import SVC
    except ImportError as error:
        raise UsageError(
            "the classical methods need scikit-learn, which is not installed",
            remedy='pip install "digitscan[reports]"',
        ) from error
    if method not in SUMMARIES:
        raise UsageError(f"no classical method {method!r}", remedy=f"choose one of: {', '.join(SUMMARIES)}")
    images, labels = load_mnist("train", data)
    chosen = np.random.default_rng(seed).permutation(len(labels))[: samples or None]
    crops = normalize_all([images[k] for k in chosen])
    estimator: Any = {
        "knn": lambda: KNeighborsClassifier(3, weights="distance", algorithm="brute", n_jobs=-1),
        "svm-rbf": lambda: SVC(C=10, cache_size=1000),
        "random-forest": lambda: RandomForestClassifier(300, n_jobs=-1, random_state=seed),
    }[method]()
    started = time.perf_counter()
    estimator.fit(_features(crops), labels[chosen])
    seconds = time.perf_counter() - started
    if method == "knn":
        numbers = crops.size
    elif method == "svm-rbf":
        numbers = int(estimator.support_vectors_.size + estimator.dual_coef_.size)
    else:
        numbers = int(sum(tree.tree_.node_count for tree in estimator.estimators_))
    return ClassicalModel(method, estimator, seconds, numbers)
