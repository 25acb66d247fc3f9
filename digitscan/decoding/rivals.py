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

_RIVALS = 8
"""Texts that each of the two readers may bring."""
_LATTICE_WEIGHT = 0.3
_LINE_WEIGHT = 0.8
"""What a log unit of either reader's evidence counts: both overrate themselves, and they err together now and then."""
_FAR_BEHIND = 14.0
"""Log units behind its own reader's best text at which a text is no rival."""
_LOWEST = -8.0
"""Log units that a text has from the lattice at the least. Where digits touch, the lattice may have no path that spells
what stands there, or one over a bad cut: that it likes another text better says little then."""
_BEHIND = 3.0
"""Log units by which a text may stand behind the lattice's best, where that is hardly likely itself."""


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


def digits_of(rival: Rival, edges: Sequence[Edge], posteriors: Posteriors, line: WholeLine | None) -> list[ReadDigit]:
    """The digits of a text with their boxes: from its path, or from the line where the lattice has none."""
    if rival.path is not None:
        return [digit_of(edges[s.edge], posteriors[s.edge], s) for s in rival.path.symbols if s.digit is not None]
    return line.digits(rival.text) if line is not None else []
