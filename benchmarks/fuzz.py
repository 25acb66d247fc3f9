"""Files that are made of others by chance: ``python benchmarks/fuzz.py [--seconds 600] [--target ingest]``.

Small sound files (pictures, TIFF, PDF; templates; a job) are spoilt in a few places, and taken in. An error that
digitscan raises on purpose is what should come of it; any other one, a crash, and what takes long are findings, and the
file that made it is kept. The work is done in a process of its own, which is started again when it dies.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.bitflips import FORMATS
from digitscan.core.config import IngestConfig
from digitscan.core.errors import DigitscanError
from digitscan.core.memory import limit_memory
from digitscan.core.types import Box, FieldReading, ModelInfo, PageRef, PageResult, Quality, RunInfo, State
from digitscan.ingest.pages import list_pages, load_page
from digitscan.ingest.source import forget_open_sources

ROOT = Path(__file__).resolve().parent.parent
_SLOW_S = 15
"""Seconds from which one file is a finding; machines are busy."""
_ODD = (
    b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"-1",
    b"99999999999999999999", b"nan", b"inf", b"[[[[[[[[[[[[[[[[", b"{" * 200, b'"', b"\n", b"\xed\xa0\x80",
)  # fmt: skip


def sheet(width: int = 160, height: int = 120) -> Image.Image:
    """A small page."""
    image = np.full((height, width), 235, np.uint8)
    cv2.putText(image, "471", (20, 80), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 30, 4, cv2.LINE_AA)
    return Image.fromarray(image)


def ingest_seeds(folder: Path) -> list[tuple[str, bytes]]:
    """A sound file of each kind, with its ending."""
    seeds = [(suffix, make(sheet())) for suffix, make in FORMATS.values()]
    for suffix, options in ((".webp", {}), (".bmp", {}), (".pgm", {}), (".tif", {"compression": "jpeg"})):
        path = folder / f"seed{suffix}"
        sheet().save(path, **options)
        seeds.append((suffix, path.read_bytes()))
    for suffix in (".tif", ".pdf"):
        path = folder / f"pages{suffix}"
        sheet().save(path, save_all=True, append_images=[sheet(), sheet(60, 40)])
        seeds.append((suffix, path.read_bytes()))
    colour = sheet().convert("CMYK")
    for suffix in (".jpg", ".tif"):
        colour.save(folder / f"colour{suffix}")
        seeds.append((suffix, (folder / f"colour{suffix}").read_bytes()))
    sheet().convert("P").save(folder / "palette.png", transparency=0)
    return [*seeds, (".png", (folder / "palette.png").read_bytes())]


def template_seeds(folder: Path) -> list[tuple[str, bytes]]:
    """The templates of the samples and of the package."""
    places = (ROOT / "samples" / "forms", ROOT / "digitscan" / "templates")
    return [(".toml", path.read_bytes()) for place in places for path in sorted(place.glob("*.toml"))]


def job_seeds(folder: Path) -> list[tuple[str, bytes]]:
    """A job of three pages."""
    from digitscan.jobs.journal import Journal

    run = RunInfo("1", ModelInfo("m", "f" * 64, 1), {"layout": "auto"}, None)
    reading = FieldReading("s1", None, None, "12", (), 0.9, State.VALUE, True, "", (), Box(1, 2, 3, 4))
    path = folder / "seed.job"
    with Journal(path, run) as journal:
        for page in range(3):
            journal.add(PageResult(PageRef("a.png", page, "ab"), 9, 9, None, 0.0, Quality(1.0, 9.0), (reading,)))
    import sqlite3

    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("PRAGMA journal_mode = DELETE")
    database.close()
    return [(".job", path.read_bytes())]


def spoilt(data: bytes, rng: random.Random) -> bytes:
    """Data changed in a few places."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 12))):
        place = rng.randrange(len(out)) if out else 0
        # Heads and directories decide more than pixels do.
        place = rng.randrange(min(len(out), 300)) if out and rng.random() < 0.4 else place
        kind = rng.randrange(7)
        if kind == 0 and out:
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            odd = rng.choice(_ODD)
            out[place : place + len(odd)] = odd
        elif kind == 2:
            del out[place : place + rng.choice((1, 2, 4, 50))]
        elif kind == 3:
            out[place:place] = rng.choice(_ODD)
        elif kind == 4:
            other = rng.randrange(len(out)) if out else 0
            out[place:place] = out[other : other + rng.choice((4, 40, 400))]
        elif kind == 5:
            del out[place:]
        elif out:
            out[place] = rng.randrange(256)
    return bytes(out)


def take_in(path: Path) -> None:
    """List a source and decode its pages."""
    config = IngestConfig(max_pixels=4_000_000, pdf_dpi=100, pdf_timeout_s=8)
    try:
        for number, ref in enumerate(list_pages(str(path), config)):
            if number == 3:
                break
            load_page(ref, config)
    finally:
        forget_open_sources()


def take_template(path: Path) -> None:
    """Read a template."""
    from digitscan.forms.template import load_template

    load_template(path)


def take_job(path: Path) -> None:
    """Open a job, to look and to go on."""
    from digitscan.jobs.journal import JobFile, Journal

    file = JobFile(path)
    try:
        file.summary()
        list(file.outcomes())
    finally:
        file.close()
    Journal(path, file.run).close()


TARGETS: dict[str, tuple[Callable[[Path], list[tuple[str, bytes]]], Callable[[Path], None]]] = {
    "ingest": (ingest_seeds, take_in),
    "template": (template_seeds, take_template),
    "job": (job_seeds, take_job),
}


class _TooSlowError(BaseException):
    """Nothing that a library catches."""


def _expired(*_: object) -> None:
    raise _TooSlowError


def child(target: str, seed: int, seconds: float, folder: Path) -> None:
    """Spoil and take in until the time is over; says each finding on a line of its own."""
    warnings.simplefilter("ignore")
    limit_memory(2048)
    signal.signal(signal.SIGALRM, _expired)
    make, take = TARGETS[target]
    seeds, rng = make(folder), random.Random(seed)
    ends, tried = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        suffix, data = rng.choice(seeds)
        path = folder / f"now{suffix}"
        for old in folder.glob("now*"):
            old.unlink()
        path.write_bytes(spoilt(data, rng))
        tried += 1
        signal.alarm(_SLOW_S)
        try:
            take(path)
        except DigitscanError:
            pass
        except _TooSlowError:
            print(f"FOUND slow {path.suffix} {path.read_bytes().hex()}", flush=True)
        except BaseException as error:  # noqa: BLE001  (each is a finding)
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}@{Path(where.filename).name}:{where.lineno}"
            print(f"FOUND {what} {path.suffix} {path.read_bytes().hex()}", flush=True)
        finally:
            signal.alarm(0)
        if tried % 50 == 0:
            print(f"TRIED {tried}", flush=True)
    print(f"TRIED {tried}", flush=True)


def main() -> None:
    """Run each target for its share of the time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("outputs/fuzz"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    targets = given.target or list(TARGETS)
    for target in targets:
        ends, tried, seed = time.monotonic() + given.seconds / len(targets), 0, given.seed
        found: Counter[str] = Counter()
        while (left := ends - time.monotonic()) > 1:
            seed += 1
            with tempfile.TemporaryDirectory() as folder:
                code = (
                    "from pathlib import Path; from benchmarks.fuzz import child; "
                    f"child({target!r}, {seed}, {left}, Path({folder!r}))"
                )
                done = subprocess.run(
                    [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                    cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
                )  # fmt: skip
                lines = done.stdout.splitlines()
                if done.returncode:
                    now = next(Path(folder).glob("now*"), None)
                    lines.append(f"FOUND died{done.returncode} {now.suffix} {now.read_bytes().hex()}" if now else "")
            tried += max((int(line.split()[1]) for line in lines if line.startswith("TRIED")), default=0)
            for line in lines:
                if line.startswith("FOUND"):
                    _, what, suffix, data = line.split(" ", 3)
                    found[what] += 1
                    if found[what] <= 3:
                        given.keep.mkdir(parents=True, exist_ok=True)
                        name = "".join(c if c.isalnum() else "-" for c in what)
                        (given.keep / f"{target}-{name}-{found[what]}{suffix}").write_bytes(bytes.fromhex(data))
        print(f"{target}: {tried} files, findings: {dict(found) or 'none'}")


if __name__ == "__main__":
    main()
