"""Figures of merit of a digit classifier, from labels and posteriors alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import CLASS_COUNT, NOT_A_DIGIT, Posteriors

Labels = NDArray[np.uint8]
Real = NDArray[np.float64]


def wilson_interval(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Confidence interval of a share, 95 % by default.

    Parameters
    ----------
    right, total : int
    z : float
        Standard normal quantile.

    Returns
    -------
    (low, high) : tuple of float
        (0, 1) when nothing was counted.

    References
    ----------
    Wilson 1927, Journal of the American Statistical Association 22(158).
    """
    if total == 0:
        return 0.0, 1.0
    share = right / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * ((share * (1 - share) + z * z / (4 * total)) / total) ** 0.5 / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion_matrix(labels: Labels, predictions: Labels) -> NDArray[np.int64]:
    """Counts: row is the truth, column what was read; (11, 11), the last is not-a-digit."""
    cells = labels.astype(np.int64) * CLASS_COUNT + predictions
    return np.bincount(cells, minlength=CLASS_COUNT**2).reshape(CLASS_COUNT, CLASS_COUNT)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: shares 0 to 1; `support` is how many crops truly are of it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


def class_figures(matrix: NDArray[np.int64]) -> list[ClassFigures]:
    """Precision, recall and F1 of every class that occurs; a share of nothing is 0."""
    figures = []
    for k in range(len(matrix)):
        hits, support, claimed = int(matrix[k, k]), int(matrix[k].sum()), int(matrix[:, k].sum())
        if not support and not claimed:
            continue
        precision, recall = hits / max(claimed, 1), hits / max(support, 1)
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        figures.append(ClassFigures("not-a-digit" if k == NOT_A_DIGIT else str(k), precision, recall, f1, support))
    return figures


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Confidence against truth in bins of equal width.

    Attributes
    ----------
    counts : (B,) int64
    confidence, accuracy : (B,) float64
        Means of each bin; 0 where it is empty.
    ece : float
        Expected calibration error: the mean gap, weighted by counts.
    """

    counts: NDArray[np.int64]
    confidence: Real
    accuracy: Real
    ece: float


def reliability(confidence: Real, right: NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Compare confidence with the share that is right.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger 2017, On calibration of modern neural networks (ICML), section 2; 15 bins.
    """
    place = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    total = np.maximum(counts, 1)
    mean = np.bincount(place, weights=confidence, minlength=bins) / total
    share = np.bincount(place, weights=right.astype(np.float64), minlength=bins) / total
    return Reliability(counts, mean, share, float((np.abs(mean - share) * counts).sum() / max(counts.sum(), 1)))


def risk_coverage(confidence: Real, right: NDArray[np.bool_]) -> tuple[Real, Real]:
    """Error share among the most confident, as more and more are accepted.

    Returns
    -------
    coverage, risk : (N,) float64
        Coverage rises to 1; equal confidences are accepted together.

    References
    ----------
    El-Yaniv and Wiener 2010, On the foundations of noise-free selective classification (JMLR 11).
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    taken = np.arange(1, len(right) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True) if len(right) else np.zeros(0, bool)
    return (taken / max(len(right), 1))[last], (wrong / taken)[last]


def coverage_at(risk: float, confidence: Real, right: NDArray[np.bool_]) -> float:
    """Largest share that can be accepted while at most `risk` of it is wrong."""
    coverage, risks = risk_coverage(confidence, right)
    within = coverage[risks <= risk]
    return float(within.max()) if len(within) else 0.0


def auroc(high: Real, low: Real) -> float:
    """Chance that a score of `high` exceeds one of `low`; ties count half. 0.5 where either is empty.

    References
    ----------
    Hanley and McNeil 1982 (Radiology 143): the Mann-Whitney statistic.
    """
    if not len(high) or not len(low):
        return 0.5
    scores = np.concatenate([high, low])
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[: len(high)].sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


@dataclass(frozen=True, slots=True)
class RejectFigures:
    """How well not-a-digit is told from digits.

    Attributes
    ----------
    auroc : float
        Of the not-a-digit posterior.
    digits_lost : float
        Share of true digits that not-a-digit wins over every digit for.
    others_kept : float
        Share of true not-digits that are read as a digit by the same rule.
    """

    auroc: float
    digits_lost: float
    others_kept: float


def reject_figures(digits: Posteriors, others: Posteriors) -> RejectFigures:
    """Measure rejection: posteriors of true digits, and of things that are none."""
    lost = (digits.argmax(axis=1) == NOT_A_DIGIT).mean() if len(digits) else 0.0
    kept = (others.argmax(axis=1) != NOT_A_DIGIT).mean() if len(others) else 0.0
    area = auroc(others[:, NOT_A_DIGIT].astype(np.float64), digits[:, NOT_A_DIGIT].astype(np.float64))
    return RejectFigures(area, float(lost), float(kept))


@dataclass(frozen=True, slots=True, eq=False)
class SetFigures:
    """Everything measured on one data set.

    Attributes
    ----------
    name : str
    note : str
        What one must know of it: trained on or not.
    total, right : int
        Crops, and how many the best of all eleven classes is right for.
    interval : (float, float)
        95 % confidence interval of the accuracy.
    ten_digit_accuracy : float
        With not-a-digit left out of the choice.
    classes : list of ClassFigures
    matrix : (11, 11) int64
    calibration : Reliability
    coverage, risk : (M,) float64
    coverage_at_1_percent, coverage_at_01_percent : float
        Share of digits accepted at 1 % and 0.1 % errors.
    worst : (K,) int64
        Rows of the mistakes, most confident first.
    """

    name: str
    note: str
    total: int
    right: int
    interval: tuple[float, float]
    ten_digit_accuracy: float
    classes: list[ClassFigures]
    matrix: NDArray[np.int64]
    calibration: Reliability
    coverage: Real
    risk: Real
    coverage_at_1_percent: float
    coverage_at_01_percent: float
    worst: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share right; 0 of nothing."""
        return self.right / max(self.total, 1)


def measure(name: str, labels: Labels, posteriors: Posteriors, *, note: str = "") -> SetFigures:
    """Measure one data set.

    Parameters
    ----------
    name : str
    labels : (N,) uint8
        0-9, 10 for not-a-digit.
    posteriors : (N, 11) float32
    note : str

    Raises
    ------
    ValueError
        If the two differ in length.
    """
    if len(labels) != len(posteriors):
        raise ValueError(f"{len(labels)} labels but {len(posteriors)} posteriors")
    predictions = posteriors.argmax(axis=1).astype(np.uint8) if len(labels) else labels
    right = predictions == labels
    confidence = posteriors.max(axis=1, initial=0.0).astype(np.float64)
    matrix = confusion_matrix(labels, predictions)
    coverage, risk = risk_coverage(confidence, right)
    wrong = np.flatnonzero(~right)
    ten = posteriors[:, :NOT_A_DIGIT].argmax(axis=1) == labels if len(labels) else right
    return SetFigures(
        name=name,
        note=note,
        total=len(labels),
        right=int(right.sum()),
        interval=wilson_interval(int(right.sum()), len(labels)),
        ten_digit_accuracy=float(ten.mean()) if len(labels) else 0.0,
        classes=class_figures(matrix),
        matrix=matrix,
        calibration=reliability(confidence, right),
        coverage=coverage,
        risk=risk,
        coverage_at_1_percent=coverage_at(0.01, confidence, right),
        coverage_at_01_percent=coverage_at(0.001, confidence, right),
        worst=wrong[np.argsort(-confidence[wrong], kind="stable")],
    )
