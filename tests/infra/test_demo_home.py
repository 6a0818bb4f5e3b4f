"""The demonstration home: filled once, by the ordinary way in, and left alone afterwards."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import replace

import pytest

from infra.cli import parser
from infra.demo_home import (
    CHANNELS,
    CONVERSATIONS,
    NOTICE,
    PEOPLE,
    conversation,
    load_demo,
    messages_of_conversation,
    what_next,
)
from infra.house import House
from infra.settings import Settings, default_home
from projections import declaration
from vault.intake import Message

ALL = [conversation(number) for number in range(CONVERSATIONS)]
MESSAGES = sum(len(dialogue.exchanges) for dialogue, _ in ALL)


def nothing(what: str, done: int, total: int) -> None:
    pass


def stored(house: House) -> int:
    """Commits in the conversations: one a message here."""
    return sum(house.conversations.partition(number).catch_up() for number in range(house.conversations.partitions))


def evidence(house: House) -> int:
    return sum(house.register.end(number) for number in range(house.register.partitions))


# What it is made of


def test_a_few_hundred_conversations_in_both_languages_with_everybody_back_for_another_matter() -> None:
    assert Counter(role.language for _, role in ALL) == {"fr": CONVERSATIONS // 2, "en": CONVERSATIONS // 2}
    assert len({(role.channel, role.person) for _, role in ALL}) == PEOPLE
    matters = Counter((role.person, dialogue.exchanges[-1].intent, len(dialogue.exchanges)) for dialogue, role in ALL)
    assert set(matters.values()) == {1}
    assert len({exchange.message_id for dialogue, _ in ALL for exchange in dialogue.exchanges}) == MESSAGES


def test_every_slot_is_filled_and_stands_where_its_entity_says() -> None:
    for dialogue, _ in ALL:
        for exchange in dialogue.exchanges:
            assert "{" not in exchange.text + "".join(exchange.replies)
            assert exchange.replies
            assert all(exchange.text[entity.start : entity.end] == entity.value for entity in exchange.entities)


def test_people_are_plainly_made_up() -> None:
    for dialogue, role in ALL:
        assert role.person.startswith("demo-visitor-")
        said = {entity.entity: entity.value for exchange in dialogue.exchanges for entity in exchange.entities}
        assert said.get("email", "@example.org").endswith("@example.org")
        assert said.get("phone", "01 99 00").startswith("01 99 00")
        assert said.get("person", "Demo").split()[-1].isdigit() or "person" not in said


def test_conversations_are_the_same_whenever_they_are_made() -> None:
    assert [conversation(number) for number in range(CONVERSATIONS)] == ALL


# Loading it


@pytest.mark.parametrize("where", ["home", pytest.param("kafka_home", marks=pytest.mark.kafka)])
def test_loading_fills_a_new_home_and_loading_again_adds_nothing(where: str, request: pytest.FixtureRequest) -> None:
    settings: Settings = request.getfixturevalue(where)
    with House(settings) as house:
        assert load_demo(house, nothing)
        held = (stored(house), evidence(house))
        assert held[0] == MESSAGES
        person = house.keys.find("web", "demo-visitor-001")
        assert person
        subject = house.register.subject(person.case)
        assert subject
        assert (subject.notices, subject.consents) == ([NOTICE], {"improvement"})
    with House(settings) as house:
        assert not load_demo(house, nothing)
        assert (stored(house), evidence(house)) == held


@pytest.mark.parametrize(
    "at", ["demonstration conversations 50", "demonstration notices 40", "demonstration conversations 250"]
)
def test_loading_goes_on_where_it_was_interrupted_and_doubles_nothing(home: Settings, at: str) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if f"{what} {done}" == at:
            raise KeyboardInterrupt

    settings = replace(home, batch_records=50)
    with House(settings) as house, pytest.raises(KeyboardInterrupt):
        load_demo(house, interrupt)
    with House(settings) as house:
        assert 0 < stored(house) < MESSAGES
        assert load_demo(house, nothing)
        assert stored(house) == MESSAGES
        assert evidence(house) == 2 * PEOPLE + (PEOPLE + 2) // 3  # registered, told, and every third agreed


def test_whoever_was_erased_does_not_come_back(home: Settings) -> None:
    with House(home) as house:
        load_demo(house, nothing)
        person = house.keys.find("web", "demo-visitor-001")
        assert person
        house.registrar.erase(person.subject, ground="asked", decided_by="test")
        load_demo(house, nothing)
    with House(home) as house:
        load_demo(house, nothing)
        assert house.keys.find("web", "demo-visitor-001") is None


def test_a_home_with_conversations_of_its_own_is_left_alone(home: Settings) -> None:
    with House(home) as house:
        house.intake.receive([Message("web", "site", "visitor-1", "m-1", "hello", 1_780_000_000_000_000)])
        assert not load_demo(house, nothing)
        assert stored(house) == 1


def test_the_town_hall_declares_itself_unless_the_home_has_a_declaration(home: Settings) -> None:
    file = home.home / declaration.FILE
    with House(home) as house:
        load_demo(house, nothing)
        declared = declaration.load(file)
        assert declared
        assert {"service", "improvement", "evidence"} <= set(declared.purposes)
        assert {*CHANNELS} >= {channel for each in declared.recipients.values() for channel in each.channels}
    file.write_text("kept = 1\n")
    with House(home) as house:
        house.keys.set_meta("demonstration", "begun")
        load_demo(house, nothing)
    assert file.read_text() == "kept = 1\n"


def test_messages_come_by_the_way_of_a_replay_with_their_understanding_and_answer() -> None:
    assert [message.message_id for message in messages_of_conversation(0)] == [f"demo-000-{n}" for n in range(5)]
    assert all(message.and_then for message in messages_of_conversation(0))


# What to do next


def test_what_is_said_to_type_next_can_be_typed_in_another_terminal(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [line for line in what_next(home, demo=True).splitlines() if line.startswith("  ")]
    assert len(commands) == 5
    for command in commands[:-1]:
        program, *arguments = shlex.split(command)
        assert program.endswith("parloir")
        given = parser().parse_args(arguments)
        assert given.home == home.home  # that terminal has not this one's PARLOIR_HOME
    monkeypatch.delenv("PARLOIR_HOME")
    assert "--home" not in what_next(Settings(home=default_home({"HOME": str(home.home.parent / "user")})), demo=True)


def test_the_person_that_is_shown_exists(home: Settings) -> None:
    shown = next(line.split()[-1] for line in what_next(home, demo=True).splitlines() if " access " in line)
    assert shown in {f"{role.channel}:{role.person}" for _, role in ALL}
