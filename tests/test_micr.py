"""Lines of magnetic characters without a template: found in any direction, read, parted into groups."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from digitscan import Reader
from digitscan.core.types import Box, FieldReading, GrayImage, Layout, PageRef, PageResult, Quality, State
from digitscan.micr.groups import groups_of, readings_of
from digitscan.micr.match import MARGIN, draw_glyph
from digitscan.micr.page import magnetic_lines, with_lines
from digitscan.micr.read import read_micr_lines
from digitscan.micr.standard import AMOUNT, DASH, HEIGHT, MODULE_INCH, ON_US, PITCH_INCH, TRANSIT, WIDTH

INDIA = f"{ON_US}083654{ON_US} 500025033{TRANSIT} 290062{ON_US} 31"
GAP = f"{ON_US}120611{ON_US} 500015048{TRANSIT}         31"
CANADA = f"{ON_US}604{ON_US} {TRANSIT}12345{DASH}003{TRANSIT} 123{DASH}4567{ON_US}"


def strip(text: str, dpi: float = 200.0, height_inch: float = 0.9) -> GrayImage:
    """A line of E-13B on plain paper, 0.5 inch beside it: (H, W) uint8."""
    page = np.full((round(height_inch * dpi), round((len(text) * PITCH_INCH + 1.0) * dpi)), 0.93, np.float32)
    module = dpi * MODULE_INCH
    for k, symbol in enumerate(text):
        if symbol == " ":
            continue
        glyph = draw_glyph(symbol, module)
        x = round((0.5 + (k + 1) * PITCH_INCH) * dpi - (WIDTH + MARGIN) * module)
        y = round(page.shape[0] / 2 - (HEIGHT / 2 + MARGIN) * module)
        part = page[y : y + glyph.shape[0], x : x + glyph.shape[1]]
        np.minimum(part, 0.93 * (1 - 0.85 * glyph), out=part)
    return np.asarray(page * 255, np.uint8)


def leaning(image: GrayImage, degrees: float) -> GrayImage:
    """The image turned, on a canvas that holds it."""
    room = round(abs(np.sin(np.deg2rad(degrees))) * image.shape[1] / 2) + 10
    image = np.pad(image, ((room, room), (20, 20)), mode="edge")
    turn = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(image, turn, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


def seen_askew(image: GrayImage) -> GrayImage:
    """The image as a camera at its left sees it: its right end is a fifth smaller."""
    h, w = image.shape
    ends = np.array([[0, 0], [w, 0.1 * h], [w, 0.9 * h], [0, h]], np.float32)
    warp = cv2.getPerspectiveTransform(np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32), ends)
    return np.asarray(cv2.warpPerspective(image, warp, (w, h), borderValue=120), np.uint8)


def on_pattern(image: GrayImage) -> GrayImage:
    """The image on the waves of security print."""
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    waves = 1 - 0.12 * (1 + np.sin(x / 4 + y / 2.5 + 2 * np.sin(x / 40)))
    return np.asarray(image * waves, np.uint8)


def jpeg(image: GrayImage, quality: int) -> GrayImage:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0), np.uint8)


def texts(image: GrayImage) -> list[str]:
    return [line.text for line in read_micr_lines(image)]


@pytest.mark.parametrize(
    "text", [INDIA, GAP, CANADA, "123456789 1234567"], ids=["india", "gap", "canada", "no symbols"]
)
def test_a_line_is_read_whatever_its_layout(text: str) -> None:
    assert texts(strip(text)) == [text]


@pytest.mark.parametrize(
    "damage",
    [
        lambda image: jpeg(image, 40),
        lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda image: cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
        lambda image: cv2.GaussianBlur(image, (0, 0), 1.2),
        lambda image: leaning(image, 7),
        lambda image: leaning(image, -14),
        lambda image: np.rot90(image, 2).copy(),
        lambda image: np.rot90(image).copy(),
        seen_askew,
        on_pattern,
        lambda image: (image // 4 + 140).astype(np.uint8),
    ],
    ids=["jpeg", "100 dpi", "600 dpi", "blur", "7", "-14", "on its head", "sideways", "askew", "pattern", "pale"],
)
def test_a_line_is_read_through_damage(damage: Callable[[GrayImage], GrayImage]) -> None:
    assert texts(np.asarray(damage(strip(INDIA)), np.uint8)) == [INDIA]


def test_corners_lie_on_the_characters() -> None:
    image = leaning(strip(INDIA), 7)
    (line,) = read_micr_lines(image)
    for k, symbol in enumerate(line.text):
        x, y = line.corners[k].mean(axis=0).round().astype(int)
        around = image[y - 9 : y + 10, x - 7 : x + 8]
        assert (around.min() < 120) == (symbol != " "), k


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        (INDIA, [f"{ON_US}083654{ON_US}", f"500025033{TRANSIT}", f"290062{ON_US}", "31"]),
        (CANADA, [f"{ON_US}604{ON_US}", f"{TRANSIT}12345{DASH}003{TRANSIT}", f"123{DASH}4567{ON_US}"]),
        (f"{TRANSIT}122{TRANSIT}0545{ON_US}", [f"{TRANSIT}122{TRANSIT}", f"0545{ON_US}"]),
        (f"{ON_US}12{ON_US}{TRANSIT}345{TRANSIT}", [f"{ON_US}12{ON_US}", f"{TRANSIT}345{TRANSIT}"]),
        (f"{AMOUNT}12?4{AMOUNT} ??", [f"{AMOUNT}12?4{AMOUNT}", "??"]),
        (f" {ON_US} ", []),
        ("", []),
    ],
    ids=["india", "canada", "united states", "side by side", "unread", "no digits", "nothing"],
)
def test_groups_take_the_symbols_beside_them(text: str, groups: list[str]) -> None:
    found = groups_of(text)
    assert [text[g.left : g.right] for g in found] == groups
    assert all(text[g.start] in "0123456789?" and text[g.stop - 1] in "0123456789?" for g in found)


def test_a_group_is_a_reading_with_its_digits_in_place() -> None:
    image = strip(CANADA)
    (line,) = read_micr_lines(image)
    readings = readings_of(line, image.shape, 0.9)
    assert [r.text for r in readings] == ["604", "12345003", "1234567"]
    assert [r.written for r in readings][1] == f"{TRANSIT}12345{DASH}003{TRANSIT}"
    for reading in readings:
        assert reading.state is State.VALUE and not reading.review and reading.confidence > 0.99
        assert [d.digit for d in reading.digits] == list(reading.text)
        assert all(a.box.right <= b.box.right for a, b in zip(reading.digits, reading.digits[1:], strict=False))
        assert all(reading.box.x <= d.box.x and d.box.right <= reading.box.right for d in reading.digits)


def test_what_cannot_be_read_is_told_and_leaves_no_gap() -> None:
    image = strip(INDIA)
    clean = readings_of(read_micr_lines(image)[0], image.shape, 0.9)
    box = clean[1].digits[3].box
    rng = np.random.default_rng(1)
    image[box.y - 1 : box.bottom + 1, box.x - 1 : box.right + 1] = rng.integers(0, 255, (box.height + 2, box.width + 2))
    spoiled = readings_of(read_micr_lines(image)[0], image.shape, 0.9)
    assert [r.text for r in spoiled][0::2] == ["083654", "290062"] and [r.review for r in spoiled][0::2] == [False] * 2
    assert spoiled[1].review and spoiled[1].written == f"500?25033{TRANSIT}" and spoiled[1].confidence <= 0.5
    assert "not read" in spoiled[1].reason


def test_a_group_that_is_blotted_out_is_not_passed_over() -> None:
    image = strip(INDIA)
    boxes = [d.box for d in readings_of(read_micr_lines(image)[0], image.shape, 0.9)[2].digits]
    image[boxes[0].y : boxes[0].bottom, boxes[0].x : boxes[-1].right] = 40
    readings = readings_of(read_micr_lines(image)[0], image.shape, 0.9)
    assert any(r.review and r.box.x < boxes[2].x < r.box.right for r in readings)


def page_with(image: GrayImage) -> GrayImage:
    """An upright page of text with a line at its foot."""
    page = np.full((700, max(1200, image.shape[1] + 100)), 240, np.uint8)
    for row in range(4):
        cv2.putText(page, "Pay 4711 or 0815 to order", (60, 90 + 90 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 40, 3)
    page[480 : 480 + image.shape[0], 40 : 40 + image.shape[1]] = image
    return page


def test_a_pages_line_takes_the_place_of_what_else_was_read_there() -> None:
    page = page_with(strip(INDIA, height_inch=0.6))
    lines = magnetic_lines(page, Layout.AUTO)
    assert [line.text for line in lines] == [INDIA]
    y = int(lines[0].corners[:, :, 1].mean())

    def reading(text: str, box: Box) -> FieldReading:
        return FieldReading("s1", None, None, text, (), 0.9, State.VALUE, False, "", (), box)

    others = (
        reading("4711", Box(130, 60, 90, 30)),
        reading("83654", Box(200, y - 10, 150, 20)),
        reading("9", Box(130, 660, 20, 20)),
    )
    quality = Quality(0.9, 20.0, ("no numbers found",))
    result = with_lines(
        PageResult(PageRef("x"), page.shape[1], page.shape[0], None, 0.0, quality, others), lines, Layout.AUTO, 0.9
    )
    assert [r.text for r in result.readings] == ["4711", "083654", "500025033", "290062", "31", "9"]
    assert [r.name for r in result.readings] == ["s1", "s2", "s3", "s4", "s5", "s6"]
    assert result.quality.warnings == ()
    untouched = PageResult(PageRef("x"), 10, 10, None, 0.0, quality, others)
    assert with_lines(untouched, [], Layout.AUTO, 0.9) is untouched


def test_tables_and_single_digits_are_not_asked() -> None:
    image = strip(INDIA)
    assert magnetic_lines(image, Layout.TABLE) == [] == magnetic_lines(image, Layout.DIGIT)


@pytest.mark.parametrize("layout", ["line", "auto"])
def test_a_line_alone_is_given_group_by_group(layout: str) -> None:
    outcome = Reader(layout=layout, jobs=1).read_image(strip(INDIA, 300.0))
    assert isinstance(outcome, PageResult)
    assert [r.text for r in outcome.readings] == ["083654", "500025033", "290062", "31"]
    assert " ".join(r.written for r in outcome.readings) == INDIA
    assert not any(r.review for r in outcome.readings)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (40, 40), (900, 1200)])
@pytest.mark.parametrize("level", [0, 255])
def test_blank_and_black_have_no_line(shape: tuple[int, int], level: int) -> None:
    assert read_micr_lines(np.full(shape, level, np.uint8)) == []


def test_other_print_of_one_pitch_is_no_line() -> None:
    page = np.full((500, 1500), 245, np.uint8)
    for row, font in enumerate((cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)):
        for k, digit in enumerate("30918273645501928374655"):  # at the standard's step and height
            cv2.putText(page, digit, (60 + round(k * 26.7), 120 + 130 * row), font, 1.15, 20, 2 + row)
    assert read_micr_lines(page) == []
    noise = np.random.default_rng(3).integers(0, 255, (300, 900)).astype(np.uint8)
    assert read_micr_lines(noise) == []
