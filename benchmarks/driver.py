"""Where one writer saturates: outcomes of drawn pages go through the job file and the result files as fast as they can.

    python benchmarks/driver.py [--pages 5000] [--cores 64]

Whatever reads the pages, one process records them. Its rate bounds how many cores a run can use; then runs are split
by folders of sources into shards, whose results are joined afterwards (docs/scale.md). The second part plays such a
cluster through: readers that take as long as measured here, chunks as the driver hands them out, nodes that are lost.
"""

from __future__ import annotations

import argparse
import heapq
import random
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Table
from speed import form_page

from digitscan import Reader
from digitscan.batch.cluster import _BLOCK, chunk_size
from digitscan.core.types import PageRef, PageResult
from digitscan.export.writers import open_writer
from digitscan.jobs.journal import Journal


def record(pages: int, outcome: PageResult, reader: Reader, folder: Path) -> dict[str, float]:
    """Pages a second of the job file and of each kind of result file."""
    rates: dict[str, float] = {}
    with Journal(folder / "r.job", reader.run_info) as journal:
        started = time.perf_counter()
        for k in range(pages):
            journal.add(replace(outcome, ref=PageRef(f"scans/{k}.png", 0, f"{k:064x}")))
        rates["job"] = pages / (time.perf_counter() - started)
    for kind in ("csv", "jsonl", "parquet"):
        with open_writer(str(folder / f"r.{kind}"), reader.run_info) as writer:
            started = time.perf_counter()
            for k in range(pages):
                writer.write(replace(outcome, ref=PageRef(f"scans/{k}.png", 0, f"{k:064x}")))
            rates[kind] = pages / (time.perf_counter() - started)
    return rates


def play(pages: int, cores: int, page_s: float, driver_s: float, loss_every_s: float, seed: int = 0) -> float:
    """Seconds that a run of so many pages takes: the driver hands out chunks, cores read blocks, some are lost.

    A lost core reads its block again after ten seconds. The next chunk begins when the last page of one is recorded, as
    `digitscan.batch.cluster` does it.
    """
    rng = random.Random(seed)
    clock = 0.0
    recorded = 0.0
    chunk = chunk_size(cores)
    for first in range(0, pages, chunk):
        count = min(chunk, pages - first)
        free = [clock] * min(cores, -(-count // _BLOCK))
        heapq.heapify(free)
        ends = []
        for block in range(0, count, _BLOCK):
            size = min(_BLOCK, count - block)
            begin = heapq.heappop(free)
            took = sum(rng.lognormvariate(0, 0.5) for _ in range(size)) * page_s / 1.133
            if loss_every_s and rng.random() < took / loss_every_s:
                took += 10.0 + took * rng.random()
            heapq.heappush(free, begin + took)
            ends.append((begin + took, size))
        for end, size in sorted(ends):
            recorded = max(recorded, end) + size * driver_s
        clock = recorded
    return clock


def main() -> None:
    """Measure, play, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=5000)
    parser.add_argument("--cores", type=int, default=64)
    given = parser.parse_args()
    reader = Reader(jobs=1)
    image = form_page(0)
    reader.read_image(image)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cv2.imwrite(str(folder / "form.png"), image)
        started = time.process_time()
        [outcome] = reader.read(folder / "form.png")
        page_s = time.process_time() - started
        if not isinstance(outcome, PageResult):
            raise SystemExit("the drawn form was not read")
        rates = record(given.pages, outcome, reader, folder)
        size = (folder / "r.job").stat().st_size / given.pages
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    driver_s = 1 / rates["job"] + 1 / rates["csv"]
    table = Table("what", "figure", title="One process that records", title_justify="left")
    table.add_row("CPU seconds a form page, one core", f"{page_s:.2f}")
    for kind, rate in rates.items():
        table.add_row(f"{kind}, pages/s", f"{rate:,.0f}")
    table.add_row("job file, kB a form page", f"{size / 1000:.1f}")
    table.add_row("cores that one driver can serve (job and CSV)", f"{page_s / driver_s:,.0f}")
    table.add_row("peak memory, MB", f"{peak:.0f}")
    console = Console(highlight=False)
    console.print(table)
    million = 1_000_000 * page_s / 3600
    console.print(f"A million form pages: {million:,.0f} core hours.")
    table = Table("cores", "hours for 100,000 pages", "of the ideal", title="A cluster played through, a node's core "
                  "lost every two hours", title_justify="left")  # fmt: skip
    cores = 8
    while cores <= given.cores * 16:
        took = play(100_000, cores, page_s, driver_s, 7200 * 1.0)
        table.add_row(f"{cores}", f"{took / 3600:.2f}", f"{100_000 * page_s / cores / took:.0%}")
        cores *= 4
    console.print(table)


if __name__ == "__main__":
    main()
