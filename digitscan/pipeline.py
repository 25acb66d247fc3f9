"""One page, from pixels to readings: pure functions that join the rooms below.

RasterPage ─ prepare_page ─> PreparedPage (crops) ─ classifier ─> posteriors ─ finish_page ─> PageResult
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from digitscan.core.config import Config
from digitscan.core.errors import DigitscanError
from digitscan.core.geometry import map_box
from digitscan.core.types import (
    BinaryPage,
    Box,
    Crops,
    DigitReading,
    FieldReading,
    GrayImage,
    Ink,
    Layout,
    PageFailure,
    PageRef,
    PageResult,
    Posteriors,
    Quality,
    RasterPage,
    State,
    Transform,
)
from digitscan.forms.decode import Edge
from digitscan.forms.readings import ReadString, read_string
from digitscan.imaging.binarize import InkLevels, binarize, soft_ink
from digitscan.imaging.deskew import NEGLIGIBLE_DEGREES, estimate_skew, turn_ink
from digitscan.imaging.geometry import flatten_photo, is_light_on_dark, quarter_turn
from digitscan.imaging.rules import Rules, find_rules, line_mask, remove_rules
from digitscan.recognition.normalize import normalize_all
from digitscan.segmentation.components import label
from digitscan.segmentation.cuts import StringLattice, build_lattice, whole_lattice
from digitscan.segmentation.grid import aligned_cells, cell_of, corridors, ruled_lines
from digitscan.segmentation.strings import (
    Barriers,
    StringMarks,
    character_like,
    find_strings,
    one_string,
    reading_order,
)

Observer = Callable[[str, object], None]
"""Called with a stage's name and what it made, for `digitscan segment --debug`."""


def _unobserved(stage: str, product: object) -> None:
    """Look at nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedString:
    """One string's lattice without its inks: what decoding needs."""

    edges: tuple[Edge, ...]
    first_crop: int
    pieces: int
    height: float
    box: Box
    cell: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPage:
    """A page ready for the classifier.

    Attributes
    ----------
    crops : (N, 28, 28) uint8
        All candidates of all strings, string by string.
    turned_degrees : int
        Quarter turns already made, clockwise.
    rows, columns : tuple of float
        Lines of a ruled table in pixels of the binary page; empty elsewhere.
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
    turned_degrees: int
    table_found: bool


# ---------------------------------------------------------------------------------------------- preparing


def find_ink(page: RasterPage, config: Config, turn: int, look: Observer) -> tuple[BinaryPage, InkLevels, Rules]:
    """Everything before segmentation: polarity, quarter turn, perspective, ink, skew, rules."""
    imaging = config.imaging
    single = config.layout in (Layout.LINE, Layout.DIGIT)
    image: GrayImage = page.image
    light = imaging.polarity == "light-on-dark" or (imaging.polarity == "auto" and is_light_on_dark(image))
    if light:
        image = np.asarray(cv2.bitwise_not(image), np.uint8)
    image, to_page = quarter_turn(image, turn)
    look("turned", image)
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
    return BinaryPage(page.ref, ink, mask, skew, np.linalg.inv(to_page)), levels, rules


def _window(image: GrayImage, layout: Layout) -> int | None:
    """Neighbourhood for binarization: strokes fill much of an image that is one digit or one string."""
    if layout is Layout.DIGIT:
        return max(15, int(1.2 * max(image.shape))) | 1
    if layout is Layout.LINE:
        return max(31, int(0.8 * min(image.shape))) | 1
    return None


def _barriers(rules: Rules, typical: float, table: Table | None) -> Barriers:
    """Vertical rules that part strings: those of tables, not the sides of one row of boxes."""
    posts = []
    single_rows = [
        f for f, rows in zip(rules.frames, rules.frame_rows, strict=True) if rows == 1 and f.height < 4 * typical
    ]
    for post in rules.verticals:
        if any(f.x - 3 <= post.x <= f.right + 3 and f.y - 3 <= post.center[1] <= f.bottom + 3 for f in single_rows):
            continue
        posts.append(Box(post.x, post.y - 4, post.width, post.height + 8))
    if table is not None:
        posts.extend(Box(int(x), table.frame.y, 1, table.frame.height) for x in table.columns)
    return Barriers(tuple(posts))


@dataclass(frozen=True, slots=True)
class Table:
    """A ruled table: its frame, and the y and x of its lines in pixels of the binary page."""

    frame: Box
    rows: list[float]
    columns: list[float]


def _find_table(rules: Rules, shape: tuple[int, int]) -> Table | None:
    """Rows and columns of the largest ruled table; None where there is none."""
    tables = [f for f, rows in zip(rules.frames, rules.frame_rows, strict=True) if rows >= 2]
    if not tables:
        return None
    frame = max(tables, key=lambda f: f.width * f.height)
    if frame.width * frame.height < 0.05 * shape[0] * shape[1]:
        return None
    rows = ruled_lines(rules.horizontals, frame, horizontal=True)
    columns = ruled_lines(rules.verticals, frame, horizontal=False)
    if len(rows) < 3 or len(columns) < 3:
        return None
    return Table(frame, rows, columns)


def _drop_rule_residue(strings: list[StringMarks], boxes: np.ndarray, rules: Rules) -> list[StringMarks]:  # type: ignore[type-arg]
    """Leave out hairlines on the line of a vertical rule, and comb ticks on a horizontal one."""
    if not rules.verticals and not rules.horizontals:
        return strings
    thin = max(3.0, 1.6 * rules.thickness_px + 1)
    posts = np.array([v.center[0] for v in rules.verticals]) if rules.verticals else np.zeros(0)
    floors = np.array([[r.x, r.y, r.right, r.bottom] for r in rules.horizontals]).reshape(-1, 4)
    kept = []
    for string in strings:
        characters = []
        for index in string.characters:
            x, y, w, h = (int(v) for v in boxes[index])
            if w <= thin:
                on_post = len(posts) and bool((np.abs(posts - (x + w / 2)) <= thin).any())
                on_floor = len(floors) and bool(
                    (
                        (floors[:, 0] <= x + w)
                        & (floors[:, 2] >= x)
                        & (np.minimum(np.abs(floors[:, 1] - (y + h)), np.abs(floors[:, 3] - y)) <= thin + 2)
                    ).any()
                )
                if on_post or on_floor:
                    continue
            characters.append(index)
        if characters:
            kept.append(StringMarks(characters, string.marks, string.height, string.box))
    return kept


def find_lattices(page: BinaryPage, rules: Rules, layout: Layout, look: Observer) -> tuple[list[StringLattice], bool]:
    """All strings of a page with their hypotheses, in reading order, and whether a ruled table was found."""
    found = label(page.mask)
    look("components", found)
    shape = (page.mask.shape[0], page.mask.shape[1])
    if layout is Layout.LINE or layout is Layout.DIGIT:
        string = one_string(found, shape)
        if string is None:
            return [], False
        if layout is Layout.DIGIT:
            return [whole_lattice(string, found, page.ink)], False
        lattices = [build_lattice(string, found, page.ink, 0)]
        look("lattices", lattices)
        return lattices, False
    keep = character_like(found, shape, rules.thickness_px)
    heights = found.boxes[keep, 3]
    typical = float(np.median(heights)) if len(heights) else 0.0
    table = _find_table(rules, shape) if layout in (Layout.AUTO, Layout.TABLE) else None
    barriers = _barriers(rules, typical, table)
    if layout is Layout.TABLE:
        near = (found.areas >= 6) & (found.boxes[:, 3] < 2.5 * max(typical, 1.0))
        barriers = Barriers((*barriers.posts, *corridors(found.boxes[near], typical)))
    strings = find_strings(found, keep, barriers)
    strings = _drop_rule_residue(strings, found.boxes, rules)
    strings = [strings[k] for k in reading_order([s.box for s in strings])]
    lattices = [build_lattice(string, found, page.ink, number) for number, string in enumerate(strings)]
    if table is not None:
        lattices = [_placed(lattice, table) for lattice in lattices]
    look("lattices", lattices)
    return lattices, table is not None


def _placed(lattice: StringLattice, table: Table) -> StringLattice:
    cell = cell_of(lattice.box, table.rows, table.columns)
    return lattice if cell is None else replace(lattice, row=cell[0], column=cell[1])


def prepare_page(
    page: RasterPage, config: Config, *, turn: int | None = None, look: Observer = _unobserved
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
    binary, levels, rules = find_ink(page, config, turn, look)
    lattices, table_found = find_lattices(binary, rules, config.layout, look)
    inks: list[Ink] = []
    strings = []
    for lattice in lattices:
        edges = tuple(_edge(lattice, candidate.span, candidate.box) for candidate in lattice.candidates)
        cell = (lattice.row, lattice.column) if lattice.row is not None and lattice.column is not None else None
        strings.append(PreparedString(edges, len(inks), len(lattice.pieces), lattice.height, lattice.box, cell))
        inks.extend(candidate.ink for candidate in lattice.candidates)
    crops = normalize_all(inks)
    look("crops", crops)
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
        turned_degrees=turn,
        table_found=table_found,
    )


def _edge(lattice: StringLattice, span: tuple[int, int], box: Box) -> Edge:
    start, stop = span
    pieces = lattice.pieces
    cuts = int(pieces[start].cut_before) + int(stop < len(pieces) and pieces[stop].cut_before)
    small = all(piece.small for piece in pieces[start:stop])
    return Edge(start, stop, box, cuts, small)


# ---------------------------------------------------------------------------------------------- finishing


def finish_page(page: PreparedPage, posteriors: Posteriors, config: Config) -> PageResult:
    """Decode every string of a page.

    Parameters
    ----------
    page : PreparedPage
    posteriors : (N, 11) float32
        Of `page.crops`, row by row.
    config : Config
    """
    whole = page.layout in (Layout.LINE, Layout.DIGIT)
    read: list[tuple[ReadString, tuple[int, int] | None]] = []
    for string in page.strings:
        rows = posteriors[string.first_crop : string.first_crop + len(string.edges)]
        for number in read_string(string.edges, rows, string.pieces, string.height, config.decode, whole=whole):
            read.append((number, string.cell))
    if page.layout is Layout.TABLE and not page.table_found:
        cells: list[tuple[int, int] | None] = list(aligned_cells([number.box for number, _ in read]))
        read = [(number, cell) for (number, _), cell in zip(read, cells, strict=True)]
    order = reading_order([number.box for number, _ in read])
    readings = tuple(_reading(page, *read[k], name=f"s{place}", config=config) for place, k in enumerate(order, 1))
    if whole and not readings:
        readings = (_blank(page),)
    return PageResult(
        ref=page.ref,
        width=page.width,
        height=page.height,
        dpi=page.dpi,
        skew_degrees=round(page.skew_degrees, 3),
        quality=_quality(page, readings),
        readings=readings,
    )


def _reading(
    page: PreparedPage, read: ReadString, cell: tuple[int, int] | None, *, name: str, config: Config
) -> FieldReading:
    def to_source(box: Box) -> Box:
        return map_box(box, page.to_source, width=page.width, height=page.height)

    review = read.confidence < config.decode.review_below
    return FieldReading(
        name=name,
        row=cell[0] if cell else None,
        column=cell[1] if cell else None,
        text=read.text,
        digits=tuple(DigitReading(to_source(d.box), d.digit, d.confidence, d.runner_up, d.margin) for d in read.digits),
        confidence=read.confidence,
        state=State.VALUE,
        review=review,
        reason=read.reason if review else "",
        alternatives=read.alternatives,
        box=to_source(read.box),
    )


def _blank(page: PreparedPage) -> FieldReading:
    """The reading of a line or digit image without ink."""
    box = Box(0, 0, page.width, page.height)
    return FieldReading(
        "s1", None, None, "", (), 1.0 if page.contrast < 0.06 else 0.5, State.BLANK, True, "no ink found", (), box
    )


def _quality(page: PreparedPage, readings: tuple[FieldReading, ...]) -> Quality:
    heights = [digit.box.height for reading in readings for digit in reading.digits]
    text_height = float(np.median(heights)) if heights else 0.0
    warnings = []
    if 0 < page.contrast < 0.15:
        warnings.append("low contrast: scan darker, or with more light")
    if 0 < text_height < 12:
        warnings.append("tiny digits: scan at a higher resolution")
    if not readings:
        warnings.append("no numbers found")
    return Quality(round(page.contrast, 3), text_height, tuple(warnings))


# ------------------------------------------------------------------------------------------- orientation


def legibility(page: PreparedPage, posteriors: Posteriors) -> tuple[float, int]:
    """How much a page looks like upright digits: mean confidence of its likely digits, and how many there are."""
    best = posteriors[:, :10].max(axis=1) if len(posteriors) else np.zeros(0, np.float32)
    whole = np.array([e.stop - e.start == 1 and not e.small for s in page.strings for e in s.edges], bool)
    likely = best[whole & (best > 0.5)] if len(best) else best
    return (float(likely.mean()) if len(likely) else 0.0), len(likely)


def in_doubt(page: PreparedPage, posteriors: Posteriors, config: Config) -> bool:
    """Whether a page may lie on its side or upside down, so that other turns should be tried."""
    if config.imaging.orientation != "auto" or page.layout in (Layout.LINE, Layout.DIGIT) or not len(page.crops):
        return False
    whole = sum(1 for s in page.strings for e in s.edges if e.stop - e.start == 1 and not e.small)
    mean, count = legibility(page, posteriors)
    return count < 4 or mean < 0.93 or count < 0.35 * whole


def best_turn(
    page: RasterPage,
    first: PreparedPage,
    posteriors: Posteriors,
    config: Config,
    classify: Callable[[Crops], Posteriors],
) -> tuple[PreparedPage, Posteriors]:
    """Try the other quarter turns of a page in doubt, and keep the one that reads best.

    Parameters
    ----------
    classify : callable
        (N, 28, 28) uint8 to (N, 11) posteriors.
    """

    def score(prepared: PreparedPage, rows: Posteriors) -> float:
        mean, count = legibility(prepared, rows)
        return mean**4 * count

    kept, kept_rows, kept_score = first, posteriors, score(first, posteriors) * 1.15
    for turn in (90, 180, 270):
        tried = prepare_page(page, config, turn=turn)
        rows = classify(tried.crops)
        value = score(tried, rows)
        if value > kept_score:
            kept, kept_rows, kept_score = tried, rows, value
    return kept, kept_rows


def failure(ref: PageRef, stage: str, error: BaseException) -> PageFailure:
    """Make a failure a value."""
    if isinstance(error, DigitscanError):
        return PageFailure(ref, stage, type(error).__name__, error.message, error.remedy)
    if isinstance(error, MemoryError):
        return PageFailure(ref, stage, "MemoryError", "not enough memory for this page", "scan at a lower resolution")
    message = " ".join(str(error).split()) or type(error).__name__
    return PageFailure(ref, stage, type(error).__name__, message[:300], "please report this page as a bug")
