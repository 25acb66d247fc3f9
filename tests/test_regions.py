"""Ruled structure, and the ledger of ink: small drawn pages whose right reading is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import digitscan
from digitscan.core.config import Config
from digitscan.core.observer import unobserved
from digitscan.core.types import Box, GrayImage, Layout, PageRef, PageResult, RasterPage
from digitscan.imaging.ink import find_ink, scaling
from digitscan.imaging.rules import RulingLines
from digitscan.layout.faint import with_faint_lines, with_open_ends
from digitscan.layout.find import find_lattices
from digitscan.layout.ruled import RuledLine
from digitscan.layout.structure import RuledStructure
from digitscan.layout.walls import find_teeth
from digitscan.segmentation.components import label

UPRIGHT = Config(imaging={"orientation": "0"})  # type: ignore[arg-type]


def paper(width: int, height: int) -> GrayImage:
    return np.full((height, width), 245, np.uint8)


def put(image: GrayImage, text: str, x: int, y: int, scale: float = 1.2, thick: int = 3) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 30, thick, cv2.LINE_AA)


def grid(image: GrayImage, xs: list[int], ys: list[int], level: int = 60, thick: int = 2) -> None:
    for x in xs:
        cv2.line(image, (x, ys[0]), (x, ys[-1]), level, thick)
    for y in ys:
        cv2.line(image, (xs[0], y), (xs[-1], y), level, thick)


def read(image: GrayImage, layout: str = "auto") -> PageResult:
    config = UPRIGHT.model_copy(update={"layout": Layout(layout)})
    outcome = digitscan.Reader(config=config).read_image(image)
    assert isinstance(outcome, PageResult)
    return outcome


def structure_of(image: GrayImage) -> tuple[RuledStructure, RulingLines]:
    binary, _, rules = find_ink(RasterPage(PageRef("p"), image), UPRIGHT, 0, unobserved)
    return RuledStructure.of(rules, binary.ink), rules


def test_ones_in_a_row_of_boxes_are_no_walls() -> None:
    image = paper(900, 200)
    grid(image, list(range(50, 851, 80)), [60, 140])
    for k, digit in enumerate("0125081"):
        x = 75 + 80 * k
        if digit == "1":
            cv2.line(image, (x + 15, 80), (x + 15, 122), 30, 4)
        else:
            put(image, digit, x, 122, 1.6)
    structure, _ = structure_of(image)
    assert len(structure.tables) == 1 and structure.box_rows == {0}
    assert [r.text for r in read(image).readings] == ["0125081"]


def test_a_bare_one_in_line_with_others_is_kept_in_each_row() -> None:
    image = paper(620, 420)
    grid(image, [40, 220, 400, 580], list(range(40, 401, 60)))
    for row in range(6):
        y = 84 + 60 * row
        put(image, "4", 90, y)
        cv2.line(image, (130, y - 25), (130, y), 30, 3)  # one below the other, thin and straight, like a rule
        put(image, "27", 270, y)
        put(image, "83", 450, y)
    texts = [r.text for r in read(image, "table").readings]
    assert texts == ["41", "27", "83"] * 6


def test_a_cell_holds_one_number_however_wide_its_gap() -> None:
    image = paper(700, 300)
    grid(image, [40, 360, 660], [40, 120, 200, 280])
    for row in range(3):
        put(image, "3", 90, 95 + 80 * row)
        put(image, "96", 160, 95 + 80 * row)
        put(image, "250", 430, 95 + 80 * row)
    result = read(image, "table")
    assert [(r.row, r.column, r.text) for r in result.readings if r.column == 1] == [(k, 1, "396") for k in (1, 2, 3)]


def test_rows_of_text_count_where_no_line_parts_them() -> None:
    image = paper(700, 460)
    grid(image, [40, 250, 460, 660], [40, 110, 430])
    for row in range(5):
        for column, text in enumerate(("27", "58", "943")):
            put(image, text, 90 + 210 * column, 165 + 55 * row, 1.0)
    result = read(image, "table")
    assert len(result.readings) == 15
    assert sorted({r.row for r in result.readings if r.row}) == [2, 3, 4, 5, 6]


def test_a_stroke_beside_a_number_that_was_not_read_is_told() -> None:
    image = paper(500, 200)
    grid(image, [40, 460], [40, 160])
    put(image, "58", 100, 115, 1.4)
    clean = read(image).readings
    cv2.ellipse(image, (205, 95), (17, 40), 0, 0, 360, 30, 3)
    cv2.line(image, (185, 70), (225, 120), 30, 3)
    cv2.line(image, (225, 70), (185, 120), 30, 3)
    spoilt = read(image).readings
    assert [r.text for r in clean] == ["58"]
    assert [r.text for r in spoilt] != ["58"] or spoilt[0].review


def test_small_writing_is_enlarged_and_boxes_stay_in_source_pixels() -> None:
    image = paper(400, 120)
    cv2.putText(image, "40718", (60, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 30, 1, cv2.LINE_AA)
    cv2.putText(image, "2953", (220, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 30, 1, cv2.LINE_AA)
    readings = read(image).readings
    assert [r.text for r in readings] == ["40718", "2953"]
    assert abs(readings[0].box.x - 60) <= 3 and readings[0].box.height <= 16


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_scaling_keeps_the_centres_of_pixels(scale: float) -> None:
    corner = scaling(scale) @ np.array([-0.5, -0.5, 1.0])  # the outer corner of the first pixel stays one
    assert corner[:2].tolist() == [-0.5, -0.5]


def lines(places: list[float], first: float, last: float) -> list[RuledLine]:
    along = np.array([first, last])
    return [RuledLine(along, np.array([p, p]), np.array([[first, last]])) for p in places]


def test_a_missing_line_is_found_by_its_faint_trace_alone() -> None:
    ink = np.zeros((300, 400), np.uint8)
    rows = lines([20.0, 280.0], 20, 380)
    columns = lines([20.0, 80.0, 140.0, 260.0, 320.0, 380.0], 20, 280)
    assert len(with_faint_lines(columns, rows, ink, horizontal=False)) == 6  # a wide column leaves no trace
    ink[20:280, 200] = 20
    found = with_faint_lines(columns, rows, ink, horizontal=False)
    assert [round(line.at(150)) for line in found] == pytest.approx([20, 80, 140, 200, 260, 320, 380], abs=2)


def test_lines_that_go_on_close_an_open_row() -> None:
    rows, columns = lines([100.0, 160.0, 220.0], 20, 380), lines([20.0, 200.0, 380.0], 40, 222)
    closed = with_open_ends(rows, columns)
    assert [round(row.at(200)) for row in closed] == [40, 100, 160, 220]


def test_teeth_stand_at_an_even_pitch_and_ones_do_not() -> None:
    mask = np.zeros((120, 640), bool)
    mask[100:103, 40:600] = True
    for x in range(40, 601, 80):
        mask[80:99, x : x + 2] = True
    mask[60:98, 150:153] = True  # a 1 that stands on the floor
    floor = RulingLines(horizontals=[Box(40, 100, 560, 3)], thickness_px=3.0)
    found = label(mask & ~np.pad(np.ones((3, 640), bool), ((100, 17), (0, 0))))
    empty = RuledStructure((), frozenset(), None)
    combs = find_teeth(found, floor, empty)
    assert [sorted(found.box(k).x for k in comb) for comb in combs] == [list(range(40, 601, 80))]


def test_an_amount_is_read_inside_its_box() -> None:
    image = paper(740, 160)
    grid(image, [120, 200, 700], [30, 130])
    put(image, "R", 140, 100)
    put(image, "88470", 250, 100, 1.4)
    put(image, "pay", 20, 100)
    readings = read(image, "line").readings
    assert [r.text for r in readings] == ["88470"]
    assert 240 <= readings[0].box.x <= 260


def test_a_stroke_that_lies_on_no_line_is_given_back() -> None:
    image = paper(620, 260)
    grid(image, [40, 220, 400, 580], [40, 110, 180, 250])
    cv2.line(image, (300, 54), (300, 97), 30, 3)  # as long as a rule, and on none
    put(image, "6", 250, 90)
    binary, _, rules = find_ink(RasterPage(PageRef("p"), image), UPRIGHT, 0, unobserved)
    found = find_lattices(binary, rules, Layout.TABLE)
    cell = [lattice for lattice in found.lattices if (lattice.row, lattice.column) == (1, 2)]
    assert len(cell) == 1 and cell[0].box.right >= 298
