"""All that goes to one origin: its threads, its connections, its circuit. One origin that hangs holds up nobody else's calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from bot.outgoing.answer import Answer, CallFailed, Outcome
from bot.outgoing.breaker import Breaker
from bot.outgoing.exchange import Connection
from bot.outgoing.lookup import Lookup, Resolver
from bot.outgoing.origin import Origin
from bot.outgoing.stream import connect, trust
from bot.outgoing.workers import Workers


class Lane:
    """Thread-safe. Raises `StartRefused` where there is no certificate to trust."""

    def __init__(self, origin: Origin, resolver: Resolver, clock: Callable[[], float]) -> None:
        limits = origin.limits
        self.origin = origin
        self.breaker = Breaker(limits.failures, limits.open_ms / 1000, clock)
        self._lookup = Lookup(origin, resolver)
        self._trust = trust(origin.ca_file) if origin.scheme == "https" else None
        self._workers: Workers[Answer] = Workers(
            f"outgoing-{origin.name}", limits.concurrent_calls, limits.waiting_calls
        )
        self._lock = threading.Lock()
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    def submit(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Does the work when there is a place: in order, so whoever waits behind calls that hang waits no longer than they may."""
        refused = Answer(
            Outcome.UNAVAILABLE, "too many calls wait for this origin, or the client is closed; nothing was sent"
        )
        return self._workers.submit(work) or done(refused)

    def connection(self, deadline: float) -> Connection:
        """A connection to a checked address, an idle one if there is one. Raises `CallFailed`."""
        while (held := self._idle_one()) is not None:
            connection, until = held
            if time.monotonic() < until and connection.is_quiet():
                connection.next()
                return connection
            connection.close()
        deadline = min(deadline, time.monotonic() + self.origin.limits.connect_ms / 1000)
        # The address that was judged is the one connected to: the name is not asked again, so it cannot answer differently.
        stream = connect(self._lookup.addresses(deadline), self.origin.port, deadline)
        if self._trust is not None:
            try:
                stream.secure(self._trust, self.origin.host)
            except CallFailed:
                stream.close()
                raise
        return Connection(stream)

    def give_back(self, connection: Connection) -> None:
        """Keeps a connection for the next call if it may be used again, else closes it."""
        if connection.is_reusable():
            with self._lock:
                if not self._closed:
                    self._idle.append((connection, time.monotonic() + self.origin.limits.idle_ms / 1000))
                    return
        connection.close()

    def close(self) -> None:
        """Waits for the calls under way, each at most for what is left of its time."""
        self._workers.close()
        with self._lock:
            self._closed = True
        while (held := self._idle_one()) is not None:
            held[0].close()

    def _idle_one(self) -> tuple[Connection, float] | None:
        with self._lock:
            return self._idle.pop() if self._idle else None


def done(answer: Answer) -> Future[Answer]:
    """An answer that is there already."""
    future: Future[Answer] = Future()
    future.set_result(answer)
    return future
