"""What a person provided, for them to take elsewhere (GDPR Art. 20): their messages, corrections, ratings and consents, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vault.interaction import Corrected, Rated, Received, Redacted
from vault.subject import DataSubject

VERSION = 1

Json = dict[str, Any]


def portable(content: Mapping[str, Any]) -> Json:
    """The part of a report that the person provided, as schemas/portable.1.schema.json describes it."""
    events = [event for held in content["interactions"] for event in held["events"] if "unreadable" not in event]
    provided = {Received.TOPIC, Corrected.TOPIC, Rated.TOPIC, Redacted.TOPIC}
    return {
        "version": VERSION,
        "as_of": content["as_of"],
        "complete": content["complete"],
        "identities": content["identities"],
        "messages": list(_taken(events, Received.TOPIC, ("text", "payload", "locale"))),
        "corrections": list(_taken(events, Corrected.TOPIC, ("field", "value"))),
        "ratings": list(_taken(events, Rated.TOPIC, ("score", "remark"))),
        "consents": _consents(content["notices_and_consents"]),
        "withheld": sum(event["event"] in provided for event in content["unreadable"]),
        "others": content["others"],
    }


def _taken(events: Sequence[Json], topic: str, names: Sequence[str]) -> Iterator[Json]:
    for event in events:
        if event["event"] == topic:
            yield {"at": event["at"], "channel": event["channel"], **{name: event[name] for name in names}}


def _consents(evidence: Sequence[Json]) -> list[Json]:
    """Each consent as it was given, and when it was withdrawn."""
    found: list[Json] = []
    for event in evidence:
        if "unreadable" in event:
            continue
        if event["event"] == DataSubject.ConsentGiven.TOPIC:
            given = {"purpose": event["purpose"], "notice_version": event["notice_version"], "given_at": event["at"]}
            found.append({**given, "withdrawn_at": None})
        elif event["event"] == DataSubject.ConsentWithdrawn.TOPIC:
            for consent in found:
                if consent["purpose"] == event["purpose"] and consent["withdrawn_at"] is None:
                    consent["withdrawn_at"] = event["at"]
    return found
