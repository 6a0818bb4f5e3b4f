"""What a few events say beyond their row: what left for whom, and what is not to be held any more. Opened one by one; they are rare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from projections.removal import Redaction
from projections.rows import DISCLOSURE, NO_DISCLOSURES, PURPOSE, stored
from vault.errors import EventTampered
from vault.interaction import Called, Redacted
from vault.mapper import Closed, SealingMapper

_WATCHED = pa.array([Called.TOPIC, Redacted.TOPIC])


@dataclass(frozen=True)
class Notices:
    """`unreadable`: event topic and the name of an `Unreadable`, one for each that could not be opened. `tampered`: the offset of the
    first that does not open as it was written, and what is wrong; nothing is noticed of it or after it."""

    redacted: frozenset[Redaction]
    disclosed: pa.Table
    unreadable: tuple[tuple[str, str], ...] = ()
    tampered: tuple[int, str] | None = None


NOTHING = Notices(frozenset(), NO_DISCLOSURES)


def notices(events: pa.Table, mapper: SealingMapper) -> Notices:
    """What a batch's rows say of disclosures and redactions."""
    if not events.num_rows:
        return NOTHING
    watched = events.filter(pc.is_in(events["event_topic"], _WATCHED))
    if not watched.num_rows:
        return NOTHING
    times = watched["happened_at"].cast(pa.int64()).to_pylist()
    redacted: set[Redaction] = set()
    disclosed: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    tampered = None
    for row, at_us in zip(watched.drop_columns("happened_at").to_pylist(), times, strict=True):
        try:
            event = _opened(row, at_us, mapper)
        except EventTampered as error:
            tampered = (row["offset"], str(error))
            break
        if isinstance(event, Closed):
            unreadable.append((event.topic, event.why.name.lower()))
        if isinstance(event, Redacted):
            if event.interaction_id is not None:
                redacted.add(Redaction(event.interaction_id, event.subject))
        elif row["event_topic"] == Called.TOPIC:
            disclosed.append(_disclosure(row, at_us, event if isinstance(event, Called) else None))
    return Notices(frozenset(redacted), pa.Table.from_pylist(disclosed, DISCLOSURE), tuple(unreadable), tampered)


def _opened(row: dict[str, Any], at_us: int, mapper: SealingMapper) -> Any:
    """A redaction is an order, which stands also where processing is restricted: any grant opens it."""
    event = stored(
        _uuid(row["originator"]),
        row["version"],
        row["event_topic"],
        _uuid(row["subject"]),
        at_us,
        row["channel"],
        row["key_id"],
        row["sealed"],
    )
    return mapper.open(event, None if row["event_topic"] == Redacted.TOPIC else PURPOSE)


def _disclosure(row: dict[str, Any], at_us: int, call: Called | None) -> dict[str, Any]:
    made = {name: row[name] for name in ("partition", "offset", "index", "channel")}
    made |= {"subject": _uuid(row["subject"]).bytes, "happened_at": at_us}
    if call is not None:
        made |= {"recipient": call.recipient, "connector": call.connector, "operation": call.operation}
        made |= {"interaction": call.interaction_id.bytes if call.interaction_id else None, "fields": _fields(call)}
    return made


def _fields(call: Called) -> list[str] | None:
    """The names of the fields that left, of the outermost object."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return None
    return sorted(arguments) if isinstance(arguments, dict) else None


def _uuid(value: UUID | bytes) -> UUID:
    return value if isinstance(value, UUID) else UUID(bytes=value)
