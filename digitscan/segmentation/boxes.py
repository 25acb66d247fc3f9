"""Digits in boxes of their own: whose ink a mark is, and the digits set side by side as a line.

Marks of a row of boxes ─ digits_of_boxes ─> a digit a box ─ set_as_line ─> the line that the recognizer knows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from digitscan.core.types import Box, Candidate, Ink
from digitscan.segmentation.cuts import Piece, StringLattice, paste_inks


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxParameters:
    """What belongs to a box.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    own: float = 0.75
    """Share of a mark that must lie in one box to be that box's as a whole. [share; tried]"""
    narrow: float = 0.6
    """A narrower mark is one box's wherever it lies. [widths of a box; tried]"""
    shared: float = 0.08
    """Share of a mark in a box from which that part of it is the box's too. [share; tried]"""
    empty: float = 0.30
    """A box with nothing larger is empty. [heights of a box; tried]"""
    speck: float = 0.1
    """What is smaller is no bit of a broken digit. [heights of a box; tried]"""
    gap: float = 0.22
    """Paper between digits that are set as a line. [heights of the digits; tried]"""
    margin: float = 0.12
    """Paper around them. [heights of the digits; as `digitscan.recognition.lines.line_region`]"""


PARAMETERS = BoxParameters()


def digits_of_boxes(
    marks: Sequence[tuple[Box, Ink]], borders: Sequence[int], height: float, parameters: BoxParameters = PARAMETERS
) -> dict[int, tuple[Box, Ink]]:
    """What stands in each box of a row.

    Parameters
    ----------
    marks : sequence of (Box, (h, w) uint8)
        Components with their soft ink alone, 0 is paper.
    borders : sequence of int
        Where the boxes part, from the left side of the first to the right side of the last, in pixels of the page.
    height : float
        Of the boxes, in pixels.

    Returns
    -------
    dict of int to (Box, (h, w) uint8)
        By 0-based place; empty boxes are left out. A stroke through two boxes belongs to both.
    """
    wide = (borders[-1] - borders[0]) / max(len(borders) - 1, 1)
    parts: dict[int, list[tuple[Box, Ink]]] = {}
    for at, ink in marks:
        columns = (ink > 0).sum(axis=0).astype(np.float64)
        shares = np.array([columns[max(a - at.x, 0) : max(b - at.x, 0)].sum() for a, b in pairwise(borders)])
        if not shares.sum():
            continue
        best = int(shares.argmax())
        if shares[best] >= parameters.own * columns.sum() or at.width - 2 <= parameters.narrow * wide:
            parts.setdefault(best, []).append((at, ink))
            continue
        for k in np.flatnonzero(shares > parameters.shared * shares.sum()).tolist():
            left, right = max(borders[k] - at.x, 0), min(borders[k + 1] - at.x, at.width)
            piece = np.ascontiguousarray(ink[:, left:right])
            if piece.any():
                x, y, w, h = cv2.boundingRect((piece > 0).view(np.uint8))
                parts.setdefault(k, []).append((Box(at.x + left + x, at.y + y, w, h), piece[y : y + h, x : x + w]))
    digits = {}
    for k in sorted(parts):
        if any(max(box.width, box.height) > parameters.empty * height for box, _ in parts[k]):
            # Bits of a broken digit are its own; specks are not.
            bits = [p for p in parts[k] if max(p[0].width, p[0].height) > parameters.speck * height]
            digits[k] = paste_inks(bits)
    return digits


def set_as_line(digits: Sequence[tuple[Box, Ink]], height: float, parameters: BoxParameters = PARAMETERS) -> Ink:
    """Digits of boxes side by side, as the line recognizer knows them; each keeps its height above the base line.

    Parameters
    ----------
    digits : sequence of (Box, (h, w) uint8)
        Left to right.
    height : float
        Typical height of the digits in pixels.
    """
    gap, margin = round(parameters.gap * height), max(2, round(parameters.margin * height))
    top = min(box.y for box, _ in digits)
    bottom = max(box.bottom for box, _ in digits)
    width = sum(box.width for box, _ in digits) + gap * (len(digits) - 1)
    canvas = np.zeros((bottom - top + 2 * margin, width + 2 * margin), np.uint8)
    x = margin
    for box, ink in digits:
        y = box.y - top + margin
        canvas[y : y + box.height, x : x + box.width] = ink
        x += box.width + gap
    return canvas


def boxed_lattice(lattice: StringLattice, borders: Sequence[int], height: float) -> StringLattice:
    """A string that stands in a row of boxes: one hypothesis a box, and no cut can be wrong.

    Parameters
    ----------
    lattice : StringLattice
        As its marks make it.
    borders : sequence of int
        Where the boxes part, see `digits_of_boxes`.
    height : float
        Of the boxes, in pixels.
    """
    digits = list(digits_of_boxes([(piece.box, piece.ink) for piece in lattice.pieces], borders, height).values())
    digits = [(box, ink) for box, ink in digits if int(ink.max(initial=0)) > 0]
    if not digits:
        return lattice
    number = lattice.candidates[0].string_index if lattice.candidates else 0
    return replace(
        lattice,
        height=float(np.median([box.height for box, _ in digits])),
        pieces=[Piece(box, ink, cut_before=False, small=False) for box, ink in digits],
        candidates=[Candidate(box, ink, number, (k, k + 1)) for k, (box, ink) in enumerate(digits)],
        boxed=True,
        marked=False,
    )
