"""Drawn pages of many kinds, read as a user's are: how many numbers are right, silently wrong, and made up.

    python benchmarks/pages.py [--pages 200] [--first 0] [--kinds KIND ...] [--jobs 2] [--out FILE] [--keep DIR]
    python benchmarks/pages.py --show KIND NUMBER FILE.png
    python benchmarks/pages.py --compare OLD.json NEW.json

Pages are dealt to the kinds in turn, and page number N of a kind is always the same page (on machines with the same
digits and fonts). Numbers below 100,000 are for developing and for looking; pages from 100,000 on are never looked at,
they measure. Tables are read with the layout ``table``, amounts with ``line``, all others with ``auto``.

right    the number stands in the results as one reading, digit for digit
silent   it is wrong, in pieces or missing, and nothing there is marked for review
made up  readings not marked for review where the truth has no number
review   readings that are marked for review, right or wrong

``--out`` lists every mistake with its page, box, truth and readings; ``--keep`` writes the pages that have mistakes,
with their truth as JSON and a picture in which the numbers are framed: green right, red silent, orange for review,
violet made up (a reading's box).

``--compare`` takes two files of ``--out`` and tells, page by page, which numbers became right, silent and for review,
and which readings are newly made up. PYTHONPATH names the version of the package that is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from drawn_pages import DEALT, KINDS, draw_page
from drawn_pages.comparing import compare_runs, load_run, print_comparison
from drawn_pages.matching import COUNTS, Tally
from drawn_pages.reading import on_all, read_drawn
from drawn_pages.truth import DrawnPage
from rich.console import Console
from rich.table import Table

_COLORS = {"silent": (0, 0, 220), "failed": (0, 0, 220), "review": (0, 140, 255), "made up": (200, 0, 200)}


def annotated(page: DrawnPage, tally: Tally) -> np.ndarray:
    """The page with its numbers framed and its mistakes named, (H, W, 3) uint8."""
    picture = cv2.cvtColor(page.image, cv2.COLOR_GRAY2BGR)

    def frame(box: Any, color: tuple[int, int, int], text: str = "") -> None:
        x, y, w, h = (round(v) for v in box)
        cv2.rectangle(picture, (x - 1, y - 1), (x + w + 1, y + h + 1), color, 1)
        cv2.putText(picture, text, (x, y - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)

    for number in page.numbers:
        frame(number.box, (0, 160, 0))
    for mistake in tally.mistakes:
        if "box" in mistake:
            text = " | ".join(r["text"] + "?" * r["review"] for r in mistake["readings"]) or "-"
            frame(mistake["box"], _COLORS[mistake["what"]], text)
    return picture


def keep(folder: Path, page: DrawnPage, tally: Tally) -> None:
    """Write a page, its truth, and the picture of its mistakes."""
    name = f"{page.kind}-{page.seed:06}"
    cv2.imwrite(str(folder / f"{name}.png"), page.image)
    cv2.imwrite(str(folder / f"{name}-marked.png"), annotated(page, tally))
    truth = [{"text": n.text, "written": n.written, "box": [round(v, 1) for v in n.box], "optional": n.optional}
             for n in page.numbers]  # fmt: skip
    (folder / f"{name}.json").write_text(
        json.dumps({"layout": page.layout, "numbers": truth, "mistakes": tally.mistakes}, ensure_ascii=False, indent=1)
    )


@dataclass(frozen=True, slots=True)
class _Task:
    kind: str
    seed: int
    keep: Path | None


@dataclass(frozen=True, slots=True)
class _Done:
    """One page: its counts, CPU seconds, and a check sum of its picture."""

    kind: str
    seed: int
    tally: Tally
    seconds: float
    picture: int


def _one(task: _Task) -> _Done:
    page = draw_page(task.kind, task.seed)
    started = time.process_time()
    tally = read_drawn(page)
    took = time.process_time() - started
    for mistake in tally.mistakes:
        mistake["page"] = f"{task.kind} {task.seed}"
    if task.keep is not None and tally.mistakes:
        keep(task.keep, page, tally)
    return _Done(task.kind, task.seed, tally, took, zlib.crc32(page.image.tobytes()))


def _counts(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, name) for name in COUNTS}


def _table(tallies: dict[str, Tally], seconds: dict[str, float]) -> Table:
    table = Table("kind", *("pages", "numbers", "right", "", "silent", "", "made up", "", "review", "CPU s/page"))
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, t in tallies.items():

        def share(count: int, of: int = t.numbers) -> str:
            return f"{100 * count / of:.1f} %" if of else ""

        table.add_row(
            kind, f"{t.pages}" + (f" ({t.failed} failed)" if t.failed else ""), str(t.numbers), str(t.right),
            share(t.right), str(t.silent), share(t.silent), str(t.made_up), share(t.made_up), str(t.review),
            f"{seconds[kind] / max(t.pages, 1):.2f}",
        )  # fmt: skip
    return table


def main() -> None:
    """Draw, read, compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200, help="pages of all kinds together")
    parser.add_argument("--first", type=int, default=0, help="number of the first page")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=list(DEALT), metavar="KIND")
    parser.add_argument("--jobs", type=int, default=1, help="processes that read")
    parser.add_argument("--out", type=Path, help="JSON file with all counts and mistakes")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for the pages with mistakes")
    parser.add_argument("--show", nargs=3, metavar=("KIND", "NUMBER", "FILE"), help="draw one page, and end")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"), help="compare two runs, and end")
    given = parser.parse_args()
    if given.compare:
        old, new = (load_run(path) for path in given.compare)
        print_comparison(compare_runs(old, new), Console(width=None if sys.stdout.isatty() else 160))
        return
    if given.show:
        kind, seed, file = given.show
        page = draw_page(kind, int(seed))
        cv2.imwrite(file, page.image)
        print(json.dumps([n.written for n in page.numbers], ensure_ascii=False))
        return
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    kinds = given.kinds
    tasks = [_Task(kinds[k % len(kinds)], k, given.keep) for k in range(given.first, given.first + given.pages)]
    tallies = {kind: Tally() for kind in kinds}
    seconds = dict.fromkeys(kinds, 0.0)
    pages = {}
    for done in on_all(_one, tasks, given.jobs):
        tallies[done.kind].add(done.tally)
        seconds[done.kind] += done.seconds
        pages[f"{done.kind} {done.seed}"] = {"picture": done.picture, **_counts(done.tally)}
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    shown = {**tallies, "all": total}
    Console(width=120).print(_table(shown, {**seconds, "all": sum(seconds.values())}))
    if given.out:
        run = {"counts": {kind: _counts(t) for kind, t in shown.items()}, "pages": pages, "mistakes": total.mistakes}
        given.out.write_text(json.dumps(run, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
