"""A training or evaluation example: what somebody may say, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

from nlu.span import Span


@dataclass(frozen=True, slots=True)
class Example:
    """`entities` are in order and do not overlap; `intent` is "" where only entities are marked. `before`: the intent of the message
    before it in its conversation, "" at the beginning and where nothing is known."""

    text: str
    intent: str
    entities: tuple[Span, ...] = ()
    before: str = ""
