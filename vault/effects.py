"""Effects beside the fold: what an accepted commit wants done, done many at once, each once in the log.

An effect's outcome is a one-event aggregate whose id follows from the effect, so whoever carries an effect out twice, after a crash
or beside a twin, has the second outcome refused by the log. What is done is read from the log itself: an effect whose outcome stands
is not begun. An effect may be wanted for a later time.

Two threads a partition, however many effects are under way: one reads what is wanted and what has come of it, the other begins what
is due and appends outcomes, all that came meanwhile in one go.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from vault.commit import Commit
from vault.conversations import Accepted, ConversationPartition, Places, Reader
from vault.errors import PartitionStopped, SubjectErased, Unavailable, VaultError
from vault.fold import Verdict
from vault.ids import uuid_of
from vault.outstanding import Kept, Outstanding

log = logging.getLogger(__name__)

WAIT_S_MAX = 30.0
"""Longest wait for the time of an effect, so that a clock that was set is noticed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An effect that an accepted commit asks for. `outcome` is the originator id that its outcome will have. `due_us`: not before
    then, microseconds UTC."""

    outcome: UUID
    about: object
    due_us: int = 0


@dataclass(frozen=True)
class EffectLimits:
    """`begun_max`: effects under way, beyond which reading pauses. `open_max`: those without an outcome, what is wanted for later
    included; what there is no room for is read again when half of them are done.

    `retry_ms`: pause after a failure. `poll_ms`: how long an idle read waits, and so how soon a stop is noticed. `save_every_records`:
    how much of the log a restart after a crash reads again at most.
    """

    begun_max: int = 10_000
    open_max: int = 200_000
    batch_records: int = 500
    retry_ms: int = 1_000
    poll_ms: int = 500
    save_every_records: int = 20_000


@dataclass(slots=True)
class _Effect:
    """An effect without an outcome. `offset` is where it was wanted, `event` its outcome while that is not in the log."""

    wanted: Wanted
    offset: int
    event: StoredEvent | None = None


def now_us() -> int:
    return time.time_ns() // 1_000


class Effects:
    """Carries out the effects of one partition; a slow one delays no other.

    `wanted` reads the effects out of an accepted commit. `begin` begins one without waiting and gives the future of its outcome's
    event, a failure that is final included. It must itself be idempotent under `Wanted.outcome`, since a crash may come between the
    doing and the record of it; when it fails it is begun again, but for `SubjectErased`, which ends the effect.

    `outstanding` remembers under `name` how far the log was read; without it reading begins at the log's start.
    """

    def __init__(
        self,
        partition: ConversationPartition,
        wanted: Callable[[Accepted], Sequence[Wanted]],
        begin: Callable[[Wanted], Future[StoredEvent]],
        *,
        name: str = "effects",
        outstanding: Outstanding | None = None,
        limits: EffectLimits | None = None,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._partition = partition
        self._wanted = wanted
        self._begin = begin
        self._name = name
        self._outstanding = outstanding
        self._limits = limits or EffectLimits()
        self._clock = clock
        self._changed = threading.Condition()
        self._open: dict[UUID, _Effect] = {}
        self._due: list[tuple[int, int, UUID]] = []
        """A heap of what is to be begun, or whose outcome is to be appended: when, a tie-breaker, outcome."""
        self._ties = itertools.count()
        self._begun: set[UUID] = set()
        self._done: list[tuple[UUID, Future[StoredEvent]]] = []
        self._searched = 0
        """Before this offset every outcome has been seen."""
        self._left_at: int | None = None
        """Where the first effect was wanted that there was no room for: reading goes back there."""
        self._ready = False
        self._closing = False
        self.stopped: PartitionStopped | None = None
        place = f"{name}-{partition.partition}"
        self._reading = threading.Thread(target=self._read_on, name=f"{place}-read", daemon=True)
        self._writing = threading.Thread(target=self._write_on, name=place, daemon=True)

    def start(self) -> None:
        self._reading.start()
        self._writing.start()

    # Reading: what is wanted, and what has come of it

    def _read_on(self) -> None:
        number = self._partition.partition
        kept = self._outstanding.load(self._name, number) if self._outstanding else Kept()
        self._searched = kept.next_offset
        left = list(kept.offsets)
        while not self._closing:
            try:
                end = self._partition.catch_up()
                self._recall(left)
                self._read(end)
            except Unavailable as error:
                log.warning("effects wait", extra={"partition": number, "reason": str(error)})
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, self._limits.retry_ms / 1_000)
            except VaultError as error:
                if not isinstance(error, PartitionStopped):
                    error = PartitionStopped(str(error), partition=number, offset=self._searched)
                self._stop(error)
                return

    def _read(self, end: int) -> None:
        """Reads to the log's end first, so that only what has no outcome yet is begun; then what comes, as it comes."""
        saved = self._searched
        with Reader(self._partition, self._searched) as reader:
            while not self._closing:
                batch = reader.read(self._limits.batch_records, self._limits.poll_ms)
                with self._changed:
                    for accepted in batch:
                        self._take(accepted)
                    self._searched = reader.next_offset
                    self._ready = self._ready or reader.next_offset >= end
                    self._changed.notify_all()
                    self._changed.wait_for(self._has_room)
                if self._left_at is not None and len(self._open) <= self._limits.open_max // 2:
                    with self._changed:
                        self._searched, self._left_at, self._ready = self._left_at, None, False
                    return
                if self._searched - saved >= self._limits.save_every_records:
                    saved = self._searched
                    self._save()

    def _recall(self, offsets: list[int]) -> None:
        """Takes up what was open when a process before this one stopped; from the list what was taken up."""
        places = Places(self._partition)
        try:
            while offsets:
                accepted = places.at(offsets[-1])
                if accepted is not None:
                    with self._changed:
                        self._take(accepted)
                offsets.pop()
        finally:
            places.close()

    def _take(self, accepted: Accepted) -> None:
        for originator, *_ in accepted.commit.packed:
            self._settle(uuid_of(originator))
        for wanted in self._wanted(accepted):
            if wanted.outcome in self._open:
                continue
            if len(self._open) >= self._limits.open_max:
                if self._left_at is None:
                    log.warning("too much is wanted", extra={"partition": self._partition.partition})
                    self._left_at = accepted.offset
            else:
                self._open[wanted.outcome] = _Effect(wanted, accepted.offset)
                self._later(wanted.outcome, wanted.due_us)

    def _has_room(self) -> bool:
        if self._closing or not self._ready:
            return True
        due = bool(self._due) and self._due[0][0] <= self._clock()
        return not (due and len(self._begun) >= self._limits.begun_max)

    def _save(self) -> None:
        if self._outstanding is not None:
            with self._changed:
                upto = self._searched if self._left_at is None else self._left_at
                offsets = [effect.offset for effect in self._open.values()]
            self._outstanding.save(self._name, self._partition.partition, upto, offsets)

    # Writing: what is due is begun, what has come of it is appended

    def _write_on(self) -> None:
        while True:
            with self._changed:
                while not self._has_work():
                    self._changed.wait(self._wait_s())
                if self.stopped or (self._closing and not self._begun):
                    return
                done, self._done = self._done, []
                due = self._take_due()
            ended = [each for each in (self._ended(*each) for each in done) if each is not None]
            for outcome in due:
                effect = self._open.get(outcome)
                if effect is None:
                    continue
                if effect.event is None:
                    self._start(effect)
                else:
                    ended.append(effect)
            if ended:
                self._append(ended)

    def _has_work(self) -> bool:
        return bool(self._done or self.stopped or self._is_due() or (self._closing and not self._begun))

    def _is_due(self) -> bool:
        if not self._ready or self._closing or not self._due or len(self._begun) >= self._limits.begun_max:
            return False
        return self._due[0][0] <= self._clock()

    def _wait_s(self) -> float:
        if not self._due or not self._ready or len(self._begun) >= self._limits.begun_max:
            return WAIT_S_MAX
        return min(max(self._due[0][0] - self._clock(), 0) / 1e6, WAIT_S_MAX)

    def _take_due(self) -> list[UUID]:
        taken: list[UUID] = []
        while self._is_due() and len(taken) < self._limits.batch_records:
            outcome = heapq.heappop(self._due)[2]
            if outcome in self._open and outcome not in self._begun:
                self._begun.add(outcome)
                taken.append(outcome)
        return taken

    def _start(self, effect: _Effect) -> None:
        outcome = effect.wanted.outcome
        try:
            future = self._begin(effect.wanted)
        except Exception as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(lambda ended: self._end(outcome, ended))

    def _end(self, outcome: UUID, future: Future[StoredEvent]) -> None:
        with self._changed:
            self._done.append((outcome, future))
            self._changed.notify_all()

    def _ended(self, outcome: UUID, future: Future[StoredEvent]) -> _Effect | None:
        """The effect with its outcome; None when it failed, and is begun again, or does not matter any more."""
        effect = self._open.get(outcome)
        if effect is None:  # the outcome of a twin stands
            with self._changed:
                self._begun.discard(outcome)
            return None
        error = future.exception() if not future.cancelled() else RuntimeError()
        if error is None:
            effect.event = future.result()
            return effect
        with self._changed:
            if isinstance(error, SubjectErased):
                self._settle(outcome)
            else:
                self._again(effect, error)
        return None

    def _append(self, effects: Sequence[_Effect]) -> None:
        searched = self._searched
        commits = [Commit.of((effect.event,), based_on=searched) for effect in effects if effect.event is not None]
        try:
            judgements = self._partition.append(commits)
        except PartitionStopped as stopped:
            self._stop(stopped)
            return
        except Unavailable as error:
            with self._changed:
                for effect in effects:
                    self._again(effect, error)
            return
        with self._changed:
            for effect, (_, judged) in zip(effects, judgements, strict=True):
                if judged.verdict is Verdict.STALE:  # reading is far behind: what it has not seen may be the outcome
                    self._again(effect, None)
                else:  # it stands, or a twin's does
                    self._settle(effect.wanted.outcome)

    # Both, under the lock

    def _later(self, outcome: UUID, due_us: int) -> None:
        heapq.heappush(self._due, (due_us, next(self._ties), outcome))

    def _again(self, effect: _Effect, error: BaseException | None) -> None:
        if error is not None:
            # The text of an unforeseen error may quote what a person wrote: only its type is shown.
            reason = str(error) if isinstance(error, Unavailable) else type(error).__name__
            log.warning("effect waits", extra={"partition": self._partition.partition, "reason": reason})
        self._begun.discard(effect.wanted.outcome)
        self._later(effect.wanted.outcome, self._clock() + self._limits.retry_ms * 1_000)
        self._changed.notify_all()

    def _settle(self, outcome: UUID) -> None:
        if self._open.pop(outcome, None) is not None:
            self._begun.discard(outcome)
            self._changed.notify_all()

    def _stop(self, stopped: PartitionStopped) -> None:
        log.error("effects stopped", extra={"partition": self._partition.partition, "reason": str(stopped)})
        with self._changed:
            self.stopped = stopped
            self._changed.notify_all()

    def close(self) -> None:
        """Begins nothing more, and waits for what is under way and the record of it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in (self._reading, self._writing):
            if thread.is_alive():
                thread.join()
        self._save()
