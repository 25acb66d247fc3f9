"""No ink is lost unseen: strokes are added beside numbers that were read right, and the results must tell of them.

    python benchmarks/added_strokes.py [--strokes 2000] [--first 0] [--kinds KIND ...] [--jobs 2] [--keep DIR]

Pages of `pages.py` are read. Beside a number that is right and not for review, in its own cell, line or row of boxes, a
stroke of a digit's size is added where a person would notice it: a bare 1, a hook, a slash, a short bar or another
digit; on free paper, touching the number, or with its end on a rule. The page is read again. The stroke is *seen* if
the digits there change, or the reading is for review; of a slash or a bar it is enough that the signs in `written`
change. All else is *unseen*. Up to ``--together`` strokes stand on one page, far from each other.

``--keep`` writes a picture of every place whose stroke is unseen, without and with it, the list ``unseen.json``, and
``unseen.png``, which shows them all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from drawn_pages import DEALT, KINDS
from drawn_pages.reading import on_all
from drawn_pages.strokes import PLACES, SORTS
from drawn_pages.unseen import OUTCOMES, Answer, strokes_on_page
from rich.console import Console
from rich.table import Table

from digitscan.evaluation.metrics import wilson_interval


@dataclass(frozen=True, slots=True)
class _Task:
    kind: str
    seed: int
    rounds: int
    together: int


def _one(task: _Task) -> list[Answer]:
    return strokes_on_page(task.kind, task.seed, rounds=task.rounds, together=task.together)


def _table(answers: Sequence[Answer], kinds: Sequence[str]) -> Table:
    table = Table("", "strokes", *OUTCOMES, "seen", "95 %")
    for column in table.columns[1:]:
        column.justify = "right"
    groups = [(kind, [a for a in answers if a.kind == kind]) for kind in kinds]
    groups += [(sort, [a for a in answers if a.added.sort == sort]) for sort in SORTS]
    groups += [(place, [a for a in answers if a.added.place == place]) for place in PLACES]
    for name, own in [*groups, ("all", list(answers))]:
        if not own:
            continue
        seen = sum(a.seen for a in own)
        low, high = wilson_interval(seen, len(own))
        counts = [str(sum(a.outcome == outcome for a in own)) for outcome in OUTCOMES]
        table.add_row(
            name, str(len(own)), *counts, f"{100 * seen / len(own):.1f} %", f"{100 * low:.1f} to {100 * high:.1f}",
            end_section=name in (groups[len(kinds) - 1][0], SORTS[-1], PLACES[-1]),
        )  # fmt: skip
    return table


def _sheet(answers: Sequence[Answer], wide: int = 420, high: int = 200, across: int = 4) -> np.ndarray:
    """All pictures in one, each with its page and readings, (H, W) uint8."""
    tiles = []
    for a in answers:
        tile = np.full((high, wide), 255, np.uint8)
        assert a.picture is not None
        scale = min((wide - 8) / a.picture.shape[1], (high - 44) / a.picture.shape[0])
        small = cv2.resize(a.picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        tile[40 : 40 + small.shape[0], 4 : 4 + small.shape[1]] = small
        for k, line in enumerate((f"{a.kind} {a.seed}: {a.added.sort}, {a.added.place}",
                                  f"{' | '.join(a.before)} > {' | '.join(a.after)}")):  # fmt: skip
            cv2.putText(tile, line, (4, 14 + 18 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 0, 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.full((high, wide), 255, np.uint8)] * (-len(tiles) % across)
    return np.vstack([np.hstack(tiles[k : k + across]) for k in range(0, len(tiles), across)])


def keep(folder: Path, answers: Sequence[Answer], most: int = 200) -> None:
    """Write pictures and a list of the unseen strokes; the sheet shows the first `most`."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for k, a in enumerate(answers):
        name = f"{a.kind}-{a.seed:06}-{k:04}.png"
        cv2.imwrite(str(folder / name), a.picture)
        entries.append({"file": name, "page": f"{a.kind} {a.seed}", "sort": a.added.sort, "place": a.added.place,
                        "box": [round(v, 1) for v in a.added.box], "truth": a.added.number.written,
                        "before": a.before, "after": a.after, "signs_changed": a.outcome == "signs"})  # fmt: skip
    (folder / "unseen.json").write_text(json.dumps(entries, ensure_ascii=False, indent=1))
    if answers:
        cv2.imwrite(str(folder / "unseen.png"), _sheet(answers[:most]))


def main() -> None:
    """Draw, read, add, read again, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strokes", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first page; from 100000 on to measure")
    kinds = [kind for kind in DEALT if kind != "text"]  # no number stands there
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=kinds, metavar="KIND")
    parser.add_argument("--rounds", type=int, default=2, help="times that each page is read again")
    parser.add_argument("--together", type=int, default=4, help="strokes on a page at a time")
    parser.add_argument("--jobs", type=int, default=1, help="processes that read")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for pictures of the unseen strokes")
    given = parser.parse_args()
    last = given.first + 4 * given.strokes  # pages on which nothing is right give none
    tasks = (
        _Task(given.kinds[k % len(given.kinds)], k, given.rounds, given.together) for k in range(given.first, last)
    )
    answers: list[Answer] = []
    for own in on_all(_one, tasks, given.jobs):
        answers += own
        if len(answers) >= given.strokes:
            break
    answers = answers[: given.strokes]
    Console(width=120).print(_table(answers, given.kinds))
    if given.keep:
        keep(given.keep, [a for a in answers if not a.seen])


if __name__ == "__main__":
    main()
