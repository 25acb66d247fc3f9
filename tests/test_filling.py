"""Filled forms: registration, fields under their rules, states, rules across fields, wide tables, drafts, prints."""

from __future__ import annotations

import csv
import dataclasses
from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from digitscan import Reader
from digitscan.batch.reading import read_raster
from digitscan.cli.app import app
from digitscan.core.config import Config
from digitscan.core.errors import UsageError
from digitscan.core.patterns import parse_pattern
from digitscan.core.rules import parse_rule
from digitscan.core.template import Rules, load_template
from digitscan.core.types import (
    Alternative,
    Box,
    FieldReading,
    FormMatch,
    PageFailure,
    PageRef,
    PageResult,
    Quality,
    RasterPage,
    State,
)
from digitscan.drafting import blank_from_filled
from digitscan.export.tables import as_rows, write_tables
from digitscan.export.wide import FormColumns, Gatherer, form_row, header
from digitscan.filling import FormSet
from digitscan.forms.constraints import Roster, allows, constraint_of
from digitscan.forms.ctc import likeliest_texts
from digitscan.forms.decode import Edge, ScoredLattice
from digitscan.forms.draft import draft_zones
from digitscan.forms.fields import Guess, read_field, value_of
from digitscan.forms.joint import Choice, weigh
from digitscan.forms.totals import check_totals, find_totals
from digitscan.imaging.register import best_fit, describe_blank, point_to_source
from digitscan.imaging.rules import print_mask
from digitscan.stress import damaged, drawn_hands, fill, random_text, random_values, stress_pages

FORMS = Path(__file__).parent.parent / "samples" / "forms"
SMALL = """
[form]
name = "small"
size = [120.0, 90.0]
[[field]]
name = "id"
box = [30, 25, 45, 9]
digits = 5
check = "luhn"
[[field]]
name = "a"
box = [30, 45, 18, 9]
digits = 2
[[field]]
name = "b"
box = [60, 45, 18, 9]
digits = 2
[[field]]
name = "sum"
box = [85, 45, 27, 9]
digits = 3
[[field]]
name = "yes"
kind = "mark"
box = [30, 62, 6, 6]
[[rule]]
expression = "sum == a + b"
"""


def _template(tmp_path: Path, text: str = SMALL, name: str = "small.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


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
        load_template(_template(tmp_path, SMALL.replace(*change, 1)))


def test_a_template_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no TOML"):
        load_template(_template(tmp_path, "[form"))
    with pytest.raises(UsageError, match="cannot read template"):
        load_template(tmp_path / "none.toml")


def test_the_digest_follows_template_and_roster(tmp_path: Path) -> None:
    text = SMALL.replace('check = "luhn"', 'allowed = "roster.txt"')
    (tmp_path / "roster.txt").write_text("00018\n00026\n")
    first = load_template(_template(tmp_path, text)).digest
    (tmp_path / "roster.txt").write_text("00018\n00034\n")
    assert load_template(_template(tmp_path, text)).digest != first


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
    parsed = Rules.model_validate(rules)
    constraint = constraint_of(parsed, parsed.allowed if not isinstance(parsed.allowed, str) else ())
    assert constraint is not None
    assert allows(constraint.whole, right)
    assert not allows(constraint.whole, wrong)
    assert constraint.broken(right) == [] and len(constraint.broken(wrong)) >= 1


@given(st.integers(0, 10**9), st.sampled_from(["luhn", "mod10", "mod97", "verhoeff", "mod11", "aba", "isbn10"]))
def test_random_texts_fulfil_their_rule_and_one_changed_digit_breaks_it(seed: int, check: str) -> None:
    lengths = {"aba": 9, "isbn10": 10}
    rules = Rules.model_validate({"check": check, "digits": lengths.get(check, 8)})
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


@pytest.mark.parametrize("pattern", ["\\d{50000}", "(\\d{50}|\\d{60}){40}", "1" * 500])
def test_a_pattern_cannot_take_forever(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"repeats too often|longer than"):
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
    constraint = constraint_of(Rules(check="luhn", digits=4))
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
    constraint = constraint_of(Rules(check="luhn", digits=4))
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
    assert read is not None and read.best.text == "114"


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
    assert value_of(text, written, Rules.model_validate(rules)) == value


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
    assert (tmp_path / "t-p0002.csv").read_bytes() == b"007,,12\r\n,,\r\n,5 6,\r\n"


# ------------------------------------------------------------------------------------------- registration


@pytest.fixture(scope="module")
def forms() -> FormSet:
    return FormSet([FORMS / f"{name}.toml" for name in ("clinic", "delivery", "meter")], Config())


@pytest.mark.parametrize("name", ["clinic", "delivery", "meter"])
@pytest.mark.parametrize("degrees", [0.0, 12.0, 187.0])
def test_a_turned_and_shrunk_page_is_laid_on_its_form(forms: FormSet, name: str, degrees: float) -> None:
    rng = np.random.default_rng(5)
    form = next(f for f in forms.pages if f.template.form.name == name)
    page = fill(form, random_values(form.template, 1, rng), drawn_hands()(rng), rng)
    h, w = page.shape
    matrix = np.vstack([cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 0.7), [0, 0, 1]])
    side = max(h, w)
    matrix = np.array([[1, 0, (side - w) / 2], [0, 1, (side - h) / 2], [0, 0, 1]]) @ matrix
    image = cv2.warpPerspective(page, matrix, (side, side), flags=cv2.INTER_AREA, borderValue=255)
    fit = best_fit(image, [f.blank for f in forms.pages])
    assert fit is not None and forms.pages[fit[0]] is form
    corners = np.array([[c.box[0], c.box[1]] for c in form.cells])
    found = point_to_source(corners, fit[1].registration, form.blank.image.shape)
    true = cv2.perspectiveTransform(corners[None], matrix)[0]
    off_mm = np.linalg.norm(found - true, axis=1) / 0.7 / (form.dpi / 25.4)
    assert off_mm.max() < 1.0


@pytest.mark.parametrize("kind", ["other form", "noise", "blank paper", "text"])
def test_a_page_of_no_known_form_is_refused(forms: FormSet, kind: str) -> None:
    rng = np.random.default_rng(3)
    meter = next(f for f in forms.pages if f.template.form.name == "meter")
    page = np.full((1400, 1000), 255, np.uint8)
    if kind == "other form":
        page = fill(meter, random_values(meter.template, 1, rng), drawn_hands()(rng), rng)
    elif kind == "noise":
        page = rng.integers(0, 256, page.shape, dtype=np.uint8)
    elif kind == "text":
        for y in range(60, 1380, 34):
            cv2.putText(page, "the quick brown fox jumps over a lazy dog", (40, y), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 0, 2)
    others = [f.blank for f in forms.pages if f is not meter]
    assert best_fit(page, others) is None


def _puzzle(tmp_path: Path) -> FormSet:
    text = """
[form]
name = "puzzle"
anchor = "frame"
size = [90.0, 90.0]
[[grid]]
name = "cell"
kind = "boxes"
box = [0, 0, 90, 90]
rows = 9
columns = 9
digits = 1
"""
    return FormSet([_template(tmp_path, text)], Config())


def test_a_puzzle_is_found_by_its_frame_and_read_cell_by_cell(tmp_path: Path, reader: Reader) -> None:
    rng = np.random.default_rng(12)
    page = np.full((1100, 900), 235, np.uint8)
    for k in range(10):
        at = 150 + 66 * k
        cv2.line(page, (at, 200), (at, 200 + 594), 60, 4 if k % 3 == 0 else 2)
        cv2.line(page, (150, 200 + 66 * k), (150 + 594, 200 + 66 * k), 60, 4 if k % 3 == 0 else 2)
    truth: dict[tuple[int, int], str] = {}
    for row in range(9):
        for column in range(9):
            if rng.random() < 0.45:
                digit = str(rng.integers(1, 10))
                truth[row + 1, column + 1] = digit
                at = (150 + 66 * column + 20, 200 + 66 * row + 48)
                cv2.putText(page, digit, at, cv2.FONT_HERSHEY_SIMPLEX, 1.3, 40, 3, cv2.LINE_AA)
    cv2.putText(page, "puzzle of the day 4711", (150, 120), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 40, 3)
    corners = np.array([[0, 0], [900, 0], [900, 1100], [0, 1100]], np.float32)
    there = np.array([[90, 60], [980, 110], [930, 1190], [40, 1120]], np.float32)
    photo = cv2.warpPerspective(page, cv2.getPerspectiveTransform(corners, there), (1050, 1250), borderValue=110)
    outcome = _read(reader, _puzzle(tmp_path), photo)
    assert isinstance(outcome, PageResult) and len(outcome.readings) == 81
    right = sum(r.text == truth.get((r.row or 0, r.column or 0), "") for r in outcome.readings)
    assert right >= 79
    refused = _read(reader, _puzzle(tmp_path), np.full((800, 800), 230, np.uint8))
    assert isinstance(refused, PageFailure)


def test_a_blank_without_features_finds_nothing() -> None:
    empty = describe_blank(np.full((600, 400), 255, np.uint8))
    assert best_fit(np.full((600, 400), 255, np.uint8), [empty]) is None


# ------------------------------------------------------------------------------------------ whole readings


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> FormSet:
    return FormSet([_template(tmp_path_factory.mktemp("form"))], Config())


def _read(reader: Reader, forms: FormSet, image: np.ndarray) -> PageResult | PageFailure:
    page = RasterPage(PageRef("page"), image)
    return read_raster(page, reader.classifier, reader.config, line_reader=reader.line_reader, forms=forms)


def _filled(form_set: FormSet, values: dict[str, str], seed: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return damaged(fill(form_set.pages[0], values, drawn_hands()(rng), rng), "scan", rng, form_set.pages[0].dpi)


def test_the_samples_are_read_as_forms(reader: Reader, forms: FormSet) -> None:
    with (FORMS / "truth.csv").open(newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if not r["file"].startswith("cheques")]
    truth = {(r["file"], r["field"]): r["text"] for r in rows}
    right = total = 0
    for path in sorted({FORMS / "filled" / name for name, _ in truth}):
        outcome = _read(reader, forms, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        assert isinstance(outcome, PageResult) and outcome.form is not None
        assert outcome.form.name == path.name.split("-")[0]
        for reading in outcome.readings:
            total += 1
            right += reading.text == truth[(path.name, reading.name)]
            assert (reading.state is State.BLANK) == (not truth[(path.name, reading.name)])
    assert total == len(truth) and right >= 0.97 * total


def test_fields_states_and_boxes_of_a_small_form(reader: Reader, small: FormSet) -> None:
    values = {"id": "18010", "a": "27", "b": "", "sum": "", "yes": "1"}
    image = _filled(small, values)
    outcome = _read(reader, small, image)
    assert isinstance(outcome, PageResult)
    found = {r.name: r for r in outcome.readings}
    assert found["id"].text == "18010" and found["a"].text == "27" and found["yes"].text == "1"
    assert found["b"].state is State.BLANK and found["sum"].state is State.BLANK
    scale = image.shape[1] / 120.0
    assert abs(found["id"].box.x - 30 * scale) < 2.5 * scale and abs(found["id"].box.width - 45 * scale) < 2 * scale


def test_a_broken_check_digit_is_invalid_and_kept(reader: Reader, small: FormSet) -> None:
    outcome = _read(reader, small, _filled(small, {"id": "18017", "a": "27", "b": "31", "sum": "058", "yes": ""}))
    assert isinstance(outcome, PageResult)
    found = {r.name: r for r in outcome.readings}
    assert found["id"].text == "18017" and found["id"].state is State.INVALID and found["id"].review
    assert "check digit luhn" in found["id"].reason
    assert found["sum"].state is State.VALUE and found["yes"].state is State.BLANK


def test_a_sum_that_does_not_hold_marks_its_fields(reader: Reader, small: FormSet) -> None:
    outcome = _read(reader, small, _filled(small, {"id": "18010", "a": "27", "b": "31", "sum": "077", "yes": ""}))
    assert isinstance(outcome, PageResult)
    found = {r.name: r for r in outcome.readings}
    assert all("does not hold" in found[name].reason and found[name].review for name in ("a", "b", "sum"))
    assert found["id"].state is State.VALUE


def test_an_empty_box_between_digits_and_a_struck_number_go_to_review(reader: Reader, small: FormSet) -> None:
    form = small.pages[0]
    rng = np.random.default_rng(8)
    page = fill(form, {"id": "18010", "a": "27", "b": "31", "sum": "058"}, drawn_hands()(rng), rng)
    cells = {c.name: c for c in form.cells}
    x, y, w, h = cells["id"].box
    inside = np.s_[round(y + 0.08 * h) : round(y + 0.92 * h), round(x + w / 5 * 2.08) : round(x + w / 5 * 2.92)]
    page[inside] = 255
    x, y, w, h = cells["sum"].box
    cv2.line(page, (round(x - 0.1 * h), round(y + 0.56 * h)), (round(x + w + 0.1 * h), round(y + 0.46 * h)), 20, 4)
    outcome = _read(reader, small, page)
    assert isinstance(outcome, PageResult)
    found = {r.name: r for r in outcome.readings}
    assert found["id"].review and "box 3 between digits is empty" in found["id"].reason
    assert found["sum"].state is State.STRUCK and found["sum"].text == ""


def test_a_page_of_another_form_is_a_failure_with_a_remedy(reader: Reader, small: FormSet, forms: FormSet) -> None:
    delivery = next(f for f in forms.pages if f.template.form.name == "delivery")
    outcome = _read(reader, small, delivery.blank.image)
    assert isinstance(outcome, PageFailure) and outcome.stage == "registration"
    assert "no page of small" in outcome.message and outcome.remedy


def test_synthetic_pages_are_the_same_for_a_seed_and_fulfil_their_rules(forms: FormSet) -> None:
    one = list(stress_pages(forms.pages, 3, 9, drawn_hands()))
    two = list(stress_pages(forms.pages, 3, 9, drawn_hands()))
    assert all(np.array_equal(a[0].image, b[0].image) and a[3] == b[3] for a, b in zip(one, two, strict=True))
    clinic = next(values for _, _, form, values in one if form.template.form.name == "clinic")
    pulses = [int(v) for n, v in clinic.items() if n.startswith("visit") and n.endswith("pulse") and v]
    assert int(clinic["total_pulse"]) == sum(pulses)


# ------------------------------------------------------------------------------------------------- outputs


def _result(page: int, number: int, names: list[str]) -> PageResult:
    readings = tuple(
        FieldReading(n, None, None, f"{k}", (), 0.9, State.VALUE, k == 1, "look" if k == 1 else "", (), Box(0, 0, 9, 9))
        for k, n in enumerate(names)
    )
    match = FormMatch("two", page, 1.0)
    return PageResult(PageRef("file.pdf", number), 10, 10, None, 0.0, Quality(1.0, 20.0), readings, match)


def test_pages_of_a_form_are_joined_in_any_order_and_missing_ones_told() -> None:
    forms = [FormColumns("two", 2, ("a", "b", "c", "d"))]
    gatherer = Gatherer(forms)
    done = []
    for page, number in ((2, 0), (1, 1), (1, 2), (1, 3), (2, 4)):
        done += gatherer.add(_result(page, number, ["a", "b"] if page == 1 else ["c", "d"]))
    done += gatherer.rest()
    assert [sorted(f.pages) for f in done] == [[1, 2], [1], [1, 2]]
    assert done[1].reasons == ["page 2 missing"]
    cells = dict(zip(header(forms), form_row(done[1], forms), strict=True))
    assert cells["a"] == "0" and cells["c"] == "" and cells["c_state"] == "missing" and cells["review"] == "true"
    assert "page 2 missing" in cells["reason"] and "b: look" in cells["reason"]


def test_the_command_line_writes_wide_tables_and_excel(tmp_path: Path) -> None:
    out, book = tmp_path / "wide.csv", tmp_path / "wide.xlsx"
    filled = FORMS / "filled" / "clinic-scan.jpg"
    run = CliRunner().invoke(
        app,
        [
            "process",
            str(filled),
            "--form",
            str(FORMS / "clinic.toml"),
            "--wide",
            "--out",
            str(out),
            "--out",
            str(book),
            "-q",
        ],
    )
    assert run.exit_code == 0, run.output
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (FORMS / "truth.csv").open(newline="") as stream:
        truth = {r["field"]: r["text"] for r in csv.DictReader(stream) if r["file"] == filled.name}
    assert len(rows) == 1 and rows[0]["form"] == "clinic"
    assert rows[0]["patient"] == truth["patient"]
    weight = truth["weight_kg"]
    assert Decimal(rows[0]["weight_kg"]) == Decimal(weight) / 10
    sheet = openpyxl.load_workbook(book)["forms"]
    titles = [cell.value for cell in sheet[1]]
    assert sheet[2][titles.index("patient")].value == truth["patient"]
    assert sheet[2][titles.index("patient")].data_type == "s"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["process", "x.png", "--wide"], "--wide needs to know the fields"),
        (["process", "x.png", "--form", "none.toml"], "cannot read template"),
        (["form", "check", "none.toml"], "cannot read template"),
        (["form", "print", str(FORMS / "meter.toml"), "-o", "x.pdf"], "has a blank of its own"),
        (["form", "new", "none.png", "-o", "x.toml"], "none.png"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code in (2, 3), run.output
    assert says in run.output and "Traceback" not in run.output


# ------------------------------------------------------------------------------------- drafts and printing


@pytest.mark.parametrize("name", ["clinic", "delivery", "meter"])
def test_a_draft_finds_the_zones_and_invents_none(forms: FormSet, name: str) -> None:
    form = next(f for f in forms.pages if f.template.form.name == name)
    zones = draft_zones(print_mask(form.blank.image), form.dpi)
    truth = list(form.template.zones(1))
    assert len(zones) == len(truth)
    kinds = sorted("grid" if hasattr(z, "rows") else z.kind for z in truth)
    assert sorted(z.kind for z in zones) == kinds


def test_print_new_check_and_process_go_together(tmp_path: Path) -> None:
    runner = CliRunner()
    template = _template(tmp_path)
    pdf, draft = tmp_path / "small.pdf", tmp_path / "draft.toml"
    assert runner.invoke(app, ["form", "print", str(template), "-o", str(pdf)]).exit_code == 0
    run = runner.invoke(app, ["form", "new", str(pdf), "-o", str(draft)])
    assert run.exit_code == 0, run.output
    drafted = load_template(draft)
    assert len(drafted.field) == 5 and sum(f.kind == "mark" for f in drafted.field) == 1
    assert drafted.field[0].box == pytest.approx((30, 25, 45, 9), abs=0.5)
    run = runner.invoke(app, ["form", "check", str(draft), str(pdf), "-o", str(tmp_path / "z.png")])
    assert run.exit_code == 0 and "of its print was found" in run.output, run.output
    assert cv2.imread(str(tmp_path / "z.png")) is not None
    assert runner.invoke(app, ["form", "new", str(pdf), "-o", str(draft)]).exit_code == 2  # it is there already


def test_a_blank_is_made_of_filled_pages(small: FormSet) -> None:
    pages = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        values = random_values(small.templates[0], 1, rng)
        pages.append(damaged(fill(small.pages[0], values, drawn_hands()(rng), rng), "scan", rng, small.pages[0].dpi))
    blank = blank_from_filled(pages)
    zones = draft_zones(print_mask(blank), blank.shape[1] / 120 * 25.4)
    assert sorted(z.kind for z in zones) == ["boxes"] * 4 + ["mark"]
    with pytest.raises(UsageError, match="same form"):
        blank_from_filled([pages[0], np.full((500, 500), 255, np.uint8)])


def test_a_page_without_zones_makes_no_template(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((900, 700), 255, np.uint8))
    run = CliRunner().invoke(app, ["form", "new", str(tmp_path / "blank.png"), "-o", str(tmp_path / "t.toml")])
    assert run.exit_code == 2 and "no box, comb, tick box, line or table was found" in run.output
    assert [path.name for path in tmp_path.iterdir()] == ["blank.png"]


def test_a_template_may_name_a_frame_of_its_blank(tmp_path: Path) -> None:
    runner = CliRunner()
    template = _template(tmp_path)
    png = tmp_path / "blank.png"
    assert runner.invoke(app, ["form", "print", str(template), "-o", str(png), "--dpi", "200"]).exit_code == 0
    text = (
        '[form]\nname = "f"\nblank = "blank.png"\nsize = [120.0, 90.0]\n[[field]]\nname = "id"\nframe = 1\ndigits = 5\n'
    )
    forms = FormSet([_template(tmp_path, text, "f.toml")], Config())
    cell = forms.pages[0].cells[0]
    mm = forms.pages[0].dpi / 25.4
    assert np.array(cell.box) / mm == pytest.approx([30, 25, 45, 9], abs=0.7)
    with pytest.raises(UsageError, match="names frame 40"):
        FormSet([_template(tmp_path, text.replace("frame = 1", "frame = 40"), "g.toml")], Config())


def test_pages_of_a_form_find_their_page_and_make_one_row(tmp_path: Path) -> None:
    text = SMALL.replace("size = [120.0, 90.0]", "size = [120.0, 90.0]\npages = 2")
    text += '[[field]]\nname = "age"\npage = 2\nbox = [30, 25, 18, 9]\ndigits = 2\n'
    text += '[[rule]]\nname = "age of majority"\nexpression = "age == a + 18"\n'
    template = _template(tmp_path, text)
    forms = FormSet([template], Config())
    rng = np.random.default_rng(21)
    folder = tmp_path / "scans"
    folder.mkdir()
    rows = [
        {"id": "18010", "a": "27", "b": "31", "sum": "058", "yes": "1", "age": "45"},
        {"id": "26013", "a": "14", "b": "55", "sum": "069", "yes": "", "age": "73"},
    ]
    # The second form's pages come in the wrong order, one of them upside down.
    for number, (values, page) in enumerate([(rows[0], 1), (rows[0], 2), (rows[1], 2), (rows[1], 1)]):
        form = forms.pages[page - 1]
        image = damaged(fill(form, values, drawn_hands()(rng), rng), "scan", rng, form.dpi)
        cv2.imwrite(str(folder / f"{number}.png"), image[::-1, ::-1] if number == 2 else image)
    out = tmp_path / "wide.csv"
    run = CliRunner().invoke(app, ["process", str(folder), "-f", str(template), "--wide", "-o", str(out), "-q"])
    assert run.exit_code == 0, run.output
    with out.open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert len(found) == 2
    for values, row in zip(rows, found, strict=True):
        assert {name: row[name] for name in values} == values
    # A rule across pages is checked where they meet: it holds for the first form only.
    assert "age of majority" not in found[0]["reason"]
    assert found[1]["review"] == "true" and "age of majority does not hold" in found[1]["reason"]
