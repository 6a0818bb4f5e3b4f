"""YAML as its author wrote it: text stays text, lines are known, and what could do harm is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.documents import FILE_BYTES_MAX, Document, json_schema, read
from bot.problem import FilesRefused

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "on": {"type": "boolean"},
        "texts": {"type": "array", "items": {"type": "string"}},
        "level": {"type": "string", "enum": ["low", "high"]},
    },
}
ANY: dict[str, Any] = {}


def document(tmp_path: Path, text: str | bytes, schema: dict[str, Any] = SCHEMA) -> Document:
    file = tmp_path / "file.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(tmp_path, file, schema)


def problem(tmp_path: Path, text: str | bytes, schema: dict[str, Any] = SCHEMA) -> str:
    with pytest.raises(FilesRefused) as caught:
        document(tmp_path, text, schema)
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["yes", "no", "on", "null", "~", "01000", "1:20", "1e3", "0x1F", "2026-03-02", "1.0", "true"]
)
def test_text_stays_text_where_the_schema_means_text(tmp_path: Path, text: str) -> None:
    assert document(tmp_path, f"name: {text}").value == {"name": text}
    assert document(tmp_path, f"name: x\ntexts: [{text}]").value["texts"] == [text]


def test_numbers_and_truth_values_are_read_where_the_schema_means_them(tmp_path: Path) -> None:
    read = document(tmp_path, "name: x\ncount: 12\nshare: 0.5\non: true")
    assert read.value == {"name": "x", "count": 12, "share": 0.5, "on": True}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("on: yes", "on is not true or false"),
        ("count: 012", "count is not a whole number"),
        ("count: three", "count is not a whole number"),
        ("share: .inf", "share is not a number"),
        ("texts: one", "texts is not a list"),
        ("level: middle", "'middle' is not known; use one of: low, high"),
        ("cuont: 1", "there is no key 'cuont'; did you mean 'count'?"),
    ],
)
def test_what_is_not_of_the_schema_is_said_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    found = problem(tmp_path, f"name: x\n\n{line}\n")
    assert found.startswith("file.yaml:3: error: ")
    assert said in found


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    found = problem(tmp_path, "count: x\non: y\n")
    assert len(found.splitlines()) == 3
    assert "'name' is missing; add name:" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: &a x\ntexts: [*a]", "anchors and aliases"),
        ("name: x\ntexts: [*a]", "anchors and aliases"),
        ("name: !!python/name:os.system x", "tags are not read"),
        ("name: x\nname: y", "the key 'name' is already in line 1"),
        ("name: x\n---\nname: y", "a second document"),
        ("name: [x", "see to indentation, quotes and colons"),
        ("name: a: b", "see to indentation, quotes and colons"),
        ("\tname: x", "see to indentation, quotes and colons"),
        ("[a, b]: x", "a key that is not text"),
        ("- name", "the file is not a mapping"),
        ("name: 'x\x00y'", "remove control characters"),
        ("[" * 200, "nested more than"),
        ("", "'name' is missing"),
        ("\U0001f600", "the file is not a mapping"),
    ],
)
def test_what_could_mislead_or_do_harm_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    found = problem(tmp_path, text)
    assert found.startswith("file.yaml:")
    assert said in found


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    assert "divide it" in problem(tmp_path, b"#" * (FILE_BYTES_MAX + 1))


def test_a_place_knows_its_line_and_a_missing_one_that_around_it(tmp_path: Path) -> None:
    read = document(tmp_path, "name: x\ntexts:\n  - a\n  - b\n")
    assert (read.line("texts"), read.line("texts", 1), read.line("texts", 9), read.line("none")) == (3, 4, 3, 1)


def test_right_to_left_and_emoji_are_text_like_any_other(tmp_path: Path) -> None:
    assert document(tmp_path, "name: שלום 👋🏽\n").value["name"] == "שלום 👋🏽"


@pytest.mark.parametrize("name", ["assistant.1", "flows.1", "replies.1", "conversations.1"])
def test_the_schemas_are_schemas_and_describe_what_they_are_for(name: str) -> None:
    from jsonschema import Draft202012Validator

    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["description"].endswith(".")
