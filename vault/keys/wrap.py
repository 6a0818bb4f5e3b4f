"""How keys and index entries are wrapped: AES-256-GCM under the KEK of a purpose and an epoch.

Bytes, version 1 (integers big-endian):

    wrapped            nonce, random (12) ‖ AES-256-GCM ciphertext with its tag (n + 16)
    associated data    place ‖ epoch (4)

    place of
      a grant          "parloir grant 1" ‖ key id (32) ‖ owner (16) ‖ purpose, UTF-8     plain: the DEK (32)
      an identity      "parloir identity 1" ‖ entry (16) ‖ keyed subject (16)            plain: vault/keys/identity.py
      a tie            "parloir tie 1" ‖ keyed subject (16) ‖ keyed case (16)            plain: subject (16) ‖ case (16)
      a mention        "parloir mention 1" ‖ entry (16) ‖ keyed message (16) ‖ keyed subject (16)     plain: as a tie's
      a note           "parloir note 1" ‖ number (8) ‖ kind, UTF-8                       plain: JSON, UTF-8

So wrapped bytes open only in the row they were made for: not for another key id, person, purpose or epoch. A DEK that comes out
must also hash to its key id (`vault.seal.commitment`), which a ciphertext that opens under two keys could not do twice.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import KeyTampered
from vault.keys.kek import KekDirectory
from vault.seal import NONCE_SIZE, Dek, commitment

DEK_SIZE = 32


def grant_place(key_id: bytes, owner: bytes, purpose: str) -> bytes:
    return b"parloir grant 1" + key_id + owner + purpose.encode()


def identity_place(entry: bytes, keyed_subject: bytes) -> bytes:
    return b"parloir identity 1" + entry + keyed_subject


def tie_place(keyed_subject: bytes, keyed_case: bytes) -> bytes:
    return b"parloir tie 1" + keyed_subject + keyed_case


def mention_place(entry: bytes, keyed_message: bytes, keyed_subject: bytes) -> bytes:
    return b"parloir mention 1" + entry + keyed_message + keyed_subject


def note_place(number: int, kind: str) -> bytes:
    return b"parloir note 1" + number.to_bytes(8, "big") + kind.encode()


def wrap(
    keks: KekDirectory,
    purpose: str,
    epoch: int,
    place: bytes,
    plain: bytes,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """`plain`, wrapped for its place. Raises `KeyWithheld` when the process lacks the purpose.

    `random` makes the nonce; only a test vector gives another source than the system's, since a nonce used twice opens both.
    """
    nonce = random(NONCE_SIZE)
    return nonce + keks.kek(purpose, epoch).encrypt(nonce, plain, place + epoch.to_bytes(4, "big"))


def unwrap(keks: KekDirectory, purpose: str, epoch: int, place: bytes, wrapped: bytes) -> bytes:
    """What was wrapped for this place. Raises `KeyTampered` when it was not."""
    try:
        return keks.kek(purpose, epoch).decrypt(
            wrapped[:NONCE_SIZE], wrapped[NONCE_SIZE:], place + epoch.to_bytes(4, "big")
        )
    except (InvalidTag, ValueError):
        raise KeyTampered(
            f"a row under purpose {purpose}, epoch {epoch}, does not open as it was wrapped", remedy=REMEDY
        ) from None


def unwrap_dek(keks: KekDirectory, key_id: bytes, owner: bytes, purpose: str, epoch: int, wrapped: bytes) -> bytes:
    """The bytes of a DEK out of a grant. Raises `KeyTampered` when it does not open or is not the DEK its id commits to."""
    try:
        material = unwrap(keks, purpose, epoch, grant_place(key_id, owner, purpose), wrapped)
    except KeyTampered:
        raise KeyTampered(f"the {purpose} grant of key {key_id.hex()} does not open", remedy=REMEDY) from None
    if commitment(material) != key_id:
        raise KeyTampered(f"what the {purpose} grant of key {key_id.hex()} holds is another key", remedy=REMEDY)
    return material


def open_dek(keks: KekDirectory, key_id: bytes, owner: UUID, purpose: str, epoch: int, wrapped: bytes) -> Dek:
    """The same, ready to seal and open with."""
    return Dek(unwrap_dek(keks, key_id, owner.bytes, purpose, epoch, wrapped))


class Rewrapping:
    """Rewraps many rows under another epoch: `unwrap` and `wrap` in one, for there may be millions."""

    def __init__(self, keks: KekDirectory, epoch: int) -> None:
        self._keks = keks
        self._epoch = epoch
        self._held: dict[tuple[str, int], tuple[AESGCM, bytes]] = {}
        self._nonces: Iterator[tuple[bytes]] = iter(())

    def __call__(self, purpose: str, epoch: int, place: bytes, wrapped: bytes, key_id: bytes | None = None) -> bytes:
        """Raises `KeyTampered` when the row does not open, or does not hold the DEK of `key_id`."""
        aead, bound = self._held.get((purpose, epoch)) or self._hold(purpose, epoch)
        try:
            plain = aead.decrypt(wrapped[:NONCE_SIZE], wrapped[NONCE_SIZE:], place + bound)
        except (InvalidTag, ValueError):
            plain = None
        if plain is None or (key_id is not None and commitment(plain) != key_id):
            name = "" if key_id is None else f" of key {key_id.hex()}"
            raise KeyTampered(
                f"a row{name} under purpose {purpose}, epoch {epoch}, does not open as it was wrapped", remedy=REMEDY
            )
        aead, bound = self._held.get((purpose, self._epoch)) or self._hold(purpose, self._epoch)
        (nonce,) = next(self._nonces, None) or self._more_nonces()
        return nonce + aead.encrypt(nonce, plain, place + bound)

    def _hold(self, purpose: str, epoch: int) -> tuple[AESGCM, bytes]:
        held = self._held[purpose, epoch] = self._keks.kek(purpose, epoch), epoch.to_bytes(4, "big")
        return held

    def _more_nonces(self) -> tuple[bytes]:
        self._nonces = struct.iter_unpack(f"{NONCE_SIZE}s", os.urandom(NONCE_SIZE * 1_000))
        nonce: tuple[bytes] = next(self._nonces)
        return nonce


REMEDY = "restore the key store from a backup, and find out who changed it"
