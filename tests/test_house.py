"""What the documents say of the code, held against it."""

from __future__ import annotations

import ast
import re
import tomllib
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
    assert len(named) > 30
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


def test_functions_that_the_architecture_names_exist() -> None:
    pairs = re.findall(r"`([a-z_0-9/]+\.py)` \(((?:`\w+`(?:, )?)+)\)", (ROOT / "docs/architecture.md").read_text())
    assert len(pairs) > 10
    for file, names in pairs:
        defined = {
            node.name
            for node in ast.parse((PACKAGE / file).read_text()).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        assert set(re.findall(r"\w+", names)) <= defined, file


def test_floors_of_the_architecture_are_the_checked_ones() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    checked = [set(re.findall(r"digitscan\.(\w+)", layer)) for layer in layers]
    rows = re.findall(r"^\| \d+ \| (.+?) \|", (ROOT / "docs/architecture.md").read_text(), re.M)
    assert [set(re.findall(r"`(\w+)(?:/|\.py)`", row)) for row in rows] == checked
