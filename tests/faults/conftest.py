"""Shared by the tests of faults: a fast stand-in for the network, and a folder of scans."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from digitscan import reader as reader_module
from tests.conftest import paper, put
from tests.test_cli import FakeClassifier


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every crop is a 7, and pages are read in this process."""
    monkeypatch.setattr(reader_module, "Classifier", FakeClassifier)
    monkeypatch.setenv("DIGITSCAN_RECOGNITION__WHOLE_LINES", "false")
    monkeypatch.setenv("DIGITSCAN_BATCH__ISOLATED", "false")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three JPEG pages with a number each."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for k in range(3):
        image = paper(400, 200)
        put(image, "123", 60, 120)
        cv2.imwrite(str(folder / f"p{k}.jpg"), image)
    return folder
