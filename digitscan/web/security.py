"""Who may ask, how much, and what a browser may do with the answer."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitscan.web.settings import LOCAL, WebSettings

COOKIE = "digitscan-token"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Of every answer: no inline script, nothing from elsewhere, no frames."""
_OPEN = ("/healthz", "/static/")
"""Paths that need no token."""


def problem(status: int, title: str, detail: str = "") -> JSONResponse:
    """An error as RFC 9457 has it."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json", headers=HEADERS)


def _bare_host(value: str) -> str:
    return (urlsplit(f"//{value}").hostname or "").lower()


class Guard:
    """ASGI middleware that refuses requests from other origins, for other hosts, and without the token.

    Every answer gets `HEADERS`.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(("/api/", "/results/")):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(Request(scope))
        await (self._app if refusal is None else refusal)(scope, receive, sealed)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        try:
            name = _bare_host(host)
            origin = request.headers.get("origin")
            from_elsewhere = origin not in (None, "null") and urlsplit(origin or "").netloc.lower() != host.lower()
        except ValueError:
            return problem(400, "bad request", "the host or origin makes no sense")
        # A page elsewhere may name this machine's address: only its own names are answered (DNS rebinding).
        if self._settings.local and name not in (*LOCAL, *self._settings.names):
            return problem(421, "wrong host", "this server answers to 127.0.0.1 and localhost")
        if request.method not in ("GET", "HEAD") and (from_elsewhere or request.headers.get("origin") == "null"):
            return problem(403, "wrong origin", "requests must come from this server's own page")
        if self._settings.token and not request.url.path.startswith(_OPEN) and not self._has_token(request):
            return problem(
                401, "token needed", "send Authorization: Bearer TOKEN, or open the address with ?token=TOKEN"
            )
        return None

    def _has_token(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        given = (bearer, request.cookies.get(COOKIE, ""), request.query_params.get("token", ""))
        wanted = self._settings.token.encode()
        return any(hmac.compare_digest(value.encode("utf-8", "replace"), wanted) for value in given)


class BodyLimit:
    """ASGI middleware that ends requests whose body is too large, whatever they declare.

    `larger` has limits of single paths.
    """

    def __init__(self, app: ASGIApp, most: int, larger: Mapping[str, int]) -> None:
        self._app, self._most, self._larger = app, most, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._larger.get(scope["path"], self._most)
        too_large = problem(413, "too large", f"at most {most // 1_000_000} MB")
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > most:
            await too_large(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise BodyTooLarge
            return message

        try:
            await self._app(scope, counted, send)
        except BodyTooLarge:
            await too_large(scope, receive, send)


class BodyTooLarge(Exception):  # noqa: N818  (ends a request, is no fault)
    """A body went on beyond its limit."""
