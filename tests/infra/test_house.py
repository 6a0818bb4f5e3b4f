"""The wiring: what the settings say reaches what they are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.house import House, kafka_cluster
from infra.settings import Settings
from vault.errors import StartRefused


def test_tls_and_sasl_settings_reach_the_kafka_client_and_the_password_is_read_from_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("opensesame\n")
    settings = Settings(
        home=tmp_path,
        log="kafka://one:9093,two:9093/vault",
        kafka_security_protocol="SASL_SSL",
        kafka_ssl_cafile="/etc/ca.pem",
        kafka_ssl_certfile="/etc/us.pem",
        kafka_ssl_keyfile="/etc/us.key",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="parloir",
        kafka_sasl_password_file=str(secret),
        kafka_replication_factor=3,
        kafka_min_insync_replicas=2,
        append_timeout_ms=4_000,
    )
    cluster, prefix = kafka_cluster(settings)
    assert prefix == "vault"
    assert cluster.client["bootstrap_servers"] == ["one:9093", "two:9093"]
    wanted = {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": "/etc/ca.pem",
        "ssl_certfile": "/etc/us.pem",
        "ssl_keyfile": "/etc/us.key",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "parloir",
        "sasl_plain_password": "opensesame",
    }
    assert {name: cluster.client[name] for name in wanted} == wanted
    assert (cluster.replication_factor, cluster.min_insync_replicas, cluster.append_timeout_ms) == (3, 2, 4_000)
    assert "opensesame" not in repr(cluster)
    assert "opensesame" not in repr(settings)


def test_a_password_file_that_is_not_there_is_refused_by_its_setting(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        log="kafka://one:9093/vault",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="parloir",
        kafka_sasl_password_file=str(tmp_path / "gone"),
    )
    with pytest.raises(StartRefused, match="kafka_sasl_password_file cannot be read"):
        kafka_cluster(settings)


def test_the_projection_lives_in_its_folder_and_a_file_of_an_earlier_version_does_not_outlive_erasures(
    tmp_path: Path,
) -> None:
    with House(Settings(home=tmp_path / "home")) as house:
        earlier = house.settings.home / "projection.duckdb"
        earlier.write_bytes(b"sealed rows")
        limits = house.upkeep_limits()
        assert (limits.recent_rows, limits.pause_seconds) == (500_000, 3_600)
        assert house.projector.store.folder == house.settings.home / "projection"
        assert not earlier.exists()
