"""One page from posteriors to readings: pure functions that join decoding, context and totals.

PreparedPage, posteriors, what the line recognizer says ─ finish_page ─> PageResult
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from digitscan.core.config import Config
from digitscan.core.geometry import map_box, map_points
from digitscan.core.guard import Checks
from digitscan.core.types import (
    NOT_A_DIGIT,
    Box,
    DigitReading,
    FieldReading,
    Layout,
    PageResult,
    Posteriors,
    Quality,
    State,
)
from digitscan.decoding.readings import ReadString
from digitscan.decoding.rivals import LinePosteriors
from digitscan.decoding.strings import read_behind_stroke, read_string
from digitscan.layout.grid import aligned_cells
from digitscan.layout.strings import reading_order
from digitscan.pipeline.context import neighbour, plausible
from digitscan.regions.prepared import PreparedPage
from digitscan.tables.checks import doubt_lengths, weigh_lengths, with_overlooked
from digitscan.tables.columns import Placed, in_columns, without_stray_rows
from digitscan.tables.totals import check_totals


def finish_page(
    page: PreparedPage,
    posteriors: Posteriors,
    config: Config,
    line_posteriors: Mapping[int, Sequence[Posteriors]] | None = None,
) -> PageResult:
    """Decode every string of a page.

    Parameters
    ----------
    page : PreparedPage
    posteriors : (N, 11) float32
        Of `page.crops`, row by row.
    config : Config
    line_posteriors : mapping of int to sequence of (T, 20) float32, optional
        What the line recognizer says of the views of some strings, by their index in `page.strings`.
    """
    line_posteriors = line_posteriors or {}
    whole = page.layout in (Layout.LINE, Layout.DIGIT)
    read: list[Placed] = []
    told: set[Box] = set()
    numbered: list[bool] = []
    for index, string in enumerate(page.strings):
        rows = string.rows(posteriors)
        line = LinePosteriors(tuple(line_posteriors[index]), string.region) if index in line_posteriors else None
        numbers = read_string(
            string.edges,
            rows,
            string.pieces,
            string.height,
            config.decode,
            one_number=whole or (string.boxed and _mostly_digits(rows)),
            boxed=string.boxed,
            line=line if string.struck is None else None,  # what a stroke goes through looks like a word
            marked=string.marked,
        )
        if string.struck is not None:  # one reading, however many strings the stroke broke it into
            numbers = numbers or (read_behind_stroke(line) if line is not None else [])
            once = numbers[:1] if string.struck not in told else []
            numbers = [replace(n, box=string.struck, struck=True, reason="struck out", confidence=1.0) for n in once]
            told.update([string.struck] if once else [])
        if string.faint:
            pale = "very pale: pencil, or print that shows through"
            numbers = [replace(number, doubt=number.doubt or pale) for number in numbers]
        if string.left_over is not None:
            numbers = [_with_stroke(number, string.left_over) for number in numbers]
        read.extend((number, string.cell) for number in numbers)
        numbered.append(bool(numbers))
    checks = Checks()
    if not whole:
        read = checks.run("what stands around numbers", lambda all_: _plausible(page, posteriors, all_, numbered), read)
        if not page.table_found:
            read = checks.run("numbers in pieces", _doubt_pieces, read)
    if page.layout is Layout.TABLE and not page.table_found:
        read = checks.run("rows and columns of the table", _aligned, read)
    if page.table_found:
        read = checks.run("numbers alone in their cells", _alone_in_cells, read)
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


def _mostly_digits(rows: Posteriors) -> bool:
    """Whether most boxes of a row hold digits: a row of boxes may hold a name."""
    return float((rows.argmax(axis=1) < NOT_A_DIGIT).mean()) >= 0.6


_PIECES = 3
"""Short readings side by side from which on they may be one number, in boxes or a comb that was not found."""
_SPREAD = 2.2
"""Gap between them at the most, in heights of a digit: boxes are a little wider than high."""


def _doubt_pieces(read: Sequence[Placed]) -> list[Placed]:
    """Doubt single digits that stand in a line side by side, outside of a table: one number in pieces, most likely."""
    loose = [k for k, (number, cell) in enumerate(read) if cell is None and len(number.text) <= 2 and number.digits]
    loose.sort(key=lambda k: read[k][0].box.x)
    runs: list[list[int]] = []
    for k in loose:
        box = read[k][0].box
        for run in runs:
            last = read[run[-1]][0].box
            high = max(last.height, box.height)
            level = abs(last.center[1] - box.center[1]) <= 0.5 * high and min(last.height, box.height) >= 0.5 * high
            if level and 0 <= box.x - last.right <= _SPREAD * high:
                run.append(k)
                break
        else:
            runs.append([k])
    pieces = {k for run in runs if len(run) >= _PIECES for k in run}
    told = "may be a piece of one number with those beside it"
    return [
        (replace(number, doubt=number.doubt or told) if k in pieces else number, cell)
        for k, (number, cell) in enumerate(read)
    ]


def _alone_in_cells(
    read: list[tuple[ReadString, tuple[int, int] | None]],
) -> list[tuple[ReadString, tuple[int, int] | None]]:
    """Doubt numbers that share a ruled cell, which holds one."""
    taken = Counter(cell for _, cell in read)
    told = "more than one number stands in this cell"
    return [
        (replace(number, doubt=number.doubt or told) if cell is not None and taken[cell] > 1 else number, cell)
        for number, cell in read
    ]


def _with_stroke(number: ReadString, stroke: Box) -> ReadString:
    """A number beside which a stroke stands that was not read."""
    side = "right" if stroke.center[0] > number.box.center[0] else "left"
    return replace(number, doubt=number.doubt or f"a stroke at the {side} was not read")


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
    review = read.confidence < config.decode.review_below or bool(read.doubt)
    return FieldReading(
        name=name,
        row=cell[0] if cell else None,
        column=cell[1] if cell else None,
        text=read.text,
        digits=tuple(DigitReading(to_source(d.box), d.digit, d.confidence, d.runner_up, d.margin) for d in read.digits),
        confidence=read.confidence,
        state=State.VALUE,
        review=review,
        reason=(read.doubt or read.reason) if review else "",
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
