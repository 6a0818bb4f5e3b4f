"""Rasa 3 training data: what has a place here comes over, and what has none is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlu.checking import check_folder
from nlu.rasa import import_rasa
from nlu.training_files import read_folder
from vault.errors import BadInput

RASA = """\
version: "3.1"
nlu:
- intent: book
  examples: |
    - a table for [two](number) [tomorrow]{"entity": "date", "value": "+1d"}
    - book in [NYC](city:New York)
    - press [ok
- intent: out_of_scope
  examples: |
    - tell me a joke
- intent: faq/price
  examples:
    - text: |
        - how much is it
      metadata:
        sentiment: neutral
    - text: what does it cost
- intent: yes
  examples: |
    - yes
    - 01000
    - a, b: c
- synonym: New York
  examples: |
    - big apple
- lookup: country
  examples: |
    - France
    - Norway
- regex: zip
  examples: |
    - \\d{5}
    - (?=x)
- intent: broken
  examples: |
    - see [here]{"entity": "place", "role": "to"}
    - and [there]{entity}
- story: x
rules:
- rule: hello
"""


@pytest.fixture
def rasa(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "nlu.yml").write_text(RASA, "utf-8")
    return tmp_path / "data"


def test_what_has_a_place_here_comes_over(rasa: Path, tmp_path: Path) -> None:
    import_rasa(rasa).write(tmp_path / "assistant", "en")
    training, findings = check_folder(tmp_path / "assistant")
    assert not [found for found in findings if found.level == "error"]
    by_intent: dict[str, list[str]] = {}
    for place in training.places:
        by_intent.setdefault(place.example.intent, []).append(place.example.text)
    assert by_intent["book"] == ["a table for two tomorrow", "book in NYC", "press [ok"]
    assert by_intent["oos"] == ["tell me a joke"]
    assert by_intent["faq.price"] == ["how much is it", "what does it cost"]
    assert by_intent["yes"] == ["yes", "01000", "a, b: c"]
    first = training.places[0].example
    assert [(span.kind, first.text[span.start : span.end]) for span in first.entities] == [
        ("number", "two"),
        ("date", "tomorrow"),
    ]
    assert training.synonyms == {"tomorrow": "+1d", "NYC": "New York", "big apple": "New York"}
    assert training.lookups == {"country": ["France", "Norway"]}
    assert training.regexes == {"zip": [r"\d{5}"]}


def test_what_has_no_place_here_is_said_with_its_line(rasa: Path) -> None:
    left_out = "\n".join(import_rasa(rasa).left_out)
    lines = RASA.splitlines()
    for what, said in (
        ("metadata:", "'metadata' of an example"),
        ("(?=x)", "a pattern of 'zip'"),
        ('"role"', "'role' of an entity"),
        ("{entity}", "braces are not JSON"),
        ("story:", "a block that is neither"),
        ("rules:", "'rules' is no training data"),
    ):
        number = next(place for place, line in enumerate(lines, 1) if what in line)
        assert f"nlu.yml:{number}: " in left_out, what
        assert said in left_out


def test_a_file_that_is_there_is_not_overwritten(rasa: Path, tmp_path: Path) -> None:
    imported = import_rasa(rasa)
    path = imported.write(tmp_path / "a", "fr")
    before = path.read_bytes()
    with pytest.raises(BadInput, match="is there already"):
        imported.write(tmp_path / "a", "fr")
    assert path.read_bytes() == before
    assert {place.language for place in read_folder(tmp_path / "a")[0].places} == {"fr"}


@pytest.mark.parametrize("text", ["", "nlu: text", "nlu: [1]", "a: &b", "nlu:\n- intent: [x]", "\x00"])
def test_what_holds_no_training_data_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "nlu.yml").write_text(text)
    with pytest.raises(BadInput, match="no Rasa training data"):
        import_rasa(tmp_path)
