"""The report on a person: everything, in order, opened, with what cannot be and why, and how far it is complete."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from projections.report import Asked, digest, rendered
from projections.worker import Projector
from tests.projections.conftest import change, said, subject_of, turn
from tests.projections.reports import append, companion, declaration, make, person, understood_before
from tests.vault.conftest import Vault
from vault.errors import BadInput
from vault.ids import partition_of
from vault.interaction import Called, Corrected, Delivered, Redacted, Returned, Reviewed
from vault.keys import Unreadable
from vault.request import PrivacyRequest


def text_of(found: Any, language: str = "en") -> str:
    return rendered(found, "text", language).decode()


def test_everything_that_was_said_and_understood_is_in_it_in_order(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", n, f"sentence {n}") for n in range(3)])
    said(vault)
    content = make(vault, projector).content
    assert [i["events"][0]["text"] for i in content["interactions"]] == ["sentence 0", "sentence 1", "sentence 2"]
    events = content["interactions"][0]["events"]
    assert [event["event"] for event in events] == [
        "interaction.received.1",
        "interaction.understood.2",
        "interaction.answered.1",
    ]
    assert (events[1]["intent"], events[1]["confidence"], events[1]["language"]) == ("greet", 0.75, "en")
    assert [reply["text"] for reply in events[2]["replies"]] == ["a reply " * 20, "and another"]
    assert events[0]["at"] == "2025-06-15T15:06:40.000000Z"
    assert content["identities"] == [{"channel": "web", "external_id": "visitor"}]
    assert content["unreadable"] == []


def test_it_is_plain_json_and_says_its_version_and_when(vault: Vault, projector: Projector) -> None:
    said(vault, people=1)
    content = make(vault, projector, "visitor-0").content
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
        content = found.content
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
        assert f"complete to offset {vault.conversations.log.end(subject) - 1} of partition {subject}" in text_of(found)
        assert f"complete to event {vault.register.end(case)} of partition {case}" in text_of(found)


def test_a_partition_that_stopped_makes_it_incomplete_and_it_says_so(vault: Vault, projector: Projector) -> None:
    said(vault, people=1, turns=2)
    both = person(vault, "visitor-0")
    number = partition_of(both.subject)
    vault.conversations.log.send(number, [b"a record of a stranger"]).wait(1_000)
    found = make(vault, projector, "visitor-0")
    content = found.content
    assert content["complete"] is False
    assert "stopped at offset 2" in content["complete_to"][0]["stopped"]
    assert len(content["interactions"]) == 2
    assert "NOT COMPLETE" in text_of(found)


def test_connector_calls_and_their_recipients_are_told(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
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
    (shown,) = found.content["interactions"]
    assert [event["event"] for event in shown["events"]][3:] == ["call.made.1", "reply.delivered.1"]
    assert shown["events"][3]["arguments"] == '{"day": "Monday"}'
    (recipient,) = found.content["recipients"]
    assert (recipient["recipient"], recipient["calls"]) == ("Town Hall", 1)
    assert recipient["last_at"] == "2025-10-09T08:53:20.000000Z"
    (sent,) = recipient["received"]
    assert (sent["connector"], sent["operation"], sent["fields"]) == ("appointments", "book", ["day"])
    assert "Town Hall (undeclared)" in text_of(found)


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
    content = make(vault, projector).content
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
    text = json.dumps(make(vault, projector).content) + text_of(make(vault, projector))
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
    content = found.content
    number = partition_of(subject_of(vault, "visitor"))
    assert [event["place"] for event in content["unreadable"]] == [
        {"partition": number, "offset": 0, "index": index} for index in range(3)
    ]
    assert {event["why"] for event in content["unreadable"]} == {Unreadable.WITHHELD.value}
    assert found.events == 1, "the evidence was opened"
    assert "text" not in content["interactions"][0]["events"][0]
    assert "What cannot be opened, and why" in text_of(found)


def test_a_row_that_was_changed_in_the_file_is_told_and_not_shown(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1), turn("visitor", 2)])
    projector.catch_up()
    change(projector.store, "UPDATE recent_event SET channel = 'sms' WHERE \"offset\" = 0 AND version = 1")
    content = make(vault, projector).content
    (unreadable,) = content["unreadable"]
    assert unreadable["why"] == "it does not open as it was written"
    assert len(content["interactions"]) == 2


def test_a_redacted_message_is_not_opened_any_more(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, "a slip of the tongue"), turn("visitor", 2, "another sentence")])
    content = make(vault, projector).content
    append(vault, companion(vault, Redacted, content["interactions"][0]["interaction"], ground="asked"))
    found = make(vault, projector)
    assert "slip of the tongue" not in json.dumps(found.content) + text_of(found)
    assert "another sentence" in text_of(found)
    assert found.content["summary"]["events"]["interaction.redacted.1"] == 1
    assert found.content["summary"]["events"]["interaction.received.1"] == 1, "its rows are not held any more"
    (withheld,) = found.content["unreadable"]
    assert (withheld["event"], withheld["withheld"]) == ("interaction.redacted.1", "redacted")
    assert "it was redacted" in " ".join(text_of(found).split())


def test_what_a_reviewer_said_of_a_message_is_shown_and_withheld_once_that_is_redacted(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1, "a slip of the tongue")])
    (interaction,) = make(vault, projector).content["interactions"]
    review = {"verdict": "corrected", "intent": "xylophone", "decided_by": "reviewer"}
    append(vault, companion(vault, Reviewed, interaction["interaction"], **review))
    (*_, shown) = make(vault, projector).content["interactions"][0]["events"]
    assert {name: shown[name] for name in review} == review
    append(vault, companion(vault, Redacted, interaction["interaction"], ground="asked"))
    found = make(vault, projector)
    assert "xylophone" not in json.dumps(found.content) + text_of(found)
    assert {one["event"] for one in found.content["unreadable"]} == {"interaction.redacted.1", "interaction.reviewed.1"}


def test_the_text_cannot_move_a_terminals_cursor(vault: Vault, projector: Projector) -> None:
    message = dataclasses.replace(turn("visitor", 1, "red \x1b[31m and \x07 bell\r\nnext"), and_then=None)
    vault.intake.receive([message])
    text = text_of(make(vault, projector))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\r" not in text
    assert "red" in text


# What is declared, and what is


def test_without_a_declaration_it_says_so_and_shows_everything_all_the_same(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    found = make(vault, projector)
    assert found.content["declaration"] is None
    assert found.content["held"] is True
    assert {each["id"]: each["declared"] for each in found.content["purposes"]} == {"service": False, "evidence": False}
    assert "The controller has not declared who is responsible" in " ".join(text_of(found).replace("!!", "").split())


def test_declared_purposes_stand_with_their_basis_and_the_end_of_their_retention(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1)])
    content = make(vault, projector, declaration=declaration()).content
    purposes = {each["id"]: each for each in content["purposes"]}
    service = purposes["service"]
    assert (service["legal_basis"], service["special_basis"]) == ("public_task", "explicit_consent")
    assert (service["events"], service["oldest_ends_at"], service["newest_ends_at"]) == (3, "2026-06-15", "2026-06-15")
    assert (purposes["improvement"]["events"], purposes["improvement"]["consent"]) == (0, None)
    assert purposes["evidence"]["declared"] is False
    assert content["declaration"]["authority"]["name"] == "Authority of the tests"
    assert content["declaration"]["sources"] == [{"fr": "le registre des tests", "en": "the register of the tests"}]
    assert [each["id"] for each in content["categories"] if each["special"]] == ["health"]
    assert content["transfers"] == [
        {"recipient": "carrier", "name": "Carrier of messages", "country": "US", "safeguard": "standard_clauses"}
    ]


def test_what_a_consent_covers_is_what_its_keys_open_and_nothing_after_it_is_withdrawn(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1)])
    subject = subject_of(vault, "visitor")
    vault.registrar.show_notice(subject, notice_version="v1", language="en")
    vault.registrar.give_consent(subject, purpose="improvement", notice_version="v1")
    vault.intake.receive([turn("visitor", 2)])

    def improvement() -> tuple[str, int]:
        content = make(vault, projector, declaration=declaration()).content
        (purpose,) = (each for each in content["purposes"] if each["id"] == "improvement")
        return purpose["consent"], purpose["events"]

    assert improvement() == ("given", 3)
    vault.registrar.withdraw_consent(subject, purpose="improvement")
    assert improvement() == ("withdrawn", 0)


def test_a_purpose_that_was_consented_to_and_is_not_declared_is_shown_as_undeclared(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1)])
    subject = subject_of(vault, "visitor")
    vault.registrar.show_notice(subject, notice_version="v1", language="en")
    vault.registrar.give_consent(subject, purpose="newsletter", notice_version="v1")
    found = make(vault, projector, declaration=declaration())
    (purpose,) = (each for each in found.content["purposes"] if each["id"] == "newsletter")
    assert (purpose["declared"], purpose["consent"], purpose["events"]) == (False, "given", None)
    assert "newsletter (undeclared)" in text_of(found)


def test_a_recipient_and_a_field_that_are_not_declared_are_shown_as_undeclared(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1)])
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
    call = {"connector": "c", "operation": "book"}
    for step, (recipient, arguments) in enumerate(
        [("appointments", '{"day": "Monday", "phone": "0"}'), ("stranger", "[1]")]
    ):
        append(
            vault,
            companion(vault, Called, interaction, step=step, recipient=recipient, arguments=arguments, **call),
        )
    append(
        vault,
        companion(vault, Returned, interaction, step=0, outcome="done", status=200, result="{}", duration_ms=3),
    )
    found = make(vault, projector, declaration=declaration())
    recipients = {each["recipient"]: each for each in found.content["recipients"]}
    (sent,) = recipients["appointments"]["received"]
    assert (sent["fields"], sent["undeclared_fields"], sent["outcome"]) == (["day", "phone"], ["phone"], "done")
    assert recipients["stranger"]["declared"] is False
    assert recipients["stranger"]["received"][0]["outcome"] is None
    assert recipients["carrier"]["channels"][0]["messages"] == 1
    assert "stranger (undeclared)" in text_of(found)
    assert "phone (undeclared)" in " ".join(text_of(found).split())


def test_kinds_of_personal_data_that_nobody_declared_are_counted(vault: Vault, projector: Projector) -> None:
    found_there = [{"start": 0, "end": 5, "kind": "email"}, {"start": 6, "end": 8, "kind": "health"}]
    vault.intake.receive([turn("visitor", 1, personal_data=found_there)])
    categories = {each["id"]: each for each in make(vault, projector, declaration=declaration()).content["categories"]}
    assert (categories["email"]["declared"], categories["email"]["found"]) == (False, 1)
    assert (categories["health"]["declared"], categories["health"]["special"], categories["health"]["found"]) == (
        True,
        True,
        1,
    )


# Who asked


def test_who_asked_is_told_by_the_request_or_else_by_the_operator(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    both = person(vault)
    asked = make(vault, projector, asked=Asked(by="officer", reason="letter", identity="passport seen")).content[
        "asked"
    ]
    assert asked == {"by": "officer", "reason": "letter", "identity": "passport seen", "request": None}
    request = PrivacyRequest.receive(
        case=both.case, kind="access", assurance="verified", due_at_us=1_800_000_000_000_000
    )
    request.check_identity(method="code by e-mail", outcome="confirmed")
    request.extend(due_at_us=1_801_000_000_000_000, reasons="many requests")
    vault.register.save(request, case=both.case)
    found = make(vault, projector, asked=Asked(by="officer", reason="letter", request=request.id))
    told = found.content["asked"]["request"]
    assert (told["id"], told["kind"], told["assurance"]) == (str(request.id), "access", "verified")
    assert told["due_at"] == "2027-01-26T21:46:40.000000Z"
    assert [(each["method"], each["outcome"]) for each in told["identity"]] == [("code by e-mail", "confirmed")]
    assert "code by e-mail, confirmed" in text_of(found)


def test_a_request_of_somebody_else_is_refused(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1), turn("stranger", 2)])
    case = person(vault, "stranger").case
    request = PrivacyRequest.receive(case=case, kind="access", assurance="site", due_at_us=1)
    vault.register.save(request, case=case)
    with pytest.raises(BadInput, match="no request of this person"):
        make(vault, projector, asked=Asked(request=request.id))


# What the bot decided, corrections, restriction


def test_what_the_assistant_decided_is_told_with_what_it_did(vault: Vault, projector: Projector) -> None:
    alternatives = [{"intent": "thank", "confidence": 0.2}]
    vault.intake.receive([turn("visitor", 1, alternatives=alternatives), turn("visitor", 2, intent="")])
    first, second = make(vault, projector).content["automated_decisions"]
    assert (first["intent"], first["confidence"], first["alternatives"]) == ("greet", 0.75, alternatives)
    assert (first["answered"], first["fallback"], first["replies"]) == (True, False, 2)
    assert (second["intent"], second["fallback"]) == ("", True)


def test_a_reading_that_was_not_acted_on_is_told_as_a_reading_and_not_as_the_intent(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1, intent="thank", confidence=0.25, outcome="not_understood")])
    (decision,) = make(vault, projector).content["automated_decisions"]
    assert (decision["intent"], decision["alternatives"]) == ("", [{"intent": "thank", "confidence": 0.25}])


def test_what_an_earlier_version_of_the_program_understood_is_told_in_the_words_of_this_one(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1)])
    understood_before(vault)
    _, before = make(vault, projector).content["interactions"]
    (event,) = before["events"]
    assert (event["event"], event["intent"], event["outcome"]) == ("interaction.understood.1", "greet", "understood")
    (entity,) = event["entities"]
    assert (entity["type"], entity["value"], entity["score"]) == ("thing", "words", None)


def test_a_correction_stands_beside_the_original_and_replaces_nothing(vault: Vault, projector: Projector) -> None:
    entities = [{"start": 0, "end": 5, "type": "day", "value": "Monday"}]
    vault.intake.receive([turn("visitor", 1, "on a Monday", entities=entities)])
    interaction = make(vault, projector).content["interactions"][0]["interaction"]
    append(vault, companion(vault, Corrected, interaction, field="day", value="Tuesday"))
    append(vault, companion(vault, Corrected, interaction, field="text", value="on a Tuesday"))
    append(vault, companion(vault, Corrected, interaction, field="place", value="elsewhere"))
    found = make(vault, projector)
    received, understood, _, day, text, place = found.content["interactions"][0]["events"]
    assert received["text"] == "on a Monday"
    assert [each["value"] for each in received["corrected"]] == ["on a Tuesday"]
    assert [each["value"] for each in understood["corrected"]] == ["Tuesday"]
    assert (day["original"], text["original"], place["original"]) == (["Monday"], ["on a Monday"], [])
    assert place["place"]["partition"] == partition_of(subject_of(vault, "visitor")), (
        "where it stands, not what it says"
    )
    said_in_text = " ".join(text_of(found).split())
    assert "It said before Monday" in said_in_text
    assert "nothing is held under that name" in said_in_text


def test_restricted_data_are_opened_for_the_report_and_it_says_that_they_are_restricted(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1, "a sentence of mine")])
    vault.registrar.restrict(subject_of(vault, "visitor"), ground="accuracy contested")
    found = make(vault, projector, declaration=declaration())
    assert found.content["summary"]["restricted"] is True
    assert found.content["interactions"][0]["events"][0]["text"] == "a sentence of mine"
    assert [each["events"] for each in found.content["purposes"] if each["id"] == "service"] == [0]
    assert "restricted at present" in text_of(found)
    vault.registrar.lift_restriction(subject_of(vault, "visitor"), ground="checked")
    assert make(vault, projector).content["summary"]["restricted"] is False


# The checksum


def test_the_checksum_can_be_computed_again_from_the_file_and_tells_a_change(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive(
        [turn("visitor", 1, "é \U0001f600 \u202e", confidence=1e-7), turn("visitor", 2, confidence=1.0)]
    )
    read = json.loads(rendered(make(vault, projector), "json", "fr"))
    assert digest(read) == read["copy"]["digest"]
    read["interactions"][0]["events"][0]["text"] += "."
    assert digest(read) != read["copy"]["digest"]
    again = make(vault, projector).content
    assert again["copy"]["digest"] == json.loads(rendered(make(vault, projector), "json", "en"))["copy"]["digest"]


def test_a_confidence_that_is_no_number_does_not_break_the_json(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, confidence=float("nan"))])
    found = make(vault, projector)
    assert found.content["automated_decisions"][0]["confidence"] == "nan"
    assert "NaN" not in rendered(found, "json", "en").decode()
    assert "nan" in text_of(found)
