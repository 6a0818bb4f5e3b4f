"""What tests may ask for, and what happens where it is missing: with CI set the test fails, without it skips and says the remedy.

A test that uses `broker`, `postgres`, `data` or `browser` is marked `kafka`, `postgres`, `data` or `browser` by itself; one that needs
them in another way carries the mark.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from infra.artifacts import fetch
from infra.broker import Broker
from infra.settings import Settings
from tests import services

PARTITIONS = 2

# The same examples each time, however slow the machine: a run that fails fails again. `--hypothesis-profile default` draws others.
settings.register_profile(
    "parloir", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("parloir")

NEEDS: dict[str, tuple[str, Callable[[], str]]] = {
    "kafka": ("broker", services.kafka_missing),
    "postgres": ("postgres", services.postgres_missing),
    "data": ("data", services.data_missing),
    "browser": ("browser", services.browser_missing),
}
"""By mark: the fixture that implies it, and what tells whether it is missing."""


def pytest_configure() -> None:
    # SIGTERM would end this process without stopping what fixtures started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark, (fixture, _) in NEEDS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark, (_, missing) in NEEDS.items():
        if item.get_closest_marker(mark):
            require(missing())


def require(missing: str) -> None:
    """Ends a test that lacks something: a failure under CI, where everything has to run, else a skip with the remedy."""
    if missing and os.environ.get("CI"):
        pytest.fail(f"needed under CI: {missing}", pytrace=False)
    if missing:
        pytest.skip(missing)


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the settings or the home of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("PARLOIR_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PARLOIR_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One Kafka broker for the session. Who kills it starts it again: `broker.start()`, on the same port with the same data."""
    one = Broker(tmp_path_factory.mktemp("broker"), fetch(services.CACHE))
    one.start()
    yield one
    one.stop()


@pytest.fixture
def kafka_prefix() -> str:
    """A prefix for topics that no other test uses."""
    return f"test-{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[services.Postgres]:
    """One PostgreSQL server for the session."""
    one = services.Postgres()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the recorded dialogues."""
    return services.DATA


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """An embedded home that is still to be made."""
    return Settings(home=tmp_path / "home", log_partitions=PARTITIONS)


@pytest.fixture
def kafka_home(tmp_path: Path, broker: Broker, kafka_prefix: str) -> Settings:
    """A home on the session's broker, with topics of its own, still to be made."""
    return Settings(home=tmp_path / "home", log=f"kafka://{broker.bootstrap}/{kafka_prefix}", log_partitions=PARTITIONS)
