"""The loop that every follower runs: read what was accepted, work, append the result with the position it was made from.

A follower's commit is accepted if and only if it continues where the follower's last accepted commit ended, so any number of
workers of one name may run: whoever comes second is refused, sees it, and resumes from the accepted position. A range that yields
nothing is not committed, so idle workers of one name write nothing. A record that cannot be handled stops its partition, at its
position and with the reason; nothing is ever skipped.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from eventsourcing.persistence import StoredEvent

from vault.commit import Commit
from vault.conversations import Accepted, ConversationPartition, Conversations, Reader
from vault.errors import PartitionStopped, Unavailable, VaultError
from vault.fold import Verdict

log = logging.getLogger(__name__)


class Worker(Protocol):
    """What a follower does with what it reads. `handle` is called for contiguous ranges, in order, one partition at a time."""

    name: str

    def handle(self, partition: int, batch: Sequence[Accepted]) -> Sequence[Sequence[StoredEvent]]:
        """For each commit of the batch the events that it gives rise to, [] for none.

        Must leave nothing behind when it raises: the batch, or a part of it, is given again.
        """


class Assignment(Protocol):
    """Which partitions are ours to work on."""

    def partitions(self) -> set[int]: ...

    def wait(self, timeout_ms: int) -> None:
        """Returns when the partitions may have changed, or in time."""

    def close(self) -> None: ...


class Everything:
    """All partitions, always: the assignment of a single process."""

    def __init__(self, partitions: int) -> None:
        self._partitions = set(range(partitions))
        self._closed = threading.Event()

    def partitions(self) -> set[int]:
        return self._partitions

    def wait(self, timeout_ms: int) -> None:
        self._closed.wait(timeout_ms / 1000)

    def close(self) -> None:
        self._closed.set()


@dataclass(frozen=True)
class FollowLimits:
    """`batch_records`: most records handled at once. `commit_bytes_max`: size of the events in one commit, beyond which a batch is
    written as several. `poll_ms`: how long an idle read waits. `retry_ms`: pause after a failure."""

    batch_records: int = 500
    commit_bytes_max: int = 524_288
    poll_ms: int = 500
    retry_ms: int = 500


class Follower:
    """Runs one worker over the partitions assigned to this process, a thread each, until closed."""

    def __init__(
        self,
        conversations: Conversations,
        worker: Worker,
        assignment: Assignment | None = None,
        limits: FollowLimits | None = None,
        on_stop: Callable[[PartitionStopped], None] | None = None,
        on_begin: Callable[[ConversationPartition, int], None] | None = None,
    ) -> None:
        """`on_begin` is called in a partition's thread whenever work begins there, or begins again because a commit was not accepted
        or something was away: with the partition, folded to its end, and the position after which `handle` goes on."""
        self._conversations = conversations
        self._worker = worker
        self._assignment = assignment or Everything(conversations.partitions)
        self._limits = limits or FollowLimits()
        self._on_stop = on_stop
        self._on_begin = on_begin
        self._closing = threading.Event()
        self._running: dict[int, tuple[threading.Thread, threading.Event]] = {}
        self.stopped: dict[int, PartitionStopped] = {}
        self._thread = threading.Thread(target=self._watch, name=f"follower-{worker.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _watch(self) -> None:
        """Starts and stops partition threads as they are assigned and taken away."""
        while not self._closing.is_set():
            wanted = self._assignment.partitions()
            self._release(set(self._running) - wanted)
            for partition in sorted(wanted - set(self._running)):
                halt = threading.Event()
                thread = threading.Thread(
                    target=self._follow, args=(partition, halt), name=f"{self._worker.name}-{partition}", daemon=True
                )
                self._running[partition] = (thread, halt)
                thread.start()
            self._assignment.wait(self._limits.poll_ms)
        self._release(set(self._running))

    def _release(self, partitions: Iterable[int]) -> None:
        leaving = [self._running.pop(partition) for partition in partitions]
        for _, halt in leaving:
            halt.set()
        for thread, _ in leaving:
            thread.join()

    def _follow(self, number: int, halt: threading.Event) -> None:
        while not halt.is_set():
            try:
                partition = self._conversations.partition(number)
                partition.catch_up()  # fold to the end before working: only what was accepted counts
                self._work(partition, halt)
            except Unavailable as error:
                log.warning("follower waits", extra={"follower": self._worker.name, "reason": str(error)})
                halt.wait(self._limits.retry_ms / 1_000)
            except VaultError as error:
                stopped = (
                    error
                    if isinstance(error, PartitionStopped)
                    else PartitionStopped(str(error), partition=number, offset=-1)
                )
                self.stopped[number] = stopped
                log.error("follower stopped", extra={"follower": self._worker.name, "reason": str(stopped)})
                if self._on_stop:
                    self._on_stop(stopped)
                return

    def _work(self, partition: ConversationPartition, halt: threading.Event) -> None:
        """Works from the accepted position until halted, or until another worker of the same name moved on."""
        name = self._worker.name
        after = partition.position(name)
        if self._on_begin:
            self._on_begin(partition, after)
        with Reader(partition, after + 1) as reader:
            while not halt.is_set():
                batch = reader.read(self._limits.batch_records, self._limits.poll_ms)
                if partition.position(name) != after:
                    return
                if not batch:
                    continue
                made, poison = self._handle(partition.partition, batch)
                upto = reader.next_offset - 1 if poison is None else batch[len(made) - 1].offset
                for commit in self._commits(batch, made, after=after, upto=upto):
                    ((_, judged),) = partition.append([commit])
                    if judged.verdict is not Verdict.ACCEPTED:
                        return
                    assert commit.upto is not None
                    after = commit.upto
                if poison is not None:
                    raise poison

    def _commits(
        self, batch: Sequence[Accepted], made: Sequence[Sequence[StoredEvent]], *, after: int, upto: int
    ) -> Iterator[Commit]:
        """The commits that hold what was made, each within the limit, the last up to where was read. None for nothing."""
        name, limit = self._worker.name, self._limits.commit_bytes_max
        events: list[StoredEvent] = []
        size = 0
        for accepted, of_one in zip(batch, made, strict=False):
            more = sum(len(event.state) for event in of_one)
            if events and size + more > limit:
                yield Commit.of(events, follower=name, after=after, upto=accepted.offset - 1)
                events, size, after = [], 0, accepted.offset - 1
            events += of_one
            size += more
        if events:
            yield Commit.of(events, follower=name, after=after, upto=upto)

    def _handle(
        self, number: int, batch: Sequence[Accepted]
    ) -> tuple[Sequence[Sequence[StoredEvent]], PartitionStopped | None]:
        """What the worker made of the batch; of what precedes it, when one record cannot be handled, and then why."""
        handle = self._worker.handle
        try:
            return handle(number, batch), None
        except Unavailable:
            raise
        except Exception:
            log.warning("batch failed", extra={"follower": self._worker.name, "partition": number})
        made: list[Sequence[StoredEvent]] = []
        for accepted in batch:  # one by one, so that the one that cannot be handled is named
            try:
                made += handle(number, [accepted])
            except Unavailable:
                raise
            except Exception as error:
                # The text of an unforeseen error may quote what a person wrote: only our own errors are shown.
                reason = str(error) if isinstance(error, VaultError) else type(error).__name__
                poison = PartitionStopped(
                    f"{self._worker.name} stopped in conversations partition {number} at offset {accepted.offset}: {reason}",
                    partition=number,
                    offset=accepted.offset,
                    remedy="run `parloir verify`, which says how to go on",
                )
                poison.__cause__ = error
                return made, poison
        return made, None

    def close(self) -> None:
        """Finishes the batches in hand and stops."""
        self._closing.set()
        self._assignment.close()
        if self._thread.is_alive():
            self._thread.join()
