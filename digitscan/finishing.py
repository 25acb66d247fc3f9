"""One page from posteriors to readings: pure functions that join decoding, context and totals.

PreparedPage, posteriors ─ worth_reading_whole ─> lines ─ line reader ─> finish_page ─> PageResult
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from digitscan.core.checks import Checks
from digitscan.core.config import Config
from digitscan.core.errors import DigitscanError
from digitscan.core.geometry import map_box, map_points
from digitscan.core.types import (
    NOT_A_DIGIT,
    Box,
    DigitReading,
    FieldReading,
    Layout,
    PageFailure,
    PageRef,
    PageResult,
    Posteriors,
    Quality,
    State,
)
from digitscan.forms.columns import (
    Placed,
    doubt_lengths,
    in_columns,
    weigh_lengths,
    with_overlooked,
    without_stray_rows,
)
from digitscan.forms.context import neighbour, plausible
from digitscan.forms.decode import ScoredLattice, shares
from digitscan.forms.readings import ReadString, WholeLine, read_behind_stroke, read_string
from digitscan.forms.totals import check_totals
from digitscan.preparing import PreparedPage, PreparedString
from digitscan.recognition.lines import Line
from digitscan.segmentation.grid import aligned_cells
from digitscan.segmentation.strings import reading_order

_BEYOND_DOUBT = 0.995
"""A string whose digits and whose parting are all this sure needs no second reader."""


def worth_reading_whole(page: PreparedPage, posteriors: Posteriors) -> list[int]:
    """Strings that a second reader should see: likely numbers that are not read beyond doubt piece by piece, or that
    may hold points and signs, which only that reader knows; and what a stroke goes through, whose pieces look like
    anything.

    Parameters
    ----------
    page : PreparedPage
    posteriors : (N, 11) float32
        Of `page.crops`, row by row.
    """
    chosen = []
    for index, string in enumerate(page.strings):
        if string.whole is None:
            continue
        rows = string.rows(posteriors)
        single = [k for k, edge in enumerate(string.edges) if edge.stop - edge.start == 1 and not edge.small]
        likely = page.layout is Layout.LINE or (rows[single].argmax(axis=1) < NOT_A_DIGIT).mean() >= 0.5
        if string.struck is not None or (likely and (string.marked or not _beyond_doubt(string, rows))):
            chosen.append(index)
    return chosen


def views_of(page: PreparedPage, chosen: Sequence[int]) -> list[Line]:
    """All views of the chosen strings, string by string."""
    return [view for index in chosen for view in _views(page, index)]


def _views(page: PreparedPage, index: int) -> tuple[Line, ...]:
    whole = page.strings[index].whole
    return whole.views() if whole is not None else ()


def answers_by_string(
    page: PreparedPage, chosen: Sequence[int], answers: Iterator[Posteriors]
) -> dict[int, list[Posteriors]]:
    """What was said of `views_of` the chosen strings, by string; takes as many answers as there are views."""
    return {index: list(islice(answers, len(_views(page, index)))) for index in chosen}


def _beyond_doubt(string: PreparedString, rows: Posteriors) -> bool:
    """Whether every digit of a string is sure, and so is how it parts."""
    paths = ScoredLattice(string.edges, rows, string.pieces, string.height).best(2)
    if not paths or shares(paths)[0] < _BEYOND_DOUBT:
        return False
    read = [symbol for symbol in paths[0].symbols if not string.edges[symbol.edge].small]
    return bool(read) and all(s.digit is not None and s.confidence >= _BEYOND_DOUBT for s in read)


def finish_page(
    page: PreparedPage,
    posteriors: Posteriors,
    config: Config,
    whole_lines: Mapping[int, Sequence[Posteriors]] | None = None,
) -> PageResult:
    """Decode every string of a page.

    Parameters
    ----------
    page : PreparedPage
    posteriors : (N, 11) float32
        Of `page.crops`, row by row.
    config : Config
    whole_lines : mapping of int to sequence of (T, 19) float32, optional
        What the reader of lines says of the views of some strings, by their index in `page.strings`.
    """
    whole_lines = whole_lines or {}
    whole = page.layout in (Layout.LINE, Layout.DIGIT)
    read: list[Placed] = []
    told: set[Box] = set()
    numbered: list[bool] = []
    for index, string in enumerate(page.strings):
        rows = string.rows(posteriors)
        line = WholeLine(tuple(whole_lines[index]), string.region) if index in whole_lines else None
        numbers = read_string(
            string.edges,
            rows,
            string.pieces,
            string.height,
            config.decode,
            whole=whole,
            line=line if string.struck is None else None,  # what a stroke goes through looks like a word
            marked=string.marked,
        )
        if string.struck is not None:  # one reading, however many strings the stroke broke it into
            numbers = numbers or (read_behind_stroke(line) if line is not None else [])
            once = numbers[:1] if string.struck not in told else []
            numbers = [replace(n, box=string.struck, struck=True, reason="struck out", confidence=1.0) for n in once]
            told.update([string.struck] if once else [])
        read.extend((number, string.cell) for number in numbers)
        numbered.append(bool(numbers))
    checks = Checks()
    if not whole:
        read = checks.run("what stands around numbers", lambda all_: _plausible(page, posteriors, all_, numbered), read)
    if page.layout is Layout.TABLE and not page.table_found:
        read = checks.run("rows and columns of the table", _aligned, read)
    if page.layout is Layout.TABLE or page.table_found:
        read = checks.run("columns of the table", in_columns, read)
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
        quality=_quality(page, readings, checks.warnings),
        readings=readings,
    )


def check_table(page: PreparedPage, result: PageResult, config: Config) -> PageResult:
    """Let the lengths and the totals of a page that is a table check its cells; other pages stay as they are.

    Cells that were overlooked are told.
    """
    if not (page.table_found or page.layout is Layout.TABLE):
        return result
    checks = Checks()
    readings: Sequence[FieldReading] = result.readings
    readings = checks.run("lengths of the table's numbers", weigh_lengths, readings)
    readings = checks.run("totals of the table", lambda all_: check_totals(all_, config.decode.review_below), readings)
    readings = checks.run("lengths of the table's columns", doubt_lengths, readings)
    frame = {"width": page.width, "height": page.height}
    marks = np.array([map_box(s.box, page.to_source, **frame) for s in page.strings], np.float64).reshape(-1, 4)

    def is_ink(x: float, y: float) -> bool:
        left, top, width, height = marks.T
        return bool(((left <= x) & (x <= left + width) & (top <= y) & (y <= top + height)).any())

    readings = checks.run(
        "cells of the table that may be overlooked", lambda all_: with_overlooked(all_, is_ink), readings
    )
    quality = replace(result.quality, warnings=(*result.quality.warnings, *checks.warnings))
    named = tuple(replace(r, name=f"s{place}") for place, r in enumerate(readings, 1))
    return replace(result, readings=named, quality=quality)


def doubted(result: PageResult, faults: Sequence[str]) -> PageResult:
    """A page whose data are not sound, by what its decoder says: all its readings are for review."""
    if not faults:
        return result
    why = f"the file may be damaged: {faults[0]}"
    readings = tuple(replace(r, review=True, reason=f"{r.reason}; {why}" if r.reason else why) for r in result.readings)
    quality = replace(result.quality, warnings=(*result.quality.warnings, *faults))
    return replace(result, readings=readings, quality=quality)


def _aligned(read: list[Placed]) -> list[Placed]:
    """Numbers with their cells in a table without lines."""
    cells = aligned_cells([number.box for number, _ in read])
    return without_stray_rows([(number, cell) for (number, _), cell in zip(read, cells, strict=True)])


def _on_the_page(page: PreparedPage, string: ReadString) -> bool:
    """Whether a string lies on the source page: strokes beside a turned one are nobody's."""
    center = map_points(np.array([string.box.center]), page.to_source)[0]
    return bool(0 <= center[0] < page.width and 0 <= center[1] < page.height)


def _plausible(
    page: PreparedPage,
    posteriors: Posteriors,
    read: list[tuple[ReadString, tuple[int, int] | None]],
    numbered: Sequence[bool],
) -> list[tuple[ReadString, tuple[int, int] | None]]:
    """Leave out what is no number, by what else stands on the page: strings, and whether each gave a number."""
    around = []
    if page.layout is not Layout.TABLE:  # the cells of a table are no running text, however badly they are printed
        for string, number in zip(page.strings, numbered, strict=True):
            rows = string.rows(posteriors)
            if string.cell is None and string.struck is None:  # pieces of a stroke look like letters
                around.append(neighbour(string.edges, rows, string.box, string.height, number=number))
    read = [(string, cell) for string, cell in read if _on_the_page(page, string)]
    kept = plausible([string for string, _ in read], around)
    return [item for item, is_number in zip(read, kept, strict=True) if is_number]


def _reading(
    page: PreparedPage, read: ReadString, cell: tuple[int, int] | None, *, name: str, config: Config
) -> FieldReading:
    def to_source(box: Box) -> Box:
        return map_box(box, page.to_source, width=page.width, height=page.height)

    if read.struck:
        box = to_source(read.box)
        row, column = cell or (None, None)
        return FieldReading(name, row, column, "", (), read.confidence, State.STRUCK, True, read.reason, (), box)
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
        written=read.written,
    )


def _blank(page: PreparedPage) -> FieldReading:
    """The reading of a line or digit image without ink."""
    box = Box(0, 0, page.width, page.height)
    return FieldReading(
        "s1", None, None, "", (), 1.0 if page.contrast < 0.06 else 0.5, State.BLANK, True, "no ink found", (), box
    )


def _quality(page: PreparedPage, readings: tuple[FieldReading, ...], unchecked: Sequence[str]) -> Quality:
    heights = [digit.box.height for reading in readings for digit in reading.digits]
    text_height = float(np.median(heights)) if heights else 0.0
    warnings = list(unchecked)
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
