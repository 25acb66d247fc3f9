"""Filled forms: fields that are cut out, read under their rules, and told with their states.

FilledPage, posteriors ─ finish_form ─> PageResult
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

import numpy as np

from digitscan.core.config import Config
from digitscan.core.geometry import map_box
from digitscan.core.guard import Checks
from digitscan.core.types import Alternative, Box, DigitReading, FieldReading, PageResult, Posteriors, Quality, State
from digitscan.decoding.joint import Choice, Guess, weigh
from digitscan.decoding.rivals import LinePosteriors
from digitscan.decoding.rules import CrossFieldRule, parse_rule
from digitscan.forms.cut import whole_box
from digitscan.forms.fields import FieldText, no_digits, read_field, reason_of
from digitscan.forms.form_page import FilledPage, Slot
from digitscan.forms.points import Meaning, meaning_of, tells_of_point
from digitscan.forms.template import copy_name


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishParameters:
    """What is said of fields that are not read digit by digit.

    In brackets stand unit and source. *Tried*: chosen by trial on sample pages, of which there is no record.
    """

    hard_to_find: float = 0.7
    """Share of the blank's ink, found on the page, below which the scan is warned of. [share; tried]"""
    sure: float = 0.999
    """Confidence of a tick, and of an empty field. [probability; set]"""
    unsure: float = 0.7
    """Confidence of a tick that is faint or blotted out. [probability; set]"""
    negligible: float = 1e-4
    """Less likely alternatives are not told. [probability; tried]"""


_P = FinishParameters()


def finish_form(
    page: FilledPage,
    posteriors: Posteriors,
    config: Config,
    line_posteriors: Mapping[int, Sequence[Posteriors]] | None = None,
) -> PageResult:
    """Read every field of a filled page under its rules, then the rules across fields.

    Parameters
    ----------
    page : FilledPage
    posteriors : (N, 11) float32
        Of ``page.prepared.crops``, row by row.
    config : Config
    line_posteriors : mapping of int to sequence of (T, 20) float32, optional
        What the line recognizer says of some strings, by their index.
    """

    def read(slot: Slot, index: int | None) -> FieldText | None:
        return _text_of(page, posteriors, line_posteriors or {}, slot, index)

    readings: list[FieldReading] = []
    checks = Checks()
    template = page.form.template
    columns = template.grid_columns(page.form.page)
    for copy in dict.fromkeys(slot.copy for slot in page.slots):  # rules hold within one form
        slots = [slot for slot in page.slots if slot.copy == copy]
        texts = [read(slot, slot.string) for slot in slots]
        again = [read(slot, slot.unsubtracted) for slot in slots]
        choices = {slot.cell.name: _choice(slot, text) for slot, text in zip(slots, texts, strict=True)}
        for rule in template.rule:
            parsed = parse_rule(rule.expression)
            if all(name in columns or name in choices for name in parsed.names):
                weighed = partial(_weighed, parsed, rule.label, columns)
                choices = checks.run(f"rule {rule.label!r}", weighed, choices)
        readings += (
            _reading(page, slot, text, other, choices[slot.cell.name], config)
            for slot, text, other in zip(slots, texts, again, strict=True)
        )
    heights = [digit.box.height for reading in readings for digit in reading.digits]
    prepared = page.prepared
    hard = () if page.match.quality >= _P.hard_to_find else ("the form's own print is hard to find: check the scan",)
    return PageResult(
        ref=prepared.ref,
        width=prepared.width,
        height=prepared.height,
        dpi=prepared.dpi,
        skew_degrees=round(prepared.skew_degrees, 3),
        quality=Quality(prepared.contrast, float(np.median(heights)) if heights else 0.0, (*hard, *checks.warnings)),
        readings=tuple(readings),
        form=page.match,
    )


def _weighed(
    rule: CrossFieldRule, label: str, columns: Mapping[str, Sequence[str]], choices: Mapping[str, Choice]
) -> dict[str, Choice]:
    """Fields as they stand after one rule; what was given stays as it is."""
    after = {name: replace(choice) for name, choice in choices.items()}
    weigh(rule, label, after, columns)
    return after


def _text_of(
    page: FilledPage,
    posteriors: Posteriors,
    line_posteriors: Mapping[int, Sequence[Posteriors]],
    slot: Slot,
    index: int | None,
) -> FieldText | None:
    """What the string at `index` reads as a slot's value; None where there is nothing to read, or no digit in it."""
    if slot.printed is not None and index == slot.string:
        edges, height = slot.printed.edges, float(slot.printed.edges[0].box.height)
        return read_field(edges, slot.printed.posteriors, len(edges), height, None, slot.constraint, boxed=True)
    if index is None or slot.state is not State.VALUE:
        return None
    string = page.prepared.strings[index]
    rows = string.rows(posteriors)
    line = LinePosteriors(tuple(line_posteriors[index]), string.region) if index in line_posteriors else None
    if no_digits(string.edges, rows, string.pieces, string.height):
        return None
    boxed = slot.cell.zone.kind in ("boxes", "comb")
    return read_field(string.edges, rows, string.pieces, string.height, line, slot.constraint, boxed=boxed)


def _choice(slot: Slot, text: FieldText | None) -> Choice:
    if slot.cell.zone.kind == "mark":
        ticked = slot.state is State.VALUE
        return Choice([Guess("1" if ticked else "", 1.0)], [Decimal(int(ticked))])
    if text is None:
        return Choice([], [])
    return Choice(list(text.guesses), [_number(guess.text, text, slot) for guess in text.guesses])


def _number(text: str, read: FieldText, slot: Slot) -> Decimal:
    return Decimal(_meaning(text, read, slot).value or text)


def _meaning(text: str, read: FieldText, slot: Slot) -> Meaning:
    """The number that one of a field's guesses means."""
    zone = slot.cell.zone
    seen = (
        text == read.best.text
        and bool(zone.decimals)
        and read.marks is not None
        and tells_of_point(read.digits, read.marks, zone.decimals or 0)
    )
    return meaning_of(text, slot.printed.written if slot.printed else read.written, zone, point_seen=seen)


def _reading(
    page: FilledPage, slot: Slot, text: FieldText | None, again: FieldText | None, choice: Choice, config: Config
) -> FieldReading:
    prepared, zone = page.prepared, slot.cell.zone
    way = slot.to_source if slot.to_source is not None else prepared.to_source

    def to_source(box: Box) -> Box:
        return map_box(box, way, width=prepared.width, height=prepared.height)

    empty = FieldReading(
        name=copy_name(slot.cell.name, slot.copy),
        row=slot.copy or slot.cell.row,
        column=slot.cell.column,
        text="",
        digits=(),
        confidence=1.0,
        state=slot.state,
        review=False,
        reason="",
        alternatives=(),
        box=to_source(whole_box(slot.cell.box)),
        table=zone.name if slot.cell.row is not None else "",
    )
    settled = _without_digits(empty, slot, text)
    if settled is not None:
        return settled
    assert text is not None  # else the field is illegible
    best = choice.guesses[choice.chosen]
    state, review, reasons = _judged(slot, text, again, choice, config)
    meaning = _meaning(best.text, text, slot)
    if meaning.doubt:
        review, reasons = True, [*reasons, meaning.doubt]
    rest = sorted((g for k, g in enumerate(choice.guesses) if k != choice.chosen), key=lambda g: -g.probability)
    return replace(
        empty,
        text=best.text,
        digits=tuple(
            DigitReading(
                box=to_source(d.box), digit=d.digit, confidence=d.confidence, runner_up=d.runner_up, margin=d.margin
            )
            for d in text.digits
        )
        if best.text == text.best.text
        else (),
        confidence=min(max(best.probability, 0.0), 1.0),
        state=state,
        review=review,
        reason="; ".join(reasons),
        alternatives=tuple(
            Alternative(g.text, g.probability)
            for g in rest[: config.decode.alternatives]
            if g.probability > _P.negligible
        ),
        written=(slot.printed.written if slot.printed else text.written) if best.text == text.raw else best.text,
        raw=text.raw if best.text != text.raw else "",
        value=meaning.value,
    )


def _without_digits(empty: FieldReading, slot: Slot, text: FieldText | None) -> FieldReading | None:
    """The reading of a tick box, and of a field struck out, blank or illegible; None where there is a number."""
    if slot.cell.zone.kind == "mark":
        ticked = slot.state is State.VALUE
        return replace(
            empty,
            text="1" if ticked else "",
            confidence=_P.unsure if slot.note else _P.sure,
            review=bool(slot.note),
            reason=slot.note,
        )
    if slot.state is State.STRUCK:
        return replace(empty, review=True, reason="struck out")
    if slot.state is State.BLANK:
        return replace(
            empty,
            review=slot.cell.zone.required,
            reason="required, and empty" if slot.cell.zone.required else "",
            confidence=_P.sure,
        )
    if text is None:
        return replace(empty, state=State.ILLEGIBLE, review=True, reason="no digits could be made out", confidence=0.0)
    if text.struck > 0.5:
        why = f"digits are struck out: {text.written}" if text.raw else "struck out"
        return replace(empty, state=State.STRUCK, review=True, reason=why, confidence=text.struck)
    return None


def _judged(
    slot: Slot, text: FieldText, again: FieldText | None, choice: Choice, config: Config
) -> tuple[State, bool, list[str]]:
    """A number's state, whether a person should look at it, and why."""
    best = choice.guesses[choice.chosen]
    review, reason = reason_of(text, config.decode)
    reasons = [reason] if reason else []
    state = State.INVALID if best.breaks else State.VALUE
    taken = text.best.text
    if best.text != taken:  # the rules across fields chose another guess
        review, reasons = (
            best.probability < config.decode.review_below,
            [f"{choice.decided_by} decided: the ink says {text.raw}"],
        )
    elif not text.decided_by and not best.breaks:
        review = best.probability < config.decode.review_below
        reasons = reasons if review else []
    if choice.broken:
        state, review = State.INVALID, True
        reasons += [f"{label} does not hold" for label in choice.broken]
    if slot.note:
        review, reasons = True, [*reasons, slot.note]
    if again is not None and again.best.text != best.text:
        review, reasons = True, [*reasons, f"with the form's own print it reads {again.best.text}"]
    return state, review, reasons
