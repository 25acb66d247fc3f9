"""Cheques: the line at their foot, where it is looked for and what it says; fields found by it; several on a page."""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from digitscan import Reader
from digitscan.authoring.blank_cheque import draw_cheque, line_of, print_line
from digitscan.authoring.stress import damaged, drawn_hands, fill, random_values
from digitscan.cli.app import app
from digitscan.core.errors import UsageError
from digitscan.core.types import PageFailure, PageRef, PageResult, RasterPage, State
from digitscan.forms.cheques import cheque_form, find_cheques
from digitscan.forms.form_page import FormPage
from digitscan.forms.template import load_template
from digitscan.micr.match import draw_glyph
from digitscan.micr.read import read_micr_lines
from digitscan.micr.standard import AMOUNT, DASH, GLYPHS, MODULE_INCH, ON_US, SYMBOLS, TRANSIT, parts_of_line
from digitscan.pipeline.read import read_raster

SAMPLES = Path(__file__).parent.parent / "samples"
PERSON = f"{TRANSIT}122000661{TRANSIT}0545{DASH}03739{ON_US} 1042"


def strip(text: str, dpi: float = 200.0, size: tuple[float, float] = (6.0, 1.2)) -> np.ndarray:
    """The foot of a cheque with a line of E-13B, clean: (H, W) uint8."""
    page = np.full((round(size[1] * dpi), round(size[0] * dpi)), 0.97, np.float32)
    print_line(page, text, dpi)
    return np.asarray(page * 255, np.uint8)


def texts(image: np.ndarray) -> list[str]:
    return [line.text for line in read_micr_lines(image)]


# --------------------------------------------------------------------------------------------- the line itself


def test_the_fourteen_shapes_stand_on_the_standards_grid_and_are_unlike() -> None:
    assert len(SYMBOLS) == 14 == len(GLYPHS)
    drawn = {symbol: draw_glyph(symbol, 4.0) for symbol in SYMBOLS}
    for symbol, shape in drawn.items():
        rows, columns = np.nonzero(shape > 0.5)
        assert columns.max() < shape.shape[1] - 7 and rows.min() >= 7, symbol  # two modules of paper around
        if symbol.isdigit():
            assert abs((rows.max() - rows.min() + 1) / 4 - 9) <= 0.5, symbol
            assert abs(columns.max() + 1 - (7 + 2) * 4) <= 2, symbol  # all end at the right of their place
    for a, b in combinations(SYMBOLS, 2):
        alike = np.corrcoef(drawn[a].ravel(), drawn[b].ravel())[0, 1]
        assert alike < 0.9, (a, b)


@pytest.mark.parametrize("dpi", [100.0, 150.0, 200.0, 300.0, 600.0])
def test_a_line_is_read_at_any_resolution_and_tells_it(dpi: float) -> None:
    image = strip(PERSON, dpi)
    lines = read_micr_lines(image)
    assert [line.text for line in lines] == [PERSON]
    assert abs(lines[0].line.module_px / MODULE_INCH - dpi) < 0.01 * dpi and lines[0].quality > 0.95


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.text("0123456789", min_size=9, max_size=9),
    st.text("0123456789" + DASH, min_size=4, max_size=16),
    st.floats(-1.5, 1.5),
    st.integers(0, 2**31),
)
def test_lines_are_read_through_scan_damage(bank: str, account: str, degrees: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    text = f"{TRANSIT}{bank}{TRANSIT}{account}{ON_US} 17"
    image = strip(text)
    turn = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), degrees, 1.0)
    image = cv2.warpAffine(image, turn, image.shape[::-1], borderValue=247)
    assert texts(damaged(np.asarray(image, np.uint8), "scan", rng, 200.0)) == [text]


def test_other_print_is_no_line() -> None:
    page = np.full((400, 1400), 250, np.uint8)
    for row, font in enumerate((cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX)):
        cv2.putText(page, "0123456789 0123456789", (40, 100 + 150 * row), font, 1.6, 20, 3)
    assert texts(page) == []
    survey = cv2.imread(str(SAMPLES / "survey-form.png"), cv2.IMREAD_GRAYSCALE)
    assert texts(survey) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (PERSON, {"transit": "122000661", "account": f"0545{DASH}03739", "serial": " 1042"}),
        (f"{ON_US}00812{ON_US} {TRANSIT}011000015{TRANSIT}77{ON_US}", {"serial": "00812", "account": "77"}),
        (
            f"{TRANSIT}011000015{TRANSIT}77{ON_US}9 {AMOUNT}0000012345{AMOUNT}",
            {"amount": "0000012345", "serial": "9 ", "account": "77"},
        ),
        ("12345", {"line": "12345"}),
        (f"{TRANSIT}12", {"line": f"{TRANSIT}12"}),
    ],
    ids=["person", "firm", "amount", "no symbols", "one symbol"],
)
def test_the_fields_of_a_line(text: str, parts: dict[str, str]) -> None:
    found = {name: text[start:stop] for name, (start, stop) in parts_of_line(text).items()}
    assert found | parts == found
    assert found["line"] == text


# -------------------------------------------------------------------------------------------------- cheques


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(forms=["us-cheque"], jobs=1)


@pytest.fixture(scope="module")
def form() -> FormPage:
    return cheque_form(load_template("us-cheque"))


def read(reader: Reader, image: np.ndarray) -> PageResult:
    page = RasterPage(PageRef("cheque"), np.asarray(image, np.uint8))
    outcome = read_raster(
        page, reader.classifier, reader.config, line_recognizer=reader.line_recognizer, forms=reader.forms
    )
    assert isinstance(outcome, PageResult), outcome
    return outcome


def written(form: FormPage, seed: int, **given: str) -> tuple[np.ndarray, dict[str, str]]:
    rng = np.random.default_rng(seed)
    values = random_values(form.template, 1, rng) | {"amount": "23750", "date": "07112026"} | given
    return fill(form, values, drawn_hands()(rng), rng), values


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_cheque_is_read_whichever_way_up_it_lies(reader: Reader, form: FormPage, turn: int) -> None:
    image, values = written(form, 5)
    outcome = read(reader, np.rot90(image, turn).copy())
    found = {r.name: r for r in outcome.readings}
    assert {name: found[name].text for name in values} == values
    assert outcome.form is not None and outcome.form.name == "us-cheque" and outcome.form.quality > 0.9
    assert found["amount"].value == "237.50"
    assert found["routing"].written == values["routing"] and found["routing"].row is None
    # Boxes lie on the page that was given.
    height, width = np.rot90(image, turn).shape
    for reading in outcome.readings:
        assert 0 <= reading.box.x < reading.box.right <= width and 0 <= reading.box.y < reading.box.bottom <= height


def test_a_photographed_cheque_is_laid_flat(reader: Reader, form: FormPage) -> None:
    image, values = written(form, 8)
    outcome = read(reader, damaged(image, "photo", np.random.default_rng(3), form.dpi))
    found = {r.name: r.text for r in outcome.readings}
    assert [found[n] for n in ("routing", "account", "serial")] == [values[n] for n in ("routing", "account", "serial")]


def test_several_cheques_on_a_page_are_rows(reader: Reader) -> None:
    image = cv2.imread(str(SAMPLES / "forms" / "filled" / "cheques-scan.jpg"), cv2.IMREAD_GRAYSCALE)
    with (SAMPLES / "forms" / "truth.csv").open(newline="") as stream:
        truth = {r["field"]: r["text"] for r in csv.DictReader(stream) if r["file"] == "cheques-scan.jpg"}
    outcome = read(reader, image)
    assert {r.name: r.text for r in outcome.readings} == truth
    assert [r.row for r in outcome.readings] == [1] * 5 + [2] * 5 + [3] * 5
    assert max(r.box.bottom for r in outcome.readings[:5]) < min(r.box.y for r in outcome.readings[5:10])


def test_a_bank_number_that_breaks_its_check_digit_is_never_given_in_silence(reader: Reader, form: FormPage) -> None:
    image, values = written(form, 5)
    good = values["routing"]
    wrong = good[:-1] + str((int(good[-1]) + 1) % 10)
    image, _ = written(form, 5, routing=wrong)
    reading = next(r for r in read(reader, image).readings if r.name == "routing")
    assert reading.text == wrong and reading.state is State.INVALID and reading.review
    assert "ABA" in reading.reason or "check" in reading.reason


def test_a_character_that_cannot_be_read_is_told(reader: Reader, form: FormPage) -> None:
    image, _ = written(form, 5, account="123456789")
    clean = {r.name: r for r in read(reader, image).readings}
    assert clean["account"].text == "123456789" and not clean["account"].review
    box = clean["account"].digits[4].box
    image[box.y - 1 : box.bottom + 1, box.x - 1 : box.right + 1] = np.random.default_rng(1).integers(
        0, 255, (box.height + 2, box.width + 2), np.uint8
    )
    spoiled = {r.name: r for r in read(reader, image).readings}
    assert spoiled["account"].review and spoiled["account"].text != "123456789"
    assert not spoiled["routing"].review


def test_empty_fields_are_blank_and_a_missing_box_is_taken_for_its_place(reader: Reader, form: FormPage) -> None:
    image = draw_cheque(form, {"routing": "122000661", "account": "4711"}, np.random.default_rng(2)).image
    found = {r.name: r for r in read(reader, image).readings}
    assert found["amount"].state is State.BLANK and found["amount"].review  # it is required
    assert found["date"].state is State.BLANK and found["serial"].state is State.BLANK
    assert found["account"].text == "4711"


def test_what_is_no_cheque_is_a_failure_with_a_remedy(reader: Reader) -> None:
    image = cv2.imread(str(SAMPLES / "survey-form.png"), cv2.IMREAD_GRAYSCALE)
    page = RasterPage(PageRef("survey"), image)
    outcome = read_raster(page, reader.classifier, reader.config, forms=reader.forms)
    assert isinstance(outcome, PageFailure) and outcome.stage == "registration"
    assert "E-13B" in outcome.message and "150 dpi" in outcome.remedy


def test_firms_cheques_are_told_from_persons(form: FormPage) -> None:
    firm = cheque_form(load_template("us-business-cheque"))
    for own in (form, firm):
        image, values = written(own, 3, serial="4711", routing="122000661", account="88123")
        text = line_of(own.template, values)
        assert text.startswith(ON_US) == (own is firm)
        found = find_cheques(np.asarray(image, np.uint8), [form, firm])
        assert found is not None and found.form is own


# ------------------------------------------------------------------------------------- templates and commands


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('part = "account"', 'part = "account"\nbox = [1, 1, 5, 5]'), "found by itself"),
        (('anchor = "micr"', ""), "are for cheques"),
        (('part = "account"', 'part = "acount"'), "part"),
        (("size = [152.4, 69.85]", ""), "needs size"),
    ],
    ids=["box", "anchor", "part", "size"],
)
def test_mistakes_in_a_template_are_named(change: tuple[str, str], says: str, tmp_path: Path) -> None:
    from digitscan.forms.template import SHIPPED

    text = (SHIPPED / "us-cheque.toml").read_text()
    assert change[0] in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(UsageError, match=says):
        load_template(path)


def test_a_page_of_cheques_is_a_table_of_rows(tmp_path: Path) -> None:
    out = tmp_path / "cheques.csv"
    scan = str(SAMPLES / "forms" / "filled" / "cheques-scan.jpg")
    run = CliRunner().invoke(app, ["process", scan, "--form", "us-cheque", "--wide", "--out", str(out), "-q"])
    assert run.exit_code == 0, run.output
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["amount"] for row in rows] == ["1248.50", "75.00", "19820.35"]
    assert all(len(row["routing"]) == 9 and row["form"] == "us-cheque" for row in rows)
    assert [row["serial_state"] for row in rows] == ["value"] * 3


def test_the_form_commands_know_cheques(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scan = str(SAMPLES / "forms" / "filled" / "cheques-scan.jpg")
    assert CliRunner().invoke(app, ["form", "check", "us-cheque", scan, "--out", "zones.png"]).exit_code == 0
    assert list(tmp_path.glob("zones*.png"))
    told = CliRunner().invoke(app, ["form", "stress", "us-cheque", "--pages", "2"])
    assert told.exit_code == 0 and "routing" in told.output
    told = CliRunner().invoke(app, ["form", "print", "us-cheque", "-o", "x.pdf"])
    assert told.exit_code == 2 and "printed by its bank" in told.output
