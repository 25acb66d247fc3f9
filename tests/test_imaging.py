from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitscan.imaging.binarize import binarize, ink_levels, soft_ink
from digitscan.imaging.deskew import estimate_skew, rotation, turn_ink
from digitscan.imaging.geometry import blank_ground, flatten_photo, is_light_on_dark, perspective_of, quarter_turn
from digitscan.imaging.rules import find_rules, remove_rules
from tests.conftest import paper, put

RNG = np.random.default_rng(0)

# ---------------------------------------------------------------- binarization


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (64, 64)])
@pytest.mark.parametrize("tone", [0, 128, 255])
@pytest.mark.parametrize("method", ["adaptive", "otsu", "sauvola"])
def test_constant_pages_hold_no_ink(shape: tuple[int, int], tone: int, method: str) -> None:
    mask, levels = binarize(soft_ink(np.full(shape, tone, np.uint8)), method)  # type: ignore[arg-type]
    assert mask.shape == shape and not mask.any() and levels.contrast < 0.05


@pytest.mark.parametrize("method", ["adaptive", "otsu", "sauvola"])
def test_strokes_are_found_under_a_shadow(method: str) -> None:
    image = paper(300, 200).astype(np.float32)
    stroke = np.zeros((200, 300), bool)
    stroke[40:160, 60:66] = stroke[40:160, 240:246] = True
    image[stroke] *= 0.3
    image *= np.interp(np.arange(300), [0, 120, 180, 300], [1, 1, 0.45, 0.45])  # a shadow over the right half
    mask, _ = binarize(soft_ink(image.astype(np.uint8)), method)  # type: ignore[arg-type]
    assert mask[stroke].mean() > 0.95
    assert mask[~cv2.dilate(stroke.astype(np.uint8), np.ones((5, 5))).astype(bool)].mean() < 0.02


def test_a_solid_stroke_is_not_hollowed() -> None:
    image = paper(400, 400)
    image[100:300, 180:220] = 20
    mask, _ = binarize(soft_ink(image, 121), window=31)
    assert mask[100:300, 180:220].mean() > 0.98


def test_patterned_paper_stays_paper() -> None:
    ys, xs = np.mgrid[0:60, 0:200]
    image = (225 - 25 * (np.sin(ys * 1.1 + xs * 0.2) > 0.6)).astype(np.uint8)
    put(image, "47", 60, 50, 1.5, 40, 4)
    mask, _ = binarize(soft_ink(image, 47), window=47)
    assert mask[:, :40].mean() < 0.01 and mask.mean() > 0.05


def test_pencil_beside_print_is_found_when_asked_for() -> None:
    image = paper(600, 200)
    put(image, "38", 40, 130, 3, 20, 8)
    put(image, "5", 400, 130, 3, 185, 6)
    ink = soft_ink(image)
    dark, _ = binarize(ink)
    both, _ = binarize(ink, faint_strokes=True)
    assert not dark[:, 350:].any() and both[:, 350:].any()
    assert np.array_equal(dark[:, :300], both[:, :300])


def test_levels_of_a_blank_page_are_equal() -> None:
    levels = ink_levels(np.zeros((30, 30), np.uint8))
    assert levels.contrast == 0.0


# ---------------------------------------------------------------- skew


def text_page(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = paper(900, 700)
    for row in range(9):
        put(image, "".join(str(d) for d in rng.integers(0, 10, 9)), 120, 110 + row * 62, 1.3, 30, 3)
    return image


@settings(max_examples=25, deadline=None)
@given(st.floats(-12, 12), st.integers(0, 5))
def test_residual_skew_is_below_half_a_degree(angle: float, seed: int) -> None:
    turn, size = rotation((700, 900), angle)
    image = cv2.warpAffine(text_page(seed), turn[:2], size, borderValue=235)
    mask, _ = binarize(soft_ink(np.asarray(image, np.uint8)))
    assert abs(estimate_skew(mask) + angle) < 0.5


@pytest.mark.parametrize("mask", [np.zeros((50, 50), bool), np.ones((50, 50), bool), np.eye(3, dtype=bool)])
def test_pages_without_rows_are_not_turned(mask: np.ndarray) -> None:
    assert abs(estimate_skew(mask)) < 1e-9


def test_turning_keeps_all_ink_and_says_where_it_went() -> None:
    ink = np.zeros((60, 80), np.uint8)
    ink[10:13, 20:23] = 255
    turned, transform = turn_ink(ink, 7.0)
    x, y, _ = transform @ np.array([21, 11, 1])
    assert turned[round(y), round(x)] > 200
    assert abs(int(turned.sum()) - int(ink.sum())) < 0.1 * ink.sum()


# ---------------------------------------------------------------- polarity, turns, photographs


def test_polarity() -> None:
    dark_on_light = text_page()
    assert not is_light_on_dark(dark_on_light)
    assert is_light_on_dark(np.asarray(255 - dark_on_light, np.uint8))
    desk = np.full((900, 1200), 40, np.uint8)
    desk[150:750, 300:800] = 220  # a sheet on a dark desk is still paper
    put(desk, "384", 400, 450, 3, 30, 6)
    assert not is_light_on_dark(desk)
    assert not is_light_on_dark(paper(20, 20, 0)) and not is_light_on_dark(paper(1, 1))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_quarter_turns_say_where_pixels_go(degrees: int) -> None:
    image = np.zeros((30, 50), np.uint8)
    image[4, 9] = 255
    turned, transform = quarter_turn(image, degrees)
    x, y, _ = transform @ np.array([9.5, 4.5, 1])
    assert turned[int(y), int(x)] == 255


def test_other_turns_are_refused() -> None:
    with pytest.raises(ValueError, match="45"):
        quarter_turn(paper(3, 3), 45)


def test_a_photographed_frame_becomes_a_rectangle() -> None:
    flat = paper(800, 800)
    for k in range(5):
        cv2.line(flat, (100, 100 + 150 * k), (700, 100 + 150 * k), 30, 4)
        cv2.line(flat, (100 + 150 * k, 100), (100 + 150 * k, 700), 30, 4)
    source = np.array([[100, 100], [700, 100], [700, 700], [100, 700]], np.float32)
    target = np.array([[160, 120], [690, 170], [740, 720], [90, 650]], np.float32)
    photo = cv2.warpPerspective(flat, cv2.getPerspectiveTransform(source, target), (800, 800), borderValue=235)
    found = flatten_photo(np.asarray(photo, np.uint8))
    assert found is not None
    mapped = cv2.perspectiveTransform(target.reshape(1, -1, 2), found[1])[0]
    assert perspective_of(mapped.astype(np.float32)) < 0.7


@pytest.mark.parametrize("image", [paper(1, 1), paper(400, 400), paper(2000, 20), text_page()])
def test_flat_pages_are_left_alone(image: np.ndarray) -> None:
    assert flatten_photo(image) is None


# ---------------------------------------------------------------- rules


def test_a_box_goes_and_the_digit_in_it_stays() -> None:
    mask = np.zeros((300, 300), bool)
    mask[50:53, 50:250] = mask[247:250, 50:250] = mask[50:250, 50:53] = mask[50:250, 247:250] = True
    digit = np.zeros((300, 300), np.uint8)
    put(digit, "8", 110, 200, 4, 1, 10)
    mask |= digit > 0
    rules, pixels = find_rules(mask)
    left = remove_rules(mask, pixels, rules.thickness_px)
    assert rules.frame_cells == [(1, 1)]
    assert not left[50:53, 60:240].any() and not left[60:240, 50:53].any()
    assert left[digit > 0].mean() > 0.99


def test_a_stroke_that_crosses_a_rule_is_repaired() -> None:
    mask = np.zeros((120, 600), bool)
    mask[80:83, :] = True
    mask[40:110, 300:308] = True
    rules, pixels = find_rules(mask)
    left = remove_rules(mask, pixels, rules.thickness_px)
    assert left[81, 300:308].all() and not left[81, 100:200].any()


@pytest.mark.parametrize("text", ["1", "7", "4", "E", "5", "11", "8"])
def test_straight_strokes_of_digits_are_no_rules(text: str) -> None:
    canvas = np.zeros((600, 600), np.uint8)
    put(canvas, text, 250, 320, 2.2, 255, 5)
    _, pixels = find_rules(canvas > 0)
    assert not pixels.any()


def test_a_line_under_one_number_goes() -> None:
    canvas = np.zeros((60, 220), np.uint8)
    put(canvas, "4271", 20, 48, 1.5, 255, 4)
    before = canvas > 0
    canvas[52:54, :] = 255
    rules, pixels = find_rules(canvas > 0, line=True)
    left = remove_rules(canvas > 0, pixels, rules.thickness_px)
    assert not left[53, :].any() and left[before].mean() > 0.97


@pytest.mark.parametrize("remainder", [0, 1, 2, 3])
def test_lines_on_the_last_pixels(remainder: int) -> None:
    mask = np.zeros((400 + remainder, 400 + remainder), bool)
    mask[-2:, :] = mask[:, -2:] = True
    _, pixels = find_rules(mask)
    assert pixels[-1, 10] and pixels[10, -1]


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (13, 13)])
def test_tiny_masks_have_no_rules(shape: tuple[int, int]) -> None:
    rules, pixels = find_rules(np.ones(shape, bool))
    assert not rules.frames and pixels.shape == shape


def _on_a_table(shadow: bool) -> np.ndarray:
    """A photographed sheet with a number, on a grainy dark table; a shadow may lie over its lower half."""
    rng = np.random.default_rng(5)
    grain = cv2.GaussianBlur(rng.normal(0, 30, (900, 1200)), (0, 0), 3) * 3
    photo = np.clip(80 + grain, 30, 130).astype(np.uint8)
    corners = np.array([[260, 120], [900, 150], [880, 800], [240, 770]], np.int32)
    cv2.fillConvexPoly(photo, corners, 225)
    for y in (350, 650):
        cv2.putText(photo, "2718", (400, y), cv2.FONT_HERSHEY_SIMPLEX, 4.0, 40, 9, cv2.LINE_AA)
    if shadow:
        photo[470:] = (photo[470:] * 0.4).astype(np.uint8)
    return photo


def test_the_grain_of_a_table_is_blanked_and_the_sheet_is_not() -> None:
    photo = _on_a_table(shadow=False)
    blank = blank_ground(photo)
    assert (blank[:80] == blank[0, 0]).all() and (blank[:, 1000:] == blank[0, 0]).all() and blank[0, 0] > 200
    assert np.array_equal(blank[250:700, 380:860], photo[250:700, 380:860])


def test_what_lies_in_a_shadow_stays() -> None:
    photo = _on_a_table(shadow=True)
    assert np.array_equal(blank_ground(photo)[500:700, 380:860], photo[500:700, 380:860])
    assert blank_ground(np.full((400, 300), 230, np.uint8)).min() == 230
