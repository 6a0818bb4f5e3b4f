"""Models that were trained on people, as they lie on the disk: sealed, with the events that went into them.

    magic         "parloir sealed model 1" and a line feed (23 bytes)
    model         id of the model, random (16)
    key id        of the DEK that seals it (32)
    nonce         random (12)
    ciphertext    AES-256-GCM of: length of the lineage (8, big-endian) ‖ lineage ‖ model file (nlu/model_file.py)
    tag           (16)

Bound to the ciphertext: all that stands before the nonce. The lineage is a JSON list, sorted, one list a message: partition, offset and
originator of what was received, subject, key id, microseconds since the epoch (UTC). The DEK is wrapped for the purpose `improvement`
alone, so a process without it cannot load the model; what vault/keys/models.py destroys, no copy of the file brings back.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag

from vault.errors import StartRefused
from vault.ids import KeyId
from vault.keys import IMPROVEMENT, ModelStanding, Source, Unreadable
from vault.seal import KEY_ID_SIZE, NONCE_SIZE, Dek

MAGIC = b"parloir sealed model 1\n"
DAY_US = 86_400_000_000
AGAIN = "train another with `parloir train FOLDER --from-log`"

_MODEL_AT = len(MAGIC)
_KEY_AT = _MODEL_AT + 16
_NONCE_AT = _KEY_AT + KEY_ID_SIZE
_SEALED_AT = _NONCE_AT + NONCE_SIZE
_LENGTH_SIZE = 8


class Learnt(NamedTuple):
    """A message that a model learnt from: where it stands in the log, and what says whether it may still be learnt from."""

    partition: int
    offset: int
    source: Source


class ModelKeys(Protocol):
    """Where the keys of models are asked for."""

    def granted(self, key_id: KeyId, owner: UUID, purpose: str) -> Dek | Unreadable: ...

    def model(self, model: UUID) -> ModelStanding | None: ...


class Unsealed(NamedTuple):
    """What a sealed file holds."""

    model: UUID
    lineage: tuple[Learnt, ...]
    file: bytes


class Seals:
    """Opens the sealed models of one home, as its key store has them now. `now_us`: microseconds since the epoch."""

    def __init__(
        self, keys: ModelKeys, *, stale_model_days: int, now_us: Callable[[], int] = lambda: time.time_ns() // 1_000
    ) -> None:
        self._keys = keys
        self._stale_us = stale_model_days * DAY_US
        self._now_us = now_us

    def out_of_service_us(self, standing: ModelStanding) -> int | None:
        """When a model may not be used any more; None for one that nobody left."""
        return None if standing.stale_us is None else standing.stale_us + self._stale_us

    def check(self, model: UUID) -> None:
        """Raises `StartRefused` for a model that must not answer any more, or that this home never made."""
        standing = self._keys.model(model)
        if standing is None:
            raise StartRefused(
                f"model {model} is none that this home has a key of: it was made elsewhere, or its time was over",
                remedy=AGAIN,
            )
        ends_us = self.out_of_service_us(standing)
        if ends_us is not None and self._now_us() >= ends_us:
            raise StartRefused(
                f"model {model} is out of service: somebody it learnt from does not agree any more", remedy=AGAIN
            )

    def open(self, data: bytes, path: Path) -> Unsealed:
        """Raises `StartRefused` for what does not open, or must not be used any more."""
        model, key_id = UUID(bytes=data[_MODEL_AT:_KEY_AT].ljust(16, b"\0")), KeyId(data[_KEY_AT:_NONCE_AT])
        self.check(model)
        dek = self._keys.granted(key_id, model, IMPROVEMENT)
        if isinstance(dek, Unreadable):
            raise StartRefused(
                f"{path} was trained on people and does not open here: {dek.value}",
                remedy="load it in a process of its home that holds the purpose improvement",
            )
        try:
            plain = dek.aead.decrypt(data[_NONCE_AT:_SEALED_AT], data[_SEALED_AT:], data[:_NONCE_AT])
            end = _LENGTH_SIZE + int.from_bytes(plain[:_LENGTH_SIZE], "big")
            return Unsealed(model, _lineage(plain[_LENGTH_SIZE:end]), plain[end:])
        except (InvalidTag, ValueError, TypeError):
            raise StartRefused(f"{path} is damaged: it does not open as it was sealed", remedy=AGAIN) from None


def is_sealed(start: bytes) -> bool:
    """Whether a file that begins so is a sealed model."""
    return start.startswith(MAGIC)


def model_of(path: Path) -> UUID | None:
    """Which sealed model a file is; None where there is none, or one that is not sealed."""
    try:
        with path.open("rb") as file:
            start = file.read(_KEY_AT)
    except OSError:
        return None
    return UUID(bytes=start[_MODEL_AT:]) if is_sealed(start) and len(start) == _KEY_AT else None


def seal_model(
    file: bytes, lineage: Iterable[Learnt], model: UUID, dek: Dek, random: Callable[[int], bytes] = os.urandom
) -> bytes:
    """The sealed file. `random` makes the nonce; only a test gives another source than the system's."""
    listed = [
        [one.partition, one.offset, s.originator.hex, s.subject.hex, s.key_id.hex(), s.at_us]
        for one in sorted(lineage)
        for s in (one.source,)
    ]
    told = json.dumps(listed, separators=(",", ":")).encode()
    head = MAGIC + model.bytes + dek.key_id
    nonce = random(NONCE_SIZE)
    return head + nonce + dek.aead.encrypt(nonce, len(told).to_bytes(_LENGTH_SIZE, "big") + told + file, head)


def _lineage(told: bytes) -> tuple[Learnt, ...]:
    return tuple(
        Learnt(partition, offset, Source(UUID(subject), UUID(originator), KeyId(bytes.fromhex(key_id)), at_us))
        for partition, offset, originator, subject, key_id, at_us in json.loads(told)
    )
