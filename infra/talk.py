"""A chat with an assistant on the terminal: what is typed is understood and decided, calls are carried out, other effects shown.

A line that begins with `/` is a button's payload, a number presses the button of that number. Nothing is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from uuid import uuid4

from bot.assistant import Assistant
from bot.connectors import called
from bot.decide import Decision, decide
from bot.outgoing import Client
from bot.state import State
from bot.turn import Button, Effect
from bot.understands import Understands
from bot.understood import Entity, HandedBack, Heard, Ranked, Understood, pressed

CHANNEL = "terminal"
HAND_BACK = "/hand_back"
"""What is typed for the agent to give the conversation back."""


class Talk:
    """One chat. Without `understands`, a line is an intent and its entities: `book_appointment document=passport`."""

    def __init__(
        self,
        assistant: Assistant,
        understands: Understands | None,
        client: Client,
        say: Callable[[str], None],
        *,
        as_json: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._assistant = assistant
        self._understands = understands
        self._client = client
        self._say = say
        self._as_json = as_json
        self._clock = clock
        self._chat = uuid4().hex
        """Ids begin with it: the keys of this chat's calls are no other chat's."""
        self._state = State()
        self._heard = 0
        self._buttons: tuple[Button, ...] = ()

    def run(self, lines: Iterable[str]) -> None:
        """Answers line by line until they end."""
        for line in lines:
            text = line.strip()
            if text:
                self.hear(text)

    def hear(self, text: str) -> None:
        """Answers what was typed, and what the calls that follow from it return."""
        waiting: list[Heard] = [HandedBack(self._next_id(), self._now_us()) if text == HAND_BACK else self._meant(text)]
        while waiting:
            heard = waiting.pop(0)
            decision = decide(self._state, heard, self._assistant)
            self._state = decision.state
            self._show(decision)
            for effect in decision.effects:
                if effect.kind == "call":
                    waiting.append(called(self._client, effect, id=self._next_id(), at_us=self._now_us()))

    def _meant(self, text: str) -> Understood:
        id, at_us = self._next_id(), self._now_us()
        button = self._pressed(text)
        if button is not None:
            found = pressed(button.payload, id=id, at_us=at_us, channel=CHANNEL)
            if found is not None:
                return found
        given = pressed(text, id=id, at_us=at_us, channel=CHANNEL)
        if given is not None:
            return given
        if self._understands is None:
            return _declared(text, id, at_us)
        return self._understands.understand(text, id=id, at_us=at_us, channel=CHANNEL, language=self._state.language)

    def _pressed(self, text: str) -> Button | None:
        number = int(text) if text.isdecimal() and len(text) < 3 else 0
        return self._buttons[number - 1] if 0 < number <= len(self._buttons) else None

    def _show(self, decision: Decision) -> None:
        if decision.replies:
            self._buttons = decision.replies[-1].buttons
        if self._as_json:
            shown = {
                "replies": [asdict(reply) for reply in decision.replies],
                "effects": [asdict(effect) for effect in decision.effects],
                "confused": decision.confused,
            }
            self._say(json.dumps(shown, ensure_ascii=False))
            return
        for reply in decision.replies:
            self._say(reply.text)
        for number, button in enumerate(self._buttons if decision.replies else (), 1):
            self._say(f"  {number}  {button.title}" + (f" ({button.url})" if button.url else ""))
        for effect in decision.effects:
            if effect.kind != "deliver":
                self._say(_noted(effect))

    def _next_id(self) -> str:
        self._heard += 1
        return f"{self._chat}-{self._heard}"

    def _now_us(self) -> int:
        return int(self._clock() * 1_000_000)


def _declared(text: str, id: str, at_us: int) -> Understood:
    """A line that says what it means: an intent, and entities as `kind=value`; `_` stands for a space."""
    intent, *given = text.split()
    pairs = [each.partition("=") for each in given]
    entities = tuple(Entity(kind, value.replace("_", " "), text) for kind, _, value in pairs)
    return Understood(id, at_us, text, intents=(Ranked(intent, 1.0),), entities=entities, channel=CHANNEL)


def _noted(effect: Effect) -> str:
    arguments = " ".join(f"{name}={value}" for name, value in effect.arguments.items())
    return f"  [{effect.kind} {effect.name}{' ' if arguments else ''}{arguments}]"
