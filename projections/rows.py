"""From accepted commits to columns: the inner loop of the projection, between the log and DuckDB.

Everything here is done a hundred thousand times a second, so it slices bytes by the layout written down in vault/seal.py instead of
making headers and UUIDs, and hands DuckDB whole Arrow columns. A payload is opened only for the facts that are wanted of it; one
that cannot be opened leaves its facts empty and is counted.
"""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from eventsourcing.persistence import Notification, StoredEvent

from projections.facts import fell_back, understanding
from vault.conversations import Accepted
from vault.errors import EventTampered
from vault.fold import ERASED_TOPIC
from vault.ids import KeyId
from vault.interaction import Answered, Understood
from vault.keys.model import Unreadable
from vault.mapper import KeySource
from vault.seal import CLEAR, NONCE_SIZE, TAG_SIZE, Dek, read_header

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
_UNDERSTOOD, _ANSWERED = Understood.TOPIC, Answered.TOPIC

_Facts = tuple[bytes | None, bytes | None, float | None, bool | None]
_Row = tuple[int, int, bytes, int, str, bytes, int, _Facts]
_NO_FACTS: _Facts = (None, None, None, None)
_FELL_BACK: _Facts = (None, None, None, True)
_DID_NOT_FALL_BACK: _Facts = (None, None, None, False)


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


def _uuids(values: Iterable[bytes], rows: int) -> pa.Array:
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(b"".join(values))])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _fixed(values: Iterable[bytes], size: int, rows: int) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(size), rows, [None, pa.py_buffer(b"".join(values))])


def _times(values: Iterable[bytes], rows: int) -> pa.Array:
    """Big-endian microseconds, as they stand in headers."""
    numbers = array("q", b"".join(values))
    numbers.byteswap()
    return pa.Array.from_buffers(pa.timestamp("us", tz="UTC"), rows, [None, pa.py_buffer(numbers)])


def _numbers(kind: pa.DataType, code: str, values: Iterable[int], rows: int) -> pa.Array:
    return pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(array(code, values))])


def _names(values: Iterable[bytes], rows: int) -> pa.Array:
    """UTF-8 of which few are different, each kept once."""
    codes: dict[bytes, int] = {}
    numbers = _numbers(pa.int32(), "i", [codes.setdefault(value, len(codes)) for value in values], rows)
    return pa.DictionaryArray.from_arrays(numbers, pa.array([value.decode() for value in codes], pa.string()))


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
        self._rows: list[_Row] = []
        self._deks: dict[bytes, Dek | None] = {}  # only for this batch, so that an erasure is honoured by the next one
        self._why: dict[bytes, Unreadable] = {}
        self._erased: set[bytes] = set()
        self._unreadable: Counter[tuple[int, str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def is_new(self) -> bool:
        """Whether there is anything to store, be it only a position."""
        return self.known != self.end

    def add(self, commits: Iterable[Accepted], end: int) -> None:
        """Takes accepted commits in, which were read up to `end`. Raises `EventTampered`, with all records before it taken in."""
        rows, opened = self._rows, self._opened
        append = rows.append
        for accepted in commits:
            offset, void = accepted.offset, accepted.void
            taken = len(rows)
            try:
                for index, (originator, version, topic, state) in enumerate(accepted.commit.packed):
                    if void and index in void:
                        continue
                    if topic == ERASED_TOPIC:
                        self._erased.add(state[1:17])
                        continue
                    size = _BARE + state[_FIXED - 1] if len(state) >= _BARE else 0
                    if len(state) < size + _SEAL or not size or state[0] != 1:
                        size = _checked(state, topic)
                    facts = _NO_FACTS
                    if topic == _UNDERSTOOD:
                        payload = opened(originator, version, topic, state, size)
                        if payload is not None:
                            language, intent, confidence = understanding(payload)
                            facts = (language, intent or None, confidence, None)
                    elif topic == _ANSWERED:
                        payload = opened(originator, version, topic, state, size)
                        if payload is not None:
                            facts = _FELL_BACK if fell_back(payload) else _DID_NOT_FALL_BACK
                    append((offset, index, originator, version, topic, state, size, facts))
            except EventTampered:
                self.end = offset
                del rows[taken:]
                raise
        self.end = end

    def _opened(self, originator: bytes, version: int, topic: str, state: bytes, size: int) -> bytes | None:
        key_id = state[size - 32 : size]
        try:
            dek = self._deks[key_id]
        except KeyError:
            dek = self._dek(key_id, state[1:17])
        if dek is None:
            self._unreadable[self._partition, topic, self._why[key_id].name.lower()] += 1
            return None
        try:
            bound = self._bound[version, topic]
        except KeyError:
            bound = self._bound[version, topic] = version.to_bytes(4, "big") + topic.encode() + b"\0"
        start = size + NONCE_SIZE
        try:
            return dek.aead.decrypt(state[size:start], state[start:], originator + bound + state[:size])
        except InvalidTag:
            raise EventTampered(f"event {UUID(bytes=originator)} version {version} does not open as written") from None

    def _dek(self, key_id: bytes, subject: bytes) -> Dek | None:
        found = self._keys.opening(KeyId(key_id), UUID(bytes=subject), PURPOSE)
        if isinstance(found, Unreadable):
            self._why[key_id] = found
            self._deks[key_id] = None
            return None
        self._deks[key_id] = found
        return found

    def take(self) -> Batch:
        """What was collected, with the span it covers; begins anew where that ends."""
        span = Span(CONVERSATIONS, self._partition, self.known, self.end)
        batch = Batch((span,), self._table(), NO_EVIDENCE, frozenset(self._erased), self._unreadable)
        self._begin(self.end, self.end)
        return batch

    def _table(self) -> pa.Table:
        rows = len(self._rows)
        if not rows:
            return NO_EVENTS
        offsets, indexes, originators, versions, topics, states, sizes, facts = zip(*self._rows, strict=True)
        languages, intents, confidences, fallbacks = zip(*facts, strict=True)
        return pa.Table.from_arrays(
            [
                pa.repeat(pa.scalar(self._partition, pa.uint16()), rows),
                _numbers(pa.int64(), "q", offsets, rows),
                _numbers(pa.uint32(), "I", indexes, rows),
                _uuids(originators, rows),
                _numbers(pa.uint32(), "I", versions, rows),
                _names([topic.encode() for topic in topics], rows),
                _uuids([state[1:17] for state in states], rows),
                _times([state[17:25] for state in states], rows),
                _names([state[_FIXED : size - 32] for state, size in zip(states, sizes, strict=True)], rows),
                _fixed([state[size - 32 : size] for state, size in zip(states, sizes, strict=True)], 32, rows),
                pa.array([state[size:] for state, size in zip(states, sizes, strict=True)], pa.binary()),
                pa.array(languages, pa.binary()).cast(pa.string()),
                pa.array(intents, pa.binary()).cast(pa.string()),
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
    states = [event.state for event in notifications]
    sizes = [_checked(event.state, event.topic) for event in notifications]
    table = pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(partition, pa.uint16()), rows),
            _numbers(pa.int64(), "q", [event.id for event in notifications], rows),
            _uuids([event.originator_id.bytes for event in notifications], rows),  # type: ignore[union-attr]
            _numbers(pa.uint32(), "I", [event.originator_version for event in notifications], rows),
            _names([event.topic.encode() for event in notifications], rows),
            _uuids([state[1:17] for state in states], rows),
            _times([state[17:25] for state in states], rows),
            _fixed([state[size - 32 : size] for state, size in zip(states, sizes, strict=True)], 32, rows),
            pa.array([state[size:] for state, size in zip(states, sizes, strict=True)], pa.binary()),
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
