"""The few facts that the projection reads out of an opened payload, without decoding the rest of it.

Catching up opens two events a message, so reading whole payloads would cost more than everything else together. The facts stand
at the front of their payloads; the field order is that of schemas/interaction.understood.1.avsc and interaction.answered.1.avsc,
which never change once published. Avro 1.11: a long is a zigzag varint; a string is its length and UTF-8; a boolean is one byte.
"""

from __future__ import annotations

import struct

from vault.errors import EventTampered

_DOUBLE_SIZE = 8
_double = struct.Struct("<d").unpack_from


def understanding(payload: bytes) -> tuple[bytes, bytes, float]:
    """(language, intent, confidence) of an `interaction.understood.1` payload; the first two as UTF-8."""
    try:
        size = payload[0]
        if size < 0x80 and payload[(start := 1 + (size >> 1))] < 0x80:  # both shorter than 64 bytes, as ever
            end = start + 1 + (payload[start] >> 1)
            return payload[1:start], payload[start + 1 : end], _double(payload, end)[0]
        length, at = _long(payload, 0)
        language = payload[at : at + length]
        length, start = _long(payload, at + length)
        end = start + length
        return language, payload[start:end], _double(payload, end)[0]
    except (IndexError, struct.error):
        raise EventTampered("a payload of interaction.understood.1 cannot be read") from None


def fell_back(payload: bytes) -> bool:
    """`fallback` of an `interaction.answered.1` payload: the bot did not understand and said so."""
    first = payload[:1]
    if first not in (b"\0", b"\1"):
        raise EventTampered("a payload of interaction.answered.1 cannot be read")
    return first == b"\1"


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
