"""Many pages on one machine: workers prepare, one classifier fills batches across pages, order is kept.

::

    sources ─ list_pages ─> PageRef ─ workers: load_page + prepare_page ─> PreparedPage
            ─ one classifier over the crops of many pages ─> finish_page ─> PageOutcome, in input order
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from digitscan.core.config import Config
from digitscan.core.cores import usable_cores
from digitscan.core.errors import DigitscanError
from digitscan.core.types import Crops, GrayImage, PageFailure, PageOutcome, PageRef, PageResult, Posteriors, RasterPage
from digitscan.filling import FilledPage, FormSet, finish_form, worth_reading_whole_form
from digitscan.ingest.pages import list_pages, load_page
from digitscan.orientation import Reading, best_turn, in_doubt
from digitscan.pipeline import (
    PreparedPage,
    answers_by_string,
    check_table,
    failure,
    finish_page,
    prepare_page,
    views_of,
    worth_reading_whole,
)
from digitscan.recognition.lines import Line

_AHEAD = 2
"""Pages that each worker may be ahead of the classifier: memory stays flat."""
_FILL = 1024
"""Crops that are worth a call; pages wait for each other until so many are there."""
_MOST_WAITING = 6
"""Pages that wait for a full batch at the most."""


class Classify(Protocol):
    """What reads crops: `digitscan.recognition.runtime.Classifier`, or a stand-in in tests."""

    def classify(self, crops: Crops) -> Posteriors:
        """(N, 28, 28) uint8 to (N, 11) float32."""
        ...


class ReadLines(Protocol):
    """What reads whole lines: `digitscan.recognition.runtime.LineReader`, or a stand-in in tests."""

    def read(self, lines: Sequence[Line]) -> list[Posteriors]:
        """(32, w) uint8 each to (w / 4, 19) float32 each."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PageRead:
    """One page's outcome together with its picture, for whoever draws on it.

    Attributes
    ----------
    outcome : PageOutcome
    image : (H, W) uint8 or None
        The source page; None for a failure, or when no picture was asked for.
    """

    outcome: PageOutcome
    image: GrayImage | None


@dataclass(slots=True, eq=False)
class _Ready:
    ref: PageRef
    settled: PageOutcome | None = None
    """A failure, or a result that was known before."""
    page: RasterPage | None = None
    prepared: PreparedPage | None = None
    filled: FilledPage | None = None
    posteriors: Posteriors | None = None


def default_jobs() -> int:
    """Workers that this machine can feed: its cores, four at the most."""
    return min(4, usable_cores())


def _prepare(ref: PageRef, config: Config, forms: FormSet | None) -> _Ready:
    """Load and prepare one page; the one place where any error of a page becomes a failure."""
    stage = "ingest"
    try:
        page = load_page(ref, config.ingest)
        stage = "registration" if forms is not None else "segmentation"
        return _prepared(page, config, forms)
    except Exception as error:  # noqa: BLE001  (a failure is a value; Ctrl-C passes through)
        return _Ready(ref, settled=failure(ref, stage, error))


def _prepared(page: RasterPage, config: Config, forms: FormSet | None) -> _Ready:
    """A page's crops: of its form's fields where forms are given, else of all its numbers."""
    if forms is None:
        return _Ready(page.ref, page=page, prepared=prepare_page(page, config))
    filled = forms.prepare(page)
    return _Ready(page.ref, page=page, prepared=filled.prepared, filled=filled)


def _refs(sources: Iterable[str | PageFailure], config: Config) -> Iterator[PageRef | PageFailure]:
    for source in sources:
        if isinstance(source, PageFailure):
            yield source
            continue
        try:
            yield from list_pages(source, config.ingest)
        except DigitscanError as error:
            yield failure(PageRef(source), "ingest", error)
        except Exception as error:  # noqa: BLE001  (a hostile file may raise anything)
            yield failure(PageRef(source), "ingest", error)


def _classify_together(ready: list[_Ready], classifier: Classify) -> None:
    """One call for the crops of many pages, scattered back."""
    prepared = [item.prepared for item in ready if item.prepared is not None]
    if not prepared:
        return
    posteriors = classifier.classify(np.concatenate([page.crops for page in prepared]))
    start = 0
    for item in ready:
        if item.prepared is not None:
            stop = start + len(item.prepared.crops)
            item.posteriors = posteriors[start:stop]
            start = stop


@dataclass(frozen=True, slots=True, eq=False)
class _Filled:
    """A filled form's page, and what the network said of its crops."""

    filled: FilledPage
    posteriors: Posteriors

    @property
    def page(self) -> PreparedPage:
        return self.filled.prepared


def _doubtful(reading: Reading | _Filled) -> list[int]:
    """Strings that the reader of lines should see."""
    if isinstance(reading, _Filled):
        return worth_reading_whole_form(reading.filled, reading.posteriors)
    return worth_reading_whole(reading.page, reading.posteriors)


def _finished(reading: Reading | _Filled, config: Config, whole: dict[int, list[Posteriors]]) -> PageResult:
    if isinstance(reading, _Filled):
        return finish_form(reading.filled, reading.posteriors, config, whole)
    result = finish_page(reading.page, reading.posteriors, config, whole) if whole else reading.result
    return check_table(reading.page, result, config)


def _first_reading(item: _Ready, classifier: Classify, config: Config) -> Reading | _Filled | PageOutcome:
    """A page read piece by piece, whichever way up it lies."""
    if item.settled is not None:
        return item.settled
    page, prepared, posteriors = item.page, item.prepared, item.posteriors
    if page is None or prepared is None or posteriors is None:
        raise RuntimeError("a page without failure must be prepared and classified")
    if item.filled is not None:
        return _Filled(item.filled, posteriors)
    try:
        reading = Reading.of(prepared, posteriors, config)
        return best_turn(page, reading, config, classifier.classify) if in_doubt(reading, config) else reading
    except Exception as error:  # noqa: BLE001  (a failure is a value; Ctrl-C passes through)
        return failure(item.ref, "decode", error)


def _read_lines_together(
    readings: list[Reading | _Filled | PageOutcome], line_reader: ReadLines | None, config: Config
) -> list[PageOutcome]:
    """Show the doubtful strings of all pages to the reader of lines in one call, and read their pages by both."""
    chosen: dict[int, list[int]] = {}
    views: list[Line] = []
    for place, reading in enumerate(readings):
        if line_reader is None or isinstance(reading, PageFailure | PageResult):
            continue
        try:
            chosen[place] = _doubtful(reading)
            views += views_of(reading.page, chosen[place])
        except Exception as error:  # noqa: BLE001  (a failure is a value; Ctrl-C passes through)
            readings[place] = failure(reading.page.ref, "decode", error)
    answers = iter(line_reader.read(views) if line_reader is not None and views else ())
    outcomes: list[PageOutcome] = []
    for place, reading in enumerate(readings):
        if isinstance(reading, PageFailure | PageResult):
            outcomes.append(reading)
            continue
        try:
            whole = answers_by_string(reading.page, chosen.get(place, []), answers)
            outcomes.append(_finished(reading, config, whole))
        except Exception as error:  # noqa: BLE001  (a failure is a value; Ctrl-C passes through)
            outcomes.append(failure(reading.page.ref, "decode", error))
    return outcomes


def read_raster(
    page: RasterPage,
    classifier: Classify,
    config: Config,
    *,
    line_reader: ReadLines | None = None,
    forms: FormSet | None = None,
) -> PageOutcome:
    """Read one page that is already pixels."""
    try:
        item = _prepared(page, config, forms)
    except Exception as error:  # noqa: BLE001  (a failure is a value; Ctrl-C passes through)
        return failure(page.ref, "registration" if forms is not None else "segmentation", error)
    _classify_together([item], classifier)
    return _read_lines_together([_first_reading(item, classifier, config)], line_reader, config)[0]


def read_pages(
    sources: Iterable[str | PageFailure],
    classifier: Classify,
    config: Config,
    *,
    line_reader: ReadLines | None = None,
    forms: FormSet | None = None,
    jobs: int = 0,
    keep_images: bool = False,
    on_found: Callable[[int], None] | None = None,
    known: Callable[[PageRef], PageOutcome | None] | None = None,
) -> Generator[PageRead, None, None]:
    """Read pages lazily, in the order of the sources.

    Neither the number of workers nor the grouping into batches changes a digit.

    Parameters
    ----------
    sources : iterable of str or PageFailure
        Paths, as `digitscan.ingest.discover.find_sources` gives them; failures pass through.
    classifier : Classify
    config : Config
    line_reader : ReadLines, optional
        Reads numbers that are not beyond doubt as a whole as well.
    forms : FormSet, optional
        Forms that the pages are filled from; their fields are read, and nothing else.
    jobs : int
        Workers; 0 takes the machine's cores.
    keep_images : bool
        Hand each page's picture on, for annotation.
    on_found : callable, optional
        Called with the number of pages found so far, for a progress bar.
    known : callable, optional
        Gives the outcome of a page that was read before; such pages are neither loaded nor read, and have no picture.
    """
    workers = jobs or default_jobs()
    found = 0
    pending: deque[Future[_Ready] | PageOutcome] = deque()
    refs = _refs(sources, config)
    exhausted = False
    pool = ThreadPoolExecutor(workers, thread_name_prefix="page")
    try:
        while True:
            while not exhausted and len(pending) < workers * _AHEAD + _MOST_WAITING:
                ref = next(refs, None)
                if ref is None:
                    exhausted = True
                    break
                found += 1
                if on_found is not None:
                    on_found(found)
                if isinstance(ref, PageFailure):
                    pending.append(ref)
                    continue
                before = known(ref) if known is not None else None
                pending.append(before if before is not None else pool.submit(_prepare, ref, config, forms))
            if not pending:
                return
            group: list[_Ready] = []
            crops = 0
            while pending and len(group) < _MOST_WAITING and crops < _FILL:
                head = pending[0]
                # What is ready is taken; nothing waits for a slower neighbour once something can be read.
                if group and isinstance(head, Future) and not head.done():
                    break
                pending.popleft()
                item = head.result() if isinstance(head, Future) else _Ready(head.ref, settled=head)
                group.append(item)
                crops += len(item.prepared.crops) if item.prepared is not None else 0
            _classify_together(group, classifier)
            readings = [_first_reading(item, classifier, config) for item in group]
            outcomes = _read_lines_together(readings, line_reader, config)
            for item, outcome in zip(group, outcomes, strict=True):
                kept = item.page.image if item.page and keep_images and isinstance(outcome, PageResult) else None
                yield PageRead(outcome, kept)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
