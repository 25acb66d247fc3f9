"""Whole strings to a network: ONE normalization of a line of digits, and what its network answers."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import SIGNS, STRUCK_OUT, Box, Ink

LINE_NORMALIZATION_VERSION = 1
"""Raised whenever `normalize_line` changes its output; a model made for another version is refused."""
LINE_HEIGHT = 32
"""Rows of a normalized line."""
MAX_LINE_WIDTH = 640
"""Columns of the longest line; longer ones are squeezed."""
COLUMN_STEP = 4
"""Columns of a line for each answer of the network."""
ALPHABET = "0123456789" + SIGNS + STRUCK_OUT
"""What a line is made of, in the order of the network's outputs after the first, which is CTC's blank."""
LINE_CLASS_COUNT = len(ALPHABET) + 1
"""Answers of the network at each place of a line."""

Line = NDArray[np.uint8]


def line_region(box: Box, shape: tuple[int, ...]) -> Box:
    """What of a page is taken for the line of a string: its box, and a little paper around it."""
    margin = max(2, round(0.12 * box.height))
    top, left = max(box.y - margin, 0), max(box.x - margin, 0)
    return Box(left, top, min(box.right + margin, shape[1]) - left, min(box.bottom + margin, shape[0]) - top)


def normalize_line(ink: Ink, slant: float = 0.0, air: float = 0.0) -> Line:
    """Scale a string to a fixed height, aspect kept, its ink stretched to full range.

    Parameters
    ----------
    ink : (H, W) uint8
        Soft ink of the string's `line_region`, 0 is paper.
    slant : float
        Horizontal shift per pixel of height, positive leaning right, that is taken out of the writing.
    air : float
        Paper to add above and below, as a share of the height: the writing becomes smaller.

    Returns
    -------
    (LINE_HEIGHT, w) uint8
        0 is paper, 255 is full ink; w is a multiple of `COLUMN_STEP`.
    """
    part = np.ascontiguousarray(ink)
    if slant:
        height, width = part.shape
        wider = abs(slant) * height
        left = 0.0 if slant > 0 else wider
        upright = np.array([[1.0, slant, left], [0.0, 1.0, 0.0]])
        part = cv2.warpAffine(part, upright, (width + int(np.ceil(wider)), height))
    level, _ = cv2.threshold(part, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    strokes = (part > level).view(np.uint8)
    dark = cv2.mean(part, strokes)[0]
    stretched = cv2.convertScaleAbs(part, alpha=255.0 / max(dark, 1.0))
    if air:
        rows = round(air * stretched.shape[0])
        stretched = cv2.copyMakeBorder(stretched, rows, rows, 0, 0, cv2.BORDER_CONSTANT, value=0)
    scale = LINE_HEIGHT / stretched.shape[0]
    columns = int(np.clip(stretched.shape[1] * scale, 2 * COLUMN_STEP, MAX_LINE_WIDTH))
    width = -(-columns // COLUMN_STEP) * COLUMN_STEP
    interpolation = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(stretched, (width, LINE_HEIGHT), interpolation=interpolation), np.uint8)


PAPER_AFTER = 48
"""Columns of paper after the longest line: further than the network sees, so that no line's answers depend on the
others of its batch."""


def pad_lines(lines: Sequence[Line], step: int = 64, after: int = PAPER_AFTER) -> NDArray[np.uint8]:
    """Lines of unlike width as one array: (N, LINE_HEIGHT, W), `after` or more columns of paper at the right.

    W is a multiple of `step`.
    """
    width = -(-(max((line.shape[1] for line in lines), default=0) + after) // step) * step
    out = np.zeros((len(lines), LINE_HEIGHT, width), np.uint8)
    for row, line in zip(out, lines, strict=True):
        row[:, : line.shape[1]] = line
    return out


def encode(text: str) -> list[int]:
    """Outputs of the network that spell a text."""
    return [ALPHABET.index(character) + 1 for character in text]


def spell(answers: NDArray[np.int64]) -> str:
    """Text of the best answer at each column: repeats and blanks left out (Graves et al. 2006, section 3.1)."""
    changed = np.append(True, answers[1:] != answers[:-1])
    return "".join(ALPHABET[k - 1] for k in answers[changed & (answers > 0)])
