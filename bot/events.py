"""A decision as events: what was said and is wanted, and a companion for each call, timer and handover. Pure.

What answers a message is version 3 of its interaction; what is said later, when a call returned or a timer ran out, is an event of
its own. Both hold every effect; the companions are what callers, reports and agents look for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from bot.assistant import Assistant
from bot.decide import Decision
from bot.turn import Effect, Reply
from bot.understood import Heard, Returned, TimerFired
from vault.interaction import Answered, Called, HandedOver, MessageSent, TimerSet, companion_id

ASSISTANT, REMINDER = "assistant", "reminder"
"""Origins of what is said outside a person's turn."""


class Draft(NamedTuple):
    """An event before it is sealed: its place, and the fields of its payload; ids among them as 16 bytes."""

    topic: str
    originator: UUID
    version: int
    fields: Mapping[str, Any]


def events(interaction: UUID, heard: Heard, decision: Decision, state: bytes, assistant: Assistant) -> list[Draft]:
    """The events of a decision about what was heard, which belongs to `interaction`. The first one holds the decision's `state`."""
    said: dict[str, Any] = {
        "fallback": decision.confused,
        "assistant": assistant.label,
        "replies": [_reply(each) for each in decision.replies],
        "effects": [_effect(each) for each in decision.effects],
        "dialogue_state": state,
    }
    if isinstance(heard, Returned | TimerFired):
        said |= {
            "interaction_id": interaction.bytes,
            "origin": ASSISTANT if isinstance(heard, Returned) else REMINDER,
        }
        first = Draft(MessageSent.TOPIC, companion_id(interaction, MessageSent.TOPIC, heard.step), 1, said)
    else:
        first = Draft(Answered.TOPIC, interaction, 3, said)
    return [first, *_companions(interaction, decision, assistant)]


def _companions(interaction: UUID, decision: Decision, assistant: Assistant) -> Iterator[Draft]:
    for effect in decision.effects:
        fields: dict[str, Any] = {"interaction_id": interaction.bytes}
        if effect.kind == "call":
            connector, operation = effect.name.split(".")
            fields |= {
                "step": effect.step,
                "connector": connector,
                "recipient": assistant.connectors[connector].recipient,
                "operation": operation,
                "arguments": _json(effect.arguments),
            }
            topic = Called.TOPIC
        elif effect.kind == "timer":
            fields |= {
                "step": effect.step,
                "due_at_us": effect.arguments["at_us"],
                "flow": effect.name,
                "slots": _json(effect.arguments["slots"]),
                "language": effect.arguments["language"],
            }
            topic = TimerSet.TOPIC
        elif effect.kind == "handover":
            fields |= {"queue": effect.name, "ground": effect.arguments["ground"]}
            topic = HandedOver.TOPIC
        else:
            continue
        yield Draft(topic, companion_id(interaction, topic, effect.step), 1, fields)


def _reply(reply: Reply) -> dict[str, Any]:
    buttons = [
        {"title": each.title, "payload": each.payload or None, "url": each.url or None} for each in reply.buttons
    ]
    return {"text": reply.text, "buttons": buttons}


def _effect(effect: Effect) -> dict[str, Any]:
    return {"step": effect.step, "kind": effect.kind, "name": effect.name, "arguments": _json(effect.arguments)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
