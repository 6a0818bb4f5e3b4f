"""What `reveal` shows of an opened payload, by event topic: the words where there are words, otherwise all of it as JSON.

    interaction.received.1    the message's text
    interaction.answered.1    the replies' texts, a line each
    message.sent.2            the replies' texts, a line each; of message.sent.1 the text
    every other event         a JSON object of the payload's fields; ids as UUIDs, bytes hexadecimal

Readers take the payloads of one event topic and give an Arrow array of as many texts; NULL where a payload cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from projections import vectors
from vault import codec
from vault.errors import EventTampered
from vault.interaction import Answered, MessageSent, MessageSent1, Received

Payloads = Sequence[bytes]
Reader = Callable[[Payloads], pa.Array]
Shown = Callable[[str, dict[str, Any]], str]

_ENDS = bytes(8)
"""So that stepping over fields that are not there stays inside."""


def reader(event_topic: str) -> Reader:
    """What reads the payloads of an event topic."""
    return _READERS.get(event_topic) or partial(_each, event_topic, _as_json)


def _received(payloads: Payloads) -> pa.Array:
    """The fourth string of each payload, found by stepping over three, for all payloads at once: decoding one by one would take as
    long as decrypting five. Avro 1.11: a string is its length, a zigzag varint, and UTF-8.

    A payload with a longer name than 63 bytes or a longer text than 8,191 is left to the library.
    """
    sizes = np.fromiter(map(len, payloads), np.int64, len(payloads))
    ends = np.cumsum(sizes)
    whole = b"".join((*payloads, _ENDS))
    data, last = np.frombuffer(whole, np.uint8), len(whole) - 2
    at = ends - sizes
    plain = np.ones(len(payloads), np.bool_)
    for _ in range(3):
        size = data[at]
        plain &= size < 0x80
        at = np.minimum(at + (size >> 1) + 1, last)
    size = data[at].astype(np.int64)
    is_long = size > 0x7F
    second = data[at + 1].astype(np.int64)
    plain &= ~is_long | (second < 0x80)
    begin = at + 1 + is_long
    end = begin + (np.where(is_long, size & 0x7F | second << 7, size) >> 1)
    plain &= end <= ends
    if plain.all():
        return _slices(whole, begin, end)
    begin, end = np.where(plain, begin, ends), np.where(plain, end, ends)
    texts = _slices(whole, begin, end).to_pylist()
    for place in np.flatnonzero(~plain).tolist():
        texts[place] = _one(Received.TOPIC, _text, payloads[place])
    return pa.array(texts, pa.string())


def _slices(whole: bytes, begin: Any, end: Any) -> pa.Array:
    """Parts of one text that come one after the other, as an array: every other value of one that has the gaps too."""
    parts = len(begin)
    edges = np.empty(2 * parts, np.int32)
    edges[::2], edges[1::2] = begin, end
    both = vectors.cut(pa.py_buffer(whole), edges)
    return both.take(pa.array(np.arange(0, 2 * parts, 2))).cast(pa.string())


def _each(event_topic: str, shown: Shown, payloads: Payloads) -> pa.Array:
    return pa.array([_one(event_topic, shown, payload) for payload in payloads], pa.string())


def _one(event_topic: str, shown: Shown, payload: bytes) -> str | None:
    try:
        return shown(event_topic, codec.decode(event_topic, payload))
    except EventTampered:
        return None


def _text(event_topic: str, fields: dict[str, Any]) -> str:
    del event_topic
    return str(fields["text"])


def _replies(event_topic: str, fields: dict[str, Any]) -> str:
    del event_topic
    return "\n".join(reply["text"] for reply in fields["replies"])


def _as_json(event_topic: str, fields: dict[str, Any]) -> str:
    for name in codec.ids(event_topic):
        if fields[name] is not None:
            fields[name] = str(UUID(bytes=fields[name]))
    return json.dumps(fields, ensure_ascii=False, default=bytes.hex)


_READERS: dict[str, Reader] = {
    Received.TOPIC: _received,
    Answered.TOPIC: partial(_each, Answered.TOPIC, _replies),
    MessageSent.TOPIC: partial(_each, MessageSent.TOPIC, _replies),
    MessageSent1.TOPIC: partial(_each, MessageSent1.TOPIC, _text),
}
