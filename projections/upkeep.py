"""When the projection's file is made anew by itself: a thread that looks every so often, and settles when there is reason to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from projections.settle import settle
from projections.store import Store
from projections.worker import Projector
from vault.errors import VaultError

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class UpkeepLimits:
    """`recent_rows`: settle when as many are in the order of arrival. `removed_rows`: or when as many were removed. `removed_days`: or
    when anything was removed, and the file is that old. `max_days`: or when the file is that old, for chapters that are over.
    `pause_seconds`: never sooner after the last time. `look_ms`: how often to look."""

    recent_rows: int = 500_000
    removed_rows: int = 100_000
    removed_days: int = 1
    max_days: int = 31
    pause_seconds: int = 3_600
    look_ms: int = 10_000


@dataclass(frozen=True)
class State:
    """What the file in service is like."""

    recent_rows: int
    removed_rows: int
    age_seconds: float


def state(store: Store) -> State:
    """Of a store, as of now."""
    with store.reading() as cursor:
        (recent,) = cursor.execute("SELECT count(*) FROM recent_event").fetchone()
        removed, made_us = cursor.execute("SELECT removed_rows, epoch_us(made_at) FROM projection").fetchone()
    return State(recent, removed, time.time() - made_us / 1e6)


def reason(found: State, limits: UpkeepLimits) -> str:
    """Why the file is to be made anew; "" when there is no reason."""
    if found.age_seconds < limits.pause_seconds:
        return ""
    if found.recent_rows >= limits.recent_rows:
        return f"{found.recent_rows} events are recent"
    if found.removed_rows >= limits.removed_rows:
        return f"{found.removed_rows} events were removed"
    if found.removed_rows and found.age_seconds >= limits.removed_days * DAY_SECONDS:
        return "events were removed"
    if found.age_seconds >= limits.max_days * DAY_SECONDS:
        return "the file is old"
    return ""


class Upkeep:
    """Settles the projection of a projector that follows, until closed."""

    def __init__(self, projector: Projector, limits: UpkeepLimits | None = None) -> None:
        self._projector = projector
        self._limits = limits or UpkeepLimits()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="projection-upkeep", daemon=True)
        self.settled = 0
        """How often."""

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(self._limits.look_ms / 1_000):
            try:
                self._look()
            except Stopped:
                return
            except VaultError as error:
                log.warning("projection not settled", extra={"reason": str(error)})
                self._closing.wait(min(self._limits.pause_seconds, 60))

    def _look(self) -> None:
        store = self._projector.store
        if store.is_building and self._projector.is_complete():
            store.built()
        why = reason(state(store), self._limits)
        if not why:
            return
        done = settle(store, self._projector.keys, self._unless_closing())
        self.settled += 1
        log.info(
            "projection settled",
            extra={
                "reason": why,
                "events": done.events,
                "dropped": done.dropped,
                "duration_ms": round(done.seconds * 1e3),
            },
        )

    def _unless_closing(self) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            del done, total
            if self._closing.is_set():
                raise Stopped

        return progress

    def close(self) -> None:
        """Ends at once: what was being made is given up, the file in service stays."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()


class Stopped(Exception):
    """The process is closing."""
