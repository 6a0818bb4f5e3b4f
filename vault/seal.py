"""The sealed form of an event: a clear header that says where it belongs, and a payload that only its DEK opens.

This is the `state` of a stored event in both logs. Byte layout, version 1 (integers big-endian):

    offset        size  field
    0             1     layout version, 0x01
    1             16    person: the subject (conversations) or the case (register); zeros: about nobody
    17            8     at: microseconds since 1970-01-01T00:00:00Z, signed
    25            1     n, length of the channel's name in bytes
    26            n     channel, UTF-8
    26+n          32    key id: SHA-256("parloir dek 1" ‖ DEK); zeros: the event is clear and has no payload
    58+n          12    nonce, random              ┐ absent when
    70+n          m+16  AES-256-GCM ciphertext     ┘ the key id is zeros

Associated data: originator id (16) ‖ originator version (4) ‖ event topic, UTF-8 ‖ 0x00 ‖ bytes 0 to 58+n of the state. So an
event opens only at the place, for the person, at the time, on the channel and under the key it was sealed for. Because the key
id commits to the DEK by a collision-resistant hash and is checked when a DEK is unwrapped, a payload opens under one key only,
which AES-GCM alone does not promise (RFC 5116; Dodis et al. 2018).
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eventsourcing.persistence import StoredEvent

from vault.errors import EventTampered
from vault.ids import KeyId, uuid_of

VERSION = 1
KEY_ID_SIZE = 32
NONCE_SIZE = 12
TAG_SIZE = 16
CHANNEL_BYTES_MAX = 255
CLEAR = KeyId(bytes(KEY_ID_SIZE))
"""Key id of an event that carries no payload."""

Packed = tuple[bytes, int, str, bytes]
"""A sealed event, plain: originator (16 bytes), version, event topic, state."""

CHANNEL_SIZE_AT = 25
"""Where a state says how many bytes its channel's name has."""

_FIXED = struct.Struct(">B16sqB")
_PLACE = struct.Struct(">16sI")
_COMMITMENT = b"parloir dek 1"


class Dek:
    """A data encryption key, opened: its id and its AEAD. Never printed, never stored."""

    __slots__ = ("aead", "key_id")

    def __init__(self, material: bytes) -> None:
        self.key_id = commitment(material)
        self.aead = AESGCM(material)

    def __repr__(self) -> str:
        return f"Dek({self.key_id.hex()[:16]}…)"


def commitment(material: bytes) -> KeyId:
    """The key id of a DEK: a hash that commits to it."""
    return KeyId(hashlib.sha256(_COMMITMENT + material).digest())


def packed(event: StoredEvent) -> Packed:
    """A stored event, plain."""
    return event.originator_id.bytes, event.originator_version, event.topic, event.state  # type: ignore[union-attr]


def stored(event: Packed) -> StoredEvent:
    """A sealed event as `eventsourcing` knows it."""
    originator, version, event_topic, state = event
    return StoredEvent(uuid_of(originator), version, event_topic, state)


class Header(NamedTuple):
    """The clear part of a sealed event. `at_us` is microseconds since the epoch, UTC."""

    person: UUID
    at_us: int
    channel: str
    key_id: KeyId
    size: int
    """Bytes of the header, after which the sealed payload begins."""


def person_of(state: bytes) -> bytes:
    """The 16 bytes of the person that a state is about, without reading the rest."""
    return state[1:17]


def read_header(state: bytes) -> Header:
    """The clear header of a state. Raises `EventTampered` when it is not one."""
    try:
        version, person, at_us, length = _FIXED.unpack_from(state)
        size = _FIXED.size + length + KEY_ID_SIZE
        if version != VERSION:
            raise EventTampered(
                f"sealed layout {version} is unknown to this program", remedy="use the program version that wrote it"
            )
        if len(state) < size:
            raise EventTampered("the sealed event is cut short")
        channel = state[_FIXED.size : size - KEY_ID_SIZE].decode()
    except (struct.error, UnicodeDecodeError):
        raise EventTampered("the header of the sealed event cannot be read") from None
    key_id = KeyId(state[size - KEY_ID_SIZE : size])
    if key_id == CLEAR and len(state) > size:
        raise EventTampered("the event names no key and yet carries a payload")
    return Header(uuid_of(person), at_us, channel, key_id, size)


def seal(
    *,
    originator_id: UUID,
    version: int,
    event_topic: str,
    person: UUID,
    at_us: int,
    channel: str,
    dek: Dek | None,
    payload: bytes = b"",
    random: Callable[[int], bytes] = os.urandom,
) -> Packed:
    """Seals `payload` under `dek`; without a DEK, makes a clear event, which must have no payload.

    `random` makes the nonce. Risk: two payloads under one DEK and nonce open each other and let events be forged; so nothing but
    a test vector gives another source than the system's.
    """
    name = channel.encode()
    if len(name) > CHANNEL_BYTES_MAX:
        raise ValueError(f"a channel's name of {len(name)} bytes is longer than {CHANNEL_BYTES_MAX}")
    header = b"".join(
        (
            _FIXED.pack(VERSION, person.bytes, at_us, len(name)),
            name,
            CLEAR if dek is None else dek.key_id,
        )
    )
    if dek is None:
        if payload:
            raise ValueError("a payload is never written in the clear")
        return originator_id.bytes, version, event_topic, header
    nonce = random(NONCE_SIZE)
    originator = originator_id.bytes
    bound = b"".join((_PLACE.pack(originator, version), event_topic.encode(), b"\0", header))
    sealed = dek.aead.encrypt(nonce, payload, bound)
    return originator, version, event_topic, b"".join((header, nonce, sealed))


def open_payload(event: StoredEvent, header: Header, dek: Dek) -> bytes:
    """The payload of a sealed event. Raises `EventTampered` when anything that was bound to it differs."""
    state = event.state
    start = header.size + NONCE_SIZE
    assert isinstance(event.originator_id, UUID)
    if dek.key_id != header.key_id or len(state) < start + TAG_SIZE:
        raise EventTampered(f"event {event.originator_id} version {event.originator_version} does not open as written")
    bound = b"".join(
        (
            _PLACE.pack(event.originator_id.bytes, event.originator_version),
            event.topic.encode(),
            b"\0",
            state[: header.size],
        )
    )
    try:
        return dek.aead.decrypt(state[header.size : start], state[start:], bound)
    except InvalidTag:
        raise EventTampered(
            f"event {event.originator_id} version {event.originator_version} does not open as written"
        ) from None
