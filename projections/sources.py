"""Where the projection reads: one partition of one log at a time, from where the store stands, as batches of rows."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from eventsourcing.persistence import Notification

from projections.rows import CONVERSATIONS, REGISTER, Batch, Columns, evidence
from projections.store import Store
from vault.conversations import Conversations, Reader
from vault.errors import LogMismatch, PartitionStopped, Tampered, VaultError
from vault.log import READ_RECORDS
from vault.mapper import KeySource
from vault.register import Register

REBUILD = "run `parloir rebuild`"


class Source(Protocol):
    """One partition of one log. Not thread-safe."""

    log: str
    partition: int

    def end(self) -> int:
        """Where the log ends now: the position that the store has when all of it is projected."""

    def position(self) -> int:
        """How far it has read; -1 when nothing of the partition was ever read."""

    def begin(self, timeout_ms: int) -> None:
        """Connects, and has the first records sent, so that many partitions wait for their broker all at once."""

    def read(self, events_max: int, timeout_ms: int, upto: int | None = None) -> Batch | None:
        """The next batch, of about `events_max` events; None when nothing came in time.

        Without `upto` it is what is there at once; with it, reading goes on until the batch is full or `upto` is reached.
        Raises `PartitionStopped` at what must not be passed, after everything before it was given; `Unavailable`.
        """

    def reset(self) -> None:
        """Forgets how far it has read: the store says where to go on."""


class ConversationSource:
    """A partition of the conversations."""

    log = CONVERSATIONS

    def __init__(self, partition: int, store: Store, conversations: Conversations, keys: KeySource) -> None:
        self.partition = partition
        self._store = store
        self._conversations = conversations
        self._keys = keys
        self._reader: Reader | None = None
        self._columns: Columns | None = None
        self._stop: PartitionStopped | None = None

    def end(self) -> int:
        return self._conversations.log.end(self.partition)

    def position(self) -> int:
        if self._columns is None:
            known = self._store.position(self.log, self.partition)
            return -1 if known is None else known
        return self._columns.end if self._columns.known is not None else -1

    def _open(self) -> tuple[Reader, Columns]:
        if self._reader is None or self._columns is None:
            partition = self._conversations.partition(self.partition)
            known = self._store.position(self.log, self.partition)
            if known is not None and known < partition.first_offset:
                raise self._stopped(known, "retention removed what was not projected yet", REBUILD)
            if known is not None and known > (end := self.end()):
                raise self._stopped(known, f"the log ends at {end}, the projection has read further", REBUILD)
            self._reader = Reader(partition, known or 0)
            self._columns = Columns(self.partition, known, self._reader.next_offset, self._keys)
        return self._reader, self._columns

    def begin(self, timeout_ms: int) -> None:
        with suppress(VaultError):  # it comes again when it is read
            reader, _ = self._open()
            reader.partition.advance(reader.next_offset, timeout_ms, limit=1)

    def read(self, events_max: int, timeout_ms: int, upto: int | None = None) -> Batch | None:
        if self._stop:
            raise self._stop
        reader, columns = self._open()
        before = reader.next_offset
        try:
            while len(columns) < events_max and (upto is None or reader.next_offset < upto):
                at = reader.next_offset
                limit = min(READ_RECORDS, events_max - len(columns))
                commits = reader.read(limit, timeout_ms if upto is not None or at == before else 0)
                if not commits and reader.next_offset == at:
                    break
                columns.add(commits, reader.next_offset)
        except PartitionStopped as stopped:
            self._stop = stopped
        except LogMismatch as error:
            self._stop = self._stopped(reader.next_offset, str(error), REBUILD)
        except Tampered as error:
            self._stop = self._stopped(columns.end, str(error), "run `parloir verify`, which says how to go on")
        if columns.is_new:
            return columns.take()
        if self._stop:
            raise self._stop
        return None

    def _stopped(self, offset: int, reason: str, remedy: str) -> PartitionStopped:
        return PartitionStopped(
            f"the projection of {self.log} partition {self.partition} stopped at offset {offset}: {reason}",
            partition=self.partition,
            offset=offset,
            remedy=remedy,
        )

    def reset(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = self._columns = self._stop = None


class RegisterSource:
    """A partition of the register. Its positions are ids of events, from 1."""

    log = REGISTER

    def __init__(self, partition: int, store: Store, register: Register) -> None:
        self.partition = partition
        self._store = store
        self._register = register
        self._known: int | None = None
        self._next: int | None = None

    def end(self) -> int:
        return self._register.end(self.partition) + 1

    def position(self) -> int:
        known = self._known if self._next is not None else self._store.position(self.log, self.partition)
        return -1 if known is None else known

    def begin(self, timeout_ms: int) -> None:
        pass

    def read(self, events_max: int, timeout_ms: int, upto: int | None = None) -> Batch | None:
        del timeout_ms, upto  # the register answers at once
        if self._next is None:
            self._known = self._store.position(self.log, self.partition)
            self._next = self._known or 1
        found: list[Notification] = list(self._register.notifications(self.partition, self._next - 1, events_max))
        if not found:
            if self._known is None:
                self._known = self._next
                return evidence(self.partition, None, self._next, found)
            return None
        try:
            batch = evidence(self.partition, self._known, self._next, found)
        except Tampered as error:
            raise PartitionStopped(
                f"the projection of the register partition {self.partition} stopped after event {self._next - 1}: {error}",
                partition=self.partition,
                offset=self._next,
                remedy="run `parloir verify`, which says how to go on",
            ) from error
        self._known = self._next = found[-1].id + 1
        return batch

    def reset(self) -> None:
        self._known = self._next = None
