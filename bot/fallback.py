"""What was not understood: did you mean, please say it differently, and in the end an agent.

An unsure message is asked about, with its best readings to choose from; one that says nothing is asked for in other words, then met
with what the assistant can do. The third in a row is offered an agent. Nothing is acted on that was not understood.
"""

from __future__ import annotations

from bot import handover
from bot.choices import chosen
from bot.flow import begin
from bot.turn import Button, Turn, intent_payload
from bot.understood import Entity, Understood

READINGS_MAX = 3
FAILURES_MAX = 3
GROUND = "not_understood"


def not_understood(turn: Turn, message: Understood) -> None:
    """Meets a message that nothing was made of."""
    state = turn.state
    turn.confused = True
    state.failures += 1
    readings = [] if state.failures >= FAILURES_MAX else _readings(turn, message)
    if readings:
        _did_you_mean(turn, message, readings)
    elif state.failures >= FAILURES_MAX:
        state.failures = 0
        handover.offer(turn)
    else:
        turn.say("system_rephrase" if state.failures == 1 else "system_menu")


def answer_offer(turn: Turn, message: Understood) -> bool:
    """Takes the message as the answer to what was offered. False when it is about something else; the offer is over either way."""
    offer, turn.state.offer = turn.state.offer, {}
    if not offer:
        return False
    if offer["kind"] == "agent":
        return _answer_agent(turn)
    intents = [intent for intent in offer["intents"] if intent in turn.assistant.handled]
    if turn.role == "deny":
        turn.say("system_rephrase")
        return True
    place: int | None = 0 if turn.role == "affirm" and len(intents) == 1 else None
    if place is None and not turn.sure_intent:
        options = [{"value": intent, "title": turn.title(turn.assistant.titles[intent], intent)} for intent in intents]
        place, _ = chosen(message.text, options)
    if place is None:
        return False
    follow(turn, intents[place], tuple(Entity(*entity) for entity in offer["entities"]))
    return True


def follow(turn: Turn, intent: str, entities: tuple[Entity, ...]) -> None:
    """Does what an intent asks for: begins its flow, or answers and goes on with what is under way."""
    turn.state.failures = 0
    flow = turn.assistant.flow_of.get(intent)
    if flow is not None:
        begin(turn, flow, entities)
    else:
        turn.say(turn.assistant.answers[intent].reply)


def _answer_agent(turn: Turn) -> bool:
    if turn.role == "affirm":
        handover.hand_over(turn, GROUND)
    elif turn.role == "deny":
        turn.say("system_menu")
    return turn.role in ("affirm", "deny")


def _readings(turn: Turn, message: Understood) -> list[str]:
    """The readings worth asking about: confident enough, answered by something, and with a title to show."""
    unsure = turn.assistant.thresholds.unsure
    titled = turn.assistant.titles
    likely = [ranked.intent for ranked in message.intents[:10] if ranked.confidence >= unsure]
    return [intent for intent in likely if intent in titled][:READINGS_MAX]


def _did_you_mean(turn: Turn, message: Understood, readings: list[str]) -> None:
    entities = [(each.kind[:64], each.value[:200], each.text[:200]) for each in message.entities[:5]]
    turn.state.offer = {"kind": "meant", "intents": readings, "entities": [list(entity) for entity in entities]}
    titles = turn.assistant.titles
    buttons = [Button(turn.title(titles[each], each), intent_payload(each, entities)) for each in readings]
    none = Button(turn.words("system_none_of_these"), f"/{turn.assistant.controls['deny']}")
    turn.say("system_did_you_mean", buttons=(*buttons, none), extra={"subject": buttons[0].title})
