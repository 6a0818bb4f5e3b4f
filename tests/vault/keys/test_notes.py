from __future__ import annotations

import pytest

from tests.vault.keys.homes import JANUARY, PARTITIONS, Home, someone
from vault.errors import KeyTampered, KeyWithheld
from vault.keys import KeyStore


def test_notes_come_in_the_order_they_were_made_and_by_kind(store: KeyStore) -> None:
    people = store.resolve_many([("web", str(n)) for n in range(3)], partitions=PARTITIONS)
    store.erase(people[1].subject, JANUARY, {})
    notes = store.pending("register")
    assert [note.body["case"] for note in notes] == [str(p.case) for p in people]
    assert [note.kind for note in store.pending("erase")] == ["erase"]
    assert store.pending("other") == []


def test_finished_note_is_gone_and_the_others_stay_also_after_a_restart(store: KeyStore, home: Home) -> None:
    store.resolve_many([("web", str(n)) for n in range(4)], partitions=PARTITIONS)
    notes = store.pending("register")
    store.finish(notes[1].id)
    store.finish(notes[1].id)
    store.finish(notes[2].id, notes[3].id)
    assert home.open().pending("register") == notes[:1]


def test_number_of_a_finished_note_is_never_given_again(store: KeyStore) -> None:
    someone(store, "s1")
    (first,) = store.pending("register")
    store.finish(first.id)
    someone(store, "s2")
    assert store.pending("register")[0].id > first.id


def test_note_is_nowhere_readable_in_the_file(store: KeyStore, home: Home) -> None:
    person = someone(store)
    store.erase(person.subject, JANUARY, {"ground": "marked ground"})
    held = home.file.read_bytes()
    assert b"marked ground" not in held
    assert str(person.case).encode() not in held


def test_note_put_in_anothers_place_or_kind_is_tampering(store: KeyStore, home: Home) -> None:
    store.erase(someone(store).subject, JANUARY, {})
    with home.sql() as c:
        c.execute("UPDATE note SET wrapped = (SELECT wrapped FROM note WHERE kind = 'erase')")
    assert store.pending("erase")
    with pytest.raises(KeyTampered):
        store.pending("register")
    with home.sql() as c:
        c.execute("UPDATE note SET kind = 'other' WHERE kind = 'erase'")
    with pytest.raises(KeyTampered):
        store.pending("other")


def test_process_without_the_identity_kek_cannot_read_notes(store: KeyStore, home: Home) -> None:
    someone(store)
    with pytest.raises(KeyWithheld):
        home.open(["service"]).pending("register")
