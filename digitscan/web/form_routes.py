"""The template editor: a blank's zones are found, moved and named on the page, and come back as the TOML of a form."""

from __future__ import annotations

import asyncio
import base64
import tomllib
from typing import Annotated, Literal

import cv2
from fastapi import APIRouter, File, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digitscan.authoring.drafting import straightened, zones_of
from digitscan.core.types import Box, RasterPage
from digitscan.core.version import __version__
from digitscan.forms.template import Template
from digitscan.forms.zones import DraftZone, draft_toml
from digitscan.web.schemas import file_of
from digitscan.web.security import problem
from digitscan.web.work import Work

_SHOWN_PX = 1400
"""Longest side of the picture that the editor shows."""
_MOST_ZONES = 2_000


class ZoneIO(BaseModel):
    """A zone; `box` is left, top, width, height in pixels of the blank."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
    kind: Literal["boxes", "comb", "free", "mark", "grid"]
    box: tuple[int, int, int, int]
    rows: Annotated[int, Field(ge=1, le=500)] = 1
    columns: Annotated[int, Field(ge=1, le=64)] = 1


class DraftOut(BaseModel):
    """A blank as the editor shows it; `straightened` is the blank as PNG where it had to be turned."""

    width: int
    height: int
    dpi: float
    known_dpi: bool
    picture: str
    straightened: str
    zones: list[ZoneIO]


class TemplateIn(BaseModel):
    """What a template is made of."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "delivery",
                    "blank": "delivery.png",
                    "width": 1654,
                    "height": 2339,
                    "dpi": 200,
                    "known_dpi": True,
                    "zones": [{"name": "total", "kind": "boxes", "box": [1200, 2000, 300, 60], "columns": 6}],
                }
            ]
        }
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=64)]
    blank: Annotated[str, Field(pattern=r"^[A-Za-z0-9_. -]{1,120}$")]
    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]
    dpi: Annotated[float, Field(ge=50, le=1200)]
    known_dpi: bool
    zones: Annotated[list[ZoneIO], Field(min_length=1, max_length=_MOST_ZONES)]


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def _draft(page: RasterPage) -> DraftOut:
    straight = straightened(page.image)
    zones, dpi = zones_of(straight, page.dpi)
    height, width = straight.shape
    scale = min(1.0, _SHOWN_PX / max(width, height))
    small = cv2.resize(straight, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else straight
    turned = straight is not page.image
    counts: dict[str, int] = {}
    named = []
    for zone in zones[:_MOST_ZONES]:
        word = {"mark": "tick", "grid": "table"}.get(zone.kind, "field")
        counts[word] = counts.get(word, 0) + 1
        box = (zone.box.x, zone.box.y, zone.box.width, zone.box.height)
        named.append(
            ZoneIO(name=f"{word}{counts[word]}", kind=zone.kind, box=box, rows=zone.rows, columns=min(zone.columns, 64))
        )
    return DraftOut(
        width=width, height=height, dpi=round(dpi, 2), known_dpi=page.dpi is not None,
        picture=_url("jpeg", cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()),
        straightened=_url("png", cv2.imencode(".png", straight)[1].tobytes()) if turned else "", zones=named,
    )  # fmt: skip


def _text(given: TemplateIn) -> str:
    zones = [
        DraftZone(zone.kind, Box(*zone.box), rows=zone.rows, columns=zone.columns, name=zone.name)
        for zone in given.zones
    ]
    return draft_toml(
        given.name, given.blank, [zones], given.dpi, (given.width, given.height), known_dpi=given.known_dpi
    )


def form_routes(templates: Jinja2Templates) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get("/forms", response_class=HTMLResponse, include_in_schema=False)
    async def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "forms.html", {"version": __version__})

    @router.post("/api/forms/draft", summary="The zones of a blank form's first page")
    async def draft(request: Request, file: Annotated[UploadFile, File()]) -> DraftOut:
        work: Work = request.app.state.work
        data = await file.read()

        def find() -> DraftOut:
            return _draft(work.first_page(data))

        found: DraftOut = await request.app.state.gate.run(find)
        return found

    @router.post(
        "/api/forms/template", summary="A template's TOML", response_class=Response,
        responses=file_of("application/toml"),
    )  # fmt: skip
    async def template(given: TemplateIn) -> Response:
        for zone in given.zones:
            x, y, w, h = zone.box
            if min(x, y) < 0 or min(w, h) < 1 or x + w > given.width or y + h > given.height:
                raise HTTPException(422, f"{zone.name} reaches beyond the page")
        text = await asyncio.to_thread(_text, given)
        try:
            Template.model_validate(tomllib.loads(text))
        except ValidationError as error:
            return problem(422, "no template", str(error.errors()[0]["msg"]))
        return Response(text, media_type="application/toml")

    return router
