"""Decimal points of amounts: seen, told by something else, or in doubt, and never left out in silence."""

from __future__ import annotations

import pytest

from digitscan.core.types import Box
from digitscan.decoding.readings import ReadDigit
from digitscan.forms.points import Meaning, meaning_of, tells_of_point
from digitscan.forms.template import FieldRules

ENGLISH = {"decimals": 2, "locale": "en"}
GERMAN = {"decimals": 2, "locale": "de"}


def digits(*places: tuple[int, int, int]) -> list[ReadDigit]:
    """Digits by left edge, top and height; each is 20 pixels wide."""
    return [ReadDigit(Box(x, y, 20, h), "1", 0.9, "7", 0.8) for x, y, h in places]


@pytest.mark.parametrize(
    ("text", "written", "rules", "value"),
    [
        ("1524", "15.24", ENGLISH, "15.24"), ("1524", "15,24", GERMAN, "15.24"), ("1524", "15,24", ENGLISH, "15.24"),
        ("1524", "15-24", ENGLISH, "15.24"), ("1524", "15/24", ENGLISH, "15.24"), ("1524", "15.24-", ENGLISH, "15.24"),
        ("1524100", "15 24/100", ENGLISH, "15.24"), ("1524100", "1524/100", GERMAN, "15.24"),
        ("1524", "1524.-", ENGLISH, "1524.00"), ("1524", "1,524", ENGLISH, "1524.00"),
        ("1524", "1.524,-", GERMAN, "1524.00"), ("152", "15.2", ENGLISH, "15.20"),
    ],
)  # fmt: skip
def test_a_sign_tells_where_the_point_is(text: str, written: str, rules: dict[str, object], value: str) -> None:
    assert meaning_of(text, written, FieldRules.model_validate(rules)) == Meaning(value)


@pytest.mark.parametrize(
    ("text", "written"),
    [("1524", "1524"), ("1524", ""), ("1524", "1528"), ("1524", "1524-"), ("1524", "1-524")],
)
def test_an_amount_without_a_point_is_in_doubt_and_never_whole(text: str, written: str) -> None:
    for rules in (ENGLISH, GERMAN):
        meaning = meaning_of(text, written, FieldRules.model_validate(rules))
        assert meaning.value == "15.24"
        assert meaning.doubt == "no decimal point was seen: 15.24, or 1524.00"
        assert meaning_of(text, written, FieldRules.model_validate(rules), point_seen=True) == Meaning("15.24")


def test_where_places_decide_there_is_no_doubt() -> None:
    assert meaning_of("1524", "", FieldRules(decimals=2)) == Meaning("15.24")
    assert meaning_of("1524", "1524", FieldRules(decimals=0, locale="en")) == Meaning("1524")
    assert meaning_of("1524", "1524", FieldRules()) == Meaning("")


@pytest.mark.parametrize(
    ("places", "marks", "seen"),
    [
        ([(0, 0, 40), (25, 0, 40), (50, 0, 40), (75, 0, 40)], [], False),
        ([(0, 0, 40), (25, 0, 40), (70, 0, 40), (95, 0, 40)], [], True),  # a gap of 25 beside gaps of 5
        ([(0, 0, 40), (25, 0, 40), (57, 0, 40), (82, 0, 40)], [], False),  # 12 px are too little for a point
        ([(0, 0, 40), (25, 0, 40), (70, 0, 40), (110, 0, 40)], [], False),  # 25 beside 20: widely written
        ([(0, 0, 40), (45, 0, 40), (70, 0, 40), (95, 0, 40)], [], False),  # the gap is elsewhere
        ([(0, 0, 40), (25, 0, 40), (50, 0, 24), (75, 0, 26)], [], True),  # small raised cents
        ([(0, 0, 40), (25, 0, 40), (50, 0, 36), (75, 0, 26)], [], False),  # one low digit is none
        ([(0, 0, 40), (25, 0, 40), (55, 0, 40), (80, 0, 40)], [Box(48, 36, 4, 4)], True),  # a point
        ([(0, 0, 40), (25, 0, 40), (55, 0, 40), (80, 0, 40)], [Box(48, 18, 4, 4)], True),  # raised
        ([(0, 0, 40), (30, 0, 40), (55, 0, 40), (80, 0, 40)], [Box(22, 36, 4, 4)], False),  # elsewhere
        ([(0, 0, 40), (25, 0, 40)], [Box(22, 36, 4, 4)], False),  # nothing stands before the cents
        ([(0, 0, 40), (70, 0, 40), (95, 0, 40)], [], True),  # 5|24: the one gap beside that within the cents
    ],
)
def test_ink_tells_of_a_point_that_was_not_read(
    places: list[tuple[int, int, int]], marks: list[Box], seen: bool
) -> None:
    assert tells_of_point(digits(*places), marks, 2) is seen
