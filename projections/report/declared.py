"""What is held set beside what is declared: purposes, categories, recipients and transfers, each marked where nobody declared it.

Which purpose an event is held for, the keys say: a conversation for those that have a grant, the register for `evidence`
(vault/keys). A purpose, a recipient or a kind of data that is met and not declared is shown all the
same, as undeclared: the report tells what is, not what should be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from projections.declaration import Category, Declaration, Purpose, Recipient
from vault.interaction import Called, Received, Returned, Understood
from vault.subject import DataSubject

Json = dict[str, Any]


def parties(declaration: Declaration | None) -> Json | None:
    """Controller, officer, authority and sources; None when nothing is declared."""
    if declaration is None:
        return None
    controller, officer, authority = declaration.controller, declaration.officer, declaration.authority
    return {
        "controller": {"name": controller.name, "address": controller.address, "contact": controller.contact},
        "data_protection_officer": {"contact": officer.contact} if officer else None,
        "authority": {"name": authority.name, "contact": authority.contact},
        "sources": [dict(source) for source in declaration.sources],
    }


# Purposes


def purposes(
    declaration: Declaration | None, held: Mapping[str, Sequence[str]], evidence: Sequence[Json]
) -> list[Json]:
    """Every purpose that is declared, that data are held for, or that the person consented to.

    `held`: times of the events, by the purposes that keys are granted for; `evidence`: the register's events on the person.
    """
    declared = declaration.purposes if declaration else {}
    consents = _consents(evidence)
    met = (*(name for name, times in held.items() if times), *consents)
    return [
        _purpose(name, declared.get(name), held.get(name), consents.get(name))
        for name in dict.fromkeys((*declared, *met))
    ]


def _consents(evidence: Sequence[Json]) -> dict[str, tuple[str, str]]:
    """By purpose: whether consent is given or withdrawn, and since when."""
    states = {DataSubject.ConsentGiven.TOPIC: "given", DataSubject.ConsentWithdrawn.TOPIC: "withdrawn"}
    return {
        event["purpose"]: (states[event["event"]], event["at"])
        for event in evidence
        if event["event"] in states and "unreadable" not in event
    }


def _purpose(name: str, declared: Purpose | None, times: Sequence[str] | None, consent: tuple[str, str] | None) -> Json:
    days = declared.retention_days if declared else None
    said = asdict(declared) if declared else dict.fromkeys(Purpose.__dataclass_fields__)
    said["categories"] = list(declared.categories) if declared else []
    state, since = consent or (None, None)
    return {
        **said,
        "id": name,
        "declared": declared is not None,
        "consent": state,
        "consent_at": since,
        "events": None if times is None else len(times),
        "oldest_ends_at": _ends(min(times), days) if times and days else None,
        "newest_ends_at": _ends(max(times), days) if times and days else None,
    }


def _ends(at: str, days: int) -> str:
    """The day on which retention is over, YYYY-MM-DD."""
    return (datetime.fromisoformat(at) + timedelta(days=days)).date().isoformat()


# Categories


def categories(declaration: Declaration | None, interactions: Sequence[Json]) -> list[Json]:
    """Every category that is declared, and every kind of personal data that understanding found in messages, with how often."""
    declared: Mapping[str, Category] = declaration.categories if declaration else {}
    found: dict[str, int] = {}
    for event in _events(interactions, *Understood.topics()):
        for each in event["personal_data"]:
            found[each["kind"]] = found.get(each["kind"], 0) + 1
    return [
        {
            "id": name,
            "name": dict(declared[name].name) if name in declared else None,
            "declared": name in declared,
            "special": declared[name].special if name in declared else None,
            "purposes": [
                purpose.id
                for purpose in (declaration.purposes.values() if declaration else ())
                if name in purpose.categories
            ],
            "found": found.get(name, 0),
        }
        for name in dict.fromkeys((*declared, *sorted(found)))
    ]


# Recipients


def recipients(declaration: Declaration | None, interactions: Sequence[Json]) -> list[Json]:
    """Every recipient that is declared or received something: by connectors what and when, by channels how many messages."""
    declared: Mapping[str, Recipient] = declaration.recipients if declaration else {}
    received: dict[str, list[Json]] = {}
    for interaction in interactions:
        outcomes = {
            event["step"]: event["outcome"]
            for event in interaction["events"]
            if event["event"] == Returned.TOPIC and "unreadable" not in event
        }
        for event in _events([interaction], Called.TOPIC):
            sent = _sent(event, declared.get(event["recipient"]), outcomes)
            received.setdefault(event["recipient"], []).append(sent)
    carried = list(_events(interactions, Received.TOPIC))
    return [
        _recipient(name, declared.get(name), received.get(name, []), carried)
        for name in dict.fromkeys((*declared, *sorted(received)))
    ]


def _recipient(name: str, declared: Recipient | None, received: Sequence[Json], messages: Sequence[Json]) -> Json:
    channels = []
    for channel in declared.channels if declared else ():
        times = [event["at"] for event in messages if event["channel"] == channel]
        said = {"first_at": min(times, default=None), "last_at": max(times, default=None)}
        channels.append({"channel": channel, "messages": len(times), **said})
    return {
        "recipient": name,
        "name": declared.name if declared else name,
        "declared": declared is not None,
        "country": declared.country if declared else None,
        "safeguard": declared.safeguard if declared else None,
        "purposes": list(declared.purposes) if declared else [],
        "calls": len(received),
        "last_at": max((sent["at"] for sent in received), default=None),
        "received": list(received),
        "channels": channels,
    }


def _sent(event: Json, declared: Recipient | None, outcomes: Mapping[int, str]) -> Json:
    names = _fields(event["arguments"])
    return {
        "at": event["at"],
        "connector": event["connector"],
        "operation": event["operation"],
        "fields": names,
        "undeclared_fields": [name for name in names if not declared or name not in declared.fields],
        "outcome": outcomes.get(event["step"]),
    }


def _fields(arguments: str) -> list[str]:
    """The names of what was sent; none where it was not an object."""
    try:
        sent = json.loads(arguments)
    except (ValueError, RecursionError):
        return []
    return list(sent) if isinstance(sent, dict) else []


def transfers(declaration: Declaration | None) -> list[Json]:
    """Declared recipients outside the European Economic Area, and what allows sending data there (Art. 46)."""
    found = declaration.recipients.values() if declaration else ()
    return [
        {"recipient": each.id, "name": each.name, "country": each.country, "safeguard": each.safeguard}
        for each in found
        if each.is_transfer
    ]


def _events(interactions: Sequence[Json], *topics: str) -> Iterator[Json]:
    """Readable events of some event topics."""
    for interaction in interactions:
        for event in interaction["events"]:
            if event["event"] in topics and "unreadable" not in event:
                yield event
