"""Connectionist temporal classification: texts and their probabilities from a network's answers along a line.

Graves, Fernandez, Gomez, Schmidhuber 2006 (ICML), sections 3 and 4; prefix search as in section 3.2, with a beam.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import SIGNS, STRUCK_OUT
from digitscan.decoding.automata import Automaton

Real = NDArray[np.float64]

DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcParameters:
    """How texts are sought along a line.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    negligible: float = 1e-4
    """Answers below this start no new text: they would only widen the search. [probability; cost alone]"""
    constrained_beam: int = 60
    """Texts kept where a rule decides: the best one that it allows may start badly. [bare; tried]"""
    struck_odds: float = 19.0
    """What the network's odds of struck out digits count: it is shy of them, and of 700 amounts that had none it
    gave 0.1 % more than a twentieth. [ratio; benchmarks/spoilt.py]"""
    tiny: float = 1e-30
    """Least share of an answer, so that its logarithm is finite. [probability; arithmetic]"""


_P = CtcParameters()
_NOWHERE = 0.0, 0.0
_MARKS = SIGNS + STRUCK_OUT


def digits_alone(posteriors: NDArray[np.float32]) -> Real:
    """Fold what is no digit into the blank: what is left spells the digits of a line and nothing else.

    Parameters
    ----------
    posteriors : (T, K) float32
        The blank first, then the ten digits, then separators and signs.

    Returns
    -------
    (T, 11) float64
        The blank first. Summed over all ways to part the digits, the probability of a text of digits stays the same.
    """
    kept = posteriors[:, : DIGITS + 1].astype(np.float64)
    kept[:, 0] += posteriors[:, DIGITS + 1 :].sum(axis=1)
    return np.maximum(kept, _P.tiny)


def log_probabilities(posteriors: Real, texts: Sequence[str]) -> list[float]:
    """Log probability that a line reads each of some texts.

    Parameters
    ----------
    posteriors : (T, 11) float64
        As `digits_alone` gives them.
    texts : sequence of str
        Digits only; may be empty.
    """
    if not texts:
        return []
    places = 2 * max(len(text) for text in texts) + 1
    symbols = np.zeros((len(texts), places), np.int64)
    # Places after a text's end are never entered.
    real = np.zeros((len(texts), places))
    for row, used, text in zip(symbols, real, texts, strict=True):
        row[1 : 2 * len(text) : 2] = [int(c) + 1 for c in text]
        used[: 2 * len(text) + 1] = 1.0
    # A digit may follow its neighbour without a blank, unless they are the same digit.
    skip = np.zeros((len(texts), places))
    skip[:, 3::2] = symbols[:, 3::2] != symbols[:, 1:-2:2]
    shares = posteriors[:, symbols] * real
    alpha = np.zeros((len(texts), places))
    alpha[:, :2] = shares[0, :, :2]
    log_scale = np.zeros(len(texts))
    for own in shares[1:]:
        moved = alpha.copy()
        moved[:, 1:] += alpha[:, :-1]
        moved[:, 2:] += skip[:, 2:] * alpha[:, :-2]
        alpha = moved * own
        total = np.maximum(alpha.sum(axis=1), _P.tiny)
        log_scale += np.log(total)
        alpha /= total[:, None]
    ends = np.array([2 * len(text) for text in texts])
    rows = np.arange(len(texts))
    last = alpha[rows, ends] + np.where(ends > 0, alpha[rows, np.maximum(ends - 1, 0)], 0.0)
    return [float(v) for v in log_scale + np.log(np.maximum(last, _P.tiny))]


def likeliest_texts(
    posteriors: Real, count: int = 6, beam: int = 12, automaton: Automaton | None = None
) -> list[tuple[str, float]]:
    """The likeliest texts of digits and their log probabilities, best first.

    Parameters
    ----------
    posteriors : (T, 11) float64
        As `digits_alone` gives them.
    count : int
        Most texts to give.
    beam : int
        Texts kept at each step; a rare text that starts badly may be lost.
    automaton : Automaton, optional
        Only texts that it accepts are given.
    """
    if automaton is not None:
        beam = max(beam, _P.constrained_beam)
    states: dict[str, Hashable] = {"": automaton.start if automaton is not None else None}
    # For each text so far: the probability that it ends in a blank, and that it ends in its last digit.
    kept: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}
    log_scale = 0.0
    likely = [np.flatnonzero(row).tolist() for row in posteriors[:, 1:] > _P.negligible]
    for row, digits in zip(posteriors.tolist(), likely, strict=True):
        blank = row[0]
        grown = {
            text: ((in_blank + in_digit) * blank, in_digit * row[int(text[-1]) + 1] if text else 0.0)
            for text, (in_blank, in_digit) in kept.items()
        }
        if not digits:  # half of all columns: no text begins, and none needs to be given up
            kept = grown
            continue
        for digit in digits:
            share, name = row[digit + 1], str(digit)
            for text, (in_blank, in_digit) in kept.items():
                longer = text + name
                if automaton is not None:
                    if longer not in states:
                        states[longer] = automaton.step(states[text], digit)
                    if states[longer] is None:
                        continue
                more = (in_blank if text[-1:] == name else in_blank + in_digit) * share
                ends_blank, ends_digit = grown.get(longer, _NOWHERE)
                grown[longer] = ends_blank, ends_digit + more
        ranked = sorted(grown.items(), key=_by_share)[:beam]
        total = sum(ends_blank + ends_digit for _, (ends_blank, ends_digit) in ranked) or 1.0
        log_scale += log(total)
        kept = {text: (ends_blank / total, ends_digit / total) for text, (ends_blank, ends_digit) in ranked}
    ranked = sorted(kept.items(), key=_by_share)
    ends = [item for item in ranked if automaton is None or automaton.accepts(states[item[0]])]
    return [(text, log_scale + log(max(sum(p), _P.tiny))) for text, p in ends[:count]]


def struck_share(posteriors: NDArray[np.float32]) -> float:
    """How sure it is that a line holds digits which were struck out, 0 to 1; 0 where its network knows of no such.

    Parameters
    ----------
    posteriors : (T, K) float32
        As of `digits_alone`.
    """
    column = DIGITS + len(_MARKS)
    if posteriors.shape[1] <= column:
        return 0.0
    return float(_corrected(posteriors[:, column]).max(initial=0.0))


def _corrected(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network's shares of struck out digits at `_P.struck_odds`."""
    return np.asarray(_P.struck_odds * shares / (1 + (_P.struck_odds - 1) * shares), np.float32)


def _by_share(item: tuple[str, tuple[float, float]]) -> tuple[float, str]:
    """Sorts texts by their probability, the likeliest first."""
    text, (ends_blank, ends_digit) = item
    return -ends_blank - ends_digit, text


def align(posteriors: Real, text: str) -> list[tuple[int, int]]:
    """Where along the line each digit of a text stands: first column and last, both counted.

    Parameters
    ----------
    posteriors : (T, 11) float64
        As `digits_alone` gives them.
    text : str
        Digits only, no longer than T.
    """
    symbols = np.zeros(2 * len(text) + 1, np.int64)
    symbols[1::2] = [int(c) + 1 for c in text]
    skip = np.zeros(len(symbols), bool)
    skip[3::2] = symbols[3::2] != symbols[1:-2:2]
    logs = np.log(posteriors[:, symbols])
    best = np.full(len(symbols), -np.inf)
    best[:2] = logs[0, :2]
    moves = np.zeros(logs.shape, np.int64)
    places = np.arange(len(symbols))
    for t in range(1, len(logs)):
        ways = np.full((3, len(symbols)), -np.inf)
        ways[0] = best
        ways[1, 1:] = best[:-1]
        ways[2, 2:] = np.where(skip[2:], best[:-2], -np.inf)
        moves[t] = ways.argmax(axis=0)
        best = ways[moves[t], places] + logs[t]
    place = len(symbols) - 1
    if len(symbols) > 1 and best[-2] > best[-1]:
        place -= 1
    path = np.zeros(len(logs), np.int64)
    for t in range(len(logs) - 1, -1, -1):
        path[t] = place
        place -= moves[t, place]
    return [
        (int(columns[0]), int(columns[-1])) if len(columns := np.flatnonzero(path == 2 * k + 1)) else (0, 0)
        for k in range(len(text))
    ]


def spell_signs(posteriors: NDArray[np.float32]) -> str:
    """Separators and signs in a stretch of a line that holds no digit, and what is struck out there; what is unsure
    counts as none.

    Parameters
    ----------
    posteriors : (T, K) float32
        As of `digits_alone`. T may be 0.
    """
    shares = posteriors[:, DIGITS + 1 :].copy()
    if shares.shape[1] == len(_MARKS):
        shares[:, -1] = _corrected(shares[:, -1])
    best = shares.argmax(axis=1) if len(shares) else np.zeros(0, np.int64)
    sure = shares[np.arange(len(best)), best] > 0.5
    found = [_MARKS[k] if here else "" for k, here in zip(best, sure, strict=True)]
    return "".join(sign for sign, _ in groupby(found))
