"""Records handed to the producer as whole batches are what kafka-python would have sent, and are answered as it would have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.record.memory_records import MemoryRecords

from infra.broker import Broker
from vault.errors import LogUnavailable
from vault.logs.kafka import WHOLE_BATCH_RECORDS, KafkaCluster, KafkaLog
from vault.logs.submit import BATCH_BYTES, Batch, _cut, varint

PLACE = TopicPartition("t", 0)
RECORDS = st.lists(st.binary(min_size=1, max_size=300) | st.integers(1, 20_000).map(bytes), min_size=1, max_size=300)


@given(records=RECORDS)
def test_a_batch_reads_with_the_clients_own_reader(records: list[bytes]) -> None:
    batch = Batch(PLACE, records)
    batch.records.set_producer_state(7, 1, 42, False)
    batch.records.close()
    (read,) = list(MemoryRecords(batch.records.buffer()))
    assert read.validate_crc()
    assert (read.producer_id, read.base_sequence, read.records_count) == (7, 42, len(records))
    assert [(r.offset, r.key, r.value, list(r.headers)) for r in read] == [
        (offset, None, record, []) for offset, record in enumerate(records)
    ]
    assert batch.record_count == len(records)


@given(records=RECORDS)
def test_records_are_cut_into_batches_in_order_and_no_batch_is_too_large_but_of_one_record(
    records: list[bytes],
) -> None:
    cut = list(_cut(records))
    assert [record for some in cut for record in some] == records
    for some in cut:
        assert len(some) == 1 or Batch(PLACE, some).records.size_in_bytes() <= BATCH_BYTES


@given(value=st.integers(0, 1 << 31))
def test_a_varint_is_zigzag(value: int) -> None:
    read = shift = 0
    for byte in varint(value):
        read |= (byte & 0x7F) << shift
        shift += 7
    assert read == value << 1


def test_both_ways_of_sending_are_acknowledged_in_order(broker: Broker, kafka_prefix: str) -> None:
    log = KafkaLog(KafkaCluster(broker.bootstrap), f"{kafka_prefix}.both", 1)
    sent: list[bytes] = []
    acks = []
    for number in range(40):
        size = WHOLE_BATCH_RECORDS + number if number % 2 else 1 + number % WHOLE_BATCH_RECORDS
        records = [b"%d/%d" % (number, n) for n in range(size)]
        acks.append((len(sent), size, log.send(0, records)))
        sent += records
    for start, size, ack in acks:
        assert list(ack.wait(20_000)) == list(range(start, start + size))
    tail = log.tail(0, 0)
    read = []
    while len(read) < len(sent):
        read += tail.poll(5_000, 10_000)
    assert [raw.record for raw in read] == sent
    tail.close()
    log.close()


def test_whole_batches_survive_a_killed_broker_once_each(broker: Broker, kafka_prefix: str) -> None:
    log = KafkaLog(KafkaCluster(broker.bootstrap, append_timeout_ms=60_000), f"{kafka_prefix}.killed", 1)
    sent: list[bytes] = []
    acks = []
    for number in range(60):
        records = [b"%d/%d" % (number, n) + bytes(200) for n in range(200)]
        acks.append(log.send(0, records))
        sent += records
        if number == 20:
            broker.kill()
            broker.start()
    for ack in acks:
        ack.wait(60_000)
    tail = log.tail(0, 0)
    read: list[bytes | None] = []
    while len(read) < len(sent):
        read += [raw.record for raw in tail.poll(5_000, 10_000)]
    assert read == sent
    assert tail.poll(300, 10) == []
    tail.close()
    log.close()


def test_a_broker_that_stays_away_is_said_with_what_is_unknown(broker: Broker, kafka_prefix: str) -> None:
    log = KafkaLog(KafkaCluster(broker.bootstrap, append_timeout_ms=1_500), f"{kafka_prefix}.away", 1)
    log.send(0, [b"x"] * 20).wait(5_000)
    broker.kill()
    try:
        with pytest.raises(LogUnavailable) as away:
            log.send(0, [b"y"] * 30).wait(1_500)
        assert (away.value.stored, away.value.unknown) == (0, 30)
    finally:
        broker.start()
        log.close()
