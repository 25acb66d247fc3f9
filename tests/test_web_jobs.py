"""Folders and archives sent to the page: unpacked with care, read, watched, looked at, forgotten."""

from __future__ import annotations

import csv
import errno
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from fastapi.testclient import TestClient

from digitscan import Reader
from digitscan.core.types import PageResult
from digitscan.web.app import create_app
from digitscan.web.settings import WebSettings
from tests.conftest import SAMPLES

SMALL = WebSettings(max_job_bytes=4_000_000, most_files=6, most_jobs=3)
CHEQUE, TIFF = SAMPLES / "cheque.jpg", SAMPLES / "register.tif"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(SMALL), base_url="http://localhost:8000") as client:
        yield client


@pytest.fixture(autouse=True)
def tidy(client: TestClient) -> Iterator[None]:
    yield
    for job in client.get("/api/jobs").json():
        ended(client, job["id"])
        assert client.delete(f"/api/jobs/{job['id']}").status_code == 200


def ended(client: TestClient, key: str) -> dict[str, object]:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        job: dict[str, object] = client.get(f"/api/jobs/{key}").json()
        if job["ended"]:
            return job
        time.sleep(0.1)
    raise TimeoutError(job)


def archive(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return packed.getvalue()


def send(client: TestClient, *files: tuple[str, bytes], **data: str):  # type: ignore[no-untyped-def]
    return client.post("/api/jobs", files=[("files", file) for file in files], data=data)


def test_a_folder_is_read_as_the_command_line_reads_it(client: TestClient) -> None:
    answer = send(client, ("scans/a/cheque.jpg", CHEQUE.read_bytes()), ("scans/register.tif", TIFF.read_bytes()),
                  ("scans/notes.txt", b"no page"), ("scans/empty.png", b""))  # fmt: skip
    assert answer.status_code == 202
    key = answer.json()["id"]
    job = ended(client, key)
    assert (job["state"], job["files"], job["found"], job["done"], job["failed"]) == ("done", 3, 4, 4, 1)
    rows = list(csv.DictReader(client.get(f"/api/jobs/{key}/results.csv").text.splitlines()))
    names = {r["file"] for r in rows}
    assert names == {"scans/a/cheque.jpg", "scans/register.tif", "scans/empty.png"}
    expected = [r.text for o in Reader().read(CHEQUE, TIFF) if isinstance(o, PageResult) for r in o.readings]
    assert [r["text"] for r in rows if r["state"] == "value"] == expected and job["readings"] == len(expected)
    document = json.loads(client.get(f"/api/jobs/{key}/results.json").text)
    assert [page["status"] for page in document["pages"]] == ["ok", "ok", "ok", "failed"]
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"/api/jobs/{key}/results.xlsx").content))
    assert book["readings"].max_row == len(rows) + 1
    pages = client.get(f"/api/jobs/{key}/pages").json()
    assert [(p["file"], p["page"], p["status"]) for p in pages][1:3] == [
        ("scans/register.tif", k, "ok") for k in (1, 2)
    ]
    assert client.get(f"/api/jobs/{key}/pages/2").json()["readings"]
    picture = client.get(f"/api/jobs/{key}/pages/1/picture.jpg")
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"
    assert client.get(f"/api/jobs/{key}/pages/4/picture.jpg").status_code == 404
    assert client.get(f"/api/jobs/{key}/pages/99").status_code == 404


def test_progress_is_told_as_it_goes(client: TestClient) -> None:
    key = send(client, ("a.jpg", CHEQUE.read_bytes()), ("b.tif", TIFF.read_bytes())).json()["id"]
    with client.stream("GET", f"/api/jobs/{key}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert told[-1]["state"] == "done" and told[-1]["done"] == 3
    assert [t["done"] for t in told] == sorted(t["done"] for t in told)


def test_an_archive_never_writes_where_it_wants(client: TestClient, tmp_path: Path) -> None:
    packed = archive(
        ("../../../../tmp/evil.jpg", CHEQUE.read_bytes()), ("/etc/evil.jpg", b"x"), ("..\\win.jpg", b"x"),
        (".hidden.jpg", b"x"), ("__MACOSX/._a.jpg", b"x"), ("notes.txt", b"x"), ("dir/", b""),
    )  # fmt: skip
    key = send(client, ("scans.zip", packed)).json()["id"]
    job = ended(client, key)
    assert (job["files"], job["failed"]) == (3, 2)
    folder = client.app.state.jobs.get(key).folder  # type: ignore[attr-defined]
    stored = sorted(path.name for path in folder.iterdir() if path.suffix == ".jpg")
    assert stored == ["000001.jpg", "000002.jpg", "000003.jpg"]
    assert not Path("/tmp/evil.jpg").exists() and not Path("/etc/evil.jpg").exists()


def corrupt(method: int) -> bytes:
    """An archive whose directory is whole and whose packed bytes are not."""
    data = bytearray(archive(("a.png", bytes(range(256)) * 40), method=method))
    start = 30 + len("a.png") + 12
    data[start : start + 12] = b"\xff" * 12
    return bytes(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_corrupt_packing_is_told_as_damage(client: TestClient, method: int) -> None:
    answer = send(client, ("a.zip", corrupt(method)))
    assert answer.status_code == 400 and "damaged" in answer.json()["title"], answer.text


def test_a_full_disk_is_not_called_damage(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def full(path: Path, mode: str = "r", *given: object, **more: object) -> object:
        if "a" in mode and path.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, *given, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    for name, data in (("a.png", CHEQUE.read_bytes()), ("a.zip", archive(("a.png", b"x")))):
        answer = send(client, (name, data))
        assert answer.status_code == 507 and "disk is full" in answer.json()["title"]
    assert client.get("/api/jobs").json() == []


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.zip", archive(("bomb.png", bytes(3_000_000)), method=zipfile.ZIP_DEFLATED), "grows too much"),
        ("a.zip", archive(*((f"{k}.png", b"x") for k in range(7))), "more than 6 files"),
        ("a.zip", archive(("big.png", bytes(range(256)) * 20_000)), "too large"),
        ("a.zip", archive(("a.png", b"x"))[:40], "damaged"),
        ("a.zip", archive(("inner.zip", archive(("a.png", b"x")))), "nothing in it"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "nothing in it"),
        ("a.txt", b"hello", "nothing in it"),
    ],
    ids=("bomb", "many", "large", "damaged", "nested", "svg", "text"),
)
def test_what_is_no_batch_of_scans_is_refused(client: TestClient, name: str, data: bytes, words: str) -> None:
    root = client.app.state.jobs._root  # type: ignore[attr-defined]
    before = sorted(root.iterdir())
    answer = send(client, (name, data))
    assert answer.status_code == 400 and words in answer.json()["title"], answer.text
    assert sorted(root.iterdir()) == before and client.get("/api/jobs").json() == []


def test_limits_and_unknown_jobs(client: TestClient) -> None:
    too_large = client.post("/api/jobs", content=b"x", headers={"Content-Length": "99000000"})
    assert too_large.status_code == 413
    assert send(client, ("a.jpg", CHEQUE.read_bytes()), form="nobody's").status_code == 400
    for path in ("", "/pages", "/pages/1", "/pages/1/picture.jpg", "/results.csv", "/events"):
        assert client.get(f"/api/jobs/{'0' * 32}{path}").status_code == 404
    assert client.get("/api/jobs/..%2f..%2fetc").status_code == 404
    for _ in range(3):
        assert send(client, ("a.png", b"")).status_code == 202
    assert "too many jobs" in send(client, ("a.png", b"")).json()["title"]


def test_jobs_are_forgotten_after_a_while() -> None:
    settings = WebSettings(keep_jobs_s=0.0)
    with TestClient(create_app(settings), base_url="http://localhost:8000") as client:
        answer = send(client, ("a.png", b""))
        jobs = client.app.state.jobs  # type: ignore[attr-defined]
        folder = jobs._root / answer.json()["id"]
        ends = time.monotonic() + 60
        while client.get("/api/jobs").json() and time.monotonic() < ends:
            time.sleep(0.1)
        assert not folder.exists()


def test_forms_are_read_as_forms() -> None:
    settings = WebSettings(templates=(SAMPLES / "forms" / "clinic.toml",))
    with TestClient(create_app(settings), base_url="http://localhost:8000") as client:
        scan = (SAMPLES / "forms" / "filled" / "clinic-scan.jpg").read_bytes()
        form = Reader(forms=settings.templates).forms
        assert form is not None
        key = send(client, ("clinic.jpg", scan), form=form.templates[0].form.name).json()["id"]
        assert ended(client, key)["failed"] == 0
        [row] = csv.DictReader(client.get(f"/api/jobs/{key}/results.csv").text.splitlines())
        assert row["form"] == form.templates[0].form.name and row["file"] == "clinic.jpg"


def test_an_uploaded_job_is_reviewed_and_downloaded_with_corrections(client: TestClient) -> None:
    key = send(client, ("my/cheque.jpg", CHEQUE.read_bytes())).json()["id"]
    ended(client, key)
    ask = {"who": "Ann", "count": 9, "filter": {"everything": True, "file": "MY/cheque"}}
    items = client.post(f"/api/review/next?job={key}", json=ask).json()["items"]
    assert {item["file"] for item in items} == {"my/cheque.jpg"} and all(item["crop"] for item in items)
    chosen = next(item for item in items if item["text"] == "28450")
    said = {"who": "Ann", "reading": chosen["reading"], "text": "28451", "seen": chosen["seen"], "count": 0}
    assert client.post(f"/api/review/settle?job={key}", json=said).status_code == 200
    rows = list(csv.DictReader(client.get(f"/api/jobs/{key}/results.csv").text.splitlines()))
    assert [(r["text"], r["raw"], r["file"]) for r in rows if r["reason"]] == [("28451", "28450", "my/cheque.jpg")]
    assert f"?job={key}" in client.get(f"/review?job={key}").text
    assert client.get("/review?job=none").status_code == 404 == client.get("/review").status_code
