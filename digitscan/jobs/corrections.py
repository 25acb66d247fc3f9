"""What people say of readings: kept in the job file, never overwritten by a run, and laid over what was read.

Every statement is a row of its own, with who made it and when; the last one of a reading counts. A reading is known by
its file's content, its page and its name, so corrections survive moved files, new runs and ``--fresh``.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from digitscan.core.errors import UsageError
from digitscan.core.types import State
from digitscan.jobs.journal import connect, explain
from digitscan.jobs.statements import DOUBT, STATES, WITHDRAWN, ReadingKey, Statement, last_statements


class StaleError(Exception):
    """Somebody else has said something in the meantime: `now` is what."""

    def __init__(self, now: Statement | None) -> None:
        super().__init__("somebody else has settled this reading")
        self.now = now


class Corrections:
    """The statements of a job. Any thread may use it.

    Parameters
    ----------
    path : Path
        A job file.

    Raises
    ------
    UsageError
        If it is no job file.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        if not path.is_file():
            raise UsageError(f"no job {path}", remedy="name the .job file beside a run's results")
        try:
            self._db = connect(path, any_thread=True)
        except sqlite3.DatabaseError as error:
            raise explain(path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with self._db:
                    yield self._db
            except sqlite3.DatabaseError as error:
                raise explain(self._path, error) from error

    def last(self) -> dict[ReadingKey, Statement]:
        """The last statement of every reading that has one that stands."""
        with self._using() as database:
            return last_statements(database)

    def say(self, key: ReadingKey, text: str, state: str, who: str, seen: int) -> Statement:
        """Add a statement; `seen` is the revision of the last one that its maker saw, 0 for none.

        The text of a value is made of digits; an amount may have its point or comma among them.

        Raises
        ------
        StaleError
            If another was made since.
        UsageError
            If the state is unknown, or a value has no digits.
        """
        if state not in STATES:
            raise UsageError(f"no state {state!r}", remedy=f"use one of {', '.join(sorted(STATES))}")
        text = text.replace(",", ".")
        if state == State.VALUE and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            raise UsageError("a value is made of digits", remedy="settle it as blank, struck or illegible instead")
        if state != State.VALUE:
            text = ""
        made_at = time.time()
        with self._using() as database:
            database.execute("BEGIN IMMEDIATE")
            row = database.execute(
                "SELECT id, text, state, who, made_at FROM statements WHERE sha256 = ? AND page = ? AND field = ? "
                "ORDER BY id DESC LIMIT 1",
                key,
            ).fetchone()
            # Who saw nothing and who saw that all was taken back see the same.
            fresh = row is None or (row[2] == WITHDRAWN and not seen)
            if (not fresh and row[0] != seen) or (row is None and seen):
                raise StaleError(Statement(*row) if row else None)
            if state == WITHDRAWN and (row is None or row[2] == WITHDRAWN):
                raise UsageError("there is nothing to take back", remedy="settle it first")
            added = database.execute(
                "INSERT INTO statements (sha256, page, field, text, state, who, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, text, state, who, made_at),
            )
            database.execute("DELETE FROM claims WHERE sha256 = ? AND page = ? AND field = ?", key)
            return Statement(revision=int(added.lastrowid or 0), text=text, state=state, who=who, made_at=made_at)

    def claim(self, keys: Iterable[ReadingKey], who: str, seconds: float) -> None:
        """Keep readings for one person for a while."""
        until = time.time() + seconds
        with self._using() as database:
            database.executemany(
                "INSERT OR REPLACE INTO claims (sha256, page, field, who, until) VALUES (?, ?, ?, ?, ?)",
                [(*key, who, until) for key in keys],
            )

    def claimed(self, but_by: str) -> set[ReadingKey]:
        """Readings that others look at just now."""
        with self._using() as database:
            rows = database.execute(
                "SELECT sha256, page, field FROM claims WHERE who != ? AND until > ?", (but_by, time.time())
            )
            return {ReadingKey(*row) for row in rows}

    def pace(self) -> tuple[int, float]:
        """Statements that settle something, and the median of the seconds between one and the next of a person."""
        with self._using() as database:
            rows = database.execute(
                "SELECT who, made_at FROM statements WHERE state NOT IN (?, ?) ORDER BY id", (DOUBT, WITHDRAWN)
            ).fetchall()
        before: dict[str, float] = {}
        gaps = []
        for who, moment in rows:
            if who in before and moment - before[who] < 120:  # longer is a pause
                gaps.append(moment - before[who])
            before[who] = moment
        gaps.sort()
        return len(rows), gaps[len(gaps) // 2] if gaps else 0.0
