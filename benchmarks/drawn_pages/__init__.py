"""Pages drawn at random with their whole truth: what is right, silently wrong and made up on them can be counted.

Page number N of a kind is the same page on every machine that has the same digits and fonts.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from .boxes import amount, bare_ones, box_rows, box_rows_and_table, dates, flowing_amount
from .graded import bubbles, graded
from .puzzles import puzzle
from .registers import register
from .scenes import desk, turned
from .statements import statement
from .tables import marksheet, printed
from .text import form, ghost, words_only
from .truth import DrawnPage, Rng

KINDS: dict[str, Callable[[int, Rng], DrawnPage]] = {
    "marksheets": marksheet,
    "printed": printed,
    "registers": register,
    "boxes": box_rows,
    "amounts": amount,
    "forms": form,
    "text": words_only,
    "ghosts": ghost,
    "puzzles": puzzle,
    "statements": statement,
    "graded": graded,
    "dates": dates,
    "mixed": box_rows_and_table,
    "flowing": flowing_amount,
    "bubbles": bubbles,
    "turned": turned,
    "desk": desk,
}
"""What draws a page of each kind, from its number and a generator of random numbers."""
DEALT = tuple(KINDS)
"""The kinds that a benchmark of pages has unless it is told others."""
KINDS["bare-ones"] = bare_ones


def draw_page(kind: str, seed: int) -> DrawnPage:
    """Page number `seed` of a kind; the same one whenever it is asked for."""
    return KINDS[kind](seed, np.random.default_rng((zlib.crc32(kind.encode()), seed)))
