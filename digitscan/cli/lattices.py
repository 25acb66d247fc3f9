"""A picture of how each string was parted: its cuts, its candidates, and, where a network was asked, the best way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.types import NOT_A_DIGIT, Posteriors
from digitscan.decoding.lattice import REJECT_COST_NUMBER, REJECT_COST_PAGE, Path, ScoredLattice, shares
from digitscan.regions.prepared import lattice_edges
from digitscan.segmentation.cuts import StringLattice

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

_HIGH = 72
"""Height of a string's ink in pixels."""
_ROW = 22
"""Height of a row of candidates."""
_PAD = 14
_GREY: Color = (150, 150, 150)
_CUT: Color = (40, 40, 230)
_BEST: Color = (60, 140, 20)
_TEXT: Color = (40, 40, 40)
_MOST = 60
"""Strings in one picture; further ones are left out."""
_WIDEST = 4000


def lattice_sheet(lattices: Sequence[StringLattice], posteriors: Posteriors | None = None, *, number: bool) -> Picture:
    """Strings one below the other, each with its cuts in red and its candidates as bars below the ink they take.

    Parameters
    ----------
    lattices : sequence of StringLattice
        Those with more than one candidate are drawn.
    posteriors : (N, 11) float32, optional
        Of all candidates, string by string: each bar then has its likeliest digit and how sure it is (x for no digit),
        the best path is green, and its rivals stand below.
    number : bool
        Each string is known to be one number.

    Returns
    -------
    (H, W, 3) uint8
        Blue-green-red.
    """
    drawn: list[Picture] = []
    start = 0
    for lattice in lattices:
        stop = start + len(lattice.candidates)
        if stop - start > 1 and len(drawn) < _MOST:
            drawn.append(_draw(lattice, None if posteriors is None else posteriors[start:stop], number=number))
        start = stop
    if not drawn:
        return np.full((_HIGH, _HIGH, 3), 255, np.uint8)
    width = max(picture.shape[1] for picture in drawn)
    return np.vstack([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in drawn])


def _draw(lattice: StringLattice, rows: Posteriors | None, *, number: bool) -> Picture:
    box, ink = lattice.ink
    scale = min(_HIGH / box.height, _WIDEST / box.width)
    width = max(1, round(box.width * scale))
    levels: list[int] = []  # the right end of the last bar in each row of bars
    bars = []
    for index in sorted(range(len(lattice.candidates)), key=lambda k: lattice.candidates[k].span):
        span, own = lattice.candidates[index].span, lattice.candidates[index].box
        left = _PAD + round((own.x - box.x) * scale)
        right = max(_PAD + round((own.right - box.x) * scale), left + (58 if rows is not None else 8))
        first = span[1] - span[0] - 1
        while len(levels) <= first:
            levels.append(-1)
        level = next((k for k in range(first, len(levels)) if levels[k] < left), len(levels))
        if level == len(levels):
            levels.append(-1)
        levels[level] = right + 3
        bars.append((index, left, right, level))
    paths = _best_paths(lattice, rows, number=number)
    chosen = {symbol.edge for symbol in paths[0].symbols} if paths else set()
    high = _HIGH + _ROW * (len(levels) + bool(paths)) + 2 * _PAD
    picture: Any = np.full((high, max([width + 2 * _PAD, 360, *(bar[2] + _PAD for bar in bars)]), 3), 255, np.uint8)
    shown = cv2.resize(255 - ink, (width, max(1, round(box.height * scale))), interpolation=cv2.INTER_AREA)
    picture[_PAD : _PAD + shown.shape[0], _PAD : _PAD + width] = shown[..., None]
    for piece in lattice.pieces:
        if piece.cut_before:
            x = _PAD + round((piece.box.x - box.x) * scale)
            cv2.line(picture, (x, _PAD - 6), (x, _PAD + _HIGH), _CUT, 1)
    for index, left, right, level in bars:
        y = _PAD + _HIGH + 8 + level * _ROW
        color, thick = (_BEST, 3) if index in chosen else (_GREY, 1)
        cv2.line(picture, (left, y), (right, y), color, thick)
        if rows is not None:
            _write(picture, _says(rows[index]), (left, y + 13), color if index in chosen else _TEXT)
    if paths:
        texts = "   ".join(
            f"{path.text or '-'} {share:.0%}" for path, share in zip(paths, shares(paths), strict=True) if share > 0.005
        )
        _write(picture, texts, (_PAD, high - 8), _BEST)
    cv2.line(picture, (0, high - 1), (picture.shape[1], high - 1), (220, 220, 220), 1)
    return np.asarray(picture, np.uint8)


def _best_paths(lattice: StringLattice, rows: Posteriors | None, *, number: bool) -> list[Path]:
    if rows is None:
        return []
    cost = REJECT_COST_NUMBER if number else REJECT_COST_PAGE
    return ScoredLattice(lattice_edges(lattice), rows, len(lattice.pieces), lattice.height, cost).best(4)


def _says(row: NDArray[np.float32]) -> str:
    best = int(row.argmax())
    return f"{'x' if best == NOT_A_DIGIT else best} {row[best]:.2f}"


def _write(picture: Any, text: str, at: tuple[int, int], color: Color) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)
