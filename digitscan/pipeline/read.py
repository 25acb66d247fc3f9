"""Pages from file to outcome, in this process: each stage's errors become failures here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from digitscan.core.config import Config
from digitscan.core.types import PageFailure, PageOutcome, PageRef, PageResult, Posteriors, RasterPage
from digitscan.ingest.pages import list_pages, load_page
from digitscan.micr.page import magnetic_lines, with_lines
from digitscan.pipeline.finish import check_table, doubted, finish_page
from digitscan.pipeline.items import Classify, PageRead, PageTask, RecognizeLines, failure
from digitscan.pipeline.orientation import Reading, best_turn, in_doubt
from digitscan.pipeline.prepare import prepare_page
from digitscan.pipeline.second_reader import answers_by_string, needs_line_recognition, views_of
from digitscan.recognition.lines import Line
from digitscan.regions.prepared import PreparedPage

if TYPE_CHECKING:  # forms are loaded by those who read them
    from digitscan.forms.form_page import FilledPage
    from digitscan.forms.formset import FormSet


T = TypeVar("T")


def _or_failure(ref: PageRef, stage: Callable[[], str], step: Callable[[], T]) -> T | PageFailure:
    """What a step makes of a page, or its error as a value: the one guard of a page's way.

    `stage` is asked when the step fails, for one that goes through several. Ctrl-C passes through.
    """
    try:
        return step()
    except Exception as error:  # noqa: BLE001  (a hostile file may raise anything)
        return failure(ref, stage(), error)


def prepare(
    ref: PageRef, config: Config, forms: FormSet | None, say: Callable[[str], None] = lambda stage: None
) -> PageTask:
    """Load and prepare one page; `say` is told each stage that begins."""
    stage = ""

    def begin(name: str) -> None:
        nonlocal stage
        stage = name
        say(name)

    def load_and_prepare() -> PageTask:
        begin("ingest")
        page = load_page(ref, config.ingest)
        begin(_preparing(forms))
        ready = _prepared(page, config, forms)
        say("recognition")  # by whoever asked
        return ready

    ready = _or_failure(ref, lambda: stage, load_and_prepare)
    return PageTask(ref, settled=ready) if isinstance(ready, PageFailure) else ready


def _preparing(forms: FormSet | None) -> str:
    """The stage in which a page's crops are made."""
    return "registration" if forms is not None else "segmentation"


def _prepared(page: RasterPage, config: Config, forms: FormSet | None) -> PageTask:
    """A page's crops: of its form's fields where forms are given, else of all its numbers."""
    if forms is None:
        magnetic = magnetic_lines(page.image, config.layout)
        return PageTask(page.ref, page=page, prepared=prepare_page(page, config), magnetic=magnetic)
    filled = forms.prepare(page)
    return PageTask(page.ref, page=page, prepared=filled.prepared, filled=filled)


def pages_of(source: str, config: Config) -> Iterator[PageRef | PageFailure]:
    """The pages of one source; what goes wrong is a failure behind them."""
    pages = iter(list_pages(source, config.ingest))
    while True:
        found = _or_failure(PageRef(source), lambda: "ingest", lambda: next(pages, None))
        if found is not None:
            yield found
        if not isinstance(found, PageRef):
            return


def classify_together(ready: list[PageTask], classifier: Classify) -> None:
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
    """Strings that the line recognizer should see."""
    if isinstance(reading, _Filled):
        from digitscan.pipeline.second_reader import form_needs_line_recognition

        return form_needs_line_recognition(reading.filled, reading.posteriors)
    return needs_line_recognition(reading.page, reading.posteriors)


def _finished(reading: Reading | _Filled, config: Config, whole: dict[int, list[Posteriors]]) -> PageResult:
    if isinstance(reading, _Filled):
        from digitscan.forms.finish import finish_form

        return finish_form(reading.filled, reading.posteriors, config, whole)
    result = finish_page(reading.page, reading.posteriors, config, whole) if whole else reading.result
    return check_table(reading.page, result, config)


def _first_reading(item: PageTask, classifier: Classify, config: Config) -> Reading | _Filled | PageOutcome:
    """A page read piece by piece, whichever way up it lies."""
    if item.settled is not None:
        return item.settled
    page, prepared, posteriors = item.page, item.prepared, item.posteriors
    if page is None or prepared is None or posteriors is None:
        raise RuntimeError("a page without failure must be prepared and classified")
    if item.filled is not None:
        return _Filled(item.filled, posteriors)

    def read_any_way_up() -> Reading:
        reading = Reading.of(prepared, posteriors, config)
        return best_turn(page, reading, config, classifier.classify) if in_doubt(reading, config) else reading

    return _decoded(item.ref, read_any_way_up)


def _decoded(ref: PageRef, step: Callable[[], T]) -> T | PageFailure:
    """A step after the crops of a page are classified."""
    return _or_failure(ref, lambda: "decode", step)


def _read_lines_together(
    readings: list[Reading | _Filled | PageOutcome], line_recognizer: RecognizeLines | None, config: Config
) -> list[PageOutcome]:
    """Show the doubtful strings of all pages to the line recognizer in one call, and read their pages by both."""
    chosen: dict[int, list[int]] = {}
    views: list[Line] = []

    def choose(reading: Reading | _Filled) -> tuple[list[int], list[Line]]:
        doubtful = _doubtful(reading)
        return doubtful, views_of(reading.page, doubtful)

    for place, reading in enumerate(readings):
        if line_recognizer is None or isinstance(reading, PageFailure | PageResult):
            continue
        asked = _decoded(reading.page.ref, partial(choose, reading))
        if isinstance(asked, PageFailure):
            readings[place] = asked
        else:
            chosen[place] = asked[0]
            views += asked[1]
    answers = iter(line_recognizer.read(views) if line_recognizer is not None and views else ())
    outcomes: list[PageOutcome] = []
    for place, reading in enumerate(readings):
        if isinstance(reading, PageFailure | PageResult):
            outcomes.append(reading)
            continue
        whole = answers_by_string(reading.page, chosen.get(place, []), answers)
        outcomes.append(_decoded(reading.page.ref, partial(_finished, reading, config, whole)))
    return outcomes


def read_ready(
    group: list[PageTask],
    classifier: Classify,
    config: Config,
    line_recognizer: RecognizeLines | None,
    keep_images: bool,
) -> list[PageRead]:
    """Read prepared pages together: their crops share calls, and so do their doubtful strings."""
    classify_together(group, classifier)
    return finish_ready(group, classifier, config, line_recognizer, keep_images)


def finish_ready(
    group: list[PageTask],
    classifier: Classify,
    config: Config,
    line_recognizer: RecognizeLines | None,
    keep_images: bool,
) -> list[PageRead]:
    """What comes after the crops are classified."""
    readings = [_first_reading(item, classifier, config) for item in group]
    outcomes = _read_lines_together(readings, line_recognizer, config)
    pages = []
    for item, outcome in zip(group, outcomes, strict=True):
        if isinstance(outcome, PageResult):
            outcome = with_lines(outcome, item.magnetic, config.layout, config.decode.review_below)
        image = item.page.image if item.page else item.image
        if isinstance(outcome, PageResult) and item.page is not None:
            outcome = doubted(outcome, item.page.warnings)
        pages.append(PageRead(outcome, image if keep_images and isinstance(outcome, PageResult) else None))
    return pages


def read_raster(
    page: RasterPage,
    classifier: Classify,
    config: Config,
    *,
    line_recognizer: RecognizeLines | None = None,
    forms: FormSet | None = None,
) -> PageOutcome:
    """Read one page that is already pixels."""
    item = _or_failure(page.ref, lambda: _preparing(forms), lambda: _prepared(page, config, forms))
    if isinstance(item, PageFailure):
        return item
    return read_ready([item], classifier, config, line_recognizer, keep_images=False)[0].outcome
