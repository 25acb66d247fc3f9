from __future__ import annotations

import pytest

from digitscan.cli import progress
from digitscan.cli.progress import (
    BarReporter,
    JsonReporter,
    PlainReporter,
    ProgressReporter,
    Tally,
    minutes,
    progress_reporter,
)
from tests.test_export import FAILURE, reading, result


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (89, "89 s"), (600, "10 min"), (12_000, "3 h 20 min")])
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert minutes(seconds) == words


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    tally = Tally()
    plain = PlainReporter(tally)
    tally.find(100)
    with plain:
        for k in range(61):
            now[0] += 1
            outcome = FAILURE if k == 40 else result("a.png", reading("12", 0.5 if k % 2 else 0.99))
            tally.add(outcome)
            plain.page(outcome)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "pages/s" in line] == [
        "30 of 100+ pages, 1.0 pages/s, 70 s left for these, 0 failed, 50% for review",
        "60 of 100+ pages, 1.0 pages/s, 40 s left for these, 1 failed, 51% for review",
    ]
    assert sum("failed" in line and "bad.pdf, page 3, ingest" in line for line in lines) == 1
    plain.end(["r.csv"], interrupted=True)
    told = capsys.readouterr().err
    assert "wrote r.csv" in told and "Interrupted" in told


def test_who_tells() -> None:
    tally = Tally()
    assert type(progress_reporter(tally, quiet=True, json_lines=False)) is ProgressReporter
    assert type(progress_reporter(tally, quiet=True, json_lines=True)) is JsonReporter
    assert type(progress_reporter(tally, quiet=False, json_lines=False)) is PlainReporter


def test_the_bar_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    tally.find(2)
    with BarReporter(tally) as bar:
        tally.add(result("a.png", reading()))
        bar.page(result("a.png", reading()))
        assert (bar._bar.tasks[0].completed, bar._bar.tasks[0].total) == (1, 2)
