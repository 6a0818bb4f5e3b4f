"""The decision: `(state, heard, assistant)` in, `(state, replies, effects)` out. Pure: the same in, the same out.

In this order: a conversation that an agent has is left alone; a message is taken as the answer to the question that waits if that is
plainly what it is; else as what it surely wants, which may be a digression; else as a likely answer; and only then it was not
understood. What the person can always say (stop, an agent, another language, once more) comes before any question.
"""

from __future__ import annotations

from typing import NamedTuple

from bot import fallback, flow, handover, language, resume
from bot.assistant import Assistant
from bot.slot_values import Strength
from bot.state import State, bounded
from bot.turn import Effect, Reply, Turn
from bot.understood import HandedBack, Heard, Returned, TimerFired, Understood

ASKED = "asked_for"


class Decision(NamedTuple):
    """`effects` end with `deliver` where something is said. `confused`: the message was not understood and the bot said so."""

    state: State
    replies: tuple[Reply, ...]
    effects: tuple[Effect, ...]
    confused: bool = False


def decide(state: State, heard: Heard, assistant: Assistant) -> Decision:
    """What to say and do about what was heard. The state that is given is not changed. Never raises on what a person can cause."""
    state = State() if resume.expired(state, heard.at_us, assistant) else state.copy()
    turn = Turn(assistant, heard, state)
    last_us, state.at_us = state.at_us, max(state.at_us, heard.at_us)
    changed = resume.adopt(state, assistant)
    spoken = heard.language if isinstance(heard, TimerFired) else ""
    state.language = state.language or (spoken if spoken in assistant.languages else assistant.languages[0])
    if isinstance(heard, Understood):
        state.calls = 0
        language.follow_language(turn, heard, first=not state.noticed)
        if not state.noticed:
            _notice(turn)
    if not state.handed_over:
        if changed:
            turn.say("system_changed")
        _hear(turn, heard, last_us)
    elif isinstance(heard, HandedBack):
        state.handed_over = ""
        turn.say("system_handed_back")
        flow.go_on(turn)
    elif isinstance(heard, Returned):
        flow.returned(turn, heard)
    elif isinstance(heard, TimerFired):
        _timer(turn, heard)
    if turn.replies:
        turn.want("deliver", "reply", {"replies": len(turn.replies)})
    turn.state.fit()
    return Decision(turn.state, tuple(turn.replies), tuple(turn.effects), turn.confused)


def _notice(turn: Turn) -> None:
    """Tells what is kept and why before anything else, and wants it recorded."""
    turn.state.noticed = True
    notice = turn.assistant.notice
    message = turn.message
    if message is None or message.channel not in notice.shown_by:
        turn.say(notice.reply)
        turn.want("notice", notice.version, {"language": turn.state.language})


def _hear(turn: Turn, heard: Heard, last_us: int) -> None:
    if isinstance(heard, Understood):
        if last_us:
            resume.welcome_back(turn, last_us)
        _message(turn, heard)
        if not turn.replies and not turn.effects:  # back at a call that is still under way
            turn.say("system_working")
    elif isinstance(heard, Returned):
        flow.returned(turn, heard)
    elif isinstance(heard, TimerFired):
        _timer(turn, heard)


def _timer(turn: Turn, heard: TimerFired) -> None:
    begun = turn.assistant.flows.get(heard.flow)
    if begun is not None:
        known = {name: bounded(value) for name, value in heard.slots.items() if name in turn.assistant.slots}
        flow.begin(turn, begun, slots=known)


def _message(turn: Turn, message: Understood) -> None:
    if _always(turn) or fallback.answer_offer(turn, message):
        return
    waiting = flow.question(turn)
    intent = turn.sure_intent
    if waiting is not None:
        frame, step = waiting
        found = flow.fit(turn, frame, step, message)
        if found.strength is Strength.STRONG or not _begins(turn, intent):
            if (
                not found.strength
                and not intent
                and not frame.data.get("attempts")
                and fallback.did_you_mean(turn, message)
            ):
                frame.data["attempts"] = 1
                return
            flow.answer(turn, frame, step, message, found)
            if not turn.confused:
                turn.state.failures = 0
            return
    if _begins(turn, intent):
        fallback.follow(turn, intent, message.entities)
    elif turn.state.frames and not turn.state.frames[-1].data:
        flow.begin_again(turn, message.entities)
    elif turn.state.frames:
        turn.say("system_working")
    elif turn.assistant.flow_of.get(intent) or turn.role in ("affirm", "deny", "correct"):
        turn.say("system_menu")
    else:
        fallback.not_understood(turn, message)


def _begins(turn: Turn, intent: str) -> bool:
    """Whether an intent begins something other than what the person is doing now."""
    if intent in turn.assistant.answers:
        return True
    begun = turn.assistant.flow_of.get(intent)
    if begun is None:
        return False
    group = []
    for frame in reversed(turn.state.frames):
        group.append(frame.flow)
        if frame.role == "main":
            break
    return begun.name not in group


def _always(turn: Turn) -> bool:
    """What the person can say at any time."""
    state, role = turn.state, turn.role
    if language.switch(turn):
        flow.go_on(turn)
    elif role == "agent":
        handover.hand_over(turn, ASKED)
    elif role == "cancel" and state.frames:
        turn.say("system_cancelled")
        flow.abandon(turn)
        flow.go_on(turn)
    elif role == "cancel":
        turn.say("system_nothing_to_cancel")
    elif role == "restart":
        turn.state = State(state.assistant, state.language, state.language_pinned, state.noticed, state.at_us)
        turn.say("system_restarted")
    elif role == "help" or (role == "repeat" and not state.frames):
        turn.say("system_menu")
        flow.go_on(turn)
    elif role == "repeat":
        _repeat(turn)
    else:
        return False
    turn.state.offer = {}
    return True


def _repeat(turn: Turn) -> None:
    if flow.question(turn) is None:
        turn.say("system_working")
    flow.go_on(turn)
