"""One page from pixels to crops: pure functions that join imaging, segmentation and normalization.

RasterPage ─ prepare_page ─> PreparedPage (crops) ─ classifier ─> posteriors; then `digitscan.pipeline.finish`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from digitscan.core.config import Config
from digitscan.core.observer import Observer, unobserved
from digitscan.core.types import Box, GrayImage, Ink, Layout, RasterPage
from digitscan.imaging.binarize import binarize, soft_ink, string_window
from digitscan.imaging.geometry import is_light_on_dark, moving
from digitscan.imaging.ink import find_ink
from digitscan.imaging.rules import find_rules, line_mask
from digitscan.layout.find import find_lattices
from digitscan.layout.structure import RuledStructure
from digitscan.recognition.lines import LINE_HEIGHT, MAX_LINE_WIDTH, line_region
from digitscan.recognition.normalize import normalize_all
from digitscan.regions.prepared import LineInk, PreparedPage, PreparedString, lattice_edges, parts_of
from digitscan.segmentation.cuts import StringLattice
from digitscan.segmentation.struck import covers, find_struck

_LARGE_PAGE = 2000
"""Shorter side in pixels from which a page may be halved: A4 at 250 dpi and more, photographs of 12 megapixels."""
_LEAST_BOX = 40
"""Shorter side in pixels of an image in which a printed box around a number is looked for."""
_SMALL_WRITING = 20.0
"""Height of strings, in pixels, below which a page is enlarged before its ink is found: thin strokes break there."""
_MOST_PIXELS = 16_000_000
"""Pixels of an enlarged page at most: A4 at 300 dpi has nine million."""
_LARGE_WRITING = (10.0, 13.0)
"""Heights of strings, in pixels of the halved page, from which it is read so: a fifth of them may be lower than the
first, half of them lower than the second. Capitals of 9 points at 300 dpi have 13, their small letters 10."""


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
    if config.layout is Layout.LINE and (box := _number_box(page, config)) is not None:
        inside = replace(page, image=np.ascontiguousarray(page.image[box.y : box.bottom, box.x : box.right]))
        prepared = _prepare(inside, config, turn, look)
        height, width = page.image.shape
        return replace(prepared, width=width, height=height, to_source=moving(box.x, box.y) @ prepared.to_source)
    return _prepare(page, config, turn, look)


def _number_box(page: RasterPage, config: Config) -> Box | None:
    """The printed box that a number stands in, where the image shows one: what is beside it is not the number's."""
    if not config.imaging.remove_rules or min(page.image.shape) < _LEAST_BOX:
        return None
    image = cv2.bitwise_not(page.image) if is_light_on_dark(page.image) else page.image
    ink = soft_ink(np.asarray(image, np.uint8), string_window(image.shape))
    rules, _ = find_rules(line_mask(ink, binarize(ink)[1]))
    box = RuledStructure.of(rules, ink).number_box((ink.shape[0], ink.shape[1]))
    if box is None:
        return None
    edge = round(rules.thickness_px) + 1
    return Box(box.x + edge, box.y + edge, box.width - 2 * edge, box.height - 2 * edge)


def _prepare(page: RasterPage, config: Config, turn: int | None, look: Observer) -> PreparedPage:
    if turn is None:
        turn = 0 if config.imaging.orientation == "auto" else int(config.imaging.orientation)
    scale = 0.5 if config.imaging.reduce and _is_large(page.image, config.layout) else 1.0
    binary, levels, rules = find_ink(page, config, turn, look, scale=scale)
    found = find_lattices(binary, rules, config.layout, look)
    better = _better_scale(found.lattices, scale, page.image, config.layout)
    if better != scale:
        binary, levels, rules = find_ink(page, config, turn, look, scale=better)
        found = find_lattices(binary, rules, config.layout, look)
    # The stroke may have been taken for a rule: it is looked for in all ink.
    crossed = config.layout is not Layout.DIGIT and found.lattices
    struck = find_struck(levels.dark_strokes(binary.ink) & ~found.walls) if crossed else []
    inks: list[Ink] = []
    strings = []
    for lattice in found.lattices:
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
                left_over=lattice.left_over,
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
        table_found=found.table_found,
    )


def _is_large(image: GrayImage, layout: Layout) -> bool:
    return layout not in (Layout.LINE, Layout.DIGIT) and min(image.shape) >= _LARGE_PAGE


def _better_scale(lattices: Sequence[StringLattice], scale: float, image: GrayImage, layout: Layout) -> float:
    """The scale at which a page should be read, by the height of what was found on it at one scale."""
    if layout in (Layout.LINE, Layout.DIGIT) or not lattices:
        return scale
    if scale < 1:
        return scale if _written_large(lattices) else 1.0
    several = [lattice.height for lattice in lattices if len(lattice.pieces) > 1]
    height = float(np.median(several)) if several else _SMALL_WRITING
    if height >= _SMALL_WRITING:
        return 1.0
    wanted = min(3.0, float(np.ceil(_SMALL_WRITING / height)))
    return wanted if image.size * wanted**2 <= _MOST_PIXELS else 1.0


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
    """What the line recognizer sees: on a page the string's own marks, so that the sides of boxes are no ones."""
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


def _may_be_several(lattice: StringLattice, layout: Layout) -> bool:
    return layout is Layout.LINE or (layout is not Layout.DIGIT and sum(not p.small for p in lattice.pieces) > 1)


def _fits_a_line(region: Box) -> bool:
    """Longer strings would have to be squeezed, and squeezed digits are no digits that the network knows."""
    return region.width * LINE_HEIGHT <= MAX_LINE_WIDTH * region.height
