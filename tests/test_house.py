"""What the documents say of the code, held against it."""

from __future__ import annotations

import ast
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


PARAMETERS = ("imaging", "decoding", "tables", "forms")
"""Rooms whose numbers stand in one dataclass a module."""


@pytest.mark.parametrize("room", PARAMETERS)
def test_every_parameter_says_its_unit_and_its_source(room: str) -> None:
    for path in (PACKAGE / room).glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Parameters"):
                said = [text.value.value for text in node.body[2::2] if isinstance(text, ast.Expr)]
                fields = [field for field in node.body[1::2] if isinstance(field, ast.AnnAssign)]
                assert len(fields) == len(said), path
                for text in (" ".join(words.split()) for words in said):
                    assert re.search(r"\S \[[^;\]]+; [^\]]+\]$", text), f"{path}: {text}"


def test_numbers_of_the_way_of_a_page_have_names() -> None:
    bare = []
    for room in PARAMETERS:
        for path in (PACKAGE / room).glob("*.py"):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef | ast.Lambda):
                    bare += [
                        f"{path.name}:{node.lineno} {node.value}"
                        for node in ast.walk(function)
                        if isinstance(node, ast.Constant)
                        and isinstance(node.value, float)
                        and abs(node.value) not in (0.0, 0.5, 1.0, 2.0)
                    ]
    assert len(set(bare)) <= 25, bare
