from __future__ import annotations

import threading
from uuid import uuid4

import pytest

from tests.vault.keys.homes import JANUARY, MONTH, PARTITIONS, Home, Process, run, sealed_with, someone
from vault.errors import KeyWithheld, PersonUnknown, SubjectErased
from vault.keys import Fence, Give, KeyStore, Unreadable
from vault.seal import Dek


def test_erasing_destroys_every_content_key_and_says_which(store: KeyStore, home: Home) -> None:
    person = someone(store)
    deks = [sealed_with(store, person, month) for month in range(4)]
    erasure = store.erase(person.subject, JANUARY, {})
    assert set(erasure.key_ids) == {dek.key_id for dek in deks}
    assert (erasure.subject, erasure.case, erasure.at_us) == (person.subject, person.case, JANUARY)
    assert not erasure.already
    for process in (store, home.open()):
        assert {process.opening(dek.key_id, person.subject) for dek in deks} == {Unreadable.ERASED}
        with pytest.raises(SubjectErased):
            sealed_with(process, person)


def test_nobody_knows_who_it_was_and_the_evidence_stays(store: KeyStore, home: Home) -> None:
    person = someone(store)
    store.link(person.subject, "email", "s1@example.invalid")
    evidence = store.sealing_evidence(person.case)
    store.erase(person.subject, JANUARY, {})
    for process in (store, home.open()):
        assert process.person(person.subject) is None
        assert process.person_of_case(person.case) is None
        assert process.find("web", "sender-1") is None
        assert process.find("email", "s1@example.invalid") is None
        assert process.identities(person.subject) == []
        assert isinstance(process.opening(evidence.key_id, person.case), Dek)
        assert process.sealing_evidence(person.case).key_id == evidence.key_id


def test_second_erasure_says_when_the_first_was(store: KeyStore, home: Home) -> None:
    person = someone(store)
    sealed_with(store, person)
    store.erase(person.subject, JANUARY, {})
    for process in (store, home.open()):
        again = process.erase(person.subject, JANUARY + 9, {"ground": "again"})
        assert (again.already, again.at_us, again.key_ids, again.case) == (True, JANUARY, (), None)
    assert len(store.pending("erase")) == 1


def test_erasing_nobody_is_refused_and_leaves_no_fence(store: KeyStore) -> None:
    with pytest.raises(PersonUnknown):
        store.erase(uuid4(), JANUARY, {})
    assert store.fences() == []


def test_the_same_name_is_a_new_person_with_nothing_of_the_old(store: KeyStore, home: Home) -> None:
    person = someone(store)
    old = sealed_with(store, person)
    store.apply(0, 1, [Give(person.subject)])
    store.erase(person.subject, JANUARY, {})
    again = someone(store)
    assert again.created
    assert {again.subject, again.case}.isdisjoint({person.subject, person.case})
    new = sealed_with(store, again)
    assert new.key_id != old.key_id
    assert store.opening(old.key_id, again.subject) is Unreadable.MISSING
    assert store.opening(new.key_id, again.subject, "improvement") is Unreadable.WITHHELD
    assert someone(home.open()).subject == again.subject


def test_other_people_are_untouched(store: KeyStore) -> None:
    person, other = someone(store, "s1"), someone(store, "s2")
    dek = sealed_with(store, other)
    store.erase(person.subject, JANUARY, {})
    assert sealed_with(store, other) is dek
    assert store.identities(other.subject) == [("web", "s2")]
    assert store.verify() == []


def test_note_holds_what_was_destroyed_and_why_until_it_is_finished(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    store.erase(person.subject, JANUARY, {"ground": "art17", "decided_by": "officer"})
    (note,) = home.open().pending("erase")
    assert note.body == {
        "ground": "art17",
        "decided_by": "officer",
        "subject": str(person.subject),
        "case": str(person.case),
        "key_ids": [dek.key_id.hex()],
        "at_us": JANUARY,
    }
    store.finish(note.id)
    assert store.pending("erase") == []


def test_fence_tells_where_the_log_says_it(store: KeyStore, home: Home) -> None:
    person, other = someone(store, "s1"), someone(store, "s2")
    assert store.fenced(person.subject) is None
    store.erase(person.subject, JANUARY, {})
    assert store.fenced(person.subject) == Fence(person.subject, JANUARY, None)
    store.set_fence_offset(person.subject, 17)
    store.erase(other.subject, JANUARY + 1, {})
    fences = [Fence(person.subject, JANUARY, 17), Fence(other.subject, JANUARY + 1, None)]
    assert home.open().fences() == sorted(fences, key=lambda fence: fence.subject.bytes)


def test_nothing_that_was_erased_is_left_in_the_file(store: KeyStore, home: Home) -> None:
    """What was in the rows, wrapped or keyed, is overwritten, not only unlinked from the tables."""
    others = store.resolve_many([("web", str(n)) for n in range(200)], partitions=PARTITIONS)
    store.prepare([(p.subject, JANUARY) for p in others])
    person = someone(store, "marked")
    store.link(person.subject, "email", "marked@example.invalid")
    store.apply(0, 1, [Give(person.subject)])
    store.prepare([(person.subject, JANUARY + month * MONTH) for month in range(12)])
    keyed = store._index.subject(person.subject)
    bytes_of = [
        *home.rows(
            "SELECT wrapped FROM key_grant WHERE dek IN (SELECT id FROM dek WHERE owner = ?)", person.subject.bytes
        ),
        *home.rows("SELECT key_id FROM dek WHERE owner = ?", person.subject.bytes),
        *home.rows("SELECT wrapped FROM identity WHERE keyed_subject = ?", keyed),
        *home.rows("SELECT entry FROM identity WHERE keyed_subject = ?", keyed),
        *home.rows("SELECT wrapped FROM tie WHERE keyed_subject = ?", keyed),
        (keyed,),
        (store._index.case(person.case),),
    ]
    assert len(bytes_of) == 3 * 12 + 12 + 2 + 2 + 1 + 2
    held = home.file.read_bytes()
    assert all(row[0] in held for row in bytes_of)
    store.erase(person.subject, JANUARY, {})
    held = home.file.read_bytes()
    assert [row for row in bytes_of if row[0] in held] == []
    assert sorted(file.name for file in home.path.iterdir()) == [
        "claims.db",
        "claims.db-shm",
        "claims.db-wal",
        "keks",
        "keys.db",
    ]


def test_consumed_note_leaves_nothing_in_the_file(store: KeyStore, home: Home) -> None:
    store.erase(someone(store).subject, JANUARY, {})
    wrapped = [row[0] for row in home.rows("SELECT wrapped FROM note")]
    store.finish(*(note.id for kind in ("register", "erase") for note in store.pending(kind)))
    held = home.file.read_bytes()
    assert len(wrapped) == 2
    assert not any(row in held for row in wrapped)


def test_damaged_tie_does_not_keep_keys_alive(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    with home.sql() as c:
        c.execute("UPDATE tie SET wrapped = randomblob(60)")
    erasure = store.erase(person.subject, JANUARY, {})
    assert erasure.case is None
    assert store.opening(dek.key_id, person.subject) is Unreadable.ERASED


def test_process_without_the_identity_kek_cannot_erase_and_destroys_nothing(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    with pytest.raises(KeyWithheld):
        home.open(["service", "rights"]).erase(person.subject, JANUARY, {})
    assert isinstance(home.open().opening(dek.key_id, person.subject), Dek)
    assert store.fences() == []


def test_fence_holds_against_threads_that_are_sealing(store: KeyStore, home: Home) -> None:
    person = someone(store)
    begun = threading.Barrier(5)
    refused = []

    def work(first: int) -> None:
        begun.wait()
        try:
            for month in range(first, 10_000_000, 4):
                store.sealing(person.subject, JANUARY + month % 1_200 * MONTH)
        except SubjectErased:
            refused.append(first)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    while store.count_deks(person.subject) < 20:
        pass
    erasure = store.erase(person.subject, JANUARY, {})
    for thread in threads:
        thread.join()
    assert len(refused) == 4
    assert len(erasure.key_ids) >= 20
    assert home.rows("SELECT * FROM dek WHERE owner = ?", person.subject.bytes) == []
    assert store.verify() == []


def test_fence_holds_against_another_process_that_is_sealing(store: KeyStore, home: Home) -> None:
    person = someone(store)
    other = Process(home, "seal_until_erased", name="sender-1")
    other.wait_for("ready")
    other.go()
    other.wait_for("sealing")
    erasure = store.erase(person.subject, JANUARY, {})
    made = other.end()
    assert made >= 3
    assert 3 <= len(erasure.key_ids) <= made
    assert home.rows("SELECT * FROM dek WHERE owner = ?", person.subject.bytes) == []


def test_kill_at_any_statement_of_an_erasure_leaves_all_or_nothing_and_the_repeat_finishes_it(
    store: KeyStore, home: Home
) -> None:
    killed = 0
    for point in range(1, 40):
        person = someone(store, str(point))
        dek = sealed_with(store, person)
        store.drop(person.subject)
        outcome = run(home, "erase", name=str(point), point=point)
        fenced = store.fenced(person.subject) is not None
        opened = store.opening(dek.key_id, person.subject)
        if fenced:
            assert opened is Unreadable.ERASED
            assert store.find("web", str(point)) is store.person(person.subject) is None
        else:
            assert isinstance(opened, Dek)
            assert store.find("web", str(point)) == store.person(person.subject) is not None
        assert store.erase(person.subject, JANUARY + 1, {"ground": "art17"}).already == fenced
        assert [note.body["subject"] for note in store.pending("erase")].count(str(person.subject)) == 1
        if outcome != "killed":
            break
        killed += 1
    assert outcome is False  # in the end it came through
    assert killed >= 8
    assert store.verify() == []
