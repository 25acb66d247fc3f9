from __future__ import annotations

import cv2
import numpy as np
import pytest

from digitscan.core.types import Box
from digitscan.layout.brackets import find_brackets
from digitscan.layout.grid import aligned_cells, corridors
from digitscan.layout.ruled import RuledTable, ruled_lines
from digitscan.layout.strings import Barriers, character_like, find_strings, reading_order
from digitscan.segmentation import seams
from digitscan.segmentation.components import cut_out, label
from digitscan.segmentation.cuts import MAX_JOINED, build_lattices
from digitscan.segmentation.marks import one_string
from digitscan.segmentation.seams import Seam, find_cuts, split
from digitscan.segmentation.struck import covers, find_struck
from tests.conftest import put


def inked(*numbers: tuple[str, int, int], shape: tuple[int, int] = (200, 600)) -> np.ndarray:
    """(H, W) uint8 soft ink with numbers written at (x, foot)."""
    ink = np.zeros(shape, np.uint8)
    for text, x, y in numbers:
        put(ink, text, x, y, 1.6, 255, 4)
    return ink


def test_nothing_has_no_components() -> None:
    found = label(np.zeros((5, 5), bool))
    assert len(found) == 0
    assert find_strings(found, np.zeros(0, bool), Barriers()) == []
    assert one_string(found, (5, 5)) is None


def test_cut_out_blanks_neighbours() -> None:
    ink = np.array([[0, 9, 9, 0, 8, 8], [0, 9, 9, 0, 8, 8]], np.uint8)
    found = label(ink > 0)
    alone = cut_out(ink, found.labels, [1], found.box(0))
    assert alone.tolist() == [[0, 9, 9, 0], [0, 9, 9, 0]]


def test_two_numbers_on_a_line_are_two_strings() -> None:
    ink = inked(("314", 20, 80), ("2718", 300, 80), ("55", 20, 180))
    found = label(ink > 100)
    strings = find_strings(found, character_like(found, ink.shape), Barriers())
    order = reading_order([s.box for s in strings])
    assert [len(strings[k].characters) for k in order] == [3, 4, 2]


def test_no_string_crosses_a_table_line() -> None:
    ink = inked(("31", 20, 80))
    found = label(ink > 100)
    keep = character_like(found, ink.shape)
    assert len(find_strings(found, keep, Barriers())) == 1
    assert len(find_strings(found, keep, Barriers((Box(52, 0, 2, 200),)))) == 2


def test_specks_bars_and_blocks_are_no_characters() -> None:
    ink = np.zeros((400, 800), np.uint8)
    ink[10:13, 10:13] = 255  # a speck
    ink[100:104, 10:700] = 255  # a bar
    ink[200:260, 100:200] = 255  # a block
    found = label(ink > 0)
    assert not character_like(found, ink.shape).any()


def test_one_string_takes_all_but_dots() -> None:
    ink = inked(("25", 5, 50), ("441", 90, 50), shape=(60, 220))
    ink[46:50, 76:80] = 255
    string = one_string(label(ink > 100), (60, 220))
    assert string is not None and len(string.characters) == 5 and len(string.marks) == 1


def test_every_pixel_goes_to_one_part_of_a_cut() -> None:
    rng = np.random.default_rng(1)
    ink = rng.integers(61, 255, (20, 40), dtype=np.uint8)
    rows = np.linspace(0, 1, 20)
    parts = split(Box(3, 4, 40, 20), ink, [Seam(10 + rows, 0.2), Seam(25.5 - rows, 0.3)], 0.3)
    assert [crossed for _, _, crossed in parts] == [0.0, 0.2, 0.3]
    canvas = np.zeros((60, 60), np.int64)
    for box, part, _ in parts:
        canvas[box.y : box.bottom, box.x : box.right] += part
    assert len(parts) == 3 and np.array_equal(canvas[4:24, 3:43], ink)


def test_touching_digits_get_a_cut_where_they_touch() -> None:
    ink = np.zeros((60, 80), np.uint8)
    ink[5:55, 5:35] = ink[5:55, 40:70] = 255
    ink[10:50, 12:28] = ink[10:50, 47:63] = 0  # two zeros
    ink[28:32, 34:41] = 255  # that touch
    cuts = find_cuts([(ink, 50, 0.0)])[0]
    assert any(seam.columns.min() >= 33 and seam.columns.max() <= 42 for seam in cuts)
    # The cheapest cut crosses the bridge alone: 4 of 50 pixels.
    assert min(seam.ink for seam in cuts) < 0.15


def test_a_cut_finds_its_way_between_digits_that_lean_over_each_other() -> None:
    ink = np.zeros((60, 80), np.uint8)
    cv2.line(ink, (40, 5), (15, 55), 255, 4)  # two slashes, one under the other's head
    cv2.line(ink, (60, 5), (35, 55), 255, 4)
    ink[29:32, 26:50] = 255  # joined
    slant = 0.3  # the string as a whole leans less
    parted = [split(Box(0, 0, 80, 60), ink, [seam], slant) for seam in find_cuts([(ink, 50, slant)])[0]]
    assert any(len(parts) == 2 and all(box.height >= 48 and box.width <= 45 for box, _, _ in parts) for parts in parted)


def test_nothing_and_narrow_marks_are_not_cut() -> None:
    assert find_cuts([]) == []
    assert find_cuts([(np.zeros((20, 20), np.uint8), 20, 0.0), (np.full((40, 6), 255, np.uint8), 40, 0.2)]) == [[], []]


def test_components_are_cut_alike_alone_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    asked = []
    for height in (12, 28, 60, 90):  # lower than the search's rows, and higher
        ink = np.zeros((height, 3 * height), np.uint8)
        put(ink, "88", 2, height - 3, height / 26, 255, max(1, height // 12))
        asked.append((ink, float(height), float(rng.uniform(-0.2, 0.5))))
    alone = [find_cuts([one])[0] for one in asked]
    assert all(alone)
    for chunk in (20_000, 50):
        monkeypatch.setattr(seams, "_CHUNK", chunk)
        for a, b in zip(alone, find_cuts(asked), strict=True):
            assert len(a) == len(b)
            assert all(np.array_equal(s.columns, t.columns) and s.ink == t.ink for s, t in zip(a, b, strict=True))


def test_lattice_covers_every_piece_and_is_bounded() -> None:
    ink = inked(("8231", 20, 80))
    found = label(ink > 100)
    [string] = find_strings(found, character_like(found, ink.shape), Barriers())
    lattice = build_lattices([string], found, ink)[0]
    singles = [c.span for c in lattice.candidates if c.span[1] - c.span[0] == 1]
    assert singles == [(k, k + 1) for k in range(len(lattice.pieces))]
    assert len(lattice.candidates) <= MAX_JOINED * len(lattice.pieces)


# ---------------------------------------------------------------- order and tables


def test_reading_order_of_a_bowed_line() -> None:
    boxes = [Box(100 * k, 50 + abs(k - 4) * 3, 40, 20) for k in range(9)] + [Box(0, 100, 40, 20)]
    shuffled = [3, 9, 0, 8, 1, 7, 2, 6, 4, 5]
    order = reading_order([boxes[k] for k in shuffled])
    assert [shuffled[k] for k in order] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_reading_order_of_nothing() -> None:
    assert reading_order([]) == []
    assert aligned_cells([]) == []
    assert corridors(np.zeros((0, 4), np.int32), 10) == []


@pytest.mark.parametrize("shape", ["skewed", "bowed", "fanned"])
def test_aligned_cells_hold_on_skewed_and_bowed_pages(shape: str) -> None:
    rng = np.random.default_rng(1)
    truth, boxes = [], []
    for row in range(20):
        for column in range(12):
            x, y = 60 + 90.0 * column, 100 + 34.0 * row
            if shape == "skewed":  # the last column hangs two rows lower than the first
                x, y = x - 0.06 * y, y + 0.065 * x
            elif shape == "bowed":
                y += 60 * ((x - 550) / 550) ** 2
            else:
                y += 0.09 * (row - 10) * (x - 550) / 10
            if rng.random() < 0.06:
                continue
            truth.append((row + 1, column + 1))
            boxes.append(Box(int(x + rng.normal(0, 1)), int(y + rng.normal(0, 1)), 60, 22))
    for speck in ((300, 452, 8, 20), (800, 520, 7, 18)):  # between rows
        truth.append((0, 0))
        boxes.append(Box(*speck))
    cells = aligned_cells(boxes)
    right = sum(c == t for c, t in zip(cells, truth, strict=True) if t != (0, 0))
    assert right == len(truth) - 2


def test_aligned_cells_leave_gaps_for_missing_numbers() -> None:
    boxes = [Box(100 * c, 40 * r, 50, 20) for r in range(4) for c in range(3) if (r, c) != (2, 1)]
    cells = aligned_cells(boxes)
    assert cells == [(r + 1, c + 1) for r in range(4) for c in range(3) if (r, c) != (2, 1)]


def test_corridors_run_between_columns_not_between_digits() -> None:
    boxes = np.array(
        [[100 * c + 12 * d, 30 * r, 10, 20] for r in range(8) for c in range(3) for d in range(4)], np.int32
    )
    posts = corridors(boxes, 20)
    assert [70 < p.x < 100 or 170 < p.x < 200 for p in posts] == [True, True]


def lines_of(*places: int, start: int = 0, stop: int = 300, upright: bool = False) -> list[Box]:
    rows = [(start, place - 1, stop - start, 2) for place in places]
    return [Box(y, x, h, w) if upright else Box(x, y, w, h) for x, y, w, h in rows]


FRAME = Box(0, 0, 300, 300)
ROWS, COLUMNS = lines_of(1, 100, 200, 299), lines_of(1, 100, 200, 299, upright=True)


@pytest.mark.parametrize(
    ("x", "y", "cell"), [(50, 50, (1, 1)), (150, 250, (3, 2)), (-5, 50, None), (305, 50, None), (250, 310, None)]
)
def test_cells_of_a_ruled_table(x: int, y: int, cell: tuple[int, int] | None) -> None:
    table = RuledTable.of(ROWS, COLUMNS, FRAME, 40)
    assert table is not None and table.cells_of([Box(x - 1, y - 1, 2, 2)]) == [cell]
    assert RuledTable.of(ROWS[:1], COLUMNS, FRAME, 40) is None


def test_a_cell_that_spans_others_goes_by_its_first() -> None:
    above = [*lines_of(1, 200, 299, upright=True), *lines_of(100, start=100, upright=True)]  # a header over two columns
    beside = [*lines_of(1, 100, 299), *lines_of(200, stop=200)]  # a cell as high as two rows
    table = RuledTable.of(beside, above, FRAME, 40)
    assert table is not None
    cells = table.cells_of([Box(x, y, 2, 2) for x, y in [(50, 50), (150, 50), (250, 150), (250, 250), (150, 250)]])
    assert cells == [(1, 1), (1, 1), (2, 3), (2, 3), (3, 2)]
    walls = [(b.x, b.y) for b in table.walls()]
    assert (100, 1) not in walls and {(100, 100), (100, 200), (200, 1)} <= set(walls)
    short = RuledTable.of(beside, above, FRAME, 120)  # sides this short may have lines that were not found
    assert short is not None and short.cells_of([Box(150, 50, 2, 2)]) == [(1, 2)]


def test_what_makes_no_rectangle_spans_nothing() -> None:
    rows = [*lines_of(1, 200, 299), *lines_of(100, start=100)]
    columns = [*lines_of(1, 200, 299, upright=True), *lines_of(100, start=100, upright=True)]
    table = RuledTable.of(rows, columns, FRAME, 40)
    assert table is not None and table.cells_of([Box(150, 50, 2, 2)]) == [(1, 2)]


def test_ruled_lines_join_broken_segments() -> None:
    segments = [Box(0, 50, 40, 2), Box(60, 51, 40, 2), Box(0, 80, 10, 2)]
    [line] = ruled_lines(segments, Box(0, 0, 100, 100), horizontal=True)
    assert line.at(50) == pytest.approx(51.5, abs=0.1) and line.covered(
        np.zeros(1), np.full(1, 100.0)
    ) == pytest.approx([0.8])


def test_bowed_lines_keep_their_rows() -> None:
    x = np.arange(0, 1000, 50)
    sag = (30 * np.sin(np.pi * x / 1000)).astype(int)
    rows = [Box(int(a), y + int(b), 50, 2) for y in (0, 40, 80, 120) for a, b in zip(x, sag, strict=True)]
    table = RuledTable.of(rows, lines_of(1, 500, 999, stop=150, upright=True), Box(0, 0, 1000, 152), 30)
    assert table is not None and len(table.rows) == 4
    assert table.cells_of([Box(480, 30 + 58, 4, 4)]) == [(2, 1)] and table.cells_of([Box(20, 58, 4, 4)]) == [(2, 1)]


# ---------------------------------------------------------------- struck out


def struck_page(*, start: int = 88, end: int = 330, dip: int = 6) -> np.ndarray:
    """(H, W) bool: 2735 at (100, 120) with a stroke through it."""
    ink = inked(("2735", 100, 120))
    cv2.line(ink, (start, 100), (end, 100 + dip), 255, 3)
    return ink > 127


def test_a_stroke_through_a_number_strikes_it_out() -> None:
    number = Box(*cv2.boundingRect((inked(("2735", 100, 120)) > 127).astype(np.uint8)))
    [box] = find_struck(struck_page(end=number.right + 14))
    assert covers(box, number)
    assert not covers(box, Box(number.x - 200, number.y, 500, number.height))


@pytest.mark.parametrize(
    "page",
    [
        inked(("2735", 100, 120)) > 127,
        struck_page(start=0, end=599, dip=0),  # a rule of the form
        struck_page(start=150, end=200),  # the bar of a seven
        inked(("4444", 100, 120), ("-", 180, 120)) > 127,
        np.zeros((50, 50), bool),
    ],
)
def test_rules_bars_and_clean_numbers_are_not_struck_out(page: np.ndarray) -> None:
    assert find_struck(page) == []


def test_a_line_under_or_over_a_number_does_not_strike_it_out() -> None:
    for y in (80, 122):
        ink = inked(("2735", 100, 120))
        cv2.line(ink, (88, y), (300, y), 255, 3)
        assert find_struck(ink > 127) == []


def test_brackets_are_pairs_that_turn_to_what_they_enclose() -> None:
    marks = np.zeros((200, 900), np.uint8)
    for x, way in ((100, 1), (300, -1)):  # [12345]
        points = np.array([[x + 10 * way, 60], [x, 60], [x, 110], [x + 10 * way, 110]], np.int32)
        cv2.polylines(marks, [points], False, 1, 3)
    cv2.ellipse(marks, (520, 85), (14, 27), 0, 110, 250, 1, 3)  # (1234)
    cv2.ellipse(marks, (700, 85), (14, 27), 0, -70, 70, 1, 3)
    for x in (*range(120, 290, 34), *range(525, 680, 34)):
        cv2.rectangle(marks, (x, 66), (x + 20, 104), 1, 3)
    found = label(marks.view(np.bool_))
    brackets = find_brackets(found, np.ones(len(found), bool))
    assert sorted(int(x) for x in found.boxes[brackets, 0]) == pytest.approx([99, 290, 505, 701], abs=8)
    alone = marks.copy()
    alone[:, 280:310] = 0
    alone[:, 690:720] = 0
    found = label(alone.view(np.bool_))
    assert not find_brackets(found, np.ones(len(found), bool)).any()  # a bracket has its partner
