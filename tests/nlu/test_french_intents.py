"""What people of a town write to it, in French: without accents, in text-message spelling, tu and vous, mistyped.

`data/fr_test.jsonl` was written and committed before `data/mairie/nlu/fr.yaml`, which no test utterance is copied into; both are by the
same hand and on the same subjects. A family holds paraphrases of one another; tests/bench/nlu.py adds folds by family.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlu.example import Example
from nlu.intents import Intents
from nlu.text import fold, words
from nlu.training_files import Training, read_folder

DATA = Path(__file__).parent / "data"
MUST = 0.88


@pytest.fixture(scope="module")
def asked() -> list[tuple[Example, str]]:
    lines = [json.loads(line) for line in (DATA / "fr_test.jsonl").read_text("utf-8").splitlines()]
    return [(Example(line["text"], line["intent"]), line["family"]) for line in lines]


@pytest.fixture(scope="module")
def town_hall() -> Training:
    return read_folder(DATA / "mairie")[0]


def bare(text: str) -> str:
    return " ".join(word for word in words(fold(text)) if word[0].isalnum())


def test_there_are_enough_utterances_of_every_intent(asked: list[tuple[Example, str]], town_hall: Training) -> None:
    assert len(asked) >= 500
    assert {example.intent for example, _ in asked} == {example.intent for example in town_hall.examples}
    assert len({family for _, family in asked}) > 100


def test_utterances_that_training_never_saw_are_understood(
    asked: list[tuple[Example, str]], town_hall: Training
) -> None:
    seen = {bare(example.text) for example in town_hall.examples}
    unseen = [example for example, _ in asked if bare(example.text) not in seen]
    assert len(unseen) >= 500
    intents, _ = Intents.train(town_hall.examples, calibrate=False)
    answers = intents.probabilities([example.text for example in unseen])[0].argmax(axis=1)
    right = [intents.names[answer] == example.intent for example, answer in zip(unseen, answers, strict=True)]
    assert sum(right) / len(right) >= MUST
