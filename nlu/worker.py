"""The worker: follows the conversations, and makes of every `Received` what an assistant understands of it, an `Understood`.

What a poll brought is one batch: opened together, understood together, appended together. A message that cannot be opened (its person
was erased, or restricts processing) gives nothing, and neither does a recorded one that says itself how it was understood. A message
longer than `nlu.text.CHARACTERS_MAX` is understood by its beginning, and the event says so; the vault keeps the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from nlu.in_service import InService
from nlu.language import LANGUAGES
from nlu.so_far import PEOPLE_MAX, Conversations, SoFar
from nlu.span import plain_value
from nlu.understanding import Understanding
from nlu.understanding import Understood as Meant
from vault import codec
from vault.conversations import Accepted, Reader
from vault.conversations import Conversations as Log
from vault.errors import SubjectErased
from vault.fold import ERASED_TOPIC
from vault.ids import uuid_of
from vault.interaction import Received, Redacted, Understood
from vault.mapper import KeySource, SealingMapper
from vault.opening import Opener
from vault.seal import Packed, person_of, read_header, stored

PURPOSE = "service"
READ_AT_ONCE = 2_000
"""Records, when reading back."""

LATEST_US = 7_258_118_400_000_000
"""1 January 2200: dates of messages that a channel dates outside of 1970 to here are reckoned from there."""

_WANTED = frozenset({Received.TOPIC, *Understood.topics()})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Keys(KeySource, Protocol):
    """Where DEKs come from."""

    def prepare(self, pairs: Sequence[tuple[UUID, int]]) -> None:
        """Makes the content DEKs that are missing for (subject, microseconds UTC), in one transaction."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message to be understood. `at_us`: when it was sent, microseconds UTC."""

    interaction: UUID
    subject: UUID
    at_us: int
    channel: str
    text: str
    locale: str | None


OnUnderstood = Callable[[Sequence[tuple[Said, Meant]]], None]
OnRedacted = Callable[[UUID, UUID, int], None]
"""Subject, interaction, and when, microseconds UTC."""


class UnderstandingWorker:
    """The follower `nlu`. `handle` may be called by several threads, each with partitions of its own."""

    name = "nlu"

    def __init__(
        self,
        model: InService,
        keys: Keys,
        mapper: SealingMapper,
        log: Log,
        *,
        zone: str = "UTC",
        people_max: int = PEOPLE_MAX,
        read_back_records: int = 5_000,
        on_understood: OnUnderstood = lambda understood: None,
        on_redacted: OnRedacted = lambda subject, interaction, at_us: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`zone` (IANA) is the people's, for dates. `people_max`: most whose conversations are remembered; `read_back_records`: how far a
        worker that begins reads back for them. `on_understood` hears of each batch before it is appended, and then `on_redacted` of
        what was redacted in it; a batch that is refused, or fails, is given again, so both must bear to hear the same twice. `clock` gives
        seconds UTC."""
        self._model = model
        self._keys = keys
        self._mapper = mapper
        self._log = log
        self._zone = zone
        self._on_understood = on_understood
        self._on_redacted = on_redacted
        self._clock = clock
        self._so_far = Conversations(people_max)
        self._read_back_records = read_back_records
        self._begun: set[int] = set()

    def handle(self, partition: int, batch: Sequence[Accepted]) -> Sequence[Sequence[StoredEvent]]:
        """For each commit the `Understood` of its message. Raises `EventTampered` for a payload that is not as it was written."""
        if partition not in self._begun:
            self._read_back(partition, batch[0].offset)
        said = self._said(batch)
        model = self._model.current()
        understood: dict[UUID, Meant] = {}
        latest: dict[UUID, SoFar] = {}
        for turn in _turns([one for one in said if one is not None]):
            understood.update(self._understand(model, turn, latest))
        pairs = [(one, understood[one.interaction]) for one in said if one is not None]
        self._on_understood(pairs)
        self._tell_redactions(batch)
        events = iter(list(self._sealed(model.digest, pairs)))
        for subject, so_far in latest.items():  # only now, when nothing can fail any more
            self._so_far.note(subject, language=so_far.language, intent=so_far.intent, at_us=so_far.at_us)
        return [() if one is None else next(events) for one in said]

    # Reading

    def _said(self, batch: Sequence[Accepted]) -> list[Said | None]:
        """For each commit the message to be understood, if there is one. What was understood before is remembered on the way."""
        wanted = [event for one in batch for event in one.commit.packed if event[2] in _WANTED]
        payloads = iter(Opener(self._keys, PURPOSE).open(wanted))
        said: list[Said | None] = []
        for accepted in batch:
            new, is_understood = None, False
            for index, event in enumerate(accepted.commit.packed):
                payload = next(payloads) if event[2] in _WANTED else None
                if index in accepted.void:
                    continue
                if event[2] == ERASED_TOPIC:
                    self._so_far.forget(uuid_of(person_of(event[3])))
                is_understood |= event[2] in Understood.topics()
                if isinstance(payload, bytes) and event[2] == Received.TOPIC:
                    new = _message(event, payload)
                elif isinstance(payload, bytes):
                    self._remember(event, payload)
            said.append(None if is_understood else new)
        return said

    def _tell_redactions(self, batch: Sequence[Accepted]) -> None:
        """A redaction is opened with whatever key there is: it holds also while its person restricts processing."""
        for accepted in batch:
            for index, event in enumerate(accepted.commit.packed):
                if event[2] == Redacted.TOPIC and index not in accepted.void:
                    opened = self._mapper.open(stored(event))
                    if isinstance(opened, Redacted) and opened.interaction_id is not None:
                        self._on_redacted(opened.subject, opened.interaction_id, opened.at_us)

    def _remember(self, event: Packed, payload: bytes) -> None:
        fields = codec.decode(event[2], payload)
        self._so_far.note(uuid_of(person_of(event[3])), language=fields["language"], intent=fields["intent"])

    def _read_back(self, partition: int, offset: int) -> None:
        """Remembers what the conversations before `offset` were about, as another worker that was here before us did."""
        with Reader(self._log.partition(partition), max(0, offset - self._read_back_records)) as reader:
            while reader.next_offset < offset:
                found = reader.read(READ_AT_ONCE, timeout_ms=1_000)
                for one in self._said([accepted for accepted in found if accepted.offset < offset]):
                    if one is not None:
                        self._so_far.note(one.subject, at_us=one.at_us)
        self._begun.add(partition)

    # Understanding

    def _understand(
        self, model: Understanding, said: Sequence[Said], latest: dict[UUID, SoFar]
    ) -> Iterator[tuple[UUID, Meant]]:
        """Messages of different people, each understood in the light of its conversation, whose `latest` in this batch it becomes."""
        before = [
            latest[one.subject].known_at(one.at_us)
            if one.subject in latest
            else self._so_far.before(one.subject, one.at_us)
            for one in said
        ]
        meant = model.parse(
            [one.text for one in said],
            [_EPOCH + timedelta(microseconds=min(max(one.at_us, 0), LATEST_US)) for one in said],
            self._zone,
            [known.language or _spoken(one.locale) for known, one in zip(before, said, strict=True)],
            [known.intent for known in before],
        )
        for one, each in zip(said, meant, strict=True):
            latest[one.subject] = SoFar(each.language, each.surest, one.at_us)
        return zip([one.interaction for one in said], meant, strict=True)

    # Writing

    def _sealed(self, digest: str, pairs: Sequence[tuple[Said, Meant]]) -> Iterator[Sequence[StoredEvent]]:
        at_us = int(self._clock() * 1_000_000)
        self._keys.prepare([(said.subject, at_us) for said, _ in pairs])
        for said, meant in pairs:
            try:
                yield (self._mapper.to_stored_event(_event(said, meant, digest, at_us)),)
            except SubjectErased:  # since the message was opened
                yield ()


def _message(event: Packed, payload: bytes) -> Said:
    header, fields = read_header(event[3]), codec.decode(event[2], payload)
    return Said(uuid_of(event[0]), header.person, header.at_us, header.channel, fields["text"], fields["locale"])


def _spoken(locale: str | None) -> str | None:
    """The language that a channel says a person has ("fr-CH"), where it is one of ours."""
    language = (locale or "")[:2].lower()
    return language if language in LANGUAGES else None


def _turns(said: Sequence[Said]) -> Iterator[list[Said]]:
    """Everybody's first message, then everybody's second, and so on: what was meant by one bears on the next."""
    left = list(said)
    while left:
        turn: dict[UUID, Said] = {}
        later = []
        for one in left:
            if turn.setdefault(one.subject, one) is not one:
                later.append(one)
        yield list(turn.values())
        left = later


def _event(said: Said, meant: Meant, digest: str, at_us: int) -> Understood:
    (intent, confidence), *others = meant.intents
    return Understood(
        originator_id=said.interaction,
        originator_version=2,
        subject=said.subject,
        at_us=at_us,
        channel=said.channel,
        language=meant.language,
        intent=meant.surest,
        confidence=confidence,
        outcome="not_understood" if meant.decision == "unclear" else meant.decision,
        alternatives=[{"intent": name, "confidence": sure} for name, sure in others] if intent == meant.surest else [],
        entities=[
            {
                "type": span.kind,
                "value": plain_value(span, said.text),
                "start": span.start,
                "end": span.end,
                "score": span.score,
                "found_by": span.found_by,
            }
            for span in meant.entities
        ],
        personal_data=[
            {
                "kind": span.kind,
                "start": span.start,
                "end": span.end,
                "score": span.score,
                "found_by": span.found_by,
            }
            for span in meant.personal
        ],
        model=digest,
        truncated=meant.cut,
    )
