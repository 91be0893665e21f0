"""What every request passes: names, token, headers, counting; errors become one line of JSON."""

import hmac
import logging
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reex_jax.service.metrics import Metrics

_log = logging.getLogger(__name__)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_NUMBER = re.compile(r"/\d+")


@dataclass(frozen=True)
class Door:
    """ASGI middleware.

    Attributes:
        app: what comes behind.
        metrics: counts.
        token: that requests need; "" for none.
        free: paths that need none.
        names: hosts that requests may name; empty: any.
        routes: paths that are counted by name; all others are counted as one.
        log_requests: whether each is logged: method, route, status, milliseconds.
    """

    app: ASGIApp
    metrics: Metrics
    token: str
    free: Collection[str]
    names: Collection[str]
    routes: Collection[str]
    log_requests: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal or self.app)(scope, receive, sent)
        finally:
            took = time.perf_counter() - began
            route = self._route(scope["path"])
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(took)
            if self.log_requests:
                _log.info("%s %s %d %.1f ms", scope["method"], route, status, 1e3 * took)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        # A page of another site could name this machine by a host of its own (DNS rebinding).
        if self.names and _host(headers.get(b"host", "")) not in self.names:
            return _problem(421, "the service is not called so; see serve.hosts")
        # Or it could post here from a browser that stands inside.
        if scope["method"] == "POST" and headers.get(b"sec-fetch-site", "none") not in (
            "none",
            "same-origin",
        ):
            return _problem(403, "requests from pages of other sites are refused")
        if self.token and scope["path"] not in self.free:
            given = headers.get(b"authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
                return _problem(
                    401,
                    "a token is needed: Authorization: Bearer TOKEN",
                    ("www-authenticate", "Bearer"),
                )
        return None

    def _route(self, path: str) -> str:
        plain = _NUMBER.sub("/{position}", path)
        return plain if plain in self.routes else "other"


def _problem(status: int, text: str, *headers: tuple[str, str]) -> JSONResponse:
    return JSONResponse({"error": text}, status, dict(headers))


def _host(value: str) -> str:
    """A Host header without its port."""
    match: Any = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::\d+)?", value)
    return match[1].lower() if match else value
