"""The job file: what a run has read, page by page, in one SQLite file. A run that ended early goes on from it.

See docs/job-file.md for the schema. A page is known by its content (the file's sha256, and the page's number) and by
the run's origin; so moved files are recognized, and changed ones are read anew.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from digitscan.core.errors import OutputError, UsageError
from digitscan.core.types import PageFailure, PageOutcome, PageRef, PageResult, RunInfo
from digitscan.jobs.statements import DOUBT, ReadingKey, Statement, corrected, last_statements

SCHEMA = 2
"""Of the job file; raised when a table changes."""
_APPLICATION = 0x64677363
"""SQLite's application id of a job file: "dgsc"."""
_HEADER = 100
"""Bytes of the head of a SQLite file, with that id in it."""
_TABLES = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pages (
  file TEXT NOT NULL,
  page INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  position INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
  stage TEXT NOT NULL,
  readings INTEGER NOT NULL,
  review INTEGER NOT NULL,
  outcome BLOB NOT NULL,
  read_at REAL NOT NULL,
  seconds REAL NOT NULL DEFAULT 0,
  PRIMARY KEY (file, page)
);
CREATE INDEX pages_by_content ON pages (sha256, page);
CREATE INDEX pages_in_order ON pages (position);
"""
_WHAT_PEOPLE_SAY = """
CREATE TABLE statements (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sha256 TEXT NOT NULL,
  page INTEGER NOT NULL,
  field TEXT NOT NULL,
  text TEXT NOT NULL,
  state TEXT NOT NULL,
  who TEXT NOT NULL,
  made_at REAL NOT NULL
);
CREATE INDEX statements_by_reading ON statements (sha256, page, field);
CREATE TABLE claims (
  sha256 TEXT NOT NULL,
  page INTEGER NOT NULL,
  field TEXT NOT NULL,
  who TEXT NOT NULL,
  until REAL NOT NULL,
  PRIMARY KEY (sha256, page, field)
);
"""


@dataclass(frozen=True, slots=True)
class JobSummary:
    """Where a job stands.

    Attributes
    ----------
    pages, failed, readings, review : int
    failures : tuple of (str, int)
        Stages and errors with how often, the most frequent first.
    started, last : float
        Seconds since the epoch.
    page_s : float
        Mean seconds that a worker took for a page; 0 where none was timed.
    settled : int
        Readings that people have settled.
    finished : bool
        The last run came to its end.
    """

    pages: int
    failed: int
    readings: int
    review: int
    failures: tuple[tuple[str, int], ...]
    started: float
    last: float
    page_s: float
    settled: int
    finished: bool


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{prefix}{key}.")
        return found
    return {prefix[:-1]: json.dumps(value)}


def origin_of(run: RunInfo) -> dict[str, str]:
    """What a page's reading depends on, as flat text: version, models, settings, forms."""
    return _flat(msgspec.to_builtins(run))


def _forms_of(origin: Mapping[str, str]) -> dict[str, str]:
    """Digests of the forms of an origin, by their names."""
    told = str(json.loads(origin.get("config.forms", '""')))
    return {name: digest for name, _, digest in (form.rpartition(":") for form in told.split("+") if form)}


def _encode_text(path: str) -> str:
    """A path as SQLite takes it: bytes of a name that are no UTF-8 become escapes that can be undone."""
    return path.encode("utf-8", "surrogateescape").decode("latin-1")


def _decode_text(stored: str) -> str:
    return stored.encode("latin-1").decode("utf-8", "surrogateescape")


class Journal:
    """An open job file.

    Parameters
    ----------
    path : Path
    run : RunInfo
        The origin of this run; a file of another one is refused.
    fresh : bool
        Forget what the file holds.

    Raises
    ------
    UsageError
        If the file belongs to another configuration, or is no job file.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path, run: RunInfo, *, fresh: bool = False) -> None:
        self.path = path
        self.reused = 0
        try:
            refuse_other_files(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            statements = _statements_of(path) if fresh else []
            if fresh:
                for old in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                    old.unlink(missing_ok=True)
            new = not path.exists() or path.stat().st_size == 0
            self._db = connect(path, new=new)
            if new:
                self._create(run)
                self._db.executemany("INSERT INTO statements VALUES (?, ?, ?, ?, ?, ?, ?, ?)", statements)
            else:
                with telling_damage(path):
                    self._compare(run)
            self._set("finished", "false")
            self._db.commit()
            with telling_damage(path):
                self._said = last_statements(self._db)
                self._position = int(self._db.execute("SELECT coalesce(max(position), 0) FROM pages").fetchone()[0])
        except sqlite3.DatabaseError as error:
            raise explain(path, error) from error
        except OSError as error:
            raise OutputError(
                f"cannot write the job file {path}: {error.strerror}", remedy="name another with --job"
            ) from error
        self._took: dict[tuple[str, int], float] = {}

    def _create(self, run: RunInfo) -> None:
        self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
        self._db.execute(f"PRAGMA user_version = {SCHEMA}")
        self._db.executescript(_TABLES + _WHAT_PEOPLE_SAY)
        self._set("run", msgspec.json.encode(run).decode())
        self._set("started", repr(time.time()))

    def _compare(self, run: RunInfo) -> None:
        own, now = origin_of(_run_of(self._db)), origin_of(run)
        unlike = [key for key in sorted(own.keys() | now.keys()) if own.get(key) != now.get(key)]
        unlike = [key for key in unlike if key != "config.digest"] or unlike
        if "config.forms" in unlike:
            self._tell_forms(_forms_of(own), _forms_of(now))
        if unlike:
            shown = "; ".join(f"{key}: {own.get(key, 'none')} there, {now.get(key, 'none')} now" for key in unlike[:3])
            raise UsageError(
                f"the job {self.path} was read in another way ({shown})",
                remedy="give --fresh to read everything anew, or write to another --out",
            )

    def _tell_forms(self, own: dict[str, str], now: dict[str, str]) -> None:
        """Say which forms are others than before."""
        remedy = "give --fresh to read everything anew, or write to another --out"
        if gone := sorted(own.keys() - now.keys()):
            names = " and ".join(gone)
            given = " ".join(f"--form {name}.toml" for name in gone)
            raise UsageError(
                f"in the job {self.path} form {names} was used and is not given now", remedy=f"add {given}, or {remedy}"
            )
        if new := sorted(now.keys() - own.keys()):
            raise UsageError(f"in the job {self.path} form {' and '.join(new)} was not used before", remedy=remedy)
        changed = " and ".join(sorted(name for name in own if own[name] != now[name]))
        if changed:
            raise UsageError(f"form {changed} has changed since the job {self.path} was read", remedy=remedy)

    def _set(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO run VALUES (?, ?)", (key, value))

    def known(self, ref: PageRef) -> PageResult | None:
        """The result of a page of the same content, under its present name; None where it must be read."""
        if not ref.sha256:
            return None
        row = self._db.execute(
            "SELECT outcome, seconds FROM pages WHERE sha256 = ? AND page = ? AND status = 'ok' LIMIT 1",
            (ref.sha256, ref.page_index),
        ).fetchone()
        if row is None:
            return None
        try:
            result = msgspec.json.decode(row[0], type=PageResult)
        except (msgspec.MsgspecError, ValueError, TypeError):  # damaged: the page is read again
            return None
        self.reused += 1
        self._took[ref.sha256, ref.page_index] = row[1]
        return replace(result, ref=ref)

    def corrected(self, outcome: PageOutcome) -> PageOutcome:
        """A page with what people said of its readings before this run laid over it."""
        return corrected(outcome, self._said)

    def places(self, sha256: str) -> list[str]:
        """Paths under which a file of this content was read."""
        rows = self._db.execute("SELECT DISTINCT file FROM pages WHERE sha256 = ? ORDER BY position", (sha256,))
        return [_decode_text(row[0]) for row in rows]

    def add(self, *outcomes: PageOutcome, seconds: float = 0.0) -> None:
        """Keep pages, all or none; a later one of the same name and number takes the place of an earlier.

        `seconds` is how long reading each took.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        with self._writing():
            self._put(outcomes, seconds)

    def add_file(self, outcomes: Sequence[PageOutcome], source: str, forget: Sequence[str] = ()) -> None:
        """Keep the pages of a file that is about to be moved from `source`; `moved` says that it was.

        In the same moment all that was kept under the paths `forget` goes.
        """
        with self._writing():
            self._db.executemany("DELETE FROM pages WHERE file = ?", [(_encode_text(path),) for path in forget])
            self._put(outcomes)
            place = outcomes[0].ref
            self._set("moving", json.dumps([_encode_text(source), _encode_text(place.path), place.sha256]))

    def moved(self) -> None:
        """Say that the file of `add_file` is in its place."""
        with self._writing():
            self._db.execute("DELETE FROM run WHERE key = 'moving'")

    @property
    def moving(self) -> tuple[str, str, str] | None:
        """Source, place and hash of a file that was kept, and perhaps not moved before the run ended."""
        found = _get(self._db, "moving")
        if not found:
            return None
        source, place, sha256 = json.loads(found)
        return _decode_text(source), _decode_text(place), sha256

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
            self._db.commit()
        except sqlite3.DatabaseError as error:
            raise explain(self.path, error) from error

    def _put(self, outcomes: Sequence[PageOutcome], seconds: float = 0.0) -> None:
        for outcome in outcomes:
            self._position += 1
            ok = isinstance(outcome, PageResult)
            readings = outcome.readings if isinstance(outcome, PageResult) else ()
            # Names that are no UTF-8 cannot stand in JSON: the name has a column of its own.
            stored = replace(outcome, ref=replace(outcome.ref, path=""))
            row = (
                _encode_text(outcome.ref.path), outcome.ref.page_index, outcome.ref.sha256, self._position,
                "ok" if ok else "failed", "" if isinstance(outcome, PageResult) else outcome.stage, len(readings),
                sum(r.review for r in readings), msgspec.json.encode(stored), time.time(),
                seconds or self._took.get((outcome.ref.sha256, outcome.ref.page_index), 0.0),
            )  # fmt: skip
            self._db.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def finish(self) -> None:
        """Say that the run came to its end."""
        with self._writing():
            self._set("finished", "true")

    def close(self) -> None:
        """Close the file; everything added is in it."""
        with contextlib.suppress(sqlite3.DatabaseError):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def refuse_other_files(path: Path) -> None:
    """Refuse what is no job before anything is opened, written or deleted: not even its journal mode is changed.

    Raises
    ------
    UsageError
        If something is there that is neither empty nor a job of digitscan.
    """
    if path.is_symlink():
        raise UsageError(f"{path} is a link, and no job is kept there", remedy="name the file itself with --job")
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return
    other = UsageError(f"{path} is no job of digitscan", remedy="name another file with --job, or move that one away")
    if not path.is_file():
        raise other
    with path.open("rb") as stream:
        head = stream.read(_HEADER)
    if not head.startswith(b"SQLite format 3\x00"):
        raise other
    if int.from_bytes(head[68:72], "big") == _APPLICATION:
        return
    # A run that was killed at its very start has said so in its log alone.
    address = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as database:
        if database.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise other


def connect(path: Path, *, new: bool = False, any_thread: bool = False) -> sqlite3.Connection:
    """Open a job file to write in it; one of an older schema is brought up to date.

    Raises
    ------
    UsageError
        If it is no job file, or of a schema that this version does not know.
    """
    refuse_other_files(path)
    database = sqlite3.connect(path, timeout=10, check_same_thread=not any_thread)
    if new:  # before anything else: a run that is killed at once leaves a file that is known for a job
        database.execute(f"PRAGMA application_id = {_APPLICATION}")
    # A plugged-out machine loses the last pages at the most; the file stays whole.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if not new and _check_kind(database, path) == 1:
        database.executescript(
            "BEGIN; ALTER TABLE pages ADD COLUMN seconds REAL NOT NULL DEFAULT 0;"
            f"{_WHAT_PEOPLE_SAY} PRAGMA user_version = {SCHEMA}; COMMIT"
        )
    return database


def _statements_of(path: Path) -> list[tuple[Any, ...]]:
    """What people said in a job that is about to be read anew: it outlives the readings."""
    if not path.is_file():
        return []
    try:
        database = sqlite3.connect(path)
        try:
            return database.execute("SELECT * FROM statements ORDER BY id").fetchall()
        finally:
            database.close()
    except sqlite3.DatabaseError:  # an older job, a damaged one, or none
        return []


def _get(database: sqlite3.Connection, key: str) -> str:
    row = database.execute("SELECT value FROM run WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def _run_of(database: sqlite3.Connection) -> RunInfo:
    return msgspec.json.decode(_get(database, "run"), type=RunInfo)


def _check_kind(database: sqlite3.Connection, path: Path) -> int:
    if database.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise UsageError(f"{path} is no job of digitscan", remedy="name another file with --job")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if not 1 <= version <= SCHEMA:
        raise UsageError(f"the job {path} has schema {version}, this version knows {SCHEMA}", remedy="give --fresh")
    return int(version)


def explain(path: Path, error: sqlite3.DatabaseError) -> UsageError | OutputError:
    """What an error of SQLite means for whoever runs the job."""
    text = str(error)
    if any(sign in text for sign in ("not a database", "malformed", "no such", "could not decode")):
        return UsageError(
            f"{path} is no job of digitscan, or damaged", remedy="give --fresh, or name another with --job"
        )
    if "full" in text:
        return OutputError(
            f"cannot write the job file {path}: the disk is full", remedy="free some space and run again"
        )
    if "locked" in text:
        return UsageError(f"the job {path} is in use by another run", remedy="wait for it, or name another with --job")
    return OutputError(f"cannot write the job file {path}: {text}", remedy="name another with --job, or give --no-job")


@contextlib.contextmanager
def telling_damage(path: Path) -> Iterator[None]:
    """Tell what cannot be read of a job, whatever finds it, as one error of ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise explain(path, error) from error
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError) as error:
        what = " ".join(str(error).split())[:120]
        raise UsageError(
            f"the job {path} is damaged ({what})",
            remedy="restore a copy of it, or give --fresh to read everything anew",
        ) from error


class JobFile:
    """A job file, to look at: its origin, where it stands, and its pages in order.

    Raises
    ------
    UsageError
        If it is not there or no job file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UsageError(f"no job {path}", remedy="name the .job file beside a run's results")
        self.path = path
        try:
            refuse_other_files(path)
            self._db = sqlite3.connect(path, timeout=10)
        except sqlite3.DatabaseError as error:
            raise explain(path, error) from error
        try:
            with telling_damage(path):
                self._db.execute("PRAGMA query_only = 1")
                self._schema = _check_kind(self._db, path)
                self.run = _run_of(self._db)
        except BaseException:
            self._db.close()
            raise

    def statements(self) -> dict[ReadingKey, Statement]:
        """What people said of readings, the last statement of each."""
        with telling_damage(self.path):
            return last_statements(self._db) if self._schema > 1 else {}

    def outcomes(self) -> Iterator[PageOutcome]:
        """All pages in the order in which they were read, one at a time, with corrections laid over them."""
        statements = self.statements()
        return (corrected(outcome, statements) for outcome in self.as_read())

    def as_read(self) -> Iterator[PageOutcome]:
        """All pages in the order in which they were read, one at a time, without corrections."""
        with telling_damage(self.path):
            rows = self._db.execute("SELECT file, status, outcome FROM pages ORDER BY position")
            for file, status, blob in rows:
                kind: type[PageOutcome] = PageResult if status == "ok" else PageFailure
                outcome: PageOutcome = msgspec.json.decode(blob, type=kind)
                yield replace(outcome, ref=replace(outcome.ref, path=_decode_text(file)))

    def summary(self) -> JobSummary:
        """Where the job stands."""
        with telling_damage(self.path):
            return self._summary()

    def _summary(self) -> JobSummary:
        total = self._db.execute(
            "SELECT count(*), sum(status = 'failed'), sum(readings), sum(review), max(read_at) FROM pages"
        ).fetchone()
        failures: Counter[str] = Counter()
        for (blob,) in self._db.execute("SELECT outcome FROM pages WHERE status = 'failed'"):
            failed = msgspec.json.decode(blob, type=PageFailure)
            failures[f"{failed.stage}: {failed.message}"] += 1
        started = float(_get(self._db, "started") or 0)
        return JobSummary(
            pages=int(total[0]),
            failed=int(total[1] or 0),
            readings=int(total[2] or 0),
            review=int(total[3] or 0),
            failures=tuple(failures.most_common()),
            started=started,
            last=float(total[4] or started),
            page_s=self._mean_seconds(),
            settled=sum(statement.state != DOUBT for statement in self.statements().values()),
            finished=_get(self._db, "finished") == "true",
        )

    def _mean_seconds(self) -> float:
        if self._schema < 2:
            return 0.0
        return float(self._db.execute("SELECT coalesce(avg(seconds), 0) FROM pages WHERE seconds > 0").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()
