from __future__ import annotations

from uuid import uuid4

import pytest

from tests.vault.keys.homes import JANUARY, Home, sealed_with, someone
from vault.errors import KeyTampered
from vault.keys import (
    Change,
    EraseApplied,
    Give,
    KeyStore,
    Lift,
    Month,
    Person,
    Restrict,
    Unreadable,
    Withdraw,
    month_of,
)
from vault.seal import Dek


class Following:
    """Applies changes as a registrar does, one register event after another."""

    def __init__(self, store: KeyStore) -> None:
        self.store = store
        self.position = 0

    def __call__(self, *changes: Change) -> None:
        for change in changes:
            self.position += 1
            self.store.apply(0, self.position, [change])


@pytest.fixture
def apply(store: KeyStore) -> Following:
    return Following(store)


@pytest.fixture
def person(store: KeyStore) -> Person:
    return someone(store)


def purposes(store: KeyStore, person: Person, dek: Dek) -> set[str]:
    """For which purposes the DEK opens."""
    every = ("service", "rights", "improvement")
    return {p for p in every if isinstance(store.opening(dek.key_id, person.subject, p), Dek)}


def test_consent_begins_a_chapter_that_serves_improvement_and_leaves_the_earlier_as_they_were(
    store: KeyStore, apply: Following, person: Person
) -> None:
    before = sealed_with(store, person)
    apply(Give(person.subject))
    after = sealed_with(store, person)
    assert after.key_id != before.key_id
    assert purposes(store, person, before) == {"service", "rights"}
    assert purposes(store, person, after) == {"service", "rights", "improvement"}


def test_withdrawing_ends_improvement_for_every_chapter_and_begins_another(
    store: KeyStore, apply: Following, person: Person, home: Home
) -> None:
    apply(Give(person.subject))
    deks = [sealed_with(store, person, month) for month in range(3)]
    assert isinstance(store.opening(deks[0].key_id, person.subject, "improvement"), Dek)  # warm
    apply(Withdraw(person.subject))
    after = sealed_with(store, person)
    assert after.key_id not in {dek.key_id for dek in deks}
    for dek in (*deks, after):
        assert purposes(store, person, dek) == {"service", "rights"}
    assert home.open(["improvement"]).opening(deks[0].key_id, person.subject) is Unreadable.WITHHELD
    assert home.rows("SELECT count(*) FROM key_grant WHERE purpose = 'improvement'") == [(0,)]


def test_consent_given_again_does_not_reach_back(store: KeyStore, apply: Following, person: Person) -> None:
    apply(Give(person.subject))
    first = sealed_with(store, person)
    apply(Withdraw(person.subject), Give(person.subject))
    assert purposes(store, person, first) == {"service", "rights"}
    assert purposes(store, person, sealed_with(store, person)) == {"service", "rights", "improvement"}


def test_restriction_leaves_access_only_and_lifting_gives_back_what_was_there(
    store: KeyStore, apply: Following, person: Person, home: Home
) -> None:
    before = sealed_with(store, person)
    apply(Give(person.subject))
    consented = sealed_with(store, person)
    apply(Restrict(person.subject))
    during = sealed_with(store, person, month=1)
    for dek in (before, consented, during):
        assert purposes(store, person, dek) == {"rights"}
        assert home.open(["service"]).opening(dek.key_id, person.subject) is Unreadable.WITHHELD
    apply(Lift(person.subject))
    assert purposes(store, person, before) == {"service", "rights"}
    assert purposes(store, person, consented) == {"service", "rights", "improvement"}
    assert purposes(store, person, during) == {"service", "rights", "improvement"}
    assert store.verify() == []


def test_restricted_person_can_still_be_written_for(
    store: KeyStore, apply: Following, person: Person, home: Home
) -> None:
    before = sealed_with(store, person)
    apply(Restrict(person.subject))
    assert sealed_with(store, person).key_id == before.key_id
    assert sealed_with(home.open(), person).key_id == before.key_id
    assert purposes(store, person, sealed_with(store, person, month=5)) == {"rights"}


def test_consent_withdrawn_during_a_restriction_does_not_come_back_with_its_lifting(
    store: KeyStore, apply: Following, person: Person
) -> None:
    apply(Give(person.subject))
    dek = sealed_with(store, person)
    apply(Restrict(person.subject), Withdraw(person.subject), Lift(person.subject))
    assert purposes(store, person, dek) == {"service", "rights"}
    assert purposes(store, person, sealed_with(store, person)) == {"service", "rights"}


def test_consent_given_during_a_restriction_holds_once_it_is_lifted(
    store: KeyStore, apply: Following, person: Person
) -> None:
    apply(Restrict(person.subject), Give(person.subject))
    dek = sealed_with(store, person)
    assert purposes(store, person, dek) == {"rights"}
    apply(Lift(person.subject))
    assert purposes(store, person, dek) == {"service", "rights", "improvement"}


def test_expired_chapter_is_not_brought_back_by_lifting(store: KeyStore, apply: Following, person: Person) -> None:
    dek = sealed_with(store, person)
    apply(Restrict(person.subject))
    store.expire(sealed_month(1))
    apply(Lift(person.subject))
    assert store.opening(dek.key_id, person.subject) is Unreadable.EXPIRED


def sealed_month(months: int) -> Month:
    return Month(month_of(JANUARY) + months)


@pytest.mark.parametrize("change", [Give, Withdraw, Restrict, Lift])
def test_change_that_holds_already_changes_nothing(
    store: KeyStore, apply: Following, person: Person, change: type[Give | Withdraw | Restrict | Lift]
) -> None:
    apply(change(person.subject))
    dek = sealed_with(store, person)
    held = purposes(store, person, dek)
    apply(change(person.subject))
    assert sealed_with(store, person).key_id == dek.key_id
    assert purposes(store, person, dek) == held


def test_other_people_and_evidence_are_untouched(store: KeyStore, apply: Following, person: Person) -> None:
    other = someone(store, "s2")
    dek, evidence = sealed_with(store, other), store.sealing_evidence(person.case)
    apply(Give(person.subject), Restrict(person.subject), Withdraw(person.subject))
    assert purposes(store, other, dek) == {"service", "rights"}
    assert sealed_with(store, other).key_id == dek.key_id
    assert isinstance(store.opening(evidence.key_id, person.case), Dek)


def test_change_for_somebody_unknown_or_erased_leaves_no_trace(
    store: KeyStore, apply: Following, person: Person, home: Home
) -> None:
    store.erase(person.subject, JANUARY, {})
    for subject in (person.subject, uuid4()):
        apply(Give(subject), Restrict(subject), Lift(subject), Withdraw(subject))
    assert home.rows("SELECT * FROM standing") == []
    assert store.applied(0) == 8


def test_consent_for_a_purpose_without_grants_changes_nothing(
    store: KeyStore, apply: Following, person: Person
) -> None:
    dek = sealed_with(store, person)
    apply(Give(person.subject, "newsletter"), Withdraw(person.subject, "service"))
    assert sealed_with(store, person).key_id == dek.key_id
    assert purposes(store, person, dek) == {"service", "rights"}


def test_changes_and_position_are_one_transaction(store: KeyStore, person: Person, home: Home) -> None:
    dek = sealed_with(store, person)
    store.apply(0, 1, [Restrict(person.subject)])
    with home.sql() as c:
        c.execute("UPDATE key_grant SET wrapped = randomblob(60) WHERE purpose = 'rights'")
    other = someone(store, "s2")
    with pytest.raises(KeyTampered):
        store.apply(0, 3, [Restrict(other.subject), Lift(person.subject)])
    assert store.applied(0) == 1
    assert home.rows("SELECT count(*) FROM standing") == [(1,)]
    assert store.opening(dek.key_id, person.subject, "service") is Unreadable.WITHHELD


def test_position_never_goes_back_and_what_lies_behind_it_is_not_done_again(store: KeyStore, person: Person) -> None:
    assert store.applied(0) == store.applied(1) == 0
    store.apply(0, 5, [Give(person.subject)])
    dek = sealed_with(store, person)
    store.apply(0, 5, [Withdraw(person.subject)])
    store.apply(0, 3, [Withdraw(person.subject)])
    assert store.applied(0) == 5
    assert store.applied(1) == 0
    assert purposes(store, person, dek) == {"service", "rights", "improvement"}


def test_change_that_another_process_applied_still_drops_what_this_one_holds(
    store: KeyStore, person: Person, home: Home
) -> None:
    dek = sealed_with(store, person)
    assert isinstance(store.opening(dek.key_id, person.subject, "service"), Dek)
    home.open().apply(0, 1, [Restrict(person.subject)])
    store.apply(0, 1, [Restrict(person.subject)])
    assert store.opening(dek.key_id, person.subject, "service") is Unreadable.WITHHELD


def test_erasure_that_the_register_knows_is_carried_out_whole_and_noted(store: KeyStore, person: Person) -> None:
    dek = sealed_with(store, person)
    store.apply(2, 7, [EraseApplied(person.subject, JANUARY, {"ground": "art17"})])
    assert store.opening(dek.key_id, person.subject) is Unreadable.ERASED
    assert store.person(person.subject) is None
    (note,) = store.pending("erase")
    assert note.body["subject"] == str(person.subject)
    assert note.body["case"] == str(person.case)
    assert note.body["ground"] == "art17"
    assert store.applied(2) == 7


def test_erasure_that_was_done_here_is_not_noted_twice(store: KeyStore, person: Person) -> None:
    store.erase(person.subject, JANUARY, {})
    store.apply(0, 1, [EraseApplied(person.subject, JANUARY + 5)])
    assert len(store.pending("erase")) == 1
    fence = store.fenced(person.subject)
    assert fence is not None
    assert fence.at_us == JANUARY


def test_erasure_of_somebody_unknown_here_still_raises_the_fence(store: KeyStore) -> None:
    subject = uuid4()
    store.apply(0, 1, [EraseApplied(subject, JANUARY)])
    assert store.fenced(subject)
    assert store.pending("erase")[0].body["case"] is None
