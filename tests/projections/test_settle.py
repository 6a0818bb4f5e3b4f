"""The file made anew from the one in service: nothing lost, nothing doubled, nothing left of what is gone, nobody kept waiting."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from projections import settle as module
from projections.rebuild import rebuild
from projections.settle import settle
from projections.store import Store
from projections.verification import verify
from projections.worker import Projector
from tests.projections.conftest import (
    QUICK,
    close,
    everything,
    files,
    open_store,
    rows,
    said,
    subject_of,
    turn,
    until,
)
from tests.vault.conftest import Vault, open_vault
from vault.commit import Commit
from vault.errors import Unavailable
from vault.fold import Verdict
from vault.ids import partition_of
from vault.interaction import Redacted, companion_id
from vault.keys.model import month_of

Project = Callable[[], Projector]

LAYERS = "SELECT (SELECT count(*) FROM recent_event), (SELECT count(*) FROM settled_event)"


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RANGE_ROWS", 40)


def settled(projector: Projector) -> module.Settled:
    return settle(projector.store, projector.keys)


def redact(vault: Vault, interaction: UUID, subject: UUID) -> None:
    event = Redacted(
        originator_id=companion_id(interaction, Redacted.TOPIC),
        subject=subject,
        at_us=1_750_000_100_000_000,
        channel="web",
        interaction_id=interaction,
        ground="asked",
    )
    partition = vault.conversations.partition(partition_of(subject))
    based_on = partition.catch_up()
    ((_, judged),) = partition.append([Commit.of((vault.mapper.to_stored_event(event),), based_on=based_on)])
    assert judged.verdict is Verdict.ACCEPTED


def statistics(store: Store) -> tuple[list[Any], list[Any]]:
    return rows(store, "SELECT * FROM intent_daily ORDER BY ALL"), rows(
        store, "SELECT * FROM channel_daily ORDER BY ALL"
    )


def test_settling_changes_where_rows_stand_and_nothing_that_can_be_asked(vault: Vault, projector: Projector) -> None:
    said(vault, people=7, turns=120)
    projector.catch_up()
    held, counted = everything(projector.store), statistics(projector.store)
    told: list[tuple[int, int]] = []
    done = settle(projector.store, projector.keys, lambda *said: told.append(said))
    assert everything(projector.store) == held
    assert statistics(projector.store) == counted
    assert rows(projector.store, LAYERS) == [(0, 360)]
    assert (done.events, done.dropped, done.left) == (360, 0, 0)
    assert told[-1] == (367, 367)
    assert rows(projector.store, "SELECT count(*) FROM settled_interaction") == [(120,)]
    said(vault, people=7, turns=30, first=500)
    projector.catch_up()
    assert rows(projector.store, LAYERS) == [(90, 360)]
    held = everything(projector.store)
    settled(projector)
    assert everything(projector.store) == held
    assert verify(projector).problems == []


def test_many_recent_rows_are_made_runs_of_first_and_nothing_else_changes(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RUNS_FROM_ROWS", 100)
    monkeypatch.setattr(module, "ROW_GROUP_ROWS", 64)
    for first in (0, 500):
        said(vault, people=7, turns=120, first=first)
        projector.catch_up()
        held = everything(projector.store)
        settled(projector)
        assert everything(projector.store) == held
        assert files(projector.store) == [projector.store.path.name]
    place = 'subject, partition, "offset", "index"'
    found = rows(projector.store, f"SELECT {place} FROM settled_event")
    assert found == sorted(found)
    assert verify(projector).problems == []


def test_settled_rows_are_sorted_by_person(vault: Vault, projector: Projector) -> None:
    said(vault, people=9, turns=90)
    projector.catch_up()
    settled(projector)
    place = 'subject, partition, "offset", "index"'
    found = rows(projector.store, f"SELECT {place} FROM settled_event")
    assert found == sorted(found)
    assert rows(projector.store, 'SELECT "case" FROM register_event') == sorted(
        rows(projector.store, 'SELECT "case" FROM register_event')
    )


def test_an_interaction_whose_answer_comes_after_settling_is_one_row(vault: Vault, projector: Projector) -> None:
    import dataclasses

    whole = turn("visitor", 1)
    (receipt,) = vault.intake.receive([dataclasses.replace(whole, and_then=None)])
    projector.catch_up()
    settled(projector)
    assert rows(projector.store, "SELECT interaction, intent, answered_at FROM interaction") == [
        (receipt.interaction_id, None, None)
    ]
    assert whole.and_then is not None
    events = whole.and_then(receipt.interaction_id, receipt.subject)
    commit = Commit.of(tuple(map(vault.mapper.to_stored_event, events)), follower="bot", after=-1, upto=0)
    ((_, judged),) = vault.conversations.partition(receipt.partition).append([commit])
    assert judged.verdict is Verdict.ACCEPTED
    projector.catch_up()
    expected = [(receipt.interaction_id, "web", "greet", False, 180.0)]
    query = "SELECT interaction, channel, intent, fallback, latency_ms FROM interaction"
    assert rows(projector.store, query) == expected
    settled(projector)
    assert rows(projector.store, query) == expected
    assert rows(projector.store, "SELECT count(*) FROM settled_interaction") == [(1,)]


def test_none_of_the_bytes_of_who_was_erased_are_in_the_file_after_settling(
    vault: Vault, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = duckdb.connect

    def uncompressed(path: str, config: dict[str, Any]) -> Any:
        return connect(path, config={**config, "force_compression": "uncompressed"})

    monkeypatch.setattr(duckdb, "connect", uncompressed)
    said(vault, people=5, turns=200)
    projector = project()
    projector.catch_up()
    settled(projector)
    subject = subject_of(vault, "visitor-1")
    interaction, of_another = next(
        iter(rows(projector.store, "SELECT interaction, subject FROM interaction WHERE subject <> ? LIMIT 1", subject))
    )
    searched = [
        (bytes(sealed), originator.bytes)
        for sealed, originator in rows(
            projector.store,
            "SELECT sealed, originator FROM sealed_event WHERE subject = ? OR originator = ?",
            subject,
            interaction,
        )
    ]
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    redact(vault, interaction, of_another)
    projector.catch_up()
    assert rows(projector.store, "SELECT removed_rows FROM projection") == [(123,)]
    assert len(searched) == 123
    assert found_in(tmp_path, searched) > 0, "without settling they are still there, or this test finds nothing"
    settled(projector)
    close(projector)
    assert found_in(tmp_path, searched) == 0
    # DuckDB keeps a UUID as a number: its bytes are reversed, and the first bit of them flipped.
    turned = (subject.int ^ (1 << 127)).to_bytes(16, "little")
    assert found_in(tmp_path, [(turned, subject.bytes)]) == 0


def found_in(folder: Path, searched: list[tuple[bytes, bytes]]) -> int:
    held = b"".join(file.read_bytes() for file in (folder / "projection").iterdir())
    return sum(any(one in held for one in ones) for ones in searched)


def test_what_is_removed_while_the_file_is_made_is_not_in_it_and_is_said(vault: Vault, projector: Projector) -> None:
    said(vault, people=4, turns=80)
    projector.catch_up()
    subject = subject_of(vault, "visitor-2")
    ((interaction, of_another),) = rows(
        projector.store, "SELECT interaction, subject FROM interaction WHERE subject <> ? LIMIT 1", subject
    )
    before = statistics(projector.store)

    def erase_at_the_end(done: int, total: int) -> None:
        if done == total and not vault.keys.fenced(subject):
            vault.registrar.erase(subject, ground="request 1", decided_by="officer")
            redact(vault, interaction, of_another)
            said(vault, people=4, turns=8, first=500)
            projector.catch_up()

    done = settle(projector.store, projector.keys, erase_at_the_end)
    assert done.left == 63
    assert rows(projector.store, "SELECT removed_rows FROM projection") == [(63,)]
    assert projector.store.count_events(subject) == 0
    assert rows(projector.store, "SELECT count(*) FROM interaction WHERE interaction = ?", interaction) == [(0,)]
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(80 * 3 - 63 + 24 + 1,)]
    assert verify(projector).problems == []
    assert sum(row[-2] for row in statistics(projector.store)[0]) == sum(row[-2] for row in before[0]) + 8
    assert settled(projector).left == 0
    assert rows(projector.store, "SELECT removed_rows FROM projection") == [(0,)]


def test_chapters_that_are_over_are_left_out_and_stay_counted(vault: Vault, projector: Projector) -> None:
    said(vault, people=4, turns=40)
    projector.catch_up()
    before = statistics(projector.store)
    vault.keys.expire(month_of(1_750_000_000_000_000 + 40 * 86_400_000_000))
    done = settled(projector)
    assert (done.events, done.dropped) == (0, 120)
    assert rows(projector.store, "SELECT count(*) FROM interaction") == [(0,)]
    assert sum(row[-2] for row in statistics(projector.store)[1]) == 40
    assert [sum(row[-2] for row in part) for part in statistics(projector.store)] == [
        sum(row[-2] for row in part) for part in before
    ]
    assert verify(projector).problems == []
    held = everything(projector.store)
    rebuild(projector)
    assert everything(projector.store)["sealed_event"] == held["sealed_event"] == []
    assert sum(row[-2] for row in statistics(projector.store)[1]) == 40


def test_what_was_settled_is_removed_at_once_when_its_person_is_erased(vault: Vault, projector: Projector) -> None:
    said(vault, people=4, turns=40)
    projector.catch_up()
    settled(projector)
    subject = subject_of(vault, "visitor-0")
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    projector.catch_up()
    for table in ("sealed_event", "settled_event", "settled_interaction", "interaction", "subject"):
        assert rows(projector.store, f"SELECT count(*) FROM {table} WHERE subject = ?", subject) == [(0,)]
    assert rows(projector.store, "SELECT sum(interactions) FROM channel_daily") == [(40,)]


def test_who_reads_and_writes_meanwhile_sees_everything_once_and_does_not_wait(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RANGE_ROWS", 100)
    said(vault, people=6, turns=100)
    projector.start()
    projector.catch_up(timeout_ms=20_000)
    done = threading.Event()
    reads = [0]
    wrong: list[Any] = []

    def read() -> None:
        last = 0
        while not done.is_set():
            ((events, places, interactions),) = rows(
                projector.store,
                'SELECT count(*), count(DISTINCT (partition, "offset", "index")), count(DISTINCT originator) FROM sealed_event',
            )
            if events != places or events < last or events != 3 * interactions:
                wrong.append((events, places, interactions, last))
            last = events
            reads[0] += 1
            time.sleep(0.005)

    def write() -> None:
        for first in range(1_000, 100_000, 20):
            said(vault, people=6, turns=20, first=first)
            if done.wait(0.2):
                return

    def written() -> int:
        return sum(projector.store.positions().values())

    waited_for: list[tuple[int, int]] = []

    def both_go_on(begun: int, total: int) -> None:
        if not waited_for:  # once in each settling, which stands still meanwhile
            waited_for.append((reads[0], written()))
            until(lambda: reads[0] > waited_for[0][0] + 1 and written() > waited_for[0][1])

    threads = [threading.Thread(target=read), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        waited_for.clear()
        settle(projector.store, projector.keys, both_go_on)
        assert waited_for
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    projector.catch_up(timeout_ms=20_000)
    assert verify(projector).problems == []
    assert files(projector.store) == [projector.store.path.name]


def test_a_reader_that_is_at_work_finishes_on_the_old_file_which_goes_after_it(
    vault: Vault, projector: Projector
) -> None:
    said(vault)
    projector.catch_up()
    old = projector.store.path
    with projector.store.reading() as cursor:
        cursor.execute("SELECT * FROM sealed_event")
        first = cursor.fetchone()
        settled(projector)
        assert projector.store.path != old
        assert old.exists()
        assert len([first, *cursor.fetchall()]) == 36
        assert cursor.execute("SELECT count(*) FROM recent_event").fetchone() == (36,)
        assert rows(projector.store, "SELECT count(*) FROM recent_event") == [(0,)]
    assert files(projector.store) == [projector.store.path.name]
    assert not old.exists()


def test_an_error_on_the_way_leaves_the_old_file_in_service_and_nothing_beside_it(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(vault)
    projector.catch_up()
    held, old = everything(projector.store), projector.store.path

    def fail(*_: Any, **__: Any) -> None:
        raise duckdb.OutOfMemoryException("no")

    with monkeypatch.context() as patched:
        patched.setattr(module, "asked", fail)
        with pytest.raises(Unavailable, match="the old file stays in service"):
            settled(projector)
    assert projector.store.path == old
    assert files(projector.store) == [old.name]
    assert everything(projector.store) == held
    settled(projector)
    assert everything(projector.store) == held


# Killed at any moment


def test_a_process_killed_at_any_moment_leaves_a_whole_file(vault: Vault, tmp_path: Path) -> None:
    said(vault, people=5, turns=300)
    expected = 900
    vault.close()
    dice = random.Random(4)
    command = [sys.executable, "-m", "tests.projections.test_settle", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdin is not None
        assert starter.stdout is not None
        for _ in range(15):
            print(file=starter.stdin, flush=True)
            settling = int(starter.stdout.readline())
            time.sleep(dice.random() * 0.25)
            os.kill(settling, signal.SIGKILL)
            assert int(starter.stdout.readline()) == -signal.SIGKILL, "it did not end by itself"
            store = open_store(tmp_path)
            assert rows(store, 'SELECT count(*), count(DISTINCT (partition, "offset", "index")) FROM sealed_event') == [
                (expected, expected)
            ]
            assert len(list(store.folder.glob("*.duckdb"))) == 1
            store.close()
    again = open_vault(tmp_path / "vault")
    projector = Projector(open_store(tmp_path), again.conversations, again.register, again.keys, again.mapper, QUICK)
    assert verify(projector).problems == []
    close(projector)
    again.close()


def _settle_for_ever(folder: Path) -> None:
    module.RANGE_ROWS = 40
    vault = open_vault(folder / "vault")
    store = open_store(folder)
    projector = Projector(store, vault.conversations, vault.register, vault.keys, vault.mapper, QUICK)
    projector.catch_up()
    print(os.getpid(), flush=True)
    while True:
        settle(store, vault.keys)


def _start_when_told(folder: Path) -> None:
    """For each line, another process that settles; then how it ended. Forked, since starting anew takes longer than all it does."""
    for _ in sys.stdin:
        settling = os.fork()
        if not settling:
            try:
                _settle_for_ever(folder)
            finally:
                os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(settling, 0)[1]), flush=True)


if __name__ == "__main__":
    _start_when_told(Path(sys.argv[1]))
