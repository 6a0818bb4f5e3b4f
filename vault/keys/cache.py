"""Opened keys and resolved people, kept in memory for a bounded time and in bounded number.

A lease bounds how long a process can go on with a key that another process has destroyed. Two generations stand for "least recently
used": what is met again moves to the young one; when that is full it becomes the old one, and the old one is let go. So a hit costs
one look-up and one look at the clock, without a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LeasedCache(Generic[K, V]):
    """At most `entries` values, each for at most `lease_seconds`. Thread-safe. `clock` gives monotonic seconds."""

    def __init__(self, entries: int, lease_seconds: float, clock: Callable[[], float]) -> None:
        self._half = max(1, entries // 2)
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self.drops = 0
        """How often something was dropped. Read it before loading a value, and give it to `put`."""
        self._clear()

    def _clear(self) -> None:
        self._young: dict[K, tuple[V, float, int]] = {}
        self._old: dict[K, tuple[V, float, int]] = {}
        self._young_of: dict[int, list[K]] = {}
        self._old_of: dict[int, list[K]] = {}

    def get(self, key: K) -> V | None:
        """The value, while its lease lasts."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._promoted(key)
            if entry is None:
                return None
        return entry[0] if self._clock() < entry[1] else None

    def _promoted(self, key: K) -> tuple[V, float, int] | None:
        if key not in self._old:
            return None
        with self._lock:
            entry = self._old.pop(key, None)
            if entry is not None:
                self._keep(key, entry)
            return entry

    def put(self, key: K, value: V, owner: int, drops: int) -> None:
        """Keeps a value that was loaded when `drops` was read; not if anything was dropped since, for it may be stale."""
        expires = self._clock() + self._lease_seconds
        with self._lock:
            if drops == self.drops:
                self._keep(key, (value, expires, owner))

    def _keep(self, key: K, entry: tuple[V, float, int]) -> None:
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = self._young, {}
            self._old_of, self._young_of = self._young_of, {}
        held = self._young.get(key)
        if held is None or held[2] != entry[2]:
            self._young_of.setdefault(entry[2], []).append(key)
        self._young[key] = entry

    def drop(self, owner: int) -> None:
        """Lets go of everything of an owner."""
        with self._lock:
            self.drops += 1
            for held, of in ((self._young, self._young_of), (self._old, self._old_of)):
                for key in of.pop(owner, ()):
                    entry = held.get(key)
                    if entry is not None and entry[2] == owner:
                        del held[key]

    def drop_all(self) -> None:
        with self._lock:
            self.drops += 1
            self._clear()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
