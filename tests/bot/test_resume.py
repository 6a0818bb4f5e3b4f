"""Later, and under another version: what is kept, what begins again, and what the person is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.state import State
from bot.understood import Ranked, Understood
from tests.bot.small import FLOWS, MONDAY_US, REPLIES, Chat, made, replies

DAY_MINUTES = 24 * 60


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(made(tmp_path / "one"))


def under(chat: Chat, tmp_path: Path, **parts: str) -> Chat:
    """The chat, going on with an assistant whose files have changed."""
    chat.assistant = made(tmp_path / "two", **parts)
    return chat


def test_after_the_idle_time_nothing_is_known(chat: Chat) -> None:
    chat.says("book", "book")
    chat.passes(DAY_MINUTES + 1)
    assert chat.says("road bicycle") == ["system_rephrase"]


def test_within_the_idle_time_the_conversation_goes_on(chat: Chat) -> None:
    chat.says("book", "book")
    chat.passes(DAY_MINUTES - 1)
    assert chat.says("road bicycle") == ["system_welcome_back", "ask_day"]


def test_a_short_pause_is_not_remarked_on(chat: Chat) -> None:
    chat.says("book", "book")
    chat.passes(10)
    assert chat.says("road bicycle") == ["ask_day"]


def test_the_notice_is_given_again_in_a_new_conversation(chat: Chat) -> None:
    chat.says("hello", "greet", channel="mail")
    chat.passes(DAY_MINUTES + 1)
    assert chat.says("hello", "greet", channel="mail") == ["notice", "greet"]


def test_a_version_that_only_words_things_differently_goes_on_unremarked(chat: Chat, tmp_path: Path) -> None:
    chat.says("book", "book")
    under(chat, tmp_path, replies=replies(ask_day="When?"))
    assert chat.says("road bicycle") == ["ask_day"]
    assert chat.texts == ["When?"]


def test_a_step_put_in_between_is_taken_in_its_turn(chat: Chat, tmp_path: Path) -> None:
    chat.says("book", "book")
    flows = FLOWS.replace("      - ask: [name]\n", "      - say: hours\n      - ask: [name]\n")
    under(chat, tmp_path, flows=flows)
    assert chat.says("road bicycle") == ["ask_day"]
    chat.says("thursday", date="2026-03-05")
    chat.says("yes", "affirm")
    chat.returns({"times": [{"at": "10:00"}]})
    assert chat.says("1") == ["hours", "ask_name"]


def test_a_flow_whose_step_is_gone_begins_again_with_what_was_said(chat: Chat, tmp_path: Path) -> None:
    chat.says("book road", "book", bicycle="road")
    flows = FLOWS.replace("- ask: [bicycle, day]\n", "- id: details\n        ask: [bicycle, day]\n")
    under(chat, tmp_path, flows=flows)
    assert chat.says("thursday", date="2026-03-05") == ["system_changed", "confirm_booking"]
    assert chat.state.slots == {"bicycle": "road", "day": "2026-03-05"}


def test_a_flow_that_is_gone_is_dropped_and_the_person_told(chat: Chat, tmp_path: Path) -> None:
    chat.says("book", "book")
    chat.says("price", "prices")
    flows = FLOWS.replace(
        "  prices:\n    title: {en: know the prices}\n    intents: [prices]", "  costs:\n    intents: [prices]"
    )
    under(chat, tmp_path, flows=flows)
    assert chat.says("hello", "greet") == ["system_changed", "greet", "ask_bicycle"]
    assert [frame.flow for frame in chat.state.frames] == ["book"]


def test_a_dropped_flow_gives_back_what_the_one_below_knew(chat: Chat, tmp_path: Path) -> None:
    chat.says("book road", "book", bicycle="road")
    chat.says("price", "prices")
    flows = FLOWS.replace(
        "  prices:\n    title: {en: know the prices}\n    intents: [prices]", "  costs:\n    intents: [prices]"
    )
    under(chat, tmp_path, flows=flows)
    chat.says("hello", "greet")
    assert chat.state.slots == {"bicycle": "road"}


def test_an_option_that_is_gone_is_asked_for_again(chat: Chat, tmp_path: Path) -> None:
    chat.says("book cargo", "book", bicycle="cargo")
    flows = FLOWS.replace("value: cargo, title: {en: cargo bicycle}", "value: long, title: {en: long bicycle}")
    under(chat, tmp_path, flows=flows)
    assert chat.says("thursday", date="2026-03-05") == ["ask_bicycle"]


def test_the_same_change_is_told_once(chat: Chat, tmp_path: Path) -> None:
    chat.says("book", "book")
    flows = FLOWS.replace("  book:\n", "  reserve:\n")
    under(chat, tmp_path, flows=flows)
    assert chat.says("hello", "greet") == ["system_changed", "greet"]
    assert chat.says("hello", "greet") == ["greet"]


def test_a_state_in_a_language_that_is_gone_speaks_the_first_one(chat: Chat, tmp_path: Path) -> None:
    chat.says("hello", "greet")
    chat.state.language = "fr"
    under(chat, tmp_path, replies=replies(greet=REPLIES["greet"] + " "))
    assert chat.says("hello", "greet") == ["greet"]


def test_time_that_goes_backwards_harms_nothing(chat: Chat) -> None:
    chat.says("book", "book")
    earlier = Understood("e", MONDAY_US - 10**12, "hello", intents=(Ranked("greet", 0.9),), channel="web")
    assert chat.hear(earlier) == ["greet", "ask_bicycle"]
    assert isinstance(chat.state, State)
    assert chat.state.at_us > MONDAY_US
