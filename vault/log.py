"""What a log is, and one partition of it as this process has folded it.

A log numbers records; who wins is decided by folding them in order (vault/fold.py). `FoldedPartition` joins the two: a writer
appends and learns, from the fold of everything before its record, whether it was accepted. A record that was acknowledged at the
offset that is next is folded at once, without being read back; where somebody else's records stand between, they are read first.

No thread of its own reads: whoever waits for a record pulls it for everybody who waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from vault.commit import Commit, Envelope, log_id_of
from vault.errors import LogMismatch, LogUnavailable, PartitionStopped, RecordForeign

J = TypeVar("J")

POLL_MS = 500
READ_RECORDS = 10_000
FIRST_RECORD_TIMEOUT_MS = 5_000


class Raw(NamedTuple):
    """One record as the log holds it."""

    offset: int
    record: bytes | None


class Ack(Protocol):
    """Records on their way."""

    def wait(self, timeout_ms: int) -> Sequence[int]:
        """Their offsets, in the order they were given. Raises `LogUnavailable` with what is known."""


class Tail(Protocol):
    """Reads one partition forward. Not thread-safe."""

    def poll(self, timeout_ms: int, limit: int) -> list[Raw]:
        """The next records, [] when none came in time. Raises `LogUnavailable`, or `LogMismatch` if they are gone."""

    def seek(self, offset: int) -> None: ...

    def close(self) -> None: ...


class Log(Protocol):
    """One topic. Thread-safe."""

    topic: str
    partitions: int

    def send(self, partition: int, records: Sequence[bytes]) -> Ack: ...

    def tail(self, partition: int, start: int) -> Tail: ...

    def bounds(self, partition: int) -> tuple[int, int]:
        """(first offset still kept, offset after the last)."""

    def end(self, partition: int) -> int:
        """The offset after the last, as of now; cheaper than `bounds`."""

    def close(self) -> None: ...


def check_log_id(log: Log, log_id: UUID) -> None:
    """Raises `LogMismatch` with both ids when the topic holds another log, as it does where two homes are given one prefix."""
    for number in range(log.partitions):
        first, end = log.bounds(number)
        if first == end:
            continue
        tail = log.tail(number, first)
        try:
            raws = tail.poll(FIRST_RECORD_TIMEOUT_MS, 1)
        finally:
            tail.close()
        found = log_id_of(raws[0].record) if raws else None
        if found is not None and found != log_id:
            raise LogMismatch(
                f"the topic {log.topic} holds log {found}, this home was made for log {log_id}",
                remedy="give this home a prefix of its own in the log setting",
            )
        return


@dataclass(frozen=True, slots=True)
class Started:
    """Commits that were sent. Give it to `finish`."""

    ack: Ack
    commits: Sequence[Commit]
    ticket: int


class FoldedPartition(Generic[J]):
    """One partition, folded. Thread-safe. Subclasses say how, in `_fold`."""

    def __init__(
        self,
        log: Log,
        partition: int,
        envelope: Envelope,
        *,
        next_offset: int,
        append_timeout_ms: int = 30_000,
        passed_over: frozenset[int] = frozenset(),
    ) -> None:
        self.log = log
        self.partition = partition
        self.next_offset = next_offset
        self.stopped: PartitionStopped | None = None
        self.passed_over = passed_over
        self._envelope = envelope
        self._append_timeout_ms = append_timeout_ms
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        # While anybody's commits are on their way: how far the fold was when they left, those acknowledged and not folded yet,
        # and every verdict since the earliest left, the first of them that of `_judged_from`.
        self._in_flight: dict[int, int] = {}
        self._tickets = 0
        self._acked: dict[int, Commit] = {}
        self._judged: list[J] = []
        self._judged_from = next_offset
        self._tail: Tail | None = None
        self._tail_at = -1
        self._pulling = False

    def _fold(self, commits: Sequence[tuple[int, Commit]]) -> Sequence[J]:
        """Judges contiguous commits from `next_offset` on, in order, under the lock; records in `passed_over` come as `Commit()`.

        May judge only the first few. Raises `RecordForeign` when the first is none to be passed.
        """
        raise NotImplementedError

    # Writing

    def append(self, commits: Sequence[Commit]) -> list[tuple[int, J]]:
        """Appends commits, each as one record, and returns for each its offset and what the fold made of it.

        Raises `LogUnavailable` when the log did not answer in time, `PartitionStopped` when the fold cannot pass a record.
        """
        return self.finish(self.start(commits))

    def start(self, commits: Sequence[Commit]) -> Started:
        """Sends, without waiting. What is returned must be given to `finish`."""
        if self.stopped:
            raise self.stopped
        write = self._envelope.write
        records = [write(commit) for commit in commits]
        with self._changed:
            self._tickets = ticket = self._tickets + 1
            self._in_flight[ticket] = self.next_offset
        try:
            return Started(self.log.send(self.partition, records), commits, ticket)
        except BaseException:
            self._land(ticket)
            raise

    def finish(self, started: Started) -> list[tuple[int, J]]:
        """Waits until what `start` sent is stored and folded."""
        try:
            offsets = started.ack.wait(self._append_timeout_ms)
            with self._changed:
                for offset, commit in zip(offsets, started.commits, strict=True):
                    if offset >= self.next_offset:
                        self._acked[offset] = commit
                self._fold_acknowledged()
            self.catch_up(max(offsets, default=-1) + 1)
            with self._changed:
                judged, start = self._judged, self._judged_from
                return [(offset, judged[offset - start]) for offset in offsets]
        finally:
            self._land(started.ticket)

    def _land(self, ticket: int) -> None:
        with self._changed:
            del self._in_flight[ticket]
            needed_from = min(self._in_flight.values(), default=self.next_offset)
            if not self._in_flight:
                self._acked.clear()
            if not self._in_flight or needed_from - self._judged_from > READ_RECORDS:
                del self._judged[: needed_from - self._judged_from]
                self._judged_from = needed_from

    def _fold_acknowledged(self) -> None:
        ready: list[tuple[int, Commit]] = []
        offset = self.next_offset
        while offset in self._acked:
            ready.append((offset, self._acked[offset]))
            offset += 1
        self._advance(ready)

    def _advance(self, commits: Sequence[tuple[int, Commit]]) -> None:
        """Folds contiguous commits from `next_offset` on. Raises `PartitionStopped` at one that must not be passed."""
        while commits and not self.stopped:
            try:
                verdicts = self._fold(commits)
            except RecordForeign as error:
                self._stop(commits[0][0], str(error))
                break
            self.next_offset += len(verdicts)
            if self._in_flight:
                self._judged.extend(verdicts)
                for offset, _ in commits[: len(verdicts)]:
                    self._acked.pop(offset, None)
            else:
                self._judged_from = self.next_offset
            self._changed.notify_all()
            commits = commits[len(verdicts) :]
        if self.stopped:
            raise self.stopped

    # Reading

    def catch_up(self, upto: int | None = None) -> int:
        """Folds until `next_offset` is at least `upto` (default: the log's end as of now). Returns `next_offset`."""
        target = self.log.bounds(self.partition)[1] if upto is None else upto
        timeout_s = self._append_timeout_ms / 1_000
        deadline = time.monotonic() + timeout_s
        before = self.next_offset
        while not self.advance(target - 1, POLL_MS):
            if self.next_offset > before:
                before = self.next_offset
                deadline = time.monotonic() + timeout_s
            elif time.monotonic() > deadline or self._closed:
                raise LogUnavailable(
                    f"{self.log.topic}/{self.partition} could not be read to offset {target} "
                    f"within append_timeout_ms ({self._append_timeout_ms})",
                    remedy="check the broker",
                )
        return self.next_offset

    def advance(self, offset: int, timeout_ms: int, limit: int = READ_RECORDS) -> bool:
        """Waits until `offset` is folded, reading on for everybody if nobody does. False when it was not in time.

        Raises `PartitionStopped` at a record that must not be passed, `LogUnavailable` when the log cannot be read.
        """
        deadline = time.monotonic() + timeout_ms / 1_000
        while True:
            with self._changed:
                if self.next_offset > offset:
                    return True
                if self.stopped:
                    raise self.stopped
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._closed:
                    return False
                if self._pulling:
                    self._changed.wait(left_s)
                    continue
                self._pulling = True
            try:
                self._pull(min(int(left_s * 1_000) + 1, POLL_MS), limit)
            finally:
                with self._changed:
                    self._pulling = False
                    self._changed.notify_all()

    def _pull(self, timeout_ms: int, limit: int) -> None:
        start = self.next_offset
        try:
            if self._tail is None:
                self._tail = self.log.tail(self.partition, start)
            elif self._tail_at != start:
                self._tail.seek(start)
            raws = self._tail.poll(timeout_ms, limit)
        except LogMismatch as error:
            with self._changed:
                raise self._stop(start, str(error)) from error
        self._tail_at = raws[-1].offset + 1 if raws else start
        self._take(raws)

    def _take(self, raws: Sequence[Raw]) -> None:
        """Folds records as they were read; those folded meanwhile, on their acknowledgement, are left out."""
        with self._changed:
            read, foreign = self._decoded(raws)
            self._advance(read)
            if foreign is not None:
                raise self._stop(*foreign)

    def _decoded(self, raws: Sequence[Raw]) -> tuple[list[tuple[int, Commit]], tuple[int, str] | None]:
        """What is new of them, and where and why there is no going on."""
        read: list[tuple[int, Commit]] = []
        expected = self.next_offset
        acked, decode, passed_over = self._acked, self._envelope.read, self.passed_over
        try:
            for offset, record in raws:
                if offset != expected:
                    if offset < expected:
                        continue
                    return read, (expected, "the record is gone from the log")
                commit = Commit() if offset in passed_over else acked.get(offset) or decode(record)
                read.append((offset, commit))
                expected += 1
        except RecordForeign as error:
            return read, (expected, str(error))
        return read, None

    def _stop(self, offset: int, reason: str) -> PartitionStopped:
        """Remembers that nothing passes `offset`. Called under the lock."""
        self.stopped = self.stopped_at(offset, reason)
        self._changed.notify_all()
        return self.stopped

    def stopped_at(self, offset: int, reason: str) -> PartitionStopped:
        """The error that names an offset of this partition."""
        return PartitionStopped(
            f"{self.log.topic} partition {self.partition} stopped at offset {offset}: {reason}",
            partition=self.partition,
            offset=offset,
            remedy="run `parloir verify`, which says how to go on",
        )

    def close(self) -> None:
        """Stops reading; whoever waits is told at once. The log itself stays open."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._pulling)
            if self._tail is not None:
                self._tail.close()
                self._tail = None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
