"""A circuit breaker: an origin that fails again and again is left alone for a while, then tried with one call."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Breaker:
    """Opens after `failures` in a row, for `open_s` seconds of `clock`; then one trial decides. Thread-safe."""

    def __init__(self, failures: int, open_s: float, clock: Callable[[], float]) -> None:
        self._failures = failures
        self._open_s = open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._round = 0
        """Counts openings and closings: what began in an earlier round decides nothing in this one."""
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._on_trial = False

    @property
    def is_open(self) -> bool:
        """Whether calls are turned away, but for a trial."""
        return self._opened_at is not None

    def enter(self) -> int | None:
        """A ticket to give back by `leave`, or None: the circuit is open."""
        with self._lock:
            if self._opened_at is not None:
                if self._on_trial or self._clock() < self._opened_at + self._open_s:
                    return None
                self._on_trial = True
            return self._round

    def leave(self, ticket: int, alive: bool | None) -> None:
        """Says how it went: the origin is `alive`, is not, or (None) the attempt says nothing about it."""
        with self._lock:
            if ticket != self._round:
                return
            self._on_trial = False
            if alive is None:
                return
            was_open = self._opened_at is not None
            self._in_a_row = 0 if alive else self._in_a_row + 1
            if alive and was_open:
                self._round += 1
                self._opened_at = None
            elif not alive and (was_open or self._in_a_row >= self._failures):
                self._round += 1
                self._opened_at = self._clock()
