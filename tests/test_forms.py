from __future__ import annotations

from itertools import pairwise

import numpy as np

from digitscan.core.config import DecodeConfig
from digitscan.core.types import SIGNS, Box
from digitscan.decoding.lattice import Edge, ScoredLattice, shares
from digitscan.decoding.readings import ReadDigit, ReadString
from digitscan.decoding.rivals import LinePosteriors
from digitscan.decoding.strings import read_string
from digitscan.forms.fields import read_field
from digitscan.pipeline.context import Neighbour, neighbour, plausible
from digitscan.recognition.lines import LINE_CLASS_COUNT


def sure(*digits: int | None, p: float = 0.98) -> np.ndarray:
    """(N, 11) posteriors; None is not-a-digit."""
    rows = np.full((len(digits), 11), (1 - p) / 10, np.float32)
    for row, digit in zip(rows, digits, strict=True):
        row[10 if digit is None else digit] = p
    return rows


def chain(count: int, *, gap: int = 6, small: tuple[int, ...] = ()) -> list[Edge]:
    """Pieces of 20x40 side by side, each a candidate of its own."""
    return [Edge(k, k + 1, Box(k * (20 + gap), 0, 20, 10 if k in small else 40), 0, k in small) for k in range(count)]


def test_an_empty_lattice_reads_nothing() -> None:
    assert read_string([], np.zeros((0, 11), np.float32), 0, 40, DecodeConfig()) == []


def test_leading_zeros_stay() -> None:
    [read] = read_string(chain(4), sure(0, 0, 1, 7), 4, 40, DecodeConfig())
    assert read.text == "0017" and read.confidence > 0.85


def test_a_clean_digit_is_not_cut_in_two() -> None:
    whole, left, right = (
        Edge(0, 2, Box(0, 0, 30, 40), 0, False),
        Edge(0, 1, Box(0, 0, 15, 40), 1, False),
        Edge(1, 2, Box(15, 0, 15, 40), 1, False),
    )
    paths = ScoredLattice([whole, left, right], sure(0, 1, 1), 2, 40).best()
    assert paths[0].text == "0"


def test_touching_digits_are_cut() -> None:
    whole, left, right = (
        Edge(0, 2, Box(0, 0, 60, 40), 0, False),
        Edge(0, 1, Box(0, 0, 30, 40), 1, False),
        Edge(1, 2, Box(30, 0, 30, 40), 1, False),
    )
    paths = ScoredLattice([whole, left, right], sure(None, 4, 2), 2, 40).best()
    assert paths[0].text == "42"


def test_rivals_are_kept_and_sum_to_one() -> None:
    rows = sure(3, 5)
    rows[1, 5], rows[1, 6] = 0.55, 0.40
    paths = ScoredLattice(chain(2), rows, 2, 40).best()
    assert [p.text for p in paths[:2]] == ["35", "36"]
    assert abs(sum(shares(paths)) - 1) < 1e-6
    [read] = read_string(chain(2), rows, 2, 40, DecodeConfig())
    assert read.alternatives[0].text == "36" and read.confidence < 0.55
    assert read.reason == "digit 2 unsure: 5 or 6"


def test_words_are_left_out_and_numbers_beside_them_are_read() -> None:
    word = sure(None, None, 0, None, None)
    assert read_string(chain(5), word, 5, 40, DecodeConfig()) == []
    far = [*chain(2), Edge(2, 3, Box(200, 0, 20, 40), 0, False), Edge(3, 4, Box(226, 0, 20, 40), 0, False)]
    [read] = read_string(far, sure(None, None, 4, 2), 4, 40, DecodeConfig())
    assert read.text == "42"


def test_points_inside_a_number_do_not_part_it() -> None:
    [read] = read_string(chain(5, small=(2,)), sure(2, 5, None, 4, 1), 5, 40, DecodeConfig())
    assert read.text == "2541"


def test_one_number_keeps_an_unsure_digit_with_its_low_confidence() -> None:
    rows = sure(4, 7, 2)
    rows[1] = 0.05
    rows[1, 7], rows[1, 10] = 0.3, 0.25
    [read] = read_string(chain(3), rows, 3, 40, DecodeConfig(), one_number=True)
    assert read.text == "472" and read.confidence < 0.4


def test_ones_and_zeros_of_unlike_height_may_be_letters() -> None:
    edges = [Edge(0, 1, Box(0, 14, 20, 26), 0, False), Edge(1, 2, Box(26, 0, 8, 40), 0, False)]
    [read] = read_string(edges, sure(0, 1), 2, 40, DecodeConfig())
    assert read.maybe_word
    [read] = read_string(chain(2), sure(0, 1), 2, 40, DecodeConfig())
    assert not read.maybe_word


def test_a_long_string_is_decoded_in_linear_time() -> None:
    count = 400
    paths = ScoredLattice(chain(count), sure(*[k % 10 for k in range(count)]), count, 40).best()
    assert paths[0].text == "".join(str(k % 10) for k in range(count))


# ---------------------------------------------------------------- two readers


def whole_line(text: str, rivals: dict[int, tuple[int, float]] | None = None, signs: str = "") -> LinePosteriors:
    """A line of 4 columns a digit; `rivals` gives a digit's place another reading with a share."""
    rows = np.full((4 * (len(text) + len(signs)) + 1, LINE_CLASS_COUNT), 1e-5, np.float32)
    rows[:, 0] = 1.0
    for place, digit in enumerate(text):
        other, share = (rivals or {}).get(place, (0, 0.0))
        rows[4 * place + 1, 0] = 0.0
        rows[4 * place + 1, int(digit) + 1] = 1 - share
        rows[4 * place + 1, other + 1] += share
    for place in range(len(text), len(text) + len(signs)):  # a sign of some kind
        rows[4 * place + 1, 0], rows[4 * place + 1, 11] = 0.0, 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    return LinePosteriors((rows,), Box(0, 0, 4 * len(rows), 40))


def test_a_path_for_any_text() -> None:
    whole, left, right = (
        Edge(0, 2, Box(0, 0, 60, 40), 0, False),
        Edge(0, 1, Box(0, 0, 30, 40), 1, False),
        Edge(1, 2, Box(30, 0, 30, 40), 1, False),
    )
    edges, rows = [whole, left, right], sure(8, 4, 2)
    for path in ScoredLattice(edges, rows, 2, 40).best(6):
        again = ScoredLattice(edges, rows, 2, 40).best_for(path.text)
        assert again is not None and again.text == path.text and np.isclose(again.score, path.score)
    unlikely = ScoredLattice(edges, rows, 2, 40).best_for("37")
    assert unlikely is not None and [s.digit for s in unlikely.symbols] == [3, 7]
    assert ScoredLattice(edges, rows, 2, 40).best_for("123") is None
    nothing = ScoredLattice(edges, rows, 2, 40).best_for("")
    assert nothing is not None and nothing.text == ""


def test_two_readers_that_agree_are_surer_than_one() -> None:
    rows = sure(3, 5)
    rows[1, 5], rows[1, 6] = 0.60, 0.30
    [alone] = read_string(chain(2), rows, 2, 40, DecodeConfig(), one_number=True)
    [both] = read_string(chain(2), rows, 2, 40, DecodeConfig(), one_number=True, line=whole_line("35"))
    assert alone.text == both.text == "35" and both.confidence > alone.confidence
    [against] = read_string(chain(2), rows, 2, 40, DecodeConfig(), one_number=True, line=whole_line("36"))
    assert against.text == "36" and against.alternatives[0].text == "35"


def test_the_line_reads_what_no_cut_can_part() -> None:
    [read] = read_string(
        chain(2), sure(4, None), 2, 40, DecodeConfig(), one_number=True, line=whole_line("400", signs="=")
    )
    assert read.text == "400"
    boxes = [digit.box for digit in read.digits]
    assert [b.x for b in boxes] == sorted(b.x for b in boxes) and boxes[0].x <= 4 < boxes[0].right
    assert all(a.right <= b.center[0] for a, b in pairwise(boxes))


def test_words_are_not_shown_to_the_reader_of_lines() -> None:
    word = sure(None, None, 0, None, None)
    assert read_string(chain(5), word, 5, 40, DecodeConfig(), line=whole_line("11011")) == []


def test_signs_stand_where_they_were_written() -> None:
    line = whole_line("25441")
    rows = np.array(line.views[0])
    rows = np.concatenate(
        [
            rows[:8],
            np.full((2, LINE_CLASS_COUNT), 1e-6, np.float32),
            rows[8:],
            np.full((6, LINE_CLASS_COUNT), 1e-6, np.float32),
        ]
    )
    for column, sign in ((8, SIGNS.index(".")), (-5, 0), (-3, SIGNS.index("-"))):
        rows[column, 11 + sign] = 1.0
    rows[rows.sum(axis=1) < 0.5, 0] = 1.0
    rows /= rows.sum(axis=1, keepdims=True)
    signed = LinePosteriors((rows,), line.region)
    [read] = read_string(
        chain(5), sure(2, 5, 4, 4, 1), 5, 40, DecodeConfig(), one_number=True, line=signed, marked=True
    )
    assert read.text == "25441" and read.written == "25.441.-"
    [bare] = read_string(chain(5), sure(2, 5, 4, 4, 1), 5, 40, DecodeConfig(), one_number=True)
    assert bare.written == "25441"
    [unread] = read_string(chain(5), sure(2, 5, 4, 4, 1), 5, 40, DecodeConfig(), one_number=True, marked=True)
    assert unread.written == ""


def struck_line(share: float) -> LinePosteriors:
    """25#41, where the network gives the place of # so large a share."""
    line = whole_line("25041")
    rows = np.array(line.views[0])
    rows[9, 1] = 1e-5
    rows[9, 0], rows[9, -1] = 1 - share, share
    return LinePosteriors((rows / rows.sum(axis=1, keepdims=True),), line.region)


def test_a_number_with_struck_out_digits_is_not_guessed() -> None:
    edges, rows = chain(5), sure(2, 5, None, 4, 1)
    for whole in (True, False):
        [read] = read_string(edges, rows, 5, 40, DecodeConfig(), one_number=whole, line=struck_line(0.9))
        assert read.struck and read.reason == "digits are struck out: 25#41"
    field = read_field(edges, rows, 5, 40, struck_line(0.9), None)
    assert field is not None and field.struck > 0.8 and field.written == "25#41" and field.best.probability < 0.2


def test_what_may_be_struck_out_is_less_sure() -> None:
    edges, rows = chain(4), sure(2, 5, 4, 1)
    reads = [
        read_string(edges, rows, 4, 40, DecodeConfig(), one_number=True, line=struck_line(p))[0] for p in (0.0, 0.03)
    ]
    assert [r.text for r in reads] == ["2541", "2541"] and not any(r.struck or "#" in r.written for r in reads)
    assert 0.5 * reads[0].confidence < reads[1].confidence < 0.75 * reads[0].confidence


# ---------------------------------------------------------------- what else stands on the page


def string_at(x: int, text: str, *, y: int = 0, height: int = 30, confidence: float = 0.95) -> ReadString:
    digits = tuple(
        ReadDigit(Box(x + 20 * k, y, 16, height), digit, confidence, "0", confidence) for k, digit in enumerate(text)
    )
    return ReadString(Box(x, y, 20 * len(text), height), text, digits, confidence, (), "")


def word_at(x: int, letters: int = 6, digits: int = 0) -> Neighbour:
    return Neighbour(Box(x, 5, 20 * letters, 30), 22.0, letters, digits)


def test_a_lattice_of_letters_is_a_neighbour_of_letters() -> None:
    rows = sure(None, None, 4, 7)
    rows[3] = 1 / 11
    assert neighbour(chain(4), rows, Box(0, 0, 9, 9), 40) == Neighbour(Box(0, 0, 9, 9), 40, 2, 1)
    word = neighbour(chain(4), rows, Box(0, 0, 9, 9), 40, number=False)
    assert (word.letters, word.digits) == (3, 1)  # what gave no number is letters, sure or not
    assert neighbour([], np.zeros((0, 11), np.float32), Box(0, 0, 9, 9), 40)[2:] == (0, 0)


def test_quotes_commas_and_short_words_in_running_text_are_no_numbers() -> None:
    line = [word_at(0), word_at(170), word_at(400)]
    quote, comma = string_at(152, "11", height=12), string_at(292, "9", y=25, height=12)
    short = string_at(340, "15", confidence=0.6)
    glued = string_at(524, "77", confidence=0.99)
    assert plausible([quote, comma, short, glued], line) == [False] * 4
    assert plausible([short], []) == [True]


def test_quotes_hang_on_whatever_they_stand_by() -> None:
    number = Neighbour(Box(0, 0, 100, 30), 30.0, 0, 5)
    assert plausible([string_at(104, "11", height=12)], [number]) == [False]
    assert plausible([string_at(104, "00", height=12)], [number]) == [True]  # small zeros
    assert plausible([string_at(104, "11", height=28)], [number]) == [True]


def test_numbers_stay_in_text_beside_labels_and_among_numbers() -> None:
    line = [word_at(0), word_at(170), word_at(400)]
    assert plausible([string_at(310, "1984", height=32)], line) == [True]
    assert plausible([string_at(530, "52", height=60, confidence=0.7)], line) == [True]  # written after the label
    assert plausible([string_at(600, "15", confidence=0.6)], line) == [True]  # far from it
    assert plausible([string_at(310, "15", confidence=0.6)], [word_at(170), *[word_at(x, 2, 9) for x in (0, 400)]]) == [
        True
    ]
