"""Hostile files amid good pages: ``python -m benchmarks.hostile_files [--good 100] [--hostile 300]``.

The good pages are read alone, and then amid the hostile files, by the command line. Told are: whether the rows of the
good pages are byte for byte the same, whether each hostile file is named in the results, the peak memory of all
processes together, and what is left behind: processes, part files, folders.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.bitflips import FORMATS
from benchmarks.fuzz import sheet, spoilt

ROOT = Path(__file__).resolve().parent.parent


def pdf(content: bytes, box: str = "0 0 595 842", more: tuple[bytes, ...] = (), resources: str = "") -> bytes:
    """A PDF of one page; further objects are numbered from 5 on."""
    packed = zlib.compress(content, 9)
    body = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 4 0 R/Resources<<{resources}>>>>".encode(),
        b"<</Filter/FlateDecode/Length %d>>stream\n" % len(packed) + packed + b"\nendstream",
        *more,
    )
    out = b"%PDF-1.4\n"
    places = []
    for number, part in enumerate(body, 1):
        places.append(len(out))
        out += b"%d 0 obj" % number + part + b"endobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(body) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (len(body) + 1, start)


def form_bomb(deep: int, each: int = 10) -> bytes:
    """Forms that each draw the next one several times."""
    forms = []
    for level in range(deep):
        inner = b"/F Do " * each if level < deep - 1 else b"0 0 m 500 500 l S "
        below = f"/Resources<</XObject<</F {6 + level} 0 R>>>>" if level < deep - 1 else ""
        head = f"<</Type/XObject/Subtype/Form/BBox[0 0 595 842]{below}/Length {len(inner)}>>stream\n"
        forms.append(head.encode() + inner + b"\nendstream")
    return pdf(b"/F Do", more=tuple(forms), resources="/XObject<</F 5 0 R>>")


def picture_pdf(width: int, height: int, bits: int = 1) -> bytes:
    """A page that is one enormous white picture."""
    row = b"\xff" * ((width * bits + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = (
        f"<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceGray/BitsPerComponent {bits}"
        f"/Filter/FlateDecode/Length {len(data)}>>stream\n"
    )
    return pdf(
        b"q 595 0 0 842 0 0 cm /I Do Q", more=(head.encode() + data + b"\nendstream",), resources="/XObject<</I 5 0 R>>"
    )


def png(width: int, height: int, depth: int = 1, more: bytes = b"") -> bytes:
    """A white PNG of any size in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\x00" + b"\xff" * ((width * depth + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(min(height, 40_000))) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A PNG whose note is a gigabyte of spaces."""
    packer = zlib.compressobj(9)
    data = b"note\x00\x00" + b"".join(packer.compress(b" " * 10_000_000) for _ in range(100)) + packer.flush()
    kind = b"zTXt"
    note = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png(20, 20, more=note)


def tiff(tags: tuple[tuple[int, int], ...], after: int = 0, data: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    return b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", after) + data


def archive() -> bytes:
    """A ZIP that climbs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("../../x.png", b"x")
    return out.getvalue()


MADE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "page of a million points": (".pdf", lambda: pdf(b"0 0 m 9 9 l S", "0 0 1000000 0.01")),
    "square of a million points": (".pdf", lambda: pdf(b"0 0 m 9 9 l S", "0 0 1000000 1000000")),
    "negative page": (".pdf", lambda: pdf(b"", "0 0 -5 -5")),
    "page that is no number": (".pdf", lambda: pdf(b"", "0 0 nan inf")),
    "form bomb": (".pdf", lambda: form_bomb(9)),
    "form in itself": (".pdf", lambda: pdf(b"/F Do", more=(
        b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F 5 0 R>>>>/Length 5>>"
        b"stream\n/F Do\nendstream",
    ), resources="/XObject<</F 5 0 R>>")),
    "content bomb": (".pdf", lambda: pdf(b"0 0 m 500 800 l S " * 2_000_000)),
    "bilevel picture of 35,000": (".pdf", lambda: picture_pdf(35_000, 35_000)),
    "PNG of 100,000": (".png", lambda: png(100_000, 100_000)),
    "PNG of 13,000": (".png", lambda: png(13_000, 13_000)),
    "thin PNG": (".png", lambda: png(2_000_000, 1)),
    "note of a gigabyte": (".png", text_bomb),
    "TIFF that is its own next page": (".tif", lambda: tiff(((256, 9), (257, 9), (258, 8), (273, 8), (279, 81)), 8)),
    "TIFF of 4 G": (".tif", lambda: tiff(((256, 2**32 - 1), (257, 2**32 - 1), (258, 8), (259, 5), (273, 8), (279, 9)))),
    "TIFF without strips": (".tif", lambda: tiff(((256, 9), (257, 9), (258, 8)))),
    "JPEG of 65,500": (".jpg", lambda: _sized_jpeg(65_500, 65_500)),
    "JPEG of nothing": (".jpg", lambda: _sized_jpeg(0, 0)),
    "PNM of 10^9": (".pgm", lambda: b"P5 1000000000 1000000000 255\n" + bytes(99)),
    "PNM that ends": (".pgm", lambda: b"P5 900 900 255\n" + bytes(99)),
    "archive": (".png", archive),
    "empty": (".tif", lambda: b""),
    "page of HTML": (".jpg", lambda: b"<html><script>alert(1)</script></html>"),
    "program": (".pdf", lambda: b"\x7fELF" + bytes(500)),
    "PDF of nothing": (".pdf", lambda: b"%PDF-1.7\n%%EOF"),
}  # fmt: skip


def _sized_jpeg(width: int, height: int) -> bytes:
    data = bytearray(cv2.imencode(".jpg", np.asarray(sheet()))[1].tobytes())
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def hostile(count: int, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """So many hostile files by name: each of `MADE`, and files that are spoilt, cut off or junk."""
    for number, (name, (suffix, make)) in enumerate(MADE.items()):
        if number < count:
            yield f"x{number:03d}-{''.join(c if c.isalnum() else '-' for c in name)}{suffix}", make()
    whole = [(suffix, make(sheet(400, 300))) for suffix, make in FORMATS.values()]
    for number in range(len(MADE), count):
        suffix, data = rng.choice(whole)
        kind = number % 3
        if kind == 0:
            data = data[: rng.randrange(len(data))]
        elif kind == 1:
            data = data[:8] + rng.randbytes(rng.randrange(20_000))
        else:
            data = spoilt(data, rng)
        yield f"x{number:03d}-{('cut', 'junk', 'spoilt')[kind]}{suffix}", data


def good(count: int, folder: Path, rng: random.Random) -> None:
    """Pages with numbers."""
    for number in range(count):
        image = np.full((300, 500), 235, np.uint8)
        for row in range(3):
            text = "".join(rng.choice("0123456789") for _ in range(6))
            cv2.putText(image, text, (40, 80 + 85 * row), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 30, 4, cv2.LINE_AA)
        cv2.imwrite(str(folder / f"good{number:03d}.png"), image)


class Watch:
    """Looks at the memory of a process and all that it started, five times a second."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak_mb, self._ended = pid, 0.0, threading.Event()
        self.seen: set[int] = set()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def family(self) -> set[int]:
        """The process and what descends from it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents[int(entry.name)] = int(fields[1])
        found, size = {self.pid}, 0
        while len(found) > size:
            size = len(found)
            found |= {pid for pid, parent in parents.items() if parent in found}
        return found

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            total = 0
            family = self.family()
            self.seen |= family
            for pid in family:
                try:
                    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
            self.peak_mb = max(self.peak_mb, total / 1024)

    def end(self) -> set[int]:
        """Stop; gives those that still live."""
        self._ended.set()
        self._thread.join()
        return {pid for pid in self.seen if Path(f"/proc/{pid}").exists()}


def run(sources: Path, out: Path, temporary: Path) -> tuple[int, float, float, set[int]]:
    """Read a folder; gives status, seconds, peak memory in MB, and processes that are left."""
    command = [sys.executable, "-m", "digitscan", "process", str(sources), "-o", f"{out}.csv", "-o", f"{out}.json",
               "-q", "--page-timeout", "40"]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "DIGITSCAN_INGEST__PDF_TIMEOUT_S": "15",
    }  # fmt: skip
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    watch = Watch(process.pid)
    status = process.wait()
    took = time.monotonic() - started
    time.sleep(1.0)
    return status, took, watch.peak_mb, watch.end()


def rows_of(path: Path) -> dict[str, list[list[str]]]:
    """The rows of a CSV by the name of their file."""
    found: dict[str, list[list[str]]] = {}
    with path.open(newline="") as stream:
        for row in csv.reader(stream):
            found.setdefault(Path(row[0]).name, []).append(row[1:])
    return found


def main() -> None:
    """Read both folders, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--good", type=int, default=100)
    parser.add_argument("--hostile", type=int, default=300)
    parser.add_argument("--seed", type=int, default=18)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        for name in ("alone", "amid", "tmp", "out"):
            (top / name).mkdir()
        good(given.good, top / "alone", random.Random(given.seed))
        good(given.good, top / "amid", random.Random(given.seed))
        bad = []
        for name, data in hostile(given.hostile - 2, random.Random(given.seed)):
            (top / "amid" / name).write_bytes(data)
            bad.append(name)
        os.mkfifo(top / "amid" / "x-pipe.png")
        (top / "amid" / "x-loop.png").symlink_to(top / "amid" / "x-loop.png")
        bad += ["x-pipe.png", "x-loop.png"]
        run(top / "alone", top / "out" / "alone", top / "tmp")
        status, took, peak, left = run(top / "amid", top / "out" / "amid", top / "tmp")
        alone, amid = rows_of(top / "out" / "alone.csv"), rows_of(top / "out" / "amid.csv")
        same = sum(amid.get(name) == rows for name, rows in alone.items())
        pages = json.loads((top / "out" / "amid.json").read_bytes())["pages"]
        named = {Path(page["file"]).name for page in pages}
        ended = Counter(
            "failed" if page["error"] else "read, told" if page["quality"]["warnings"] else "read"
            for page in pages if Path(page["file"]).name.startswith("x")
        )  # fmt: skip
        litter = [path.name for path in (top / "tmp").iterdir()]
        litter += [path.name for path in (top / "out").iterdir() if path.suffix not in (".csv", ".json", ".job")]
        print(f"status {status}, {took:.0f} s; good pages as alone: {same} of {len(alone)}")
        print(f"hostile files named: {len(named & set(bad))} of {len(bad)}; their pages: {dict(ended)}")
        print(f"not named: {sorted(set(bad) - named)[:5]}")
        print(
            f"peak memory of all processes: {peak:.0f} MB; processes left: {len(left)}; files left: {litter or 'none'}"
        )
        bugs = Counter(
            f"{page['error']['error']}: {page['error']['message'][:80]}"
            for page in pages if page["error"] and "bug" in page["error"]["remedy"]
        )  # fmt: skip
        print(f"errors that nobody foresaw: {dict(bugs) or 'none'}")


if __name__ == "__main__":
    main()
