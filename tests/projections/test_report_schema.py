"""Reports are what their published JSON Schemas say, every field is described, and nothing is in them that is not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from projections.report import Report, rendered, taken
from projections.worker import Projector
from tests.projections.conftest import change, subject_of, turn
from tests.projections.reports import append, companion, declaration, make, person, understood_before
from tests.vault.conftest import Vault
from vault.interaction import (
    Called,
    Corrected,
    Delivered,
    HandedOver,
    MessageSent,
    MessageSent1,
    Rated,
    Redacted,
    Returned,
    Reviewed,
    TimerDue,
    TimerSet,
)
from vault.mapper import EVENT_TOPICS
from vault.request import PrivacyRequest

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
PUBLISHED = ("report.1", "portable.1")


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return found


def closed(declared: Any) -> Any:
    """The schema with nothing allowed that it does not name: for us; whoever reads reports must bear new fields."""
    if isinstance(declared, list):
        return [closed(each) for each in declared]
    if not isinstance(declared, dict):
        return declared
    made = {name: closed(value) for name, value in declared.items()}
    if "properties" in made and made.get("type") == "object":
        made["additionalProperties"] = False
    return made


def errors(name: str, content: Any) -> list[str]:
    """Where a report is not as its schema says."""
    found = Draft202012Validator(closed(schema(name))).iter_errors(content)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found]


def all_there_is(vault: Vault, projector: Projector) -> None:
    """Every kind of event that a living person can have, once at least."""
    data = [{"start": 0, "end": 5, "kind": "other:name"}]
    entities = [{"start": 0, "end": 5, "type": "thing", "value": "words"}]
    alternatives = [{"intent": "thank", "confidence": 0.2}]
    turns = [
        turn("visitor", n, personal_data=data, entities=entities, alternatives=alternatives, intent=("greet", "")[n])
        for n in range(2)
    ]
    vault.intake.receive([*turns, turn("visitor", 2, confidence=float("inf"))])
    first, second, _ = (each["interaction"] for each in make(vault, projector).content["interactions"])
    call = {"step": 0, "connector": "c", "operation": "book"}
    append(vault, companion(vault, Called, first, recipient="appointments", arguments='{"day": 1, "x": 2}', **call))
    append(vault, companion(vault, Called, first, recipient="stranger", arguments="not JSON", **call))
    append(vault, companion(vault, Returned, first, step=0, outcome="done", status=200, result="{}", duration_ms=3))
    append(vault, companion(vault, Delivered, first, step=1, outcome="delivered"))
    append(vault, companion(vault, MessageSent1, first, origin="agent", text="an agent spoke"))
    append(vault, companion(vault, MessageSent, first, origin="agent", replies=[{"text": "an agent speaks"}]))
    append(vault, companion(vault, TimerSet, first, step=2, due_at_us=1, flow="remind", slots="{}", language="en"))
    append(vault, companion(vault, TimerDue, first, step=2, flow="remind", slots="{}", language="en"))
    append(vault, companion(vault, Rated, first, score=5, remark=None))
    append(vault, companion(vault, Corrected, first, field="text", value="other words"))
    append(vault, companion(vault, Reviewed, first, verdict="accepted", intent="greet", decided_by="reviewer"))
    append(vault, companion(vault, HandedOver, first, queue="agents", ground="asked for"))
    understood_before(vault)
    append(vault, companion(vault, Redacted, second, ground="asked for"))
    subject, both = subject_of(vault, "visitor"), person(vault)
    registrar = vault.registrar
    registrar.link(subject, channel="email", external_id="visitor@example.org", assurance="verified")
    registrar.show_notice(subject, notice_version="v1", language="en")
    registrar.give_consent(subject, purpose="improvement", notice_version="v1")
    registrar.give_consent(subject, purpose="newsletter", notice_version="v1")
    registrar.withdraw_consent(subject, purpose="improvement")
    registrar.restrict(subject, ground="contested")
    registrar.lift_restriction(subject, ground="checked")
    data_subject = vault.register.subject(both.case)
    assert data_subject is not None
    data_subject.rectify(ground="request", fields=["text"])
    vault.register.save(data_subject, case=both.case)
    for refused in (False, True):
        request = PrivacyRequest.receive(case=both.case, kind="access", assurance="site", due_at_us=1)
        request.check_identity(method="code", outcome="confirmed")
        request.extend(due_at_us=2, reasons="many")
        if refused:
            request.refuse(ground="unfounded")
        else:
            request.answer(outcome="sent")
        vault.register.save(request, case=both.case)
    registrar.record_access(both, actor="officer", reason="request", events=1)
    projector.catch_up()
    change(projector.store, "UPDATE recent_event SET channel = 'sms' WHERE event_topic = 'interaction.rated.1'")


@pytest.fixture
def whole(vault: Vault, projector: Projector) -> Report:
    all_there_is(vault, projector)
    return make(vault, projector, declaration=declaration(), blank_others=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_schema_is_one_and_describes_every_field(name: str) -> None:
    declared = schema(name)
    Draft202012Validator.check_schema(declared)

    def undescribed(part: Any, place: str) -> list[str]:
        found = [] if part.get("description", "").endswith(".") else [place]
        for each in ("properties", "$defs"):
            for field, within in part.get(each, {}).items():
                found += undescribed(within, f"{place}/{field}")
        if isinstance(part.get("items"), dict):
            found += undescribed(part["items"], f"{place}/*")
        for at, branch in enumerate(part.get("anyOf", ())):
            if branch.get("type") == "object":
                found += undescribed(branch, f"{place}|{at}")
        return found

    assert not undescribed(declared, name)


def test_a_report_of_everything_there_is_fits_its_schema_and_reads_back_the_same(whole: Report) -> None:
    read = json.loads(rendered(whole, "json", "en"))
    assert read == whole.content
    assert errors("report.1", read) == []
    topics = set(read["summary"]["events"])
    assert topics == EVENT_TOPICS - {"subject.erased.1", "case.erased.1"}


def test_what_the_person_provided_fits_its_schema(whole: Report) -> None:
    assert errors("portable.1", json.loads(taken(whole))) == []


def test_a_report_without_a_declaration_or_a_message_fits_its_schema(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    assert errors("report.1", make(vault, projector).content) == []
    change(projector.store, "DELETE FROM recent_event")
    content = make(vault, projector, declaration=declaration()).content
    assert content["interactions"] == []
    assert errors("report.1", content) == []


def test_every_field_of_every_event_is_described(whole: Report) -> None:
    fields = set(schema("report.1")["$defs"]["event"]["properties"])
    for file in SCHEMAS.glob("*.avsc"):
        if file.stem != "commit.1":
            declared = {each["name"] for each in json.loads(file.read_text("utf-8"))["fields"]} - {"interaction_id"}
            assert declared <= fields, file.stem


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda c: c.pop("copy"), "'copy' is a required property"),
        (lambda c: c.update(as_of="yesterday"), "as_of"),
        (lambda c: c["unreadable"][0].update(withheld="because"), "unreadable/0/withheld"),
        (lambda c: c.update(another=1), "another"),
        (lambda c: c["interactions"][0]["events"][0].update(colour=1), "colour"),
        (lambda c: c["purposes"][0].update(name={"fr": "x"}), "purposes/0/name"),
    ],
)
def test_the_schema_is_not_satisfied_by_anything(whole: Report, damage: Any, named: str) -> None:
    content = copy.deepcopy(whole.content)
    damage(content)
    assert any(named in error for error in errors("report.1", content))
