"""Scores are what their definitions say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from nlu.evaluation import Line, entity_scores, evaluate, evaluate_folds, read_lines, score
from nlu.example import Example
from nlu.intents import Decision
from nlu.span import Span
from nlu.understanding import Understood
from vault.errors import BadInput


def answer(intent: str, decision: Decision = "understood", *entities: Span) -> Understood:
    return Understood("en", 1.0, ((intent, 0.9),), decision, entities)


def test_accuracy_and_recall_at_both_thresholds() -> None:
    test = [
        Example("1", "a"),
        Example("2", "a"),
        Example("3", "b"),
        Example("4", "b"),
        Example("5", "oos"),
        Example("6", "oos"),
    ]
    answers = [
        answer("a"),
        answer("b"),
        answer("b", "unsure"),
        answer("b", "unclear"),
        answer("a", "unclear"),
        answer("a", "unsure"),
    ]
    figures = score(test, answers)
    assert figures["all"] == {"in_scope_accuracy": 0.75, "out_of_scope_recall": 0.0}
    assert figures["unclear"] == {"in_scope_accuracy": 0.5, "out_of_scope_recall": 0.5}
    assert figures["unsure"] == {"in_scope_accuracy": 0.25, "out_of_scope_recall": 1.0}
    assert figures["intent"]["micro_f1"] == 0.5
    # a: P 1/2 R 1/2; b: P 1/2 R 1/2; oos: P 1/2 R 1/2
    assert figures["intent"]["macro_f1"] == 0.5


def test_an_entity_counts_when_its_type_is_exact_and_the_spans_overlap() -> None:
    wanted = [Span(0, 5, "date"), Span(10, 15, "city")]
    found = [Span(3, 8, "date"), Span(4, 5, "date"), Span(10, 15, "place")]
    assert entity_scores([(wanted, found)], overlap=True) == {
        "precision": 0.3333,
        "recall": 0.5,
        "f1": 0.4,
        "right": 1,
        "wanted": 2,
        "found": 3,
    }
    assert entity_scores([(wanted, found)], overlap=False)["right"] == 0


def test_combined_counts_intents_and_entities_together() -> None:
    test = [Example("1", "a", (Span(0, 1, "x"),))]
    figures = score(test, [answer("b", "understood", Span(0, 1, "x"))])
    assert figures["combined_f1"] == 0.5


def examples() -> list[Line]:
    words = {"a": ["red", "green", "blue"], "b": ["one", "two", "three"]}
    return [
        Line(Example(f"{word} {n}", intent), str(n)) for intent in words for word in words[intent] for n in range(2)
    ]


def test_a_trained_part_is_scored_and_timed() -> None:
    given = [line.example for line in examples()]
    figures = evaluate(given, given)
    assert figures["intent"]["micro_f1"] == 1.0
    assert {"training_s", "alone_ms", "batched_ms", "calibration_error"} <= figures.keys()


def test_folds_are_answered_by_the_others() -> None:
    figures = evaluate_folds(examples())
    assert figures["tested_on"] == 12
    assert len(figures["folds"]) == 2
    assert figures["intent"]["micro_f1"] == sum(fold["intent"]["micro_f1"] for fold in figures["folds"]) / 2


def test_a_file_without_folds_is_refused() -> None:
    with pytest.raises(BadInput, match="no folds"):
        evaluate_folds([Line(line.example, "") for line in examples()])


def test_lines_are_read_gzip_or_not(tmp_path: Path) -> None:
    line = {"text": "in Rome", "intent": "go", "entities": [{"start": 3, "end": 7, "entity": "city"}], "fold": 3}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n\n")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(line).encode()))
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert read_lines(tmp_path / name) == [Line(Example("in Rome", "go", (Span(3, 7, "city"),)), "3")]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"{", ":1: not an example"),
        (b'{"text": 1}', ":1: not an example"),
        (b'{"text": "a", "entities": [1]}', ":1: not an example"),
        (b"[1]", ":1: not an example"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_what_is_no_example_is_refused_with_its_line(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(BadInput, match=what):
        read_lines(tmp_path / "a.jsonl")


def test_a_file_that_is_not_there_or_not_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    for name in ("a.gz", "none"):
        with pytest.raises(BadInput, match="cannot read"):
            read_lines(tmp_path / name)
