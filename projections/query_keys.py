"""The keys that one query may use: each asked for once, as the key store has it now, and how often each opened something."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from projections.vectors import Numbers, Values
from vault.errors import BadInput, KeyTampered
from vault.ids import KeyId, uuid_of
from vault.keys import IMPROVEMENT
from vault.keys.model import Unreadable
from vault.seal import KEY_ID_SIZE, Dek

WITHHELD = -1
KEYS_MAX = 200_000
"""Keys that one query may use, and as many that it may not have are remembered, so that each is asked for once."""
KEYS_AT_FIRST = 1_024
"""Room for so many, doubled when it is full. A power of two."""

_ID = 16
_WORDS = (_ID + KEY_ID_SIZE) // 8
_SLOTS_A_KEY = 8


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
        self._counts = np.zeros(KEYS_AT_FIRST, np.int64)
        self._known = np.zeros((KEYS_AT_FIRST, _WORDS), np.int64)
        self._slots = np.zeros(_SLOTS_A_KEY * KEYS_AT_FIRST, np.int64)
        self._grants = grants
        self._persons_max = persons_max

    def __missing__(self, key: bytes) -> int:
        try:
            found = self._grants.granted(KeyId(key[_ID:]), uuid_of(key[:_ID]), IMPROVEMENT)
        except KeyTampered:  # `parloir verify` says so; here it is a row like any other that does not open
            found = Unreadable.MISSING
        code = WITHHELD if isinstance(found, Unreadable) else self._add(key, found)
        if len(self) - len(self._aeads) > KEYS_MAX:
            for withheld in [known for known, place in self.items() if place == WITHHELD]:
                del self[withheld]
        self[key] = code
        return code

    def _add(self, key: bytes, dek: Dek) -> int:
        owner = key[:_ID]
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
            self._known = np.concatenate([self._known, np.zeros_like(self._known)])
            self._slots = np.zeros(2 * len(self._slots), np.int64)
            self._slots[self._slot(self._known[:code])] = np.arange(code)
        self._known[code] = np.frombuffer(key, np.int64)
        self._slots[self._slot(self._known[code])] = code
        return code

    def _slot(self, owners: Numbers) -> Numbers:
        """Where a key's code may be found: by eight bytes of its id, which is a hash."""
        return owners[..., _ID // 8] & (len(self._slots) - 1)

    def codes(self, owners: Values) -> Numbers:
        """The code of each person and key id. Those that opened something before are found all at once, in a third of the time that
        the dictionary takes for each."""
        wanted = owners.view(np.int64).reshape(-1, _WORDS)
        codes: Numbers = self._slots[self._slot(wanted)]
        found = (self._known[codes] == wanted).all(axis=1) & (codes < len(self._aeads))
        others = np.flatnonzero(~found)
        codes[others] = [self[owner] for owner in owners[others].tolist()]
        return codes

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
