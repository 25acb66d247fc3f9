"""What both readers say of a string: shared by the scripts that weigh their evidence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitscan import Reader
from digitscan.core.types import PageRef, RasterPage
from digitscan.decoding.lattice import REJECT_COST_NUMBER
from digitscan.decoding.rivals import LinePosteriors, rank_texts
from digitscan.pipeline.prepare import prepare_page
from digitscan.training.drawing import GlyphBank
from digitscan.training.lines import draw_sheet
from digitscan.training.recipes import TrainingConfig
from digitscan.training.stream import training_sources


class Evidence(NamedTuple):
    """Of one string: its rival texts, what the lattice and the line say of each, and which is true (-1: none)."""

    texts: list[str]
    lattice: NDArray[np.float64]
    line: NDArray[np.float64]
    true: int

    def shares(self, lattice: float, line: float) -> NDArray[np.float64]:
        """Probability of each text under weights for both readers."""
        evidence = lattice * self.lattice + line * self.line
        powers = np.exp(evidence - evidence.max())
        return powers / powers.sum()


def drawn_numbers(data: Path | None, seed: int) -> Iterator[tuple[RasterPage, str]]:
    """Numbers that no network learned from, as images of one string each, with their digits; without end."""
    bank = GlyphBank.of(training_sources(TrainingConfig(), data))
    rng = np.random.default_rng(seed)
    while True:
        image, text, _ = draw_sheet(bank, rng, numbers_only=True)
        yield RasterPage(PageRef("drawn"), image), "".join(c for c in text if c.isdigit())


def gather(reader: Reader, page: RasterPage, text: str) -> Evidence | None:
    """Read an image that is one string by both; None where the reader would not ask the second one.

    Parameters
    ----------
    reader : Reader
        Of layout ``line``.
    page : RasterPage
    text : str
        Its true digits.
    """
    prepared = prepare_page(page, reader.config)
    if not prepared.strings or prepared.strings[0].whole is None or reader.line_recognizer is None:
        return None
    string = prepared.strings[0]
    views = prepared.strings[0].whole.views()
    ranked = rank_texts(
        string.edges,
        reader.classifier.classify(prepared.crops),
        string.pieces,
        string.height,
        REJECT_COST_NUMBER,
        LinePosteriors(tuple(reader.line_recognizer.read(views)), string.region),
    )
    if not ranked:
        return None
    texts = [rival.text for rival in ranked]
    lattice, line = (np.array([getattr(rival, name) for rival in ranked]) for name in ("lattice", "line"))
    return Evidence(texts, lattice, line, texts.index(text) if text in texts else -1)


def surprise(strings: list[Evidence], lattice: float, line: float) -> float:
    """Mean negative log probability of the true texts, of the strings that have theirs among the rivals."""
    return float(np.mean([-np.log(max(s.shares(lattice, line)[s.true], 1e-12)) for s in strings if s.true >= 0]))


def best_weights(strings: list[Evidence]) -> tuple[float, float]:
    """Weights for the lattice and the line under which the true texts are likeliest: a search to a twentieth."""
    grid = [(a, b) for a in np.arange(0.0, 0.81, 0.05) for b in np.arange(0.0, 1.01, 0.05)]
    return min(grid, key=lambda weights: surprise(strings, *weights))
