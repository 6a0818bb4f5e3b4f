"""One partition of the register as this process has folded it, and its writers, who go together.

Stands between a log and the recorders of vault.kafka. Writers that come while others' records are on their way are sent as one
group: one request, one transaction of the local database, and, where nobody else writes, nothing is read back. Readers first ask
Kafka for its end, so that they see what any process recorded before they asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from eventsourcing.persistence import ApplicationRecorder, Subscription

from vault.commit import Commit, Envelope
from vault.errors import LimitExceeded, LogMismatch, LogUnavailable, PartitionStopped, RecordForeign
from vault.log import POLL_MS, FoldedPartition
from vault.logs.kafka import KafkaLog
from vault.recorder import Listeners, RegisterUnavailable, WokenSubscription, unavailable
from vault.register_state import Ids, RegisterState

log = logging.getLogger(__name__)

GROUP_COMMITS_MAX = 500
"""Commits that are sent and folded together."""

RETRY_S = 0.5


class _Writer:
    """One commit and who waits for it."""

    __slots__ = ("commit", "done", "error", "ids", "turn")

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self.turn = threading.Lock()  # a lock is the cheapest thing to wait for that another thread can end
        self.turn.acquire()
        self.done = False
        self.ids: Ids | None = None
        self.error: BaseException | None = None


class FoldedRegister(FoldedPartition[Ids | None]):
    """One partition of the register as this process has folded it. Thread-safe."""

    log: KafkaLog

    def __init__(
        self,
        log: KafkaLog,
        partition: int,
        envelope: Envelope,
        state: RegisterState,
        *,
        passed_over: frozenset[int] = frozenset(),
        owns_log: bool = False,
    ) -> None:
        first, end = log.bounds(partition)
        if not first <= state.next_offset <= end:
            # Beginning anew in silence would take a topic that lost records, or was made again, for the whole truth.
            raise LogMismatch(
                f"{log.topic}/{partition} holds offsets {first} to {end}, and was read here up to {state.next_offset}: "
                f"records were lost",
                remedy="restore the topic; if they are lost for good, delete the home's state folder",
            )
        super().__init__(
            log,
            partition,
            envelope,
            next_offset=state.next_offset,
            append_timeout_ms=log.cluster.append_timeout_ms,
            passed_over=passed_over,
        )
        self.state = state
        self._owned = log if owns_log else None
        self.listeners = Listeners()
        self._queue: list[_Writer] = []
        self._queue_lock = threading.Lock()
        self._leader: _Writer | None = None
        self._end_lock = threading.Lock()
        self._end = 0
        self._end_asked_at = -1.0
        self._subscriptions = 0
        self._reader: threading.Thread | None = None

    def _fold(self, commits: Sequence[tuple[int, Commit]]) -> Sequence[Ids | None]:
        for index, (_, commit) in enumerate(commits):
            if commit.based_on is not None or commit.follower is not None:
                if index == 0:
                    raise RecordForeign("the record is not a commit of the register")
                commits = commits[:index]
                break
        verdicts = self.state.fold(commits)
        self.listeners.notify()
        return verdicts

    # Writing

    def record(self, commit: Commit) -> Ids | None:
        """Appends a commit. Returns the notification ids of its events, None when it was refused.

        Raises `RegisterUnavailable`, `PartitionStopped`.
        """
        if self.state.is_late(commit):
            return None
        writer = _Writer(commit)
        with self._queue_lock:
            self._queue.append(writer)
            if self._leader is None:
                self._leader = writer
                writer.turn.release()
        try:
            writer.turn.acquire()
        except BaseException:
            self._withdraw(writer)
            raise
        if not writer.done:
            self._lead()
        if writer.error is not None:
            raise writer.error
        return writer.ids

    def _lead(self) -> None:
        """Sends the commits of everybody who waits, own one first; then whoever came meanwhile leads, or nobody."""
        with self._queue_lock:
            group = self._queue[:GROUP_COMMITS_MAX]
            del self._queue[:GROUP_COMMITS_MAX]
        try:
            self._append_group(group)
        finally:
            with self._queue_lock:
                self._hand_over()
            for writer in group[1:]:
                writer.turn.release()

    def _hand_over(self) -> None:
        self._leader = self._queue[0] if self._queue else None
        if self._leader is not None:
            self._leader.turn.release()

    def _withdraw(self, writer: _Writer) -> None:
        """For a thread that was interrupted while it waited: it must not be left to lead."""
        with self._queue_lock:
            if writer in self._queue:
                self._queue.remove(writer)
                if self._leader is writer:
                    self._hand_over()

    def _append_group(self, group: Sequence[_Writer]) -> None:
        try:
            for writer, (_, ids) in zip(group, self.append([writer.commit for writer in group]), strict=True):
                writer.ids = ids
                writer.done = True
        except LimitExceeded as error:  # one of them is too large; nothing was sent
            if len(group) > 1:
                for writer in group:
                    self._append_group([writer])
            else:
                _fail(group, error)
        except LogUnavailable as error:
            sent = not error.not_stored or error.unknown or error.stored
            for writer in group:
                each = unavailable(error)
                each.stored, each.not_stored, each.unknown = 0, int(not sent), int(bool(sent))
                _fail([writer], each)
        except BaseException as error:
            _fail(group, error)

    # Reading

    def catch_up_with_everybody(self) -> None:
        """Folds what any process had recorded when this was called. Those who ask at the same time ask Kafka once.

        Raises `RegisterUnavailable`, `PartitionStopped`.
        """
        came_at = time.monotonic()
        with for_the_library():
            with self._end_lock:
                if self._end_asked_at < came_at:
                    asked_at = time.monotonic()
                    self._end = self.log.end(self.partition)
                    self._end_asked_at = asked_at
                end = self._end
            self.catch_up(end)

    def subscribe(self, gt: int | None, topics: Sequence[str]) -> Subscription[ApplicationRecorder]:
        with self._changed:
            self._subscriptions += 1
            if self._reader is None:
                self._reader = threading.Thread(target=self._read_on, name=f"register-{self.partition}", daemon=True)
                self._reader.start()
        return WokenSubscription(
            self.state.recorder, self.listeners, gt, topics, check=self._raise_if_stopped, left=self._left
        )

    def _raise_if_stopped(self) -> None:
        if self.stopped:
            raise self.stopped

    def _left(self) -> None:
        with self._changed:
            self._subscriptions -= 1
            self._changed.notify_all()

    def _read_on(self) -> None:
        """Reads what other processes record, for as long as somebody is subscribed."""
        while True:
            with self._changed:
                if self._closed or not self._subscriptions or self.stopped:
                    self._reader = None
                    break
            try:
                self.advance(self.next_offset, POLL_MS)
            except PartitionStopped:
                pass
            except LogUnavailable as error:
                log.warning("register waits", extra={"partition": self.partition, "reason": str(error)})
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or not self._subscriptions, RETRY_S)
        self.listeners.notify()

    def close(self) -> None:
        reader = self._reader
        super().close()
        if reader is not None and reader is not threading.current_thread():
            reader.join()
        self.state.close()
        if self._owned is not None:
            self._owned.close()

    def __del__(self) -> None:
        # Like the library's own datastores: what nobody closed lets go of its files and connections when nobody holds it.
        if hasattr(self, "_reader"):
            self.close()


def _fail(group: Sequence[_Writer], error: BaseException) -> None:
    for writer in group:
        writer.error = error
        writer.done = True


@contextmanager
def for_the_library() -> Iterator[None]:
    """`LogUnavailable` becomes `RegisterUnavailable`, which the library knows as well."""
    try:
        yield
    except RegisterUnavailable:
        raise
    except LogUnavailable as error:
        raise unavailable(error) from error
