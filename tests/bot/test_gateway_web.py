"""The web channel against a home that answers: what a browser sees, what comes back after a cut, and what is not as it should be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bot.channels.web import REFUSED_MAX
from infra.settings import Settings
from tests.answering import Answering
from vault.interaction import Received

Frame = dict[str, Any]
REPLY_S = 20
BURST = 50
MARK = "Zephyrin-7731"
HTTP = httpx.Client()
"""One for all: to make one takes longer than what is asked with it."""


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    settings = Settings(
        home=tmp_path_factory.mktemp("web") / "home",
        log_partitions=2,
        gateway_port=0,
        gateway_burst_messages=BURST,
        gateway_minute_messages=1,
        gateway_body_bytes_max=100_000,
        gateway_replay_messages=6,
        gateway_sites="https://www.example.org",
    )
    with Answering(settings, demo=True) as home:
        yield home


class Browser:
    """A socket, and what has been heard over it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def send(self, **frame: Any) -> None:
        self.socket.send(json.dumps(frame))

    def next(self) -> Frame:
        """The next frame that is not `typing`."""
        while (frame := json.loads(self.socket.recv(REPLY_S)))["type"] == "typing":
            pass
        return frame  # type: ignore[no-any-return]

    def say(self, text: str, message_id: str = "") -> list[Frame]:
        """Acknowledgement and reply, whichever comes first."""
        self.send(type="say", id=message_id or uuid4().hex, text=text)
        return sorted((self.next(), self.next()), key=lambda frame: str(frame["type"]))

    def closed(self) -> Frame:
        """The last frame before the server closes."""
        last = self.next()
        with pytest.raises(ConnectionClosed):
            self.socket.recv(REPLY_S)
        return last


@contextmanager
def browser(home: Answering, origin: str | None = "ours") -> Iterator[Browser]:
    address = home.origin.replace("http", "ws") + "/chat/socket"
    given: Any = home.origin if origin == "ours" else origin
    with connect(address, origin=given, close_timeout=0.1) as socket:
        yield Browser(socket)


@contextmanager
def chat(home: Answering, **hello: Any) -> Iterator[tuple[Browser, Frame]]:
    with browser(home) as one:
        one.send(**({"type": "hello", "token": None, "last": 0, "language": "en", "notice": None} | hello))
        yield one, one.next()


def fresh(home: Answering) -> tuple[str, str]:
    """Token and conversation of somebody who has said something."""
    with chat(home) as (one, welcome):
        one.say("hello")
        return welcome["token"], welcome["conversation"]


# Before the first message


def test_a_welcome_shows_the_notice_in_the_language_asked_for_and_makes_nobody(answering: Answering) -> None:
    before = answering.house.keys.counts()
    with chat(answering, language="fr") as (_, welcome):
        assert "assistant automatique" in welcome["notice"]["paragraphs"][0]
        assert welcome["notice"]["version"] == "1"
        assert not welcome["resumed"]
        page = HTTP.get(answering.origin + welcome["notice"]["url"])
        assert '<html lang="fr">' in page.text
    with chat(answering, language="xx") as (_, welcome):
        assert welcome["notice"]["paragraphs"]
    assert answering.house.keys.counts() == before


def test_the_notice_is_recorded_with_the_first_message_once(answering: Answering) -> None:
    with chat(answering) as (one, welcome):
        one.say("hello")
        one.say("again")
    with chat(answering, token=welcome["token"]) as (one, _):
        for _ in range(4):
            one.next()
        one.say("and again")
    person = answering.house.keys.find("web", welcome["conversation"])
    assert person is not None

    def told() -> list[str]:
        subject = answering.house.register.subject(person.case)
        return subject.notices if subject else []

    answering.until(lambda: bool(told()))  # written beside the answer
    assert told() == ["1"]


@pytest.mark.parametrize(
    "origin", [None, "https://www.example.org", "null", "http://127.0.0.1", "http://127.0.0.1.evil.example"]
)
def test_a_socket_from_any_other_origin_is_refused(answering: Answering, origin: str | None) -> None:
    with pytest.raises(InvalidStatus, match="403"), browser(answering, origin):
        pass


@pytest.mark.parametrize("first", ["[]", "{", '{"type":"say","id":"1","text":"x"}', "[" * 50_000, "\x00"])
def test_who_does_not_say_hello_first_is_told_so_and_closed(answering: Answering, first: str) -> None:
    with browser(answering) as one:
        one.socket.send(first)
        assert one.next()["code"] == "form"
        assert one.closed() == {"type": "closed", "reason": "ended"}


# Talking


def test_a_message_is_accepted_and_answered_with_buttons_and_links(answering: Answering) -> None:
    with chat(answering) as (one, _):
        accepted, reply = one.say("hello", "m1")
    assert accepted == {"type": "accepted", "id": "m1"}
    assert reply["text"] == "you said: hello"
    assert reply["speaker"] == "assistant"
    assert reply["buttons"] == [{"title": "Again", "payload": "/again"}]
    assert reply["links"] == [{"title": "Read", "url": "https://www.example.org/"}]


def test_a_pressed_button_comes_in_with_its_payload_and_its_title(answering: Answering) -> None:
    with chat(answering) as (one, welcome):
        one.send(type="choose", id="m1", payload="/again", text="Again")
        heard = {frame["type"]: frame for frame in (one.next(), one.next())}
    assert heard["reply"]["text"] == "you said: /again"
    (received,) = (e for e in answering.events() if isinstance(e, Received) and e.sender == welcome["conversation"])
    assert (received.text, received.payload, received.locale) == ("Again", "/again", "en")


def test_markup_stays_text_and_no_answer_is_a_page(answering: Answering) -> None:
    text = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    with chat(answering) as (one, _):
        _, reply = one.say(text)
    assert reply["text"] == f"you said: {text}"


def test_a_conversation_that_is_open_twice_hears_the_answer_twice(answering: Answering) -> None:
    with chat(answering) as (one, welcome), chat(answering, token=welcome["token"]) as (two, _):
        assert one.say("both")[1]["text"] == "you said: both"
        assert two.next()["text"] == "you said: both"
        assert two.say("and back")[1]["text"] == "you said: and back"
        assert one.next()["text"] == "you said: and back"


# Coming back


def test_who_resumes_is_shown_what_was_said_and_gets_another_token(answering: Answering) -> None:
    token, conversation = fresh(answering)
    with chat(answering, token=token) as (one, welcome):
        assert welcome["resumed"]
        assert welcome["conversation"] == conversation
        assert welcome["token"] != token
        said, reply = one.next(), one.next()
    assert (said["type"], said["text"]) == ("said", "hello")
    assert (reply["type"], reply["text"]) == ("reply", "you said: hello")
    assert said["number"] < reply["number"]


def test_what_came_after_the_last_number_is_shown_again_and_no_more(answering: Answering) -> None:
    with chat(answering) as (one, welcome):
        _, first = one.say("one")
        one.say("two")
    with chat(answering, token=welcome["token"], last=first["number"]) as (one, _):
        assert [one.next()["text"], one.next()["text"]] == ["two", "you said: two"]
        _, reply = one.say("three")
        assert reply["text"] == "you said: three"


def test_a_long_conversation_is_shown_again_as_far_as_the_limit(answering: Answering) -> None:
    with chat(answering) as (one, welcome):
        for number in range(10):
            one.say(f"line {number}")
    with chat(answering, token=welcome["token"]) as (one, _):
        shown = [one.next()["text"] for _ in range(6)]
    assert shown[0] == "line 7"
    assert shown[-1] == "you said: line 9"


@pytest.mark.parametrize("last", [-1, 1 << 60, 1 << 50, 1.5, True, "1", None, [], {}])
def test_a_last_number_that_is_none_counts_as_nothing_heard(answering: Answering, last: Any) -> None:
    token, _ = fresh(answering)
    with chat(answering, token=token, last=last) as (one, _):
        assert one.next()["text"] == "hello"


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-1], lambda t: t[::-1], lambda t: t[:30] + t[30:].swapcase(), lambda t: "", lambda t: 1]
)
def test_a_token_that_is_none_begins_a_new_conversation(answering: Answering, damage: Any) -> None:
    token, conversation = fresh(answering)
    with chat(answering, token=damage(token)) as (_, welcome):
        assert not welcome["resumed"]
        assert welcome["conversation"] != conversation


def test_the_token_before_works_until_the_next_was_used(answering: Answering) -> None:
    token, _ = fresh(answering)
    with chat(answering, token=token) as (_, second):
        assert second["resumed"]
    with chat(answering, token=token) as (_, again):
        assert again["resumed"]
    with chat(answering, token=second["token"]) as (_, third):
        assert third["resumed"]
    with chat(answering, token=token) as (_, refused):
        assert not refused["resumed"]


def test_a_conversation_that_was_ended_is_over_everywhere(answering: Answering) -> None:
    with chat(answering) as (one, welcome), chat(answering, token=welcome["token"]) as (two, _):
        one.send(type="end")
        assert one.closed() == two.closed() == {"type": "closed", "reason": "ended"}
    with chat(answering, token=welcome["token"]) as (_, after):
        assert not after["resumed"]


def test_sockets_of_a_person_close_when_the_person_is_erased(answering: Answering) -> None:
    with chat(answering) as (one, welcome), chat(answering, token=welcome["token"]) as (two, _):
        one.say("forget me")
        two.next()
        person = answering.house.keys.find("web", welcome["conversation"])
        assert person is not None
        answering.house.registrar.erase(person.subject, ground="asked", decided_by="test")
        assert one.closed() == two.closed() == {"type": "closed", "reason": "erased"}
    with chat(answering, token=welcome["token"]) as (_, after):
        assert not after["resumed"]


def test_who_comes_back_after_an_erasure_hears_what_is_new_whatever_number_the_client_has(answering: Answering) -> None:
    token, conversation = fresh(answering)
    person = answering.house.keys.find("web", conversation)
    assert person is not None
    answering.house.registrar.erase(person.subject, ground="asked", decided_by="test")
    with chat(answering, token=token, last=1 << 50) as (one, _):
        assert one.say("somebody new")[1]["text"] == "you said: somebody new"


# Bad input


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("nothing", "form"),
        ("[1]", "form"),
        (b"\x89PNG", "form"),
        ('{"type":"attachment","data":"' + MARK + '"}', "unknown"),
        ('{"type":["say"]}', "form"),
        ('{"type":"say","text":"no id"}', "form"),
        ('{"type":"say","id":"' + "x" * 65 + '","text":"long id"}', "form"),
        ('{"type":"say","id":7,"text":"number"}', "form"),
        ('{"type":"say","id":"a","text":["' + MARK + '"]}', "form"),
        ('{"type":"say","id":"b","text":"\\ud800"}', "unreadable"),
        ('{"type":"say","id":"c","text":"  \\n "}', "unreadable"),
        ('{"type":"say","id":"d","text":"' + "x" * 65_537 + '"}', "too_long"),
        ('{"type":"choose","id":"e","text":"no payload"}', "form"),
        ('{"type":"choose","id":"f","payload":"' + "x" * 2_001 + '","text":"x"}', "form"),
    ],
)
def test_a_frame_that_is_not_as_described_is_refused_without_being_quoted(
    answering: Answering, frame: str | bytes, code: str
) -> None:
    with chat(answering) as (one, welcome):
        one.socket.send(frame)
        refused = one.next()
        assert (refused["type"], refused["code"]) == ("error", code)
        assert MARK not in json.dumps(refused)
        assert answering.house.keys.find("web", welcome["conversation"]) is None
        assert one.say("still here")[1]["text"] == "you said: still here"


def test_a_frame_over_the_limit_ends_the_connection_and_no_other(answering: Answering) -> None:
    with chat(answering) as (other, _):
        with chat(answering) as (one, _):
            one.send(type="say", id="m", text="x" * 200_000)
            with pytest.raises(ConnectionClosed):
                one.next()
        assert other.say("fine")[1]["text"] == "you said: fine"


def test_ten_thousand_messages_at_once_get_one_polite_line_and_only_a_few_are_stored(answering: Answering) -> None:
    heard: list[Frame] = []
    with chat(answering) as (one, welcome):
        with suppress(ConnectionClosed):
            for number in range(10_000):
                one.send(type="say", id=f"m{number}", text="spam")
        with suppress(ConnectionClosed):
            while True:
                heard.append(one.next())
    assert [frame["type"] for frame in heard].count("notice") == 1
    assert len(heard) <= 2 * BURST + REFUSED_MAX + 3
    assert sum(isinstance(e, Received) and e.sender == welcome["conversation"] for e in answering.events()) == BURST
    with chat(answering) as (other, _):
        assert other.say("fine")[1]["text"] == "you said: fine"


# Without a socket


def stream(home: Answering, **hello: Any) -> Any:
    body = {"type": "hello", "token": None, "last": 0, "language": "en"} | hello
    return HTTP.stream(
        "POST", f"{home.origin}/chat/stream", json=body, headers={"origin": home.origin}, timeout=REPLY_S
    )


def send(home: Answering, token: str, **frame: Any) -> httpx.Response:
    headers = {"origin": home.origin, "authorization": f"Bearer {token}"}
    return HTTP.post(f"{home.origin}/chat/send", json=frame, headers=headers, timeout=REPLY_S)


def test_a_conversation_over_a_stream_and_posts_is_the_same_one(answering: Answering) -> None:
    with stream(answering) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        frames = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
        token = next(frames)["token"]
        said = send(answering, token, type="say", id="m1", text="hello")
        assert said.json() == {"type": "accepted", "id": "m1"}
        assert next(frame for frame in frames if frame["type"] == "reply")["text"] == "you said: hello"
        assert send(answering, token, type="say", id="m1", text="other").json()["code"] == "conflict"
    with chat(answering, token=token) as (one, welcome):
        assert welcome["resumed"]
        assert one.next()["text"] == "hello"
    assert send(answering, token, type="end").json() == {"type": "closed", "reason": "ended"}
    assert send(answering, token, type="say", id="m2", text="after").status_code == 401


def test_a_post_from_another_origin_or_without_a_token_or_of_another_content_is_refused(answering: Answering) -> None:
    token, _ = fresh(answering)
    address, ours = f"{answering.origin}/chat/send", {"origin": answering.origin, "authorization": f"Bearer {token}"}
    frame = {"type": "say", "id": "m9", "text": MARK}
    for headers, status in (
        (ours | {"origin": "https://www.example.org"}, 403),
        ({"authorization": f"Bearer {token}"}, 403),
        ({"origin": answering.origin}, 401),
        (ours | {"authorization": f"Basic {token}"}, 401),
        (ours | {"authorization": f"Bearer {token}x"}, 401),
    ):
        refused = HTTP.post(address, json=frame, headers=headers)
        assert refused.status_code == status
        assert MARK not in refused.text
    assert HTTP.post(address, files={"file": b"x"}, headers=ours).status_code == 415
    assert HTTP.post(address, content=b"{", headers=ours | {"content-type": "application/json"}).status_code == 400
    assert (
        HTTP.post(address, content=b"x" * 100_001, headers=ours | {"content-type": "application/json"}).status_code
        == 413
    )
    assert HTTP.post(f"{address}?token={token}", json=frame, headers={"origin": answering.origin}).status_code == 401
    assert answering.about(MARK) == (0, 0, 0)


def test_who_is_connected_is_told_when_the_gateway_stops_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "stopped", log_partitions=2, gateway_port=0)
    with Answering(settings) as home, chat(home) as (one, welcome), stream(home, token=welcome["token"]) as answer:
        one.say("hello")
        home.close()
        assert one.closed() == {"type": "closed", "reason": "stopping"}
        assert json.loads([line for line in answer.iter_lines() if line][-1][6:]) == {
            "type": "closed",
            "reason": "stopping",
        }
    with Answering(settings) as home, chat(home, token=welcome["token"]) as (one, again):
        assert again["resumed"]
        assert one.next()["text"] == "hello"


# Pages


def test_the_chat_may_be_framed_by_the_sites_that_are_named_and_loads_only_its_own(answering: Answering) -> None:
    page = HTTP.get(f"{answering.origin}/chat")
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'self' https://www.example.org" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        file = HTTP.get(answering.origin + name)
        assert file.status_code == 200, name
        assert file.headers["x-content-type-options"] == "nosniff"
        again = HTTP.get(answering.origin + name, headers={"if-none-match": file.headers["etag"]})
        assert again.status_code == 304


def test_no_page_sets_a_cookie_and_all_have_strict_headers(answering: Answering) -> None:
    for path in ("/", "/chat", "/notice", "/widget.js", "/nothing", "/v1/openapi.json"):
        answer = HTTP.get(answering.origin + path)
        assert "set-cookie" not in answer.headers
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "content-security-policy" in answer.headers
        assert "server" not in answer.headers


def test_only_the_widget_may_be_loaded_by_pages_of_other_origins(answering: Answering) -> None:
    assert HTTP.get(f"{answering.origin}/widget.js").headers["cross-origin-resource-policy"] == "cross-origin"
    assert HTTP.get(f"{answering.origin}/chat.js").headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "", "127.0.0.1", "127.0.0.1:1"])
def test_a_host_that_is_not_ours_is_not_served(answering: Answering, host: str) -> None:
    assert HTTP.get(f"{answering.origin}/chat", headers={"host": host}).status_code == 421
