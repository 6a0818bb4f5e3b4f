"""The copy for analysts' own tools: one state, readable by any DuckDB, whole or not there at all."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from projections import snapshot as copying
from projections import tables
from projections.snapshot import COPIED, Snapshot, snapshot
from projections.worker import Projector
from tests.projections.conftest import rows, said
from tests.vault.conftest import LOG_ID, Vault
from vault.errors import BadInput, Unavailable


def opened(file: Path, query: str) -> list[tuple[Any, ...]]:
    """What anybody's DuckDB finds in the file."""
    connection = duckdb.connect(str(file), read_only=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "copy.duckdb"


@pytest.fixture
def filled(vault: Vault, projector: Projector) -> Projector:
    said(vault, people=5, turns=20)
    projector.catch_up()
    return projector


def alone(file: Path) -> bool:
    return sorted(file.parent.iterdir()) == [file]


def test_everything_that_can_be_queried_is_in_it_with_its_comments(filled: Projector, file: Path) -> None:
    made = snapshot(filled.store, file)
    assert set(COPIED) <= set(tables.NAMES)
    assert made.rows["sealed_event"] == 60
    assert made.rows["interaction"] == 20
    assert made.rows["subject"] == 5
    for name in COPIED:
        left_out = "EXCLUDE (sealed) " if name in ("sealed_event", "register_event") else ""
        here = rows(filled.store, f"SELECT * {left_out}FROM {name} ORDER BY ALL")
        assert opened(file, f"SELECT * FROM {name} ORDER BY ALL") == here, name
        assert len(here) == made.rows[name]
    assert opened(file, "SELECT count(*) FROM duckdb_views() WHERE NOT internal") == [(0,)]
    assert opened(file, "SELECT count(*) FROM duckdb_tables() WHERE comment IS NULL") == [(0,)]
    assert opened(file, "SELECT count(*) FROM duckdb_columns() WHERE NOT internal AND comment IS NULL") == [(0,)]


def test_it_says_what_it_is_a_copy_of_and_how_far_it_reaches(filled: Projector, file: Path) -> None:
    made = snapshot(filled.store, file)
    assert made.positions == filled.store.positions()
    assert opened(file, "SELECT log_id, layout, with_sealed FROM snapshot") == [(LOG_ID, tables.LAYOUT, False)]
    assert made.size_bytes == file.stat().st_size


def test_sealed_payloads_come_along_only_when_they_are_asked_for(filled: Projector, file: Path) -> None:
    snapshot(filled.store, file)
    assert opened(file, "SELECT count(*) FROM duckdb_columns() WHERE column_name = 'sealed'") == [(0,)]
    snapshot(filled.store, file, with_sealed=True, overwrite=True)
    assert opened(file, "SELECT sealed FROM sealed_event ORDER BY ALL") == rows(
        filled.store, "SELECT sealed FROM sealed_event ORDER BY ALL"
    )


def test_it_is_for_its_owner_only_and_alone(filled: Projector, file: Path) -> None:
    before = os.umask(0)
    try:
        snapshot(filled.store, file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert alone(file)


def test_people_are_put_together_in_ranges_with_the_same_outcome(
    filled: Projector, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = snapshot(filled.store, file)
    before = {name: opened(file, f"SELECT * FROM {name} ORDER BY ALL") for name in COPIED}
    monkeypatch.setattr(copying, "RANGE_ROWS", 7)
    heard: list[tuple[int, int]] = []
    ranged = snapshot(filled.store, file, overwrite=True, progress=lambda *said: heard.append(said))
    assert ranged.rows == whole.rows
    assert {name: opened(file, f"SELECT * FROM {name} ORDER BY ALL") for name in COPIED} == before
    assert heard[0][0] == 0
    assert heard[-1][0] == heard[-1][1] > len(COPIED)
    assert heard == sorted(heard)


def test_it_is_one_state_however_much_comes_meanwhile(
    vault: Vault, filled: Projector, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "RANGE_ROWS", 7)
    first = iter([20, 40, 60])

    def meanwhile(done: int, total: int) -> None:
        for number in first:
            said(vault, people=5, turns=20, first=number)
            filled.catch_up()

    made = snapshot(filled.store, file, progress=meanwhile)
    assert (made.rows["sealed_event"], made.rows["interaction"]) == (60, 20)
    assert opened(file, "SELECT sum(messages) FROM subject") == [(20,)]
    assert made.positions != filled.store.positions()


def test_a_file_that_is_there_is_replaced_only_by_force(filled: Projector, file: Path) -> None:
    file.write_text("somebody's work")
    with pytest.raises(BadInput, match=r"exists already.*--force"):
        snapshot(filled.store, file)
    assert file.read_text() == "somebody's work"
    snapshot(filled.store, file, overwrite=True)
    assert opened(file, "SELECT count(*) FROM interaction") == [(20,)]
    file.unlink()
    file.mkdir()
    with pytest.raises(BadInput, match="exists already"):
        snapshot(filled.store, file, overwrite=True)


def test_a_folder_that_is_not_there_is_not_made(filled: Projector, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        snapshot(filled.store, tmp_path / "no" / "copy.duckdb")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Unavailable("whoever asked has gone")])
def test_who_gives_up_leaves_nothing(filled: Projector, file: Path, error: BaseException) -> None:
    file.write_text("the copy from before")

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise error

    with pytest.raises(type(error)):
        snapshot(filled.store, file, overwrite=True, progress=stop)
    assert file.read_text() == "the copy from before"
    assert alone(file)
    assert snapshot(filled.store, file, overwrite=True).rows["interaction"] == 20


def test_memory_that_does_not_suffice_leaves_nothing_and_names_the_limit(filled: Projector, file: Path) -> None:
    with pytest.raises(Unavailable, match="duckdb_memory_mb"):
        snapshot(filled.store, file, memory_mb=1)
    assert list(file.parent.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB. Needs root; without it there is nothing that fills up as a disk does."""
    where = tmp_path / "disk"
    where.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root; run the tests as root to see a full disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system; run the tests where root may, to see a full disk")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_full_disk_is_said_and_leaves_nothing(filled: Projector, small_disk: Path) -> None:
    with pytest.raises(Unavailable, match="free some disk space"):
        snapshot(filled.store, small_disk / "copy.duckdb")
    assert list(small_disk.iterdir()) == []


def test_the_result_says_where_it_is(filled: Projector, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    made = snapshot(filled.store, Path(file.name))
    assert isinstance(made, Snapshot)
    assert made.path == file
