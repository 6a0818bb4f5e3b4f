"""The home's socket: how a verb asks a serving process, and what it hears when something is wrong."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.control import Server, exit_code
from vault.client import FAILED, NAME, NOTHING_HELD, REQUEST_BYTES_MAX, USAGE, Progress, RemoteError, ask
from vault.errors import BadInput, PersonUnknown, StartRefused, Unavailable

MARK = "marked-utterance"
Json = dict[str, Any]


def nothing(what: str, done: int, total: int) -> None:
    pass


def answer(verb: str, arguments: Json, progress: Progress) -> Json:
    if verb == "count":
        for done in range(3):
            progress("counting", done, 3)
        return {"counted": arguments["to"]}
    if verb == "whom":
        raise PersonUnknown("nothing is held under that name")
    if verb == "refuse":
        raise BadInput("that cannot be", remedy="ask for something else")
    raise RuntimeError(MARK)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    server = Server(tmp_path, answer)
    yield tmp_path
    server.close()


def test_a_verb_is_answered_with_its_progress_on_the_way(home: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    assert ask(home, "count", {"to": "é"}, lambda *said: heard.append(said)) == {"counted": "é"}
    assert heard == [("counting", 0, 3), ("counting", 1, 3), ("counting", 2, 3)]


@pytest.mark.parametrize(("verb", "code"), [("whom", NOTHING_HELD), ("refuse", USAGE)])
def test_an_error_keeps_its_words_and_its_exit_code(home: Path, verb: str, code: int) -> None:
    with pytest.raises(RemoteError) as caught:
        ask(home, verb, {}, nothing)
    assert exit_code(caught.value) == code
    assert str(caught.value) in {"nothing is held under that name", "that cannot be; ask for something else"}


def test_an_unforeseen_error_is_named_and_its_words_are_told_to_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(tmp_path, answer)
    with pytest.raises(RemoteError, match="failed with RuntimeError") as caught:
        ask(tmp_path, "break", {}, nothing)
    server.close()  # waits for the thread that failed
    assert exit_code(caught.value) == FAILED
    assert MARK not in str(caught.value)
    assert MARK not in "".join(capfd.readouterr())
    assert MARK not in "".join(record.getMessage() for record in caplog.records)


def test_nobody_serving_is_none_and_a_socket_that_a_crash_left_too(tmp_path: Path) -> None:
    assert ask(tmp_path, "count", {}, nothing) is None
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / NAME))
    assert ask(tmp_path, "count", {}, nothing) is None
    server = Server(tmp_path, answer)
    assert ask(tmp_path, "count", {"to": 1}, nothing) == {"counted": 1}
    server.close()
    assert not (tmp_path / NAME).exists()


def test_the_socket_is_for_its_owner_only(home: Path) -> None:
    assert stat.S_IMODE((home / NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "request_line", [b"\n", b"[]\n", b"{\n", b'{"verb": "count"}\n', b"7\n", b"\xff\n", b"x" * (REQUEST_BYTES_MAX + 1)]
)
def test_a_request_that_is_not_understood_is_answered_so(home: Path, request_line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(home / NAME))
        client.sendall(request_line)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answers:
            said = json.loads(answers.readline())
    assert said["code"] == USAGE
    assert ask(home, "count", {"to": 1}, nothing) == {"counted": 1}


def test_many_ask_at_once_and_each_hears_its_own_answer(home: Path) -> None:
    heard: dict[int, Json | None] = {}

    def one(number: int) -> None:
        heard[number] = ask(home, "count", {"to": number}, nothing)

    asking = [threading.Thread(target=one, args=(number,)) for number in range(40)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert heard == {number: {"counted": number} for number in range(40)}


def test_closing_waits_for_what_is_under_way(tmp_path: Path) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(verb: str, arguments: Json, progress: Progress) -> Json:
        begun.set()
        may_end.wait(10)
        return {"done": True}

    server = Server(tmp_path, slow)
    heard: list[Json | None] = []
    asking = threading.Thread(target=lambda: heard.append(ask(tmp_path, "x", {}, nothing)))
    asking.start()
    assert begun.wait(10)
    closing = threading.Thread(target=server.close)
    closing.start()
    may_end.set()
    closing.join(10)
    asking.join(10)
    assert heard == [{"done": True}]


def test_an_asker_that_goes_away_does_not_stop_what_it_began(tmp_path: Path) -> None:
    finished = threading.Event()
    gone = threading.Event()

    def slow(verb: str, arguments: Json, progress: Progress) -> Json:
        gone.wait(10)
        progress("going on", 1, 2)
        progress("going on", 2, 2)
        finished.set()
        return {}

    server = Server(tmp_path, slow)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / NAME))
        client.sendall(b'{"verb": "x", "arguments": {}}\n')
    gone.set()
    assert finished.wait(10)
    server.close()


def test_a_copy_is_given_up_when_its_asker_has_gone(tmp_path: Path) -> None:
    given_up, gone = threading.Event(), threading.Event()

    def slow(verb: str, arguments: Json, progress: Progress) -> Json:
        gone.wait(10)
        try:
            for done in range(100):
                progress("going on", done, 100)
        except Unavailable:
            given_up.set()
            raise
        return {}

    server = Server(tmp_path, slow)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / NAME))
        client.sendall(b'{"verb": "snapshot", "arguments": {}}\n')
    gone.set()
    assert given_up.wait(10)
    server.close()


def test_a_home_too_deep_for_a_socket_is_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with pytest.raises(StartRefused, match="shorter path"):
        Server(deep, answer)
    with monkeypatch.context() as inside:
        inside.chdir(deep)  # from there its name is short
        server = Server(deep, answer)
        assert ask(deep, "count", {"to": 1}, nothing) == {"counted": 1}
    with pytest.raises(Unavailable, match="in the home's folder"):
        ask(deep, "count", {"to": 1}, nothing)
    server.close()
