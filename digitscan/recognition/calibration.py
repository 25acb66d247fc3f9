"""Posteriors whose confidence means what it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import Posteriors

_GRID = np.geomspace(0.4, 2.5, 85)


def temper(posteriors: Posteriors, temperature: float) -> Posteriors:
    """Divide log posteriors by a temperature: below 1 they grow surer, above 1 less so.

    Parameters
    ----------
    posteriors : (N, K) float32
        Rows sum to 1.
    temperature : float
        Above 0.

    Returns
    -------
    (N, K) float32
        Rows sum to 1; the best class of each row stays the best.
    """
    if temperature == 1.0:
        return posteriors
    powered = np.power(np.maximum(posteriors, 1e-12), 1.0 / temperature)
    return (powered / powered.sum(axis=1, keepdims=True)).astype(np.float32)


def fit_temperature(posteriors: Posteriors, labels: NDArray[np.uint8]) -> float:
    """The temperature under which held-out labels are likeliest; 1 when there are none.

    Parameters
    ----------
    posteriors : (N, K) float32
        Of crops that the network did not learn from.
    labels : (N,) uint8

    References
    ----------
    Guo, Pleiss, Sun, Weinberger 2017, On calibration of modern neural networks (ICML), section 4.2.
    """
    if not len(labels):
        return 1.0
    logs = np.log(np.maximum(posteriors, 1e-12)).astype(np.float64)
    rows = np.arange(len(labels))

    def surprise(temperature: float) -> float:
        scaled = logs / temperature
        top = scaled.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
        return float((total - scaled[rows, labels]).mean())

    return round(float(min(_GRID, key=surprise)), 3)
