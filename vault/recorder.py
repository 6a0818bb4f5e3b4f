"""What the register's two persistence modules, vault.kafka and vault.sqlite, have in common.

Stands between `eventsourcing`, which asks for recorders, and what keeps the register: errors that are at home in both trees, and
subscriptions that are woken when something was recorded, instead of asking again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from eventsourcing.persistence import ApplicationRecorder, ListenNotifySubscription, OperationalError

from vault.errors import LogUnavailable


class RegisterUnavailable(LogUnavailable, OperationalError):
    """`LogUnavailable` to the vault, `OperationalError` to the library: the same condition, known to the callers of both."""


def unavailable(error: LogUnavailable) -> RegisterUnavailable:
    """The same error, as a recorder raises it."""
    return RegisterUnavailable(
        str(error.args[0]),
        stored=error.stored,
        not_stored=error.not_stored,
        unknown=error.unknown,
        remedy=error.remedy,
    )


class Listeners:
    """Who wants to know that something was recorded. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: set[threading.Event] = set()

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: threading.Event) -> None:
        with self._lock:
            self._events.add(event)

    def remove(self, event: threading.Event) -> None:
        with self._lock:
            self._events.discard(event)

    def notify(self) -> None:
        if self._events:
            with self._lock:
                for event in self._events:
                    event.set()


def _nothing() -> None:
    pass


class WokenSubscription(ListenNotifySubscription[ApplicationRecorder]):
    """Reads a recorder when it is notified. `check` may raise what ends the subscription; `left` is told that it has ended."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        listeners: Listeners,
        gt: int | None,
        topics: Sequence[str],
        *,
        check: Callable[[], None] = _nothing,
        left: Callable[[], None] = _nothing,
    ) -> None:
        self._listeners = listeners
        self._check = check
        self._left = left
        self._leaving = threading.Lock()
        super().__init__(recorder, gt, topics)
        listeners.add(self._has_been_notified)
        # What was recorded between the first reading, which has begun by now, and this line was notified to nobody.
        self._has_been_notified.set()
        if self._has_been_stopped:
            listeners.remove(self._has_been_notified)

    def _pull(self) -> None:
        super()._pull()
        if not self._has_been_stopped:
            self._check()

    def stop(self) -> None:
        super().stop()
        self._listeners.remove(self._has_been_notified)
        if self._leaving.acquire(blocking=False):  # once, however often it is stopped
            self._left()
