"""One request and its response over one connection: HTTP/1.1 by h11, under limits of time and size."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import h11

from bot.outgoing.answer import CallFailed, Outcome
from bot.outgoing.stream import Stream

HEAD_BYTES_MAX = 65_536
"""Status line and headers, or the head of a chunk, or trailers."""
OVERHEAD_BYTES = 4 * HEAD_BYTES_MAX
"""What may arrive beside a body. Chunks of one byte with long extensions would otherwise make of 1 MB any number."""
INFORMATIONAL_MAX = 8

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers (lower case names) and the whole body, decompressed."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Connection:
    """A stream that speaks HTTP/1.1, for one exchange after another."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._received = 0
        self._at_end = False
        self.has_sent = False
        """Whether any of the latest request may have left."""

    def exchange(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        *,
        response_bytes: int,
        head_deadline: float,
        deadline: float,
    ) -> Response:
        """Sends a request and reads its response, not after a 3xx's head. Raises `CallFailed`; then the connection is to be closed."""
        self._received = 0
        self.has_sent = False
        self._stream.deadline = head_deadline
        try:
            unsent = self._send(method, target, headers, body)
            head = self._head(unsent)
            self._stream.deadline = deadline
            named = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            if 300 <= head.status_code < 400:
                raise CallFailed(Outcome.REDIRECTED, "the system redirects, which is never followed")
            return Response(head.status_code, named, self._body(named, response_bytes))
        except h11.RemoteProtocolError:
            if self._at_end:
                when = "in the middle of" if self._received else "without"
                raise CallFailed(Outcome.UNAVAILABLE, f"the connection was closed {when} an answer") from None
            raise CallFailed(Outcome.MALFORMED, "what came back is not HTTP") from None

    def is_reusable(self) -> bool:
        """Whether request and response are over and nothing more has come: more would be taken for the next answer."""
        over = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        return over and not self._http.trailing_data[0] and self._stream.is_quiet()

    def next(self) -> None:
        """Makes ready for another exchange, of a connection that is reusable."""
        self._http.start_next_cycle()

    def is_quiet(self) -> bool:
        """Whether nothing came since it became idle."""
        return self._stream.is_quiet()

    def close(self) -> None:
        self._stream.close()

    def _send(self, method: str, target: str, headers: Headers, body: bytes) -> CallFailed | None:
        """Sends; gives back what broke it, since a server may say no and close before it has read everything."""
        try:
            data = self._http.send(h11.Request(method=method, target=target, headers=list(headers))) or b""
            data += self._http.send(h11.Data(data=body)) or b""
            data += self._http.send(h11.EndOfMessage()) or b""
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise CallFailed(Outcome.REFUSED, "the request is not HTTP; nothing was sent") from None
        self.has_sent = True
        try:
            self._stream.send(data)
        except CallFailed as failed:
            if failed.outcome is Outcome.TIMEOUT:
                raise
            return failed
        return None

    def _head(self, unsent: CallFailed | None) -> h11.Response:
        for _ in range(INFORMATIONAL_MAX + 1):
            try:
                event = self._next_event(HEAD_BYTES_MAX)
            except CallFailed as failed:
                raise unsent or failed from None
            if isinstance(event, h11.Response):
                return event
        raise CallFailed(Outcome.MALFORMED, "the system answers with preliminary answers only")

    def _body(self, headers: dict[str, str], limit: int) -> bytes:
        too_large = CallFailed(Outcome.TOO_LARGE, "the answer is over its limit")
        length = headers.get("content-length", "0")
        if len(length) > 18 or int(length) > limit:  # h11 has seen that it is digits
            raise too_large
        parts: list[bytes] = []
        size = 0
        while isinstance(event := self._next_event(limit), h11.Data):
            parts.append(bytes(event.data))
            size += len(event.data)
            if size > limit:
                raise too_large
        return _decompressed(b"".join(parts), headers.get("content-encoding", "identity"), limit)

    def _next_event(self, limit: int) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = self._stream.receive()
            self._at_end = not data
            self._received += len(data)
            if self._received > limit + OVERHEAD_BYTES:
                raise CallFailed(Outcome.TOO_LARGE, "the answer is over its limit")
            self._http.receive_data(data)
        assert not isinstance(event, type) or event is h11.PAUSED
        return event


def _decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before compression. Never makes more than `limit` bytes of it, and one to know."""
    if encoding.lower() in {"identity", ""} or not body:
        return body
    if encoding.lower() not in {"gzip", "x-gzip"}:
        raise CallFailed(Outcome.MALFORMED, "the answer is compressed in a way that was not asked for")
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise CallFailed(Outcome.MALFORMED, "the answer is not compressed as it says") from None
    if len(plain) > limit:
        raise CallFailed(Outcome.TOO_LARGE, "the answer is over its limit once decompressed")
    if not inflater.eof or inflater.unused_data:
        raise CallFailed(Outcome.MALFORMED, "the answer is not compressed as it says")
    return plain
