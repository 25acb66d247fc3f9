"""What people say of readings, as values: which reading is meant, what was said, and a page with that laid over it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from digitscan.core.types import FieldReading, PageOutcome, PageResult, State

DOUBT = "doubt"
"""State of a statement that says no more than: look again."""
WITHDRAWN = "withdrawn"
"""State of a statement that takes the one before it back."""
STATES = frozenset((State.VALUE, State.BLANK, State.STRUCK, State.ILLEGIBLE, DOUBT, WITHDRAWN))


class ReadingKey(NamedTuple):
    """Which reading: hash of its file, 0-based page, name."""

    sha256: str
    page: int
    field: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody said of a reading; `revision` grows with every statement of a job."""

    revision: int
    text: str
    state: str
    who: str
    made_at: float


def last_statements(database: sqlite3.Connection) -> dict[ReadingKey, Statement]:
    """What stands in an open job file."""
    rows = database.execute("SELECT sha256, page, field, id, text, state, who, made_at FROM statements ORDER BY id")
    found = {ReadingKey(*row[:3]): Statement(*row[3:]) for row in rows}
    return {key: statement for key, statement in found.items() if statement.state != WITHDRAWN}


def corrected(outcome: PageOutcome, statements: Mapping[ReadingKey, Statement]) -> PageOutcome:
    """A page with what people said of its readings laid over what was read."""
    if not statements or not isinstance(outcome, PageResult):
        return outcome
    ref = outcome.ref
    readings = tuple(
        _settled(reading, statements.get(ReadingKey(ref.sha256, ref.page_index, reading.name)))
        for reading in outcome.readings
    )
    return replace(outcome, readings=readings)


def _settled(reading: FieldReading, statement: Statement | None) -> FieldReading:
    if statement is None:
        return reading
    if statement.state == DOUBT:
        return replace(reading, review=True, reason=f"doubted by {statement.who}")
    state = State(statement.state)
    if statement.text == reading.text and state is reading.state:
        return replace(reading, confidence=1.0, review=False, reason=f"confirmed by {statement.who}", alternatives=())
    return replace(
        reading,
        text=statement.text,
        state=state,
        digits=(),
        confidence=1.0,
        review=False,
        reason=f"corrected by {statement.who}",
        alternatives=(),
        written="",
        raw=reading.raw or reading.text,
        value=_with_decimals(statement.text, reading.value),
    )


def _with_decimals(text: str, like: str) -> str:
    """Digits with a point where `like` has one, from the right; empty where that had no value."""
    _, point, decimals = like.partition(".")
    if not like or not text:
        return ""
    if not point:
        return text.lstrip("0") or "0"
    padded = text.rjust(len(decimals) + 1, "0")
    return f"{padded[: -len(decimals)].lstrip('0') or '0'}.{padded[-len(decimals) :]}"
