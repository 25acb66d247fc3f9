"""Rows of boxes in which every 1 is a single stroke: how many of those strokes are read, and how many vanish unseen.

    python benchmarks/bare_ones.py [--rows 500] [--first 0] [--jobs 2] [--out FILE]

The rows are those of the kind ``bare-ones`` of `pages.py`, which draws them (``--show``) and keeps the pages with
mistakes (``--keep``). A 1 counts as read if it stands in its place in the row's readings, one after the other from
left to right; where digits are missing or added, the place is that of the longest common subsequence. A row is *lost*
if a 1 of it is not read and nothing in the row's place is marked for review.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from drawn_pages import draw_page
from drawn_pages.matching import Found
from drawn_pages.reading import on_all, readings_of
from drawn_pages.truth import Number
from rich.console import Console
from rich.table import Table

from digitscan.core.types import PageFailure
from digitscan.evaluation.metrics import wilson_interval

KIND = "bare-ones"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of boxes and what was read in its place.

    Attributes
    ----------
    page : int
        Number of the page.
    truth, read : str
        Digits, left to right.
    pieces : int
        Readings that `read` is made of.
    ones : int
        1s among the truth's digits that are read.
    review : bool
        A reading there is marked for review.
    """

    page: int
    truth: str
    read: str
    pieces: int
    ones: int
    review: bool

    @property
    def lost(self) -> bool:
        """A 1 is not read, and nobody is told."""
        return self.ones < self.truth.count("1") and not self.review


def ones_in_place(truth: str, read: str) -> int:
    """1s of `truth` that stand in `read`: the most that a longest common subsequence can hold.

    Examples
    --------
    >>> ones_in_place("1121", "1127"), ones_in_place("1121", "121"), ones_in_place("0110", "00")
    (2, 2, 0)
    """
    if len(truth) == len(read):
        return sum(a == b == "1" for a, b in zip(truth, read, strict=True))
    previous = [(0, 0)] * (len(read) + 1)
    for a in truth:
        current = [(0, 0)]
        for j, b in enumerate(read):
            length, ones = previous[j]
            same = (length + 1, ones + (a == "1")) if a == b else (0, 0)
            current.append(max(same, previous[j + 1], current[j]))
        previous = current
    return previous[-1][1]


def compare_row(page: int, number: Number, readings: list[Found]) -> Row:
    """What stands in the place of one row."""
    there = sorted((r for r in readings if r.box.overlap(number.box) > 0.5), key=lambda r: r.box.x)
    read = "".join(r.digits for r in there)
    ones = ones_in_place(number.text, read)
    return Row(page, number.text, read, len(there), ones, any(r.review for r in there))


def read_rows(seed: int) -> list[Row]:
    """Rows of one page; of a page that fails nothing is read, and that is told."""
    page = draw_page(KIND, seed)
    found = readings_of(page.image, page.layout)
    if isinstance(found, PageFailure):
        return [Row(seed, number.text, "", 0, 0, True) for number in page.numbers]
    return [compare_row(seed, number, found) for number in page.numbers]


def main() -> None:
    """Draw, read, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first page; from 100000 on to measure")
    parser.add_argument("--jobs", type=int, default=1, help="processes that read")
    parser.add_argument("--out", type=Path, help="JSON file with all rows that are not right")
    given = parser.parse_args()
    rows: list[Row] = []
    for own in on_all(read_rows, range(given.first, given.first + given.rows), given.jobs):
        rows += own
        if len(rows) >= given.rows:
            break
    rows = rows[: given.rows]
    ones, read = sum(r.truth.count("1") for r in rows), sum(r.ones for r in rows)
    lost = sum(r.lost for r in rows)
    low, high = wilson_interval(lost, len(rows))
    table = Table("rows", str(len(rows)), show_header=True)
    for name, count, of in (
        ("right, as one number", sum(r.pieces == 1 and r.read == r.truth for r in rows), len(rows)),
        ("every 1 read", sum(r.ones == r.truth.count("1") for r in rows), len(rows)),
        ("a 1 not read, for review", sum(r.ones < r.truth.count("1") and r.review for r in rows), len(rows)),
        (f"a 1 lost unseen (95 %: {100 * low:.1f} to {100 * high:.1f} %)", lost, len(rows)),
        (f"1s read, of {ones}", read, ones),
        ("rows for review, right or wrong", sum(r.review for r in rows), len(rows)),
    ):
        table.add_row(name, f"{count}  {100 * count / max(of, 1):.1f} %")
    Console(width=100).print(table)
    if given.out:
        wrong = [asdict(r) | {"lost": r.lost} for r in rows if r.read != r.truth or r.pieces != 1 or r.review]
        given.out.write_text(json.dumps({"rows": len(rows), "lost": lost, "not_right": wrong}, indent=1))


if __name__ == "__main__":
    main()
