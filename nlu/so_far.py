"""What is remembered of conversations while messages of them are understood: the language, and what was meant last.

A short message ("ok", "yes please") means what the conversation so far makes it mean. Nothing of this is stored: a process that begins
reads it back from the log.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple
from uuid import UUID

PEOPLE_MAX = 50_000
"""People of whom a process remembers this; of who has been silent longest nothing is known then."""
IDLE_US = 86_400_000_000
"""After a day of silence a conversation begins anew."""


class SoFar(NamedTuple):
    """`language` and `intent` of a person's last message, "" where not known; `at_us`: when it was sent, microseconds UTC, if known."""

    language: str = ""
    intent: str = ""
    at_us: int | None = None

    def known_at(self, at_us: int) -> SoFar:
        """What of it counts for a message of `at_us`: all, or nothing any more."""
        return self if self.at_us is None or abs(at_us - self.at_us) <= IDLE_US else UNKNOWN


UNKNOWN = SoFar()


class Conversations:
    """Remembers `SoFar` by person. Thread-safe."""

    def __init__(self, people_max: int = PEOPLE_MAX) -> None:
        self._people_max = people_max
        self._lock = threading.Lock()
        self._known: OrderedDict[UUID, SoFar] = OrderedDict()

    def before(self, subject: UUID, at_us: int) -> SoFar:
        """What the conversation was about before a message of `at_us`."""
        with self._lock:
            known = self._known.get(subject, UNKNOWN)
        return known.known_at(at_us)

    def note(
        self, subject: UUID, *, language: str | None = None, intent: str | None = None, at_us: int | None = None
    ) -> None:
        """Takes in what is known now; of the rest, what was known before stays."""
        with self._lock:
            known = self._known.get(subject, UNKNOWN)
            self._known[subject] = SoFar(
                known.language if language is None else language,
                known.intent if intent is None else intent,
                known.at_us if at_us is None else at_us,
            )
            self._known.move_to_end(subject)
            if len(self._known) > self._people_max:
                self._known.popitem(last=False)

    def forget(self, subject: UUID) -> None:
        with self._lock:
            self._known.pop(subject, None)

    def __len__(self) -> int:
        return len(self._known)
