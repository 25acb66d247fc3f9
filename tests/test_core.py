from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitscan.core.config import Config, load_config
from digitscan.core.errors import DigitscanError, ExitCode, OutputError, UsageError
from digitscan.core.geometry import map_box, map_points, union
from digitscan.core.types import Box


def test_union_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no boxes"):
        union([])


def test_union_holds_all() -> None:
    assert union([Box(5, 5, 1, 1), Box(0, 7, 2, 9)]) == Box(0, 5, 6, 11)


@given(st.integers(0, 90), st.integers(0, 90), st.integers(1, 10), st.integers(1, 10))
def test_identity_maps_a_box_to_itself(x: int, y: int, w: int, h: int) -> None:
    assert map_box(Box(x, y, w, h), np.eye(3), width=100, height=100) == Box(x, y, w, h)


def test_map_box_stays_inside_and_never_empty() -> None:
    far = map_box(Box(0, 0, 5, 5), np.array([[1.0, 0, 1000], [0, 1, -1000], [0, 0, 1]]), width=20, height=10)
    assert far.right <= 20 and far.bottom <= 10 and far.width >= 1 and far.height >= 1


def test_points_go_through_a_homography() -> None:
    halved = np.diag([1.0, 1.0, 2.0])
    assert map_points(np.array([[4.0, 8.0]]), halved).tolist() == [[2.0, 4.0]]


def test_unknown_keys_are_errors(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "c.toml"
    file.write_text("[imaging]\ndeskwe = false\n")
    with pytest.raises(UsageError, match=r"imaging\.deskwe"):
        load_config(file)


def test_command_line_over_environment_over_file(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "c.toml"
    file.write_text("[decode]\nreview_below = 0.1\nmin_confidence = 0.1\nalternatives = 1\n")
    monkeypatch.setenv("DIGITSCAN_DECODE__REVIEW_BELOW", "0.2")
    monkeypatch.setenv("DIGITSCAN_DECODE__MIN_CONFIDENCE", "0.2")
    config = load_config(file, {"decode": {"review_below": 0.3}})
    assert (config.decode.review_below, config.decode.min_confidence, config.decode.alternatives) == (0.3, 0.2, 1)


def test_values_out_of_range_are_errors() -> None:
    with pytest.raises(UsageError, match="min_confidence"):
        load_config(overrides={"decode": {"min_confidence": 1.5}})


def test_digest_tells_configurations_apart() -> None:
    assert Config().digest() == Config().digest()
    assert Config().digest() != Config(layout="line").digest()


def test_errors_know_their_exit_code_and_remedy() -> None:
    error = OutputError("cannot write x", remedy="free some space")
    assert error.exit_code is ExitCode.CANNOT_WRITE
    assert str(error) == "cannot write x; free some space"
    assert issubclass(OutputError, DigitscanError)
