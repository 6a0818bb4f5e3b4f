"""Which language is spoken: the one that was asked for, else the one that the person writes."""

from __future__ import annotations

from bot.turn import Turn
from bot.understood import Understood

CONFIDENT = 0.8
"""From here on a message's language is followed; below, the conversation stays in its own."""


def follow_language(turn: Turn, message: Understood, *, first: bool) -> None:
    """Lets the state speak the language of the message: of the `first` one whatever its confidence. One that was asked for stays."""
    state, known = turn.state, turn.assistant.languages
    confident = first or message.language_confidence >= CONFIDENT
    if message.language in known and confident and not state.language_pinned:
        state.language = message.language


def switch(turn: Turn) -> bool:
    """Whether the message asks for a language; it is then spoken from here on."""
    wanted = turn.assistant.language_intents.get(turn.sure_intent)
    if wanted is None:
        return False
    turn.state.language, turn.state.language_pinned = wanted, True
    turn.say("system_language")
    return True
