"""What tests stand on: a missing thing is a failure under CI and a skip elsewhere, and servers listen where they should."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaAdminClient

from infra.broker import Broker
from infra.broker_files import HOST
from infra.settings import Settings, load
from tests import services
from tests.conftest import require


def test_what_is_missing_skips_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="install it"):
        require("a thing is missing; install it")


def test_what_is_missing_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needed under CI: a thing is missing"):
        require("a thing is missing")


def test_what_is_there_does_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    require("")


def test_a_test_that_uses_a_server_is_marked_so(request: pytest.FixtureRequest) -> None:
    marked = {item.name: {mark.name for mark in item.iter_markers()} for item in request.session.items}
    assert "kafka" not in marked[request.node.name]
    for name, mark in (
        ("test_postgres_answers_on_a_socket_and_on_no_port", "postgres"),
        ("test_the_brokers_of_a_session_are_one_and_on_loopback", "kafka"),
    ):
        if name in marked:  # not when only this test was chosen
            assert mark in marked[name]


def test_no_test_sees_the_home_of_whoever_runs_it(tmp_path: Path, home: Settings) -> None:
    assert load(os.environ).home == tmp_path / "home" == home.home
    assert Path(os.environ["HOME"]).is_relative_to(tmp_path)


def test_postgres_answers_on_a_socket_and_on_no_port(postgres: services.Postgres) -> None:
    where = postgres.environment
    with psycopg.connect(
        host=where["POSTGRES_HOST"], user=where["POSTGRES_USER"], dbname=where["POSTGRES_DBNAME"]
    ) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    assert Path(where["POSTGRES_HOST"]).stat().st_mode & 0o077 == 0


def test_the_brokers_of_a_session_are_one_and_on_loopback(
    broker: Broker, kafka_home: Settings, kafka_prefix: str
) -> None:
    assert kafka_home.log == f"kafka://{broker.bootstrap}/{kafka_prefix}"
    admin = KafkaAdminClient(bootstrap_servers=[broker.bootstrap])
    assert [(each["host"], f"{each['host']}:{each['port']}") for each in admin.describe_cluster()["brokers"]] == [
        (HOST, broker.bootstrap)
    ]
    admin.close()
