"""Training files: what is written is what is learnt, and what is wrong is said with file, line and remedy."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from nlu.checking import check_folder, usable
from nlu.marks import MarkError, read_marks, write_marks
from nlu.span import Span
from nlu.training_files import KEYS, Finding, read_folder
from tests.nlu.conftest import ENGLISH, FRENCH, HOSTILE, write_assistant
from vault.errors import BadInput

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "nlu.1.schema.json").read_text("utf-8"))
TOWN_HALL = Path(__file__).parent / "data" / "mairie"


def findings(folder: Path, french: str, english: str = "") -> list[Finding]:
    return check_folder(write_assistant(folder / "assistant", french, english))[1]


def intents(*lines: str) -> str:
    """A file with two intents, and these lines in a third."""
    return "intents:\n  a: [one two, three four, five, six, seven]\n  b: [red, green, blue, grey, black]\n" + "\n".join(
        lines
    )


# Marks


def test_a_mark_is_text_and_type() -> None:
    text, spans = read_marks("a table for [two](number) [tomorrow](date)!")
    assert text == "a table for two tomorrow!"
    assert spans == (Span(12, 15, "number"), Span(16, 24, "date"))


def test_an_escaped_bracket_is_a_bracket() -> None:
    assert read_marks(r"press \[ok\] and \\ (really)") == ("press [ok] and \\ (really)", ())


@pytest.mark.parametrize(
    "marked", ["[a", "a]", "[a](", "[a]", "[a](b c)", "[](date)", "[ ](date)", "[a]()", "[a](1x)", "[[a](b)](c)"]
)
def test_a_mark_that_is_none_says_where_and_how_to_write_it(marked: str) -> None:
    with pytest.raises(MarkError, match="at character"):
        read_marks(marked)


@given(st.text(min_size=1), st.data())
def test_marks_are_read_back_as_written(text: str, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
    spans = tuple(
        Span(start, end, "kind")
        for start, end in zip(ends[::2], ends[1::2], strict=False)
        if text[start:end].strip() and not set(text[start:end]) & set("[]\\")
    )
    assert read_marks(write_marks(text, spans)) == (text, spans)


# Files


def test_everything_in_the_files_is_read(assistant: Path) -> None:
    training, found = read_folder(assistant)
    assert not found
    assert len(training.places) == 33
    assert training.synonyms == {"piza": "pizza"}
    assert training.lookups == {"city": ["Paris", "Lyon"]}
    assert training.regexes == {"order": [r"\d{4}-\d{2}"]}
    assert {place.language for place in training.places} == {"fr", "en"}
    first = next(place for place in training.places if place.language == "fr")
    assert first.example.text == "une table pour deux demain"
    assert first.example.entities == (Span(20, 26, "date"),)
    assert FRENCH.splitlines()[first.line - 1].endswith("[demain](date)")


def test_the_digest_is_of_what_is_learnt_and_of_nothing_else(tmp_path: Path) -> None:
    digests = [
        read_folder(write_assistant(tmp_path / name, french, ENGLISH))[0].digest()
        for name, french in (
            ("a", FRENCH),
            ("b", "# a comment\n" + FRENCH),
            ("c", FRENCH.replace("ce soir", "ce midi")),
        )
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("path", [None, TOWN_HALL / "nlu" / "fr.yaml"])
def test_the_schema_agrees_with_the_reader(path: Path | None) -> None:
    text = path.read_text("utf-8") if path else FRENCH
    jsonschema.validate(YAML(typ="safe", pure=True).load(text), SCHEMA)
    assert tuple(SCHEMA["properties"]) == KEYS


def test_the_town_hall_has_no_findings() -> None:
    assert check_folder(TOWN_HALL)[1] == []


def test_a_folder_without_files_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has no fr\.yaml or en\.yaml"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("lines", "line", "level", "what"),
    [
        ("  c:\n    - go to [Rome](town)", 5, "error", "an unknown entity 'town'"),
        ("  c:\n    - a [b", 5, "error", "unbalanced mark"),
        ("  c: [x]", 4, "warning", "has 1 example"),
        ("  c: [u, v, w, x, ONE  two]", 4, "error", "the same example as in fr.yaml:2, of another intent (a)"),
        ("  c: [u, v, w, x, y, Y]", 4, "warning", "the same example as in line 4"),
        ("  c: text", 4, "error", "is no list"),
        ("  c: [{x: y}]", 4, "error", "something that is not text"),
        ("  c: ['']", 4, "error", "an empty text"),
        ("  1c: [u, v, w, x, y]", 4, "error", "'1c' is no name"),
        ("intent:\n  c: [x]", 4, "error", "an unknown key 'intent'"),
        ("entities: [dish]", 1, "warning", "declared and marked nowhere"),
        ("regexes: {n: ['(?=a)']}", 4, "error", "a pattern that cannot be used"),
        ("regexes: {n: ['a*']}", 4, "error", "it finds the empty text"),
        ("regexes: {n: ['(a']}", 4, "error", "a pattern that cannot be used"),
        ("regexes: {n: ['((a{100}){100}){100}']}", 4, "error", "a pattern that cannot be used"),
        ("synonyms: {a: [x], b: [x]}", 4, "error", "already stands for 'a'"),
        ("lookups: [a]", 4, "error", "is no map"),
        ("  c:\n    - " + "x" * 2001, 5, "error", "more than 2000 characters"),
        ("  c: *x", 4, "error", "anchors and aliases"),
    ],
)
def test_what_is_wrong_is_found_with_its_line(tmp_path: Path, lines: str, line: int, level: str, what: str) -> None:
    found = [one for one in findings(tmp_path, intents(lines)) if what in one.what]
    assert [(one.line, one.level) for one in found] == [(line, level)]
    assert found[0].remedy
    assert str(found[0]).startswith(f"{found[0].file}:{line}: {level}: ")


def test_one_intent_and_no_example_are_errors(tmp_path: Path) -> None:
    assert "fewer than two intents" in findings(tmp_path / "1", "intents: {a: [b, c, d, e, f]}")[0].what
    assert "no examples at all" in findings(tmp_path / "2", "entities: []")[0].what
    assert "no examples at all" in findings(tmp_path / "3", "# nothing")[0].what


def test_a_language_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    write_assistant(tmp_path)
    (tmp_path / "nlu" / "de.yaml").write_text("intents: {}")
    (found,) = check_folder(tmp_path)[1]
    assert found.level == "error"
    assert found.file.name == "de.yaml"


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    write_assistant(tmp_path)
    (tmp_path / "nlu" / "fr.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in check_folder(tmp_path)[1][0].what


def test_nothing_is_trained_with_an_error(tmp_path: Path) -> None:
    write_assistant(tmp_path, intents("  c: [a [b, c]"), "")
    with pytest.raises(BadInput, match=r"fr.yaml:\d+: "):
        usable(tmp_path)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_examples_are_read_or_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "nlu").mkdir()
    content = f"intents:\n  a:\n    - {text}\n".encode("utf-8", "surrogatepass")
    (tmp_path / "nlu" / "fr.yaml").write_bytes(content)
    assert check_folder(tmp_path)[1]
