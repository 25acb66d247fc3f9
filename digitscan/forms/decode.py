"""Lattice to text: the best path under the network's posteriors and simple geometry, and its rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitscan.core.types import NOT_A_DIGIT, Box, Posteriors

_CUT_COST = 1.5
"""Log-odds that a cut through one component must win: most components are one digit."""
_CUT_INK_COST = 5.0
"""Further log-odds for each height of a digit's ink that a cut crosses: digits touch at a stroke or two."""
REJECT_COST_PAGE = 1.9
"""Log-odds against calling a piece of digit size no digit, on a page where letters are common."""
REJECT_COST_NUMBER = 4.5
"""The same where the whole string is known to be one number."""
_CUT_ONE_COST = 1.25
"""Further log-odds against a one for each cut at its sides."""
_PIECE_WEIGHT = 0.3
"""How much each further piece adds to a segment's weight: a digit of three pieces is still one digit."""
_MARK_HEIGHT = 0.4
"""Height, as a share of the string's, up to which a piece is as likely a mark as a digit."""
_LOW_SHARE = 0.2
"""Share of the reject cost that is left for the lowest pieces."""
_WIDE_COST = 5.0
"""For each height that a digit is wider than 1.15 heights."""
_FLOOR = 1e-5


@dataclass(frozen=True, slots=True)
class Edge:
    """One candidate as the decoder sees it.

    Attributes
    ----------
    start, stop : int
        Pieces ``start`` to ``stop - 1``.
    box : Box
        In pixels of the binary page.
    cuts : int
        Cuts at its two ends that go through a component.
    small : bool
        Much lower than the string.
    cut_ink : float
        Ink that those cuts cross, in heights of a digit.
    """

    start: int
    stop: int
    box: Box
    cuts: int
    small: bool
    cut_ink: float = 0.0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A decoded segment; `digit` is None where it is no digit, `edge` its row in the lattice."""

    edge: int
    digit: int | None
    confidence: float


@dataclass(frozen=True, slots=True)
class Path:
    """A way through a lattice, with its score in log units; 0 is perfect."""

    symbols: tuple[Symbol, ...]
    score: float

    @property
    def text(self) -> str:
        """The digits alone."""
        return "".join(str(s.digit) for s in self.symbols if s.digit is not None)


def best_paths(
    edges: Sequence[Edge],
    posteriors: Posteriors,
    pieces: int,
    height: float,
    count: int = 4,
    reject_cost: float = REJECT_COST_PAGE,
) -> list[Path]:
    """The best paths with distinct texts, best first.

    Every piece is covered once; a segment of several pieces weighs a little more than one of a single piece, so
    that readings with few and with many segments compare fairly.

    Parameters
    ----------
    edges : sequence of Edge
        All candidates of one string.
    posteriors : (len(edges), 11) float32
    pieces : int
        Nodes of the lattice less one.
    height : float
        Typical height of the string's digits in pixels.
    count : int
        Most paths to give.
    reject_cost : float
        Log-odds against calling a piece of digit size no digit.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner 1998, Proc. IEEE 86(11), section VI; n-best by keeping several paths a node.
    """
    choices = _choices(edges, posteriors, height, reject_cost)
    ending: list[list[int]] = [[] for _ in range(pieces + 1)]
    for index, edge in enumerate(edges):
        ending[edge.stop].append(index)
    # A kept path: its score, its text, the segment it ends with, and the path before; shared, never copied.
    kept: list[list[tuple[float, str, tuple[int, int | None] | None, object]]] = [[] for _ in range(pieces + 1)]
    kept[0] = [(0.0, "", None, None)]
    for node in range(1, pieces + 1):
        rivals: dict[str, tuple[float, str, tuple[int, int | None] | None, object]] = {}
        for index in ending[node]:
            edge = edges[index]
            for previous in kept[edge.start]:
                for digit, score in choices[index]:
                    total = previous[0] + score
                    text = previous[1] + ("" if digit is None else str(digit))
                    if text not in rivals or total > rivals[text][0]:
                        rivals[text] = (total, text, (index, digit), previous)
        kept[node] = sorted(rivals.values(), key=lambda r: -r[0])[:count]
    return [_unwind(entry, posteriors) for entry in kept[pieces]]


def _choices(
    edges: Sequence[Edge], posteriors: Posteriors, height: float, reject_cost: float
) -> list[list[tuple[int | None, float]]]:
    """What each segment may be, with scores: its two best digits, or none."""
    if not edges:
        return []
    logs = np.log(np.maximum(posteriors, _FLOOR), dtype=np.float64)
    cuts = np.array([edge.cuts for edge in edges], np.float64)
    weight = 1.0 + _PIECE_WEIGHT * np.array([edge.stop - edge.start - 1 for edge in edges], np.float64)
    wide = np.array([edge.box.width for edge in edges], np.float64) / max(height, 1.0)
    high = np.array([edge.box.height for edge in edges], np.float64) / max(height, 1.0)
    # Each cut has two sides, and each side pays half.
    cutting = 0.5 * (_CUT_COST * cuts + _CUT_INK_COST * np.array([edge.cut_ink for edge in edges], np.float64))
    shape = -_WIDE_COST * np.maximum(0.0, wide - 1.15) - cutting
    digit_logs = logs[:, :NOT_A_DIGIT].copy()
    digit_logs[:, 1] -= _CUT_ONE_COST * cuts  # a stem cut from a letter looks like a one
    ranked = np.argsort(digit_logs, axis=1)[:, :-3:-1]
    scores = np.take_along_axis(digit_logs, ranked, axis=1) * weight[:, None]
    # Marks are lower than digits: what is low is given up more easily, what was several pieces less so.
    stature = np.clip((high - _MARK_HEIGHT) / 0.4, 0.0, 1.0)
    cost = reject_cost * (_LOW_SHARE + (1 - _LOW_SHARE) * stature) * weight
    none = logs[:, NOT_A_DIGIT] * weight - cost - cutting
    choices: list[list[tuple[int | None, float]]] = []
    rows = zip(edges, ranked.tolist(), scores.tolist(), shape.tolist(), none.tolist(), strict=True)
    for edge, (first, second), (best, next_best), form, rejected in rows:
        if edge.small:  # a low mark is a point or a dash unless it looks very much like a digit
            choices.append([(None, 0.0), (first, best - 6.0)])
        else:
            choices.append([(first, best + form), (second, next_best + form), (None, rejected)])
    return choices


def _unwind(entry: tuple[float, str, tuple[int, int | None] | None, object], posteriors: Posteriors) -> Path:
    symbols = []
    step: tuple[float, str, tuple[int, int | None] | None, object] | object = entry
    while isinstance(step, tuple) and step[2] is not None:
        index, digit = step[2]
        column = NOT_A_DIGIT if digit is None else digit
        symbols.append(Symbol(index, digit, float(posteriors[index, column])))
        step = step[3]
    return Path(tuple(reversed(symbols)), entry[0])


def shares(paths: Sequence[Path]) -> list[float]:
    """Each path's share of the evidence among its rivals; they sum to at most 1."""
    if not paths:
        return []
    scores = np.array([p.score for p in paths])
    weights = np.exp(scores - scores.max())
    return [float(w) for w in weights / weights.sum()]
