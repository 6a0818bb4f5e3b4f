"""The development broker: starts, keeps what it acknowledged over a kill, stops, and refuses what it cannot have."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from infra import broker_verbs
from infra.artifacts import cache_folder, fetch
from infra.broker import Broker
from infra.broker_files import HOST
from infra.settings import Settings, load
from tests import services
from vault.client import DONE, FAILED
from vault.errors import BadInput, LogMismatch, StartRefused, Unavailable

RECORDS = 200


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test alone, not started."""
    one = Broker(tmp_path / "broker", fetch(services.CACHE))
    yield one
    one.kill()


def produce(broker: Broker, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=[broker.bootstrap], acks="all")
    for future in [producer.send(topic, value) for value in values]:
        future.get(30)
    producer.close()


def make_topic(broker: Broker, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=[broker.bootstrap])
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    admin.wait_for_topics([topic])
    admin.close()


def consume(broker: Broker, topic: str, records: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=[broker.bootstrap], enable_auto_commit=False, consumer_timeout_ms=20_000)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    read: list[bytes] = []
    for record in consumer:
        read.append(record.value)
        if len(read) == records:
            break
    consumer.close()
    return read


@pytest.mark.kafka
def test_what_was_acknowledged_survives_a_kill_and_a_restart(own: Broker) -> None:
    place = own.start()
    make_topic(own, "kept")
    before = [b"before %d" % number for number in range(RECORDS)]
    produce(own, "kept", before)
    assert own.kill()
    assert not own.running

    again = own.start()
    assert (again.port, own.running) == (place.port, True)
    assert again.pid != place.pid
    after = [b"after %d" % number for number in range(RECORDS)]
    produce(own, "kept", after)
    assert own.restart().port == place.port
    assert consume(own, "kept", 2 * RECORDS) == before + after
    assert own.stop()
    assert not own.stop()


@pytest.mark.kafka
def test_the_verb_starts_it_once_for_whoever_comes_and_it_outlives_the_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLOIR_CACHE", str(services.CACHE))
    settings = Settings(home=tmp_path)
    assert broker_verbs.run("status", settings, None, None, as_json=False) == FAILED
    assert "no broker runs" in capsys.readouterr().out

    starting = (
        "import sys; from pathlib import Path; from infra import broker_verbs; from infra.settings import Settings; "
    )
    starting += "sys.exit(broker_verbs.run('start', Settings(home=Path(sys.argv[1])), None, None, as_json=True))"
    command = [sys.executable, "-c", starting, str(tmp_path)]
    twice = [subprocess.Popen(command, cwd=services.CHECKOUT, stdout=subprocess.PIPE) for _ in range(2)]
    said = [json.loads(each.communicate(timeout=120)[0]) for each in twice]
    try:
        assert [each.returncode for each in twice] == [DONE, DONE]
        assert said[0] == said[1]
        with socket.create_connection((HOST, int(said[0]["bootstrap"].split(":")[1])), timeout=5):
            pass
        assert broker_verbs.run("status", settings, None, None, as_json=True) == DONE
        assert json.loads(capsys.readouterr().out) == said[0]
        with pytest.raises(StartRefused, match="on port"):
            Broker(tmp_path / "broker").start(1)
    finally:
        assert broker_verbs.run("stop", settings, None, None, as_json=False) == DONE
    assert "was stopped" in capsys.readouterr().out
    assert not Broker(tmp_path / "broker").running


@pytest.mark.kafka
def test_serve_on_kafka_remembers_its_broker_and_stops_only_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLOIR_CACHE", str(services.CACHE))
    (tmp_path / "parloir.toml").write_text('batch_records = 7\nlog = "sqlite"\n')
    with broker_verbs.with_kafka(load({}, tmp_path)) as settings:
        assert settings.log.startswith(f"kafka://{HOST}:")
        assert Broker(tmp_path / "broker").running
        (tmp_path / "home.json").touch()
        assert load({}, tmp_path) == settings
        with broker_verbs.with_kafka(load({}, tmp_path)) as again:
            assert again == settings
        assert Broker(tmp_path / "broker").running
    assert not Broker(tmp_path / "broker").running


@pytest.mark.kafka
def test_a_home_that_keeps_its_logs_elsewhere_is_not_moved_to_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLOIR_CACHE", str(services.CACHE))
    (tmp_path / "home.json").touch()
    for log in ("sqlite", "kafka://elsewhere:9092/parloir"):
        with (
            pytest.raises(LogMismatch, match="this home keeps its logs in"),
            broker_verbs.with_kafka(Settings(home=tmp_path, log=log)),
        ):
            pass
    assert not (tmp_path / "broker").exists()


@pytest.mark.kafka
def test_a_busy_port_is_refused_and_nothing_is_left_running(own: Broker) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartRefused, match=f"port {port} on {HOST} is in use"):
            own.start(port)
    assert not own.running


@pytest.mark.kafka
def test_a_broker_that_cannot_start_says_so_before_the_limit(own: Broker) -> None:
    own.folder.mkdir()
    (own.folder / "data").mkdir()
    (own.folder / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=another\n")
    with pytest.raises(Unavailable, match=r"ended while it was starting; .*broker\.log says why"):
        own.start(timeout_s=60)
    assert not own.running


def test_ports_that_are_none_are_refused(tmp_path: Path) -> None:
    for port in (-1, 65_536):
        with pytest.raises(BadInput, match="is no port"):
            Broker(tmp_path).start(port)


def test_a_broker_that_was_never_started_is_neither_stopped_nor_running(tmp_path: Path) -> None:
    never = Broker(tmp_path / "none")
    assert (never.running, never.stop(), never.kill(), never.place) == (False, False, False, None)
    with pytest.raises(BadInput, match="no broker was ever started"):
        _ = never.bootstrap


def test_a_look_at_it_does_not_make_a_start_believe_it_runs(tmp_path: Path) -> None:
    """Whoever looks takes the lock for a moment; a start at that moment must not wait for a broker that nobody started."""
    looked_at = Broker(tmp_path)
    (tmp_path / "lock").touch()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            _ = looked_at.running

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(20):
            with pytest.raises(BadInput, match="needs Kafka's library"):
                Broker(tmp_path).start()
    finally:
        done.set()
        looking.join()


def test_a_fetch_that_fails_leaves_nothing_that_looks_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    maven = programs / "mvn"
    maven.write_text("#!/bin/sh\nmkdir -p lib && touch lib/half.jar\necho '[ERROR] no network' && exit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with pytest.raises(Unavailable, match="no network"):
        fetch(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_maven_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="install Maven"):
        fetch(tmp_path / "cache")


def test_the_cache_is_outside_any_checkout_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    assert cache_folder({"HOME": str(tmp_path)}) == tmp_path / ".cache" / "parloir"
    assert cache_folder({"HOME": "/x", "XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "parloir"
    assert cache_folder({"PARLOIR_CACHE": str(tmp_path)}) == tmp_path
