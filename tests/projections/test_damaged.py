"""Files that are damaged, and disks that are full: set aside and made anew, or left as they were; never served in part."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from projections.rebuild import rebuild
from projections.settle import settle
from projections.store import Store
from projections.verification import verify
from projections.worker import Projector
from tests.disks import disk_of
from tests.projections.conftest import QUICK, close, everything, files, rows, said
from tests.vault.conftest import LOG_ID, Vault
from vault.errors import Unavailable

Project = Callable[[], Projector]


def flip(path: Path, at: int, size: int = 64) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(os.urandom(size))


def filled(vault: Vault, project: Project) -> tuple[Projector, Path]:
    """A projection of some size, settled, and its file."""
    said(vault, people=5, turns=400)
    projector = project()
    projector.catch_up()
    settle(projector.store, projector.keys)
    return projector, projector.store.path


DAMAGE: dict[str, Callable[[Path], None]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "cut to its header": lambda path: os.truncate(path, 5_000),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "its last block cut": lambda path: os.truncate(path, path.stat().st_size - 4_096),
    "its beginning overwritten": lambda path: flip(path, 0),
    "its header overwritten": lambda path: flip(path, 4_096, 8_192),
    "something else": lambda path: Path(path).write_bytes(b"something else" * 1_000) and None,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside_when_it_is_opened_and_made_anew_from_the_logs(
    vault: Vault, project: Project, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    projector, path = filled(vault, project)
    held = everything(projector.store)
    close(projector)
    DAMAGE[damage](path)
    bytes_now = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        again = project()
    (aside,) = path.parent.glob("*.broken-*")
    assert aside.name.startswith(f"{path.name}.broken-")
    assert aside.stat().st_mode & 0o777 == 0o600
    assert aside.read_bytes() == bytes_now
    assert again.store.positions() == {}
    again.catch_up()
    assert everything(again.store) == held
    assert verify(again).problems == []
    (warning,) = [record for record in caplog.records if record.getMessage() == "projection damaged"]
    assert vars(warning)["set_aside"] == aside.name
    assert vars(warning)["made"] == again.store.path.name
    close(again)
    assert project().store.path == again.store.folder / vars(warning)["made"], "and it stays in service"


@pytest.mark.parametrize("follows", [False, True])
def test_damage_that_a_reader_meets_sets_the_file_aside_and_it_is_made_anew_by_itself(
    vault: Vault, project: Project, follows: bool
) -> None:
    projector, path = filled(vault, project)
    held = everything(projector.store)
    blocks = rows(
        projector.store,
        "SELECT DISTINCT block_id FROM pragma_storage_info('settled_event') WHERE column_name = 'sealed' AND block_id >= 0",
    )
    close(projector)
    for (block,) in blocks:
        flip(path, 3 * 4_096 + block * 262_144 + 100_000)
    again = project()
    if follows:
        again.start()
    with pytest.raises(Unavailable, match="set aside"):
        rows(again.store, "SELECT sum(octet_length(sealed)) FROM sealed_event")
    assert len(list(path.parent.glob("*.broken-*"))) == 1
    again.catch_up(timeout_ms=20_000)
    assert everything(again.store) == held
    assert verify(again).problems == []


def test_a_file_that_is_of_somebody_elses_tables_is_set_aside(vault: Vault, project: Project) -> None:
    import duckdb

    projector, path = filled(vault, project)
    close(projector)
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
    again = project()
    assert len(list(path.parent.glob("*.broken-*"))) == 1
    again.catch_up()
    assert verify(again).problems == []


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MB."""
    with disk_of(tmp_path / "disk", 5) as where:
        yield where


@pytest.mark.parametrize("made_by", ["settle", "rebuild"])
def test_a_full_disk_leaves_the_old_file_in_service(vault: Vault, small_disk: Path, made_by: str) -> None:
    said(vault, people=5, turns=800)
    store = Store.open(small_disk / "projection", log_id=LOG_ID, memory_mb=128, threads=1)
    projector = Projector(store, vault.conversations, vault.register, vault.keys, vault.mapper, QUICK)
    projector.catch_up()
    held, old = everything(store), store.path
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 300_000))

    def make() -> None:
        if made_by == "settle":
            settle(store, projector.keys)
        else:
            rebuild(projector)

    with pytest.raises(Unavailable, match="free some"):
        make()
    assert store.path == old
    assert files(store) == [old.name]
    assert everything(store) == held
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    make()
    assert store.path != old
    assert everything(store) == held
    assert files(store) == [store.path.name]
    close(projector)
