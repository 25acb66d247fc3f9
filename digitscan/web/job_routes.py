"""Uploaded jobs: pages and API. What they do is in `digitscan.web.jobs`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, BinaryIO, Literal

from fastapi import APIRouter, Depends, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, ConfigDict
from starlette.background import BackgroundTask

from digitscan.core.types import PageFailure
from digitscan.core.version import __version__
from digitscan.export.records import clean, page_record
from digitscan.web.jobs import WebJob, WebJobs
from digitscan.web.schemas import file_of
from digitscan.web.settings import WebSettings

_LOOK_S = 0.4
_KINDS = {
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class JobOut(BaseModel):
    """Where a job stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "5f0c" * 8, "state": "reading", "files": 40, "found": 40, "done": 12, "failed": 0,
                    "readings": 310, "review": 21, "form": "", "error": "", "started": 1760000000.0, "ended": 0.0,
                }
            ]
        }
    )  # fmt: skip

    id: str
    state: Literal["waiting", "reading", "done", "failed"]
    files: int
    found: int
    done: int
    failed: int
    readings: int
    review: int
    form: str
    error: str
    started: float
    ended: float


class JobPageOut(BaseModel):
    """One page of a job; `number` names its picture."""

    number: int
    file: str
    page: int
    status: Literal["ok", "failed"]
    message: str
    readings: int
    review: int


def _out(job: WebJob) -> JobOut:
    return JobOut(
        id=job.id, state=job.state, files=len(job.names), found=job.found, done=job.done, failed=job.failed,
        readings=job.readings, review=job.review, form=job.form, error=job.error, started=job.started, ended=job.ended,
    )  # fmt: skip


def _jobs(request: Request) -> WebJobs:
    jobs: WebJobs = request.app.state.jobs
    return jobs


JobsDep = Annotated[WebJobs, Depends(_jobs)]


def _job(jobs: JobsDep, key: str) -> WebJob:
    job = jobs.get(key)
    if job is None:
        raise HTTPException(404, "this job is not here, or no more")
    return job


JobDep = Annotated[WebJob, Depends(_job)]


def _pages(job: WebJob, start: int, count: int) -> list[JobPageOut]:
    pages: list[JobPageOut] = []
    for number, stored in enumerate(job.as_read(), 1):
        if number <= start:
            continue
        if len(pages) == count:
            break
        outcome = job.shown(stored)
        failed = isinstance(outcome, PageFailure)
        readings = () if isinstance(outcome, PageFailure) else outcome.readings
        pages.append(
            JobPageOut(
                number=number, file=clean(outcome.ref.path), page=outcome.ref.page_number,
                status="failed" if failed else "ok",
                message=clean(outcome.message) if isinstance(outcome, PageFailure) else "",
                readings=len(readings), review=sum(r.review for r in readings),
            )
        )  # fmt: skip
    return pages


def job_routes(templates: Jinja2Templates, settings: WebSettings) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get("/jobs", response_class=HTMLResponse, include_in_schema=False)
    async def page(request: Request) -> Response:
        work = request.app.state.work
        forms = [t.form.name for t in work.reader.forms.templates] if work.reader.forms else []
        values = {"version": __version__, "forms": forms, "settings": settings}
        return templates.TemplateResponse(request, "jobs.html", values)

    @router.get("/api/jobs", summary="Jobs that are kept, the newest first")
    async def listed(jobs: JobsDep) -> list[JobOut]:
        return [_out(job) for job in jobs.all()]

    @router.post("/api/jobs", summary="Files, or ZIP archives of files, to read as one job", status_code=202)
    async def add(
        jobs: JobsDep, files: Annotated[list[UploadFile], File()], form: Annotated[str, Form(max_length=200)] = ""
    ) -> JobOut:
        given: list[tuple[str, BinaryIO]] = [(file.filename or "upload", file.file) for file in files]
        return _out(await asyncio.to_thread(jobs.add, given, form))

    @router.get("/api/jobs/{key}", summary="Where a job stands")
    async def status(job: JobDep) -> JobOut:
        return _out(job)

    @router.delete("/api/jobs/{key}", summary="Forget a job that is not being read")
    async def delete(jobs: JobsDep, job: JobDep) -> dict[str, bool]:
        if not await asyncio.to_thread(jobs.delete, job.id):
            raise HTTPException(409, "this job is being read: wait for its end")
        return {"deleted": True}

    @router.get(
        "/api/jobs/{key}/events",
        summary="Where a job stands, as it goes on",
        response_class=Response,
        responses=file_of("text/event-stream"),
    )
    async def events(request: Request, job: JobDep) -> Response:
        async def changes() -> AsyncIterator[str]:
            before = ""
            while not await request.is_disconnected():
                now = _out(job).model_dump_json()
                if now != before:
                    before = now
                    yield f"data: {now}\n\n"
                if job.ended:
                    return
                await asyncio.sleep(_LOOK_S)

        return StreamingResponse(changes(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.get("/api/jobs/{key}/pages", summary="Pages of a job")
    async def pages(job: JobDep, start: int = 0, count: int = 200) -> list[JobPageOut]:
        if start < 0 or not 1 <= count <= 1000:
            raise HTTPException(422, "start is 0 or more, count 1 to 1000")
        return await asyncio.to_thread(_pages, job, start, count)

    @router.get("/api/jobs/{key}/pages/{number}", summary="One page as in results.json")
    async def one(job: JobDep, number: int) -> dict[str, object]:
        def find() -> dict[str, object] | None:
            return next(
                (page_record(job.shown(outcome)) for place, outcome in enumerate(job.as_read(), 1) if place == number),
                None,
            )

        record = await asyncio.to_thread(find)
        if record is None:
            raise HTTPException(404, "there is no such page")
        return record

    @router.get(
        "/api/jobs/{key}/pages/{number}/picture.jpg",
        summary="An annotated page",
        response_class=Response,
        responses=file_of("image/jpeg"),
    )
    async def picture(jobs: JobsDep, job: JobDep, number: int) -> Response:
        data = await asyncio.to_thread(jobs.picture, job, number)
        if not data:
            raise HTTPException(404, "there is no such picture")
        return Response(data, media_type="image/jpeg")

    @router.get(
        "/api/jobs/{key}/results.{kind}",
        summary="Results of a job",
        response_class=Response,
        responses=file_of(*_KINDS.values()),
    )
    async def results(jobs: JobsDep, job: JobDep, kind: Literal["csv", "json", "jsonl", "xlsx"]) -> Response:
        if not job.journal.is_file():
            raise HTTPException(409, "nothing is read yet")
        path = await asyncio.to_thread(jobs.results, job, kind)
        return FileResponse(
            path, media_type=_KINDS[kind], filename=f"results.{kind}", background=BackgroundTask(path.unlink, True)
        )

    return router
