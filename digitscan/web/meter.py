"""Counts and times of requests, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Meter:
    """ASGI middleware that counts answers by route and status, and how long they took until their first byte.

    Requests that match no route are counted together, so that nobody can grow the list.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "digitscan_requests", "Requests by path and status", ["path", "status"], registry=registry
        )
        self._seconds = Histogram("digitscan_request_seconds", "Time to answer", ["path"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "other")
                self._requests.labels(path, message["status"]).inc()
                self._seconds.labels(path).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, noted)
