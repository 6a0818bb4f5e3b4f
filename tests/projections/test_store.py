"""One file, one owner: what it is made from, what it refuses, and that nothing is stored twice or in part."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from projections import generations, removal, tables
from projections.rows import merged
from projections.store import Store
from projections.worker import Projector
from tests.projections.conftest import close, everything, open_store, rows, said, subject_of
from tests.vault.conftest import LOG_ID, Vault
from vault.errors import HomeBusy, HomeNewer, LogMismatch, StartRefused, Unavailable
from vault.ids import partition_of

Project = Callable[[], Projector]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "projection"


def current(folder: Path) -> Path:
    """The file in service."""
    return folder / (folder / "current").read_text().strip()


def layout(path: Path, number: int) -> None:
    with duckdb.connect(str(current(path))) as connection:
        connection.execute("UPDATE projection SET layout = ?", [number])


def test_a_batch_that_was_stored_is_not_stored_again(vault: Vault, projector: Projector) -> None:
    said(vault)
    source = projector.sources(projector.followed)["conversations", partition_of(subject_of(vault, "visitor-0"))]
    batch = source.read(1_000, 100, source.end())
    assert batch is not None
    assert projector.store.write(batch)
    held = everything(projector.store)
    assert not projector.store.write(batch)
    assert everything(projector.store) == held
    projector.catch_up()
    assert rows(projector.store, "SELECT count(*), count(DISTINCT originator) FROM sealed_event") == [(36, 12)]


def test_a_batch_that_cannot_be_stored_whole_leaves_nothing(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(vault)
    batches = [source.read(1_000, 100, source.end()) for source in projector.sources(projector.followed).values()]
    whole = merged([batch for batch in batches if batch])
    with monkeypatch.context() as patched:
        patched.setattr(
            removal, "remove_persons", lambda connection, *_, **__: connection.execute("SELECT no_such_column")
        )
        whole = replace(whole, erased=frozenset({bytes(16)}))
        with pytest.raises(Unavailable):
            projector.store.write(whole)
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(0,)]
    assert projector.store.positions() == {}
    assert projector.store.write(whole)
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(36,)]


def test_a_file_of_another_log_is_refused(path: Path) -> None:
    Store.open(path, log_id=UUID(int=8)).close()
    with pytest.raises(LogMismatch, match="made anew"):
        Store.open(path, log_id=UUID(int=9))


def test_a_file_of_a_newer_program_is_refused(path: Path) -> None:
    Store.open(path, log_id=LOG_ID).close()
    layout(path, tables.LAYOUT + 1)
    with pytest.raises(HomeNewer, match=f"layout {tables.LAYOUT + 1}"):
        Store.open(path, log_id=LOG_ID)


def test_a_file_of_an_older_layout_is_made_anew_beside_it_and_goes_when_that_is_done(
    vault: Vault, project: Project, path: Path
) -> None:
    said(vault)
    first = project()
    first.catch_up()
    held = everything(first.store)
    close(first)
    old = current(path)
    layout(path, tables.LAYOUT - 1)
    again = project()
    assert again.store.positions() == {}
    assert again.store.is_building
    assert current(path) == old
    again.catch_up()
    assert everything(again.store) == held
    assert current(path) == again.store.path
    again.store.wait_for_ended()
    assert not old.exists()


def test_making_a_file_of_a_new_layout_goes_on_after_a_crash_where_it_was(
    vault: Vault, project: Project, path: Path
) -> None:
    said(vault)
    first = project()
    first.catch_up()
    close(first)
    layout(path, tables.LAYOUT - 1)
    halfway = project()
    place, source = next((p, s) for p, s in halfway.sources(halfway.followed).items() if s.end())
    batch = source.read(1_000, 100, source.end())
    assert batch is not None
    assert halfway.store.write(batch)
    reached = halfway.store.positions()
    assert place in reached
    close(halfway)
    again = project()
    assert again.store.positions() == reached
    assert again.store.is_building


def test_a_folder_that_cannot_be_one_is_refused(path: Path) -> None:
    path.write_bytes(b"something else")
    with pytest.raises(StartRefused, match="cannot be used"):
        Store.open(path, log_id=LOG_ID)
    assert path.read_bytes() == b"something else"


def test_left_overs_of_what_was_killed_are_removed_and_what_serves_stays(
    vault: Vault, project: Project, path: Path
) -> None:
    said(vault)
    first = project()
    first.catch_up()
    held = everything(first.store)
    first.store.beside().close()
    close(first)
    (path / "9.duckdb.wal").write_bytes(b"left over")
    (path / "current.new").write_text("nonsense")
    assert len(list(path.glob("*.duckdb"))) == 2
    again = project()
    assert everything(again.store) == held
    assert [file.name for file in path.glob("*.duckdb*") if not file.name.endswith(".wal")] == [again.store.path.name]
    assert not (path / "9.duckdb.wal").exists()


def test_a_file_goes_in_parts_and_one_that_was_half_removed_at_the_next_opening(
    project: Project, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(project())
    monkeypatch.setattr(generations, "REMOVED_BYTES", 30_000)
    going = path / "9.duckdb"
    going.write_bytes(bytes(100_000))
    with monkeypatch.context() as killed:
        killed.setattr(os, "fsync", lambda descriptor: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            generations.remove(going)
    assert [(file.name, file.stat().st_size) for file in path.glob("9*")] == [("9.duckdb.gone", 70_000)]
    again = project()
    assert list(path.glob("9*")) == []
    close(again)
    going.write_bytes(bytes(100_000))
    generations.remove(going)
    generations.remove(going)
    assert list(path.glob("9*")) == []


def test_without_a_pointer_nothing_is_taken_for_whole(vault: Vault, project: Project, path: Path) -> None:
    said(vault)
    first = project()
    first.catch_up()
    held = everything(first.store)
    close(first)
    (path / "current").write_bytes(b"\xff../../etc/passwd")
    again = project()
    assert again.store.positions() == {}
    again.catch_up()
    assert everything(again.store) == held
    assert len(list(path.glob("*.duckdb"))) == 1


def test_a_file_that_another_process_owns_is_busy(path: Path) -> None:
    store = Store.open(path, log_id=LOG_ID)
    tried = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from uuid import UUID; from projections.store import Store; "
            f"Store.open(Path(sys.argv[1]), log_id=UUID('{LOG_ID}'))",
            str(path),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert tried.returncode == 1
    assert HomeBusy.__name__ in tried.stderr
    store.close()


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    store = Store.open(path, log_id=LOG_ID)
    assert path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}
    store.close()


def test_every_table_and_column_says_what_it_is(path: Path) -> None:
    store = Store.open(path, log_id=LOG_ID)
    silent = rows(
        store,
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL UNION ALL"
        " SELECT table_name, '' FROM duckdb_tables() WHERE NOT internal AND comment IS NULL UNION ALL"
        " SELECT view_name, '' FROM duckdb_views() WHERE NOT internal AND comment IS NULL",
    )
    assert silent == []
    named = {name for (name,) in rows(store, "SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal")}
    assert named == {*tables.NAMES, *tables.INSIDE}
    store.close()


def test_no_word_that_was_said_is_in_the_file(vault: Vault, project: Project, path: Path) -> None:
    said(vault, text="a marked utterance zyxwvut")
    projector = project()
    projector.catch_up()
    for held in path.iterdir():
        assert b"zyxwvut" not in held.read_bytes()
    close(projector)
    for held in path.iterdir():
        assert b"zyxwvut" not in held.read_bytes()
        assert b"a reply" not in held.read_bytes()
        assert b"visitor-" not in held.read_bytes()


def test_who_reads_while_the_file_is_replaced_reads_the_old_or_the_new_one(
    vault: Vault, projector: Projector, tmp_path: Path
) -> None:
    from projections.rebuild import rebuild

    said(vault)
    projector.catch_up()
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not done.is_set():
            seen.append(rows(projector.store, "SELECT count(*) FROM sealed_event")[0][0])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(3):
        assert rebuild(projector) == 40
    done.set()
    reader.join()
    assert set(seen) == {36}


def test_reopening_keeps_everything(vault: Vault, project: Project, tmp_path: Path) -> None:
    said(vault)
    projector = project()
    projector.catch_up()
    held = everything(projector.store)
    close(projector)
    store = open_store(tmp_path)
    assert everything(store) == held
    store.close()
