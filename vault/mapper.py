"""Between facts and stored events: writes Avro and seals it under the right DEK, opens and reads it back.

The one mapper of both logs. `eventsourcing` makes it by `MAPPER_TOPIC` for the register; conversations use it directly. A payload
that cannot be opened is a value (`Closed`) to whoever reads a stream, and an error only to whoever loads an aggregate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder
from eventsourcing.utils import register_topic

from vault import codec
from vault.access import DataAccess
from vault.errors import EventTampered, KeyWithheld, SubjectErased
from vault.ids import KeyId
from vault.interaction import EVENTS, HEADER_FIELDS, ConversationEvent
from vault.keys.model import Unreadable
from vault.request import PrivacyRequest
from vault.seal import CLEAR, Dek, Header, Packed, open_payload, read_header, seal, stored
from vault.subject import DataSubject, RegisterEvent

Event = ConversationEvent | RegisterEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_AGGREGATES = (DataSubject, PrivacyRequest, DataAccess)
_REGISTER_HEADER = frozenset({"originator_id", "originator_version", "timestamp", "case", "originator_topic"})


class KeySource(Protocol):
    """Where DEKs come from."""

    def sealing(self, owner: UUID, at_us: int) -> Dek:
        """The content DEK of a subject's chapter. Raises `SubjectErased`."""

    def sealing_evidence(self, case: UUID) -> Dek:
        """The evidence DEK of a case."""

    def opening(self, key_id: KeyId, owner: UUID, purpose: str | None = None) -> Dek | Unreadable:
        """The DEK that a key id commits to, if this process holds a grant (of `purpose`, or of any)."""


@dataclass(frozen=True, slots=True)
class Closed:
    """An event whose payload cannot be opened, and why."""

    topic: str
    originator_id: UUID
    originator_version: int
    header: Header
    why: Unreadable


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one event topic is written and read."""

    sealed: str
    names: tuple[str, ...]
    uuids: tuple[str, ...]
    make: Callable[[StoredEvent, Header, dict[str, Any]], Event]


class SealingMapper(Mapper[UUID]):
    """Seals and opens events. Give it its keys by `use` before the first."""

    _keys: KeySource

    def __init__(self, transcoder: Transcoder | None = None, compressor: Any = None, cipher: Any = None) -> None:
        # The library gives every mapper a transcoder; ours writes Avro and has no use for it.
        super().__init__(transcoder, compressor, cipher)  # type: ignore[arg-type]

    def use(self, keys: KeySource) -> None:
        self._keys = keys

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Raises `SubjectErased` when the person is fenced."""
        event: Any = domain_event
        kind = _KINDS[event.TOPIC]
        channel = ""
        if isinstance(event, ConversationEvent):
            at_us, channel = event.at_us, event.channel
        else:
            at_us = (event.timestamp - _EPOCH) // _MICROSECOND
        fields = {name: getattr(event, name) for name in kind.names}
        for name in kind.uuids:
            if fields[name] is not None:
                fields[name] = fields[name].bytes
        return stored(
            self.seal_fields(
                event.TOPIC, event.originator_id, event.originator_version, event.person, at_us, channel, fields
            )
        )

    def seal_fields(
        self,
        topic: str,
        originator_id: UUID,
        version: int,
        person: UUID,
        at_us: int,
        channel: str,
        fields: Mapping[str, Any],
    ) -> Packed:
        """The same, plain and without an event object, from the payload's fields; ids among them as 16 bytes."""
        sealed = _KINDS[topic].sealed
        dek, payload = None, b""
        if sealed != "clear":
            dek = self._keys.sealing(person, at_us) if sealed == "content" else self._keys.sealing_evidence(person)
            payload = codec.encode(topic, fields)
        return seal(
            originator_id=originator_id,
            version=version,
            event_topic=topic,
            person=person,
            at_us=at_us,
            channel=channel,
            dek=dek,
            payload=payload,
        )

    def open(self, event: StoredEvent, purpose: str | None = None) -> Event | Closed:
        """The event, opened under a grant for `purpose` (default: any this process holds).

        Raises `EventTampered` when it is not as it was written, or of an event topic that this program does not know.
        """
        kind = _KINDS.get(event.topic)
        if kind is None:
            raise EventTampered(f"no event is called {event.topic}", remedy="use a program version that knows it")
        header = read_header(event.state)
        if kind.sealed == "clear":
            return kind.make(event, header, {})
        if header.key_id == CLEAR:
            raise EventTampered(f"an event of {event.topic} is not sealed")
        dek = self._keys.opening(header.key_id, header.person, purpose)
        if isinstance(dek, Unreadable):
            assert isinstance(event.originator_id, UUID)
            return Closed(event.topic, event.originator_id, event.originator_version, header, dek)
        fields = codec.decode(event.topic, open_payload(event, header, dek))
        for name in kind.uuids:
            if fields[name] is not None:
                fields[name] = UUID(bytes=fields[name])
        return kind.make(event, header, fields)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """For loading aggregates. Raises `SubjectErased` or `KeyWithheld` when the event is closed."""
        event = self.open(stored_event)
        if isinstance(event, Closed):
            error = SubjectErased if event.why is Unreadable.ERASED else KeyWithheld
            raise error(f"event {event.originator_id} version {event.originator_version}: {event.why.value}")
        return event


def _conversation(cls: type[ConversationEvent]) -> _Kind:
    def make(stored: StoredEvent, header: Header, fields: dict[str, Any]) -> Event:
        return cls(
            originator_id=stored.originator_id,  # type: ignore[arg-type]
            originator_version=stored.originator_version,
            subject=header.person,
            at_us=header.at_us,
            channel=header.channel,
            **fields,
        )

    return _kind(cls.TOPIC, HEADER_FIELDS, tuple(field.name for field in fields(cls)), make)


def _earlier(topic: str, read: Callable[[Mapping[str, Any]], dict[str, Any]], current: _Kind) -> _Kind:
    """An earlier version of an event topic: read as it was written, given as the current one."""

    def make(stored: StoredEvent, header: Header, fields: dict[str, Any]) -> Event:
        return current.make(stored, header, read(fields))

    return _Kind(codec.sealed(topic), (), tuple(sorted(codec.ids(topic))), make)


def _register(cls: type[RegisterEvent], aggregate_topic: str) -> _Kind:
    make_event: Callable[..., RegisterEvent] = cls
    created = "originator_topic" in cls.__dataclass_fields__

    def make(stored: StoredEvent, header: Header, fields: dict[str, Any]) -> Event:
        if created:
            fields["originator_topic"] = aggregate_topic
        return make_event(
            originator_id=stored.originator_id,
            originator_version=stored.originator_version,
            timestamp=_EPOCH + timedelta(microseconds=header.at_us),
            case=header.person,
            **fields,
        )

    return _kind(cls.TOPIC, _REGISTER_HEADER, tuple(field.name for field in fields(cls)), make)


def _kind(
    topic: str,
    header_names: frozenset[str],
    names: tuple[str, ...],
    make: Callable[[StoredEvent, Header, dict[str, Any]], Event],
) -> _Kind:
    payload = tuple(name for name in names if name not in header_names)
    return _Kind(codec.sealed(topic), payload, tuple(n for n in payload if n in codec.ids(topic)), make)


_KINDS: dict[str, _Kind] = {}
for _event in EVENTS:
    register_topic(_event.TOPIC, _event)
    _KINDS[_event.TOPIC] = _conversation(_event)
    for _topic, _reader in _event.EARLIER.items():
        _KINDS[_topic] = _earlier(_topic, _reader, _KINDS[_event.TOPIC])
for _aggregate in _AGGREGATES:  # the library registers the topics of an aggregate that has one, and of its events
    for _recorded in _aggregate.EVENTS:
        _KINDS[_recorded.TOPIC] = _register(_recorded, _aggregate.TOPIC)

EVENT_TOPICS = frozenset(_KINDS)
"""Every event topic that this program reads; of the earlier versions among them it writes none."""
