"""The projection made anew from the logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from projections.rebuild import rebuild
from projections.worker import Projector
from tests.projections.conftest import change, everything, files, rows, said, subject_of
from tests.vault.conftest import Vault
from vault.errors import PartitionStopped


def test_a_rebuild_holds_the_same_and_the_projector_goes_on(vault: Vault, projector: Projector) -> None:
    said(vault, people=5, turns=200)
    projector.catch_up()
    held = everything(projector.store)
    told: list[tuple[int, int]] = []
    assert rebuild(projector, progress=lambda done, total: told.append((done, total))) == 605
    assert everything(projector.store) == held
    assert told[-1][0] == told[-1][1] > 0
    said(vault, people=5, turns=10, first=1_000)
    projector.catch_up()
    assert rows(projector.store, "SELECT count(*) FROM interaction") == [(210,)]


def test_a_rebuild_repairs_what_was_changed_in_the_file(vault: Vault, projector: Projector) -> None:
    said(vault)
    projector.catch_up()
    held = everything(projector.store)
    change(projector.store, 'DELETE FROM recent_event WHERE "index" = 1')
    change(projector.store, "UPDATE position SET next_offset = next_offset + 1")
    rebuild(projector)
    assert everything(projector.store) == held


def test_a_rebuild_while_it_follows_loses_nothing(vault: Vault, projector: Projector) -> None:
    projector.start()
    for step in range(4):
        said(vault, people=3, turns=30, first=step * 30)
        rebuild(projector)
    projector.catch_up(timeout_ms=10_000)
    assert rows(projector.store, "SELECT count(*), count(DISTINCT interaction) FROM interaction") == [(120, 120)]
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(360,)]


def test_erased_bytes_are_not_in_a_file_that_was_made_anew(vault: Vault, projector: Projector, tmp_path: Path) -> None:
    said(vault)
    projector.catch_up()
    subject = subject_of(vault, "visitor-1")
    ((sealed,),) = rows(projector.store, "SELECT sealed FROM sealed_event WHERE subject = ? LIMIT 1", subject)
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    projector.catch_up()
    rebuild(projector)
    files(projector.store)
    for file in tmp_path.glob("projection/*.duckdb*"):
        assert sealed not in file.read_bytes()
        assert subject.bytes not in file.read_bytes()
    assert files(projector.store) == [projector.store.path.name]


def test_a_partition_that_cannot_be_read_keeps_the_old_file(vault: Vault, projector: Projector, tmp_path: Path) -> None:
    said(vault, people=8, turns=16)
    projector.catch_up()
    held = everything(projector.store)
    vault.conversations.log.send(0, [b"a record of a stranger"]).wait(1_000)
    with pytest.raises(PartitionStopped):
        rebuild(projector)
    assert everything(projector.store) == held
    assert files(projector.store) == [projector.store.path.name]
