"""French or English, in messages as short as people write them."""

from __future__ import annotations

import pytest

from nlu.language import Languages
from tests.nlu.conftest import HOSTILE

FRENCH = (
    "rdv",
    "stp",
    "svp",
    "ok merci",
    "bjr",
    "oui",
    "c ou la mairie",
    "jsuis en retard",
    "jveux un rdv",
    "déjà fait",
    "d'accord",
)
ENGLISH = (
    "ok thanks",
    "asap pls",
    "yes",
    "where is it",
    "thx",
    "idk",
    "what time",
    "btw u there",
    "I need help",
    "nope",
)


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages.train({})


@pytest.mark.parametrize("text", FRENCH)
def test_short_french_is_french(languages: Languages, text: str) -> None:
    assert languages.name(text, 0.5)[0] == "fr"


@pytest.mark.parametrize("text", ENGLISH)
def test_short_english_is_english(languages: Languages, text: str) -> None:
    assert languages.name(text, 0.5)[0] == "en"


@pytest.mark.parametrize("text", ["ok", "42", "👍", "", "???"])
def test_what_says_nothing_is_in_the_language_of_the_conversation(languages: Languages, text: str) -> None:
    assert languages.name(text, 0.9)[0] == "fr"
    assert languages.name(text, 0.1)[0] == "en"


def test_the_conversation_does_not_drown_a_clear_message(languages: Languages) -> None:
    assert languages.name("where can I pay my bill", 1.0)[0] == "en"
    assert languages.name("je voudrais payer ma facture", 0.0)[0] == "fr"


def test_a_mixed_message_follows_most_of_its_words(languages: Languages) -> None:
    assert languages.name("je veux cancel mon booking", 0.5)[0] == "fr"
    assert languages.name("I need a rdv for tomorrow", 0.5)[0] == "en"


def test_words_of_the_assistant_count() -> None:
    learnt = Languages.train({"fr": ["pétanque au boulodrome"] * 3, "en": ["croquet on the lawn"] * 2})
    assert learnt.probability_of_french("boulodrome", 0.5) > 0.85
    assert learnt.probability_of_french("croquet", 0.5) < 0.2
    assert learnt.usual == "fr"


def test_languages_come_back_from_their_parts() -> None:
    learnt = Languages.train({"fr": ["au boulodrome"], "en": ["on the lawn"]})
    again = Languages.from_parts(*learnt.parts())
    for text in (*FRENCH, *ENGLISH, "zorglub"):
        assert again.name(text) == learnt.name(text)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_has_a_language(languages: Languages, text: str) -> None:
    name, score = languages.name(text)
    assert name in {"fr", "en"}
    assert 0.5 <= score <= 1
