"""One page from pixels to crops: pure functions that join imaging, segmentation and normalization.

RasterPage ─ prepare_page ─> PreparedPage (crops) ─ classifier ─> posteriors; then `digitscan.finishing`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from digitscan.core.config import Config
from digitscan.core.types import (
    BinaryPage,
    Box,
    Crops,
    GrayImage,
    Ink,
    Layout,
    PageRef,
    Posteriors,
    RasterPage,
    Transform,
)
from digitscan.forms.decode import Edge
from digitscan.imaging.binarize import InkLevels, binarize, digit_window, soft_ink, string_window
from digitscan.imaging.deskew import NEGLIGIBLE_DEGREES, estimate_skew, turn_ink
from digitscan.imaging.frame import without_frame
from digitscan.imaging.geometry import blank_ground, flatten_photo, is_light_on_dark, quarter_turn
from digitscan.imaging.rules import Rules, find_rules, line_mask, remove_rules
from digitscan.layout import Observer, find_lattices, unobserved
from digitscan.recognition.lines import LINE_HEIGHT, MAX_LINE_WIDTH, Line, line_region, normalize_line
from digitscan.recognition.normalize import normalize_all
from digitscan.segmentation.cuts import StringLattice, string_slant
from digitscan.segmentation.struck import covers, find_struck

_LEANING = 0.15
"""Slant from which a string is also looked at upright."""
_AIR = 0.09
"""Paper around the smaller view of a string: what stands out above or below makes the digits of others that small."""
_LARGE_PAGE = 2000
"""Shorter side in pixels from which a page may be halved: A4 at 250 dpi and more, photographs of 12 megapixels."""
_LARGE_WRITING = (10.0, 13.0)
"""Heights of strings, in pixels of the halved page, from which it is read so: a fifth of them may be lower than the
first, half of them lower than the second. Capitals of 9 points at 300 dpi have 13, their small letters 10."""
_HALVING: Transform = np.array([[0.5, 0.0, -0.25], [0.0, 0.5, -0.25], [0.0, 0.0, 1.0]])
"""From pixels of a page to those of its half, whose centres lie between theirs."""


@dataclass(slots=True, eq=False)
class LineInk:
    """A string as one ink, of which views for the reader of lines are made when they are asked for.

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

    `whole` is the whole string as the reader of lines takes it, of `region`; None where it is one digit at most.
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


def find_ink(
    page: RasterPage, config: Config, turn: int, look: Observer, *, halved: bool = False
) -> tuple[BinaryPage, InkLevels, Rules]:
    """Everything before segmentation: polarity, quarter turn, perspective, ink, skew, rules.

    A page that is `halved` has a quarter of the pixels; the way back to the source makes up for it.
    """
    imaging = config.imaging
    single = config.layout in (Layout.LINE, Layout.DIGIT)
    image: GrayImage = page.image
    if halved:
        image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        look("halved", image)
    light = imaging.polarity == "light-on-dark" or (imaging.polarity == "auto" and is_light_on_dark(image))
    if light:
        image = np.asarray(cv2.bitwise_not(image), np.uint8)
    image, to_page = quarter_turn(image, turn)
    if halved:
        to_page = to_page @ _HALVING
    look("turned", image)
    if imaging.rectify and not single:
        sheet = blank_ground(image)
        if sheet is not image:
            look("sheet", sheet)
        image = sheet
    if imaging.rectify and not single and (flat := flatten_photo(image)) is not None:
        image, warp = flat
        to_page = warp @ to_page
        look("rectified", image)
    window = _window(image, config.layout)
    ink = soft_ink(image, window)
    look("soft ink", ink)
    mask, levels = binarize(ink, imaging.binarization, window, faint_strokes=not single)
    look("binarized", mask)
    skew = 0.0
    if imaging.deskew and not single:
        skew = estimate_skew(mask)
        if abs(skew) >= NEGLIGIBLE_DEGREES:
            ink, straighten = turn_ink(ink, skew)
            to_page = straighten @ to_page
            mask, levels = binarize(ink, imaging.binarization, window, faint_strokes=not single)
            look("deskewed", mask)
        else:
            skew = 0.0
    rules = Rules()
    if imaging.remove_rules and config.layout is not Layout.DIGIT:
        line = config.layout is Layout.LINE
        rules, pixels = find_rules(mask if line else line_mask(ink, levels), line=line)
        look("rules", pixels)
        mask = remove_rules(mask, pixels, rules.thickness_px)
        look("without rules", mask)
    elif imaging.remove_rules:
        mask = without_frame(mask)
        look("without frame", mask)
    return BinaryPage(page.ref, ink, mask, skew, np.asarray(np.linalg.inv(to_page), np.float64)), levels, rules


def _window(image: GrayImage, layout: Layout) -> int | None:
    """Neighbourhood for binarization; None for a page, whose size chooses it."""
    if layout is Layout.DIGIT:
        return digit_window(image.shape)
    if layout is Layout.LINE:
        return string_window(image.shape)
    return None


def prepare_page(
    page: RasterPage, config: Config, *, turn: int | None = None, look: Observer = unobserved
) -> PreparedPage:
    """Turn a raster page into crops for the classifier.

    Parameters
    ----------
    page : RasterPage
    config : Config
    turn : int, optional
        Quarter turns to make first, in degrees clockwise; the configuration's when not given.
    look : callable, optional
        Called with each stage's name and product.
    """
    if turn is None:
        turn = 0 if config.imaging.orientation == "auto" else int(config.imaging.orientation)
    halved = config.imaging.reduce and _is_large(page.image, config.layout)
    binary, levels, rules = find_ink(page, config, turn, look, halved=halved)
    lattices, table_found = find_lattices(binary, rules, config.layout, look)
    if halved and not _written_large(lattices):
        binary, levels, rules = find_ink(page, config, turn, look)
        lattices, table_found = find_lattices(binary, rules, config.layout, look)
    # The stroke may have been taken for a rule: it is looked for in all ink.
    crossed = config.layout is not Layout.DIGIT and lattices
    struck = find_struck(levels.dark_strokes(binary.ink)) if crossed else []
    inks: list[Ink] = []
    strings = []
    for lattice in lattices:
        edges = lattice_edges(lattice)
        cell = (lattice.row, lattice.column) if lattice.row is not None and lattice.column is not None else None
        region = line_region(_line_box(lattice.box, config.layout, binary.ink.shape), binary.ink.shape)
        several = _may_be_several(lattice, config.layout) and _fits_a_line(region)
        whole = (
            LineInk(_ink_of_line(binary.ink, region, lattice, config.layout), parts_of(lattice)) if several else None
        )
        strings.append(
            PreparedString(
                edges=edges,
                first_crop=len(inks),
                pieces=len(lattice.pieces),
                height=lattice.height,
                box=lattice.box,
                cell=cell,
                region=region,
                whole=whole,
                marked=lattice.marked,
                struck=next((box for box in struck if covers(box, lattice.box)), None),
            )
        )
        inks.extend(candidate.ink for candidate in lattice.candidates)
    crops = normalize_all(inks)
    look("crops", crops)
    if look is not unobserved:  # views are made when they are asked for; whoever looks on asks
        look("lines", tuple(view for string in strings if string.whole is not None for view in string.whole.views()))
    height, width = page.image.shape
    return PreparedPage(
        ref=page.ref,
        width=width,
        height=height,
        dpi=page.dpi,
        skew_degrees=binary.skew_degrees,
        to_source=binary.to_source,
        contrast=levels.contrast,
        layout=config.layout,
        strings=tuple(strings),
        crops=crops,
        table_found=table_found,
    )


def _is_large(image: GrayImage, layout: Layout) -> bool:
    return layout not in (Layout.LINE, Layout.DIGIT) and min(image.shape) >= _LARGE_PAGE


def _written_large(lattices: Sequence[StringLattice]) -> bool:
    """Whether the strings of a page, words included, are high enough to be read as they are."""
    if not lattices:
        return False
    heights = np.percentile([lattice.height for lattice in lattices], (20, 50))
    return bool((heights >= _LARGE_WRITING).all())


def _line_box(box: Box, layout: Layout, shape: tuple[int, ...]) -> Box:
    """In an image that is one string, faint strokes beside the marks that were found belong to it too."""
    return Box(0, box.y, shape[1], box.height) if layout is Layout.LINE else box


def _ink_of_line(ink: Ink, region: Box, lattice: StringLattice, layout: Layout) -> Ink:
    """What the reader of lines sees: on a page the string's own marks, so that the sides of boxes are no ones."""
    if layout is Layout.LINE:
        return ink[region.y : region.bottom, region.x : region.right]
    box, own = lattice.ink
    canvas = np.zeros((region.height, region.width), np.uint8)
    top, left = max(box.y, region.y), max(box.x, region.x)
    bottom, right = min(box.bottom, region.bottom), min(box.right, region.right)
    if bottom > top and right > left:
        part = own[top - box.y : bottom - box.y, left - box.x : right - box.x]
        canvas[top - region.y : bottom - region.y, left - region.x : right - region.x] = part
    return canvas


def parts_of(lattice: StringLattice) -> list[tuple[Box, Ink]]:
    """The inks of a lattice's pieces, each with its box."""
    return [(piece.box, piece.ink) for piece in lattice.pieces]


def line_views(ink: Ink, slant: float) -> tuple[Line, ...]:
    """A string as it stands, set upright where it leans, and once smaller: what one view hides another may show."""
    upright = slant if abs(slant) >= _LEANING else 0.0
    turned = (normalize_line(ink, upright),) if upright else ()
    return (normalize_line(ink), *turned, normalize_line(ink, upright, _AIR))


def _may_be_several(lattice: StringLattice, layout: Layout) -> bool:
    return layout is Layout.LINE or (layout is not Layout.DIGIT and sum(not p.small for p in lattice.pieces) > 1)


def _fits_a_line(region: Box) -> bool:
    """Longer strings would have to be squeezed, and squeezed digits are no digits that the network knows."""
    return region.width * LINE_HEIGHT <= MAX_LINE_WIDTH * region.height


def lattice_edges(lattice: StringLattice) -> tuple[Edge, ...]:
    """The candidates of a lattice as the decoder sees them."""
    return tuple(_edge(lattice, candidate.span, candidate.box) for candidate in lattice.candidates)


def _edge(lattice: StringLattice, span: tuple[int, int], box: Box) -> Edge:
    start, stop = span
    pieces = lattice.pieces
    ends = [piece for piece in (pieces[start], *pieces[stop : stop + 1]) if piece.cut_before]
    small = all(piece.small for piece in pieces[start:stop])
    return Edge(start, stop, box, len(ends), small, sum(piece.cut_ink for piece in ends))
