"""One field of a form: its readings under its rules, and what is said when a rule and the ink disagree.

Nothing is repaired in silence. A writer breaks a form's rule now and then, and so a text that breaks one stays
possible: it counts `BREAKS` times what it would count otherwise. Where it still is the likeliest, the field is
``invalid``, for a person to see; where another one wins, the reading names the rule that decided, keeps the raw
reading, and says by how much the ink was for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitscan.core.config import DecodeConfig
from digitscan.core.types import NOT_A_DIGIT, Alternative, Box, Posteriors
from digitscan.decoding.automata import allows
from digitscan.decoding.joint import BREAKS, Guess
from digitscan.decoding.lattice import REJECT_COST_NUMBER, REJECT_COST_PAGE, Edge, ScoredLattice
from digitscan.decoding.readings import ReadDigit
from digitscan.decoding.rivals import LinePosteriors, Rival, digits_of, rank_texts
from digitscan.decoding.strings import unsure
from digitscan.forms.constraints import Constraint


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldParameters:
    """Which readings of a field are kept.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    kept: int = 12
    """Texts of a field that the rules across fields may choose from. [bare; cost alone]"""
    possible: float = 1e-6
    """Less likely texts are none of them. [probability; tried]"""
    negligible: float = 1e-4
    """Less likely alternatives are not told. [probability; tried]"""
    strangers: float = 0.6
    """Share of segments that are no digits from which a field holds a word or a scribble. [share; tried]"""


_P = FieldParameters()


@dataclass(frozen=True, slots=True)
class FieldText:
    """What stands in a field.

    Attributes
    ----------
    guesses : tuple of Guess
        Most probable first, the first one is the reading.
    raw : str
        What the ink alone says.
    overridden : float
        Log units by which the ink was for `raw` rather than for the reading; 0 where both are the same.
    decided_by : tuple of str
        Rules that `raw` breaks, where another text was taken.
    digits : tuple of ReadDigit
        Of the reading.
    written : str
        The raw reading with its points and signs.
    struck : float
        How sure it is that digits of it are struck out, 0 to 1.
    unreadable : int
        Which box, of those that are filled, holds no digit by itself, 1-based; 0 where all do.
    marks : tuple of Box or None
        What else stands among the digits and is much smaller, such as a point; None where the digits' own boxes are
        guesses.
    """

    guesses: tuple[Guess, ...]
    raw: str
    overridden: float
    decided_by: tuple[str, ...]
    digits: tuple[ReadDigit, ...]
    written: str
    struck: float = 0.0
    unreadable: int = 0
    marks: tuple[Box, ...] | None = None

    @property
    def best(self) -> Guess:
        """The reading."""
        return self.guesses[0]

    def alternatives(self, count: int) -> tuple[Alternative, ...]:
        """Rivals of the reading."""
        rest = [g for g in self.guesses[1:] if g.probability > _P.negligible]
        return tuple(Alternative(g.text, g.probability) for g in rest[:count])


def read_field(
    edges: Sequence[Edge],
    posteriors: Posteriors,
    pieces: int,
    height: float,
    line: LinePosteriors | None,
    constraint: Constraint | None,
    *,
    boxed: bool = False,
) -> FieldText | None:
    """Read a lattice that is ONE field.

    Parameters
    ----------
    edges : sequence of Edge
    posteriors : (len(edges), 11) float32
    pieces : int
    height : float
        Typical height of its digits in pixels.
    line : LinePosteriors, optional
        What the line recognizer says of it.
    constraint : Constraint, optional
        The field's rules.
    boxed : bool
        Each piece stands in a box of its own: it is one digit, or none.

    Returns
    -------
    FieldText or None
        None where nothing in it could be a digit.
    """
    automaton = constraint.whole if constraint is not None else None
    rivals = rank_texts(edges, posteriors, pieces, height, REJECT_COST_NUMBER, line, automaton=automaton, boxed=boxed)
    if boxed:
        sure = int((posteriors[:, NOT_A_DIGIT] < 0.5).sum())
        rivals = [r for r in rivals if sure <= len(r.text) <= pieces] or rivals
    if not rivals:
        return None
    allowed = np.array([automaton is None or allows(automaton, rival.text) for rival in rivals])
    weights = _shares(rivals, allowed)
    order = [int(place) for place in np.argsort(-weights, kind="stable")]
    raw, best = rivals[0], rivals[order[0]]
    digits = digits_of(best, edges, posteriors, line)
    if line is None and digits and allowed[order[0]] and best is raw:
        # Alone, the lattice knows how sure each digit is; its paths say only how sure the parting is.
        weights = weights * float(np.prod([d.confidence for d in digits]))
    struck = line.struck if line is not None else 0.0
    # In a box stands one digit, and the line may not vouch for what is none.
    strangers = posteriors[:, NOT_A_DIGIT] if boxed and len(posteriors) > 1 else np.zeros(1)
    worst = int(strangers.argmax())
    weights = weights * (1 - struck) * (1 - float(strangers[worst]))
    overridden = best is not raw
    return FieldText(
        guesses=_guesses(rivals, weights, allowed, order, constraint),
        raw=raw.text,
        overridden=float(raw.evidence - best.evidence) if overridden else 0.0,
        decided_by=tuple(constraint.broken(raw.text)) if overridden and constraint is not None else (),
        digits=tuple(digits),
        written=line.written(raw.text) if line is not None else raw.text,
        struck=struck,
        unreadable=worst + 1 if strangers[worst] > 0.5 else 0,
        marks=tuple(edges[s.edge].box for s in best.path.symbols if s.digit is None and edges[s.edge].small)
        if best.path is not None
        else None,
    )


def _shares(rivals: Sequence[Rival], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each text's share of the evidence; one that breaks a rule counts `BREAKS` times."""
    evidence = np.array([rival.evidence for rival in rivals])
    weights = np.exp(evidence - evidence.max()) * np.where(allowed, 1.0, BREAKS)
    return np.asarray(weights / weights.sum(), np.float64)


def _guesses(
    rivals: Sequence[Rival],
    weights: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    order: Sequence[int],
    constraint: Constraint | None,
) -> tuple[Guess, ...]:
    """The likely texts of a field in their order, each with the rules that it breaks."""
    return tuple(
        Guess(
            rivals[k].text,
            float(weights[k]),
            () if allowed[k] or constraint is None else tuple(constraint.broken(rivals[k].text)),
        )
        for k in order[: _P.kept]
        if weights[k] > _P.possible
    )


def no_digits(edges: Sequence[Edge], posteriors: Posteriors, pieces: int, height: float) -> bool:
    """Whether what stands in a field is mostly no digit: a signature, a word, a scribble.

    Parameters as of `read_field`.
    """
    paths = ScoredLattice(edges, posteriors, pieces, height, REJECT_COST_PAGE).best(1)
    if not paths:
        return True
    large = [s for s in paths[0].symbols if not edges[s.edge].small]
    strangers = sum(s.digit is None for s in large)
    return strangers > _P.strangers * len(large) if large else not paths[0].text


def reason_of(text: FieldText, config: DecodeConfig) -> tuple[bool, str]:
    """Whether a person should look at a field, and why; a rule that decided is always named."""
    best = text.best
    if best.breaks:
        return True, f"breaks {' and '.join(best.breaks)}"
    if text.decided_by:
        why = f"{' and '.join(text.decided_by)} decided: the ink says {text.raw} (by {text.overridden:.1f})"
        return best.probability < config.review_below, why
    review = best.probability < config.review_below
    if text.unreadable:
        return review, f"digit {text.unreadable} cannot be made out"
    return review, unsure(text.digits) if review and text.digits else ""
