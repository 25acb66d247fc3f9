"""Filled forms: registration, fields under their rules, states, rules across fields, wide tables, drafts, prints."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest
from typer.testing import CliRunner

from digitscan import Reader
from digitscan.authoring.drafting import blank_from_filled
from digitscan.authoring.stress import damaged, drawn_hands, fill, random_values, stress_pages
from digitscan.cli.app import app
from digitscan.core.config import Config
from digitscan.core.errors import UsageError
from digitscan.core.types import (
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
from digitscan.export.wide import FormColumns, Gatherer, form_row, header
from digitscan.forms.formset import FormSet
from digitscan.forms.registration import best_fit, describe_blank, point_to_source
from digitscan.forms.template import load_template
from digitscan.forms.zones import draft_zones
from digitscan.imaging.rules import print_mask
from digitscan.pipeline.read import read_raster
from tests.small_form import FORMS, SMALL, write_template

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
    return FormSet([write_template(tmp_path, text)], Config())


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
    return FormSet([write_template(tmp_path_factory.mktemp("form"))], Config())


def _read(reader: Reader, forms: FormSet, image: np.ndarray) -> PageResult | PageFailure:
    page = RasterPage(PageRef("page"), image)
    return read_raster(page, reader.classifier, reader.config, line_recognizer=reader.line_recognizer, forms=forms)


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
    template = write_template(tmp_path)
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
    template = write_template(tmp_path)
    png = tmp_path / "blank.png"
    assert runner.invoke(app, ["form", "print", str(template), "-o", str(png), "--dpi", "200"]).exit_code == 0
    text = (
        '[form]\nname = "f"\nblank = "blank.png"\nsize = [120.0, 90.0]\n[[field]]\nname = "id"\nframe = 1\ndigits = 5\n'
    )
    forms = FormSet([write_template(tmp_path, text, "f.toml")], Config())
    cell = forms.pages[0].cells[0]
    mm = forms.pages[0].dpi / 25.4
    assert np.array(cell.box) / mm == pytest.approx([30, 25, 45, 9], abs=0.7)
    with pytest.raises(UsageError, match="names frame 40"):
        FormSet([write_template(tmp_path, text.replace("frame = 1", "frame = 40"), "g.toml")], Config())


def test_pages_of_a_form_find_their_page_and_make_one_row(tmp_path: Path) -> None:
    text = SMALL.replace("size = [120.0, 90.0]", "size = [120.0, 90.0]\npages = 2")
    text += '[[field]]\nname = "age"\npage = 2\nbox = [30, 25, 18, 9]\ndigits = 2\n'
    text += '[[rule]]\nname = "age of majority"\nexpression = "age == a + 18"\n'
    template = write_template(tmp_path, text)
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
