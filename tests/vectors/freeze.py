"""Freezes new schemas: a sample of each new event version and the digest of each new schema. What is frozen is never written again.

    python -m tests.vectors.freeze

A version that has never left the house may still change: delete its sample and its line in schemas.json, and freeze it anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import to_parsing_canonical_form

from vault import codec

CHECKOUT = Path(__file__).parents[2]
VECTORS = Path(__file__).parent
ENVELOPE = "commit.1"


def declared(schemas: Path = CHECKOUT / "schemas") -> dict[str, Any]:
    """Every schema as its file says it, by name."""
    return {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(schemas.glob("*.avsc"))}


def digest(schema: Any) -> str:
    """SHA-256 of what readers and writers rely on: Avro's canonical form, `sealed`, and each field's `personal` and default.

    Words (`doc`, `clear`) may be mended.
    """
    relied_on = {
        "canonical": to_parsing_canonical_form(schema),
        "sealed": schema.get("sealed"),
        "fields": [[field["personal"], field.get("default", "none")] for field in fields_of(schema)],
    }
    return hashlib.sha256(json.dumps(relied_on, sort_keys=True).encode()).hexdigest()


def fields_of(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every field in order, those of records within included."""
    if isinstance(schema, list):
        for branch in schema:
            yield from fields_of(branch)
    elif isinstance(schema, Mapping):
        for field in schema.get("fields", ()):
            yield field
            yield from fields_of(field["type"])
        yield from fields_of(schema.get("items"))


def sample(schema: Any, name: str = "", *, full: bool) -> Any:
    """A value of a schema: with everything in it, or with as little as can be."""
    match schema:
        case "null":
            return None
        case "boolean":
            return full
        case "int":
            return 2**31 - 1 - len(name) if full else 0
        case "long":
            return 1_750_000_000_000_000 + len(name) if full else -1
        case "double":
            return 0.8125 if full else 0.0
        case "bytes":
            return hashlib.sha256(name.encode()).digest() if full else b""
        case "string":
            return f"{name}: échantillon \U0001f511" if full else ""
        case [*branches]:
            return sample(branches[-1] if full else branches[0], name, full=full)
        case {"type": "record", "fields": fields}:
            return {field["name"]: sample(field["type"], field["name"], full=full) for field in fields}
        case {"type": "array", "items": items}:
            return [sample(items, f"{name} {number}", full=True) for number in range(2)] if full else []
        case {"type": "fixed", "size": size}:
            return hashlib.sha256(name.encode()).digest()[:size] if full else bytes(size)
    raise ValueError(f"no sample of {schema}")


def to_json(value: Any) -> Any:
    """Bytes as {"hex": …}, which no sample of a record looks like."""
    match value:
        case bytes():
            return {"hex": value.hex()}
        case {**fields}:
            return {name: to_json(each) for name, each in fields.items()}
        case [*items]:
            return [to_json(each) for each in items]
    return value


def from_json(value: Any) -> Any:
    match value:
        case {"hex": str(digits), **rest} if not rest:
            return bytes.fromhex(digits)
        case {**fields}:
            return {name: from_json(each) for name, each in fields.items()}
        case [*items]:
            return [from_json(each) for each in items]
    return value


def freeze(schemas: Mapping[str, Any], vectors: Path) -> tuple[list[str], list[str]]:
    """Freezes what is new. Returns (what was frozen, what differs from what is frozen and was left alone)."""
    folder, listed = vectors / "events", vectors / "schemas.json"
    folder.mkdir(parents=True, exist_ok=True)
    digests = json.loads(listed.read_text("utf-8")) if listed.exists() else {}
    frozen, differing = [], []
    for name, schema in schemas.items():
        file = folder / f"{name}.json"
        if name in digests:
            if digests[name] != digest(schema):
                differing.append(name)
            continue
        if name != ENVELOPE and file.exists():
            differing.append(name)
            continue
        digests[name] = digest(schema)
        frozen.append(name)
        if name != ENVELOPE:
            parsed = fastavro.parse_schema(schema)
            samples = [sample(parsed, full=full) for full in (True, False)]
            written = [{"fields": to_json(each), "avro": codec.encode(name, each).hex()} for each in samples]
            file.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", "utf-8")
    listed.write_text(json.dumps(dict(sorted(digests.items())), indent=1) + "\n", "utf-8")
    return frozen, differing


def main() -> int:
    frozen, differing = freeze(declared(), VECTORS)
    for name in frozen:
        print(f"frozen: {name}")
    for name in differing:
        print(f"{name} is published and differs now: it was left as it is; add a new version instead", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
