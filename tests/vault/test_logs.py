"""One contract for both logs, over SQLite and over a real Kafka, and what each does besides."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from infra.broker import Broker
from vault.errors import LimitExceeded, LogMismatch, LogUnavailable
from vault.log import Log, Raw, Tail
from vault.logs.kafka import KafkaCluster, KafkaLog
from vault.logs.sqlite import SqliteLog

PARTITIONS = 2
WAIT_MS = 10_000

Opens = Callable[[], Log]


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def opens(request: pytest.FixtureRequest, tmp_path: Path, kafka_prefix: str) -> Iterator[Opens]:
    """Opens the same log, each time as a process would that starts."""
    opened: list[Log] = []

    def of_sqlite() -> Log:
        return SqliteLog(tmp_path / "log.db", "conversations", PARTITIONS)

    def of_kafka() -> Log:
        broker: Broker = request.getfixturevalue("broker")
        return KafkaLog(KafkaCluster(broker.bootstrap), f"{kafka_prefix}.conversations", PARTITIONS)

    def open_one() -> Log:
        opened.append(of_sqlite() if request.param == "sqlite" else of_kafka())
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


@pytest.fixture
def log(opens: Opens) -> Log:
    return opens()


def append(log: Log, *records: bytes, partition: int = 0) -> list[int]:
    return list(log.send(partition, records).wait(WAIT_MS))


def read(tail: Tail, records: int) -> list[Raw]:
    """Reads on until there are so many."""
    found: list[Raw] = []
    deadline = time.monotonic() + WAIT_MS / 1_000
    while len(found) < records:
        assert time.monotonic() < deadline
        found += tail.poll(1_000, 1_000)
    return found


# The contract


def test_records_are_numbered_from_0_in_the_order_they_were_given(log: Log) -> None:
    assert log.bounds(0) == (0, 0)
    assert append(log, b"a", b"b") == [0, 1]
    assert append(log, b"c") == [2]
    assert log.bounds(0) == (0, 3)
    assert log.end(0) == 3


def test_partitions_are_numbered_apart(log: Log) -> None:
    append(log, b"a", b"b", partition=0)
    assert append(log, b"c", partition=1) == [0]
    with closing(log.tail(1, 0)) as tail:
        assert read(tail, 1) == [Raw(0, b"c")]


def test_nothing_appended_is_nothing(log: Log) -> None:
    assert append(log) == []
    assert log.bounds(0) == (0, 0)


def test_a_tail_reads_from_its_start_in_order_and_then_what_comes(log: Log) -> None:
    append(log, *(bytes([number]) for number in range(100)))
    with closing(log.tail(0, 40)) as tail:
        assert read(tail, 60) == [Raw(number, bytes([number])) for number in range(40, 100)]
        append(log, b"more")
        assert read(tail, 1) == [Raw(100, b"more")]


def test_a_poll_returns_no_more_than_its_limit_and_none_when_none_come_in_time(log: Log) -> None:
    append(log, b"a", b"b", b"c")
    with closing(log.tail(0, 0)) as tail:
        first = tail.poll(WAIT_MS, 2)
        assert first == [Raw(0, b"a"), Raw(1, b"b")]
        assert tail.poll(WAIT_MS, 2) == [Raw(2, b"c")]
        began = time.monotonic()
        assert tail.poll(200, 2) == []
        assert 0.15 < time.monotonic() - began < 3


def test_a_tail_goes_where_it_is_told(log: Log) -> None:
    append(log, b"a", b"b", b"c", b"d")
    with closing(log.tail(0, 3)) as tail:
        assert read(tail, 1) == [Raw(3, b"d")]
        tail.seek(1)
        assert read(tail, 3) == [Raw(1, b"b"), Raw(2, b"c"), Raw(3, b"d")]


def test_a_tail_that_waits_is_woken_by_what_is_appended(log: Log) -> None:
    append(log, b"a")
    with closing(log.tail(0, 1)) as tail:
        tail.poll(0, 1)  # connects
        threading.Timer(0.2, append, (log, b"b")).start()
        began = time.monotonic()
        assert tail.poll(WAIT_MS, 10) == [Raw(1, b"b")]
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("start", [2, 17])
def test_an_offset_beyond_the_end_is_an_error_and_never_a_jump(log: Log, start: int) -> None:
    append(log, b"a")
    with closing(log.tail(0, start)) as tail, pytest.raises(LogMismatch, match="to read on from"):
        read(tail, 1)


def test_another_process_reads_what_one_appended(opens: Opens) -> None:
    append(opens(), b"a", b"b")
    again = opens()
    assert again.bounds(0) == (0, 2)
    with closing(again.tail(0, 0)) as tail:
        assert [raw.record for raw in read(tail, 2)] == [b"a", b"b"]
    assert append(again, b"c") == [2]


def test_records_sent_by_many_threads_are_all_there_each_threads_in_order(log: Log) -> None:
    offsets: dict[int, list[int]] = {}

    def write(number: int) -> None:
        offsets[number] = []
        for count in range(20):
            offsets[number] += append(log, b"%d/%d" % (number, count), b"%d/%d+" % (number, count))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(log.tail(0, 0)) as tail:
        stored = read(tail, 320)
    assert [raw.offset for raw in stored] == list(range(320))
    for number, found in offsets.items():
        assert found == sorted(found)
        assert [stored[offset].record for offset in found[::2]] == [b"%d/%d" % (number, count) for count in range(20)]


def test_a_record_that_is_too_large_is_refused_before_any_is_sent(log: Log) -> None:
    with pytest.raises(LimitExceeded, match=r"1000001 bytes .* exceeds record_bytes_max \(1000000\); nothing was sent"):
        log.send(0, [b"small", b"\x5a" * 1_000_001])
    assert log.bounds(0) == (0, 0)
    assert append(log, b"\x5a" * 1_000_000) == [0]


def test_a_log_can_be_closed_while_a_tail_waits(log: Log) -> None:
    append(log, b"a")
    outcome: list[Sequence[Raw] | LogUnavailable] = []
    waiting = threading.Event()

    def wait() -> None:
        with closing(log.tail(0, 1)) as tail:
            waiting.set()
            try:
                outcome.append(tail.poll(1_000, 10))
            except LogUnavailable as error:
                outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    log.close()
    thread.join(10)
    assert not thread.is_alive()
    assert outcome == [[]] or isinstance(outcome[0], LogUnavailable)


# SQLite


def test_a_sqlite_log_made_with_other_partitions_is_refused_with_both_values(tmp_path: Path) -> None:
    SqliteLog(tmp_path / "log.db", "conversations", 2).close()
    with pytest.raises(LogMismatch, match="conversations with 2 partitions, the settings say conversations with 3"):
        SqliteLog(tmp_path / "log.db", "conversations", 3)
    with pytest.raises(LogMismatch, match="the settings say register with 2"):
        SqliteLog(tmp_path / "log.db", "register", 2)


def test_a_sqlite_log_that_another_program_holds_says_so_in_time(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", "conversations", 1, busy_timeout_ms=100)
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="locked; 2 records not stored") as held:
            log.send(0, [b"a", b"b"])
        assert held.value.not_stored == 2
    assert append(log, b"a") == [0]
    log.close()


def test_a_sqlite_log_on_a_full_disk_says_so_and_goes_on(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", "conversations", 1)
    log._connection.execute("PRAGMA max_page_count=1")
    with pytest.raises(LogUnavailable, match="full") as full:
        log.send(0, [b"\x5a" * 100_000])
    assert full.value.remedy == "free some space"
    log._connection.execute("PRAGMA max_page_count=100000")
    assert append(log, b"a") == [0]
    log.close()


def test_a_sqlite_log_that_lacks_a_record_is_an_error(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db", "conversations", 1)
    append(log, b"a", b"b", b"c")
    log._connection.execute('DELETE FROM record WHERE "offset" < 2')
    assert log.bounds(0) == (2, 3)
    with closing(log.tail(0, 0)) as tail, pytest.raises(LogMismatch, match="does not hold offset 0"):
        tail.poll(1_000, 10)
    log.close()


# Kafka


@pytest.fixture
def cluster(broker: Broker) -> KafkaCluster:
    return KafkaCluster(broker.bootstrap, append_timeout_ms=5_000)


def make(cluster: KafkaCluster, topic: str, **configs: str) -> None:
    with closing(KafkaAdminClient(**cluster.client)) as admin:
        admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1, "configs": configs}})
        admin.wait_for_topics([topic])


def test_a_topic_of_other_partitions_is_refused_with_both_values(cluster: KafkaCluster, kafka_prefix: str) -> None:
    make(cluster, kafka_prefix, **{"retention.ms": "-1"})
    with pytest.raises(LogMismatch, match="has 2 partitions, this vault was made with 3"):
        KafkaLog(cluster, kafka_prefix, 3)


@pytest.mark.parametrize(
    ("name", "there", "declared"),
    [("retention.ms", "60000", "-1"), ("min.insync.replicas", "2", "1"), ("cleanup.policy", "compact", "delete")],
)
def test_a_topic_with_other_properties_is_refused_with_both_values(
    cluster: KafkaCluster, kafka_prefix: str, name: str, there: str, declared: str
) -> None:
    make(cluster, kafka_prefix, **{"retention.ms": "-1", name: there})
    with pytest.raises(LogMismatch, match=f"has {name}={there}, declared is {declared}"):
        KafkaLog(cluster, kafka_prefix, 2)


def test_a_topic_is_made_as_declared_and_taken_as_it_is_afterwards(cluster: KafkaCluster, kafka_prefix: str) -> None:
    KafkaLog(cluster, kafka_prefix, 2, retention_ms=86_400_000).close()
    KafkaLog(cluster, kafka_prefix, 2, retention_ms=86_400_000, create=False).close()
    with pytest.raises(LogMismatch, match=r"retention\.ms=86400000, declared is -1"):
        KafkaLog(cluster, kafka_prefix, 2)


def test_a_missing_topic_is_not_made_where_it_should_be_there(cluster: KafkaCluster, kafka_prefix: str) -> None:
    with pytest.raises(LogMismatch, match="does not exist"):
        KafkaLog(cluster, kafka_prefix, 2, create=False)
    with closing(KafkaAdminClient(**cluster.client)) as admin:
        assert kafka_prefix not in admin.list_topics()


def test_a_topic_made_by_several_at_once_is_one_topic(cluster: KafkaCluster, kafka_prefix: str) -> None:
    opened: list[KafkaLog] = []
    threads = [
        threading.Thread(target=lambda: opened.append(KafkaLog(cluster, kafka_prefix, PARTITIONS))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert [append(log, b"a") for log in opened] == [[0], [1], [2], [3]]
    for log in opened:
        log.close()


def test_records_before_what_kafka_still_keeps_are_an_error_and_never_a_jump(
    cluster: KafkaCluster, kafka_prefix: str
) -> None:
    log = KafkaLog(cluster, kafka_prefix, 1)
    append(log, b"a", b"b", b"c")
    with closing(KafkaAdminClient(**cluster.client)) as admin:
        admin.delete_records({TopicPartition(log.topic, 0): 2})
    assert log.bounds(0) == (2, 3)
    with closing(log.tail(0, 0)) as tail, pytest.raises(LogMismatch, match="to read on from"):
        read(tail, 1)
    with closing(log.tail(0, 2)) as tail:
        assert read(tail, 1) == [Raw(2, b"c")]
    log.close()


def test_without_a_broker_it_says_so_in_time(kafka_prefix: str) -> None:
    nobody = KafkaCluster("127.0.0.1:9", append_timeout_ms=1_000)
    began = time.monotonic()
    with pytest.raises(LogUnavailable, match=r"127\.0\.0\.1:9 did not answer"):
        KafkaLog(nobody, kafka_prefix, 1)
    assert time.monotonic() - began < 15


def test_a_password_is_not_shown() -> None:
    assert "hidden" not in repr(KafkaCluster("127.0.0.1:9", {"sasl_plain_password": "hidden"}))


def test_what_the_producer_repeats_while_the_broker_pauses_is_stored_once(broker: Broker, kafka_prefix: str) -> None:
    # The pause outlasts the producer's request timeout, so that it sends again what it does not know to be stored.
    log = KafkaLog(KafkaCluster(broker.bootstrap, append_timeout_ms=20_000, request_timeout_ms=1_000), kafka_prefix, 1)
    append(log, b"first")
    place = broker.place
    assert place is not None
    acks = []
    for number in range(200):
        acks.append(log.send(0, [b"%d" % number]))
        if number == 100:
            os.kill(place.pid, signal.SIGSTOP)
            threading.Timer(2.5, os.kill, (place.pid, signal.SIGCONT)).start()
    offsets = [offset for ack in acks for offset in ack.wait(20_000)]
    assert offsets == list(range(1, 201))
    with closing(log.tail(0, 0)) as tail:
        stored = read(tail, 201)
    assert [raw.record for raw in stored] == [b"first", *(b"%d" % number for number in range(200))]
    assert log.end(0) == 201
    log.close()
