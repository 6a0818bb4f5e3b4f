"""Nothing that was ever in a row is left beside the rows: SQLite's pages hold rows, overwritten space, and zeros."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vault.keys.homes import JANUARY, MONTH, PARTITIONS, Home, someone
from vault.errors import KeysUnavailable
from vault.keys import Give, KeyStore

PEOPLE = 150


def left_in(path: Path) -> dict[int, int]:
    """By page of a database file: bytes that are not zero between its list of cells and its first cell."""
    content = path.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    found = {}
    for number in range(len(content) // size):
        page = content[number * size : (number + 1) * size]
        header = 100 if number == 0 else 0
        if page[header] in (2, 5, 10, 13):  # pages of a tree
            cells = int.from_bytes(page[header + 3 : header + 5], "big")
            first = int.from_bytes(page[header + 5 : header + 7], "big")
            listed = header + (12 if page[header] in (2, 5) else 8) + 2 * cells
            if left := sum(map(bool, page[listed:first])):
                found[number + 1] = left
    return found


def lived_in(store: KeyStore, seed: int) -> None:
    """Months of people who come, consent, write, are linked and are erased."""
    chance = random.Random(seed)
    people = store.resolve_many([("web", f"{seed}-{n}") for n in range(PEOPLE)], partitions=PARTITIONS)
    for month in range(3):
        store.prepare([(p.subject, JANUARY + month * MONTH) for p in people if chance.random() < 0.7])
        for position, person in enumerate(chance.sample(people, 12)):
            store.link(person.subject, "email", f"{seed}-{month}-{position}@example.invalid")
            store.apply(0, 1_000 * seed + 100 * month + position, [Give(person.subject)])
        for person in chance.sample(people, 6):
            store.erase(person.subject, JANUARY, {"ground": "art17"})
            people.remove(person)
    store.finish(*(note.id for kind in ("register", "erase") for note in store.pending(kind)))


def test_no_page_keeps_a_copy_of_what_moved_or_went(store: KeyStore, home: Home) -> None:
    for seed in range(1, 5):
        lived_in(store, seed)
    assert left_in(home.file) == {}
    assert store.verify() == []


def test_sqlite_by_itself_keeps_copies(store: KeyStore, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this is for: without it the same life leaves something, and opening the store again takes it away."""
    monkeypatch.setattr("vault.keys.unallocated.Unallocated.clean", lambda self, pages: None)
    lived_in(store, 1)
    assert left_in(home.file)
    monkeypatch.undo()
    again = home.open()
    assert left_in(home.file) == {}
    assert again.verify() == []


def test_a_transaction_larger_than_the_cache_leaves_nothing(store: KeyStore, home: Home) -> None:
    """Its journal has several headers, one for each time that pages were written before the commit."""
    store._database._connection.execute("PRAGMA cache_size=10")
    lived_in(store, 1)
    people = store.resolve_many([("sms", str(n)) for n in range(1_000)], partitions=PARTITIONS)
    store.prepare([(p.subject, JANUARY + MONTH) for p in people])
    assert left_in(home.file) == {}
    assert store.verify() == []


@pytest.mark.parametrize("torn", [3, 4_096, 4_107])
def test_a_journal_that_a_killed_process_left_is_read_no_further_than_it_reaches(
    store: KeyStore, home: Home, torn: int
) -> None:
    """Its header was not synced, so SQLite does not roll it back and writes the next one over its beginning."""
    lived_in(store, 1)
    left = bytes(512) + b"\xff" * (200 * 4_104 + torn)
    (home.path / "keys.db-journal").write_bytes(left)
    lived_in(store, 2)
    assert left_in(home.file) == {}
    assert store.verify() == []


def test_a_rotation_and_its_backups_leave_nothing(store: KeyStore, home: Home) -> None:
    lived_in(store, 1)
    store.rotate(home.backups)
    (backup,) = home.backups.iterdir()
    assert left_in(home.file) == left_in(backup) == {}


def test_what_another_process_keeps_from_being_cleaned_is_cleaned_later(home: Home) -> None:
    store = home.create(busy_timeout_ms=20)
    lived_in(store, 1)
    with home.sql() as c:
        c.execute("BEGIN IMMEDIATE")
        store._database._uncleaned = set(range(1, 50))
        store._database._clean()
        assert store._database._uncleaned == set(range(1, 50))
        c.execute("ROLLBACK")
    someone(store, "one more")
    assert store._database._uncleaned == set()


def test_closing_one_store_lets_go_of_no_lock_that_another_of_the_process_holds(store: KeyStore, home: Home) -> None:
    other = home.open()
    with store._database.writing():
        other.close()
        tried = subprocess.run(
            [
                sys.executable,
                "-c",
                f"import sqlite3; sqlite3.connect({str(home.file)!r}, timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')",
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        assert "database is locked" in tried.stderr


def test_a_file_that_may_not_be_written_is_refused_with_the_remedy(
    store: KeyStore, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()

    def refused(path: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vault.keys.database.Unallocated", refused)
    with pytest.raises(KeysUnavailable, match="let this user read and write the file"):
        home.open()
