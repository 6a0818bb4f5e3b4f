"""Tokens of conversations: they say which conversation a browser has, and nothing else; nothing about them is stored.

Layout, as base64url without padding: version (1 byte, 0x01) ‖ conversation (16) ‖ issued, microseconds UTC (8, big-endian) ‖
HMAC-SHA256 over these 25 bytes, its first 26, so that every bit of the text has a meaning. The MAC's key is the home's, so a token works
on no other and survives a restart.

A token is replaced at each resumption. The one before keeps working until the new one has been used, since the new one may have been
lost on the way; who uses it after that has an old copy, and is refused. Which token was used last is remembered for the latest
`REMEMBERED_MAX` conversations of this process; beyond that, and across a restart, the time of expiry bounds an old copy.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from uuid import UUID

from vault.registrar import now_us

REMEMBERED_MAX = 100_000
HOUR_US = 3_600_000_000
_VERSION = b"\x01"
_HEAD, _MAC = 25, 26
_ENDED = 1 << 64
_TEXT_MAX = 128


class Refused(Enum):
    """Why a token is none: not made by this home (or changed), too old, or replaced by one that has been used since."""

    FOREIGN = "foreign"
    EXPIRED = "expired"
    REPLACED = "replaced"


class Tokens:
    """Belongs to one event loop."""

    def __init__(self, secret: bytes, *, hours: int, clock: Callable[[], int] = now_us) -> None:
        self._secret = secret
        self._lives_us = hours * HOUR_US
        self._clock = clock
        self._used: OrderedDict[bytes, int] = OrderedDict()

    def new(self) -> tuple[UUID, str]:
        """A conversation that nobody had, and its first token."""
        conversation = UUID(bytes=secrets.token_bytes(16), version=4)
        return conversation, self.issue(conversation)

    def issue(self, conversation: UUID) -> str:
        """A token later than every one that was used."""
        at_us = max(self._clock(), self._used.get(conversation.bytes, 0) + 1)
        head = _VERSION + conversation.bytes + at_us.to_bytes(8, "big")
        return base64.urlsafe_b64encode(head + self._mac(head)).rstrip(b"=").decode()

    def use(self, token: str) -> UUID | Refused:
        """The conversation of a token; those that were issued before it stop working."""
        try:
            if len(token) > _TEXT_MAX:
                return Refused.FOREIGN
            held = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return Refused.FOREIGN
        head, mac = held[:_HEAD], held[_HEAD:]
        if len(head) < _HEAD or head[:1] != _VERSION or not hmac.compare_digest(mac, self._mac(head)):
            return Refused.FOREIGN
        conversation, issued_us = head[1:17], int.from_bytes(head[17:], "big")
        if self._clock() - issued_us > self._lives_us:
            return Refused.EXPIRED
        if issued_us < self._used.get(conversation, 0):
            return Refused.REPLACED
        self._remember(conversation, issued_us)
        return UUID(bytes=conversation)

    def end(self, conversation: UUID) -> None:
        """No token of the conversation works any more."""
        self._remember(conversation.bytes, _ENDED)

    def _remember(self, conversation: bytes, issued_us: int) -> None:
        self._used[conversation] = issued_us
        self._used.move_to_end(conversation)
        if len(self._used) > REMEMBERED_MAX:
            self._used.popitem(last=False)

    def _mac(self, head: bytes) -> bytes:
        return hmac.digest(self._secret, b"parloir conversation token" + head, "sha256")[:_MAC]
