"""Many pages on one machine, in input order.

::

    sources ─ list_pages ─> PageRef ─ workers: load_page + prepare_page ─> PreparedPage
            ─ one classifier over the crops of many pages ─> finish_page ─> PageOutcome

With a crew of processes and no classifier, each worker goes all that way by itself: on a CPU a batch of many pages
is no faster than a page's own, and nothing but the result has to travel (docs/adr/0011).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from digitscan.batch.crew import Crew, default_jobs
from digitscan.core.config import Config
from digitscan.core.types import Crops, GrayImage, PageFailure, PageOutcome, PageRef, PageResult, Posteriors, RasterPage
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

if TYPE_CHECKING:  # forms are loaded by those who read them
    from digitscan.filling import FilledPage, FormSet

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
    seconds : float
        How long a worker took for it; 0 where pages are read together.
    """

    outcome: PageOutcome
    image: GrayImage | None
    seconds: float = 0.0


@dataclass(slots=True)
class Balance:
    """What the writing thread waited for, in seconds: pages that were not prepared, or the network."""

    pages_s: float = 0.0
    network_s: float = 0.0

    @contextmanager
    def waiting_for_pages(self) -> Iterator[None]:
        """Count the time inside as waiting for pages."""
        started = time.monotonic()
        yield
        self.pages_s += time.monotonic() - started

    @contextmanager
    def waiting_for_network(self) -> Iterator[None]:
        """Count the time inside as waiting for the network."""
        started = time.monotonic()
        yield
        self.network_s += time.monotonic() - started

    def words(self) -> str:
        """Which side was the bottleneck, for people; empty where neither was waited for."""
        if max(self.pages_s, self.network_s) < 1.0:
            return ""
        if self.pages_s > self.network_s:
            return f"the network waited {self.pages_s:.0f} s for pages: more --jobs, or more cores, would help"
        return f"pages waited {self.network_s:.0f} s for the network: it is the bottleneck"


@dataclass(slots=True, eq=False)
class Ready:
    """A page on its way.

    Attributes
    ----------
    ref : PageRef
    settled : PageOutcome or None
        Its outcome where there is nothing left to do: a failure, a result that was known before, or one that a
        worker has read; `image` is its picture then, and `seconds` how long it took.
    page, prepared, filled, posteriors
        What the stages have made of it so far.
    """

    ref: PageRef
    settled: PageOutcome | None = None
    image: GrayImage | None = None
    seconds: float = 0.0
    page: RasterPage | None = None
    prepared: PreparedPage | None = None
    filled: FilledPage | None = None
    posteriors: Posteriors | None = None


def prepare(
    ref: PageRef, config: Config, forms: FormSet | None, say: Callable[[str], None] = lambda stage: None
) -> Ready:
    """Load and prepare one page; the one place where any error of a page becomes a failure.

    `say` is told each stage that begins.
    """
    stage = "ingest"
    try:
        say(stage)
        page = load_page(ref, config.ingest)
        stage = "registration" if forms is not None else "segmentation"
        say(stage)
        ready = _prepared(page, config, forms)
        say("recognition")
        return ready
    except Exception as error:  # noqa: BLE001  (a failure is a value; Ctrl-C passes through)
        return Ready(ref, settled=failure(ref, stage, error))


def _prepared(page: RasterPage, config: Config, forms: FormSet | None) -> Ready:
    """A page's crops: of its form's fields where forms are given, else of all its numbers."""
    if forms is None:
        return Ready(page.ref, page=page, prepared=prepare_page(page, config))
    filled = forms.prepare(page)
    return Ready(page.ref, page=page, prepared=filled.prepared, filled=filled)


def pages_of(source: str, config: Config) -> Iterator[PageRef | PageFailure]:
    """The pages of one source; what goes wrong is a failure behind them."""
    try:
        yield from list_pages(source, config.ingest)
    except Exception as error:  # noqa: BLE001  (a hostile file may raise anything)
        yield failure(PageRef(source), "ingest", error)


def _classify_together(ready: list[Ready], classifier: Classify) -> None:
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
        from digitscan.filling import worth_reading_whole_form

        return worth_reading_whole_form(reading.filled, reading.posteriors)
    return worth_reading_whole(reading.page, reading.posteriors)


def _finished(reading: Reading | _Filled, config: Config, whole: dict[int, list[Posteriors]]) -> PageResult:
    if isinstance(reading, _Filled):
        from digitscan.filling import finish_form

        return finish_form(reading.filled, reading.posteriors, config, whole)
    result = finish_page(reading.page, reading.posteriors, config, whole) if whole else reading.result
    return check_table(reading.page, result, config)


def _first_reading(item: Ready, classifier: Classify, config: Config) -> Reading | _Filled | PageOutcome:
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


def read_ready(
    group: list[Ready], classifier: Classify, config: Config, line_reader: ReadLines | None, keep_images: bool
) -> list[PageRead]:
    """Read prepared pages together: their crops share calls, and so do their doubtful strings."""
    _classify_together(group, classifier)
    return _finish_ready(group, classifier, config, line_reader, keep_images)


def _finish_ready(
    group: list[Ready], classifier: Classify, config: Config, line_reader: ReadLines | None, keep_images: bool
) -> list[PageRead]:
    """What comes after the crops are classified."""
    readings = [_first_reading(item, classifier, config) for item in group]
    outcomes = _read_lines_together(readings, line_reader, config)
    pages = []
    for item, outcome in zip(group, outcomes, strict=True):
        image = item.page.image if item.page else item.image
        pages.append(PageRead(outcome, image if keep_images and isinstance(outcome, PageResult) else None))
    return pages


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
    return read_ready([item], classifier, config, line_reader, keep_images=False)[0].outcome


def read_pages(
    sources: Iterable[str | PageFailure],
    classifier: Classify | None,
    config: Config,
    *,
    line_reader: ReadLines | None = None,
    forms: FormSet | None = None,
    jobs: int = 0,
    crew: Crew | None = None,
    keep_images: bool = False,
    on_found: Callable[[int], None] | None = None,
    known: Callable[[PageRef], PageOutcome | None] | None = None,
    balance: Balance | None = None,
) -> Generator[PageRead, None, None]:
    """Read pages lazily, in the order of the sources.

    Neither the number of workers nor the grouping into batches changes a digit.

    Parameters
    ----------
    sources : iterable of str or PageFailure
        Paths, as `digitscan.ingest.discover.find_sources` gives them; failures pass through.
    classifier : Classify or None
        Reads the crops of many pages together; None leaves it to the workers of `crew`.
    config : Config
    line_reader : ReadLines, optional
        Reads numbers that are not beyond doubt as a whole as well.
    forms : FormSet, optional
        Forms that the pages are filled from; their fields are read, and nothing else.
    jobs : int
        Workers; 0 takes the machine's cores, or the crew's limit.
    crew : Crew, optional
        Processes that prepare pages, or read them; threads prepare them where none is given.
    keep_images : bool
        Hand each page's picture on, for annotation.
    on_found : callable, optional
        Called with the number of pages found so far, for a progress bar.
    known : callable, optional
        Gives the outcome of a page that was read before; such pages are neither loaded nor read, and have no picture.
    balance : Balance, optional
        Is told what was waited for.
    """
    workers = jobs or (crew.limit if crew is not None else default_jobs())
    work = _work(classifier, config, forms, crew, keep_images)
    balance = balance if balance is not None else Balance()
    found = 0
    pending: deque[Future[Ready] | PageOutcome] = deque()
    refs = _refs(sources, config, crew)
    exhausted = False
    pool = ThreadPoolExecutor(workers, thread_name_prefix="page")
    network = ThreadPoolExecutor(1, thread_name_prefix="network")
    # The crops of one group are classified while the one before is finished here: neither waits for the other.
    classified: deque[tuple[list[Ready], Future[None]]] = deque()

    def finish_oldest() -> list[PageRead]:
        group, calls = classified.popleft()
        with balance.waiting_for_network():
            calls.result()
        if classifier is None:
            raise RuntimeError("only a classifier has groups that wait for it")
        return _finish_ready(group, classifier, config, line_reader, keep_images)

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
                pending.append(before if before is not None else pool.submit(work, ref))
            if not pending:
                while classified:
                    yield from finish_oldest()
                return
            head = pending[0]
            if classified and isinstance(head, Future) and not head.done():
                yield from finish_oldest()  # there is time
                continue
            group = _next_group(pending, balance)
            if classifier is None:
                for item in group:
                    if item.settled is not None:
                        yield PageRead(item.settled, item.image, item.seconds)
                continue
            classified.append((group, network.submit(_classify_together, group, classifier)))
            if len(classified) > 1:
                yield from finish_oldest()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        network.shutdown(wait=True, cancel_futures=True)


def _next_group(pending: deque[Future[Ready] | PageOutcome], balance: Balance) -> list[Ready]:
    """Pages from the front that are worth a call together; waits for the first alone."""
    group: list[Ready] = []
    crops = 0
    while pending and len(group) < _MOST_WAITING and crops < _FILL:
        head = pending[0]
        # What is ready is taken; nothing waits for a slower neighbour once something can be read.
        if group and isinstance(head, Future) and not head.done():
            break
        pending.popleft()
        if isinstance(head, Future):
            with balance.waiting_for_pages():
                item = head.result()
        else:
            item = Ready(head.ref, settled=head)
        group.append(item)
        crops += len(item.prepared.crops) if item.prepared is not None else 0
    return group


def _refs(sources: Iterable[str | PageFailure], config: Config, crew: Crew | None) -> Iterator[PageRef | PageFailure]:
    for source in sources:
        if isinstance(source, PageFailure):
            yield source
        else:
            yield from crew.list(source) if crew is not None else pages_of(source, config)


def _work(
    classifier: Classify | None, config: Config, forms: FormSet | None, crew: Crew | None, keep_images: bool
) -> Callable[[PageRef], Ready]:
    """What a thread does with a page: prepare it, or have a process prepare or read it."""
    if crew is None:
        if classifier is None:
            raise ValueError("either a classifier or a crew must read")
        return lambda ref: prepare(ref, config, forms)
    if classifier is not None:
        return crew.prepare

    def read(ref: PageRef) -> Ready:
        page = crew.read(ref, keep_images)
        return Ready(ref, settled=page.outcome, image=page.image, seconds=page.seconds)

    return read
