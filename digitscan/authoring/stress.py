"""A form put to the test before it is printed: filled in by synthetic hands, damaged as paper is, and read.

The forecast says for each field how often it is read right, how much would go to review, and how many errors would
slip through. It is as good as the hands: real ones differ, and a first hundred real pages tell more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from digitscan.authoring.blank_cheque import draw_cheque, line_of
from digitscan.core.errors import UsageError
from digitscan.core.types import FieldReading, GrayImage, PageFailure, PageRef, PageResult, RasterPage, State
from digitscan.decoding.automata import Automaton, AutomatonState
from digitscan.decoding.rules import Operand, parse_rule
from digitscan.forms.cells import FormCell
from digitscan.forms.constraints import constraint_of
from digitscan.forms.form_page import FormPage
from digitscan.forms.points import meaning_of
from digitscan.forms.template import MM_PER_INCH, GridSpec, Template, Zone, cell_name
from digitscan.training.drawing import GlyphBank, SheetStyle, paper
from digitscan.training.form_hand import Hand
from digitscan.training.handwriting import drawn_sources
from digitscan.training.line_signs import draw_sign

Rng = np.random.Generator
Canvas = NDArray[np.float32]
Damage = Literal["scan", "fax", "photo", "low"]
DAMAGES: tuple[Damage, ...] = ("scan", "fax", "photo", "low")
"""Scanned at 150 to 300 dpi, faxed, photographed, or scanned at 90 to 120 dpi."""
Pen = Callable[[int, int, Rng], Canvas]
"""Draws a digit about so many pixels high: (h, w) float32 ink, 0 to 1, tight."""

_BLANK_SHARE = 0.1
"""Fields that are left empty, where the template allows it."""


def drawn_hands() -> Callable[[Rng], Pen]:
    """Writers made by rule, who need no data: each call is another hand."""
    bank = GlyphBank.of(list(drawn_sources()))

    def writer(rng: Rng) -> Pen:
        hand = Hand(bank, rng)
        slant, level, dark = float(rng.normal(0.06, 0.12)), float(rng.uniform(0.35, 0.55)), 0.9

        def pen(digit: int, height: int, rng: Rng) -> Canvas:
            return hand.draw(digit, SheetStyle(max(8, height), slant, level, dark), rng)

        return pen

    return writer


# ------------------------------------------------------------------------------------------------- values


def random_text(automaton: Automaton | None, longest: int, rng: Rng) -> str | None:
    """A text that an automaton accepts, by a random walk that turns back at dead ends; None where it finds none."""
    if automaton is None:
        return "".join(str(d) for d in rng.integers(10, size=int(rng.integers(1, min(longest, 6) + 1))))
    dead: set[tuple[AutomatonState, int]] = set()
    wanted = int(rng.integers(1, longest + 1))
    for least in (wanted, 1):  # short texts would come too often where any length may end
        dead.clear()
        found = _walk(automaton, automaton.start, longest, least, rng, dead)
        if found is not None:
            return found
    return None


def _walk(
    automaton: Automaton, state: AutomatonState, left: int, least: int, rng: Rng, dead: set[tuple[AutomatonState, int]]
) -> str | None:
    if least <= 0 and automaton.accepts(state) and (left == 0 or rng.random() < 0.5):
        return ""
    if left == 0 or (state, left) in dead:
        return None
    for digit in rng.permutation(10).tolist():
        after = automaton.step(state, digit)
        if after is not None:
            rest = _walk(automaton, after, left - 1, least - 1, rng, dead)
            if rest is not None:
                return f"{digit}{rest}"
    if least <= 0 and automaton.accepts(state):
        return ""
    dead.add((state, left))
    return None


def random_values(template: Template, page: int, rng: Rng) -> dict[str, str]:
    """A text for each value of a page, by name, under all rules; empty for fields that are left blank.

    Raises
    ------
    UsageError
        If no values can be found that fulfil a field's rules.
    """
    values: dict[str, str] = {}
    zones = {zone.name: zone for zone in template.zones(page)}
    owner: dict[str, Zone] = {}
    for zone in zones.values():
        constraint = constraint_of(zone, template.allowed(zone))
        names = [zone.name]
        if isinstance(zone, GridSpec):
            names = [cell_name(zone, r + 1, c + 1) for r in range(zone.row_count) for c in range(zone.column_count)]
        for name in names:
            owner[name] = zone
            if zone.kind == "mark":
                values[name] = "1" if rng.random() < 0.5 else ""
            elif not zone.required and rng.random() < _BLANK_SHARE:
                values[name] = ""
            else:
                text = random_text(constraint.whole if constraint else None, zone.length[1], rng)
                if text is None:
                    raise UsageError(
                        f"no text fulfils the rules of {zone.name!r}", remedy="look at its check and length"
                    )
                values[name] = text
    _fulfil(template, page, values, owner)
    for name, owned in owner.items():
        if owned.kind == "micr" and owned.part == "line":
            values[name] = "".join(c for c in line_of(template, values) if c.isdigit())
    return values


def _fulfil(template: Template, page: int, values: dict[str, str], owner: Mapping[str, Zone]) -> None:
    """Make the rules that give a field come true, in the template's order; others are left to chance."""
    columns = template.grid_columns(page)

    def number(name: str) -> Decimal | None:
        text = values[name]
        return Decimal(meaning_of(text, text, owner[name]).value or text) if text else None

    for rule in template.rule:
        parsed = parse_rule(rule.expression)
        if parsed.target not in owner or not all(name in owner or name in columns for name in parsed.names):
            continue  # gives no field, or speaks of other pages too
        operands: dict[str, Operand] = {
            n: [number(c) for c in columns[n]] if n in columns else number(n) for n in parsed.names
        }
        result = parsed.result(operands)
        zone = owner[parsed.target]
        if result is None:
            values[parsed.target] = ""
            continue
        whole = int(result * 10 ** (zone.decimals or 0))
        low, high = zone.length
        text = str(whole).zfill(low)
        values[parsed.target] = text if len(text) <= high and whole >= 0 else ""


# -------------------------------------------------------------------------------------------------- pages


def form_to_fill(form: FormPage, values: Mapping[str, str], rng: Rng) -> tuple[GrayImage, Sequence[FormCell]]:
    """A form as it lies before its writer, and the places of its fields: its blank, or a cheque with these numbers."""
    if form.blank is not None:
        return form.blank.image, form.cells
    cheque = draw_cheque(form, values, rng)
    return cheque.image, cheque.cells


def fill(form: FormPage, values: Mapping[str, str], pen: Pen, rng: Rng) -> GrayImage:
    """Write values into a form's blank, one hand a page.

    Returns
    -------
    (H, W) uint8
        As clean as the blank; see `damaged`.
    """
    image, cells = form_to_fill(form, values, rng)
    page = image.astype(np.float32) / 255.0
    dark = float(rng.uniform(0.6, 0.95))
    size = float(rng.uniform(0.58, 0.78))
    for cell in cells:
        text = values.get(cell.name, "")
        if cell.zone.kind == "micr":  # printed
            continue
        if cell.zone.kind == "mark":
            if text:
                _tick(page, cell, dark, form.dpi, rng)
        elif cell.zone.places > 1 or cell.zone.kind in ("boxes", "comb"):
            _in_boxes(page, cell, text, pen, size, dark, rng)
        elif text:
            _on_line(page, cell, text, pen, size, dark, rng)
    return np.asarray(np.clip(page * 255, 0, 255), np.uint8)


def _write(page: Canvas, ink: Canvas, x: float, y: float, dark: float) -> None:
    left, top = max(round(x), 0), max(round(y), 0)
    region = page[top : top + ink.shape[0], left : left + ink.shape[1]]
    region *= 1 - dark * ink[: region.shape[0], : region.shape[1]]


def _tick(page: Canvas, cell: FormCell, dark: float, dpi: float, rng: Rng) -> None:
    x, y, w, h = cell.box
    pen = max(2, round(0.45 * dpi / MM_PER_INCH))
    ink = np.zeros((round(1.6 * h), round(1.6 * w)), np.float32)
    middle = np.array([0.8 * w, 0.8 * h])
    if rng.random() < 0.6:
        strokes = [[(-0.4, -0.4), (0.4, 0.4)], [(0.4, -0.4), (-0.4, 0.4)]]
    else:
        strokes = [[(-0.35, 0.0), (-0.1, 0.35), (0.5, -0.5)]]
    for stroke in strokes:
        points = [middle + (np.array(p) + rng.normal(0, 0.05, 2)) * [w, h] for p in stroke]
        for a, b in pairwise(points):
            cv2.line(
                ink,
                tuple(np.round(a).astype(int).tolist()),
                tuple(np.round(b).astype(int).tolist()),
                1.0,
                pen,
                cv2.LINE_AA,
            )
    _write(page, ink, x - 0.3 * w, y - 0.3 * h, dark)


def _in_boxes(page: Canvas, cell: FormCell, text: str, pen: Pen, size: float, dark: float, rng: Rng) -> None:
    x, y, w, h = cell.box
    wide = w / cell.zone.places
    start = cell.zone.places - len(text)  # numbers stand at the right
    for k, digit in enumerate(text):
        ink = pen(int(digit), round(size * h * rng.uniform(0.9, 1.1)), rng)
        if ink.shape[1] > 0.95 * wide:
            ink = cv2.resize(ink, (max(2, round(0.95 * wide)), ink.shape[0]), interpolation=cv2.INTER_AREA)
        dx, dy = rng.normal(0, 0.06 * wide), rng.normal(0, 0.05 * h)
        _write(page, ink, x + (start + k + 0.5) * wide - ink.shape[1] / 2 + dx, y + (h - ink.shape[0]) / 2 + dy, dark)


def _on_line(page: Canvas, cell: FormCell, text: str, pen: Pen, size: float, dark: float, rng: Rng) -> None:
    x, y, w, h = cell.box
    decimals = cell.zone.decimals or 0
    high = size * h
    inks: list[tuple[Canvas, float]] = []
    for k, digit in enumerate(text):
        if decimals and k == len(text) - decimals and k:
            inks.append(
                draw_sign(
                    "," if cell.zone.locale in ("de", "fr") else ".", round(high), max(2, round(0.08 * high)), rng
                )
            )
        inks.append((pen(int(digit), round(high * rng.uniform(0.92, 1.08)), rng), 0.0))
    gap = rng.uniform(0.05, 0.22) * high
    needed = sum(ink.shape[1] for ink, _ in inks) + gap * (len(inks) - 1)
    squeeze = min(1.0, 0.94 * w / max(needed, 1.0))
    at = x + rng.uniform(0.02, max(0.03, 1 - squeeze * needed / w - 0.03)) * w
    foot = y + h - 0.1 * h
    for ink, rise in inks:
        if squeeze < 1.0:
            ink = cv2.resize(ink, (max(2, round(ink.shape[1] * squeeze)), ink.shape[0]), interpolation=cv2.INTER_AREA)
        _write(page, ink, at, foot - ink.shape[0] - rise * high + rng.normal(0, 0.02 * high), dark)
        at += ink.shape[1] + gap * squeeze * rng.uniform(0.6, 1.4)


def damaged(image: GrayImage, how: Damage, rng: Rng, dpi: float) -> GrayImage:
    """A page of so many dpi as it comes back, see `DAMAGES`; (H, W) uint8, paper is white."""
    if how == "photo":
        return _photo(image, rng)
    page = image.astype(np.float32) / 255.0
    height, width = page.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 0.9)), float(rng.uniform(0.96, 1.02)))
    turn[:, 2] += rng.normal(0, 0.006 * width, 2)
    page = cv2.warpAffine(page, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=1.0)
    wanted = {"scan": rng.uniform(150, 300), "fax": 200.0, "low": rng.uniform(90, 120)}[how]
    scale = min(float(wanted) / dpi, 1.1)
    page = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    page = cv2.GaussianBlur(page, (0, 0), float(rng.uniform(0.4, 0.9)))
    page = page * rng.uniform(0.88, 1.0) + rng.normal(0, 0.015, page.shape).astype(np.float32)
    out = np.asarray(np.clip(page * 255, 0, 255), np.uint8)
    if how == "fax":
        out = np.asarray((out > rng.uniform(150, 190)) * np.uint8(255), np.uint8)
        specks = rng.random(out.shape) < 0.0006
        return np.asarray(np.where(specks, 255 - out, out), np.uint8)
    quality = int(rng.integers(55, 95))
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0), np.uint8)


def _photo(image: GrayImage, rng: Rng) -> GrayImage:
    height, width = image.shape
    scale = 2200 / max(image.shape)
    w, h = width * scale, height * scale
    margin = 0.12 * max(w, h)
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]]) + margin + rng.normal(0, 0.022 * max(w, h), (4, 2))
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    size = (round(w + 2 * margin), round(h + 2 * margin))
    warp = cv2.getPerspectiveTransform(whole, corners.astype(np.float32))
    desk = np.full((size[1], size[0]), rng.uniform(0.2, 0.55), np.float32)
    desk += cv2.resize(rng.normal(0, 0.04, (size[1] // 8, size[0] // 8)).astype(np.float32), size)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    warp = warp @ np.diag([width / small.shape[1], height / small.shape[0], 1.0])
    sheet = cv2.warpPerspective(small, warp, size, flags=cv2.INTER_LINEAR)
    where = cv2.warpPerspective(np.ones_like(small), warp, size)
    page = desk * (1 - where) + sheet * np.minimum(paper((size[1], size[0]), rng, 0.0) + 0.15, 1.0) * where
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (np.cos(angle) * (x / size[0] - 0.5) + np.sin(angle) * (y / size[1] - 0.5)).astype(np.float32)
    page *= 1 - rng.uniform(0.0, 0.35) * (ramp + 0.5)
    page = cv2.GaussianBlur(page, (0, 0), float(rng.uniform(0.5, 1.1)))
    page += rng.normal(0, 0.012, page.shape).astype(np.float32)
    out = np.asarray(np.clip(page * 255, 0, 255), np.uint8)
    quality = int(rng.integers(60, 92))
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0), np.uint8)


# ------------------------------------------------------------------------------------------------ forecast


@dataclass(slots=True)
class Score:
    """How a field, or all of them, fared.

    Attributes
    ----------
    fields, right : int
        Fields with something in them, and those read right.
    accepted, accepted_wrong : int
        Not marked for review, and those of them that are wrong.
    blanks, blanks_kept : int
        Fields left empty, and those read as empty.
    overridden, overridden_wrong : int
        Texts that a rule chose against the ink, and those of them that are wrong.
    """

    fields: int = 0
    right: int = 0
    accepted: int = 0
    accepted_wrong: int = 0
    blanks: int = 0
    blanks_kept: int = 0
    overridden: int = 0
    overridden_wrong: int = 0

    def count(self, reading: FieldReading | None, truth: str) -> None:
        """Add one field; None is a page that was not read."""
        if not truth:
            self.blanks += 1
            self.blanks_kept += reading is None or reading.state is State.BLANK
            return
        self.fields += 1
        if reading is None:
            return
        correct = reading.text == truth
        self.right += correct
        accepted = not reading.review
        self.accepted += accepted
        self.accepted_wrong += accepted and not correct
        self.overridden += bool(reading.raw)
        self.overridden_wrong += bool(reading.raw) and not correct


@dataclass(slots=True)
class Forecast:
    """Scores by damage, and by field; and the pages that could not be read."""

    by_damage: dict[str, Score] = field(default_factory=dict)
    by_field: dict[str, Score] = field(default_factory=dict)
    pages: int = 0
    failed: list[PageFailure] = field(default_factory=list)

    def count(
        self, how: str, outcome: PageResult | PageFailure, truth: Mapping[str, str], names: Mapping[str, str]
    ) -> None:
        """Add one page; `names` gives the zone of each value."""
        self.pages += 1
        readings: dict[str, FieldReading] = {}
        if isinstance(outcome, PageFailure):
            self.failed.append(outcome)
        else:
            readings = {reading.name: reading for reading in outcome.readings}
        for name, text in truth.items():
            for scores, key in ((self.by_damage, how), (self.by_field, names[name])):
                scores.setdefault(key, Score()).count(readings.get(name), text)


def stress_pages(
    forms: Sequence[FormPage],
    count: int,
    seed: int,
    writer: Callable[[Rng], Pen],
    damages: Sequence[Damage] = DAMAGES,
) -> Iterator[tuple[RasterPage, Damage, FormPage, dict[str, str]]]:
    """Filled and damaged pages with their truth, `count` of them, forms and damages in turn; the same for a seed."""
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        form = forms[number % len(forms)]
        how = damages[(number // len(forms)) % len(damages)]
        values = random_values(form.template, form.page, rng)
        image = damaged(fill(form, values, writer(rng), rng), how, rng, form.dpi)
        yield RasterPage(PageRef(f"{form.template.form.name}-{number + 1}-{how}"), image), how, form, values
