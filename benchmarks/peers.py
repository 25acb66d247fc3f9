"""CPU seconds a form page beside general OCR engines, on the same pages in one run.

    python benchmarks/peers.py [--pages 4] [--rapidocr PYTHON]

Tesseract is measured where its program is installed (``apt install tesseract-ocr``), RapidOCR where the Python named by
``--rapidocr`` can import ``rapidocr_onnxruntime``. Each counts all its processes' CPU time without its start.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Table
from speed import cpu, floor, form_page

RAPID = """
import sys, time
from rapidocr_onnxruntime import RapidOCR
engine = RapidOCR()
engine(sys.argv[1])
started = time.process_time()
for path in sys.argv[1:]:
    engine(path)
print((time.process_time() - started) / len(sys.argv[1:]))
"""


def children_s() -> float:
    """CPU seconds of all children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(files: list[Path]) -> float:
    """Seconds a page of digitscan in one process, everything loaded."""
    from digitscan import Reader

    cv2.setNumThreads(1)
    reader = Reader(jobs=1)
    reader.read(files[0])
    started = time.process_time()
    reader.read(*files)
    return (time.process_time() - started) / len(files)


def tesseract(files: list[Path]) -> float:
    """Seconds a page of Tesseract with its defaults, digits only."""
    began = children_s()
    for file in files:
        subprocess.run(
            ["tesseract", str(file), "-", "-c", "tessedit_char_whitelist=0123456789"], check=True, capture_output=True
        )
    return (children_s() - began) / len(files)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--rapidocr", default=sys.executable)
    given = parser.parse_args()
    table = Table("reader", "CPU s a page", "of digitscan", title="A 300-dpi form page", title_justify="left")
    with tempfile.TemporaryDirectory() as name:
        files = []
        for k in range(given.pages):
            files.append(Path(name) / f"form{k}.png")
            cv2.imwrite(str(files[-1]), form_page(k))
        base = sorted(cpu(lambda f=f: floor(f.read_bytes())) for f in files)[len(files) // 2]
        mine = ours(files)
        table.add_row("floor: decode, Otsu, findContours", f"{base:.3f}", f"{base / mine:.2f}x")
        table.add_row("digitscan", f"{mine:.3f}", "1.00x")
        if shutil.which("tesseract"):
            theirs = tesseract(files)
            table.add_row("Tesseract", f"{theirs:.3f}", f"{theirs / mine:.1f}x")
        done = subprocess.run(
            [given.rapidocr, "-c", RAPID, *map(str, files)], check=False, capture_output=True, text=True
        )
        if done.returncode == 0:
            theirs = float(done.stdout.split()[-1])
            table.add_row("RapidOCR", f"{theirs:.3f}", f"{theirs / mine:.1f}x")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
