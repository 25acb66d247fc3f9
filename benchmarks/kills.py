"""Runs ended at random moments by a signal to the run or to a worker, and resumed until they come to their end.

    python benchmarks/kills.py [--runs 1000] [--minutes 20] [--seed 0]

A run over 20 pages (pictures, a TIFF of three pages, PDFs that poppler draws) gets TERM, HUP, INT or KILL, or one of
its workers gets TERM or KILL, at a random moment. Then the same command is given again, until it ends by itself.
Counted are pages lost or doubled, results that are not the unbroken run's to the byte, files left behind, wrong exit
codes, and processes that live on 5 seconds later. Linux only: processes are found in ``/proc``.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from robust import a_page

WAYS = ("run TERM", "run HUP", "run INT", "run KILL", "worker TERM", "worker KILL")
ORDERLY = {"run TERM": 143, "run HUP": 129, "run INT": 130}
ORPHANS_S = 5.0
LONGEST_S = 180.0
"""A run that takes longer has not ended."""


class Trial:
    """Pages to read, and what was counted."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.gone_s = self.asked_s = self._began = 0.0
        self._make_pages()
        started = time.monotonic()
        self._run(self.folder / "whole.csv").wait(LONGEST_S)
        self.longest_s = time.monotonic() - started
        self.whole = self._results(self.folder / "whole.csv")
        self.pages = self._pages(self.folder / "whole.csv")
        if len(self.pages) != 20:
            raise SystemExit(f"the unbroken run has {len(self.pages)} pages of 20")

    def _make_pages(self) -> None:
        """Write the scans, and a stand-in for poppler: it takes its time, and any machine has it."""
        import pypdfium2 as pdfium

        scans, tools = self.folder / "scans", self.folder / "bin"
        scans.mkdir()
        tools.mkdir()
        pages = [a_page(k) for k in range(20)]
        for k in range(14):
            (scans / f"a{k:02}.png").write_bytes(pages[k])
        images = [Image.fromarray(_gray(page)) for page in pages[14:17]]
        images[0].save(scans / "b.tif", save_all=True, append_images=images[1:], compression="tiff_lzw")
        for k in range(17, 20):
            cv2.imwrite(str(tools / f"c{k}.pgm"), _gray(pages[k]))
            document = pdfium.PdfDocument.new()
            document.new_page(200, 200)
            document.save(str(scans / f"c{k}.pdf"))
            document.close()
        draw = 'case "$*" in *-v*) echo "pdftoppm version 22.12.0" >&2; exit 0;; esac\nsleep 0.4 &\nwait\n'
        draw += f'for word in "$@"; do case "$word" in *.pdf) cat {tools}/$(basename "$word" .pdf).pgm;; esac; done\n'
        for name, body in (("pdfinfo", 'echo "Pages: 1"\n'), ("pdftoppm", draw)):
            (tools / name).write_text(f"#!/bin/sh\n{body}")
            (tools / name).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}

    def _run(self, out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "digitscan", "process", str(self.folder / "scans"), "--out", str(out)]
        command += ["--out", str(out.with_suffix(".jsonl")), "-q", "-j2"]
        # In the background of a shell Ctrl-C is ignored, and a run would keep that.
        return subprocess.Popen(
            command, env=self.environment, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    @staticmethod
    def _results(out: Path) -> dict[str, bytes]:
        return {end: out.with_suffix(end).read_bytes() for end in (".csv", ".jsonl")}

    @staticmethod
    def _pages(out: Path) -> list[tuple[str, str]]:
        """Each page once, in the order of its first row; a page whose rows stand apart comes twice."""
        with out.open(newline="", encoding="utf-8") as stream:
            rows = [(row["file"], row["page"]) for row in csv.DictReader(stream)]
        return [row for k, row in enumerate(rows) if k == 0 or rows[k - 1] != row]

    def fault(self, kind: str, words: str) -> None:
        """Count something that must not be."""
        self.counts[kind] += 1
        self.faults.append(f"{kind}: {words}")

    def broken_until_it_ends(self, number: int, wanted: int) -> None:
        """End a run again and again until it outlives its moment; its results must be the unbroken one's."""
        out = self.folder / f"run{number}.csv"
        while True:
            process, self._began = self._run(out), time.time()
            way = self.rng.choice(WAYS) if self.counts["ended"] < wanted else ""
            moment = self.rng.uniform(0.1, self.longest_s)
            try:
                process.wait(moment if way else LONGEST_S)
                break
            except subprocess.TimeoutExpired:
                if not way:
                    process.kill()
                    self.fault("endless", f"run {number}")
                    return
            if self._end(process, way, out):
                break
        if process.returncode:
            self.fault("exit code", f"run {number} came to its end with {process.returncode}")
            return
        if self._results(out) != self.whole:
            self.fault("other bytes", f"run {number}")
            found = Counter(self._pages(out))
            self.counts["lost"] += len(set(self.pages) - set(found))
            self.counts["doubled"] += sum(count - 1 for count in found.values())
        self._look_for_litter(out, "its own end")
        for path in self.folder.glob(f"run{number}.*"):
            path.unlink()

    def _end(self, process: subprocess.Popen[bytes], way: str, out: Path) -> bool:
        """Send a signal; gives whether the run went on to its own end all the same."""
        below = descendants(process.pid)
        whom, _, name = way.partition(" ")
        signum = getattr(signal, f"SIG{name}")
        if whom == "worker":
            if not (workers := [pid for pid in below if leads_group(pid)]):
                process.wait(LONGEST_S)
                return True
            worker = self.rng.choice(workers)
            of_worker = [worker, *descendants(worker)]
            self._send(worker, signum)
            if name == "KILL":
                self._look_for_orphans(of_worker, way)
        else:
            self._send(process.pid, signum)
        self.counts["ended"] += 1
        self.counts[way] += 1
        asked = time.monotonic()
        try:
            process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fault("endless", f"{way}, {out.name}")
            return False
        if whom == "worker":
            return True
        self.asked_s = max(self.asked_s, time.monotonic() - asked)
        self._look_for_orphans(below, way)
        if way in ORDERLY:
            if process.returncode == 0:  # it was at its end
                return True
            if process.returncode == -signum and not below:  # before the first line of digitscan was run
                return False
            if process.returncode != ORDERLY[way]:
                self.fault("exit code", f"{way} gave {process.returncode}")
            self._look_at_part(out, way)
            self._look_for_litter(out, way)
        else:  # a killed process cannot clear up: the next start goes on from the job's -wal, and replaces the rest
            for path in self._parts(out):
                path.unlink()
        return False

    def _send(self, pid: int, signum: int) -> None:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            return

    def _look_for_orphans(self, below: list[int], way: str) -> None:
        started = time.monotonic()
        while any(map(alive, below)):
            if time.monotonic() - started > ORPHANS_S:
                self.fault("orphans", f"after {way}: {list(filter(alive, below))}")
                return
            time.sleep(0.02)
        self.gone_s = max(self.gone_s, time.monotonic() - started)

    def _look_at_part(self, out: Path, way: str) -> None:
        """What an orderly end has written: whole pages, each once, in order; and nothing half done beside it."""
        if out.exists():
            found = self._pages(out)
            if found != [page for page in self.pages if page in found]:
                self.fault("part", f"after {way}: {found}")

    def _parts(self, out: Path) -> list[Path]:
        return [path for end in (".csv", ".jsonl") for path in self.folder.glob(f".{out.stem}{end}.*.part")]

    def _look_for_litter(self, out: Path, way: str) -> None:
        # A run that is ended before it opens the job leaves what a killed one before it had left.
        logs = [path for path in self.folder.glob(f"{out.stem}.job-*") if path.stat().st_mtime >= self._began]
        if left := [*self._parts(out), *logs]:
            self.fault("litter", f"after {way}: {[path.name for path in left]}")


def _gray(page: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return image


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def leads_group(pid: int) -> bool:
    """Whether a process leads a process group, as workers do."""
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(path.parent.name))
    found = list(parents.get(pid, []))
    for child in found:
        found += parents.get(child, [])
    return found


def main() -> None:
    """End runs until so many are ended, or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    console = Console(highlight=False)
    ends = time.monotonic() + 60 * given.minutes
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), given.seed)
        whole = 0
        while trial.counts["ended"] < given.runs and time.monotonic() < ends:
            trial.broken_until_it_ends(whole, given.runs)
            whole += 1
    counts = trial.counts
    ways = ", ".join(f"{counts[way]} {way}" for way in WAYS)
    console.print(f"{counts['ended']} runs of 20 pages ended ({ways}), resumed to {whole} whole ones:")
    kinds = ("lost", "doubled", "other bytes", "part", "litter", "exit code", "orphans", "endless")
    console.print(", ".join(f"{counts[kind]} {kind}" for kind in kinds))
    console.print(
        f"an unbroken run took {trial.longest_s:.1f} s; after a signal a run took at the most {trial.asked_s:.1f} s to "
        f"end, and its processes {trial.gone_s:.2f} s more"
    )
    for fault in trial.faults[:20]:
        console.print(f"[red]{fault}[/]")
    if trial.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
