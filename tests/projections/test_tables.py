"""What people ask of the projection's tables: rights, disclosures, and statistics that outlive the persons in them."""

from __future__ import annotations

from typing import Any

import pytest

from projections import sql
from projections.rebuild import rebuild
from projections.settle import settle
from projections.store import Store
from projections.verification import verify
from projections.worker import Projector
from tests.projections.conftest import rows, said, subject_of, turn
from tests.projections.test_settle import redact, statistics
from tests.vault.conftest import Vault
from vault.commit import Commit
from vault.errors import BadInput
from vault.ids import partition_of
from vault.interaction import Called, companion_id
from vault.request import PrivacyRequest

AT_US = 1_750_000_000_000_000


def case_of(vault: Vault, sender: str) -> Any:
    person = vault.keys.find("web", sender)
    assert person is not None
    return person.case


def call(vault: Vault, sender: str, arguments: str = '{"name": "x", "city": "y"}') -> Called:
    subject = subject_of(vault, sender)
    event = Called(
        originator_id=companion_id(subject, Called.TOPIC),
        subject=subject,
        at_us=AT_US,
        channel="web",
        interaction_id=subject,
        step=0,
        connector="orders",
        recipient="the carrier",
        operation="GET /orders",
        arguments=arguments,
    )
    partition = vault.conversations.partition(partition_of(subject))
    based_on = partition.catch_up()
    partition.append([Commit.of((vault.mapper.to_stored_event(event),), based_on=based_on)])
    return event


def test_a_consent_is_a_row_with_its_withdrawal(vault: Vault, projector: Projector) -> None:
    said(vault, people=2, turns=2)
    subject, case = subject_of(vault, "visitor-0"), case_of(vault, "visitor-0")
    vault.registrar.show_notice(subject, notice_version="3", language="en")
    vault.registrar.give_consent(subject, purpose="improvement", notice_version="3")
    query = 'SELECT "case", purpose, withdrawn_at IS NOT NULL, notice_version FROM consent ORDER BY given_at'
    projector.catch_up()
    assert rows(projector.store, query) == [(case, "improvement", False, "3")]
    vault.registrar.withdraw_consent(subject, purpose="improvement")
    vault.registrar.give_consent(subject, purpose="improvement", notice_version="3")
    projector.catch_up()
    expected = [(case, "improvement", True, "3"), (case, "improvement", False, "3")]
    assert rows(projector.store, query) == expected
    settle(projector.store, projector.keys)
    assert rows(projector.store, query) == expected


def test_a_restriction_is_a_row_with_its_lifting_and_closes_the_facts_of_what_comes_meanwhile(
    vault: Vault, projector: Projector
) -> None:
    said(vault, people=1, turns=1)
    subject, case = subject_of(vault, "visitor-0"), case_of(vault, "visitor-0")
    vault.registrar.restrict(subject, ground="accuracy contested")
    said(vault, people=1, turns=1, first=1)
    projector.catch_up()
    query = 'SELECT "case", lifted_at IS NOT NULL FROM restriction'
    assert rows(projector.store, query) == [(case, False)]
    assert rows(projector.store, "SELECT count(*) FROM interaction WHERE intent IS NULL") == [(2,)]
    assert ("interaction.understood.2", "withheld", 2) in rows(
        projector.store, "SELECT event_topic, reason, events FROM unreadable"
    )
    vault.registrar.lift_restriction(subject, ground="settled")
    projector.catch_up()
    assert rows(projector.store, query) == [(case, True)]


def test_a_request_tells_its_status_and_when_it_is_due(vault: Vault, projector: Projector) -> None:
    said(vault, people=1, turns=1)
    case = case_of(vault, "visitor-0")
    request = PrivacyRequest.receive(case=case, kind="access", assurance="verified", due_at_us=AT_US)
    vault.register.save(request, case=case)
    projector.catch_up()
    query = (
        'SELECT request, "case", kind, assurance, status, outcome, epoch_us(due_at), closed_at IS NOT NULL FROM request'
    )
    assert rows(projector.store, query) == [(request.id, case, "access", "verified", "received", None, AT_US, False)]
    request.check_identity(method="a code", outcome="confirmed")
    request.extend(due_at_us=AT_US + 5, reasons="many")
    vault.register.save(request, case=case)
    projector.catch_up()
    assert [row[4:7] for row in rows(projector.store, query)] == [("extended", None, AT_US + 5)]
    request.answer(outcome="sent")
    vault.register.save(request, case=case)
    projector.catch_up()
    assert [row[4:] for row in rows(projector.store, query)] == [("answered", "sent", AT_US + 5, True)]


def test_an_access_tells_as_what_and_why_and_names_nobody(vault: Vault, projector: Projector) -> None:
    said(vault, people=1, turns=1)
    person = vault.keys.find("web", "visitor-0")
    assert person is not None
    vault.registrar.record_access(person, actor="command line, account 0", reason="request 1", events=7)
    vault.registrar.record_access(person, actor="somebody with a name", reason="request 2", events=1)
    projector.catch_up()
    found = rows(projector.store, 'SELECT "case", role, reason, events FROM access_log ORDER BY reason')
    assert found == [(person.case, "command line", "request 1", 7), (person.case, "other", "request 2", 1)]


def test_a_disclosure_tells_the_recipient_and_which_fields_left(vault: Vault, projector: Projector) -> None:
    said(vault, people=2, turns=2)
    made = call(vault, "visitor-0")
    call(vault, "visitor-1", arguments="no JSON")
    projector.catch_up()
    query = "SELECT subject, recipient, connector, operation, fields FROM disclosure ORDER BY fields"
    expected = [
        (made.subject, "the carrier", "orders", "GET /orders", ["city", "name"]),
        (subject_of(vault, "visitor-1"), "the carrier", "orders", "GET /orders", None),
    ]
    assert rows(projector.store, query) == expected
    settle(projector.store, projector.keys)
    assert rows(projector.store, query) == expected
    vault.registrar.erase(made.subject, ground="request 1", decided_by="officer")
    projector.catch_up()
    assert rows(projector.store, query) == expected[1:]


def test_a_redaction_takes_what_was_said_and_what_is_understood_of_it_later(vault: Vault, projector: Projector) -> None:
    import dataclasses

    whole = turn("visitor", 1)
    (receipt,) = vault.intake.receive([dataclasses.replace(whole, and_then=None)])
    vault.intake.receive([turn("visitor", 2)])
    projector.catch_up()
    redact(vault, receipt.interaction_id, receipt.subject)
    projector.catch_up()
    assert rows(projector.store, "SELECT count(*) FROM interaction") == [(1,)]
    assert whole.and_then is not None
    late = whole.and_then(receipt.interaction_id, receipt.subject)
    commit = Commit.of(tuple(map(vault.mapper.to_stored_event, late)), follower="bot", after=-1, upto=0)
    vault.conversations.partition(receipt.partition).append([commit])
    projector.catch_up()
    assert rows(projector.store, "SELECT count(*) FROM interaction") == [(1,)]
    assert verify(projector).problems == []
    topics = rows(projector.store, "SELECT event_topic FROM sealed_event ORDER BY ALL")
    assert ("interaction.redacted.1",) in topics
    assert len(topics) == 4


def test_a_redaction_holds_where_processing_is_restricted(vault: Vault, projector: Projector) -> None:
    said(vault, people=1, turns=2)
    projector.catch_up()
    subject = subject_of(vault, "visitor-0")
    ((interaction,), _) = rows(projector.store, "SELECT interaction FROM interaction")
    vault.registrar.restrict(subject, ground="accuracy contested")
    redact(vault, interaction, subject)
    projector.catch_up()
    assert rows(projector.store, "SELECT count(*) FROM interaction") == [(1,)]


def test_a_tampered_redaction_stops_its_partition_at_its_offset(vault: Vault, projector: Projector) -> None:
    import dataclasses
    from uuid import uuid4

    said(vault, people=1, turns=2)
    subject = subject_of(vault, "visitor-0")
    made = call(vault, "visitor-0")
    partition = vault.conversations.partition(partition_of(subject))
    forged = dataclasses.replace(vault.mapper.to_stored_event(made), originator_id=uuid4())
    ((offset, _),) = partition.append([Commit.of((forged,), based_on=partition.next_offset)])
    said(vault, people=1, turns=2, first=10)
    positions = projector.catch_up()
    assert positions["conversations", partition_of(subject)] == offset
    assert projector.stopped["conversations", partition_of(subject)].offset == offset
    assert rows(projector.store, "SELECT count(*) FROM disclosure") == [(1,)]
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(7,)]


# Statistics


def many(vault: Vault, people: int = 8, **understood: Any) -> None:
    vault.intake.receive([turn(f"visitor-{n}", n, **understood) for n in range(people)])


def test_groups_of_few_persons_are_merged(vault: Vault, projector: Projector) -> None:
    many(vault)
    vault.intake.receive([turn(f"visitor-{n}", 100 + n, intent="rare") for n in range(3)])
    vault.intake.receive([turn("visitor-0", 200 + n, intent="often by one") for n in range(9)])
    projector.catch_up()
    by_intent, by_channel = statistics(projector.store)
    assert [row[1:] for row in by_intent] == [
        ("(others)", "(others)", "(others)", 12, 0),
        ("web", "en", "greet", 8, 0),
    ]
    assert [row[1:] for row in by_channel] == [("web", 20, 0)]


@pytest.mark.parametrize("settled", [False, True])
def test_who_is_erased_or_redacted_stays_counted_and_is_in_no_row(
    vault: Vault, projector: Projector, settled: bool
) -> None:
    many(vault)
    many(vault, people=6, intent="order")
    projector.catch_up()
    if settled:
        settle(projector.store, projector.keys)
    before = statistics(projector.store)
    subject = subject_of(vault, "visitor-3")
    ((interaction, of_another),) = rows(
        projector.store, "SELECT interaction, subject FROM interaction WHERE subject <> ? LIMIT 1", subject
    )
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    projector.catch_up()
    assert statistics(projector.store) == before
    redact(vault, interaction, of_another)
    projector.catch_up()
    assert [sum(row[-2] for row in part) for part in statistics(projector.store)] == [
        sum(row[-2] for row in part) for part in before
    ]
    held = rows(projector.store, "SELECT * FROM gone_daily")
    assert not any(one in row for row in held for one in (subject, of_another, interaction))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM gone_daily",
        "WITH gone_daily AS (SELECT * FROM gone_daily) SELECT * FROM gone_daily",
        "SELECT * FROM main.gone_daily",
        'SELECT * FROM "GONE_DAILY"',
        "SUMMARIZE gone_daily",
        "DESCRIBE gone_daily",
    ],
)
def test_no_query_reaches_the_counts_of_few_who_are_gone(projector: Projector, query: str) -> None:
    with pytest.raises(BadInput):
        sql.query(projector.store, query)


def test_a_rebuild_keeps_the_counts_of_who_is_gone(vault: Vault, projector: Projector) -> None:
    many(vault)
    projector.catch_up()
    ((interaction, of_another),) = rows(projector.store, "SELECT interaction, subject FROM interaction LIMIT 1")
    redact(vault, interaction, of_another)
    erased = next(s for s in (subject_of(vault, f"visitor-{n}") for n in range(3)) if s != of_another)
    vault.registrar.erase(erased, ground="request 1", decided_by="officer")
    projector.catch_up()
    before = statistics(projector.store)
    rebuild(projector)
    assert statistics(projector.store) == before
    # Erased and redacted after the old file was last written: the new one has read it, and counted it once.
    ((interaction, of_another),) = rows(
        projector.store, "SELECT interaction, subject FROM interaction WHERE subject <> ? LIMIT 1", of_another
    )
    redact(vault, interaction, of_another)
    other = next(s for s in (subject_of(vault, f"visitor-{n}") for n in range(3, 8)) if s != of_another)
    vault.registrar.erase(other, ground="request 2", decided_by="officer")
    rebuild(projector)
    assert [sum(row[-2] for row in part) for part in statistics(projector.store)] == [8, 8]
    assert verify(projector).problems == []


def test_the_threshold_is_the_one_that_the_store_is_opened_with(vault: Vault, projector: Projector) -> None:
    many(vault, people=3)
    projector.catch_up()
    assert [row[1] for row in statistics(projector.store)[1]] == ["(others)"]
    folder = projector.store.folder
    log_id = projector.store._options.log_id
    projector.close()
    projector.store.close()
    store = Store.open(folder, log_id=log_id, memory_mb=96, threads=1, persons_min=3)
    assert [row[1] for row in statistics(store)[1]] == ["web"]
    store.close()
