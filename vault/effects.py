"""Effects beside the fold: what an accepted commit wants done, done many at once, each once in the log.

An effect has the key (interaction, step). Its outcome is a one-event aggregate whose id is derived from that key, so whoever
carries an effect out twice, after a crash or beside a twin, has the second outcome refused by the log. What is done is read from
the log itself: an effect whose outcome stands is not started.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from vault.commit import Commit
from vault.conversations import Accepted, ConversationPartition, Reader
from vault.errors import PartitionStopped, SubjectErased, Unavailable
from vault.fold import Verdict
from vault.ids import uuid_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """An effect that an accepted commit asks for. `outcome` is the originator id that its outcome will have."""

    outcome: UUID
    about: object


@dataclass(frozen=True)
class EffectLimits:
    """`concurrency`: effects carried out at once. `queue_max`: those begun or waiting; reading pauses when it is full.

    `retry_ms`: pause after a failure. `poll_ms`: how long an idle read waits, and so how soon a stop is noticed.
    """

    concurrency: int = 64
    queue_max: int = 10_000
    retry_ms: int = 1_000
    poll_ms: int = 500


class Effects:
    """Carries out the effects of one partition; a slow one delays no other.

    `wanted` reads the effects out of an accepted commit. `carry_out` does one and returns its outcome's event, a failure that is
    final included. It must itself be idempotent under `Wanted.outcome`, since a crash may come between the doing and the record of
    it; what it raises is retried, but for `SubjectErased`, which ends the effect.
    """

    def __init__(
        self,
        partition: ConversationPartition,
        wanted: Callable[[Accepted], Sequence[Wanted]],
        carry_out: Callable[[Wanted], StoredEvent],
        *,
        limits: EffectLimits | None = None,
        from_offset: int = 0,
    ) -> None:
        self._partition = partition
        self._wanted = wanted
        self._carry_out = carry_out
        self._limits = limits or EffectLimits()
        self._room = threading.BoundedSemaphore(self._limits.queue_max)
        self._pool = ThreadPoolExecutor(self._limits.concurrency, thread_name_prefix="effect")
        self._next_offset = from_offset
        self._closing = threading.Event()
        self._open: set[UUID] = set()
        self._lock = threading.Lock()
        self.stopped: PartitionStopped | None = None
        self._thread = threading.Thread(target=self._run, name=f"effects-{partition.partition}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._read()
            except PartitionStopped as stopped:
                self.stopped = stopped
                log.error("effects stopped", extra={"partition": self._partition.partition, "reason": str(stopped)})
                return
            except Unavailable as error:
                log.warning("effects wait", extra={"partition": self._partition.partition, "reason": str(error)})
                self._pause()

    def _read(self) -> None:
        """Reads to the end first, so that only what has no outcome yet is begun; then begins what comes, as it comes."""
        end = self._partition.catch_up()
        backlog: dict[UUID, Wanted] = {}
        with Reader(self._partition, self._next_offset) as reader:
            while not self._closing.is_set():
                for accepted in reader.read(500, self._limits.poll_ms):
                    for originator, *_ in accepted.commit.packed:
                        backlog.pop(uuid_of(originator), None)
                    for wanted in self._wanted(accepted):
                        backlog[wanted.outcome] = wanted
                if reader.next_offset >= end:
                    for wanted in backlog.values():
                        self._begin(wanted, searched_to=reader.next_offset)
                    backlog.clear()
                    self._next_offset = reader.next_offset

    def _begin(self, wanted: Wanted, *, searched_to: int) -> None:
        while not self._room.acquire(timeout=self._limits.poll_ms / 1_000):  # back-pressure: reading waits meanwhile
            if self._closing.is_set():
                return
        with self._lock:
            if wanted.outcome in self._open or self._closing.is_set():
                self._room.release()
                return
            self._open.add(wanted.outcome)
        self._pool.submit(self._one, wanted, searched_to)

    def _one(self, wanted: Wanted, searched_to: int) -> None:
        event: StoredEvent | None = None
        try:
            while not self._closing.is_set():
                try:
                    if event is None:
                        event = self._carry_out(wanted)
                    ((_, judged),) = self._partition.append([Commit.of((event,), based_on=searched_to)])
                    if judged.verdict is not Verdict.STALE:
                        return  # ours stands, or a twin's does
                    end = self._partition.catch_up()
                    if self._partition.find(wanted.outcome, searched_to, end):
                        return
                    searched_to = end
                except (SubjectErased, PartitionStopped):
                    return
                except Exception as error:
                    # The text of an unforeseen error may quote what a person wrote: only its type is shown.
                    reason = str(error) if isinstance(error, Unavailable) else type(error).__name__
                    log.warning("effect waits", extra={"partition": self._partition.partition, "reason": reason})
                    self._pause()
        finally:
            with self._lock:
                self._open.discard(wanted.outcome)
            self._room.release()

    def _pause(self) -> None:
        self._closing.wait(self._limits.retry_ms / 1_000)

    def close(self) -> None:
        """Begins nothing more and waits for what is under way."""
        self._closing.set()
        self._thread.join()
        self._pool.shutdown(wait=True)
