"""The conversations: appended by whoever begins something, advanced by followers, read in order with what the fold decided.

Stands between the raw logs (vault/logs) and everything that consumes conversations. One `ConversationPartition` a process and
partition folds the log once; any number of `Reader`s then read what was accepted, from memory near the end, from the log further
back.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence, Set
from itertools import islice, takewhile
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from vault.commit import Commit, Envelope
from vault.errors import LogMismatch, LogUnavailable, PartitionStopped, RecordForeign, VaultError
from vault.fold import Fold, Judged, Verdict
from vault.ids import LogId, uuid_of
from vault.local_state import LocalState
from vault.log import FIRST_RECORD_TIMEOUT_MS, POLL_MS, READ_RECORDS, FoldedPartition, Log, Started, Tail
from vault.seal import person_of, stored

NOTHING_VOID: frozenset[int] = frozenset()


class Accepted(NamedTuple):
    """An accepted commit at its place. `void` are the indexes of events of people who were erased before it."""

    offset: int
    commit: Commit
    void: frozenset[int] = NOTHING_VOID

    def standing(self) -> Iterator[StoredEvent]:
        """Its events that are not void."""
        for index, event in enumerate(self.commit.packed):
            if index not in self.void:
                yield stored(event)


_new = tuple.__new__
"""Makes a `NamedTuple` in half the time that its own constructor takes."""


class ConversationPartition(FoldedPartition[Judged]):
    """One partition of the conversations as this process has folded it. Thread-safe."""

    def __init__(
        self,
        log: Log,
        partition: int,
        envelope: Envelope,
        *,
        state: LocalState | None = None,
        horizon: int = 65_536,
        append_timeout_ms: int = 30_000,
        passed_over: frozenset[int] = frozenset(),
        kept_events: int = 20_000,
        save_every_records: int = 20_000,
        on_erased: Callable[[UUID], None] | None = None,
    ) -> None:
        first, end = log.bounds(partition)
        remembered = state.load(partition) if state else None
        if remembered and remembered.fold.next_offset > end:
            # Beginning anew in silence would take a topic that lost records, or was made again, for the whole truth.
            raise LogMismatch(
                f"{log.topic}/{partition} ends at offset {end}, and was read here up to {remembered.fold.next_offset} before: "
                f"records were lost",
                remedy="restore the topic; if they are lost for good, delete the home's state folder and `parloir rebuild`",
            )
        if remembered and first <= remembered.fold.next_offset:
            self.fold = Fold.restored(remembered.fold, horizon)
            self.refused = remembered.refused
        else:
            self.fold = Fold(horizon, next_offset=first)
            self.refused = set()
        start = self.fold.next_offset
        super().__init__(
            log,
            partition,
            envelope,
            next_offset=start,
            append_timeout_ms=append_timeout_ms,
            passed_over=passed_over,
        )
        self.first_offset = first
        self._state = state
        self._saved = start
        self._unsaved_refused: list[int] = []
        self._save_every_records = save_every_records
        self._kept_events = kept_events
        self._recent: list[Accepted] = []
        self._recent_from = start
        self._recent_events = 0
        self._on_erased = on_erased
        if start > first:
            self._warm(max(first, start - horizon), start)

    def _warm(self, begin: int, end: int) -> None:
        tail = self.log.tail(self.partition, begin)
        try:
            at = begin
            while at < end:
                raws = tail.poll(self._append_timeout_ms, READ_RECORDS)
                if not raws:
                    raise LogUnavailable(
                        f"{self.log.topic}/{self.partition} could not be read from offset {at} "
                        f"within append_timeout_ms ({self._append_timeout_ms})",
                        remedy="check the broker",
                    )
                for offset, record in raws:
                    if offset >= end:
                        break
                    if offset not in self.passed_over:
                        self.fold.warm(offset, self.read(offset, record))
                    at = offset + 1
        finally:
            tail.close()

    def read(self, offset: int, record: bytes | None) -> Commit:
        """The commit in a record that was read before. Raises `PartitionStopped` when it is not this log's any more."""
        try:
            return self._envelope.read(record)
        except RecordForeign as error:
            raise self.stopped_at(offset, str(error)) from error

    def _fold(self, commits: Sequence[tuple[int, Commit]]) -> Sequence[Judged]:
        fold = self.fold
        erased = len(fold.erased)
        if commits[0][0] in self.passed_over:
            verdicts = [fold.pass_over(commits[0][0])]
        elif self.passed_over:
            verdicts = fold.steps(takewhile(lambda commit: commit[0] not in self.passed_over, commits))
        else:
            verdicts = fold.steps(commits)
        keep, events, is_accepted = self._recent.append, 0, Verdict.ACCEPTED  # looked up once: that is slow
        for (offset, commit), (verdict, void) in zip(commits, verdicts, strict=False):
            if verdict is is_accepted:
                keep(_new(Accepted, (offset, commit, void)))
                events += len(commit.packed)
            else:
                self.refused.add(offset)
                self._unsaved_refused.append(offset)
        self._recent_events += events
        if self._on_erased:
            for person in islice(fold.erased, erased, None):
                self._on_erased(uuid_of(person))
        if self._recent_events > 2 * self._kept_events:
            self._forget()
        if fold.next_offset - self._saved >= self._save_every_records:
            self._save()
        return verdicts

    def _forget(self) -> None:
        """Keeps the latest commits, as many as hold `kept_events`."""
        kept, at = 0, len(self._recent)
        while at and kept < self._kept_events:
            at -= 1
            kept += len(self._recent[at].commit.packed)
        del self._recent[:at]
        self._recent_events = kept
        self._recent_from = self._recent[0].offset

    def _save(self) -> None:
        if self._state is not None and self.fold.next_offset > self._saved:
            self._state.save(self.partition, self.fold.saved(), self._unsaved_refused)
            self._saved = self.fold.next_offset
            self._unsaved_refused.clear()

    def position(self, follower: str) -> int:
        """Where the follower's last accepted commit ended; -1 at the beginning."""
        with self._changed:
            return self.fold.positions.get(follower, -1)

    def is_void(self, person: bytes, offset: int) -> bool:
        """Whether an event of a person (16 bytes) at `offset` is void, because the person was erased before."""
        erased = self.fold.erased.get(person)
        return erased is not None and erased < offset

    def recent(self, start: int, limit: int) -> tuple[list[Accepted], int] | None:
        """Accepted commits from `start` on out of memory, and how far they reach; None when `start` is further back."""
        with self._changed:
            if start < self._recent_from:
                return None
            at = bisect_left(self._recent, start, key=lambda accepted: accepted.offset)
            found = self._recent[at : at + limit]
            full = len(found) == limit
            return found, (found[-1].offset + 1 if full else self.next_offset)

    def find(self, originator: UUID, start: int, end: int) -> Accepted | None:
        """The accepted commit that begins `originator` within [start, end), if there is one. Folds to `end` first."""
        return self.find_all({originator}, start, end).get(originator)

    def find_all(self, originators: Set[UUID], start: int, end: int) -> dict[UUID, Accepted]:
        """The same for many, in one reading. Where a void one and a standing one were accepted, the standing one."""
        found: dict[UUID, Accepted] = {}
        self.catch_up(end)
        with Reader(self, start) as reader:
            while reader.next_offset < end:
                for accepted in reader.read(READ_RECORDS, self._append_timeout_ms):
                    commit = accepted.commit
                    if commit.based_on is None or accepted.offset >= end:
                        continue
                    begun = uuid_of(commit.packed[0][0])
                    if begun in originators and (begun not in found or not accepted.void):
                        found[begun] = accepted
        return found

    def close(self) -> None:
        super().close()
        with self._changed:
            self._save()


class Reader:
    """Reads the accepted commits of a partition in order, from `start`. Not thread-safe; one a consumer."""

    def __init__(self, partition: ConversationPartition, start: int) -> None:
        self.partition = partition
        self.next_offset = max(start, partition.first_offset)
        self._tail: Tail | None = None

    def read(self, limit: int, timeout_ms: int) -> list[Accepted]:
        """Up to `limit` accepted commits; [] when nothing new was folded in time, or all that was, was refused.

        `next_offset` says how far was read. Raises `PartitionStopped` at a record that must not be passed.
        """
        part = self.partition
        if not part.advance(self.next_offset, timeout_ms, limit):
            return []
        recent = part.recent(self.next_offset, limit)
        if recent is not None:
            self._drop_tail()
            found, self.next_offset = recent
            return found
        if self._tail is None:
            self._tail = part.log.tail(part.partition, self.next_offset)
        found = []
        folded = part.next_offset
        for offset, record in self._tail.poll(timeout_ms, limit):
            if offset >= folded:
                self._tail.seek(offset)
                break
            self.next_offset = offset + 1
            if offset in part.refused:
                continue
            commit = part.read(offset, record)
            void = NOTHING_VOID
            if part.fold.erased:
                void = frozenset(
                    i for i, event in enumerate(commit.packed) if part.is_void(person_of(event[3]), offset)
                )
            found.append(Accepted(offset, commit, void))
        return found

    def raw(self, limit: int, end: int) -> list[tuple[int, Commit]]:
        """Records from `next_offset` on and before `end`, accepted or not, read anew; for checking the fold against the log."""
        part = self.partition
        if self._tail is None:
            self._tail = part.log.tail(part.partition, self.next_offset)
        read = [
            (offset, Commit() if offset in part.passed_over else part.read(offset, record))
            for offset, record in self._tail.poll(POLL_MS, limit)
            if offset < end
        ]
        if read:
            self.next_offset = read[-1][0] + 1
        return read

    def _drop_tail(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def close(self) -> None:
        self._drop_tail()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Places:
    """Reads accepted commits of a partition at offsets that were noted before, anywhere. Not thread-safe; one a consumer."""

    def __init__(self, partition: ConversationPartition) -> None:
        self._partition = partition
        self._tail: Tail | None = None

    def at(self, offset: int) -> Accepted | None:
        """The accepted commit at an offset that was folded; None where there is none, or the log does not hold it any more."""
        part = self._partition
        recent = part.recent(offset, 1)
        if recent is not None:
            found, _ = recent
            return found[0] if found and found[0].offset == offset else None
        if offset in part.refused or offset < part.log.bounds(part.partition)[0]:
            return None
        if self._tail is None:
            self._tail = part.log.tail(part.partition, offset)
        else:
            self._tail.seek(offset)
        raws = self._tail.poll(FIRST_RECORD_TIMEOUT_MS, 1)
        if not raws:
            raise LogUnavailable(
                f"{part.log.topic}/{part.partition} did not give offset {offset}", remedy="check the broker"
            )
        commit = part.read(*raws[0])
        void = frozenset(i for i, event in enumerate(commit.packed) if part.is_void(person_of(event[3]), offset))
        return Accepted(offset, commit, void)

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None


class Appending:
    """Commits on their way to several partitions: what is started first travels while the next is being sealed.

    `finish` has to be called in any case; it waits for all that was started.
    """

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self._started: list[tuple[ConversationPartition, Started]] = []
        self._problem: VaultError | None = None

    def start(self, number: int, commits: Sequence[Commit]) -> None:
        """Sends, without waiting. Does nothing once anything has failed; `finish` says what."""
        if self._problem is None:
            try:
                partition = self._conversations.partition(number)
                self._started.append((partition, partition.start(commits)))
            except VaultError as error:
                self._problem = error

    def finish(self) -> list[list[tuple[int, Judged]]]:
        """For each `start`, in order, what `ConversationPartition.append` returns. Raises the first error when all are through."""
        outcomes: list[list[tuple[int, Judged]]] = []
        for partition, started in self._started:
            try:
                outcomes.append(partition.finish(started))
            except VaultError as error:
                self._problem = self._problem or error
        if self._problem:
            raise self._problem
        return outcomes


class Conversations:
    """All partitions of the conversations that this process has to do with, opened on first use."""

    def __init__(
        self,
        log: Log,
        log_id: LogId,
        log_key: bytes,
        *,
        state: Path | None = None,
        horizon: int = 65_536,
        append_timeout_ms: int = 30_000,
        kept_events: int = 20_000,
        passed_over: Callable[[int], frozenset[int]] = lambda _: frozenset(),
        on_erased: Callable[[UUID], None] | None = None,
    ) -> None:
        self.log = log
        self.log_id = log_id
        self.partitions = log.partitions
        self._log_key = log_key
        self._state = LocalState(state, log_id) if state else None
        self._horizon = horizon
        self._append_timeout_ms = append_timeout_ms
        self._kept_events = kept_events
        self._passed_over = passed_over
        self._on_erased = on_erased
        self._lock = threading.Lock()
        self._open: dict[int, ConversationPartition] = {}

    def partition(self, partition: int) -> ConversationPartition:
        """The partition, folded as far as was remembered; call `catch_up` or `follow` on it to go on."""
        found = self._open.get(partition)
        if found is not None:
            return found
        with self._lock:
            found = self._open.get(partition)
            if found is not None:
                return found
            found = self._open[partition] = ConversationPartition(
                self.log,
                partition,
                Envelope(self.log_id, self._log_key, self.log.topic, partition),
                state=self._state,
                horizon=self._horizon,
                append_timeout_ms=self._append_timeout_ms,
                kept_events=self._kept_events,
                passed_over=self._passed_over(partition),
                on_erased=self._on_erased,
            )
            return found

    def appending(self) -> Appending:
        """For appending to several partitions at once, bit by bit."""
        return Appending(self)

    def catch_up(self) -> dict[int, PartitionStopped]:
        """Folds every partition to its end as of now. Returns those that cannot be, with why."""
        stopped: dict[int, PartitionStopped] = {}
        for number in range(self.partitions):
            try:
                self.partition(number).catch_up()
            except PartitionStopped as error:
                stopped[number] = error
        return stopped

    def close(self) -> None:
        for partition in self._open.values():
            partition.close()
        if self._state:
            self._state.close()
        self.log.close()
