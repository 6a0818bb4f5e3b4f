from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest

from tests.vault.keys.homes import JANUARY, MONTH, Home, sealed_with, someone
from vault.errors import BadInput, KeyTampered, KeyWithheld, PersonUnknown, SubjectErased
from vault.ids import KeyId
from vault.keys import KeyStore, Restrict, Unreadable, month_of
from vault.seal import Dek


def test_a_month_is_a_chapter(store: KeyStore) -> None:
    person = someone(store)
    assert sealed_with(store, person) is sealed_with(store, person)
    assert sealed_with(store, person).key_id != sealed_with(store, person, month=1).key_id
    assert store.sealing(person.subject, JANUARY + MONTH - 1).key_id == sealed_with(store, person).key_id
    assert store.sealing(person.subject, JANUARY - 1).key_id != sealed_with(store, person).key_id
    assert store.count_deks(person.subject) == 3


def test_chapters_are_of_one_person_each(store: KeyStore) -> None:
    person, other = someone(store, "s1"), someone(store, "s2")
    dek = sealed_with(store, person)
    assert sealed_with(store, other).key_id != dek.key_id
    assert store.opening(dek.key_id, other.subject) is Unreadable.MISSING
    assert store.opening(dek.key_id, person.subject) is dek
    assert store.opening(dek.key_id, other.subject) is Unreadable.MISSING  # nor once it is warm


def test_what_was_sealed_opens_after_a_restart_with_the_same_key(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek, evidence = sealed_with(store, person), store.sealing_evidence(person.case)
    sealed = dek.aead.encrypt(bytes(12), b"payload", b"")
    again = home.open()
    opened = again.opening(dek.key_id, person.subject)
    assert isinstance(opened, Dek)
    assert opened.aead.decrypt(bytes(12), sealed, b"") == b"payload"
    assert sealed_with(again, person).key_id == dek.key_id
    assert again.sealing_evidence(person.case).key_id == evidence.key_id
    assert isinstance(again.opening(evidence.key_id, person.case), Dek)


def test_new_chapter_serves_service_and_rights_and_improvement_only_by_consent(store: KeyStore) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    for purpose in ("service", "rights"):
        assert isinstance(store.opening(dek.key_id, person.subject, purpose), Dek)
    assert store.opening(dek.key_id, person.subject, "improvement") is Unreadable.WITHHELD
    assert store.opening(dek.key_id, person.subject, "evidence") is Unreadable.WITHHELD


def test_purpose_that_was_asked_for_is_not_answered_from_anothers_cache(store: KeyStore) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    assert isinstance(store.opening(dek.key_id, person.subject), Dek)
    assert isinstance(store.opening(dek.key_id, person.subject, "service"), Dek)
    assert store.opening(dek.key_id, person.subject, "improvement") is Unreadable.WITHHELD


def test_process_with_fewer_purposes_opens_only_what_it_may(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek, evidence = sealed_with(store, person), store.sealing_evidence(person.case)
    for purposes, may in ((["improvement"], False), (["service"], True), (["rights"], True), (["evidence"], False)):
        process = home.open(purposes)
        opened = process.opening(dek.key_id, person.subject)
        assert isinstance(opened, Dek) if may else opened is Unreadable.WITHHELD
        opened = process.opening(evidence.key_id, person.case)
        assert isinstance(opened, Dek) if purposes == ["evidence"] else opened is Unreadable.WITHHELD
    assert home.open(["service"]).opening(dek.key_id, person.subject, "rights") is Unreadable.WITHHELD


def test_sealing_goes_on_through_whichever_purpose_the_process_holds(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    assert sealed_with(home.open(["service"]), person).key_id == dek.key_id
    assert sealed_with(home.open(["rights"]), person).key_id == dek.key_id


def test_process_that_can_open_no_grant_of_a_chapter_begins_another_only_with_the_keks_for_it(
    store: KeyStore, home: Home
) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    with pytest.raises(KeyWithheld):
        sealed_with(home.open(["improvement"]), person)
    with home.sql() as c:
        c.execute("DELETE FROM key_grant WHERE purpose <> 'evidence'")
    other = home.open(["service", "rights"])
    another = sealed_with(other, person)
    assert another.key_id != dek.key_id
    assert sealed_with(home.open(), person).key_id == another.key_id
    assert other.opening(dek.key_id, person.subject) is Unreadable.EXPIRED
    assert other.count_deks(person.subject) == 2


def test_prepare_makes_what_is_missing_in_one_transaction(store: KeyStore) -> None:
    people = [someone(store, str(n)) for n in range(10)]
    sealed_with(store, people[0])
    asked: list[str] = []
    store._database._connection.set_trace_callback(asked.append)
    store.prepare([(p.subject, JANUARY + month * MONTH) for p in people for month in (0, 1) for _ in range(3)])
    assert asked.count("COMMIT") == 1
    asked.clear()
    for person in people:
        sealed_with(store, person), sealed_with(store, person, month=1)
    assert asked == []
    assert {store.count_deks(p.subject) for p in people} == {2}


def test_prepare_passes_over_who_is_erased_or_unknown_and_sealing_says_so(store: KeyStore) -> None:
    erased, person, nobody = someone(store, "s1"), someone(store, "s2"), uuid4()
    store.erase(erased.subject, JANUARY, {})
    store.prepare([(erased.subject, JANUARY), (person.subject, JANUARY), (nobody, JANUARY)])
    assert store.count_deks(person.subject) == 1
    with pytest.raises(SubjectErased):
        store.sealing(erased.subject, JANUARY)
    with pytest.raises(PersonUnknown, match="resolve the person first"):
        store.sealing(nobody, JANUARY)
    with pytest.raises(PersonUnknown):
        store.sealing_evidence(nobody)
    assert store.count_deks(nobody) == store.count_deks(erased.subject) == 0


@pytest.mark.parametrize("at_us", [10**18, -(10**18)])
def test_time_beyond_the_calendar_is_bad_input(store: KeyStore, at_us: int) -> None:
    with pytest.raises(BadInput):
        store.sealing(someone(store).subject, at_us)


def test_unknown_key_is_missing(store: KeyStore) -> None:
    assert store.opening(b"k" * 32, someone(store).subject) is Unreadable.MISSING  # type: ignore[arg-type]


def test_key_id_that_shares_only_its_row_number_is_missing(store: KeyStore) -> None:
    person = someone(store)
    key_id = sealed_with(store, person).key_id
    other = key_id[:8] + bytes(24)
    assert store.opening(other, person.subject) is Unreadable.MISSING  # type: ignore[arg-type]


def test_warm_opening_and_sealing_ask_the_database_nothing(store: KeyStore) -> None:
    person = someone(store)
    dek, evidence = sealed_with(store, person), store.sealing_evidence(person.case)
    store.opening(evidence.key_id, person.case)
    asked: list[str] = []
    store._database._connection.set_trace_callback(asked.append)
    assert store.opening(dek.key_id, person.subject) is dek
    assert sealed_with(store, person) is dek
    assert store.sealing_evidence(person.case) is evidence
    assert isinstance(store.opening(evidence.key_id, person.case), Dek)
    assert asked == []


def test_key_that_another_process_destroyed_opens_no_longer_than_the_lease(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    home.open().erase(person.subject, JANUARY, {})
    assert store.opening(dek.key_id, person.subject) is dek
    home.clock.seconds += 60
    assert store.opening(dek.key_id, person.subject) is Unreadable.ERASED
    with pytest.raises(SubjectErased):
        sealed_with(store, person)


def test_dropping_a_person_ends_the_lease_at_once(store: KeyStore, home: Home) -> None:
    person, other = someone(store), someone(store, "s2")
    dek, kept = sealed_with(store, person), sealed_with(store, other)
    home.open().erase(person.subject, JANUARY, {})
    store.drop(person.subject)
    assert store.opening(dek.key_id, person.subject) is Unreadable.ERASED
    asked: list[str] = []
    store._database._connection.set_trace_callback(asked.append)
    assert store.opening(kept.key_id, other.subject) is kept
    assert asked == []


def test_caches_hold_no_more_than_their_bound_and_all_goes_on_working(home: Home) -> None:
    store = home.create(cache_entries=4)
    people = [someone(store, str(n)) for n in range(20)]
    store.prepare([(p.subject, JANUARY) for p in people])
    deks = [sealed_with(store, p) for p in people]
    opened = [store.opening(dek.key_id, p.subject) for dek, p in zip(deks, people, strict=True)]
    assert [dek.key_id for dek in opened if isinstance(dek, Dek)] == [dek.key_id for dek in deks]
    assert len(store._chapters._opened) <= 4
    assert len(store._chapters._sealing) <= 4
    assert len(store._resolved) <= 4


def test_grant_moved_to_another_key_or_purpose_is_tampering(store: KeyStore, home: Home) -> None:
    person, other = someone(store, "s1"), someone(store, "s2")
    one, two = sealed_with(store, person), sealed_with(store, other)
    with home.sql() as c:
        query = (
            "SELECT g.wrapped FROM key_grant g JOIN dek d ON d.id = g.dek WHERE d.key_id = ? AND purpose = 'service'"
        )
        (wrapped,) = c.execute(query, (one.key_id,)).fetchone()
        c.execute(
            "UPDATE key_grant SET wrapped = ? WHERE purpose = 'service' AND dek = (SELECT id FROM dek WHERE key_id = ?)",
            (wrapped, two.key_id),
        )
    process = home.open(["service"])
    assert isinstance(process.opening(one.key_id, person.subject), Dek)
    with pytest.raises(KeyTampered, match=two.key_id.hex()):
        process.opening(two.key_id, other.subject)
    with pytest.raises(KeyTampered):
        sealed_with(process, other)
    with home.sql() as c:
        c.execute("UPDATE key_grant SET purpose = 'improvement' WHERE purpose = 'service'")
    with pytest.raises(KeyTampered):
        home.open(["improvement"]).opening(one.key_id, person.subject)


def test_dek_row_given_to_another_owner_opens_for_neither(store: KeyStore, home: Home) -> None:
    person, other = someone(store, "s1"), someone(store, "s2")
    dek = sealed_with(store, person)
    with home.sql() as c:
        c.execute("UPDATE dek SET owner = ? WHERE key_id = ?", (other.subject.bytes, dek.key_id))
    process = home.open()
    assert process.opening(dek.key_id, person.subject) is Unreadable.MISSING
    with pytest.raises(KeyTampered):
        process.opening(dek.key_id, other.subject)


def test_retention_ends_chapters_of_earlier_months_and_nothing_else(store: KeyStore, home: Home) -> None:
    person = someone(store)
    deks = [sealed_with(store, person, month) for month in range(3)]
    evidence = store.sealing_evidence(person.case)
    assert store.expire(month_of(JANUARY + 2 * MONTH)) == 2
    for process in (store, home.open()):
        assert [process.opening(dek.key_id, person.subject) for dek in deks[:2]] == [Unreadable.EXPIRED] * 2
        assert isinstance(process.opening(deks[2].key_id, person.subject), Dek)
        assert isinstance(process.opening(evidence.key_id, person.case), Dek)
    assert store.expire(month_of(JANUARY + 2 * MONTH)) == 0
    assert store.verify() == []


def test_keys_of_chapters_that_are_over_are_told_apart_from_all_others(store: KeyStore) -> None:
    person, erased, restricted = someone(store, "s1"), someone(store, "s2"), someone(store, "s3")
    over, living = (sealed_with(store, person, month) for month in range(2))
    gone, held = sealed_with(store, erased, 1), sealed_with(store, restricted, 1)
    store.erase(erased.subject, 0, {})
    store.apply(0, 1, [Restrict(restricted.subject)])
    store.expire(month_of(JANUARY + MONTH))
    asked = [dek.key_id for dek in (over, living, gone, held)] + [KeyId(n.to_bytes(32, "big")) for n in range(3_000)]
    assert store.expired(asked) == {over.key_id}
    assert store.expired([]) == set()


def test_late_event_of_an_expired_month_is_sealed_under_a_key_that_opens(store: KeyStore) -> None:
    person = someone(store)
    old = sealed_with(store, person)
    store.expire(month_of(JANUARY + MONTH))
    late = sealed_with(store, person)
    assert late.key_id != old.key_id
    assert isinstance(store.opening(late.key_id, person.subject), Dek)
    assert store.opening(old.key_id, person.subject) is Unreadable.EXPIRED


def test_many_threads_make_a_chapter_once(store: KeyStore) -> None:
    people = [someone(store, str(n)) for n in range(5)]
    ready = threading.Barrier(8)
    seen: list[tuple[UUID, bytes]] = []

    def work() -> None:
        ready.wait()
        for person in people:
            for month in range(3):
                seen.append((person.subject, sealed_with(store, person, month).key_id))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 * 15
    assert len(set(seen)) == 15
