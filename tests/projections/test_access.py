"""The report on a person: everything, in order, opened, with what cannot be and why, and how far it is complete."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from projections.access import Report, report
from projections.worker import Projector
from tests.projections.conftest import said, subject_of, turn
from tests.vault.conftest import Vault
from vault.commit import Commit
from vault.ids import partition_of
from vault.interaction import Called, ConversationEvent, Delivered, Redacted, companion_id
from vault.keys import Person, Unreadable
from vault.request import PrivacyRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def person(vault: Vault, sender: str) -> Person:
    found = vault.keys.find("web", sender)
    assert found is not None
    return found


def make(vault: Vault, projector: Projector, sender: str = "visitor") -> Report:
    return report(projector, vault.keys, vault.mapper, person(vault, sender), timeout_ms=10_000, clock=lambda: NOW)


def append(vault: Vault, event: ConversationEvent) -> None:
    partition = vault.conversations.partition(partition_of(event.subject))
    partition.append([Commit.of((vault.mapper.to_stored_event(event),), based_on=partition.catch_up())])


def companion(vault: Vault, kind: type[Any], interaction: str, **fields: Any) -> Any:
    from uuid import UUID

    subject = subject_of(vault, "visitor")
    originator = companion_id(UUID(interaction), kind.TOPIC)
    place = {"originator_id": originator, "subject": subject, "at_us": 1_760_000_000_000_000, "channel": "web"}
    return kind(interaction_id=UUID(interaction), **place, **fields)


def test_everything_that_was_said_and_understood_is_in_it_in_order(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", n, f"sentence {n}") for n in range(3)])
    said(vault)
    content = make(vault, projector).to_json()
    assert [i["events"][0]["text"] for i in content["interactions"]] == ["sentence 0", "sentence 1", "sentence 2"]
    events = content["interactions"][0]["events"]
    assert [event["event"] for event in events] == [
        "interaction.received.1",
        "interaction.understood.1",
        "interaction.answered.1",
    ]
    assert (events[1]["intent"], events[1]["confidence"], events[1]["language"]) == ("greet", 0.75, "en")
    assert [reply["text"] for reply in events[2]["replies"]] == ["a reply " * 20, "and another"]
    assert events[0]["at"] == "2025-06-15T15:06:40.000000Z"
    assert content["identities"] == [{"channel": "web", "external_id": "visitor"}]
    assert content["unreadable"] == []


def test_it_is_plain_json_and_says_its_version_and_when(vault: Vault, projector: Projector) -> None:
    said(vault, people=1)
    content = make(vault, projector, "visitor-0").to_json()
    assert json.loads(json.dumps(content)) == content
    assert content["version"] == 1
    assert content["as_of"] == "2026-01-02T03:04:05.000000Z"
    both = person(vault, "visitor-0")
    assert (content["subject"], content["case"]) == (str(both.subject), str(both.case))


def test_it_is_complete_to_the_ends_of_both_partitions_as_of_the_request(vault: Vault, projector: Projector) -> None:
    for step in range(3):
        said(vault, people=3, turns=6, first=step * 6)
        both = person(vault, "visitor-1")
        found = make(vault, projector, "visitor-1")
        content = found.to_json()
        subject, case = partition_of(both.subject), partition_of(both.case)
        assert content["complete"] is True
        assert content["complete_to"] == [
            {
                "log": "conversations",
                "partition": subject,
                "complete": True,
                "next_offset": vault.conversations.log.end(subject),
            },
            {"log": "register", "partition": case, "complete": True, "next_offset": vault.register.end(case) + 1},
        ]
        assert content["summary"]["events"]["interaction.received.1"] == 2 * (step + 1)
        assert (
            f"complete to offset {vault.conversations.log.end(subject) - 1} of partition {subject}" in found.to_text()
        )
        assert f"complete to event {vault.register.end(case)} of partition {case}" in found.to_text()


def test_a_partition_that_stopped_makes_it_incomplete_and_it_says_so(vault: Vault, projector: Projector) -> None:
    said(vault, people=1, turns=2)
    both = person(vault, "visitor-0")
    number = partition_of(both.subject)
    vault.conversations.log.send(number, [b"a record of a stranger"]).wait(1_000)
    found = make(vault, projector, "visitor-0")
    content = found.to_json()
    assert content["complete"] is False
    assert "stopped at offset 2" in content["complete_to"][0]["stopped"]
    assert len(content["interactions"]) == 2
    assert "NOT COMPLETE" in found.to_text()


def test_connector_calls_and_their_recipients_are_told(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    interaction = make(vault, projector).to_json()["interactions"][0]["interaction"]
    called = companion(
        vault,
        Called,
        interaction,
        step=0,
        connector="appointments",
        recipient="Town Hall",
        operation="book",
        arguments='{"day": "Monday"}',
    )
    append(vault, called)
    append(vault, companion(vault, Delivered, interaction, step=1, outcome="delivered"))
    found = make(vault, projector)
    (shown,) = found.to_json()["interactions"]
    assert [event["event"] for event in shown["events"]][3:] == ["call.made.1", "reply.delivered.1"]
    assert shown["events"][3]["arguments"] == '{"day": "Monday"}'
    assert found.to_json()["recipients"] == [
        {"recipient": "Town Hall", "connector": "appointments", "calls": 1, "last_at": "2025-10-09T08:53:20.000000Z"}
    ]
    assert "Town Hall through appointments: 1 times" in found.to_text()


def test_notices_consents_requests_and_accesses_are_told_in_order(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    both = person(vault, "visitor")
    vault.registrar.show_notice(both.subject, notice_version="v1", language="en")
    vault.registrar.give_consent(both.subject, purpose="improvement", notice_version="v1")
    request = PrivacyRequest.receive(case=both.case, kind="access", assurance="channel", due_at_us=1)
    request.check_identity(method="code", outcome="confirmed")
    vault.register.save(request, case=both.case)
    first = make(vault, projector)
    vault.registrar.record_access(both, actor="officer", reason="request", events=first.events, request_id=request.id)
    content = make(vault, projector).to_json()
    evidence = content["notices_and_consents"]
    assert [event["event"] for event in evidence] == [
        "subject.registered.1",
        "subject.notice_shown.1",
        "subject.consent_given.1",
    ]
    assert evidence[2]["purpose"] == "improvement"
    assert [event["event"] for event in content["requests"]] == ["request.received.1", "request.identity_checked.1"]
    assert {event["request"] for event in content["requests"]} == {str(request.id)}
    (access,) = content["accesses"]
    assert (access["actor"], access["reason"], access["events"]) == ("officer", "request", first.events)
    assert access["request_id"] == str(request.id)


def test_nobody_else_is_in_it(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, "a sentence of mine"), turn("stranger", 2, "a sentence of another")])
    vault.registrar.record_access(person(vault, "stranger"), actor="officer", reason="other", events=1)
    text = json.dumps(make(vault, projector).to_json()) + make(vault, projector).to_text()
    assert "a sentence of mine" in text
    assert "another" not in text.replace("and another", "")
    assert "stranger" not in text
    assert str(subject_of(vault, "stranger")) not in text


def test_what_cannot_be_opened_is_in_it_with_its_place_and_why(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.intake.receive([turn("visitor", 1)])
    opening = vault.keys.opening

    def refusing(key_id: Any, owner: Any, purpose: str | None = None) -> Any:
        return Unreadable.WITHHELD if purpose == "rights" else opening(key_id, owner, purpose)

    monkeypatch.setattr(vault.keys, "opening", refusing)
    found = make(vault, projector)
    content = found.to_json()
    number = partition_of(subject_of(vault, "visitor"))
    assert [event["place"] for event in content["unreadable"]] == [
        {"partition": number, "offset": 0, "index": index} for index in range(3)
    ]
    assert {event["why"] for event in content["unreadable"]} == {Unreadable.WITHHELD.value}
    assert found.events == 1, "the evidence was opened"
    assert "text" not in content["interactions"][0]["events"][0]
    assert "What cannot be opened, and why" in found.to_text()


def test_a_row_that_was_changed_in_the_file_is_told_and_not_shown(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1), turn("visitor", 2)])
    projector.catch_up()
    projector.store._connection.execute("UPDATE event SET channel = 'sms' WHERE \"offset\" = 0 AND version = 1")
    content = make(vault, projector).to_json()
    (unreadable,) = content["unreadable"]
    assert unreadable["why"] == "it does not open as it was written"
    assert len(content["interactions"]) == 2


def test_a_redacted_message_is_not_opened_any_more(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, "a slip of the tongue"), turn("visitor", 2, "another sentence")])
    content = make(vault, projector).to_json()
    append(vault, companion(vault, Redacted, content["interactions"][0]["interaction"], ground="asked"))
    found = make(vault, projector)
    assert "slip of the tongue" not in json.dumps(found.to_json()) + found.to_text()
    assert "another sentence" in found.to_text()
    assert len(found.to_json()["unreadable"]) == 3


def test_the_text_cannot_move_a_terminals_cursor(vault: Vault, projector: Projector) -> None:
    message = dataclasses.replace(turn("visitor", 1, "red \x1b[31m and \x07 bell\r\nnext"), and_then=None)
    vault.intake.receive([message])
    text = make(vault, projector).to_text()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\r" not in text
    assert "red" in text
