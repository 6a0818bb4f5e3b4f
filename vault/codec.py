"""Avro payloads by event topic. The schemas live in schemas/, one file an event version, named as the event topic is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from vault.errors import EventTampered


@cache
def load(name: str) -> Any:
    """The parsed schema `schemas/{name}.avsc`. Raises `EventTampered` when this program has no such schema."""
    resource = files("schemas").joinpath(f"{name}.avsc")
    if "/" in name or not resource.is_file():
        raise EventTampered(f"no schema for {name}", remedy="use a program version that knows it")
    return parse_schema(json.loads(resource.read_text("utf-8")))


def sealed(event_topic: str) -> str:
    """Under which kind of DEK the payload is sealed: `content`, `evidence`, or `clear` for none, as its schema says."""
    found: str = load(event_topic)["sealed"]
    return found


@cache
def ids(event_topic: str) -> frozenset[str]:
    """The fields that are ids: 16 bytes in Avro, or null where the schema says so."""
    return frozenset(field["name"] for field in load(event_topic)["fields"] if _is_id(field["type"]))


def _is_id(avro: Any) -> bool:
    if isinstance(avro, list):
        return any(_is_id(branch) for branch in avro)
    return isinstance(avro, Mapping) and avro["type"] == "fixed" and avro["name"] == "parloir.Id"


def encode(event_topic: str, fields: Mapping[str, Any]) -> bytes:
    """The Avro bytes of a payload. Raises `ValueError` when the fields are not exactly the schema's; those with a default may
    be left out."""
    names = _texts(event_topic)
    try:
        if names is not None and len(fields) == len(names):
            return _encode_texts(names, fields)
        out = BytesIO()
        schemaless_writer(out, load(event_topic), fields, strict_allow_default=True)
        return out.getvalue()
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError):
        # What Avro says of the fields quotes them, and they are personal.
        raise ValueError(f"the fields do not fit the schema of {event_topic}") from None


@cache
def _texts(event_topic: str) -> tuple[tuple[str, bool], ...] | None:
    """The fields of a payload that is nothing but text, and whether they may be null; None for any other."""
    fields = [(field["name"], field["type"]) for field in load(event_topic)["fields"]]
    if any(declared not in ("string", ["null", "string"]) for _, declared in fields):
        return None
    return tuple((name, declared != "string") for name, declared in fields)


def _encode_texts(names: tuple[tuple[str, bool], ...], fields: Mapping[str, Any]) -> bytes:
    """Avro of text, in half the time that fastavro takes to be called: what people say is such a payload."""
    parts: list[bytes] = []
    for name, nullable in names:
        value = fields[name]
        if nullable:
            if value is None:
                parts.append(b"\0")
                continue
            parts.append(b"\2")
        encoded = str.encode(value)
        parts += (avro_long(len(encoded)), encoded)
    return b"".join(parts)


def decode(event_topic: str, payload: bytes) -> dict[str, Any]:
    """The fields of a payload. Raises `EventTampered` when it is not exactly one payload of that topic."""
    stream = BytesIO(payload)
    try:
        fields = schemaless_reader(stream, load(event_topic), None)
    except (EOFError, ValueError, IndexError, StopIteration, OverflowError, TypeError, MemoryError):
        raise EventTampered(f"a payload of {event_topic} cannot be read") from None
    if stream.tell() != len(payload):
        raise EventTampered(f"a payload of {event_topic} is longer than its schema says")
    assert isinstance(fields, dict)
    return fields


def avro_long(value: int) -> bytes:
    """Avro's long: zigzag, then seven bits a byte, the lowest first."""
    zigzag = value << 1 if value >= 0 else ~(value << 1)
    if zigzag < 0x80:
        return _ONE_BYTE[zigzag]
    if zigzag < 0x4000:
        return bytes((zigzag & 0x7F | 0x80, zigzag >> 7))
    if zigzag >> 64:
        raise ValueError(f"{value} does not fit into 64 bits")
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


_ONE_BYTE = [bytes((value,)) for value in range(0x80)]
