"""One browser's connection: what it is to be told waits in a short queue, and what went out is recorded as delivered."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from starlette.websockets import WebSocket

from bot.channels.channel import Said, Spoken
from bot.channels.web_frames import TYPING, Frame, dumped, replies
from bot.gateway.delivery import History
from bot.gateway.gateway import Gateway

WAITING_MAX = 512
"""Frames that wait for a browser which does not read; beyond that it is cut off, and gets them when it resumes."""
NOBODY = UUID(int=0)


class Line:
    """A listener that writes frames. Over a socket they are sent as they come; else whoever streams takes them from `frames`.

    `last`: the highest number that the client has. `subject`: who it is, once something was said. `refused`: messages refused in a
    row. `warned`: the polite line was said.
    """

    def __init__(self, gateway: Gateway, on_erased: Callable[[UUID], None], *, socket: WebSocket | None = None) -> None:
        self.conversation = NOBODY
        self.language = ""
        self.subject: UUID | None = None
        self.last = 0
        self.refused = 0
        self.warned = False
        self._gateway = gateway
        self._on_erased = on_erased
        self._socket = socket
        self._waiting: deque[tuple[str, Spoken | None]] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._something: asyncio.Event | None = None if socket else asyncio.Event()
        self._over = False

    # What is to be told

    def put(self, frame: Frame, of: Spoken | None = None) -> None:
        """`of`: what is delivered when this frame has gone out."""
        if self._over:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.clear()
            self.leave()
            frame, of, self._over = {"type": "closed", "reason": "stopping"}, None, True
        self._waiting.append((dumped(frame), of))
        self._wake()

    def _wake(self) -> None:
        if self._something is not None:
            self._something.set()
        elif self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    def heard(self, spoken: Spoken) -> None:
        if spoken.number + len(spoken.replies) - 1 > self.last or not spoken.replies:
            self._tell(spoken)

    def _tell(self, spoken: Spoken) -> None:
        frames = replies(spoken, self.last)
        for place, frame in enumerate(frames, 1):
            self.put(frame, spoken if place == len(frames) else None)
            self.last = frame["number"]
        if spoken.waits:
            self.put(TYPING)

    def show(self, history: History) -> None:
        """What was said before, as much as the client has not got."""
        items = [each for each in history.items if _end(each) > self.last]
        for item in items[-self._gateway.limits.replay_max :]:
            if isinstance(item, Said):
                self.put({"type": "said", "number": item.number, "id": item.id, "text": item.text})
                self.last = item.number
            else:
                self._tell(item)

    def erased(self) -> None:
        self._on_erased(self.conversation)
        self.end("erased")

    def end(self, reason: str) -> None:
        """The last frame; after it the connection is closed."""
        self.put({"type": "closed", "reason": reason})
        self._over = True

    def leave(self) -> None:
        """Hears nothing any more."""
        if self.subject is not None:
            self._gateway.leave(self.subject, self)

    # The ways out

    async def _send(self) -> None:
        assert self._socket is not None
        try:
            while self._waiting:
                text, of = self._waiting.popleft()
                await self._socket.send_text(text)
                self._went(of)
            if self._over:
                await self._socket.close()
        except Exception:  # whatever the server raises when the browser has gone; the rest is told when it resumes
            self._waiting.clear()
        finally:
            self._sending = None

    async def frames(self, ping_s: float) -> AsyncIterator[str]:
        """Each frame, when it is there; "" when there was none for so long."""
        assert self._something is not None
        while True:
            while self._waiting:
                text, of = self._waiting.popleft()
                yield text
                self._went(of)
            if self._over:
                return
            self._something.clear()
            text = ""
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._something.wait(), ping_s)
            if not self._waiting:
                yield text

    def _went(self, of: Spoken | None) -> None:
        if of is not None:
            self._gateway.delivered(of)

    async def closed(self) -> None:
        """Waits for what is being sent."""
        if self._sending is not None:
            with contextlib.suppress(Exception):
                await self._sending


def _end(item: Said | Spoken) -> int:
    return item.number + (max(len(item.replies) - 1, 0) if isinstance(item, Spoken) else 0)
