"""Effects beside the fold, over every log: many at once, each once in the log, through crashes, twins and failures."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import StoredEvent

from tests.contracts.events import NOTED, begin, event, everything
from vault.conversations import Accepted, Conversations
from vault.effects import EffectLimits, Effects, Wanted, now_us
from vault.errors import SubjectErased
from vault.ids import LogId, new_id
from vault.interaction import companion_id
from vault.outstanding import Outstanding

SUBJECT = new_id(0)
RETURNED = "test.returned.1"
LIMITS = EffectLimits(begun_max=8, retry_ms=20, poll_ms=50)


def wanted(accepted: Accepted) -> list[Wanted]:
    """Every noted event wants one call."""
    return [
        Wanted(companion_id(noted.originator_id, RETURNED), noted)  # type: ignore[arg-type]
        for noted in accepted.standing()
        if noted.topic == NOTED
    ]


class Outside:
    """What is called; counts who called with what, and can hold its answer back or fail."""

    def __init__(self) -> None:
        self.calls: Counter[UUID] = Counter()
        self.answering = threading.Event()
        self.answering.set()
        self.failures = 0
        self.lock = threading.Lock()
        self.pool = ThreadPoolExecutor(20)
        self.at_once = 0
        self.most_at_once = 0

    def begin(self, effect: Wanted) -> Future[StoredEvent]:
        return self.pool.submit(self.carry_out, effect)

    def carry_out(self, effect: Wanted) -> StoredEvent:
        with self.lock:
            self.calls[effect.outcome] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            fails = self.failures > 0
            self.failures -= fails
        try:
            assert self.answering.wait(20)
            if fails:
                raise ConnectionError("with words that somebody said")
            return event(SUBJECT, effect.outcome, topic=RETURNED)
        finally:
            with self.lock:
                self.at_once -= 1


def append(conversations: Conversations, count: int) -> list[StoredEvent]:
    partition = conversations.partition(0)
    stored = [event(SUBJECT) for _ in range(count)]
    partition.append([begin(s, partition.catch_up()) for s in stored])
    return stored


def outcomes(conversations: Conversations, count: int) -> Counter[UUID]:
    """The outcomes that stand, once there are `count`."""
    partition = conversations.partition(0)
    found: Sequence[UUID] = []
    for _ in range(200):
        end = partition.catch_up()
        found = [e.originator_id for a in everything(partition) for e in a.standing() if e.topic == RETURNED]  # type: ignore[misc]
        if len(found) >= count:
            return Counter(found)
        partition.advance(end, 100)
    raise AssertionError(f"{len(found)} of {count} returned")


def of(stored: Sequence[StoredEvent]) -> Counter[UUID]:
    return Counter(companion_id(s.originator_id, RETURNED) for s in stored)  # type: ignore[arg-type]


def test_effects_are_carried_out_many_at_once_and_each_has_one_outcome(opened: Callable[..., Conversations]) -> None:
    conversations, outside = opened(), Outside()
    outside.answering.clear()
    effects = Effects(conversations.partition(0), wanted, outside.begin, limits=LIMITS)
    effects.start()
    stored = append(conversations, 30)
    for _ in range(400):
        if outside.most_at_once == 8:
            break
        threading.Event().wait(0.02)
    outside.answering.set()
    assert outcomes(conversations, 30) == of(stored)
    effects.close()
    assert outside.most_at_once == 8
    assert set(outside.calls.values()) == {1}


def test_a_restart_begins_only_what_has_no_outcome(opened: Callable[..., Conversations]) -> None:
    conversations = opened()
    first = Outside()
    effects = Effects(conversations.partition(0), wanted, first.begin, limits=LIMITS)
    effects.start()
    done = append(conversations, 5)
    outcomes(conversations, 5)
    effects.close()
    left = append(conversations, 3)
    again = Outside()
    effects = Effects(opened().partition(0), wanted, again.begin, limits=LIMITS)
    effects.start()
    assert outcomes(conversations, 8) == of([*done, *left])
    effects.close()
    assert again.calls == of(left)


def test_twins_may_both_call_but_one_outcome_stands(opened: Callable[..., Conversations]) -> None:
    writing, outside = opened(), Outside()
    twins = [Effects(opened().partition(0), wanted, outside.begin, limits=LIMITS) for _ in range(2)]
    for twin in twins:
        twin.start()
    stored = append(writing, 12)
    outcomes(writing, 12)
    for twin in twins:
        twin.close()
    assert outcomes(writing, 12) == of(stored)


def test_an_effect_that_fails_is_tried_again_and_delays_no_other(opened: Callable[..., Conversations]) -> None:
    conversations, outside = opened(), Outside()
    outside.failures = 3
    effects = Effects(conversations.partition(0), wanted, outside.begin, limits=LIMITS)
    effects.start()
    stored = append(conversations, 6)
    assert outcomes(conversations, 6) == of(stored)
    effects.close()
    assert sum(outside.calls.values()) == 9


def test_an_effect_for_a_person_who_was_erased_ends(opened: Callable[..., Conversations]) -> None:
    conversations = opened()
    begun = threading.Event()

    def begin(effect: Wanted) -> Future[StoredEvent]:
        begun.set()
        raise SubjectErased(f"{effect.outcome}")

    effects = Effects(conversations.partition(0), wanted, begin, limits=LIMITS)
    effects.start()
    append(conversations, 1)
    assert begun.wait(20)
    effects.close()
    assert not effects._open
    assert not conversations.partition(0).advance(1, 100)


# Later, and after a restart


HOUR_US = 3_600_000_000


def later(accepted: Accepted) -> list[Wanted]:
    """The same, wanted in an hour."""
    due_us = now_us() + HOUR_US
    return [Wanted(each.outcome, each.about, due_us) for each in wanted(accepted)]


def soon(accepted: Accepted) -> list[Wanted]:
    """The same, wanted in a moment."""
    due_us = now_us() + 150_000
    return [Wanted(each.outcome, each.about, due_us) for each in wanted(accepted)]


@pytest.fixture
def outstanding(tmp_path: Path, log_id: LogId) -> Iterator[Outstanding]:
    one = Outstanding(tmp_path / "outstanding.db", log_id)
    yield one
    one.close()


def test_what_is_wanted_for_later_waits_for_its_time_and_holds_up_nothing(opened: Callable[..., Conversations]) -> None:
    conversations, outside = opened(), Outside()
    limits = EffectLimits(begun_max=1, retry_ms=20, poll_ms=50)

    def both(accepted: Accepted) -> list[Wanted]:
        return later(accepted) if accepted.offset < 3 else soon(accepted)

    effects = Effects(conversations.partition(0), both, outside.begin, limits=limits)
    effects.start()
    append(conversations, 3)
    due = append(conversations, 4)
    assert outcomes(conversations, 4) == of(due)
    effects.close()
    assert outside.calls == of(due)


def test_what_there_is_no_room_for_is_done_when_there_is(opened: Callable[..., Conversations]) -> None:
    conversations, outside = opened(), Outside()
    limits = EffectLimits(open_max=4, retry_ms=20, poll_ms=50)
    effects = Effects(conversations.partition(0), soon, outside.begin, limits=limits)
    effects.start()
    stored = append(conversations, 19)
    assert outcomes(conversations, 19) == of(stored)
    effects.close()
    assert outside.calls == of(stored)


def test_what_became_due_while_nothing_ran_is_done_once(
    opened: Callable[..., Conversations], outstanding: Outstanding
) -> None:
    conversations, outside = opened(), Outside()
    effects = Effects(conversations.partition(0), later, outside.begin, limits=LIMITS, outstanding=outstanding)
    effects.start()
    stored = append(conversations, 3)
    end = conversations.partition(0).next_offset
    for _ in range(400):
        if effects._searched >= end:
            break
        threading.Event().wait(0.02)
    effects.close()
    assert not outside.calls
    kept = outstanding.load("effects", 0)
    assert (kept.next_offset, kept.offsets) == (3, (0, 1, 2))
    for _ in range(2):
        effects = Effects(
            opened().partition(0),
            later,
            outside.begin,
            limits=LIMITS,
            outstanding=outstanding,
            clock=lambda: now_us() + 2 * HOUR_US,
        )
        effects.start()
        assert outcomes(conversations, 3) == of(stored)
        effects.close()
    assert outside.calls == of(stored)


def test_without_what_was_remembered_the_log_alone_tells(
    opened: Callable[..., Conversations], tmp_path: Path, log_id: LogId
) -> None:
    conversations, outside = opened(), Outside()
    stored = append(conversations, 5)
    file = tmp_path / "torn.db"
    file.write_bytes(b"no database" * 100)
    outstanding = Outstanding(file, log_id)
    effects = Effects(conversations.partition(0), wanted, outside.begin, limits=LIMITS, outstanding=outstanding)
    effects.start()
    assert outcomes(conversations, 5) == of(stored)
    effects.close()
    outstanding.close()


def test_what_is_remembered_of_another_log_is_not_used(tmp_path: Path, log_id: LogId) -> None:
    first = Outstanding(tmp_path / "o.db", log_id)
    first.save("effects", 0, 9, [3, 4, 3])
    assert first.load("effects", 0).offsets == (3, 4)
    first.close()
    other = Outstanding(tmp_path / "o.db", LogId(uuid4()))
    assert other.load("effects", 0).next_offset == 0
    other.close()
