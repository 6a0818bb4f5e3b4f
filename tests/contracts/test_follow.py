"""The loop that workers share, over every log: once each, resumed, handed over, and stopped at what cannot be handled."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent

from tests.contracts.events import NOTED, begin, event, everything
from vault.conversations import Accepted, Conversations
from vault.errors import BadInput, LogUnavailable
from vault.follow import Everything, Follower, FollowLimits
from vault.ids import new_id

SUBJECT = new_id(0)
DOUBLED = "test.doubled.1"
LIMITS = FollowLimits(batch_records=5, poll_ms=100, retry_ms=20)


class Doubler:
    """Makes one event of each noted one, and can be made to fail."""

    name = "doubler"

    def __init__(self) -> None:
        self.fail_at: int | None = None
        self.unavailable = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def handle(self, partition: int, batch: Sequence[Accepted]) -> Sequence[Sequence[StoredEvent]]:
        del partition
        self.entered.set()
        assert self.go_on.wait(20)
        if self.unavailable:
            self.unavailable -= 1
            raise LogUnavailable("away for a moment")
        made = []
        for accepted in batch:
            if accepted.offset == self.fail_at:
                raise BadInput("cannot be handled")
            made.append([self.double(e) for e in accepted.standing() if e.topic == NOTED])
        return made

    @staticmethod
    def double(noted: StoredEvent) -> StoredEvent:
        assert isinstance(noted.originator_id, UUID)
        return event(SUBJECT, noted.originator_id, 2, DOUBLED)


def append(conversations: Conversations, count: int, number: int = 0) -> list[StoredEvent]:
    partition = conversations.partition(number)
    stored = [event(SUBJECT) for _ in range(count)]
    partition.append([begin(s, partition.catch_up()) for s in stored])
    return stored


def wait_for_doubles(conversations: Conversations, count: int, number: int = 0) -> list[UUID]:
    """The originators that were doubled, in order, once there are `count`."""
    partition = conversations.partition(number)
    end = 0
    for _ in range(200):
        found = [e.originator_id for a in everything(partition) for e in a.standing() if e.topic == DOUBLED]
        if len(found) >= count:
            return found  # type: ignore[return-value]
        end = partition.next_offset
        partition.advance(end, 100)
    raise AssertionError(f"{len(found)} of {count} doubled")


def test_every_record_is_handled_once_and_in_order_across_restarts(opened: Callable[..., Conversations]) -> None:
    conversations = opened()
    stored: list[StoredEvent] = []
    for _ in range(3):
        stored += append(conversations, 17)
        follower = Follower(opened(), Doubler(), limits=LIMITS)
        follower.start()
        wait_for_doubles(conversations, len(stored))
        follower.close()
    assert wait_for_doubles(conversations, len(stored)) == [s.originator_id for s in stored]


def test_two_workers_of_one_name_handle_every_record_once_between_them(opened: Callable[..., Conversations]) -> None:
    writing = opened()
    followers = [Follower(opened(), Doubler(), limits=LIMITS) for _ in range(2)]
    for follower in followers:
        follower.start()
    stored = [s for _ in range(12) for s in append(writing, 10)]
    found = wait_for_doubles(writing, len(stored))
    for follower in followers:
        follower.close()
    assert Counter(found) == Counter(s.originator_id for s in stored)


def test_idle_workers_come_to_rest(opened: Callable[..., Conversations]) -> None:
    writing = opened()
    followers = [Follower(opened(), Doubler(), limits=LIMITS) for _ in range(2)]
    for follower in followers:
        follower.start()
    append(writing, 6)
    wait_for_doubles(writing, 6)
    late = 0  # whoever was second still writes what is refused, once for each batch
    while writing.partition(0).advance(writing.partition(0).catch_up(), 400):  # four polls of each
        late += 1
        assert late <= 2
    for follower in followers:
        follower.close()


def test_a_record_that_cannot_be_handled_stops_its_partition_at_its_offset_after_what_precedes_it(
    opened: Callable[..., Conversations],
) -> None:
    conversations = opened()
    stored = append(conversations, 9)
    worker = Doubler()
    worker.fail_at = 7
    told = threading.Event()
    follower = Follower(opened(), worker, limits=LIMITS, on_stop=lambda _: told.set())
    follower.start()
    assert told.wait(20)
    other = append(conversations, 2, number=1)
    assert wait_for_doubles(conversations, 2, number=1) == [s.originator_id for s in other]
    assert follower.stopped[0].offset == 7
    assert "cannot be handled" in str(follower.stopped[0])
    assert "parloir verify" in str(follower.stopped[0])
    assert wait_for_doubles(conversations, 7) == [s.originator_id for s in stored[:7]]
    follower.close()
    mended = Follower(opened(), Doubler(), limits=LIMITS)
    mended.start()
    assert wait_for_doubles(conversations, 9) == [s.originator_id for s in stored]
    mended.close()


def test_a_worker_that_meets_something_unavailable_tries_again(opened: Callable[..., Conversations]) -> None:
    conversations = opened()
    stored = append(conversations, 4)
    worker = Doubler()
    worker.unavailable = 3
    follower = Follower(opened(), worker, limits=LIMITS)
    follower.start()
    assert wait_for_doubles(conversations, 4) == [s.originator_id for s in stored]
    follower.close()
    assert not follower.stopped


def test_a_zombie_that_wakes_after_another_took_over_adds_nothing(opened: Callable[..., Conversations]) -> None:
    conversations = opened()
    stored = append(conversations, 4)
    asleep = Doubler()
    asleep.go_on.clear()
    zombie = Follower(opened(), asleep, limits=LIMITS)
    zombie.start()
    assert asleep.entered.wait(20)
    follower = Follower(opened(), Doubler(), limits=LIMITS)
    follower.start()
    wait_for_doubles(conversations, 4)
    asleep.go_on.set()
    stored += append(conversations, 3)
    found = wait_for_doubles(conversations, 7)
    zombie.close()
    follower.close()
    assert Counter(found) == Counter(s.originator_id for s in stored)


def test_whoever_works_is_told_where_work_begins_and_again_whenever_it_begins_anew(
    opened: Callable[..., Conversations],
) -> None:
    conversations = opened()
    append(conversations, 4)
    told: list[tuple[int, int, int]] = []
    worker = Doubler()
    worker.unavailable = 2
    here = opened()
    follower = Follower(
        here,
        worker,
        Everything(1),
        LIMITS,
        on_begin=lambda partition, after: told.append((partition.partition, after, partition.next_offset)),
    )
    follower.start()
    wait_for_doubles(conversations, 4)
    follower.close()
    assert told == [(0, -1, 4)] * 3  # at first, and after each time that something was away
    again = Follower(here, Doubler(), Everything(1), LIMITS, on_begin=lambda *_: told.append((9, 9, 9)))
    again.start()
    append(conversations, 1)
    wait_for_doubles(conversations, 5)
    again.close()
    assert told[3:] == [(9, 9, 9)]


def test_a_batch_that_makes_much_is_written_as_several_commits(opened: Callable[..., Conversations]) -> None:
    conversations = opened()
    stored = append(conversations, 20)
    limits = FollowLimits(batch_records=20, commit_bytes_max=300, poll_ms=100)
    follower = Follower(opened(), Doubler(), limits=limits)
    follower.start()
    assert wait_for_doubles(conversations, 20) == [s.originator_id for s in stored]
    follower.close()
    made = [a.commit for a in everything(conversations.partition(0)) if a.commit.follower]
    assert len(made) > 3
    assert all(sum(len(e.state) for e in commit.events) <= 300 for commit in made)


@pytest.mark.kafka
def test_members_of_a_consumer_group_share_the_partitions_and_take_over_from_one_that_leaves(
    broker: object, kafka_prefix: str
) -> None:
    from vault.logs.group import ConsumerGroup
    from vault.logs.kafka import KafkaCluster, KafkaLog

    cluster = KafkaCluster(broker.bootstrap)  # type: ignore[attr-defined]
    KafkaLog(cluster, f"{kafka_prefix}.conversations", 4).close()
    one = ConsumerGroup(cluster, f"{kafka_prefix}.conversations", f"{kafka_prefix}.nlu")
    wait_until(one, {0, 1, 2, 3})
    two = ConsumerGroup(cluster, f"{kafka_prefix}.conversations", f"{kafka_prefix}.nlu")
    for _ in range(100):
        if len(two.partitions()) == 2 and len(one.partitions()) == 2:
            break
        two.wait(200)
    assert one.partitions() | two.partitions() == {0, 1, 2, 3}
    assert not one.partitions() & two.partitions()
    one.close()
    wait_until(two, {0, 1, 2, 3})
    two.close()


def wait_until(group: object, partitions: set[int]) -> None:
    for _ in range(150):
        if group.partitions() == partitions:  # type: ignore[attr-defined]
            return
        group.wait(200)  # type: ignore[attr-defined]
    raise AssertionError(f"not assigned: {partitions}")
