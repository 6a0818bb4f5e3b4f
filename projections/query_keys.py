"""The keys that one query may use: each asked for once, as the key store has it now, and how often each opened something."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from projections.vectors import Numbers
from vault.errors import BadInput, KeyTampered
from vault.ids import KeyId, uuid_of
from vault.keys import IMPROVEMENT
from vault.keys.model import Unreadable
from vault.seal import Dek

WITHHELD = -1
KEYS_MAX = 200_000
"""Keys that one query may use, and as many that it may not have are remembered, so that each is asked for once."""

_ID = 16


class Grants(Protocol):
    """Where keys are asked for."""

    def granted(self, key_id: KeyId, owner: UUID, purpose: str) -> Dek | Unreadable:
        """The DEK as of now, through a grant for `purpose` only."""


class QueryKeys(dict[bytes, int]):
    """By person (16 bytes) and key id (32), a code: `WITHHELD`, or the number of the key."""

    def __init__(self, grants: Grants, persons_max: int) -> None:
        super().__init__()
        self._aeads: list[AESGCM] = []
        self._by_code = np.empty(0, object)
        self._owners: list[bytes] = []
        self._persons: set[bytes] = set()
        self._counts = np.zeros(1_024, np.int64)
        self._grants = grants
        self._persons_max = persons_max

    def __missing__(self, key: bytes) -> int:
        try:
            found = self._grants.granted(KeyId(key[_ID:]), uuid_of(key[:_ID]), IMPROVEMENT)
        except KeyTampered:  # `parloir verify` says so; here it is a row like any other that does not open
            found = Unreadable.MISSING
        code = WITHHELD if isinstance(found, Unreadable) else self._add(key[:_ID], found)
        if len(self) - len(self._aeads) > KEYS_MAX:
            for withheld in [known for known, place in self.items() if place == WITHHELD]:
                del self[withheld]
        self[key] = code
        return code

    def _add(self, owner: bytes, dek: Dek) -> int:
        self._persons.add(owner)
        if len(self._persons) > self._persons_max:
            raise BadInput(
                f"the query reveals words of more than reveal_persons_max ({self._persons_max:,}) persons",
                remedy="narrow it, or raise the limit",
            )
        code = len(self._aeads)
        if code == KEYS_MAX:
            raise BadInput(
                f"the query needs more than {KEYS_MAX:,} keys", remedy="narrow it to fewer months or persons"
            )
        self._aeads.append(dek.aead)
        self._owners.append(owner)
        if code >= len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        return code

    def aeads(self, codes: Numbers) -> list[AESGCM]:
        """What decrypts, for each code."""
        if len(self._by_code) < len(self._aeads):
            self._by_code = np.array(self._aeads, object)
        found: list[AESGCM] = self._by_code[codes].tolist()
        return found

    def count(self, codes: Numbers) -> None:
        """Notes that a payload was opened for each code."""
        self._counts += np.bincount(codes, minlength=len(self._counts))

    def opened(self) -> dict[UUID, int]:
        counts: dict[UUID, int] = {}
        for owner, count in zip(self._owners, self._counts.tolist(), strict=False):
            if count:
                subject = uuid_of(owner)
                counts[subject] = counts.get(subject, 0) + count
        return counts
