"""The few facts read out of a payload: the same that reading all of it gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections import facts
from vault import codec
from vault.errors import EventTampered

NAMES = st.text(max_size=200)


@given(language=NAMES, intent=NAMES, confidence=st.floats(0, 1), model=NAMES)
def test_understanding_is_what_reading_the_whole_payload_gives(
    language: str, intent: str, confidence: float, model: str
) -> None:
    written = {"language": language, "intent": intent, "confidence": confidence, "model": model}
    nothing: dict[str, object] = {"alternatives": [], "entities": [], "personal_data": []}
    read = (language.encode(), intent.encode() or None, confidence, None)
    assert facts.of_understood_1(codec.encode("interaction.understood.1", {**written, **nothing})) == read
    for outcome in ("understood", "unsure", "not_understood"):
        now = {**written, **nothing, "outcome": outcome, "truncated": False}
        found = facts.of_understood(codec.encode("interaction.understood.2", now))
        assert found == (read if outcome != "not_understood" else (read[0], None, *read[2:]))


@given(replies=st.lists(st.text(max_size=300), max_size=5), fallback=st.booleans())
def test_a_fallback_is_found_before_any_replies(replies: list[str], fallback: bool) -> None:
    fields = {"replies": [{"text": text} for text in replies], "fallback": fallback, "assistant": "a", "effects": []}
    payload = codec.encode("interaction.answered.1", {**fields, "dialogue_state": None})
    assert facts.of_answered(payload) == (None, None, None, fallback)


@pytest.mark.parametrize("read", [facts.of_understood, facts.of_understood_1, facts.of_answered])
@pytest.mark.parametrize("payload", [b"", b"\x04", b"\x04en", b"\x04en\x7e", b"\x80"])
def test_a_payload_that_is_cut_short_is_tampered(read: object, payload: bytes) -> None:
    with pytest.raises(EventTampered):
        read(payload)  # type: ignore[operator]
