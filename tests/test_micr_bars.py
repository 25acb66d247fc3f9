"""Lines of CMC-7: read by the distances of their bars, named where they cannot be, and no row of ones."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from digitscan import Reader
from digitscan.core.types import GrayImage, Layout, PageResult, State
from digitscan.micr.bars import BAR, BAR_SYMBOLS, CODES, LONG, SHORT, TALL, WIDE, read_bar_lines
from digitscan.micr.groups import readings_of
from digitscan.micr.page import magnetic_lines
from digitscan.micr.standard import MODULE_INCH, PITCH

BRAZIL = ";10443928; 0183012765> 700600004022:"


def strip(text: str, dpi: float = 300.0) -> GrayImage:
    """A line of CMC-7 on plain paper: (H, W) uint8. Every other bar has a gap in its middle."""
    fine = 4
    module = dpi * MODULE_INCH * fine
    page = np.full((round(32 * module), round((len(text) + 8) * PITCH * module)), 235, np.uint8)
    for place, symbol in enumerate(text):
        if symbol == " ":
            continue
        steps = [LONG if long == "1" else SHORT for long in CODES[BAR_SYMBOLS.index(symbol)]]
        right = (4 + place + 1) * PITCH - 0.5 * (PITCH - WIDE)
        for k, x in enumerate(right - WIDE + np.concatenate([[0.0], np.cumsum(steps)])):
            columns = slice(round((x - BAR / 2) * module), round((x + BAR / 2) * module))
            top = 12 + 0.5 * (k % 3)
            page[round(top * module) : round((12 + TALL) * module), columns] = 40
            if k % 2:
                page[round((12 + 0.4 * TALL) * module) : round((12 + 0.6 * TALL) * module), columns] = 235
    return np.asarray(cv2.resize(page, None, fx=1 / fine, fy=1 / fine, interpolation=cv2.INTER_AREA), np.uint8)


def texts(image: GrayImage) -> list[str]:
    return [line.text for line in read_bar_lines(image)]


def test_every_code_has_two_long_distances_and_no_two_are_alike() -> None:
    assert len(CODES) == len(set(CODES)) == len(BAR_SYMBOLS) == 15
    assert all(len(code) == 6 and code.count("1") == 2 for code in CODES)
    assert [code[-1] for code in CODES] == ["0"] * 10 + ["1"] * 5  # symbols end in a long one, digits do not


@pytest.mark.parametrize("dpi", [200.0, 300.0, 600.0])
def test_a_line_is_read(dpi: float) -> None:
    assert texts(strip(BRAZIL, dpi)) == [BRAZIL]


@pytest.mark.parametrize(
    "damage",
    [
        lambda image: np.rot90(image, 2).copy(),
        lambda image: cv2.GaussianBlur(image, (0, 0), 0.8),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 0),
        lambda image: (image // 3 + 120).astype(np.uint8),
    ],
    ids=["on its head", "blur", "jpeg", "pale"],
)
def test_a_line_is_read_through_damage(damage: Callable[[GrayImage], GrayImage]) -> None:
    assert texts(np.asarray(damage(strip("1234567890; 0987654321>")), np.uint8)) == ["1234567890; 0987654321>"]


def test_groups_are_readings() -> None:
    image = strip(BRAZIL)
    (line,) = magnetic_lines(image, Layout.LINE)
    readings = readings_of(line, image.shape, 0.9)
    assert [r.text for r in readings] == ["10443928", "0183012765", "700600004022"]
    assert [r.written for r in readings] == [";10443928;", "0183012765>", "700600004022:"]
    assert not any(r.review for r in readings)


def test_bars_that_run_together_are_named_and_give_no_ones() -> None:
    image = strip(BRAZIL, 300.0)
    # One bar in each character is moved: no code of the standard fits any more.
    rng = np.random.default_rng(4)
    for place in range(len(BRAZIL)):
        right = round((4 + place + 1) * PITCH * 300 * MODULE_INCH)
        shift = int(rng.integers(3, 6))
        part = image[:, right - 27 : right - 6]
        image[:, right - 27 : right - 6] = np.roll(part, shift, axis=1)
    outcome = Reader(layout="line", jobs=1).read_image(image)
    assert isinstance(outcome, PageResult)
    assert all(r.review for r in outcome.readings)
    assert not any(set(r.text) == {"1"} for r in outcome.readings)
    assert all(r.state is not State.VALUE or len(r.text) < 20 for r in outcome.readings)


def test_combs_and_hatching_are_no_line() -> None:
    page = np.full((300, 1200), 240, np.uint8)
    page[100:140, 60:1100:8] = 30  # bars without characters
    assert texts(page) == []
    boxes = np.full((300, 1200), 240, np.uint8)
    for k in range(24):
        cv2.rectangle(boxes, (60 + 44 * k, 100), (96 + 44 * k, 140), 30, 2)
    assert texts(boxes) == []
