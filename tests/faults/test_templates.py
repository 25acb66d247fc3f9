"""Templates that would keep their reader busy: refused in one line, exit status 2, within a bounded time."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from digitscan.cli.app import app
from digitscan.core.config import load_config
from digitscan.core.errors import UsageError
from digitscan.decoding.patterns import PatternTable, parse_pattern
from tests.small_form import SMALL, write_template

SOON_S = 3.0
"""Seconds that the refusal of one template may take here; on an idle machine it is a third of one."""


def matches(table: PatternTable, text: str) -> bool:
    state = 0
    for character in text:
        state = table.moves[state][int(character)] if state >= 0 else -1
    return state in table.accepting


# ------------------------------------------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d*1\d{18}",  # half a million sets of states
        r"(\d*1\d{12}|\d*2\d{12})+",
        r"((\d{99}){99}){99}",  # a million states
        r"((){1000000}){1000000}",  # states: none; work: for ever
        r"1{99999999999999999999}",
        r"(\d{1,100}){100}",  # few states, each reached from all
        "(" * 199 + "1" + ")" * 199,
        "(1|" * 70 + "2" + ")*" * 70,
    ],
)
def test_a_pattern_that_is_too_much_is_told_soon(pattern: str) -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"^pattern .* is too large: "):
        parse_pattern(pattern)
    assert time.monotonic() - started < SOON_S


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"(\d{64}){64}", "7" * 4096, "7" * 4095),
        (r"(((1|2)*|3)*|4)*", "1324", "15"),
        (r"(\d|\d\d|\d{3}|1){20}", "1" * 60, "1" * 61),
        (r"((1|2|3|4){1,30}5){1,30}", "125" * 30, "125" * 31),
        (r"\d{0,64}", "", "1" * 65),
        (r"20\d\d|(19){2,}[^0-3]?", "19195", "1919193"),
        (r"[\d]{,2}", "42", "423"),
        (r"(?:0[1-9]|[12]\d|3[01])(?P<month>0\d|1[0-2])", "3112", "3213"),
        (r"a*1|b2|\x33[4-6a-z]", "36", "2"),
        (r"^(07|08)\d{4}$", "071234", "091234"),
    ],
)
def test_what_is_only_large_or_nested_is_read(pattern: str, good: str, bad: str) -> None:
    started = time.monotonic()
    table = parse_pattern(pattern)
    assert time.monotonic() - started < SOON_S
    assert matches(table, good) and not matches(table, bad)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(1", "not closed, at character 3"), ("1)", "not opened, at character 2"), ("1**", "two counts"),
        ("1{3,2}", "the fewest come before"), ("1{2", "a count is written"), ("*1", "'.' cannot stand there"),
        ("[3-1]", "from the lower to the higher"), ("[12", "ends too early"), ("(?=1)1", "look-around"),
        (r"(1)\1", "is not known"), (r"1\b", "is not known"), (r"\x3", "ends too early"),
        (r"\xzz", "no character's code"),
        ("1^2", "cannot stand there"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_place(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"cannot read pattern .*{why}"):
        parse_pattern(pattern)


def _patterns() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(["0", "1", "7", "x", ".", r"\d", r"\D", "[12]", "[^7]", "[0-5x]", r"\.", "[-1]", ""])
    counts = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "*?"])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
            st.tuples(inner, counts).map(lambda pair: f"({pair[0]}){pair[1]}"),
        )

    return st.recursive(atoms, larger, max_leaves=8)


@settings(max_examples=300, deadline=None)
@given(_patterns(), st.lists(st.text("0157", max_size=6), min_size=1, max_size=8))
def test_patterns_mean_what_they_mean_to_python(pattern: str, texts: list[str]) -> None:
    try:
        table = parse_pattern(pattern)
    except ValueError as error:
        assert "no text of digits matches" in str(error), str(error)
        assert not any(re.fullmatch(pattern, text, re.DOTALL) for text in texts)
        return
    for text in texts:
        assert matches(table, text) == bool(re.fullmatch(pattern, text, re.DOTALL)), text


# ------------------------------------------------------------------------------------------------- files

POINTS = ".".join("a" * 20_000)
FIELD = "[30, 25, 45, 9]"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('check = "luhn"', "pattern = '\\d*1\\d{18}'"), "line 5: field.1: pattern .* is too large"),
        (("[form]", f"deep = {'[' * 100_000}{']' * 100_000}\n[form]"), "nested too deep"),
        (("[form]", f"deep = {'{a=' * 5_000}1{'}' * 5_000}\n[form]"), "nested too deep"),
        (("[form]", f"{POINTS} = 1\n[form]"), "a line has more than 200 points"),
        (("[form]", f"[{POINTS}]\n[form]"), "a line has more than 200 points"),
        (("[120.0, 90.0]", "[nan, 90.0]"), "line 4: form.size.1: Input should be a finite number"),
        (("[120.0, 90.0]", "[inf, 90.0]"), "line 4: form.size.1: Input should be a finite number"),
        (("[120.0, 90.0]", "[1e9, 1e9]"), "line 4: form.size.1: Input should be less than or equal to 1200"),
        (("[120.0, 90.0]", "[120.0, 0.0]"), "line 4: form.size.2: Input should be greater than 0"),
        ((FIELD, "[30, nan, 45, 9]"), "line 7: field.1.box.2: Input should be a finite number"),
        ((FIELD, "[30, 25, inf, 9]"), "line 7: field.1.box.3: Input should be a finite number"),
        ((FIELD, "[30, -25, 45, 9]"), "line 7: field.1.box.2: Input should be greater than or equal to 0"),
        (('check = "luhn"', f"range = [0, 1{'0' * 5_000}]"), "is no TOML: Exceeds the limit"),
    ],
)
def test_a_template_that_cannot_be_is_one_line_soon(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in SMALL
    _is_refused(write_template(tmp_path, SMALL.replace(*change, 1)), says)


def _is_refused(template: Path, says: str) -> None:
    started = time.monotonic()
    result = CliRunner().invoke(app, ["form", "check", str(template)])
    assert time.monotonic() - started < SOON_S
    told = " ".join(result.stderr.split())
    assert result.exit_code == 2 and told.startswith("Error: ") and "Traceback" not in told
    assert re.search(says, told), told


def _pipe(path: Path) -> str:
    os.mkfifo(path)
    return str(path)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")


@needs_pipes
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("what", ["template", "blank", "roster", "configuration"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, what: str, kind: str) -> None:
    """``/dev/zero`` never ends, and a pipe to which nobody writes never begins."""
    other = {"pipe": lambda: _pipe(tmp_path / "pipe"), "device": lambda: "/dev/zero", "folder": lambda: str(tmp_path)}
    path = other[kind]()
    says = r"(no regular file|[Ii]s a directory)"
    if what == "template":
        _is_refused(Path(path), f"cannot read template .*{says}")
    elif what == "blank":
        _is_refused(
            write_template(tmp_path, SMALL.replace("size = [120.0, 90.0]", f'blank = "{path}"')),
            f"cannot read the blank .*{says}",
        )
    elif what == "roster":
        _is_refused(
            write_template(tmp_path, SMALL.replace('check = "luhn"', f'allowed = "{path}"')),
            f"cannot read the roster .*{says}",
        )
    else:
        with pytest.raises(UsageError, match=f"cannot read configuration .*{says}"):
            load_config(Path(path))


def test_a_file_without_end_is_not_read_to_it(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    with large.open("wb") as stream:
        stream.truncate(10_000_000_000)  # of nothing, and on most disks of no size
    _is_refused(large, "cannot read template .* larger than 4,000,000 bytes")


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_settings_are_numbers(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DIGITSCAN_BATCH__PAGE_TIMEOUT_S", value)
    with pytest.raises(UsageError, match=r"batch\.page_timeout_s: Input should be a finite number"):
        load_config()
