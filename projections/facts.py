"""The few facts that the projection reads out of opened payloads, without decoding the rest of them.

Catching up opens two events a message, so reading whole payloads would cost more than everything else together. The facts stand
at the front of their payloads, and are read of very many at once; the field order is that of schemas/interaction.understood.2.avsc
(and .1.avsc, which has no outcome)
and interaction.answered.1.avsc, which never change once published. Avro 1.11: a long is a zigzag varint; a string is its length and
UTF-8; a boolean is one byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.arrow import Joined, Numbers
from vault.errors import EventTampered
from vault.interaction import Answered, Understood

Facts = Mapping[str, pa.Array]
"""Columns by name, a value a payload; those that are not there are not said by the event."""

KINDS: Mapping[str, pa.DataType] = {
    "language": pa.string(),
    "intent": pa.string(),
    "confidence": pa.float64(),
    "fallback": pa.bool_(),
}
"""The facts there are. Language and intent; the confidence, 0 to 1; whether the bot fell back."""

UNDERSTOOD_1 = "interaction.understood.1"


def of_understood(payloads: Sequence[bytes]) -> Facts:
    """Language, intent (NULL when nothing was understood) and confidence."""
    reading = _Reading(payloads, Understood.TOPIC)
    language, intent, confidence = reading.text(), reading.text(), reading.double()
    nothing = pc.equal(reading.text(), "not_understood")
    return {
        "language": language,
        "intent": pc.if_else(nothing, None, _or_null(intent)),
        "confidence": pa.array(confidence),
    }


def of_understood_1(payloads: Sequence[bytes]) -> Facts:
    """The same of version 1, whose intent is empty when nothing was understood."""
    reading = _Reading(payloads, UNDERSTOOD_1)
    language, intent = reading.text(), reading.text()
    return {"language": language, "intent": _or_null(intent), "confidence": pa.array(reading.double())}


def of_answered(payloads: Sequence[bytes]) -> Facts:
    """Whether the bot did not understand, and said so."""
    return {"fallback": pa.array(_Reading(payloads, Answered.TOPIC).boolean())}


READERS: Mapping[str, Callable[[Sequence[bytes]], Facts]] = {
    Understood.TOPIC: of_understood,
    UNDERSTOOD_1: of_understood_1,
    Answered.TOPIC: of_answered,
}
"""By event topic; the others are not opened."""


def in_rows(facts: Sequence[tuple[Numbers, Facts]], rows: int) -> list[pa.Array]:
    """Every fact as a column of so many rows; `facts` come with the rows of their payloads. NULL where nobody says."""
    return [_in_rows([(at, of[name]) for at, of in facts if name in of], kind, rows) for name, kind in KINDS.items()]


def _in_rows(found: Sequence[tuple[Numbers, pa.Array]], kind: pa.DataType, rows: int) -> pa.Array:
    taken = np.full(rows, -1)
    first = 0
    for at, _ in found:
        taken[at] = np.arange(first, first + len(at))
        first += len(at)
    return pa.concat_arrays([pa.nulls(0, kind), *(values for _, values in found)]).take(pa.array(taken, mask=taken < 0))


def _or_null(text: pa.Array) -> pa.Array:
    """Text, with NULL where it is empty."""
    return pc.if_else(pc.not_equal(text, ""), text, pa.scalar(None, pa.string()))


class _Reading:
    """Reads payloads of one event topic from their front, all of them field by field. Raises `EventTampered` when one ends before."""

    def __init__(self, payloads: Sequence[bytes], topic: str) -> None:
        self._payloads = Joined(payloads)
        self._topic = topic
        self._at = self._payloads.starts

    def _pass(self, sizes: Any) -> Numbers:
        """Goes on behind a field of so many bytes. Returns where it stands."""
        field = self._at
        self._at = field + sizes
        if (self._at > self._payloads.ends).any() or (self._at < field).any():
            raise self._unreadable()
        return field

    def _unreadable(self) -> EventTampered:
        return EventTampered(f"a payload of {self._topic} cannot be read")

    def _long(self) -> Numbers:
        byte = self._payloads.data[self._pass(1)].astype(np.int64)
        value, shift = byte & 0x7F, 7
        while (more := byte & 0x80 != 0).any():
            byte = np.where(more, self._payloads.data[self._pass(more)], 0).astype(np.int64)
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise self._unreadable()
        return (value >> 1) ^ -(value & 1)

    def text(self) -> pa.Array:
        sizes = self._long()
        try:
            return self._payloads.varying(self._pass(sizes), sizes).cast(pa.string())
        except pa.ArrowInvalid:
            raise self._unreadable() from None

    def double(self) -> np.ndarray[Any, Any]:
        return self._payloads.fixed(self._pass(8), "<f8")

    def boolean(self) -> np.ndarray[Any, Any]:
        byte = self._payloads.fixed(self._pass(1), "u1")
        if (byte > 1).any():
            raise self._unreadable()
        return byte.astype(bool)
