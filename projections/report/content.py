"""The report on one person as plain JSON: what HTML, PDF and text are rendered from, and what schemas/report.1.schema.json describes.

The report first waits until the projection has read both logs to where they ended when it was asked for, and says how far that is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import rfc8785

from projections.declaration import Declaration
from projections.report import declared, others
from projections.report.faithful import EVIDENCE, SECTIONS, Copy, time_of
from projections.rows import CONVERSATIONS, REGISTER
from projections.worker import Projector
from vault.errors import BadInput
from vault.ids import KeyId, partition_of
from vault.interaction import Answered, Understood
from vault.keys.model import IMPROVEMENT, Person, Unreadable
from vault.mapper import SealingMapper
from vault.request import PrivacyRequest
from vault.seal import Dek
from vault.subject import DataSubject

VERSION = 1
"""Of the JSON form. Fields are added without a new version; one that goes or changes its meaning makes one."""

CONTENT_PURPOSES = ("service", IMPROVEMENT)
"""What conversations are used for, as keys are granted for it. `rights` is left out: it is this report."""

Json = dict[str, Any]


class Keys(Protocol):
    """What the key store tells about a person."""

    def identities(self, subject: UUID) -> Sequence[tuple[str, str]]:
        """(channel, external id) of each identity that is linked."""

    def opening(self, key_id: KeyId, owner: UUID, purpose: str | None = None) -> Dek | Unreadable:
        """The DEK that a key id commits to, if there is a grant for the purpose."""


@dataclass(frozen=True)
class Asked:
    """Who asks for a report and why. `identity`: how the operator made sure whose data it is, in their words; `request`: the
    id of the person's request in the register, which says so itself."""

    by: str = ""
    reason: str = ""
    identity: str | None = None
    request: UUID | None = None


@dataclass(frozen=True)
class Report:
    """A report on one person. `events`: how many were opened for it; `content`: plain JSON, times are UTC in ISO 8601."""

    events: int
    content: Json


def report(
    projector: Projector,
    keys: Keys,
    mapper: SealingMapper,
    person: Person,
    *,
    declaration: Declaration | None = None,
    asked: Asked | None = None,
    blank_others: bool = False,
    timeout_ms: int | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Report:
    """Everything held on a person as of now.

    Raises `LogUnavailable` when the logs cannot be read to their ends in time, `BadInput` when the request is not this person's.
    """
    as_of = clock()
    projector.catch_up(timeout_ms)
    copy = Copy(projector.store, mapper, person.subject, person.case)
    interactions, evidence, requests, accesses = (copy.sections[name] for name in SECTIONS)
    said = [event["at"] for held in interactions for event in held["events"]]
    kept = [event["at"] for section in (evidence, requests, accesses) for event in section]
    complete = [_complete(projector, CONVERSATIONS, person.subject), _complete(projector, REGISTER, person.case)]
    identities = [{"channel": name, "external_id": known} for name, known in sorted(keys.identities(person.subject))]
    marked = others.marked(interactions)
    held: dict[str, Sequence[str]] = {name: _granted(copy, keys, person.subject, name) for name in CONTENT_PURPOSES}
    held[EVIDENCE] = kept
    # Told before anything is blanked: names of purposes and fields are nobody's data.
    purposes = declared.purposes(declaration, held, evidence)
    categories = declared.categories(declaration, interactions)
    recipients = declared.recipients(declaration, interactions)
    blanked = others.blank(copy.sections) if blank_others else {"spans": 0, "repeats": 0, "states": 0}
    content: Json = {
        "version": VERSION,
        "as_of": time_of(_microseconds(as_of)),
        "held": bool(copy.topics or identities),
        "subject": str(person.subject),
        "case": str(person.case),
        "asked": _asked(asked or Asked(), requests),
        "complete": all(part["complete"] for part in complete),
        "complete_to": complete,
        "summary": {
            "opened": copy.opened,
            "unreadable": len(copy.unreadable),
            "interactions": len(interactions),
            "first_at": min(said, default=None),
            "last_at": max(said, default=None),
            "restricted": _restricted(evidence),
            "events": dict(sorted(copy.topics.items())),
        },
        "identities": identities,
        "declaration": declared.parties(declaration),
        "purposes": purposes,
        "categories": categories,
        "recipients": recipients,
        "transfers": declared.transfers(declaration),
        "channels": _channels(interactions),
        "automated_decisions": _decisions(interactions),
        "timeline": _timeline(interactions),
        **copy.sections,
        "unreadable": copy.unreadable,
        "others": {"asked": blank_others, "marked": marked, **blanked},
    }
    content["copy"] = {
        "algorithm": "SHA-256",
        "canonical": "RFC 8785",
        "over": ["identities", *SECTIONS],
        "digest": digest(content),
    }
    return Report(copy.opened, content)


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, over the canonical JSON (RFC 8785) of an object of the identities and the copy's sections."""
    return hashlib.sha256(rfc8785.dumps({name: content[name] for name in ("identities", *SECTIONS)})).hexdigest()


def _granted(copy: Copy, keys: Keys, subject: UUID, purpose: str) -> list[str]:
    """Times of the events that are held for a purpose: their key has a grant for it."""
    return [
        at
        for key_id, times in copy.times.items()
        if isinstance(keys.opening(key_id, subject, purpose), Dek)
        for at in times
    ]


def _microseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def _complete(projector: Projector, log: str, person: UUID) -> Json:
    """How far the person's partition was read."""
    partition = partition_of(person)
    position = projector.store.position(log, partition)
    stopped = projector.stopped.get((log, partition))
    said: Json = {"log": log, "partition": partition, "complete": stopped is None, "next_offset": position}
    if stopped is not None:
        said["stopped"] = str(stopped)
    return said


def _asked(asked: Asked, requests: Sequence[Json]) -> Json:
    """Who asked, when, and how identity was checked: as the request tells, or as the operator states."""
    said: Json = {"by": asked.by, "reason": asked.reason, "identity": asked.identity, "request": None}
    if asked.request is None:
        return said
    events = [event for event in requests if event["request"] == str(asked.request)]
    if not events:
        raise BadInput(
            "no request of this person has that id", remedy="a report without --request lists their requests"
        )
    request: Json = {"id": str(asked.request), "received_at": events[0]["at"], "identity": []}
    for event in events:
        if "unreadable" in event:
            continue
        if event["event"] == PrivacyRequest.Received.TOPIC:
            request |= {"kind": event["kind"], "assurance": event["assurance"], "due_at": time_of(event["due_at_us"])}
        elif event["event"] == PrivacyRequest.Extended.TOPIC:
            request["due_at"] = time_of(event["due_at_us"])
        elif event["event"] == PrivacyRequest.IdentityChecked.TOPIC:
            request["identity"].append({"at": event["at"], "method": event["method"], "outcome": event["outcome"]})
    return {**said, "request": request}


def _restricted(evidence: Sequence[Json]) -> bool:
    """Whether processing is restricted now (Art. 18)."""
    restricted = False
    for event in evidence:
        if event["event"] in (DataSubject.Restricted.TOPIC, DataSubject.RestrictionLifted.TOPIC):
            restricted = event["event"] == DataSubject.Restricted.TOPIC
    return restricted


def _channels(interactions: Sequence[Json]) -> list[Json]:
    """Where the data come from: the channels on which the person was met, and when."""
    times: dict[str, list[str]] = {}
    for held in interactions:
        for event in held["events"]:
            times.setdefault(event["channel"], []).append(event["at"])
    return [
        {"channel": channel, "events": len(at), "first_at": min(at), "last_at": max(at)}
        for channel, at in sorted(times.items())
    ]


def _decisions(interactions: Sequence[Json]) -> list[Json]:
    """What the bot made of each message and did with it (Art. 15(1)(h))."""
    found = []
    for held in interactions:
        events = {event["event"]: event for event in held["events"] if "unreadable" not in event}
        understood = next((events[topic] for topic in Understood.topics() if topic in events), None)
        answered = events.get(Answered.TOPIC)
        if understood is None:
            continue
        decision = {name: understood[name] for name in ("at", "intent", "confidence", "alternatives", "model")}
        if understood["outcome"] == "not_understood":
            reading = {name: understood[name] for name in ("intent", "confidence")}
            decision.update(intent="", alternatives=[reading, *understood["alternatives"]][not reading["intent"] :])
        decision["interaction"] = held["interaction"]
        decision["answered"] = answered is not None
        decision["replies"] = len(answered["replies"]) if answered else 0
        decision["fallback"] = answered["fallback"] if answered else None
        decision["assistant"] = answered["assistant"] if answered else None
        decision["effects"] = [{"kind": e["kind"], "name": e["name"]} for e in answered["effects"]] if answered else []
        found.append(decision)
    return found


def _timeline(interactions: Sequence[Json]) -> list[Json]:
    """How many events there are by day (UTC) and channel."""
    counted = Counter((event["at"][:10], event["channel"]) for held in interactions for event in held["events"])
    return [{"day": day, "channel": channel, "events": count} for (day, channel), count in sorted(counted.items())]
