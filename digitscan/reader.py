"""The public API: read paths, get outcomes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

import numpy as np

from digitscan.batch.local import Balance, read_pages
from digitscan.batch.worker_pool import Setup, WorkerPool
from digitscan.core.config import Config, load_config
from digitscan.core.errors import DigitscanError, UsageError
from digitscan.core.stop import Stop
from digitscan.core.types import GrayImage, Layout, PageFailure, PageOutcome, PageRef, Posteriors, RasterPage, RunInfo
from digitscan.ingest.discover import find_sources
from digitscan.pipeline.items import PageRead
from digitscan.recognition.runtime import Classifier, LineRecognizer

if TYPE_CHECKING:  # forms are loaded by those who read them
    from digitscan.forms.formset import FormSet
    from digitscan.forms.template import Template


@dataclass(frozen=True, slots=True, eq=False)
class SingleDigit:
    """What an image of one digit gave: its (11,) float32 posteriors, None without ink; or a failure."""

    path: str
    posteriors: Posteriors | None
    failure: PageFailure | None


class Reader:
    """A loaded model and a configuration; reads any number of sources.

    Parameters
    ----------
    config : Config, optional
        Everything that can be set; the defaults, with the environment's changes, when not given.
    layout : Layout or str, optional
        Overrides the configuration's.
    model : str
        Model id or folder; empty takes the configuration's, then the shipped default.
    device : {"auto", "cpu", "gpu"}, optional
        Overrides the configuration's.
    jobs : int
        Workers that prepare pages; 0 takes the machine's cores.
    forms : sequence of Template or path
        Templates of the forms that the pages are filled from; each page finds its own, and its fields are read.
    worker_pool : WorkerPool, optional
        Processes that `stream` has pages read by; threads prepare them where none is given.

    Raises
    ------
    ModelError
        If the model is missing or made for another version.
    UsageError
        If a template makes no sense.

    Examples
    --------
    >>> from digitscan import Reader
    >>> reader = Reader(layout="line")  # doctest: +SKIP
    >>> [page.readings[0].text for page in reader.read("amounts/")]  # doctest: +SKIP
    ['25441', '00117']
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        layout: Layout | str | None = None,
        model: str = "",
        device: Literal["auto", "cpu", "gpu"] | None = None,
        jobs: int = 0,
        forms: Sequence[Template | str | PathLike[str]] = (),
        worker_pool: WorkerPool | None = None,
    ) -> None:
        config = config or load_config()
        if layout is not None:
            config = config.model_copy(update={"layout": Layout(layout)})
        self.config = config
        self.jobs = jobs
        templates = self._templates = [fspath(t) if isinstance(t, str | PathLike) else t for t in forms]
        self.forms: FormSet | None = None
        if templates:
            from digitscan.forms.formset import FormSet

            self.forms = FormSet(templates, config)
        recognition = config.recognition
        self.classifier = Classifier(
            model or recognition.model, device=device or recognition.device, batch_size=recognition.batch_size,
            load=worker_pool is None, precision=recognition.precision,
        )  # fmt: skip
        reads_lines = recognition.whole_lines and config.layout is not Layout.DIGIT
        self.line_recognizer = None
        if reads_lines:
            self.line_recognizer = LineRecognizer(
                recognition.line_model,
                device=device or recognition.device,
                precision=recognition.precision,
                check=recognition.line_check_model,
            )
        self._worker_pool = worker_pool
        self.balance = Balance()
        # A worker that loaded TensorFlow would cost more than it gives: then, and for a GPU, one classifier reads.
        self._workers_read = self.classifier.runtime == "LiteRT"
        if worker_pool is not None:
            worker_pool.begin(self.worker_setup(worker_pool.threads))

    def worker_setup(self, threads: int = 1) -> Setup:
        """What a worker process needs to read as this reader does, or to prepare pages for it."""
        return Setup(
            self.config,
            tuple(self._templates),
            str(self.classifier.folder) if self._workers_read else "",
            str(self.line_recognizer.folder) if self._workers_read and self.line_recognizer is not None else "",
            threads,
        )

    @property
    def run_info(self) -> RunInfo:
        """The origin that every result file carries."""
        from digitscan.core.version import __version__

        settings = self.config.origin()
        lines = self.line_recognizer.card.info() if self.line_recognizer else None
        own = {"digest": self.config.digest()} | ({"forms": self.forms.digest} if self.forms else {})
        return RunInfo(__version__, self.classifier.info, {**settings, **own}, lines)

    def stream(
        self,
        *sources: str | PathLike[str],
        keep_images: bool = False,
        stdin: TextIO | None = None,
        exclude: Collection[Path] = (),
        on_found: Callable[[int], None] | None = None,
        known: Callable[[PageRef], PageOutcome | None] | None = None,
        cluster: str | None = None,
        stop: Stop | None = None,
    ) -> Generator[PageRead, None, None]:
        """Read pages lazily, in order, each with its picture if asked for.

        Parameters
        ----------
        sources : str or path
            Files, folders, globs; ``-`` is a list on `stdin`.
        keep_images : bool
            Hand each page's picture on.
        stdin : text stream, optional
        exclude : collection of Path
            Resolved paths that are never taken from inside a folder.
        on_found : callable, optional
            Called with the number of pages found so far.
        known : callable, optional
            Gives the outcome of a page that was read before, which is then not read again.
        cluster : str, optional
            Address of a Ray cluster whose nodes read; empty takes one that runs, or starts one here.
        stop : Stop, optional
            Asks that no page be begun any more; those that are being read are still given. Not heeded by a cluster.

        Raises
        ------
        UsageError
            If a cluster is to read and Ray is not installed, it does not answer, or the model has no light copy.
        """
        found = find_sources([fspath(source) for source in sources], stdin=stdin, exclude=exclude)
        if cluster is not None:
            from digitscan.batch.cluster import read_pages_on_cluster

            if not self._workers_read:
                raise UsageError(
                    f"model {self.classifier.card.id} has no light copy for the nodes",
                    remedy="train or import it again with TensorFlow, and leave --device at auto or cpu",
                )
            return read_pages_on_cluster(
                found,
                self.config,
                self.worker_setup(),
                address=cluster,
                keep_images=keep_images,
                on_found=on_found,
                known=known,
            )
        return read_pages(
            found,
            None if self._worker_pool is not None and self._workers_read else self.classifier,
            self.config,
            line_recognizer=self.line_recognizer,
            forms=self.forms,
            jobs=self.jobs,
            worker_pool=self._worker_pool,
            keep_images=keep_images,
            on_found=on_found,
            known=known,
            balance=self.balance,
            stop=stop,
        )

    def read_image(self, image: GrayImage, name: str = "image") -> PageOutcome:
        """Read a picture that is in memory: (H, W) uint8, paper is white."""
        from digitscan.pipeline.read import read_raster

        page = RasterPage(PageRef(name), np.ascontiguousarray(image, np.uint8))
        return read_raster(page, self.classifier, self.config, line_recognizer=self.line_recognizer, forms=self.forms)

    def posteriors_of(self, *sources: str | PathLike[str]) -> Iterator[SingleDigit]:
        """Posteriors of images that are ONE digit each, page by page."""
        from digitscan.ingest.pages import list_pages, load_page
        from digitscan.pipeline.items import failure
        from digitscan.pipeline.prepare import prepare_page

        config = self.config.model_copy(update={"layout": Layout.DIGIT})
        for source in find_sources([fspath(source) for source in sources]):
            if isinstance(source, PageFailure):
                yield SingleDigit(source.ref.path, None, source)
                continue
            try:
                prepared = [
                    prepare_page(load_page(ref, config.ingest), config) for ref in list_pages(source, config.ingest)
                ]
            except DigitscanError as error:
                yield SingleDigit(source, None, failure(PageRef(source), "ingest", error))
                continue
            for page in prepared:
                rows = self.classifier.classify(page.crops)
                yield SingleDigit(source, rows[0] if len(rows) else None, None)

    def read(self, *sources: str | PathLike[str]) -> list[PageOutcome]:
        """Read files, folders and globs; a page that cannot be read gives a `PageFailure`, not an exception."""
        return [page.outcome for page in self.stream(*sources)]


def read(*sources: str | PathLike[str], layout: Layout | str = Layout.AUTO) -> list[PageOutcome]:
    """Read files, folders and globs with the shipped model.

    Loads the model on every call: keep a `Reader` to read more than once.
    """
    return Reader(layout=layout).read(*sources)
