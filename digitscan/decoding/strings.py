"""Paths to readings: which runs of digits are numbers, and how sure each is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from digitscan.core.config import DecodeConfig
from digitscan.core.geometry import union
from digitscan.core.types import Alternative, Box, Posteriors
from digitscan.decoding.lattice import REJECT_COST_NUMBER, REJECT_COST_PAGE, Edge, Path, ScoredLattice, Symbol, shares
from digitscan.decoding.readings import ReadDigit, ReadString, digit_of
from digitscan.decoding.rivals import LinePosteriors, Rival, digits_of, rank_texts


@dataclass(frozen=True, slots=True, kw_only=True)
class StringParameters:
    """What tells numbers from words on a path through a lattice.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    glued: float = 0.28
    """Paper between a digit and a letter of one word is narrower. [heights; tried]"""
    sure: float = 0.6
    """A digit this sure speaks for a number. [probability; tried]"""
    surer: float = 0.8
    """One this sure keeps an unlikely number, for a person to see. [probability; tried]"""
    mostly: float = 0.66
    """Share of the segments that must be sure digits for the others to be badly written ones. [share; tried]"""
    ones_and_zeros: float = 0.6
    """Share of ones and zeros from which digits of unlike height look like letters. [share; tried]"""
    unlike_height: float = 0.82
    """How high the lowest of them is then, at the most. [shares of the highest; tried]"""
    told_apart: float = 0.9
    """Where every digit is surer, it is the parting that is in doubt. [probability; tried]"""
    negligible: float = 1e-4
    """Less likely alternatives are not told. [probability; tried]"""
    struck: float = 0.5
    """How sure the line recognizer must be of struck out digits; what it is less sure of is for review.
    [probability; tried]"""
    struck_on_page: float = 0.8
    """The same on a page: there are words too, whose letters run together. [probability; tried]"""
    nothing: float = 0.9
    """How sure the line recognizer must be that a string on a page is a word. [probability; tried]"""
    beside: float = 1.0
    """Gap up to which a mark of digit size beside a number may be part of it. [heights; tried]"""
    plain: float = 0.98
    """A number all of whose digits are this sure is told, where the line recognizer sees none. [probability; tried]"""
    behind_stroke: float = -1.2
    """Mean over its views from which a text behind a stroke is a number. [log units; tried]"""


_P = StringParameters()
_CLOSED = re.compile("1[-=]+$")
"""An amount whose last digit and dash may be the two strokes that close it: ``5000/-``."""


def _tight(a: Box, b: Box, height: float) -> bool:
    return b.x - a.right < _P.glued * height


def _runs(
    path: Path, edges: Sequence[Edge], posteriors: Posteriors, height: float, *, one_number: bool
) -> list[list[Symbol]]:
    """Numbers in a path: runs of digits, with points and commas inside; words are left out.

    On a page, a run that stands in one word with letters is part of the word. Where only few segments are no
    digits, they are taken for badly written ones and kept, with the low confidence they have.
    """
    large = [s for s in path.symbols if not edges[s.edge].small]
    digits = [s for s in large if s.digit is not None]
    if one_number:
        return [[s for s in path.symbols if s.digit is not None]]
    if not digits:
        return []
    sure = sum(s.confidence > _P.sure for s in digits)
    strangers = [s for s in large if s.digit is None]
    if not strangers:
        return [list(path.symbols)]
    if sure < 0.5 * len(large):
        return _apart_from_letters(path, edges, height)
    # Ones and zeros alone are how l, i and o look: they do not speak for a number.
    telling = any(s.digit is not None and s.digit > 1 and s.confidence > _P.sure for s in large)
    if sure >= 2 and sure >= _P.mostly * len(large) and telling:
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
    one_number: bool = False,
    line: LinePosteriors | None = None,
    marked: bool = False,
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
    one_number : bool
        The lattice is ONE number: nothing is left out for being unsure.
    line : LinePosteriors, optional
        What the line recognizer says of the string. Texts are then ranked by both.
    marked : bool
        Beside the digits there are marks, which only the line recognizer knows.

    Returns
    -------
    list of ReadString
        None for a word, several where letters part numbers.
    """
    reject_cost = REJECT_COST_NUMBER if one_number else REJECT_COST_PAGE
    if line is not None and line.struck > (_P.struck if one_number else _P.struck_on_page):
        return _struck_reading(line, one_number=one_number)
    if line is not None and not one_number and line.nothing > _P.nothing:
        alone = _read_by_lattice(edges, posteriors, pieces, height, config, one_number=False, marked=marked)
        told = "the line recognizer sees no number"
        return [replace(number, doubt=told) for number in alone if _plain_number(number)]
    if line is not None:
        rivals = rank_texts(edges, posteriors, pieces, height, reject_cost, line, one_number=one_number)
        if rivals:
            together = _read_together(rivals, edges, posteriors, line, config, one_number=one_number)
            return [] if not one_number and _no_number(together.digits, together.confidence, config) else [together]
    found = _read_by_lattice(edges, posteriors, pieces, height, config, one_number=one_number, marked=marked)
    if line is not None and found:
        own, other = " ".join(number.text for number in found), line.likeliest()
        if other != own.replace(" ", ""):
            told = f"the two readers differ: {own} or {other or 'nothing'}"
            found = [replace(number, doubt=number.doubt or told) for number in found]
    return found


def _read_by_lattice(
    edges: Sequence[Edge],
    posteriors: Posteriors,
    pieces: int,
    height: float,
    config: DecodeConfig,
    *,
    one_number: bool,
    marked: bool,
) -> list[ReadString]:
    """The numbers on the best path through a lattice; parameters as of `read_string`."""
    reject_cost = REJECT_COST_NUMBER if one_number else REJECT_COST_PAGE
    paths = ScoredLattice(edges, posteriors, pieces, height, reject_cost).best(max(2, config.alternatives + 1))
    if not paths:
        return []
    weights = shares(paths)
    found = []
    for run in _runs(paths[0], edges, posteriors, height, one_number=one_number):
        digits = [
            digit_of(edges[s.edge], posteriors[s.edge], s)
            for s in run
            if s.digit is not None or not edges[s.edge].small
        ]
        if not digits:
            continue
        likelihood = float(np.prod([d.confidence for d in digits]))
        confidence = likelihood * weights[0]
        if not one_number and _no_number(digits, confidence, config):
            continue
        text = "".join(d.digit for d in digits)
        alternatives = tuple(
            Alternative(p.text, w)
            for p, w in list(zip(paths, weights, strict=True))[1 : config.alternatives + 1]
            if p.text and p.text != text and w > _P.negligible
        )
        # Rivals speak of the whole lattice; they say little about a part of it.
        if text != paths[0].text:
            alternatives = ()
        found.append(
            ReadString(
                union(d.box for d in digits),
                text,
                digits=tuple(digits),
                confidence=confidence,
                alternatives=alternatives,
                reason=unsure(digits),
                maybe_word=not one_number and _like_letters(digits),
                written="" if marked else text,
                doubt=_unread(run, paths[0], edges, height),
            )
        )
    return found


def _plain_number(number: ReadString) -> bool:
    """Whether the digits alone are beyond doubt, and no ones and zeros, which letters look like."""
    return min(d.confidence for d in number.digits) >= _P.plain and bool(set(number.text) - set("01"))


def _unread(run: Sequence[Symbol], path: Path, edges: Sequence[Edge], height: float) -> str:
    """What stands close beside the digits of a number, as high as they are, and was not read; or nothing."""
    own = {symbol.edge for symbol in run}
    box = union(edges[symbol.edge].box for symbol in run if symbol.digit is not None or not edges[symbol.edge].small)
    for symbol in path.symbols:
        edge = edges[symbol.edge]
        if symbol.digit is not None or edge.small or symbol.edge in own:
            continue
        if edge.box.x - box.right < _P.beside * height and box.x - edge.box.right < _P.beside * height:
            side = "right" if edge.box.center[0] > box.center[0] else "left"
            return f"a stroke at the {side} was not read"
    return ""


def read_behind_stroke(line: LinePosteriors) -> list[ReadString]:
    """What a stroke through all of it left of a number, by the line recognizer; none where it is hardly one.

    That reader sees the digits through the stroke. Words that are crossed out look to it like ones and zeros, or like
    many things at once.
    """
    text, log = max(line.log_probabilities([]).items(), key=lambda item: item[1])
    if log < _P.behind_stroke or len(text) < 2 or not set(text) - set("01"):
        return []
    return [
        ReadString(
            line.region,
            text,
            digits=tuple(line.digits(text)),
            confidence=1.0,
            alternatives=(),
            reason="struck out",
            struck=True,
        )
    ]


def _struck_reading(line: LinePosteriors, *, one_number: bool) -> list[ReadString]:
    """A number of which digits are struck out; on a page, a scribble between words is none."""
    text = max(line.log_probabilities([]).items(), key=lambda item: item[1])[0]
    if not (text or one_number):
        return []
    written = line.written(text)
    reason = f"digits are struck out: {written}" if text else "struck out"
    digits = tuple(line.digits(text))
    return [
        ReadString(
            line.region,
            text,
            digits=digits,
            confidence=line.struck,
            alternatives=(),
            reason=reason,
            written=written,
            struck=True,
        )
    ]


def _read_together(
    rivals: Sequence[Rival],
    edges: Sequence[Edge],
    posteriors: Posteriors,
    line: LinePosteriors,
    config: DecodeConfig,
    *,
    one_number: bool,
) -> ReadString:
    """The best of the texts; its share of the evidence is the confidence."""
    evidence = np.array([rival.evidence for rival in rivals])
    weights = np.exp(evidence - evidence[0])
    weights /= weights.sum()
    best = rivals[0]
    by_line = max(rivals, key=lambda rival: rival.line)
    by_lattice = max(rivals, key=lambda rival: rival.lattice)
    rival = by_line if by_line.text != best.text else by_lattice
    doubt = f"the two readers differ: {best.text} or {rival.text}" if rival.text != best.text else ""
    written = line.written(best.text)
    if not doubt and _CLOSED.search(written):
        doubt = "the last 1 may be the stroke before the closing dash"
    digits = digits_of(best, edges, posteriors, line)
    alternatives = tuple(
        Alternative(rival.text, float(weight))
        for rival, weight in list(zip(rivals, weights, strict=True))[1 : config.alternatives + 1]
        if weight > _P.negligible
    )
    return ReadString(
        union(d.box for d in digits),
        best.text,
        digits=tuple(digits),
        confidence=float(weights[0]) * (1 - line.struck),
        alternatives=alternatives,
        reason=unsure(digits),
        maybe_word=not one_number and _like_letters(digits),
        written=written,
        doubt=doubt,
    )


def _no_number(digits: Sequence[ReadDigit], confidence: float, config: DecodeConfig) -> bool:
    """Whether a string on a page is too unlikely a number to be given.

    One most of whose digits are sure is kept, with its low confidence, for a person to see.
    """
    sure = sum(d.confidence > _P.surer for d in digits)
    unlikely = min(d.confidence for d in digits) < 0.5 and sure < 0.5 * len(digits)
    return unlikely and confidence < config.min_confidence


def _like_letters(digits: Sequence[ReadDigit]) -> bool:
    """Whether mostly ones and zeros of unlike height stand together."""
    if len(digits) < 2 or sum(d.digit in "01" for d in digits) < _P.ones_and_zeros * len(digits):
        return False
    heights = [d.box.height for d in digits]
    return min(heights) < _P.unlike_height * max(heights)


def unsure(digits: Sequence[ReadDigit]) -> str:
    """Which digit to look at first, for a reading that is marked for review."""
    place, worst = min(enumerate(digits, 1), key=lambda item: item[1].confidence)
    if worst.confidence >= _P.told_apart:
        return "several ways to part the digits"
    return f"digit {place} unsure: {worst.digit} or {worst.runner_up}"
