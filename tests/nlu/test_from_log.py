"""What may be learnt from the log: only what people said who agree to it, as of now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from nlu import from_log
from tests.nlu.people import NOW_US, decide, heard, meet, read, redact, say
from tests.vault.conftest import Vault
from vault.commit import Commit
from vault.errors import BadInput, EventTampered
from vault.ids import partition_of
from vault.intake import Message
from vault.keys import IMPROVEMENT
from vault.seal import stored

Ends = Callable[[Vault, UUID], object]
ENDINGS: dict[str, Ends] = {
    "withdraws": lambda vault, subject: vault.registrar.withdraw_consent(subject, purpose=IMPROVEMENT),
    "restricts": lambda vault, subject: vault.registrar.restrict(subject, ground="contested"),
    "is erased": lambda vault, subject: vault.registrar.erase(subject, ground="asked", decided_by="test"),
}


def test_only_people_who_agree_are_heard_and_only_since_they_do(vault: Vault) -> None:
    meet(vault, "quiet", agree=False)
    say(vault, "quiet", "never agreed")
    say(vault, "later", "before")
    meet(vault, "later", "other")
    say(vault, "later", "after", 2)
    say(vault, "other", "theirs", 3)
    assert set(heard(vault)) == {"after", "theirs"}


@pytest.mark.parametrize("ends", ENDINGS.values(), ids=ENDINGS)
def test_who_leaves_is_not_heard_any_more_by_any_process(vault: Vault, ends: Ends) -> None:
    subject, _ = meet(vault, "leaves", "stays")
    say(vault, "leaves", "gone")
    say(vault, "stays", "still here", 2)
    assert len(read(vault).heard) == 2
    ends(vault, subject)
    assert set(heard(vault)) == {"still here"}


def test_a_lease_of_this_process_does_not_outlive_what_another_withdrew(vault: Vault) -> None:
    meet(vault, "leaves")
    say(vault, "leaves", "gone")
    assert set(heard(vault)) == {"gone"}
    with vault.keys._database.writing() as c:  # as another process does: leases here are not dropped
        c.execute("DELETE FROM key_grant WHERE purpose = ?", (IMPROVEMENT,))
    assert heard(vault) == {}


def test_a_message_comes_with_how_it_was_understood_and_reviewed(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    interaction = say(vault, "one", "words", personal_data=[{"kind": "email", "start": 0, "end": 5}])
    one = heard(vault)["words"]
    assert (one.subject, one.interaction, one.intent, one.verdict, one.reviews) == (subject, interaction, "book", "", 0)
    assert [(span.start, span.end, span.kind) for span in one.found()] == [(0, 5, "email")]
    assert one.reference == f"{partition_of(subject)}@{one.learnt.offset}"
    decide(vault, "words", "corrected", "cancel")
    assert [(one.intent, one.verdict, one.reviews) for one in read(vault).heard] == [("cancel", "corrected", 1)]
    decide(vault, "words", "rejected")
    assert [(one.intent, one.verdict, one.reviews) for one in read(vault).heard] == [("", "rejected", 2)]


def test_an_earlier_version_of_understanding_is_read_as_the_current_one(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    message = Message("web", "site", "one", "m1", "words", 1_750_000_000_000_000)
    (receipt,) = vault.intake.receive([message])
    fields: dict[str, Any] = {
        "language": "fr",
        "intent": "book",
        "confidence": 0.5,
        "alternatives": [],
        "entities": [],
        "model": "m",
    }
    fields["personal_data"] = [{"kind": "phone", "start": 0, "end": 2}]
    sealed = vault.mapper.seal_fields(
        "interaction.understood.1", receipt.interaction_id, 2, subject, message.at_us, "web", fields
    )
    partition = vault.conversations.partition(partition_of(subject))
    upto = partition.catch_up() - 1
    partition.append([Commit.of((stored(sealed),), follower="nlu", after=-1, upto=upto)])
    (one,) = read(vault).heard
    assert one.understood is not None
    assert (one.intent, one.understood.outcome, one.found()[0].kind) == ("book", "understood", "phone")


def test_a_redacted_message_is_not_heard_and_a_reading_says_so(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    kept, redacted = (say(vault, "one", text, n) for n, text in enumerate(["kept", "redacted"], 1))
    before = {one.interaction: one.learnt.source for one in read(vault).heard}
    redact(vault, subject, redacted)
    reading = read(vault)
    assert [one.interaction for one in reading.heard] == [kept]
    assert reading.is_redacted(before[redacted])
    assert not reading.is_redacted(before[kept])


def test_a_redaction_that_nothing_opens_holds_for_all_that_was_said_before(vault: Vault) -> None:
    subject, _ = meet(vault, "one", "other")
    interaction = say(vault, "one", "before")
    say(vault, "other", "another person's", 2)
    next_month_us = NOW_US + 40 * 86_400_000_000
    redact(vault, subject, interaction, next_month_us)
    key_id = vault.keys.sealing(subject, next_month_us).key_id
    with vault.keys._database.writing() as c:
        c.execute("DELETE FROM key_grant WHERE dek IN (SELECT id FROM dek WHERE key_id = ?)", (key_id,))
    vault.keys.drop(subject)
    say(vault, "one", "after", 3)
    assert set(heard(vault)) == {"after", "another person's"}


def test_what_somebody_else_says_of_a_message_is_not_believed(vault: Vault) -> None:
    mine, theirs = meet(vault, "one", "two")
    interaction = say(vault, "one", "mine")
    say(vault, "two", "theirs", 2)
    redact(vault, theirs, interaction)
    assert set(heard(vault)) == {"mine", "theirs"}
    assert mine != theirs


def test_of_too_many_messages_the_latest_of_each_partition_are_heard(vault: Vault) -> None:
    meet(vault, "one")
    for number in range(6):
        say(vault, "one", f"message {number}", number)
    few = read(vault, messages_max=4)
    assert [one.open_text() for one in few.heard] == ["message 4", "message 5"]


def test_reading_can_begin_at_a_message(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    for number in range(4):
        say(vault, "one", f"message {number}", number)
    third = heard(vault)["message 2"]
    reading = read(vault, starts={partition_of(subject): third.learnt.offset})
    assert [one.open_text() for one in reading.heard] == ["message 2", "message 3"]
    assert reading.at(third.reference).interaction == third.interaction
    with pytest.raises(BadInput, match="there is no message at 0@999999 that may be learnt from"):
        reading.at("0@999999")


@pytest.mark.parametrize("reference", ["", "1", "@", "1@", "@5", "a@b", "1@-1", "1@2@3", "\uff11@\uff12", "1 @2"])
def test_what_is_no_reference_is_refused_with_how_to_write_one(reference: str) -> None:
    with pytest.raises(BadInput, match="PARTITION@OFFSET"):
        from_log.place_of(reference)


def test_a_partition_that_is_not_there_is_refused(vault: Vault) -> None:
    with pytest.raises(BadInput, match="there is no partition 7"):
        read(vault, starts={7: 0})


def test_a_payload_that_was_changed_is_an_error_that_names_the_event(vault: Vault) -> None:
    meet(vault, "one")
    interaction = say(vault, "one", "words")
    (one,) = read(vault).heard
    originator, version, topic, state = one.sealed
    damaged = replace(one, sealed=(originator, version, topic, state[:-1] + bytes([state[-1] ^ 1])))
    with pytest.raises(EventTampered, match=str(interaction)):
        damaged.open_text()


def test_no_text_is_kept_by_a_reading(vault: Vault) -> None:
    meet(vault, "one")
    say(vault, "one", "a marked sentence")
    assert "a marked sentence" not in repr(read(vault))
