"""Makes a log of each kind. Every call of `make_log` is another client of the same log, where it can have more than one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contracts.events import LOG_KEY
from vault.conversations import Conversations
from vault.ids import LogId
from vault.log import Log
from vault.logs.sqlite import SqliteLog


class _OneOwner(SqliteLog):
    """An embedded log has one owner process, so all share it; whoever is done with it must not close it for the others."""

    def close(self) -> None:
        pass

    def close_at_last(self) -> None:
        super().close()


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def make_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Log]]:
    if request.param == "sqlite":
        shared = _OneOwner(tmp_path / "log.db", "test.conversations", 2)
        yield lambda: shared
        shared.close_at_last()
        return
    from vault.logs.kafka import KafkaCluster, KafkaLog

    broker = request.getfixturevalue("broker")
    prefix = request.getfixturevalue("kafka_prefix")
    cluster = KafkaCluster(broker.bootstrap, append_timeout_ms=10_000)
    yield lambda: KafkaLog(cluster, f"{prefix}.conversations", 2)


@pytest.fixture
def log_id() -> LogId:
    return LogId(uuid4())


@pytest.fixture
def opened(make_log: Callable[[], Log], log_id: LogId) -> Iterator[Callable[..., Conversations]]:
    """Opens the conversations; each call stands for another process on the same log."""
    held: list[Conversations] = []

    def make(**options: object) -> Conversations:
        options.setdefault("append_timeout_ms", 10_000)
        held.append(Conversations(make_log(), options.pop("log_id", log_id), LOG_KEY, **options))  # type: ignore[arg-type]
        return held[-1]

    yield make
    for conversations in held:
        conversations.close()
