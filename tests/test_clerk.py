"""Small stumbles of a day's work: narrow terminals, other forms, framed digits, lines of errors, the README's code."""

from __future__ import annotations

import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

import digitscan
from digitscan.cli.app import app
from digitscan.cli.common import show_table
from digitscan.core.config import load_config
from digitscan.core.errors import UsageError
from digitscan.core.types import FormMatch, ModelInfo, PageRef, PageResult, Quality, RunInfo
from digitscan.forms.template import load_template
from digitscan.imaging.frame import without_frame
from digitscan.jobs.journal import Journal
from tests.conftest import ROOT, paper, put
from tests.small_form import SMALL, write_template
from tests.test_export import reading

run = CliRunner().invoke


# ------------------------------------------------------------------------------------------------- terminals


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_figure_of_a_table_is_cut(width: int) -> None:
    table = Table(title="Models")
    for column in ("model", "a set with a long name", "another set of digits", "parameters"):
        table.add_column(column, no_wrap=True)
    table.add_column("folder", overflow="fold")
    table.add_row("digitnet-1 [dim](default)[/]", "99.52%\n98.10%", "97.31%", "279,979", "/a/long/way/to/a/folder")
    table.add_row("mlp-128", "95.40%", "88.12%", "101,770", "/elsewhere")
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=False)
    show_table(console, table)
    shown = console.export_text()
    figures = [
        "digitnet-1 (default)",
        "99.52%",
        "98.10%",
        "97.31%",
        "279,979",
        "mlp-128",
        "95.40%",
        "88.12%",
        "101,770",
    ]
    assert all(figure in shown for figure in figures) and "…" not in shown
    assert "/a/long/way/to/a/folder" in re.sub(r"\s|┃|│", "", shown)
    assert ("━" in shown) == (width >= 120)


# ------------------------------------------------------------------------------------------------- forms


def job_with(folder: Path, forms: str) -> Path:
    """A job of one page of the form ``small``."""
    path = folder / "r.job"
    info = RunInfo("0.0", ModelInfo("m", "00", 1), {"forms": forms} if forms else {})
    with Journal(path, info) as journal:
        ref = PageRef("a.png", 0, "ab")
        page = PageResult(ref, 9, 9, None, 0.0, Quality(0.5, 9.0), (reading("7", 0.9, name="a"),))
        form = FormMatch("small", 1, 0.9) if forms else None
        journal.add(PageResult(**{name: getattr(page, name) for name in page.__slots__} | {"form": form}))
    return path


@pytest.mark.parametrize(
    ("used", "says"),
    [
        ("small:00", "form small was used in this run and is not given now; add --form with the template of small"),
        ("", "was read without a form; leave --form out"),
    ],
)
def test_an_export_with_another_form_is_one_line(tmp_path: Path, used: str, says: str) -> None:
    other = write_template(tmp_path, SMALL.replace('name = "small"', 'name = "other"'), "other.toml")
    out = tmp_path / "r.csv"
    done = run(app, ["export", str(job_with(tmp_path, used)), "--form", str(other), "--out", str(out)])
    told = " ".join(done.stderr.split())
    assert done.exit_code == 2 and says in told and "Traceback" not in told
    assert not out.exists() and not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ("", r"form clinic and meter was used and is not given now; add --form clinic.toml --form meter.toml, or give"),
        ("meter:11", r"form clinic was used and is not given now; add --form clinic.toml, or give --fresh"),
        ("clinic:00+meter:11+new:22", r"form new was not used before; give --fresh"),
        ("clinic:00+meter:12", r"form meter has changed since the job .* was read; give --fresh"),
    ],
)
def test_a_run_that_goes_on_with_other_forms_is_told_which(tmp_path: Path, now: str, says: str) -> None:
    def info(forms: str) -> RunInfo:
        return RunInfo("0.0", ModelInfo("m", "00", 1), {"digest": "aa"} | ({"forms": forms} if forms else {}))

    Journal(tmp_path / "r.job", info("clinic:00+meter:11")).close()
    with pytest.raises(UsageError, match=says):
        Journal(tmp_path / "r.job", info(now))
    Journal(tmp_path / "r.job", info("clinic:00+meter:11")).close()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("box = [30, 25, 45, 9]", "box = [30, 25, 145, 9]"), 'name = "id"'),
        (('name = "sum"', 'name = "id"'), 'name = "id"'),
        (("sum == a + b", "sum == a + bb"), 'expression = "sum == a + bb"'),
        (("digits = 3", 'digits = "three"'), 'digits = "three"'),
        (("box = [85, 45, 27, 9]", 'box = [85, 45, "x", 9]'), 'box = [85, 45, "x", 9]'),
        (('name = "b"\n', ""), "[[field]]"),
    ],
)
def test_an_error_of_a_template_names_the_line_it_is_in(tmp_path: Path, change: tuple[str, str], line: str) -> None:
    text = SMALL.replace(*change, 1)
    with pytest.raises(UsageError, match=r", line \d+: ") as told:
        load_template(write_template(tmp_path, text))
    number = int(re.findall(r"line (\d+):", str(told.value))[0])
    assert text.splitlines()[number - 1] == line
    assert number == max(k for k, own in enumerate(text.splitlines(), 1) if own == line) or line == "[[field]]"


# ------------------------------------------------------------------------------------------------- frames


def framed(digit: str, kind: str) -> np.ndarray:
    image = paper(160, 200)
    put(image, digit, 48, 140, 3.2, 30, 8)
    corners = [(25, 25), (25, 175), (135, 175), (135, 25)]
    if kind == "thick":
        cv2.rectangle(image, corners[0], corners[2], 60, 6)
    elif kind == "open":
        cv2.polylines(image, [np.array(corners)], False, 60, 3)
    elif kind == "touching":
        cv2.rectangle(image, (25, 25), (135, 142), 60, 3)
    elif kind == "skewed":
        cv2.rectangle(image, corners[0], corners[2], 60, 3)
        image = cv2.warpAffine(image, cv2.getRotationMatrix2D((80, 100), 3, 0.95), (160, 200), borderValue=235)
    return image


@pytest.mark.parametrize("kind", ["bare", "thick", "open", "touching", "skewed"])
def test_a_digit_is_read_with_the_frame_of_its_box(tmp_path: Path, kind: str) -> None:
    reader = digitscan.Reader(load_config(None, {"layout": "digit"}))
    for digit in "0123456789":
        cv2.imwrite(str(tmp_path / f"{digit}.png"), framed(digit, kind))
    rows = [single.posteriors for single in reader.posteriors_of(str(tmp_path))]
    assert "".join(str(row.argmax()) for row in rows if row is not None) == "0123456789"


def test_what_is_no_frame_stays() -> None:
    empty = np.zeros((60, 50), bool)
    square = empty.copy()
    square[5:55, 5:45] = True
    square[9:51, 9:41] = False  # a zero of straight strokes: nothing stands in it
    bar = empty.copy()
    bar[5:55, 22:28] = True
    for mask in (empty, square, bar, ~empty):
        assert without_frame(mask) is mask
    with_seven = square.copy()
    with_seven[18:22, 18:32] = with_seven[18:42, 28:32] = True
    left = without_frame(with_seven)
    assert left.any() and not left[:18].any() and not left[:, :18].any() and left[18:22, 18:32].all()


# ------------------------------------------------------------------------------------------------- the README


def test_the_readmes_python_reads_a_field(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    assert code.count('digitscan.read("scans/")') == 1
    exec(code.replace('"scans/"', '"samples/digit"'), {})
    assert re.fullmatch(r"\d{8} \d+% .*\n", capsys.readouterr().out)
