from __future__ import annotations

import json
import random
import sqlite3
import time
from uuid import UUID

import pytest

from tests.vault.keys.homes import JANUARY, PARTITIONS, Home, Process, sealed_with, someone
from vault.errors import HomeNewer, KeysUnavailable, StartRefused
from vault.ids import KeyId
from vault.keys import KeyStore, Unreadable
from vault.keys.database import Database, row_of
from vault.seal import Dek


def test_deleted_rows_are_overwritten_and_commits_are_synced(store: KeyStore) -> None:
    c = store._database._connection
    settings = {
        name: c.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "secure_delete", "synchronous")
    }
    assert settings == {"journal_mode": "delete", "secure_delete": 1, "synchronous": 2}
    assert c.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert c.execute("PRAGMA temp_store").fetchone() == (2,)


def test_row_number_is_the_first_63_bits_of_the_key_id() -> None:
    assert row_of(b"\xff" * 32) == (1 << 63) - 1
    assert row_of(bytes(7) + b"\x02" + b"\xff" * 24) == 1


def test_missing_file_is_refused_with_the_remedy(store: KeyStore, home: Home) -> None:
    store.close()
    home.file.unlink()
    with pytest.raises(StartRefused, match="is missing; restore it from a backup"):
        home.open()
    assert not home.file.exists()


def test_file_of_a_newer_program_is_refused(store: KeyStore, home: Home) -> None:
    store.close()
    with home.sql() as c:
        c.execute("PRAGMA user_version=3")
    with pytest.raises(HomeNewer, match="of version 3, this program knows 2; use the newer program"):
        home.open()


def test_file_of_an_earlier_program_gets_the_tables_that_were_added_and_loses_nothing(
    store: KeyStore, home: Home
) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    store.close()
    with home.sql() as c:
        c.executescript(
            "DROP TABLE mention; DROP TABLE redacted; DROP TABLE learnt_from; DROP TABLE model; PRAGMA user_version=1;"
        )
    opened = home.open()
    assert isinstance(opened.opening(dek.key_id, person.subject), Dek)
    assert opened.counts() == {**opened.counts(), "dek": 2, "mention": 0, "model": 0}
    assert opened.verify() == []
    assert home.rows("PRAGMA user_version") == [(2,)]


def test_another_sqlite_file_is_refused_and_left_as_it_was(store: KeyStore, home: Home) -> None:
    store.close()
    home.file.unlink()
    with sqlite3.connect(home.file) as c:
        c.execute("CREATE TABLE other (a)")
    c.close()
    before = home.file.read_bytes()
    with pytest.raises(StartRefused, match="is not a key store"):
        home.open()
    assert home.file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_file_that_is_none_is_refused(store: KeyStore, home: Home, content: bytes) -> None:
    store.close()
    home.file.write_bytes(content)
    with pytest.raises(StartRefused, match="is not a key store"):
        home.open()


def test_torn_file_is_named_with_the_remedy_when_it_is_met(store: KeyStore, home: Home) -> None:
    store.resolve_many([("web", str(n)) for n in range(300)], partitions=PARTITIONS)
    store.close()
    whole = home.file.read_bytes()
    home.file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises((KeysUnavailable, StartRefused), match=r"damaged.*restore it from a backup"):
        someone(home.open())


def test_locked_key_store_fails_within_its_timeout_saying_what_to_do(home: Home) -> None:
    store = home.create(busy_timeout_ms=200)
    person = someone(store)
    dek = sealed_with(store, person)
    other = Process(home, "hold")
    other.wait_for("ready")
    began = time.monotonic()
    with pytest.raises(
        KeysUnavailable, match=r"is locked by another process; .*`fuser` names it.* key_store_timeout_ms"
    ):
        store.erase(person.subject, JANUARY, {})
    assert 0.15 < time.monotonic() - began < 2
    with pytest.raises(KeysUnavailable, match="is locked by another process"):
        store.find("web", "sender-1")
    with pytest.raises(KeysUnavailable, match="is locked by another process"):
        home.open(busy_timeout_ms=50)
    assert store.opening(dek.key_id, person.subject) is dek  # what is warm goes on
    other.go()
    assert other.end() is None
    assert not store.erase(person.subject, JANUARY, {}).already


def test_short_lock_is_waited_for(store: KeyStore, home: Home) -> None:
    other = Process(home, "hold")
    other.wait_for("ready")
    other.go()
    assert someone(store).created
    other.end()


def test_full_disk_stores_nothing_of_a_batch_and_goes_on_when_there_is_room(store: KeyStore, home: Home) -> None:
    person = someone(store)
    c = store._database._connection
    (pages,) = c.execute("PRAGMA page_count").fetchone()
    c.execute(f"PRAGMA max_page_count={pages + 2}")
    before = store.counts()
    names = [("web", str(n)) for n in range(300)]
    with pytest.raises(KeysUnavailable, match="no room left; nothing of this was stored; free space"):
        store.resolve_many(names, partitions=PARTITIONS)
    assert store.counts() == before
    with pytest.raises(KeysUnavailable, match="no room left"):
        store.prepare([(person.subject, JANUARY + month * 40 * 86_400_000_000) for month in range(300)])
    assert store.count_deks(person.subject) == 0
    c.execute("PRAGMA max_page_count=1000000")
    assert all(p.created for p in store.resolve_many(names, partitions=PARTITIONS))
    assert store.verify() == []


def test_erasing_needs_hardly_any_room(store: KeyStore) -> None:
    """A full disk must not keep anybody's keys alive: what is deleted makes the room that the fence needs."""
    people = store.resolve_many([("web", str(n)) for n in range(100)], partitions=PARTITIONS)
    store.prepare([(p.subject, JANUARY) for p in people])
    c = store._database._connection
    (pages,) = c.execute("PRAGMA page_count").fetchone()
    c.execute(f"PRAGMA max_page_count={pages}")
    assert not store.erase(people[0].subject, JANUARY, {}).already


def test_key_that_could_not_be_stored_is_not_used(store: KeyStore) -> None:
    person = someone(store)
    c = store._database._connection
    c.execute("CREATE TEMP TRIGGER full BEFORE INSERT ON main.dek BEGIN SELECT RAISE(ABORT, ''); END")
    with pytest.raises(KeysUnavailable):
        sealed_with(store, person)
    assert store.count_deks(person.subject) == 0
    c.execute("DROP TRIGGER full")
    dek = sealed_with(store, person)
    assert isinstance(store.opening(dek.key_id, person.subject), Dek)
    assert store.count_deks(person.subject) == 1


def test_kill_at_any_time_keeps_what_was_acknowledged_and_leaves_nothing_half_done(store: KeyStore, home: Home) -> None:
    """Most of the process's time goes into commits, so that is where most kills meet it."""
    chance = random.Random(3)
    said: dict[str, tuple[str, str, str]] = {}
    for first in range(0, 60_000, 10_000):
        other = Process(home, "live", first=first)
        lines = [other.heard() for _ in range(6)]
        time.sleep(chance.uniform(0, 0.05))
        lines += other.kill().splitlines()
        for line in lines:
            if line.strip().endswith("]"):
                number, subject, key_id, done = json.loads(line)
                said[subject] = (str(number), key_id, done)
        process = home.open()
        for subject, (name, key_id, done) in said.items():
            opened = process.opening(KeyId(bytes.fromhex(key_id)), UUID(subject))
            if done == "erased":
                assert opened is Unreadable.ERASED
                assert process.find("web", name) is None
            else:
                found = process.find("web", name)
                assert isinstance(opened, Dek) == (found is not None)  # its erasure may have been done and not yet said
                assert isinstance(opened, Dek) or opened is Unreadable.ERASED
        assert process.verify() == []
        process.close()
    assert len(said) > 12


def test_closed_key_store_says_so(store: KeyStore) -> None:
    store.close()
    with pytest.raises(KeysUnavailable, match="is closed; open it again"):
        someone(store)


def test_making_it_where_nobody_may_write_is_refused(home: Home) -> None:
    with pytest.raises(StartRefused, match="cannot be made"):
        Database.create(home.path / "missing" / "keys.db", 100)
