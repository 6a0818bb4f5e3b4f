"""Events about a person, read as what was said: by the person, or to the person, with the numbers that a client orders them by.

A number is `(offset + 1) * 2**20 + place in the commit * 2**4 + reply`: it is above 0, grows within a conversation, since a person
lives in one partition, is the same for every reader, and is exact in a double up to an offset of 2**33.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from bot.channels.channel import Said, Spoken
from vault.interaction import Answered, Items, MessageSent, Received

_OFFSET_BITS, _REPLY_BITS = 20, 4
_PLACES = 1 << (_OFFSET_BITS - _REPLY_BITS)

AGENT = "agent"


def number_of(offset: int, place: int) -> int:
    """Of the first reply of an event. A commit that holds more events than there are places shares the last."""
    return (offset + 1 << _OFFSET_BITS) + (min(place, _PLACES - 1) << _REPLY_BITS)


def offset_of(number: int) -> int:
    """Where the event stands that a number is of."""
    return max(number >> _OFFSET_BITS, 1) - 1


def answered(event: Answered, number: int) -> Spoken:
    return _spoken(event, number, event.originator_id, by_agent=False)


def sent(event: MessageSent, number: int) -> Spoken:
    return _spoken(event, number, event.interaction_id or event.originator_id, by_agent=event.origin == AGENT)


def said(event: Received, number: int) -> Said:
    return Said(number, event.message_id, event.text)


def _spoken(event: Answered | MessageSent, number: int, interaction: UUID, *, by_agent: bool) -> Spoken:
    return Spoken(
        number=number,
        id=event.originator_id,
        interaction=interaction,
        subject=event.subject,
        channel=event.channel,
        by_agent=by_agent,
        replies=event.replies,
        step=_wanted(event.effects, "deliver", "step", 0),
        waits=any(effect["kind"] == "call" for effect in event.effects),
        notice=_wanted(event.effects, "notice", "name", ""),
        notice_language=json.loads(_wanted(event.effects, "notice", "arguments", "{}")).get("language", ""),
    )


def _wanted(effects: Items, kind: str, of: str, otherwise: Any) -> Any:
    return next((effect[of] for effect in effects if effect["kind"] == kind), otherwise)
