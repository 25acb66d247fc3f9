"""Templates and what they say: rules of one field and across fields, decoding under them, the totals of tables."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitscan.authoring.stress import random_text
from digitscan.core.config import DecodeConfig
from digitscan.core.errors import UsageError
from digitscan.core.types import Alternative, Box, FieldReading, PageRef, PageResult, Quality, State
from digitscan.decoding.automata import Roster, allows
from digitscan.decoding.ctc import likeliest_texts
from digitscan.decoding.joint import Choice, Guess, weigh
from digitscan.decoding.lattice import Edge, ScoredLattice
from digitscan.decoding.patterns import parse_pattern
from digitscan.decoding.rivals import LinePosteriors
from digitscan.decoding.rules import parse_rule
from digitscan.export.tables import as_rows, write_tables
from digitscan.forms.constraints import constraint_of
from digitscan.forms.fields import read_field, reason_of
from digitscan.forms.points import Meaning, meaning_of
from digitscan.forms.template import FieldRules, load_template
from digitscan.recognition.lines import LINE_CLASS_COUNT
from digitscan.tables.totals import check_totals, find_totals
from tests.small_form import SMALL, write_template

# ---------------------------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("digits = 5", "digit = 5"), r"line 8: no key named 'digit'; did you mean 'digits'"),
        (('name = "a"', 'name = "id"'), "two fields are named 'id'"),
        (("sum == a + b", "sum == a + bb"), "speaks of 'bb'.*did you mean 'b'"),
        (("sum == a + b", "__import__('os')"), "no function named"),
        (("box = [30, 25, 45, 9]", "box = [30, 25, 145, 9]"), "reaches beyond the page"),
        (("box = [30, 25, 45, 9]", "frame = 1"), "the form has no blank"),
        (('check = "luhn"', 'pattern = "("'), "cannot read pattern"),
        (('check = "luhn"', 'pattern = "[a-z]+"'), "no text of digits matches"),
        (('check = "luhn"', 'allowed = "nowhere.txt"'), "cannot read the roster"),
        (('check = "luhn"', 'allowed = ["12", "x"]'), "rows of digits"),
        (('kind = "mark"', 'kind = "ticks"'), "kind"),
        (("digits = 5", "digits = [6, 2]"), "fewest before the most"),
    ],
)
def test_a_wrong_template_is_told_with_its_line(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_template(write_template(tmp_path, SMALL.replace(*change, 1)))


def test_a_template_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no TOML"):
        load_template(write_template(tmp_path, "[form"))
    with pytest.raises(UsageError, match="cannot read template"):
        load_template(tmp_path / "none.toml")


def test_the_digest_follows_template_and_roster(tmp_path: Path) -> None:
    text = SMALL.replace('check = "luhn"', 'allowed = "roster.txt"')
    (tmp_path / "roster.txt").write_text("00018\n00026\n")
    first = load_template(write_template(tmp_path, text)).digest
    (tmp_path / "roster.txt").write_text("00018\n00034\n")
    assert load_template(write_template(tmp_path, text)).digest != first


# -------------------------------------------------------------------------------------------- constraints


@pytest.mark.parametrize(
    ("rules", "right", "wrong"),
    [
        ({"check": "luhn"}, "79927398713", "79927398710"),  # the example of ISO/IEC 7812-1, annex B
        ({"check": "ean13"}, "4006381333931", "4006381333932"),
        ({"check": "isbn13"}, "9780306406157", "4006381333931"),
        ({"check": "isbn10"}, "0306406152", "0306406153"),
        ({"check": "aba"}, "111000025", "111000026"),
        ({"check": "verhoeff", "digits": 4}, "2363", "2336"),
        ({"check": "mod97"}, "79444", "79445"),
        ({"check": "mod11", "digits": 7}, "0365327", "0365372"),
        ({"check": "weights", "weights": [1, 2, 3], "modulus": 7}, "123", "124"),
        ({"digits": (2, 3)}, "12", "1234"),
        ({"range": (5, 130)}, "0005", "131"),
        ({"pattern": "20\\d\\d"}, "2026", "1999"),
        ({"allowed": ("17", "170")}, "170", "171"),
    ],
)
def test_rules_allow_what_their_standards_allow(rules: dict[str, object], right: str, wrong: str) -> None:
    parsed = FieldRules.model_validate(rules)
    constraint = constraint_of(parsed, parsed.allowed if not isinstance(parsed.allowed, str) else ())
    assert constraint is not None
    assert allows(constraint.whole, right)
    assert not allows(constraint.whole, wrong)
    assert constraint.broken(right) == [] and len(constraint.broken(wrong)) >= 1


@given(st.integers(0, 10**9), st.sampled_from(["luhn", "mod10", "mod97", "verhoeff", "mod11", "aba", "isbn10"]))
def test_random_texts_fulfil_their_rule_and_one_changed_digit_breaks_it(seed: int, check: str) -> None:
    lengths = {"aba": 9, "isbn10": 10}
    rules = FieldRules.model_validate({"check": check, "digits": lengths.get(check, 8)})
    constraint = constraint_of(rules)
    assert constraint is not None
    rng = np.random.default_rng(seed)
    text = random_text(constraint.whole, rules.length[1], rng)
    assert text is not None and allows(constraint.whole, text)
    if check != "mod10":  # of these all find every single wrong digit
        place = int(rng.integers(len(text)))
        other = str((int(text[place]) + int(rng.integers(1, 10))) % 10)
        assert not allows(constraint.whole, text[:place] + other + text[place + 1 :])


@given(st.text("0123456789", max_size=8))
def test_a_pattern_agrees_with_pythons_own(text: str) -> None:
    import re

    pattern = r"(1[0-9]|2\d?)+3{2,3}|[^7]0?"
    table = parse_pattern(pattern)
    state = 0
    for character in text:
        state = table.moves[state][int(character)] if state >= 0 else -1
    assert (state in table.accepting) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize("pattern", ["\\d{50000}", "(\\d{500}|\\d{60}){400}", "1" * 500])
def test_a_pattern_cannot_take_forever(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"too large|longer than"):
        parse_pattern(pattern)


def test_rules_compute_and_know_when_they_cannot() -> None:
    rule = parse_rule("total == sum(items.amount)")
    assert rule.names == ("total", "items.amount") and rule.equates and rule.target == "total"
    values = {"total": Decimal(6), "items.amount": [Decimal(1), None, Decimal(5)]}
    assert rule.holds(values) is True
    assert rule.holds({**values, "total": None}) is None
    assert parse_rule("is_date(d, m, y)").holds({"d": Decimal(30), "m": Decimal(2), "y": Decimal(2024)}) is False
    assert parse_rule("a / b > 1").holds({"a": Decimal(1), "b": Decimal(0)}) is None


@pytest.mark.parametrize(
    "text", ["__import__('os')", "a.b.c == 1", "x = 1", "1 == 1", "[a]", "sum()", "a ** 9", "(" * 600]
)
def test_a_rule_is_no_program(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_rule(text)


# ----------------------------------------------------------------------------------------------- decoding


def _edges(count: int) -> list[Edge]:
    return [Edge(k, k + 1, Box(20 * k, 0, 15, 30), 0, False) for k in range(count)]


def _posteriors(*digits: tuple[int, int, float]) -> np.ndarray:
    """For each digit: the best, the second, and the best one's probability."""
    rows = np.full((len(digits), 11), 1e-5, np.float32)
    for out, (best, second, share) in zip(rows, digits, strict=True):
        out[best], out[second] = share, 1 - share
    return rows


def test_a_check_digit_chooses_among_readings_and_says_so() -> None:
    constraint = constraint_of(FieldRules(check="luhn", digits=4))
    assert constraint is not None
    # 1 8 2 6 sums to 20 by Luhn: the last digit leans to a 5.
    assert allows(constraint.whole, "1826")
    rows = _posteriors((1, 7, 0.999), (8, 3, 0.999), (2, 1, 0.999), (5, 6, 0.7))
    read = read_field(_edges(4), rows, 4, 30.0, None, constraint)
    assert read is not None
    assert (read.best.text, read.raw) == ("1826", "1825")
    assert read.overridden > 0 and read.decided_by == ("check digit luhn",)
    assert read.best.probability < 0.99


def test_what_the_ink_says_clearly_is_never_repaired() -> None:
    constraint = constraint_of(FieldRules(check="luhn", digits=4))
    rows = _posteriors((1, 7, 0.99999), (8, 3, 0.99999), (2, 1, 0.99999), (5, 4, 0.99999))
    read = read_field(_edges(4), rows, 4, 30.0, None, constraint)
    assert read is not None
    assert read.best.text == read.raw == "1825"
    assert read.best.breaks == ("check digit luhn",)


def test_the_best_allowed_path_is_found_beyond_the_two_best_digits() -> None:
    rows = _posteriors((1, 7, 0.9), (2, 3, 0.9))
    lattice = ScoredLattice(_edges(2), rows, 2, 30.0)
    roster = Roster(["58", "17", "85"])
    paths = lattice.best(5, roster)
    assert paths[0].text == "17" and {p.text for p in paths} == {"17", "58", "85"}
    every = {p.text: p.score for p in lattice.best(5, Roster([f"{n:02d}" for n in range(100)]))}
    assert max(every, key=lambda t: every[t]) == "12"


def test_the_line_is_searched_under_a_rule_too() -> None:
    rows = np.full((9, 11), 1e-4)
    for place, best, second in ((1, 3, 8), (4, 5, 6), (7, 0, 9)):
        rows[place, best + 1], rows[place, second + 1] = 0.9, 0.09
    rows[[0, 2, 3, 5, 6, 8], 0] = 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    assert likeliest_texts(rows)[0][0] == "350"
    found = likeliest_texts(rows, automaton=Roster(["860", "359", "1"]))
    assert [text for text, _ in found[:2]] == ["359", "860"]


def test_boxes_hold_one_digit_each() -> None:
    rows = _posteriors((1, 7, 0.9), (1, 7, 0.9), (4, 9, 0.9))
    read = read_field(_edges(3), rows, 3, 30.0, None, None, boxed=True)
    assert read is not None and read.best.text == "114" and read.unreadable == 0


def test_no_line_and_no_rule_vouch_for_what_is_no_digit_in_its_box() -> None:
    rows = _posteriors((1, 7, 0.9), (5, 6, 0.9), (4, 9, 0.9))
    rows[1] = 0.001
    rows[1, 10] = 0.99
    columns = np.full((10, LINE_CLASS_COUNT), 1e-4, np.float32)
    columns[:, 0] = 1.0
    for place, digit in ((1, 1), (4, 5), (7, 4)):
        columns[place, 0], columns[place, digit + 1] = 1e-4, 1.0
    line = LinePosteriors((columns / columns.sum(axis=1, keepdims=True),), Box(0, 0, 60, 30))
    for rule in (None, constraint_of(FieldRules.model_validate({"pattern": "154"}))):
        read = read_field(_edges(3), rows, 3, 30.0, line, rule, boxed=True)
        assert read is not None and read.best.text == "154" and read.best.probability < 0.02
    assert read is not None and reason_of(read, DecodeConfig()) == (True, "digit 2 cannot be made out")


@pytest.mark.parametrize(
    ("text", "written", "rules", "value"),
    [
        ("4050", "", {"decimals": 2}, "40.50"),
        ("7", "", {"decimals": 2}, "0.07"),
        ("25441", "25.441.-", {"decimals": 2, "locale": "de"}, "25441.00"),
        ("123450", "1.234,50", {"decimals": 2, "locale": "de"}, "1234.50"),
        ("12345", "1.234,5", {"decimals": 2, "locale": "de"}, "1234.50"),
        ("123456", "1,234.56", {"decimals": 2, "locale": "en"}, "1234.56"),
        ("1234", "1,234", {"decimals": 2, "locale": "en"}, "1234.00"),
        ("0042", "0042", {"decimals": 0}, "42"),
        ("0042", "0042", {}, ""),
    ],
)
def test_values_follow_the_fields_declaration(text: str, written: str, rules: dict[str, object], value: str) -> None:
    assert meaning_of(text, written, FieldRules.model_validate(rules)) == Meaning(value)


def _choice(*texts: tuple[str, float]) -> Choice:
    return Choice([Guess(t, p) for t, p in texts], [Decimal(t) for t, _ in texts])


def test_a_sum_that_comes_out_makes_its_parts_surer() -> None:
    choices = {
        "t": _choice(("30", 0.8), ("80", 0.2)),
        "a": _choice(("10", 0.9), ("70", 0.1)),
        "b": _choice(("20", 0.97)),
    }
    weigh(parse_rule("t == a + b"), "sum", choices, {})
    assert choices["t"].chosen == 0 and choices["t"].guesses[0].probability > 0.99
    assert not choices["t"].decided_by and not choices["t"].broken


def test_a_sum_chooses_another_guess_and_says_so() -> None:
    choices = {"t": _choice(("80", 0.6), ("30", 0.4)), "a": _choice(("10", 0.999)), "b": _choice(("20", 0.999))}
    weigh(parse_rule("t == a + b"), "sum", choices, {})
    assert choices["t"].guesses[choices["t"].chosen].text == "30" and choices["t"].decided_by == "sum"


def test_a_sum_that_cannot_come_out_changes_nothing_and_is_told() -> None:
    choices = {"t": _choice(("99", 0.999)), "a": _choice(("10", 0.999)), "b": _choice(("20", 0.999))}
    weigh(parse_rule("t == a + b"), "sum", choices, {})
    assert all(c.broken == ["sum"] and c.chosen == 0 for c in choices.values())
    assert choices["t"].guesses[0].probability == pytest.approx(0.999)


def _cell(row: int, column: int, text: str, confidence: float = 0.97, *rivals: tuple[str, float]) -> FieldReading:
    return FieldReading(
        f"s{row}{column}", row, column, text, (), confidence, State.VALUE, confidence < 0.9, "",
        tuple(Alternative(t, p) for t, p in rivals), Box(60 * column, 30 * row, 50, 20),
    )  # fmt: skip


def _table(kind: str) -> list[FieldReading]:
    rng = np.random.default_rng(6)
    cells = []
    for row in range(1, 9):
        parts = rng.integers(100, 999, 5)
        total = int(parts.sum()) if kind == "sum" else int(np.rint(parts.mean()))
        cells += [_cell(row, 1, str(row))]
        cells += [_cell(row, k + 2, str(v)) for k, v in enumerate(parts)] + [_cell(row, 7, str(total))]
    return cells


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_a_table_whose_rows_end_in_a_total_checks_itself(kind: str) -> None:
    cells = _table(kind)
    (rule,) = [t for t in find_totals(cells) if t.by_row]
    assert (rule.kind, rule.first, rule.last) == (kind, 2, 7)
    true = cells[9].text
    wrong = str(int(true) + 60)
    cells[9] = dataclasses.replace(cells[9], text=wrong, confidence=0.6, alternatives=(Alternative(true, 0.4),))
    spoiled = str(int(cells[17].text) + 300)
    cells[17] = dataclasses.replace(cells[17], text=spoiled, confidence=0.999)
    out = check_totals(cells, 0.9)
    assert out[9].text == true and out[9].raw == wrong and "decided" in out[9].reason
    assert out[17].text == spoiled and out[17].state is State.INVALID and "does not hold" in out[17].reason
    gone = [c for c in cells if (c.row, c.column) != (6, 3)]
    (total,) = [r for r in check_totals(gone, 0.9) if (r.row, r.column) == (6, 7)]
    assert total.review and "could not be checked" in total.reason and total.state is State.VALUE
    row = [r for r in out if r.row == 5 and r.column > 1]
    assert all(r.confidence > 0.97 and not r.review for r in row)


def _means(headings: int, rows: int = 31, columns: int = 24) -> list[FieldReading]:
    """Numbers under headings, with their means at the right and at the foot."""
    rng = np.random.default_rng(3)
    body = rng.integers(9000, 9999, (rows, columns))
    body = np.column_stack([body, np.rint(body.mean(axis=1))])
    body = np.vstack([body, np.rint(body.mean(axis=0))]).astype(int)
    cells = [_cell(r, c, str(c)) for r in range(1, headings + 1) for c in range(1, columns + 2)]
    return cells + [
        _cell(r, c, str(v), 0.995) for r, row in enumerate(body, headings + 1) for c, v in enumerate(row, 1)
    ]


@pytest.mark.parametrize("headings", [0, 5])
def test_totals_of_rows_and_columns_find_the_one_wrong_cell(headings: int) -> None:
    cells = _means(headings)
    assert {(t.by_row, t.first) for t in find_totals(cells)} == {(True, 1), (False, headings + 1)}
    assert not any(r.review for r in check_totals(cells, 0.9))  # hundreds of sure cells stay sure
    wrong = next(k for k, c in enumerate(cells) if (c.row, c.column) == (headings + 7, 4))
    cells[wrong] = dataclasses.replace(cells[wrong], text=str(int(cells[wrong].text) - 800))
    out = check_totals(cells, 0.9)
    assert [k for k, r in enumerate(out) if r.review] == [wrong]
    assert out[wrong].reason == "mean of the row does not hold; mean of the column does not hold"


def test_where_nobody_is_cleared_a_whole_line_is_doubted() -> None:
    cells = _means(0)
    wrong = next(k for k, c in enumerate(cells) if (c.row, c.column) == (7, 4))
    # Off by less than twice what the means of columns leave open: any cell of the row may be the one.
    cells[wrong] = dataclasses.replace(cells[wrong], text=str(int(cells[wrong].text) - 20))
    out = check_totals(cells, 0.9)
    assert {(r.row, r.column) for r in out if r.review} == {(7, c) for c in range(1, 26)}


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_a_mean_does_not_prove_a_digit_that_the_ink_did_not_show(kind: str) -> None:
    cells = _table(kind)
    supplied = dataclasses.replace(cells[9], raw=cells[9].text[:2], review=True, reason="numbers have 3 digits")
    told = check_totals([*cells[:9], supplied, *cells[10:]], 0.9)[9]
    assert (told.text, told.raw, told.review) == (cells[9].text, cells[9].text[:2], kind == "mean")
    assert told.reason == ("numbers have 3 digits" if kind == "mean" else "")


def test_a_heading_that_counts_is_no_line_of_parts() -> None:
    cells = [c for c in _means(1) if c.row < 33]  # without the means at the foot
    assert [t.by_row for t in find_totals(cells)] == [True]
    assert not any(r.review for r in check_totals(cells, 0.9))


def test_tables_without_totals_are_left_alone() -> None:
    rng = np.random.default_rng(2)
    cells = [_cell(r, c, str(rng.integers(100, 999))) for r in range(1, 10) for c in range(1, 7)]
    assert find_totals(cells) == []
    assert check_totals(cells, 0.9) == cells


def test_a_table_is_written_in_its_own_shape(tmp_path: Path) -> None:
    cells = [_cell(2, 1, "007"), _cell(2, 3, "12"), _cell(4, 2, "5"), _cell(4, 2, "6")]
    assert as_rows(cells) == [["007", "", "12"], ["", "", ""], ["", "5 6", ""]]
    page = PageResult(PageRef("a/t.pdf", 1), 9, 9, None, 0.0, Quality(1.0, 20.0), tuple(cells))
    taken: set[str] = set()
    assert write_tables(tmp_path, page, taken) == 1
    assert (tmp_path / "t-p0002.table.csv").read_bytes() == b"007,,12\r\n,,\r\n,5 6,\r\n"
