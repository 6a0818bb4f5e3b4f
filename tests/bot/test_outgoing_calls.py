"""Calls against real servers on loopback: what comes of each way in which a server, a name or a network misbehaves."""

from __future__ import annotations

import gzip
import itertools
import logging
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.outgoing import Client, Disclosure, Field, Limits, Operation, Origin, Outcome, SecretFile, SecretHeader
from bot.outgoing.call import Call
from bot.outgoing.lane import Lane
from bot.outgoing.request import request_of
from tests.bot.outgoing_servers import (
    LOOPBACK,
    PATIENT,
    QUICK,
    Authority,
    Behaviour,
    Server,
    answers,
    fails_first,
    hangs,
    says,
)
from vault.errors import BadInput, StartRefused

GET = Operation(
    "read", "town", "GET", "/days", query=("street",), fields=(Field("street", "$.street", "service", "Town"),)
)
POST = Operation("book", "town", "POST", "/book", fields=(Field("e-mail", "$.email", "service", "Town"),))
KEYED = replace(POST, retries=2, idempotency_header="Idempotency-Key")
LATE_MS = 1_500
"""How late a busy machine may be."""
DISCLOSED = (Disclosure("Town", "service", ("e-mail",)),)


def client_of(
    server: Server, *operations: Operation, resolver: Any = None, chance: float = 0.0, **origin: Any
) -> Client:
    more = {"resolver": resolver} if resolver else {}
    return Client([server.origin(**origin)], operations or (GET, POST, KEYED_NAMED), chance=lambda: chance, **more)


KEYED_NAMED = replace(KEYED, name="keyed")


def head(length: int, more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{more}\r\n".encode()


# What goes well


def test_a_call_sends_what_is_declared_and_gives_back_the_answer() -> None:
    with Server(answers()) as server, client_of(server) as client:
        answer = client.call("book", {"email": "é@x.example"})
        read = client.call("read", {"street": "rue de l'Église"})
    assert (answer.outcome, answer.status, answer.value, answer.sent) == (Outcome.OK, 200, {"ok": True}, True)
    assert answer.disclosures == DISCLOSED
    sent = server.requests[0].decode()
    assert sent.startswith(f"POST /book HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n")
    assert sent.endswith('\r\n\r\n{"email":"é@x.example"}')
    assert server.requests[1].startswith(b"GET /days?street=rue%20de%20l%27%C3%89glise HTTP/1.1\r\n")
    assert read.disclosures == (Disclosure("Town", "service", ("street",)),)
    assert server.connections == 1  # used again


def test_an_answer_may_be_empty_or_compressed_or_bytes() -> None:
    small = gzip.compress(b'{"ok":true}')
    for behaviour, value in [
        (answers(b"", "204 No Content"), None),
        (answers(small, headers="content-encoding: gzip\r\n"), {"ok": True}),
    ]:
        with Server(behaviour) as server, client_of(server) as client:
            answer = client.call("read", {})
            assert (answer.outcome, answer.value) == (Outcome.OK, value)
    with Server(answers(b"%PDF\x00")) as server, client_of(server, replace(GET, answer="bytes")) as client:
        assert client.call("read", {}).body == b"%PDF\x00"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("201 Created", Outcome.OK),
        ("400 Bad Request", Outcome.REJECTED),
        ("404 Not Found", Outcome.REJECTED),
        ("500 Internal Server Error", Outcome.FAILED),
        ("503 Service Unavailable", Outcome.UNAVAILABLE),
        ("429 Too Many Requests", Outcome.UNAVAILABLE),
    ],
)
def test_a_status_says_how_a_call_ended(status: str, outcome: Outcome) -> None:
    with Server(answers(status=status)) as server, client_of(server) as client:
        answer = client.call("book", {"email": "a"})
    assert (answer.outcome, answer.status) == (outcome, int(status[:3]))
    assert answer.sent


# Undeclared


def test_what_is_not_declared_is_refused_before_anything_is_sent() -> None:
    with Server(answers()) as server, client_of(server) as client:
        for operation, arguments in [("book", {"phone": "0612345678"}), ("erase", {}), ("book", {"email": {"a": 1}})]:
            answer = client.call(operation, arguments)
            assert (answer.outcome, answer.sent, answer.disclosures) == (Outcome.REFUSED, False, ())
            assert "0612345678" not in repr(answer)
        assert client.disclosures("book", {"email": "a"}) == DISCLOSED
        with pytest.raises(BadInput):
            client.disclosures("book", {"phone": "0612345678"})
    assert server.connections == 0


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "é", "a.b", "x" * 129])
def test_a_key_that_could_be_a_second_header_is_refused(key: str) -> None:
    with Server(answers()) as server, client_of(server) as client:
        assert client.call("keyed", {"email": "a"}, key=key).outcome is Outcome.REFUSED
    assert server.connections == 0


def test_a_value_can_make_no_header_and_no_second_request() -> None:
    evil = "x HTTP/1.1\r\nHost: other\r\n\r\nGET /admin"
    with Server(answers()) as server, client_of(server) as client:
        assert client.call("read", {"street": evil}).outcome is Outcome.OK
        assert client.call("book", {"email": evil}).outcome is Outcome.OK
    assert len(server.requests) == 2
    assert all(b"\r\nHost: other" not in request for request in server.requests)


def test_declarations_that_do_not_fit_together_are_refused() -> None:
    origin = Origin("town", "https://town.example")
    for origins, operations in [([origin], [replace(GET, origin="other")]), ([origin] * 2, []), ([origin], [GET, GET])]:
        with pytest.raises(BadInput):
            Client(origins, operations)


# Servers that misbehave

BOMB = gzip.compress(b"\0" * 50_000_000, 9)


def floods(connection: socket.socket, server: Server) -> None:
    server.request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(800):
        connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")


def extends(connection: socket.socket, server: Server) -> None:
    """One byte a chunk, and 30 kB of extension to each."""
    server.request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(2_000):
        connection.sendall(b"1;" + b"e" * 30_000 + b"\r\nx\r\n")


def informs(connection: socket.socket, server: Server) -> None:
    server.request(connection)
    for _ in range(100_000):
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


def trickles(connection: socket.socket, server: Server) -> None:
    server.request(connection)
    for byte in itertools.chain(b"HTTP/1.1 200 OK\r\n", itertools.cycle(b"x: y\r\n")):
        connection.sendall(bytes([byte]))
        if server.over.wait(0.02):
            return


def trickles_body(connection: socket.socket, server: Server) -> None:
    server.request(connection)
    connection.sendall(head(100_000))
    while not server.over.wait(0.02):
        connection.sendall(b" ")


def reads_nothing(connection: socket.socket, server: Server) -> None:
    server.over.wait(20)


def resets(connection: socket.socket, server: Server) -> None:
    server.request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (reads_nothing, Outcome.TIMEOUT),
        (hangs(), Outcome.TIMEOUT),
        (hangs(b"HTTP/1.1 200 OK\r\n"), Outcome.TIMEOUT),
        (hangs(head(10) + b"12345"), Outcome.TIMEOUT),
        (trickles, Outcome.TIMEOUT),
        (trickles_body, Outcome.TIMEOUT),
        (says(b""), Outcome.UNAVAILABLE),
        (resets, Outcome.UNAVAILABLE),
        (says(b"HTTP/1.1 200"), Outcome.UNAVAILABLE),
        (says(head(10) + b"12345"), Outcome.UNAVAILABLE),
        (says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"), Outcome.UNAVAILABLE),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Outcome.MALFORMED),
        (says(b"\x16\x03\x01\x00\xff" * 100), Outcome.MALFORMED),
        (says(b"HTTP/1.1 abc OK\r\n\r\n"), Outcome.MALFORMED),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n"), Outcome.MALFORMED),
        (says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n123456"), Outcome.MALFORMED),
        (says(b"HTTP/1.1 200 OK\r\na: b\r\n c\x00d\r\n\r\n"), Outcome.MALFORMED),
        (says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"), Outcome.MALFORMED),
        (says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), Outcome.MALFORMED),
        (says(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200_000), Outcome.MALFORMED),
        (informs, Outcome.MALFORMED),
        (answers(b"{"), Outcome.MALFORMED),
        (answers(b'{"a": NaN}'), Outcome.MALFORMED),
        (answers(b"\xff\xfe"), Outcome.MALFORMED),
        (answers(b"[" * 500_000), Outcome.MALFORMED),
        (answers(b"1" * 500_000), Outcome.MALFORMED),
        (answers(b"<html>", headers="content-type: text/html\r\n"), Outcome.MALFORMED),
        (answers(b"not gzip", headers="content-encoding: gzip\r\n"), Outcome.MALFORMED),
        (answers(gzip.compress(b"{}")[:-4], headers="content-encoding: gzip\r\n"), Outcome.MALFORMED),
        (answers(zlib.compress(b"{}"), headers="content-encoding: deflate\r\n"), Outcome.MALFORMED),
        (answers(gzip.compress(BOMB), headers="content-encoding: gzip, gzip\r\n"), Outcome.MALFORMED),
        (answers(BOMB, headers="content-encoding: gzip\r\n"), Outcome.TOO_LARGE),
        (says(head(50_000_000) + b"x" * 1_000), Outcome.TOO_LARGE),
        (says(head(10**17)), Outcome.TOO_LARGE),
        (says(head(10**40)), Outcome.MALFORMED),
        (floods, Outcome.TOO_LARGE),
        (extends, Outcome.TOO_LARGE),
        (answers(b"", "302 Found", "location: http://127.0.0.1/admin\r\n"), Outcome.REDIRECTED),
        (answers(b"", "308 Permanent Redirect", "location: /elsewhere\r\n"), Outcome.REDIRECTED),
        (answers(b"", "304 Not Modified"), Outcome.REDIRECTED),
    ],
)
def test_whatever_a_server_does_the_call_ends_in_time_with_an_outcome(behaviour: Behaviour, outcome: Outcome) -> None:
    limits = QUICK if outcome is Outcome.TIMEOUT else PATIENT
    with Server(behaviour) as server, client_of(server, limits=limits) as client:
        answer = client.call("book", {"email": "a"})
    assert answer.outcome is outcome
    assert answer.value is None
    assert (answer.sent, answer.disclosures) == (True, DISCLOSED)  # it may have got there
    assert answer.duration_ms < limits.total_ms + LATE_MS
    assert server.connections == 1


def test_a_server_that_reads_nothing_of_a_large_request_holds_nobody_up() -> None:
    with Server(reads_nothing) as server:
        limits = replace(QUICK, request_bytes=30_000_000)
        with client_of(server, limits=limits) as client:
            answer = client.call("book", {"email": "x" * 20_000_000})
    assert answer.outcome is Outcome.TIMEOUT
    assert answer.duration_ms < QUICK.total_ms + LATE_MS


def test_a_server_that_says_no_before_it_has_read_everything_is_heard() -> None:
    def behave(connection: socket.socket, server: Server) -> None:
        connection.recv(1_000)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    with Server(behave) as server, client_of(server, limits=replace(PATIENT, request_bytes=30_000_000)) as client:
        answer = client.call("book", {"email": "x" * 5_000_000})
    assert (answer.outcome, answer.status) == (Outcome.REJECTED, 413)


def test_more_than_the_length_it_said_is_never_the_next_answer() -> None:
    """A server that lies in Content-Length: its second answer would be somebody else's."""
    lie = head(2) + b'{}HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"foreign"'

    def behave(connection: socket.socket, server: Server) -> None:
        while server.request(connection):
            connection.sendall(lie)

    with Server(behave) as server, client_of(server) as client:
        assert [client.call("read", {}).value for _ in range(3)] == [{}, {}, {}]
    assert server.connections == 3


def test_an_idle_connection_that_the_server_closed_or_spoke_on_is_not_used() -> None:
    idle, spoiled = threading.Semaphore(0), threading.Semaphore(0)

    def behave(connection: socket.socket, server: Server) -> None:
        server.request(connection)
        connection.sendall(head(2) + b"{}")
        idle.acquire(timeout=20)
        if server.connections == 1:
            connection.sendall(head(9) + b'"foreign"')
        else:
            connection.close()
        spoiled.release()

    with Server(behave) as server, client_of(server) as client:
        for _ in range(3):
            assert client.call("book", {"email": "a"}).value == {}
            idle.release()
            assert spoiled.acquire(timeout=20)
    assert server.connections == 3


def test_nobody_listening_is_unavailable_and_nothing_was_sent() -> None:
    with socket.socket() as bound:  # so that nobody else takes the port, and listening to nobody
        bound.bind(("127.0.0.1", 0))
        origin = Origin("town", f"http://127.0.0.1:{bound.getsockname()[1]}", LOOPBACK, limits=PATIENT)
        with Client([origin], [POST]) as client:
            answer = client.call("book", {"email": "a"})
    assert (answer.outcome, answer.sent, answer.disclosures) == (Outcome.UNAVAILABLE, False, ())


def test_a_connect_that_hangs_ends_in_time() -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    waiting = []
    for _ in range(4):  # the queue is full, so the next one's first packet is dropped
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        waiting.append(one)
    origin = Origin("town", f"http://127.0.0.1:{port}", LOOPBACK, limits=QUICK)
    with Client([origin], [POST]) as client:
        answer = client.call("book", {"email": "a"})
    assert (answer.outcome, answer.sent) == (Outcome.TIMEOUT, False)
    assert answer.duration_ms < QUICK.total_ms + LATE_MS
    for one in (*waiting, full):
        one.close()


# Names


def resolves(*answers_: Sequence[str]) -> Callable[[str, int], Sequence[str]]:
    """A resolver that answers in turn, the last one again and again."""
    left = list(answers_)
    return lambda host, port: left.pop(0) if len(left) > 1 else left[0]


def test_a_name_is_resolved_once_for_a_connection_and_its_address_pinned() -> None:
    asked = []

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    with Server(answers()) as server, client_of(server, host="town.example", resolver=resolver) as client:
        for _ in range(3):
            assert client.call("read", {}).outcome is Outcome.OK
    assert asked == [("town.example", server.port)]
    assert b"Host: town.example:" in server.requests[0]


def test_an_answer_that_changes_to_a_forbidden_address_is_refused_when_it_is_used() -> None:
    """DNS rebinding: the first answer is allowed, the next ones are not."""
    resolver = resolves(["127.0.0.1"], ["127.0.0.2"], ["169.254.169.254"])
    close = answers(headers="connection: close\r\n")
    with (
        Server(close) as server,
        client_of(server, host="town.example", networks=("127.0.0.1/32",), resolver=resolver) as client,
    ):
        found = [client.call("book", {"email": "a"}) for _ in range(3)]
    assert [each.outcome for each in found] == [Outcome.OK, Outcome.REFUSED, Outcome.REFUSED]
    assert [each.sent for each in found] == [True, False, False]
    assert server.connections == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["1.1.1.1", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["::1"],
        ["fe80::1%lo"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["0.0.0.0"],
        ["224.0.0.1"],
        ["127.1"],
        ["2130706433"],
        ["0x7f000001"],
        ["town"],
    ],
)
def test_a_public_origin_is_never_found_on_a_network_of_ours(addresses: Sequence[str]) -> None:
    with Server(answers()) as server:
        origin = Origin("town", f"https://town.example:{server.port}", limits=QUICK)
        with Client([origin], [POST], resolver=resolves(addresses)) as client:
            answer = client.call("book", {"email": "a"})
    assert (answer.outcome, answer.sent) == (Outcome.REFUSED, False)
    assert server.connections == 0


@pytest.mark.parametrize("raised", [socket.gaierror(-2, "x"), UnicodeError(), ValueError("odd"), None])
def test_a_name_without_an_address_is_unavailable(raised: Exception | None) -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        if raised:
            raise raised
        return []

    with Server(answers()) as server, client_of(server, host="town.example", resolver=resolver) as client:
        assert client.call("book", {"email": "a"}).outcome is Outcome.UNAVAILABLE


def test_a_resolver_that_hangs_holds_one_thread_and_each_call_ends_in_time() -> None:
    over, asked = threading.Event(), []
    limits = replace(PATIENT, connect_ms=200)

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        over.wait(10)
        return ["127.0.0.1"]

    with (
        Server(answers()) as server,
        client_of(server, host="town.example", limits=limits, resolver=resolver) as client,
    ):
        found = [each.result() for each in [client.submit("book", {"email": "a"}) for _ in range(20)]]
        over.set()
    assert {each.outcome for each in found} == {Outcome.TIMEOUT, Outcome.UNAVAILABLE}  # the circuit opens
    assert max(each.duration_ms for each in found) < QUICK.total_ms + LATE_MS
    assert len(asked) == 1


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with (
        Server(answers()) as server,
        client_of(server, host="town.example", resolver=resolves(["127.0.0.9", "127.0.0.1"])) as client,
    ):
        assert client.call("book", {"email": "a"}).outcome is Outcome.OK


def test_the_machines_own_resolver_finds_localhost() -> None:
    with Server(answers()) as server:
        networks = (*LOOPBACK, "::1/128")
        with client_of(server, host="localhost", networks=networks) as client:
            assert client.call("book", {"email": "a"}).outcome is Outcome.OK


# The environment


def test_proxies_and_trust_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Server(answers(b'"proxy"')) as proxy, Server(answers()) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with client_of(server) as client:
            assert client.call("book", {"email": "a"}).value == {"ok": True}
        assert proxy.connections == 0
    authority = Authority.made(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with Server(answers(), authority.context("town.example")) as server:
        for ca_file, outcome in [(None, Outcome.UNTRUSTED), (authority.file, Outcome.OK)]:
            with client_of(server, host="town.example", ca_file=ca_file, resolver=resolves(["127.0.0.1"])) as client:
                assert client.call("book", {"email": "a"}).outcome is outcome
    assert not (tmp_path / "keys").exists()


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authority"))


def secured(
    authority: Authority, context: ssl.SSLContext, behaviour: Behaviour, host: str = "town.example"
) -> Iterator[Any]:
    with Server(behaviour, context) as server:
        given = {"ca_file": authority.file, "resolver": resolves(["127.0.0.1"])}
        with client_of(server, host=host, **given) as client:
            yield server
            yield client.call("book", {"email": "a"})


def test_tls_by_an_authority_of_ones_own_is_proved_and_used_again(authority: Authority) -> None:
    with Server(answers(), authority.context("town.example")) as server:
        given = {"ca_file": authority.file, "resolver": resolves(["127.0.0.1"])}
        with client_of(server, host="town.example", **given) as client:
            assert [client.call("book", {"email": "a"}).outcome for _ in range(3)] == [Outcome.OK] * 3
    assert server.connections == 1
    with (
        Server(answers(), authority.context("127.0.0.1")) as server,
        client_of(server, ca_file=authority.file) as client,
    ):
        assert client.call("book", {"email": "a"}).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"host": "town.example", "days": -1}, "expired"),
        ({"host": "town.example", "days": 30}, "not valid yet"),
        ({"host": "other.example"}, "another host"),
        ({"host": "other.example", "common_name": "town.example"}, "another host"),
        ({"host": "127.0.0.1"}, "another host"),
    ],
)
def test_a_certificate_that_does_not_prove_the_host_is_untrusted(
    authority: Authority, given: dict[str, Any], reason: str
) -> None:
    _, answer = secured(authority, authority.context(**given), answers())
    assert (answer.outcome, answer.sent, answer.disclosures) == (Outcome.UNTRUSTED, False, ())
    assert reason in answer.reason


def test_a_certificate_of_another_authority_is_untrusted(authority: Authority, tmp_path: Path) -> None:
    other = Authority.made(tmp_path, "other")
    _, answer = secured(authority, other.context("town.example"), answers())
    assert answer.outcome is Outcome.UNTRUSTED
    assert "nobody who is trusted" in answer.reason


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_older_than_1_2_is_untrusted(authority: Authority) -> None:
    context = authority.context("town.example")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    _, answer = secured(authority, context, answers())
    assert (answer.outcome, answer.sent) == (Outcome.UNTRUSTED, False)


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (reads_nothing, Outcome.TIMEOUT),
        (lambda connection, server: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Outcome.UNTRUSTED),
        (lambda connection, server: None, Outcome.UNAVAILABLE),
    ],
)
def test_a_handshake_that_hangs_or_is_none_ends_in_time(
    authority: Authority, behaviour: Behaviour, outcome: Outcome
) -> None:
    with Server(behaviour) as server:
        origin = replace(server.origin(ca_file=authority.file), url=f"https://127.0.0.1:{server.port}")
        limits = QUICK if outcome is Outcome.TIMEOUT else PATIENT
        with Client([replace(origin, limits=limits)], [POST]) as client:
            answer = client.call("book", {"email": "a"})
    assert (answer.outcome, answer.sent) == (outcome, False)
    assert answer.duration_ms < QUICK.total_ms + LATE_MS


def test_an_answer_without_a_length_is_not_cut_short_unnoticed(authority: Authority) -> None:
    def behave(connection: socket.socket, server: Server) -> None:
        server.request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n[1,2]")
        assert isinstance(connection, ssl.SSLSocket)
        socket.socket(fileno=connection.detach()).close()  # without saying goodbye, as an attacker on the way can

    _, answer = secured(authority, authority.context("town.example"), behave)
    assert answer.outcome is Outcome.UNAVAILABLE


def test_certificates_to_trust_that_are_none_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "other.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for name in ("empty.pem", "other.pem", "missing.pem"):
        with pytest.raises(StartRefused, match=name):
            Client([Origin("town", "https://town.example", ca_file=tmp_path / name)], [])


# Retries


@pytest.mark.parametrize("bad", [says(b""), resets, answers(b"", "503 Service Unavailable", "connection: close\r\n")])
def test_an_operation_with_a_key_is_tried_again_with_the_same_key(bad: Behaviour) -> None:
    with Server(fails_first(2, bad, answers())) as server, client_of(server) as client:
        answer = client.call("keyed", {"email": "a"}, key="3f2a:1")
    assert (answer.outcome, answer.attempts) == (Outcome.OK, 3)
    assert all(b"Idempotency-Key: 3f2a:1\r\n" in request for request in server.requests)
    assert len(server.requests) == 3


def test_what_is_not_declared_to_be_repeatable_is_sent_once() -> None:
    with Server(fails_first(1, says(b""), answers())) as server, client_of(server) as client:
        answer = client.call("book", {"email": "a"})
    assert (answer.outcome, answer.attempts) == (Outcome.UNAVAILABLE, 1)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [answers(status="400 Bad Request"), answers(b"", "302 Found"), answers(b"{"), answers(status="500 Oops")],
)
def test_what_a_repeat_does_not_mend_is_not_repeated(behaviour: Behaviour) -> None:
    with Server(behaviour) as server, client_of(server) as client:
        assert client.call("keyed", {"email": "a"}, key="k").attempts == 1


def test_retries_end_with_the_time_of_the_call() -> None:
    with Server(hangs()) as server, client_of(server, replace(KEYED_NAMED, retries=5), limits=QUICK) as client:
        answer = client.call("keyed", {"email": "a"}, key="k")
    assert answer.outcome is Outcome.TIMEOUT
    assert 1 <= answer.attempts <= 3
    assert answer.duration_ms < QUICK.total_ms + LATE_MS


def test_a_system_that_asks_to_be_left_alone_longer_than_there_is_time_is() -> None:
    busy = answers(b"", "503 Service Unavailable", "retry-after: 60\r\n")
    with Server(busy) as server, client_of(server) as client:
        answer = client.call("keyed", {"email": "a"}, key="k")
    assert (answer.outcome, answer.attempts) == (Outcome.UNAVAILABLE, 1)
    assert answer.duration_ms < PATIENT.total_ms


def test_pauses_grow_and_are_shortened_by_chance() -> None:
    class Pauses(threading.Event):
        """What a call waits on between its attempts."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float | None] = []

        def wait(self, timeout: float | None = None) -> bool:
            self.seconds.append(timeout)
            return super().wait(timeout)

    with Server(says(b"")) as server:
        lane = Lane(server.origin(limits=replace(PATIENT, pause_ms=100, failures=100)), resolves([]), time.monotonic)
        request = request_of(KEYED, {"email": "a"}, 1_000)
        for chance, expected in ((0.0, [0.0, 0.0]), (0.5, [0.05, 0.1]), (1.0, [0.1, 0.2])):
            pauses = Pauses()
            started = time.monotonic()
            answer = Call(lane, KEYED, request, "k", started, time.time, lambda c=chance: c, pauses).run()  # type: ignore[misc]
            assert pauses.seconds == expected
            assert answer.duration_ms >= 1_000 * sum(expected)
        lane.close()


# The circuit and the queue


def test_an_origin_that_fails_again_and_again_is_left_alone_then_tried_with_one_call() -> None:
    now = [0.0]
    limits = replace(PATIENT, failures=3, open_ms=10_000)
    with Server(fails_first(3, says(b""), answers())) as server:
        client = Client([server.origin(limits=limits)], [POST], clock=lambda: now[0])
        found = [client.call("book", {"email": "a"}) for _ in range(5)]
        assert [each.sent for each in found] == [True, True, True, False, False]
        assert {each.outcome for each in found} == {Outcome.UNAVAILABLE}
        now[0] = 10.0
        assert client.call("book", {"email": "a"}).outcome is Outcome.OK
        client.close()


def test_what_one_persons_input_breaks_does_not_close_the_system_to_others() -> None:
    for behaviour, outcome in [(answers(status="500 Oops"), Outcome.FAILED), (answers(b"{"), Outcome.MALFORMED)]:
        with Server(behaviour) as server, client_of(server, limits=replace(PATIENT, failures=1)) as client:
            assert [client.call("book", {"email": "a"}).outcome for _ in range(3)] == [outcome] * 3


def test_one_origin_that_hangs_does_not_slow_the_others() -> None:
    limits = Limits(connect_ms=2_000, first_byte_ms=2_000, total_ms=2_000, concurrent_calls=8, failures=1_000)
    with Server(hangs()) as bad, Server(answers()) as good:
        origins = [bad.origin(limits=limits), replace(good.origin(limits=limits), name="other")]
        with Client(origins, [POST, replace(POST, name="quick", origin="other")]) as client:
            slow = [client.submit("book", {"email": "a"}) for _ in range(50)]
            quick = [client.submit("quick", {"email": "a"}) for _ in range(50)]
            assert {each.result().outcome for each in quick} == {Outcome.OK}
            assert not any(each.done() for each in slow)
            assert {each.result().outcome for each in slow} == {Outcome.TIMEOUT}
    # Those that waited behind the others too.
    assert max(each.result().duration_ms for each in slow) < limits.total_ms + LATE_MS


def test_more_calls_than_may_wait_are_answered_at_once() -> None:
    with Server(hangs()) as server:
        limits = replace(PATIENT, concurrent_calls=2, waiting_calls=3)
        with client_of(server, limits=limits) as client:
            found = [client.submit("book", {"email": "a"}) for _ in range(10)]
            assert [each.done() for each in found] == [False] * 5 + [True] * 5
            assert found[9].result().outcome is Outcome.UNAVAILABLE
            server.over.set()


def test_where_no_thread_can_be_started_a_call_is_unavailable_and_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with (
        Server(answers()) as server,
        client_of(server, host="town.example", resolver=resolves(["127.0.0.1"])) as client,
    ):
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert client.call("book", {"email": "a"}).outcome is Outcome.UNAVAILABLE
        assert client.call("book", {"email": "a"}).outcome is Outcome.OK
        assert len(server.requests) == 1


def test_a_call_that_nobody_waits_for_any_more_is_not_made() -> None:
    with Server(hangs()) as server, client_of(server, limits=replace(PATIENT, concurrent_calls=1)) as client:
        first, second = client.submit("book", {"email": "a"}), client.submit("book", {"email": "a"})
        assert second.cancel()
        server.over.set()
        assert first.result().outcome is Outcome.UNAVAILABLE
        assert client.call("book", {"email": "a"}).outcome is Outcome.UNAVAILABLE  # behind it, so it had its turn
    assert len(server.requests) == 2


def test_a_call_whose_time_was_over_before_it_had_a_place_is_not_begun() -> None:
    with Server(answers()) as server:
        lane = Lane(server.origin(), resolves(["127.0.0.1"]), time.monotonic)
        request = request_of(POST, {"email": "a"}, 1_000)
        started = time.monotonic() - 60
        answer = Call(lane, POST, request, "", started, time.time, lambda: 0.0, threading.Event()).run()
        lane.close()
    assert (answer.outcome, answer.attempts, answer.disclosures) == (Outcome.TIMEOUT, 0, ())
    assert server.connections == 0


def test_closing_ends_what_waits_and_lets_what_is_under_way_end() -> None:
    begun, may_answer = threading.Event(), threading.Event()

    def slowly(connection: socket.socket, server: Server) -> None:
        begun.set()
        may_answer.wait(20)
        answers()(connection, server)

    with Server(slowly) as server:
        client = client_of(server, limits=replace(PATIENT, concurrent_calls=1))
        first = client.submit("book", {"email": "a"})
        second = client.submit("book", {"email": "a"})
        assert begun.wait(20)
        closing = threading.Thread(target=client.close)
        closing.start()
        assert client._closing.wait(20)
        may_answer.set()
        closing.join()
        assert first.result().outcome is Outcome.OK
        assert (second.result().outcome, second.result().sent) == (Outcome.UNAVAILABLE, False)
        assert client.call("book", {"email": "a"}).outcome is Outcome.UNAVAILABLE
        assert len(server.requests) == 1


# Secrets and marks


def test_a_secret_reaches_the_system_and_no_log_no_answer_and_no_url(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "token"
    path.write_text("hush-hush\n")
    path.chmod(0o600)
    operation = replace(POST, secrets=(SecretHeader(SecretFile(path)),))
    with Server(answers()) as server, client_of(server, operation) as client:
        first = client.call("book", {"email": "planted@x.example"})
        path.write_text("renewed\n")
        second = client.call("book", {"email": "planted@x.example"})
        path.chmod(0o644)
        third = client.call("book", {"email": "planted@x.example"})
    assert b"\r\nAuthorization: Bearer hush-hush\r\n" in server.requests[0]
    assert b"\r\nAuthorization: Bearer renewed\r\n" in server.requests[1]
    assert (third.outcome, third.sent) == (Outcome.REFUSED, False)
    shown = repr((first, second, third, client, operation)) + "".join(
        f"{record.getMessage()} {vars(record)}" for record in caplog.records
    )
    assert "hush" not in shown
    assert "planted" not in shown
    assert len([record for record in caplog.records if record.name == "bot.outgoing.client"]) == 3
    with pytest.raises(StartRefused, match="chmod 600"):
        Client([server.origin()], [operation])
