"""Lattice to text: the best path under the network's posteriors and simple geometry, and its rivals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import NOT_A_DIGIT, Box, Posteriors
from digitscan.decoding.automata import Automaton

REJECT_COST_PAGE = 1.9
"""Against calling a piece of digit size no digit, on a page where letters are common. [log-odds; tried]"""
REJECT_COST_NUMBER = 4.5
"""The same where the whole string is known to be one number. [log-odds; tried]"""
_FLOOR = 1e-5
"""Least posterior, so that one answer cannot rule a path out. [probability; tried]"""
_CONSTRAINED_BEAM = 600
"""Paths kept at a node where a rule decides: every sum of a check digit wants its own. [bare; cost alone]"""


class Costs(NamedTuple):
    """What geometry counts beside the network's word, in log-odds; ``benchmarks/fit_costs.py`` fits them.

    Attributes
    ----------
    cut : float
        A cut through one component must win this: most components are one digit.
    cut_ink : float
        For each height of a digit's ink that a cut crosses: digits touch at a stroke or two.
    cut_one : float
        Against a one for each cut at its sides: a stem cut from a letter looks like one.
    piece : float
        How much each further piece adds to a segment's weight: a digit of three pieces is still one digit.
    wide : float
        For each height that a digit is wider than `widest` heights.
    widest : float
    mark : float
        What a low mark must win to be a digit: it is a point or a dash unless it looks very much like one.
    mark_height : float
        Height, as a share of the string's, up to which a piece is as likely a mark as a digit.
    mark_range : float
        Share of the string's height over which a piece turns from a likely mark to a likely digit.
    low_share : float
        Share of the reject cost that is left for the lowest pieces.
    """

    cut: float = 1.5
    cut_ink: float = 5.0
    cut_one: float = 1.25
    piece: float = 0.3
    wide: float = 5.0
    widest: float = 1.15
    mark: float = 6.0
    mark_height: float = 0.4
    mark_range: float = 0.4
    low_share: float = 0.2


COSTS = Costs()
_Step: TypeAlias = "tuple[float, str, tuple[int, int | None] | None, _Step | None]"


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


class ScoredLattice:
    """A string's hypotheses with what each of them is worth: the best ways through it.

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
    reject_cost : float
        Log-odds against calling a piece of digit size no digit.
    costs : Costs

    References
    ----------
    LeCun, Bottou, Bengio, Haffner 1998, Proc. IEEE 86(11), section VI.
    """

    def __init__(
        self,
        edges: Sequence[Edge],
        posteriors: Posteriors,
        pieces: int,
        height: float,
        reject_cost: float = REJECT_COST_PAGE,
        costs: Costs = COSTS,
    ) -> None:
        self.edges, self.posteriors, self.pieces = edges, posteriors, pieces
        self.scores = segment_scores(edges, posteriors, height, reject_cost, costs)
        self._ending: list[list[int]] = [[] for _ in range(pieces + 1)]
        for index, edge in enumerate(edges):
            self._ending[edge.stop].append(index)

    def best(self, count: int = 4, automaton: Automaton | None = None) -> list[Path]:
        """The best paths with distinct texts, best first, at most `count`: n-best by keeping several paths a node.

        With an automaton, only texts that it accepts; any digit may then stand for any segment.
        """
        if automaton is not None:
            return self._best_allowed(count, automaton)
        choices = _choices(self.edges, self.scores)
        # A kept path: its score, its text, the segment it ends with, and the path before; shared, never copied.
        kept: list[list[_Step]] = [[] for _ in range(self.pieces + 1)]
        kept[0] = [(0.0, "", None, None)]
        for node in range(1, self.pieces + 1):
            rivals: dict[str, _Step] = {}
            for index in self._ending[node]:
                for previous in kept[self.edges[index].start]:
                    for digit, score in choices[index]:
                        total = previous[0] + score
                        text = previous[1] + ("" if digit is None else str(digit))
                        if text not in rivals or total > rivals[text][0]:
                            rivals[text] = (total, text, (index, digit), previous)
            kept[node] = sorted(rivals.values(), key=lambda r: -r[0])[:count]
        return [self._path(entry) for entry in kept[self.pieces]]

    def _best_allowed(self, count: int, automaton: Automaton) -> list[Path]:
        """`best` over pairs of a node and a state of the automaton (a product of the two)."""
        rows = self.scores.tolist()
        # Each kept path carries the automaton's state; of each state the best few are kept.
        kept: list[list[tuple[Hashable, _Step]]] = [[] for _ in range(self.pieces + 1)]
        kept[0] = [(automaton.start, (0.0, "", None, None))]
        for node in range(1, self.pieces + 1):
            rivals: dict[str, tuple[Hashable, _Step]] = {}
            for index in self._ending[node]:
                worth = rows[index]
                for state, previous in kept[self.edges[index].start]:
                    for digit in (None, *range(NOT_A_DIGIT)):
                        after = state if digit is None else automaton.step(state, digit)
                        if after is None:
                            continue
                        total = previous[0] + worth[NOT_A_DIGIT if digit is None else digit]
                        text = previous[1] + ("" if digit is None else str(digit))
                        if text not in rivals or total > rivals[text][1][0]:
                            rivals[text] = (after, (total, text, (index, digit), previous))
            ranked = sorted(rivals.values(), key=lambda r: -r[1][0])
            seen: Counter[Hashable] = Counter()
            own = []
            for entry in ranked:
                seen[entry[0]] += 1
                if seen[entry[0]] <= count:
                    own.append(entry)
            kept[node] = own[:_CONSTRAINED_BEAM]
        ends = [entry for state, entry in kept[self.pieces] if automaton.accepts(state)]
        return [self._path(entry) for entry in ends[:count]]

    def _path(self, entry: _Step) -> Path:
        symbols = []
        step: _Step | None = entry
        while step is not None and step[2] is not None:
            symbols.append(self._symbol(*step[2]))
            step = step[3]
        return Path(tuple(reversed(symbols)), entry[0])

    def _symbol(self, index: int, digit: int | None) -> Symbol:
        return Symbol(index, digit, float(self.posteriors[index, NOT_A_DIGIT if digit is None else digit]))

    def best_for(self, text: str) -> Path | None:
        """The best path that reads `text`; None where no path has so many digits."""
        digits = [int(c) for c in text]
        nowhere = float("-inf")
        # Score of reading the first k digits up to each node, and the segment that ends there.
        reached = [[nowhere] * (len(digits) + 1) for _ in range(self.pieces + 1)]
        reached[0][0] = 0.0
        step = [[(-1, False)] * (len(digits) + 1) for _ in range(self.pieces + 1)]
        worth: list[list[float]] = self.scores[:, [*digits, NOT_A_DIGIT]].tolist()
        for node in range(1, self.pieces + 1):
            best, via = reached[node], step[node]
            for index in self._ending[node]:
                before, own = reached[self.edges[index].start], worth[index]
                for k in range(len(digits) + 1):
                    as_none = before[k] + own[-1]
                    as_digit = before[k - 1] + own[k - 1] if k else nowhere
                    if max(as_none, as_digit) > best[k]:
                        best[k] = max(as_none, as_digit)
                        via[k] = (index, as_digit >= as_none)
        score = reached[self.pieces][len(digits)]
        if score == nowhere:
            return None
        symbols, node, k = [], self.pieces, len(digits)
        while node:
            index, is_digit = step[node][k]
            symbols.append(self._symbol(index, digits[k - 1] if is_digit else None))
            node, k = self.edges[index].start, k - is_digit
        return Path(tuple(reversed(symbols)), score)


def segment_scores(
    edges: Sequence[Edge],
    posteriors: Posteriors,
    height: float,
    reject_cost: float = REJECT_COST_PAGE,
    costs: Costs = COSTS,
) -> NDArray[np.float64]:
    """What each segment is worth as each digit, and as no digit: (len(edges), 11), in log units."""
    if not edges:
        return np.zeros((0, NOT_A_DIGIT + 1))
    logs = np.log(np.maximum(posteriors, _FLOOR), dtype=np.float64)
    cuts = np.array([edge.cuts for edge in edges], np.float64)
    weight = 1.0 + costs.piece * np.array([edge.stop - edge.start - 1 for edge in edges], np.float64)
    wide = np.array([edge.box.width for edge in edges], np.float64) / max(height, 1.0)
    high = np.array([edge.box.height for edge in edges], np.float64) / max(height, 1.0)
    # Each cut has two sides, and each side pays half.
    cutting = 0.5 * (costs.cut * cuts + costs.cut_ink * np.array([edge.cut_ink for edge in edges], np.float64))
    shape = -costs.wide * np.maximum(0.0, wide - costs.widest) - cutting
    scores = logs.copy()
    scores[:, 1] -= costs.cut_one * cuts  # a stem cut from a letter looks like a one
    scores[:, :NOT_A_DIGIT] *= weight[:, None]
    # Marks are lower than digits: what is low is given up more easily, what was several pieces less so.
    stature = np.clip((high - costs.mark_height) / costs.mark_range, 0.0, 1.0)
    cost = reject_cost * (costs.low_share + (1 - costs.low_share) * stature) * weight
    scores[:, NOT_A_DIGIT] = logs[:, NOT_A_DIGIT] * weight - cost - cutting
    small = np.array([edge.small for edge in edges], bool)
    scores[:, :NOT_A_DIGIT] += np.where(small, -costs.mark, shape)[:, None]
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


def shares(paths: Sequence[Path]) -> list[float]:
    """Each path's share of the evidence among its rivals; they sum to at most 1."""
    if not paths:
        return []
    scores = np.array([p.score for p in paths])
    weights = np.exp(scores - scores.max())
    return [float(w) for w in weights / weights.sum()]
