"""What archives and data tools take: hOCR, ALTO, Parquet, and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import tracemalloc
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet
import pytest

from digitscan.core.types import RunInfo, State
from digitscan.export.archive import write_alto
from digitscan.export.base import COLUMNS
from digitscan.export.wide import FormColumns
from digitscan.export.writers import WriterOptions, open_writer
from tests.test_export import FAILURE, reading, result

XHTML = "{http://www.w3.org/1999/xhtml}"
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
ODD = 'a "b" <c>&\x07\udce9 --.png'


def test_hocr_is_xhtml_with_pages_words_and_boxes(tmp_path: Path, run_info: RunInfo) -> None:
    target = tmp_path / "r.hocr"
    struck = replace(reading("1"), text="", digits=(), state=State.STRUCK)
    with open_writer(str(target), run_info) as writer:
        writer.write(result(ODD, reading(), reading("12", 0.5, name="s2"), struck))
        writer.write(replace(FAILURE, message="-- <broken> --"))
        writer.write(result("b.png", reading("5")))
    body = ElementTree.parse(target).getroot().find(f"{XHTML}body")
    assert body is not None
    pages = [e for e in body.iter(f"{XHTML}div") if e.get("class") == "ocr_page"]
    assert len(pages) == 2 and "bbox 0 0 200 100; ppageno 0; scan_res 300 300" in str(pages[0].get("title"))
    words = [e for e in body.iter(f"{XHTML}span") if e.get("class") == "ocrx_word"]
    assert ["".join(w.itertext()) for w in words] == ["007", "12", "5"]
    assert [w.get("title") for w in words][:2] == ["bbox 10 20 70 50; x_wconf 97", "bbox 10 20 70 50; x_wconf 50"]
    keys = [e.get("id") for e in body.iter() if e.get("id")]
    assert len(keys) == len(set(keys))


def test_alto_has_strings_glyphs_and_alternatives(tmp_path: Path, run_info: RunInfo) -> None:
    taken: set[str] = set()
    for page in (result(ODD, reading()), result(ODD, reading("12", name="<s>"))):
        write_alto(tmp_path, page, run_info, taken)
    files = sorted(tmp_path.glob("*.xml"))
    assert len(files) == 2 == len(taken)
    root = min((ElementTree.parse(f).getroot() for f in files), key=lambda r: len(list(r.iter(f"{ALTO}Glyph"))))
    [string] = root.iter(f"{ALTO}String")
    assert string.attrib == {"ID": "string1", "CONTENT": "12", "HPOS": "10", "VPOS": "20", "WIDTH": "60",
                             "HEIGHT": "30", "WC": "0.9700"}  # fmt: skip
    assert [g.get("CONTENT") for g in root.iter(f"{ALTO}Glyph")] == ["1", "2"]
    assert [a.text for a in root.iter(f"{ALTO}ALTERNATIVE")] == ["001"]
    [page_element] = root.iter(f"{ALTO}Page")
    assert (page_element.get("WIDTH"), page_element.get("HEIGHT")) == ("200", "100")


def test_parquet_has_the_rows_of_the_csv_with_types(tmp_path: Path, run_info: RunInfo) -> None:
    for name in ("r.parquet", "r.csv"):
        with open_writer(str(tmp_path / name), run_info) as writer:
            writer.write(result("a.png", reading(row=2, column=3), reading("12", 0.5)))
            writer.write(FAILURE)
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet")
    rows = table.to_pylist()
    with (tmp_path / "r.csv").open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert table.column_names == list(COLUMNS) and len(rows) == len(written) == 3
    assert [r["text"] for r in rows] == [r["text"] for r in written] == ["007", "12", ""]
    assert rows[0]["row"] == 2 and rows[1]["row"] is None and rows[0]["confidence"] == pytest.approx(0.97)
    assert [r["review"] for r in rows] == [False, True, True]
    assert rows[2]["state"] == "missing" and rows[2]["confidence"] is None and rows[2]["page"] == 3


def test_parquet_and_hocr_stream(tmp_path: Path, run_info: RunInfo) -> None:
    page = result("a.png", *(reading(name=f"s{k}") for k in range(20)))
    tracemalloc.start()
    try:
        for name, count in (("r.hocr", 1000), ("r.parquet", 100)):
            with open_writer(str(tmp_path / name), run_info) as writer:
                for _ in range(count):
                    writer.write(page)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "r.hocr").stat().st_size > 3_000_000 and peak < 4_000_000


def test_csv_for_spreadsheets_shows_digits_as_they_are(tmp_path: Path, run_info: RunInfo) -> None:
    forms = (FormColumns("f", 1, ("amount",)),)
    for name, options in (("r.csv", WriterOptions((), True)), ("w.csv", WriterOptions(forms, True))):
        with open_writer(str(tmp_path / name), run_info, options) as writer:
            writer.write(result("a.png", reading()))
            writer.write(FAILURE)
        raw = (tmp_path / name).read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\xef\xbb\xbf") == 1
    first, failed = csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text("utf-8-sig")))
    assert first["text"] == '="007"' and first["raw"] == "" and first["confidence"] == "0.9700" and failed["text"] == ""
