"""What may be learnt from the log: messages of people who agree to it, each with what was understood of it and what reviewers said.

On the data's way this stands between the conversations and training. A message counts only if its key has a grant for `improvement` now,
asked of the key store itself and not of leases; what was withdrawn, restricted, erased, redacted or is over is not even seen. Its text
stays sealed here until `open_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import UUID

from nlu.sealed_model import Learnt
from nlu.span import Span
from vault import codec
from vault.conversations import Accepted, Conversations, Reader
from vault.errors import BadInput
from vault.ids import KeyId, uuid_of
from vault.interaction import Received, Redacted, Reviewed, Understood
from vault.keys import IMPROVEMENT, Source, Unreadable
from vault.seal import Dek, Header, Packed, open_payload, read_header, stored

RECORDS_AT_ONCE = 2_000
READ_TIMEOUT_MS = 1_000
KEYS_MAX = 200_000
"""Keys that one reading remembers; the rest is asked for again."""

ACCEPTED, CORRECTED, REJECTED = "accepted", "corrected", "rejected"


class Keys(Protocol):
    """Where DEKs are asked for."""

    def granted(self, key_id: KeyId, owner: UUID, purpose: str) -> Dek | Unreadable:
        """As the key store has it now, through a grant for `purpose` only."""

    def opening(self, key_id: KeyId, owner: UUID, purpose: str | None = None) -> Dek | Unreadable: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that may be learnt from. `understood` is None while nothing was; `verdict` and `meant` are the latest review's, "" for
    none, and `reviews` is how many there are."""

    learnt: Learnt
    channel: str
    sealed: Packed
    dek: Dek
    understood: Understood | None = None
    verdict: str = ""
    meant: str = ""
    reviews: int = 0

    @property
    def reference(self) -> str:
        """Where its event stands: PARTITION@OFFSET."""
        return f"{self.learnt.partition}@{self.learnt.offset}"

    @property
    def subject(self) -> UUID:
        return self.learnt.source.subject

    @property
    def interaction(self) -> UUID:
        return self.learnt.source.originator

    @property
    def intent(self) -> str:
        """What it means by all that is known: reviewed, else understood; "" where that is nothing or was rejected."""
        if self.verdict:
            return self.meant
        return self.understood.intent if self.understood else ""

    def open_text(self) -> str:
        """The words. Whoever calls this has the access recorded. Raises `EventTampered`."""
        event = stored(self.sealed)
        payload = open_payload(event, read_header(event.state), self.dek)
        text: str = codec.decode(event.topic, payload)["text"]
        return text

    def found(self) -> list[Span]:
        """The personal data that was found in it when it was understood."""
        marked = self.understood.personal_data if self.understood else ()
        return [Span(each["start"], each["end"], each["kind"]) for each in marked]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: messages in the log's order, to where each partition was read, and what was redacted there, by (subject,
    interaction); a redaction that nobody here can open is of no known interaction, and may be of any."""

    heard: tuple[Heard, ...]
    ends: Mapping[int, int]
    redacted: frozenset[tuple[UUID, UUID | None]] = frozenset()

    def is_redacted(self, source: Source) -> bool:
        return not self.redacted.isdisjoint({(source.subject, source.originator), (source.subject, None)})

    def at(self, reference: str) -> Heard:
        """The message that stands there. Raises `BadInput` where there is none that may be learnt from."""
        for one in self.heard:
            if one.reference == reference:
                return one
        raise BadInput(
            f"there is no message at {reference} that may be learnt from",
            remedy="`parloir review` lists those there are",
        )


def place_of(reference: str) -> tuple[int, int]:
    """Partition and offset of PARTITION@OFFSET. Raises `BadInput`."""
    partition, at, offset = reference.partition("@")
    if not at or not (partition + offset).isascii() or not partition.isdigit() or not offset.isdigit():
        raise BadInput("a message is given as PARTITION@OFFSET", remedy="as `parloir review` lists them")
    return int(partition), int(offset)


def read(
    conversations: Conversations, keys: Keys, *, messages_max: int, starts: Mapping[int, int] | None = None
) -> Reading:
    """Every partition to its end, or those in `starts` from there on; of more than `messages_max` messages the latest of each partition's
    share. Raises `EventTampered`, `PartitionStopped`, `LogUnavailable`."""
    heard: list[Heard] = []
    ends: dict[int, int] = {}
    redacted: set[tuple[UUID, UUID | None]] = set()
    places = dict.fromkeys(range(conversations.partitions), 0) if starts is None else starts
    share = max(1, messages_max // max(1, len(places)))
    for number, start in sorted(places.items()):
        if number >= conversations.partitions:
            raise BadInput(f"there is no partition {number}", remedy="`parloir review` lists messages with theirs")
        partition = conversations.partition(number)
        ends[number] = end = partition.catch_up()
        one = _Partition(number, keys, share)
        with Reader(partition, start) as reader:
            while reader.next_offset < end:
                for accepted in reader.read(RECORDS_AT_ONCE, READ_TIMEOUT_MS):
                    if accepted.offset < end:
                        one.take(accepted)
        heard += one.heard.values()
        redacted |= one.redacted
    return Reading(tuple(heard), ends, frozenset(redacted))


class _Partition:
    """One partition while it is read. `heard` is by interaction (16 bytes), in the log's order."""

    def __init__(self, number: int, keys: Keys, messages_max: int) -> None:
        self._number = number
        self._keys = keys
        self._messages_max = messages_max
        self._granted: dict[bytes, Dek | None] = {}
        self.heard: dict[bytes, Heard] = {}
        self.redacted: set[tuple[UUID, UUID | None]] = set()

    def take(self, accepted: Accepted) -> None:
        for index, event in enumerate(accepted.commit.packed):
            topic = event[2]
            if index in accepted.void:
                continue
            if topic == Received.TOPIC:
                self._received(accepted.offset, event, read_header(event[3]))
            elif topic == Redacted.TOPIC:
                self._redacted(event, read_header(event[3]))
            elif topic == Reviewed.TOPIC:
                self._reviewed(event, read_header(event[3]))
            elif topic in _UNDERSTOOD and event[0] in self.heard:
                self._understood(event, read_header(event[3]))

    def _received(self, offset: int, event: Packed, header: Header) -> None:
        dek = self._dek(header)
        if dek is None:
            return
        source = Source(header.person, uuid_of(event[0]), header.key_id, header.at_us)
        self.heard[event[0]] = Heard(Learnt(self._number, offset, source), header.channel, event, dek)
        if len(self.heard) > self._messages_max:
            del self.heard[next(iter(self.heard))]

    def _understood(self, event: Packed, header: Header) -> None:
        fields = _fields(event, self._dek(header))
        if fields is None:
            return
        understood = Understood(
            originator_id=uuid_of(event[0]),
            originator_version=event[1],
            subject=header.person,
            at_us=header.at_us,
            channel=header.channel,
            **Understood.EARLIER.get(event[2], dict)(fields),
        )
        self.heard[event[0]] = replace(self.heard[event[0]], understood=understood)

    def _reviewed(self, event: Packed, header: Header) -> None:
        fields = _fields(event, self._dek(header))
        of = None if fields is None else self.heard.get(fields["interaction_id"])
        if fields is None or of is None or of.subject != header.person:
            return
        verdict, meant = fields["verdict"], fields["intent"]
        self.heard[fields["interaction_id"]] = replace(
            of, verdict=verdict, meant="" if verdict == REJECTED else meant, reviews=of.reviews + 1
        )

    def _redacted(self, event: Packed, header: Header) -> None:
        """A redaction holds for whatever purpose it was sealed; where nothing here opens it, for all that the person said before."""
        dek = self._keys.opening(header.key_id, header.person)
        fields = _fields(event, dek if isinstance(dek, Dek) else None)
        of = None if fields is None else fields["interaction_id"]
        self.redacted.add((header.person, None if of is None else uuid_of(of)))
        named = self.heard if of is None else ({of} & self.heard.keys())
        for interaction in [name for name in named if self.heard[name].subject == header.person]:
            del self.heard[interaction]

    def _dek(self, header: Header) -> Dek | None:
        known = header.person.bytes + header.key_id
        if known not in self._granted:
            if len(self._granted) >= KEYS_MAX:
                self._granted.clear()
            found = self._keys.granted(header.key_id, header.person, IMPROVEMENT)
            self._granted[known] = found if isinstance(found, Dek) else None
        return self._granted[known]


def _fields(event: Packed, dek: Dek | None) -> dict[str, Any] | None:
    """A payload's fields; None without a key. Raises `EventTampered`."""
    if dek is None:
        return None
    sealed = stored(event)
    return codec.decode(sealed.topic, open_payload(sealed, read_header(sealed.state), dek))


_UNDERSTOOD = frozenset(Understood.topics())


def by_person(heard: Iterable[Heard]) -> dict[UUID, int]:
    """How many messages of each person."""
    counted: dict[UUID, int] = {}
    for one in heard:
        counted[one.subject] = counted.get(one.subject, 0) + 1
    return counted
