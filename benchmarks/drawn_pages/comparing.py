"""Two runs over the same drawn pages, number by number: what became right, silent, for review, and made up."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .truth import Rect

Run = dict[str, Any]
_RANK = {"right": 0, "review": 1, "failed": 2, "silent": 3}
"""From the best that can become of a number to the worst; a page that fails does at least say so."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number, or one reading where no number stands, that two runs read differently.

    Attributes
    ----------
    page : str
        Kind and number.
    old, new : str
        right, review, silent or failed; made up or nothing where no number stands.
    truth : str
        As it is written; empty where nothing is.
    box : tuple of float
        Left, top, width, height in pixels of the page.
    readings : tuple of str
        What stood there before and what stands there now, where the run noted it; ``?`` marks what is for review.
    """

    page: str
    old: str
    new: str
    truth: str
    box: tuple[float, ...]
    readings: tuple[str, str]

    @property
    def worse(self) -> bool:
        """The new run is the worse one."""
        if "made up" in (self.old, self.new):
            return self.new == "made up"
        return _RANK[self.new] > _RANK[self.old]


@dataclass(slots=True)
class Comparison:
    """What two runs have in common and where they differ.

    Attributes
    ----------
    pages : dict of str to (dict, dict)
        The old and the new counts of each page that both runs read.
    changes : list of Change
    odd : int
        Pages that only one run has, or whose pictures differ.
    """

    pages: dict[str, tuple[dict[str, int], dict[str, int]]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    odd: int = 0


def load_run(path: Path) -> Run:
    """A file that ``pages.py --out`` wrote.

    Raises
    ------
    ValueError
        If it lists no pages.
    """
    run: Run = json.loads(path.read_text())
    if "pages" not in run:
        raise ValueError(f"{path} does not list its pages: write it anew with pages.py --out")
    return run


def _by_page(mistakes: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for mistake in mistakes:
        if "box" in mistake:
            found.setdefault(mistake["page"], []).append(mistake)
    return found


def _shown(mistake: dict[str, Any] | None) -> str:
    return " | ".join(r["text"] + "?" * r["review"] for r in mistake["readings"]) if mistake else ""


def _numbers(old: list[dict[str, Any]], new: list[dict[str, Any]], page: str) -> Iterator[Change]:
    """True numbers whose state differs; one without an entry is right."""
    sides = [{(m["truth"], *m["box"]): m for m in side if m["what"] != "made up"} for side in (old, new)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(key) for side in sides)
        states = [m["what"] if m else "right" for m in (before, after)]
        if states[0] != states[1]:
            yield Change(page, *states, key[0], key[1:], (_shown(before), _shown(after)))


def _made_up(old: list[dict[str, Any]], new: list[dict[str, Any]], page: str) -> Iterator[Change]:
    """Readings where no number stands that only one run has; each is paired with one of the other run's at most."""
    left = [m for m in old if m["what"] == "made up"]
    for mistake in (m for m in new if m["what"] == "made up"):
        same = next((m for m in left if Rect(*m["box"]).overlap(Rect(*mistake["box"])) > 0.5), None)
        if same is not None:
            left.remove(same)
            continue
        yield Change(page, "nothing", "made up", mistake["truth"], tuple(mistake["box"]), ("", _shown(mistake)))
    for mistake in left:
        yield Change(page, "made up", "nothing", mistake["truth"], tuple(mistake["box"]), (_shown(mistake), ""))


def compare_runs(old: Run, new: Run) -> Comparison:
    """Compare the pages that both runs read, as long as their pictures are the same."""
    result = Comparison()
    mistakes = [_by_page(run["mistakes"]) for run in (old, new)]
    for page, counts in old["pages"].items():
        other = new["pages"].get(page)
        if other is None or other["picture"] != counts["picture"]:
            result.odd += 1
            continue
        result.pages[page] = counts, other
        sides = [side.get(page, []) for side in mistakes]
        result.changes += [*_numbers(*sides, page), *_made_up(*sides, page)]
    result.odd += sum(page not in old["pages"] for page in new["pages"])
    return result


def sign_test(better: int, worse: int) -> float:
    """Chance, 0 to 1, that as uneven a split comes of tossing a coin.

    Examples
    --------
    >>> sign_test(8, 0)
    0.0078125
    """
    of = better + worse
    tail = sum(math.comb(of, k) for k in range(min(better, worse) + 1)) / 2**of
    return min(1.0, 2 * tail)


def _table(result: Comparison) -> Table:
    heads = ("kind", "pages", "numbers", "right", "became right", "right lost to", "silent", "became silent",
             "made up", "new, gone", "review", "pages + / -")  # fmt: skip
    table = Table(*heads)
    for column in table.columns[1:]:
        column.justify = "right"
    kinds = list(dict.fromkeys(page.split()[0] for page in result.pages))
    for kind in [*kinds, "all"]:
        own = [p for page, p in result.pages.items() if kind in ("all", page.split()[0])]
        moves = Counter((c.old, c.new) for c in result.changes if kind in ("all", c.page.split()[0]))

        def both(name: str, own: list[Any] = own) -> str:
            return f"{sum(o[name] for o, _ in own)} > {sum(n[name] for _, n in own)}"

        gained = sum(n for (_, to), n in moves.items() if to == "right")
        lost = [f"{n} {to}" for (of, to), n in sorted(moves.items()) if of == "right"]
        table.add_row(
            kind, str(len(own)), str(sum(o["numbers"] for o, _ in own)), both("right"), str(gained), ", ".join(lost),
            both("silent"), str(sum(n for (_, to), n in moves.items() if to == "silent")), both("made_up"),
            f"{moves['nothing', 'made up']}, {moves['made up', 'nothing']}", both("review"),
            f"{sum(n['right'] > o['right'] for o, n in own)} / {sum(n['right'] < o['right'] for o, n in own)}",
        )  # fmt: skip
    return table


def print_comparison(result: Comparison, console: Console, longest: int = 40) -> None:
    """Print the table, then the changes: the worse ones first, of each sort `longest` at most."""
    console.print(_table(result))
    better = sum(n["right"] > o["right"] for o, n in result.pages.values())
    worse = sum(n["right"] < o["right"] for o, n in result.pages.values())
    console.print(
        f"More numbers are right on {better} pages, fewer on {worse}: chance alone splits pages so unevenly with "
        f"probability {sign_test(better, worse):.2g}."
    )
    if result.odd:
        console.print(f"Left out: {result.odd} pages that only one run has, or whose pictures differ.")
    sorts: dict[tuple[str, str], list[Change]] = {}
    for change in result.changes:
        sorts.setdefault((change.old, change.new), []).append(change)
    order = sorted(sorts, key=lambda k: (not sorts[k][0].worse, _RANK.get(k[0], 4) - _RANK.get(k[1], 4)))
    for old, new in order:
        changes = sorts[old, new]
        console.print(f"\n{old} > {new}: {len(changes)}")
        for c in changes[:longest]:
            place = ",".join(f"{v:.0f}" for v in c.box)
            console.print(
                f"  {c.page:18} [{place}]  {c.truth or '-'}:  {c.readings[0] or '-'} > {c.readings[1] or '-'}",
                markup=False, highlight=False,
            )  # fmt: skip
        if len(changes) > longest:
            console.print(f"  and {len(changes) - longest} more")
