from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.vault.keys.homes import JANUARY, PARTITIONS, Home, sealed_with, someone
from vault.errors import KeysUnavailable, KeyTampered
from vault.keys import KeyStore, Unreadable, backup
from vault.seal import Dek


def take(store: KeyStore, home: Home) -> Path:
    return backup.take(store._database, store._keks, home.backups, 1)


def test_copy_can_be_restored_in_place_of_the_key_store(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    copy = take(store, home)
    store.erase(person.subject, JANUARY, {})
    store.close()
    shutil.copyfile(copy, home.file)
    restored = home.open()
    assert isinstance(restored.opening(dek.key_id, person.subject), Dek)
    assert restored.identities(person.subject) == [("web", "sender-1")]


def test_copy_is_for_its_owner_alone_and_has_no_leftovers_beside_it(store: KeyStore, home: Home) -> None:
    home.backups.mkdir(mode=0o755)
    (home.backups / "keys-epoch-1-20250101T000000000000Z.db.part").write_bytes(b"interrupted")
    copy = take(store, home)
    assert list(home.backups.iterdir()) == [copy]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert home.backups.stat().st_mode & 0o777 == 0o700


def test_copy_holds_nothing_of_who_was_erased_before(store: KeyStore, home: Home) -> None:
    person = someone(store)
    sealed_with(store, person)
    wrapped = [row[0] for row in home.rows("SELECT wrapped FROM key_grant WHERE purpose <> 'evidence'")]
    store.erase(person.subject, JANUARY, {})
    held = take(store, home).read_bytes()
    assert len(wrapped) == 2
    assert not any(row in held for row in wrapped)


@pytest.mark.parametrize("table", ["key_grant", "identity", "tie"])
def test_copy_of_what_does_not_open_is_no_backup(store: KeyStore, home: Home, table: str) -> None:
    sealed_with(store, someone(store))
    with home.sql() as c:
        c.execute(f"UPDATE {table} SET wrapped = randomblob(60)")
    with pytest.raises(KeyTampered):
        take(store, home)
    assert list(home.backups.glob("*.db")) == []


def test_copy_that_lost_rows_is_no_backup(store: KeyStore, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    store.resolve_many([("web", str(n)) for n in range(10)], partitions=PARTITIONS)
    honest = backup._copy

    def losing(database: object, draft: Path) -> dict[str, int]:
        counts = honest(database, draft)  # type: ignore[arg-type]
        with home.sql(draft) as c:
            c.execute("DELETE FROM identity WHERE entry = (SELECT min(entry) FROM identity)")
        return counts

    monkeypatch.setattr(backup, "_copy", losing)
    with pytest.raises(KeysUnavailable, match="is not whole; nothing was changed"):
        take(store, home)


def test_damaged_pages_are_no_backup(store: KeyStore, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    store.resolve_many([("web", str(n)) for n in range(300)], partitions=PARTITIONS)
    honest = backup._copy

    def tearing(database: object, draft: Path) -> dict[str, int]:
        counts = honest(database, draft)  # type: ignore[arg-type]
        whole = draft.read_bytes()
        draft.write_bytes(whole[: len(whole) // 2] + b"\xff" * 4096 + whole[len(whole) // 2 + 4096 :])
        return counts

    monkeypatch.setattr(backup, "_copy", tearing)
    with pytest.raises(KeysUnavailable, match=r"damaged|not whole"):
        take(store, home)
    assert list(home.backups.glob("*.db")) == []


def test_only_copies_of_earlier_epochs_are_deleted(home: Home) -> None:
    home.backups.mkdir()
    names = {
        "keys-epoch-1-20250101T000000000000Z.db",
        "keys-epoch-2-20250201T000000000000Z.db",
        "keys-epoch-10-20250301T000000000000Z.db",
        "keys-epoch-1-of-the-operator.db",
        "another.txt",
    }
    for name in names:
        (home.backups / name).touch()
    assert backup.delete_earlier(home.backups, 3) == 2
    assert {file.name for file in home.backups.iterdir()} == {
        "keys-epoch-10-20250301T000000000000Z.db",
        "keys-epoch-1-of-the-operator.db",
        "another.txt",
    }


def test_taking_one_changes_nothing(store: KeyStore, home: Home) -> None:
    person = someone(store)
    dek = sealed_with(store, person)
    before = home.file.read_bytes()
    take(store, home)
    assert home.file.read_bytes() == before
    assert store.opening(dek.key_id, person.subject) is not Unreadable.MISSING
