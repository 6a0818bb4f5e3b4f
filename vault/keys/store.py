"""The key store: who is who, whose key is which, what may open it, and how all of it ends. The one door to vault.keys.

On the data's way it stands beside everything: a gateway resolves people and claims messages here, the mapper asks here for the DEK
that seals or opens an event, the registrar lets grants follow the register and erases. One SQLite file beside the claims' one;
what is in it opens only with the KEK folder.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from vault.ids import KeyId
from vault.keys import erasure, mentions, models, notes, rotation, start, verification
from vault.keys.cache import LeasedCache
from vault.keys.chapters import Chapters
from vault.keys.claims import RETENTION_DAYS, ClaimOptions, Claims
from vault.keys.database import TABLES, Database, get_meta, set_meta
from vault.keys.grants import carry_out
from vault.keys.identity import Name, People
from vault.keys.index import KeyedIndex
from vault.keys.kek import KekDirectory
from vault.keys.mentions import Mentions
from vault.keys.model import (
    Change,
    Claim,
    ClaimState,
    Erasure,
    Fence,
    Lost,
    Mention,
    ModelStanding,
    Month,
    Pending,
    Person,
    Rotation,
    Source,
    Unreadable,
    month_of,
)
from vault.seal import Dek

_SET = "set/"
"""Before the names that callers give to `set_meta`, so that none is one of ours."""


class KeyStore:
    """An open key store. Thread-safe. Several processes may have the same one open."""

    def __init__(
        self,
        database: Database,
        claims: Claims,
        keks: KekDirectory,
        *,
        cache_entries: int,
        lease_seconds: float,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        """Use `create` or `open`. Each cache (opened DEKs, sealing DEKs, people) holds at most `cache_entries`."""
        self._database = database
        self._claims = claims
        self._keks = keks
        self._now = now
        self._index = KeyedIndex(keks.secret("index"))
        self._resolved: LeasedCache[Name, Person] = LeasedCache(cache_entries, lease_seconds, clock)
        self._people = People(database, keks, self._index, self._resolved)
        self._mentions = Mentions(database, keks, self._index)
        self._chapters = Chapters(
            database, keks, self._index, cache_entries=cache_entries, lease_seconds=lease_seconds, clock=clock
        )

    @classmethod
    def create(
        cls,
        path: Path,
        keks: KekDirectory,
        *,
        cache_entries: int,
        lease_seconds: float,
        busy_timeout_ms: int,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        claim_retention_days: int = RETENTION_DAYS,
    ) -> KeyStore:
        """A new, empty key store and its claims, of the vault that the KEK folder is of. `StartRefused` when there is one already."""
        options = ClaimOptions(busy_timeout_ms, claim_retention_days, now)
        database, claims = start.create(path, keks, options)
        return cls(
            database, claims, keks, cache_entries=cache_entries, lease_seconds=lease_seconds, clock=clock, now=now
        )

    @classmethod
    def open(
        cls,
        path: Path,
        keks: KekDirectory,
        *,
        cache_entries: int,
        lease_seconds: float,
        busy_timeout_ms: int,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        claim_retention_days: int = RETENTION_DAYS,
        new_claims: bool = False,
    ) -> KeyStore:
        """The key store that is there, with the claims that it was last open with. See vault.keys.start for what is refused.

        `new_claims`: an operator's decision to go on with new claims, the old file set aside.
        """
        options = ClaimOptions(busy_timeout_ms, claim_retention_days, now)
        database, claims = start.open_both(path, keks, options, new_claims=new_claims)
        return cls(
            database, claims, keks, cache_entries=cache_entries, lease_seconds=lease_seconds, clock=clock, now=now
        )

    def close(self) -> None:
        self._database.close()
        self._claims.close()
        self._chapters.drop_all()
        self._resolved.drop_all()

    # People

    def resolve_many(self, names: Sequence[Name], *, partitions: int) -> list[Person]:
        """The person behind each (channel, external id), made if unknown, all in one transaction."""
        return self._people.resolve_many(names, partitions=partitions)

    def resolve(self, channel: str, external_id: str, *, partitions: int) -> Person:
        return self._people.resolve_many([(channel, external_id)], partitions=partitions)[0]

    def find(self, channel: str, external_id: str) -> Person | None:
        """The person behind a name, never made."""
        return self._people.find(channel, external_id)

    def person(self, subject: UUID) -> Person | None:
        return self._people.of_subject(subject)

    def person_of_case(self, case: UUID) -> Person | None:
        return self._people.of_case(case)

    def link(self, subject: UUID, channel: str, external_id: str) -> None:
        """Gives a person another name. Raises `BadInput` when it is somebody else's."""
        self._people.link(subject, channel, external_id)

    def identities(self, subject: UUID) -> list[Name]:
        """Every (channel, external id) of a person."""
        return self._people.names(subject)

    # What people typed

    def enter_mentions(self, found: Iterable[Mention]) -> int:
        """Enters what was typed in messages, in one transaction. Returns how much of it is new; none of who is unknown or erased."""
        return self._mentions.enter(found)

    def mentioned(self, kind: str, value: str) -> list[Person]:
        """Who typed an e-mail address or a telephone number (`value` is its normal form): no proof of who they are."""
        return self._mentions.find(kind, value)

    def redact(self, subject: UUID, originator: UUID, at_us: int) -> None:
        """A message is not to be opened any more: what was typed in it is forgotten, and what was learnt from it is stale."""
        with self._database.writing() as c:
            mentions.forget_message(c, self._index, subject, originator, month_of(at_us))
            models.message_left(c, self._index, subject, originator, at_us)

    # What was learnt from people

    def begin_model(self, model: UUID, sources: Sequence[Source], at_us: int) -> Dek | Lost:
        """The key that seals a new model; or which of its sources may not be learnt from any more, and nothing was made."""
        with self._database.writing() as c:
            return models.begin(c, self._keks, self._index, model, sources, at_us)

    def model(self, model: UUID) -> ModelStanding | None:
        """None for a model that this key store never made, or whose key was destroyed."""
        with self._database.reading() as c:
            return models.standing(c, model)

    def models(self) -> list[ModelStanding]:
        """Every model that can still be opened."""
        with self._database.reading() as c:
            return models.standings(c)

    def end_model(self, model: UUID) -> None:
        """Destroys the key of a model: no copy of its file opens any more."""
        with self._database.writing() as c:
            models.destroy(c, model)

    def end_stale_models(self, stale_before_us: int) -> list[UUID]:
        """The same for those that have been stale since before a time. Returns which."""
        with self._database.reading() as c:
            if not models.overdue(c, stale_before_us):
                return []
        with self._database.writing() as c:
            ended = models.overdue(c, stale_before_us)
            for model in ended:
                models.destroy(c, model)
        return ended

    # DEKs

    def opening(self, key_id: KeyId, owner: UUID, purpose: str | None = None) -> Dek | Unreadable:
        """The DEK that a key id commits to, through a grant for `purpose`, or for any that this process holds."""
        return self._chapters.opening(key_id, owner, purpose)

    def granted(self, key_id: KeyId, owner: UUID, purpose: str) -> Dek | Unreadable:
        """The same as the key store has it now, without trusting a lease: what another process withdrew is withdrawn here too."""
        return self._chapters.granted(key_id, owner, purpose)

    def prepare(self, pairs: Iterable[tuple[UUID, int]]) -> None:
        """Makes the content DEKs that are missing for (subject, at_us), all in one transaction."""
        self._chapters.prepare(pairs)

    def sealing(self, owner: UUID, at_us: int) -> Dek:
        """The content DEK of a subject's chapter. Raises `SubjectErased`, or `PersonUnknown` for who never was."""
        return self._chapters.sealing(owner, at_us)

    def sealing_evidence(self, case: UUID) -> Dek:
        """The evidence DEK of a case; it outlives an erasure."""
        return self._chapters.sealing_evidence(case)

    def expire(self, before_month: Month) -> int:
        """Ends the retention of chapters of earlier months, and of what was typed and learnt in them. Returns how many chapters."""
        with self._database.writing() as c:
            mentions.forget_months(c, before_month)
            models.months_ended(c, before_month, int(self._now() * 1e6))
        return self._chapters.expire(before_month)

    def expired(self, key_ids: Iterable[KeyId]) -> set[KeyId]:
        """Those of the keys that are known and that nothing opens any more: their chapters are over."""
        return self._chapters.expired(key_ids)

    def drop(self, subject: UUID) -> None:
        """Lets go of what this process holds open of a subject (or case)."""
        self._chapters.drop(subject)
        self._resolved.drop(subject.int)

    # What the register decided

    def applied(self, partition: int) -> int:
        """Up to which notification a partition of the register was followed; 0 at the beginning."""
        with self._database.reading() as c:
            return _followed(c, partition)

    def apply(self, partition: int, upto: int, changes: Sequence[Change]) -> None:
        """Carries changes out and moves the position, in one transaction; only drops caches when they were carried out before."""
        with self._database.writing() as c:
            if upto > _followed(c, partition):
                for change in changes:
                    carry_out(c, self._keks, self._index, change)
                c.execute("INSERT OR REPLACE INTO followed VALUES (?, ?)", (partition, upto))
        for change in changes:
            self.drop(change.subject)

    # Erasure

    def erase(self, subject: UUID, at_us: int, note: Mapping[str, Any]) -> Erasure:
        """Destroys every content key, name and tie of a person, and raises the fence. Raises `PersonUnknown` for who never was."""
        with self._database.writing() as c:
            erased = erasure.erase(c, self._keks, self._index, subject, at_us, note)
        self.drop(subject)
        return erased

    def fenced(self, subject: UUID) -> Fence | None:
        with self._database.reading() as c:
            return erasure.fence_of(c, subject)

    def fences(self) -> list[Fence]:
        with self._database.reading() as c:
            return erasure.fences(c)

    def set_fence_offset(self, subject: UUID, offset: int) -> None:
        """Where `Erased` stands in the subject's partition of conversations."""
        with self._database.writing() as c:
            erasure.set_offset(c, subject, offset)

    # Notes of what a restart must finish

    def pending(self, kind: str) -> list[Pending]:
        with self._database.reading() as c:
            return notes.pending(c, self._keks, kind)

    def finish(self, *note_ids: int) -> None:
        with self._database.writing() as c:
            notes.finish(c, note_ids)

    # Claims of message ids

    def claim_id(self, channel: str, account: str, sender: str, message_id: str) -> bytes:
        return self._index.claim(channel, account, sender, message_id)

    def interaction_id(self, claim_id: bytes, subject: UUID) -> UUID:
        """Of a message of this person: the same for whoever takes it in, and another for another person under the same name."""
        return self._index.interaction(claim_id, subject)

    def claim(self, claims: Sequence[Claim]) -> list[ClaimState]:
        """Claims all of them in one transaction: `NEW_CLAIM` for who is first, otherwise what is known of it."""
        return self._claims.claim(claims)

    def move_claim(self, before: ClaimState, after: Claim) -> bool:
        """Gives a claim another originator and end, if it is still what was read. False: it changed since, look again.

        `before` is what the table holds: after `NEW_CLAIM` that is what the claimer itself wrote, pending.
        """
        return self._claims.move(before, after)

    def complete_claims(self, claim_ids: Iterable[bytes]) -> None:
        """The messages stand in the log."""
        self._claims.complete(claim_ids)

    # Care

    def meta(self, name: str) -> str | None:
        with self._database.reading() as c:
            return get_meta(c, _SET + name)

    def set_meta(self, name: str, value: str | None) -> None:
        with self._database.writing() as c:
            set_meta(c, _SET + name, value)

    def counts(self) -> dict[str, int]:
        with self._database.reading() as c:
            counted = {table: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}  # noqa: S608 (our names)
            counted["epoch"] = int(get_meta(c, "epoch") or 0)
        return counted | self._claims.counts()

    def count_deks(self, subject: UUID) -> int:
        with self._database.reading() as c:
            counted: int = c.execute("SELECT count(*) FROM dek WHERE owner = ?", (subject.bytes,)).fetchone()[0]
        return counted

    def verify(self) -> list[str]:
        """What is wrong in the key store and the claims, one line each."""
        return verification.verify(self._database, self._keks, self._index) + self._claims.problems()

    def rotate(self, backup_folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Rotation:
        """A new epoch, or the end of one that was interrupted. See vault.keys.rotation."""
        return rotation.rotate(self._database, self._keks, backup_folder, progress)


def _followed(c: sqlite3.Connection, partition: int) -> int:
    row = c.execute("SELECT position FROM followed WHERE partition = ?", (partition,)).fetchone()
    return 0 if row is None else int(row[0])
