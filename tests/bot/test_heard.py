"""Between events and the dialogue: what a payload says is heard, and what was decided becomes events; whatever the payload holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bot.decide import decide
from bot.events import events
from bot.heard import interaction_of, message, returned, timer
from bot.state import State
from bot.understood import Entity, Ranked, Reading, Returned, Understood
from tests.bot import small
from tests.bot.small import MONDAY_US, Chat
from tests.bot.workshop import HEAD, REMINDED, TIMES
from vault import codec
from vault.interaction import Answered, Called, MessageSent, TimerSet, companion_id

INTERACTION = UUID(int=5)
RECEIVED: dict[str, Any] = {"text": "mend the racer, I am Visiteur Essai", "payload": None, "locale": "fr"}
UNDERSTOOD: dict[str, Any] = {
    "language": "en",
    "intent": "book",
    "confidence": 0.7,
    "alternatives": [{"intent": "prices", "confidence": 0.2}],
    "outcome": "understood",
    "entities": [{"type": "bicycle", "value": "road", "start": 9, "end": 14}],
    "personal_data": [{"kind": "person", "start": 21, "end": 35}],
}


def hear(received: dict[str, Any] | None = None, understood: dict[str, Any] | None = None) -> Any:
    return message(INTERACTION, MONDAY_US, "web", RECEIVED | (received or {}), UNDERSTOOD | (understood or {}))


def test_a_message_is_heard_with_its_readings_its_entities_and_personal_data_that_can_fill_a_slot() -> None:
    heard = hear()
    assert heard.intents == (Ranked("book", 0.7), Ranked("prices", 0.2))
    assert heard.entities == (
        Entity("bicycle", "road", "racer"),
        Entity("person", "Visiteur Essai", "Visiteur Essai"),
    )
    assert (heard.id, heard.at_us, heard.channel, heard.language) == (str(INTERACTION), MONDAY_US, "web", "en")
    assert interaction_of(heard) == INTERACTION


def test_what_an_entity_says_is_not_said_again_by_personal_data_of_its_kind() -> None:
    entities = [{"type": "person", "value": "the owner", "start": 21, "end": 35}]
    assert hear(understood={"entities": entities}).entities == (Entity("person", "the owner", "Visiteur Essai"),)


def test_a_message_without_a_reading_is_heard_as_one_that_says_nothing() -> None:
    heard = hear(understood={"intent": "", "confidence": 0.0, "alternatives": []})
    assert heard.intents == ()
    assert heard.likely(None) == []


@pytest.mark.parametrize(
    "payload", ["/", "/not an intent", "/book {not JSON", "/book [1]", '/book {"a": 1}', "x" * 2_000]
)
def test_a_payload_that_no_button_of_ours_has_is_heard_as_the_words_beside_it(payload: str) -> None:
    assert hear({"payload": payload}).text == RECEIVED["text"]


def test_a_pressed_button_is_heard_whatever_understanding_made_of_its_title() -> None:
    assert hear({"payload": "/choose road"}).chosen == "road"
    assert hear({"payload": "/prices"}).intents == (Ranked("prices", 1.0),)


@pytest.mark.parametrize("result", ["", "[1, 2]", "null", "{", "[" * 100_000, '"text"'])
def test_a_result_that_is_no_object_is_heard_as_an_empty_one(result: str) -> None:
    payload = {"interaction_id": INTERACTION.bytes, "step": 3, "outcome": "done", "status": 200, "result": result}
    heard = returned(UUID(int=9), 1, payload)
    assert (heard.interaction, heard.step, heard.result) == (str(INTERACTION), 3, {})
    assert interaction_of(heard) == INTERACTION


def test_a_timer_is_heard_with_what_it_was_told() -> None:
    payload = {
        "interaction_id": INTERACTION.bytes,
        "step": 3,
        "flow": "remind",
        "slots": '{"a": "b"}',
        "language": "fr",
    }
    heard = timer(UUID(int=9), 1, payload)
    assert (heard.flow, heard.slots, heard.language, interaction_of(heard)) == ("remind", {"a": "b"}, "fr", INTERACTION)


def test_a_decision_is_written_as_its_schemas_say_and_no_two_effects_of_an_interaction_share_a_number(
    tmp_path: Path,
) -> None:
    chat = Chat(small.made(tmp_path, head=HEAD, flows=REMINDED, replies=small.replies(reminder="Soon.")))
    chat.says("a booking for my road bicycle on Thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    first = decide(State(), chat.decided[0][0], chat.assistant)
    (answered,) = events(INTERACTION, chat.decided[0][0], first, first.state.to_bytes(), chat.assistant)
    assert (answered.topic, answered.originator, answered.version) == (Answered.TOPIC, INTERACTION, 3)
    assert State.from_bytes(answered.fields["dialogue_state"]).frames
    assert [button["url"] for button in answered.fields["replies"][0]["buttons"]] == [None, None]
    asked, decision = chat.decided[1]
    written = events(INTERACTION, asked, decision, b"", chat.assistant)
    assert [each.topic for each in written] == [Answered.TOPIC, Called.TOPIC]
    assert written[1].originator == companion_id(INTERACTION, Called.TOPIC, 0)
    numbers = {effect.step for effect in decision.effects}
    for result in (TIMES, {"number": "7"}):
        interaction, step = next((e.interaction, e.step) for e in chat.last.effects if e.kind == "call")
        heard = Returned("r", chat.at_us, interaction, step, "done", 200, result)
        chat.hear(heard)
        later = {effect.step for effect in chat.last.effects}
        assert not later & numbers or interaction not in {
            e.interaction for _, d in chat.decided[:-1] for e in d.effects
        }
        drafts = events(INTERACTION, heard, chat.last, b"", chat.assistant)
        assert (drafts[0].topic, drafts[0].originator) == (
            MessageSent.TOPIC,
            companion_id(INTERACTION, MessageSent.TOPIC, step),
        )
        for draft in (*written, *drafts):
            assert codec.decode(draft.topic, codec.encode(draft.topic, draft.fields)) == draft.fields
        if result is TIMES:
            chat.says("1")
            chat.says("Robin")
    assert TimerSet.TOPIC in [draft.topic for draft in drafts]


@pytest.mark.parametrize("outcome", list(Reading))
def test_a_message_without_a_reading_was_not_understood_whatever_is_judged(outcome: Reading) -> None:
    heard = Understood("m", MONDAY_US, "words", outcome=outcome)
    assert heard.reading(None) is Reading.NONE
    assert heard.likely(None) == []
