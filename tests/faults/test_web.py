"""The server: what is deleted is not read, limits hold for many at once, and a server that ends leaves nothing."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from digitscan.core.config import Config
from digitscan.core.errors import UsageError
from digitscan.core.folders import sweep
from digitscan.web.jobs import WebJob, WebJobs
from digitscan.web.settings import WebSettings
from digitscan.web.work import Uploads
from tests.conftest import free_port, wait_until_up
from tests.faults.runs import POSIX, SlowPoppler, alive, descendants, started, wait_for

posix = pytest.mark.skipif(not POSIX, reason="signals of POSIX")


class HeldJobs(WebJobs):
    """Jobs that are read when a test says so, by nobody."""

    def __init__(self, root: Path, most: int = 20) -> None:
        self.go, self.read = threading.Event(), list[str]()
        super().__init__(WebSettings(most_jobs=most), Config(), root)

    def _read(self, job: WebJob) -> None:
        assert self.go.wait(10)
        self.read.append(job.id)
        (job.folder / "made").mkdir(parents=True)


def upload(data: bytes = b"a scan") -> list[tuple[str, BinaryIO]]:
    return [("a.png", io.BytesIO(data))]


def test_a_job_that_is_deleted_while_it_waits_is_not_read(tmp_path: Path) -> None:
    jobs = HeldJobs(tmp_path)
    try:
        first = jobs.add(upload())
        wait_for(lambda: first.state == "reading", "the first job", 5)
        second, third = jobs.add(upload()), jobs.add(upload())
        assert jobs.delete(second.id) and not second.folder.exists()
        assert not jobs.delete(first.id), "it is being read"
        jobs.go.set()
        wait_for(lambda: third.ended > 0, "the last job", 5)
        assert jobs.read == [first.id, third.id] and second.state == "waiting"
        assert sorted(path.name for path in (tmp_path / "jobs").iterdir()) == sorted([first.id, third.id])
    finally:
        jobs.go.set()
        jobs.close()


def test_the_limit_of_jobs_holds_for_many_at_once(tmp_path: Path) -> None:
    """All of them pass the check before the first of them is kept, if the two are not one step."""
    jobs = HeldJobs(tmp_path, most=5)
    together = threading.Barrier(12)

    class Slow(io.BytesIO):
        """Comes in over a slow line."""

        def read(self, size: int | None = -1, /) -> bytes:
            time.sleep(0.05)
            return super().read(size)

    def post(_: int) -> bool:
        together.wait(10)
        try:
            jobs.add([("a.png", Slow(b"a scan"))])
        except UsageError as error:
            assert error.message == "too many jobs are kept"
            return False
        return True

    try:
        with ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(post, range(12))) == 5
        assert len(jobs.all()) == 5
        jobs.go.set()
        wait_for(lambda: all(job.ended for job in jobs.all()), "all jobs", 10)
        assert jobs.delete(jobs.all()[0].id) and jobs.add(upload())
    finally:
        jobs.go.set()
        jobs.close()


def test_an_upload_that_is_refused_takes_no_place(tmp_path: Path) -> None:
    jobs = HeldJobs(tmp_path, most=1)
    try:
        for _ in range(3):
            with pytest.raises(UsageError, match="nothing in it can be read"):
                jobs.add([("words.txt", io.BytesIO(b"words"))])
        assert jobs.add(upload()).state in ("waiting", "reading")
    finally:
        jobs.go.set()
        jobs.close()


# ------------------------------------------------------------------------------------------------- folders


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the system for a test of its own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_folders_of_killed_processes_go_and_those_of_living_ones_stay(temporary: Path) -> None:
    code = "from digitscan.web.work import Uploads; from digitscan.web.settings import WebSettings; "
    code += "u = Uploads(WebSettings()); u.new(); print(u.root, flush=True); import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        foreign = temporary / "digitscan-web-notes"  # of that name, and none of ours
        foreign.mkdir()
        mine = Uploads(WebSettings())
        assert theirs.is_dir() and mine.root.is_dir() and theirs.parent == mine.root.parent == temporary
        other.kill()
        other.wait()
        third = Uploads(WebSettings())
        assert not theirs.exists() and mine.root.is_dir() and third.root.is_dir() and foreign.is_dir()
        mine.close()
        third.close()
        assert list(temporary.iterdir()) == [foreign]


def test_a_link_is_no_folder_of_ours(temporary: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / ".lock").write_bytes(b"")
    (temporary / "digitscan-web-link").symlink_to(precious)
    sweep("digitscan-web-")
    assert precious.is_dir() and (precious / ".lock").exists()


# ------------------------------------------------------------------------------------------------- the end


@posix
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_server_ends_while_it_reads_and_is_watched(tmp_path: Path, signum: int, code: int) -> None:
    import httpx2 as httpx

    slow = SlowPoppler(tmp_path / "poppler", 60)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = slow.environment | {"TMPDIR": str(temporary)}
    with started("serve", "--port", str(port), env=environment) as server, httpx.Client(base_url=address) as client:
        wait_until_up(address)
        assert [path.name[:14] for path in temporary.iterdir()] == ["digitscan-web-"]
        sent = client.post("/api/jobs", files=[("files", ("slow.pdf", Path(slow.page).read_bytes()))])
        slow.wait_until_busy()
        below = descendants(server.pid)
        with client.stream("GET", f"/api/jobs/{sent.json()['id']}/events") as told:
            next(told.iter_lines())
            asked = time.monotonic()
            server.send_signal(signum)
            server.communicate(timeout=15)
        assert server.returncode == code and time.monotonic() - asked < 10
    assert list(temporary.iterdir()) == []
    wait_for(lambda: not any(map(alive, below)), "its processes to end", 5)
