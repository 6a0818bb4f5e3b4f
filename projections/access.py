"""Everything that is held on a person, opened (GDPR Art. 15): what the desk shows, `parloir access` prints and the person is sent.

Made of the projection's sealed rows, opened one by one under the purpose `rights`; what the register says is opened as evidence.
The report first waits until the projection has read both logs to where they ended when it was asked for, and says how far that is.
Nothing is left out in silence: an event that cannot be opened is in it with its place and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from projections import page
from projections.rows import CONVERSATIONS, REGISTER, stored
from projections.store import Store
from projections.worker import Projector
from vault.access import DataAccess
from vault.errors import Tampered
from vault.ids import partition_of
from vault.interaction import HEADER_FIELDS, Called, ConversationEvent, Redacted
from vault.keys.model import Person
from vault.mapper import Closed, Event, SealingMapper
from vault.request import PrivacyRequest
from vault.subject import DataSubject

VERSION = 1
"""Of the JSON form. Fields are added without a new version; one that goes or changes its meaning makes one."""

PURPOSE = "rights"
EVIDENCE = "evidence"

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_WORDS = frozenset({"interaction.received.1", "interaction.understood.1", "interaction.answered.1"})


class Identities(Protocol):
    """Who a pseudonym is."""

    def identities(self, subject: UUID) -> Sequence[tuple[str, str]]:
        """(channel, external id) of each identity that is linked."""


@dataclass(frozen=True)
class Report:
    """A report on one person. `events`: how many were opened for it."""

    events: int
    content: Json

    def to_json(self) -> Json:
        """The report as plain JSON: times are UTC in ISO 8601, bytes hexadecimal."""
        return self.content

    def to_text(self) -> str:
        """The report for a terminal: a summary, then everything."""
        return page.render(self.content)


def report(
    projector: Projector,
    keys: Identities,
    mapper: SealingMapper,
    person: Person,
    *,
    timeout_ms: int | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Report:
    """Everything held on a person as of now. Raises `LogUnavailable` when the logs cannot be read to their ends in time."""
    as_of = clock()
    projector.catch_up(timeout_ms)
    reading = _Reading(mapper)
    interactions = reading.conversations(projector.store, person.subject)
    evidence = reading.register(projector.store, person.case)
    complete = [_complete(projector, CONVERSATIONS, person.subject), _complete(projector, REGISTER, person.case)]
    content: Json = {
        "version": VERSION,
        "as_of": _time(as_of),
        "subject": str(person.subject),
        "case": str(person.case),
        "complete": all(part["complete"] for part in complete),
        "complete_to": complete,
        "summary": {
            "opened": reading.opened,
            "unreadable": len(reading.unreadable),
            "interactions": len(interactions),
            "first_at": min(reading.times, default=None),
            "last_at": max(reading.times, default=None),
            "events": dict(sorted(reading.topics.items())),
        },
        "identities": [
            {"channel": channel, "external_id": external_id}
            for channel, external_id in sorted(keys.identities(person.subject))
        ],
        "interactions": interactions,
        "recipients": _recipients(interactions),
        "notices_and_consents": evidence[DataSubject.TOPIC],
        "requests": evidence[PrivacyRequest.TOPIC],
        "accesses": evidence[DataAccess.TOPIC],
        "unreadable": reading.unreadable,
    }
    return Report(reading.opened, content)


class _Reading:
    """Opens rows, and keeps account of what could not be."""

    def __init__(self, mapper: SealingMapper) -> None:
        self._mapper = mapper
        self.opened = 0
        self.unreadable: list[Json] = []
        self.topics: dict[str, int] = {}
        self.times: list[str] = []

    def conversations(self, store: Store, subject: UUID) -> list[Json]:
        """The person's interactions in order, each with its events in order."""
        interactions: dict[str, Json] = {}
        rows = list(_event_rows(store, subject))
        redacted = self._redacted(rows)
        for row in rows:
            event = self._open(row, redacted)
            interaction = event.pop("interaction")
            held = interactions.setdefault(
                interaction, {"interaction": interaction, "channel": event["channel"], "events": []}
            )
            held["events"].append(event)
        return list(interactions.values())

    def _redacted(self, rows: Sequence[_Row]) -> frozenset[UUID]:
        found = set()
        for row in rows:
            if row.topic == Redacted.TOPIC:
                event = self._opened(row, PURPOSE)
                if isinstance(event, Redacted) and event.interaction_id:
                    found.add(event.interaction_id)
        return frozenset(found)

    def _opened(self, row: _Row, purpose: str) -> Event | Closed | None:
        try:
            return self._mapper.open(row.stored, purpose)
        except Tampered:
            return None

    def _open(self, row: _Row, redacted: frozenset[UUID]) -> Json:
        shown: Json = {
            "event": row.topic,
            "at": _time(_EPOCH + timedelta(microseconds=row.at_us)),
            "place": row.place,
        }
        self.topics[row.topic] = self.topics.get(row.topic, 0) + 1
        if row.is_conversation:
            self.times.append(shown["at"])
            shown["channel"] = row.channel
        interaction = row.originator
        why = ""
        if row.originator in redacted and row.topic in _OWN_WORDS:
            why = "redacted: it is not to be opened any more"
        else:
            event = self._opened(row, PURPOSE if row.is_conversation else EVIDENCE)
            if event is None:
                why = "it does not open as it was written"
            elif isinstance(event, Closed):
                why = event.why.value
            else:
                interaction = getattr(event, "interaction_id", None) or interaction
                shown.update(_payload(event))
                self.opened += 1
        if why:
            # It must be seen that something is held, even where nobody can say what.
            shown["unreadable"] = why
            self.unreadable.append({"event": row.topic, "at": shown["at"], "place": row.place, "why": why})
        if row.is_conversation:
            shown["interaction"] = str(interaction)
        return shown

    def register(self, store: Store, case: UUID) -> dict[str, list[Json]]:
        """What the register holds on a case, by the aggregate that recorded it, in order."""
        found: dict[str, list[Json]] = {DataSubject.TOPIC: [], PrivacyRequest.TOPIC: [], DataAccess.TOPIC: []}
        for row in _register_rows(store, case):
            shown = self._open(row, frozenset())
            if row.topic in _REQUESTS:
                shown["request"] = str(row.originator)
            found[_AGGREGATE_OF.get(row.topic, DataSubject.TOPIC)].append(shown)
        return found


@dataclass(frozen=True)
class _Row:
    """A row of either table."""

    place: Json
    stored: StoredEvent
    at_us: int
    channel: str
    is_conversation: bool

    @property
    def topic(self) -> str:
        return self.stored.topic

    @property
    def originator(self) -> UUID:
        return self.stored.originator_id  # type: ignore[return-value]


def _event_rows(store: Store, subject: UUID) -> Iterator[_Row]:
    with store.reading() as cursor:
        cursor.execute(
            'SELECT partition, "offset", "index", originator, version, event_topic, epoch_us(happened_at), channel, key_id, sealed'
            ' FROM event WHERE subject = ? ORDER BY partition, "offset", "index"',
            [subject],
        )
        for partition, offset, index, originator, version, topic, at_us, channel, key_id, sealed in cursor.fetchall():
            event = stored(originator, version, topic, subject, at_us, channel, key_id, sealed)
            yield _Row({"partition": partition, "offset": offset, "index": index}, event, at_us, channel, True)


def _register_rows(store: Store, case: UUID) -> Iterator[_Row]:
    with store.reading() as cursor:
        cursor.execute(
            "SELECT partition, id, originator, version, event_topic, epoch_us(happened_at), key_id, sealed"
            ' FROM register_event WHERE "case" = ? ORDER BY partition, id',
            [case],
        )
        for partition, number, originator, version, topic, at_us, key_id, sealed in cursor.fetchall():
            event = stored(originator, version, topic, case, at_us, "", key_id, sealed)
            yield _Row({"partition": partition, "id": number}, event, at_us, "", False)


def _complete(projector: Projector, log: str, person: UUID) -> Json:
    """How far the person's partition was read."""
    partition = partition_of(person)
    position = projector.store.position(log, partition)
    stopped = projector.stopped.get((log, partition))
    said: Json = {"log": log, "partition": partition, "complete": stopped is None, "next_offset": position}
    if stopped is not None:
        said["stopped"] = str(stopped)
    return said


def _recipients(interactions: Sequence[Json]) -> list[Json]:
    """Who received personal data through a connector, how often, and when last (Art. 15(1)(c))."""
    found: dict[tuple[str, str], Json] = {}
    for interaction in interactions:
        for event in interaction["events"]:
            if event["event"] == Called.TOPIC and "unreadable" not in event:
                place = (event["recipient"], event["connector"])
                said = found.setdefault(
                    place, {"recipient": place[0], "connector": place[1], "calls": 0, "last_at": ""}
                )
                said["calls"] += 1
                said["last_at"] = max(said["last_at"], event["at"])
    return [found[place] for place in sorted(found)]


def _payload(event: Event) -> Json:
    """The fields of a payload as plain JSON; the header's are shown elsewhere."""
    if isinstance(event, ConversationEvent):
        names: Iterator[str] = (field.name for field in fields(event) if field.name not in HEADER_FIELDS)
    else:
        names = (name for name in event.__dict__ if name not in _REGISTER_HEADER)
    return {name: _plain(getattr(event, name)) for name in names if name != "interaction_id"}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return str(value)


def _time(at: datetime) -> str:
    """ISO 8601, UTC, always with microseconds, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_REGISTER_HEADER = frozenset({"originator_id", "originator_version", "timestamp", "case", "originator_topic"})
_REQUESTS = frozenset(event.TOPIC for event in PrivacyRequest.EVENTS)
_AGGREGATE_OF = {
    event.TOPIC: aggregate.TOPIC
    for aggregate in (DataSubject, PrivacyRequest, DataAccess)
    for event in aggregate.EVENTS
}
