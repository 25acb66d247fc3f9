"""Input that is damaged, enormous or made to harm: no silent misreading, bounded work, one clear line."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.bitflips import FORMATS
from digitscan.cli.app import app
from digitscan.cli.common import visible
from digitscan.core.config import Config, IngestConfig
from digitscan.core.errors import IngestError
from digitscan.core.memory import limit_memory
from digitscan.core.types import FormMatch, PageRef, PageResult, Quality, RasterPage, RunInfo
from digitscan.ingest.pages import list_pages, load_page
from digitscan.ingest.soundness import broken_row, jpeg_faults, shifted_row
from digitscan.ingest.tiff_data import lzw_fault
from digitscan.jobs.journal import Journal
from digitscan.pipeline.finish import doubted
from digitscan.pipeline.items import failure
from digitscan.pipeline.read import read_raster
from tests.conftest import AlwaysSeven, paper, put
from tests.small_form import write_template

CONFIG = IngestConfig()


@pytest.fixture(scope="module")
def sheet() -> Image.Image:
    """Rows of numbers on paper with a little grain."""
    image, rng = paper(480, 640), random.Random(5)
    for row in range(9):
        put(image, "".join(rng.choice("0123456789") for _ in range(8)), 30, 80 + 65 * row, scale=1.6, thick=3)
    grain = np.random.default_rng(1).integers(-2, 3, image.shape)
    return Image.fromarray(np.clip(image + grain, 0, 255).astype(np.uint8))


def warnings_of(path: Path, data: bytes) -> tuple[str, ...]:
    path.write_bytes(data)
    return load_page(PageRef(str(path)), CONFIG).warnings


# ----------------------------------------------------------------------------------- one flipped bit


@pytest.mark.parametrize("name", FORMATS)
def test_sound_files_are_not_called_damaged(name: str, sheet: Image.Image, tmp_path: Path) -> None:
    suffix, make = FORMATS[name]
    assert warnings_of(tmp_path / f"a{suffix}", make(sheet)) == ()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("PNG", 1.0), ("TIFF G4", 0.8), ("TIFF LZW", 0.7), ("TIFF deflate", 1.0), ("PDF, Flate", 1.0),
        ("TIFF LZW, grey, predictor", 0.85), ("JPEG", 0.15), ("PDF, JPEG", 0.15),
    ],
)  # fmt: skip
def test_a_flipped_bit_is_told_as_far_as_the_format_shows_it(
    name: str, least: float, sheet: Image.Image, tmp_path: Path
) -> None:
    # What is left changes a few pixels of G4 and LZW, one block of JPEG: `benchmarks/bitflips.py` counts readings.
    suffix, make = FORMATS[name]
    whole = make(sheet)
    start, stop = {".png": (60, len(whole) - 20), ".tif": (8, len(whole) - 600), ".jpg": (700, len(whole) - 10)}.get(
        suffix, (whole.rfind(b">>stream\n") + 12, whole.rfind(b"\nendstream") - 4)
    )
    rng, told, flips = random.Random(3), 0, 40
    for _ in range(flips):
        data = bytearray(whole)
        data[rng.randrange(start, stop)] ^= 1 << rng.randrange(8)
        try:
            told += bool(warnings_of(tmp_path / f"a{suffix}", bytes(data)))
        except IngestError:
            told += 1
    assert told >= least * flips


def test_what_a_decoder_says_sends_all_readings_to_review(seven: AlwaysSeven) -> None:
    image = paper(400, 200)
    put(image, "123", 60, 120)
    sound = read_raster(RasterPage(PageRef("a.jpg"), image), seven, Config())
    told = read_raster(RasterPage(PageRef("a.jpg"), image, None, ("premature end",)), seven, Config())
    assert isinstance(sound, PageResult) and isinstance(told, PageResult) and sound.readings
    assert not any(r.review for r in sound.readings)
    assert all(r.review and "may be damaged: premature end" in r.reason for r in told.readings)
    assert [r.text for r in told.readings] == [r.text for r in sound.readings]
    assert told.quality.warnings == (*sound.quality.warnings, "premature end")
    assert doubted(sound, ()) is sound


def test_a_png_with_a_wrong_checksum_fails_or_is_told(sheet: Image.Image, tmp_path: Path) -> None:
    whole = cv2.imencode(".png", np.asarray(sheet))[1].tobytes()
    body = b"tEXtNote\x00x"
    note = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body) ^ 1)
    assert warnings_of(tmp_path / "a.png", whole[:-12] + note + whole[-12:]) == (
        "a part of the file (tEXt) does not fit its checksum",
    )
    place = whole.index(b"IDAT") - 4
    size = struct.unpack(">I", whole[place : place + 4])[0]
    wrong = bytearray(whole)
    wrong[place + 8 + size] ^= 1
    with pytest.raises(IngestError, match="checksum of its part IDAT"):
        warnings_of(tmp_path / "a.png", bytes(wrong))


def test_a_jpeg_that_ends_early_late_or_without_its_restarts_is_told(sheet: Image.Image) -> None:
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=85, restart_marker_rows=2)
    whole = out.getvalue()
    assert jpeg_faults(whole) == []
    assert jpeg_faults(whole[: len(whole) // 2] + b"\xff\xd9")
    plain = cv2.imencode(".jpg", np.asarray(sheet))[1].tobytes()
    assert any("extraneous" in fault for fault in jpeg_faults(plain[:-2] + bytes(range(1, 60)) + plain[-2:]))
    assert any("premature" in fault for fault in jpeg_faults(plain[: len(plain) // 2] + b"\xff\xd9"))
    restart = whole.index(b"\xff\xd3")
    assert jpeg_faults(whole[:restart] + whole[restart + 2 :])


def test_a_step_in_a_row_of_blocks_is_no_edge_of_a_sheet() -> None:
    blocks = np.full((40, 60), 230, np.uint8)
    blocks[20, 25:] -= 9
    blocks[21:] -= 9
    assert broken_row(blocks) == 20
    alone = np.full((40, 60), 230, np.uint8)
    alone[20, 25:] -= 30
    assert broken_row(alone) is None and broken_row(alone, restarts=True) == 20
    straight = np.full((40, 60), 230, np.uint8)
    straight[20:] = 90  # a sheet that ends
    assert broken_row(straight) is None
    askew = np.full((320, 480), 230, np.uint8)
    for x in range(480):
        askew[160 + x // 30 :, x] = 90
    assert broken_row(cv2.resize(askew, (60, 40), interpolation=cv2.INTER_AREA)) is None
    assert broken_row(np.full((2, 2), 7, np.uint8)) is None


def test_a_row_that_is_shifted_to_its_end_is_no_printed_line() -> None:
    image = np.full((60, 200), 230, np.uint8)
    image[30] = 40
    assert shifted_row(image) is None  # a line from side to side
    image[45, 90:] -= 64
    assert shifted_row(image) == 45
    assert shifted_row(image[:3]) is None


def test_lzw_of_another_encoder_is_walked(sheet: Image.Image) -> None:
    out = io.BytesIO()
    sheet.crop((0, 0, 480, 160)).save(out, "TIFF", compression="tiff_lzw", strip_size=1 << 30)
    with Image.open(io.BytesIO(out.getvalue())) as image:
        offset, count = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    piece, size = out.getvalue()[offset : offset + count], 480 * 160
    assert lzw_fault(piece, size) == ""
    assert "too early" in lzw_fault(piece[: count // 2], size)
    assert "more than the page" in lzw_fault(piece, size - 500)
    told = 0
    for place in range(20, count - 4, count // 10):
        data = bytearray(piece)
        data[place] ^= 4
        told += bool(lzw_fault(bytes(data), size))
    assert told >= 6


# ----------------------------------------------------------------------------------- enormous pages


def test_our_limit_of_pixels_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own, which it doubles before it refuses
    for suffix in (".png", ".tif", ".jpg", ".webp", ".bmp"):
        path = tmp_path / f"a{suffix}"
        Image.fromarray(paper(100, 50)).save(path)
        assert load_page(next(iter(list_pages(str(path), CONFIG))), CONFIG).image.shape == (50, 100)
        with pytest.raises(IngestError, match=r"100 x 50 pixels is over the limit of 4,999 pixels.*ingest\.max_pixels"):
            load_page(PageRef(str(path)), IngestConfig(max_pixels=4_999))
    assert Image.MAX_IMAGE_PIXELS == 1000


# ----------------------------------------------------------------------------------- names that are made to harm


def test_names_are_no_formulas_and_no_commands_to_a_terminal(
    fake: None, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ["=1+1.jpg", "+a.jpg", "-b.jpg", "@SUM(A1).jpg", "\x1b[31mred.jpg", "two\nlines.jpg", "\u202egpj.png"]
    for name in odd:
        (scans / name).write_bytes((scans / "p0.jpg").read_bytes() if name.endswith("jpg") else b"junk")
    (scans / "\x1b]0;bad.png").write_bytes(b"junk")
    monkeypatch.chdir(scans)
    out = [str(tmp_path / f"r{suffix}") for suffix in (".csv", ".xlsx")]
    done = CliRunner().invoke(app, ["process", "--excel", "-o", out[0], "-o", out[1], "--", *odd, "\x1b]0;bad.png"])
    assert done.exit_code == 1
    for sign in "\x1b\u202e":
        assert sign not in done.stderr
    assert r"\x1b]0;bad.png" in done.stderr and r"\u202egpj.png" in done.stderr
    with Path(out[0]).open(newline="", encoding="utf-8-sig") as stream:
        files = [row["file"] for row in csv.DictReader(stream)]
    assert not any(file.startswith(tuple("=+-@")) and not file.startswith('="') for file in files)
    assert '="=1+1.jpg"' in files and '="-b.jpg"' in files
    openpyxl = pytest.importorskip("openpyxl")
    kinds = {cell.data_type for row in openpyxl.load_workbook(out[1]).active.iter_rows() for cell in row if cell.value}
    assert kinds == {"s"}


def test_visible_shows_what_a_terminal_would_obey() -> None:
    assert visible("a\x1b[2J\n\x07\u202eb\udcff\u00e9 [x]") == "a\\x1b[2J\\n\\x07\\u202eb\\xff\u00e9 [x]"
    assert visible("plain") == "plain"


def test_a_job_exported_with_another_form_is_refused_in_one_line(tmp_path: Path, run_info: RunInfo) -> None:
    run_info = replace(run_info, config={**run_info.config, "forms": "meter:0"})
    page = PageResult(PageRef("a.png", 0, "ab"), 9, 9, None, 0.0, Quality(1.0, 9.0), (), FormMatch("meter", 1, 0.9))
    with Journal(tmp_path / "a.job", run_info) as journal:
        journal.add(page)
    other = write_template(tmp_path)
    done = CliRunner().invoke(
        app, ["export", str(tmp_path / "a.job"), "--form", str(other), "-o", str(tmp_path / "r.csv")]
    )
    assert done.exit_code == 2 and "meter" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "r.csv").exists()


# ----------------------------------------------------------------------------------- memory


def pdf_of(content: bytes, *, box: str = "0 0 200 100", more: tuple[bytes, ...] = (), resources: str = "") -> bytes:
    """A page with some content; further objects are numbered from 5 on."""
    packed = zlib.compress(content)
    body = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 4 0 R/Resources<<{resources}>>>>".encode(),
        b"<</Filter/FlateDecode/Length %d>>stream\n" % len(packed) + packed + b"\nendstream",
        *more,
    )
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(body, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + part + b"endobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(body) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (len(body) + 1, start)


def test_a_filter_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    head = "<</Type/XObject/Subtype/Image/Width 8/Height 8/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/Fl#BBte"
    image = f"{head}/Length 9>>stream\n123456789\nendstream".encode()
    data = pdf_of(b"q 200 0 0 100 0 0 cm /I Do Q", more=(image,), resources="/XObject<</I 5 0 R>>")
    assert warnings_of(tmp_path / "a.pdf", data) == ("a picture's data are packed in a way whose name is no text",)


def test_a_stream_that_does_not_fit_its_checksum_is_told(tmp_path: Path) -> None:
    data = bytearray(pdf_of(b"BT ET 0 0 m 90 90 l S " * 20))
    assert warnings_of(tmp_path / "a.pdf", bytes(data)) == ()
    data[data.rindex(b"\nendstream") - 1] ^= 1
    [told] = warnings_of(tmp_path / "a.pdf", bytes(data))
    assert told.startswith("parts of the PDF do not fit their checksum (at byte ")


def peak_mb(code: str) -> tuple[float, str]:
    """Run code in a process of its own; gives the peak of it and its children, and what it printed."""
    measured = (
        "import resource\n" + code + "\nkinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN\n"
        "print(max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", measured], capture_output=True, text=True, timeout=120, check=True)
    *said, peak = done.stdout.strip().splitlines()
    return float(peak), "\n".join(said)


def bilevel_pdf(side: int) -> bytes:
    """A page that is one white picture of so many pixels a side, a bit each."""
    picture = zlib.compress(b"\xff" * ((side + 7) // 8 * side), 9)
    head = (
        f"<</Type/XObject/Subtype/Image/Width {side}/Height {side}/ColorSpace/DeviceGray/BitsPerComponent 1"
        f"/Filter/FlateDecode/Length {len(picture)}>>stream\n"
    )
    image = head.encode() + picture + b"\nendstream"
    return pdf_of(b"q 200 0 0 100 0 0 cm /I Do Q", more=(image,), resources="/XObject<</I 5 0 R>>")


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are measured as Linux counts them")
@pytest.mark.parametrize("kind", ["wide as a street", "1 bit", "long content"])
def test_pages_of_silly_sizes_cost_little(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(
        {
            "wide as a street": lambda: pdf_of(b"", box="0 0 1000000 0.01"),
            "1 bit": lambda: bilevel_pdf(20_000),
            "long content": lambda: pdf_of(b"0 0 m 9 9 l S " * 300_000),
        }[kind]()
    )
    code = (
        "from digitscan.ingest.pages import load_page\nfrom digitscan.core.config import IngestConfig\n"
        "from digitscan.core.errors import IngestError\nfrom digitscan.core.types import PageRef\n"
        f"try:\n    print(load_page(PageRef({str(path)!r}), IngestConfig(max_pixels=50_000_000)).image.shape)\n"
        "except IngestError as error:\n    print(error.message)"
    )
    peak, said = peak_mb(code)
    assert peak < 700
    if kind == "wide as a street":
        assert "cannot be drawn" in said
    else:
        assert said.startswith("(")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux heeds a limit of data")
def test_a_page_beyond_the_memory_of_a_worker_fails_alone_and_says_so(scans: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((11_000, 11_000), 255, np.uint8)).save(scans / "big.png")
    out = tmp_path / "r.json"
    environment = os.environ | {"DIGITSCAN_BATCH__WORKER_MEMORY_MB": "600", "DIGITSCAN_IMAGING__REDUCE": "false"}
    command = [sys.executable, "-m", "digitscan", "process", str(scans), "-o", str(out), "-q", "-j", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 1, done.stderr
    pages = {Path(page["file"]).name: page for page in json.loads(out.read_bytes())["pages"]}
    assert "batch.worker_memory_mb" in pages["big.png"]["error"]["remedy"]
    assert all(pages[f"p{k}.jpg"]["status"] == "ok" for k in range(3))


def test_memory_is_not_limited_where_none_is_asked() -> None:
    assert limit_memory(0) is False


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        cv2.error("(-4:Insufficient memory) Failed to allocate"),
        cv2.error("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_every_kind_of_lack_of_memory_is_told_as_such(error: Exception) -> None:
    failed = failure(PageRef("a.png"), "ingest", error)
    assert failed.error == "MemoryError" and "worker_memory_mb" in failed.remedy
