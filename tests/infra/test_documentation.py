"""Nothing is published without its documentation: verbs, settings, schemas."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.cli import parser
from infra.settings import TABLE, Row
from infra.verbs import VERBS
from vault.mapper import EVENT_TOPICS

CHECKOUT = Path(__file__).resolve().parents[2]
SCHEMAS = sorted((CHECKOUT / "schemas").glob("*.avsc"))
README = CHECKOUT / "README.md"
ENVELOPES = {"commit.1"}
PERSONAL = {"yes", "no", "pseudonym", "sealed"}
INSIDE = {"erase-preview", "verify-projection", "snapshot-part", "review-list", "review-show", "review-decide"}
"""What the program asks itself, and nobody types."""


def verbs() -> Mapping[str, argparse.ArgumentParser]:
    (choices,) = (action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return choices


def helps() -> Mapping[str, str]:
    """What `parloir --help` says of each verb."""
    (action,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return {choice.dest: choice.help or "" for choice in action._choices_actions}


# Verbs


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_a_verb_has_help_for_itself_and_for_every_argument(verb: str) -> None:
    assert len(helps()[verb].split()) > 2
    for action in verbs()[verb]._actions:
        assert action.help, f"{verb} {action.dest}"


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_the_example_of_a_verb_can_be_typed(verb: str) -> None:
    shown = verbs()[verb].format_help()
    (example,) = re.findall(r"^Example: (parloir .*)$", shown, re.MULTILINE)
    program, *arguments = shlex.split(example.split(" > ")[0])
    assert program == "parloir"
    assert parser().parse_args(arguments).verb == verb


def test_every_verb_that_a_serving_process_answers_can_be_typed() -> None:
    assert set(VERBS) - INSIDE <= set(verbs())


def test_every_verb_with_a_result_can_print_it_as_json() -> None:
    without = {name for name, verb in verbs().items() if "--json" not in verb.format_usage()}
    assert without == {"serve", "completion"}


# Settings


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_a_setting_has_a_unit_and_a_help_that_is_a_phrase(row: Row) -> None:
    assert row.unit
    assert len(row.help.split()) > 2
    assert not row.help.endswith(".")


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_a_setting_that_counts_something_says_what_in_its_name(row: Row) -> None:
    if row.kind is int:
        units = {"milliseconds": "_ms", "seconds": "_seconds", "days": "_days", "bytes": "_bytes", "MB": "_mb"}
        assert units.get(row.unit, "") in row.name


@pytest.mark.parametrize("name", TABLE)
def test_a_setting_does_something(name: str) -> None:
    places = [path for package in ("infra", "vault", "projections") for path in (CHECKOUT / package).rglob("*.py")]
    read = re.compile(rf"(?<!self)\.{name}\b" + (r"|\bkafka_\{name\}" if name.startswith("kafka_ssl") else ""))
    read_by = [path.name for path in places if path.name != "settings.py" and read.search(path.read_text("utf-8"))]
    if name == "kafka_sasl_mechanism":  # by the same loop as kafka_ssl_*
        read_by = [
            path.name for path in places if "sasl_mechanism" in path.read_text("utf-8") and path.name == "house.py"
        ]
    assert read_by


# Schemas


def fields_of(declared: Any) -> Iterator[Mapping[str, Any]]:
    """Every field of a schema, those of records within it included."""
    if isinstance(declared, list):
        for branch in declared:
            yield from fields_of(branch)
    elif isinstance(declared, Mapping):
        for each in declared.get("fields", ()):
            yield each
            yield from fields_of(each["type"])
        yield from fields_of(declared.get("items"))


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.stem)
def test_a_schema_and_its_fields_say_what_they_mean_and_what_is_personal(file: Path) -> None:
    declared = json.loads(file.read_text("utf-8"))
    assert declared["doc"].endswith(".")
    for each in fields_of(declared):
        assert each["doc"].endswith("."), each["name"]
        assert each["personal"] in PERSONAL, each["name"]


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.stem)
def test_what_is_not_sealed_says_why_it_may_be_clear(file: Path) -> None:
    declared = json.loads(file.read_text("utf-8"))
    if file.stem not in ENVELOPES:
        assert declared["sealed"] in {"content", "evidence", "clear"}
    if declared.get("sealed") not in {"content", "evidence"}:
        for each in fields_of(declared):
            assert len(each["clear"].split()) > 2, each["name"]
            assert each["personal"] != "yes", each["name"]


def test_every_schema_is_of_an_event_that_the_program_knows_and_the_other_way_round() -> None:
    assert {file.stem for file in SCHEMAS} == EVENT_TOPICS | ENVELOPES


# README


def test_the_readme_shows_the_two_commands_and_where_the_verbs_and_settings_are_listed() -> None:
    text = README.read_text("utf-8")
    for shown in ("infra/run", "infra/test", "infra/run --kafka", "parloir --help", "parloir settings"):
        assert shown in text


def test_every_command_that_the_readme_shows_can_be_typed() -> None:
    text = README.read_text("utf-8")
    shown = [*re.findall(r"^(parloir .*?)(?: *#.*)?$", text, re.MULTILINE), *re.findall(r"`(parloir [a-z].*?)`", text)]
    assert len(shown) > 5
    for command in shown:
        name, *arguments = shlex.split(command)[1:]
        assert name in verbs(), command
        if arguments or name in {"verify", "rotate", "rebuild", "settings"}:
            parser().parse_args([name, *arguments])
