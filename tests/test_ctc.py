from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from digitscan.core.types import SIGNS, STRUCK_OUT
from digitscan.decoding.ctc import align, digits_alone, likeliest_texts, log_probabilities, spell_signs, struck_share
from digitscan.recognition.lines import ALPHABET, LINE_CLASS_COUNT


def spelled(path: tuple[int, ...]) -> str:
    return "".join(str(k - 1) for k, _ in groupby(path) if 0 < k <= 10)


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_are_those_of_all_paths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    narrow = np.zeros((5, 14), np.float32)
    columns = [0, 1, 2, 8, 11, 13]  # blank, 0, 1, 7, two signs
    narrow[:, columns] = rng.dirichlet(np.full(6, 0.5), 5)
    truth: dict[str, float] = {}
    for path in product(columns, repeat=5):
        share = float(np.prod([narrow[t, k] for t, k in enumerate(path)]))
        truth[spelled(path)] = truth.get(spelled(path), 0.0) + share
    posteriors = digits_alone(narrow)
    for share, log in zip(truth.values(), log_probabilities(posteriors, list(truth)), strict=True):
        assert np.exp(log) == pytest.approx(share, abs=1e-6)
    assert log_probabilities(posteriors, []) == []
    best = max(truth, key=lambda t: truth[t])
    found = likeliest_texts(posteriors, count=3, beam=400)
    assert found[0][0] == best and np.exp(found[0][1]) == pytest.approx(truth[best], abs=1e-3)


def test_equal_digits_need_a_blank_between() -> None:
    sure = np.full((3, 11), 1e-9)
    sure[[0, 2], 8] = 1.0
    sure[1, 0] = 1.0
    assert likeliest_texts(sure)[0][0] == "77"
    sure[1] = sure[0]
    assert likeliest_texts(sure)[0][0] == "7"
    logs = log_probabilities(sure, ["7777", "77", "7", ""])
    assert logs[0] < logs[1] < logs[2] and logs[3] < -20


def test_the_alphabet_is_digits_and_signs() -> None:
    assert ALPHABET == "0123456789" + SIGNS + STRUCK_OUT


def test_what_is_struck_out_is_seen_where_a_network_knows_of_it() -> None:
    rows = np.full((4, LINE_CLASS_COUNT), 0.01, np.float32)
    rows[2, -1] = 0.8
    assert struck_share(rows) > 0.9 and spell_signs(rows) == STRUCK_OUT
    rows[2, -1] = 0.05
    assert struck_share(rows) == pytest.approx(0.5)  # a hint is enough
    assert struck_share(rows[:, :-1]) == 0.0 == struck_share(rows[:0]) and spell_signs(rows[:, :-1]) == ""


def test_digits_are_found_where_they_stand() -> None:
    rows = np.full((9, 11), 1e-6)
    rows[:, 0] = 1.0
    for column, digit in ((1, 4), (2, 4), (4, 4), (7, 9)):
        rows[column, 0], rows[column, digit + 1] = 1e-6, 1.0
    assert align(rows, "449") == [(1, 2), (4, 4), (7, 7)]
    assert align(rows, "") == []
