"""Outcomes as plain records: the JSON contract, shared by every writer that needs it."""

from __future__ import annotations

import math
from typing import Any

from digitscan.core.types import (
    Box,
    DigitReading,
    FieldReading,
    FormMatch,
    ModelInfo,
    PageFailure,
    PageOutcome,
    RunInfo,
)

SCHEMA = 1
"""Of ``results.json``; raised when a key changes its meaning or goes."""


def clean(text: str) -> str:
    """Text that UTF-8 can carry: bytes of a file name that are no UTF-8 become escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def number(value: float, digits: int = 5) -> float:
    """A float with sensible digits; what is no number becomes 0.0."""
    return round(float(value), digits) if math.isfinite(value) else 0.0


def _box(box: Box) -> list[int]:
    return [int(v) for v in box]


def _digit(digit: DigitReading) -> dict[str, Any]:
    return {
        "digit": digit.digit,
        "confidence": number(digit.confidence),
        "box": _box(digit.box),
        "runner_up": digit.runner_up,
        "margin": number(digit.margin),
    }


def _reading(reading: FieldReading) -> dict[str, Any]:
    return {
        "field": reading.name,
        "row": reading.row,
        "column": reading.column,
        "text": reading.text,
        "written": reading.written,
        "raw": reading.raw,
        "value": reading.value,
        "confidence": number(reading.confidence),
        "state": reading.state.value,
        "review": reading.review,
        "reason": reading.reason,
        "box": _box(reading.box),
        "digits": [_digit(d) for d in reading.digits],
        "alternatives": [{"text": a.text, "probability": number(a.probability)} for a in reading.alternatives],
    }


def run_record(run: RunInfo) -> dict[str, Any]:
    """The origin of a result file."""
    models = {"model": _model_record(run.model)}
    if run.line_model is not None:
        models["line_model"] = _model_record(run.line_model)
    return {"schema": SCHEMA, "digitscan": run.digitscan, **models, "config": run.config}


def _model_record(model: ModelInfo) -> dict[str, Any]:
    return {"id": model.id, "sha256": model.sha256, "normalization_version": model.normalization_version}


def _form(match: FormMatch | None) -> dict[str, Any] | None:
    return None if match is None else {"name": match.name, "page": match.page, "quality": number(match.quality, 3)}


def page_record(outcome: PageOutcome) -> dict[str, Any]:
    """One page of the contract."""
    ref = outcome.ref
    record: dict[str, Any] = {"file": clean(ref.path), "page": ref.page_number, "sha256": ref.sha256}
    if isinstance(outcome, PageFailure):
        error = {
            "stage": outcome.stage,
            "error": outcome.error,
            "message": clean(outcome.message),
            "remedy": clean(outcome.remedy),
        }
        empty = dict.fromkeys(("width", "height", "dpi", "skew_degrees"))
        return {**record, **empty, "form": None, "status": "failed", "error": error, "quality": None, "readings": []}
    return {
        **record,
        "width": outcome.width,
        "height": outcome.height,
        "dpi": outcome.dpi,
        "skew_degrees": number(outcome.skew_degrees, 3),
        "form": _form(outcome.form),
        "status": "ok",
        "error": None,
        "quality": {
            "contrast": number(outcome.quality.contrast, 3),
            "text_height_px": number(outcome.quality.text_height_px, 1),
            "warnings": list(outcome.quality.warnings),
        },
        "readings": [_reading(r) for r in outcome.readings],
    }
