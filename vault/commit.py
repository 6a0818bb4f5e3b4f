"""The record: one commit of one log, with a MAC that only this vault's processes can make.

Bytes of a record, version 1: 0x01 ‖ Avro of schemas/commit.1.avsc ‖ MAC (32). The MAC is BLAKE2b-256 keyed with the log's key
(RFC 7693) over `topic ‖ 0x00 ‖ partition (2 bytes) ‖ everything before the MAC`, so that a record moved to another topic or
partition is a stranger's. Which offset it gets is the log's decision and not covered: a record repeated is met by the fold.

The Avro of this one schema is written and read by hand: every process does it for every record, and it takes a third of the time
that a general Avro library takes. A test holds the bytes against such a library's.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.persistence import StoredEvent, Tracking

from vault.codec import avro_long as _long
from vault.errors import RecordForeign
from vault.ids import LogId, uuid_of
from vault.seal import Packed, packed, stored

VERSION = b"\x01"
MAC_SIZE = 32

_LOG_ID_END = 17
_NOT_A_FOLLOWERS = bytes(4)
"""Avro of no follower, no `after`, no `upto` and no tracking."""
_ID_SIZE = 16
_VERSION_MAX = (1 << 31) - 1


class Commit(NamedTuple):
    """What is appended together. Either it begins an originator (`based_on`), or a follower made it (`follower`, `after`,
    `upto`), or, in the register, neither."""

    packed: tuple[Packed, ...] = ()
    based_on: int | None = None
    follower: str | None = None
    after: int | None = None
    upto: int | None = None
    tracking: tuple[Tracking, ...] = ()

    @classmethod
    def of(cls, events: Iterable[StoredEvent], **said: Any) -> Commit:
        """The commit of some events; `said` are its other fields."""
        return cls(tuple(packed(event) for event in events), **said)

    @property
    def events(self) -> tuple[StoredEvent, ...]:
        """The events, made anew whenever somebody asks."""
        return tuple(stored(event) for event in self.packed)


class Envelope:
    """Writes and reads the records of one partition of one topic."""

    def __init__(self, log_id: LogId, log_key: bytes, topic: str, partition: int) -> None:
        self._log_id = log_id.bytes
        self._begin = VERSION + log_id.bytes
        place = topic.encode() + b"\0" + partition.to_bytes(2, "big")
        self._keyed = hashlib.blake2b(place, key=log_key, digest_size=MAC_SIZE)

    def _mac(self, body: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(body)
        return keyed.digest()

    def write(self, commit: Commit) -> bytes:
        """The record's bytes."""
        body = b"".join(_write(commit, self._begin))
        return body + self._mac(body)

    def read(self, record: bytes | None) -> Commit:
        """The commit in a record. Raises `RecordForeign` when this vault did not write it for this partition."""
        if record is None or len(record) <= MAC_SIZE or record[:1] != VERSION:
            raise RecordForeign("the record is not a commit of this vault")
        end = len(record) - MAC_SIZE
        # The MAC comes before anything else is looked at: lengths and counts that a stranger chose are never followed.
        if not hmac.compare_digest(self._mac(record[:end]), record[end:]):
            raise RecordForeign("the record does not carry this log's MAC")
        if record[1:_LOG_ID_END] != self._log_id:
            raise RecordForeign("the record belongs to another log")
        try:
            return _read(record, end)
        except (IndexError, struct.error, UnicodeDecodeError, _Malformed):
            raise RecordForeign("the record carries this log's MAC but is not a commit") from None


def log_id_of(record: bytes | None) -> UUID | None:
    """Which log a record says it is of, unchecked; None when it is no commit."""
    if record is None or len(record) <= _LOG_ID_END + MAC_SIZE or record[:1] != VERSION:
        return None
    return uuid_of(record[1:_LOG_ID_END])


class _Malformed(Exception):
    """Avro that `_write` cannot have written."""


# Writing


def _write(commit: Commit, begin: bytes) -> list[bytes]:
    parts = [begin, _optional_long(commit.based_on)]
    if commit.follower is None and commit.after is None and commit.upto is None and not commit.tracking:
        parts.append(_NOT_A_FOLLOWERS)
    else:
        follower = commit.follower
        parts.append(b"\0" if follower is None else b"\2" + _string(follower))
        parts.append(_optional_long(commit.after))
        parts.append(_optional_long(commit.upto))
        if commit.tracking:
            parts.append(_long(len(commit.tracking)))
            for tracking in commit.tracking:
                parts += (_string(tracking.application_name), _long(tracking.notification_id))
        parts.append(b"\0")
    events = commit.packed
    if events:
        parts.append(_long(len(events)))
        for originator, version, event_topic, state in events:
            if not 0 <= version <= _VERSION_MAX:
                raise ValueError(f"version {version} is out of range")
            parts += (originator, _long(version), _string(event_topic), _long(len(state)), state)
    parts.append(b"\0")
    return parts


def _optional_long(value: int | None) -> bytes:
    return b"\0" if value is None else b"\2" + _long(value)


@lru_cache(1024)
def _string(text: str) -> bytes:
    """Names of followers, applications and event topics are few."""
    encoded = text.encode()
    return _long(len(encoded)) + encoded


# Reading


def _read(record: bytes, end: int) -> Commit:
    """The commit in a record whose MAC was checked; its body ends at `end`."""
    based_on, at = _read_optional_long(record, _LOG_ID_END)
    follower = after = upto = None
    tracking: tuple[Tracking, ...] = ()
    if record[at : at + 4] == _NOT_A_FOLLOWERS:
        at += 4
    else:
        if record[at] == 2:
            length, at = _read_long(record, at + 1)
            follower = _text(_slice(record, at, length, end))
            at += length
        elif record[at] == 0:
            at += 1
        else:
            raise _Malformed
        after, at = _read_optional_long(record, at)
        upto, at = _read_optional_long(record, at)
        count, at = _read_long(record, at)
        if count:
            tracking, at = _read_tracking(record, at, count, end)
    count, at = _read_long(record, at)
    if count < 0:
        raise _Malformed
    events: list[Packed] = []
    add, heads = events.append, _HEADS
    for _ in range(count):
        head_at = at + _ID_SIZE
        # Version, length of the topic and topic are the same few bytes again and again, if the lengths take one byte each.
        head = record[head_at : head_at + 2 + (record[head_at + 1] >> 1)]
        version, event_topic, size = heads.get(head) or _read_head(record, head_at)
        length_at = head_at + size
        low, high = record[length_at], record[length_at + 1]
        if low & 0x81 == 0x80 and high < 0x80:  # two bytes and not negative: 64 to 8,191 bytes of state
            state_at = length_at + 2
            state_end = state_at + (high << 6 | (low & 0x7F) >> 1)
        else:
            length, state_at = _read_long(record, length_at)
            state_end = state_at + length
            if length < 0:
                raise _Malformed
        add((record[at:head_at], version, event_topic, record[state_at:state_end]))
        at = state_end
    # No length was negative, so that whatever reached beyond the end did not end there either.
    if count:
        if record[at] != 0:
            raise _Malformed
        at += 1
    if at != end:
        raise _Malformed
    return _new(Commit, (tuple(events), based_on, follower, after, upto, tracking))


_new = tuple.__new__
"""Makes a `NamedTuple` in half the time that its own constructor takes."""


def _read_head(record: bytes, at: int) -> tuple[int, str, int]:
    """The version and the topic of the event whose head begins at `at`, and how many bytes that takes."""
    version, length_at = _read_long(record, at)
    length, topic_at = _read_long(record, length_at)
    topic_end = topic_at + length
    if length < 0 or topic_end > len(record):
        raise _Malformed
    known = (version, _text(record[topic_at:topic_end]), topic_end - at)
    if topic_at == at + 2 and len(_HEADS) < _HEADS_MAX:
        _HEADS[record[at:topic_end]] = known
    return known


_HEADS: dict[bytes, tuple[int, str, int]] = {}
_HEADS_MAX = 1024


def _read_tracking(record: bytes, at: int, count: int, end: int) -> tuple[tuple[Tracking, ...], int]:
    if count < 0:
        raise _Malformed
    tracking = []
    for _ in range(count):
        length, at = _read_long(record, at)
        application = _text(_slice(record, at, length, end))
        notification_id, at = _read_long(record, at + length)
        tracking.append(Tracking(application, notification_id))
    if record[at] != 0:
        raise _Malformed
    return tuple(tracking), at + 1


def _read_long(record: bytes, at: int) -> tuple[int, int]:
    byte = record[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    next_byte = record[at + 1]
    if next_byte < 0x80:
        value = next_byte << 7 | byte & 0x7F
        return (value >> 1) ^ -(value & 1), at + 2
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = record[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + 1
        shift += 7
        if shift > 63:
            raise _Malformed


def _read_optional_long(record: bytes, at: int) -> tuple[int | None, int]:
    branch = record[at]
    if branch == 2:
        return _read_long(record, at + 1)
    if branch:
        raise _Malformed
    return None, at + 1


def _slice(record: bytes, at: int, length: int, end: int) -> bytes:
    if length < 0 or at + length > end:
        raise _Malformed
    return record[at : at + length]


@lru_cache(1024)
def _text(encoded: bytes) -> str:
    """The same few names again, shared by all events that carry them."""
    return encoded.decode()
