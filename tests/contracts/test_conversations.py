"""One contract for the conversations over every log: who wins, in what order one reads, what a restart remembers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import StoredEvent

from tests.contracts.events import begin, event, everything
from vault.commit import Commit, Envelope
from vault.conversations import Accepted, ConversationPartition, Conversations, Places, Reader
from vault.errors import LogMismatch, PartitionStopped
from vault.fold import ERASED_TOPIC, Verdict
from vault.ids import LogId, new_id
from vault.log import Log

PARTITIONS = 2


SUBJECT = new_id(0)


def test_two_processes_that_begin_the_same_originator_at_once_have_exactly_one_accepted(
    opened: Callable[..., Conversations],
) -> None:
    one, two = opened().partition(0), opened().partition(0)
    stored = [event(SUBJECT) for _ in range(50)]
    verdicts: dict[str, list[Verdict]] = {}
    barrier = threading.Barrier(2)

    def write(name: str, partition: ConversationPartition) -> None:
        barrier.wait()
        verdicts[name] = [partition.append([begin(s, 0)])[0][1].verdict for s in stored]

    threads = [threading.Thread(target=write, args=(name, p)) for name, p in (("one", one), ("two", two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for first, second in zip(verdicts["one"], verdicts["two"], strict=True):
        assert {first, second} == {Verdict.ACCEPTED, Verdict.REPEATED}
    assert [a.commit for a in everything(one)] == [a.commit for a in everything(two)]
    assert len(everything(one)) == 50


def test_a_writer_that_paused_longer_than_the_horizon_is_refused_as_stale(opened: Callable[..., Conversations]) -> None:
    partition = opened(horizon=8).partition(0)
    partition.append([begin(event(SUBJECT), 0) for _ in range(9)])
    ((_, judged),) = partition.append([begin(event(SUBJECT), 0)])
    assert judged.verdict is Verdict.STALE


def test_followers_of_one_name_have_one_commit_accepted_at_each_position(opened: Callable[..., Conversations]) -> None:
    one, two = opened().partition(0), opened().partition(0)
    one.append([begin(event(SUBJECT), 0) for _ in range(3)])
    two.catch_up()
    made = [Commit.of((event(SUBJECT, version=2),), follower="nlu", after=-1, upto=2) for _ in range(2)]
    ((_, first),) = one.append([made[0]])
    ((_, second),) = two.append([made[1]])
    assert (first.verdict, second.verdict) == (Verdict.ACCEPTED, Verdict.OUTRUN)
    assert one.catch_up() == two.catch_up()
    assert one.position("nlu") == two.position("nlu") == 2


def test_a_reader_gets_every_accepted_commit_in_order_from_memory_and_from_the_log(
    opened: Callable[..., Conversations],
) -> None:
    partition = opened(kept_events=5).partition(0)
    stored = [event(SUBJECT) for _ in range(60)]
    for s in stored:
        partition.append([begin(s, partition.next_offset), begin(s, partition.next_offset)])
    assert [a.commit.events[0] for a in everything(partition)] == stored
    offsets = [a.offset for a in everything(partition)]
    assert offsets == list(range(0, 120, 2))
    assert [a.offset for a in everything(partition, 63)] == list(range(64, 120, 2))


def test_a_commit_is_read_anywhere_from_memory_and_from_the_log(opened: Callable[..., Conversations]) -> None:
    writing = opened().partition(0)
    writing.append([begin(event(SUBJECT), 0) for _ in range(20)])
    repeated = everything(writing)[4].commit
    writing.append([repeated])
    partition = opened(kept_events=3).partition(0)
    partition.catch_up()
    commits = {accepted.offset: accepted.commit for accepted in everything(partition)}
    with closing(Places(partition)) as places:
        for offset in (17, 2, 19, 0, 11, 3, 19):
            found = places.at(offset)
            assert found is not None
            assert found.commit == commits[offset]
        assert places.at(20) is None  # the repeat was refused
        assert places.at(500) is None
    partition.append([Commit.of((event(SUBJECT, topic=ERASED_TOPIC),), based_on=partition.catch_up())])
    ((last, _),) = partition.append([begin(event(SUBJECT), partition.catch_up())])
    with closing(Places(partition)) as places:
        void = places.at(last)
        assert void is not None
        assert void.void == {0}


def test_a_reader_is_woken_by_what_another_process_appends(opened: Callable[..., Conversations]) -> None:
    reading, writing = opened().partition(1), opened().partition(1)
    got: list[Accepted] = []

    def read() -> None:
        with Reader(reading, 0) as reader:
            while not got:
                got.extend(reader.read(10, 5_000))

    thread = threading.Thread(target=read)
    thread.start()
    stored = event(SUBJECT)
    writing.append([begin(stored, 0)])
    thread.join(10)
    assert [a.commit.events for a in got] == [(stored,)]


def test_every_writer_of_many_at_once_learns_its_own_verdict_while_readers_read(
    opened: Callable[..., Conversations],
) -> None:
    conversations, other = opened(), opened()
    partition = conversations.partition(0)
    stop = threading.Event()

    def read() -> None:
        with Reader(partition, 0) as reader:
            while not stop.is_set():
                reader.read(100, 50)

    reader = threading.Thread(target=read)
    reader.start()
    taken: list[tuple[int, StoredEvent]] = []

    def write(writer: ConversationPartition) -> None:
        for _ in range(40):
            batch = [event(SUBJECT) for _ in range(3)]
            outcomes = writer.append([begin(s, writer.next_offset) for s in batch])
            assert all(judged.verdict is Verdict.ACCEPTED for _, judged in outcomes)
            taken.extend((offset, s) for (offset, _), s in zip(outcomes, batch, strict=True))

    writers = [threading.Thread(target=write, args=(p,)) for p in (partition, partition, partition, other.partition(0))]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert sorted(offset for offset, _ in taken) == list(range(480))
    assert {a.offset: a.commit.events[0] for a in everything(partition)} == dict(taken)
    assert len(partition._judged) <= 2_000
    assert not partition._acked


def test_events_of_an_erased_person_are_void_one_by_one_and_the_process_is_told(
    opened: Callable[..., Conversations],
) -> None:
    told: list[UUID] = []
    writing, reading = opened().partition(0), opened(on_erased=told.append).partition(0)
    other = new_id(0)
    writing.append([begin(event(SUBJECT), 0)])
    writing.append([begin(event(SUBJECT, topic=ERASED_TOPIC), 1)])
    ((_, judged),) = writing.append([begin(event(SUBJECT), 2)])
    assert judged.verdict is Verdict.ACCEPTED
    assert judged.void == {0}
    mixed = Commit.of((event(SUBJECT, version=2), event(other, version=2)), follower="nlu", after=-1, upto=0)
    ((_, judged),) = writing.append([mixed])
    assert judged.void == {0}
    read = everything(reading)
    assert [a.void for a in read] == [frozenset(), frozenset(), {0}, {0}]
    assert list(read[3].standing()) == [mixed.events[1]]
    assert told == [SUBJECT]


@pytest.mark.parametrize("damage", ["kept", "deleted", "torn", "of another log"])
def test_a_restart_agrees_with_who_never_stopped_whatever_became_of_the_local_state(
    opened: Callable[..., Conversations], tmp_path: Path, damage: str
) -> None:
    state = tmp_path / "state.db"
    steady = opened(horizon=8).partition(0)
    first = opened(horizon=8, state=state)
    partition = first.partition(0)
    stored = [event(SUBJECT) for _ in range(20)]
    for s in stored:
        partition.append([begin(s, partition.next_offset)])
    partition.append([begin(stored[-1], 19)])
    partition.append([Commit.of((event(SUBJECT, version=2),), follower="nlu", after=-1, upto=20)])
    first.close()
    if damage == "deleted":
        state.unlink()
    elif damage == "torn":
        state.write_bytes(state.read_bytes()[:5_000] + b"\0" * 3_000)
    elif damage == "of another log":
        with sqlite3.connect(state) as connection:
            connection.execute("UPDATE made_for SET log_id = ?", (uuid4().bytes,))
    again = opened(horizon=8, state=state).partition(0)
    again.catch_up()
    steady.catch_up()
    assert again.fold.saved() == steady.fold.saved()
    assert again.refused == steady.refused == {20}
    assert [a.offset for a in everything(again)] == [a.offset for a in everything(steady)]
    for partition in (again, steady):  # and goes on deciding alike: the window was warmed
        ((_, judged),) = partition.append([begin(stored[-1], partition.next_offset)])
        assert judged.verdict is Verdict.REPEATED


def test_a_strangers_record_stops_its_partition_and_no_other(
    opened: Callable[..., Conversations], make_log: Callable[[], Log], log_id: LogId
) -> None:
    conversations = opened()
    for number in range(PARTITIONS):
        conversations.partition(number).append([begin(event(SUBJECT), 0)])
    foreign = Envelope(log_id, bytes(32), conversations.log.topic, 0).write(begin(event(SUBJECT), 0))
    make_log().send(0, [foreign]).wait(10_000)
    fresh = opened()
    stopped = fresh.catch_up()
    assert list(stopped) == [0]
    assert stopped[0].offset == 1
    assert "offset 1" in str(stopped[0])
    assert "parloir verify" in str(stopped[0])
    with pytest.raises(PartitionStopped):
        fresh.partition(0).append([begin(event(SUBJECT), 1)])
    ((offset, judged),) = fresh.partition(1).append([begin(event(SUBJECT), 1)])
    assert (offset, judged.verdict) == (1, Verdict.ACCEPTED)
    assert len(everything(opened().partition(1))) == 2


def test_a_record_that_an_operator_passed_over_stops_nobody(
    opened: Callable[..., Conversations], make_log: Callable[[], Log]
) -> None:
    opened().partition(0).append([begin(event(SUBJECT), 0)])
    make_log().send(0, [b"not a commit"]).wait(10_000)
    going_on = opened(passed_over=lambda number: frozenset({1}) if number == 0 else frozenset()).partition(0)
    going_on.append([begin(event(SUBJECT), 0)])
    assert [a.offset for a in everything(going_on)] == [0, 2]
    assert going_on.refused == {1}


def test_a_log_that_ends_before_what_was_read_is_refused(opened: Callable[..., Conversations], tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    first = opened(state=state)
    first.partition(0).append([begin(event(SUBJECT), 0)])
    first.close()
    with sqlite3.connect(state) as connection:
        connection.execute("UPDATE reached SET next_offset = 5")
    with pytest.raises(LogMismatch, match="ends at offset 1, and was read here up to 5"):
        opened(state=state).partition(0)


def test_many_originators_are_found_in_one_reading(opened: Callable[..., Conversations]) -> None:
    partition = opened(kept_events=3).partition(0)
    stored = [event(SUBJECT) for _ in range(30)]
    partition.append([begin(s, 0) for s in stored])
    wanted = {s.originator_id for s in stored[5:25]}
    assert all(isinstance(name, UUID) for name in wanted)
    found = partition.find_all(wanted, 10, 20)  # type: ignore[arg-type]
    assert {a.offset for a in found.values()} == set(range(10, 20))
    assert partition.find(uuid4(), 0, 30) is None
