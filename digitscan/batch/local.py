"""Many pages on one machine, in input order.

::

    sources ─ list_pages ─> PageRef ─ workers: load_page + prepare_page ─> PreparedPage
            ─ one classifier over the crops of many pages ─> finish_page ─> PageOutcome

With a pool of processes and no classifier, each worker goes all that way by itself: on a CPU a batch of many pages
is no faster than a page's own, and nothing but the result has to travel (docs/adr/0011). This process then loads
neither network nor imaging.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digitscan.batch.worker_pool import WorkerPool, default_jobs
from digitscan.core.config import Config
from digitscan.core.stop import Interrupted, Stop
from digitscan.core.types import PageFailure, PageOutcome, PageRef
from digitscan.pipeline.items import Classify, PageRead, PageTask, RecognizeLines

if TYPE_CHECKING:  # forms are loaded by those who read them
    from digitscan.forms.formset import FormSet

_AHEAD = 2
"""Pages that each worker may be ahead of the classifier: memory stays flat."""
_FILL = 1024
"""Crops that are worth a call; pages wait for each other until so many are there."""
_MOST_WAITING = 6
"""Pages that wait for a full batch at the most."""
_LOOK_S = 0.2
"""How often it is asked, while a page is waited for, whether the run shall stop."""


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


def read_pages(
    sources: Iterable[str | PageFailure],
    classifier: Classify | None,
    config: Config,
    *,
    line_recognizer: RecognizeLines | None = None,
    forms: FormSet | None = None,
    jobs: int = 0,
    worker_pool: WorkerPool | None = None,
    keep_images: bool = False,
    on_found: Callable[[int], None] | None = None,
    known: Callable[[PageRef], PageOutcome | None] | None = None,
    balance: Balance | None = None,
    stop: Stop | None = None,
) -> Generator[PageRead, None, None]:
    """Read pages lazily, in the order of the sources.

    Neither the number of workers nor the grouping into batches changes a digit.

    Parameters
    ----------
    sources : iterable of str or PageFailure
        Paths, as `digitscan.ingest.discover.find_sources` gives them; failures pass through.
    classifier : Classify or None
        Reads the crops of many pages together; None leaves it to the workers of `worker_pool`.
    config : Config
    line_recognizer : RecognizeLines, optional
        Reads numbers that are not beyond doubt as a whole as well.
    forms : FormSet, optional
        Forms that the pages are filled from; their fields are read, and nothing else.
    jobs : int
        Workers; 0 takes the machine's cores, or the pool's limit.
    worker_pool : WorkerPool, optional
        Processes that prepare pages, or read them; threads prepare them where none is given.
    keep_images : bool
        Hand each page's picture on, for annotation.
    on_found : callable, optional
        Called with the number of pages found so far, for a progress bar.
    known : callable, optional
        Gives the outcome of a page that was read before; such pages are neither loaded nor read, and have no picture.
    balance : Balance, optional
        Is told what was waited for.
    stop : Stop, optional
        When it asks to stop, no page is begun; those that are being read are given if they come to their end before
        ``stop.now``.
    """
    workers = jobs or (worker_pool.limit if worker_pool is not None else default_jobs())
    stop = stop if stop is not None else Stop()  # one that nobody asks
    work = _work(classifier, config, forms, worker_pool, keep_images, stop)
    balance = balance if balance is not None else Balance()
    found = 0
    pending: deque[Future[PageTask] | PageOutcome] = deque()
    refs = _refs(sources, config, worker_pool)
    exhausted = False
    pool = ThreadPoolExecutor(workers, thread_name_prefix="page")
    network = ThreadPoolExecutor(1, thread_name_prefix="network")
    # The crops of one group are classified while the one before is finished here: neither waits for the other.
    classified: deque[tuple[list[PageTask], Future[None]]] = deque()

    def finish_oldest() -> list[PageRead]:
        group, calls = classified.popleft()
        with balance.waiting_for_network():
            while not calls.done():
                if stop.now:
                    return []
                _wait(calls, stop)
            calls.result()
        if classifier is None:
            raise RuntimeError("only a classifier has groups that wait for it")
        from digitscan.pipeline.read import finish_ready

        return finish_ready(group, classifier, config, line_recognizer, keep_images)

    try:
        while True:
            if stop.asked:
                _drop_unbegun(pending)
            while not exhausted and len(pending) < workers * _AHEAD + _MOST_WAITING:
                ref = _next(refs, stop)
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
            if isinstance(head, Future):
                with balance.waiting_for_pages():
                    _wait(head, stop)
            ready = not isinstance(head, Future) or head.done()
            group = _next_group(pending) if ready else []
            if stop.now:  # what was given up has failed for no fault of its own
                return
            if not group:
                continue
            if classifier is None:
                for item in group:
                    if item.settled is not None:
                        yield PageRead(item.settled, item.image, item.seconds)
                continue
            from digitscan.pipeline.read import classify_together

            classified.append((group, network.submit(classify_together, group, classifier)))
            if len(classified) > 1:
                yield from finish_oldest()
    finally:
        # What hangs in a thread cannot be ended: a run that shall end now does not wait for it.
        pool.shutdown(wait=not stop.now, cancel_futures=True)
        network.shutdown(wait=not stop.now, cancel_futures=True)


def _next(refs: Iterator[PageRef | PageFailure], stop: Stop) -> PageRef | PageFailure | None:
    """The next page; None where there is none, or none shall be begun."""
    try:
        with stop.interruptible():
            return next(refs, None)
    except Interrupted:
        return None


def _wait(future: Future[Any], stop: Stop) -> None:
    """Wait for a result, or until the run is asked to stop, or to stop now."""
    before = stop.asked
    while not future.done() and stop.asked == before and not stop.now:
        wait([future], timeout=_LOOK_S)


def _drop_unbegun(pending: deque[Future[PageTask] | PageOutcome]) -> None:
    """Take out the pages that nobody has begun."""
    kept = [item for item in pending if not (isinstance(item, Future) and item.cancel())]
    pending.clear()
    pending.extend(kept)


def _next_group(pending: deque[Future[PageTask] | PageOutcome]) -> list[PageTask]:
    """Pages from the front that are worth a call together; the first is ready."""
    group: list[PageTask] = []
    crops = 0
    while pending and len(group) < _MOST_WAITING and crops < _FILL:
        head = pending[0]
        # What is ready is taken; nothing waits for a slower neighbour once something can be read.
        if group and isinstance(head, Future) and not head.done():
            break
        pending.popleft()
        item = head.result() if isinstance(head, Future) else PageTask(head.ref, settled=head)
        group.append(item)
        crops += len(item.prepared.crops) if item.prepared is not None else 0
    return group


def _refs(
    sources: Iterable[str | PageFailure], config: Config, worker_pool: WorkerPool | None
) -> Iterator[PageRef | PageFailure]:
    for source in sources:
        if isinstance(source, PageFailure):
            yield source
        elif worker_pool is not None:
            yield from worker_pool.list(source)
        else:
            from digitscan.pipeline.read import pages_of

            yield from pages_of(source, config)


def _work(
    classifier: Classify | None,
    config: Config,
    forms: FormSet | None,
    worker_pool: WorkerPool | None,
    keep_images: bool,
    stop: Stop,
) -> Callable[[PageRef], PageTask]:
    """What a thread does with a page: prepare it, or have a process prepare or read it."""
    if worker_pool is None and classifier is None:
        raise ValueError("either a classifier or a pool must read")

    def do(ref: PageRef) -> PageTask:
        with stop.busy(f"{ref.path}, page {ref.page_number}"):
            if worker_pool is None:
                from digitscan.pipeline.read import prepare

                return prepare(ref, config, forms)
            if classifier is not None:
                return worker_pool.prepare(ref)
            page = worker_pool.read(ref, keep_images)
            return PageTask(ref, settled=page.outcome, image=page.image, seconds=page.seconds)

    return do
