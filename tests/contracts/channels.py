"""Channels as their contract sees them: something that says a message and tells whether it was acknowledged, and what was answered.

Another adapter joins the suite by a driver in `DRIVERS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.answering import Answering

REPLY_S = 20


class Driver(Protocol):
    """Says messages on one channel. `sender` is a name of the test's; the driver makes of it what its channel calls a sender.

    Thread-safe. The home may be closed and opened between two calls.
    """

    name: str

    def say(self, home: Answering, sender: str, message_id: str, text: str) -> bool:
        """Whether the message was acknowledged. When it was, its reply has come."""

    def replies(self, home: Answering, sender: str) -> list[str]:
        """What the sender was answered that can be had again, in order; [] where the channel gives nothing again."""


class WebDriver:
    """A browser that connects anew for every message."""

    name = "web"

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}

    def say(self, home: Answering, sender: str, message_id: str, text: str) -> bool:
        with self._connected(home, sender) as socket:
            socket.send(json.dumps({"type": "say", "id": message_id, "text": text}))
            acknowledged, wanted = False, f"you said: {text}"
            heard: list[str] = []
            while not (acknowledged and wanted in heard):
                frame = json.loads(socket.recv(REPLY_S))
                if frame["type"] == "error":
                    return False
                acknowledged |= frame["type"] == "accepted"
                heard += [frame["text"]] if frame["type"] == "reply" else []
            return True

    @contextmanager
    def _connected(self, home: Answering, sender: str) -> Iterator[ClientConnection]:
        address = home.origin.replace("http", "ws") + "/chat/socket"
        with connect(address, origin=home.origin, close_timeout=0.1) as socket:  # type: ignore[arg-type]
            socket.send(json.dumps({"type": "hello", "token": self._tokens.get(sender), "last": 0, "language": "en"}))
            welcome = json.loads(socket.recv(REPLY_S))
            # Whoever sends the same message at once has the same token: the first of them is kept.
            self._tokens.setdefault(sender, welcome["token"])
            if not welcome["resumed"]:
                self._tokens[sender] = welcome["token"]
            yield socket

    def replies(self, home: Answering, sender: str) -> list[str]:
        with self._connected(home, sender) as socket:
            socket.send(json.dumps({"type": "unknown"}))  # is answered after everything that is shown again
            heard: list[str] = []
            while (frame := json.loads(socket.recv(REPLY_S)))["type"] != "error":
                heard += [frame["text"]] if frame["type"] == "reply" else []
            return heard


class RestDriver:
    """A system that asks for each message."""

    name = "rest"

    def __init__(self) -> None:
        self._http = httpx.Client(timeout=REPLY_S)

    def say(self, home: Answering, sender: str, message_id: str, text: str) -> bool:
        answer = self._post(home, {"id": message_id, "sender": sender, "text": text})
        return answer.status_code == 200 and [each["text"] for each in answer.json()["replies"]] == [
            f"you said: {text}"
        ]

    def _post(self, home: Answering, body: dict[str, Any]) -> httpx.Response:
        headers = {"authorization": f"Bearer {home.token}"}
        return self._http.post(f"{home.origin}/v1/messages", json=body, headers=headers)

    def replies(self, home: Answering, sender: str) -> list[str]:
        del home, sender
        return []


DRIVERS: tuple[type[Driver], ...] = (WebDriver, RestDriver)
