"""From accepted commits to columns: the inner loop of the projection, between the log and DuckDB.

Everything here is done a hundred thousand times a second, so it slices bytes by the layout written down in vault/seal.py instead of
making headers and UUIDs, and hands DuckDB whole Arrow columns. A payload is opened only for the facts that are wanted of it; one
that cannot be opened leaves its facts empty and is counted.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter
from uuid import UUID

import pyarrow as pa
from eventsourcing.persistence import Notification, StoredEvent

from projections.arrow import headers, names, numbers, texts, uuids
from projections.facts import NONE, READERS, Facts
from projections.removal import Redaction
from vault.conversations import Accepted
from vault.errors import EventTampered
from vault.fold import ERASED_TOPIC
from vault.keys.model import Unreadable
from vault.mapper import KeySource
from vault.opening import Opened, Opener
from vault.seal import CHANNEL_SIZE_AT, CLEAR, KEY_ID_SIZE, NONCE_SIZE, TAG_SIZE, VERSION, person_of, read_header

CONVERSATIONS = "conversations"
REGISTER = "register"
PURPOSE = "service"
"""Facts are opened for what the conversation is held for, never for access or improvement."""

_HEADER = struct.Struct(">B16sqB")
_SMALLEST = CHANNEL_SIZE_AT + 1 + KEY_ID_SIZE + NONCE_SIZE + TAG_SIZE
"""Bytes of a sealed event without a channel's name or anything in its payload."""
_version, _channel_size = itemgetter(0), itemgetter(CHANNEL_SIZE_AT)
_RANGES = tuple(range(size) for size in range(8))


DISCLOSURE = pa.schema(
    [
        ("partition", pa.uint16()),
        ("offset", pa.int64()),
        ("index", pa.uint32()),
        ("subject", pa.uuid()),
        ("interaction", pa.uuid()),
        ("happened_at", pa.timestamp("us", tz="UTC")),
        ("channel", pa.string()),
        ("recipient", pa.string()),
        ("connector", pa.string()),
        ("operation", pa.string()),
        ("fields", pa.list_(pa.string())),
    ]
)
NO_DISCLOSURES = DISCLOSURE.empty_table()


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
    redacted: frozenset[Redaction] = frozenset()
    disclosed: pa.Table | None = None
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
        self._begin(known, start)

    def _begin(self, known: int | None, start: int) -> None:
        self.known = known
        self.end = start
        # By record its offset and the places in it of the events that count; by event what it holds, and its facts.
        self._offsets: list[int] = []
        self._indexes: list[Sequence[int]] = []
        self._originators: list[bytes] = []
        self._versions: list[int] = []
        self._topics: list[str] = []
        self._states: list[bytes] = []
        self._facts: list[Facts] = []
        self._opener = Opener(
            self._keys, PURPOSE
        )  # only for this batch, so that an erasure is honoured by the next one
        self._erased: set[bytes] = set()
        self._unreadable: Counter[tuple[int, str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._states)

    @property
    def is_new(self) -> bool:
        """Whether there is anything to store, be it only a position."""
        return self.known != self.end

    def add(self, commits: Sequence[Accepted], end: int) -> None:
        """Takes accepted commits in, which were read up to `end`. Raises `EventTampered`, with all records before it taken in."""
        try:
            self._add(commits)
        except EventTampered:
            for accepted in commits:  # one by one, so that it is known which
                self.end = accepted.offset
                self._add((accepted,))
        self.end = end

    def _add(self, commits: Sequence[Accepted]) -> None:
        """Takes in all of them, or, when one is not as it was written, none."""
        events = [event for accepted in commits for event in accepted.commit.packed]
        if not events:
            return
        originators, versions, topics, states = zip(*events, strict=True)
        indexes: list[Sequence[int]] = [_range(len(accepted.commit.packed)) for accepted in commits]
        if ERASED_TOPIC in topics or any(accepted.void for accepted in commits):
            indexes = [self._standing(accepted) for accepted in commits]
            events = [a.commit.packed[at] for a, standing in zip(commits, indexes, strict=True) for at in standing]
            originators, versions, topics, states = zip(*events, strict=True) if events else ((), (), (), ())
        _check(states, topics)
        opened = self._opener.open(events, READERS)
        self._facts += [
            NONE
            if payload is None
            else READERS[topic](payload)
            if type(payload) is bytes
            else self._none(topic, payload)
            for topic, payload in zip(topics, opened, strict=True)
        ]
        self._offsets += [accepted.offset for accepted in commits]
        self._indexes += indexes
        self._originators += originators
        self._versions += versions
        self._topics += topics
        self._states += states

    def _standing(self, accepted: Accepted) -> list[int]:
        """The places of a record's events that are projected; notes who was erased by it."""
        standing = []
        for index, (_, _, topic, state) in enumerate(accepted.commit.packed):
            if index in accepted.void:
                continue
            if topic == ERASED_TOPIC:
                self._erased.add(person_of(state))
            else:
                standing.append(index)
        return standing

    def _none(self, topic: str, why: Opened) -> Facts:
        """The facts of a payload that cannot be opened, which is counted."""
        assert isinstance(why, Unreadable)
        self._unreadable[self._partition, topic, why.name.lower()] += 1
        return NONE

    def take(self) -> Batch:
        """What was collected, with the span it covers; begins anew where that ends."""
        span = Span(CONVERSATIONS, self._partition, self.known, self.end)
        batch = Batch((span,), self._table(), NO_EVIDENCE, frozenset(self._erased), unreadable=self._unreadable)
        self._begin(self.end, self.end)
        return batch

    def _table(self) -> pa.Table:
        rows = len(self._states)
        if not rows:
            return NO_EVENTS
        offsets = chain.from_iterable(map(repeat, self._offsets, map(len, self._indexes)))
        languages, intents, confidences, fallbacks = zip(*self._facts, strict=True)
        return pa.Table.from_arrays(
            [
                pa.repeat(pa.scalar(self._partition, pa.uint16()), rows),
                numbers(pa.int64(), "q", offsets, rows),
                numbers(pa.uint32(), "I", chain.from_iterable(self._indexes), rows),
                uuids(b"".join(self._originators), rows),
                numbers(pa.uint32(), "I", self._versions, rows),
                names(self._topics),
                *headers(self._states),
                texts(languages),
                texts(intents),
                pa.array(confidences, pa.float64()),
                pa.array(fallbacks, pa.bool_()),
            ],
            names=EVENT_COLUMNS,
        )


def _range(size: int) -> Sequence[int]:
    return _RANGES[size] if size < len(_RANGES) else range(size)


def _check(states: Sequence[bytes], topics: Sequence[str]) -> None:
    """Raises `EventTampered` unless all headers are whole. The first lines find, in no time, that all are as ever."""
    shortest = min(map(len, states), default=_SMALLEST)
    longest = max(map(_channel_size, states), default=0) if shortest >= _SMALLEST else shortest
    if shortest >= _SMALLEST + longest and set(map(_version, states)) <= {VERSION}:
        return
    for state, topic in zip(states, topics, strict=True):
        _checked(state, topic)


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
        frozenset().union(*(batch.redacted for batch in batches)),
        _joined([batch.disclosed for batch in batches if batch.disclosed], NO_DISCLOSURES),
        unreadable,
    )


def _joined(tables: Sequence[pa.Table], nothing: pa.Table) -> pa.Table:
    return pa.concat_tables(tables) if tables else nothing


NO_EVENTS = pa.table({name: pa.nulls(0) for name in EVENT_COLUMNS})
NO_EVIDENCE = pa.table({name: pa.nulls(0) for name in EVIDENCE_COLUMNS})
