"""The lean reading of Kafka's batches gives what kafka-python gives."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from infra.broker import Broker
from vault.log import Raw
from vault.logs.batches import lean, raws
from vault.logs.kafka import KafkaCluster, KafkaLog

VALUES = st.none() | st.binary(max_size=100) | st.integers(0, 20_000).map(bytes)
KEYS = st.none() | st.binary(max_size=200)
HEADERS = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2)
RECORD = st.tuples(VALUES, KEYS, HEADERS, st.integers(0, 1 << 40))


def batch_of(records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int]]) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 24,
    )
    for offset, (value, key, headers, timestamp) in enumerate(records):
        builder.append(offset, timestamp, key, value, headers)
    return bytes(builder.build())


@given(records=st.lists(RECORD, min_size=1, max_size=200))
def test_any_plain_batch_is_read_as_kafka_python_reads_it(
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int]],
) -> None:
    batch = batch_of(records)
    expected = [Raw(record.offset, record.value) for record in DefaultRecordBatch(batch)]
    assert raws(batch, 0, len(records)) == expected


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_batch_that_is_cut_short_is_corrupt(cut: int) -> None:
    batch = batch_of([(b"x" * 30, None, [], 0), (b"y" * 30, None, [], 0)])
    with pytest.raises(CorruptRecordError):
        raws(batch[:-cut], 0, 2)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_consumer_gives_every_record_from_any_offset(
    broker: Broker, kafka_prefix: str, compression: str | None
) -> None:
    topic = f"{kafka_prefix}.lean"
    log = KafkaLog(KafkaCluster(broker.bootstrap), topic, 1)
    values = [uuid4().bytes * (n % 300) for n in range(1_000)]
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type=compression, linger_ms=20)
    for value in values:
        producer.send(topic, value=value, partition=0, key=b"k", headers=[("h", b"v")])
    producer.close()
    for start in (0, 1, 500, 999):
        tail = log.tail(0, start)
        found: list[Raw] = []
        while len(found) < len(values) - start:
            found += tail.poll(1_000, 170)
        tail.close()
        assert found == [Raw(offset, values[offset]) for offset in range(start, len(values))]
    log.close()


def test_the_place_in_kafka_python_is_there(broker: Broker, kafka_prefix: str) -> None:
    topic = f"{kafka_prefix}.lean"
    log = KafkaLog(KafkaCluster(broker.bootstrap), topic, 1)
    log.send(0, [b"a record"]).wait(10_000)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False)
    assert lean(consumer)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    (record,) = consumer.poll(10_000)[place]
    assert type(record) is Raw
    consumer.close()
    log.close()
