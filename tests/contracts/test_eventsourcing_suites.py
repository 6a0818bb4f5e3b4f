"""The library's own suites for persistence modules, unchanged, for vault.sqlite and vault.kafka.

Only what a suite asks for is supplied: a recorder, a factory, a view, the environment. Kafka is a real broker.

| suite of `eventsourcing` | used as |
|---|---|
| tests.persistence.AggregateRecorderTestCase | Test…AggregateRecorder, and Test…Snapshots |
| tests.persistence.ApplicationRecorderTestCase | Test…ApplicationRecorder, with its optional test of subscriptions |
| tests.persistence.TrackingRecorderTestCase | Test…TrackingRecorder |
| tests.persistence.ProcessRecorderTestCase | Test…ProcessRecorder |
| tests.persistence.NonInterleavingNotificationIDsBaseCase | Test…NonInterleaving |
| tests.persistence.InfrastructureFactoryTestCase | Test…Factory |
| tests.application.ExampleApplicationTestCase | Test…ExampleApplication |
| tests.application.ApplicationTestCase | Test…Application |
| tests.projection.EventCountersViewTestCase | Test…View |
| tests.projection.AggregateEventCountersProjectionTestCase | Test…Projection |
| tests.projection.EventSourcedProjectionTestCase | Test…EventSourcedProjection |

What is not used stands in `NOT_USED`, with the reason.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import TestCase
from uuid import NAMESPACE_URL, uuid5

import eventsourcing
import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    InfrastructureFactory,
    ProcessRecorder,
    StoredEvent,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.tests import application, persistence, projection
from eventsourcing.utils import Environment

from infra.broker import Broker
from vault import kafka, sqlite

NOT_USED = {
    "eventsourcing.tests.persistence:RecorderTestCase": "the base of others, without a test",
    "eventsourcing.tests.persistence:TranscoderTestCase": "of transcoders to JSON, which no persistence module has",
    "eventsourcing.tests.projection:TaggedDecisionCountersProjectionTestCase": "of DCB recorders: decisions without aggregates",
    "eventsourcing.dcb.tests:DCBRecorderTestCase": "of DCB recorders: decisions without aggregates",
}


class Place:
    """Where a suite finds a persistence module: in the environment, and in the factories it gets."""

    module: str
    env: Environment

    def variables(self, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
        variables = {"PERSISTENCE_MODULE": self.module, **self.variables(tmp_path, request)}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        self.env = Environment("Suite", dict(variables))
        self._factories: list[InfrastructureFactory[Any]] = []
        yield
        for made in self._factories:
            made.close()
        gc.collect()  # the suites leave applications open; they close themselves when nobody holds them

    def make(self) -> InfrastructureFactory[Any]:
        made: InfrastructureFactory[Any] = InfrastructureFactory.construct(self.env)
        self._factories.append(made)
        return made


class OnSqlite(Place):
    module = "vault.sqlite"

    def variables(self, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
        return {
            "SQLITE_DBNAME": str(tmp_path / "register.db"),
            "EVENTCOUNTERS_SQLITE_DBNAME": str(tmp_path / "view.db"),
            "COUNTERS_SQLITE_DBNAME": str(tmp_path / "counters.db"),
        }


@pytest.mark.kafka
class OnKafka(Place):
    """`keeps_state`: the local database is a file; else in memory, for suites that open an application twice."""

    module = "vault.kafka"
    keeps_state = True

    def variables(self, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
        broker: Broker = request.getfixturevalue("broker")
        prefix: str = request.getfixturevalue("kafka_prefix")
        log_key = tmp_path / "log.key"
        log_key.write_bytes(os.urandom(32))
        variables = {"KAFKA_BOOTSTRAP": broker.bootstrap, "KAFKA_LOG_KEY_FILE": str(log_key)}
        for name in ("SUITE", "APPLICATION", "BANKACCOUNTS", "EVENTCOUNTERS", "COUNTERS"):
            variables[f"{name}_KAFKA_TOPIC"] = f"{prefix}.{name.lower()}"
        if self.keeps_state:
            variables["KAFKA_STATE_FOLDER"] = str(tmp_path / "state")
        return variables


# Recorders


class TestSqliteAggregateRecorder(OnSqlite, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.make().aggregate_recorder()


class TestKafkaAggregateRecorder(OnKafka, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.make().aggregate_recorder()


class TestSqliteSnapshots(OnSqlite, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.make().aggregate_recorder(purpose="snapshots")


class TestKafkaSnapshots(OnKafka, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.make().aggregate_recorder(purpose="snapshots")


class TestSqliteApplicationRecorder(OnSqlite, persistence.ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> Any:
        return self.make().application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestKafkaApplicationRecorder(OnKafka, persistence.ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> Any:
        return self.make().application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestSqliteTrackingRecorder(OnSqlite, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        recorder: TrackingRecorder = self.make().tracking_recorder()
        return recorder


class TestKafkaTrackingRecorder(OnKafka, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        recorder: TrackingRecorder = self.make().tracking_recorder()
        return recorder


class TestSqliteProcessRecorder(OnSqlite, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.make().process_recorder()


class TestKafkaProcessRecorder(OnKafka, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.make().process_recorder()


class TestSqliteNonInterleaving(OnSqlite, persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> Any:
        return self.make().application_recorder()


class TestKafkaNonInterleaving(OnKafka, persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> Any:
        return self.make().application_recorder()


# Factories


class SqliteTrackingSubclass(sqlite.SqliteTrackingRecorder):
    pass


class KafkaTrackingSubclass(kafka.KafkaTrackingRecorder):
    pass


class TestSqliteFactory(OnSqlite, persistence.InfrastructureFactoryTestCase[sqlite.Factory]):
    def expected_factory_class(self) -> type[sqlite.Factory]:
        return sqlite.Factory

    def expected_aggregate_recorder_class(self) -> type[Any]:
        return sqlite.SqliteAggregateRecorder

    def expected_application_recorder_class(self) -> type[Any]:
        return sqlite.SqliteApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[Any]:
        return sqlite.SqliteTrackingRecorder

    def tracking_recorder_subclass(self) -> type[Any]:
        return SqliteTrackingSubclass

    def expected_process_recorder_class(self) -> type[Any]:
        return sqlite.SqliteProcessRecorder


class TestKafkaFactory(OnKafka, persistence.InfrastructureFactoryTestCase[kafka.Factory]):
    def expected_factory_class(self) -> type[kafka.Factory]:
        return kafka.Factory

    def expected_aggregate_recorder_class(self) -> type[Any]:
        return kafka.KafkaAggregateRecorder

    def expected_application_recorder_class(self) -> type[Any]:
        return kafka.KafkaApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[Any]:
        return kafka.KafkaTrackingRecorder

    def tracking_recorder_subclass(self) -> type[Any]:
        return KafkaTrackingSubclass

    def expected_process_recorder_class(self) -> type[Any]:
        return kafka.KafkaProcessRecorder


# Applications


class TestSqliteExampleApplication(OnSqlite, application.ExampleApplicationTestCase):
    expected_factory_topic = "vault.sqlite:Factory"


class TestKafkaExampleApplication(OnKafka, application.ExampleApplicationTestCase):
    expected_factory_topic = "vault.kafka:Factory"


class TestSqliteApplication(OnSqlite, application.ApplicationTestCase):
    pass


class TestKafkaApplication(OnKafka, application.ApplicationTestCase):
    keeps_state = False


# Projections


class SqliteCounters(sqlite.SqliteTrackingRecorder, projection.EventCountersView):
    """Counts in a table, in one transaction with the position."""

    def construct_create_table_statements(self) -> list[str]:
        return [
            *super().construct_create_table_statements(),
            "CREATE TABLE IF NOT EXISTS counted (name TEXT PRIMARY KEY, times INTEGER)",
        ]

    def _count(self, name: str) -> int:
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT coalesce(sum(times), 0) FROM counted WHERE name = ?", (name,))
            times: int = cursor.fetchone()[0]
        return times

    def _increase(self, name: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO counted VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET times = times + 1", (name,)
            )

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increase("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increase("subsequent", tracking)


class KafkaCounters(kafka.KafkaProcessRecorder, projection.EventCountersView):
    """Counts by recording: one event, in one commit with the position; the count is its aggregate's version."""

    def _count(self, name: str) -> int:
        last = self.select_events(uuid5(NAMESPACE_URL, name), desc=True, limit=1)
        return last[0].originator_version if last else 0

    def _increase(self, name: str, tracking: Tracking) -> None:
        counted = StoredEvent(uuid5(NAMESPACE_URL, name), self._count(name) + 1, "counted", b"")
        self.insert_events([counted], tracking=tracking)

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increase("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increase("subsequent", tracking)


class TestSqliteView(OnSqlite, projection.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> SqliteCounters:
        view: SqliteCounters = self.make().tracking_recorder(SqliteCounters)
        return view


class TestKafkaView(OnKafka, projection.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> KafkaCounters:
        view: KafkaCounters = self.make().tracking_recorder(KafkaCounters)
        return view


class TestSqliteProjection(OnSqlite, projection.AggregateEventCountersProjectionTestCase):
    view_class = SqliteCounters


class TestKafkaProjection(OnKafka, projection.AggregateEventCountersProjectionTestCase):
    view_class = KafkaCounters


class TestSqliteEventSourcedProjection(OnSqlite, projection.EventSourcedProjectionTestCase):
    pass


class TestKafkaEventSourcedProjection(OnKafka, projection.EventSourcedProjectionTestCase):
    pass


# All of them


def _suites_of_the_library() -> dict[str, type[TestCase]]:
    """Every test case class that the installed library brings, by module and name."""
    found: dict[str, type[TestCase]] = {}
    for module_info in pkgutil.walk_packages(eventsourcing.__path__, "eventsourcing."):
        if "tests" not in module_info.name.split(".") or module_info.name.endswith("postgres_utils"):
            continue
        module = importlib.import_module(module_info.name)
        for name, member in inspect.getmembers(module, inspect.isclass):
            if issubclass(member, TestCase) and member.__module__ == module_info.name:
                found[f"{module_info.name}:{name}"] = member
    return found


def _used_on(place: type[Place]) -> set[type]:
    return {base for cls in place.__subclasses__() for base in cls.__mro__}


@pytest.mark.parametrize("place", [OnSqlite, OnKafka])
def test_every_suite_of_the_library_is_used_or_listed_with_a_reason(place: type[Place]) -> None:
    suites = _suites_of_the_library()
    used = _used_on(place)
    unused = {name for name, suite in suites.items() if suite not in used or name in NOT_USED}
    assert unused == set(NOT_USED)
    assert len(suites) > len(NOT_USED)


@pytest.mark.parametrize("place", [OnSqlite, OnKafka])
def test_every_test_of_a_suite_is_run_optional_ones_too(place: type[Place]) -> None:
    for cls in place.__subclasses__():
        suite = next(base for base in cls.__mro__ if base.__module__.startswith("eventsourcing."))
        for name in dir(suite):
            if name.startswith("optional_test_"):
                assert name.removeprefix("optional_") in vars(cls), f"{cls.__name__} leaves out {name}"
            if name.startswith("test"):
                assert name not in vars(cls), f"{cls.__name__} replaces {name}"
