"""A review stands in the log beside its message, without its words, and goes with its person."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlu import review
from nlu.from_log import ACCEPTED, CORRECTED, REJECTED
from tests.contracts.events import everything
from tests.nlu.people import NOW_US, decide, heard, meet, read, say
from tests.vault.conftest import Vault
from vault.errors import AppendRefused, BadInput, SubjectErased
from vault.ids import partition_of
from vault.interaction import Reviewed
from vault.keys import IMPROVEMENT
from vault.mapper import Closed

MARK = "xylophone marmalade"


def reviews(vault: Vault) -> list[Reviewed | Closed]:
    """Every review that stands in the log."""
    return [
        opened
        for number in range(vault.conversations.partitions)
        for accepted in everything(vault.conversations.partition(number))
        for event in accepted.standing()
        if event.topic == Reviewed.TOPIC and isinstance(opened := vault.mapper.open(event), Reviewed | Closed)
    ]


def test_a_review_names_its_message_and_never_repeats_its_words(vault: Vault, tmp_path: Path) -> None:
    (subject,) = meet(vault, "one")
    interaction = say(vault, "one", MARK)
    decide(vault, MARK, ACCEPTED)
    (stands,) = reviews(vault)
    assert isinstance(stands, Reviewed)
    assert (stands.subject, stands.interaction_id, stands.verdict) == (subject, interaction, ACCEPTED)
    assert (stands.intent, stands.decided_by, stands.channel) == ("book", "reviewer", "web")
    assert MARK not in repr(stands)
    vault.close()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and MARK.encode() in file.read_bytes()]


def test_the_latest_review_counts(vault: Vault) -> None:
    meet(vault, "one")
    say(vault, "one", MARK)
    for verdict, intent in ((REJECTED, ""), (CORRECTED, "cancel"), (ACCEPTED, "")):
        decide(vault, MARK, verdict, intent)
    one = heard(vault)[MARK]
    assert (one.verdict, one.meant, one.reviews) == (ACCEPTED, "cancel", 3)


def test_of_two_reviewers_at_the_same_time_the_second_is_told(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    say(vault, "one", MARK)
    reading = read(vault)
    decide(vault, MARK, ACCEPTED)
    late = review.Review(reading.heard[0], REJECTED)
    with pytest.raises(AppendRefused, match=f"at {partition_of(subject)}@.* was reviewed by somebody else"):
        review.append(vault.conversations, vault.mapper, reading, [late], decided_by="other", at_us=NOW_US)
    assert heard(vault)[MARK].verdict == ACCEPTED


def test_what_was_not_understood_cannot_be_accepted_and_can_be_corrected(vault: Vault) -> None:
    meet(vault, "one")
    say(vault, "one", MARK, intent="")
    with pytest.raises(BadInput, match=r"nothing was understood at .*; say what it means"):
        decide(vault, MARK, ACCEPTED)
    decide(vault, MARK, CORRECTED, "cancel")
    assert heard(vault)[MARK].meant == "cancel"


def test_an_intent_is_a_name_and_no_place_for_words_of_a_message(vault: Vault) -> None:
    meet(vault, "one")
    say(vault, "one", MARK)
    for intent in ("", " ", "two words", "x" * 201, "a\nb", "\ud800", "1st", MARK):
        with pytest.raises(BadInput, match="no name of an intent"):
            decide(vault, MARK, CORRECTED, intent)
    assert reviews(vault) == []


def test_a_bad_review_among_others_leaves_all_of_them_undone(vault: Vault) -> None:
    meet(vault, "one")
    for number, intent in enumerate(["book", ""]):
        say(vault, "one", f"{MARK} {number}", number, intent)
    reading = read(vault)
    both = [review.Review(one, ACCEPTED) for one in reading.heard]
    with pytest.raises(BadInput):
        review.append(vault.conversations, vault.mapper, reading, both, decided_by="reviewer", at_us=NOW_US)
    assert reviews(vault) == []


def test_a_review_cannot_be_opened_once_its_person_is_erased_and_none_can_follow(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    say(vault, "one", MARK)
    reading = read(vault)
    decide(vault, MARK, ACCEPTED)
    vault.registrar.erase(subject, ground="asked", decided_by="test")
    (stands,) = reviews(vault)
    assert isinstance(stands, Closed)
    with pytest.raises(SubjectErased):
        review.append(
            vault.conversations,
            vault.mapper,
            reading,
            [review.Review(reading.heard[0], REJECTED)],
            decided_by="reviewer",
            at_us=NOW_US,
        )


def test_after_a_withdrawal_reviews_serve_no_improvement_even_when_consent_is_given_again(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    say(vault, "one", MARK)
    decide(vault, MARK, ACCEPTED)
    vault.registrar.withdraw_consent(subject, purpose=IMPROVEMENT)
    vault.registrar.give_consent(subject, purpose=IMPROVEMENT, notice_version="v1")
    assert heard(vault) == {}
    say(vault, "one", "said since", 2)
    assert [(text, one.verdict) for text, one in heard(vault).items()] == [("said since", "")]
