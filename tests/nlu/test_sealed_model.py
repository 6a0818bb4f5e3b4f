"""A model that was trained on people opens with its key in its home, while all of them agree, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from nlu.model_file import put, read_model
from nlu.sealed_model import DAY_US, MAGIC, Learnt, Seals, is_sealed, model_of, seal_model
from nlu.understanding import Understanding
from tests.nlu.people import NOW_US, meet, read, say
from tests.vault.conftest import VAULT_ID, Vault
from vault.errors import StartRefused
from vault.keys import IMPROVEMENT, PURPOSES, KekDirectory, KeyStore
from vault.seal import Dek

MODEL = UUID(int=77)


def made(vault: Vault, understanding: Understanding, path: Path) -> tuple[bytes, tuple[Learnt, ...]]:
    """A sealed model of what two people said; its bytes unsealed, and its lineage."""
    meet(vault, "one", "two")
    say(vault, "one", "words")
    say(vault, "two", "words", 2)
    learnt = tuple(sorted(one.learnt for one in read(vault).heard))
    dek = vault.keys.begin_model(MODEL, [one.source for one in learnt], NOW_US)
    assert isinstance(dek, Dek)
    body = understanding.as_bytes(trained_on="0" * 64, made_at="2026-01-31T12:00:00Z", metrics={})
    put(path, seal_model(body, reversed(learnt), MODEL, dek))
    return body, learnt


def seals(keys: KeyStore, days: int = 30, now_us: int = NOW_US) -> Seals:
    return Seals(keys, stale_model_days=days, now_us=lambda: now_us)


def test_it_answers_as_the_same_model_unsealed_and_knows_what_it_learnt_from(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    body, learnt = made(vault, understanding, path)
    loaded, model = Understanding.load(path, seals=seals(vault.keys))
    assert loaded.parse(["annuler ma réservation"]) == understanding.parse(["annuler ma réservation"])
    assert (model.sealed, loaded.sealed, model.lineage) == (MODEL, MODEL, learnt)
    assert model.digest == loaded.digest == body[-32:].hex()
    assert path.stat().st_mode & 0o777 == 0o600
    assert model_of(path) == MODEL


def test_neither_a_feature_nor_whom_it_learnt_from_can_be_read_in_the_file(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    body, learnt = made(vault, understanding, tmp_path / "m")
    sealed = (tmp_path / "m").read_bytes()
    assert b"annuler" in body
    for word in (b"annuler", b"intents", b"parts", b"cancel"):
        assert word not in sealed
    for one in learnt:
        assert one.source.subject.hex.encode() not in sealed
        assert one.source.subject.bytes not in sealed


def test_it_is_refused_without_the_key_of_its_home_and_purpose(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    made(vault, understanding, path)
    with pytest.raises(StartRefused, match="was trained on people, and opens only where their home is open"):
        Understanding.load(path)
    folder = tmp_path / "vault"
    keks = KekDirectory.open(folder / "keks", VAULT_ID, [purpose for purpose in PURPOSES if purpose != IMPROVEMENT])
    options = {"cache_entries": 10, "lease_seconds": 1.0, "busy_timeout_ms": 1_000}
    without = KeyStore.open(folder / "keys.db", keks, **options)  # type: ignore[arg-type]
    with pytest.raises(StartRefused, match="does not open here: no grant for a purpose of this process"):
        Understanding.load(path, seals=seals(without))
    without.close()
    elsewhere = KeyStore.create(tmp_path / "k", KekDirectory.create(tmp_path / "keks", VAULT_ID), **options)  # type: ignore[arg-type]
    with pytest.raises(StartRefused, match=f"model {MODEL} is none that this home has a key of"):
        Understanding.load(path, seals=seals(elsewhere))
    elsewhere.close()


def test_it_answers_until_its_deadline_once_somebody_left_and_never_after(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    _, learnt = made(vault, understanding, path)
    vault.keys.erase(learnt[0].source.subject, NOW_US, {})
    last = NOW_US + 3 * DAY_US - 1
    assert Understanding.load(path, seals=seals(vault.keys, 3, last))[0].sealed == MODEL
    with pytest.raises(
        StartRefused, match=r"out of service: somebody it learnt from does not agree any more; train another"
    ):
        Understanding.load(path, seals=seals(vault.keys, 3, last + 1))
    with pytest.raises(StartRefused, match="out of service"):
        Understanding.load(path, seals=seals(vault.keys, 0, NOW_US))


def test_a_copy_of_the_file_does_not_outlive_its_key(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    made(vault, understanding, path)
    vault.keys.end_model(MODEL)
    with pytest.raises(StartRefused, match=r"none that this home has a key of: .* its time was over"):
        Understanding.load(path, seals=seals(vault.keys, 365))


def test_a_changed_byte_is_refused_wherever_it_is(vault: Vault, understanding: Understanding, tmp_path: Path) -> None:
    path = tmp_path / "m"
    made(vault, understanding, path)
    whole = path.read_bytes()
    for at in (0, 22, 23, 38, 39, 70, 71, 82, 83, 91, 200, 5_000, -1):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(StartRefused):
            read_model(path, seals(vault.keys))


def test_a_file_that_was_cut_is_refused_wherever_it_was(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    made(vault, understanding, path)
    whole = path.read_bytes()
    for size in (23, 24, 39, 60, 71, 83, 84, 98, 99, 100, 10_000, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert is_sealed(path.read_bytes())
        with pytest.raises(StartRefused):
            read_model(path, seals(vault.keys))


def test_what_is_sealed_and_is_no_model_is_refused(vault: Vault, understanding: Understanding, tmp_path: Path) -> None:
    made(vault, understanding, tmp_path / "m")
    other = UUID(int=78)
    dek = vault.keys.begin_model(other, [], NOW_US)
    assert isinstance(dek, Dek)
    for body in (b"", b"{}", b"{}" * 100, MAGIC * 10):
        put(tmp_path / "m", seal_model(body, [], other, dek))
        with pytest.raises(StartRefused):
            read_model(tmp_path / "m", seals(vault.keys))


def test_which_model_a_file_is_can_be_told_without_opening_it(tmp_path: Path) -> None:
    file = tmp_path / "m"
    assert model_of(file) is None
    file.write_bytes(MAGIC + MODEL.bytes[:-1])
    assert model_of(file) is None
    file.write_bytes(b'{"format":1}')
    assert model_of(file) is None
    assert model_of(tmp_path) is None
    file.write_bytes(MAGIC + MODEL.bytes)
    assert model_of(file) == MODEL
