from __future__ import annotations

import shutil
from uuid import uuid4

import pytest

from tests.vault.keys.homes import JANUARY, VAULT, Home, sealed_with, someone
from vault.errors import KeysRefused, StartRefused
from vault.keys import NEW_CLAIM, PURPOSES, Claim, EraseApplied, KekDirectory, KeyStore, Unreadable
from vault.seal import Dek

CLAIM = Claim(b"c" * 16, uuid4(), 0, 0)


def copy_claims(home: Home) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in home.path.glob("claims.db*")}


def put_claims(home: Home, copied: dict[str, bytes]) -> None:
    for file in home.path.glob("claims.db*"):
        file.unlink()
    for name, content in copied.items():
        (home.path / name).write_bytes(content)


def test_new_files_are_for_their_owner_alone(store: KeyStore, home: Home) -> None:
    store.claim([CLAIM])
    assert {file.name: file.stat().st_mode & 0o777 for file in home.path.glob("*.db*")} == {
        "keys.db": 0o600,
        "claims.db": 0o600,
        "claims.db-wal": 0o600,
        "claims.db-shm": 0o600,
    }


def test_key_store_is_not_made_over_another(store: KeyStore, home: Home) -> None:
    with pytest.raises(StartRefused, match="there already"):
        KeyStore.create(
            home.file,
            KekDirectory.open(home.keks, VAULT, PURPOSES),
            cache_entries=1,
            lease_seconds=1,
            busy_timeout_ms=100,
        )


def test_key_store_that_was_not_made_whole_is_refused(store: KeyStore, home: Home) -> None:
    store.close()
    with home.sql() as c:
        c.execute("DELETE FROM meta")
    with pytest.raises(StartRefused, match="not made whole"):
        home.open()


def test_kek_folder_with_other_secrets_is_refused_even_if_it_claims_to_be_of_this_vault(
    store: KeyStore, home: Home
) -> None:
    """Another index secret would find nobody, and make everybody anew without a word."""
    someone(store)
    (home.keks / "index.secret").write_bytes(b"ab" * 32 + b"\n")
    with pytest.raises(KeysRefused, match="not of the vault"):
        home.open()


def test_key_store_of_another_vault_is_refused(store: KeyStore, home: Home) -> None:
    store.close()
    with home.sql() as c:
        c.execute("UPDATE meta SET value = ? WHERE name = 'vault_id'", (str(uuid4()),))
    with pytest.raises(KeysRefused, match="put this vault's own KEK folder there"):
        home.open()


def test_missing_kek_folder_is_refused(store: KeyStore, home: Home) -> None:
    store.close()
    shutil.rmtree(home.keks)
    with pytest.raises(KeysRefused, match="is missing; restore the KEK folder from its backup"):
        home.open()


def test_copy_from_before_an_erasure_shows_its_older_position_and_erases_again_when_told(
    store: KeyStore, home: Home
) -> None:
    """What makes a restored backup safe: the registrar applies every later erasure before it serves."""
    person = someone(store)
    dek = sealed_with(store, person)
    store.apply(0, 3, [])
    copy = home.path / "copy.db"
    shutil.copyfile(home.file, copy)
    store.erase(person.subject, JANUARY, {})
    store.apply(0, 4, [EraseApplied(person.subject, JANUARY)])
    store.close()

    restored = home.open(file=copy)
    assert restored.applied(0) == 3
    assert isinstance(restored.opening(dek.key_id, person.subject), Dek)
    restored.apply(0, 4, [EraseApplied(person.subject, JANUARY)])
    assert restored.opening(dek.key_id, person.subject) is Unreadable.ERASED
    assert restored.person(person.subject) is None
    assert len(restored.pending("erase")) == 1  # so that both logs are seen to, again
    assert restored.verify() == []


def test_copy_of_an_epoch_that_was_destroyed_is_refused_with_the_remedy(store: KeyStore, home: Home) -> None:
    someone(store)
    copy = home.path / "copy.db"
    shutil.copyfile(home.file, copy)
    store.rotate(home.backups)
    with pytest.raises(KeysRefused, match=r"of epoch 1.*there: \[2\].*restore the backup that the rotation made"):
        home.open(file=copy)


def test_lost_claims_are_refused(store: KeyStore, home: Home) -> None:
    store.close()
    put_claims(home, {})
    with pytest.raises(StartRefused, match=r"are missing; restore claims\.db"):
        home.open()


def test_claims_of_another_key_store_are_refused(
    store: KeyStore, home: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Home(tmp_path_factory.mktemp("other"))
    other.create().close()
    store.close()
    put_claims(home, copy_claims(other))
    with pytest.raises(StartRefused, match="of another key store; restore"):
        home.open()


def test_older_claims_are_refused_and_the_right_ones_taken(store: KeyStore, home: Home) -> None:
    store.close()
    older = copy_claims(home)
    again = home.open()
    again.claim([CLAIM])
    again.close()
    latest = copy_claims(home)
    put_claims(home, older)
    with pytest.raises(StartRefused, match="older than the key store knows them; restore"):
        home.open()
    put_claims(home, latest)
    (state,) = home.open().claim([CLAIM])
    assert not state.is_new


def test_older_key_store_beside_later_claims_is_taken(store: KeyStore, home: Home) -> None:
    copy = home.path / "copy.db"
    store.close()
    shutil.copyfile(home.file, copy)
    for _ in range(3):
        home.open().close()
    home.open(file=copy).close()
    home.open().close()


def test_operator_can_decide_to_go_on_with_new_claims(store: KeyStore, home: Home) -> None:
    store.claim([CLAIM])
    store.close()
    before = home.claims.read_bytes()
    again = home.open(new_claims=True)
    assert again.claim([CLAIM]) == [NEW_CLAIM]
    assert (home.path / "claims.db.set-aside").read_bytes() == before
    again.close()
    (state,) = home.open().claim([CLAIM])
    assert not state.is_new


def test_processes_may_open_it_at_the_same_time(store: KeyStore, home: Home) -> None:
    others = [home.open() for _ in range(3)]
    assert {someone(other).subject for other in others} == {someone(store).subject}


def test_refused_key_store_is_closed_again(store: KeyStore, home: Home) -> None:
    store.close()
    put_claims(home, {})
    with pytest.raises(StartRefused):
        home.open()
    with home.sql() as c:
        c.execute("BEGIN EXCLUSIVE")  # nobody else has it
