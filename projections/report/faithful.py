"""The faithful copy: every event that is held on a person, opened, in order, as plain JSON.

Conversations are opened under the purpose `rights`, which is what a restriction leaves; the register as evidence. Nothing is left
out in silence: an event that cannot be opened stands in its place with the reason, and once more in the list of what is withheld.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from projections.report.held import Row, conversation_rows, register_rows
from projections.store import Store
from vault.access import DataAccess
from vault.errors import Tampered
from vault.ids import KeyId
from vault.interaction import (
    HEADER_FIELDS,
    Answered,
    ConversationEvent,
    Corrected,
    Received,
    Redacted,
    Reviewed,
    Understood,
)
from vault.mapper import Closed, Event, SealingMapper
from vault.request import PrivacyRequest
from vault.subject import DataSubject

Json = dict[str, Any]

PURPOSE = "rights"
EVIDENCE = "evidence"
SECTIONS = ("interactions", "notices_and_consents", "requests", "accesses")
"""The parts of a report that are the copy."""
ABOUT = frozenset({"event", "at", "channel", "place", "unreadable", "withheld", "request", "corrected", "original"})
"""What stands beside an event's own payload. `channel` is the payload's own in some events of the register."""

REASONS: Mapping[str, str] = {
    "redacted": "redacted: it is not to be opened any more",
    "tampered": "it does not open as it was written",
}
"""Reasons of ours, beside the names of `Unreadable` in lower case."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_WORDS = frozenset({Received.TOPIC, *Understood.topics(), Answered.TOPIC})
_REGISTER_HEADER = frozenset({"originator_id", "originator_version", "timestamp", "case", "originator_topic"})
_REQUESTS = frozenset(event.TOPIC for event in PrivacyRequest.EVENTS)
_SECTION_OF = {
    event.TOPIC: section
    for aggregate, section in ((DataSubject, SECTIONS[1]), (PrivacyRequest, SECTIONS[2]), (DataAccess, SECTIONS[3]))
    for event in aggregate.EVENTS
}


class Copy:
    """The copy of what is held on one person, with account of what could not be opened.

    `sections`: by name, as `SECTIONS` says. `topics`: how many events there are of each topic. `times`: when the events of the
    conversations happened, by the key that opens them.
    """

    def __init__(self, store: Store, mapper: SealingMapper, subject: UUID, case: UUID) -> None:
        self._mapper = mapper
        self.opened = 0
        self.unreadable: list[Json] = []
        self.topics: dict[str, int] = {}
        self.times: dict[KeyId, list[str]] = {}
        self.sections: dict[str, list[Json]] = {name: [] for name in SECTIONS}
        self._conversations(conversation_rows(store, subject))
        for row in register_rows(store, case):
            shown = self._open(row, frozenset())
            if row.topic in _REQUESTS:
                shown["request"] = str(row.originator)
            self.sections[_SECTION_OF.get(row.topic, SECTIONS[1])].append(shown)

    @property
    def interactions(self) -> list[Json]:
        return self.sections[SECTIONS[0]]

    def _conversations(self, rows: Sequence[Row]) -> None:
        interactions: dict[str, Json] = {}
        redacted = self._redacted(rows)
        for row in rows:
            event = self._open(row, redacted)
            interaction = event.pop("interaction")
            held = interactions.setdefault(
                interaction, {"interaction": interaction, "channel": event["channel"], "events": []}
            )
            held["events"].append(event)
        self.interactions.extend(interactions.values())
        for held in self.interactions:
            self._tell_redactions(held["events"])
            _set_corrections_beside_originals(held["events"])

    def _tell_redactions(self, events: Sequence[Json]) -> None:
        """The projection lets go of what was redacted; the log has it still, sealed, and that is not to be left out in silence."""
        if any(event["event"] == Received.TOPIC for event in events):
            return
        for event in events:
            if event["event"] == Redacted.TOPIC and "unreadable" not in event:
                place = {name: event[name] for name in ("event", "at", "place")}
                self.unreadable.append({**place, "why": REASONS["redacted"], "withheld": "redacted"})

    def _redacted(self, rows: Sequence[Row]) -> frozenset[UUID]:
        found = set()
        for row in rows:
            if row.topic == Redacted.TOPIC:
                event = self._opened(row)
                if isinstance(event, Redacted) and event.interaction_id:
                    found.add(event.interaction_id)
        return frozenset(found)

    def _opened(self, row: Row) -> Event | Closed | None:
        try:
            return self._mapper.open(row.stored, PURPOSE if row.is_conversation else EVIDENCE)
        except Tampered:
            return None

    def _open(self, row: Row, redacted: frozenset[UUID]) -> Json:
        shown: Json = {"event": row.topic, "at": time_of(row.at_us), "place": row.place}
        self.topics[row.topic] = self.topics.get(row.topic, 0) + 1
        if row.is_conversation:
            shown["channel"] = row.channel
            self.times.setdefault(row.key_id, []).append(shown["at"])
        interaction = row.originator
        reason = why = ""
        if row.originator in redacted and row.topic in _OWN_WORDS:
            reason, why = "redacted", REASONS["redacted"]
        else:
            event = self._opened(row)
            if event is None:
                reason, why = "tampered", REASONS["tampered"]
            elif isinstance(event, Closed):
                reason, why = event.why.name.lower(), event.why.value
            else:
                interaction = getattr(event, "interaction_id", None) or interaction
                if isinstance(event, Reviewed) and interaction in redacted:  # it says what the words meant
                    reason, why = "redacted", REASONS["redacted"]
                else:
                    shown.update(_payload(event))
                    self.opened += 1
        if why:
            # It must be seen that something is held, even where nobody can say what.
            shown.update(unreadable=why, withheld=reason)
            said = {"event": row.topic, "at": shown["at"], "place": row.place, "why": why, "withheld": reason}
            self.unreadable.append(said)
        if row.is_conversation:
            shown["interaction"] = str(interaction)
        return shown


def _set_corrections_beside_originals(events: Sequence[Json]) -> None:
    """Puts each correction beside what it corrects, and the original beside the correction (Art. 16): neither replaces the other."""
    for correction in events:
        if correction["event"] != Corrected.TOPIC or "unreadable" in correction:
            continue
        name = correction["field"]
        said = {"field": name, "value": correction["value"], "at": correction["at"]}
        correction["original"] = []
        for event in events:
            if event["event"] == Corrected.TOPIC:
                continue
            originals = [event[name]] if name in event and name not in ABOUT else []
            originals += [each["value"] for each in event.get("entities", ()) if each["type"] == name]
            if originals:
                correction["original"] += originals
                event.setdefault("corrected", []).append(said)


def _payload(event: Event) -> Json:
    """The fields of a payload as plain JSON; the header's are shown elsewhere."""
    if isinstance(event, ConversationEvent):
        names: Iterator[str] = (field.name for field in fields(event) if field.name not in HEADER_FIELDS)
    else:
        names = (name for name in event.__dict__ if name not in _REGISTER_HEADER)
    return {name: _plain(getattr(event, name)) for name in names if name != "interaction_id"}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return str(value)


def time_of(at_us: int) -> str:
    """ISO 8601, UTC, always with microseconds, so that text order is time order."""
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
