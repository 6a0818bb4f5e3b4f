"""Two workers that share out the projection of one Kafka log: one is killed, and the other takes its partitions over."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pytest

from infra.broker import Broker
from infra.workers import Workers
from tests.journeys.conftest import Parloir, dialogue, write_dialogues

PARTITIONS = frozenset(range(4))
SAID = [dialogue(n, f"hello {n}", f"goodbye {n}") for n in range(60)]
PEOPLE = [f"web:visitor-{number:04d}" for number in range(1, 9)]
"""Each of them has some of the sixty dialogues: a person is drawn by a digest of the dialogue, which is always the same."""


@pytest.fixture
def parloir(make_parloir: Callable[..., Parloir], broker: Broker, kafka_prefix: str, tmp_path: Path) -> Parloir:
    made = make_parloir(log=f"kafka://{broker.bootstrap}/{kafka_prefix}", log_partitions="4", worker_timeout_ms="6000")
    said = write_dialogues(tmp_path / "said.jsonl.gz", SAID)
    made.json("replay", str(said), "--people", "8", "--channel", "web")
    return made


def start(parloir: Parloir, name: str) -> subprocess.Popen[str]:
    return parloir.serve("--worker", name)


def until(parloir: Parloir, shared: Callable[[dict[str, frozenset[int]]], bool], timeout_s: float = 60) -> None:
    """Waits until the workers have shared the partitions out as is wanted."""
    deadline = time.monotonic() + timeout_s
    while not shared(found := Workers(parloir.home).partitions()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def complete(found: dict[str, frozenset[int]]) -> bool:
    return frozenset().union(*found.values()) == PARTITIONS and sum(map(len, found.values())) == len(PARTITIONS)


def held(parloir: Parloir, people: Iterable[str]) -> dict[str, dict[str, int]]:
    """How many events of the conversations are held on each person, whoever has them."""
    return {
        person: {
            topic: count
            for topic, count in parloir.json("access", person, "--reason", "a test")["summary"]["events"].items()
            if topic.startswith("interaction.")
        }
        for person in people
    }


def test_a_killed_workers_partitions_are_taken_over_and_given_back(parloir: Parloir, tmp_path: Path) -> None:
    alone = held(parloir, PEOPLE)
    parloir.serve("--only", "registrar")
    first, _ = start(parloir, "a"), start(parloir, "b")
    until(parloir, lambda found: complete(found) and all(found.values()) and len(found) == 2)
    assert held(parloir, PEOPLE) == alone
    verified = parloir.json("verify")
    assert verified["ok"], verified["problems"]

    refused = parloir("sql", "SELECT 1")
    assert refused.returncode == 2
    assert "parloir snapshot FOLDER --parquet" in refused.stderr
    together = parloir.json("snapshot", str(tmp_path / "together"), "--parquet")
    received = "SELECT count(*), count(DISTINCT subject), count(DISTINCT partition) FROM read_parquet(?, hive_partitioning = true)"
    interactions = str(tmp_path / "together" / "interaction" / "*" / "*.parquet")
    (row,) = duckdb.connect().execute(received, [interactions]).fetchall()
    said = sum(events["interaction.received.1"] for events in alone.values())
    assert row[:2] == (said, len(PEOPLE))
    assert together["rows"]["interaction"] == said

    first.send_signal(signal.SIGKILL)
    first.wait()
    until(parloir, lambda found: found == {"b": PARTITIONS})
    assert held(parloir, PEOPLE) == alone

    # A person is erased while the first is away: it must not come back with what it held.
    erased, *others = PEOPLE
    assert parloir("erase", erased, "--reason", "a test", "--yes").returncode == 0
    start(parloir, "a")
    until(parloir, lambda found: complete(found) and all(found.values()) and len(found) == 2)
    assert held(parloir, others) == {person: alone[person] for person in others}
    assert parloir("access", erased, "--reason", "a test").returncode == 3
    verified = parloir.json("verify")
    assert verified["ok"], verified["problems"]


def test_without_any_worker_running_it_is_said_how_to_go_on(parloir: Parloir) -> None:
    worker = start(parloir, "a")
    until(parloir, lambda found: found == {"a": PARTITIONS})
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    parloir.env["PARLOIR_APPEND_TIMEOUT_MS"] = "1000"
    refused = parloir("access", PEOPLE[0], "--reason", "a test")
    assert refused.returncode == 1
    assert "parloir serve --worker NAME" in refused.stderr


def test_a_worker_is_refused_where_the_log_is_embedded_or_nothing_was_made(
    make_parloir: Callable[..., Parloir], broker: Broker, kafka_prefix: str
) -> None:
    embedded = make_parloir()
    assert "embedded logs have one process" in embedded("serve", "--worker", "a").stderr
    on_kafka = make_parloir(log=f"kafka://{broker.bootstrap}/{kafka_prefix}")
    assert "before its workers" in on_kafka("serve", "--worker", "a").stderr
    assert "small letters" in on_kafka("serve", "--worker", "../a").stderr
