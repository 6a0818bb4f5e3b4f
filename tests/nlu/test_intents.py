"""Intents: that what was learnt is found again, that it is the same every time, and that what is foreign is held back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nlu.confidence import Confidence, calibration_error
from nlu.example import Example
from nlu.intents import Intents, fold_numbers
from nlu.training_files import Training
from nlu.understanding import Understanding
from tests.nlu.conftest import HOSTILE
from vault.errors import BadInput


@pytest.fixture(scope="module")
def intents(training: Training) -> Intents:
    return Intents.train(training.examples)[0]


OUTSIDE = [
    "how tall is the tower",
    "combien pèse la lune",
    "sing me a song",
    "who won the match",
    "le sens de la vie",
    "translate hello",
]


def test_an_example_and_its_paraphrase_are_understood(understanding: Understanding) -> None:
    for text, intent in (("book a table", "book"), ("annule ma resa", "cancel"), ("le menu svp", "menu")):
        (answer,) = understanding.parse([text])
        assert answer.intents[0][0] == intent


def test_confidences_fall_and_are_at_most_one_together(intents: Intents) -> None:
    for ranking in intents.rank(["une table", "zzz", "", "on annule tout"]):
        sure = [one for _, one in ranking.intents]
        assert sure == sorted(sure, reverse=True)
        assert all(0 <= one <= 1 for one in sure)
        assert sum(sure) <= 1 + 1e-6


def test_the_same_examples_give_the_same_bytes(training: Training, intents: Intents) -> None:
    once, again = intents.parts(), Intents.train(training.examples)[0].parts()
    assert once[0] == again[0]
    assert {name: array.tobytes() for name, array in once[1].items()} == {
        name: array.tobytes() for name, array in again[1].items()
    }


def test_the_number_of_threads_changes_nothing() -> None:
    program = (
        "import hashlib, numpy as np; from scipy import sparse; from nlu.network import Networks, Recipe\n"
        "random = np.random.default_rng(0)\n"
        "rows = sparse.random(300, 400, 0.1, format='csr', dtype=np.float32, rng=random)\n"
        "made = Networks.train(rows, random.integers(0, 50, 300), 50, Recipe(networks=1, epochs=1))\n"
        "print(hashlib.sha256(b''.join(one.tobytes() for one in made.parts()[1].values())).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1


def test_a_batch_and_one_alone_answer_alike(intents: Intents) -> None:
    texts = ["une table", "the menu", "zzz", ""]
    batched, _ = intents.probabilities(texts)
    alone = np.concatenate([intents.probabilities([text])[0] for text in texts])
    np.testing.assert_allclose(batched, alone, atol=1e-6)


def test_intents_come_back_from_their_parts(intents: Intents) -> None:
    again = Intents.from_parts(*intents.parts())
    texts = ["une table", "the menu", "zzz"]
    np.testing.assert_array_equal(intents.probabilities(texts)[0], again.probabilities(texts)[0])
    assert again.rank(texts) == intents.rank(texts)


def test_out_of_scope_is_never_an_answer_and_lowers_confidence(training: Training, intents: Intents) -> None:
    learnt, metrics = Intents.train([*training.examples, *(Example(text, "oos") for text in OUTSIDE)])
    text = "who won the cup"
    (with_examples,), (bare,) = learnt.rank([text]), intents.rank([text])
    assert "oos" not in dict(with_examples.intents)
    assert with_examples.intents[0][1] < 0.5
    assert len(bare.intents) == 3
    assert metrics["unclear"]["out_of_scope_recall"] is not None


@pytest.mark.parametrize("text", ["", "   ", "\x00", "😀😀", "привет", "\ud800"])
def test_a_text_of_which_nothing_is_known_is_not_understood(intents: Intents, text: str) -> None:
    assert intents.rank([text])[0].decision == "unclear"


def test_hostile_texts_get_an_answer(understanding: Understanding) -> None:
    answers = understanding.parse(list(HOSTILE))
    assert len(answers) == len(HOSTILE)
    for text, answer in zip(HOSTILE, answers, strict=True):
        assert answer.decision in {"understood", "unsure", "unclear"}
        assert 0 <= answer.intents[0][1] <= 1
        assert understanding.parse([text])[0].intents[0][0]


def test_hostile_texts_can_be_trained_on() -> None:
    examples = [Example(text, "strange") for text in HOSTILE] + [Example(f"word {n}", "plain") for n in range(9)]
    intents, _ = Intents.train(examples)
    assert intents.rank(["word 3"])[0].intents[0][0] == "plain"


@pytest.mark.parametrize("examples", [[], [Example("a", "one")], [Example("a", "one"), Example("b", "oos")]])
def test_fewer_than_two_intents_are_refused(examples: list[Example]) -> None:
    with pytest.raises(BadInput, match="fewer than two intents"):
        Intents.train(examples)


def test_an_intent_with_one_example_can_be_trained() -> None:
    examples = [Example("hello there", "greet"), Example("good bye", "leave"), Example("bye now", "leave")]
    intents, _ = Intents.train(examples)
    assert intents.rank(["hello there"])[0].intents[0][0] == "greet"


def test_every_class_is_spread_over_the_folds() -> None:
    classes = np.array([0] * 7 + [1] * 3 + [2])
    folds = fold_numbers(classes)
    assert sorted(np.bincount(folds[classes == 0])) == [2, 2, 3]
    assert sorted(folds[classes == 1]) == [0, 1, 2]


def answers_between(least: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three classes, the first of which leads by `least` or more and is right less often than they say; and classes."""
    random = np.random.default_rng(3)
    first = random.uniform(least, 1, 6_000)
    probabilities = np.stack([first, (1 - first) * 0.7, (1 - first) * 0.3], axis=1)
    return probabilities, np.where(random.random(6_000) < first**2, 0, 1)


def test_confidence_is_calibrated() -> None:
    probabilities, classes = answers_between(0.5)
    sure = Confidence.learn(probabilities, classes, None).of(probabilities, None)
    assert calibration_error(sure, classes == 0) < 0.03 < calibration_error(probabilities[:, 0], classes == 0)


@pytest.mark.parametrize(("least", "name", "lost"), [(0.5, "unclear", 0.005), (0.68, "unsure", 0.0125)])
def test_a_threshold_loses_what_it_may(least: float, name: str, lost: float) -> None:
    probabilities, classes = answers_between(least)
    confidence = Confidence.learn(probabilities, classes, None)
    sure = confidence.of(probabilities, None)
    assert ((classes == 0) & (sure < getattr(confidence, name))).mean() == pytest.approx(lost, abs=0.001)


@pytest.mark.parametrize("least", [0.4, 0.5, 0.7, 0.9])
def test_thresholds_stay_within_reason(least: float) -> None:
    confidence = Confidence.learn(*answers_between(least), None)
    assert 0.2 <= confidence.unclear <= 0.4 <= confidence.unsure <= 0.6


def test_calibration_error_is_the_mean_gap() -> None:
    sure = np.array([0.9, 0.9, 0.1, 0.1])
    assert calibration_error(sure, np.array([True, True, False, False])) == pytest.approx(0.1)
    assert calibration_error(sure, np.array([False, False, True, True])) == pytest.approx(0.9)


# The message before


def dialogues() -> list[Example]:
    """Two wishes, each begun in words of its own and gone on with in the same words."""
    begun = {"book": "I want a table number {}", "menu": "what is dish number {}"}
    examples = []
    for intent, words in begun.items():
        for number in range(12):
            examples.append(Example(words.format(number), intent))
            examples += [Example(text, intent, before=intent) for text in ("yes please", "that one", f"the {number}")]
    return examples


def test_what_was_meant_before_decides_what_words_that_fit_everything_mean() -> None:
    learnt, metrics = Intents.train(dialogues())
    texts = ["yes please", "yes please", "what is dish number 3"]
    answers = learnt.rank(texts, ["book", "menu", "book"])
    assert [answer.intents[0][0] for answer in answers] == ["book", "menu", "menu"]
    alone = [learnt.rank([text], [before])[0] for text, before in zip(texts, ["book", "menu", "book"], strict=True)]
    assert [one.intents[0][0] for one in alone] == [one.intents[0][0] for one in answers]
    assert metrics["in_scope_accuracy"] > 0.9
    again = Intents.from_parts(*learnt.parts())
    assert again.rank(texts, ["book", "menu", "book"]) == answers


def test_a_message_before_that_training_never_saw_changes_nothing(intents: Intents) -> None:
    learnt, _ = Intents.train(dialogues(), calibrate=False)
    for text in ("that one", "what is dish number 3"):
        batched, _ = learnt.probabilities([text, text], ["unheard of", "unheard of either"])
        np.testing.assert_array_equal(batched[0], batched[1])
    assert intents.rank(["une table"], ["book"]) == intents.rank(["une table"])
