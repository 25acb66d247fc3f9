"""Lattice to text: the best path under the network's posteriors and simple geometry, and its rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
_MARK_AS_DIGIT_COST = 6.0
"""Log-odds that a low mark must win to be a digit: it is a point or a dash unless it looks very much like one."""
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
    scores = segment_scores(edges, posteriors, height, reject_cost)
    choices = _choices(edges, scores)
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


def segment_scores(
    edges: Sequence[Edge], posteriors: Posteriors, height: float, reject_cost: float = REJECT_COST_PAGE
) -> NDArray[np.float64]:
    """What each segment is worth as each digit, and as no digit: (len(edges), 11), in log units; see `best_paths`."""
    if not edges:
        return np.zeros((0, NOT_A_DIGIT + 1))
    logs = np.log(np.maximum(posteriors, _FLOOR), dtype=np.float64)
    cuts = np.array([edge.cuts for edge in edges], np.float64)
    weight = 1.0 + _PIECE_WEIGHT * np.array([edge.stop - edge.start - 1 for edge in edges], np.float64)
    wide = np.array([edge.box.width for edge in edges], np.float64) / max(height, 1.0)
    high = np.array([edge.box.height for edge in edges], np.float64) / max(height, 1.0)
    # Each cut has two sides, and each side pays half.
    cutting = 0.5 * (_CUT_COST * cuts + _CUT_INK_COST * np.array([edge.cut_ink for edge in edges], np.float64))
    shape = -_WIDE_COST * np.maximum(0.0, wide - 1.15) - cutting
    scores = logs.copy()
    scores[:, 1] -= _CUT_ONE_COST * cuts  # a stem cut from a letter looks like a one
    scores[:, :NOT_A_DIGIT] *= weight[:, None]
    # Marks are lower than digits: what is low is given up more easily, what was several pieces less so.
    stature = np.clip((high - _MARK_HEIGHT) / 0.4, 0.0, 1.0)
    cost = reject_cost * (_LOW_SHARE + (1 - _LOW_SHARE) * stature) * weight
    scores[:, NOT_A_DIGIT] = logs[:, NOT_A_DIGIT] * weight - cost - cutting
    small = np.array([edge.small for edge in edges], bool)
    scores[:, :NOT_A_DIGIT] += np.where(small, -_MARK_AS_DIGIT_COST, shape)[:, None]
    scores[small, NOT_A_DIGIT] = 0.0
    return scores


def _choices(edges: Sequence[Edge], scores: NDArray[np.float64]) -> list[list[tuple[int | None, float]]]:
    """What each segment may be, with scores: its two best digits, or none; of a low mark none, or the best digit."""
    digits = scores[:, :NOT_A_DIGIT]
    ranked = np.argsort(digits, axis=1)[:, :-3:-1]
    best = np.take_along_axis(digits, ranked, axis=1)
    choices: list[list[tuple[int | None, float]]] = []
    rows = zip(edges, ranked.tolist(), best.tolist(), scores[:, NOT_A_DIGIT].tolist(), strict=True)
    for edge, (first, second), (score, next_score), rejected in rows:
        if edge.small:
            choices.append([(None, rejected), (first, score)])
        else:
            choices.append([(first, score), (second, next_score), (None, rejected)])
    return choices


def best_path_for(
    text: str,
    edges: Sequence[Edge],
    posteriors: Posteriors,
    pieces: int,
    height: float,
    reject_cost: float = REJECT_COST_PAGE,
) -> Path | None:
    """The best path that reads `text`; None where no path has so many digits. Parameters as of `best_paths`."""
    scores = segment_scores(edges, posteriors, height, reject_cost)
    digits = [int(c) for c in text]
    ending: list[list[int]] = [[] for _ in range(pieces + 1)]
    for index, edge in enumerate(edges):
        ending[edge.stop].append(index)
    # Score of reading the first k digits up to each node, and the segment that ends there.
    reached = np.full((pieces + 1, len(digits) + 1), -np.inf)
    reached[0, 0] = 0.0
    step: list[list[tuple[int, bool]]] = [[(-1, False)] * (len(digits) + 1) for _ in range(pieces + 1)]
    for node in range(1, pieces + 1):
        for index in ending[node]:
            before = reached[edges[index].start]
            taken = scores[index, digits] if digits else np.zeros(0)
            for k in range(len(digits) + 1):
                as_none = before[k] + scores[index, NOT_A_DIGIT]
                as_digit = before[k - 1] + taken[k - 1] if k else -np.inf
                if max(as_none, as_digit) > reached[node, k]:
                    reached[node, k] = max(as_none, as_digit)
                    step[node][k] = (index, bool(as_digit >= as_none))
    if not np.isfinite(reached[pieces, len(digits)]):
        return None
    symbols, node, k = [], pieces, len(digits)
    while node:
        index, is_digit = step[node][k]
        digit = digits[k - 1] if is_digit else None
        column = NOT_A_DIGIT if digit is None else digit
        symbols.append(Symbol(index, digit, float(posteriors[index, column])))
        node, k = edges[index].start, k - is_digit
    return Path(tuple(reversed(symbols)), float(reached[pieces, len(digits)]))


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
