"""What stands before every request: the host is ours, the body is small and comes in time, and every answer carries strict headers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""Of every answer that does not say otherwise."""


class Refusal(Exception):
    """A request that is not looked at any further. Its text is a constant: nothing that was sent is in it."""

    def __init__(self, status: int, title: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.headers = dict(headers or {})


def problem(status: int, title: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer as RFC 9457 has it, that quotes nothing of what was sent."""
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status},
        status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )


def refused(_: Request, error: Exception) -> JSONResponse:
    """For the applications within: how a `Refusal` is answered. What is still to come of the body is not read."""
    assert isinstance(error, Refusal)
    return problem(error.status, error.title, {"connection": "close", **error.headers})


class Guard:
    """Wraps an application. `hosts`: what a Host header may say. Risk: a page of somebody else whose name was made to point here (DNS
    rebinding) would speak to the gateway as if it were ours; its Host is another one, and is refused."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], body_bytes_max: int, body_ms: int) -> None:
        self._app = app
        self.hosts = frozenset(host.lower().encode() for host in hosts)
        self._body_bytes_max = body_bytes_max
        self._body_s = body_ms / 1_000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        hosts = [value.lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            await self._refuse(scope, receive, send, Refusal(421, "this host is not served here"))
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: an answer 403
        else:
            await problem(refusal.status, refusal.title, {**HEADERS, **refusal.headers})(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                named = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in named),
                ]
            await send(message)

        try:
            await self._app(scope, self._bounded(receive), sending)
        except Exception:
            log.exception("request failed")
            if begun:
                raise
            await self._refuse(scope, receive, send, Refusal(500, "something failed here"))

    def _bounded(self, receive: Receive) -> Receive:
        """The body, with its limits. Raises `Refusal` in whoever reads it."""
        size, complete = 0, False
        due = asyncio.get_running_loop().time() + self._body_s

        async def bounded() -> Message:
            nonlocal size, complete
            if complete:
                return await receive()  # what comes now is the end of the connection
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise Refusal(408, "the body did not come in time") from None
            size += len(message.get("body", b""))
            if size > self._body_bytes_max:
                raise Refusal(413, "the body is too long")
            complete = not message.get("more_body", False)
            return message

        return bounded
