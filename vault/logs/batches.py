"""Record batches of Kafka's log format, read without making an object a record.

kafka-python makes an object of thirteen fields of every record, which costs more than checking and folding what it holds. Here is the
same parse for what our producers write (format 2, not compressed) that gives offset and value only; a batch of another kind, as a
broker makes that compresses by itself, is left to kafka-python. This reaches into kafka-python, whose version is pinned: `lean` says
whether the place is there, and a test reads the same batches both ways.

Layout of a batch (KIP-98, "Message format" in Kafka's documentation): a header of 61 bytes, with the CRC-32C at 17 over everything
from 21 on, then records. A record: length, attributes (1 byte), timestamp delta, offset delta, length of the key (-1: none) and key,
length of the value and value, number of headers and headers; lengths, deltas and numbers are zigzag varints.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ssl import SSLWantReadError, SSLWantWriteError
from typing import Any

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, KafkaConnectionError

from vault.log import Raw

_HEADER_SIZE = 61
_PLAIN_MAGIC = 2
_RECEIVE_BYTES = 512 * 1024
_NOT_PLAIN = 0x27
"""Bits of a batch's attributes: compressed (three), control (one)."""


class LeanRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What one fetch brought for one partition, as `Raw`s."""

    next_fetch_offset: int

    def take(self, n: int | None = None) -> list[Raw]:
        taken: list[Raw] = super().take(n)
        if taken:
            self.next_fetch_offset = max(self.next_fetch_offset, taken[-1].offset + 1)
        return taken

    def _unpack_records(self, tp: Any, records: Any, key_deserializer: Any, value_deserializer: Any) -> Iterator[Raw]:
        del key_deserializer, value_deserializer  # records are bytes
        batch = records.next_batch()
        while batch is not None:
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"the batch of {tp} at offset {batch.base_offset} fails its CRC")
            if batch.magic == _PLAIN_MAGIC:
                self.leader_epoch = batch.leader_epoch
            if batch.magic == _PLAIN_MAGIC and not batch.attributes & _NOT_PLAIN:
                self.bytes_read += batch.size_in_bytes
                self.records_read += batch.records_count
                yield from raws(bytes(batch._buffer), batch.base_offset, batch.records_count)
            elif not (batch.magic == _PLAIN_MAGIC and batch.is_control_batch):
                for record in batch:
                    self.bytes_read += record.size_in_bytes
                    self.records_read += 1
                    yield Raw(record.offset, record.value)
            # The last offset of a batch stays, even when the last record is gone.
            self.next_fetch_offset = batch.next_offset
            batch = records.next_batch()
        self.drain()


def raws(batch: bytes, base: int, count: int) -> list[Raw]:
    """The records of an uncompressed batch whose CRC was checked. Raises `CorruptRecordError`."""
    found: list[Raw] = []
    at = _HEADER_SIZE
    add, new = found.append, tuple.__new__
    try:
        for _ in range(count):
            begin = at
            while batch[at] >= 0x80:  # the record's length, which its parts say too
                at += 1
            at += 2  # its last byte, and the attributes
            while batch[at] >= 0x80:  # the timestamp
                at += 1
            delta = batch[at + 1]
            if delta < 0x80:
                delta, at = delta >> 1, at + 2
            else:
                delta, at = _varint(batch, at + 1)
            if batch[at] == 1:  # no key, as ever
                at += 1
            else:
                size, at = _varint(batch, at)
                at += max(size, 0)
            low, high = batch[at], batch[at + 1]
            if low >= 0x80 and high < 0x80 and not low & 1:  # 64 to 8,191 bytes
                size, at = high << 6 | (low & 0x7F) >> 1, at + 2
            else:
                size, at = _varint(batch, at)
            end = at + size if size >= 0 else at
            add(new(Raw, (base + delta, batch[at:end] if size >= 0 else None)))
            if batch[end]:  # headers
                size, at = _varint(batch, begin)
                end = at + size - 1
            at = end + 1
    except IndexError:
        at = len(batch) + 1
    if at > len(batch):
        raise CorruptRecordError(f"the batch at offset {base} is cut short")
    return found


def _varint(batch: bytes, at: int) -> tuple[int, int]:
    byte = batch[at]
    at += 1
    value, shift = byte & 0x7F, 7
    while byte & 0x80:
        byte = batch[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return (value >> 1) ^ -(value & 1), at


def lean(consumer: Any) -> bool:
    """Lets a consumer give `Raw`s, and receive in large pieces. False, and it goes on as it was made, when this version of it cannot.

    kafka-python receives 4 KiB at a time and lets go of the interpreter's lock for each, which it gets back only when whoever else
    is at work has had its turn (5 ms): while records are decoded in another thread, nothing comes in.
    """
    fetcher: Any = getattr(consumer, "_fetcher", None)
    manager: Any = getattr(consumer, "_manager", None)
    if not (hasattr(fetcher, "PartitionRecords") and hasattr(manager, "_build_transport")):
        return False
    build = manager._build_transport

    async def build_transport(*args: Any, **options: Any) -> Any:
        transport = await build(*args, **options)
        if hasattr(transport, "_sock_recv"):
            transport._sock_recv = partial(_receive, transport)
        return transport

    manager._build_transport = build_transport
    fetcher.PartitionRecords = LeanRecords
    return True


def _receive(transport: Any) -> tuple[bytes, Exception | None]:
    """What is there to be received, and what ended the connection."""
    received = []
    try:
        while data := transport._sock.recv(_RECEIVE_BYTES):
            received.append(data)
        return b"".join(received), KafkaConnectionError("the broker closed the connection")
    except (BlockingIOError, InterruptedError, SSLWantReadError, SSLWantWriteError):
        return b"".join(received), None
    except OSError as error:
        return b"".join(received), KafkaConnectionError(error)
