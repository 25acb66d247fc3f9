"""A form with one field of each kind and a rule across them, for tests."""

from __future__ import annotations

from pathlib import Path

FORMS = Path(__file__).parent.parent / "samples" / "forms"
SMALL = """
[form]
name = "small"
size = [120.0, 90.0]
[[field]]
name = "id"
box = [30, 25, 45, 9]
digits = 5
check = "luhn"
[[field]]
name = "a"
box = [30, 45, 18, 9]
digits = 2
[[field]]
name = "b"
box = [60, 45, 18, 9]
digits = 2
[[field]]
name = "sum"
box = [85, 45, 27, 9]
digits = 3
[[field]]
name = "yes"
kind = "mark"
box = [30, 62, 6, 6]
[[rule]]
expression = "sum == a + b"
"""


def write_template(tmp_path: Path, text: str = SMALL, name: str = "small.toml") -> Path:
    """A template as a file."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path
