"""One flipped bit: does a damaged file ever give other numbers in silence? ``python benchmarks/bitflips.py``.

A page with handwritten numbers is stored in each format, and read. Then one random bit of the file is flipped, and it
is read again, so many times a format. Each trial ends in one of these:

- same: every number, its place in the order and its state are as before (a confidence may differ);
- failed: the page could not be read, and says so;
- told: numbers differ, and a warning on the page sends all its readings to review;
- reviewed: numbers differ, and each that is new or changed is for review, none is missing;
- silent: numbers are missing or other ones, and nothing says so. This is what must not happen.

``told, same`` counts warnings on pages whose numbers did not change: damage elsewhere.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.core.config import IngestConfig
from digitscan.core.errors import DigitscanError
from digitscan.core.types import PageFailure, PageOutcome, PageRef, PageResult, RasterPage
from digitscan.ingest.pages import list_pages, load_page

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "survey-form.png"
PART = (0, 480, 1654, 1180)
"""Left, top, right and bottom of the part of it that is taken."""


def _tiff(compression: str, *, bilevel: bool, predictor: bool = False) -> Callable[[Image.Image], bytes]:
    def make(page: Image.Image) -> bytes:
        out = io.BytesIO()
        image = page.point(lambda level: 255 * (level > 150)).convert("1") if bilevel else page
        extra = {317: 2} if predictor else {}
        image.save(out, "TIFF", compression=compression, dpi=(200, 200), tiffinfo=extra)
        return out.getvalue()

    return make


def _image(suffix: str, *options: int) -> Callable[[Image.Image], bytes]:
    return lambda page: cv2.imencode(suffix, np.asarray(page), list(options))[1].tobytes()


def _restarts(page: Image.Image) -> bytes:
    out = io.BytesIO()
    page.save(out, "JPEG", quality=85, restart_marker_rows=4)
    return out.getvalue()


def _colour(page: Image.Image) -> bytes:
    out = io.BytesIO()
    page.convert("RGB").save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


def _progressive(page: Image.Image) -> bytes:
    out = io.BytesIO()
    page.save(out, "JPEG", quality=85, progressive=True)
    return out.getvalue()


def _pdf(filter_name: str) -> Callable[[Image.Image], bytes]:
    """A page that is one picture, behind a filter; or drawn, so that it is rasterized."""

    def make(page: Image.Image) -> bytes:
        width, height = page.size
        picture = {
            "DCTDecode": lambda: _image(".jpg", cv2.IMWRITE_JPEG_QUALITY, 85)(page),
            "FlateDecode": lambda: zlib.compress(page.tobytes()),
        }[filter_name]()
        content = zlib.compress(f"q {width * 0.36:.2f} 0 0 {height * 0.36:.2f} 0 0 cm /I Do Q".encode())
        body = [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width * 0.36:.2f} {height * 0.36:.2f}]/Contents 4 0 R"
            "/Resources<</XObject<</I 5 0 R>>>>>>".encode(),
            b"<</Filter/FlateDecode/Length %d>>stream\n" % len(content) + content + b"\nendstream",
            f"<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceGray/BitsPerComponent 8"
            f"/Filter/{filter_name}/Length {len(picture)}>>stream\n".encode()
            + picture
            + b"\nendstream",
        ]
        out, places = b"%PDF-1.4\n", []
        for number, part in enumerate(body, 1):
            places.append(len(out))
            out += b"%d 0 obj" % number + part + b"endobj\n"
        table = b"".join(b"%010d 00000 n \n" % place for place in places)
        start = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(body) + 1) + table
        return out + b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (len(body) + 1, start)

    return make


FORMATS: dict[str, tuple[str, Callable[[Image.Image], bytes]]] = {
    "PNG": (".png", _image(".png")),
    "JPEG": (".jpg", _image(".jpg", cv2.IMWRITE_JPEG_QUALITY, 85)),
    "JPEG, restart markers": (".jpg", _restarts),
    "JPEG, colour, optimized": (".jpg", _colour),
    "JPEG, progressive": (".jpg", _progressive),
    "TIFF G4": (".tif", _tiff("group4", bilevel=True)),
    "TIFF LZW": (".tif", _tiff("tiff_lzw", bilevel=True)),
    "TIFF LZW, grey, predictor": (".tif", _tiff("tiff_lzw", bilevel=False, predictor=True)),
    "TIFF deflate": (".tif", _tiff("tiff_adobe_deflate", bilevel=False)),
    "PDF, JPEG": (".pdf", _pdf("DCTDecode")),
    "PDF, Flate": (".pdf", _pdf("FlateDecode")),
}
"""By name: the ending, and how a page is stored."""


def numbers(outcome: PageOutcome) -> list[tuple[str, str, bool]]:
    """Text, state and review of each reading, in order."""
    if isinstance(outcome, PageFailure):
        return []
    return [(r.text, r.state.value, r.review) for r in outcome.readings]


def verdict(clean: PageOutcome, damaged: PageOutcome) -> str:
    """Which way a trial ended."""
    if isinstance(damaged, PageFailure) or not isinstance(clean, PageResult):
        return "failed"
    before, after = numbers(clean), numbers(damaged)
    same = [n[:2] for n in before] == [n[:2] for n in after]
    told = len(damaged.quality.warnings) > len(clean.quality.warnings) and all(n[2] for n in after)
    if told:
        return "told, same" if same else "told"
    if same:
        return "same"
    left = Counter(n[:2] for n in before)
    for text, state, review in after:
        if left[text, state] > 0:
            left[text, state] -= 1
        elif not review:
            return "silent"
    # A number that was read otherwise is there, for review; a missing one is not.
    return "reviewed" if len(after) >= len(before) else "silent"


class _ToldError(Exception):
    """A page whose readings are all for review, whatever they are."""


def main() -> None:
    """Flip, read, count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="flips a format")
    parser.add_argument("--format", action="append", help="of these alone")
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--keep", type=Path, help="folder for the files of silent trials")
    parser.add_argument("--fast", action="store_true", help="do not read pages that are told: they all count as told")
    given = parser.parse_args()
    fast = given.fast
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)
    page = Image.open(SAMPLE).convert("L").crop(PART)
    reader, config = Reader(), IngestConfig()
    table = Table("format", "bytes", "same", "failed", "told", "told, same", "reviewed", "silent")
    with tempfile.TemporaryDirectory() as folder:
        for name, (suffix, make) in FORMATS.items():
            if given.format and name not in given.format:
                continue
            rng = random.Random(given.seed)
            path = Path(folder) / f"page{suffix}"

            def read(data: bytes, path: Path = path) -> PageOutcome:
                path.write_bytes(data)
                return next(iter(reader.stream(str(path)))).outcome

            whole = make(page)
            clean = read(whole)
            ref = next(iter(list_pages(str(path), config)))
            sound = load_page(ref, config)

            def read_if_changed(
                data: bytes, path: Path = path, sound: RasterPage = sound, clean: PageOutcome = clean
            ) -> PageOutcome:
                """Most flips change a few pixels at the most; what decodes to the same page reads the same."""
                path.write_bytes(data)
                try:
                    found = load_page(PageRef(str(path)), config)
                except DigitscanError:
                    return read(data)
                if fast and len(found.warnings) > len(sound.warnings):
                    raise _ToldError
                same = found.warnings == sound.warnings and np.array_equal(found.image, sound.image)
                return clean if same and found.dpi == sound.dpi else read(data)

            counts: Counter[str] = Counter()
            for trial in range(given.count):
                data = bytearray(whole)
                place = rng.randrange(8 * len(data))
                data[place // 8] ^= 1 << place % 8
                try:
                    ended = verdict(clean, read_if_changed(bytes(data)))
                except _ToldError:
                    ended = "told"
                counts[ended] += 1
                if ended == "silent" and given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / f"{name.replace(', ', '-').replace(' ', '-')}-{trial}-{place}{suffix}").write_bytes(
                        data
                    )
            row = [str(counts[key]) for key in ("same", "failed", "told", "told, same", "reviewed", "silent")]
            table.add_row(name, f"{len(whole):,}", *row)
            Console(stderr=True).print(name, dict(counts))
    Console().print(table)


if __name__ == "__main__":
    main()
