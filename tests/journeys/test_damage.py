"""What goes wrong around a home: a stranger's record, a broker that is away, a full disk, two at once."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from infra.broker import Broker
from tests.disks import disk_of
from tests.journeys.conftest import Parloir, dialogue, write_dialogues


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_dialogues(tmp_path / "d.jsonl.gz", [dialogue(n, f"hello number {n}") for n in range(60)])


@pytest.fixture
def on_kafka(make_parloir: Callable[..., Parloir], broker: Broker, kafka_prefix: str) -> Parloir:
    return make_parloir(log=f"kafka://{broker.bootstrap}/{kafka_prefix}", append_timeout_ms="3000")


def someone_in(parloir: Parloir, file: Path, partition: int) -> str:
    """A pseudonym that lives there. Where people live is drawn, so others come until somebody does."""
    for number in range(10):
        rows = parloir.json("sql", "SELECT DISTINCT subject FROM interaction ORDER BY subject")
        for subject in (str(row["subject"]) for row in rows):
            if int(subject[:4], 16) == partition:
                return subject
        parloir.json("replay", str(file), "--people", "20", "--channel", f"web-{number}")
    raise AssertionError("everybody is drawn into one partition")


def test_a_strangers_record_stops_its_partition_is_named_and_can_be_passed_over(
    on_kafka: Parloir, broker: Broker, kafka_prefix: str, file: Path
) -> None:
    on_kafka.json("replay", str(file), "--people", "20", "--channel", "web")
    there, elsewhere = someone_in(on_kafka, file, 0), someone_in(on_kafka, file, 1)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    offset = producer.send(f"{kafka_prefix}.conversations", value=b"\x01 nobody's", partition=0).get(20).offset
    producer.close()

    verified = on_kafka("verify")
    assert verified.returncode == 1
    assert f"conversations/0@{offset}" in verified.stdout
    assert f"--pass-over conversations/0@{offset}" in verified.stdout
    assert on_kafka("access", elsewhere).returncode == 0
    incomplete = json.loads(on_kafka("access", there, "--format", "json").stdout)
    assert not incomplete["complete"]
    assert f"offset {offset}" in json.dumps(incomplete["complete_to"])

    assert on_kafka("verify", "--pass-over", f"conversations/0@{offset}").returncode == 0
    verified = on_kafka("verify")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(on_kafka("access", there, "--format", "json").stdout)["complete"]
    assert on_kafka.json("replay", str(file), "--people", "20", "--channel", "web")["messages"] == 0


def test_a_broker_that_is_away_is_waited_for_within_a_limit_and_what_serves_goes_on_when_it_is_back(
    on_kafka: Parloir, broker: Broker, file: Path, tmp_path: Path
) -> None:
    on_kafka.json("replay", str(file), "--channel", "web")
    serving = on_kafka.serve()
    more = write_dialogues(tmp_path / "more.jsonl.gz", [dialogue(n, f"later {n}") for n in range(100, 140)])
    broker.kill()
    try:
        away = on_kafka("replay", str(more), "--channel", "web")
        assert away.returncode == 1
        assert "unknown" in away.stderr or "not stored" in away.stderr
        assert away.stderr.count("\n") == 1
    finally:
        broker.start()
    done = on_kafka.json("replay", str(more), "--channel", "web")
    assert done["messages"] + done["repeated"] == 40
    assert on_kafka.json("sql", "SELECT count(*) AS n FROM interaction") == [{"n": 100}]
    serving.send_signal(signal.SIGTERM)
    serving.communicate(timeout=60)
    assert serving.returncode == 0


def test_a_topic_that_holds_another_homes_log_is_refused_with_both_ids(
    on_kafka: Parloir, file: Path, tmp_path: Path
) -> None:
    on_kafka.json("replay", str(file), "--channel", "web")
    first = json.loads((on_kafka.home / "home.json").read_text())["log_id"]
    other = Parloir(tmp_path / "other", on_kafka.env | {"PARLOIR_HOME": str(tmp_path / "other")})
    refused = other("replay", str(file), "--channel", "web")
    assert refused.returncode == 1
    assert f"holds log {first}" in refused.stderr
    assert json.loads((other.home / "home.json").read_text())["log_id"] in refused.stderr
    assert "prefix of its own" in refused.stderr
    assert on_kafka("verify").returncode == 0


def test_a_second_process_on_a_home_is_refused_and_the_first_is_not_disturbed(parloir: Parloir, file: Path) -> None:
    parloir.json("replay", str(file), "--channel", "web")
    serving = parloir.serve()
    second = parloir("serve")
    assert second.returncode == 1
    assert "in use by another process" in second.stderr
    assert parloir("verify").returncode == 0
    serving.send_signal(signal.SIGTERM)
    serving.communicate(timeout=60)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    with disk_of(tmp_path / "disk", 4) as where:
        yield where


def test_a_full_disk_is_said_with_the_remedy_and_nothing_acknowledged_is_lost(
    parloir: Parloir, small_disk: Path, tmp_path: Path
) -> None:
    parloir.env |= {"PARLOIR_HOME": str(small_disk / "home"), "PARLOIR_BATCH_RECORDS": "20"}
    many = write_dialogues(tmp_path / "many.jsonl.gz", [dialogue(n, f"hello {n} " + "x" * 2_000) for n in range(600)])
    full = parloir("replay", str(many), "--channel", "web")
    assert full.returncode == 1
    assert "room" in full.stderr or "full" in full.stderr
    assert "free" in full.stderr
    assert full.stderr.count("\n") == 1
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    done = parloir.json("replay", str(many), "--channel", "web")
    assert done["messages"] + done["repeated"] == 600
    assert done["repeated"] > 0
    assert parloir.json("sql", "SELECT count(*) AS n FROM interaction") == [{"n": 600}]
    assert parloir("verify").returncode == 0
