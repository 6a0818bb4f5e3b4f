"""One decision in the making: what was heard, the state that changes, what is said and what is wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.assistant import Assistant, Variant
from bot.expression import Expression
from bot.state import State, bounded
from bot.understood import CHOOSE, PAYLOAD_MAX, Heard, Reading, Returned, TimerFired, Understood

REPLIES_MAX = 12
EFFECTS_MAX = 12
STEP_MAX = 2**31 - 1
"""Greatest number of an effect, as its events hold it."""


@dataclass(frozen=True, slots=True)
class Button:
    """`payload` comes back when it is pressed; `url` leads elsewhere. One of them is empty."""

    title: str
    payload: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """`name` is the reply in the assistant's files."""

    name: str
    text: str
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """Something to be done beside the fold, once, under the key `interaction:step`.

    `kind`: call, deliver, timer, handover, notice, consent, right. `arguments` are JSON.
    """

    interaction: str
    step: int
    kind: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class Turn:
    """Collects one decision. `confused` is set when the message was not understood and the bot said so."""

    def __init__(self, assistant: Assistant, heard: Heard, state: State) -> None:
        self.assistant = assistant
        self.heard = heard
        self.state = state
        self.replies: list[Reply] = []
        self.effects: list[Effect] = []
        self.confused = False
        self.interaction, self.first_step = _place_of(heard)
        self.now = datetime.fromtimestamp(heard.at_us // 1_000_000, UTC).astimezone(ZoneInfo(assistant.zone))

    @property
    def message(self) -> Understood | None:
        return self.heard if isinstance(self.heard, Understood) else None

    @property
    def sure_intent(self) -> str:
        """The message's intent, if it is sure of one; else ""."""
        message = self.message
        if message is None or message.reading(self.assistant.thresholds) is not Reading.SURE:
            return ""
        return message.intents[0].intent

    @property
    def role(self) -> str:
        """What the message means to the dialogue itself: one of `ROLES`, or ""."""
        return self.assistant.role_of.get(self.sure_intent, "")

    def scope(self, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What names hold: results, slots, and `title` (of chosen options), `today`, `now`, `language`, `channel`."""
        language = self.state.language
        titles = {
            name: option.title.get(language, option.value)
            for name, slot in self.assistant.slots.items()
            for option in slot.options
            if self.state.slots.get(name) == option.value
        }
        return {
            **self.state.results,
            **self.state.slots,
            "title": titles,
            "today": self.now.date().isoformat(),
            "now": self.now.strftime("%Y-%m-%dT%H:%M"),
            "language": language,
            "channel": self.message.channel if self.message else "",
            **(extra or {}),
        }

    def value(self, expression: Expression, extra: Mapping[str, Any] | None = None) -> Any:
        return bounded(expression(self.scope(extra)))

    def title(self, titles: Mapping[str, str], otherwise: str) -> str:
        return titles.get(self.state.language, otherwise)

    def words(self, name: str, extra: Mapping[str, Any] | None = None) -> str:
        """The words of a reply without saying it: for buttons."""
        variants = self.assistant.replies[name].variants
        return variants[self.state.language][0].text(self.scope(extra), self.state.language)

    def say(self, name: str, *, buttons: Sequence[Button] = (), extra: Mapping[str, Any] | None = None) -> None:
        """Says a reply. Which variant follows from what was heard, so that deciding again says the same."""
        if len(self.replies) >= REPLIES_MAX:
            return
        scope, language = self.scope(extra), self.state.language
        variant = self._variant(name)
        own = tuple(Button(button.title(scope, language), button.payload, button.url) for button in variant.buttons)
        self.replies.append(Reply(name, variant.text(scope, language), own or tuple(buttons)))

    def _variant(self, name: str) -> Variant:
        variants = self.assistant.replies[name].variants[self.state.language]
        seed = f"{self.heard.id}\0{name}\0{len(self.replies)}".encode("utf-8", "replace")
        return variants[int.from_bytes(hashlib.blake2b(seed, digest_size=8).digest(), "big") % len(variants)]

    def want(self, kind: str, name: str, arguments: Mapping[str, Any] | None = None) -> str:
        """Wants an effect; gives its key `interaction:step`, or "" when there are too many already."""
        step = self.first_step + len(self.effects)
        if len(self.effects) >= EFFECTS_MAX or step > STEP_MAX:
            return ""
        self.effects.append(Effect(self.interaction, step, kind, name, dict(arguments or {})))
        return f"{self.interaction}:{step}"

    def yes_no(self) -> tuple[Button, Button]:
        controls = self.assistant.controls
        return (
            Button(self.words("system_yes"), f"/{controls['affirm']}"),
            Button(self.words("system_no"), f"/{controls['deny']}"),
        )


def _place_of(heard: Heard) -> tuple[str, int]:
    """The interaction that what is wanted now belongs to, and the number of its first effect.

    What follows from effect n has the numbers from 12 (n + 1) on, as in a heap, so no two effects of an interaction share one.
    """
    if isinstance(heard, Returned | TimerFired):
        return heard.interaction, (heard.step + 1) * EFFECTS_MAX
    return heard.id, 0


def options_buttons(options: Sequence[Mapping[str, str]]) -> tuple[Button, ...]:
    """A button for each option: `{"value", "title"}`."""
    return tuple(Button(option["title"], f"{CHOOSE}{option['value']}") for option in options)


def intent_payload(intent: str, entities: Sequence[Sequence[str]]) -> str:
    """The payload that says an intent, with its entities `(kind, value, text)` where they are short enough for one."""
    values = {entity[0]: entity[1] for entity in entities}
    payload = f"/{intent} {json.dumps(values, ensure_ascii=False)}"
    return payload if values and len(payload) <= PAYLOAD_MAX else f"/{intent}"
