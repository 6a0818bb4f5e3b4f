"""The register in a SQLite file: rivals, durability, subscriptions, and a file that cannot be used."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent, Tracking

from vault import sqlite
from vault.errors import LogUnavailable, Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "register-0.db"


@pytest.fixture
def factory(path: Path) -> Iterator[sqlite.Factory]:
    made = sqlite.Factory({"SQLITE_DBNAME": str(path), "SQLITE_LOCK_TIMEOUT": "1"})
    yield made
    made.close()


def event(originator: UUID, version: int, state: bytes = b"sealed") -> StoredEvent:
    return StoredEvent(originator, version, "subject.registered.1", state)


def test_what_rivals_record_for_one_aggregate_is_accepted_once(path: Path) -> None:
    factories = [sqlite.Factory({"SQLITE_DBNAME": str(path)}) for _ in range(2)]
    recorders = [made.application_recorder() for made in factories]
    originator = uuid4()
    refused: list[int] = []
    errors: list[BaseException] = []

    def increase(number: int) -> None:
        recorder = recorders[number % 2]
        recorded = 0
        try:
            while recorded < 10:
                last = recorder.select_events(originator, desc=True, limit=1)
                try:
                    recorder.insert_events([event(originator, last[0].originator_version + 1 if last else 1)])
                except IntegrityError:
                    refused.append(number)
                else:
                    recorded += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=increase, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    ours, theirs = (recorder.select_notifications(None, 1_000) for recorder in recorders)
    assert [one.originator_version for one in ours] == list(range(1, 81))
    assert [one.id for one in ours] == list(range(1, 81))
    assert ours == theirs
    for made in factories:
        made.close()


def test_every_connection_waits_for_the_disk(factory: sqlite.Factory) -> None:
    recorder = factory.application_recorder()
    recorder.insert_events([event(uuid4(), 1)])
    for commit in (True, False):
        with factory.datastore.transaction(commit=commit) as cursor:
            cursor.execute("PRAGMA synchronous")
            assert cursor.fetchone()[0] == 2
            cursor.execute("PRAGMA journal_mode")
            assert cursor.fetchone()[0] == "wal"


WRITER = """
import sys
from uuid import uuid4
from eventsourcing.persistence import StoredEvent
from vault import sqlite

recorder = sqlite.Factory({"SQLITE_DBNAME": sys.argv[1]}).application_recorder()
while True:
    originator = uuid4()
    recorder.insert_events([StoredEvent(originator, 1, "t", b""), StoredEvent(originator, 2, "t", b"")])
    print(originator, flush=True)
"""


def test_what_was_accepted_survives_a_kill_whole(path: Path, factory: sqlite.Factory) -> None:
    accepted = []
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            accepted.append(UUID(line.strip()))
            if len(accepted) == 100:
                os.kill(writer.pid, signal.SIGKILL)
    recorder = factory.application_recorder()
    for originator in accepted:
        assert [one.originator_version for one in recorder.select_events(originator)] == [1, 2]
    assert (recorder.max_notification_id() or 0) % 2 == 0


def test_a_subscription_is_woken_by_every_recorder_of_its_factory(factory: sqlite.Factory) -> None:
    recorder, other = factory.application_recorder(), factory.process_recorder()
    originator = uuid4()
    with recorder.subscribe() as subscription:
        for version in range(1, 50):
            other.insert_events([event(originator, version)], tracking=Tracking("upstream", version))
            assert next(subscription).originator_version == version


def test_a_subscription_misses_nothing_that_is_recorded_while_it_begins(
    factory: sqlite.Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = factory.application_recorder()
    assert isinstance(recorder, sqlite.SqliteApplicationRecorder)
    select, add = recorder.select_notifications, factory.datastore.listeners.add
    has_read = threading.Event()

    def select_and_say_so(*args: Any, **kwargs: Any) -> Any:
        found = select(*args, **kwargs)
        has_read.set()
        return found

    def add_when_it_is_late(listener: threading.Event) -> None:
        has_read.wait()
        recorder.insert_events([event(uuid4(), 1)])
        add(listener)

    monkeypatch.setattr(recorder, "select_notifications", select_and_say_so)
    monkeypatch.setattr(factory.datastore.listeners, "add", add_when_it_is_late)
    with recorder.subscribe() as subscription:
        threading.Timer(10, subscription.stop).start()
        assert [one.id for one in islice(subscription, 1)] == [1]
    assert len(factory.datastore.listeners) == 0


def test_a_file_that_another_program_holds_is_unavailable_in_both_trees_of_errors(
    path: Path, factory: sqlite.Factory
) -> None:
    recorder = factory.application_recorder()
    originator = uuid4()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="locked") as held:
            recorder.insert_events([event(originator, 1)])
    assert isinstance(held.value, OperationalError)
    assert isinstance(held.value, Unavailable)
    assert (held.value.not_stored, held.value.unknown) == (1, 0)
    assert "no other program" in held.value.remedy
    assert recorder.insert_events([event(originator, 1)]) == [1]


def test_a_full_disk_is_said_and_what_did_not_fit_is_not_there(factory: sqlite.Factory) -> None:
    recorder = factory.application_recorder()
    recorder.insert_events([event(uuid4(), 1)])
    _bound_pages(factory, 1)
    large, originator = b"\x5a" * 100_000, uuid4()
    with pytest.raises(LogUnavailable, match="full; free some space"):
        recorder.insert_events([event(originator, 1), event(originator, 2, large)])
    assert recorder.select_events(originator) == []
    _bound_pages(factory, 100_000)
    assert recorder.insert_events([event(originator, 1), event(originator, 2, large)]) == [2, 3]


def _bound_pages(factory: sqlite.Factory, pages: int) -> None:
    with factory.datastore.transaction(commit=False) as cursor:
        cursor.execute(f"PRAGMA max_page_count={pages}")


def test_a_file_that_is_no_database_is_refused_with_the_remedy(path: Path, factory: sqlite.Factory) -> None:
    path.write_bytes(b"not a database at all" * 1_000)
    with pytest.raises(LogUnavailable, match="not a database; restore it from a backup"):
        factory.application_recorder()


def test_a_recorder_that_was_closed_says_so(factory: sqlite.Factory) -> None:
    recorder = factory.application_recorder()
    factory.close()
    with pytest.raises(LogUnavailable, match="closed"):
        recorder.insert_events([event(uuid4(), 1)])
