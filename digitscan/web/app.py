"""The server: routes, and nothing else. What they do is in `work`, what they refuse in `security`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import cv2
import numpy as np
from fastapi import Depends, FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException as StarletteHTTPException

from digitscan.core.config import Config
from digitscan.core.errors import DigitscanError, OutputError, UsageError
from digitscan.core.types import Crops
from digitscan.core.version import __version__
from digitscan.jobs.review import ReviewDesk
from digitscan.recognition.architectures import architecture
from digitscan.web.form_routes import form_routes
from digitscan.web.job_routes import job_routes
from digitscan.web.jobs import WebJobs
from digitscan.web.meter import Meter
from digitscan.web.review import review_routes
from digitscan.web.schemas import ERRORS, DrawingOut, ModelOut, PredictionsOut, UploadOut
from digitscan.web.security import COOKIE, BodyLimit, BodyTooLarge, Guard, problem
from digitscan.web.settings import WebSettings
from digitscan.web.work import EMPTY, Work, predictions

_HERE = Path(__file__).parent
_MOST_PICTURES = 256
"""Pictures in one request of `/api/predict`."""
Answer = TypeVar("Answer")


class _Admission:
    """So many calls are worked on at once, in threads of their own; so many wait, the rest are refused."""

    def __init__(self, name: str, at_once: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._inside, self._most = 0, at_once + waiting

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run blocking work in a thread, when its turn comes."""
        if self._inside >= self._most:
            raise HTTPException(503, "too many requests wait: try again in a moment")
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._inside -= 1

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def create_app(settings: WebSettings, config: Config | None = None) -> FastAPI:
    """The web application.

    Parameters
    ----------
    settings : WebSettings
    config : Config, optional
        How pages are read; the defaults when not given.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.work = await asyncio.to_thread(Work, settings, config)
        app.state.gate = _Admission("pages", settings.at_once, settings.waiting)
        # Digits take a few milliseconds of many small calls: several threads would only wrest them from each other.
        app.state.quick = _Admission("digits", 1, settings.waiting)
        app.state.jobs = WebJobs(settings, app.state.work.config, app.state.work.uploads.root)
        app.state.desk = ReviewDesk(settings.job, config) if settings.job is not None else None
        # The first drawing must not wait for the network's compilation.
        await asyncio.to_thread(app.state.work.read_drawing, _warm_up_picture(), ())
        try:
            yield
        finally:
            await asyncio.to_thread(app.state.jobs.close)
            app.state.gate.close()
            app.state.quick.close()
            app.state.work.close()
            if app.state.desk is not None:
                app.state.desk.close()

    app = FastAPI(
        title="digitscan", version=__version__, summary="Numbers on paper, or drawn, become data.",
        lifespan=lifespan, docs_url=None, redoc_url=None, responses=ERRORS,
    )  # fmt: skip
    registry = CollectorRegistry()
    # Names and boundaries of an upload take some room beside its files.
    app.add_middleware(BodyLimit, most=settings.max_bytes, larger={"/api/jobs": settings.max_job_bytes + 10_000_000})
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Meter, registry=registry)
    _tell_errors(app)
    templates = Jinja2Templates(directory=_HERE / "templates")
    _add_pages(app, settings, registry, templates)
    _add_api(app)
    app.include_router(review_routes(templates))
    app.include_router(job_routes(templates, settings))
    app.include_router(form_routes(templates))
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    return app


def _warm_up_picture() -> bytes:
    """A number to read before the first visitor comes."""

    sheet = np.full((120, 300), 255, np.uint8)
    cv2.putText(sheet, "2026", (30, 90), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 0, 6)
    return cv2.imencode(".png", sheet)[1].tobytes()


def _tell_errors(app: FastAPI) -> None:
    @app.exception_handler(StarletteHTTPException)
    async def http_error(_: Request, error: StarletteHTTPException) -> Response:
        return problem(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return problem(422, "the request makes no sense", f"{where}: {first['msg']}")

    @app.exception_handler(DigitscanError)
    async def own_error(_: Request, error: DigitscanError) -> Response:
        status = 400 if isinstance(error, UsageError) else 507 if isinstance(error, OutputError) else 422
        return problem(status, error.message, error.remedy)

    @app.exception_handler(BodyTooLarge)
    async def too_large(_: Request, __: BodyTooLarge) -> Response:
        return problem(413, "too large")


def _work(request: Request) -> Work:
    work: Work = request.app.state.work
    return work


def _gate(request: Request) -> _Admission:
    gate: _Admission = request.app.state.gate
    return gate


def _quick(request: Request) -> _Admission:
    gate: _Admission = request.app.state.quick
    return gate


WorkDep = Annotated[Work, Depends(_work)]
GateDep = Annotated[_Admission, Depends(_gate)]
QuickDep = Annotated[_Admission, Depends(_quick)]


def _add_pages(app: FastAPI, settings: WebSettings, registry: CollectorRegistry, templates: Jinja2Templates) -> None:
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index(request: Request, work: WorkDep, token: str = "") -> Response:
        home = "/" if settings.job is None else "/review"
        if token and settings.token:  # the token goes into a cookie, and out of the address
            response: Response = RedirectResponse(home, 303)
            response.set_cookie(COOKIE, settings.token, httponly=True, samesite="strict")
            return response
        default = work.reader.classifier.card.id
        others = sorted(name for name in work.cards if name != default)
        forms = [t.form.name for t in work.reader.forms.templates] if work.reader.forms else []
        values = {"version": __version__, "default": default, "others": others, "settings": settings, "forms": forms}
        return templates.TemplateResponse(request, "index.html", values)

    @app.get("/healthz", summary="Is the server up, and is the model loaded?")
    async def health(work: WorkDep) -> dict[str, str]:
        return {"status": "ok", "version": __version__, "model": work.reader.classifier.card.id}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/results/{key}/{number}.jpg", include_in_schema=False)
    async def picture(work: WorkDep, key: str, number: int) -> Response:
        path = work.uploads.picture(key, number)
        if path is None:
            raise HTTPException(404, "this picture is not here, or no more")
        return FileResponse(path, media_type="image/jpeg")


def _add_api(app: FastAPI) -> None:
    @app.get("/api/models", response_model=list[ModelOut], summary="Networks that can be chosen")
    async def models(work: WorkDep) -> list[ModelOut]:
        default = work.reader.classifier.card.id
        return [
            ModelOut(
                id=name, parameters=card.parameters, default=name == default,
                description=architecture(card.architecture).summary,
            )
            for name, card in sorted(work.cards.items())
        ]  # fmt: skip

    @app.post("/api/draw", response_model=DrawingOut, summary="Read everything in one drawing")
    async def drawing(
        request: Request,
        work: WorkDep,
        gate: QuickDep,
        models: Annotated[list[str] | None, Query(max_length=12)] = None,
    ) -> DrawingOut:
        data = await request.body()
        if not data:
            raise HTTPException(422, "send a picture as the request's body")
        return await gate.run(lambda: work.read_drawing(data, models or ()))

    @app.post("/api/predict", response_model=PredictionsOut, summary="Pictures of ONE digit each")
    async def predict(
        work: WorkDep, gate: QuickDep, files: Annotated[list[UploadFile], File()], model: Annotated[str, Form()] = ""
    ) -> PredictionsOut:
        if len(files) > _MOST_PICTURES:
            raise HTTPException(422, f"at most {_MOST_PICTURES} pictures at once")
        classifier = await asyncio.to_thread(work.classifier, model) if model else work.reader.classifier
        found: list[Crops | DigitscanError] = []
        for file in files:  # one by one: nobody's many pictures hold up another's one
            try:
                found.append(await gate.run(partial(work.crop, await file.read())))
            except DigitscanError as error:
                found.append(error)
        crops = np.concatenate([EMPTY, *(crop for crop in found if not isinstance(crop, DigitscanError))])
        if classifier is work.reader.classifier:
            rows = await work.batcher.classify(crops)
        else:
            rows = await asyncio.to_thread(classifier.classify, crops)
        names = [_plain(file.filename) for file in files]
        return PredictionsOut(model=classifier.card.id, predictions=predictions(names, found, rows))

    @app.post("/api/process", response_model=UploadOut, summary="Read a page, a photo or a PDF")
    async def process(work: WorkDep, gate: GateDep, file: Annotated[UploadFile, File()]) -> UploadOut:
        data, name = await file.read(), _plain(file.filename)
        return await gate.run(lambda: work.read_upload(data, name))


def _plain(name: str | None) -> str:
    """A name to show; it never becomes a path."""
    return "".join(c for c in Path(name or "upload").name if c.isprintable())[:120] or "upload"
