"""Models that were trained on people: the keys that seal them, whom they learnt from, and their end.

A model's file is sealed under a DEK of its own, which is wrapped for the purpose `improvement` and for nothing else. In the transaction
in which that DEK is made, every source must still be open for that purpose; and in the transaction that takes a person's grants away,
for whatever reason, every model that learnt from them becomes stale. So neither can be missed, whoever runs when. A key store that is
restored from before a model was made has no key for it. When its time is over, the key is destroyed, and with it every copy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from uuid import UUID

from vault.keys.chapters import MODEL_MONTH, make_dek
from vault.keys.database import row_of, writing_epoch
from vault.keys.index import KeyedIndex
from vault.keys.kek import KekDirectory
from vault.keys.mentions import is_redacted
from vault.keys.model import IMPROVEMENT, Lost, ModelStanding, Month, Source, month_of
from vault.seal import Dek


def begin(
    c: sqlite3.Connection, keks: KekDirectory, index: KeyedIndex, model: UUID, sources: Sequence[Source], at_us: int
) -> Dek | Lost:
    """The key of a new model, within the caller's transaction; or which of its sources may not be learnt from any more."""
    granted = {key: _is_granted(c, *key) for key in {(source.subject, source.key_id) for source in sources}}
    lost = frozenset(
        source
        for source in sources
        if not granted[source.subject, source.key_id]
        or is_redacted(c, index.subject(source.subject), index.message(source.originator))
    )
    if lost:
        return Lost(lost)
    dek = make_dek(c, keks, writing_epoch(c), model, MODEL_MONTH, serial=0, consented=False, purposes=[IMPROVEMENT])
    c.execute("INSERT INTO model VALUES (?, ?, NULL)", (model.bytes, at_us))
    c.executemany(
        "INSERT OR IGNORE INTO learnt_from VALUES (?, ?, ?, ?)",
        [(model.bytes, index.message(s.originator), index.subject(s.subject), month_of(s.at_us)) for s in sources],
    )
    return dek


def _is_granted(c: sqlite3.Connection, subject: UUID, key_id: bytes) -> bool:
    found = c.execute(
        "SELECT 1 FROM dek d JOIN key_grant g ON g.dek = d.id AND g.purpose = ?"
        " WHERE d.id = ? AND d.key_id = ? AND d.owner = ?",
        (IMPROVEMENT, row_of(key_id), key_id, subject.bytes),
    )
    return found.fetchone() is not None


def standing(c: sqlite3.Connection, model: UUID) -> ModelStanding | None:
    """None for one that was never made here, or whose key was destroyed."""
    row = c.execute("SELECT made_us, stale_us FROM model WHERE id = ?", (model.bytes,)).fetchone()
    return None if row is None else ModelStanding(model, *row)


def standings(c: sqlite3.Connection) -> list[ModelStanding]:
    """Every model that can be opened, the oldest first."""
    rows = c.execute("SELECT id, made_us, stale_us FROM model ORDER BY made_us, id").fetchall()
    return [ModelStanding(UUID(bytes=row[0]), row[1], row[2]) for row in rows]


def person_left(c: sqlite3.Connection, keyed_subject: bytes, at_us: int) -> None:
    """Makes every model stale that learnt from a person, within the transaction that takes their grants away."""
    _make_stale(c, "keyed_subject = ?", (keyed_subject,), at_us)


def message_left(c: sqlite3.Connection, index: KeyedIndex, subject: UUID, originator: UUID, at_us: int) -> None:
    """The same for one message, which is not to be opened any more."""
    place = index.subject(subject), index.message(originator)
    _make_stale(c, "keyed_subject = ? AND keyed_message = ?", place, at_us)


def months_ended(c: sqlite3.Connection, before: Month, at_us: int) -> None:
    """The same for what was said in earlier months, whose retention is over."""
    _make_stale(c, "month < ?", (before,), at_us)


def _make_stale(c: sqlite3.Connection, which: str, values: tuple[bytes | int, ...], at_us: int) -> None:
    """Who is in a stale model need not be known any more: it stays stale."""
    used = f"(SELECT model FROM learnt_from WHERE {which})"  # noqa: S608 (ours, above)
    c.execute(f"UPDATE model SET stale_us = min(coalesce(stale_us, ?), ?) WHERE id IN {used}", (at_us, at_us, *values))  # noqa: S608
    c.execute(f"DELETE FROM learnt_from WHERE {which}", values)  # noqa: S608 (the same)


def destroy(c: sqlite3.Connection, model: UUID) -> None:
    """Destroys the key of a model: no copy of its file opens any more. Does nothing for one that is gone."""
    owned = "(SELECT id FROM dek WHERE owner = ? AND month = ?)"
    c.execute(f"DELETE FROM key_grant WHERE dek IN {owned}", (model.bytes, MODEL_MONTH))  # noqa: S608 (ours)
    c.execute("DELETE FROM dek WHERE owner = ? AND month = ?", (model.bytes, MODEL_MONTH))
    c.execute("DELETE FROM learnt_from WHERE model = ?", (model.bytes,))
    c.execute("DELETE FROM model WHERE id = ?", (model.bytes,))


def overdue(c: sqlite3.Connection, stale_before_us: int) -> list[UUID]:
    """Models that have been stale since before a time."""
    rows = c.execute("SELECT id FROM model WHERE stale_us < ?", (stale_before_us,)).fetchall()
    return [UUID(bytes=row[0]) for row in rows]
