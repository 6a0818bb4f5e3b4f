"""The one client by which anything leaves: declared operations on declared origins, and a value whatever happens.

Nothing of the environment is used: no proxies, no trust, no netrc. No redirect is followed, and no cookie is kept.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from bot.outgoing.answer import Answer, CallFailed, Disclosure, Outcome
from bot.outgoing.call import Call, secret_headers, signing_keys
from bot.outgoing.lane import Lane, done
from bot.outgoing.lookup import Resolver, system_resolver
from bot.outgoing.operation import Operation, disclosures
from bot.outgoing.origin import Origin
from bot.outgoing.request import KEY, request_of
from vault.errors import BadInput

_log = logging.getLogger(__name__)


class Client:
    """Calls operations. Thread-safe; `close` it, or use it as a context.

    Raises `BadInput` where declarations do not fit together and `StartRefused` where a secret file, a key or the certificates to
    trust cannot be used. `clock` (monotonic seconds) is the circuits'; `wall` (seconds since the epoch) the webhooks'; `chance`
    (0 to 1) shortens the pauses before retries.
    """

    def __init__(
        self,
        origins: Sequence[Origin],
        operations: Sequence[Operation],
        *,
        resolver: Resolver = system_resolver,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        _agree(origins, operations)
        for each in operations:
            secret_headers(each)
            signing_keys(each)
        self._operations = {each.name: each for each in operations}
        self._lanes = {each.name: Lane(each, resolver, clock) for each in origins}
        self._wall = wall
        self._chance = chance
        self._closing = threading.Event()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what waits, and waits for what is under way: at most the longest `total_ms`."""
        self._closing.set()
        for lane in self._lanes.values():
            lane.close()

    def disclosures(self, operation: str, arguments: Mapping[str, Any]) -> tuple[Disclosure, ...]:
        """What a call would disclose, before it is made. Raises `BadInput` at an undeclared field or operation."""
        if operation not in self._operations:
            raise BadInput("no such operation is declared")
        return disclosures(self._operations[operation].leaving(arguments))

    def call(self, operation: str, arguments: Mapping[str, Any], *, key: str = "") -> Answer:
        """Calls and waits: at most the origin's `total_ms`. `key`: what says that a repeat is one, like `interaction:step`."""
        return self.submit(operation, arguments, key=key).result()

    def submit(self, operation: str, arguments: Mapping[str, Any], *, key: str = "") -> Future[Answer]:
        """Calls without waiting. The future holds an answer, whatever happens; it can be cancelled while the call has no place."""
        started = time.monotonic()
        declared = self._operations.get(operation)
        if declared is None:
            return done(Answer(Outcome.REFUSED, "no such operation is declared; nothing was sent"))
        lane = self._lanes[declared.origin]
        try:
            _check_key(declared, key)
            request = request_of(declared, arguments, lane.origin.limits.request_bytes)
        except BadInput as error:
            future = done(Answer(Outcome.REFUSED, str(error)))
        except CallFailed as failed:
            future = done(Answer(failed.outcome, failed.reason))
        else:
            call = Call(lane, declared, request, key, started, self._wall, self._chance, self._closing)
            future = lane.submit(call.run)
        future.add_done_callback(lambda ended: _tell(declared, ended))
        return future


def _check_key(operation: Operation, key: str) -> None:
    needed = operation.idempotency_header or operation.signed_by
    if (needed or key) and not KEY.fullmatch(key):
        raise BadInput(f"operation {operation.name} needs a key of letters, digits, _, : and -; nothing was sent")


def _agree(origins: Sequence[Origin], operations: Sequence[Operation]) -> None:
    names = {each.name for each in origins}
    if len(names) < len(origins) or len({each.name for each in operations}) < len(operations):
        raise BadInput("two origins or two operations have one name")
    for each in operations:
        if each.origin not in names:
            raise BadInput(f"operation {each.name}: no origin {each.origin} is declared")


def _tell(operation: Operation, ended: Future[Answer]) -> None:
    """One line for the operator: which operation, how it ended, how long it took."""
    if ended.cancelled() or ended.exception() is not None:
        return
    answer = ended.result()
    said = {"kind": operation.name, "reason": f"{answer.outcome}: {answer.reason}", "duration_ms": answer.duration_ms}
    _log.log(logging.INFO if answer.outcome is Outcome.OK else logging.WARNING, "call ended", extra=said)
