"""Published event versions stay readable and unchanged, and payloads are exactly what their schemas say."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.conftest import Vault
from tests.vectors.freeze import CHECKOUT, ENVELOPE, VECTORS, declared, digest, freeze, from_json, sample
from vault import codec
from vault.errors import EventTampered
from vault.intake import Message
from vault.interaction import Understood
from vault.mapper import EVENT_TOPICS
from vault.seal import stored

SCHEMAS = declared()
PUBLISHED: dict[str, str] = json.loads((VECTORS / "schemas.json").read_text("utf-8"))
SAMPLES = {
    file.stem: [
        (from_json(each["fields"]), bytes.fromhex(each["avro"])) for each in json.loads(file.read_text("utf-8"))
    ]
    for file in sorted((VECTORS / "events").glob("*.json"))
}
EACH_SAMPLE = [
    pytest.param(topic, *each, id=f"{topic}-{kind}")
    for topic, samples in SAMPLES.items()
    for kind, each in zip(("full", "bare"), samples, strict=True)
]
ADVICE = "a published schema is never edited: leave it as it was and add a new version beside it"
RECEIVED = {"account": "a", "sender": "s", "message_id": "m", "text": "marked words", "payload": None, "locale": None}


# Published


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_schema_is_what_it_was(name: str) -> None:
    assert name in SCHEMAS, f"{name} is gone; {ADVICE}"
    assert digest(SCHEMAS[name]) == PUBLISHED[name], f"{name} was changed; {ADVICE}"


def test_every_schema_is_frozen_and_every_event_has_a_sample() -> None:
    remedy = "run python -m tests.vectors.freeze and commit what it writes"
    assert set(PUBLISHED) == set(SCHEMAS), remedy
    assert set(SAMPLES) == set(SCHEMAS) - {ENVELOPE} == EVENT_TOPICS, remedy


@pytest.mark.parametrize(("topic", "fields", "avro"), EACH_SAMPLE)
def test_every_published_event_version_is_read_and_written_as_ever(
    topic: str, fields: dict[str, Any], avro: bytes
) -> None:
    assert codec.decode(topic, avro) == fields
    assert codec.encode(topic, fields) == avro


def test_samples_hold_every_field_and_their_bare_twins_as_little_as_can_be() -> None:
    for topic, ((full, _), (bare, _)) in SAMPLES.items():
        assert list(full) == list(bare) == [field["name"] for field in SCHEMAS[topic]["fields"]]
        assert all(value not in (None, [], b"") for value in full.values())


def edited(change: Callable[[Any], None]) -> str:
    schema = copy.deepcopy(SCHEMAS["interaction.answered.1"])
    change(schema)
    return digest(schema)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda s: s["fields"][1].update(name="helper"), True),
        (lambda s: s["fields"][1].update(type="bytes"), True),
        (lambda s: s["fields"].reverse(), True),
        (lambda s: s["fields"].pop(), True),
        (lambda s: s["fields"].append({"name": "new", "type": "int", "personal": "no"}), True),
        (lambda s: s["fields"][1].update(personal="yes"), True),
        (lambda s: s["fields"][1].update(default=""), True),
        (lambda s: s["fields"][2]["type"]["items"]["fields"][0].update(personal="no"), True),
        (lambda s: s["fields"][2]["type"]["items"]["fields"][1].pop("default"), True),
        (lambda s: s["fields"][2]["type"]["items"]["fields"].pop(), True),
        (lambda s: s.update(sealed="evidence"), True),
        (lambda s: s.update(name="Other"), True),
        (lambda s: s.update(doc="Other words."), False),
        (lambda s: s["fields"][1].update(doc="Other words."), False),
    ],
    ids=["name", "type", "order", "field gone", "field new", "personal", "default", "personal within", "default within",
         "field gone within", "sealed", "record", "doc", "doc of a field"],
)  # fmt: skip
def test_what_readers_rely_on_cannot_change_unnoticed(change: Callable[[Any], None], differs: bool) -> None:
    assert (edited(change) != PUBLISHED["interaction.answered.1"]) is differs


def test_freezing_again_writes_nothing_and_says_what_differs(tmp_path: Path) -> None:
    one = {"interaction.received.1": SCHEMAS["interaction.received.1"]}
    assert freeze(one, tmp_path) == (["interaction.received.1"], [])
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.json")}
    assert len(before) == 2
    assert freeze(one, tmp_path) == ([], [])
    changed = {"interaction.received.1": {**one["interaction.received.1"], "sealed": "evidence"}}
    assert freeze(changed, tmp_path) == ([], ["interaction.received.1"])
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.json")} == before
    (tmp_path / "schemas.json").unlink()
    assert freeze(changed, tmp_path) == ([], ["interaction.received.1"])
    assert (tmp_path / "events" / "interaction.received.1.json").read_bytes() in before.values()


def test_what_is_frozen_here_is_what_freezing_would_write(tmp_path: Path) -> None:
    freeze(SCHEMAS, tmp_path)
    for file in tmp_path.rglob("*.json"):
        assert file.read_bytes() == (VECTORS / file.relative_to(tmp_path)).read_bytes(), file.name


def test_the_freezing_command_finds_nothing_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.vectors.freeze"], cwd=CHECKOUT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_sealed_field_needs_no_reason_to_be_clear() -> None:
    for topic in SAMPLES:
        if codec.sealed(topic) != "clear":
            assert "clear" not in json.dumps(SCHEMAS[topic])


# The codec


def test_payloads_hold_exactly_the_schemas_fields_and_refusals_quote_nothing() -> None:
    lacking = {name: value for name, value in RECEIVED.items() if name != "sender"}
    for fields in (
        lacking,
        {**RECEIVED, "other": 1},
        {**RECEIVED, "text": 7},
        {**RECEIVED, "locale": 7},
        {**RECEIVED, "text": "\ud800"},
    ):
        with pytest.raises(ValueError, match=r"do not fit the schema of interaction\.received\.1") as caught:
            codec.encode("interaction.received.1", fields)
        assert "marked" not in repr(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_what_has_a_default_may_be_left_out() -> None:
    answered = {"fallback": False, "assistant": "a", "effects": [], "dialogue_state": None}
    avro = codec.encode(
        "interaction.answered.1", {**answered, "replies": [{"text": "t", "buttons": [{"title": "b", "url": "u"}]}]}
    )
    assert codec.decode("interaction.answered.1", avro)["replies"] == [
        {"text": "t", "buttons": [{"title": "b", "payload": None, "url": "u"}]}
    ]
    avro = codec.encode("interaction.answered.1", {**answered, "replies": [{"text": "t"}]})
    assert codec.decode("interaction.answered.1", avro)["replies"] == [{"text": "t", "buttons": []}]


@pytest.mark.parametrize(("topic", "fields", "avro"), EACH_SAMPLE)
def test_a_payload_cut_or_extended_anywhere_is_tampered(topic: str, fields: dict[str, Any], avro: bytes) -> None:
    assert fields is not None
    for damaged in (*(avro[:length] for length in range(len(avro))), avro + b"\0", avro + avro, avro + bytes(100)):
        if damaged != avro:
            with pytest.raises(EventTampered):
                codec.decode(topic, damaged)


@given(st.sampled_from(sorted(SAMPLES)), st.binary(max_size=80))
def test_any_bytes_are_a_payload_or_tampered(topic: str, payload: bytes) -> None:
    try:
        fields = codec.decode(topic, payload)
    except EventTampered:
        return
    assert set(fields) == {field["name"] for field in SCHEMAS[topic]["fields"]}


@pytest.mark.parametrize(
    "name", ["interaction.received.999", "", "nothing", "../pyproject", "/etc/hosts", "interaction/received.1"]
)
def test_a_topic_of_another_program_version_is_named_with_the_remedy(name: str) -> None:
    with pytest.raises(EventTampered, match="use a program version that knows it"):
        codec.decode(name, b"")


def test_ids_are_the_fields_of_sixteen_bytes() -> None:
    assert codec.ids("call.made.1") == {"interaction_id"}
    assert codec.ids("message.sent.1") == {"interaction_id"}
    assert codec.ids("access.opened.1") == {"request_id"}
    assert codec.ids("case.erased.1") == frozenset()
    for topic in SAMPLES:
        full = sample(codec.load(topic), full=True)
        assert codec.ids(topic) == {
            name for name, value in full.items() if isinstance(value, bytes) and len(value) == 16
        }


# Earlier versions


def test_an_earlier_version_is_read_as_the_current_one_says_it(vault: Vault) -> None:
    turn = Message("web", "site", "visitor", "m1", "words", 1_750_000_000_000_000)
    (receipt,) = vault.intake.receive([turn])
    for fields, _ in SAMPLES["interaction.understood.1"]:
        place = (receipt.interaction_id, 2, receipt.subject, turn.at_us, "web")
        sealed = vault.mapper.seal_fields("interaction.understood.1", *place, fields)
        event = vault.mapper.open(stored(sealed))
        assert isinstance(event, Understood)
        same = ("language", "intent", "confidence", "alternatives", "model")
        assert {name: getattr(event, name) for name in same} == {name: fields[name] for name in same}
        assert event.outcome == ("understood" if fields["intent"] else "not_understood")
        assert [(e["type"], e["value"]) for e in event.entities] == [
            (e["entity"], e["value"]) for e in fields["entities"]
        ]
        again = vault.mapper.open(vault.mapper.to_stored_event(event))
        assert again == event, "what was read of an earlier version can be written as the current one"
