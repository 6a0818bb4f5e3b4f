"""Keyed hashes: how people, cases and messages are found without their names standing anywhere.

BLAKE2b of 16 bytes, keyed with the vault's index secret (RFC 7693), personalised with what the hash is for, over parts written as
netstrings (length in decimal digits, `:`, the bytes). So no two different things are ever the same bytes, and no hash serves in
another's place. Without the secret, which is in the KEK folder, nobody can recompute or test a guess.
"""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from vault.errors import BadInput
from vault.ids import uuid_of

SIZE = 16
CHANNEL_BYTES_MAX = 255
EXTERNAL_ID_BYTES_MAX = 1_024


class KeyedIndex:
    """The keyed hashes of one vault."""

    def __init__(self, secret: bytes) -> None:
        def keyed(purpose: bytes) -> Any:
            return hashlib.blake2b(key=secret, digest_size=SIZE, person=purpose)

        self._entry, self._subject, self._case = keyed(b"entry 1"), keyed(b"subject 1"), keyed(b"case 1")
        self._claim, self._interaction, self._check = keyed(b"claim 1"), keyed(b"interaction 1"), keyed(b"check 1")
        self._mention, self._message = keyed(b"mention 1"), keyed(b"message 1")

    def entry(self, channel: str, external_id: str) -> bytes:
        """Of an identity: how a channel knows a person. Raises `BadInput` for a name that is too long."""
        parts = (channel.encode(), external_id.encode())
        if len(parts[0]) > CHANNEL_BYTES_MAX or len(parts[1]) > EXTERNAL_ID_BYTES_MAX:
            raise BadInput(
                f"a channel's name is longer than {CHANNEL_BYTES_MAX} bytes or an external id longer than {EXTERNAL_ID_BYTES_MAX}",
                remedy="check the channel's adapter",
            )
        return _hash(self._entry, *parts)

    def subject(self, subject: UUID) -> bytes:
        return _hash(self._subject, subject.bytes)

    def case(self, case: UUID) -> bytes:
        return _hash(self._case, case.bytes)

    def claim(self, channel: str, account: str, sender: str, message_id: str) -> bytes:
        """Of a message, whoever its sender is by now."""
        return _hash(self._claim, channel.encode(), account.encode(), sender.encode(), message_id.encode())

    def interaction(self, claim: bytes, subject: UUID) -> UUID:
        """Of a message, by the hash that claims it, of this person: another person under the same name never gets the same."""
        return uuid_of(_hash(self._interaction, claim, subject.bytes))

    def mention(self, kind: str, value: str) -> bytes:
        """Of an e-mail address or a telephone number that somebody typed, in its normal form; any text at all has a hash."""
        return _hash(self._mention, kind.encode(), value.encode("utf-8", "surrogatepass"))

    def message(self, originator: UUID) -> bytes:
        """Of a message, where it must not be seen which one it is."""
        return _hash(self._message, originator.bytes)

    def check(self) -> str:
        """Tells this secret from any other without telling what it is."""
        return _hash(self._check).hex()


def _hash(keyed: Any, *parts: bytes) -> bytes:
    running = keyed.copy()
    running.update(b"".join([b"%d:%b" % (len(part), part) for part in parts]))
    digest: bytes = running.digest()
    return digest
