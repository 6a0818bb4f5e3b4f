"""Addresses of an origin's host, looked up with a time limit, and judged."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from bot.outgoing.addresses import Address, address_of, may_connect
from bot.outgoing.answer import CallFailed, Outcome
from bot.outgoing.origin import Origin

Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to addresses as text, the best first. Raises `OSError` where there are none."""

ADDRESSES_MAX = 64


def system_resolver(host: str, port: int) -> list[str]:
    """What this machine's own resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Lookup:
    """Looks up one origin. Thread-safe.

    A resolver cannot be interrupted, so it runs in a thread of its own, one at a time: while it hangs, all who ask share the wait,
    and each gives up at its own deadline. Nothing is remembered from one look-up to the next.
    """

    def __init__(self, origin: Origin, resolver: Resolver) -> None:
        self._origin = origin
        self._resolver = resolver
        self._lock = threading.Lock()
        self._running: Future[Sequence[str]] | None = None

    def addresses(self, deadline: float) -> list[Address]:
        """Addresses that may be connected to. Raises `CallFailed`; `deadline` is in seconds of `time.monotonic`.

        One address that may not be connected to refuses them all: an honest name has none.
        """
        literal = address_of(self._origin.host)
        found = [literal] if literal is not None else [address_of(each) for each in self._texts(deadline)]
        if not all(each is not None and may_connect(each, self._origin.allowed) for each in found):
            where = "declared networks" if self._origin.networks else "public networks"
            raise CallFailed(Outcome.REFUSED, f"the host has an address outside its {where}; nothing was sent")
        return [each for each in found if each is not None]

    def _texts(self, deadline: float) -> Sequence[str]:
        with self._lock:
            running = self._running
            if running is None:
                running = self._begun()
        try:
            texts = running.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise CallFailed(Outcome.TIMEOUT, "the name was not resolved in time") from None
        except (OSError, UnicodeError):
            raise CallFailed(Outcome.UNAVAILABLE, "the name cannot be resolved") from None
        if not 0 < len(texts) <= ADDRESSES_MAX:
            raise CallFailed(Outcome.UNAVAILABLE, "the name has no address, or too many")
        return texts

    def _begun(self) -> Future[Sequence[str]]:
        running: Future[Sequence[str]] = Future()
        try:
            threading.Thread(target=self._run, args=(running,), daemon=True, name="lookup").start()
        except RuntimeError:
            raise CallFailed(Outcome.UNAVAILABLE, "this machine has no more threads") from None
        self._running = running
        return running

    def _run(self, running: Future[Sequence[str]]) -> None:
        try:
            texts = self._resolver(self._origin.host, self._origin.port)
        except Exception as error:
            self._done(running).set_exception(error if isinstance(error, OSError | UnicodeError) else OSError())
        else:
            self._done(running).set_result(texts)

    def _done(self, running: Future[Sequence[str]]) -> Future[Sequence[str]]:
        with self._lock:
            self._running = None
        return running
