"""The DEKs of people, in chapters: found or made for sealing, found for opening, and kept in memory while their lease lasts.

A content DEK seals one subject's events of one calendar month and one serial (which goes up when consent changes). It is wrapped
once for every purpose it may serve. A chapter is made only inside a write transaction that has seen that its subject is known and
not fenced, so an erasure in another thread or process is either before it, and nothing is made, or after it, and destroys it too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from vault.errors import PersonUnknown, SubjectErased
from vault.ids import KeyId
from vault.keys.cache import LeasedCache
from vault.keys.database import Database, row_of, writing_epoch
from vault.keys.index import KeyedIndex
from vault.keys.kek import PURPOSES, KekDirectory
from vault.keys.model import IMPROVEMENT, Month, Unreadable, month_of
from vault.keys.wrap import DEK_SIZE, grant_place, open_dek, wrap
from vault.seal import Dek

EVIDENCE_MONTH = Month(-1)
"""Stands for the month of an evidence DEK, which has none."""
MODEL_MONTH = Month(-2)
"""The same of the DEK that seals a model, whose owner is the model."""
EVIDENCE = "evidence"
_CONTENT_PURPOSES = ("service", "rights", IMPROVEMENT)
_DELETED_AT_ONCE = 5_000
_ASKED_AT_ONCE = 1_000

Chapter = tuple[UUID, Month]
"""A subject and a month."""
_Grants = dict[str, tuple[int, bytes]]
"""By purpose: epoch and wrapped bytes."""


class Chapters:
    """The DEKs of a key store, opened as far as this process may. Thread-safe."""

    def __init__(
        self,
        database: Database,
        keks: KekDirectory,
        index: KeyedIndex,
        *,
        cache_entries: int,
        lease_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._keks = keks
        self._index = index
        self._opened: LeasedCache[bytes | tuple[bytes, str], tuple[Dek | Unreadable, int]]
        self._opened = LeasedCache(cache_entries, lease_seconds, clock)
        self._sealing: LeasedCache[tuple[int, int], Dek] = LeasedCache(cache_entries, lease_seconds, clock)

    # Opening

    def opening(self, key_id: KeyId, owner: UUID, purpose: str | None = None) -> Dek | Unreadable:
        """The DEK that a key id commits to, through a grant for `purpose`, or for any that this process holds."""
        place = key_id if purpose is None else (key_id, purpose)
        held = self._opened.get(place)
        if held is not None and held[1] == owner.int:
            return held[0]
        drops = self._opened.drops
        with self._database.reading() as c:
            found = self._open(c, key_id, owner, purpose)
        if isinstance(found, Dek) or found is Unreadable.ERASED:  # the other answers can change for the better
            self._opened.put(place, (found, owner.int), owner.int, drops)
        return found

    def granted(self, key_id: KeyId, owner: UUID, purpose: str) -> Dek | Unreadable:
        """The same as the key store has it now: what this process holds under a lease is neither used nor kept."""
        with self._database.reading() as c:
            return self._open(c, key_id, owner, purpose)

    def _open(self, c: sqlite3.Connection, key_id: KeyId, owner: UUID, purpose: str | None) -> Dek | Unreadable:
        rows = c.execute(
            "SELECT d.owner, g.purpose, g.epoch, g.wrapped FROM dek d LEFT JOIN key_grant g ON g.dek = d.id"
            " WHERE d.id = ? AND d.key_id = ?",
            (row_of(key_id), key_id),
        ).fetchall()
        if not rows or rows[0][0] != owner.bytes:
            return Unreadable.ERASED if is_fenced(c, owner) else Unreadable.MISSING
        grants: _Grants = {row[1]: (row[2], row[3]) for row in rows if row[1] is not None}
        if not grants:
            return Unreadable.EXPIRED
        return self._through(key_id, owner, grants, PURPOSES if purpose is None else (purpose,)) or Unreadable.WITHHELD

    def _through(self, key_id: bytes, owner: UUID, grants: _Grants, purposes: Sequence[str]) -> Dek | None:
        for purpose in purposes:
            if purpose in grants and purpose in self._keks.purposes:
                return open_dek(self._keks, key_id, owner, purpose, *grants[purpose])
        return None

    # Sealing

    def prepare(self, pairs: Iterable[tuple[UUID, int]]) -> None:
        """Makes the content DEKs that are missing for (subject, at_us), in one transaction; none for who is fenced or unknown."""
        chapters = {(owner, month_of(at_us)) for owner, at_us in pairs}
        cold = [chapter for chapter in chapters if self._sealing.get((chapter[0].int, chapter[1])) is None]
        if cold:
            self._current_or_new(cold)

    def sealing(self, owner: UUID, at_us: int) -> Dek:
        """The content DEK of a subject's chapter. Raises `SubjectErased` for who is fenced, `PersonUnknown` for who never was."""
        month = month_of(at_us)
        dek = self._sealing.get((owner.int, month))
        if dek is not None:
            return dek
        found = self._current_or_new([(owner, month)])[owner, month]
        if found is Unreadable.ERASED:
            raise SubjectErased(f"subject {owner} was erased: nothing can be sealed for them any more")
        if isinstance(found, Unreadable):
            raise PersonUnknown(
                f"subject {owner} is nobody that this key store knows", remedy="resolve the person first"
            )
        return found

    def sealing_evidence(self, case: UUID) -> Dek:
        """The evidence DEK of a case. Raises `PersonUnknown` for a case that was never made."""
        dek = self._sealing.get((case.int, EVIDENCE_MONTH))
        if dek is not None:
            return dek
        drops = self._sealing.drops
        with self._database.reading() as c:
            row = c.execute(
                "SELECT d.key_id, g.epoch, g.wrapped FROM dek d JOIN key_grant g ON g.dek = d.id AND g.purpose = ?"
                " WHERE d.owner = ? AND d.month = ? AND d.serial = 0",
                (EVIDENCE, case.bytes, EVIDENCE_MONTH),
            ).fetchone()
            if row is None:
                raise PersonUnknown(f"case {case} is none that this key store knows", remedy="resolve the person first")
            dek = open_dek(self._keks, row[0], case, EVIDENCE, row[1], row[2])
        self._sealing.put((case.int, EVIDENCE_MONTH), dek, case.int, drops)
        return dek

    def _current_or_new(self, chapters: Sequence[Chapter]) -> dict[Chapter, Dek | Unreadable]:
        drops, opened_drops = self._sealing.drops, self._opened.drops
        with self._database.reading() as c:
            found = {chapter: self._current(c, chapter)[0] for chapter in chapters}
            for chapter, dek in found.items():
                if dek is None and is_fenced(c, chapter[0]):
                    found[chapter] = Unreadable.ERASED
        missing = [chapter for chapter, dek in found.items() if dek is None]
        if missing:
            with self._database.writing() as c:
                epoch = writing_epoch(c)
                for chapter in missing:
                    found[chapter] = self._begin(c, epoch, chapter)
        result: dict[Chapter, Dek | Unreadable] = {}
        for (owner, month), dek in found.items():
            assert dek is not None
            result[owner, month] = dek
            if isinstance(dek, Dek):
                self._sealing.put((owner.int, month), dek, owner.int, drops)
                self._opened.put(dek.key_id, (dek, owner.int), owner.int, opened_drops)
        return result

    def _current(self, c: sqlite3.Connection, chapter: Chapter) -> tuple[Dek | Unreadable | None, bool]:
        """The DEK that the chapter is written with, if this process can open it; and whether there is one at all."""
        owner, month = chapter
        rows = c.execute(
            "SELECT d.key_id, g.purpose, g.epoch, g.wrapped FROM dek d LEFT JOIN key_grant g ON g.dek = d.id"
            " WHERE d.owner = ? AND d.month = ?"
            " AND d.serial = coalesce((SELECT serial FROM standing WHERE subject = d.owner), 0)",
            (owner.bytes, month),
        ).fetchall()
        if not rows:
            return None, False
        grants: _Grants = {row[1]: (row[2], row[3]) for row in rows if row[1] is not None}
        return self._through(rows[0][0], owner, grants, _CONTENT_PURPOSES), True

    def _begin(self, c: sqlite3.Connection, epoch: int, chapter: Chapter) -> Dek | Unreadable:
        owner, month = chapter
        if is_fenced(c, owner):
            return Unreadable.ERASED
        if not is_known(c, self._index, owner):
            return Unreadable.MISSING
        dek, exists = self._current(c, chapter)  # somebody else may have been first
        if dek is not None:
            return dek
        serial, improvement, restricted = standing(c, owner)
        if exists:  # its grants are gone or are others': what is written from now on needs another DEK
            serial += 1
            set_standing(c, owner, serial, improvement, restricted)
        purposes = ["rights"] if restricted else ["service", "rights", *([IMPROVEMENT] if improvement else [])]
        return make_dek(c, self._keks, epoch, owner, month, serial=serial, consented=improvement, purposes=purposes)

    # Ending

    def expire(self, before: Month) -> int:
        """Deletes every grant of chapters of earlier months. Returns how many DEKs nobody can open any more because of it."""
        after, expired = -1, 0
        while True:
            with self._database.writing() as c:
                rows = c.execute(
                    "SELECT id FROM dek WHERE id > ? AND month >= 0 AND month < ?"
                    " AND EXISTS (SELECT 1 FROM key_grant WHERE dek = dek.id) ORDER BY id LIMIT ?",
                    (after, before, _DELETED_AT_ONCE),
                ).fetchall()
                c.executemany("DELETE FROM key_grant WHERE dek = ?", rows)
            if not rows:
                break
            after, expired = rows[-1][0], expired + len(rows)
        if expired:
            self.drop_all()
        return expired

    def expired(self, key_ids: Iterable[KeyId]) -> set[KeyId]:
        """Those of the keys that are known and have no grant left: their chapters are over."""
        found: set[KeyId] = set()
        wanted = list(key_ids)
        with self._database.reading() as c:
            for start in range(0, len(wanted), _ASKED_AT_ONCE):
                asked = {row_of(key_id): key_id for key_id in wanted[start : start + _ASKED_AT_ONCE]}
                rows = c.execute(
                    f"SELECT id, key_id FROM dek WHERE id IN ({', '.join('?' * len(asked))})"  # noqa: S608 (question marks)
                    " AND NOT EXISTS (SELECT 1 FROM key_grant WHERE dek = dek.id)",
                    list(asked),
                ).fetchall()
                found.update(KeyId(key_id) for row, key_id in rows if asked[row] == key_id)
        return found

    def drop(self, owner: UUID) -> None:
        self._opened.drop(owner.int)
        self._sealing.drop(owner.int)

    def drop_all(self) -> None:
        self._opened.drop_all()
        self._sealing.drop_all()


def make_dek(
    c: sqlite3.Connection,
    keks: KekDirectory,
    epoch: int,
    owner: UUID,
    month: Month,
    *,
    serial: int,
    consented: bool,
    purposes: Sequence[str],
) -> Dek:
    """A new DEK, granted for the purposes, within the caller's transaction."""
    material = os.urandom(DEK_SIZE)
    dek = Dek(material)
    row, key_id = row_of(dek.key_id), dek.key_id
    c.execute("INSERT INTO dek VALUES (?, ?, ?, ?, ?, ?)", (row, key_id, owner.bytes, month, serial, int(consented)))
    c.executemany(
        "INSERT INTO key_grant VALUES (?, ?, ?, ?)",
        [(row, p, epoch, wrap(keks, p, epoch, grant_place(key_id, owner.bytes, p), material)) for p in purposes],
    )
    return dek


def make_evidence(c: sqlite3.Connection, keks: KekDirectory, epoch: int, case: UUID) -> Dek:
    """The evidence DEK of a new case, within the caller's transaction."""
    return make_dek(c, keks, epoch, case, EVIDENCE_MONTH, serial=0, consented=False, purposes=[EVIDENCE])


def is_fenced(c: sqlite3.Connection, subject: UUID) -> bool:
    return c.execute("SELECT 1 FROM fence WHERE subject = ?", (subject.bytes,)).fetchone() is not None


def is_known(c: sqlite3.Connection, index: KeyedIndex, subject: UUID) -> bool:
    return c.execute("SELECT 1 FROM tie WHERE keyed_subject = ?", (index.subject(subject),)).fetchone() is not None


def standing(c: sqlite3.Connection, subject: UUID) -> tuple[int, bool, bool]:
    """(serial, improvement consented, restricted) of a subject."""
    row = c.execute(
        "SELECT serial, improvement, restricted FROM standing WHERE subject = ?", (subject.bytes,)
    ).fetchone()
    return (0, False, False) if row is None else (row[0], bool(row[1]), bool(row[2]))


def set_standing(c: sqlite3.Connection, subject: UUID, serial: int, improvement: bool, restricted: bool) -> None:
    c.execute(
        "INSERT INTO standing VALUES (?, ?, ?, ?) ON CONFLICT (subject) DO UPDATE SET serial = excluded.serial,"
        " improvement = excluded.improvement, restricted = excluded.restricted",
        (subject.bytes, serial, int(improvement), int(restricted)),
    )
