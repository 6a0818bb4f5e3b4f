"""How fast the register is in Kafka, beside what it is compared with, in one run on one machine.

`python -m tests.bench.register` prints both sides and their ratio: commits a second of 64 writers through vault.kafka and through
`eventsourcing.postgres`, and the time of one commit of one writer beside that of a raw acknowledged produce.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from kafka import KafkaProducer

from infra.artifacts import fetch
from infra.broker import Broker
from tests import services
from vault.logs.kafka import KafkaCluster, KafkaLog

WRITERS = 64
STATE_BYTES = 300
ROUNDS = 3
"""Of each side, in turn, so that neither has the machine for itself at a better time."""


Figures = dict[str, float]


def _event(originator: UUID, version: int) -> StoredEvent:
    return StoredEvent(originator, version, "subject.consent_given.1", b"\x5a" * STATE_BYTES)


def commits_per_second(recorder: ApplicationRecorder, *, writers: int, commits: int) -> float:
    """Commits of one event a second, by threads that each write aggregates of ten events."""
    each = commits // writers
    ready = threading.Barrier(writers + 1)
    failures: list[BaseException] = []

    def write() -> None:
        ready.wait()
        try:
            for number in range(each):
                if number % 10 == 0:
                    originator = uuid4()
                recorder.insert_events([_event(originator, number % 10 + 1)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if failures:
        raise failures[0]
    return each * writers / seconds


def median_ms(act: Callable[[], object], times: int) -> float:
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) * 1_000


def _kafka(broker: Broker, folder: Path) -> InfrastructureFactory[object]:  # type: ignore[type-var]
    log_key = folder / "log.key"
    log_key.write_bytes(os.urandom(32))
    return InfrastructureFactory.construct(
        {
            "PERSISTENCE_MODULE": "vault.kafka",
            "KAFKA_BOOTSTRAP": broker.bootstrap,
            "KAFKA_TOPIC": f"bench-{uuid4().hex[:12]}",
            "KAFKA_LOG_KEY_FILE": str(log_key),
            "KAFKA_STATE_FOLDER": str(folder / "state"),
        }
    )


def bench_writers(
    broker: Broker, postgres: services.Postgres, *, writers: int = WRITERS, commits: int = 6_400
) -> Figures:
    """Commits a second of many writers: vault.kafka, eventsourcing.postgres. Medians of rounds taken in turn."""
    with ExitStack() as closing:
        ours = _kafka(broker, Path(closing.enter_context(tempfile.TemporaryDirectory())))
        closing.callback(ours.close)
        theirs: InfrastructureFactory[object] = InfrastructureFactory.construct(  # type: ignore[type-var]
            {**postgres.environment, "POSTGRES_POOL_SIZE": str(writers), "POSTGRES_CONN_MAX_AGE": ""}
        )
        closing.callback(theirs.close)
        sides = {"ours": ours.application_recorder(), "theirs": theirs.application_recorder()}
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for recorder in sides.values():  # warm: connections, statements, topics
            commits_per_second(recorder, writers=writers, commits=writers * 2)
        for _ in range(ROUNDS):
            for side, recorder in sides.items():
                rates[side].append(commits_per_second(recorder, writers=writers, commits=commits))
    return _compared("kafka_commits_per_second", rates["ours"], "postgres_commits_per_second", rates["theirs"])


def bench_one_writer(broker: Broker, *, commits: int = 1_000) -> Figures:
    """Milliseconds, p50, of one commit by one thread, and of one raw acknowledged produce of a record of the same size."""
    with ExitStack() as closing:
        ours = _kafka(broker, Path(closing.enter_context(tempfile.TemporaryDirectory())))
        closing.callback(ours.close)
        recorder = ours.application_recorder()
        topic, record = f"bench-{uuid4().hex[:12]}", b"\x5a" * (STATE_BYTES + 120)
        KafkaLog(KafkaCluster(broker.bootstrap), topic, 1).close()  # makes the topic
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
        closing.callback(producer.close)

        def commit() -> None:
            recorder.insert_events([_event(uuid4(), 1)])

        def produce() -> None:
            producer.send(topic, record, partition=0).get(30)

        medians: dict[Callable[[], None], list[float]] = {commit: [], produce: []}
        for act in medians:
            median_ms(act, 100)
        for _ in range(ROUNDS):
            for act, found in medians.items():
                found.append(median_ms(act, commits // ROUNDS))
    return _compared("commit_p50_ms", medians[commit], "raw_produce_p50_ms", medians[produce])


def _compared(ours: str, figures: list[float], theirs: str, baselines: list[float]) -> Figures:
    figure, baseline = statistics.median(figures), statistics.median(baselines)
    return {ours: figure, theirs: baseline, "ratio": figure / baseline}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        broker = Broker(Path(folder), fetch(services.CACHE))
        closing.callback(broker.stop)
        broker.start()
        postgres = services.Postgres()
        closing.callback(postgres.stop)
        figures = {"64 writers (ratio: at least 3)": bench_writers(broker, postgres)}
        figures["one writer (ratio: at most 1.5)"] = bench_one_writer(broker)
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
