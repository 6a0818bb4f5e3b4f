"""What the dialogue hears: a message as it was understood, or that something happened which it waited for.

All are plain facts. `id` is unique for each (the interaction's id for a message); `at_us` is UTC, in microseconds since 1970.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

PAYLOAD_MAX = 1_000
CHOOSE = "/choose "
RANKED_MAX = 10
BEHIND = 4
"""How many times less sure than the best a reading may be, and still be asked about."""


class Reading(Enum):
    """How well a message was understood."""

    SURE = "sure"
    UNSURE = "unsure"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Confidence from which an intent is acted on (`sure`), and from which it is asked about (`unsure`)."""

    sure: float = 0.6
    unsure: float = 0.3


@dataclass(frozen=True, slots=True)
class Ranked:
    """An intent and its calibrated confidence, 0 to 1."""

    intent: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Entity:
    """Something recognised in a message: its kind, its normal form, and the words that stood for it."""

    kind: str
    value: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Understood:
    """A person's message. `intents` are ranked, best first. `chosen` is the value of a pressed option, if one was pressed.

    `outcome` is how well it was understood as the model judges, None where nothing but confidences is known.
    """

    id: str
    at_us: int
    text: str
    language: str = ""
    language_confidence: float = 0.0
    intents: tuple[Ranked, ...] = ()
    entities: tuple[Entity, ...] = ()
    channel: str = ""
    chosen: str | None = None
    outcome: Reading | None = None

    def reading(self, thresholds: Thresholds | None) -> Reading:
        """How well it was understood: by the assistant's own thresholds where it names some, else as the model judges.

        Without a reading, nothing was, whatever the model judges.
        """
        if not self.intents or not self.intents[0].intent:
            return Reading.NONE
        if thresholds is None and self.outcome is not None:
            return self.outcome
        thresholds = thresholds or Thresholds()
        best = self.intents[0].confidence
        if best >= thresholds.sure:
            return Reading.SURE
        return Reading.UNSURE if best >= thresholds.unsure else Reading.NONE

    def likely(self, thresholds: Thresholds | None) -> list[str]:
        """The intents worth asking about, best first; by the model's judgement those that are not far behind the best."""
        if thresholds is None and self.outcome is not None:
            best = self.intents[0].confidence if self.intents else 0.0
            least = best / BEHIND if self.outcome is not Reading.NONE else 2.0
        else:
            least = (thresholds or Thresholds()).unsure
        return [ranked.intent for ranked in self.intents[:RANKED_MAX] if ranked.confidence >= least]


@dataclass(frozen=True, slots=True)
class Returned:
    """What a connector answered to the call that the answer to `interaction` wanted as its effect `step`."""

    id: str
    at_us: int
    interaction: str
    step: int
    outcome: str
    status: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer that the answer to `interaction` wanted as its effect `step` has run out: its flow is to begin, with these slots.

    `language` is what the conversation was spoken in then.
    """

    id: str
    at_us: int
    interaction: str
    step: int
    flow: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    language: str = ""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The person's agent gives the conversation back to the bot."""

    id: str
    at_us: int


Heard = Understood | Returned | TimerFired | HandedBack


def pressed(payload: str, *, id: str, at_us: int, language: str = "", channel: str = "") -> Understood | None:
    """What the payload of a button says: `/choose VALUE`, `/intent` or `/intent {"entity": "value"}`. None for other text."""
    if not payload.startswith("/") or len(payload) > PAYLOAD_MAX:
        return None
    if payload.startswith(CHOOSE):
        return Understood(id, at_us, "", language, channel=channel, chosen=payload.removeprefix(CHOOSE))
    intent, _, given = payload[1:].partition(" ")
    if not intent.isidentifier():
        return None
    try:
        values = json.loads(given) if given else {}
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        return None
    entities = tuple(Entity(kind, value, value) for kind, value in values.items())
    return Understood(id, at_us, "", language, intents=(Ranked(intent, 1.0),), entities=entities, channel=channel)
