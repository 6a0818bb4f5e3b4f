"""The dialogue, decision by decision: forms, choices, digressions, calls, handover. What it says is in the small assistant's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.check import checked
from bot.decide import decide
from bot.flow import CALLS_MAX
from bot.state import State
from bot.understood import Entity, HandedBack, Ranked, Returned, TimerFired, Understood, pressed
from infra.assistants import SHIPPED
from tests.bot.small import FLOWS, MONDAY_US, Chat, made, replies

TIMES = {"times": [{"at": "10:00"}, {"at": "15:30"}]}


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(made(tmp_path))


def booking(chat: Chat) -> Chat:
    """A chat that waits for the choice of a time."""
    chat.says("a booking for my road bicycle on Thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    chat.returns(TIMES)
    return chat


def test_a_booking_from_beginning_to_end(chat: Chat) -> None:
    assert chat.says("I need a repair", "book") == ["ask_bicycle"]
    assert chat.says("the racer") == ["ask_day"]
    assert chat.says("thursday", date="2026-03-05") == ["confirm_booking"]
    assert chat.texts == ["road bicycle, Thursday 5 March 2026?"]
    assert chat.says("yes", "affirm") == []
    assert chat.calls == ["shop.find"]
    assert chat.returns(TIMES) == ["ask_time"]
    assert [button.title for button in chat.last.replies[0].buttons] == ["10:00", "15:30"]
    assert chat.says("the second") == ["ask_name"]
    assert chat.says("Robin") == []
    assert chat.returns({"number": "7"}, status=201) == ["booked"]
    assert chat.texts == ["Booked for Robin at 15:30: 7."]
    assert chat.state.frames == []
    assert chat.state.slots == {"name": "Robin"}  # the only one to be remembered


def test_nothing_is_decided_by_anything_but_its_arguments(chat: Chat) -> None:
    before = State().to_bytes()
    state = State()
    heard = Understood("m", MONDAY_US, "book", intents=(Ranked("book", 0.9),))
    first, second = decide(state, heard, chat.assistant), decide(state, heard, chat.assistant)
    assert state.to_bytes() == before
    assert (first.replies, first.effects, first.state.to_bytes()) == (
        second.replies,
        second.effects,
        second.state.to_bytes(),
    )


def test_coming_back_to_a_flow_whose_call_is_under_way_says_so(chat: Chat) -> None:
    chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    chat.says("what does it cost", "prices")
    assert chat.says("the booking", "book") == ["system_working"]


def test_each_call_has_a_key_of_what_was_heard_and_its_step(chat: Chat) -> None:
    chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    (effect,) = chat.last.effects
    assert (effect.step, effect.kind, effect.arguments) == (0, "call", {"day": "2026-03-05"})
    assert chat.state.frames[-1].data == {"key": f"{chat.decided[-1][0].id}:0"}


def test_a_result_that_nobody_waits_for_changes_nothing(chat: Chat) -> None:
    booking(chat)
    before = [frame.step for frame in chat.state.frames]
    assert chat.hear(Returned("x", chat.at_us + 1, "stranger", 0, "done", 200, {"times": []})) == []
    assert [frame.step for frame in chat.state.frames] == before


def test_a_strangers_result_does_not_answer_a_call_that_is_under_way(chat: Chat) -> None:
    chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    assert chat.hear(Returned("x", chat.at_us + 1, "stranger", 0, "done", 200, {"times": [{"at": "99:99"}]})) == []
    assert chat.returns(TIMES) == ["ask_time"]


def test_the_same_result_twice_goes_on_once(chat: Chat) -> None:
    booking(chat)
    assert chat.returns(TIMES) == []


def test_a_call_that_fails_is_said_and_ends_the_flow(chat: Chat) -> None:
    chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    assert chat.returns({}, "timed_out", 0) == ["system_unavailable"]
    assert chat.state.frames == []


def test_a_connector_that_lies_is_met_with_the_branch_for_nothing(chat: Chat) -> None:
    for lie in ({}, {"times": "many"}, {"times": [1, None, {"at": None}]}, {"times": []}):
        chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
        chat.says("yes", "affirm")
        assert chat.returns(dict(lie)) == ["nothing"]


def test_a_choice_that_suits_nobody(chat: Chat) -> None:
    assert booking(chat).says("none of them", "deny") == ["nothing"]


def test_a_pressed_option_is_the_choice_and_a_forged_one_is_not(chat: Chat) -> None:
    booking(chat)
    forged = pressed("/choose 99:99", id="p", at_us=chat.at_us + 1)
    assert forged is not None
    assert chat.hear(forged) == ["system_invalid", "ask_time"]
    right = pressed("/choose 15:30", id="q", at_us=chat.at_us + 2)
    assert right is not None
    assert chat.hear(right) == ["ask_name"]


def test_a_form_is_given_up_after_its_attempts(chat: Chat) -> None:
    chat.says("book", "book")
    assert chat.says("a unicorn") == ["system_invalid", "ask_bicycle"]
    assert chat.says("a unicorn") == ["system_invalid", "ask_bicycle"]
    assert chat.says("a unicorn") == ["system_give_up", "system_offer_agent"]
    assert chat.state.frames == []
    assert chat.says("yes", "affirm") == ["system_handover"]


def test_attempts_count_for_one_question_only(chat: Chat) -> None:
    chat.says("book", "book")
    chat.says("a unicorn")
    chat.says("a unicorn")
    assert chat.says("cargo bicycle") == ["ask_day"]
    assert chat.says("whenever") == ["system_invalid", "ask_day"]


def test_free_text_is_taken_whatever_it_looks_like_where_anything_may_be_answered(chat: Chat) -> None:
    booking(chat).says("1")
    chat.says("what are your prices", "prices")
    assert chat.state.slots["name"] == "what are your prices"


def test_yes_is_no_answer_to_a_choice(chat: Chat) -> None:
    chat.says("book", "book")
    assert chat.says("yes", "affirm") == ["system_invalid", "ask_bicycle"]


def test_a_digression_has_slots_of_its_own(chat: Chat) -> None:
    chat.says("book my road bicycle", "book", bicycle="road")
    assert chat.says("and what does a cargo bicycle cost", "prices", bicycle="cargo") == [
        "prices",
        "system_resume",
        "ask_day",
    ]
    assert chat.texts[0] == "Repairing a cargo bicycle costs 20."
    assert chat.says("thursday", date="2026-03-05") == ["confirm_booking"]
    assert chat.texts == ["road bicycle, Thursday 5 March 2026?"]


def test_a_digression_that_asks_keeps_its_answers_from_the_flow_below(chat: Chat) -> None:
    chat.says("book my road bicycle", "book", bicycle="road")
    assert chat.says("what does it cost", "prices") == ["ask_bicycle"]
    assert chat.says("cargo bicycle") == ["prices", "system_resume", "ask_day"]
    assert chat.state.slots == {"bicycle": "road"}


def test_small_talk_does_not_disturb_a_form(chat: Chat) -> None:
    chat.says("book", "book")
    assert chat.says("hello", "greet") == ["greet", "ask_bicycle"]


def test_a_correction_names_the_new_value_or_the_slot(chat: Chat) -> None:
    chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
    assert chat.says("no, friday", "deny", date="2026-03-06") == ["confirm_booking"]
    assert chat.texts == ["road bicycle, Friday 6 March 2026?"]
    assert chat.says("no", "deny") == ["system_which"]
    assert chat.says("the bicycle") == ["ask_bicycle"]
    assert chat.says("cargo bicycle") == ["confirm_booking"]
    assert chat.texts == ["cargo bicycle, Friday 6 March 2026?"]


def test_a_value_that_is_not_valid_does_not_replace_a_valid_one(chat: Chat) -> None:
    chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
    assert chat.says("no, last year", "deny", date="2025-03-06") == ["system_which"]
    assert chat.state.slots["day"] == "2026-03-05"


def test_two_dates_in_one_message_fill_nothing_by_guess(chat: Chat) -> None:
    message = Understood(
        "m", MONDAY_US, "from 5 to 6", intents=(Ranked("book", 0.9),), channel="web",
        entities=(Entity("date", "2026-03-05", "5"), Entity("date", "2026-03-06", "6")),
    )  # fmt: skip
    chat.hear(message)
    assert "day" not in chat.state.slots


def test_unsure_is_asked_about_and_none_is_rephrased(chat: Chat) -> None:
    assert chat.says("the price", "prices", 0.4) == ["system_did_you_mean"]
    assert chat.texts == ["(system_did_you_mean) know the prices"]
    assert chat.last.confused
    assert chat.says("yes", "affirm") == ["ask_bicycle"]


def test_yes_to_several_readings_asks_which(chat: Chat) -> None:
    ranked = (Ranked("prices", 0.4), Ranked("hours", 0.35))
    chat.hear(Understood("m", MONDAY_US, "x", intents=ranked, channel="web"))
    assert chat.says("yes", "affirm") == ["system_did_you_mean"]
    assert chat.says("the opening hours") == ["hours"]


def test_what_is_surely_meant_wins_over_words_that_look_like_an_offered_reading(chat: Chat) -> None:
    chat.hear(Understood("m", MONDAY_US, "x", intents=(Ranked("prices", 0.4), Ranked("hours", 0.35)), channel="web"))
    assert chat.says("the opening hours", "book") == ["ask_bicycle"]


def test_an_unsure_message_while_a_question_waits_is_asked_about_once(chat: Chat) -> None:
    chat.says("book", "book")
    assert chat.says("the price", "prices", 0.4) == ["system_did_you_mean"]
    assert chat.says("no", "deny") == ["ask_bicycle"]
    assert chat.says("the price", "prices", 0.4) == ["system_invalid", "ask_bicycle"]
    assert chat.says("the opening times", "hours", 0.4) == ["system_give_up", "system_offer_agent"]


def test_a_reading_chosen_while_a_question_waits_is_a_digression(chat: Chat) -> None:
    chat.says("book my racer", "book", bicycle="road")
    chat.says("the hours", "hours", 0.4)
    assert chat.says("yes", "affirm") == ["hours", "ask_day"]
    chat.says("price of a cargo", "prices", 0.4, bicycle="cargo")
    assert chat.says("thursday", date="2026-03-05") == ["confirm_booking"]


def test_what_was_said_with_an_unsure_message_is_not_lost(chat: Chat) -> None:
    chat.says("price for cargo", "prices", 0.4, bicycle="cargo")
    assert chat.says("yes", "affirm") == ["prices"]


def test_the_third_time_in_a_row_an_agent_is_offered_and_understanding_once_starts_the_count_anew(chat: Chat) -> None:
    assert chat.says("?") == ["system_rephrase"]
    assert chat.says("?") == ["system_menu"]
    assert chat.says("hello", "greet") == ["greet"]
    assert chat.says("?") == ["system_rephrase"]
    assert chat.says("?") == ["system_menu"]
    assert chat.says("?") == ["system_offer_agent"]


def test_an_agent_has_the_conversation_until_it_is_handed_back(chat: Chat) -> None:
    chat.says("book", "book")
    assert chat.says("a person please", "agent") == ["system_handover"]
    assert [(effect.kind, effect.name) for effect in chat.last.effects] == [
        ("handover", "counter"),
        ("deliver", "reply"),
    ]
    assert chat.says("road bicycle") == []
    assert chat.says("stop", "cancel") == []
    assert chat.hear(HandedBack("b", chat.at_us + 1)) == ["system_handed_back", "ask_bicycle"]


def test_a_result_that_comes_while_an_agent_has_the_conversation_is_kept_and_not_said(chat: Chat) -> None:
    chat.says("book road thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    chat.says("a person please", "agent")
    key = next((heard.id, 0) for heard, decision in chat.decided if any(e.kind == "call" for e in decision.effects))
    assert chat.hear(Returned("r", chat.at_us + 1, *key, "done", 200, TIMES)) == []
    assert chat.hear(HandedBack("b", chat.at_us + 2)) == ["system_handed_back", "ask_time"]


def test_what_an_agent_interrupted_is_said_when_the_conversation_comes_back(chat: Chat) -> None:
    booking(chat).says("1")
    chat.says("Robin")
    key = (chat.decided[-1][0].id, 0)
    chat.says("a person please", "agent")
    assert chat.hear(Returned("r", chat.at_us + 1, *key, "done", 201, {"number": "7"})) == []
    assert chat.last.effects == ()
    assert chat.hear(HandedBack("b", chat.at_us + 2)) == ["system_handed_back", "booked"]


def test_a_handed_back_conversation_that_nobody_had_is_left_alone(chat: Chat) -> None:
    assert chat.hear(HandedBack("b", MONDAY_US)) == []


def test_a_timer_begins_its_flow_with_what_it_was_given(chat: Chat) -> None:
    assert chat.hear(TimerFired("t", MONDAY_US, "m", 0, "prices", {"bicycle": "cargo", "foreign": "x"})) == ["prices"]
    assert chat.hear(TimerFired("u", MONDAY_US + 1, "m", 1, "gone", {})) == []


def test_a_timer_speaks_the_language_of_its_conversation_long_after_its_end() -> None:
    heard = TimerFired("t", MONDAY_US, "m", 0, "remind", {"start": "2026-03-03T09:00"}, "en")
    decision = decide(State(), heard, checked(SHIPPED / "townhall")[0])
    assert decision.state.language == "en"
    assert "appointment" in decision.replies[0].text


def test_a_timer_that_runs_out_while_an_agent_has_the_conversation_says_what_needs_no_answer(chat: Chat) -> None:
    chat.says("a person please", "agent")
    assert chat.hear(TimerFired("t", chat.at_us + 1, "m", 0, "prices", {"bicycle": "cargo"})) == ["prices"]
    assert chat.hear(TimerFired("u", chat.at_us + 2, "m", 1, "prices", {})) == []
    assert chat.hear(HandedBack("b", chat.at_us + 3)) == ["system_handed_back", "ask_bicycle"]


def test_a_call_that_failed_while_an_agent_had_the_conversation_is_told_when_it_comes_back(chat: Chat) -> None:
    chat.says("a booking for my road bicycle on Thursday", "book", bicycle="road", date="2026-03-05")
    chat.says("yes", "affirm")
    key = (chat.last.effects[0].interaction, chat.last.effects[0].step)
    chat.says("a person please", "agent")
    assert chat.hear(Returned("r", chat.at_us + 1, *key, "failed", 503, {})) == []
    assert chat.hear(HandedBack("b", chat.at_us + 2)) == ["system_handed_back", "system_unavailable"]
    assert chat.state.frames == []


def test_the_notice_is_shown_once_and_not_by_the_bot_where_the_channel_does(chat: Chat) -> None:
    assert chat.says("hello", "greet", channel="mail") == ["notice", "greet"]
    assert [(effect.kind, effect.name) for effect in chat.last.effects] == [("notice", "1"), ("deliver", "reply")]
    assert chat.says("hello", "greet", channel="mail") == ["greet"]


def test_variants_follow_from_what_was_heard(tmp_path: Path) -> None:
    variants = "greet: [{text: a}, {text: b}, {text: c}]"
    assistant = made(tmp_path, replies=replies().replace("greet: [{text: 'Hello.'}]", variants))
    heard = [Understood(f"m{n}", MONDAY_US, "hello", intents=(Ranked("greet", 0.9),), channel="web") for n in range(60)]
    said = [decide(State(), each, assistant).replies[0].text for each in heard]
    assert said == [decide(State(), each, assistant).replies[0].text for each in heard]
    assert set(said) == {"a", "b", "c"}


def test_a_flow_that_calls_itself_round_is_stopped(tmp_path: Path) -> None:
    flows = FLOWS.replace(
        "        save: booked\n        failed: nothing", "        save: booked\n        failed: again"
    ).replace(
        "      - id: nothing\n        say: nothing",
        "      - id: nothing\n        say: nothing\n      - goto: done\n      - id: again\n        ask: [name]\n"
        "      - call: shop.book\n        arguments: {day: day, name: name}\n        failed: again",
    )
    chat = booking(Chat(made(tmp_path, flows=flows)))
    chat.says("1")
    chat.says("Robin")
    for _ in range(CALLS_MAX + 2):
        if chat.returns({}, "failed", 500) == ["system_unavailable"]:
            break
    assert chat.state.frames == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00",
        "\ud800",
        "👋🏽",
        "שלום",
        "a" * 100_000,
        "<script>alert(1)</script>",
        "/book {",
        "{name}",
        "\u202e",
        "\n" * 500,
    ],
)
def test_hostile_text_gets_a_reply_and_leaves_a_small_state(chat: Chat, text: str) -> None:
    assert chat.says(text) == ["system_rephrase"]
    chat.says("book", "book")
    assert chat.says(text)[-1] == "ask_bicycle"
    other = booking(Chat(chat.assistant))
    other.says("1")
    other.says(text)
    assert len(other.state.to_bytes()) < 4_000
    other.state.to_bytes().decode("ascii")


@pytest.mark.parametrize(
    "payload", ["/", "/ ", "/book {", "/book []", '/book {"a": 1}', "/../x", "/book\n", "/" + "x" * 5_000, "no"]
)
def test_what_is_no_payload_is_text(payload: str) -> None:
    found = pressed(payload, id="p", at_us=1)
    assert found is None or payload.strip() == "/book"
