"""A trained model as the dialogue asks for it: outcomes in the dialogue's words, values as text, personal data that fills slots."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.understood import Reading, Thresholds
from infra.cli import main
from infra.nlu_verbs import plugs
from infra.understands import Trained
from nlu.checking import usable
from nlu.understanding import Understanding
from tests.bot import small

NOON_US = 1_772_449_200_000_000
"""2 March 2026, 12:00 in Paris."""

EXAMPLES = {
    "book": ["book a repair", "I want to book a repair", "a repair for my [racer](bicycle)", "please book me in"],
    "prices": ["what does it cost", "the price of a repair", "how much is it", "tell me the price"],
    "greet": ["hello", "good morning", "hi there", "hello to you"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [f"  {intent}:\n" + "".join(f"    - {text}\n" for text in texts) for intent, texts in EXAMPLES.items()]
    others = [
        f"  {intent}: [say {intent} one, say {intent} two]\n" for intent in small.INTENTS if intent not in EXAMPLES
    ]
    training = "synonyms:\n  road: [racer]\nentities: [bicycle]\nintents:\n" + "".join([*lines, *others])
    return small.write(tmp_path_factory.mktemp("workshop"), training=training)


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    understanding, _ = Understanding.train(usable(folder), plugs(), calibrate=False)
    path = folder / "model.parloir"
    understanding.save(path, trained_on="", made_at="2026-01-01T00:00:00Z", metrics={})
    return path


def test_what_a_model_finds_is_what_the_dialogue_hears(model: Path) -> None:
    heard = Trained.load(model, "Europe/Paris").understand(
        "book a repair for the racer tomorrow, I am Camille Exemple",
        id="m",
        at_us=NOON_US,
        channel="web",
        language="en",
    )
    assert (heard.language, heard.intents[0].intent) == ("en", "book")
    assert heard.outcome in set(Reading)
    assert heard.reading(None) is heard.outcome
    assert heard.reading(Thresholds(1.1, 1.05)) is Reading.NONE  # an assistant's own thresholds come first
    entities = {(entity.kind, entity.value, entity.text) for entity in heard.entities}
    assert ("date", "2026-03-03", "tomorrow") in entities
    assert ("person", "Camille Exemple", "Camille Exemple") in entities


def test_what_is_asked_about_is_not_far_behind_the_best(model: Path) -> None:
    heard = Trained.load(model, "UTC").understand("zzz", id="m", at_us=NOON_US, channel="web", language="")
    for outcome, some in ((Reading.NONE, False), (Reading.UNSURE, True)):
        heard = type(heard)("m", NOON_US, "zzz", intents=heard.intents, outcome=outcome)
        assert bool(heard.likely(None)) is some
    assert heard.intents[0].intent == heard.likely(None)[0]


def test_conversation_tests_are_held_with_a_model_but_those_that_say_how_sure_it_is(
    folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = folder / "tests" / "all.yaml"
    tests.parent.mkdir()
    tests.write_text(
        "language: en\ntests:\n"
        "  - {name: hello, turns: [{user: hello, intent: greet, bot: [greet]}]}\n"
        "  - {name: unsure, turns: [{user: hello, intent: hours, confidence: 0.4, bot: [system_did_you_mean]}]}\n",
        "utf-8",
    )
    assert main(["test", str(folder)]) == 0
    assert "2 conversations" in capsys.readouterr().out
    main(["test", str(folder), "--understanding", "trained", "--model", str(model)])
    assert "1 conversations" in capsys.readouterr().out


def test_a_model_that_is_not_there_is_said_to_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(folder), "--understanding", "trained", "--model", str(folder / "none")]) == 2
    assert "none" in capsys.readouterr().err
