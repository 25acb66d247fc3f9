"""Paths to readings: which runs of digits are numbers, and how sure each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitscan.core.config import DecodeConfig
from digitscan.core.geometry import union
from digitscan.core.types import NOT_A_DIGIT, STRUCK_OUT, Alternative, Box, Posteriors
from digitscan.forms.constraints import Automaton
from digitscan.forms.ctc import align, digits_alone, likeliest_texts, log_probabilities, spell_signs, struck_share
from digitscan.forms.decode import (
    REJECT_COST_NUMBER,
    REJECT_COST_PAGE,
    Edge,
    Path,
    ScoredLattice,
    Symbol,
    shares,
)

_RIVALS = 8
"""Texts that each of the two readers may bring."""
_LATTICE_WEIGHT = 0.3
_LINE_WEIGHT = 0.8
"""What a log unit of either reader's evidence counts: both overrate themselves, and they err together now and then."""
_STRUCK, _STRUCK_ON_PAGE = 0.5, 0.8
"""How sure the reader of lines must be of struck out digits: on a page there are words too, whose letters run together.
What it is less sure of is for review."""
_NOTHING = 0.9
"""How sure the reader of lines must be that a string on a page is a word."""
_BEHIND_STROKE = -1.2
"""Mean log probability over its views from which a text behind a stroke is a number."""
_FAR_BEHIND = 14.0
"""Log units behind its own reader's best text at which a text is no rival."""
_LOWEST = -8.0
"""Log units that a text has from the lattice at the least. Where digits touch, the lattice may have no path that spells
what stands there, or one over a bad cut: that it likes another text better says little then."""
_BEHIND = 3.0
"""Log units by which a text may stand behind the lattice's best, where that is hardly likely itself."""


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
    written: str = ""
    """The text with its points, commas, dashes and signs; empty where they were not read."""
    struck: bool = False
    """A stroke goes through all of it, or digits of it are scribbled over: what it says counts no more."""


@dataclass(frozen=True, slots=True, eq=False)
class WholeLine:
    """What the reader of lines says of a string.

    Attributes
    ----------
    views : tuple of (T, K) float32
        Along the line: the blank, then `digitscan.recognition.lines.ALPHABET`. The first view shows it as it stands.
    region : Box
        What of the binary page the line was made of.
    """

    views: tuple[Posteriors, ...]
    region: Box

    def log_probabilities(self, texts: Sequence[str], automaton: Automaton | None = None) -> dict[str, float]:
        """Mean log probability, over all views, of some texts and of the likeliest ones of each view.

        With an automaton, the likeliest ones that it accepts come too.
        """
        answers = [digits_alone(view) for view in self.views]
        own = [text for answer in answers for text, _ in _near(likeliest_texts(answer, _RIVALS))]
        if automaton is not None:
            own += [text for answer in answers for text, _ in likeliest_texts(answer, _RIVALS, automaton=automaton)]
        asked = list(dict.fromkeys([*texts, *own]))
        logs = np.mean([log_probabilities(answer, asked) for answer in answers], axis=0)
        return dict(zip(asked, logs.tolist(), strict=True))

    @property
    def struck(self) -> float:
        """How sure it is that digits are struck out, 0 to 1."""
        return float(np.mean([struck_share(view) for view in self.views]))

    @property
    def nothing(self) -> float:
        """How sure it is that there is no digit, 0 to 1."""
        return float(np.mean([np.exp(log_probabilities(digits_alone(view), [""])[0]) for view in self.views]))

    def written(self, text: str) -> str:
        """A text of digits with the signs that stand before, between and after them, and `STRUCK_OUT` where digits
        are."""
        view = self.views[0]
        places = align(digits_alone(view), text)
        starts, stops = [0, *(stop + 1 for _, stop in places)], [*(start for start, _ in places), len(view)]
        signs = [spell_signs(view[start:stop]) for start, stop in zip(starts, stops, strict=True)]
        told = "".join(sign + digit for sign, digit in zip(signs, [*text, ""], strict=True))
        return told if self.struck > 0.5 else told.replace(STRUCK_OUT, "")

    def digits(self, text: str) -> list[ReadDigit]:
        """The digits of a text where the line has them."""
        answers = digits_alone(self.views[0])
        step = self.region.width / max(len(answers), 1)
        found = []
        for character, (start, stop) in zip(text, align(answers, text), strict=True):
            part = answers[start : stop + 1, 1:].max(axis=0)
            order = np.argsort(part)[::-1]
            own = int(character)
            rival = next(int(d) for d in order if int(d) != own)
            left, right = int((start - 1) * step), int((stop + 2) * step)
            box = Box(self.region.x + max(left, 0), self.region.y, max(right - max(left, 0), 1), self.region.height)
            found.append(ReadDigit(box, character, float(part[own]), str(rival), float(part[own] - part[rival])))
        return found


def _near(texts: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(text, log) for text, log in texts if log > texts[0][1] - _FAR_BEHIND]


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
    line: WholeLine | None = None,
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
    whole : bool
        The lattice is ONE number: nothing is left out for being unsure.
    line : WholeLine, optional
        What the reader of whole lines says of the string. Texts are then ranked by both.
    marked : bool
        Beside the digits there are marks, which only the reader of whole lines knows.

    Returns
    -------
    list of ReadString
        None for a word, several where letters part numbers.
    """
    reject_cost = REJECT_COST_NUMBER if whole else REJECT_COST_PAGE
    if line is not None and line.struck > (_STRUCK if whole else _STRUCK_ON_PAGE):
        return _struck_reading(line, whole)
    if line is not None and not whole and line.nothing > _NOTHING:
        return []
    if line is not None:
        rivals = rank_texts(edges, posteriors, pieces, height, reject_cost, line, whole=whole)
        if rivals:
            together = _read_together(rivals, edges, posteriors, line, config, whole)
            return [] if not whole and _no_number(together.digits, together.confidence, config) else [together]
    paths = ScoredLattice(edges, posteriors, pieces, height, reject_cost).best(max(2, config.alternatives + 1))
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
        if not whole and _no_number(digits, confidence, config):
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
                unsure(digits),
                maybe_word=not whole and _like_letters(digits),
                written="" if marked else text,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Rival:
    """A text that one of the readers brought: the evidence of both in log units, and its path where there is one.

    Where there is no line, the lattice's word counts for both.
    """

    text: str
    lattice: float
    line: float
    path: Path | None

    @property
    def evidence(self) -> float:
        """Both together."""
        return _LATTICE_WEIGHT * self.lattice + _LINE_WEIGHT * self.line


def rank_texts(
    edges: Sequence[Edge],
    posteriors: Posteriors,
    pieces: int,
    height: float,
    reject_cost: float,
    line: WholeLine | None,
    *,
    whole: bool = True,
    automaton: Automaton | None = None,
    boxed: bool = False,
) -> list[Rival]:
    """All texts that either reader brings, by the evidence of both, best first; none where it is no number.

    The lattice sees each digit large and by itself; the line sees all of them at once and needs no cuts. What one of
    them overlooks the other one scores low but does not rule out. Parameters as of `read_string`; without a line the
    lattice stands alone. With an automaton, the best texts that it accepts are brought too, however far behind.
    Where each piece stands in a box of its own (`boxed`), no cut can be wrong, and what the lattice rules out counts
    for more.
    """
    lattice = ScoredLattice(edges, posteriors, pieces, height, reject_cost)
    paths = lattice.best(_RIVALS)
    if not whole and (not paths or any(s.digit is None and not edges[s.edge].small for s in paths[0].symbols)):
        return []
    best = paths[0].score if paths else 0.0
    by_text = {p.text: p for p in paths if p.score > best - _FAR_BEHIND}
    if automaton is not None:
        by_text = {p.text: p for p in lattice.best(_RIVALS, automaton)} | by_text
    if line is None:
        rivals = [Rival(text, path.score, path.score, path) for text, path in by_text.items() if text]
        return sorted(rivals, key=lambda rival: (-rival.evidence, rival.text))
    lowest = best - _FAR_BEHIND if boxed else min(_LOWEST, best - _BEHIND)
    rivals = []
    for text, log in line.log_probabilities(list(by_text), automaton).items():
        if text:
            path = by_text.get(text) or lattice.best_for(text)
            score = max(path.score if path is not None else lowest, lowest)
            rivals.append(Rival(text, score, log, path))
    return sorted(rivals, key=lambda rival: (-rival.evidence, rival.text))


def read_behind_stroke(line: WholeLine) -> list[ReadString]:
    """What a stroke through all of it left of a number, by the reader of lines; none where it is hardly one.

    That reader sees the digits through the stroke. Words that are crossed out look to it like ones and zeros, or like
    many things at once.
    """
    text, log = max(line.log_probabilities([]).items(), key=lambda item: item[1])
    if log < _BEHIND_STROKE or len(text) < 2 or not set(text) - set("01"):
        return []
    return [ReadString(line.region, text, tuple(line.digits(text)), 1.0, (), "struck out", struck=True)]


def _struck_reading(line: WholeLine, whole: bool) -> list[ReadString]:
    """A number of which digits are struck out; on a page, a scribble between words is none."""
    text = max(line.log_probabilities([]).items(), key=lambda item: item[1])[0]
    if not (text or whole):
        return []
    written = line.written(text)
    reason = f"digits are struck out: {written}" if text else "struck out"
    digits = tuple(line.digits(text))
    return [ReadString(line.region, text, digits, line.struck, (), reason, written=written, struck=True)]


def _read_together(
    rivals: Sequence[Rival],
    edges: Sequence[Edge],
    posteriors: Posteriors,
    line: WholeLine,
    config: DecodeConfig,
    whole: bool,
) -> ReadString:
    """The best of the texts; its share of the evidence is the confidence."""
    evidence = np.array([rival.evidence for rival in rivals])
    weights = np.exp(evidence - evidence[0])
    weights /= weights.sum()
    best = rivals[0]
    digits = digits_of(best, edges, posteriors, line)
    alternatives = tuple(
        Alternative(rival.text, float(weight))
        for rival, weight in list(zip(rivals, weights, strict=True))[1 : config.alternatives + 1]
        if weight > 1e-4
    )
    return ReadString(
        union(d.box for d in digits),
        best.text,
        tuple(digits),
        float(weights[0]) * (1 - line.struck),
        alternatives,
        unsure(digits),
        maybe_word=not whole and _like_letters(digits),
        written=line.written(best.text),
    )


def digits_of(rival: Rival, edges: Sequence[Edge], posteriors: Posteriors, line: WholeLine | None) -> list[ReadDigit]:
    """The digits of a text with their boxes: from its path, or from the line where the lattice has none."""
    if rival.path is not None:
        return [_digit(edges[s.edge], posteriors[s.edge], s) for s in rival.path.symbols if s.digit is not None]
    return line.digits(rival.text) if line is not None else []


def _no_number(digits: Sequence[ReadDigit], confidence: float, config: DecodeConfig) -> bool:
    """Whether a string on a page is too unlikely a number to be given.

    One most of whose digits are sure is kept, with its low confidence, for a person to see.
    """
    sure = sum(d.confidence > 0.8 for d in digits)
    unlikely = min(d.confidence for d in digits) < 0.5 and sure < 0.5 * len(digits)
    return unlikely and confidence < config.min_confidence


def _like_letters(digits: Sequence[ReadDigit]) -> bool:
    """Whether mostly ones and zeros of unlike height stand together."""
    if len(digits) < 2 or sum(d.digit in "01" for d in digits) < 0.6 * len(digits):
        return False
    heights = [d.box.height for d in digits]
    return min(heights) < 0.82 * max(heights)


def unsure(digits: Sequence[ReadDigit]) -> str:
    """Which digit to look at first, for a reading that is marked for review."""
    place, worst = min(enumerate(digits, 1), key=lambda item: item[1].confidence)
    if worst.confidence >= 0.9:
        return "several ways to part the digits"
    return f"digit {place} unsure: {worst.digit} or {worst.runner_up}"
