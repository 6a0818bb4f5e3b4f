"""Replies by webhook: signed, once where all goes well, again after a failure or a restart, and never for who was erased."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.outgoing import key_of, verified
from infra.settings import Settings
from tests.answering import LATER, NOTICE, Answering
from vault.interaction import Delivered
from vault.registrar import now_us

BODY = {"id": "m1", "sender": "a", "text": "hello"}


@dataclass
class Receiver:
    """The other system: keeps what came, and answers with the statuses it was given, then with 200."""

    statuses: list[int] = field(default_factory=list)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)
    port: int = 0

    def wait(self, count: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.taken) >= count, 30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with one.came:
                status = one.statuses.pop(0) if one.statuses else 200
                one.taken.append((dict(self.headers.items()), body))
                one.came.notify_all()
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            del format, arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield one
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("infra.gateway_part.WEBHOOK_RETRY_MS", 50)
    return Settings(
        home=tmp_path / "home",
        log_partitions=2,
        gateway_port=0,
        gateway_webhook=f"http://127.0.0.1:{receiver.port}/replies",
        gateway_webhook_networks="127.0.0.0/8",
    )


def post(home: Answering, body: dict[str, str]) -> httpx.Response:
    return httpx.post(
        f"{home.origin}/v1/messages", json=body, headers={"authorization": f"Bearer {home.token}"}, timeout=20
    )


def outcomes(home: Answering) -> list[str]:
    return [event.outcome for event in home.events() if isinstance(event, Delivered)]


def test_a_reply_is_sent_signed_and_names_the_message_it_answers(settings: Settings, receiver: Receiver) -> None:
    with Answering(settings) as home:
        answer = post(home, BODY)
        assert answer.status_code == 202
        receiver.wait(1)
        ((headers, body),) = receiver.taken
        key = (settings.home / "webhook" / "key").read_text().strip()
        assert verified(headers, body, [key_of(key)], now_us() / 1e6)
        assert not verified(headers, body + b" ", [key_of(key)], now_us() / 1e6)
        said = json.loads(body)
        assert said["interaction"] == answer.json()["interaction"]
        assert (said["account"], said["sender"], said["replies"][0]["text"]) == ("default", "a", "you said: hello")
        home.until(lambda: home.about("hello") == (1, 1, 1))


def test_what_comes_after_a_call_is_sent_too_and_a_repeated_message_sends_nothing_again(
    settings: Settings, receiver: Receiver
) -> None:
    with Answering(settings) as home:
        for _ in range(3):
            assert post(home, BODY | {"text": f"{LATER} please"}).status_code == 202
        home.until(lambda: outcomes(home) == ["delivered"])
    assert len(receiver.taken) == 1


def test_a_system_that_is_down_gets_the_reply_under_the_same_id_when_it_is_back(
    settings: Settings, receiver: Receiver
) -> None:
    receiver.statuses = [503, 500, 404]
    with Answering(settings) as home:
        post(home, BODY)
        home.until(lambda: outcomes(home) == ["delivered"])
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1
    assert len(receiver.taken) == 4


def test_a_reply_that_the_system_refuses_for_good_has_failed(settings: Settings, receiver: Receiver) -> None:
    receiver.statuses = [422]
    with Answering(settings) as home:
        post(home, BODY)
        home.until(lambda: outcomes(home) == ["failed"])
    assert len(receiver.taken) == 1


def test_what_was_not_sent_before_a_stop_is_sent_after_it_and_what_was_is_not(
    settings: Settings, receiver: Receiver
) -> None:
    with Answering(settings) as home:
        post(home, BODY)
        home.until(lambda: outcomes(home) == ["delivered"])
    with Answering(settings, bot=False) as home:
        post(home, BODY | {"id": "m2", "text": "again"})
    with Answering(settings) as home:
        home.until(lambda: outcomes(home) == ["delivered"] * 2)
    assert [json.loads(body)["replies"][0]["text"] for _, body in receiver.taken] == [
        "you said: hello",
        "you said: again",
    ]


def test_nothing_is_sent_about_a_person_who_was_erased(settings: Settings, receiver: Receiver) -> None:
    with Answering(settings, bot=False) as home:
        post(home, BODY)
        (subject,) = home.subjects("hello")
        home.house.registrar.erase(subject, ground="asked", decided_by="test")
    with Answering(settings) as home:
        post(home, BODY | {"id": "m2", "text": "somebody new"})
        home.until(lambda: outcomes(home) == ["delivered"])
    assert [json.loads(body)["replies"][0]["text"] for _, body in receiver.taken] == ["you said: somebody new"]


def test_a_notice_that_the_bot_tells_is_recorded_once_with_its_language(settings: Settings, receiver: Receiver) -> None:
    with Answering(settings) as home:
        post(home, BODY)
        post(home, BODY | {"id": "m2", "text": "again"})
        receiver.wait(2)
        name = "default:a"
        person = home.house.keys.find("rest", name)
        assert person is not None

        def told() -> list[str]:
            subject = home.house.register.subject(person.case)
            return subject.notices if subject else []

        home.until(lambda: bool(told()))  # written beside the answer
        assert told() == [NOTICE]


def test_while_a_key_is_changed_both_sign(settings: Settings, receiver: Receiver) -> None:
    with Answering(settings):
        pass
    following = settings.home / "webhook" / "key.next"
    following.touch(0o600)
    following.write_text("whsec_" + "A" * 43 + "=\n")
    with Answering(settings) as home:
        post(home, BODY)
        receiver.wait(1)
    ((headers, body),) = receiver.taken
    for file in ("key", "key.next"):
        assert verified(headers, body, [key_of((settings.home / "webhook" / file).read_text().strip())], now_us() / 1e6)
