"""One page, from pixels to readings: pure functions that join the rooms below.

RasterPage ─ prepare_page ─> PreparedPage (crops) ─ classifier ─> posteriors ─ finish_page ─> PageResult
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.core.config import Config
from digitscan.core.errors import DigitscanError
from digitscan.core.geometry import map_box, map_points
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
from digitscan.imaging.binarize import InkLevels, binarize, digit_window, soft_ink, string_window
from digitscan.imaging.deskew import NEGLIGIBLE_DEGREES, estimate_skew, turn_ink
from digitscan.imaging.geometry import flatten_photo, is_light_on_dark, quarter_turn
from digitscan.imaging.rules import Rules, find_rules, line_mask, remove_rules
from digitscan.recognition.normalize import normalize_all
from digitscan.segmentation.components import Components, label
from digitscan.segmentation.cuts import StringLattice, build_lattices, whole_lattice
from digitscan.segmentation.grid import aligned_cells, cell_of, corridors, ruled_lines
from digitscan.segmentation.strings import (
    Barriers,
    StringMarks,
    character_like,
    find_strings,
    merge_strings,
    natural_gap,
    one_string,
    reading_order,
)

MAX_CHARACTERS = 15_000
"""Marks of character size read on one page, the largest first: three times a page of dense print."""
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
    return BinaryPage(page.ref, ink, mask, skew, np.asarray(np.linalg.inv(to_page), np.float64)), levels, rules


def _window(image: GrayImage, layout: Layout) -> int | None:
    """Neighbourhood for binarization; None for a page, whose size chooses it."""
    if layout is Layout.DIGIT:
        return digit_window(image.shape)
    if layout is Layout.LINE:
        return string_window(image.shape)
    return None


def _box_rows(rules: Rules) -> list[Box]:
    """Rows of boxes: cells that are not much wider than high hold one digit each."""
    return [
        frame
        for frame, (rows, columns) in zip(rules.frames, rules.frame_cells, strict=True)
        if rows == 1 and frame.width <= 1.5 * frame.height * columns
    ]


def _barriers(rules: Rules, table: Table | None, hairlines: list[Box]) -> Barriers:
    """Vertical rules that part strings: those of tables, not the sides of one row of boxes."""
    posts = list(hairlines)
    box_rows = _box_rows(rules)
    for post in rules.verticals:
        if any(f.x - 3 <= post.x <= f.right + 3 and f.y - 3 <= post.center[1] <= f.bottom + 3 for f in box_rows):
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
    tables = [f for f, (rows, _) in zip(rules.frames, rules.frame_cells, strict=True) if rows >= 2]
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


def _drop_teeth(
    strings: list[StringMarks], boxes: NDArray[np.int32], rules: Rules
) -> tuple[list[StringMarks], list[Box]]:
    """Leave out comb teeth that stand on a horizontal rule; gives the strings without them, and the teeth."""
    if not rules.horizontals:
        return strings, []
    thin = max(3.0, 1.6 * rules.thickness_px + 1)
    floors = np.array([[r.x, r.y, r.right, r.bottom] for r in rules.horizontals]).reshape(-1, 4)
    kept, teeth = [], []
    for string in strings:
        characters = []
        for index in string.characters:
            x, y, w, h = (int(v) for v in boxes[index])
            if w <= thin:
                below = (floors[:, 0] <= x + w) & (floors[:, 2] >= x)
                at_foot = np.minimum(np.abs(floors[:, 1] - (y + h)), np.abs(floors[:, 3] - y)) <= thin + 2
                if bool((below & at_foot).any()):
                    teeth.append(Box(x, y, w, h))
                    continue
            characters.append(index)
        if characters:
            kept.append(StringMarks(characters, string.marks, string.height, string.box))
    return kept, teeth


def _without_hairlines(found: Components, rules: Rules, typical: float, *, table: bool) -> tuple[Components, list[Box]]:
    """Blank the remains of broken vertical rules: hairlines much higher than text, and those in line with one.

    Returns the components, remains with area 0, and the remains as boxes.
    """
    if not len(found) or typical <= 0:
        return found, []
    x, w, h = found.boxes[:, 0], found.boxes[:, 2], found.boxes[:, 3]
    thin = w <= max(3.0, 0.2 * typical)
    tall = thin & (h > 1.8 * typical)
    posts = [*rules.verticals, *(found.box(int(k)) for k in np.flatnonzero(tall))]
    slim = np.flatnonzero(thin & ~tall & (h >= 3 * w))
    if not posts and not len(slim):
        return found, []
    # Rules lean and bow: a remain lies in line with a piece that ends not far above or below it.
    reach, apart = 3 * typical, max(3.0, 0.15 * typical)
    middle = np.array([p.center[0] for p in posts])
    top, bottom = np.array([p.y for p in posts]) - reach, np.array([p.bottom for p in posts]) + reach
    residue = tall.copy()
    slim_x, slim_y = x[slim] + w[slim] / 2, found.boxes[slim, 1] + h[slim] / 2
    for k, at_x, at_y in zip(slim, slim_x, slim_y, strict=True):
        in_line = (np.abs(middle - at_x) <= apart) & (top <= at_y) & (at_y <= bottom)
        # In a table, several hairlines one below the other are a rule that printed badly.
        fellows = (np.abs(slim_x - at_x) <= apart) & (np.abs(slim_y - at_y) <= 2 * reach)
        residue[k] = bool(in_line.any()) or (table and fellows.sum() >= 4)
    boxes = [found.box(int(k)) for k in np.flatnonzero(residue)]
    return replace(found, areas=np.where(residue, 0, found.areas)), boxes


def _number_fields(rules: Rules, teeth: list[Box]) -> list[Box]:
    """Places that hold ONE number however far apart its digits are: rows of boxes, and combs."""
    fields = _box_rows(rules)
    for floor in rules.horizontals:
        own = [t for t in teeth if floor.x - 4 <= t.x <= floor.right + 4 and abs(t.bottom - floor.y) <= t.height]
        if len(own) >= 3:
            pitch = floor.width / (len(own) - 1)
            high = round(1.6 * pitch)
            fields.append(Box(floor.x, floor.y - high, floor.width, high + floor.height))
    return fields


def _join_in_fields(strings: list[StringMarks], fields: list[Box]) -> list[StringMarks]:
    """Make the strings that stand in one number field one string."""
    owner: dict[int, int] = {}
    for k, string in enumerate(strings):
        x, y = string.box.center
        for number, f in enumerate(fields):
            # Labels printed in or over a field are much wider or lower than a digit of it.
            if f.x <= x <= f.right and f.y <= y <= f.bottom and string.height > 0.3 * f.height:
                owner[k] = number
                break
    joined = [string for k, string in enumerate(strings) if k not in owner]
    for number in dict.fromkeys(owner.values()):
        members = sorted((strings[k] for k, o in owner.items() if o == number), key=lambda m: m.box.x)
        joined.append(merge_strings(members))
    return joined


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
        lattices = build_lattices([string], found, page.ink)
        look("lattices", lattices)
        return lattices, False
    keep = character_like(found, shape, rules.thickness_px)
    if keep.sum() > MAX_CHARACTERS:  # noise, grass, a carpet: time and memory stay bounded
        keep &= found.areas >= np.sort(found.areas[keep])[-MAX_CHARACTERS]
    heights = found.boxes[keep, 3]
    typical = float(np.median(heights)) if len(heights) else 0.0
    found, hairlines = _without_hairlines(found, rules, typical, table=layout is Layout.TABLE)
    keep &= found.areas > 0
    table = _find_table(rules, shape) if layout in (Layout.AUTO, Layout.TABLE) else None
    barriers = _barriers(rules, table, hairlines)
    if layout is Layout.TABLE:
        near = (found.areas >= 6) & (found.boxes[:, 3] < 2.5 * max(typical, 1.0))
        barriers = replace(barriers, lanes=tuple(corridors(found.boxes[near], typical)))
    gap = natural_gap(found, keep) if layout is Layout.TABLE else 0.75
    strings = find_strings(found, keep, barriers, gap=gap)
    strings, teeth = _drop_teeth(strings, found.boxes, rules)
    strings = _join_in_fields(strings, _number_fields(rules, teeth))
    strings = [strings[k] for k in reading_order([s.box for s in strings])]
    lattices = build_lattices(strings, found, page.ink)
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
        table_found=table_found,
    )


def _edge(lattice: StringLattice, span: tuple[int, int], box: Box) -> Edge:
    start, stop = span
    pieces = lattice.pieces
    ends = [piece for piece in (pieces[start], *pieces[stop : stop + 1]) if piece.cut_before]
    small = all(piece.small for piece in pieces[start:stop])
    return Edge(start, stop, box, len(ends), small, sum(piece.cut_ink for piece in ends))


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
    if not whole:
        read = _plausible(page, read)
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


def _plausible(
    page: PreparedPage, read: list[tuple[ReadString, tuple[int, int] | None]]
) -> list[tuple[ReadString, tuple[int, int] | None]]:
    """Leave out what no writer wrote: strokes beside the page, and scratches that look like ones.

    Digits that can be nothing else (2 to 9, well read) say how high digits are on this page.
    """
    sure = [d.box.height for r, _ in read for d in r.digits if d.digit not in "01" and d.confidence > 0.9]
    usual = float(np.median(sure)) if len(sure) >= 3 else 0.0
    kept = []
    for string, cell in read:
        center = map_points(np.array([string.box.center]), page.to_source)[0]
        if not (0 <= center[0] < page.width and 0 <= center[1] < page.height):
            continue
        height = float(np.median([d.box.height for d in string.digits]))
        ones = all(d.digit == "1" for d in string.digits)
        if usual and (height < 0.35 * usual or (ones and not 0.6 * usual <= height <= 1.7 * usual)):
            continue
        # A speck that is half as high as the page's digits, alone and hardly read, is a speck.
        if usual and len(string.digits) == 1 and height < 0.5 * usual and string.confidence < 0.5:
            continue
        # An l or an I alone, on a page that shows no number, is no one.
        if not usual and ones and string.confidence < 0.6:
            continue
        # What may be a word is one when it is printed smaller than the page's numbers, or when there are none.
        if string.maybe_word and (not usual or height < 0.75 * usual):
            continue
        kept.append((string, cell))
    return kept


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


def failure(ref: PageRef, stage: str, error: BaseException) -> PageFailure:
    """Make a failure a value."""
    if isinstance(error, DigitscanError):
        return PageFailure(ref, stage, type(error).__name__, error.message, error.remedy)
    if isinstance(error, MemoryError):
        return PageFailure(ref, stage, "MemoryError", "not enough memory for this page", "scan at a lower resolution")
    message = " ".join(str(error).split()) or type(error).__name__
    return PageFailure(ref, stage, type(error).__name__, message[:300], "please report this page as a bug")
