"""Drawn pages read as a user's are, by the digitscan that is imported; work spread over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

from digitscan import Reader
from digitscan.core.types import PageFailure

from .matching import Found, Tally, match
from .truth import DrawnPage, Gray, Rect

Task = TypeVar("Task")
Result = TypeVar("Result")


@cache
def _reader(layout: str) -> Reader:
    return Reader(layout=layout, jobs=1)


def readings_of(image: Gray, layout: str, name: str = "page") -> list[Found] | PageFailure:
    """All readings of a page, (H, W) uint8 with light paper; a failure is handed back."""
    outcome = _reader(layout).read_image(image, name)
    if isinstance(outcome, PageFailure):
        return outcome
    return [Found(r.text, Rect(*r.box), r.review, r.reason, r.written) for r in outcome.readings]


def read_drawn(page: DrawnPage) -> Tally:
    """Read one page and compare it with its truth."""
    found = readings_of(page.image, page.layout, f"{page.kind}-{page.seed}")
    if isinstance(found, PageFailure):
        tally = match(page.numbers, [])
        tally.failed, tally.silent = 1, 0  # nothing is read, and the page says so
        for mistake in tally.mistakes:
            mistake |= {"what": "failed", "reason": found.message}
        return tally
    return match(page.numbers, found)


def on_all(do: Callable[[Task], Result], tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """Results of the tasks in their order, from `jobs` processes; whoever stops listening stops the work."""
    if jobs <= 1:
        yield from map(do, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(do, tasks)
