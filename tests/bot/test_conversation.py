"""Conversation tests show what differs in words a bot team reads, and find it when it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.check import checked
from bot.conversation import read_conversations, run
from bot.problem import FilesRefused
from tests.bot.small import write

HEAD = 'language: en\nresults:\n  times: \'{"times": [{"at": "10:00"}]}\'\ntests:\n  - name: one\n    turns:\n'


def differences(tmp_path: Path, *turns: str) -> list[str]:
    write(tmp_path, tests=HEAD + "".join(f"      - {turn}\n" for turn in turns))
    (conversation,) = read_conversations(tmp_path)
    return list(run(conversation, checked(tmp_path)[0]).differences)


def test_a_conversation_that_goes_as_expected_shows_nothing(tmp_path: Path) -> None:
    assert not differences(
        tmp_path,
        "{user: book my racer, intent: book, entities: {bicycle: racer}, bot: [ask_day]}",
        '{user: thursday, entities: {date: "2026-03-05 = thursday"}, bot: ["road bicycle, Thursday 5 March 2026?"]}',
        '{user: "yes", intent: affirm, bot: [], calls: {shop.find: {day: "2026-03-05"}}}',
        "{returned: shop.find, result: times, bot: [ask_time]}",
        '{user: none of them, intent: deny, bot: [nothing], says: ["is free"]}',
    )


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        ("{user: hello, intent: greet, bot: [hours]}", "expected  hours\n    said      greet: Hello."),
        ("{user: hello, intent: greet, bot: []}", "expected  nothing\n    said      greet: Hello."),
        ("{user: hello, intent: greet, bot: [greet, hours]}", "expected  hours\n    said      greet: Hello."),
        ("{user: hello, intent: greet, says: [Goodbye]}", "expected the words  Goodbye\n    said      Hello."),
        ("{user: hello, intent: greet, calls: {shop.find: {}}}", "expected the call  shop.find\n    called    nothing"),
        (
            "{user: hello, intent: greet, effects: [handover counter]}",
            "expected effects  handover counter\n    wanted    none",
        ),
        ("{user: person, intent: agent}", "expected effects  none\n    wanted    handover counter"),
    ],
)
def test_what_differs_is_shown_with_its_file_and_line(tmp_path: Path, turn: str, shown: str) -> None:
    (found,) = differences(tmp_path, turn)
    assert found.startswith("  tests/all.yaml:7: after user: ")
    assert shown in found


def test_a_call_with_other_arguments_or_that_nobody_expected_differs(tmp_path: Path) -> None:
    begin = '{user: book, intent: book, entities: {bicycle: racer, date: "2026-03-05"}}'
    (found,) = differences(tmp_path, begin, '{user: "yes", intent: affirm, calls: {shop.find: {day: "2026-03-06"}}}')
    assert "expected  shop.find {'day': '2026-03-06'}\n    called    shop.find {'day': '2026-03-05'}" in found
    (found,) = differences(tmp_path, begin, '{user: "yes", intent: affirm}')
    assert "expected no call" in found


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ("{bot: [greet]}", "a turn has one of user, returned, timer, handed_back"),
        ("{user: a, timer: b}", "a turn has one of"),
        ("{returned: shop.find, result: nonsense}", "the result is not JSON"),
    ],
)
def test_a_turn_that_is_none_is_refused_with_its_line(tmp_path: Path, turn: str, said: str) -> None:
    write(tmp_path, tests=HEAD + f"      - {turn}\n")
    with pytest.raises(FilesRefused) as caught:
        read_conversations(tmp_path)
    assert str(caught.value).startswith("tests/all.yaml:7: error: ")
    assert said in str(caught.value)
