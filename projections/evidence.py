"""The few facts that the projection reads out of the register: which purpose, which right, due when, opened why.

The register is little and kept, so its events are opened one by one as evidence; names of staff and grounds in free text stay sealed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from eventsourcing.persistence import Notification

from vault.access import DataAccess
from vault.mapper import Closed, SealingMapper
from vault.request import PrivacyRequest
from vault.subject import DataSubject

PURPOSE = "evidence"
ROLES = ("command line", "officer", "desk", "analyst", "service", "person")
"""What an access may have been as: the beginning of its actor. Whatever else stands there may be somebody's name."""
OTHER_ROLE = "other"

Facts = Mapping[str, Any]

FACTS = pa.schema(
    [
        ("purpose", pa.string()),
        ("notice_version", pa.string()),
        ("kind", pa.string()),
        ("assurance", pa.string()),
        ("due_at", pa.timestamp("us", tz="UTC")),
        ("outcome", pa.string()),
        ("role", pa.string()),
        ("reason", pa.string()),
        ("events", pa.int64()),
    ]
)


def with_facts(
    rows: pa.Table, events: Sequence[Notification], mapper: SealingMapper
) -> tuple[pa.Table, Counter[tuple[str, str]]]:
    """The rows of the register's events, in the same order, with their facts; and how many could not be opened, by event topic and
    the name of an `Unreadable`. Raises `EventTampered`."""
    unreadable: Counter[tuple[str, str]] = Counter()
    facts: list[Facts] = []
    for event in events:
        read = _READERS.get(event.topic)
        if read is None:
            facts.append({})
            continue
        opened = mapper.open(event, PURPOSE)
        if isinstance(opened, Closed):
            unreadable[event.topic, opened.why.name.lower()] += 1
            facts.append({})
        else:
            facts.append(read(opened))
    columns = pa.Table.from_pylist(facts, FACTS)
    for name in FACTS.names:
        rows = rows.append_column(name, columns[name])
    return rows, unreadable


def _role(actor: str) -> str:
    role = actor.partition(",")[0].strip()
    return role if role in ROLES else OTHER_ROLE


_READERS: Mapping[str, Callable[[Any], Facts]] = {
    DataSubject.ConsentGiven.TOPIC: lambda e: {"purpose": e.purpose, "notice_version": e.notice_version},
    DataSubject.ConsentWithdrawn.TOPIC: lambda e: {"purpose": e.purpose},
    PrivacyRequest.Received.TOPIC: lambda e: {"kind": e.kind, "assurance": e.assurance, "due_at": e.due_at_us},
    PrivacyRequest.IdentityChecked.TOPIC: lambda e: {"outcome": e.outcome},
    PrivacyRequest.Extended.TOPIC: lambda e: {"due_at": e.due_at_us},
    PrivacyRequest.Answered.TOPIC: lambda e: {"outcome": e.outcome},
    DataAccess.Opened.TOPIC: lambda e: {"role": _role(e.actor), "reason": e.reason, "events": e.events},
}
