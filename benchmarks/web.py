"""The page under load: latency of a drawn digit, and requests a second of ``/api/predict``.

    python benchmarks/web.py [--clients 4] [--many 32] [--seconds 10]

A server process of its own is asked by so many clients at once, each as soon as it has its answer. The second part is
run twice: digits of many requests classified together, and each request by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import socket
import time
import urllib.request
from collections.abc import Iterator

import cv2
import numpy as np
from rich.console import Console


def digit(seed: int, side: int = 160) -> bytes:
    """A digit drawn with a round pen, as PNG."""
    rng = np.random.default_rng(seed)
    sheet = np.full((side, side), 255, np.uint8)
    cv2.putText(sheet, str(rng.integers(0, 10)), (35, 125), cv2.FONT_HERSHEY_SIMPLEX, 4.0, 20, 9, cv2.LINE_AA)
    return cv2.imencode(".png", sheet)[1].tobytes()


def serve(port: int, together: int) -> None:
    """A server in this process."""
    import uvicorn

    from digitscan.web.app import create_app
    from digitscan.web.settings import WebSettings

    settings = WebSettings(port=port, together=together, waiting=200)
    uvicorn.run(create_app(settings), port=port, log_level="error", access_log=False)


@contextlib.contextmanager
def server(together: int) -> Iterator[int]:
    """The port of a server that is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, together), daemon=True)
    process.start()
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield port
    process.kill()
    process.join()


def request(drawing: bool, data: bytes) -> bytes:
    """The bytes of a whole request, made once: the client shares this machine's cores with the server."""
    if drawing:
        path, kind, body = "/api/draw", "image/png", data
    else:
        path, kind = "/api/predict", "multipart/form-data; boundary=digit"
        part = b'--digit\r\nContent-Disposition: form-data; name="files"; filename="d.png"\r\n\r\n'
        body = part + data + b"\r\n--digit--\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def load(port: int, clients: int, seconds: float, drawing: bool) -> list[float]:
    """Milliseconds of each answer."""
    took: list[float] = []
    ends = time.monotonic() + seconds

    async def one(number: int) -> None:
        asked = request(drawing, digit(number))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < ends:
            started = time.perf_counter()
            writer.write(asked)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert head.startswith("http/1.1 200"), head
            await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
            took.append((time.perf_counter() - started) * 1000)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--many", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    console = Console(highlight=False)
    rates = {}
    for together in (512, 1):
        with server(together) as port:
            asyncio.run(load(port, 2, 1.0, drawing=True))
            if together > 1:
                for clients in (1, given.clients):
                    took = asyncio.run(load(port, clients, given.seconds, drawing=True))
                    p50, p95 = np.percentile(took, (50, 95))
                    console.print(f"a drawn digit, {clients} clients: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
            took = asyncio.run(load(port, given.many, given.seconds, drawing=False))
            rates[together] = len(took) / given.seconds
            words = "together" if together > 1 else "each by itself"
            console.print(f"/api/predict, {given.many} clients, {words}: {rates[together]:.0f} requests/s")
    console.print(f"together over by itself: {rates[512] / rates[1]:.2f}x")


if __name__ == "__main__":
    main()
