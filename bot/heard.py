"""Events of the conversations as the dialogue hears them: a message that was understood, what a call returned, a timer that ran out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from bot.understood import Entity, Heard, Ranked, Reading, Returned, TimerFired, Understood, pressed

WEIGHED = 1.0
"""Confidence of a message's language: understanding has weighed it against the language of the conversation."""

OUTCOMES = {"understood": Reading.SURE, "unsure": Reading.UNSURE, "not_understood": Reading.NONE}
"""How well a message was understood, as the model judges."""


def message(
    interaction: UUID, at_us: int, channel: str, received: Mapping[str, Any], understood: Mapping[str, Any]
) -> Understood:
    """A person's message, from the payloads of `Received` and `Understood`. What a pressed button says needs no understanding."""
    id, text = str(interaction), received["text"]
    button = pressed(received["payload"] or "", id=id, at_us=at_us, language=received["locale"] or "", channel=channel)
    if button is not None:
        return button
    return Understood(
        id=id,
        at_us=at_us,
        text=text,
        language=understood["language"],
        language_confidence=WEIGHED,
        intents=tuple(_ranked(understood)),
        entities=tuple(_entities(text, understood)),
        channel=channel,
        outcome=OUTCOMES[understood["outcome"]],
    )


def returned(id: UUID, at_us: int, payload: Mapping[str, Any]) -> Returned:
    """What a call returned, from the payload of its event."""
    return Returned(
        id=str(id),
        at_us=at_us,
        interaction=str(UUID(bytes=payload["interaction_id"])),
        step=payload["step"],
        outcome=payload["outcome"],
        status=payload["status"],
        result=_object(payload["result"]),
    )


def timer(id: UUID, at_us: int, payload: Mapping[str, Any]) -> TimerFired:
    """A timer that ran out, from the payload of its event."""
    return TimerFired(
        id=str(id),
        at_us=at_us,
        interaction=str(UUID(bytes=payload["interaction_id"])),
        step=payload["step"],
        flow=payload["flow"],
        slots=_object(payload["slots"]),
        language=payload["language"],
    )


def interaction_of(heard: Heard) -> UUID:
    """The interaction that what is heard belongs to."""
    return UUID(heard.interaction if isinstance(heard, Returned | TimerFired) else heard.id)


def _ranked(understood: Mapping[str, Any]) -> Iterator[Ranked]:
    if understood["intent"]:
        yield Ranked(understood["intent"], understood["confidence"])
    for each in understood["alternatives"]:
        yield Ranked(each["intent"], each["confidence"])


def _entities(text: str, understood: Mapping[str, Any]) -> Iterator[Entity]:
    """Entities; and personal data as such, of the kinds that no entity is of: a name or an address fills a slot too."""
    kinds = set()
    for each in understood["entities"]:
        kinds.add(each["type"])
        yield Entity(each["type"], each["value"], text[each["start"] : each["end"]])
    for each in understood["personal_data"]:
        if each["kind"] not in kinds:
            words = text[each["start"] : each["end"]]
            yield Entity(each["kind"], words, words)


def _object(text: str) -> dict[str, Any]:
    """The JSON object that a payload holds; empty where it holds another thing."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
