"""The projection of a home whose logs are in Kafka."""

from __future__ import annotations

from infra.house import House
from infra.settings import Settings
from projections.rebuild import rebuild
from projections.verification import verify
from tests.projections.conftest import everything, rows, turn


def test_both_logs_are_followed_from_kafka_and_rebuilt_the_same(kafka_home: Settings) -> None:
    with House(kafka_home) as house:
        house.intake.receive([turn(f"visitor-{n % 5}", n) for n in range(60)])
        house.projector.catch_up(timeout_ms=30_000)
        assert rows(house.projector.store, "SELECT count(*), count(intent) FROM interaction") == [(60, 60)]
        assert rows(house.projector.store, "SELECT count(*) FROM register_event") == [(5,)]
        assert verify(house.projector).problems == []
        before = everything(house.projector.store)
        assert rebuild(house.projector) == 185
        assert everything(house.projector.store) == before
        gone = house.person("web:visitor-1").subject
        house.registrar.erase(gone, ground="request 1", decided_by="officer")
    with House(kafka_home) as house:
        house.projector.start()
        house.intake.receive([turn(f"visitor-{n % 5}", n) for n in range(100, 110)])
        house.projector.catch_up(timeout_ms=30_000)
        assert house.projector.store.count_events(gone) == 0
        assert rows(house.projector.store, "SELECT count(*) FROM interaction") == [(60 - 12 + 10,)]
        assert verify(house.projector).problems == []
