"""One file, one owner: what it is made from, what it refuses, and that nothing is stored twice or in part."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from projections import tables
from projections.store import Store
from projections.worker import Projector
from tests.projections.conftest import close, everything, open_store, rows, said
from tests.vault.conftest import LOG_ID, Vault
from vault.errors import HomeBusy, HomeNewer, LogMismatch, StartRefused

Project = Callable[[], Projector]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "projection.duckdb"


def layout(path: Path, number: int) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE projection SET layout = ?", [number])


def test_a_batch_that_was_stored_is_not_stored_again(vault: Vault, projector: Projector) -> None:
    said(vault)
    (source,) = [s for place, s in projector.sources().items() if place == ("conversations", 0)]
    batch = source.read(1_000, 100, source.end())
    assert batch is not None
    assert projector.store.write(batch)
    held = everything(projector.store)
    assert not projector.store.write(batch)
    assert everything(projector.store) == held
    projector.catch_up()
    assert rows(projector.store, "SELECT count(*), count(DISTINCT originator) FROM event") == [(36, 12)]


def test_a_batch_that_cannot_be_stored_whole_leaves_nothing(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    from projections import store as module

    said(vault)
    with monkeypatch.context() as patched:
        patched.setattr(module, "EVIDENCE_COLUMNS", ("no_such_column",))
        batches = [source.read(1_000, 100, source.end()) for source in projector.sources().values()]
        from projections.rows import merged
        from vault.errors import Unavailable

        whole = merged([batch for batch in batches if batch])
        with pytest.raises(Unavailable):
            projector.store.write(whole)
    assert rows(projector.store, "SELECT count(*) FROM event") == [(0,)]
    assert projector.store.positions() == {}
    assert projector.store.write(whole)
    assert rows(projector.store, "SELECT count(*) FROM event") == [(36,)]


def test_a_file_of_another_log_is_refused(path: Path) -> None:
    Store.open(path, log_id=UUID(int=8)).close()
    with pytest.raises(LogMismatch, match="rebuild"):
        Store.open(path, log_id=UUID(int=9))


def test_a_file_of_a_newer_program_is_refused(path: Path) -> None:
    Store.open(path, log_id=LOG_ID).close()
    layout(path, tables.LAYOUT + 1)
    with pytest.raises(HomeNewer, match=f"layout {tables.LAYOUT + 1}"):
        Store.open(path, log_id=LOG_ID)


def test_a_file_of_an_older_layout_is_made_anew_by_itself(vault: Vault, project: Project, path: Path) -> None:
    said(vault)
    first = project()
    first.catch_up()
    held = everything(first.store)
    close(first)
    layout(path, tables.LAYOUT - 1)
    again = project()
    assert again.store.positions() == {}
    again.catch_up()
    assert everything(again.store) == held


def test_a_file_that_is_no_projection_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"something else" * 1_000)
    with pytest.raises(StartRefused):
        Store.open(path, log_id=LOG_ID)
    assert path.read_bytes().startswith(b"something else")
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
    with pytest.raises(StartRefused, match="not a projection"):
        Store.open(path, log_id=LOG_ID)


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
    assert path.stat().st_mode & 0o777 == 0o600
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
    assert named == set(tables.NAMES)
    store.close()


def test_no_word_that_was_said_is_in_the_file(vault: Vault, project: Project, path: Path) -> None:
    said(vault, text="a marked utterance zyxwvut")
    projector = project()
    projector.catch_up()
    wal = path.with_name(path.name + ".wal")
    for held in (path, wal):
        assert not held.exists() or b"zyxwvut" not in held.read_bytes()
    close(projector)
    assert b"zyxwvut" not in path.read_bytes()
    assert b"a reply" not in path.read_bytes()
    assert b"visitor-" not in path.read_bytes()


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
            seen.append(rows(projector.store, "SELECT count(*) FROM event")[0][0])

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
