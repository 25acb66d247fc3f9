from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from digitscan.forms.ctc import digits_alone, likeliest_texts, log_probability


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
    for text, share in truth.items():
        assert np.exp(log_probability(posteriors, text)) == pytest.approx(share, abs=1e-6)
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
    assert log_probability(sure, "7777") < log_probability(sure, "77") < log_probability(sure, "7")
    assert log_probability(sure, "") < -20
