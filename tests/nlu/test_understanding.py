"""What is understood of a message, all together, with what is plugged in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nlu.span import Span
from nlu.text import CHARACTERS_MAX
from nlu.training_files import Training
from nlu.understanding import Plugs, Understanding

AT = datetime(2026, 1, 31, tzinfo=UTC)


class Words:
    """Finds one word, as an entity or as personal data, and keeps what it was asked with."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked: list[Any] = []

    def find(self, texts: Sequence[str], *asked: Any) -> list[list[Span]]:
        self.asked.append(asked)
        return [
            [Span(text.index(self.word), text.index(self.word) + len(self.word), "word", found_by="test")]
            if self.word in text
            else []
            for text in texts
        ]

    def parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"word": self.word}, {"length": np.array([len(self.word)], np.int32)}


PLUGS = Plugs(
    train_entities=lambda training: Words(next(iter(training.entities))),
    load_entities=lambda meta, arrays: Words(meta["word"]),
    personal=Words("moi"),
)


def test_what_is_plugged_in_is_trained_asked_kept_and_loaded(training: Training, tmp_path: Path) -> None:
    understanding, metrics = Understanding.train(training, PLUGS)
    text = "une table et un dish pour moi"
    (answer,) = understanding.parse([text], AT, "Europe/Paris")
    assert [text[span.start : span.end] for span in answer.entities] == ["dish"]
    assert [text[span.start : span.end] for span in answer.personal] == ["moi"]
    entities = understanding._entities
    assert isinstance(entities, Words)
    assert entities.asked == [(AT, "Europe/Paris", ["fr"], [answer.intents[0][0]])]
    understanding.save(tmp_path / "m", trained_on="", made_at="", metrics=metrics)
    loaded, _ = Understanding.load(tmp_path / "m", PLUGS)
    assert loaded.parse([text]) == [answer]
    bare, _ = Understanding.load(tmp_path / "m")
    assert bare.parse([text])[0].entities == ()


def test_an_entity_without_a_value_has_that_of_its_synonym(training: Training, tmp_path: Path) -> None:
    plugs = Plugs(lambda training: Words("Piza"), PLUGS.load_entities)
    understanding, metrics = Understanding.train(training, plugs, calibrate=False)
    understanding.save(tmp_path / "m", trained_on="", made_at="", metrics=metrics)
    for one in (understanding, Understanding.load(tmp_path / "m", plugs)[0]):
        assert [span.value for span in one.parse(["une Piza svp"])[0].entities] == ["pizza"]


def test_the_language_of_the_conversation_is_taken_into_account(understanding: Understanding) -> None:
    french, english, unknown = understanding.parse(["ok", "ok", "pizza svp"], languages=["fr", "en", None])
    assert (french.language, english.language, unknown.language) == ("fr", "en", "fr")


def test_a_message_that_is_too_long_is_cut_and_says_so(understanding: Understanding) -> None:
    long, short = understanding.parse(["annuler " * CHARACTERS_MAX, "annuler"])
    assert long.cut
    assert not short.cut
    assert long.intents[0][0] == "cancel"


def test_no_messages_give_no_answers(understanding: Understanding) -> None:
    assert understanding.parse([]) == []
