"""Pages of `benchmarks/pages.py`: what is noted as truth stands there, and readings are counted by place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from bare_ones import compare_row
from drawn_pages import KINDS, draw_page
from drawn_pages.comparing import compare_runs, sign_test
from drawn_pages.damage import Damage, damaged
from drawn_pages.hands import Writer
from drawn_pages.matching import Found, match
from drawn_pages.sheet import RuleStyle, Sheet
from drawn_pages.truth import Number, Rect

WITHOUT_NUMBERS = {"text"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_numbers_stand_where_the_truth_says(kind: str) -> None:
    page = draw_page(kind, 3)
    height, width = page.image.shape
    assert page.image.dtype == np.uint8
    assert bool(page.numbers) != (kind in WITHOUT_NUMBERS)
    for k, number in enumerate(page.numbers):
        x, y, w, h = number.box
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        inside = page.image[int(y) : int(y + h) + 1, int(x) : int(x + w) + 1].astype(float)
        around = page.image[max(0, int(y) - 4) : int(y + h) + 5, max(0, int(x) - 4) : int(x + w) + 5].astype(float)
        assert inside.min() < np.median(around) - 25, number
        assert number.text.isdigit()
        assert all(number.box.overlap(other.box) < 0.5 for other in page.numbers[:k])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_page_is_the_same_whenever_it_is_drawn(kind: str) -> None:
    first, again, other = draw_page(kind, 5), draw_page(kind, 5), draw_page(kind, 6)
    assert np.array_equal(first.image, again.image)
    assert first.numbers == again.numbers
    assert first.image.shape != other.image.shape or not np.array_equal(first.image, other.image)


def test_boxes_go_where_the_ink_goes() -> None:
    sheet = Sheet(300, 200, 1, np.random.default_rng(1))
    sheet.note("1", sheet.put(np.ones((20, 10), np.float32), 200, 40))
    how = Damage(skew_degrees=2.0, bow=0.03, corners=0.05, blur=0.3, noise=0.0)
    image, [number] = damaged(sheet, how, np.random.default_rng(2))
    ys, xs = np.nonzero(image < 100)
    found = Rect(xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
    assert np.allclose(found, number.box, atol=3)
    assert abs(number.box.y - 40) > 10  # it did move


@pytest.mark.parametrize(("pattern", "least", "most"), [
    ("solid", 1.0, 1.0), ("dotted", 0.2, 0.75), ("dashed", 0.5, 0.85), ("broken", 0.7, 0.999),
])  # fmt: skip
def test_rules_are_drawn_as_they_are_named(pattern: str, least: float, most: float) -> None:
    sheet = Sheet(1200, 20, 1, np.random.default_rng(1))
    sheet.rule(0, 10, 1199, 10, RuleStyle(2.0, 1.0, pattern))
    covered = float((sheet.ink.max(axis=0) > 0.5).mean())
    assert least <= covered <= most


BOXES = [Rect(10, 10, 40, 20), Rect(100, 10, 40, 20)]
TRUTH = [Number("758", BOXES[0]), Number("2712", BOXES[1], "27½", ("27",))]


def _found(text: str, box: Rect, review: bool = False) -> Found:
    return Found(text, box, review)


@pytest.mark.parametrize(("readings", "want"), [
    # right: digit for digit, signs apart, and either way of giving a half
    ([("7.58", BOXES[0], False), ("27", BOXES[1], False)], {"right": 2, "silent": 0, "made_up": 0}),
    ([("758", BOXES[0], True), ("2712", BOXES[1], False)], {"right": 2, "silent": 0, "made_up": 0, "review": 1}),
    # missing, wrong and in pieces
    ([], {"right": 0, "silent": 2, "made_up": 0}),
    ([("75", BOXES[0], False), ("2", Rect(100, 10, 15, 20), False), ("7", Rect(120, 10, 15, 20), False)],
     {"right": 0, "silent": 2, "made_up": 0}),
    # one piece that is marked tells of the whole
    ([("2", Rect(100, 10, 15, 20), False), ("", Rect(120, 10, 15, 20), True)], {"right": 0, "silent": 1, "review": 1}),
    # a reading across both is wrong for both
    ([("75827", Rect(10, 10, 130, 20), False)], {"right": 0, "silent": 2, "made_up": 0}),
    # readings elsewhere, and beside a right one in its place; what is marked, or holds no digit, is not made up
    ([("758", BOXES[0], False), ("1", Rect(10, 10, 5, 20), False), ("27", BOXES[1], False)],
     {"right": 2, "silent": 0, "made_up": 1}),
    ([("4", Rect(300, 10, 9, 20), False), ("5", Rect(300, 50, 9, 20), True), ("", Rect(300, 90, 9, 20), False)],
     {"right": 0, "silent": 2, "made_up": 1, "review": 1}),
])  # fmt: skip
def test_readings_are_counted_by_place(readings: list[tuple[str, Rect, bool]], want: dict[str, Any]) -> None:
    tally = match(TRUTH, [_found(*reading) for reading in readings])
    assert tally.numbers == 2
    assert {name: getattr(tally, name) for name in want} == want
    assert len(tally.mistakes) >= tally.silent + bool(tally.made_up)


def test_an_optional_number_counts_only_when_it_is_read_wrong() -> None:
    year = [Number("1927", BOXES[0], optional=True)]
    for text, made_up in (("1927", 0), ("192", 1), ("", 0)):
        tally = match(year, [_found(text, BOXES[0])])
        assert (tally.numbers, tally.right, tally.silent, tally.made_up) == (0, 0, 0, made_up)

    columns = [Number(text, Rect(10 + 30 * k, 10, 10, 20), optional=True) for k, text in enumerate("374")]
    for text, made_up in (("374", 0), ("000", 1)):  # one reading over all of them counts once
        tally = match(columns, [_found(text, Rect(10, 10, 70, 20))])
        assert (tally.made_up, len(tally.mistakes)) == (made_up, made_up)


def test_a_hand_of_bare_ones_draws_a_single_stroke() -> None:
    for seed in range(20):
        ink = Writer(np.random.default_rng(seed), bare=1.0).digit(1, 40) > 0.4
        assert ink.shape[1] < 0.45 * ink.shape[0]
        starts = ink[:, :1].sum(axis=1) + (np.diff(ink.astype(int), axis=1) == 1).sum(axis=1)
        assert starts.max() == 1, seed  # no row of pixels crosses a second stroke


@pytest.mark.parametrize(("texts", "review", "ones", "lost"), [
    (["10113"], False, 3, False),
    (["1", "0113"], False, 3, False),  # in pieces, and yet no 1 is lost
    (["013"], False, 1, True),
    (["013"], True, 1, False),
    (["70113"], False, 2, True),
    ([], False, 0, True),
])  # fmt: skip
def test_ones_are_counted_in_their_place(texts: list[str], review: bool, ones: int, lost: bool) -> None:
    readings = [_found(text, Rect(10 + 8 * k, 10, 8, 20), review) for k, text in enumerate(texts)]
    row = compare_row(0, Number("10113", BOXES[0]), readings)
    assert (row.ones, row.lost) == (ones, lost)


def _run(pages: dict[str, list[Found]], picture: int = 7) -> dict[str, Any]:
    run: dict[str, Any] = {"pages": {}, "mistakes": []}
    for name, readings in pages.items():
        tally = match(TRUTH, readings)
        counts = ("numbers", "right", "silent", "made_up", "review")
        run["pages"][name] = {"picture": picture, **{count: getattr(tally, count) for count in counts}}
        run["mistakes"] += [{**mistake, "page": name} for mistake in tally.mistakes]
    return run


def test_two_runs_are_compared_number_by_number() -> None:
    elsewhere = Rect(300, 10, 9, 20)
    old = {"forms 1": [_found("758", BOXES[0]), _found("99", BOXES[1])],
           "forms 2": [_found("75", BOXES[0], True), _found("27", BOXES[1]), _found("4", elsewhere)]}  # fmt: skip
    new = {"forms 1": [_found("7", BOXES[0]), _found("2712", BOXES[1]), _found("4", elsewhere)],
           "forms 2": [_found("75", BOXES[0]), _found("27", BOXES[1])]}  # fmt: skip
    result = compare_runs(_run(old), _run(new))
    assert [(c.page, c.truth, c.old, c.new, c.readings, c.worse) for c in result.changes] == [
        ("forms 1", "27½", "silent", "right", ("99", ""), False),
        ("forms 1", "758", "right", "silent", ("", "7"), True),
        ("forms 1", "", "nothing", "made up", ("", "4"), True),
        ("forms 2", "758", "review", "silent", ("75?", "75"), True),
        ("forms 2", "", "made up", "nothing", ("4", ""), False),
    ]
    assert result.odd == 0


def test_pages_that_cannot_be_compared_are_counted() -> None:
    pages = {"forms 1": [_found("758", BOXES[0])]}
    assert compare_runs(_run(pages), _run(pages, picture=8)).odd == 1
    assert compare_runs(_run(pages), _run(pages | {"forms 2": []})).odd == 1


@pytest.mark.parametrize(("better", "worse", "chance"), [(8, 0, 2 / 256), (3, 3, 1.0), (0, 0, 1.0), (1, 5, 14 / 64)])
def test_chance_of_a_split(better: int, worse: int, chance: float) -> None:
    assert sign_test(better, worse) == pytest.approx(chance)
