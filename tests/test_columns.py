"""Tables whose columns are regular: remains of lines beside numbers, numbers that run together, odd lengths."""

from __future__ import annotations

from dataclasses import replace

import pytest

from digitscan.core.types import Alternative, Box, FieldReading, State
from digitscan.decoding.readings import ReadDigit, ReadString
from digitscan.tables.checks import doubt_lengths, weigh_lengths, with_overlooked
from digitscan.tables.columns import Placed, find_columns, in_columns, without_stray_rows


def number(text: str, x: int, row: int, *, y: int = 0, height: int = 30) -> ReadString:
    """Digits 20 pixels wide and 22 apart, on a line of 40 pixels."""
    top = y or 40 * row
    digits = tuple(ReadDigit(Box(x + 22 * k, top, 20, height), c, 0.99, "0", 0.9) for k, c in enumerate(text))
    return ReadString(Box(x, top, 22 * len(text) - 2, height), text, digits, 0.98, (), "")


def table(rows: int = 8) -> list[Placed]:
    """Two columns of four digits, at 100 and 220."""
    return [(number(f"{1000 * c + r:04d}", 100 + 120 * (c - 1), r), (r, c)) for r in range(1, rows + 1) for c in (1, 2)]


def told(placed: list[Placed]) -> dict[tuple[int, int], list[str]]:
    found: dict[tuple[int, int], list[str]] = {}
    for string, cell in placed:
        assert cell is not None
        found.setdefault(cell, []).append(string.text)
    return found


def test_columns_are_regular_where_most_numbers_are_alike() -> None:
    columns = find_columns(table())
    assert {c: column.digits for c, column in columns.items()} == {1: 4, 2: 4}
    assert columns[1].at(3) == (100, 186, 30)
    assert find_columns(table(4)) == {}  # too few to say
    mixed = [(replace(s, digits=s.digits[: 1 + k % 4]), cell) for k, (s, cell) in enumerate(table())]
    assert find_columns(mixed) == {}


def test_a_regular_table_stays_as_it_is() -> None:
    assert in_columns(table()) == table()
    assert in_columns([]) == [] and in_columns([(number("12", 0, 1), None)]) == [(number("12", 0, 1), None)]


@pytest.mark.parametrize("x", [84, 190])
def test_a_one_beside_a_whole_number_is_a_remain_of_a_line(x: int) -> None:
    placed = [*table(), (number("1", x, 3), (3, 1))]
    assert told(in_columns(placed))[3, 1] == ["1003"]
    inside = [*table(), (number("1", 130, 3, y=100), (3, 1))]
    assert told(in_columns(inside))[3, 1] == ["1003", "1"]  # who can say which of the two is none?
    other = [*table(), (number("7", x, 3), (3, 1))]
    assert len(told(in_columns(other))[3, 1]) == 2


@pytest.mark.parametrize(("text", "x"), [("91561", 100), ("19156", 78)])
def test_a_one_at_the_end_of_a_number_too_long_goes_and_is_told(text: str, x: int) -> None:
    placed = [p for p in table() if p[1] != (3, 1)] + [(number(text, x, 3), (3, 1))]
    [read] = [string for string, cell in in_columns(placed) if cell == (3, 1)]
    assert read.text == "9156" and read.confidence <= 0.5 and text in read.reason
    other = [p for p in table() if p[1] != (3, 1)] + [(number(text.replace("1", "7"), x, 3), (3, 1))]
    assert told(in_columns(other))[3, 1] == [text.replace("1", "7")]  # no remain of a line


def test_numbers_that_run_together_part_at_their_columns() -> None:
    joined = number("9156", 100, 3)
    second = number("0379", 220, 3)
    between = ReadDigit(Box(200, 120, 4, 30), "1", 0.9, "7", 0.8)
    whole = replace(
        joined, text="915610379", digits=(*joined.digits, between, *second.digits), box=Box(100, 120, 206, 30)
    )
    placed = [p for p in table() if p[1] is not None and p[1][0] != 3] + [(whole, (3, 1))]
    found = told(in_columns(placed))
    assert found[3, 1] == ["9156"] and found[3, 2] == ["0379"]
    stranger = replace(whole, digits=(*joined.digits, replace(between, digit="5"), *second.digits))
    assert told(in_columns([*placed[:-1], (stranger, (3, 1))]))[3, 1] == [whole.text]


def test_rows_of_remains_vanish_and_those_below_move_up() -> None:
    lower = [(s, (cell[0] + 1, cell[1])) if cell is not None and cell[0] > 4 else (s, cell) for s, cell in table()]
    placed = [*lower, (number("1", 150, 0, y=185, height=45), (5, 1))]
    assert told(without_stray_rows(placed)) == told(table())
    digit = [*lower, (number("1", 150, 0, y=185), (5, 1))]  # as high as the digits: somebody's one
    *rest, (one, cell) = without_stray_rows(digit)
    assert told(rest) == told(table()) and (one.text, cell) == ("1", None)
    assert one.confidence <= 0.5 and one.reason == "a one between the rows of the table"
    assert without_stray_rows([]) == []


PITCH = 100


def reading(text: str, row: int, column: int, confidence: float = 0.99, *rivals: tuple[str, float]) -> FieldReading:
    return FieldReading(
        "s", row, column, text, (), confidence, State.VALUE, False, "",
        tuple(Alternative(t, p) for t, p in rivals), Box(PITCH * column, 40 * row, 80, 30),
    )  # fmt: skip


def test_the_usual_length_of_a_column_chooses_and_says_so() -> None:
    column = [reading(f"{9000 + k}", k, 1) for k in range(12)]
    doubtful = reading("986", 12, 1, 0.6, ("9862", 0.3), ("98", 0.1))
    *rest, chosen = weigh_lengths([*column, doubtful])
    assert rest == column and chosen.text == "9862" and chosen.raw == "986" and chosen.review
    assert "4 digits" in chosen.reason and 0.5 < chosen.confidence < 0.99
    sure = reading("986", 12, 1, 0.999, ("9862", 0.001))
    assert weigh_lengths([*column, sure])[-1] == sure
    assert doubt_lengths([*column, sure])[-1] == sure  # there are numbers below a thousand
    told = doubt_lengths([*(reading(f"{9000 + k}", 20 + k, 1) for k in range(30)), sure])[-1]
    assert (told.text, told.confidence, told.review) == ("986", 0.999, True)
    assert told.reason == "numbers of this column have 4 digits, this one 3"
    few = [*column[:4], doubtful]
    assert weigh_lengths(few) == few
    page = [replace(doubtful, row=None, column=None)]
    assert weigh_lengths(page) == page


def test_a_column_that_lost_digits_among_regular_ones_is_for_review() -> None:
    full = [reading(f"{k:04d}", k, c) for k in range(1, 13) for c in range(3, 13)]
    days = [reading(str(k), k, 1) for k in range(1, 13)]
    torn = [reading("956" if k % 2 else "9", k, 2) for k in range(1, 13)]
    told = doubt_lengths([*days, *torn, *full])
    assert {r.column for r in told if r.review} == {2}
    assert {r.column for r in doubt_lengths([*days, *(replace(r, text="956") for r in torn), *full]) if r.review} == {2}
    assert told[12].text == "956" and told[12].reason == "numbers of this column have 4 digits, this one 3"
    headings = [reading(str(c), 0, c) for c in range(1, 13)]
    assert not any(r.review for r in doubt_lengths([*headings, *days, *full]))
    unpadded = [replace(r, text=f"9{r.text[1:]}") for r in full]
    assert not any(r.review for r in doubt_lengths([*days, *torn, *unpadded]))


def whole(rows: int = 12, columns: int = 12) -> list[FieldReading]:
    return [reading("123", r, c) for r in range(1, rows + 1) for c in range(1, columns + 1)]


def test_a_cell_that_was_overlooked_is_told() -> None:
    full = whole()
    assert with_overlooked(full, lambda x, y: True) == full
    holed = [r for r in full if (r.row, r.column) not in {(4, 3), (7, 12)}]
    inked = with_overlooked(holed, lambda x, y: True)
    new = {(r.row, r.column): r for r in inked if r not in holed}
    assert set(new) == {(4, 3), (7, 12)} and [(r.row, r.column) for r in inked] == [(r.row, r.column) for r in full]
    assert new[4, 3].state is State.ILLEGIBLE and new[4, 3].review and not new[4, 3].text
    assert new[4, 3].box == full[38].box and new[7, 12].box == full[83].box
    empty = [r for r in with_overlooked(holed, lambda x, y: False) if r not in holed]
    assert [(r.row, r.column, r.state) for r in empty] == [(4, 3, State.BLANK)]  # the other lies at the edge


def test_gaps_of_tables_that_are_not_full_are_no_oversight() -> None:
    half = [r for k, r in enumerate(whole()) if k % 2]
    assert with_overlooked(half, lambda x, y: True) == half
    assert with_overlooked([], lambda x, y: True) == []
    loose = [replace(r, row=None, column=None) for r in whole()]
    assert with_overlooked(loose, lambda x, y: True) == loose


def test_a_heading_that_counts_may_have_words_too() -> None:
    body = [replace(r, row=(r.row or 0) + 1) for r in whole()]
    heading = [reading(str(c), 1, c) for c in range(1, 12)]  # the twelfth says "mean"
    assert with_overlooked([*heading, *body], lambda x, y: True) == [*heading, *body]
