"""A page and its strings as the readers take them: crops, lines and lattices without their inks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from digitscan.core.types import Box, Crops, Ink, Layout, PageRef, Posteriors, Transform
from digitscan.decoding.lattice import Edge
from digitscan.recognition.lines import Line, normalize_line
from digitscan.segmentation.cuts import StringLattice, string_slant

_LEANING = 0.15
"""Slant from which a string is also looked at upright."""
_SMALL_VIEW_MARGIN = 0.09
"""Paper around the smaller view of a string: what stands out above or below makes the digits of others that small."""


@dataclass(slots=True, eq=False)
class LineInk:
    """A string as one ink, of which views for the line recognizer are made when they are asked for.

    Few strings of a page are doubtful enough to be asked for.

    Attributes
    ----------
    ink : (H, W) uint8
    parts : sequence of (Box, (h, w) uint8)
        Its marks, from which it is seen how the writing leans; empty where it stands upright.
    """

    ink: Ink
    parts: Sequence[tuple[Box, Ink]] = ()
    _views: tuple[Line, ...] = ()

    def views(self) -> tuple[Line, ...]:
        """The string as it stands, and other views of it, see `line_views`."""
        if not self._views:
            self._views = line_views(self.ink, string_slant(list(self.parts)) if self.parts else 0.0)
        return self._views


@dataclass(frozen=True, slots=True, eq=False)
class PreparedString:
    """One string's lattice without its inks: what decoding needs.

    `whole` is the whole string as the line recognizer takes it, of `region`; None where it is one digit at most.
    `left_over` is a stroke of digit size beside it that is part of no number.
    `struck` is what was crossed out in one go, where the string is part of that.
    """

    edges: tuple[Edge, ...]
    first_crop: int
    pieces: int
    height: float
    box: Box
    cell: tuple[int, int] | None
    region: Box
    whole: LineInk | None
    marked: bool
    struck: Box | None = None
    left_over: Box | None = None

    def rows(self, posteriors: Posteriors) -> Posteriors:
        """The posteriors of this string's candidates among those of its page: (len(edges), 11)."""
        return posteriors[self.first_crop : self.first_crop + len(self.edges)]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPage:
    """A page ready for the classifier.

    Attributes
    ----------
    crops : (N, 28, 28) uint8
        All candidates of all strings, string by string.
    table_found : bool
        A ruled table was found, and its strings have their cells.
    """

    ref: PageRef
    width: int
    height: int
    dpi: float | None
    skew_degrees: float
    to_source: Transform
    contrast: float
    layout: Layout
    strings: tuple[PreparedString, ...]
    crops: Crops
    table_found: bool


def parts_of(lattice: StringLattice) -> list[tuple[Box, Ink]]:
    """The inks of a lattice's pieces, each with its box."""
    return [(piece.box, piece.ink) for piece in lattice.pieces]


def line_views(ink: Ink, slant: float) -> tuple[Line, ...]:
    """A string as it stands, set upright where it leans, and once smaller: what one view hides another may show."""
    upright = slant if abs(slant) >= _LEANING else 0.0
    turned = (normalize_line(ink, upright),) if upright else ()
    return (normalize_line(ink), *turned, normalize_line(ink, upright, _SMALL_VIEW_MARGIN))


def lattice_edges(lattice: StringLattice) -> tuple[Edge, ...]:
    """The candidates of a lattice as the decoder sees them."""
    return tuple(_edge(lattice, candidate.span, candidate.box) for candidate in lattice.candidates)


def _edge(lattice: StringLattice, span: tuple[int, int], box: Box) -> Edge:
    start, stop = span
    pieces = lattice.pieces
    ends = [piece for piece in (pieces[start], *pieces[stop : stop + 1]) if piece.cut_before]
    small = all(piece.small for piece in pieces[start:stop])
    return Edge(start, stop, box, len(ends), small, sum(piece.cut_ink for piece in ends))
