"""Understanding by the nearest example, for trying an assistant out: the same everywhere, and never at a loss."""

from __future__ import annotations

import pytest

from bot.by_example import ByExample
from bot.training import read_training
from bot.understood import Reading, Thresholds, Understood
from infra.assistants import SHIPPED

NEAREST = ByExample(read_training(SHIPPED / "townhall"))


def understood(text: str, language: str = "") -> Understood:
    return NEAREST.understand(text, id="m", at_us=1, channel="web", language=language)


@pytest.mark.parametrize(
    ("text", "intent", "language"),
    [
        ("je voudrais un acte de naissance svp", "request_birth_certificate", "fr"),
        ("QUAND PASSENT LES POUBELLES", "waste_days", "fr"),
        ("signaler un lampadaire en pane", "report_problem", "fr"),
        ("my passport was stolen!", "lost_document", "en"),
        ("talk to a human", "talk_to_agent", "en"),
        ("yes", "affirm", "en"),
        ("no", "deny", "en"),
    ],
)
def test_a_message_means_what_its_nearest_example_means(text: str, intent: str, language: str) -> None:
    found = understood(text)
    assert (found.intents[0].intent, found.language) == (intent, language)


def test_entities_are_marked_words_look_ups_and_iso_dates_with_their_values() -> None:
    found = understood("un rdv pour ma CNI rue des lilas le 2026-03-10 à 9:30")
    assert {(entity.kind, entity.value) for entity in found.entities} == {
        ("document", "identity_card"),
        ("street", "rue des Lilas"),
        ("date", "2026-03-10"),
        ("time", "09:30"),
    }


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "👋", "שלום", "x" * 100_000, "12345 67890"])
def test_what_is_like_no_example_is_understood_as_nothing(text: str) -> None:
    assert understood(text).reading(Thresholds()) is Reading.NONE


def test_between_equals_the_language_of_the_conversation_decides() -> None:
    assert understood("ok", "fr").language == "fr"
    assert understood("ok", "en").language == "en"
