from __future__ import annotations

import random
import shutil
import threading
import time
from dataclasses import dataclass
from uuid import UUID

import pytest

from tests.vault.keys.homes import JANUARY, MONTH, PARTITIONS, VAULT, Home, Process, run, sealed_with, someone
from vault.errors import KeysUnavailable, KeyTampered, KeyWithheld
from vault.keys import PURPOSES, Give, KekDirectory, KeyStore, Mention, Person, Restrict, Unreadable
from vault.seal import Dek

TABLES = ("key_grant", "identity", "tie", "mention", "note")


@dataclass
class Held:
    """What a key store held, to be compared with what it holds after whatever happened to it."""

    people: list[Person]
    deks: list[tuple[Person, Dek]]
    evidence: list[Dek]
    erased: Person
    erased_dek: Dek


def fill(store: KeyStore, people: int = 6) -> Held:
    """People with chapters of several standings, links, pending notes, one erased."""
    found = store.resolve_many([("web", str(n)) for n in range(people + 1)], partitions=PARTITIONS)
    store.link(found[0].subject, "email", "0@example.invalid")
    store.apply(0, 1, [Give(found[0].subject)])
    store.enter_mentions(
        [
            Mention("phone", "+33123456789", found[n].subject, UUID(int=m), JANUARY)
            for n in range(3)
            for m in (2 * n, 2 * n + 1)
        ]
    )
    deks = [(p, sealed_with(store, p, month)) for p in found for month in range(2)]
    store.apply(0, 2, [Restrict(found[1].subject)])
    *kept, erased = found
    store.erase(erased.subject, JANUARY, {"ground": "art17"})
    evidence = [store.sealing_evidence(p.case) for p in found]
    return Held(kept, deks[:-2], evidence, erased, deks[-1][1])


def assert_holds(store: KeyStore, held: Held) -> None:
    """Every key opens for whom it opened before, nobody is lost, and who was erased stays so."""
    for person, dek in held.deks:
        opened = store.opening(dek.key_id, person.subject, "rights")
        assert isinstance(opened, Dek)
        assert opened.key_id == dek.key_id
        restricted = person == held.people[1]
        service = store.opening(dek.key_id, person.subject, "service")
        assert service is Unreadable.WITHHELD if restricted else isinstance(service, Dek)
    first = held.people[0]
    assert isinstance(store.opening(held.deks[0][1].key_id, first.subject, "improvement"), Dek)
    for person, dek in zip([*held.people, held.erased], held.evidence, strict=True):
        assert isinstance(store.opening(dek.key_id, person.case), Dek)
    for number, person in enumerate(held.people):
        found = store.find("web", str(number))
        assert found is not None
        assert (found.subject, found.case) == (person.subject, person.case)
        assert store.person_of_case(person.case) == found
    assert len(store.identities(first.subject)) == 2
    assert {p.subject for p in store.mentioned("phone", "+33123456789")} == {p.subject for p in held.people[:3]}
    assert store.opening(held.erased_dek.key_id, held.erased.subject) is Unreadable.ERASED
    assert [note.body["subject"] for note in store.pending("erase")] == [str(held.erased.subject)]
    assert len(store.pending("register")) == len(held.people) + 1


def epochs(home: Home) -> set[int]:
    """Epochs of all wrapped rows."""
    return {row[0] for table in TABLES for row in home.rows(f"SELECT DISTINCT epoch FROM {table}")}


def test_rotation_rewraps_everything_and_loses_nothing(store: KeyStore, home: Home) -> None:
    held = fill(store)
    rows = sum(home.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES)
    before = {row[0] for table in TABLES for row in home.rows(f"SELECT wrapped FROM {table}")}
    told: list[tuple[int, int]] = []
    rotation = store.rotate(home.backups, lambda done, total: told.append((done, total)))
    assert (rotation.epoch, rotation.rewrapped) == (2, rows)
    assert told[0] == (0, rows)
    assert told[-1] == (rows, rows)
    assert epochs(home) == {2}
    assert before.isdisjoint(row[0] for table in TABLES for row in home.rows(f"SELECT wrapped FROM {table}"))
    assert_holds(store, held)
    assert_holds(home.open(), held)
    assert store.verify() == []


def test_after_a_rotation_no_old_kek_and_no_dead_backup_remains(store: KeyStore, home: Home) -> None:
    fill(store)
    rotation = store.rotate(home.backups)
    assert sorted(file.name for file in home.keks.glob("*.kek")) == sorted(f"{p}.2.kek" for p in PURPOSES)
    assert list(home.backups.iterdir()) == [rotation.backup]
    assert home.backups.stat().st_mode & 0o777 == 0o700
    assert rotation.backup.stat().st_mode & 0o777 == 0o600


def test_copy_from_before_a_rotation_opens_nothing_even_with_the_folder_of_after(store: KeyStore, home: Home) -> None:
    """The reason for it all: whoever kept a copy from before an erasure holds rubbish from the rotation on."""
    person = someone(store)
    dek = sealed_with(store, person)
    shutil.copyfile(home.file, home.path / "stolen.db")
    store.erase(person.subject, JANUARY, {})
    store.rotate(home.backups)
    with home.sql(home.path / "stolen.db") as c:
        c.execute("UPDATE meta SET value = '2' WHERE name = 'epoch'")
        c.execute("UPDATE key_grant SET epoch = 2")
    stolen = home.open(file=home.path / "stolen.db")
    with pytest.raises(KeyTampered):
        stolen.opening(dek.key_id, person.subject)


def test_rotations_follow_one_another(store: KeyStore, home: Home) -> None:
    held = fill(store)
    assert [store.rotate(home.backups).epoch for _ in range(3)] == [2, 3, 4]
    assert epochs(home) == {4}
    assert_holds(home.open(), held)
    assert len(list(home.backups.iterdir())) == 1


def test_backup_of_a_rotation_can_be_restored_and_rotated_in_its_turn(store: KeyStore, home: Home) -> None:
    held = fill(store)
    rotation = store.rotate(home.backups)
    store.close()
    shutil.copyfile(rotation.backup, home.file)
    restored = home.open()
    assert_holds(restored, held)
    assert restored.verify() == []
    assert restored.rotate(home.backups).epoch == 3
    assert_holds(home.open(), held)


def test_epoch_is_never_used_twice_even_after_a_restore(store: KeyStore, home: Home) -> None:
    """A copy of epoch 1 beside the KEKs of an epoch 2 that lost its key store: another 2 would open what was wrapped under the first."""
    fill(store)
    shutil.copyfile(home.file, home.path / "copy.db")
    KekDirectory.open(home.keks, VAULT, PURPOSES).make_epoch(2)
    store.close()
    restored = home.open(file=home.path / "copy.db")
    assert restored.rotate(home.backups).epoch == 3
    assert {file.name.split(".")[1] for file in home.keks.glob("*.kek")} == {"3"}


def rotate_killed(home: Home, held: Held, at: str, point: int) -> bool:
    """Rotates in another process that dies at a point; then checks that nothing is lost, and finishes. False: it came through."""
    outcome = run(home, "rotate", at=at, point=point)
    store = home.open()
    try:
        assert_holds(store, held)
        someone_new = someone(store, f"{at} {point}")
        dek = sealed_with(store, someone_new)
        if outcome == "killed":
            store.rotate(home.backups)
        assert isinstance(store.opening(dek.key_id, someone_new.subject, "rights"), Dek)
        store.finish(*(n.id for n in store.pending("register") if n.body["case"] == str(someone_new.case)))
        store._chapters.drop_all()
        assert_holds(store, held)
        assert store.verify() == []
        (epoch,) = epochs(home)
        assert {int(file.name.split(".")[1]) for file in home.keks.glob("*.kek")} == {epoch}
        assert {file.name.split("-")[2] for file in home.backups.iterdir()} == {str(epoch)}
    finally:
        store.close()
    return bool(outcome == "killed")


@pytest.mark.parametrize(
    ("at", "points"),
    [
        ("batch", [1, 2, 9, 15, 10_000]),
        ("statement", [3, 9, 17, 24, 41, 77, 10_000]),
        ("file", [1, 3, 4, 5, 9, 14, 15, 16, 17, 18, 20, 10_000]),
    ],
)
def test_kill_anywhere_in_a_rotation_loses_no_key_and_running_it_again_finishes_it(
    store: KeyStore, home: Home, at: str, points: list[int]
) -> None:
    held = fill(store)
    killed = [rotate_killed(home, held, at, point) for point in points]
    assert killed[0]
    assert not killed[-1]
    assert sum(killed) >= len(points) - 3


def test_interrupted_rotation_goes_on_where_it_was(store: KeyStore, home: Home) -> None:
    fill(store)
    rows = sum(home.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES)
    assert run(home, "rotate", at="batch", point=11) == "killed"  # told of 0 rows first, then of 2 more each time
    rotation = home.open().rotate(home.backups)
    assert (rotation.epoch, rotation.rewrapped) == (2, rows - 20)


def test_kill_at_any_time_in_a_rotation_loses_no_key(store: KeyStore, home: Home) -> None:
    held = fill(store)
    chance = random.Random(7)
    for _ in range(4):
        other = Process(home, "rotate", at="batch", point=10_000)
        time.sleep(chance.uniform(0.12, 0.3))  # it starts, then rotates: anywhere in that
        other.kill()
        again = home.open()
        assert_holds(again, held)
        again.rotate(home.backups)
        again._chapters.drop_all()
        assert_holds(again, held)
        assert again.verify() == []
        again.close()


def test_interrupted_rotation_is_told_by_verify(store: KeyStore, home: Home) -> None:
    fill(store)
    assert run(home, "rotate", at="batch", point=3) == "killed"
    assert [p for p in home.open().verify() if "run `parloir rotate`" in p] == [
        "a rotation to epoch 2 is not finished; run `parloir rotate`"
    ]


def test_old_keks_left_by_an_interruption_are_told_by_verify(store: KeyStore, home: Home) -> None:
    fill(store)
    KekDirectory.open(home.keks, VAULT, PURPOSES).make_epoch(2)
    assert [problem for problem in home.open().verify() if "other epochs than 1" in problem]


def test_others_work_while_it_rotates_and_what_they_make_is_under_the_new_keks(
    store: KeyStore, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.keys.rotation.ROWS_AT_ONCE", 5)
    held = fill(store, people=30)
    stop = threading.Event()
    made: list[tuple[Person, Dek]] = []
    errors: list[BaseException] = []

    def work() -> None:
        number = 0
        try:
            while not stop.is_set():
                person = someone(store, f"new {number}")
                made.append((person, store.sealing(person.subject, JANUARY + number % 5 * MONTH)))
                store.drop(held.people[2].subject)
                assert isinstance(store.opening(held.deks[4][1].key_id, held.people[2].subject), Dek)
                number += 1
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    during: list[int] = []
    thread.start()
    store.rotate(home.backups, lambda done, total: during.append(len(made)))
    stop.set()
    thread.join()
    assert errors == []
    assert during[-1] > during[0]  # they were not made to wait for the end
    assert epochs(home) == {2}
    again = home.open()
    assert all(isinstance(again.opening(dek.key_id, person.subject), Dek) for person, dek in made)
    assert again.verify() == []


def test_process_that_was_open_before_reads_and_writes_on_after_it(store: KeyStore, home: Home) -> None:
    held = fill(store)
    other = home.open(["service", "rights", "identity", "evidence"])
    store.rotate(home.backups)
    person, dek = held.deks[0]
    assert isinstance(other.opening(dek.key_id, person.subject), Dek)
    sealed_with(other, someone(other, "later"))
    assert epochs(home) == {2}


def test_erasure_during_a_rotation_is_not_undone_by_it(
    store: KeyStore, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.keys.rotation.ROWS_AT_ONCE", 5)
    held = fill(store)
    person, dek = held.deks[-1]

    def erase_meanwhile(done: int, total: int) -> None:
        if done == 5:
            store.erase(person.subject, JANUARY, {})

    store.rotate(home.backups, erase_meanwhile)
    assert home.open().opening(dek.key_id, person.subject) is Unreadable.ERASED
    assert home.rows("SELECT * FROM dek WHERE owner = ?", person.subject.bytes) == []
    assert store.verify() == []


def test_only_one_rotation_runs_at_a_time(store: KeyStore, home: Home) -> None:
    fill(store)
    other = home.open()
    refused: list[object] = []

    def second(done: int, total: int) -> None:
        if not refused:
            with pytest.raises(KeysUnavailable, match="under way already") as caught:
                other.rotate(home.backups)
            refused.append(caught)

    assert store.rotate(home.backups, second).epoch == 2
    assert refused
    assert other.rotate(home.backups).epoch == 3


def test_process_without_every_purpose_cannot_rotate(store: KeyStore, home: Home) -> None:
    with pytest.raises(KeyWithheld):
        home.open(["service", "rights"]).rotate(home.backups)
    assert not home.backups.exists()


def test_row_that_does_not_open_stops_it_with_the_old_keks_still_there(store: KeyStore, home: Home) -> None:
    held = fill(store)
    person, dek = held.deks[2]
    with home.sql() as c:
        c.execute("UPDATE key_grant SET wrapped = randomblob(60) WHERE purpose = 'improvement'")
    with pytest.raises(KeyTampered):
        store.rotate(home.backups)
    assert (home.keks / "rights.1.kek").exists()
    assert isinstance(home.open().opening(dek.key_id, person.subject), Dek)
    assert home.file.exists()


def test_row_written_under_an_old_epoch_behind_its_back_keeps_the_old_keks_alive(store: KeyStore, home: Home) -> None:
    held = fill(store)
    row = home.rows("SELECT dek, purpose, epoch, wrapped FROM key_grant ORDER BY dek, purpose LIMIT 1")[0]

    def put_back(done: int, total: int) -> None:
        if done == total:
            with home.sql() as c:
                c.execute(
                    "UPDATE key_grant SET epoch = ?, wrapped = ? WHERE dek = ? AND purpose = ?", (*row[2:], *row[:2])
                )

    with pytest.raises(KeysUnavailable, match=r"1 rows of an older epoch.*no KEK was destroyed"):
        store.rotate(home.backups, put_back)
    assert (home.keks / "rights.1.kek").exists()
    assert_holds(home.open(), held)
    assert store.rotate(home.backups).rewrapped == 1
    assert_holds(home.open(), held)


def test_backup_that_cannot_be_written_stops_it_before_anything_changed(store: KeyStore, home: Home) -> None:
    held = fill(store)
    home.backups.write_text("a file where the folder should be")
    with pytest.raises(KeysUnavailable, match=r"no backup can be written.*nothing was changed"):
        store.rotate(home.backups)
    assert epochs(home) == {1}
    assert {file.name.split(".")[1] for file in home.keks.glob("*.kek")} == {"1"}
    assert_holds(home.open(), held)
