"""Records handed to a Kafka producer as whole batches, with one answer a batch.

`KafkaProducer.send` checks, wraps and answers every record by itself, which costs more than sealing one. Here a batch (format 2, no
keys, no headers) is written in one go and put into the producer's own queue; from there on it is kafka-python's: producer id,
sequence numbers, retries, expiry. This reaches into kafka-python, whose version is pinned; a test reads what is written here with
its own reader, and holds both ways of sending against each other.

Layout of a record, see vault/logs/batches.py: length ‖ 0 (attributes) ‖ 0 (timestamp delta) ‖ offset delta ‖ -1 (no key) ‖ length of
the value ‖ value ‖ 0 (no headers); lengths, deltas and numbers are zigzag varints.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.producer.producer_batch import ProducerBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from vault.codec import avro_long

BATCH_BYTES = 128 * 1024
"""Size at which a batch is closed. A larger record is a batch of its own."""
RECORD_OVERHEAD_BYTES = 32
_MAGIC = 2
_NO_COMPRESSION = 0
_BEFORE_OFFSET = b"\0\0"
_NO_KEY = b"\1"
_NO_HEADERS = b"\0"


# Kafka's varint is what Avro calls a long. Sizes and places of most records are looked up, since each record takes three.
_VARINTS = [avro_long(value) for value in range(8_192)]


def varint(value: int) -> bytes:
    """A number that is not negative, zigzag."""
    return _VARINTS[value] if value < 8_192 else avro_long(value)


class Batch(ProducerBatch):  # type: ignore[misc]
    """One batch, full from the beginning."""

    def __init__(self, place: TopicPartition, records: Sequence[bytes]) -> None:
        memory = MemoryRecordsBuilder(_MAGIC, _NO_COMPRESSION, BATCH_BYTES)
        super().__init__(place, memory)
        builder = memory._builder
        parts: list[bytes] = []
        for offset, record in enumerate(records):
            size = len(record)
            head = _BEFORE_OFFSET + varint(offset) + _NO_KEY + varint(size)
            parts += (varint(len(head) + size + 1), head, record, _NO_HEADERS)
        builder._buffer += b"".join(parts)
        builder._first_timestamp = builder._max_timestamp = time.time_ns() // 1_000_000
        builder._num_records = memory._next_offset = len(records)
        builder._last_offset = len(records) - 1
        self.ours = len(records)  # until it is sent, `KafkaProducer.send` may add others' behind
        self.max_record_size = max(map(len, records)) + RECORD_OVERHEAD_BYTES

    def offsets(self, timeout_s: float) -> range:
        """Where the records stand, once they are acknowledged. Raises the `KafkaError` that kept them from being so."""
        if not self.produce_future.wait(timeout_s):
            raise kafka_errors.KafkaTimeoutError("no answer in time")
        base, _, errors = self.produce_future.value
        if errors is not None:
            raise errors(0)
        return range(base, base + self.ours)


def submit(producer: KafkaProducer, place: TopicPartition, records: Sequence[bytes]) -> list[Batch]:
    """Puts the records into the producer's queue, in order, and wakes it. Raises a `KafkaError` when none could be."""
    if producer._closed:
        raise kafka_errors.IllegalStateError("the producer is closed")
    if producer._metadata.partitions_for_topic(place.topic) is None:
        producer._wait_on_metadata(place.topic, producer.config["max_block_ms"])
    batches = [Batch(place, some) for some in _cut(records)]
    queue = producer._accumulator
    queue._appends_in_progress.increment()  # while this is not zero, a forced close waits
    try:
        with queue._tp_lock(place):
            if queue._closed:
                raise kafka_errors.IllegalStateError("the producer is closed")
            for batch in batches:
                queue._batches[place].append(batch)
                queue._incomplete.add(batch)
    finally:
        queue._appends_in_progress.decrement()
    producer._sender.wakeup()
    return batches


def _cut(records: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    start = size = 0
    for at, record in enumerate(records):
        more = len(record) + RECORD_OVERHEAD_BYTES
        if size + more > BATCH_BYTES and at > start:
            yield records[start:at]
            start, size = at, 0
        size += more
    if start < len(records):
        yield records[start:]
