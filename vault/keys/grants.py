"""What the register decided, carried over into grants: consent, restriction and their ends.

A purpose is a grant, so withdrawing or restricting deletes grants, and giving them back needs the DEK, which the `rights` grant
still opens. A change for somebody who is unknown or erased changes nothing. A change that holds already is not made again.
"""

from __future__ import annotations

import sqlite3
from uuid import UUID

from vault.keys import models
from vault.keys.chapters import is_known, set_standing, standing
from vault.keys.database import writing_epoch
from vault.keys.erasure import erase_applied
from vault.keys.index import KeyedIndex
from vault.keys.kek import KekDirectory
from vault.keys.model import IMPROVEMENT, Change, EraseApplied, Give, Lift, Restrict, Withdraw
from vault.keys.wrap import grant_place, unwrap_dek, wrap


def carry_out(c: sqlite3.Connection, keks: KekDirectory, index: KeyedIndex, change: Change) -> None:
    """Makes one change, within the caller's transaction."""
    subject = change.subject
    if isinstance(change, EraseApplied):
        erase_applied(c, keks, index, change)
    elif not is_known(c, index, subject):
        return
    elif isinstance(change, Restrict):
        _restrict(c, subject)
        models.person_left(c, index.subject(subject), change.at_us)
    elif isinstance(change, Lift):
        _lift(c, keks, subject)
    elif change.purpose == IMPROVEMENT:
        _consent(c, subject, given=isinstance(change, Give))
        if isinstance(change, Withdraw):
            models.person_left(c, index.subject(subject), change.at_us)


def _consent(c: sqlite3.Connection, subject: UUID, *, given: bool) -> None:
    serial, before, restricted = standing(c, subject)
    if given == before:
        return
    set_standing(c, subject, serial + 1, given, restricted)
    if not given:
        _delete_grants(c, subject, IMPROVEMENT)
        c.execute("UPDATE dek SET consented = 0 WHERE owner = ?", (subject.bytes,))


def _restrict(c: sqlite3.Connection, subject: UUID) -> None:
    serial, improvement, _ = standing(c, subject)
    set_standing(c, subject, serial, improvement, True)
    _delete_grants(c, subject, "service")
    _delete_grants(c, subject, IMPROVEMENT)


def _delete_grants(c: sqlite3.Connection, subject: UUID, purpose: str) -> None:
    c.execute(
        "DELETE FROM key_grant WHERE purpose = ? AND dek IN (SELECT id FROM dek WHERE owner = ?)",
        (purpose, subject.bytes),
    )


def _lift(c: sqlite3.Connection, keks: KekDirectory, subject: UUID) -> None:
    serial, improvement, restricted = standing(c, subject)
    if not restricted:
        return
    set_standing(c, subject, serial, improvement, False)
    epoch = writing_epoch(c)
    rows = c.execute(
        "SELECT d.id, d.key_id, d.consented, g.epoch, g.wrapped FROM dek d JOIN key_grant g ON g.dek = d.id"
        " WHERE d.owner = ? AND g.purpose = 'rights'",
        (subject.bytes,),
    ).fetchall()
    for row, key_id, consented, wrapped_epoch, wrapped in rows:
        material = unwrap_dek(keks, key_id, subject.bytes, "rights", wrapped_epoch, wrapped)
        for purpose in ("service", *((IMPROVEMENT,) if consented else ())):
            again = wrap(keks, purpose, epoch, grant_place(key_id, subject.bytes, purpose), material)
            c.execute("INSERT INTO key_grant VALUES (?, ?, ?, ?)", (row, purpose, epoch, again))
