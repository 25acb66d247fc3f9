"""What a run survives: kill -9 at random moments, and files broken in many ways among good ones.

    python benchmarks/robust.py [--kills 100] [--files 300]

A run over drawn pages is killed at a random moment and started again until it ends; then its results are compared, byte
by byte, with those of an unbroken run, and the next one begins, until so many kills are done.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console


def a_page(seed: int) -> bytes:
    """A small page with three numbers, as PNG."""
    rng = np.random.default_rng(seed)
    page = np.full((420, 620), 240, np.uint8)
    for line in range(3):
        number = "".join(map(str, rng.integers(0, 10, rng.integers(3, 7))))
        cv2.putText(page, number, (60, 110 + 130 * line), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 40, 5, cv2.LINE_AA)
    page = np.clip(page + rng.normal(0, 3, page.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(".png", page)[1].tobytes()


def command(scans: Path, out: Path) -> list[str]:
    """The run as a user would start it."""
    return [sys.executable, "-m", "digitscan", "process", str(scans), "--out", str(out), "--out",
            str(out.with_suffix(".jsonl")), "-q"]  # fmt: skip


def kills(folder: Path, wanted: int, console: Console) -> None:
    """Kill runs until `wanted` kills are done; every run that was let end must equal the unbroken one."""
    scans = folder / "scans"
    scans.mkdir()
    for k in range(60):
        (scans / f"page{k:03}.png").write_bytes(a_page(k))
    started = time.monotonic()
    subprocess.run(command(scans, folder / "whole.csv"), check=True)
    longest = time.monotonic() - started
    whole = {end: (folder / "whole").with_suffix(end).read_bytes() for end in (".csv", ".jsonl")}
    rng, done, runs, starts = random.Random(0), 0, 0, 0
    while done < wanted:
        out = folder / f"run{runs}.csv"
        while True:
            starts += 1
            with subprocess.Popen(command(scans, out)) as process:
                try:
                    process.wait(rng.uniform(0.2, longest) if done < wanted else None)
                except subprocess.TimeoutExpired:
                    process.kill()  # its workers see that nobody asks any more
                    process.wait()
                    done += 1
                    continue
            break
        runs += 1
        same = all(out.with_suffix(end).read_bytes() == data for end, data in whole.items())
        left = [path.name for path in folder.glob("*.part")]
        if not same or process.returncode:
            console.print(f"[red]run {runs} differs after its kills (exit {process.returncode})[/]")
            raise SystemExit(1)
    console.print(
        f"{done} kills in {runs} runs ({starts} starts) of 60 pages: every run ended with the bytes of the unbroken one"
        f"{', litter: ' + ', '.join(left) if left else ''}"
    )


def ways_to_break(good: bytes, k: int) -> tuple[str, bytes]:
    """A name and bytes of a file that cannot be read."""
    ways = (
        ("empty.png", b""), ("cut.png", good[: len(good) // 3]), ("noise.jpg", os.urandom(4000)),
        ("lies.png", b"PK\x03\x04" + bytes(300)), ("page.pdf", b"%PDF-1.7\n" + os.urandom(800)),
        ("head.tif", b"II*\x00" + bytes(40)), ("text.png", b"<html>not found</html>"),
        ("bomb.png", good[:16] + (60_000).to_bytes(4, "big") * 2 + good[24:]),
        ("half.jpg", b"\xff\xd8\xff" + bytes(64)),
    )  # fmt: skip
    name, data = ways[k % len(ways)]
    return f"{k:03}-{name}", data


def broken(folder: Path, files: int, console: Console) -> None:
    """Two per cent of the files are broken: all others are read, and every failure is named."""
    scans = folder / "mixed"
    scans.mkdir()
    bad = max(9, files // 50)
    for k in range(files - bad):
        (scans / f"page{k:04}.png").write_bytes(a_page(k))
    names = set()
    for k in range(bad):
        name, data = ways_to_break(a_page(k), k)
        (scans / name).write_bytes(data)
        names.add(name)
    done = subprocess.run(command(scans, folder / "mixed.csv"), check=False, capture_output=True, text=True)
    with (folder / "mixed.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    missing = {Path(row["file"]).name: row["reason"] for row in rows if row["state"] == "missing"}
    read = {Path(row["file"]).name for row in rows if row["state"] == "value"}
    told = sum(any(name in line for line in done.stderr.splitlines()) for name in names)
    console.print(
        f"{files} files, {bad} broken in nine ways: {len(read)} of {files - bad} good ones read, "
        f"{len(names & missing.keys())} of {bad} failures in the results with a reason, {told} told, "
        f"exit {done.returncode}"
    )
    if len(read) != files - bad or names != missing.keys() or told != bad or not all(missing.values()):
        raise SystemExit(1)


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--files", type=int, default=450)
    given = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as name:
        broken(Path(name), given.files, console)
        kills(Path(name), given.kills, console)


if __name__ == "__main__":
    main()
