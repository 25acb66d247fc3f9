"""What people say of readings: who sees what, what is kept, and the page by which they say it."""

from __future__ import annotations

import csv
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from digitscan.cli.app import app
from digitscan.core.errors import UsageError
from digitscan.core.types import Box, PageRef, PageResult, Quality, RunInfo, State
from digitscan.jobs.corrections import Corrections, StaleError
from digitscan.jobs.journal import JobFile, Journal
from digitscan.jobs.review import Filter, ReviewDesk, agreement, turn_of
from digitscan.jobs.statements import DOUBT, WITHDRAWN, ReadingKey, Statement, corrected
from digitscan.web.app import create_app
from digitscan.web.settings import WebSettings
from tests.conftest import free_port, paper, put, wait_until_up
from tests.test_export import FAILURE, reading

TEXTS = ("271", "31", "5", "1618")


@pytest.fixture
def job(tmp_path: Path, run_info: RunInfo) -> Path:
    return reviewed_job(tmp_path, run_info)


def reviewed_job(folder: Path, run_info: RunInfo) -> Path:
    """Three pages of four numbers each, one upside down; two of each page's readings are marked for review."""
    path = folder / "r.job"
    with Journal(path, run_info) as journal:
        for page in range(3):
            image, readings = paper(700, 420), []
            for k, text in enumerate(TEXTS):
                put(image, text, 60, 90 + 100 * k)
                box = Box(60, 50 + 100 * k, 40 * len(text), 42)
                confidence = 0.3 + 0.05 * page + 0.2 * k
                readings.append(reading(text, confidence, box, name=f"s{k + 1}", review=k < 2, reason=f"odd {page}"))
            turned = page == 2
            source = folder / f"p{page}.png"
            cv2.imwrite(str(source), cv2.rotate(image, cv2.ROTATE_180) if turned else image)
            if turned:
                readings = [_upside_down(one) for one in readings]
            ref = PageRef(str(source), 0, f"{page:064x}")
            journal.add(PageResult(ref, 700, 420, 300.0, 0.0, Quality(0.7, 30.0), tuple(readings)), seconds=0.5)
        journal.add(replace(FAILURE, ref=PageRef(str(folder / "bad.pdf"), 2, "ff")))
    return path


def _upside_down(one):  # type: ignore[no-untyped-def]
    def over(box: Box) -> Box:
        return Box(700 - box.right, 420 - box.bottom, box.width, box.height)

    return replace(one, box=over(one.box), digits=tuple(replace(d, box=over(d.box)) for d in one.digits))


@pytest.fixture
def desk(job: Path):  # type: ignore[no-untyped-def]
    desk = ReviewDesk(job)
    yield desk
    desk.close()


def rows(job: Path) -> list[dict[str, str]]:
    out = job.with_suffix(".again.csv")
    assert CliRunner().invoke(app, ["export", str(job), "--out", str(out)]).exit_code == 0
    with out.open(newline="") as stream:
        return list(csv.DictReader(stream))


# ------------------------------------------------------------------------------------------------ statements


def test_corrections_are_laid_over_what_was_read() -> None:
    ref = PageRef("a.png", 0, "ab")
    page = PageResult(ref, 9, 9, None, 0.0, Quality(0.5, 9.0), (
        reading("4050", 0.5, name="a", value="40.50"), reading("7", 0.5, name="b"), reading("8", 0.99, name="c"),
        reading("9", 0.5, name="d"),
    ))  # fmt: skip
    said = {
        ReadingKey("ab", 0, "a"): Statement(1, "415", "value", "Ann", 0.0),
        ReadingKey("ab", 0, "b"): Statement(2, "7", "value", "Ann", 0.0),
        ReadingKey("ab", 0, "c"): Statement(3, "", DOUBT, "Ben", 0.0),
        ReadingKey("ab", 0, "d"): Statement(4, "", "struck", "Ben", 0.0),
        ReadingKey("cd", 0, "a"): Statement(5, "1", "value", "Ben", 0.0),
    }
    now = corrected(page, said)
    assert isinstance(now, PageResult)
    a, b, c, d = now.readings
    assert (a.text, a.value, a.raw, a.confidence, a.review, a.reason) == (
        "415",
        "4.15",
        "4050",
        1.0,
        False,
        "corrected by Ann",
    )
    assert (b.text, b.reason, b.raw, len(b.digits)) == ("7", "confirmed by Ann", "", 1)
    assert (c.text, c.review, c.reason, c.confidence) == ("8", True, "doubted by Ben", 0.99)
    assert (d.text, d.state, d.raw) == ("", State.STRUCK, "9")
    assert corrected(FAILURE, said) is FAILURE


def test_nobody_overwrites_what_they_did_not_see(job: Path) -> None:
    corrections = Corrections(job)
    key = ReadingKey(f"{0:064x}", 0, "s1")
    first = corrections.say(key, "272", "value", "Ann", 0)
    with pytest.raises(StaleError) as stale:
        corrections.say(key, "273", "value", "Ben", 0)
    assert stale.value.now == first
    second = corrections.say(key, "", "blank", "Ben", first.revision)
    assert corrections.last()[key] == second and second.revision > first.revision
    gone = corrections.say(key, "", WITHDRAWN, "Ben", second.revision)
    assert key not in corrections.last()
    again = corrections.say(key, "5", "value", "Ann", 0)  # as new to whoever sees nothing
    assert corrections.last()[key] == again and again.revision > gone.revision
    for text, state in (("12a", "value"), ("", "value"), ("١٢", "value"), ("1", "guess")):
        with pytest.raises(UsageError):
            corrections.say(key, text, state, "Ann", again.revision)
    corrections.close()


def test_a_job_of_the_first_schema_is_brought_up_to_date(job: Path, run_info: RunInfo) -> None:
    with sqlite3.connect(job) as database:
        database.executescript(
            "DROP TABLE statements; DROP TABLE claims; ALTER TABLE pages DROP COLUMN seconds; PRAGMA user_version = 1"
        )
    assert len(rows(job)) == 13  # only looked at: stays as it is
    with sqlite3.connect(job) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == 1
    with Journal(job, run_info) as journal:
        assert journal.known(PageRef("p0.png", 0, f"{0:064x}")) is not None
    corrections = Corrections(job)
    corrections.say(ReadingKey("ab", 0, "s1"), "1", "value", "Ann", 0)
    corrections.close()


def test_corrections_outlive_runs_and_fresh_starts(job: Path, run_info: RunInfo) -> None:
    key = ReadingKey(f"{1:064x}", 0, "s2")
    corrections = Corrections(job)
    corrections.say(key, "32", "value", "Ann", 0)
    corrections.close()
    assert [r["text"] for r in rows(job) if r["reason"] == "corrected by Ann"] == ["32"]
    kept = JobFile(job)
    pages = list(kept.as_read())
    kept.close()
    with Journal(job, run_info, fresh=True) as journal:
        for outcome in pages:
            journal.add(outcome)
            now = journal.corrected(outcome)
            if isinstance(now, PageResult) and now.ref.sha256 == key.sha256:
                assert [r.text for r in now.readings] == ["271", "32", "5", "1618"]
    assert [(r["text"], r["raw"]) for r in rows(job) if r["reason"] == "corrected by Ann"] == [("32", "31")]


# ------------------------------------------------------------------------------------------------ the desk


def test_the_most_doubtful_come_first_and_nobody_gets_the_same(desk: ReviewDesk) -> None:
    anns = desk.queue("Ann", 4)
    bens = desk.queue("Ben", 4)
    assert [d.reading.confidence for d in anns] == sorted(d.reading.confidence for d in anns)
    assert anns[0].reading.confidence == pytest.approx(0.3) and len(bens) == 2
    assert not {d.key for d in anns} & {d.key for d in bens}
    more = desk.queue("Ann", 10, have={d.key for d in anns})
    assert more == []
    assert {d.key for d in desk.queue("Ann", 10)} == {d.key for d in anns}  # after a reload they are there again


def test_filters(desk: ReviewDesk) -> None:
    def names(asked: Filter) -> list[str]:
        return sorted(f"{Path(d.ref.path).stem}.{d.reading.name}" for d in desk.queue("Ann", 99, asked))

    assert names(Filter(field="s2")) == ["p0.s2", "p1.s2", "p2.s2"]
    assert names(Filter(file="P1")) == ["p1.s1", "p1.s2"]
    assert names(Filter(reason="odd 2", below=0.45)) == ["p2.s1"]
    assert len(names(Filter(everything=True))) == 12
    assert len(names(Filter(page=1))) == 6 and names(Filter(page=2)) == []


def test_what_is_settled_is_gone_until_it_is_taken_back(desk: ReviewDesk, job: Path) -> None:
    one = desk.queue("Ann", 1)[0]
    statement = desk.settle(one.key, "99", "value", "Ann", one.seen)
    assert one.key not in {d.key for d in desk.queue("Ann", 99)}
    assert (desk.progress().settled, desk.progress().marked, desk.progress().failed_pages) == (1, 6, 1)
    assert [r["text"] for r in rows(job) if "Ann" in r["reason"]] == ["99"]
    desk.undo(one.key, "Ann", statement.revision)
    assert one.key in {d.key for d in desk.queue("Ann", 99)} and desk.progress().settled == 0


def test_odd_ones_are_marked_and_come_to_the_queue(desk: ReviewDesk) -> None:
    ones = desk.digits("1", 0, 99)
    assert len(ones) == 3 * 4 and [d.confidence for d in ones] == sorted(d.confidence for d in ones)
    assert [d.key for d in desk.digits("1", 2, 3)] == [d.key for d in ones[2:5]]
    last = ones[-1]
    assert desk.doubt([last.key, last.key], "Ben") == 1 and desk.doubt([last.key], "Ben") == 0
    assert last.key in {d.key for d in desk.queue("Ann", 99)}
    assert last.key not in {d.key for d in desk.digits("1", 0, 99)}


def test_pictures_stand_upright(desk: ReviewDesk) -> None:
    upright, turned = (next(d for d in desk.queue("Ann", 99) if d.ref.path.endswith(f"p{k}.png")) for k in (0, 2))
    assert (upright.turn, turned.turn) == (0, 180)
    a, b = (cv2.imdecode(np.frombuffer(desk.crop(d), np.uint8), 0) for d in (upright, turned))
    assert a.shape == b.shape and np.abs(a.astype(int) - b).mean() < 3
    context = cv2.imdecode(np.frombuffer(desk.context(turned), np.uint8), cv2.IMREAD_COLOR)
    assert context.shape[1] > a.shape[1] and (context[..., 0].astype(int) - context[..., 2] > 80).any()
    Path(upright.ref.path).unlink()
    gone = ReviewDesk(desk.job)
    assert gone.crop(upright) == gone.context(upright) == b""
    gone.close()


@pytest.mark.parametrize(
    ("text", "state", "typed", "settled"),
    [
        ("1524", "value", "15.24", ("confirmed", "1524", "15.24")),
        ("1524", "value", "15,24", ("confirmed", "1524", "15.24")),
        ("1524", "value", "1524", ("confirmed", "1524", "15.24")),
        ("1524", "invalid", "1524", ("confirmed", "1524", "15.24")),  # it breaks a rule, and stands so on paper
        ("1524", "value", "1524.00", ("corrected", "152400", "1524.00")),
        ("1524", "value", "1.524", ("corrected", "1524", "1.524")),
        ("1524", "value", "15.3", ("corrected", "153", "15.30")),
        ("1524", "value", "7", ("corrected", "7", "0.07")),
        ("0042", "value", "0.42", ("confirmed", "0042", "0.42")),
        ("", "illegible", "15.24", ("completed", "1524", "15.24")),
    ],
)
def test_amounts_are_typed_with_their_point(
    tmp_path: Path, run_info: RunInfo, text: str, state: str, typed: str, settled: tuple[str, str, str]
) -> None:
    value = f"{text[:-2].lstrip('0') or '0'}.{text[-2:]}" if text else ""
    read = replace(reading(text or "1", 0.5, name="a", value=value), text=text, state=State(state))
    ref = PageRef("a.png", 0, "ab")
    page = PageResult(ref, 9, 9, None, 0.0, Quality(0.5, 9.0), (read,))
    Journal(tmp_path / "r.job", run_info).close()
    corrections = Corrections(tmp_path / "r.job")
    statement = corrections.say(ReadingKey("ab", 0, "a"), typed, "value", "Ann", 0)
    corrections.close()
    now = corrected(page, {ReadingKey("ab", 0, "a"): statement})
    assert isinstance(now, PageResult)
    (one,) = now.readings
    assert (one.reason, one.text, one.value) == (f"{settled[0]} by Ann", *settled[1:])
    assert one.state is State.VALUE and not one.review


@pytest.mark.parametrize("typed", ["", ".5", "5.", "1.2.3", "1,2,3", "-5", "٣"])
def test_what_is_no_amount_is_not_kept(tmp_path: Path, run_info: RunInfo, typed: str) -> None:
    Journal(tmp_path / "r.job", run_info).close()
    corrections = Corrections(tmp_path / "r.job")
    with pytest.raises(UsageError, match="a value is made of digits"):
        corrections.say(ReadingKey("ab", 0, "a"), typed, "value", "Ann", 0)
    corrections.close()


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_how_a_page_lies_is_seen_from_its_digits(turn: int) -> None:
    one = reading("1234", box=Box(10, 10, 80, 30))
    for _ in range(((360 - turn) % 360) // 90):  # the source lies turned by -turn, clockwise
        one = replace(
            one,
            digits=tuple(
                replace(d, box=Box(100 - d.box.bottom, d.box.x, d.box.height, d.box.width)) for d in one.digits
            ),
        )
    page = PageResult(PageRef("a"), 100, 100, None, 0.0, Quality(0.5, 9.0), (one,))
    assert turn_of(page) == turn


def test_settled_digits_become_training_data(desk: ReviewDesk, job: Path, tmp_path: Path) -> None:
    for one in desk.queue("Ann", 99, Filter(file="p0")) + desk.queue("Ann", 99, Filter(file="p2", field="s2")):
        text = {"s1": "279", "s2": "31"}[one.reading.name]
        desk.settle(one.key, text, "value", "Ann", 0)
    done = CliRunner().invoke(app, ["corrections", "export", str(job), str(tmp_path / "c")])
    assert done.exit_code == 0 and "7 pictures" in done.output, done.output
    found = {p.name: len(list(p.iterdir())) for p in (tmp_path / "c").iterdir()}
    assert found == {"1": 2, "2": 1, "3": 2, "7": 1, "9": 1}
    bands = {band.low: (band.settled, band.confirmed) for band in agreement(job)}
    assert (bands[0.3], bands[0.6]) == ((2, 1), (1, 1))
    shown = CliRunner().invoke(app, ["corrections", "show", str(job)])
    assert shown.exit_code == 0 and "50.0%" in shown.output


# ------------------------------------------------------------------------------------------------ the API


@pytest.fixture
def client(job: Path):  # type: ignore[no-untyped-def]
    with TestClient(create_app(WebSettings(job=job)), base_url="http://localhost:8000") as client:
        yield client


def test_a_scripted_reviewer_needs_a_request_a_reading(client: TestClient, job: Path) -> None:
    items = client.post("/api/review/next", json={"who": "Ann", "count": 3}).json()["items"]
    requests, settled = 1, {}
    while items:
        item = items.pop(0)
        assert item["crop"].startswith("data:image/png;base64,") and item["context"]
        body = {"who": "Ann", "reading": item["reading"], "text": item["text"], "state": "value", "seen": item["seen"],
                "count": 1, "have": [one["reading"] for one in items]}  # fmt: skip
        answer = client.post("/api/review/settle", json=body)
        assert answer.status_code == 200
        items += answer.json()["items"]
        requests += 1
        settled[str(item["reading"])] = item["text"]
    assert requests == 7 and len(settled) == 6 and answer.json()["progress"]["settled"] == 6
    told = client.get("/api/review/results.csv")
    assert told.headers["content-type"].startswith("text/csv")
    listed = list(csv.DictReader(told.text.splitlines()))
    assert sum(r["reason"] == "confirmed by Ann" for r in listed) == 6 and len(listed) == 13
    assert [r for r in listed if r["state"] != "missing"] == [r for r in rows(job) if r["state"] != "missing"]


def test_two_reviewers_and_one_reading(client: TestClient) -> None:
    item = client.post("/api/review/next", json={"who": "Ann", "count": 1}).json()["items"][0]
    body = {"reading": item["reading"], "text": "1", "state": "value", "seen": item["seen"], "count": 0}
    assert client.post("/api/review/settle", json={"who": "Ben", **body}).status_code == 200
    late = client.post("/api/review/settle", json={"who": "Ann", **body})
    assert late.status_code == 409 and "Ben settled it as 1" in late.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"who": ""}, {"who": "a\nb"}, {"text": "x"}, {"text": "1" * 400}, {"state": "withdrawn"}, {"seen": -1},
        {"reading": {"sha256": "../../etc", "page": 0, "field": "s1"}}, {"count": 10_000}, {"seen": 7},
        {"reading": {"sha256": f"{0:064x}", "page": 0, "field": "s9"}},
        {"reading": {"sha256": "", "page": 3, "field": ""}},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(client: TestClient, change: dict[str, object]) -> None:
    reading_ = {"sha256": f"{0:064x}", "page": 0, "field": "s1"}
    body = {"who": "Ann", "reading": reading_, "text": "1", "state": "value", "seen": 0, "count": 0, **change}
    answer = client.post("/api/review/settle", json=body)
    assert answer.status_code in (400, 409, 422) and answer.headers["content-type"] == "application/problem+json"


def test_what_was_never_said_cannot_be_taken_back(client: TestClient) -> None:
    key = {"sha256": f"{0:064x}", "page": 0, "field": "s1"}
    assert client.post("/api/review/undo", json={"who": "Ann", "reading": key, "seen": 0}).status_code == 400
    doubt = client.post("/api/review/doubt", json={"who": "Ann", "readings": [key, {**key, "field": "s77"}]})
    assert doubt.status_code == 400 and client.get("/api/review/progress").json()["marked"] == 6


def test_without_a_job_there_is_no_review() -> None:
    with TestClient(create_app(WebSettings()), base_url="http://localhost:8000") as client:
        assert client.get("/review").status_code == 404
        assert client.post("/api/review/next", json={"who": "Ann"}).status_code == 404


def test_serve_refuses_what_is_no_job(tmp_path: Path) -> None:
    (tmp_path / "r.job").write_text("no database")
    for given in (tmp_path / "r.job", tmp_path / "none.job"):
        done = CliRunner().invoke(app, ["serve", str(given)])
        assert done.exit_code == 2 and "no job" in done.output.replace("\n", " ")


# ------------------------------------------------------------------------------------------ a real browser


class Served:
    """`digitscan serve JOB` as a process of its own."""

    def __init__(self, job: Path) -> None:
        self.port = free_port()
        self.job = job
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "digitscan", "serve", str(self.job), "--port", str(self.port)],
            stderr=subprocess.DEVNULL,
        )
        wait_until_up(self.address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Served]]:
    """Starts servers, and ends them whatever becomes of the test."""
    started: list[Served] = []

    def start(job: Path) -> Served:
        started.append(Served(job))
        return started[-1]

    yield start
    for served in started:
        served.kill()


def test_fifty_readings_by_keyboard_with_the_server_killed_in_between(browser, serve, tmp_path, run_info) -> None:  # type: ignore[no-untyped-def]
    job = tmp_path / "fifty.job"
    with Journal(job, run_info) as journal:
        for page in range(10):
            image, readings = paper(500, 620), []
            for k in range(5):
                text = str(100 + 5 * page + k)
                put(image, text, 60, 90 + 110 * k)
                box = Box(60, 50 + 110 * k, 120, 42)
                readings.append(reading(text, 0.2 + 0.01 * (5 * page + k), box, name=f"s{k}", review=True))
            source = tmp_path / f"p{page}.png"
            cv2.imwrite(str(source), image)
            ref = PageRef(str(source), 0, f"{page:064x}")
            journal.add(PageResult(ref, 500, 620, 300.0, 0.0, Quality(0.7, 30.0), tuple(readings)))
    served = serve(job)
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.goto(f"{served.address}/review")

    def settled(count: int) -> None:
        page.locator("#settled", has_text=re.compile(f"^{count}$")).wait_for(timeout=30_000)

    page.locator("#crop").wait_for(timeout=30_000)
    page.locator("#why", has_text="20.0 % sure").wait_for(timeout=30_000)

    def enter() -> None:
        page.locator("#looking").wait_for(timeout=30_000)  # a script is faster than the next pictures
        page.keyboard.press("Enter")

    for k in range(20):
        page.locator("#looking").wait_for(timeout=30_000)
        if k == 3:
            page.keyboard.type("777")
        if k == 5:
            page.keyboard.press("b")
        elif k == 6:
            page.keyboard.press("s")
        else:
            page.keyboard.press("Enter")
    settled(20)
    page.keyboard.press("u")
    settled(19)
    page.keyboard.type("888")
    enter()
    settled(20)
    served.kill()
    enter()
    page.get_by_text("Not saved").wait_for(timeout=30_000)
    served.start()
    for _ in range(15):
        enter()
    settled(35)
    page.reload()
    settled(35)
    page.locator("#why", has_text="sure").wait_for(timeout=30_000)
    for _ in range(15):
        enter()
    page.get_by_text("Nothing is left to look at.").wait_for(timeout=30_000)
    settled(50)
    assert len(asked) <= 50 + 8  # the first of each page, one taken back, one that was not saved
    found = {(Path(r["file"]).stem, r["field"]): r for r in rows(job)}
    expected = {
        (f"p{n // 5}", f"s{n % 5}"): {3: "777", 5: "", 6: "", 19: "888"}.get(n, str(100 + n)) for n in range(50)
    }
    assert {key: r["text"] for key, r in found.items()} == expected
    assert (
        [r["state"] for r in found.values()].count("blank") == 1 == [r["state"] for r in found.values()].count("struck")
    )
    assert all(r["review"] == "false" and "by reviewer-" in r["reason"] for r in found.values())
    page.close()


def test_odd_digits_are_clicked_away(browser, serve, job: Path) -> None:  # type: ignore[no-untyped-def]
    served = serve(job)
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{served.address}/review/digits?digit=6")
    page.locator(".tile").first.wait_for(timeout=30_000)
    assert page.locator(".tile").count() == 3
    page.locator(".tile").first.click()
    page.click("#send")
    page.get_by_text("No such digits are left.").wait_for(timeout=30_000)
    assert sum(r["reason"].startswith("doubted by reviewer-") for r in rows(job)) == 1
    page.goto(f"{served.address}/review")
    page.locator("#marked", has_text="7").wait_for(timeout=30_000)
    assert complaints == []
    page.close()


def test_two_people_see_different_readings(browser, serve, job: Path) -> None:  # type: ignore[no-untyped-def]
    served = serve(job)
    seen = []
    for name in ("Ann", "Ben"):
        context = browser.new_context()
        context.add_init_script(f"localStorage.setItem('digitscan-who', '{name}')")
        page = context.new_page()
        page.goto(f"{served.address}/review")
        if name == "Ann":
            page.locator("#why", has_text="sure").wait_for(timeout=30_000)
            seen.append(page.locator("#where").inner_text())
            page.keyboard.press("Enter")
            page.locator("#settled", has_text="1").wait_for(timeout=30_000)
        else:  # Ann was given all six at once: they are hers for three minutes
            page.get_by_text("others have the rest").wait_for(timeout=30_000)
        context.close()
    assert len(seen) == 1 and [r["reason"] for r in rows(job) if "Ann" in r["reason"]] == ["confirmed by Ann"]
