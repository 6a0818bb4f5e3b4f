"""The REST channel against a home that answers: one request a turn, and everything that is not as it should be."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any
from uuid import UUID, uuid4

import httpx
import jsonschema
import pytest

from infra.settings import Settings
from tests.answering import LATER, NOTICE, Answering
from vault.interaction import Received

BURST = 20
BODY_MAX = 70_000
MARK = "Zephyrin-7731"
HTTP = httpx.Client()
"""One for all: to make one takes longer than what is asked with it."""


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    settings = Settings(
        home=tmp_path_factory.mktemp("rest") / "home",
        log_partitions=2,
        message_bytes_max=60_000,
        gateway_port=0,
        gateway_burst_messages=BURST,
        gateway_minute_messages=1,
        gateway_body_bytes_max=BODY_MAX,
        gateway_body_ms=400,
    )
    with Answering(settings) as home:
        yield home


def post(home: Answering, body: Any = None, **changed: Any) -> httpx.Response:
    """A message of a sender of its own, with what is changed."""
    message = {"id": "m1", "sender": uuid4().hex, "text": "hello"} if body is None else body
    headers = {"authorization": f"Bearer {home.token}"} | changed.pop("headers", {})
    given = changed or {"json": message}
    return HTTP.post(f"{home.origin}/v1/messages", headers=headers, timeout=20, **given)


def is_problem(answer: httpx.Response, status: int) -> bool:
    """Whether it is an error as described, that quotes nothing of what was sent."""
    assert MARK not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code == answer.json()["status"] == status


def test_a_message_is_answered_in_the_response(answering: Answering) -> None:
    answer = post(answering)
    assert answer.status_code == 200
    said = answer.json()
    assert UUID(said.pop("interaction")) in {event.originator_id for event in answering.events()}
    assert said == {
        "id": "m1",
        "state": "answered",
        "replies": [
            {
                "speaker": "assistant",
                "text": "you said: hello",
                "buttons": [{"title": "Again", "payload": "/again"}],
                "links": [{"title": "Read", "url": "https://www.example.org/"}],
            }
        ],
    }


def test_a_pressed_button_comes_in_with_its_payload(answering: Answering) -> None:
    sender = uuid4().hex
    body = {"id": "m1", "sender": sender, "text": "Again", "payload": "/again", "language": "fr-FR"}
    assert post(answering, body).json()["replies"][0]["text"] == "you said: /again"
    (received,) = (e for e in answering.events() if isinstance(e, Received) and e.sender == f"default:{sender}")
    assert (received.channel, received.account, received.payload, received.locale) == (
        "rest",
        "default",
        "/again",
        "fr-FR",
    )


def test_what_a_call_returns_is_part_of_the_same_answer(answering: Answering) -> None:
    body = {"id": "m1", "sender": uuid4().hex, "text": f"{LATER} please"}
    assert [each["text"] for each in post(answering, body).json()["replies"]] == [f"you said: {LATER} please"]


def test_an_answer_that_is_late_is_fetched_by_the_same_message(tmp_path: Any) -> None:
    settings = Settings(home=tmp_path / "late", log_partitions=2, gateway_port=0, gateway_reply_ms=200)
    body = {"id": "m1", "sender": "a", "text": "hello"}
    with Answering(settings, bot=False) as home:
        answer = post(home, body)
        assert answer.status_code == 202
        assert (answer.json()["state"], answer.json()["replies"]) == ("waiting", [])
    with Answering(settings) as home:
        home.until(lambda: home.about("hello")[1] == 1)
        assert post(home, body).json()["state"] == "answered"
        home.until(lambda: home.about("hello") == (1, 1, 1))


def test_a_person_erased_while_the_answer_is_awaited_gets_none(tmp_path: Any) -> None:
    settings = Settings(home=tmp_path / "erased", log_partitions=2, gateway_port=0)
    with Answering(settings, bot=False) as home:
        body = json.dumps({"id": "m1", "sender": "a", "text": "hello"}).encode()
        with closing(socket.create_connection(("127.0.0.1", httpx.URL(home.origin).port or 0))) as connection:
            connection.sendall(
                f"POST /v1/messages HTTP/1.1\r\nHost: {home.origin[7:]}\r\nAuthorization: Bearer {home.token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            home.until(lambda: home.about("hello")[0] == 1)
            (subject,) = home.subjects("hello")
            home.house.registrar.erase(subject, ground="asked", decided_by="test")
            assert connection.recv(100).startswith(b"HTTP/1.1 410")


def test_a_notice_that_the_bot_tells_is_recorded_once_with_its_language(answering: Answering) -> None:
    body = {"id": "m1", "sender": uuid4().hex, "text": "hello"}
    for number in range(2):
        assert post(answering, body | {"id": f"m{number}"}).status_code == 200
    home, name = answering, f"default:{body['sender']}"
    person = home.house.keys.find("rest", name)
    assert person is not None

    def told() -> list[str]:
        subject = home.house.register.subject(person.case)
        return subject.notices if subject else []

    home.until(lambda: bool(told()))  # written beside the answer
    assert told() == [NOTICE]


# Who may write


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x"])
def test_without_a_token_that_is_known_nothing_is_stored(answering: Answering, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given.format(token=answering.token)}
    body = {"id": "m1", "sender": "a", "text": MARK}
    refused = HTTP.post(f"{answering.origin}/v1/messages", json=body, headers=headers)
    assert is_problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"
    assert answering.about(MARK) == (0, 0, 0)


def test_a_token_is_changed_without_a_pause_and_one_that_others_may_read_is_not_used(tmp_path: Any) -> None:
    from bot.channels.rest_accounts import Accounts

    now = 0.0
    accounts = Accounts(tmp_path / "rest", clock=lambda: now)
    assert (tmp_path / "rest").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "rest" / "default").stat().st_mode & 0o777 == 0o600
    token = (tmp_path / "rest" / "default").read_text().strip()
    assert accounts.of(token) == "default"
    fresh = tmp_path / "rest" / "default.next"
    fresh.touch(0o600)
    fresh.write_text("a-new-token-of-the-same-account\n")
    now += 2
    assert accounts.of("a-new-token-of-the-same-account") == accounts.of(token) == "default"
    (tmp_path / "rest" / "default").unlink()
    fresh.chmod(0o640)
    now += 2
    assert accounts.of(token) is None
    assert accounts.of("a-new-token-of-the-same-account") is None


def test_the_same_sender_of_two_accounts_is_two_people(answering: Answering) -> None:
    other = answering.house.settings.home / "rest" / "other"
    other.touch(0o600)
    other.write_text("token-of-the-other\n")
    body = {"id": "m1", "sender": "shared", "text": f"of both {uuid4()}"}
    assert post(answering, body).status_code == 200
    answers = [post(answering, body, headers={"authorization": "Bearer token-of-the-other"}, json=body).status_code]
    while answers[-1] == 401:  # until the folder is looked at again
        answers.append(
            post(answering, body, headers={"authorization": "Bearer token-of-the-other"}, json=body).status_code
        )
    assert len(answering.subjects(body["text"])) == 2


# Bad input


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "m", "sender": "a", "text": "x", MARK: MARK}, 422),
        ({"id": 7, "sender": "a", "text": MARK}, 422),
        ({"id": "m", "sender": ["a", MARK], "text": "x"}, 422),
        ({"id": "", "sender": "a", "text": MARK}, 422),
        ({"id": "m" * 129, "sender": "a", "text": MARK}, 422),
        ({"id": "m", "sender": "a", "text": "x", "language": MARK}, 422),
        ({"id": "m", "sender": "a", "text": " \n\t"}, 422),
        ({"id": "m", "sender": "a"}, 422),
        ({"sender": "a", "text": MARK}, 422),
        ([MARK], 422),
        (MARK, 422),
        ({"id": "m", "sender": "a", "text": "x" * 60_001}, 413),
    ],
)
def test_a_body_that_is_not_as_described_is_refused_and_not_quoted(
    answering: Answering, body: Any, status: int
) -> None:
    assert is_problem(post(answering, body), status)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"id":"m","sender":"a","text":"\\ud800"}', b"[" * 60_000, b"NaN"]
)
def test_a_body_that_is_no_json_is_refused(answering: Answering, body: bytes) -> None:
    assert post(answering, content=body, headers={"content-type": "application/json"}).status_code in (400, 422)


def test_an_attachment_is_refused_and_that_is_said(answering: Answering) -> None:
    refused = post(answering, files={"file": (MARK, b"\x89PNG" + MARK.encode())})
    assert is_problem(refused, 415)
    assert "attachments are not kept" in refused.json()["title"]


def test_a_body_over_the_limit_is_refused_whether_it_says_its_length_or_not(answering: Answering) -> None:
    headers = {"content-type": "application/json"}
    assert is_problem(post(answering, content=b" " * (BODY_MAX + 1), headers=headers), 413)
    chunks = (b" " * 10_000 for _ in range(100))
    with suppress(httpx.WriteError):  # where the connection was ended while the rest was still being sent
        assert is_problem(post(answering, content=chunks, headers=headers), 413)


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_request_that_comes_too_slowly_is_ended(answering: Answering, part: str) -> None:
    head = f"POST /v1/messages HTTP/1.1\r\nHost: {answering.origin[7:]}\r\nAuthorization: Bearer {answering.token}\r\n"
    if part == "body":
        head += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with closing(socket.create_connection(("127.0.0.1", httpx.URL(answering.origin).port or 0), 20)) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(4_096)
    assert answer == b"" if part == "headers" else answer.startswith(b"HTTP/1.1 408")


def test_headers_without_end_are_ended(answering: Answering) -> None:
    with closing(socket.create_connection(("127.0.0.1", httpx.URL(answering.origin).port or 0), 20)) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"x-more: " + b"y" * 200_000)
            answer = connection.recv(4_096)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


def test_a_sender_who_writes_too_fast_is_told_when_to_come_again_and_no_other_is(answering: Answering) -> None:
    sender, said = uuid4().hex, f"spam {uuid4()}"
    answers = [post(answering, {"id": f"m{n}", "sender": sender, "text": said}) for n in range(BURST + 5)]
    assert [each.status_code for each in answers] == [200] * BURST + [429] * 5
    assert is_problem(answers[-1], 429)
    assert 0 < int(answers[-1].headers["retry-after"]) <= 61
    assert answering.about(said)[0] == BURST
    assert post(answering).status_code == 200


def test_an_answer_does_not_wait_for_the_one_before_to_be_acknowledged(answering: Answering) -> None:
    listening = answering.part._server._socket
    assert listening.proto == socket.IPPROTO_TCP  # asyncio sets TCP_NODELAY where this is said, and not otherwise


def test_other_paths_and_methods_are_problems(answering: Answering) -> None:
    assert is_problem(HTTP.get(f"{answering.origin}/v1/messages"), 405)
    assert is_problem(HTTP.get(f"{answering.origin}/v1/{MARK}"), 404)


def test_the_description_holds_of_its_own_examples_and_of_what_is_answered(answering: Answering) -> None:
    described = HTTP.get(f"{answering.origin}/v1/openapi.json").json()
    operation = described["paths"]["/messages"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]
    jsonschema.validate(asked["example"], asked["schema"])
    answer = post(answering, asked["example"] | {"sender": uuid4().hex})
    shape = {"$ref": "#/components/schemas/Answer", "components": described["components"]}
    for instance in (
        answer.json(),
        *(operation["responses"][s]["content"]["application/json"]["example"] for s in ("200", "202")),
    ):
        jsonschema.validate(instance, shape)
    assert {"400", "401", "409", "410", "413", "415", "422", "429", "503"} <= set(operation["responses"])
