"""The register in Kafka: `PERSISTENCE_MODULE=vault.kafka`, one recorder a partition of one topic.

Kafka is the arbiter and the record. A commit is appended as one record, and accepted if, and only if, everybody who folds the
records before it says so (vault/fold.py, `judge_register`); the database that this process folds into answers what is read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Notification,
    NotSupportedError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool

from vault.commit import Commit, Envelope
from vault.errors import PartitionStopped, StartRefused
from vault.folded_register import FoldedRegister, for_the_library
from vault.ids import LogId
from vault.logs.kafka import KafkaCluster, KafkaLog
from vault.register_state import Ids, RegisterState

R = TypeVar("R", bound="KafkaRecorder")


class KafkaRecorder:
    """What all recorders of a partition share."""

    def __init__(self, register: FoldedRegister) -> None:
        self.register = register

    def _record(self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None) -> Ids:
        if not stored_events and tracking is None:
            return ()
        if not all(isinstance(event.originator_id, UUID) for event in stored_events):
            raise NotSupportedError("aggregates of the register have UUIDs for ids")
        ids = self.register.record(Commit.of(stored_events, tracking=(tracking,) if tracking else ()))
        if ids is None:
            raise IntegrityError("somebody else recorded that version, or read that far, first")
        return ids


class KafkaAggregateRecorder(KafkaRecorder, AggregateRecorder):
    """Events of aggregates."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self._record(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        self.register.catch_up_with_everybody()
        return self.register.state.recorder.select_events(originator_id, gt=gt, lte=lte, desc=desc, limit=limit)


class KafkaApplicationRecorder(KafkaAggregateRecorder, ApplicationRecorder):
    """Events in the order in which the log accepted them, numbered from 1 without a gap."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return list(self._record(stored_events))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Before a partition that stopped, what is before the stop is still returned; then `PartitionStopped` is raised."""
        stopped: PartitionStopped | None = None
        try:
            self.register.catch_up_with_everybody()
        except PartitionStopped as error:
            stopped = error
        selected = self.register.state.recorder.select_notifications(
            start, limit, stop, topics, inclusive_of_start=inclusive_of_start
        )
        if stopped and not selected:
            raise stopped
        return selected

    def max_notification_id(self) -> int | None:
        self.register.catch_up_with_everybody()
        return self.register.state.last_id or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return self.register.subscribe(gt, topics)


class KafkaTrackingRecorder(KafkaRecorder, TrackingRecorder):
    """How far somebody has read, as the log accepted it: only ever further."""

    def insert_tracking(self, tracking: Tracking) -> None:
        self._record((), tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        self.register.catch_up_with_everybody()
        return self.register.state.recorder.max_tracking_id(application_name)


class KafkaProcessRecorder(KafkaTrackingRecorder, KafkaApplicationRecorder, ProcessRecorder):
    """Events, recorded in one commit with how far their recorder has read."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return list(self._record(stored_events, kwargs.get("tracking")))


class Factory(InfrastructureFactory[KafkaTrackingRecorder]):
    """Makes the recorders of one partition, which share what was folded. Nothing is opened before the first is asked for.

    Configured by these variables, each also with the application's name before it (`ORDERS_KAFKA_TOPIC`):

    KAFKA_BOOTSTRAP          host:port, several with commas; required
    KAFKA_LOG_KEY_FILE       holds the key of the log's MAC, 32 bytes or more; required, the same for all who use the topic
    KAFKA_TOPIC              default: `parloir.` and the application's name, so that each has a topic of its own
    KAFKA_PARTITIONS         of the topic; default 1
    KAFKA_PARTITION          the one of this application; default 0
    KAFKA_STATE_FOLDER       where the local database is; default: in memory, made from the log at every start
    KAFKA_APPEND_TIMEOUT_MS  how long a writer or reader waits for Kafka; default 30000
    CREATE_TABLE             make the topic when it is missing; default yes
    """

    def __init__(
        self, env: Environment | EnvType | None = None, *, opened: Callable[[], FoldedRegister] | None = None
    ) -> None:
        super().__init__(env)
        self._open = opened or self._open_configured
        self._lock = threading.Lock()
        self._register: FoldedRegister | None = None

    @property
    def register(self) -> FoldedRegister:
        with self._lock:
            if self._register is None:
                with for_the_library():
                    self._register = self._open()
            return self._register

    def _open_configured(self) -> FoldedRegister:
        bootstrap, key_file = self._required("KAFKA_BOOTSTRAP"), self._required("KAFKA_LOG_KEY_FILE")
        try:
            log_key = Path(key_file).read_bytes()
        except OSError as error:
            raise StartRefused(f"KAFKA_LOG_KEY_FILE cannot be read: {error.strerror}") from error
        if len(log_key) < 32:
            raise StartRefused("KAFKA_LOG_KEY_FILE holds less than 32 bytes", remedy="fill it from a random source")
        topic = self.env.get("KAFKA_TOPIC") or f"parloir.{self.env.name.lower() or 'application'}"
        partition = self._number("KAFKA_PARTITION", 0)
        partitions = self._number("KAFKA_PARTITIONS", 1)
        if partition >= partitions:
            raise StartRefused(f"KAFKA_PARTITION is {partition}, KAFKA_PARTITIONS {partitions}")
        cluster = KafkaCluster(bootstrap, append_timeout_ms=self._number("KAFKA_APPEND_TIMEOUT_MS", 30_000))
        # BLAKE2b takes 64 bytes; who knows the key knows the log's id, and nobody else has to be told it.
        log_key = blake2b(log_key).digest()
        log_id = LogId(UUID(bytes=blake2b(topic.encode(), key=log_key, digest_size=16).digest()))
        folder = self.env.get("KAFKA_STATE_FOLDER")
        log = KafkaLog(cluster, topic, partitions, create=strtobool(self.env.get("CREATE_TABLE") or "yes"))
        envelope = Envelope(log_id, log_key, topic, partition)
        try:
            return _fold(log, envelope, partition, Path(folder) if folder else None, owns_log=True)
        except BaseException:
            log.close()
            raise

    def _required(self, name: str) -> str:
        value = self.env.get(name)
        if not value:
            raise StartRefused(f"{name} is not set", remedy="`python -m pydoc vault.kafka` lists the variables")
        return value

    def _number(self, name: str, default: int) -> int:
        value = self.env.get(name) or str(default)
        if not value.isdigit():
            raise StartRefused(f"{name} is not a number")
        return int(value)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Of events: in the log. Of snapshots: beside what was folded, because everybody can make them again from events."""
        if purpose == "events":
            return KafkaAggregateRecorder(self.register)
        return self.register.state.snapshots(purpose)

    def application_recorder(self) -> ApplicationRecorder:
        cls = self._class(self.APPLICATION_RECORDER_TOPIC, KafkaApplicationRecorder)
        return cls(self.register)

    def tracking_recorder(
        self, tracking_recorder_class: type[KafkaTrackingRecorder] | None = None
    ) -> KafkaTrackingRecorder:
        cls = tracking_recorder_class or self._class(self.TRACKING_RECORDER_TOPIC, KafkaTrackingRecorder)
        return cls(self.register)

    def process_recorder(self) -> ProcessRecorder:
        cls = self._class(self.PROCESS_RECORDER_TOPIC, KafkaProcessRecorder)
        return cls(self.register)

    def _class(self, variable: str, default: type[R]) -> type[R]:
        topic = self.env.get(variable)
        cls = resolve_topic(topic) if topic else default
        if not issubclass(cls, default):
            raise StartRefused(f"{variable} names {cls.__name__}, which is no {default.__name__}")
        return cast(type[R], cls)

    def close(self) -> None:
        with self._lock:
            register, self._register = self._register, None
        if register is not None:
            register.close()


def _fold(
    log: KafkaLog,
    envelope: Envelope,
    partition: int,
    folder: Path | None,
    passed_over: frozenset[int] = frozenset(),
    *,
    owns_log: bool = False,
) -> FoldedRegister:
    state = RegisterState(folder / f"{log.topic}-{partition}.db" if folder else None, envelope)
    try:
        return FoldedRegister(log, partition, envelope, state, passed_over=passed_over, owns_log=owns_log)
    except BaseException:
        state.close()
        raise


def factory(
    env: Environment | EnvType | None,
    *,
    log: KafkaLog,
    envelope: Envelope,
    partition: int,
    state: Path | None = None,
    passed_over: frozenset[int] = frozenset(),
) -> Factory:
    """The factory for one partition of a log that is open already, and stays so. `state` is the folder of local databases."""
    return Factory(env, opened=lambda: _fold(log, envelope, partition, state, passed_over))
