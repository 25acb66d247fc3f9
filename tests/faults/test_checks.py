"""Checks that fail: whatever the readings, none is lost, and the page says what was not checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitscan.authoring.stress import fill, random_values
from digitscan.core.config import Config
from digitscan.core.guard import Checks
from digitscan.core.types import (
    Alternative,
    Box,
    FieldReading,
    Layout,
    PageRef,
    PageResult,
    Quality,
    RasterPage,
    State,
)
from digitscan.decoding.joint import Choice
from digitscan.forms import finish as form_finish
from digitscan.forms.finish import finish_form
from digitscan.forms.formset import FormSet
from digitscan.pipeline import finish
from digitscan.pipeline.finish import check_table
from digitscan.regions.prepared import PreparedPage
from digitscan.tables.checks import doubt_lengths, weigh_lengths, with_overlooked
from digitscan.tables.totals import check_totals, find_totals
from tests.conftest import AlwaysSeven
from tests.small_form import write_template
from tests.test_filling import drawn_hands

TEXTS = st.one_of(st.text("0123456789", max_size=6), st.sampled_from(["", "0", "00", "9" * 40, "1" * 5000]))
PLACES = st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 6), st.integers(1, 6)), st.just((None, None)))


@st.composite
def arbitrary_readings(draw: st.DrawFn) -> list[FieldReading]:
    """None, one, all in one place, numbers of any length, with rivals of any length."""
    readings = []
    for number in range(draw(st.integers(0, 40))):
        row, column = draw(PLACES)
        rivals = tuple(Alternative(text, 0.2) for text in draw(st.lists(TEXTS, max_size=2)))
        box = Box(10 * (column or 0), 20 * (row or 0), draw(st.integers(0, 9)), draw(st.integers(0, 15)))
        readings.append(
            FieldReading(f"s{number + 1}", row, column, draw(TEXTS), (), 0.7, State.VALUE, False, "", rivals, box)
        )
    return readings


def table_page(*readings: FieldReading) -> tuple[PreparedPage, PageResult]:
    page = PreparedPage(
        ref=PageRef("t.png"), width=400, height=400, dpi=None, skew_degrees=0.0, to_source=np.eye(3), contrast=0.8,
        layout=Layout.TABLE, strings=(), crops=np.zeros((0, 28, 28), np.uint8), table_found=True,
    )  # fmt: skip
    return page, PageResult(page.ref, 400, 400, None, 0.0, Quality(0.8, 20.0), readings)


@settings(deadline=None, max_examples=150)
@given(arbitrary_readings())
def test_no_check_of_a_table_raises_or_loses_a_reading(readings: list[FieldReading]) -> None:
    find_totals(readings)
    for check in (weigh_lengths, doubt_lengths, lambda r: check_totals(r, 0.9)):
        assert len(check(readings)) == len(readings)
    page, result = table_page(*readings)
    checked = check_table(page, result, Config())
    # Cells that may be overlooked are added; what was read is all there, and no check gave up.
    assert [r.box for r in checked.readings if r.confidence > 0] == [r.box for r in readings]
    assert checked.quality.warnings == ()
    assert with_overlooked([], lambda x, y: True) == []


def test_a_table_whose_places_are_all_taken_twice_has_no_totals() -> None:
    one = FieldReading("s1", 1, 1, "12", (), 0.9, State.VALUE, False, "", (), Box(0, 0, 9, 9))
    assert find_totals([one, replace(one, name="s2", text="7")]) == []


@pytest.mark.parametrize("check", ["weigh_lengths", "check_totals", "doubt_lengths", "with_overlooked"])
def test_a_check_that_fails_costs_a_warning(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> list[FieldReading]:
        raise IndexError("list index out of range")

    monkeypatch.setattr(finish, check, broken)
    one = FieldReading("s1", 1, 1, "12", (), 0.9, State.VALUE, False, "", (), Box(0, 0, 9, 9))
    page, result = table_page(one)
    checked = check_table(page, result, Config())
    assert checked.readings == (one,)
    [warning] = checked.quality.warnings
    assert "not checked" in warning and "IndexError: list index out of range" in warning


def test_a_rule_of_a_form_that_fails_costs_a_warning(
    tmp_path: Path, seven: AlwaysSeven, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = FormSet([write_template(tmp_path)], Config())
    rng = np.random.default_rng(4)
    image = fill(forms.pages[0], random_values(forms.pages[0].template, 1, rng), drawn_hands()(rng), rng)
    page = forms.prepare(RasterPage(PageRef("f.png"), image))
    posteriors = seven.classify(page.prepared.crops)

    def half_done(rule: object, label: str, choices: dict[str, Choice], columns: object) -> None:
        choices["a"].chosen = 10**6  # what a failing rule did so far must not stay
        raise ZeroDivisionError("division by zero")

    whole = finish_form(page, posteriors, Config())
    monkeypatch.setattr(form_finish, "weigh", half_done)
    kept = finish_form(page, posteriors, Config())
    assert [r.name for r in kept.readings] == [r.name for r in whole.readings] and len(kept.readings) == 5
    assert "ZeroDivisionError" in kept.quality.warnings[-1] and not whole.quality.warnings


def test_interruptions_pass_through() -> None:
    def interrupted(value: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Checks().run("totals", interrupted, 1)
