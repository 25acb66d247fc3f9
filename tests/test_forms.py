from __future__ import annotations

import numpy as np

from digitscan.core.config import DecodeConfig
from digitscan.core.types import Box
from digitscan.forms.decode import Edge, best_paths, shares
from digitscan.forms.readings import read_string


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
    paths = best_paths([whole, left, right], sure(0, 1, 1), 2, 40)
    assert paths[0].text == "0"


def test_touching_digits_are_cut() -> None:
    whole, left, right = (
        Edge(0, 2, Box(0, 0, 60, 40), 0, False),
        Edge(0, 1, Box(0, 0, 30, 40), 1, False),
        Edge(1, 2, Box(30, 0, 30, 40), 1, False),
    )
    paths = best_paths([whole, left, right], sure(None, 4, 2), 2, 40)
    assert paths[0].text == "42"


def test_rivals_are_kept_and_sum_to_one() -> None:
    rows = sure(3, 5)
    rows[1, 5], rows[1, 6] = 0.55, 0.40
    paths = best_paths(chain(2), rows, 2, 40)
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
    [read] = read_string(chain(3), rows, 3, 40, DecodeConfig(), whole=True)
    assert read.text == "472" and read.confidence < 0.4


def test_ones_and_zeros_of_unlike_height_may_be_letters() -> None:
    edges = [Edge(0, 1, Box(0, 14, 20, 26), 0, False), Edge(1, 2, Box(26, 0, 8, 40), 0, False)]
    [read] = read_string(edges, sure(0, 1), 2, 40, DecodeConfig())
    assert read.maybe_word
    [read] = read_string(chain(2), sure(0, 1), 2, 40, DecodeConfig())
    assert not read.maybe_word


def test_a_long_string_is_decoded_in_linear_time() -> None:
    count = 400
    paths = best_paths(chain(count), sure(*[k % 10 for k in range(count)]), count, 40)
    assert paths[0].text == "".join(str(k % 10) for k in range(count))
