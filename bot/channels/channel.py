"""What a channel's adapter is, and what it gets from the gateway. Whoever writes another one needs this file only.

An adapter is one class. It says under which name the channel is declared in the assistant's file (there stands who intercepts and
stores what passes through it, and in which country) and by which routes its messages come in. From there:

1. It makes an `Incoming` of what the platform sent: the platform's own ids of sender and message, and the words.
2. It gives that to `Gateway.receive` and acknowledges to the platform by what comes back: only `TAKEN` and `REPEATED` are stored.
3. It gives a `Listener` along, or attaches one by `Gateway.listen`. That is told, in order, what is said to the person: the answer,
   what follows when a call has returned, an agent's words. When the platform has taken it, it calls `Gateway.delivered`.

Everything here happens in the event loop of the gateway; nothing an adapter does may block it. What it must hold to is tested, for
every adapter alike, by `tests/contracts/test_channels.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from starlette.routing import BaseRoute

from vault.intake import Receipt


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came in.

    `account`: which of the channel's accounts was written to, or who wrote in its name. `sender` and `message_id` are the channel's
    own. `payload`: what a pressed button sends back. `language`: the tag that the channel gave. `notice`: the version of the notice
    that the person saw before writing, where the channel shows it itself.
    """

    channel: str
    account: str
    sender: str
    message_id: str
    text: str
    payload: str | None = None
    language: str | None = None
    notice: str = ""


class Outcome(Enum):
    """What became of a message. Stored are `TAKEN` and `REPEATED` (it was stored before); of the others nothing is kept."""

    TAKEN = "taken"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    """Another message was stored under the same id."""
    GONE = "gone"
    """It was stored before, and cannot be read any more: its person was erased, or restricted."""
    TOO_FAST = "too_fast"
    TOO_LONG = "too_long"
    UNREADABLE = "unreadable"
    """Holds half a character, or nothing at all."""
    BUSY = "busy"
    """The log, the keys or the queue have no room now; the same message may be sent again."""


class Taken(NamedTuple):
    """`receipt` where it is stored. `retry_after_s` where it may be sent again."""

    outcome: Outcome
    receipt: Receipt | None = None
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something said to a person, as the log accepted it.

    `number` grows within a conversation; that of the n-th reply is `number + n`. `id` is of the interaction, or of the message that
    was sent outside a turn; `interaction` what it belongs to. `replies` are items as in `Answered`. `step` is that of the wish to
    deliver. `waits`: a call is out, and more of the same interaction will follow. `notice`: the notice's version, where it is told by
    one of the replies, and `notice_language`. `delivered`: that is on record already.
    """

    number: int
    id: UUID
    interaction: UUID
    subject: UUID
    channel: str
    by_agent: bool
    replies: Sequence[Mapping[str, Any]]
    step: int = 0
    waits: bool = False
    notice: str = ""
    notice_language: str = ""
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """Something the person said, for who shows a conversation again. `id` is the channel's own."""

    number: int
    id: str
    text: str


class Listener(Protocol):
    """Whoever waits for what is said to one person. Called in the event loop, in order; must not block and must not raise."""

    def heard(self, spoken: Spoken) -> None: ...

    def erased(self) -> None:
        """The person was erased: nothing more will come, and nothing of them may be kept."""


class Channel(Protocol):
    """An adapter. `open` is called in the event loop before the first request; `close` when the gateway stops, and whoever is connected
    is to be told."""

    name: str

    def routes(self) -> Sequence[BaseRoute]: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...
