"""Ten thousand hostile requests to the page, and a scripted reviewer whose server is killed.

    python benchmarks/hostile.py [--requests 10000] [--readings 200]

The first part changes well-formed requests at random: broken JSON, wrong types, huge and odd values, paths that
climb, odd headers, bytes that are no pictures, archives that lie. It counts server errors, files that appear outside
the server's own folder, and the growth of memory. The second settles readings one after the other by the API, with the
server killed and started again in the middle, and counts requests, lost and doubled corrections.
"""

from __future__ import annotations

import argparse
import copy
import csv
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import httpx2 as httpx
import numpy as np
from rich.console import Console

from digitscan.core.types import Box, FieldReading, ModelInfo, PageRef, PageResult, Quality, RunInfo, State
from digitscan.jobs.journal import Journal

ODD: tuple[Any, ...] = (
    None, "", "\x00", "../../../etc/passwd", "A" * 100_000, -1, 2**63, 1e308, True, [], {}, [[]] * 50, "٣",
    "\ud83d\ude00", "'; DROP TABLE pages; --", "{{7*7}}", "%00", "<script>",
    "\r\nX: y", float("-inf"), {"__proto__": 1},
)  # fmt: skip
PATHS = (
    "/api/review/next", "/api/review/settle", "/api/review/undo", "/api/review/doubt", "/api/forms/template",
    "/api/draw", "/api/predict", "/api/process", "/api/forms/draft", "/api/jobs", "/api/review/digits",
    "/api/jobs/{id}", "/results/{id}/1.jpg", "/static/{id}",
    "/review", "/", "/openapi.json", "/api/jobs/{id}/pages/{n}/picture.jpg",
    "/api/jobs/{id}/results.csv",
)  # fmt: skip


def a_job(folder: Path, readings: int) -> Path:
    """A job of so many doubtful readings, five a page."""
    job = folder / "work.job"
    run = RunInfo("0", ModelInfo("m", "00", 1), {})
    with Journal(job, run) as journal:
        for first in range(0, readings, 5):
            sheet = np.full((620, 500), 240, np.uint8)
            found = []
            for k in range(5):
                text = str(1000 + first + k)
                cv2.putText(sheet, text, (60, 90 + 110 * k), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 30, 4)
                box = Box(60, 45 + 110 * k, 160, 50)
                found.append(
                    FieldReading(
                        f"s{k}", None, None, text, (), 0.1 + (first + k) / 2000, State.VALUE, True, "unsure", (), box
                    )
                )
            source = folder / f"{first}.png"
            cv2.imwrite(str(source), sheet)
            ref = PageRef(str(source), 0, f"{first:064x}")
            journal.add(PageResult(ref, 500, 620, None, 0.0, Quality(0.5, 50.0), tuple(found)))
    return job


class Server:
    """`digitscan serve` as a process."""

    def __init__(self, job: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.job = job
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "digitscan", "serve", str(self.job), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                httpx.get(f"{self.address}/healthz", timeout=1)
                return
            except httpx.TransportError:
                time.sleep(0.1)

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def memory_mb(self) -> float:
        """Its proportional set size."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


def spoiled(value: Any, rng: random.Random) -> Any:
    """A value with one thing in it changed."""
    value = copy.deepcopy(value)
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        change = rng.random()
        if change < 0.15:
            del value[key]
        elif change < 0.25:
            value[str(rng.choice(ODD))[:40]] = rng.choice(ODD)
        else:
            value[key] = spoiled(value[key], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        value[place] = spoiled(value[place], rng)
        return value * rng.choice((1, 1, 1, 300))
    return rng.choice(ODD)


def body_for(path: str, rng: random.Random) -> Any:
    """A well-formed body."""
    reading = {"sha256": f"{5 * rng.randrange(20):064x}", "page": 0, "field": f"s{rng.randrange(5)}"}
    if path.endswith("template"):
        zone = {"name": "a", "kind": "boxes", "box": [1, 1, 90, 20], "rows": 1, "columns": 4}
        return {
            "name": "f",
            "blank": "b.png",
            "width": 500,
            "height": 400,
            "dpi": 150,
            "known_dpi": True,
            "zones": [zone],
        }
    if path.endswith("doubt"):
        return {"who": "a", "readings": [reading]}
    more = {"text": "12", "state": "value", "seen": 0} if path.endswith("settle") else {}
    return {"who": "a", "reading": reading, "seen": 0, "count": 1, "have": [reading], "filter": {"field": "s"}, **more}


def some_bytes(rng: random.Random) -> bytes:
    """Bytes that call themselves a picture, a PDF or an archive."""
    junk = rng.randbytes(rng.randrange(3000))
    picture = cv2.imencode(".png", np.full((40, 40), 200, np.uint8))[1].tobytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "../" * rng.randrange(9) + f"x{rng.randrange(99)}.png", rng.choice((junk, picture, bytes(2_000_000)))
        )
    cut = rng.randrange(1, len(picture))
    return rng.choice(
        (junk, picture, picture[:cut] + junk, b"%PDF-1.4\n" + junk, b"II*\x00" + junk, packed.getvalue(),
         packed.getvalue()[: rng.randrange(30, 200)], b"<svg>" + junk, b"\xff\xd8\xff" + junk, b"RIFF" + junk, b"")
    )  # fmt: skip


def one_request(client: httpx.Client, rng: random.Random) -> int:
    """Send something odd; gives the status."""
    path = rng.choice(PATHS)
    path = path.replace("{id}", rng.choice(("0" * 32, "..%2f..%2fetc%2fpasswd", "%00", "a" * 5000, "..", "x?y")))
    path = path.replace("{n}", rng.choice(("1", "-1", "9" * 40, "x")))
    headers = {"X-Odd": "y" * rng.choice((1, 5000))}
    if rng.random() < 0.1:
        headers["Origin"] = rng.choice(("null", "http://evil.example", "http://[::1", "\xff"))
    if rng.random() < 0.1:
        headers["Host"] = rng.choice(("evil.example", "127.0.0.1:1", "[", "localhost"))
    method = rng.choice(("GET", "POST", "POST", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"))
    query = rng.choice(
        ("", "", "?digit=7&count=5", "?digit=x&start=-1", "?job=../..", "?models=../../x&models=mlp-128")
    )
    if (
        path.startswith(("/api/draw", "/api/predict", "/api/process", "/api/forms/draft", "/api/jobs"))
        and method == "POST"
    ):
        if path == "/api/draw":
            return client.request(method, path + query, content=some_bytes(rng), headers=headers).status_code
        name = rng.choice(("a.png", "../../x.png", "a\x00.png", "n" * 300 + ".zip", ".png", "a.pdf"))
        field = rng.choice(("files", "file", "odd"))
        return client.request(
            method, path + query, files=[(field, (name, some_bytes(rng)))], headers=headers
        ).status_code
    body = spoiled(body_for(path, rng), rng) if rng.random() < 0.8 else body_for(path, rng)
    text = json.dumps(body)
    if rng.random() < 0.1:
        text = text[: rng.randrange(len(text))] + rng.choice(("", "}", "\\u0000", "[" * 5000))
    headers["Content-Type"] = rng.choice(("application/json", "application/json", "text/plain", "multipart/form-data"))
    return client.request(method, path + query, content=text.encode(errors="replace"), headers=headers).status_code


def everything_below(*folders: Path) -> set[str]:
    """Files that are there, the server's own temporary folders left out."""
    found = set()
    for folder in folders:
        for root, names, files in os.walk(folder):
            names[:] = [name for name in names if not name.startswith("digitscan-web-")]
            found |= {str(Path(root) / file) for file in files}
    return found


def attack(folder: Path, wanted: int, console: Console) -> None:
    """Send so many odd requests."""
    server = Server(a_job(folder, 100))
    rng = random.Random(7)
    before = everything_below(folder, Path.cwd())
    statuses: Counter[str] = Counter()
    memory = []
    with httpx.Client(base_url=server.address, timeout=120) as client:
        for number in range(wanted):
            try:
                statuses[f"{one_request(client, rng)}"[0] + "xx"] += 1
            except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
                statuses["not sent"] += 1
            except httpx.TransportError:
                statuses["cut off"] += 1
            if number % (wanted // 10) == wanted // 10 - 1:
                memory.append(server.memory_mb())
    alive = server.process.poll() is None
    new = {path for path in everything_below(folder, Path.cwd()) - before if not path.endswith(("-wal", "-shm"))}
    server.kill()
    console.print(f"{wanted} requests: {dict(sorted(statuses.items()))}; the server lives: {alive}")
    console.print(f"memory in MB, at each tenth: {', '.join(f'{m:.0f}' for m in memory)}")
    console.print(f"files that appeared outside its own folder: {len(new)} {sorted(new)[:3]}")


def review(folder: Path, wanted: int, console: Console) -> None:
    """Settle so many readings, every third corrected, with the server killed in the middle."""
    job = a_job(folder, wanted)
    server = Server(job)
    client = httpx.Client(base_url=server.address, timeout=30)
    requests, settled = 1, 0
    items = client.post("/api/review/next", json={"who": "Ann", "count": 4}).json()["items"]
    expected = {}
    while items:
        item = items.pop(0)
        text = item["text"] if settled % 3 else item["text"][::-1]
        body = {"who": "Ann", "reading": item["reading"], "text": text, "seen": item["seen"], "count": 1,
                "have": [one["reading"] for one in items]}  # fmt: skip
        if settled == wanted // 2:
            server.kill()
            server.start()
        answer = client.post("/api/review/settle", json=body)
        requests += 1
        answer.raise_for_status()
        items += answer.json()["items"]
        expected[item["file"], item["reading"]["field"]] = text
        settled += 1
    rows = list(csv.DictReader(client.get("/api/review/results.csv").text.splitlines()))
    server.kill()
    right = sum(expected.get((row["file"], row["field"])) == row["text"] and row["review"] == "false" for row in rows)
    console.print(
        f"{settled} readings in {requests} requests, {requests / settled:.3f} a reading; "
        f"{right} of {len(rows)} in the CSV as said"
    )


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--readings", type=int, default=200)
    given = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        review(Path(other), given.readings, console)
        attack(Path(one), given.requests, console)


if __name__ == "__main__":
    main()
