"""Keyed hashes: how people, cases and messages are found without their names standing anywhere.

HMAC-SHA-256 under the vault's index secret, cut to 16 bytes, over parts written as netstrings (length in decimal digits, `:`, the
bytes). The first part is what the hash is for; so no two different things are ever the same bytes, and no hash serves in another's
place. Without the secret, which is in the KEK folder, nobody can recompute or test a guess.
"""

from __future__ import annotations

import hmac
from uuid import UUID

from vault.errors import BadInput

SIZE = 16
CHANNEL_BYTES_MAX = 255
EXTERNAL_ID_BYTES_MAX = 1_024


class KeyedIndex:
    """The keyed hashes of one vault."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def entry(self, channel: str, external_id: str) -> bytes:
        """Of an identity: how a channel knows a person. Raises `BadInput` for a name that is too long."""
        parts = (channel.encode(), external_id.encode())
        if len(parts[0]) > CHANNEL_BYTES_MAX or len(parts[1]) > EXTERNAL_ID_BYTES_MAX:
            raise BadInput(
                f"a channel's name is longer than {CHANNEL_BYTES_MAX} bytes or an external id longer than {EXTERNAL_ID_BYTES_MAX}",
                remedy="check the channel's adapter",
            )
        return self._hash(b"parloir entry 1", *parts)

    def subject(self, subject: UUID) -> bytes:
        return self._hash(b"parloir subject 1", subject.bytes)

    def case(self, case: UUID) -> bytes:
        return self._hash(b"parloir case 1", case.bytes)

    def claim(self, channel: str, account: str, sender: str, message_id: str) -> bytes:
        """Of a message, whoever its sender is by now."""
        return self._hash(b"parloir claim 1", channel.encode(), account.encode(), sender.encode(), message_id.encode())

    def interaction(self, claim: bytes, subject: UUID) -> UUID:
        """Of a message, by the hash that claims it, of this person: another person under the same name never gets the same."""
        return UUID(bytes=self._hash(b"parloir interaction 1", claim, subject.bytes))

    def check(self) -> str:
        """Tells this secret from any other without telling what it is."""
        return self._hash(b"parloir check 1").hex()

    def _hash(self, *parts: bytes) -> bytes:
        return hmac.digest(self._secret, b"".join([b"%d:%b" % (len(part), part) for part in parts]), "sha256")[:SIZE]
