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
    out = BytesIO()
    try:
        schemaless_writer(out, load(event_topic), fields, strict_allow_default=True)
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError):
        # What Avro says of the fields quotes them, and they are personal.
        raise ValueError(f"the fields do not fit the schema of {event_topic}") from None
    return out.getvalue()


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
