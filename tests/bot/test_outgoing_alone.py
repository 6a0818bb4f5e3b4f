"""Only declared places open connections: the outgoing client, the logs' Kafka, the keys' PostgreSQL, and what `infra` wires."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.test_layers import CHECKOUT, MODULES, ids, imported

OUTGOING, LOGS, KEYS, INFRA = "bot/outgoing", "vault/logs", "vault/keys", "infra"
GATEWAY = "bot/gateway"
"""Listens."""
CONTROL = "vault/client.py"
"""Asks the running process of a home, on the Unix socket in it."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("ssl", "select", "selectors"), (OUTGOING, LOGS, CONTROL, INFRA)),
    "socket": (OUTGOING, GATEWAY, LOGS, CONTROL, INFRA),
    **dict.fromkeys(("socketserver", "_socket", "_ssl"), (INFRA,)),
    **dict.fromkeys(("h11", "http", "urllib.request", "httpx", "requests"), (OUTGOING, LOGS, INFRA)),
    "kafka": (LOGS, INFRA),
    "psycopg": (KEYS,),
}
"""By module: the folders that may import it, or a module of it."""

NOWHERE = {
    "httpcore", "urllib3", "aiohttp", "h2", "pycurl", "websocket", "websockets", "ftplib", "smtplib", "poplib", "imaplib",
    "telnetlib", "nntplib", "xmlrpc", "asyncore", "paramiko", "grpc", "multiprocessing.connection", "webbrowser",
}  # fmt: skip
"""What opens connections, and nothing of ours needs outside `infra`."""

OPENS = {"open_connection", "open_unix_connection", "create_connection", "create_datagram_endpoint", "sock_connect"}
"""What opens connections of an event loop, under whatever name the loop goes."""


def in_folder(path: Path, folder: str, root: Path = CHECKOUT) -> bool:
    return path.is_relative_to(root / folder)


def connecting(path: Path, root: Path = CHECKOUT) -> Iterator[str]:
    """What a file does that opens connections and is not declared for its folder."""
    for name in imported(path, root):
        for module, folders in ONLY_IN.items():
            if f"{name}.".startswith(f"{module}.") and not any(in_folder(path, each, root) for each in folders):
                yield name
        if any(f"{name}.".startswith(f"{module}.") for module in NOWHERE) and not in_folder(path, INFRA, root):
            yield name
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in OPENS and not in_folder(path, INFRA, root):
            yield node.attr


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_module_opens_no_connection_unless_its_folder_may(path: Path) -> None:
    assert not list(connecting(path))


@pytest.mark.parametrize(
    "line",
    [
        "import socket",
        "import socket as plain",
        "from socket import create_connection",
        "import http.client",
        "from http import client",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import httpx, json",
        "def f():\n    import requests",
        "import importlib\nimportlib.import_module('ssl')",
        "__import__('httpcore')",
        "from kafka import KafkaProducer",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "async def f(loop):\n    await loop.create_connection(None)",
    ],
)
def test_every_way_to_open_one_is_seen(tmp_path: Path, line: str) -> None:
    for package in ("nlu", "bot", "projections"):
        (tmp_path / package).mkdir()
        file = tmp_path / package / "one.py"
        file.write_text(line + "\n")
        assert list(connecting(file, tmp_path))


def test_taking_a_url_apart_is_no_connection(tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir()
    file = tmp_path / "bot" / "one.py"
    file.write_text("from urllib.parse import urlsplit\nimport json, asyncio\n")
    assert not list(connecting(file, tmp_path))


def test_the_folders_that_may_are_there() -> None:
    for folder in {each for folders in ONLY_IN.values() for each in folders}:
        assert (CHECKOUT / folder).exists()
