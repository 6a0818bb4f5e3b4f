"""Recorded dialogues, streamed in as conversations: user turns as `Received`, recorded labels as `Understood`, replies as
`Answered`, each exchange one commit that begins its interaction.

Message ids and times are derived from the file alone, so running it again after any interruption adds what is missing and doubles
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from infra.dialogues import Dialogue, Exchange
from vault.ids import InteractionId, SubjectId
from vault.intake import Intake, Message
from vault.interaction import Answered, ConversationEvent, Understood

MODEL = "recorded"
ACCOUNT = "replay"
ANSWER_DELAY_US = 180_000
"""Recorded replies carry no time of their own: they are dated this long after the message."""


@dataclass(frozen=True)
class Setting:
    """Where and when a dialogue takes place."""

    channel: str
    sender: str
    language: str
    started_at_us: int


@dataclass
class Tally:
    """How far a replay is."""

    dialogues: int = 0
    messages: int = 0
    repeated: int = 0


def messages_of(
    dialogue: Dialogue, setting: Setting, exchanges: Iterable[tuple[Exchange, int]], *, messages_only: bool = False
) -> Iterator[Message]:
    """The dialogue's user turns as messages; each exchange comes with its time.

    `messages_only`: without what is recorded of how they were understood and answered.
    """
    for exchange, at_us in exchanges:
        yield Message(
            channel=setting.channel,
            account=ACCOUNT,
            sender=setting.sender,
            message_id=exchange.message_id,
            text=exchange.text,
            at_us=at_us,
            locale=setting.language,
            and_then=None if messages_only else _recorded(exchange, setting, at_us),
        )


def _recorded(
    exchange: Exchange, setting: Setting, at_us: int
) -> Callable[[InteractionId, SubjectId], Sequence[ConversationEvent]]:
    def and_then(interaction_id: InteractionId, subject: SubjectId) -> Sequence[ConversationEvent]:
        place = (interaction_id, subject, setting.channel)
        events: list[ConversationEvent] = [_understood(exchange, setting.language, at_us, *place)]
        if exchange.replies:
            events.append(_answered(exchange, at_us, *place))
        return events

    return and_then


def _understood(
    exchange: Exchange, language: str, at_us: int, interaction_id: UUID, subject: UUID, channel: str
) -> Understood:
    return Understood(
        originator_id=interaction_id,
        originator_version=2,
        subject=subject,
        at_us=at_us,
        channel=channel,
        language=language,
        intent=exchange.intent,
        confidence=1.0,
        alternatives=[{"intent": intent, "confidence": 0.0} for intent in exchange.alternatives],
        outcome="understood" if exchange.intent else "not_understood",
        entities=[{"type": e.entity, "value": e.value, "start": e.start, "end": e.end} for e in exchange.entities],
        personal_data=[],
        model=MODEL,
    )


def _answered(exchange: Exchange, at_us: int, interaction_id: UUID, subject: UUID, channel: str) -> Answered:
    return Answered(
        originator_id=interaction_id,
        originator_version=3,
        subject=subject,
        at_us=at_us + ANSWER_DELAY_US,
        channel=channel,
        replies=[{"text": reply} for reply in exchange.replies],
        fallback=not exchange.intent,
        assistant=MODEL,
        effects=[],
        dialogue_state=None,
    )


def stream(
    messages: Iterable[Message],
    intake: Intake,
    *,
    batch_records: int = 1_000,
    rate_per_s: float | None = None,
    on_batch: Callable[[int, int], None] = lambda new, repeated: None,
) -> Tally:
    """Takes all messages in, in batches; `rate_per_s` bounds the speed. `on_batch` hears (new, repeated) after each batch."""
    tally = Tally()
    begun = time.monotonic()
    source = iter(messages)
    size = batch_records if rate_per_s is None else max(1, min(batch_records, int(rate_per_s)))
    while True:
        batch: list[Message] = []
        problem: Exception | None = None
        try:
            for message in islice(source, size):
                batch.append(message)
        except Exception as error:  # a bad line: what was read before it goes in first
            problem = error
        if batch:
            receipts = intake.receive(batch)
            repeated = sum(receipt.repeated for receipt in receipts)
            tally.messages += len(receipts) - repeated
            tally.repeated += repeated
            on_batch(len(receipts) - repeated, repeated)
        if problem:
            raise problem
        if len(batch) < size:
            return tally
        if rate_per_s is not None:
            ahead = (tally.messages + tally.repeated) / rate_per_s - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)
