"""The register in Kafka, on a real broker: rivals, restarts, strangers, a broker that dies."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    IntegrityError,
    Notification,
    NotSupportedError,
    OperationalError,
    StoredEvent,
    Tracking,
)
from kafka import KafkaProducer

from infra.broker import Broker
from vault import kafka
from vault.commit import Commit, Envelope
from vault.errors import HomeBusy, LimitExceeded, LogMismatch, LogUnavailable, PartitionStopped, StartRefused
from vault.ids import LogId
from vault.kafka import KafkaProcessRecorder
from vault.logs.kafka import KafkaCluster, KafkaLog

PARTITIONS = 2


@dataclass
class Rig:
    """One register topic, and as many processes of it as a test wants: each `open` is one, with a local state of its own."""

    broker: Broker
    topic: str
    folder: Path
    log_id: LogId = field(default_factory=lambda: LogId(uuid4()))
    log_key: bytes = field(default_factory=lambda: os.urandom(32))
    opened: list[Callable[[], None]] = field(default_factory=list)

    def log(self, append_timeout_ms: int = 30_000) -> KafkaLog:
        log = KafkaLog(KafkaCluster(self.broker.bootstrap, append_timeout_ms=append_timeout_ms), self.topic, PARTITIONS)
        self.opened.append(log.close)
        return log

    def envelope(self, partition: int = 0) -> Envelope:
        return Envelope(self.log_id, self.log_key, self.topic, partition)

    def open(
        self,
        state: str | None = None,
        *,
        partition: int = 0,
        passed_over: frozenset[int] = frozenset(),
        append_timeout_ms: int = 30_000,
    ) -> KafkaProcessRecorder:
        made = kafka.factory(
            {},
            log=self.log(append_timeout_ms),
            envelope=self.envelope(partition),
            partition=partition,
            state=self.folder / state if state else None,
            passed_over=passed_over,
        )
        self.opened.append(made.close)
        recorder = made.process_recorder()
        assert isinstance(recorder, KafkaProcessRecorder)
        return recorder

    def state_file(self, state: str, partition: int = 0) -> Path:
        return self.folder / state / f"{self.topic}-{partition}.db"

    def produce(self, record: bytes, partition: int = 0) -> int:
        """Writes a record as a stranger would. Returns its offset."""
        with closing(KafkaProducer(bootstrap_servers=self.broker.bootstrap)) as producer:
            offset: int = producer.send(self.topic, record, partition=partition).get(30).offset
        return offset

    def close(self) -> None:
        for close in reversed(self.opened):
            close()


@pytest.fixture
def rig(broker: Broker, kafka_prefix: str, tmp_path: Path) -> Iterator[Rig]:
    one = Rig(broker, f"{kafka_prefix}.register", tmp_path)
    yield one
    one.close()


def event(originator: UUID, version: int, state: bytes = b"sealed") -> StoredEvent:
    return StoredEvent(originator, version, "subject.registered.1", state)


def read_all(recorder: KafkaProcessRecorder) -> Sequence[Notification]:
    return recorder.select_notifications(None, 100_000)


def at_once(act: Callable[[int], None], times: int) -> None:
    """Runs `act` in that many threads, and raises what one of them raised."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            act(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


# Rivals


def test_what_rivals_record_for_one_aggregate_is_accepted_once_and_all_agree(rig: Rig) -> None:
    processes = [rig.open(), rig.open()]
    originator = uuid4()
    refused = 0

    def increase(number: int) -> None:
        nonlocal refused
        recorder = processes[number % 2]
        recorded = 0
        while recorded < 10:
            last = recorder.select_events(originator, desc=True, limit=1)
            version = last[0].originator_version + 1 if last else 1
            try:
                recorder.insert_events([event(originator, version, str(number).encode())])
            except IntegrityError:
                refused += 1
            else:
                recorded += 1

    at_once(increase, 8)

    ours, theirs = map(read_all, processes)
    assert [one.originator_version for one in ours] == list(range(1, 81))
    assert [one.id for one in ours] == list(range(1, 81))
    assert ours == theirs
    assert refused > 0


def test_a_reader_sees_what_another_process_recorded_before_it_asked(rig: Rig) -> None:
    writer, reader = rig.open(), rig.open()
    originator = uuid4()
    for version in range(1, 20):
        ids = writer.insert_events([event(originator, version)], tracking=Tracking("upstream", version))
        assert reader.max_notification_id() == version == ids[-1]  # type: ignore[index]
        assert reader.select_events(originator, desc=True, limit=1)[0].originator_version == version
        assert reader.max_tracking_id("upstream") == version


def test_a_commit_is_accepted_whole_or_not_at_all(rig: Rig) -> None:
    recorder, other = rig.open(), rig.open()
    known, new = uuid4(), uuid4()
    other.insert_events([event(known, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(new, 1), event(known, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(new, 1), event(known, 3)])
    assert recorder.select_events(new) == []
    assert recorder.insert_events([event(new, 1), event(known, 2), event(new, 2)]) == [2, 3, 4]
    assert [one.originator_id for one in read_all(other)] == [known, new, known, new]


def test_the_two_partitions_do_not_know_of_each_other(rig: Rig) -> None:
    originator = uuid4()
    for partition in range(PARTITIONS):
        assert rig.open(partition=partition).insert_events([event(originator, 1)]) == [1]


def test_nothing_is_read_back_where_nobody_else_writes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = rig.open()

    def tail(*_: object) -> None:
        raise AssertionError("own records were read back")

    monkeypatch.setattr(recorder.register.log, "tail", tail)
    originators = [uuid4() for _ in range(16)]
    at_once(lambda number: [recorder.insert_events([event(originators[number], v)]) for v in range(1, 31)] and None, 16)
    assert recorder.max_notification_id() == 480


def test_what_is_known_to_be_late_is_not_sent(rig: Rig) -> None:
    recorder = rig.open()
    originator = uuid4()
    recorder.insert_events([event(originator, 1)], tracking=Tracking("upstream", 5))
    end = recorder.register.log.end(0)
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(originator, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_tracking(Tracking("upstream", 5))
    assert recorder.register.log.end(0) == end


def test_a_commit_that_is_too_large_is_refused_and_its_neighbours_are_not(rig: Rig) -> None:
    recorder = rig.open()
    large = rig.open().register.log.cluster.record_bytes_max
    refused: list[int] = []

    def record(number: int) -> None:
        state = b"\x5a" * large if number % 4 == 0 else b"sealed"
        try:
            recorder.insert_events([event(uuid4(), 1, state)])
        except LimitExceeded:
            refused.append(number)

    at_once(record, 16)
    assert sorted(refused) == [0, 4, 8, 12]
    assert recorder.max_notification_id() == 12


def test_a_writer_that_is_interrupted_while_it_waits_holds_nobody_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = rig.open()
    append, sending, gate = recorder.register.append, threading.Event(), threading.Event()

    def append_when_let(commits: Sequence[Commit]) -> Any:
        sending.set()
        gate.wait()
        return append(commits)

    def interrupt(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(recorder.register, "append", append_when_let)
    threads = [threading.Thread(target=recorder.insert_events, args=([event(uuid4(), 1)],), daemon=True) for _ in "ab"]
    threads[0].start()
    sending.wait()
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(InterruptedError):
            recorder.insert_events([event(uuid4(), 1)])
    finally:
        signal.signal(signal.SIGALRM, before)
    threads[1].start()
    gate.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert recorder.max_notification_id() == 2


def test_an_id_that_is_no_uuid_is_refused(rig: Rig) -> None:
    with pytest.raises(NotSupportedError):
        rig.open().insert_events([StoredEvent("customer-1", 1, "subject.registered.1", b"")])


# Subscriptions


def test_a_subscription_receives_what_another_process_records(rig: Rig) -> None:
    reader, writer = rig.open(), rig.open()
    originator = uuid4()
    with reader.subscribe() as subscription:
        for version in range(1, 6):
            writer.insert_events([event(originator, version)])
            assert next(subscription).originator_version == version


def test_a_subscription_ends_where_the_partition_stops(rig: Rig) -> None:
    recorder = rig.open()
    recorder.insert_events([event(uuid4(), 1)])
    with recorder.subscribe() as subscription:
        assert next(subscription).id == 1
        offset = rig.produce(b"not a commit")
        with pytest.raises(PartitionStopped) as stopped:
            next(subscription)
    assert stopped.value.offset == offset


# The local state


def test_a_restart_goes_on_from_what_was_saved(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = rig.open("state")
    originator = uuid4()
    recorder.insert_events([event(originator, 1), event(originator, 2)], tracking=Tracking("upstream", 7))
    before = read_all(recorder)
    rig.close()
    again = rig.open("state")
    monkeypatch.setattr(again.register.log, "tail", None)  # nothing needs to be read
    assert read_all(again) == before
    assert again.max_tracking_id("upstream") == 7
    assert again.insert_events([event(originator, 3)]) == [3]
    with pytest.raises(IntegrityError):
        again.insert_tracking(Tracking("upstream", 7))


def test_without_its_state_a_process_folds_the_same_again(rig: Rig) -> None:
    recorder = rig.open("state")
    originator = uuid4()
    for version in (1, 2, 2, 4, 3):  # as the log holds them: two are refused
        rig.produce(rig.envelope().write(Commit.of((event(originator, version),))))
    before = read_all(recorder)
    assert [one.originator_version for one in before] == [1, 2, 3]
    rig.close()
    shutil.rmtree(rig.folder / "state")
    assert read_all(rig.open("state")) == before


def test_the_state_of_another_log_is_thrown_away(rig: Rig) -> None:
    rig.open("state").insert_events([event(uuid4(), 1)])
    rig.open("state", partition=1).insert_events([event(uuid4(), 1), event(uuid4(), 1)])
    rig.close()
    shutil.copy(rig.state_file("state", 0), rig.state_file("state", 1))
    assert rig.open("state", partition=1).max_notification_id() == 2


@pytest.mark.parametrize("damage", ["header", "middle", "cut"])
def test_a_torn_state_is_made_again(rig: Rig, damage: str) -> None:
    recorder = rig.open("state")
    for number in range(60):
        recorder.insert_events([event(uuid4(), 1, bytes([number]) * 2_000)])
    before = read_all(recorder)
    rig.close()
    path = rig.state_file("state")
    content = path.read_bytes()
    half = len(content) // 2
    torn = {
        "header": b"\0" * 100 + content[100:],
        "middle": content[: half - 2_048] + b"\xff" * 4_096 + content[half + 2_048 :],
        "cut": content[:half],
    }
    path.write_bytes(torn[damage])
    again = rig.open("state")
    assert read_all(again) == before
    assert again.insert_events([event(uuid4(), 1)]) == [61]


def test_a_state_that_cannot_be_written_now_is_not_thrown_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.open("state").insert_events([event(uuid4(), 1)])
    rig.close()
    monkeypatch.setattr("eventsourcing.sqlite.SQLITE3_DEFAULT_LOCK_TIMEOUT", 0.1)
    path = rig.state_file("state")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="locked; see that no other program has it open"):
            rig.open("state")
        assert other.execute("SELECT count(*) FROM stored_events").fetchone() == (1,)
    assert path.exists()
    again = rig.open("state")
    assert again.register.state.last_id == 1, "nothing was folded again"


def test_a_state_has_one_owner(rig: Rig) -> None:
    rig.open("state")
    with pytest.raises(HomeBusy):
        rig.open("state")


def test_a_topic_that_lost_records_is_refused(rig: Rig) -> None:
    rig.open("state").insert_events([event(uuid4(), 1)])
    rig.close()
    with closing(sqlite3.connect(rig.state_file("state"))) as connection, connection:
        connection.execute("UPDATE folded SET next_offset = 17")
    with pytest.raises(LogMismatch, match="records were lost"):
        rig.open("state")


def test_a_full_disk_leaves_the_commit_in_the_log_and_is_said(rig: Rig) -> None:
    recorder = rig.open("state")
    recorder.insert_events([event(uuid4(), 1)])
    _bound_pages(recorder, 1)
    originator = uuid4()
    with pytest.raises(LogUnavailable, match="full") as full:
        recorder.insert_events([event(originator, 1, b"\x5a" * 100_000)])
    assert (full.value.not_stored, full.value.unknown) == (0, 1)
    _bound_pages(recorder, 100_000)
    assert [one.originator_version for one in recorder.select_events(originator)] == [1]
    assert recorder.insert_events([event(originator, 2)]) == [3]


def _bound_pages(recorder: KafkaProcessRecorder, pages: int) -> None:
    with recorder.register.state.datastore.transaction(commit=False) as cursor:
        cursor.execute(f"PRAGMA max_page_count={pages}")


# Strangers


def test_a_strangers_record_stops_its_partition_and_is_named(rig: Rig) -> None:
    recorder = rig.open()
    originator = uuid4()
    recorder.insert_events([event(originator, 1)])
    offset = rig.produce(b"not a commit")
    for act in (
        lambda: recorder.insert_events([event(uuid4(), 1)]),
        lambda: recorder.select_events(originator),
        recorder.max_notification_id,
        lambda: recorder.max_tracking_id("upstream"),
    ):
        with pytest.raises(PartitionStopped) as stopped:
            act()
        assert (stopped.value.partition, stopped.value.offset) == (0, offset)
    assert len(read_all(recorder)) == 1  # what stands before it is still read, in order; then it is named
    with pytest.raises(PartitionStopped):
        recorder.select_notifications(2, 10)
    assert rig.open(partition=1).insert_events([event(uuid4(), 1)]) == [1]


@pytest.mark.parametrize("kind", ["other log", "other partition", "changed byte", "of the conversations"])
def test_no_record_passes_that_this_partition_does_not_hold(rig: Rig, kind: str) -> None:
    commit = Commit.of((event(uuid4(), 1),))
    changed = bytearray(rig.envelope().write(commit))
    changed[-40] ^= 1
    record = {
        "other log": Envelope(LogId(uuid4()), rig.log_key, rig.topic, 0).write(commit),
        "other partition": rig.envelope(1).write(commit),
        "changed byte": bytes(changed),
        "of the conversations": rig.envelope().write(Commit(commit.packed, follower="nlu", after=-1, upto=0)),
    }[kind]
    recorder = rig.open()
    recorder.insert_events([event(uuid4(), 1)])
    rig.produce(record)
    with pytest.raises(PartitionStopped, match="offset 1"):
        recorder.max_notification_id()


def test_an_operator_passes_over_a_strangers_record(rig: Rig) -> None:
    recorder = rig.open("state")
    recorder.insert_events([event(uuid4(), 1)])
    offset = rig.produce(b"not a commit")
    with pytest.raises(PartitionStopped):
        recorder.insert_events([event(uuid4(), 1)])
    rig.close()
    again = rig.open("state", passed_over=frozenset({offset}))
    refused = read_all(again)
    assert [one.id for one in refused] == [1, 2], "what was appended behind it counts"
    assert again.insert_events([event(uuid4(), 1)]) == [3]


# The broker


def test_nothing_acknowledged_is_lost_or_doubled_when_the_broker_is_killed(rig: Rig) -> None:
    recorder = rig.open()
    acknowledged: list[tuple[int, UUID]] = []
    unknown: set[UUID] = set()
    until = threading.Event()

    def write() -> None:
        while not until.is_set():
            originator = uuid4()
            try:
                (number,) = recorder.insert_events([event(originator, 1)])  # type: ignore[misc]
                acknowledged.append((number, originator))
            except LogUnavailable:
                unknown.add(originator)

    def kill_and_start() -> None:
        try:
            _wait_for(lambda: len(acknowledged) > 300)
            rig.broker.kill()
            rig.broker.start()
            before = len(acknowledged)
            _wait_for(lambda: len(acknowledged) > before + 300)
        finally:
            until.set()

    at_once(lambda number: write() if number else kill_and_start(), 9)

    other = read_all(rig.open())
    stored = {one.id: one.originator_id for one in other}
    assert list(stored) == list(range(1, len(stored) + 1))
    assert len(set(stored.values())) == len(stored)
    assert dict(acknowledged).items() <= stored.items()
    assert set(stored.values()) <= {originator for _, originator in acknowledged} | unknown
    assert read_all(recorder) == other


def _wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_while_the_broker_is_away_writers_fail_in_time_and_then_go_on(rig: Rig) -> None:
    recorder = rig.open(append_timeout_ms=1_000)
    originator = uuid4()
    recorder.insert_events([event(originator, 1)])
    place = rig.broker.place
    assert place is not None
    os.kill(place.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(LogUnavailable, match="did not answer in time") as away:
            recorder.insert_events([event(originator, 2)])
        assert time.monotonic() - began < 10
        assert isinstance(away.value, OperationalError)
        assert away.value.not_stored + away.value.unknown == 1
        with pytest.raises(LogUnavailable):
            recorder.max_notification_id()
    finally:
        os.kill(place.pid, signal.SIGCONT)
    acknowledged = _look_and_record(recorder, originator)
    found = recorder.select_events(originator)
    assert [one.originator_version for one in found] == list(range(1, acknowledged + 1))
    assert recorder.max_notification_id() == acknowledged


def _look_and_record(recorder: KafkaProcessRecorder, originator: UUID) -> int:
    """Records the next version, as whoever does not know what became of the last one must: by looking first, each time."""
    for _ in range(20):
        try:
            last = recorder.select_events(originator, desc=True, limit=1)[0].originator_version
            ids = recorder.insert_events([event(originator, last + 1)])
        except (LogUnavailable, IntegrityError):
            continue
        assert ids == [last + 1]
        return last + 1
    raise AssertionError("the broker did not come back")


# Configured by the environment


def test_what_is_missing_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="KAFKA_BOOTSTRAP"):
        kafka.Factory({}).application_recorder()
    env = {"KAFKA_BOOTSTRAP": "127.0.0.1:1", "KAFKA_LOG_KEY_FILE": str(tmp_path / "log.key")}
    with pytest.raises(StartRefused, match="KAFKA_LOG_KEY_FILE cannot be read"):
        kafka.Factory(env).application_recorder()
    (tmp_path / "log.key").write_bytes(b"short")
    with pytest.raises(StartRefused, match="less than 32 bytes"):
        kafka.Factory(env).application_recorder()
    (tmp_path / "log.key").write_bytes(os.urandom(32))
    with pytest.raises(StartRefused, match="KAFKA_PARTITION is 3"):
        kafka.Factory({**env, "KAFKA_PARTITION": "3"}).application_recorder()
