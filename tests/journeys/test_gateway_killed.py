"""The gateway is killed while people write: over a real Kafka, every message is answered exactly once and none is lost."""

from __future__ import annotations

import asyncio

from infra.broker import Broker
from tests.bench.gateway import killed, served


def test_a_gateway_killed_under_load_loses_and_doubles_nothing(broker: Broker) -> None:
    with served(broker, repeats=True) as server:
        figures = asyncio.run(killed(server, people=8, turns=8, kills=1))
    counted = server.counted
    assert counted["received"] == counted["answered"] == figures["messages"]
    assert counted["received_twice"] == counted["answered_twice"] == counted["not_answered"] == 0
