"""When the projection's file is made anew by itself."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from projections import settle as module
from projections.upkeep import DAY_SECONDS, State, Upkeep, UpkeepLimits, reason, state
from projections.worker import Projector
from tests.projections.conftest import change, everything, rows, said, subject_of, until
from tests.vault.conftest import Vault

LIMITS = UpkeepLimits(recent_rows=100, removed_rows=10, removed_days=1, max_days=31, pause_seconds=60, look_ms=20)
QUIET = State(recent_rows=99, removed_rows=0, age_seconds=61)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (QUIET, ""),
        (dataclasses.replace(QUIET, recent_rows=100), "100 events are recent"),
        (dataclasses.replace(QUIET, recent_rows=100, age_seconds=59), ""),
        (dataclasses.replace(QUIET, removed_rows=9), ""),
        (dataclasses.replace(QUIET, removed_rows=10), "10 events were removed"),
        (dataclasses.replace(QUIET, removed_rows=1, age_seconds=DAY_SECONDS), "events were removed"),
        (dataclasses.replace(QUIET, age_seconds=31 * DAY_SECONDS), "the file is old"),
    ],
)
def test_the_file_is_made_anew_when_there_is_reason_to_and_not_too_often(found: State, why: str) -> None:
    assert reason(found, LIMITS) == why


def test_a_projection_that_follows_is_settled_by_itself(vault: Vault, projector: Projector) -> None:
    projector.start()
    upkeep = Upkeep(projector, dataclasses.replace(LIMITS, pause_seconds=0))
    upkeep.start()
    said(vault, people=4, turns=60)
    projector.catch_up(timeout_ms=20_000)
    until(lambda: upkeep.settled > 0 and state(projector.store).recent_rows < 100)
    settled = upkeep.settled
    vault.registrar.erase(subject_of(vault, "visitor-1"), ground="request 1", decided_by="officer")
    projector.catch_up(timeout_ms=20_000)
    until(lambda: upkeep.settled > settled and state(projector.store).removed_rows == 0)
    upkeep.close()
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(135,)]


def test_a_process_that_ends_does_not_wait_for_settling(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RANGE_ROWS", 1)
    said(vault, people=4, turns=40)
    projector.catch_up()
    held, old = everything(projector.store), projector.store.path
    upkeep = Upkeep(projector, dataclasses.replace(LIMITS, pause_seconds=0))
    begun, read = threading.Event(), module._Making._read_events
    ranges: list[object] = []

    def read_until_it_ends(making: Any, *place: Any) -> Any:
        ranges.append(place)
        begun.set()
        assert upkeep._closing.wait(20)
        return read(making, *place)

    monkeypatch.setattr(module._Making, "_read_events", read_until_it_ends)
    upkeep.start()
    assert begun.wait(20)
    upkeep.close()
    assert len(ranges) == 1, "of more than a hundred"
    assert projector.store.path == old
    assert everything(projector.store) == held


def test_a_file_in_place_of_one_of_an_older_layout_serves_when_it_is_complete(
    vault: Vault, projector: Projector
) -> None:
    said(vault)
    change(projector.store, "UPDATE projection SET is_building = true")
    projector.start()
    upkeep = Upkeep(projector, LIMITS)
    upkeep.start()
    until(lambda: not projector.store.is_building)
    upkeep.close()
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(36,)]
