"""Following both logs into the store: all of it, once, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from projections.worker import ProjectionLimits, Projector
from tests.projections.conftest import (
    START_US,
    close,
    everything,
    open_store,
    rows,
    said,
    subject_of,
    turn,
)
from tests.projections.reports import understood_before
from tests.vault.conftest import Vault, open_vault
from vault.commit import Commit
from vault.errors import LogUnavailable
from vault.fold import Verdict
from vault.ids import partition_of
from vault.interaction import Understood

Project = Callable[[], Projector]

TOPICS = ["interaction.answered.1", "interaction.received.1", "interaction.understood.2"]


def test_every_accepted_event_is_a_row_and_every_fact_is_read(vault: Vault, projector: Projector) -> None:
    said(vault, people=4, turns=12)
    positions = projector.catch_up()
    counted = rows(projector.store, "SELECT event_topic, count(*) FROM sealed_event GROUP BY ALL ORDER BY ALL")
    assert counted == [(topic, 12) for topic in TOPICS]
    ends = {("conversations", n): vault.conversations.log.end(n) for n in range(2)}
    ends |= {("register", n): vault.register.end(n) + 1 for n in range(2)}
    assert positions == ends
    (fact,) = rows(
        projector.store, "SELECT DISTINCT language, intent, confidence, fallback, channel, latency_ms FROM interaction"
    )
    assert fact == ("en", "greet", 0.75, False, "web", 180.0)
    seen = rows(projector.store, "SELECT subject, events, messages, answers FROM subject ORDER BY subject")
    assert seen == sorted((subject_of(vault, f"visitor-{n}"), 9, 3, 3) for n in range(4))
    assert rows(projector.store, "SELECT count(*) FROM register_event") == [(4,)]


def test_rows_carry_what_the_clear_header_says(vault: Vault, projector: Projector) -> None:
    said(vault, people=1, turns=1)
    projector.catch_up()
    (row,) = rows(
        projector.store,
        'SELECT partition, "offset", "index", version, subject, epoch_us(happened_at), channel, octet_length(key_id)'
        " FROM sealed_event WHERE event_topic = 'interaction.understood.2'",
    )
    subject = subject_of(vault, "visitor-0")
    assert row == (partition_of(subject), 0, 1, 2, subject, START_US + 2_000, "web", 32)


def test_an_intent_that_was_not_understood_is_empty_and_the_fallback_is_told(
    vault: Vault, projector: Projector
) -> None:
    vault.intake.receive([turn("visitor", 1, intent="", confidence=0.1)])
    projector.catch_up()
    assert rows(projector.store, "SELECT intent, confidence, fallback FROM interaction") == [(None, 0.1, True)]


def test_channels_of_many_lengths_are_kept_apart(vault: Vault, projector: Projector) -> None:
    import dataclasses

    channels = ["web", "sms", "whatsapp", "é-mail", "x" * 200]
    vault.intake.receive(
        [dataclasses.replace(turn("visitor", n), channel=channel, and_then=None) for n, channel in enumerate(channels)]
    )
    projector.catch_up()
    assert sorted(channel for (channel,) in rows(projector.store, "SELECT channel FROM sealed_event")) == sorted(
        channels
    )


def test_facts_of_every_version_of_what_was_understood_are_read(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1, intent="thank", confidence=0.25, outcome="not_understood")])
    understood_before(vault)
    projector.catch_up()
    assert rows(projector.store, "SELECT intent, confidence FROM interaction ORDER BY confidence") == [
        (None, 0.25),
        ("greet", 0.5),
    ]


def test_what_is_understood_later_in_a_followers_commit_completes_the_interaction(
    vault: Vault, projector: Projector
) -> None:
    import dataclasses

    message = dataclasses.replace(turn("visitor", 1), and_then=None)
    (receipt,) = vault.intake.receive([message])
    projector.catch_up()
    assert rows(projector.store, "SELECT intent, understood_at FROM interaction") == [(None, None)]
    understood = Understood(
        originator_id=receipt.interaction_id,
        originator_version=2,
        subject=receipt.subject,
        at_us=message.at_us,
        channel="web",
        language="fr",
        intent="greet",
        confidence=0.5,
        outcome="unsure",
        model="m",
    )
    commit = Commit.of((vault.mapper.to_stored_event(understood),), follower="nlu", after=-1, upto=0)
    ((_, judged),) = vault.conversations.partition(receipt.partition).append([commit])
    assert judged.verdict is Verdict.ACCEPTED
    projector.catch_up()
    assert rows(projector.store, "SELECT language, intent, understood_at IS NOT NULL FROM interaction") == [
        ("fr", "greet", True)
    ]


def test_catching_up_in_steps_and_at_once_gives_the_same_rows(vault: Vault, project: Project, tmp_path: Path) -> None:
    stepwise = project()
    for step in range(5):
        said(vault, people=3, turns=17, first=step * 17)
        stepwise.catch_up()
    close(stepwise)
    again = project()
    again.catch_up()
    held = everything(again.store)
    close(again)
    shutil.rmtree(tmp_path / "projection")
    anew = project()
    anew.catch_up()
    assert everything(anew.store) == held


def test_a_started_projector_follows_by_itself(vault: Vault, projector: Projector) -> None:
    projector.start()
    for step in range(3):
        said(vault, people=3, turns=20, first=step * 20)
        projector.catch_up(timeout_ms=10_000)
        assert rows(projector.store, "SELECT count(*) FROM interaction") == [(20 * (step + 1),)]


def test_commits_that_interleave_while_it_follows_are_all_there(vault: Vault, projector: Projector) -> None:
    projector.start()
    writers = [threading.Thread(target=said, args=(vault, 2, 25, first)) for first in (0, 1_000, 2_000)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    projector.catch_up(timeout_ms=10_000)
    assert rows(projector.store, "SELECT count(*), count(DISTINCT interaction) FROM interaction") == [(75, 75)]


def test_erasure_takes_the_persons_rows_with_the_position_of_the_erasure(vault: Vault, projector: Projector) -> None:
    said(vault)
    projector.catch_up()
    subject = subject_of(vault, "visitor-1")
    assert projector.store.count_events(subject) == 9
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    fence = vault.keys.fenced(subject)
    assert fence is not None
    assert fence.offset is not None
    projector.catch_up()
    assert projector.store.position("conversations", partition_of(subject)) == fence.offset + 1
    for table in ("recent_event", "sealed_event", "interaction", "subject"):
        assert rows(projector.store, f"SELECT count(*) FROM {table} WHERE subject = ?", subject) == [(0,)]
    assert rows(projector.store, "SELECT count(*) FROM subject") == [(3,)]
    evidence = rows(projector.store, "SELECT count(*) FROM register_event WHERE event_topic = 'case.erased.1'")
    assert evidence == [(1,)]


def test_an_erasure_in_the_same_batch_as_what_it_erases_leaves_nothing(vault: Vault, projector: Projector) -> None:
    said(vault)
    subject = subject_of(vault, "visitor-1")
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    said(vault, first=100)
    projector.catch_up()
    assert projector.store.count_events(subject) == 0
    assert rows(projector.store, "SELECT count(*) FROM interaction") == [(12 - 3 + 12,)]


def test_void_events_are_not_projected(vault: Vault, projector: Projector) -> None:
    vault.intake.receive([turn("visitor", 1)])
    subject = subject_of(vault, "visitor")
    message = turn("visitor", 2)
    late = Understood(
        originator_id=subject,
        subject=subject,
        at_us=message.at_us,
        channel="web",
        language="en",
        intent="greet",
        confidence=1.0,
        outcome="understood",
        model="m",
    )
    stored = vault.mapper.to_stored_event(late)
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    partition = vault.conversations.partition(partition_of(subject))
    ((_, judged),) = partition.append([Commit.of((stored,), based_on=partition.next_offset)])
    assert judged.void == frozenset({0})
    projector.catch_up()
    assert rows(projector.store, "SELECT count(*) FROM sealed_event") == [(0,)]


def test_what_cannot_be_opened_is_a_row_without_facts_and_is_counted(
    vault: Vault, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(vault, people=2, turns=4)
    opening = vault.keys.opening
    withheld = subject_of(vault, "visitor-0")

    def refusing(key_id: Any, owner: Any, purpose: str | None = None) -> Any:
        from vault.keys import Unreadable

        assert purpose == "service", "facts are opened for the service only"
        return Unreadable.WITHHELD if owner == withheld else opening(key_id, owner, purpose)

    monkeypatch.setattr(vault.keys, "opening", refusing)
    projector.catch_up()
    seen = rows(
        projector.store,
        "SELECT subject = ?, intent, fallback, count(*) FROM interaction GROUP BY ALL ORDER BY ALL",
        withheld,
    )
    assert seen == [(False, "greet", False, 2), (True, None, None, 2)]
    counted = rows(projector.store, "SELECT event_topic, reason, events FROM unreadable ORDER BY ALL")
    assert counted == [(topic, "withheld", 2) for topic in (TOPICS[0], TOPICS[2])]


def test_a_tampered_event_stops_its_partition_at_its_offset_and_no_other(vault: Vault, projector: Projector) -> None:
    said(vault, people=8, turns=16)
    number = partition_of(subject_of(vault, "visitor-0"))
    partition = vault.conversations.partition(number)
    event = partition.log.tail(number, 0)  # the first record's second event, under another originator
    commit = partition.read(0, event.poll(100, 1)[0].record)
    moved = commit.events[1]
    import dataclasses
    from uuid import uuid4

    forged = dataclasses.replace(moved, originator_id=uuid4(), originator_version=1)
    before = partition.next_offset
    ((offset, judged),) = partition.append([Commit.of((forged,), based_on=before)])
    assert judged.verdict is Verdict.ACCEPTED
    said(vault, people=8, turns=16, first=100)
    positions = projector.catch_up()
    assert positions["conversations", number] == offset
    stopped = projector.stopped["conversations", number]
    assert (stopped.partition, stopped.offset) == (number, offset)
    assert "does not open as written" in str(stopped)
    other = 1 - number
    assert positions["conversations", other] == vault.conversations.log.end(other)
    held = rows(projector.store, 'SELECT max("offset") FROM sealed_event WHERE partition = ?', number)
    assert held == [(offset - 1,)]


def test_catching_up_that_takes_too_long_says_so(vault: Vault, projector: Projector) -> None:
    said(vault)
    projector.start()
    projector.catch_up()
    projector.store._writing.acquire()  # nobody can write now
    try:
        said(vault, first=100)
        with pytest.raises(LogUnavailable, match="in time"):
            projector.catch_up(timeout_ms=100)
    finally:
        projector.store._writing.release()
    projector.catch_up(timeout_ms=10_000)


def test_a_process_killed_between_batches_goes_on_where_its_rows_end(
    vault: Vault, project: Project, tmp_path: Path
) -> None:
    said(vault, people=5, turns=400)
    vault.registrar.erase(subject_of(vault, "visitor-2"), ground="request 1", decided_by="officer")
    vault.close()
    for batches in (1, 3):
        killed = subprocess.run(
            [sys.executable, "-m", "tests.projections.test_worker", str(tmp_path), str(batches)],
            check=False,
            cwd=Path(__file__).parents[2],
        )
        assert killed.returncode == -signal.SIGKILL
    again = open_vault(tmp_path / "vault")
    store = open_store(tmp_path)
    before = sum(position for position in store.positions().values())
    assert before > 0
    limits = ProjectionLimits(batch_events=50, poll_ms=20)
    resumed = Projector(store, again.conversations, again.register, again.keys, again.mapper, limits)
    resumed.catch_up()
    held = everything(store)
    close(resumed)
    shutil.rmtree(tmp_path / "projection")
    store = open_store(tmp_path)
    anew = Projector(store, again.conversations, again.register, again.keys, again.mapper, limits)
    anew.catch_up()
    assert everything(store) == held
    close(anew)
    again.close()


def _killed(folder: Path, batches: int) -> None:
    """Catches up, and kills itself like a power cut after so many batches."""
    vault = open_vault(folder / "vault")
    store = open_store(folder)
    write = store.write
    left = [batches]

    def counted(batch: Any) -> bool:
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return write(batch)

    store.write = counted  # type: ignore[method-assign]
    limits = ProjectionLimits(batch_events=50, queue_batches=1, poll_ms=20)
    Projector(store, vault.conversations, vault.register, vault.keys, vault.mapper, limits).catch_up()


if __name__ == "__main__":
    _killed(Path(sys.argv[1]), int(sys.argv[2]))
