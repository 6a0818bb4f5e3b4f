"""What was not understood: did you mean, please say it differently, and in the end an agent.

An unsure message is asked about, with its best readings to choose from; one that says nothing is asked for in other words, then met
with what the assistant can do. The third in a row is offered an agent. Nothing is acted on that was not understood. While a question
waits, an unsure message is asked about once; further ones are answers that do not fit (bot/form.py).
"""

from __future__ import annotations

from bot import flow, handover
from bot.choices import chosen
from bot.state import bounded
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
    if state.failures >= FAILURES_MAX:
        state.failures = 0
        handover.offer(turn)
    elif not did_you_mean(turn, message):
        turn.say("system_rephrase" if state.failures == 1 else "system_menu")


def did_you_mean(turn: Turn, message: Understood) -> bool:
    """Asks which reading of an unsure message is meant; False when there is none worth asking about."""
    titled = turn.assistant.titles
    readings = [intent for intent in message.likely(turn.assistant.thresholds) if intent in titled][:READINGS_MAX]
    if readings:
        turn.confused = True
        entities = [
            [each.kind[:64], bounded(each.value[:200]), bounded(each.text[:200])] for each in message.entities[:5]
        ]
        _offer_readings(turn, readings, entities)
    return bool(readings)


def answer_offer(turn: Turn, message: Understood) -> bool:
    """Takes the message as the answer to what was offered. False when it is about something else, which ends the offer."""
    offer, turn.state.offer = turn.state.offer, {}
    if not offer:
        return False
    if offer["kind"] == "agent":
        return _answer_agent(turn)
    intents = [intent for intent in offer["intents"] if intent in turn.assistant.titles]
    if turn.role == "deny":
        if not turn.state.frames:
            turn.say("system_rephrase")
        flow.go_on(turn)
        return True
    if turn.role == "affirm" and len(intents) > 1:
        _offer_readings(turn, intents, offer["entities"])
        return True
    place: int | None = 0 if turn.role == "affirm" and intents else None
    if place is None and not turn.sure_intent:
        titles = turn.assistant.titles
        options = [{"value": intent, "title": turn.title(titles[intent], intent)} for intent in intents]
        place, _ = chosen(message.text, options)
    if place is None:
        return False
    follow(turn, intents[place], tuple(Entity(*entity) for entity in offer["entities"]))
    return True


def follow(turn: Turn, intent: str, entities: tuple[Entity, ...]) -> None:
    """Does what an intent asks for: begins its flow, or answers and goes on with what is under way."""
    turn.state.failures = 0
    begun = turn.assistant.flow_of.get(intent)
    if begun is not None:
        flow.begin(turn, begun, entities)
    else:
        turn.say(turn.assistant.answers[intent].reply)
        flow.go_on(turn)


def _answer_agent(turn: Turn) -> bool:
    if turn.role == "affirm":
        handover.hand_over(turn, GROUND)
    elif turn.role == "deny":
        turn.say("system_menu")
    return turn.role in ("affirm", "deny")


def _offer_readings(turn: Turn, readings: list[str], entities: list[list[str]]) -> None:
    turn.state.offer = {"kind": "meant", "intents": readings, "entities": entities}
    titles = turn.assistant.titles
    buttons = [Button(turn.title(titles[each], each), intent_payload(each, entities)) for each in readings]
    none = Button(turn.words("system_none_of_these"), f"/{turn.assistant.controls['deny']}")
    turn.say("system_did_you_mean", buttons=(*buttons, none), extra={"subject": buttons[0].title})
