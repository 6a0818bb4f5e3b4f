"""The gateway on the network: one thread with an event loop of its own, in which adapters, pages and deliveries run."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from asyncio import TimerHandle
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bot.gateway.limits import GatewayLimits
from vault.errors import StartRefused

HEAD_BYTES_MAX = 32_768
KEEP_ALIVE_S = 30
PING_S = 30
STOP_S = 3
BACKLOG = 1_024
START_S = 60

log = logging.getLogger(__name__)


def _protocol(head_ms: int) -> type[HttpToolsProtocol]:
    class Headed(HttpToolsProtocol):
        """Ends a connection whose first request line and headers are too long or too slow. Risk: each such connection would hold
        memory, and a place, for as long as its client likes."""

        _late: TimerHandle | None = None
        _head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._late = self.loop.call_later(head_ms / 1_000, transport.close)

        def data_received(self, data: bytes) -> None:
            if self._late is not None:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._late is not None and self._head_bytes > HEAD_BYTES_MAX:
                self.transport.close()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._late is None:  # a later request on the same connection
                self._head_bytes = 0
                self._late = self.loop.call_later(head_ms / 1_000, self.transport.close)

        def on_headers_complete(self) -> None:
            self._in_time()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            super().connection_lost(exc)

        def _in_time(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Headed


class Server:
    """Serves an application until closed. `opened`, `closing` and `closed` are awaited in its event loop: before the first request, when
    it is to end and whoever is connected can still be told, and after the last."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        limits: GatewayLimits,
        opened: Callable[[], Awaitable[None]],
        closing: Callable[[], Awaitable[None]],
        closed: Callable[[], Awaitable[None]],
    ) -> None:
        """Binds, so that a port that is taken is known at once. Raises `StartRefused`."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # By its protocol's name: asyncio turns Nagle's algorithm off on such sockets only, and an answer of two writes would wait for it.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it; asyncio sets it only on those that name their protocol. Without it an answer that is written in
        # two parts waits 40 ms for the acknowledgement of the first.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            raise StartRefused(
                f"the gateway cannot listen on {host}:{port}: {error.strerror}",
                remedy="choose another gateway_port, or end what has this one",
            ) from error
        self._socket.set_inheritable(False)
        self.port: int = self._socket.getsockname()[1]
        self._opened, self._closing, self._closed = opened, closing, closed
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                loop="asyncio",
                http=_protocol(limits.body_ms),
                ws="websockets-sansio",
                ws_max_size=limits.body_bytes_max,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PING_S,
                ws_per_message_deflate=False,  # it costs 100 kB a socket
                limit_concurrency=limits.connections_max,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_S,
                backlog=BACKLOG,
                log_config=None,
                access_log=False,  # paths are harmless, but whoever writes must not be told by his address
                proxy_headers=False,
                server_header=False,
            )
        )
        self._started = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def start(self) -> None:
        """Returns when requests are answered. Raises what kept it from starting."""
        self._thread.start()
        self._started.wait(START_S)
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._problem = error
            log.error("gateway ended", exc_info=error)
        finally:
            self._started.set()

    async def _serve(self) -> None:
        await self._opened()
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        try:
            serving = self._loop.create_task(self._server.serve([self._socket]))
            self._started.set()
            await asyncio.wait(
                (serving, self._loop.create_task(self._told.wait())), return_when=asyncio.FIRST_COMPLETED
            )
            await self._closing()
            self._server.should_exit = True
            await serving
        finally:
            await self._closed()

    def close(self) -> None:
        """Ends what is connected, and waits for what is under way."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._told.set)
            self._thread.join()
        self._socket.close()
