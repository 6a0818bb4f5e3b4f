"""Where the projection reads: one partition of one log at a time, from where the store stands, as batches of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from eventsourcing.persistence import Notification

from projections.evidence import with_facts
from projections.notices import notices
from projections.rows import CONVERSATIONS, REGISTER, Batch, Columns, evidence
from projections.store import Store
from vault.conversations import Conversations, Reader
from vault.errors import LogMismatch, PartitionStopped, Tampered, VaultError
from vault.ids import KeyId
from vault.keys.model import Unreadable
from vault.log import READ_RECORDS
from vault.mapper import KeySource, SealingMapper
from vault.register import Register

REBUILD = "run `parloir rebuild`"
VERIFY = "run `parloir verify`, which says how to go on"


class Keys(KeySource, Protocol):
    """Where keys come from, and who knows which are over."""

    def expired(self, key_ids: Iterable[KeyId]) -> set[KeyId]:
        """Those of the keys that are known and that nothing opens any more: their chapters are over."""


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

    def __init__(
        self, partition: int, store: Store, conversations: Conversations, keys: Keys, mapper: SealingMapper
    ) -> None:
        self.partition = partition
        self._store = store
        self._conversations = conversations
        self._keys = keys
        self._mapper = mapper
        self._begun_anew = store.begun_anew
        self._reader: Reader | None = None
        self._columns: Columns | None = None
        self._stop: PartitionStopped | None = None

    def end(self) -> int:
        return self._conversations.log.end(self.partition)

    def position(self) -> int:
        self._begin_anew_with_the_store()
        if self._stop is not None:
            return self._stop.offset
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

    def _begin_anew_with_the_store(self) -> None:
        """A damaged file was set aside, and the one in its place is empty: what was read is to be read again."""
        if self._begun_anew != self._store.begun_anew:
            self._begun_anew = self._store.begun_anew
            self.reset()

    def begin(self, timeout_ms: int) -> None:
        with suppress(VaultError):  # it comes again when it is read
            reader, _ = self._open()
            reader.partition.advance(reader.next_offset, timeout_ms, limit=1)

    def read(self, events_max: int, timeout_ms: int, upto: int | None = None) -> Batch | None:
        self._begin_anew_with_the_store()
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
        if columns.is_new:
            batch, tampered = columns.take()
            if tampered is not None:
                self._stop = self._stopped(columns.end, str(tampered), VERIFY)
            if batch.spans[0].start != batch.spans[0].end:
                return self._noticed(batch)
        if self._stop:
            raise self._stop
        return None

    def _noticed(self, batch: Batch) -> Batch:
        """The batch without who is erased already, and with what its events say of disclosures and redactions."""
        events = self._without_erased(batch.events)
        if any(reason == EXPIRED for _, _, reason in batch.unreadable or ()):
            events = self._without_expired(events)
        found = notices(events, self._mapper)
        spans = batch.spans
        if found.tampered:
            offset, reason = found.tampered
            self._stop = self._stopped(offset, reason, VERIFY)
            events = events.filter(pc.less(events["offset"], offset))
            spans = (replace(spans[0], end=offset),)
        unreadable = Counter(batch.unreadable)
        unreadable.update((self.partition, event_topic, reason) for event_topic, reason in found.unreadable)
        return replace(
            batch,
            spans=spans,
            events=events,
            redacted=found.redacted,
            disclosed=found.disclosed,
            unreadable=unreadable,
        )

    def _without_erased(self, events: pa.Table) -> pa.Table:
        """Rows that an erasure further on in the log takes away are not stored first: their bytes would stay in the file."""
        erased = self._conversations.partition(self.partition).fold.erased
        if not erased or not events.num_rows:
            return events
        gone = pc.is_in(_sixteen(events["subject"]), pa.array(list(erased), pa.binary(16)))
        return events.filter(pc.invert(gone)) if pc.any(gone).as_py() else events

    def _without_expired(self, events: pa.Table) -> pa.Table:
        """Nor rows of chapters that are over, as a log that is read again may still hold: what they counted is counted."""
        expired = self._keys.expired(map(KeyId, pc.unique(events["key_id"]).to_pylist()))
        return events.filter(pc.invert(pc.is_in(events["key_id"], pa.array(expired, pa.binary()))))

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


EXPIRED = Unreadable.EXPIRED.name.lower()


def _sixteen(uuids: pa.ChunkedArray) -> pa.ChunkedArray:
    """UUIDs as their bytes."""
    return pa.chunked_array([chunk.storage for chunk in uuids.chunks], pa.binary(16))


class RegisterSource:
    """A partition of the register. Its positions are ids of events, from 1."""

    log = REGISTER

    def __init__(self, partition: int, store: Store, register: Register, mapper: SealingMapper) -> None:
        self.partition = partition
        self._store = store
        self._register = register
        self._mapper = mapper
        self._begun_anew = store.begun_anew
        self._known: int | None = None
        self._next: int | None = None

    def end(self) -> int:
        return self._register.end(self.partition) + 1

    def position(self) -> int:
        self._begin_anew_with_the_store()
        known = self._known if self._next is not None else self._store.position(self.log, self.partition)
        return -1 if known is None else known

    def _begin_anew_with_the_store(self) -> None:
        if self._begun_anew != self._store.begun_anew:
            self._begun_anew = self._store.begun_anew
            self.reset()

    def begin(self, timeout_ms: int) -> None:
        pass

    def read(self, events_max: int, timeout_ms: int, upto: int | None = None) -> Batch | None:
        del timeout_ms, upto  # the register answers at once
        self._begin_anew_with_the_store()
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
            rows, unreadable = with_facts(batch.evidence, found, self._mapper)
        except Tampered as error:
            raise PartitionStopped(
                f"the projection of the register partition {self.partition} stopped after event {self._next - 1}: {error}",
                partition=self.partition,
                offset=self._next,
                remedy=VERIFY,
            ) from error
        self._known = self._next = found[-1].id + 1
        counted = {(self.partition, event_topic, reason): n for (event_topic, reason), n in unreadable.items()}
        return replace(batch, evidence=rows, unreadable=Counter(counted))

    def reset(self) -> None:
        self._known = self._next = None
