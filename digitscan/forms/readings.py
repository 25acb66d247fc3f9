"""Paths to readings: which runs of digits are numbers, and how sure each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitscan.core.config import DecodeConfig
from digitscan.core.geometry import union
from digitscan.core.types import NOT_A_DIGIT, Alternative, Box, Posteriors
from digitscan.forms.decode import REJECT_COST_NUMBER, REJECT_COST_PAGE, Edge, Path, Symbol, best_paths, shares


@dataclass(frozen=True, slots=True)
class ReadDigit:
    """A digit, its box in pixels of the binary page."""

    box: Box
    digit: str
    confidence: float
    runner_up: str
    margin: float


@dataclass(frozen=True, slots=True)
class ReadString:
    """A number, its box in pixels of the binary page."""

    box: Box
    text: str
    digits: tuple[ReadDigit, ...]
    confidence: float
    alternatives: tuple[Alternative, ...]
    reason: str
    maybe_word: bool = False
    """Its shapes and heights are those of letters too: "oil" and "well" rather than 011 and 6111."""


def _digit(edge: Edge, row: np.ndarray, symbol: Symbol) -> ReadDigit:
    order = np.argsort(row[:NOT_A_DIGIT])[::-1]
    best = symbol.digit if symbol.digit is not None else int(order[0])
    rival = next(int(d) for d in order if int(d) != best)
    return ReadDigit(edge.box, str(best), float(row[best]), str(rival), float(row[best] - row[rival]))


def _tight(a: Box, b: Box, height: float) -> bool:
    return b.x - a.right < 0.28 * height


def _runs(path: Path, edges: Sequence[Edge], posteriors: Posteriors, height: float, whole: bool) -> list[list[Symbol]]:
    """Numbers in a path: runs of digits, with points and commas inside; words are left out.

    On a page, a run that stands in one word with letters is part of the word. Where only few segments are no
    digits, they are taken for badly written ones and kept, with the low confidence they have.
    """
    large = [s for s in path.symbols if not edges[s.edge].small]
    digits = [s for s in large if s.digit is not None]
    if whole:
        return [[s for s in path.symbols if s.digit is not None]]
    if not digits:
        return []
    sure = sum(s.confidence > 0.6 for s in digits)
    strangers = [s for s in large if s.digit is None]
    if not strangers:
        return [list(path.symbols)]
    if sure < 0.5 * len(large):
        return _apart_from_letters(path, edges, height)
    # Ones and zeros alone are how l, i and o look: they do not speak for a number.
    telling = any(s.digit is not None and s.digit > 1 and s.confidence > 0.6 for s in large)
    if sure >= 2 and sure >= 0.66 * len(large) and telling:
        # Mostly digits: a stranger inside is a digit that could not be read; at the ends it is a sign.
        first = next(k for k, s in enumerate(path.symbols) if s.digit is not None)
        last = max(k for k, s in enumerate(path.symbols) if s.digit is not None)
        return [list(path.symbols[first : last + 1])]
    return _apart_from_letters(path, edges, height)


def _apart_from_letters(path: Path, edges: Sequence[Edge], height: float) -> list[list[Symbol]]:
    """Runs of digits that no letter touches."""
    runs: list[list[Symbol]] = []
    run: list[Symbol] = []
    spoiled = False
    before: Symbol | None = None
    for symbol in path.symbols:
        edge = edges[symbol.edge]
        if symbol.digit is None and not edge.small:
            glued = bool(run) and _tight(edges[run[-1].edge].box, edge.box, height)
            if run and not (spoiled or glued):
                runs.append(run)
            run, spoiled = [], False
        else:
            if not run and before is not None and before.digit is None and not edges[before.edge].small:
                spoiled = _tight(edges[before.edge].box, edge.box, height)
            run.append(symbol)
        before = symbol
    if run and not spoiled:
        runs.append(run)
    return [run for run in runs if any(s.digit is not None for s in run)]


def read_string(
    edges: Sequence[Edge],
    posteriors: Posteriors,
    pieces: int,
    height: float,
    config: DecodeConfig,
    *,
    whole: bool = False,
) -> list[ReadString]:
    """Read one lattice.

    Parameters
    ----------
    edges : sequence of Edge
    posteriors : (len(edges), 11) float32
    pieces : int
    height : float
        Typical height of its digits in pixels.
    config : DecodeConfig
    whole : bool
        The lattice is ONE number: nothing is left out for being unsure.

    Returns
    -------
    list of ReadString
        None for a word, several where letters part numbers.
    """
    reject_cost = REJECT_COST_NUMBER if whole else REJECT_COST_PAGE
    paths = best_paths(edges, posteriors, pieces, height, max(2, config.alternatives + 1), reject_cost)
    if not paths:
        return []
    weights = shares(paths)
    found = []
    for run in _runs(paths[0], edges, posteriors, height, whole):
        digits = [
            _digit(edges[s.edge], posteriors[s.edge], s) for s in run if s.digit is not None or not edges[s.edge].small
        ]
        if not digits:
            continue
        likelihood = float(np.prod([d.confidence for d in digits]))
        confidence = likelihood * weights[0]
        if not whole:
            # A number most of whose digits are sure is kept, with its low confidence, for a person to see.
            sure = sum(d.confidence > 0.8 for d in digits)
            unlikely = min(d.confidence for d in digits) < 0.5 and sure < 0.5 * len(digits)
            if unlikely and confidence < config.min_confidence:
                continue
        text = "".join(d.digit for d in digits)
        alternatives = tuple(
            Alternative(p.text, w)
            for p, w in list(zip(paths, weights, strict=True))[1 : config.alternatives + 1]
            if p.text and p.text != text and w > 1e-4
        )
        # Rivals speak of the whole lattice; they say little about a part of it.
        if text != paths[0].text:
            alternatives = ()
        found.append(
            ReadString(
                union(d.box for d in digits),
                text,
                tuple(digits),
                confidence,
                alternatives,
                _reason(digits),
                maybe_word=not whole and _like_letters(digits),
            )
        )
    return found


def _like_letters(digits: Sequence[ReadDigit]) -> bool:
    """Whether mostly ones and zeros of unlike height stand together."""
    if len(digits) < 2 or sum(d.digit in "01" for d in digits) < 0.6 * len(digits):
        return False
    heights = [d.box.height for d in digits]
    return min(heights) < 0.82 * max(heights)


def _reason(digits: Sequence[ReadDigit]) -> str:
    """Which digit to look at first, for a reading that is marked for review."""
    place, worst = min(enumerate(digits, 1), key=lambda item: item[1].confidence)
    if worst.confidence >= 0.9:
        return "several ways to part the digits"
    return f"digit {place} unsure: {worst.digit} or {worst.runner_up}"
