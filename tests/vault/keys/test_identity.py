from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from tests.vault.keys.homes import JANUARY, PARTITIONS, Home, someone
from vault.errors import BadInput, KeysUnavailable, KeyTampered, KeyWithheld, PersonUnknown
from vault.ids import partition_of
from vault.keys import KeyStore, Person


def test_new_person_has_two_pseudonyms_an_evidence_key_and_a_note_for_the_register(store: KeyStore) -> None:
    person = someone(store)
    assert person.created
    assert person.subject != person.case
    assert store.sealing_evidence(person.case)
    assert [note.body for note in store.pending("register")] == [{"case": str(person.case), "channel": "web"}]


def test_known_person_is_the_same_and_not_created_again(store: KeyStore, home: Home) -> None:
    first = someone(store)
    known = Person(first.subject, first.case, created=False)
    assert someone(store) == known
    assert someone(home.open()) == known
    assert len(store.pending("register")) == 1


def test_a_name_twice_in_a_batch_is_one_person(store: KeyStore) -> None:
    people = store.resolve_many([("web", "s1"), ("web", "s2"), ("web", "s1")], partitions=PARTITIONS)
    assert people[0] == people[2] != people[1]
    assert store.counts()["tie"] == 2


def test_the_same_external_id_on_another_channel_is_somebody_else(store: KeyStore) -> None:
    assert someone(store, channel="web").subject != someone(store, channel="email").subject


def test_batch_is_all_or_nothing(store: KeyStore, home: Home) -> None:
    with pytest.raises(BadInput):
        store.resolve_many([("web", "s1"), ("web", "x" * 2_000)], partitions=PARTITIONS)
    with home.sql() as c:
        c.execute(
            "CREATE TRIGGER full BEFORE INSERT ON tie WHEN (SELECT count(*) FROM tie) = 2 BEGIN SELECT RAISE(ABORT, ''); END"
        )
    with pytest.raises(KeysUnavailable):
        store.resolve_many([("web", str(n)) for n in range(5)], partitions=PARTITIONS)
    counts = store.counts()
    assert (counts["tie"], counts["identity"], counts["dek"], counts["note"]) == (0, 0, 0, 0)


def test_people_spread_over_partitions_and_subject_and_case_independently(store: KeyStore) -> None:
    people = store.resolve_many([("web", str(n)) for n in range(400)], partitions=2)
    seen = Counter((partition_of(p.subject), partition_of(p.case)) for p in people)
    assert set(seen) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert min(seen.values()) > 30  # 100 expected, standard deviation 8.7: by chance less often than once in 10¹⁴ times


@pytest.mark.parametrize("partitions", [0, -1, 65_537])
def test_impossible_number_of_partitions_is_bad_input(store: KeyStore, partitions: int) -> None:
    with pytest.raises(BadInput, match="1 to 65536"):
        store.resolve("web", "s1", partitions=partitions)


def test_warm_batch_asks_the_database_nothing(store: KeyStore) -> None:
    names = [("web", str(n)) for n in range(50)]
    store.resolve_many(names, partitions=PARTITIONS)
    asked: list[str] = []
    store._database._connection.set_trace_callback(asked.append)
    store.resolve_many(names, partitions=PARTITIONS)
    assert asked == []
    store.resolve("web", "another", partitions=PARTITIONS)
    assert asked


def test_resolved_person_is_asked_for_again_when_the_lease_ends(store: KeyStore, home: Home) -> None:
    person = someone(store)
    home.open().erase(person.subject, JANUARY, {})  # another process
    assert someone(store).subject == person.subject  # not yet known here
    home.clock.seconds += 60
    assert someone(store).subject != person.subject


def test_person_is_found_by_either_pseudonym_and_by_name_and_never_made_by_looking(store: KeyStore) -> None:
    person = someone(store)
    known = Person(person.subject, person.case)
    assert store.person(person.subject) == store.person_of_case(person.case) == store.find("web", "sender-1") == known
    assert store.person(person.case) is None
    assert store.person_of_case(person.subject) is None
    assert store.find("web", "nobody") is None
    assert store.person(uuid4()) is None
    assert store.counts()["tie"] == 1


def test_linked_name_leads_to_the_same_person(store: KeyStore) -> None:
    person = someone(store)
    store.link(person.subject, "email", "sender-1@example.invalid")
    assert someone(store, "sender-1@example.invalid", "email").subject == person.subject
    assert store.identities(person.subject) == [("email", "sender-1@example.invalid"), ("web", "sender-1")]


def test_linking_again_changes_nothing_and_linking_anothers_name_is_refused_without_repeating_it(
    store: KeyStore,
) -> None:
    person, other = someone(store), someone(store, "sender-2")
    store.link(person.subject, "web", "sender-1")
    assert len(store.identities(person.subject)) == 1
    with pytest.raises(BadInput, match="another person") as refused:
        store.link(person.subject, "web", "sender-2")
    assert "sender-2" not in str(refused.value)
    assert store.identities(other.subject) == [("web", "sender-2")]


def test_linking_to_nobody_is_refused(store: KeyStore) -> None:
    with pytest.raises(PersonUnknown):
        store.link(uuid4(), "web", "sender-1")
    assert store.find("web", "sender-1") is None


def test_names_are_nowhere_in_the_file(store: KeyStore, home: Home) -> None:
    person = someone(store, "marked-external-id", "marked-channel")
    store.link(person.subject, "email", "marked@example.invalid")
    held = home.file.read_bytes()
    assert b"marked" not in held
    assert person.case.bytes in held  # as the owner of the evidence key
    assert person.subject.bytes not in held  # nothing sealed for them yet: only keyed and wrapped


def test_rows_do_not_tell_who_was_made_together(store: KeyStore, home: Home) -> None:
    """Row numbers come from the keys themselves: a subject's first DEK does not lie beside its case's."""
    for number in range(40):
        store.sealing(someone(store, str(number)).subject, JANUARY)
    owners = [UUID(bytes=row[0]) for row in home.rows("SELECT owner FROM dek ORDER BY id")]
    pairs = {(p.subject, p.case) for n in range(40) if (p := store.find("web", str(n)))}
    neighbours = sum((a, b) in pairs or (b, a) in pairs for a, b in pairwise(owners))
    assert neighbours < 15  # 40 when rows are numbered as they are made; 1 expected


def test_entry_put_in_anothers_place_is_tampering(store: KeyStore, home: Home) -> None:
    someone(store, "s1"), someone(store, "s2")
    with home.sql() as c:
        (first, one), (_, two) = c.execute("SELECT entry, wrapped FROM identity").fetchall()
        assert one != two
        c.execute("UPDATE identity SET wrapped = ? WHERE entry = ?", (two, first))
    people = {}
    for name in ("s1", "s2"):
        with suppress(KeyTampered):
            people[name] = store.find("web", name)
    assert len(people) == 1
    assert None not in people.values()
    with pytest.raises(KeyTampered, match="restore"):
        store.find("web", ({"s1", "s2"} - set(people)).pop())


def test_process_without_the_identity_kek_resolves_nobody(store: KeyStore, home: Home) -> None:
    person = someone(store)
    other = home.open(["service", "rights"])
    with pytest.raises(KeyWithheld):
        someone(other)
    with pytest.raises(KeyWithheld):
        other.identities(person.subject)


def test_many_threads_make_a_person_once(store: KeyStore) -> None:
    ready = threading.Barrier(8)
    found: list[Person] = []

    def work() -> None:
        ready.wait()
        found.extend(store.resolve_many([("web", str(n)) for n in range(20)], partitions=PARTITIONS))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert len({p.subject for p in found}) == 20
    assert sum(p.created for p in found) == 20
    assert len(store.pending("register")) == 20
