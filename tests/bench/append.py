"""Figures of taking messages in: sealed, claimed and accepted in Kafka, against raw kafka-python producing the same bytes.

`python -m tests.bench.append` prints both sides.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from infra.broker import Broker
from infra.serve import tune_garbage_collection
from tests import services
from vault.conversations import Conversations
from vault.ids import LogId
from vault.intake import Intake, Message
from vault.keys import KekDirectory, KeyStore
from vault.logs.kafka import KafkaCluster, KafkaLog
from vault.mapper import SealingMapper

PARTITIONS = 4
TEXT = "Bonjour, je voudrais prendre rendez-vous pour renouveler ma carte d'identité, s'il vous plaît."

Figures = dict[str, float]


def bench_append(
    broker: Broker, messages: int = 100_000, people: int = 1_000, batch: int = 4_000, rounds: int = 5
) -> Figures:
    """Messages a second through the door, against records a second of the same bytes through a bare producer.

    The two take turns, `rounds` times, since a shared machine changes its pace; the figures are medians.
    """
    topic = f"bench-{uuid4().hex[:8]}.conversations"
    with tempfile.TemporaryDirectory() as folder:
        keks = KekDirectory.create(Path(folder) / "keks", uuid4())
        keys = KeyStore.create(
            Path(folder) / "keys.db", keks, cache_entries=50_000, lease_seconds=300.0, busy_timeout_ms=5_000
        )
        mapper = SealingMapper()
        mapper.use(keys)
        log = KafkaLog(KafkaCluster(broker.bootstrap), topic, PARTITIONS)
        conversations = Conversations(log, LogId(uuid4()), keks.secret("log"))
        intake = Intake(conversations, keys, mapper, register_new=lambda: None)

        def said(number: int) -> Message:
            return Message("web", "site", f"v{number % people}", f"m{number}", TEXT, 1_750_000_000_000_000 + number)

        intake.receive([said(n) for n in range(people)])
        tune_garbage_collection()
        ours: list[float] = []
        raw: list[float] = []
        each = messages // rounds
        for turn in range(rounds):
            start = people + turn * each
            batches = [
                [said(n) for n in range(at, min(at + batch, start + each))] for at in range(start, start + each, batch)
            ]
            began = time.perf_counter()
            for some in batches:
                intake.receive(some)
            ours.append(each / (time.perf_counter() - began))
            records = _read_back(broker, topic, each)
            raw.append(_raw(broker, records))
        conversations.close()
        keys.close()
    return {
        "append_messages_per_s": statistics.median(ours),
        "raw_records_per_s": statistics.median(raw),
        "ratio": statistics.median(a / b for a, b in zip(ours, raw, strict=True)),
        "record_bytes": sum(map(len, records)) / len(records),
    }


def _read_back(broker: Broker, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False, metrics_enabled=False)
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    found: list[bytes] = []
    while len(found) < count:
        for of in consumer.poll(timeout_ms=1_000, max_records=10_000).values():
            found += [record.value for record in of]
    consumer.close()
    return found[:count]


def _raw(broker: Broker, records: list[bytes]) -> float:
    """Records a second, acknowledged, through a bare idempotent producer on a topic of its own."""
    topic = f"raw-{uuid4().hex[:8]}"
    KafkaLog(KafkaCluster(broker.bootstrap), topic, PARTITIONS).close()
    producer = KafkaProducer(
        bootstrap_servers=broker.bootstrap,
        acks="all",
        enable_idempotence=True,
        batch_size=131_072,
        metrics_enabled=False,
    )
    producer.partitions_for(topic)
    began = time.perf_counter()
    futures = [producer.send(topic, value=record, partition=n % PARTITIONS) for n, record in enumerate(records)]
    for future in futures:
        future.get(60)
    taken = time.perf_counter() - began
    producer.close()
    return len(records) / taken


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as at:
        one = Broker(Path(at), services.fetch(services.CACHE))
        one.start()
        print(json.dumps(bench_append(one), indent=2))
        one.stop()
