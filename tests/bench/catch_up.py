"""Figures of the projection catching up: Kafka to DuckDB with facts opened, against raw kafka-python consuming the same records.

Three shapes: as `parloir replay` writes (a whole turn a record, three events), and as live workers write, when much is going on (a
message a record, what was understood and answered in followers' records of about a hundred events) and when little is (an event a
record). `python -m tests.bench.catch_up` prints both sides.
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from kafka import KafkaConsumer, TopicPartition

from infra.broker import Broker
from projections.store import Store
from projections.worker import Projector
from tests import services
from vault.commit import Commit
from vault.conversations import Conversations, Reader
from vault.ids import LogId
from vault.intake import Intake, Message
from vault.interaction import Answered, ConversationEvent, Understood
from vault.keys import KekDirectory, KeyStore
from vault.logs.kafka import KafkaCluster, KafkaLog
from vault.mapper import SealingMapper
from vault.register import Register

PARTITIONS = 4
TEXT = "I would like to find a place to eat in San Jose this evening, something not too expensive."
REPLY = "Sure. Do you have a specific type of food you would like, such as Indian or Mexican?"
BATCH = 2_000
FOLLOWED = 50
"""Messages that a follower handles in one commit; two events each."""

Figures = dict[str, float]


def bench_catch_up(broker: Broker, messages: int = 120_000, people: int = 1_000, rounds: int = 3) -> dict[str, Figures]:
    """For each shape: events and records a second into DuckDB, records a second through a bare consumer, and their ratio.

    The two sides take turns, `rounds` times, since a shared machine changes its pace; the figures are medians. Both sides begin with
    connecting to the broker, and ours also folds the log, which it has never seen before. `ratio_to_raw_connected` counts the bare
    consumer only from when it is connected, and ours with everything.
    """
    return {shape: _Bench(broker, write).run(messages, people, rounds) for shape, write in SHAPES.items()}


class _Bench:
    def __init__(self, broker: Broker, write: Callable[[_Bench, int, int], None]) -> None:
        self.broker = broker
        self.topic = f"bench-{uuid4().hex[:8]}.conversations"
        self.log_id = LogId(uuid4())
        self._write = write

    def open(self) -> Conversations:
        log = KafkaLog(KafkaCluster(self.broker.bootstrap), self.topic, PARTITIONS)
        return Conversations(log, self.log_id, self.keks.secret("log"))

    def run(self, messages: int, people: int, rounds: int) -> Figures:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.keks = KekDirectory.create(folder / "keks", uuid4())
            self.keys = KeyStore.create(
                folder / "keys.db", self.keks, cache_entries=50_000, lease_seconds=300.0, busy_timeout_ms=5_000
            )
            self.mapper = SealingMapper()
            self.mapper.use(self.keys)
            self.conversations = self.open()
            self._write(self, messages, people)
            ends = {number: self.conversations.log.end(number) for number in range(PARTITIONS)}
            self.conversations.close()
            records = sum(ends.values())
            ours: list[float] = []
            raw: list[float] = []
            reading: list[float] = []
            events = 0
            for turn in range(rounds):
                # What writing the log left behind is nobody's to sweep: it would slow the bare consumer down most.
                gc.collect()
                gc.freeze()
                taken, events = self._catch_up(folder / f"projection-{turn}")
                ours.append(taken)
                gc.collect()
                whole, connected = self._consume(records)
                raw.append(whole)
                reading.append(connected)
            self.keys.close()
        return {
            "events": events,
            "records": records,
            "events_per_s": events / statistics.median(ours),
            "records_per_s": records / statistics.median(ours),
            "raw_records_per_s": records / statistics.median(raw),
            "ratio": statistics.median(theirs / mine for mine, theirs in zip(ours, raw, strict=True)),
            "raw_connected_records_per_s": records / statistics.median(reading),
            "ratio_to_raw_connected": statistics.median(
                theirs / mine for mine, theirs in zip(ours, reading, strict=True)
            ),
        }

    def _catch_up(self, path: Path) -> tuple[float, int]:
        conversations = self.open()
        store = Store.open(path, log_id=self.log_id)
        projector = Projector(store, conversations, Register([]), self.keys, self.mapper)
        began = (
            time.perf_counter()
        )  # the topic was looked at and the file made; readers still have to connect, as opposite
        projector.catch_up()
        taken = time.perf_counter() - began
        with store.reading() as cursor:
            (events, facts) = cursor.execute(
                "SELECT count(*), count(*) FILTER (intent IS NOT NULL OR fallback IS NOT NULL) FROM sealed_event"
            ).fetchone()
        assert not projector.stopped, projector.stopped
        assert events > 0
        assert facts == events // 3 * 2, (events, facts)
        projector.close()
        store.close()
        conversations.close()
        return taken, events

    def _consume(self, records: int) -> tuple[float, float]:
        """Seconds with and without connecting."""
        began = time.perf_counter()
        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.bootstrap,
            enable_auto_commit=False,
            max_partition_fetch_bytes=4 << 20,
            max_poll_records=10_000,
            metrics_enabled=False,
        )
        consumer.assign([TopicPartition(self.topic, number) for number in range(PARTITIONS)])
        consumer.seek_to_beginning()
        connected = time.perf_counter()
        found = 0
        while found < records:
            for of in consumer.poll(timeout_ms=1_000, max_records=10_000).values():
                found += len(of)
        ended = time.perf_counter()
        consumer.close()
        return ended - began, ended - connected

    # The shapes

    def replayed(self, messages: int, people: int) -> None:
        intake = Intake(self.conversations, self.keys, self.mapper, register_new=lambda: None)
        for start in range(0, messages, BATCH):
            intake.receive([_said(n, people, and_then=turn(n)) for n in range(start, min(start + BATCH, messages))])

    def live(self, messages: int, people: int) -> None:
        intake = Intake(self.conversations, self.keys, self.mapper, register_new=lambda: None)
        positions = dict.fromkeys(range(PARTITIONS), -1)
        for start in range(0, messages, BATCH):
            intake.receive([_said(n, people) for n in range(start, min(start + BATCH, messages))])
            for number in range(PARTITIONS):
                self._follow(number, positions)

    def quiet(self, messages: int, people: int) -> None:
        intake = Intake(self.conversations, self.keys, self.mapper, register_new=lambda: None)
        positions = dict.fromkeys(range(PARTITIONS), -1)
        messages //= 2  # three records each
        for start in range(0, messages, BATCH):
            intake.receive([_said(n, people) for n in range(start, min(start + BATCH, messages))])
            for number in range(PARTITIONS):
                self._follow_one_by_one(number, positions)

    def _follow_one_by_one(self, number: int, positions: dict[int, int]) -> None:
        """What the nlu and the bot append when there is always just one message to handle."""
        partition = self.conversations.partition(number)
        end = partition.catch_up()
        commits: list[Commit] = []
        with Reader(partition, positions[number] + 1) as reader:
            while reader.next_offset < end:
                for accepted in reader.read(BATCH, 1_000):
                    (stored,) = accepted.commit.events
                    if stored.originator_version > 1:
                        continue
                    events = turn(0)(stored.originator_id, UUID(bytes=stored.state[1:17]))  # type: ignore[arg-type]
                    after, positions[number] = positions[number], accepted.offset
                    for follower, event in zip(("nlu", "bot"), events, strict=True):
                        made = (self.mapper.to_stored_event(event),)
                        commits.append(Commit.of(made, follower=follower, after=after, upto=accepted.offset))
        partition.append(commits)

    def _follow(self, number: int, positions: dict[int, int]) -> None:
        """What the nlu and the bot would append, as one follower."""
        partition = self.conversations.partition(number)
        end = partition.catch_up()
        with Reader(partition, positions[number] + 1) as reader:
            while reader.next_offset < end:
                batch = reader.read(FOLLOWED, 1_000)
                made = [
                    self.mapper.to_stored_event(event)
                    for accepted in batch
                    for stored in accepted.commit.events
                    if stored.originator_version == 1
                    for event in turn(0)(stored.originator_id, UUID(bytes=stored.state[1:17]))  # type: ignore[arg-type]
                ]
                if made:
                    upto = reader.next_offset - 1
                    partition.append([Commit.of(made, follower="bot", after=positions[number], upto=upto)])
                    positions[number] = upto


def _said(number: int, people: int, and_then: Any = None) -> Message:
    at_us = 1_750_000_000_000_000 + number * 1_000
    return Message("web", "site", f"visitor-{number % people}", f"m{number}", TEXT, at_us, "en", and_then)


def turn(number: int) -> Callable[[UUID, UUID], Sequence[ConversationEvent]]:
    at_us = 1_750_000_000_000_000 + number * 1_000

    def and_then(interaction_id: UUID, subject: UUID) -> Sequence[ConversationEvent]:
        common: dict[str, Any] = {"originator_id": interaction_id, "subject": subject, "channel": "web"}
        return (
            Understood(
                originator_version=2,
                at_us=at_us,
                language="en",
                intent="FindRestaurants",
                confidence=1.0,
                outcome="understood",
                entities=[{"type": "city", "value": "San Jose", "start": 37, "end": 45}],
                model="recorded",
                **common,
            ),
            Answered(
                originator_version=3,
                at_us=at_us + 180_000,
                replies=[{"text": REPLY}],
                fallback=False,
                assistant="recorded",
                **common,
            ),
        )

    return and_then


SHAPES: dict[str, Callable[[_Bench, int, int], None]] = {
    "a turn a record": _Bench.replayed,
    "live, busy": _Bench.live,
    "live, quiet": _Bench.quiet,
}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as at:
        one = Broker(Path(at), services.fetch(services.CACHE))
        one.start()
        print(json.dumps(bench_catch_up(one), indent=2))
        one.stop()
