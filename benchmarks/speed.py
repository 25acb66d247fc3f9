"""Speed beside the floor of the same run: ``python benchmarks/speed.py [--pages N]``.

The floor is what no reader can avoid: decode, Otsu's threshold, findContours. Figures are CPU seconds of this
process, single-threaded OpenCV, on 300-dpi form pages drawn here; a noisy machine changes both sides alike.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from digitscan import Reader
from digitscan.core.types import PageRef
from digitscan.ingest.pages import load_page
from digitscan.pipeline.finish import finish_page
from digitscan.pipeline.prepare import prepare_page
from digitscan.pipeline.second_reader import answers_by_string, needs_line_recognition, views_of


def form_page(seed: int) -> np.ndarray:
    """(3508, 2480) uint8: an A4 form at 300 dpi with boxes, labels and some 90 digits, and scanner noise."""
    rng = np.random.default_rng(seed)
    page = np.full((3508, 2480), 243, np.uint8)
    for row in range(14):
        y = 420 + row * 205
        cv2.putText(page, "Question about water", (200, y + 70), cv2.FONT_HERSHEY_DUPLEX, 1.6, 60, 2, cv2.LINE_AA)
        for k in range(8):
            cv2.rectangle(page, (1150 + k * 95, y), (1245 + k * 95, y + 115), 120, 3)
            if rng.random() < 0.8:
                digit = str(rng.integers(0, 10))
                x = 1165 + k * 95 + int(rng.integers(0, 8))
                cv2.putText(page, digit, (x, y + 95), cv2.FONT_HERSHEY_SIMPLEX, 2.9, 45, 7, cv2.LINE_AA)
    page = cv2.GaussianBlur(page, (3, 3), 0.8)
    return np.clip(page + rng.normal(0, 2, page.shape), 0, 255).astype(np.uint8)


def cpu(action: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads of this process."""
    started = time.process_time()
    action()
    return time.process_time() - started


def floor(raw: bytes) -> None:
    """Decode, Otsu, contours."""
    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE)
    _, mask = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)


def peak_of(pages: int, folder: Path) -> float:
    """Peak memory in MB of a run with one worker, both processes, that reads a PDF of so many scanned pages."""
    pdf = folder / f"{pages}.pdf"
    scans = [Image.fromarray(form_page(k % 4)[::2, ::2]) for k in range(4)]
    stream = io.BytesIO()
    scans[0].save(stream, "PDF", save_all=True, append_images=[scans[k % 4] for k in range(1, pages)], resolution=150)
    pdf.write_bytes(stream.getvalue())
    code = (
        "import resource, sys\nfrom digitscan.cli.app import app\n"
        f"try: app(['process', {str(pdf)!r}, '--out', {str(folder / 'r.csv')!r}, '-q', '-j', '1'])\n"
        "except SystemExit: pass\n"
        "kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)\n"
        "print(sum(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024)"
    )
    # A shell in between: a process counts what the one that started it held.
    through = ["sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", code]
    done = subprocess.run(through, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--skip-memory", action="store_true")
    arguments = parser.parse_args()
    console = Console()
    cv2.setNumThreads(1)
    reader = Reader(jobs=1)
    table = Table("what", "measured", "beside the floor", title="digitscan, speed", title_justify="left")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = []
        for k in range(arguments.pages):
            file = folder / f"form{k}.png"
            cv2.imwrite(str(file), form_page(k))
            files.append(file)
        reader.read(files[0])  # everything is loaded and compiled before the clock starts
        shares: dict[str, list[float]] = {}
        for file in files:
            raw = file.read_bytes()
            shares.setdefault("floor", []).append(cpu(lambda raw=raw: floor(raw)))
            made: dict[str, object] = {}
            ref = PageRef(str(file))
            shares.setdefault("decode", []).append(
                cpu(lambda ref=ref, made=made: made.update(page=load_page(ref, reader.config.ingest)))
            )
            marks: list[tuple[str, float]] = []
            began = time.process_time()
            prepared = prepare_page(
                made["page"],  # type: ignore[arg-type]
                reader.config,
                look=lambda stage, _, marks=marks: marks.append((stage, time.process_time())),
            )
            for stage, moment in marks:
                if stage == "lines":  # made for whoever looks on; reading makes them when it needs them
                    continue
                shares.setdefault(stage, []).append(moment - began)
                began = moment
            posteriors = None
            began = time.process_time()
            posteriors = reader.classifier.classify(prepared.crops)
            shares.setdefault("classify", []).append(time.process_time() - began)
            began = time.process_time()
            chosen = needs_line_recognition(prepared, posteriors) if reader.line_recognizer else []
            answers = reader.line_recognizer.read(views_of(prepared, chosen)) if reader.line_recognizer else []
            whole_lines = answers_by_string(prepared, chosen, iter(answers))
            shares.setdefault("read lines", []).append(time.process_time() - began)
            began = time.process_time()
            finish_page(prepared, posteriors, reader.config, whole_lines)
            shares.setdefault("decode strings", []).append(time.process_time() - began)
        base = float(np.median(shares.pop("floor")))
        table.add_row("floor: decode + Otsu + findContours, CPU s a page", f"{base:.3f}", "1.00x")
        total = 0.0
        for stage, values in shares.items():
            total += float(np.median(values))
            table.add_row(f"  {stage}", f"{np.median(values):.4f}", f"{np.median(values) / base:.2f}x")
        table.add_row("all stages, CPU s a page", f"{total:.3f}", f"{total / base:.2f}x")
        started = time.perf_counter()
        reader.read(*files)
        table.add_row("pages/s, one worker", f"{len(files) / (time.perf_counter() - started):.2f}", "")
        crops = np.random.default_rng(0).integers(0, 255, (4096, 28, 28), dtype=np.uint8)
        reader.classifier.classify(crops)
        started = time.perf_counter()
        reader.classifier.classify(crops)
        table.add_row("crops/s", f"{len(crops) / (time.perf_counter() - started):,.0f}", "")
        helps, starts = [], []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-m", "digitscan", "--help"], check=True, capture_output=True)
            helps.append(time.perf_counter() - started)
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "digitscan", "process", str(files[0]), "-q"], check=True, capture_output=True
            )
            starts.append(time.perf_counter() - started)
        table.add_row("digitscan --help, s (median of 5)", f"{np.median(helps):.2f}", "")
        table.add_row("cold start of one page, s (median of 3)", f"{np.median(starts):.2f}", "")
        if not arguments.skip_memory:
            few, many = peak_of(10, folder), peak_of(200, folder)
            table.add_row("peak memory, PDF of 10 pages, MB", f"{few:.0f}", "")
            table.add_row("peak memory, PDF of 200 pages, MB", f"{many:.0f}", f"{many / few:.2f}x of 10 pages")
    console.print(table)


if __name__ == "__main__":
    main()
