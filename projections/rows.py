"""From accepted commits to columns: the inner loop of the projection, between the log and DuckDB.

Everything here is done a hundred thousand times a second, so it slices bytes by the layout written down in vault/seal.py instead of
making headers and UUIDs, and hands DuckDB whole Arrow columns. A payload is opened only for the facts that are wanted of it; one
that cannot be opened leaves its facts empty and is counted.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from uuid import UUID

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from eventsourcing.persistence import Notification, StoredEvent

from projections.arrow import headers, names, numbers, texts, uuids
from projections.facts import NONE, READERS, Facts
from vault.commit import Packed
from vault.conversations import Accepted
from vault.errors import EventTampered
from vault.fold import ERASED_TOPIC
from vault.ids import KeyId
from vault.keys.model import Unreadable
from vault.mapper import KeySource
from vault.seal import CLEAR, NONCE_SIZE, TAG_SIZE, person_of, read_header

CONVERSATIONS = "conversations"
REGISTER = "register"
PURPOSE = "service"
"""Facts are opened for what the conversation is held for, never for access or improvement."""

_HEADER = struct.Struct(">B16sqB")
_FIXED = 26
"""Bytes of a header before the channel's name; its last one says how long the name is."""
_BARE = _FIXED + 32
"""Bytes of a header without the channel's name."""
_SEAL = NONCE_SIZE + TAG_SIZE
"""Fewest bytes after a header."""
_SMALLEST = _BARE + _SEAL
_RANGES = tuple(range(size) for size in range(8))


@dataclass(frozen=True, slots=True)
class Span:
    """What was read of one partition: from `start` up to, and without, `end`. Offsets; in the register, ids of events.

    `start` is None where nothing was read before.
    """

    log: str
    partition: int
    start: int | None
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows and the positions they reach: stored together or not at all."""

    spans: tuple[Span, ...]
    events: pa.Table
    evidence: pa.Table
    erased: frozenset[bytes] = frozenset()
    unreadable: Counter[tuple[int, str, str]] | None = None
    """How many payloads could not be opened, by partition, event topic and the name of an `Unreadable`."""

    @property
    def size(self) -> int:
        return int(self.events.num_rows + self.evidence.num_rows)


class Columns:
    """Collects the events of one partition of the conversations. Not thread-safe."""

    def __init__(self, partition: int, known: int | None, start: int, keys: KeySource) -> None:
        """`known`: the position that the store has; `start`: where reading begins."""
        self._partition = partition
        self._keys = keys
        self._bound: dict[tuple[int, str], bytes] = {}
        self._begin(known, start)

    def _begin(self, known: int | None, start: int) -> None:
        self.known = known
        self.end = start
        # By record its offset and the places in it of the events that count; by event what it holds, and its facts.
        self._offsets: list[int] = []
        self._indexes: list[Sequence[int]] = []
        self._events: list[Packed] = []
        self._facts: list[Facts] = []
        # Only for this batch, so that an erasure is honoured by the next one.
        self._decrypt: dict[bytes, Callable[[bytes, bytes, bytes], bytes] | None] = {}
        self._why: dict[bytes, str] = {}
        self._erased: set[bytes] = set()
        self._unreadable: Counter[tuple[int, str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_new(self) -> bool:
        """Whether there is anything to store, be it only a position."""
        return self.known != self.end

    def add(self, commits: Iterable[Accepted], end: int) -> None:
        """Takes accepted commits in, which were read up to `end`. Raises `EventTampered`, with all records before it taken in."""
        note_offset, note_indexes, facts = self._offsets.append, self._indexes.append, self._facts
        for accepted in commits:
            packed = accepted.commit.packed
            taken = len(facts)
            try:
                if accepted.void or not self._open(packed):
                    del facts[taken:]
                    indexes: Sequence[int] = self._standing(packed, accepted.void)
                    packed = [packed[index] for index in indexes]
                    self._open(packed)
                else:
                    indexes = _RANGES[len(packed)] if len(packed) < len(_RANGES) else range(len(packed))
            except EventTampered:
                self.end = accepted.offset
                del facts[taken:]
                raise
            note_offset(accepted.offset)
            note_indexes(indexes)
            self._events += packed
        self.end = end

    def _standing(self, packed: Sequence[Packed], void: frozenset[int]) -> list[int]:
        """The events of a record that are projected; notes who was erased by it."""
        standing = []
        for index, (_, _, topic, state) in enumerate(packed):
            if index in void:
                continue
            if topic == ERASED_TOPIC:
                self._erased.add(person_of(state))
            else:
                standing.append(index)
        return standing

    def _open(self, packed: Sequence[Packed]) -> bool:
        """Adds the facts of each event. The innermost loop: what it needs is at hand, and done in place. False at an `Erased`."""
        add, readers, keys, places = self._facts.append, READERS, self._decrypt, self._bound
        for originator, version, topic, state in packed:
            if len(state) < _SMALLEST or state[0] != 1 or len(state) < (size := state[_FIXED - 1] + _BARE) + _SEAL:
                size = _checked(state, topic)
            reader = readers.get(topic)
            if reader is None:
                if topic == ERASED_TOPIC:
                    return False
                add(NONE)
                continue
            key_id = state[size - 32 : size]
            decrypt = keys[key_id] if key_id in keys else self._key(key_id, state)
            if decrypt is None:
                self._unreadable[self._partition, topic, self._why[key_id]] += 1
                add(NONE)
                continue
            place = (version, topic)
            bound = places.get(place)
            if bound is None:
                bound = places[place] = version.to_bytes(4, "big") + topic.encode() + b"\0"
            start = size + NONCE_SIZE
            try:
                payload = decrypt(state[size:start], state[start:], originator + bound + state[:size])
            except InvalidTag:
                raise EventTampered(
                    f"event {UUID(bytes=originator)} version {version} does not open as written"
                ) from None
            add(reader(payload))
        return True

    def _key(self, key_id: bytes, state: bytes) -> Callable[[bytes, bytes, bytes], bytes] | None:
        found = self._keys.opening(KeyId(key_id), UUID(bytes=person_of(state)), PURPOSE)
        if isinstance(found, Unreadable):
            self._why[key_id] = found.name.lower()
            self._decrypt[key_id] = None
            return None
        decrypt: Callable[[bytes, bytes, bytes], bytes] = found.aead.decrypt
        self._decrypt[key_id] = decrypt
        return decrypt

    def take(self) -> Batch:
        """What was collected, with the span it covers; begins anew where that ends."""
        span = Span(CONVERSATIONS, self._partition, self.known, self.end)
        batch = Batch((span,), self._table(), NO_EVIDENCE, frozenset(self._erased), self._unreadable)
        self._begin(self.end, self.end)
        return batch

    def _table(self) -> pa.Table:
        events = self._events
        rows = len(events)
        if not rows:
            return NO_EVENTS
        offsets = chain.from_iterable(map(repeat, self._offsets, map(len, self._indexes)))
        languages, intents, confidences, fallbacks = zip(*self._facts, strict=True)
        return pa.Table.from_arrays(
            [
                pa.repeat(pa.scalar(self._partition, pa.uint16()), rows),
                numbers(pa.int64(), "q", offsets, rows),
                numbers(pa.uint32(), "I", chain.from_iterable(self._indexes), rows),
                uuids(b"".join([event[0] for event in events]), rows),
                numbers(pa.uint32(), "I", [event[1] for event in events], rows),
                names([event[2] for event in events]),
                *headers([event[3] for event in events]),
                texts(languages),
                texts(intents),
                pa.array(confidences, pa.float64()),
                pa.array(fallbacks, pa.bool_()),
            ],
            names=EVENT_COLUMNS,
        )


def _checked(state: bytes, topic: str) -> int:
    """The size of a header that is out of the ordinary. Raises `EventTampered` when it is none."""
    header = read_header(state)
    if header.key_id != CLEAR and len(state) < header.size + NONCE_SIZE + TAG_SIZE:
        raise EventTampered(f"an event of {topic} is cut short")
    return header.size


EVENT_COLUMNS = (
    "partition",
    "offset",
    "index",
    "originator",
    "version",
    "event_topic",
    "subject",
    "happened_at",
    "channel",
    "key_id",
    "sealed",
    "language",
    "intent",
    "confidence",
    "fallback",
)
EVIDENCE_COLUMNS = (
    "partition",
    "id",
    "originator",
    "version",
    "event_topic",
    "case",
    "happened_at",
    "key_id",
    "sealed",
)


def evidence(partition: int, known: int | None, start: int, notifications: Sequence[Notification]) -> Batch:
    """Accepted events of one partition of the register, ids from `start` on, as rows. Raises `EventTampered`."""
    rows = len(notifications)
    for event in notifications:
        _checked(event.state, event.topic)
    said = headers([event.state for event in notifications])
    table = pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(partition, pa.uint16()), rows),
            numbers(pa.int64(), "q", [event.id for event in notifications], rows),
            uuids(b"".join([event.originator_id.bytes for event in notifications]), rows),  # type: ignore[union-attr]
            numbers(pa.uint32(), "I", [event.originator_version for event in notifications], rows),
            names([event.topic for event in notifications]),
            said.person,
            said.happened_at,
            said.key_id,
            said.sealed,
        ],
        names=EVIDENCE_COLUMNS,
    )
    end = notifications[-1].id + 1 if rows else start
    return Batch((Span(REGISTER, partition, known, end),), NO_EVENTS, table)


def stored(
    originator: UUID, version: int, topic: str, person: UUID, at_us: int, channel: str, key_id: bytes, sealed: bytes
) -> StoredEvent:
    """A row as the stored event that it was made from. One that was changed in the file does not open any more."""
    name = channel.encode()
    return StoredEvent(
        originator, version, topic, b"".join((_HEADER.pack(1, person.bytes, at_us, len(name)), name, key_id, sealed))
    )


def merged(batches: Sequence[Batch]) -> Batch:
    """Several batches as one, in order."""
    if len(batches) == 1:
        return batches[0]
    unreadable: Counter[tuple[int, str, str]] = Counter()
    for batch in batches:
        if batch.unreadable:
            unreadable.update(batch.unreadable)
    return Batch(
        tuple(span for batch in batches for span in batch.spans),
        _joined([batch.events for batch in batches if batch.events.num_rows], NO_EVENTS),
        _joined([batch.evidence for batch in batches if batch.evidence.num_rows], NO_EVIDENCE),
        frozenset().union(*(batch.erased for batch in batches)),
        unreadable,
    )


def _joined(tables: Sequence[pa.Table], nothing: pa.Table) -> pa.Table:
    return pa.concat_tables(tables) if tables else nothing


NO_EVENTS = pa.table({name: pa.nulls(0) for name in EVENT_COLUMNS})
NO_EVIDENCE = pa.table({name: pa.nulls(0) for name in EVIDENCE_COLUMNS})
