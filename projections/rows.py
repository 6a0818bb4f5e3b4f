"""From accepted commits to columns: the inner loop of the projection, between the log and DuckDB.

Everything here is done a hundred thousand times a second, so it slices bytes by the layout written down in vault/seal.py instead of
making headers and UUIDs, and hands DuckDB whole Arrow columns. A payload is opened only for the facts that are wanted of it; one
that cannot be opened leaves its facts empty and is counted.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress
from operator import itemgetter
from uuid import UUID

import numpy as np
import pyarrow as pa
from eventsourcing.persistence import Notification, StoredEvent

from projections.arrow import Joined, headers, numbers, unusual, uuids
from projections.facts import READERS, in_rows
from projections.removal import Redaction
from vault.conversations import Accepted
from vault.errors import EventTampered
from vault.fold import ERASED_TOPIC
from vault.keys.model import Unreadable
from vault.mapper import KeySource
from vault.opening import Opener
from vault.seal import CLEAR, NONCE_SIZE, TAG_SIZE, person_of, read_header

CONVERSATIONS = "conversations"
REGISTER = "register"
PURPOSE = "service"
"""Facts are opened for what the conversation is held for, never for access or improvement."""

_HEADER = struct.Struct(">B16sqB")
_topic = itemgetter(2)

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
        self._commits: list[Accepted] = []
        self._events = 0

    def __len__(self) -> int:
        return self._events

    @property
    def is_new(self) -> bool:
        """Whether there is anything to store, be it only a position."""
        return self.known != self.end

    def add(self, commits: Sequence[Accepted], end: int) -> None:
        """Adds accepted commits, which were read up to `end`."""
        self._commits += commits
        self._events += sum([len(accepted.commit.packed) for accepted in commits])
        self.end = end

    def take(self) -> tuple[Batch, EventTampered | None]:
        """What was collected, with the span it covers, and begins anew where that ends; before the first record that is not as it was
        written, and then what is wrong with that."""
        commits, tampered = self._commits, None
        opener = Opener(self._keys, PURPOSE)  # a new one, so that an erasure is honoured by the next batch
        pieces: list[Batch] = []
        done, size = 0, len(commits)
        while done < len(commits):
            try:
                pieces.append(_rows(self._partition, commits[done : done + size], opener))
                done += size
            except EventTampered as error:
                if size == 1:
                    self.end, tampered = commits[done].offset, error
                    break
                size //= 2  # fewer and fewer, until it is known which
        span = Span(CONVERSATIONS, self._partition, self.known, self.end)
        self._begin(self.end, self.end)
        return replace(merged(pieces), spans=(span,)), tampered


def _rows(partition: int, commits: Sequence[Accepted], opener: Opener) -> Batch:
    """The rows of commits, without the span. Raises `EventTampered`, and does not say of which."""
    packed = [accepted.commit.packed for accepted in commits]
    events = list(chain.from_iterable(packed))
    counts = np.fromiter(map(len, packed), np.int64, len(packed))
    offsets = np.repeat(np.array([accepted.offset for accepted in commits], np.int64), counts)
    indexes = np.arange(len(events)) - np.repeat(counts.cumsum() - counts, counts)
    erased: frozenset[bytes] = frozenset()
    if any(accepted.void for accepted in commits) or ERASED_TOPIC in map(_topic, events):
        void = np.array([index in a.void for a in commits for index in range(len(a.commit.packed))], bool)
        erasing = np.array([topic == ERASED_TOPIC for _, _, topic, _ in events], bool)
        erased = frozenset(person_of(events[at][3]) for at in np.flatnonzero(erasing & ~void))
        standing = np.flatnonzero(~(erasing | void))
        offsets, indexes, events = offsets[standing], indexes[standing], [events[at] for at in standing]
    if not events:
        return Batch((), NO_EVENTS, NO_EVIDENCE, erased)
    rows = len(events)
    originators, versions, topics, states = zip(*events, strict=True)
    joined = Joined(states)
    for at in unusual(joined):
        _checked(states[at], topics[at])
    kinds = {topic: code for code, topic in enumerate(dict.fromkeys(topics))}
    codes = np.fromiter(map(kinds.__getitem__, topics), np.int32, rows)
    opened = opener.open([event for event in events if event[2] in READERS])
    wanted = np.flatnonzero(np.isin(codes, [kinds[topic] for topic in READERS if topic in kinds]))
    facts = []
    unreadable: Counter[tuple[int, str, str]] = Counter()
    for topic in READERS.keys() & kinds.keys():
        is_of = codes[wanted] == kinds[topic]
        payloads, at = list(compress(opened, is_of.tolist())), wanted[is_of]
        if not set(map(type, payloads)) <= {bytes}:
            unreadable.update((partition, topic, why.name.lower()) for why in payloads if isinstance(why, Unreadable))
            at = at[[type(payload) is bytes for payload in payloads]]
        facts.append((at, READERS[topic]([payload for payload in payloads if type(payload) is bytes])))
    table = pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(partition, pa.uint16()), rows),
            numbers(pa.int64(), offsets),
            numbers(pa.uint32(), indexes.astype(np.uint32)),
            uuids(b"".join(originators), rows),
            numbers(pa.uint32(), np.fromiter(versions, np.uint32, rows)),
            pa.DictionaryArray.from_arrays(codes, list(kinds)),
            *headers(joined),
            *in_rows(facts, rows),
        ],
        names=EVENT_COLUMNS,
    )
    return Batch((), table, NO_EVIDENCE, erased, unreadable=unreadable)


def _checked(state: bytes, topic: str) -> None:
    """Looks at a header that is out of the ordinary. Raises `EventTampered` when it is none."""
    header = read_header(state)
    if header.key_id != CLEAR and len(state) < header.size + NONCE_SIZE + TAG_SIZE:
        raise EventTampered(f"an event of {topic} is cut short")


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
    said = headers(Joined([event.state for event in notifications]))
    table = pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(partition, pa.uint16()), rows),
            numbers(pa.int64(), np.array([event.id for event in notifications], np.int64)),
            uuids(b"".join([event.originator_id.bytes for event in notifications]), rows),  # type: ignore[union-attr]
            numbers(pa.uint32(), np.array([event.originator_version for event in notifications], np.uint32)),
            pa.array([event.topic for event in notifications], pa.string()).dictionary_encode(),
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
