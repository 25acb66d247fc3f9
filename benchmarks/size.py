"""Cost against size: time and memory of runs of 10, 100 and 1,000 pages, a PDF of 2,000 scans, one worker and two.

    python benchmarks/size.py [--largest 1000] [--pdf-pages 2000]

Memory is that of all processes of a run together, sampled from /proc (proportional set size: pages that processes share
count once).
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from rich.console import Console
from robust import a_page
from speed import form_page


def family(root: int) -> list[int]:
    """A process and all its descendants."""
    found, new = [root], [root]
    while new:
        try:
            children = [int(p) for parent in new for task in Path(f"/proc/{parent}/task").iterdir()
                        for p in (task / "children").read_text().split()]  # fmt: skip
        except OSError:
            break
        new = children
        found += children
    return found


def memory_mb(root: int) -> float:
    """Proportional set size of a process and its descendants."""
    total = 0
    for process in family(root):
        try:
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 1024


def run(source: Path, out: Path, *more: str) -> tuple[float, float]:
    """Seconds and peak memory in MB of one run."""
    command = [sys.executable, "-m", "digitscan", "process", str(source), "--out", str(out), "-q", "--fresh", *more]
    started, peak = time.monotonic(), 0.0
    with subprocess.Popen(command, env=os.environ | {"MALLOC_ARENA_MAX": "2"}) as process:
        while process.poll() is None:
            peak = max(peak, memory_mb(process.pid))
            time.sleep(0.4)  # looking costs the cores that are measured
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - started, peak


def workers(folder: Path, count: int, told: Callable[..., None]) -> None:
    """The same form pages by one worker and by two."""
    forms = folder / "forms"
    forms.mkdir()
    for k in range(count):
        Image.fromarray(form_page(k)).save(forms / f"{k:03}.png")
    times = {}
    for jobs in (1, 2):
        times[jobs], peak = run(forms, folder / "f.csv", "-j", str(jobs))
        told(f"{count} form pages, -j {jobs}", f"{times[jobs]:.1f}", f"{count / times[jobs]:.2f}", "", f"{peak:.0f}")
    told("two workers over one", f"{times[1] / times[2]:.2f}x", "", "", "")


def scans_in_a_pdf(folder: Path, most: int, told: Callable[..., None]) -> None:
    """PDFs of few and of many small scans."""
    one = [Image.open(io.BytesIO(a_page(k))) for k in range(4)]
    for pages in (10, most):
        stream = io.BytesIO()
        one[0].save(stream, "PDF", save_all=True, append_images=[one[k % 4] for k in range(1, pages)], resolution=150)
        (folder / f"{pages}.pdf").write_bytes(stream.getvalue())
        stream.close()
        seconds, peak = run(folder / f"{pages}.pdf", folder / "p.csv")
        told(f"PDF of {pages} scans", f"{seconds:.1f}", f"{pages / seconds:.2f}", "", f"{peak:.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=1000)
    parser.add_argument("--pdf-pages", type=int, default=2000)
    parser.add_argument("--forms", type=int, default=24)
    parser.add_argument("--part", choices=("size", "workers", "pdf"), action="append", help="default: all")
    given = parser.parse_args()
    parts = given.part or ["size", "workers", "pdf"]
    console = Console(highlight=False)

    def told(*cells: str) -> None:
        console.print("| " + " | ".join(cells) + " |")

    told("run", "seconds", "pages/s", "s a page beyond the first 10", "peak MB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scans = folder / "scans"
        scans.mkdir()
        first = 0.0
        count = 10
        while count <= given.largest and "size" in parts:
            for k in range(len(list(scans.iterdir())), count):
                (scans / f"{k:05}.png").write_bytes(a_page(k))
            seconds, peak = run(scans, folder / "r.csv")
            first = first or seconds
            beyond = f"{(seconds - first) / (count - 10):.4f}" if count > 10 else ""
            told(f"{count} small pages", f"{seconds:.1f}", f"{count / seconds:.1f}", beyond, f"{peak:.0f}")
            count *= 10
        if "workers" in parts:
            workers(folder, given.forms, told)
        if "pdf" in parts:
            scans_in_a_pdf(folder, given.pdf_pages, told)


if __name__ == "__main__":
    main()
