"""Many machines: the pages of a run over a Ray cluster, in input order, with the same results as one machine.

::

    sources ─ list (tasks) ─> references ─ this process: known pages are left out, chunks
            ─ actors, a pool of one process each ─> PageRead ─ this process, in order

Each actor reads pages through a `WorkerPool` of its own: a page that crashes or hangs costs itself alone there too.
An actor or a node that is lost is replaced by Ray, and its pages are read again elsewhere. Sources must be readable
from every node: by a shared folder, or by URL.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any

from digitscan.batch.worker_pool import Setup, WorkerPool
from digitscan.core.config import Config
from digitscan.core.errors import UsageError
from digitscan.core.types import PageFailure, PageOutcome, PageRef
from digitscan.pipeline.items import PageRead
from digitscan.pipeline.read import pages_of

_SOURCES = 256
"""Sources that are listed at a time."""
_BLOCK = 4
"""Pages that an actor is handed at a time: few, so that no actor is left with the last ones."""


def chunk_size(cores: float) -> int:
    """References that are on their way at a time: the driver's memory is flat in the size of the run.

    A chunk ends with cores that wait for the last page, so it is large beside their number (benchmarks/driver.py).
    """
    return max(2_000, 200 * int(cores))


Known = Callable[[PageRef], PageOutcome | None]


class PageReader:
    """What an actor does: read pages through a process of its own.

    A subclass made for the run carries its `setup`: an actor that Ray starts anew elsewhere must not look for arguments
    that a lost node held.
    """

    setup: Setup

    def __init__(self) -> None:
        self._worker_pool = WorkerPool(1)
        self._worker_pool.begin(self.setup)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Read a batch of references: columns ``place``, ``ref`` and ``keep`` in, ``place`` and ``page`` out."""
        keep_images = [bool(keep) for keep in batch["keep"]]
        refs = [pickle.loads(bytes(ref)) for ref in batch["ref"]]
        pages = [self._worker_pool.read(ref, keep) for ref, keep in zip(refs, keep_images, strict=True)]
        return {"place": list(batch["place"]), "page": [pickle.dumps(page, protocol=5) for page in pages]}


def connect(address: str) -> Any:
    """Ray, connected to a cluster; an empty address takes a cluster that is running, or starts one here.

    Raises
    ------
    UsageError
        If Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UsageError("--engine ray needs Ray", remedy="pip install 'digitscan[ray]'") from error
    for name in ("ray", "ray.data"):  # a run tells its progress by itself
        logging.getLogger(name).setLevel(logging.ERROR)
    if not ray.is_initialized():
        try:
            ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"no Ray cluster at {address}: {error}", remedy="check --address") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def read_pages_on_cluster(
    sources: Iterable[str | PageFailure],
    config: Config,
    setup: Setup,
    *,
    address: str = "",
    keep_images: bool = False,
    on_found: Callable[[int], None] | None = None,
    known: Known | None = None,
) -> Generator[PageRead, None, None]:
    """Read pages on a cluster, lazily, in the order of the sources; see `digitscan.batch.local.read_pages`.

    Parameters
    ----------
    sources, config, keep_images, on_found, known
        As for `digitscan.batch.local.read_pages`.
    setup : Setup
        What each actor's process reads with; its model folders must be there on every node.
    address : str
        Of the cluster; see `connect`.
    """
    ray = connect(address)
    refs = _listed(ray, sources, config)
    found = 0
    while chunk := list(islice(refs, chunk_size(ray.cluster_resources().get("CPU", 1)))):
        found += len(chunk)
        if on_found is not None:
            on_found(found)
        settled: dict[int, PageOutcome] = {}
        to_read: list[dict[str, Any]] = []
        for place, ref in enumerate(chunk):
            outcome = ref if isinstance(ref, PageFailure) else known(ref) if known is not None else None
            if outcome is not None:
                settled[place] = outcome
            else:
                to_read.append({"place": place, "ref": pickle.dumps(ref), "keep": keep_images})
        yield from _in_order(len(chunk), settled, _read(ray, to_read, setup))


def _listed(ray: Any, sources: Iterable[str | PageFailure], config: Config) -> Iterator[PageRef | PageFailure]:
    """References of all sources in order; files are opened by tasks, never here."""
    pages = ray.remote(num_cpus=0.25)(lambda source: list(pages_of(source, config)))
    each = iter(sources)
    while group := list(islice(each, _SOURCES)):
        asked = [source if isinstance(source, PageFailure) else pages.remote(source) for source in group]
        for answer in asked:
            if isinstance(answer, PageFailure):
                yield answer
            else:
                yield from ray.get(answer)


def _read(ray: Any, to_read: list[dict[str, Any]], setup: Setup) -> Iterator[tuple[int, PageRead]]:
    if not to_read:
        return
    most = max(1, int(ray.cluster_resources().get("CPU", 1)))
    actors = min(most, -(-len(to_read) // _BLOCK))
    rows = ray.data.from_items(to_read, override_num_blocks=-(-len(to_read) // _BLOCK)).map_batches(
        type("PageReader", (PageReader,), {"setup": setup}),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
        batch_size=_BLOCK,
        num_cpus=1,
    )
    for row in rows.iter_rows():
        yield int(row["place"]), pickle.loads(row["page"])


def _in_order(count: int, settled: dict[int, PageOutcome], read: Iterator[tuple[int, PageRead]]) -> Iterator[PageRead]:
    """Pages by their place, each as soon as all before it are there."""
    waiting: dict[int, PageRead] = {place: PageRead(outcome, None) for place, outcome in settled.items()}
    for place in range(count):
        while place not in waiting:
            other, page = next(read)
            waiting[other] = page
        yield waiting.pop(place)
