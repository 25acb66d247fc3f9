"""What the documents say of the code, held against it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "digitscan"


def test_broad_excepts_stand_where_contributing_says() -> None:
    [rule] = re.findall(r"^- A failure is a value.*?(?=^- )", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S)
    said = set(re.findall(r"`(\S+\.py)`", rule))
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*except Exception\b", path.read_text(), re.M)
    }
    assert found == said


@pytest.mark.parametrize("document", ["docs/architecture.md"])
def test_files_that_a_document_names_exist(document: str) -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    named = re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.py)`", (ROOT / document).read_text())
    assert named
    for name in named:
        assert (PACKAGE / name).is_file() or (name.split("/")[0] not in rooms and (ROOT / name).is_file()), name
