"""What is read of a string: its digits, and the number that they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digitscan.core.types import NOT_A_DIGIT, Alternative, Box
from digitscan.decoding.lattice import Edge, Symbol


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
    doubt: str = ""
    """Why a person should look, however likely the text is: both readers differ, or a stroke was not read."""
    struck: bool = False
    """A stroke goes through all of it, or digits of it are scribbled over: what it says counts no more."""


def digit_of(edge: Edge, row: np.ndarray, symbol: Symbol) -> ReadDigit:
    """The digit of an edge on a path, by its (11,) posteriors."""
    order = np.argsort(row[:NOT_A_DIGIT])[::-1]
    best = symbol.digit if symbol.digit is not None else int(order[0])
    rival = next(int(d) for d in order if int(d) != best)
    return ReadDigit(
        edge.box, str(best), confidence=float(row[best]), runner_up=str(rival), margin=float(row[best] - row[rival])
    )
