"""The end of a person's keys: the fence raised, every content DEK, name and tie gone, in the caller's one transaction.

What it costs depends on how many DEKs and names the person has, never on how many events were sealed under them. The evidence DEK
of the case stays, so that the register can go on showing what was done and why.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from vault.errors import KeyTampered, PersonUnknown
from vault.keys import mentions, models, notes
from vault.keys.identity import tied
from vault.keys.index import KeyedIndex
from vault.keys.kek import KekDirectory
from vault.keys.model import EraseApplied, Erasure, Fence

NOTE = "erase"


def erase(
    c: sqlite3.Connection, keks: KekDirectory, index: KeyedIndex, subject: UUID, at_us: int, note: Mapping[str, Any]
) -> Erasure:
    """Erases a person, unless it was done before. Raises `PersonUnknown` for who never was."""
    before = fence_of(c, subject)
    if before is not None:
        return Erasure(subject, None, (), before.at_us, already=True)
    keyed_subject = index.subject(subject)
    case = _case(c, keks, keyed_subject)
    key_ids = tuple(row[0] for row in c.execute("SELECT key_id FROM dek WHERE owner = ?", (subject.bytes,)))
    known = c.execute("SELECT 1 FROM tie WHERE keyed_subject = ?", (keyed_subject,)).fetchone()
    if not known and not key_ids:
        raise PersonUnknown("nobody is known under that pseudonym")
    _destroy(c, keks, subject, keyed_subject, case, key_ids, at_us, note)
    return Erasure(subject, case, key_ids, at_us, already=False)


def erase_applied(c: sqlite3.Connection, keks: KekDirectory, index: KeyedIndex, change: EraseApplied) -> None:
    """The same for an erasure that the register knows and this store may not, as after a restore; also for who is unknown here."""
    try:
        erase(c, keks, index, change.subject, change.at_us, change.note)
    except PersonUnknown:
        _destroy(c, keks, change.subject, index.subject(change.subject), None, (), change.at_us, change.note)


def _destroy(
    c: sqlite3.Connection,
    keks: KekDirectory,
    subject: UUID,
    keyed_subject: bytes,
    case: UUID | None,
    key_ids: tuple[bytes, ...],
    at_us: int,
    note: Mapping[str, Any],
) -> None:
    c.execute("INSERT INTO fence VALUES (?, ?, NULL)", (subject.bytes, at_us))
    c.execute("DELETE FROM key_grant WHERE dek IN (SELECT id FROM dek WHERE owner = ?)", (subject.bytes,))
    c.execute("DELETE FROM dek WHERE owner = ?", (subject.bytes,))
    c.execute("DELETE FROM standing WHERE subject = ?", (subject.bytes,))
    c.execute("DELETE FROM identity WHERE keyed_subject = ?", (keyed_subject,))
    c.execute("DELETE FROM tie WHERE keyed_subject = ?", (keyed_subject,))
    mentions.forget_person(c, keyed_subject)
    models.person_left(c, keyed_subject, at_us)
    body = {
        **note,
        "subject": str(subject),
        "case": None if case is None else str(case),
        "key_ids": [key_id.hex() for key_id in key_ids],
        "at_us": at_us,
    }
    notes.add(c, keks, NOTE, [body])


def _case(c: sqlite3.Connection, keks: KekDirectory, keyed_subject: bytes) -> UUID | None:
    try:
        person = tied(c, keks, "keyed_subject", keyed_subject)
    except KeyTampered:
        return None  # a damaged tie must not keep a person's keys alive; who the case is, only a backup can tell
    return None if person is None else person.case


def fence_of(c: sqlite3.Connection, subject: UUID) -> Fence | None:
    row = c.execute("SELECT at_us, log_offset FROM fence WHERE subject = ?", (subject.bytes,)).fetchone()
    return None if row is None else Fence(subject, *row)


def fences(c: sqlite3.Connection) -> list[Fence]:
    """Everybody who was erased, by pseudonym."""
    rows = c.execute("SELECT subject, at_us, log_offset FROM fence ORDER BY subject").fetchall()
    return [Fence(UUID(bytes=row[0]), row[1], row[2]) for row in rows]


def set_offset(c: sqlite3.Connection, subject: UUID, offset: int) -> None:
    c.execute("UPDATE fence SET log_offset = ? WHERE subject = ?", (offset, subject.bytes))
