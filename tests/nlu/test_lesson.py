"""What people said, made ready to be learnt: no personal data, only what was confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nlu.from_log import Heard
from nlu.lesson import confirmed, lesson, masked
from nlu.personal import PersonalData
from nlu.span import Span
from nlu.text import CHARACTERS_MAX
from tests.nlu.conftest import HOSTILE
from tests.nlu.people import decide, meet, read, say
from tests.vault.conftest import Vault


class Nothing:
    """Finds no personal data."""

    def find(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[Span]]:
        return [[] for _ in texts]


def one_of(vault: Vault, text: str, *marked: tuple[str, int, int]) -> Heard:
    meet(vault, "one")
    say(vault, "one", text, personal_data=[{"kind": kind, "start": start, "end": end} for kind, start, end in marked])
    return read(vault).heard[0]


def test_what_is_found_now_and_what_was_found_then_are_both_masked(vault: Vault) -> None:
    text = "I am Zork, write to a.b@example.org please"
    one = one_of(vault, text, ("person", 5, 9))
    assert masked([one], [text], PersonalData.default()) == ["I am [PERSON], write to [EMAIL] please"]


def test_of_findings_that_overlap_or_lie_outside_no_part_is_left_readable(vault: Vault) -> None:
    cases: list[tuple[list[tuple[str, int, int]], str]] = [
        ([("email", 0, 5), ("person", 3, 8)], "[EMAIL]ijkl"),
        ([("email", 2, 4), ("person", 0, 12)], "[PERSON]"),
        ([("email", 0, 2), ("person", 2, 4)], "[EMAIL][PERSON]efghijkl"),
        ([("email", -5, 3), ("person", 10, 500)], "[EMAIL]defghij[PERSON]"),
        ([("email", 5, 5), ("person", 7, 3), ("phone", 400, 500)], "abcdefghijkl"),
    ]
    meet(vault, "one")
    for number, (marked, _) in enumerate(cases):
        spans = [{"kind": kind, "start": start, "end": end} for kind, start, end in marked]
        say(vault, "one", "abcdefghijkl", number, personal_data=spans)
    heard = read(vault).heard
    assert masked(heard, ["abcdefghijkl"] * len(cases), Nothing()) == [told for _, told in cases]


def test_of_a_long_message_only_what_is_read_for_understanding_is_learnt(vault: Vault) -> None:
    one = one_of(vault, "short", ("email", CHARACTERS_MAX - 1, CHARACTERS_MAX + 20))
    (told,) = masked([one], ["x" * (CHARACTERS_MAX + 500)], Nothing())
    assert told == "x" * (CHARACTERS_MAX - 1) + "[EMAIL]"


def test_any_text_can_be_masked(vault: Vault) -> None:
    one = one_of(vault, "short", ("email", 1, 3))
    told = masked([one] * len(HOSTILE), HOSTILE, PersonalData.default())
    assert max(map(len, told)) <= CHARACTERS_MAX * 20


def test_only_what_a_reviewer_confirmed_is_learnt_and_the_rest_is_counted(vault: Vault) -> None:
    meet(vault, "one", "two")
    for number, text in enumerate(["accepted", "corrected", "rejected", "not reviewed", "elsewhere", "  "]):
        say(vault, "two" if number == 1 else "one", text, number)
    for text, verdict, intent in (
        ("accepted", "accepted", ""),
        ("corrected", "corrected", "cancel"),
        ("rejected", "rejected", ""),
        ("elsewhere", "corrected", "an_intent_of_another_assistant"),
        ("  ", "accepted", ""),
    ):
        decide(vault, text, verdict, intent)
    chosen, left_out = confirmed(read(vault).heard)
    assert left_out == {"rejected": 1, "not reviewed": 1}
    made = lesson(
        chosen,
        [one.open_text() for one in chosen],
        intents={"book", "cancel"},
        personal=Nothing(),
        persons_min=5,
    )
    told: dict[str, Any] = {example.text: example.intent for example in made.said.examples}
    assert told == {"accepted": "book", "corrected": "cancel"}
    assert made.left_out == {"of an intent that the assistant does not have": 1, "without words": 1}
    assert len(set(made.said.people)) == 2
    assert {one.source.subject for one in made.learnt} == {one.subject for one in chosen}
    assert made.digest("a") == made.digest("a") != made.digest("b")
