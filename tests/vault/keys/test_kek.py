from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from vault.errors import BadInput, KeysRefused, KeyWithheld, StartRefused
from vault.keys.kek import PURPOSES, KekDirectory

VAULT = UUID("7f0c1d2e-0000-4000-8000-00000000a001")
PLACE = b"a place"
NONCE = bytes(12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    KekDirectory.create(tmp_path / "keks", VAULT)
    return tmp_path / "keks"


def test_new_folder_and_its_files_are_for_their_owner_alone(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == len(PURPOSES) + 3


def test_a_wide_umask_does_not_loosen_a_new_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KekDirectory.create(tmp_path / "keks", VAULT)
    finally:
        os.umask(before)
    KekDirectory.open(tmp_path / "keks", VAULT, PURPOSES)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_folder_that_others_may_enter_is_refused_with_the_remedy(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(KeysRefused, match=f"mode {mode:04o}.*run: chmod 0700 {folder}"):
        KekDirectory.open(folder, VAULT, PURPOSES)


@pytest.mark.parametrize("name", ["service.1.kek", "vault-id"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_file_that_others_may_read_is_refused_with_the_remedy(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    with pytest.raises(KeysRefused, match=rf"{name} has mode {mode:04o}.*run: chmod 0600"):
        KekDirectory.open(folder, VAULT, PURPOSES)


def test_secret_that_others_may_read_is_refused(folder: Path) -> None:
    (folder / "index.secret").chmod(0o644)
    with pytest.raises(KeysRefused, match=r"index\.secret has mode 0644"):
        KekDirectory.open(folder, VAULT, PURPOSES).secret("index")


def test_folder_of_another_vault_is_refused_naming_both(folder: Path) -> None:
    other = uuid4()
    with pytest.raises(KeysRefused, match=f"of vault {VAULT}, this is vault {other}"):
        KekDirectory.open(folder, other, PURPOSES)


def test_missing_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(KeysRefused, match="keks is missing; restore"):
        KekDirectory.open(tmp_path / "keks", VAULT, PURPOSES)


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keks").write_text("")
    with pytest.raises(KeysRefused, match="is not a folder"):
        KekDirectory.open(tmp_path / "keks", VAULT, PURPOSES)


def test_missing_kek_of_a_purpose_is_refused(folder: Path) -> None:
    (folder / "rights.1.kek").unlink()
    with pytest.raises(KeysRefused, match="no KEK of purpose rights"):
        KekDirectory.open(folder, VAULT, PURPOSES)
    KekDirectory.open(folder, VAULT, ["service"])  # which does not need it


@pytest.mark.parametrize("content", [b"", b"abc\n", b"zz" * 32 + b"\n", b"ab" * 33 + b"\n", b"\xff" * 65])
def test_damaged_kek_is_refused_and_never_taken_for_a_shorter_one(folder: Path, content: bytes) -> None:
    (folder / "service.1.kek").write_bytes(content)
    with pytest.raises(KeysRefused, match=r"service\.1\.kek is damaged"):
        KekDirectory.open(folder, VAULT, PURPOSES)


def test_link_in_place_of_a_kek_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "service.1.kek").rename(tmp_path / "elsewhere")
    (folder / "service.1.kek").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeysRefused, match=r"service\.1\.kek is a link"):
        KekDirectory.open(folder, VAULT, PURPOSES)


def test_existing_folder_is_never_made_again(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(StartRefused, match="there already"):
        KekDirectory.create(folder, VAULT)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_process_opens_only_the_purposes_it_was_given(folder: Path) -> None:
    sealed = KekDirectory.open(folder, VAULT, PURPOSES).kek("service", 1).encrypt(NONCE, b"plain", PLACE)
    keks = KekDirectory.open(folder, VAULT, ["service"])
    assert keks.kek("service", 1).decrypt(NONCE, sealed, PLACE) == b"plain"
    with pytest.raises(KeyWithheld):
        keks.kek("rights", 1)


def test_unknown_purpose_and_unknown_secret_are_bad_input(folder: Path) -> None:
    with pytest.raises(BadInput, match="one of service"):
        KekDirectory.open(folder, VAULT, ["marketing"])
    with pytest.raises(BadInput, match="one of log, index"):
        KekDirectory.open(folder, VAULT, PURPOSES).secret("other")


def test_kek_that_another_process_made_is_found_without_opening_again(folder: Path) -> None:
    reader = KekDirectory.open(folder, VAULT, ["service"])
    writer = KekDirectory.open(folder, VAULT, PURPOSES)
    writer.make_epoch(2)
    sealed = writer.kek("service", 2).encrypt(NONCE, b"plain", PLACE)
    assert reader.kek("service", 2).decrypt(NONCE, sealed, PLACE) == b"plain"


def test_making_an_epoch_again_keeps_the_keks_that_are_there(folder: Path) -> None:
    keks = KekDirectory.open(folder, VAULT, PURPOSES)
    keks.make_epoch(2)
    before = {file.name: file.read_bytes() for file in folder.glob("*.2.kek")}
    (folder / "rights.2.kek").unlink()  # as when the making was interrupted
    keks.make_epoch(2)
    after = {file.name: file.read_bytes() for file in folder.glob("*.2.kek")}
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"rights.2.kek"}


def test_draft_of_an_interrupted_making_is_no_kek(folder: Path) -> None:
    (folder / "service.2.kek.new").write_bytes(b"half")
    keks = KekDirectory.open(folder, VAULT, PURPOSES)
    assert keks.epochs() == keks.remains() == [1]
    keks.make_epoch(2)
    assert not list(folder.glob("*.new"))


def test_destroyed_kek_is_overwritten_before_it_is_unlinked(folder: Path, tmp_path: Path) -> None:
    os.link(folder / "service.1.kek", tmp_path / "same-file")
    keks = KekDirectory.open(folder, VAULT, PURPOSES)
    keks.make_epoch(2)
    keks.destroy_epoch(1)
    assert (tmp_path / "same-file").read_bytes() == b"0" * 64 + b"\n"
    assert keks.remains() == keks.epochs() == [2]
    with pytest.raises(KeysRefused, match="no KEK of purpose service for epoch 1"):
        keks.kek("service", 1)


def test_interrupted_destruction_counts_as_destroyed_and_can_be_finished(folder: Path) -> None:
    KekDirectory.open(folder, VAULT, PURPOSES).make_epoch(2)
    (folder / "service.1.kek").write_bytes(b"0" * 64 + b"\n")
    keks = KekDirectory.open(folder, VAULT, PURPOSES)
    assert keks.epochs() == [2]
    assert keks.remains() == [1, 2]
    keks.destroy_epoch(1)
    assert keks.remains() == [2]


def test_only_a_process_with_every_purpose_makes_or_destroys_an_epoch(folder: Path) -> None:
    keks = KekDirectory.open(folder, VAULT, ["service", "rights"])
    with pytest.raises(KeyWithheld):
        keks.make_epoch(2)
    with pytest.raises(KeyWithheld):
        keks.destroy_epoch(1)
    assert keks.remains() == [1]
