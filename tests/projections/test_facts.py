"""The few facts read out of payloads: the same that reading all of each gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections import facts
from vault import codec
from vault.errors import EventTampered

NAMES = st.text(max_size=200)
LISTS = {"alternatives": [], "entities": [], "personal_data": []}


def understood(language: str, intent: str, confidence: float, model: str = "m", outcome: str = "understood") -> bytes:
    fields = {"language": language, "intent": intent, "confidence": confidence, "outcome": outcome, "model": model}
    return codec.encode("interaction.understood.2", {**fields, **LISTS, "truncated": False})


def understood_1(language: str, intent: str, confidence: float, model: str = "m") -> bytes:
    fields = {"language": language, "intent": intent, "confidence": confidence, "model": model}
    return codec.encode("interaction.understood.1", {**fields, **LISTS})


def answered(replies: list[str], fallback: bool) -> bytes:
    fields = {"replies": [{"text": text} for text in replies], "fallback": fallback, "assistant": "a", "effects": []}
    return codec.encode("interaction.answered.1", {**fields, "dialogue_state": None})


OUTCOMES = st.sampled_from(["understood", "unsure", "not_understood"])


@given(st.lists(st.tuples(NAMES, NAMES, st.floats(0, 1), NAMES, OUTCOMES)))
def test_understanding_is_what_reading_whole_payloads_gives(written: list[tuple[str, str, float, str, str]]) -> None:
    said = {
        "language": [language for language, *_ in written],
        "confidence": [confidence for _, _, confidence, *_ in written],
    }
    read = facts.of_understood([understood(*fields) for fields in written])
    assert {name: column.to_pylist() for name, column in read.items()} == {
        **said,
        "intent": [None if outcome == "not_understood" else intent or None for _, intent, _, _, outcome in written],
    }
    read = facts.of_understood_1([understood_1(*fields[:4]) for fields in written])
    assert {name: column.to_pylist() for name, column in read.items()} == {
        **said,
        "intent": [intent or None for _, intent, *_ in written],
    }


@given(st.lists(st.tuples(st.lists(st.text(max_size=300), max_size=5), st.booleans())))
def test_a_fallback_is_found_before_any_replies(written: list[tuple[list[str], bool]]) -> None:
    read = facts.of_answered([answered(*fields) for fields in written])
    assert read["fallback"].to_pylist() == [fallback for _, fallback in written]


DAMAGED = {
    "nothing": b"",
    "an end within a number": b"\x80",
    "no end of a number": b"\xff" * 100,
    "a text of less than nothing": b"\x05en" + bytes(20),
    "a text of an exabyte": b"\xff" * 8 + b"\x7f" + bytes(20),
    "the first field alone": b"\x04en",
    "an end within the second": b"\x04en\x7e",
    "an end before the third": b"\x04en\x04so",
    "what is no text": b"\x04\xff\xff\x04so" + bytes(8),
}


@pytest.mark.parametrize("read", [facts.of_understood, facts.of_understood_1, facts.of_answered])
@pytest.mark.parametrize("payload", DAMAGED.values(), ids=DAMAGED)
def test_a_payload_that_is_damaged_is_tampered_wherever_it_stands(
    read: Callable[[Sequence[bytes]], facts.Facts], payload: bytes
) -> None:
    whole = {
        facts.of_understood: understood("en", "greet", 1.0),
        facts.of_understood_1: understood_1("en", "greet", 1.0),
    }
    sound = whole.get(read) or answered([], False)
    for payloads in ([payload], [payload, sound], [sound, payload], [sound, payload, sound]):
        with pytest.raises(EventTampered):
            read(payloads)


def test_facts_come_to_the_rows_of_their_payloads() -> None:
    said = facts.of_understood([understood("en", "greet", 0.5), understood("fr", "", 0.25)])
    fell_back = facts.of_answered([answered([], True)])
    columns = facts.in_rows([(np.array([1, 3]), said), (np.array([2]), fell_back)], 5)
    assert [column.to_pylist() for column in columns] == [
        [None, "en", None, "fr", None],
        [None, "greet", None, None, None],
        [None, 0.5, None, 0.25, None],
        [None, None, True, None, None],
    ]
    assert [column.to_pylist() for column in facts.in_rows([], 1)] == [[None]] * 4
