"""Which partitions of a topic this process works on, agreed with the others of its kind by a Kafka consumer group.

Only the assignment is used: nothing is fetched and no offset is committed, since a follower's position stands in the log itself.
For a moment two processes may believe that a partition is theirs; the fold refuses whoever comes second.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from vault.logs.kafka import KafkaCluster

log = logging.getLogger(__name__)


class ConsumerGroup:
    """An `Assignment` (vault/follow.py) that shares a topic's partitions among all members of `group`."""

    def __init__(
        self, cluster: KafkaCluster, topic: str, group: str, *, session_timeout_ms: int = 10_000, poll_ms: int = 200
    ) -> None:
        self._cluster = cluster
        self._topic = topic
        self._group = group
        self._session_timeout_ms = session_timeout_ms
        self._poll_ms = poll_ms
        self._ours: set[int] = set()
        self._agreed: frozenset[int] | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_membership, name=f"group-{group}", daemon=True)
        self._thread.start()

    def partitions(self) -> set[int]:
        with self._changed:
            return set(self._ours)

    def agreed(self) -> frozenset[int] | None:
        """What the members last agreed on; None before the first time. Unlike `partitions`, it stands while they agree anew."""
        with self._changed:
            return self._agreed

    def wait(self, timeout_ms: int) -> None:
        with self._changed:
            before = set(self._ours), self._agreed
            self._changed.wait_for(
                lambda: (self._ours, self._agreed) != before or self._closing.is_set(), timeout_ms / 1_000
            )

    def _keep_membership(self) -> None:
        while not self._closing.is_set():
            consumer = None
            try:
                consumer = KafkaConsumer(
                    **self._cluster.client,
                    group_id=self._group,
                    partition_assignment_strategy=[StickyPartitionAssignor],  # who has a partition's state keeps it
                    auto_offset_reset="none",
                    enable_auto_commit=False,
                    session_timeout_ms=self._session_timeout_ms,
                    heartbeat_interval_ms=self._session_timeout_ms // 5,
                    metrics_enabled=False,
                )
                consumer.subscribe([self._topic], listener=_Listener(self, consumer))
                while not self._closing.is_set():
                    consumer.poll(timeout_ms=self._poll_ms)
            except kafka_errors.KafkaError as error:
                log.warning("group membership lost", extra={"follower": self._group, "reason": type(error).__name__})
                self._closing.wait(self._poll_ms / 1_000)
            finally:
                self._set(())
                if consumer is not None:
                    consumer.close(autocommit=False)

    def _set(self, partitions: Iterable[int], *, agreed: bool = False) -> None:
        with self._changed:
            self._ours = set(partitions)
            if agreed:
                self._agreed = frozenset(self._ours)
            self._changed.notify_all()

    def close(self) -> None:
        """Leaves the group, so that the others take over at once."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, group: ConsumerGroup, consumer: KafkaConsumer) -> None:
        self._of = group
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._of._set(self._of.partitions() - {place.partition for place in revoked})

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        for place in assigned:
            self._consumer.seek(place, 0)  # a position, so that none is looked up; it is never read from
            self._consumer.pause(place)
        self._of._set(self._of.partitions() | {place.partition for place in assigned}, agreed=True)
