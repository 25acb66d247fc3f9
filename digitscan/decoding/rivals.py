"""Texts that two readers bring, and what both together make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digitscan.core.types import STRUCK_OUT, Box, Posteriors
from digitscan.decoding.automata import Automaton
from digitscan.decoding.ctc import align, digits_alone, likeliest_texts, log_probabilities, spell_signs, struck_share
from digitscan.decoding.lattice import Edge, Path, ScoredLattice
from digitscan.decoding.readings import ReadDigit, digit_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalParameters:
    """How the evidence of two readers is joined.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    brought: int = 8
    """Texts that each of them may bring. [bare; cost alone]"""
    lattice_weight: float = 0.3
    """What a log unit of the lattice's evidence counts: both readers overrate themselves, and they err together now
    and then. [ratio; benchmarks/fit_evidence.py]"""
    line_weight: float = 0.8
    """The same of the line's evidence. [ratio; benchmarks/fit_evidence.py]"""
    far_behind: float = 14.0
    """How far behind its own reader's best a text is no rival. [log units; tried]"""
    lowest: float = -8.0
    """What a text has from the lattice at the least. Where digits touch, the lattice may have no path that spells
    what stands there, or one over a bad cut: that it likes another text better says little then. [log units;
    decision 7]"""
    behind: float = 3.0
    """How far a text may stand behind the lattice's best, where that is hardly likely itself. [log units; decision
    7]"""


_P = RivalParameters()


@dataclass(frozen=True, slots=True, eq=False)
class LinePosteriors:
    """What the line recognizer says of a string.

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
        own = [text for answer in answers for text, _ in _near(likeliest_texts(answer, _P.brought))]
        if automaton is not None:
            own += [text for answer in answers for text, _ in likeliest_texts(answer, _P.brought, automaton=automaton)]
        asked = list(dict.fromkeys([*texts, *own]))
        logs = np.mean([log_probabilities(answer, asked) for answer in answers], axis=0)
        return dict(zip(asked, logs.tolist(), strict=True))

    def likeliest(self) -> str:
        """The likeliest text of digits, over all views; empty where there is most likely none."""
        return max(self.log_probabilities([""]).items(), key=lambda item: item[1])[0]

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
        spelled = "".join(sign + digit for sign, digit in zip(signs, [*text, ""], strict=True))
        return spelled if self.struck > 0.5 else spelled.replace(STRUCK_OUT, "")

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
            found.append(
                ReadDigit(
                    box,
                    character,
                    confidence=float(part[own]),
                    runner_up=str(rival),
                    margin=float(part[own] - part[rival]),
                )
            )
        return found


def _near(texts: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(text, log) for text, log in texts if log > texts[0][1] - _P.far_behind]


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
        return _P.lattice_weight * self.lattice + _P.line_weight * self.line


def rank_texts(
    edges: Sequence[Edge],
    posteriors: Posteriors,
    pieces: int,
    height: float,
    reject_cost: float,
    line: LinePosteriors | None,
    *,
    one_number: bool = True,
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
    paths = lattice.best(_P.brought)
    if not one_number and (not paths or any(s.digit is None and not edges[s.edge].small for s in paths[0].symbols)):
        return []
    best = paths[0].score if paths else 0.0
    by_text = {p.text: p for p in paths if p.score > best - _P.far_behind}
    if automaton is not None:
        by_text = {p.text: p for p in lattice.best(_P.brought, automaton)} | by_text
    if line is None:
        rivals = [Rival(text, path.score, path.score, path) for text, path in by_text.items() if text]
        return sorted(rivals, key=lambda rival: (-rival.evidence, rival.text))
    lowest = best - _P.far_behind if boxed else min(_P.lowest, best - _P.behind)
    rivals = []
    for text, log in line.log_probabilities(list(by_text), automaton).items():
        if text:
            path = by_text.get(text) or lattice.best_for(text)
            score = max(path.score if path is not None else lowest, lowest)
            rivals.append(Rival(text, score, log, path))
    return sorted(rivals, key=lambda rival: (-rival.evidence, rival.text))


def digits_of(
    rival: Rival, edges: Sequence[Edge], posteriors: Posteriors, line: LinePosteriors | None
) -> list[ReadDigit]:
    """The digits of a text with their boxes: from its path, or from the line where the lattice has none."""
    if rival.path is not None:
        return [digit_of(edges[s.edge], posteriors[s.edge], s) for s in rival.path.symbols if s.digit is not None]
    return line.digits(rival.text) if line is not None else []
