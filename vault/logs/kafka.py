"""A log in Apache Kafka: one topic, made once with checked properties, appended with `acks=all` by an idempotent producer.

Offsets are contiguous because no Kafka transactions and no compaction are used. Consumers begin with `auto_offset_reset=none`: an
offset that is out of range is an error here, never a silent jump.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from vault.errors import LogMismatch, LogUnavailable
from vault.log import Raw
from vault.logs.batches import lean
from vault.logs.limit import RECORD_BYTES_MAX, refuse_large
from vault.logs.submit import BATCH_BYTES, Batch, submit

WHOLE_BATCH_RECORDS = 16
"""From how many records on they are sent as a batch of their own; fewer share one with what others send at the same time."""
FETCH_BYTES = 1024 * 1024
METADATA_WAIT_MS = 10
"""How long a client waits before it looks again where a partition is; that it does not know at first."""

_GONE = (
    kafka_errors.OffsetOutOfRangeError,
    kafka_errors.NoOffsetForPartitionError,
    kafka_errors.LogTruncationError,
)


@dataclass(frozen=True)
class KafkaCluster:
    """How to reach the brokers, and the properties topics must have. `security` is passed to the client as it is."""

    bootstrap: str
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)
    replication_factor: int = 1
    min_insync_replicas: int = 1
    append_timeout_ms: int = 30_000
    request_timeout_ms: int = 10_000
    record_bytes_max: int = RECORD_BYTES_MAX

    @cached_property
    def client(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "bootstrap_timeout_ms": min(self.append_timeout_ms, 10_000),
            **self.security,
        }


class KafkaLog:
    """A `Log` in one Kafka topic.

    Makes the topic when `create` is true and it is missing. Raises `LogMismatch` when partitions, retention or
    min.insync.replicas differ from what is declared, naming both values; `LogUnavailable` when no broker answers.
    """

    def __init__(
        self, cluster: KafkaCluster, topic: str, partitions: int, *, retention_ms: int = -1, create: bool = True
    ) -> None:
        self.cluster = cluster
        self.topic = topic
        self.partitions = partitions
        try:
            self._prepare(retention_ms, create)
        except kafka_errors.KafkaError as error:
            raise _away(cluster, error) from error
        self._lazy_producer: KafkaProducer | None = None
        self._bounds_consumer: KafkaConsumer | None = None
        self._producer_lock = threading.Lock()
        self._bounds_lock = threading.Lock()

    def _prepare(self, retention_ms: int, create: bool) -> None:
        admin = _prompt(KafkaAdminClient(**self.cluster.client))
        declared = {
            "cleanup.policy": "delete",
            "retention.ms": str(retention_ms),
            "min.insync.replicas": str(self.cluster.min_insync_replicas),
        }
        try:
            if self.topic not in admin.list_topics():
                if not create:
                    raise LogMismatch(
                        f"the Kafka topic {self.topic} does not exist on {self.cluster.bootstrap}",
                        remedy="check the log setting, or restore the topic",
                    )
                made = {
                    "num_partitions": self.partitions,
                    "replication_factor": self.cluster.replication_factor,
                    "configs": declared,
                }
                # Another process may make it at the same time: what it made is checked below.
                with contextlib.suppress(kafka_errors.TopicAlreadyExistsError):
                    admin.create_topics({self.topic: made})
                admin.wait_for_topics([self.topic])
            partitions = len(admin.describe_topics([self.topic])[0]["partitions"])
            if partitions != self.partitions:
                raise LogMismatch(
                    f"the Kafka topic {self.topic} has {partitions} partitions, this vault was made with {self.partitions}",
                    remedy="set log_partitions to what the topic has, or restore the topic",
                )
            resource = ConfigResource(ConfigResourceType.TOPIC, self.topic)
            there = admin.describe_configs([resource], config_filter="all")["topic"][self.topic]
            for name, value in declared.items():
                if (found := there[name]["value"]) != value:
                    raise LogMismatch(
                        f"the Kafka topic {self.topic} has {name}={found}, declared is {value}",
                        remedy=f"change the topic or the settings so that both say the same {name}",
                    )
        finally:
            admin.close()

    def _producer(self) -> KafkaProducer:
        producer = self._lazy_producer
        if producer is None:
            with self._producer_lock:
                if self._lazy_producer is None:
                    timeout = self.cluster.append_timeout_ms
                    made = KafkaProducer(
                        **self.cluster.client,
                        acks="all",
                        enable_idempotence=True,
                        linger_ms=0,
                        batch_size=BATCH_BYTES,
                        delivery_timeout_ms=timeout,
                        request_timeout_ms=min(timeout, self.cluster.request_timeout_ms),
                        max_block_ms=timeout,
                        max_request_size=self.cluster.record_bytes_max + 1024,
                        allow_auto_create_topics=False,
                        metrics_enabled=False,
                        reconnect_backoff_max_ms=1_000,
                    )
                    self._lazy_producer = _prompt(made)
                producer = self._lazy_producer
        return producer

    def send(self, partition: int, records: Sequence[bytes]) -> _KafkaAck | _BatchesAck:
        refuse_large(self.topic, records, self.cluster.record_bytes_max)
        futures: list[Any] = []
        try:
            producer = self._producer()
            if len(records) >= WHOLE_BATCH_RECORDS:
                batches = submit(producer, TopicPartition(self.topic, partition), records)
                return _BatchesAck(self.cluster, batches)
            for record in records:
                futures.append(producer.send(self.topic, value=record, partition=partition))
        except kafka_errors.KafkaError as error:
            if not futures:
                raise _away(self.cluster, error, not_stored=len(records)) from error
            return _KafkaAck(self.cluster, futures, len(records) - len(futures), error)
        return _KafkaAck(self.cluster, futures, 0, None)

    def tail(self, partition: int, start: int) -> _KafkaTail:
        return _KafkaTail(self.cluster, self.topic, partition, start)

    def bounds(self, partition: int) -> tuple[int, int]:
        with self._bounds_lock:
            return self._ask("beginning_offsets", partition), self._ask("end_offsets", partition)

    def end(self, partition: int) -> int:
        with self._bounds_lock:
            return self._ask("end_offsets", partition)

    def _ask(self, question: str, partition: int) -> int:
        place = TopicPartition(self.topic, partition)
        try:
            if self._bounds_consumer is None:
                made = KafkaConsumer(
                    **self.cluster.client,
                    enable_auto_commit=False,
                    retry_backoff_ms=METADATA_WAIT_MS,
                    allow_auto_create_topics=False,
                    metrics_enabled=False,
                    reconnect_backoff_max_ms=1_000,
                )
                self._bounds_consumer = _prompt(made)
            answer: dict[TopicPartition, int] = getattr(self._bounds_consumer, question)(
                [place], timeout_ms=self.cluster.append_timeout_ms
            )
        except kafka_errors.KafkaError as error:
            raise _away(self.cluster, error) from error
        return answer[place]

    def close(self) -> None:
        """Closes the connections. Tails are closed by those who opened them."""
        if self._lazy_producer is not None:
            self._lazy_producer.close(timeout=self.cluster.append_timeout_ms / 1000)
        with self._bounds_lock:
            if self._bounds_consumer is not None:
                self._bounds_consumer.close(autocommit=False)


class _KafkaAck:
    def __init__(
        self, cluster: KafkaCluster, futures: Sequence[Any], unsent: int, problem: kafka_errors.KafkaError | None
    ) -> None:
        self._cluster = cluster
        self._futures = futures
        self._unsent = unsent
        self._problem = problem

    def wait(self, timeout_ms: int) -> Sequence[int]:
        # The producer itself gives up after delivery_timeout_ms; a second more lets it say so first.
        deadline = time.monotonic() + timeout_ms / 1000 + 1
        offsets: list[int] = []
        problem = self._problem
        for future in self._futures:
            try:
                # Most are done when the first of their batch is: asking is ten times cheaper than waiting for what is there.
                done = future.value if future.succeeded() else future.get(max(0.0, deadline - time.monotonic()))
                offsets.append(done.offset)
            except kafka_errors.KafkaError as error:
                problem = error
        if problem is None:
            return offsets
        raise _away(
            self._cluster,
            problem,
            stored=len(offsets),
            not_stored=self._unsent,
            unknown=len(self._futures) - len(offsets),
        ) from problem


class _BatchesAck:
    def __init__(self, cluster: KafkaCluster, batches: Sequence[Batch]) -> None:
        self._cluster = cluster
        self._batches = batches

    def wait(self, timeout_ms: int) -> Sequence[int]:
        deadline = time.monotonic() + timeout_ms / 1_000 + 1  # as above
        offsets: list[int] = []
        unknown = 0
        problem: kafka_errors.KafkaError | None = None
        for batch in self._batches:
            try:
                offsets += batch.offsets(max(0.0, deadline - time.monotonic()))
            except kafka_errors.KafkaError as error:
                problem = error
                unknown += batch.ours
        if problem is None:
            return offsets
        raise _away(self._cluster, problem, stored=len(offsets), unknown=unknown) from problem


class _KafkaTail:
    def __init__(self, cluster: KafkaCluster, topic: str, partition: int, start: int) -> None:
        self._cluster = cluster
        self._place = TopicPartition(topic, partition)
        try:
            self._consumer = KafkaConsumer(
                **cluster.client,
                auto_offset_reset="none",
                enable_auto_commit=False,
                max_partition_fetch_bytes=FETCH_BYTES,
                fetch_max_wait_ms=500,
                retry_backoff_ms=METADATA_WAIT_MS,
                max_poll_records=10_000,
                allow_auto_create_topics=False,
                metrics_enabled=False,
                reconnect_backoff_max_ms=1_000,
            )
            lean(_prompt(self._consumer))
            self._consumer.assign([self._place])
            self._consumer.seek(self._place, start)
        except kafka_errors.KafkaError as error:
            raise _away(cluster, error) from error

    def poll(self, timeout_ms: int, limit: int) -> list[Raw]:
        try:
            polled = self._consumer.poll(timeout_ms=timeout_ms, max_records=limit)
        except _GONE as error:
            raise LogMismatch(
                f"{self._place.topic}/{self._place.partition} no longer holds the offset to read on from",
                remedy="if retention removed it, rebuild the local state and the projections (`parloir rebuild`)",
            ) from error
        except kafka_errors.KafkaError as error:
            raise _away(self._cluster, error) from error
        records: list[Any] = polled.get(self._place, [])
        if records and type(records[0]) is not Raw:
            return [Raw(record.offset, record.value) for record in records]
        return records

    def seek(self, offset: int) -> None:
        self._consumer.seek(self._place, offset)

    def close(self) -> None:
        self._consumer.close(autocommit=False)


C = TypeVar("C")


def _prompt(client: C) -> C:
    """The client, which does not wait 100 ms between asking for the brokers and asking for a topic, as kafka-python does before it is
    of any use. No option says so; where the place is not there, it waits."""
    cluster = getattr(client, "_metadata", None) or getattr(getattr(client, "_manager", None), "cluster", None)
    config = getattr(cluster, "config", None)
    if isinstance(config, dict) and "retry_backoff_ms" in config:
        config["retry_backoff_ms"] = METADATA_WAIT_MS
    return client


def _away(
    cluster: KafkaCluster, error: Exception, *, stored: int = 0, not_stored: int = 0, unknown: int = 0
) -> LogUnavailable:
    counts = (
        f"; {stored} records stored, {not_stored} not stored, {unknown} unknown"
        if stored + not_stored + unknown
        else ""
    )
    did = "did not answer in time" if getattr(error, "retriable", False) else "refused"
    return LogUnavailable(
        f"Kafka at {cluster.bootstrap} {did} ({type(error).__name__}){counts}",
        stored=stored,
        not_stored=not_stored,
        unknown=unknown,
        remedy="check that the broker runs; what is unknown is looked up before it is sent again",
    )
