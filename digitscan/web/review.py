"""The review of a job: pages and API. What they do is in `digitscan.jobs.review`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, ConfigDict, Field

from digitscan.core.types import PageFailure
from digitscan.core.version import __version__
from digitscan.export.base import COLUMNS, failure_row, reading_row, rows_as_csv
from digitscan.export.records import clean
from digitscan.jobs.corrections import StaleError
from digitscan.jobs.journal import JobFile
from digitscan.jobs.review import Doubtful, Filter, ReviewDesk
from digitscan.jobs.statements import ReadingKey, Statement, shown, with_decimals
from digitscan.web.schemas import file_of
from digitscan.web.security import problem

_FIRST = 8
"""Readings that a page begins with: enough that nobody waits for a picture."""
_MOSAIC = 200

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{0,64}$")]
Who = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]


class KeyIn(BaseModel):
    """Which reading."""

    sha256: Sha256
    page: Annotated[int, Field(ge=0, lt=2**31)]
    field: Annotated[str, Field(max_length=200)]

    def key(self) -> ReadingKey:
        """As the desk takes it."""
        return ReadingKey(self.sha256, self.page, self.field)


class FilterIn(BaseModel):
    """Which readings are asked for."""

    field: Annotated[str, Field(max_length=200)] = ""
    file: Annotated[str, Field(max_length=400)] = ""
    reason: Annotated[str, Field(max_length=200)] = ""
    page: Annotated[int, Field(ge=0, lt=2**31)] = 0
    below: Annotated[float, Field(ge=0, le=1.01)] = 1.01
    everything: bool = False

    def filter(self) -> Filter:
        """As the desk takes it."""
        return Filter(
            field=self.field,
            file=self.file,
            reason=self.reason,
            page=self.page,
            below=self.below,
            everything=self.everything,
        )


class NextIn(BaseModel):
    """Asks for more to look at; `have` are those that are there already."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"who": "Ann", "count": 8, "filter": {"field": "total"}}]}
    )

    who: Who
    count: Annotated[int, Field(ge=0, le=40)] = _FIRST
    have: Annotated[list[KeyIn], Field(max_length=80)] = []
    filter: FilterIn = FilterIn()


class SettleIn(NextIn):
    """What stands on paper, and the next ones, please."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "who": "Ann",
                    "reading": {"sha256": "9f2c" * 16, "page": 0, "field": "total"},
                    "text": "28450",
                    "state": "value",
                    "seen": 0,
                    "count": 1,
                }
            ]
        }
    )

    count: Annotated[int, Field(ge=0, le=40)] = 1
    reading: KeyIn
    text: Annotated[str, Field(max_length=200)] = ""
    state: Literal["value", "blank", "struck", "illegible"] = "value"
    seen: Annotated[int, Field(ge=0, lt=2**62)]


class UndoIn(BaseModel):
    """Takes the last statement back."""

    who: Who
    reading: KeyIn
    seen: Annotated[int, Field(ge=0, lt=2**62)]


class DoubtIn(BaseModel):
    """Marks readings for review."""

    who: Who
    readings: Annotated[list[KeyIn], Field(max_length=_MOSAIC)]


class ItemOut(BaseModel):
    """A reading to look at, with its pictures as PNG data URLs, empty where the file is gone.

    Of an amount, `text` has its point, before `decimals` digits.
    """

    reading: KeyIn
    file: str
    page: int
    text: str
    decimals: int
    written: str
    state: str
    confidence: float
    reason: str
    alternatives: list[tuple[str, float]]
    seen: int
    crop: str
    context: str


class ProgressOut(BaseModel):
    """How far the review is."""

    readings: int
    marked: int
    settled: int
    seconds: float
    failed_pages: int


class NextOut(BaseModel):
    """More to look at; `revision` is that of what was settled, 0 where nothing was."""

    revision: int = 0
    items: list[ItemOut]
    progress: ProgressOut


class UndoneOut(BaseModel):
    """The revision that a statement was taken back to."""

    revision: int


class DigitSeenOut(BaseModel):
    """One digit among many of its kind."""

    reading: KeyIn
    file: str
    page: int
    confidence: float
    picture: str


class DigitsOut(BaseModel):
    """Digits that were read alike."""

    digit: str
    start: int
    digits: list[DigitSeenOut]


def _url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode() if png else ""


def _key(key: ReadingKey) -> KeyIn:
    return KeyIn(sha256=key.sha256, page=key.page, field=key.field)


def _item(desk: ReviewDesk, one: Doubtful) -> ItemOut:
    reading = one.reading
    return ItemOut(
        reading=_key(one.key),
        file=clean(desk.name_of(one.ref)),
        page=one.ref.page_number,
        text=shown(reading),
        decimals=len(reading.value.partition(".")[2]),
        written=reading.written,
        state=reading.state.value,
        confidence=round(reading.confidence, 4),
        reason=reading.reason,
        alternatives=[
            (with_decimals(a.text, reading.value) if "." in reading.value else a.text, round(a.probability, 4))
            for a in reading.alternatives
        ],
        seen=one.seen,
        crop=_url(desk.crop(one)),
        context=_url(desk.context(one)),
    )


def _progress(desk: ReviewDesk) -> ProgressOut:
    return ProgressOut(**asdict(desk.progress()))


def _next(desk: ReviewDesk, asked: NextIn, revision: int = 0) -> NextOut:
    found = desk.queue(asked.who, asked.count, asked.filter.filter(), {k.key() for k in asked.have})
    return NextOut(revision=revision, items=[_item(desk, one) for one in found], progress=_progress(desk))


def _stale(now: Statement | None) -> JSONResponse:
    detail = f"{now.who} settled it as {now.text or now.state}" if now is not None else "it was changed"
    return problem(409, "somebody else was faster", detail)


def _desk(request: Request, job: Annotated[str, Query(max_length=64)] = "") -> ReviewDesk:
    """The job that the server was started with, or an uploaded one by its id."""
    desk: ReviewDesk | None = request.app.state.jobs.desk(job) if job else request.app.state.desk
    if desk is None and job:
        raise HTTPException(404, "this job is not here, or no more, or not read yet")
    if desk is None:
        raise HTTPException(404, "no job is open: start the server with one, digitscan serve results.job")
    return desk


DeskDep = Annotated[ReviewDesk, Depends(_desk)]


def review_routes(templates: Jinja2Templates) -> APIRouter:
    """The routes; they answer 404 where no job is open."""
    router = APIRouter()

    @router.get("/review", response_class=HTMLResponse, include_in_schema=False)
    async def page(request: Request, desk: DeskDep, job: str = "") -> Response:
        progress = await asyncio.to_thread(_progress, desk)
        results = f"/api/jobs/{job}/results.csv" if job else "/api/review/results.csv"
        values = {"version": __version__, "job": desk.job.name, "progress": progress, "results": results,
                  "query": f"?job={job}" if job else ""}  # fmt: skip
        return templates.TemplateResponse(request, "review.html", values)

    @router.get("/review/digits", response_class=HTMLResponse, include_in_schema=False)
    async def mosaic_page(request: Request, desk: DeskDep, job: str = "") -> Response:
        values = {"version": __version__, "job": desk.job.name, "query": f"?job={job}" if job else ""}
        return templates.TemplateResponse(request, "digits.html", values)

    @router.post("/api/review/next", summary="The most doubtful readings that nobody else looks at")
    async def following(desk: DeskDep, asked: NextIn) -> NextOut:
        return await asyncio.to_thread(_next, desk, asked)

    @router.post("/api/review/settle", summary="Say what stands on paper", response_model=NextOut)
    async def settle(desk: DeskDep, body: SettleIn) -> Response:
        def work() -> NextOut:
            statement = desk.settle(body.reading.key(), body.text, body.state, body.who, body.seen)
            return _next(desk, body, statement.revision)

        try:
            answer = await asyncio.to_thread(work)
        except StaleError as error:
            return _stale(error.now)
        return Response(answer.model_dump_json(), media_type="application/json")

    @router.post("/api/review/undo", summary="Take the last statement back", response_model=UndoneOut)
    async def undo(desk: DeskDep, body: UndoIn) -> Response:
        try:
            statement = await asyncio.to_thread(desk.undo, body.reading.key(), body.who, body.seen)
        except StaleError as error:
            return _stale(error.now)
        return JSONResponse({"revision": statement.revision})

    @router.get("/api/review/digits", summary="Digits that were read alike")
    async def digits(
        desk: DeskDep,
        digit: Annotated[str, Query(pattern="^[0-9]$")],
        start: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        count: Annotated[int, Query(ge=1, le=_MOSAIC)] = _MOSAIC,
    ) -> DigitsOut:
        def work() -> DigitsOut:
            found = desk.digits(digit, start, count)
            shown = [
                DigitSeenOut(
                    reading=_key(one.key),
                    file=clean(desk.name_of(one.ref)),
                    page=one.ref.page_number,
                    confidence=round(one.confidence, 4),
                    picture=_url(desk.digit_crop(one)),
                )
                for one in sorted(found, key=lambda one: (one.ref.path, one.ref.page_index))
            ]  # fmt: skip  (page by page, so that each is decoded once)
            return DigitsOut(digit=digit, start=start, digits=shown)

        return await asyncio.to_thread(work)

    @router.post("/api/review/doubt", summary="Mark readings for review")
    async def doubt(desk: DeskDep, body: DoubtIn) -> dict[str, int]:
        keys = [one.key() for one in body.readings]
        return {"marked": await asyncio.to_thread(desk.doubt, keys, body.who)}

    @router.get("/api/review/progress", summary="How far the review is")
    async def progress(desk: DeskDep) -> ProgressOut:
        return await asyncio.to_thread(_progress, desk)

    @router.get(
        "/api/review/results.csv",
        summary="The results as they stand now",
        response_class=Response,
        responses=file_of("text/csv"),
    )
    async def results(desk: DeskDep) -> Response:
        return StreamingResponse(
            _csv(desk.job), media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="results.csv"'}
        )

    return router


def _csv(job: Path) -> Iterator[bytes]:
    file = JobFile(job)
    model = file.run.model.id
    try:
        yield rows_as_csv([list(COLUMNS)])
        for outcome in file.outcomes():
            if isinstance(outcome, PageFailure):
                yield rows_as_csv([failure_row(outcome, model)])
            elif outcome.readings:
                yield rows_as_csv([reading_row(outcome, reading, model) for reading in outcome.readings])
    finally:
        file.close()
