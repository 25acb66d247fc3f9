"""What the server does: models loaded once, digits classified together, uploads that are forgotten."""

from __future__ import annotations

import asyncio
import base64
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from digitscan.batch.worker_pool import WorkerPool
from digitscan.core.config import Config, load_config
from digitscan.core.cores import usable_cores
from digitscan.core.errors import DigitscanError, IngestError, UsageError
from digitscan.core.folders import OwnFolder
from digitscan.core.types import CROP_SIZE, Crops, GrayImage, Layout, PageRef, PageResult, Posteriors, RasterPage
from digitscan.export.annotate import draw
from digitscan.export.records import page_record
from digitscan.ingest.pages import list_pages, load_page
from digitscan.pipeline.prepare import prepare_page
from digitscan.reader import Reader
from digitscan.recognition.registry import ModelCard, find_models
from digitscan.recognition.runtime import Classifier
from digitscan.web.drawings import DrawnNumber, read_drawing
from digitscan.web.schemas import DigitOut, DrawingOut, NumberOut, PageOut, PredictionOut, UploadOut
from digitscan.web.settings import WebSettings

EMPTY: Crops = np.zeros((0, CROP_SIZE, CROP_SIZE), np.uint8)
"""No crops."""


class Batcher:
    """Classifies crops of many requests in one call.

    A thread takes all that has come while the network was busy, and calls it once.
    """

    def __init__(self, classifier: Classifier, together: int) -> None:
        self._classifier = classifier
        self._together = together
        self._waiting: list[tuple[Crops, asyncio.Future[Posteriors], asyncio.AbstractEventLoop]] = []
        self._lock = threading.Condition()
        self._closed = False
        self.calls = self.crops = 0
        self._thread = threading.Thread(target=self._serve, name="batcher", daemon=True)
        self._thread.start()

    async def classify(self, crops: Crops) -> Posteriors:
        """Posteriors of some crops, (N, 11) float32."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Posteriors] = loop.create_future()
        with self._lock:
            self._waiting.append((crops, answer, loop))
            self._lock.notify()
        return await answer

    def close(self) -> None:
        """Stop the thread."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._closed:
                    self._lock.wait()
                if self._closed:
                    return
                taken = self._waiting[: self._together]
                del self._waiting[: self._together]
            self._answer(taken)

    def _answer(self, taken: Sequence[tuple[Crops, asyncio.Future[Posteriors], asyncio.AbstractEventLoop]]) -> None:
        def settle(answer: asyncio.Future[Posteriors], value: Posteriors | BaseException) -> None:
            if answer.done():  # whoever asked has gone
                return
            if isinstance(value, BaseException):
                answer.set_exception(value)
            else:
                answer.set_result(value)

        try:
            rows = self._classifier.classify(np.concatenate([crops for crops, _, _ in taken]))
        except Exception as error:  # noqa: BLE001  (every request gets its answer, and the thread lives on)
            for _, answer, loop in taken:
                loop.call_soon_threadsafe(settle, answer, error)
            return
        self.calls += 1
        self.crops += len(rows)
        start = 0
        for crops, answer, loop in taken:
            loop.call_soon_threadsafe(settle, answer, rows[start : start + len(crops)])
            start += len(crops)


@dataclass(slots=True)
class _Kept:
    folder: Path
    since: float
    pictures: list[Path] = field(default_factory=list)


class Uploads:
    """Pictures of what was uploaded: in a folder of their own, under names that nobody guesses, for a while."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._folder = OwnFolder("digitscan-web-")
        self.root = self._folder.path
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def new(self) -> tuple[str, Path]:
        """An id and an empty folder; the oldest go."""
        name = secrets.token_hex(16)
        folder = self.root / name
        folder.mkdir()
        with self._lock:
            self._kept[name] = _Kept(folder, time.monotonic())
            self._forget()
        return name, folder

    def _forget(self) -> None:
        now = time.monotonic()
        while self._kept:
            name, kept = next(iter(self._kept.items()))
            if len(self._kept) <= self._settings.keep and now - kept.since < self._settings.keep_s:
                return
            shutil.rmtree(kept.folder, ignore_errors=True)
            del self._kept[name]

    def add(self, name: str, picture: bytes) -> int:
        """Keep a page's picture; gives its number, from 1."""
        kept = self._kept[name]
        path = kept.folder / f"{len(kept.pictures) + 1}.jpg"
        path.write_bytes(picture)
        kept.pictures.append(path)
        return len(kept.pictures)

    def picture(self, name: str, number: int) -> Path | None:
        """A page's picture; None where there is none, or no more."""
        with self._lock:
            self._forget()
            kept = self._kept.get(name)
        return kept.pictures[number - 1] if kept is not None and 1 <= number <= len(kept.pictures) else None

    def close(self) -> None:
        """Delete everything."""
        self._folder.close()


class Work:
    """Everything that is loaded once and shared by all requests."""

    def __init__(self, settings: WebSettings, config: Config | None = None) -> None:
        base = config or load_config()
        ingest = base.ingest.model_copy(update={"max_pixels": settings.max_pixels})
        self.settings = settings
        batch = base.batch.model_copy(update={"page_timeout_s": settings.page_timeout_s})
        self.config = base.model_copy(update={"ingest": ingest, "batch": batch})
        # Uploads are read in a process of their own: a file that hangs or crashes it costs itself alone.
        self.worker_pool = WorkerPool(1, threads=usable_cores())
        self.reader = Reader(self.config, jobs=1, forms=settings.templates, worker_pool=self.worker_pool)
        self.plain = self.reader if not settings.templates else Reader(self.config, jobs=1)
        self.batcher = Batcher(self.reader.classifier, settings.together)
        self.uploads = Uploads(settings)
        self.cards: dict[str, ModelCard] = {card.id: card for _, card in find_models() if not card.reads_lines}
        self._others: dict[str, Classifier] = {}
        self._loading = threading.Lock()

    def close(self) -> None:
        """Let go of everything."""
        self.batcher.close()
        self.worker_pool.close()
        self.uploads.close()

    def classifier(self, model: str) -> Classifier:
        """A model by id, loaded when it is first asked for.

        Raises
        ------
        UsageError
            If there is no such model; names never become paths.
        """
        own = self.reader.classifier
        if model in ("", own.card.id):
            return own
        if model not in self.cards:
            raise UsageError(f"no model named {model[:60]!r}", remedy=f"choose from {', '.join(sorted(self.cards))}")
        with self._loading:
            if model not in self._others:
                self._others[model] = Classifier(model)
            return self._others[model]

    @contextmanager
    def _on_disk(self, data: bytes) -> Iterator[Path]:
        """A file with an upload's bytes, under a name that nobody guesses, for as long as it is read."""
        path = self.uploads.root / secrets.token_hex(16)
        try:
            path.write_bytes(data)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def first_page(self, data: bytes) -> RasterPage:
        """The first page of a file from its bytes, by the same code that reads files.

        Raises
        ------
        IngestError
            If it is no picture or PDF, damaged or too large.
        """
        with self._on_disk(data) as path:
            try:
                ref = next(iter(list_pages(str(path), self.config.ingest)))
            except StopIteration:
                raise IngestError("has no pages", remedy="send a picture") from None
            return load_page(ref, self.config.ingest)

    def decode(self, data: bytes) -> GrayImage:
        """A picture from bytes; see `first_page`."""
        return self.first_page(data).image

    def read_drawing(self, data: bytes, models: Sequence[str]) -> DrawingOut:
        """Read a drawing; other models say what they take each digit for."""
        started = time.perf_counter()
        image = self.decode(data)
        others = [self.classifier(model) for model in models]
        numbers = read_drawing(self.plain, image)
        answers = [[other.classify(number.crops) for other in others] for number in numbers]
        out = [_number(number, others, rows) for number, rows in zip(numbers, answers, strict=True)]
        took = (time.perf_counter() - started) * 1000
        return DrawingOut(model=self.reader.classifier.card.id, milliseconds=round(took, 1), numbers=out)

    def crop(self, data: bytes) -> Crops:
        """The crop of a picture of ONE digit: (1, 28, 28), or (0, 28, 28) where there is no ink."""
        config = self.config.model_copy(update={"layout": Layout.DIGIT})
        image = self.decode(data)
        return prepare_page(RasterPage(PageRef("upload"), image), config).crops

    def read_upload(self, data: bytes, name: str) -> UploadOut:
        """Read a file as the command line does; its annotated pages are kept for a while."""
        with self._on_disk(data) as path:
            key, _ = self.uploads.new()
            pages: list[PageOut] = []
            cut_off = False
            stream = self.reader.stream(path, keep_images=True)
            try:
                for page in stream:
                    if len(pages) == self.settings.max_pages:
                        cut_off = True
                        break
                    record = page_record(page.outcome)
                    record["file"] = name
                    picture = ""
                    if isinstance(page.outcome, PageResult) and page.image is not None:
                        encoded = cv2.imencode(".jpg", draw(page.image, page.outcome), [cv2.IMWRITE_JPEG_QUALITY, 85])[
                            1
                        ]
                        picture = f"/results/{key}/{self.uploads.add(key, encoded.tobytes())}.jpg"
                    pages.append(PageOut(result=record, picture=picture))
            finally:
                stream.close()
        return UploadOut(id=key, pages=pages, cut_off=cut_off)


def predictions(names: Sequence[str], found: Sequence[Crops | DigitscanError], rows: Posteriors) -> list[PredictionOut]:
    """The answer to each picture: its crop's row of posteriors, or why there is none."""
    answers, of_crops = [], iter(rows)
    for name, crops in zip(names, found, strict=True):
        error = str(crops) if isinstance(crops, DigitscanError) else "" if len(crops) else "no ink found"
        if error:
            answers.append(PredictionOut(file=name, digit="", confidence=0.0, bars=[], error=error))
            continue
        row = next(of_crops)
        best = int(row.argmax())
        digit = str(best) if best < 10 else "not-a-digit"
        answers.append(
            PredictionOut(file=name, digit=digit, confidence=_round(row[best]), bars=[_round(p) for p in row])
        )
    return answers


def _round(value: float) -> float:
    return round(float(value), 5)


def _number(number: DrawnNumber, others: Sequence[Classifier], rows: Sequence[Posteriors]) -> NumberOut:
    reading = number.reading
    digits = [
        DigitOut(
            digit=digit.digit,
            confidence=_round(digit.confidence),
            box=digit.box,
            bars=[_round(p) for p in number.posteriors[k]],
            crop=base64.b64encode(number.crops[k].tobytes()).decode(),
            models={
                other.card.id: f"{int(answer[k, :10].argmax())} {float(answer[k, :10].max()):.0%}"
                for other, answer in zip(others, rows, strict=True)
            },
        )
        for k, digit in enumerate(reading.digits)
    ]
    return NumberOut(
        text=reading.text,
        written=reading.written,
        confidence=_round(reading.confidence),
        review=reading.review,
        reason=reading.reason,
        box=reading.box,
        digits=digits,
        alternatives=[(a.text, _round(a.probability)) for a in reading.alternatives],
    )
