"""Doubtful readings of a job, settled by people: who sees what, with which picture, and what comes of it.

Nothing here knows the web: the server is a skin over `ReviewDesk`, and so may be anything else.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from digitscan.core.config import Config, load_config
from digitscan.core.errors import DigitscanError, UsageError
from digitscan.core.types import Box, FieldReading, GrayImage, PageRef, PageResult, State
from digitscan.ingest.pages import load_page
from digitscan.jobs.corrections import Corrections
from digitscan.jobs.journal import JobFile
from digitscan.jobs.statements import DOUBT, WITHDRAWN, Kind, ReadingKey, Statement, corrected, kind_of

_CLAIM_S = 180.0
"""Seconds that readings are kept for whoever was given them last."""
_PAGES_KEPT = 6
"""Decoded pages: some 9 MB each."""
_CROP_PX = 120
"""Height of a reading's picture."""
_DIGIT_PX = 56
_CONTEXT_PX = (900, 260)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which readings are asked for; what is empty does not matter.

    Attributes
    ----------
    field : str
        A part of the name.
    file : str
        A part of the path.
    reason : str
        A part of the reason.
    page : int
        Number of the page in its file, 1 for the first; 0 for any.
    below : float
        Confidence must be less.
    everything : bool
        Also readings that are not marked for review.
    """

    field: str = ""
    file: str = ""
    reason: str = ""
    page: int = 0
    below: float = 1.01
    everything: bool = False

    def takes(self, file: str, page: int, reading: FieldReading) -> bool:
        """Whether a reading of a file's page is asked for."""
        return (
            self.page in (0, page)
            and (self.everything or reading.review)
            and reading.confidence < self.below
            and self.field.casefold() in reading.name.casefold()
            and self.file.casefold() in file.casefold()
            and self.reason.casefold() in reading.reason.casefold()
        )


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A reading to look at; `seen` is the revision of what was last said of it, 0 for nothing."""

    key: ReadingKey
    ref: PageRef
    reading: FieldReading
    seen: int
    turn: int
    """Quarter turns clockwise, in degrees, by which its page stands upright."""


@dataclass(frozen=True, slots=True)
class DigitSeen:
    """One digit of a reading, for looking at many of a kind at once."""

    key: ReadingKey
    ref: PageRef
    box: Box
    digit: str
    confidence: float
    place: int
    turn: int


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far a review is: readings in all, of those marked for review, settled ones, and seconds for one."""

    readings: int
    marked: int
    settled: int
    seconds: float
    failed_pages: int


class ReviewDesk:
    """A job that is open for review. Any thread may use it.

    Parameters
    ----------
    job : Path
    config : Config, optional
        How pages are decoded.
    names : mapping of str to str, optional
        Names to show of files, by those under which they lie.

    Raises
    ------
    UsageError
        If it is no job file.
    OutputError
        If it cannot be written.
    """

    def __init__(self, job: Path, config: Config | None = None, names: Mapping[str, str] | None = None) -> None:
        self.job = job
        self._names = names or {}
        self.corrections = Corrections(job)  # brings an older job up to date as well
        self._config = config or load_config()
        self._lock = threading.Lock()
        self._pages: OrderedDict[PageRef, GrayImage] = OrderedDict()
        self._read_at = -1.0
        self._results: list[PageResult] = []
        self._keys: frozenset[ReadingKey] = frozenset()
        self._failed = 0

    def close(self) -> None:
        """Close the job."""
        self.corrections.close()

    def name_of(self, ref: PageRef) -> str:
        """A page's file as people know it."""
        return self._names.get(Path(ref.path).name, ref.path)

    # -------------------------------------------------------------------------------------------- what there is

    def _as_read(self) -> list[PageResult]:
        """Pages of the job; looked at again when the job has grown since, for a run may still be going on."""
        file = JobFile(self.job)
        try:
            last = file.summary().last
            with self._lock:
                if last != self._read_at:
                    outcomes = list(file.as_read())
                    self._results = [outcome for outcome in outcomes if isinstance(outcome, PageResult)]
                    self._failed = len(outcomes) - len(self._results)
                    self._keys = frozenset(
                        ReadingKey(page.ref.sha256, page.ref.page_index, reading.name)
                        for page in self._results
                        for reading in page.readings
                    )
                    self._read_at = last
                return self._results
        finally:
            file.close()

    def _pages_now(self) -> Iterator[tuple[PageResult, dict[ReadingKey, Statement]]]:
        statements = self.corrections.last()
        for page in self._as_read():
            now = corrected(page, statements)
            if isinstance(now, PageResult):
                yield now, statements

    def queue(
        self, who: str, count: int, asked: Filter | None = None, have: Collection[ReadingKey] = ()
    ) -> list[Doubtful]:
        """The most doubtful readings that nobody else looks at, kept for `who` for a while.

        `have` are those that `who` was given before and still has.
        """
        asked = asked or Filter()
        others = self.corrections.claimed(but_by=who)
        found: list[Doubtful] = []
        for page, statements in self._pages_now():
            turn = -1
            for reading in page.readings:
                key = ReadingKey(page.ref.sha256, page.ref.page_index, reading.name)
                statement = statements.get(key)
                open_ = statement is None or statement.state == DOUBT
                if (
                    not open_
                    or key in others
                    or key in have
                    or not asked.takes(self.name_of(page.ref), page.ref.page_number, reading)
                ):
                    continue
                turn = turn_of(page) if turn < 0 else turn
                found.append(Doubtful(key, page.ref, reading, statement.revision if statement else 0, turn))
        found.sort(key=lambda d: (d.reading.confidence, d.ref.path, d.ref.page_index))
        chosen = found[:count]
        self.corrections.claim([*have, *(d.key for d in chosen)], who, _CLAIM_S)
        return chosen

    def digits(self, digit: str, start: int, count: int) -> list[DigitSeen]:
        """Digits that were read as `digit` and that nobody has settled, the least sure first."""
        found: list[DigitSeen] = []
        for page, statements in self._pages_now():
            turn = -1
            for reading in page.readings:
                key = ReadingKey(page.ref.sha256, page.ref.page_index, reading.name)
                if key in statements or reading.state is not State.VALUE:
                    continue
                for place, one in enumerate(reading.digits):
                    if one.digit == digit:
                        turn = turn_of(page) if turn < 0 else turn
                        found.append(DigitSeen(key, page.ref, one.box, digit, one.confidence, place, turn))
        found.sort(key=lambda d: (d.confidence, d.ref.path, d.ref.page_index, d.key.field, d.place))
        return found[start : start + count]

    def progress(self) -> ReviewProgress:
        """How far the review is."""
        readings = marked = settled = 0
        statements = self.corrections.last()
        for page in self._as_read():
            for reading in page.readings:
                key = ReadingKey(page.ref.sha256, page.ref.page_index, reading.name)
                statement = statements.get(key)
                doubted = statement is not None and statement.state == DOUBT
                readings += 1
                marked += reading.review or statement is not None
                settled += statement is not None and not doubted
        return ReviewProgress(readings, marked, settled, self.corrections.pace()[1], self._failed)

    # -------------------------------------------------------------------------------------------- what people said

    def settle(self, key: ReadingKey, text: str, state: str, who: str, seen: int) -> Statement:
        """Say what stands on paper; see `digitscan.jobs.corrections.Corrections.say`.

        Raises
        ------
        UsageError
            If the job has no such reading.
        """
        self._demand([key])
        return self.corrections.say(key, text, state, who, seen)

    def undo(self, key: ReadingKey, who: str, seen: int) -> Statement:
        """Take the last statement back; the reading is open again, and kept for `who`."""
        self._demand([key])
        statement = self.corrections.say(key, "", WITHDRAWN, who, seen)
        self.corrections.claim([key], who, _CLAIM_S)
        return statement

    def doubt(self, keys: Iterable[ReadingKey], who: str) -> int:
        """Mark readings for review; those that somebody has spoken of are left. Gives how many were marked."""
        keys = list(keys)
        self._demand(keys)
        statements = self.corrections.last()
        fresh = [key for key in dict.fromkeys(keys) if key not in statements]
        for key in fresh:
            self.corrections.say(key, "", DOUBT, who, 0)
        return len(fresh)

    def _demand(self, keys: Iterable[ReadingKey]) -> None:
        if not self._keys.issuperset(keys):
            self._as_read()  # the job may have grown
        if unknown := next((key for key in keys if key not in self._keys), None):
            raise UsageError(f"the job has no reading {unknown.field!r} there", remedy="load the page again")

    # -------------------------------------------------------------------------------------------- pictures

    def crop(self, one: Doubtful) -> bytes:
        """A reading's picture as PNG, upright; empty where its file is not there any more."""
        box = one.reading.box
        margin = max(6, round(0.25 * min(box.width, box.height)))
        return _png(_cut(self._image(one.ref), box, margin, margin, one.turn), _CROP_PX, 900)

    def context(self, one: Doubtful) -> bytes:
        """What stands around a reading, as PNG, with the reading framed; empty where its file is not there any more."""
        image, box = self._image(one.ref), one.reading.box
        if image is None:
            return b""
        side = max(box.width, box.height)
        framed = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        thick = max(2, round(image.shape[1] / 900))
        gap = 2 * thick
        cv2.rectangle(framed, (box.x - gap, box.y - gap), (box.right + gap, box.bottom + gap), (190, 90, 0), thick)
        return _png(
            _cut(framed, box, round(2.5 * side), round(2.0 * min(box.width, box.height)), one.turn), *_CONTEXT_PX[::-1]
        )

    def digit_crop(self, one: DigitSeen) -> bytes:
        """A digit's picture as PNG, upright."""
        margin = max(3, round(0.2 * one.box.height))
        return _png(_cut(self._image(one.ref), one.box, margin, margin, one.turn), _DIGIT_PX, _DIGIT_PX * 2)

    def _image(self, ref: PageRef) -> GrayImage | None:
        with self._lock:
            if ref in self._pages:
                self._pages.move_to_end(ref)
                return self._pages[ref]
        try:
            image = load_page(ref, self._config.ingest).image
        except DigitscanError:
            return None
        with self._lock:
            self._pages[ref] = image
            while len(self._pages) > _PAGES_KEPT:
                self._pages.popitem(last=False)
        return image


def turn_of(page: PageResult) -> int:
    """Degrees clockwise by which a page's source must be turned to stand upright: digits run from left to right."""
    votes = [0, 0, 0, 0]
    for reading in page.readings:
        if len(reading.digits) > 1:
            (x0, y0), (x1, y1) = reading.digits[0].box.center, reading.digits[-1].box.center
            across, down = x1 - x0, y1 - y0
            # Writing that runs down the source is upright after three quarter turns clockwise.
            votes[(0 if across > 0 else 2) if abs(across) >= abs(down) else (3 if down > 0 else 1)] += 1
    return 90 * int(np.argmax(votes))


_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def _cut(image: GrayImage | None, box: Box, across: int, down: int, turn: int) -> GrayImage | None:
    if image is None:
        return None
    if turn in (90, 270):
        across, down = down, across
    height, width = image.shape[:2]
    top, left = max(box.y - down, 0), max(box.x - across, 0)
    part = image[top : min(box.bottom + down, height), left : min(box.right + across, width)]
    return np.asarray(cv2.rotate(part, _ROTATIONS[turn]) if turn else part, np.uint8)


def _png(part: GrayImage | None, height: int, widest: int) -> bytes:
    if part is None or 0 in part.shape[:2]:
        return b""
    scale = min(height / part.shape[0], widest / part.shape[1])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return bytes(cv2.imencode(".png", cv2.resize(part, size, interpolation=how))[1].tobytes())


def _settled(file: JobFile) -> Iterator[tuple[PageResult, FieldReading, Statement]]:
    """Readings as they were read, with what people said of them; doubts are left out."""
    statements = file.statements()
    for page in file.as_read():
        if isinstance(page, PageResult):
            for reading in page.readings:
                statement = statements.get(ReadingKey(page.ref.sha256, page.ref.page_index, reading.name))
                if statement is not None and statement.state != DOUBT:
                    yield page, reading, statement


def labelled_crops(job: Path, config: Config | None = None) -> Iterator[tuple[str, str, GrayImage]]:
    """Digits of settled readings, as training data: class, a name, and the picture (paper is white).

    A corrected reading gives its digits where as many were found as were meant; one that was settled as struck or
    illegible gives pieces that are no digits.
    """
    ingest = (config or load_config()).ingest
    decoded: tuple[PageRef | None, GrayImage | None] = (None, None)
    with contextlib.closing(JobFile(job)) as file:
        for page, reading, statement in _settled(file):
            labels = _labels(reading, statement)
            if not labels:
                continue
            if decoded[0] != page.ref:
                try:
                    decoded = page.ref, load_page(page.ref, ingest).image
                except DigitscanError:
                    decoded = page.ref, None
            for place, (label, digit) in enumerate(zip(labels, reading.digits, strict=True)):
                part = _cut(decoded[1], digit.box, 2, 2, turn_of(page))
                if part is not None and part.size:
                    yield label, f"{page.ref.sha256[-12:]}-{page.ref.page_number}-{reading.name}-{place}", part


def _labels(reading: FieldReading, statement: Statement) -> Sequence[str]:
    if statement.state in (State.STRUCK, State.ILLEGIBLE):
        return ["not-a-digit"] * len(reading.digits)
    text = reading.text if kind_of(reading, statement) == "confirmed" else statement.digits
    return list(text) if statement.state == State.VALUE and len(text) == len(reading.digits) else ()


_BANDS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0)


class Band(NamedTuple):
    """Settled readings of a band of confidence, by what people said of them."""

    low: float
    high: float
    confirmed: int
    corrected: int
    completed: int

    @property
    def settled(self) -> int:
        """All of them."""
        return self.confirmed + self.corrected + self.completed


def agreement(job: Path) -> list[Band]:
    """How often people agreed with what was read, by how sure it was.

    Well calibrated readings are confirmed as often as their confidence says, as long as people look at all of a band.
    """
    counts: list[Counter[Kind]] = [Counter() for _ in _BANDS[1:]]
    with contextlib.closing(JobFile(job)) as file:
        for _, reading, statement in _settled(file):
            band = min(int(np.searchsorted(_BANDS, reading.confidence, "right")), len(counts)) - 1
            counts[band][kind_of(reading, statement)] += 1
    return [
        Band(_BANDS[k], _BANDS[k + 1], count["confirmed"], count["corrected"], count["completed"])
        for k, count in enumerate(counts)
    ]
