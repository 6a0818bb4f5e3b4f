"""The few facts that the projection reads out of an opened payload, without decoding the rest of it.

Catching up opens two events a message, so reading whole payloads would cost more than everything else together. The facts stand
at the front of their payloads; the field order is that of schemas/interaction.understood.2.avsc (and .1.avsc, which has no outcome)
and interaction.answered.1.avsc, which never change once published. Avro 1.11: a long is a zigzag varint; a string is its length and
UTF-8; a boolean is one byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from vault.errors import EventTampered
from vault.interaction import Answered, Understood

Facts = tuple[bytes | None, bytes | None, float | None, bool | None]
"""Language and intent, as UTF-8, confidence, and whether the bot fell back; None where an event does not say."""

NONE: Facts = (None, None, None, None)
_FELL_BACK: Facts = (None, None, None, True)
_DID_NOT_FALL_BACK: Facts = (None, None, None, False)

_NOT_UNDERSTOOD = b"not_understood"

_double = struct.Struct("<d").unpack_from


def of_understood(payload: bytes) -> Facts:
    """Language, intent (None when nothing was understood) and confidence."""
    language, intent, confidence, at = _understood(payload)
    outcome = payload[at + 1 : at + 1 + len(_NOT_UNDERSTOOD)]
    if len(payload) <= at:
        raise EventTampered("a payload of interaction.understood cannot be read")
    return language, None if outcome == _NOT_UNDERSTOOD else intent, confidence, None


def of_understood_1(payload: bytes) -> Facts:
    """The same of version 1, whose intent is empty when nothing was understood."""
    language, intent, confidence, _ = _understood(payload)
    return language, intent, confidence, None


def _understood(payload: bytes) -> tuple[bytes, bytes | None, float, int]:
    """Language, intent, confidence, and where what follows begins."""
    try:
        size = payload[0]
        if size < 0x80 and payload[(start := 1 + (size >> 1))] < 0x80:  # both shorter than 64 bytes, as ever
            end = start + 1 + (payload[start] >> 1)
            return payload[1:start], payload[start + 1 : end] or None, _double(payload, end)[0], end + 8
        length, at = _long(payload, 0)
        language = payload[at : at + length]
        length, start = _long(payload, at + length)
        end = start + length
        return language, payload[start:end] or None, _double(payload, end)[0], end + 8
    except (IndexError, struct.error):
        raise EventTampered("a payload of interaction.understood cannot be read") from None


def of_answered(payload: bytes) -> Facts:
    """Whether the bot did not understand, and said so."""
    first = payload[:1]
    if first == b"\0":
        return _DID_NOT_FALL_BACK
    if first == b"\1":
        return _FELL_BACK
    raise EventTampered("a payload of interaction.answered.1 cannot be read")


READERS: Mapping[str, Callable[[bytes], Facts]] = {
    Understood.TOPIC: of_understood,
    "interaction.understood.1": of_understood_1,
    Answered.TOPIC: of_answered,
}
"""By event topic; the others are not opened."""


def _long(payload: bytes, at: int) -> tuple[int, int]:
    """The zigzag varint at `at`, and where it ends."""
    byte = payload[at]
    at += 1
    value = byte & 0x7F
    shift = 7
    while byte & 0x80:
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return (value >> 1) ^ -(value & 1), at
