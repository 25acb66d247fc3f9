"""What people say of readings, as values: which reading is meant, what was said, and a page with that laid over it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

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


Kind = Literal["confirmed", "corrected", "completed"]
"""Of a statement that settles a reading: it says what was read, another thing, or what could not be read."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody said of a reading; `revision` grows with every statement of a job.

    Its `text` is made of digits, with a point where its maker set one.
    """

    revision: int
    text: str
    state: str
    who: str
    made_at: float

    @property
    def digits(self) -> str:
        """The digits that stand on paper."""
        return self.text.replace(".", "")


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
    kind = kind_of(reading, statement)
    settled = replace(
        reading,
        state=State(statement.state),
        confidence=1.0,
        review=False,
        reason=f"{kind} by {statement.who}",
        alternatives=(),
    )
    if kind == "confirmed":
        return settled
    return replace(
        settled,
        text=statement.digits,
        digits=(),
        written=statement.text if statement.text != statement.digits else "",
        raw=reading.raw or reading.text,
        value=_value(statement.text, reading.value),
    )


def kind_of(reading: FieldReading, statement: Statement) -> Kind:
    """What a statement is to the reading that it settles. One that breaks a rule, and stands so on paper, was read."""
    state = State.VALUE if reading.state is State.INVALID else reading.state
    amounts = "." in statement.text and bool(reading.value)
    same = _value(statement.text, reading.value) == reading.value if amounts else statement.digits == reading.text
    if same and statement.state == state:
        return "confirmed"
    return "completed" if statement.digits and not reading.text else "corrected"


def _value(text: str, like: str) -> str:
    """The number that digits mean: by their own point, else with one where `like` has it; empty without either."""
    whole, point, typed = text.partition(".")
    decimals = like.partition(".")[2]
    if point:
        return f"{whole.lstrip('0') or '0'}.{typed.ljust(len(decimals), '0')}"
    return with_decimals(text, like)


def shown(reading: FieldReading) -> str:
    """A reading's text as people should see and type it: with the point of an amount, ``15.24`` for 1524."""
    return reading.value if reading.text and "." in reading.value else reading.text


def with_decimals(text: str, like: str) -> str:
    """Digits with a point where `like` has one, from the right; empty where that had no value."""
    _, point, decimals = like.partition(".")
    if not like or not text:
        return ""
    if not point:
        return text.lstrip("0") or "0"
    padded = text.rjust(len(decimals) + 1, "0")
    return f"{padded[: -len(decimals)].lstrip('0') or '0'}.{padded[-len(decimals) :]}"
