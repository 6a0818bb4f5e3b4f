"""Whatever bytes a server sends, and however they are divided: a response within its limits, or an outcome."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.outgoing.answer import CallFailed, Outcome
from bot.outgoing.exchange import Connection, Response
from bot.outgoing.stream import Stream

LIMIT = 1_000
SMALL = gzip.compress(b"x" * 300)
PIECES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 304 No\r\n", b"HTTP/2 200\r\n",
    b"content-length: 5\r\n", b"content-length: 0\r\n", b"content-length: 5, 5\r\n", b"content-length: 99999\r\n",
    b"transfer-encoding: chunked\r\n", b"transfer-encoding: gzip, chunked\r\n", b"content-encoding: gzip\r\n",
    b"connection: close\r\n", b"retry-after: -1\r\n", b"\xff\xfe: \x80\r\n", b": x\r\n", b" folded\r\n", b"\r\n", b"\n", b"\r", b"\0",
    b"5\r\nabcde\r\n", b"0\r\n\r\n", b"ffffffffffffffffffff\r\n", b"-1\r\n", b"abcde", SMALL, SMALL[:20], gzip.compress(b"x" * 9_000),
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n",
]  # fmt: skip


class Scripted:
    """Instead of a `Stream`: takes what is sent, or breaks; gives these bytes, then the end."""

    def __init__(self, pieces: list[bytes], *, breaks: bool = False) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.breaks = breaks
        self.deadline = 0.0

    def send(self, data: bytes) -> None:
        if self.breaks:
            raise CallFailed(Outcome.UNAVAILABLE, "the connection broke")

    def receive(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def is_quiet(self) -> bool:
        return not self.pieces

    def close(self) -> None:
        self.pieces = []


def exchanged(pieces: list[bytes], *, breaks: bool = False) -> tuple[Connection, Response]:
    connection = Connection(cast(Stream, Scripted(pieces, breaks=breaks)))
    more: dict[str, Any] = {"response_bytes": LIMIT, "head_deadline": 0.0, "deadline": 0.0}
    return connection, connection.exchange("GET", "/", [("Host", "town")], b"", **more)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=8), st.booleans())
def test_any_bytes_give_a_response_or_an_outcome(pieces: list[bytes], whole: bool) -> None:
    outcomes = {Outcome.UNAVAILABLE, Outcome.MALFORMED, Outcome.TOO_LARGE, Outcome.REDIRECTED}
    found: Response | Outcome
    try:
        connection, found = exchanged([b"".join(pieces)] if whole else pieces)
        if connection.is_reusable():
            connection.next()
    except CallFailed as failed:
        found = failed.outcome
    assert len(found.body) <= LIMIT if isinstance(found, Response) else found in outcomes


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
def test_an_answer_is_the_same_however_it_is_divided(cuts: list[int]) -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s" % (len(SMALL), SMALL)
    pieces = []
    for cut in cuts:
        pieces.append(raw[:cut])
        raw = raw[cut:]
    connection, response = exchanged([*pieces, raw])
    assert response.body == b"x" * 300
    assert connection.is_reusable()


@pytest.mark.parametrize("more", [b"x", b"\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])
def test_a_connection_on_which_more_came_is_not_used_again(more: bytes) -> None:
    connection, _ = exchanged([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}" + more])
    assert not connection.is_reusable()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_body_may_be_as_large_as_its_limit_and_not_one_byte_larger(compressed: bool) -> None:
    for size in (LIMIT, LIMIT + 1):
        body = gzip.compress(b"x" * size) if compressed else b"x" * size
        coded = b"content-encoding: gzip\r\n" if compressed else b""
        pieces = [
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" + coded,
            b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        ]
        if size == LIMIT:
            assert exchanged(pieces)[1].body == b"x" * size
        else:
            with pytest.raises(CallFailed, match="over its limit"):
                exchanged(pieces)


def test_a_compressed_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 900_000, 9)  # within the limit of what may arrive, 900 times over that of a body
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s" % (len(bomb), bomb)
    tracemalloc.start()
    with pytest.raises(CallFailed, match="once decompressed"):
        exchanged([raw])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_an_answer_that_came_before_the_request_could_be_sent_whole_is_heard() -> None:
    connection, response = exchanged([b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"], breaks=True)
    assert response.status == 413
    assert connection.has_sent
    with pytest.raises(CallFailed, match="closed without an answer"):
        exchanged([], breaks=True)
