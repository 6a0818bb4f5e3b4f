from __future__ import annotations

import itertools

from tests.vault.keys.homes import JANUARY, Home, Process, sealed_with, someone
from vault.keys import Claim, KeyStore


def test_two_processes_make_the_same_people_and_keys_once(store: KeyStore, home: Home) -> None:
    others = [Process(home, "make", people=60) for _ in range(2)]
    for other in others:
        other.wait_for("ready")
    for other in others:
        other.go()
    one, two = (other.end() for other in others)
    for made in ("subjects", "cases", "deks"):
        assert one[made] == two[made]
        assert len(set(one[made])) == 60
    assert one["created"] + two["created"] == 60
    counts = store.counts()
    assert (counts["tie"], counts["identity"], counts["dek"], counts["note"]) == (60, 60, 120, 60)
    assert store.verify() == []


def test_counts_are_of_what_is_held(store: KeyStore, home: Home) -> None:
    person, other = someone(store, "s1"), someone(store, "s2")
    sealed_with(store, person)
    store.link(person.subject, "email", "s1@example.invalid")
    store.erase(other.subject, JANUARY, {})
    store.claim([Claim(b"c" * 16, person.subject, 0, 0)])
    assert store.counts() == {
        "dek": 3,
        "key_grant": 4,
        "standing": 0,
        "fence": 1,
        "identity": 2,
        "tie": 1,
        "mention": 0,
        "redacted": 0,
        "model": 0,
        "learnt_from": 0,
        "note": 3,
        "epoch": 1,
        "claims": 1,
        "claims_pending": 1,
    }
    assert store.count_deks(person.subject) == store.count_deks(person.case) == 1
    assert store.count_deks(other.subject) == 0


def test_what_callers_remember_here_is_kept_apart_from_what_the_key_store_needs(store: KeyStore, home: Home) -> None:
    for name in ("epoch", "claims_id", "passed_over/register/0"):
        assert store.meta(name) is None
        store.set_meta(name, "7")
    again = home.open()
    assert again.meta("epoch") == again.meta("passed_over/register/0") == "7"
    assert again.counts()["epoch"] == 1
    again.set_meta("epoch", None)
    assert store.meta("epoch") is None


def test_claim_id_is_of_the_message_and_interaction_id_also_of_the_person(store: KeyStore, home: Home) -> None:
    person, other = someone(store, "s1"), someone(store, "s2")
    message = ("web", "shop", "s1", "m1")
    assert store.claim_id(*message) == home.open().claim_id(*message)
    assert len(store.claim_id(*message)) == 16
    ids = {store.interaction_id(store.claim_id(*message), p.subject) for p in (person, other)}
    assert len(ids) == 2
    parts = [store.claim_id(*changed) for changed in itertools.permutations(message)]
    assert len(set(parts)) == 24


def test_closing_lets_go_of_every_key(store: KeyStore) -> None:
    sealed_with(store, someone(store))
    store.close()
    assert [len(c) for c in (store._chapters._opened, store._chapters._sealing, store._resolved)] == [0, 0, 0]
