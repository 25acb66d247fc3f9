"""The public API: read paths, get outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike, fspath
from typing import Literal

from digitscan.batch.local import PageRead, read_pages
from digitscan.core.config import Config, load_config
from digitscan.core.types import Layout, PageOutcome, RunInfo
from digitscan.ingest.discover import find_sources
from digitscan.recognition.runtime import Classifier


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

    Raises
    ------
    ModelError
        If the model is missing or made for another version.

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
    ) -> None:
        config = config or load_config()
        if layout is not None:
            config = config.model_copy(update={"layout": Layout(layout)})
        self.config = config
        self.jobs = jobs
        recognition = config.recognition
        self.classifier = Classifier(
            model or recognition.model, device=device or recognition.device, batch_size=recognition.batch_size
        )

    @property
    def run_info(self) -> RunInfo:
        """The origin that every result file carries."""
        from digitscan import __version__

        settings = self.config.model_dump(mode="json")
        return RunInfo(__version__, self.classifier.info, {**settings, "digest": self.config.digest()})

    def stream(self, *sources: str | PathLike[str], keep_images: bool = False) -> Iterator[PageRead]:
        """Read pages lazily, in order, each with its picture if asked for."""
        found = find_sources([fspath(source) for source in sources])
        return read_pages(found, self.classifier, self.config, jobs=self.jobs, keep_images=keep_images)

    def read(self, *sources: str | PathLike[str]) -> list[PageOutcome]:
        """Read files, folders and globs; a page that cannot be read gives a `PageFailure`, not an exception."""
        return [page.outcome for page in self.stream(*sources)]


def read(*sources: str | PathLike[str], layout: Layout | str = Layout.AUTO) -> list[PageOutcome]:
    """Read files, folders and globs with the shipped model.

    Loads the model on every call: keep a `Reader` to read more than once.
    """
    return Reader(layout=layout).read(*sources)
