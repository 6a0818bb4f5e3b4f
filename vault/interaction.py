"""What happens in conversations: a person's turn (`Interaction`: received, understood, answered) and its one-event companions.

Nobody loads these as aggregates; they are a stream. Every event says whom it is about (`subject`), when (`at_us`, microseconds
since the epoch, UTC) and on which channel; the other fields are the payload, as the schema of its event topic describes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar
from uuid import UUID

from vault.fold import ERASED_TOPIC


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEvent:
    """An event in *conversations*."""

    TOPIC: ClassVar[str]
    EARLIER: ClassVar[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {}
    """Earlier versions of the event topic, which are read and no longer written: what makes this version's fields of theirs."""
    originator_id: UUID
    originator_version: int = 1
    subject: UUID
    at_us: int
    channel: str

    @property
    def person(self) -> UUID:
        return self.subject

    @classmethod
    def topics(cls) -> tuple[str, ...]:
        """Its event topic, and every earlier version of it."""
        return (cls.TOPIC, *cls.EARLIER)


HEADER_FIELDS = frozenset(field.name for field in fields(ConversationEvent))

Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(ConversationEvent):
    """Version 1 of an interaction: what a person said."""

    TOPIC: ClassVar[str] = "interaction.received.1"
    account: str
    sender: str
    message_id: str
    text: str
    payload: str | None = None
    locale: str | None = None


_UNKNOWN: Mapping[str, None] = {"score": None, "found_by": None}


def _understood_of_1(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1 left the intent empty where nothing was understood, and named an entity's type `entity`."""
    return {
        **fields,
        "outcome": "understood" if fields["intent"] else "not_understood",
        "entities": [
            {"type": e["entity"], **{name: e[name] for name in ("value", "start", "end")}, **_UNKNOWN}
            for e in fields["entities"]
        ],
        "personal_data": [{**each, **_UNKNOWN} for each in fields["personal_data"]],
        "truncated": False,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood(ConversationEvent):
    """Version 2 of an interaction: what understanding made of it.

    `outcome`: "understood", "unsure" or "not_understood". Entities are {type, value, start, end, score, found_by}, personal data
    {kind, start, end, score, found_by}; spans are [start, end) in code points of the text. `truncated`: only its beginning was read.
    """

    TOPIC: ClassVar[str] = "interaction.understood.2"
    EARLIER = {"interaction.understood.1": _understood_of_1}  # noqa: RUF012 - declared in the base class
    language: str
    intent: str
    confidence: float
    outcome: str
    alternatives: Items = ()
    entities: Items = ()
    personal_data: Items = ()
    model: str
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(ConversationEvent):
    """Version 3 of an interaction: what the bot decided and said, and what it wants done."""

    TOPIC: ClassVar[str] = "interaction.answered.1"
    replies: Items
    fallback: bool
    assistant: str
    effects: Items = ()
    dialogue_state: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion(ConversationEvent):
    """An event of its own that belongs to an interaction."""

    interaction_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Called(Companion):
    """A connector is to be called."""

    TOPIC: ClassVar[str] = "call.made.1"
    step: int
    connector: str
    recipient: str
    operation: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned(Companion):
    """What a connector answered."""

    TOPIC: ClassVar[str] = "call.returned.1"
    step: int
    outcome: str
    status: int
    result: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(Companion):
    """A reply reached its channel, or did not."""

    TOPIC: ClassVar[str] = "reply.delivered.1"
    step: int
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerSet(Companion):
    """A flow of the dialogue is to begin at a time. `slots` is JSON."""

    TOPIC: ClassVar[str] = "timer.set.1"
    step: int
    due_at_us: int
    flow: str
    slots: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerDue(Companion):
    """The time of a timer has come."""

    TOPIC: ClassVar[str] = "timer.due.1"
    step: int
    flow: str
    slots: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent1(Companion):
    """`MessageSent` as its first version was: words alone. Read, and written no more."""

    TOPIC: ClassVar[str] = "message.sent.1"
    origin: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSent(Companion):
    """The assistant or an agent speaks outside a person's turn: what a call returned, a reminder.

    `origin`: assistant, agent or reminder. The rest as in `Answered`.
    """

    TOPIC: ClassVar[str] = "message.sent.2"
    origin: str
    replies: Items
    fallback: bool = False
    assistant: str = ""
    effects: Items = ()
    dialogue_state: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated(Companion):
    """The person rated an answer."""

    TOPIC: ClassVar[str] = "interaction.rated.1"
    score: int
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted(Companion):
    """A message is not to be opened any more, by anybody."""

    TOPIC: ClassVar[str] = "interaction.redacted.1"
    ground: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed(Companion):
    """A reviewer said what a message means, so that understanding can learn from it: "accepted", "corrected" or "rejected"."""

    TOPIC: ClassVar[str] = "interaction.reviewed.1"
    verdict: str
    intent: str
    decided_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected(Companion):
    """The person's correction of something held on them."""

    TOPIC: ClassVar[str] = "interaction.rectified.1"
    field: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver(Companion):
    """The conversation goes to a human agent."""

    TOPIC: ClassVar[str] = "interaction.handed_over.1"
    queue: str
    ground: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased(ConversationEvent):
    """The person was erased: later events about them are void. The only event in the clear, and it has no payload."""

    TOPIC: ClassVar[str] = ERASED_TOPIC

    @classmethod
    def of(cls, subject: UUID, at_us: int) -> Erased:
        """The one such event of a person: whoever appends it twice has the second refused."""
        return cls(originator_id=companion_id(subject, cls.TOPIC), subject=subject, at_us=at_us, channel="")


EVENTS: tuple[type[ConversationEvent], ...] = (
    Received,
    Understood,
    Answered,
    Called,
    Returned,
    Delivered,
    TimerSet,
    TimerDue,
    MessageSent1,
    MessageSent,
    Rated,
    Redacted,
    Reviewed,
    Corrected,
    HandedOver,
    Erased,
)


TOPICS = frozenset(topic for event in EVENTS for topic in event.topics())
"""Every event topic of the conversations, earlier versions included."""


def companion_id(interaction_id: UUID, event_topic: str, step: int = 0) -> UUID:
    """The originator id of a companion: the first 16 bytes of BLAKE2b over interaction, event topic and step.

    Nobody else can make it, since an interaction's own id is a keyed hash.
    """
    named = interaction_id.bytes + step.to_bytes(4, "big") + event_topic.encode()
    return UUID(bytes=hashlib.blake2b(named, digest_size=16, person=b"parloir compan 1").digest())
