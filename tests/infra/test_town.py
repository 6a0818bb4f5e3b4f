"""The town information system over HTTP on loopback, and as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from infra.town.app import create

CHECKOUT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 3, 2)
BOOKING = {"slot": "passport-2026-03-10T09:00", "name": "Robin Smith"}


@pytest.fixture
def town() -> Iterator[httpx.Client]:
    config = uvicorn.Config(create(lambda: TODAY), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join(10)


def free(town: httpx.Client, **query: Any) -> list[str]:
    return [slot["start"] for slot in town.get("/v1/appointments/free", params=query).json()["slots"]]


def test_free_appointments_are_on_working_days_from_a_day_on(town: httpx.Client) -> None:
    assert free(town, document="passport", **{"from": "2026-03-07"}) == [
        f"2026-03-09T{at}" for at in ("09:00", "09:30", "10:00", "10:30")
    ]
    assert free(town, document="passport", part="afternoon", limit=1) == ["2026-03-02T14:00"]
    assert free(town, document="passport", **{"from": "2020-01-01"}, limit=1) == ["2026-03-02T09:00"]


def test_an_appointment_is_booked_as_often_as_there_are_counters_then_taken(town: httpx.Client) -> None:
    answers = [town.post("/v1/appointments", json=BOOKING) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[2].json() == {"error": "taken"}
    assert "2026-03-10T09:00" not in free(town, document="passport", **{"from": "2026-03-10"})
    assert "2026-03-10T09:00" in free(town, document="identity_card", **{"from": "2026-03-10"})


def test_the_same_key_books_once_and_another_request_under_it_is_refused(town: httpx.Client) -> None:
    headers = {"Idempotency-Key": "interaction:0"}
    first, again = (town.post("/v1/appointments", json=BOOKING, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    other = town.post("/v1/appointments", json={**BOOKING, "name": "Noa Petit"}, headers=headers)
    assert (other.status_code, other.json()) == (409, {"error": "key_reused"})


def test_twins_under_one_key_book_once(town: httpx.Client) -> None:
    references: list[str] = []

    def book() -> None:
        answer = httpx.post(
            str(town.base_url.join("/v1/appointments")), json=BOOKING, headers={"Idempotency-Key": "k"}, trust_env=False
        )
        references.append(answer.json()["reference"])

    threads = [threading.Thread(target=book) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(references) == 8
    assert len(set(references)) == 1


def test_an_appointment_is_found_by_its_reference_and_gone_when_cancelled(town: httpx.Client) -> None:
    reference = town.post("/v1/appointments", json=BOOKING).json()["reference"]
    assert town.get(f"/v1/appointments/{reference.lower()}").json()["start"] == "2026-03-10T09:00"
    assert town.delete(f"/v1/appointments/{reference}").status_code == 200
    assert town.get(f"/v1/appointments/{reference}").status_code == 404
    assert town.delete(f"/v1/appointments/{reference}").status_code == 404


@pytest.mark.parametrize(
    ("street", "status"),
    [
        ("rue des Lilas", 200),
        ("12 RUE DES LILAS, Valmont", 200),
        ("l'avenue de la Republique", 200),
        ("rue de Nulle Part", 404),
        ("👋", 404),
    ],
)
def test_streets_are_known_however_they_are_written(town: httpx.Client, street: str, status: int) -> None:
    answer = town.get("/v1/waste", params={"street": street})
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["household"] == [1, 4]


def test_hours_of_a_day_and_of_today(town: httpx.Client) -> None:
    assert town.get("/v1/hours", params={"place": "pool", "day": "2026-03-08"}).json()["spans"] == ["09:00-12:30"]
    assert town.get("/v1/hours", params={"place": "library"}).json() == {
        "place": "library", "day": "2026-03-02", "open": False, "spans": [],
    }  # fmt: skip
    assert town.get("/v1/hours", params={"place": "casino"}).status_code == 404


def test_a_report_is_found_again_without_what_was_written_in_it(town: httpx.Client) -> None:
    given = {"category": "pothole", "street": "rue du Stade", "description": "deep"}
    reference = town.post("/v1/reports", json=given).json()["reference"]
    assert town.get(f"/v1/reports/{reference}").json() == {
        "reference": reference, "status": "received", "category": "pothole", "street": "rue du Stade",
    }  # fmt: skip


def test_a_school_is_that_of_the_street(town: httpx.Client) -> None:
    given = {"child": "Noa Petit", "birth_date": "2022-06-14", "street": "rue du Marché", "level": "nursery"}
    assert town.post("/v1/registrations", json=given).json()["school"] == "Marie-Curie"
    assert town.post("/v1/registrations", json={**given, "street": "nowhere"}).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/appointments", b"{"),
        ("/v1/appointments", b"[]"),
        ("/v1/appointments", b'{"slot": "passport-2026-99-99T09:00", "name": "x"}'),
        ("/v1/appointments", b'{"slot": "passport-1999-01-01T09:00", "name": "x"}'),
        ("/v1/appointments", b'{"slot": "x", "name": "y", "more": 1}'),
        ("/v1/appointments", b'{"slot": "passport-2026-03-10T09:00", "name": "\\ud800"}'),
        ("/v1/appointments", b'{"slot": "' + b"x" * 100_000 + b'", "name": "y"}'),
        ("/v1/reports", b'{"category": "fire", "street": "x", "description": "y"}'),
        ("/v1/certificates", b'{"kind": "birth", "name": "", "date": "2026-02-30", "delivery": "post"}'),
        ("/v1/registrations", b"\xff\xfe\x00"),
    ],
)
def test_what_cannot_be_used_is_refused_and_never_breaks_the_service(
    town: httpx.Client, path: str, body: bytes
) -> None:
    answer = town.post(path, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"error"}
    assert town.get("/health").status_code == 200


def test_it_shows_no_page_that_loads_from_elsewhere(town: httpx.Client) -> None:
    assert town.get("/docs").status_code == town.get("/redoc").status_code == 404
    assert "/v1/appointments" in town.get("/openapi.json").json()["paths"]


def served() -> tuple[subprocess.Popen[bytes], httpx.Response]:
    """A process that serves, and its answer to a question. Another program may take the free port first: then the next is tried."""
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.town", "--port", str(port)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            try:
                asked = f"http://127.0.0.1:{port}/v1/waste"
                return process, httpx.get(asked, params={"street": "marked street"}, trust_env=False)
            except httpx.ConnectError:
                time.sleep(0.05)
    raise AssertionError("no port was free")


def test_it_runs_as_a_process_of_its_own_and_logs_nothing_that_was_asked() -> None:
    process, answer = served()
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert answer.status_code == 404
    assert b"marked" not in output
