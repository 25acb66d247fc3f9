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
from collections.abc import Iterator

import cv2
import httpx2 as httpx
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
def server(together: int) -> Iterator[str]:
    """The address of a server that is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, together), daemon=True)
    process.start()
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(f"{address}/healthz", timeout=1)
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield address
    process.kill()
    process.join()


async def load(address: str, clients: int, seconds: float, drawing: bool) -> list[float]:
    """Milliseconds of each answer."""
    took: list[float] = []
    ends = time.monotonic() + seconds

    async def one(client: httpx.AsyncClient, number: int) -> None:
        data = digit(number)
        while time.monotonic() < ends:
            started = time.perf_counter()
            if drawing:
                answer = await client.post("/api/draw", content=data)
            else:
                answer = await client.post("/api/predict", files=[("files", ("d.png", data))])
            answer.raise_for_status()
            took.append((time.perf_counter() - started) * 1000)

    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        await asyncio.gather(*(one(client, number) for number in range(clients)))
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
        with server(together) as address:
            asyncio.run(load(address, 2, 1.0, drawing=True))
            if together > 1:
                for clients in (1, given.clients):
                    took = asyncio.run(load(address, clients, given.seconds, drawing=True))
                    p50, p95 = np.percentile(took, (50, 95))
                    console.print(f"a drawn digit, {clients} clients: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
            took = asyncio.run(load(address, given.many, given.seconds, drawing=False))
            rates[together] = len(took) / given.seconds
            words = "together" if together > 1 else "each by itself"
            console.print(f"/api/predict, {given.many} clients, {words}: {rates[together]:.0f} requests/s")
    console.print(f"together over by itself: {rates[512] / rates[1]:.2f}x")


if __name__ == "__main__":
    main()
