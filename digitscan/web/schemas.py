"""What the API answers, for people and for OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """An error as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""


_WHEN = {
    400: "What was asked makes no sense",
    401: "A token is needed",
    403: "The request comes from another page",
    404: "Not here, or no more",
    409: "Somebody was faster, or it is too early",
    413: "Too large",
    421: "The request names another host",
    422: "What was sent cannot be read",
    503: "Too many requests wait",
    507: "The disk is full",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {
        "description": when,
        "model": Problem,
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": {"type": "about:blank", "title": when.lower(), "status": code, "detail": ""},
            }
        },
    }
    for code, when in _WHEN.items()
}
"""Refusals that any route may answer with, as its description has them."""


def file_of(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The description of an answer that is a file of one of these media types."""
    plain = {"type": "string", "format": "binary"}
    return {200: {"content": {kind: {"schema": {} if kind.endswith("json") else plain} for kind in kinds}}}


class DigitOut(BaseModel):
    """One digit of a number."""

    digit: str
    confidence: float
    box: tuple[int, int, int, int] = Field(description="left, top, width, height in pixels of the picture")
    bars: list[float] = Field(description="probabilities of 0 to 9, and of not-a-digit")
    crop: str = Field(description="what the network sees: 28x28 bytes, 0 is paper, base64")
    models: dict[str, str] = Field(default_factory=dict, description="what other networks say of the same crop")


class NumberOut(BaseModel):
    """One number."""

    text: str
    written: str
    confidence: float
    review: bool
    reason: str
    box: tuple[int, int, int, int]
    digits: list[DigitOut]
    alternatives: list[tuple[str, float]]


class DrawingOut(BaseModel):
    """Everything that was read in a drawing."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "digitnet-1", "milliseconds": 21.4, "numbers": []}]}
    )

    model: str
    milliseconds: float
    numbers: list[NumberOut]


class PredictionOut(BaseModel):
    """One picture of ONE digit."""

    file: str
    digit: str = Field(description="0 to 9, not-a-digit, or empty where there is no ink")
    confidence: float
    bars: list[float]
    error: str = ""


class PredictionsOut(BaseModel):
    """All pictures of one request, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "digitnet-1",
                    "predictions": [{"file": "eight.png", "digit": "8", "confidence": 0.99, "bars": [0.0, 0.0, 0.99]}],
                }
            ]
        }
    )

    model: str
    predictions: list[PredictionOut]


class PageOut(BaseModel):
    """One page of an upload: the record that `results.json` has, and where its picture is."""

    result: dict[str, object]
    picture: str = Field(description="address of the annotated page; empty where it could not be read")


class UploadOut(BaseModel):
    """An upload that was read."""

    id: str
    pages: list[PageOut]
    cut_off: bool = Field(description="the file has more pages than are read here")


class ModelOut(BaseModel):
    """A network that can be chosen."""

    id: str
    parameters: int
    default: bool
    description: str
