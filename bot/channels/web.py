"""The chat in a browser: a WebSocket, or where that is blocked a POST that streams and a POST a message. JSON, never HTML.

The page is ours (an iframe of our origin), so the Origin must be exactly ours. The token stands in the first frame or in the
Authorization header, never in a URL. Frames of the client, each one JSON object in a text message:

    {"type": "hello", "token": null | str, "last": int, "language": "fr" | "en", "notice": version seen | null}     first
    {"type": "say", "id": str, "text": str}                the id is the client's, and the same when it is sent again
    {"type": "choose", "id": str, "payload": str, "text": str}                                     a button pressed
    {"type": "end"}

Frames of the server:

    {"type": "welcome", "token", "resumed": bool, "conversation": reference to quote,
     "assistant": {"name", "languages", "speak": {language: payload that asks for it}, "menu": [{"title", "payload"}] to begin with},
     "notice": {"version", "paragraphs": [str], "url"}}
    {"type": "accepted", "id"}                             stored; whatever was not accepted may be sent again
    {"type": "typing"}
    {"type": "reply", "number": int, "speaker": "assistant" | "agent", "text", "buttons": [{"title", "payload"}],
     "links": [{"title", "url"}]}
    {"type": "said", "number": int, "id", "text"}          an own earlier message, when resuming
    {"type": "notice", "text", "id": of a message that was not kept, or absent}     a polite line: too fast, too busy
    {"type": "error", "code", "text", "id": of what it is about, or absent}
    {"type": "closed", "reason": "ended" | "erased" | "stopping": connect again}                                   last

`last` is the highest number that the client has; what came after it is sent again, at most `replay_max` of it. Numbers grow and
have gaps. Without WebSocket: `POST /chat/stream` with the hello as body answers `text/event-stream`, one frame a `data:` line, the
welcome first; `POST /chat/send` with `Authorization: Bearer TOKEN` and a say, choose or end as body answers one frame. A token is
replaced at each hello; the one before it works until the new one has been used.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.assistant import Assistant
from bot.channels import notice
from bot.channels.channel import Incoming, Outcome
from bot.channels.web_frames import LINES, TYPING, Frame, accepted, error, parse, read_message, welcome
from bot.channels.web_line import Line
from bot.gateway.gateway import Gateway
from bot.gateway.spoken import offset_of
from bot.gateway.token import Tokens
from vault.errors import VaultError

HELLO_S = 10
"""How long a socket may be silent before it says hello."""
PING_S = 15
"""How often a stream that has nothing to say says so, for whatever stands between."""
REFUSED_MAX = 100
"""Messages refused in a row, after which the connection ends."""
BEGUN_MAX = 50_000

_STATUS = {"busy": 503, "too_fast": 429, "origin": 403, "form": 400, "token": 401, "content_type": 415}


class Web:
    """The adapter. `origins`: where our pages are, as a browser writes it."""

    name = "web"

    def __init__(self, gateway: Gateway, assistant: Assistant, tokens: Tokens, *, origins: Collection[str]) -> None:
        self._gateway = gateway
        self._assistant = assistant
        self._tokens = tokens
        self._origins = frozenset(origins)
        self._lines: dict[UUID, list[Line]] = {}
        self._begun: OrderedDict[UUID, int] = OrderedDict()
        """Where the first message of a subject stands, so that whoever comes back is read back from there."""

    def routes(self) -> Sequence[BaseRoute]:
        return [
            WebSocketRoute("/chat/socket", self._socket),
            Route("/chat/stream", self._stream, methods=["POST"]),
            Route("/chat/send", self._send, methods=["POST"]),
        ]

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        for lines in list(self._lines.values()):
            for line in lines:
                line.end("stopping")

    # The three ways in

    async def _socket(self, socket: WebSocket) -> None:
        if socket.headers.get("origin") not in self._origins:
            await socket.close(1008)
            return
        await socket.accept()
        line = Line(self._gateway, self._tokens.end, socket=socket)
        try:
            async with asyncio.timeout(HELLO_S):
                hello = parse(await _text(socket))
            if hello is None or hello.get("type") != "hello":
                line.put(error("form", notice.spoken(self._assistant, None)))
                line.end("ended")
                return
            await self._begin(line, hello)
            while line.refused <= REFUSED_MAX:
                frame, last = parse(await _text(socket)), line.last
                said, new = await self._heard(line.conversation, frame, line)
                line.put(said)
                if new and line.last == last:
                    line.put(TYPING)
            line.end("stopping")
        except (WebSocketDisconnect, TimeoutError):
            pass
        finally:
            self._gone(line)
            await line.closed()

    async def _stream(self, request: Request) -> Response:
        try:
            hello = await self._body(request)
        except _NotHeard as refused:
            return refused.response()
        if hello.get("type") != "hello":
            return _NotHeard("form").response()
        line = Line(self._gateway, self._tokens.end)

        async def frames() -> AsyncIterator[str]:
            try:
                await self._begin(line, hello)
                async for text in line.frames(PING_S):
                    yield f"data: {text}\n\n" if text else ": \n\n"
            finally:
                self._gone(line)

        return StreamingResponse(
            frames(), media_type="text/event-stream", headers={"x-accel-buffering": "no", "cache-control": "no-store"}
        )

    async def _send(self, request: Request) -> Response:
        try:
            frame = await self._body(request)
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            conversation = self._tokens.use(token.strip())
            if scheme.lower() != "bearer" or not isinstance(conversation, UUID):
                raise _NotHeard("token")
        except _NotHeard as refused:
            return refused.response()
        lines = self._lines.get(conversation, [])
        said, new = await self._heard(conversation, frame, lines[0] if lines else None)
        for line in lines if new else ():
            line.put(TYPING)
        return JSONResponse(said, 503 if said["type"] == "notice" and "id" not in said else 200)

    async def _body(self, request: Request) -> Frame:
        if request.headers.get("origin") not in self._origins:
            raise _NotHeard("origin")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise _NotHeard("content_type")
        frame = parse(await request.body())
        if frame is None:
            raise _NotHeard("form")
        return frame

    # A conversation

    async def _begin(self, line: Line, hello: Frame) -> None:
        """Welcomes, and shows again what the client has not got. Whoever has no token that works begins a new conversation."""
        token, last = hello.get("token"), hello.get("last")
        used = self._tokens.use(token) if isinstance(token, str) else None
        resumed = isinstance(used, UUID)
        if isinstance(used, UUID):
            line.conversation, token = used, self._tokens.issue(used)
        else:
            line.conversation, token = self._tokens.new()
        line.language = notice.spoken(self._assistant, hello.get("language"))
        line.last = last if resumed and type(last) is int and 0 <= last < 1 << 53 else 0
        line.put(welcome(self._assistant, line.language, token, line.conversation, resumed=resumed))
        self._lines.setdefault(line.conversation, []).append(line)
        if not resumed:
            return
        try:
            subject = await self._gateway.find(self.name, str(line.conversation))
            # A number of another log, or of who was erased since, would keep what is new from being heard.
            if subject is None or line.last >= self._gateway.ends_at(subject):
                line.last = 0
            if subject is not None:
                line.subject = subject
                since = offset_of(line.last) if line.last else self._begun.get(subject, 0)
                await self._gateway.replay(subject, line, since, line.show)
        except VaultError:
            line.put({"type": "notice", "text": LINES[line.language]["busy"]})
            line.end("stopping")

    async def _heard(self, conversation: UUID, frame: Frame | None, line: Line | None) -> tuple[Frame, bool]:
        """What is answered to a frame that came in, and whether it said something new."""
        language = line.language if line else notice.spoken(self._assistant, None)
        kind = frame.get("type") if frame else None
        if frame is not None and kind == "end":
            self._tokens.end(conversation)
            for each in list(self._lines.get(conversation, ())):
                each.end("ended")
            return {"type": "closed", "reason": "ended"}, False
        if frame is None or kind not in ("say", "choose"):
            if line is not None:
                line.refused += 1
            return error("form" if frame is None or not isinstance(kind, str) else "unknown", language), False
        message = read_message(frame)
        if message is None:
            return error("form", language, frame.get("id")), False
        message_id, text, payload = message
        new = line is not None and line.subject is None
        taken = await self._gateway.receive(
            Incoming(
                channel=self.name,
                account=self._assistant.name,
                sender=str(conversation),
                message_id=message_id,
                text=text,
                payload=payload,
                language=language,
                notice=self._assistant.notice.version if self.name in self._assistant.notice.shown_by else "",
            ),
            line if new else None,
        )
        if taken.receipt is not None and taken.outcome in (Outcome.TAKEN, Outcome.REPEATED):
            if new and line is not None:
                line.subject = taken.receipt.subject
            await self._join(conversation, taken.receipt.subject, taken.receipt.since)
            if line is not None:
                line.refused, line.warned = 0, False
            return accepted(message_id), taken.outcome is Outcome.TAKEN
        return self._refused(taken.outcome, message_id, language, line), False

    async def _join(self, conversation: UUID, subject: UUID, since: int) -> None:
        """Lets every line of the conversation hear what is answered."""
        if subject not in self._begun:
            self._begun[subject] = since
            if len(self._begun) > BEGUN_MAX:
                self._begun.popitem(last=False)
        for line in self._lines.get(conversation, ()):
            if line.subject is None:
                line.subject = subject
                await self._gateway.listen(subject, line, since)

    def _refused(self, outcome: Outcome, message_id: str, language: str, line: Line | None) -> Frame:
        if outcome is Outcome.BUSY:  # without the id: the client keeps the message, and sends it again
            return {"type": "notice", "text": LINES[language]["busy"]}
        if line is not None:
            line.refused += 1
        if outcome is Outcome.TOO_FAST and not (line is not None and line.warned):
            if line is not None:
                line.warned = True
            return {"type": "notice", "id": message_id, "text": LINES[language]["too_fast"]}
        return error(outcome.value, language, message_id)

    def _gone(self, line: Line) -> None:
        held = [each for each in self._lines.get(line.conversation, ()) if each is not line]
        if held:
            self._lines[line.conversation] = held
        else:
            self._lines.pop(line.conversation, None)
        line.leave()


class _NotHeard(Exception):
    """A request that is answered with an error frame."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    def response(self) -> Response:
        return JSONResponse(error(self.code, "en"), _STATUS[self.code])


async def _text(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text: str | None = message.get("text")
    return b"" if text is None else text
