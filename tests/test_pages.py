from __future__ import annotations

import csv
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import digitscan
from digitscan.batch import local
from digitscan.batch.local import read_pages
from digitscan.core.config import Config, IngestConfig
from digitscan.core.geometry import map_points
from digitscan.core.types import (
    CLASS_COUNT,
    Box,
    Crops,
    DigitReading,
    FieldReading,
    Layout,
    PageFailure,
    PageRef,
    PageResult,
    Posteriors,
    Quality,
    RasterPage,
    State,
)
from digitscan.imaging.ink import find_ink
from digitscan.layout import find as layout
from digitscan.pipeline import orientation
from digitscan.pipeline import read as one_page
from digitscan.pipeline.finish import finish_page
from digitscan.pipeline.orientation import Reading, best_turn, in_doubt, text_lines, uprightness
from digitscan.pipeline.prepare import prepare_page
from digitscan.pipeline.read import read_raster
from digitscan.recognition.lines import LINE_CLASS_COUNT, Line
from digitscan.recognition.runtime import Classifier
from digitscan.regions.prepared import PreparedPage
from tests.conftest import SAMPLES, AlwaysSeven, paper, put


def truth() -> dict[tuple[str, int], list[str]]:
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    with (SAMPLES / "truth.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            found[row["file"], int(row["page"])].append(row["text"])
    return found


TRUTH = truth()


# ---------------------------------------------------------------- degenerate pages


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize(
    "image",
    [
        paper(1, 1),
        paper(1, 1, 0),
        paper(60, 40, 0),
        paper(500, 300),
        paper(30_000, 40),
        np.eye(90, dtype=np.uint8) * 255,
    ],
    ids=["dot", "black dot", "black", "blank", "wide", "diagonal"],
)
def test_odd_pages_are_read_without_inventing(layout: Layout, image: np.ndarray, seven: AlwaysSeven) -> None:
    config = Config(layout=layout)
    prepared = prepare_page(RasterPage(PageRef("odd.png"), image), config)
    result = finish_page(prepared, seven.classify(prepared.crops), config)
    if not image.any() or image.min() == image.max():
        assert all(r.state is State.BLANK and r.text == "" for r in result.readings)
        assert bool(result.readings) == (layout in (Layout.LINE, Layout.DIGIT))


def test_noise_and_grass_end_soon() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (600, 600), dtype=np.uint8)
    prepared = prepare_page(RasterPage(PageRef("noise.png"), noise), Config())
    assert len(prepared.crops) < 20_000


# ---------------------------------------------------------------- geometry


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([0, 90, 180, 270]), st.floats(-6, 6))
def test_boxes_map_back_to_the_ink_they_came_from(turn: int, skew: float) -> None:
    image = paper(900, 800)
    for row in range(6):
        put(image, "5382741", 150, 150 + 100 * row, 2, 30, 4)
    middle = cv2.getRotationMatrix2D((450, 400), skew, 1)
    image = np.asarray(cv2.warpAffine(image, middle, (900, 800), borderValue=235), np.uint8)
    page = RasterPage(PageRef("p.png"), image)
    binary, _, _ = find_ink(page, Config(), turn, lambda *_: None)
    ys, xs = np.nonzero(binary.mask)
    pick = np.linspace(0, len(xs) - 1, 200).astype(int)
    back = np.round(map_points(np.stack([xs[pick], ys[pick]], axis=1).astype(float), binary.to_source)).astype(int)
    near = [image[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].min() for x, y in back]
    assert np.mean(np.array(near) < 140) > 0.97


# ---------------------------------------------------------------- batches


def make_pages(folder: Path, count: int = 7) -> list[str]:
    paths = []
    for k in range(count):
        image = paper(500, 300)
        put(image, str(1000 + 37 * k), 60, 120)
        put(image, str(58 * k + 3), 60, 240)
        path = folder / f"page{k}.png"
        cv2.imwrite(str(path), image)
        paths.append(str(path))
    return paths


def test_workers_and_batches_never_change_a_digit(tmp_path: Path, classifier: object) -> None:
    paths = make_pages(tmp_path)
    runs = []
    for jobs in (1, 3):
        pages = list(read_pages(paths, classifier, Config(), jobs=jobs))  # type: ignore[arg-type]
        runs.append([(p.outcome.ref.path, [r.text for r in p.outcome.readings]) for p in pages])  # type: ignore[union-attr]
    backwards = [p.outcome for p in read_pages(paths[::-1], classifier, Config(), jobs=2)]  # type: ignore[arg-type]
    assert runs[0] == runs[1]
    assert runs[0] == [(o.ref.path, [r.text for r in o.readings]) for o in backwards][::-1]  # type: ignore[union-attr]


class Unhurried(AlwaysSeven):
    """Takes its time, so that pages are ready before it is."""

    def classify(self, crops: Crops) -> Posteriors:
        time.sleep(0.2)
        return super().classify(crops)


def test_crops_of_many_pages_share_calls(tmp_path: Path) -> None:
    slow = Unhurried()
    list(read_pages(make_pages(tmp_path, 12), slow, Config(imaging={"orientation": "0"}), jobs=2))  # type: ignore[arg-type]
    assert len(slow.batches) < 12


def test_one_bad_page_is_a_value_and_the_rest_goes_on(tmp_path: Path, seven: AlwaysSeven) -> None:
    paths = make_pages(tmp_path, 4)
    Path(paths[1]).write_bytes(b"")
    Path(paths[2]).write_bytes(Path(paths[3]).read_bytes()[:200])
    outcomes = [p.outcome for p in read_pages([*paths, str(tmp_path / "gone.png")], seven, Config())]
    assert [type(o) for o in outcomes] == [PageResult, PageFailure, PageFailure, PageResult, PageFailure]
    failed = [o for o in outcomes if isinstance(o, PageFailure)]
    assert all(f.stage == "ingest" and f.message and f.remedy for f in failed)


class HearsDoubts:
    """A classifier that is never quite sure of its sevens, and a line recognizer that reads what it is told."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.calls: list[int] = []

    def classify(self, crops: Crops) -> Posteriors:
        posteriors = np.full((len(crops), CLASS_COUNT), 0.02, np.float32)
        posteriors[:, 7] = 0.8
        return posteriors

    def read(self, lines: Sequence[Line]) -> list[Posteriors]:
        self.calls.append(len(lines))
        answers = []
        for line in lines:
            rows = np.full((line.shape[1] // 4, LINE_CLASS_COUNT), 1e-6, np.float32)
            rows[:, 0] = 1.0
            for place, digit in enumerate(self.text):
                rows[2 * place + 1, 0], rows[2 * place + 1, int(digit) + 1] = 0.0, 1.0
            answers.append(rows / rows.sum(axis=1, keepdims=True))
        return answers


def test_doubtful_numbers_of_many_pages_share_a_call(tmp_path: Path, seven: AlwaysSeven) -> None:
    paths = make_pages(tmp_path, 5)
    config = Config(imaging={"orientation": "0"})  # type: ignore[arg-type]
    doubtful = HearsDoubts()
    list(read_pages(paths, doubtful, config, line_recognizer=doubtful, jobs=1))
    assert sum(doubtful.calls) >= 5 and max(doubtful.calls) > 2
    image = paper(400, 200)
    put(image, "1717", 60, 120)  # nothing here is wide enough to be cut
    sure = HearsDoubts()
    outcome = read_raster(RasterPage(PageRef("a"), image), AlwaysSure(), config, line_recognizer=sure)
    assert isinstance(outcome, PageResult) and [r.text for r in outcome.readings] == ["7777"] and sure.calls
    assert outcome.readings[0].review  # the line recognizer saw nothing, however sure the digits are


def test_a_page_whose_lines_fail_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_pages(tmp_path, 3)
    choose = one_page.needs_line_recognition

    def trips_over_the_second(page: PreparedPage, posteriors: Posteriors) -> list[int]:
        if page.ref.path == paths[1]:
            raise ValueError("no lines")
        return choose(page, posteriors)

    monkeypatch.setattr(one_page, "needs_line_recognition", trips_over_the_second)
    reader = HearsDoubts("77")
    outcomes = [p.outcome for p in read_pages(paths, reader, Config(), line_recognizer=reader)]
    assert [type(o) for o in outcomes] == [PageResult, PageFailure, PageResult]
    failed = outcomes[1]
    assert isinstance(failed, PageFailure) and failed.stage == "decode" and "no lines" in failed.message


@pytest.mark.parametrize("layout", [Layout.LINE, Layout.PAGE])
def test_what_is_struck_out_is_not_guessed(layout: Layout, seven: AlwaysSeven) -> None:
    image = paper(500, 300)
    put(image, "2735", 150, 170)
    cv2.line(image, (135, 148), (345, 152), 40, 3)
    config = Config(layout=layout, imaging={"orientation": "0"})  # type: ignore[arg-type]
    outcome = read_raster(RasterPage(PageRef("a"), image), seven, config)
    assert isinstance(outcome, PageResult)
    [reading] = outcome.readings
    assert (reading.state, reading.text, reading.digits, reading.alternatives) == (State.STRUCK, "", (), ())
    assert reading.review and reading.reason == "struck out"


@pytest.mark.parametrize(("written", "states"), [("6396882", [State.STRUCK]), ("not this", [])])
def test_a_number_behind_a_stroke_is_told_from_a_word(written: str, states: list[State]) -> None:
    image = paper(700, 300)
    put(image, written, 150, 170)
    right = int(np.nonzero((image < 128).any(axis=0))[0].max())
    cv2.line(image, (135, 150), (right + 15, 146), 40, 4)
    outcome = digitscan.Reader(config=Config(imaging={"orientation": "0"})).read_image(image)  # type: ignore[arg-type]
    assert isinstance(outcome, PageResult)
    assert [reading.state for reading in outcome.readings] == states


@pytest.mark.parametrize("layout", [Layout.LINE, Layout.PAGE])
def test_a_digit_that_is_scribbled_over_is_not_guessed(layout: Layout) -> None:
    image = paper(600, 300)
    put(image, "27354", 150, 170)
    config = Config(layout=layout, imaging={"orientation": "0"})  # type: ignore[arg-type]
    reader = digitscan.Reader(config=config)
    clean = reader.read_image(image)
    x, y = np.where(np.arange(8) % 2, 222, 262), np.linspace(126, 173, 8)
    cv2.polylines(image, [np.stack([x, y], axis=1).astype(np.int32)], False, 30, 5, cv2.LINE_AA)
    spoilt = reader.read_image(image)
    assert isinstance(clean, PageResult) and isinstance(spoilt, PageResult)
    [before], [after] = clean.readings, spoilt.readings
    assert (before.state, before.text, before.review) == (State.VALUE, "27354", False)
    assert (after.state, after.text, after.review) == (State.STRUCK, "", True)
    assert after.reason == "digits are struck out: 27#54"


class AlwaysSure(AlwaysSeven):
    """Beyond doubt."""

    def classify(self, crops: Crops) -> Posteriors:
        posteriors = np.zeros((len(crops), CLASS_COUNT), np.float32)
        posteriors[:, 7] = 1.0
        return posteriors


def test_a_picture_in_memory_is_read_by_both() -> None:
    image = paper(300, 100)
    put(image, "77", 60, 75)
    reader = HearsDoubts("77")
    both = read_raster(RasterPage(PageRef("a"), image), reader, Config(layout=Layout.LINE), line_recognizer=reader)
    alone = read_raster(RasterPage(PageRef("a"), image), reader, Config(layout=Layout.LINE))
    assert isinstance(both, PageResult) and isinstance(alone, PageResult)
    assert [r.text for r in both.readings] == ["77"] == [r.text for r in alone.readings]
    assert both.readings[0].confidence > alone.readings[0].confidence


def test_a_blank_page_has_nothing_for_the_reader_of_lines() -> None:
    reader = HearsDoubts("1")
    outcome = read_raster(RasterPage(PageRef("a"), paper(300, 100)), reader, Config(), line_recognizer=reader)
    assert isinstance(outcome, PageResult) and not outcome.readings and not reader.calls


def test_strings_too_long_for_a_line_are_read_piece_by_piece() -> None:
    image = paper(40 * 60, 80)
    for k in range(60):
        put(image, str(k % 10), 40 * k + 6, 60, 1.6)
    [string] = prepare_page(RasterPage(PageRef("long"), image), Config(layout=Layout.LINE)).strings
    assert string.whole is None
    [short] = prepare_page(RasterPage(PageRef("short"), image[:, :400]), Config(layout=Layout.LINE)).strings
    assert short.whole is not None and short.whole.views()[0].shape[1] > 100


def test_pages_are_loaded_lazily(tmp_path: Path, seven: AlwaysSeven) -> None:
    paths = make_pages(tmp_path, 40)
    counts: list[int] = []
    stream = read_pages(paths, seven, Config(), jobs=1, on_found=counts.append)
    next(stream)
    assert counts[-1] < 20
    stream.close()


# ---------------------------------------------------------------- the samples, end to end


@pytest.mark.parametrize("file", sorted({f for f, _ in TRUTH if "/" not in f}))
def test_samples_are_read_right(file: str, classifier: object) -> None:
    for page in read_pages([str(SAMPLES / file)], classifier, Config()):  # type: ignore[arg-type]
        outcome = page.outcome
        assert isinstance(outcome, PageResult)
        assert [r.text for r in outcome.readings] == TRUTH[file, outcome.ref.page_number]


@pytest.mark.parametrize("file", sorted({f for f, _ in TRUTH if "/" in f}))
def test_single_samples_are_read_right(file: str, classifier: object) -> None:
    config = Config(layout=file.split("/")[0])
    [page] = read_pages([str(SAMPLES / file)], classifier, config)  # type: ignore[arg-type]
    assert isinstance(page.outcome, PageResult)
    assert [r.text for r in page.outcome.readings] == TRUTH[file, 1]


def ruled_table(bow: float = 0.0) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Five columns under two headers that span two each, a first header as high as two rows; and what stands where."""
    page = paper(1400, 900)
    xs, ys = range(100, 1301, 240), range(120, 721, 100)
    for k, y in enumerate(ys):
        cv2.line(page, (340 if k == 1 else 100, y), (1300, y), 60, 3)
    for k, x in enumerate(xs):
        cv2.line(page, (x, 220 if k in (2, 4) else 120), (x, 720), 60, 3)
    values = {(1, 1): "17", (1, 2): "2025", (1, 4): "2026"}
    put(page, "17", 170, 270)
    put(page, "2025", 510, 190)
    put(page, "2026", 990, 190)
    for row in range(2, 7):
        for column in range(1 + (row == 2), 6):
            values[row, column] = str(137 * row * column + 1000)
            put(page, values[row, column], 40 + xs[column - 1], ys[row - 1] + 75)
    y, x = np.mgrid[0:900, 0:1400].astype(np.float32)
    lower = np.asarray(y + bow * np.sin(np.pi * x / 1400), np.float32)
    return np.asarray(cv2.remap(page, x, lower, cv2.INTER_LINEAR, borderValue=235), np.uint8), values


@pytest.mark.parametrize("bow", [0.0, 14.0])
def test_cells_that_span_others_and_bowed_lines(bow: float, classifier: Classifier) -> None:
    image, values = ruled_table(bow)
    outcome = read_raster(RasterPage(PageRef("t"), image), classifier, Config())
    assert isinstance(outcome, PageResult)
    assert {(r.row, r.column): r.text for r in outcome.readings} == values


def test_a_table_that_stands_askew_is_not_struck_out(classifier: Classifier) -> None:
    image, values = ruled_table(45.0)
    outcome = read_raster(RasterPage(PageRef("t"), image), classifier, Config())
    assert isinstance(outcome, PageResult)
    assert not any(r.state is State.STRUCK for r in outcome.readings) and len(outcome.readings) > 0.8 * len(values)


def test_tables_know_their_cells(classifier: object) -> None:
    [page] = read_pages([str(SAMPLES / "table-printed.png")], classifier, Config(layout="table"))  # type: ignore[arg-type]
    assert isinstance(page.outcome, PageResult)
    cells = [(r.row, r.column) for r in page.outcome.readings]
    assert cells == [(row, column) for row in range(2, 14) for column in range(1, 7)]


def test_readings_say_where_and_how_sure(classifier: object) -> None:
    config = Config(ingest=IngestConfig(pages="1"))
    [page] = read_pages([str(SAMPLES / "register.pdf")], classifier, config, keep_images=True)  # type: ignore[arg-type]
    outcome = page.outcome
    assert isinstance(outcome, PageResult) and page.image is not None
    assert page.image.shape == (outcome.height, outcome.width)
    for reading in outcome.readings:
        assert 0 <= reading.confidence <= 1 and reading.review == (reading.confidence < 0.9)
        assert len(reading.digits) == len(reading.text)
        b = reading.box
        assert page.image[b.y : b.bottom, b.x : b.right].min() < 120  # there is ink


# ---------------------------------------------------------------- the public API


def test_public_names() -> None:
    assert sorted(digitscan.__all__) == ["PageFailure", "PageResult", "Reader", "__version__", "read"]
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = digitscan.nothing_here


def test_read_in_one_line() -> None:
    [page] = digitscan.read(SAMPLES / "line" / "amount.png", layout="line")
    assert isinstance(page, PageResult) and page.readings[0].text == "46108"


# ---------------------------------------------------------------- pages of words


def text_page(seed: int = 1) -> np.ndarray:
    """(H, W) uint8: some 700 printed letters in lines, no digit."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    words = re.findall(
        r"\w+", "water question about the number of people living in this house during last winter please"
    )
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 34)
    picture = Image.new("L", (1240, 1100), 245)
    draw = ImageDraw.Draw(picture)
    rng = np.random.default_rng(seed)
    for y in range(60, 1040, 56):
        x = 70.0
        while x < 1050:
            word = str(rng.choice(words))
            draw.text((x, y), word, fill=30, font=font)
            x += draw.textlength(word + " ", font=font)
    return np.asarray(picture)


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_a_page_of_words_holds_no_numbers(classifier: Classifier, quarter_turns: int) -> None:
    page = RasterPage(PageRef("words.png"), np.ascontiguousarray(np.rot90(text_page(), quarter_turns)))
    config = Config()
    prepared = prepare_page(page, config)
    reading = Reading.of(prepared, classifier.classify(prepared.crops), config)
    if in_doubt(reading, config):
        reading = best_turn(page, reading, config, classifier.classify)
    assert len(reading.result.readings) <= 1


def test_words_tell_up_from_down() -> None:
    config = Config()
    for turns, upright in ((0, True), (2, False)):
        page = RasterPage(PageRef("words.png"), np.ascontiguousarray(np.rot90(text_page(), turns)))
        lines = text_lines(prepare_page(page, config))
        assert lines.upright is upright and lines.level > 0.95
    digits = paper(900, 400)
    for k in range(6):
        put(digits, "83526", 40, 60 + 55 * k)
    assert text_lines(prepare_page(RasterPage(PageRef("digits.png"), digits), config)).upright is None


def test_noise_is_bounded() -> None:
    rng = np.random.default_rng(0)
    page = RasterPage(PageRef("noise.png"), rng.integers(0, 255, (1200, 900), dtype=np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MAX_CHARACTERS", 300)
        prepared = prepare_page(page, Config())
    assert sum(len(s.edges) for s in prepared.strings) < 40 * 300


def test_many_digits_as_found_outweigh_lines_that_run_across(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = paper(1200, 900)
    for row in range(8):
        put(image, "3 4 7 2 5 4 7 3", 60, 100 + 100 * row)
    page, config = RasterPage(PageRef("grid.png"), image), Config()
    first = Reading.of(prepare_page(page, config), classifier.classify(prepare_page(page, config).crops), config)
    levels = iter([0.2, 0.95])  # as found, and turned by a quarter
    monkeypatch.setattr(orientation, "text_lines", lambda _: orientation.TextLines(5000, next(levels, 0.2), 9, 9))
    assert best_turn(page, first, config, classifier.classify) is first


class Sleepy(AlwaysSeven):
    """A network that takes a while, and notes when."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.spans = seconds, []  # type: ignore[var-annotated]

    def classify(self, crops: Crops) -> Posteriors:
        started = time.monotonic()
        time.sleep(self.seconds)
        self.spans.append((started, time.monotonic()))
        return super().classify(crops)


def test_pages_are_finished_while_the_next_are_classified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished: list[float] = []
    real = one_page.finish_ready

    def slow_finish(*given: object) -> list[one_page.PageRead]:
        time.sleep(0.1)
        finished.append(time.monotonic())
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(one_page, "finish_ready", slow_finish)
    network, balance = Sleepy(0.2), local.Balance()
    config = Config(imaging={"orientation": "0"})  # type: ignore[arg-type]
    paths = make_pages(tmp_path, 24)
    pages = list(read_pages(paths, network, config, jobs=2, balance=balance))
    assert [page.outcome.ref.path for page in pages] == paths
    assert len(network.spans) == len(finished) >= 4
    assert any(start < moment < stop for moment in finished for start, stop in network.spans)
    assert balance.network_s > balance.pages_s
    balance.network_s = 5.0
    assert "the network" in balance.words() and "bottleneck" in balance.words()
    assert "more --jobs" in local.Balance(pages_s=9.0).words() and local.Balance().words() == ""


# ------------------------------------------------------------------------------------------- large pages


def _stages(image: np.ndarray, config: Config) -> tuple[list[str], PreparedPage]:
    seen: list[str] = []
    page = RasterPage(PageRef("large"), image)
    return seen, prepare_page(page, config, look=lambda stage, _: seen.append(stage))


def test_a_large_page_is_halved_and_read_the_same(classifier: Classifier) -> None:
    image = paper(2300, 3000)
    for row, text in enumerate(("27183", "31415", "16180")):
        cv2.putText(image, text, (300, 600 + 700 * row), cv2.FONT_HERSHEY_SIMPLEX, 4.0, 30, 12, cv2.LINE_AA)
    whole = Config(imaging={"reduce": False})
    assert "scaled" in _stages(image, Config())[0] and "scaled" not in _stages(image, whole)[0]
    outcomes = [read_raster(RasterPage(PageRef("l"), image), classifier, config) for config in (Config(), whole)]
    halved, full = outcomes
    assert isinstance(halved, PageResult) and isinstance(full, PageResult)
    assert [r.text for r in halved.readings] == [r.text for r in full.readings] == ["27183", "31415", "16180"]
    assert (halved.width, halved.height) == (full.width, full.height) == (2300, 3000)
    for a, b in zip(halved.readings, full.readings, strict=True):
        assert max(abs(x - y) for x, y in zip(a.box, b.box, strict=True)) <= 6
    assert 0.9 < halved.quality.text_height_px / full.quality.text_height_px < 1.1


def test_small_writing_on_a_large_page_is_read_at_full_resolution() -> None:
    image = paper(2300, 3000)
    for row in range(20):
        cv2.putText(image, "2718 3141 1618", (300, 300 + 120 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 30, 2, cv2.LINE_AA)
    seen, page = _stages(image, Config())
    assert seen.index("scaled") < len(seen) - 1 - seen[::-1].index("soft ink")  # looked at again
    assert seen.count("soft ink") == 2
    assert 15 < np.median([string.height for string in page.strings]) < 40  # in pixels of the page itself


def test_what_stands_in_brackets_is_read_without_them() -> None:
    image = paper(700, 300)
    cv2.putText(image, "[2735]  (4860)", (80, 170), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 40, 3, cv2.LINE_AA)
    outcome = digitscan.Reader(config=Config(imaging={"orientation": "0"})).read_image(image)  # type: ignore[arg-type]
    assert isinstance(outcome, PageResult)
    assert [r.text for r in outcome.readings] == ["2735", "4860"]


def test_a_number_speaks_louder_for_its_turn_than_lone_letters_do() -> None:
    def page(*texts: str) -> PageResult:
        readings = tuple(
            FieldReading(
                "s", None, None, text, tuple(DigitReading(Box(0, 0, 9, 9), c, 0.95, "0", 0.9) for c in text), 0.9,
                State.VALUE, False, "", (), Box(0, 0, 9, 9),
            )
            for text in texts
        )  # fmt: skip
        return PageResult(PageRef("a"), 99, 99, None, 0.0, Quality(1.0, 9.0), readings)

    assert uprightness(page("7347")) > 1.25 * uprightness(page(*"3337777444"))
    assert uprightness(page("0189", "6")) == 0
