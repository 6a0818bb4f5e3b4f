"""Understanding sends nothing out: training, parsing and the worker, with every way out refused, and where there is no way out at all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.broker import Broker
from tests.bot import small
from tests.nlu.offline import is_here

CHECKOUT = Path(__file__).resolve().parents[2]
NO_ROUTES = ("unshare", "--map-root-user", "--net")


def run(tmp_path: Path, log: str, *more: str, within: Sequence[str] = ()) -> dict[str, Any]:
    assistant = small.write(tmp_path / "workshop")
    done = subprocess.run(
        [*within, sys.executable, "-m", "tests.nlu.offline", str(assistant), str(tmp_path / "home"), log, *more],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.kafka
def test_nothing_but_kafka_on_this_machine_is_spoken_to(tmp_path: Path, broker: Broker, kafka_prefix: str) -> None:
    told = run(tmp_path, f"kafka://{broker.bootstrap}/{kafka_prefix}")
    assert told == {"understood": 20, "attempts": []}


def test_all_of_it_works_where_there_is_no_network(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run([*NO_ROUTES, "true"], check=False).returncode != 0:
        pytest.skip("this machine lets nobody make a network namespace")
    routes = subprocess.run([*NO_ROUTES, "cat", "/proc/net/route"], capture_output=True, text=True, check=True)
    assert len(routes.stdout.splitlines()) <= 1, "a namespace of its own has no routes"
    told = run(tmp_path, "sqlite", "probe", within=NO_ROUTES)
    assert told["understood"] == 20
    assert told["attempts"] == ["socket.connect ('192.0.2.1', 80)", "socket.getaddrinfo example.org"], (
        "only what was tried on purpose, and that is seen"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", None])
def test_this_machine_is_here(host: str | None) -> None:
    assert is_here(host, is_address=True)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "2001:db8::1", b"example.org", "0.0.0.0"])
def test_everywhere_else_is_not(host: object) -> None:
    assert not is_here(host, is_address=True)
