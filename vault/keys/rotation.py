"""A new epoch: everything that is wrapped is wrapped anew under new KEKs, and the old KEKs are destroyed.

After it, a copy of the key store from before opens nothing, so nobody who was erased can come back by it. The order, so that no
key is lost wherever it stops, and running it again finishes it:

    1. a proved backup under the old KEKs
    2. new KEKs, on the disk
    3. `rotating` is set: from here on every new row is under the new KEKs
    4. the old rows, a bounded batch a transaction, the other threads working between them
    5. no old row is left: the epoch is set
    6. a proved backup under the new KEKs
    7. the old KEKs destroyed, the backups that only they opened deleted
    8. `rotating` is cleared

An epoch is never used twice: the new one is above every one of which there is any trace in the KEK folder.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import KeysUnavailable, KeyWithheld
from vault.keys import backup
from vault.keys.database import Database, get_meta, set_meta, writing_epoch
from vault.keys.identity import KEK
from vault.keys.kek import PURPOSES, KekDirectory
from vault.keys.model import Rotation
from vault.keys.wrap import Rewrapping, grant_place, identity_place, mention_place, note_place, tie_place

ROWS_AT_ONCE = 4_000
PAUSE_SECONDS = 0.002
"""Between batches, so that whoever waits for the database gets it."""

Row = tuple[Any, ...]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Table:
    """How the rows of one table are found after a place, and rewrapped.

    A row is where it stands (as many columns as `first`), then epoch and wrapped bytes, then what else `rewrapped` needs.
    """

    name: str
    select: str
    update: str
    first: Row
    rewrapped: Callable[[Rewrapping, Row], bytes]


def _grant(rewrap: Rewrapping, row: Row) -> bytes:
    _, purpose, old_epoch, wrapped, key_id, owner = row
    return rewrap(purpose, old_epoch, grant_place(key_id, owner, purpose), wrapped, key_id)


_TABLES = (
    _Table(
        "key_grant",
        "SELECT g.dek, g.purpose, g.epoch, g.wrapped, d.key_id, d.owner FROM key_grant g JOIN dek d ON d.id = g.dek"
        " WHERE (g.dek, g.purpose) > (?, ?) AND g.epoch <> ? ORDER BY g.dek, g.purpose LIMIT ?",
        "UPDATE key_grant SET epoch = ?, wrapped = ? WHERE dek = ? AND purpose = ?",
        (-1, ""),
        _grant,
    ),
    _Table(
        "identity",
        "SELECT entry, epoch, wrapped, keyed_subject FROM identity WHERE entry > ? AND epoch <> ? ORDER BY entry LIMIT ?",
        "UPDATE identity SET epoch = ?, wrapped = ? WHERE entry = ?",
        (b"",),
        lambda rewrap, row: rewrap(KEK, row[1], identity_place(row[0], row[3]), row[2]),
    ),
    _Table(
        "tie",
        "SELECT keyed_subject, epoch, wrapped, keyed_case FROM tie"
        " WHERE keyed_subject > ? AND epoch <> ? ORDER BY keyed_subject LIMIT ?",
        "UPDATE tie SET epoch = ?, wrapped = ? WHERE keyed_subject = ?",
        (b"",),
        lambda rewrap, row: rewrap(KEK, row[1], tie_place(row[0], row[3]), row[2]),
    ),
    _Table(
        "mention",
        "SELECT entry, keyed_message, epoch, wrapped, keyed_subject FROM mention"
        " WHERE (entry, keyed_message) > (?, ?) AND epoch <> ? ORDER BY entry, keyed_message LIMIT ?",
        "UPDATE mention SET epoch = ?, wrapped = ? WHERE entry = ? AND keyed_message = ?",
        (b"", b""),
        lambda rewrap, row: rewrap(KEK, row[2], mention_place(row[0], row[1], row[4]), row[3]),
    ),
    _Table(
        "note",
        "SELECT id, epoch, wrapped, kind FROM note WHERE id > ? AND epoch <> ? ORDER BY id LIMIT ?",
        "UPDATE note SET epoch = ?, wrapped = ? WHERE id = ?",
        (-1,),
        lambda rewrap, row: rewrap(KEK, row[1], note_place(row[0], row[3]), row[2]),
    ),
)


def rotate(database: Database, keks: KekDirectory, folder: Path, progress: Progress) -> Rotation:
    """Begins a new epoch, or finishes the one that was begun. `progress` hears (rows rewrapped, rows in all).

    Raises `KeyWithheld` in a process that does not hold every purpose, `KeysUnavailable` while another rotation runs or when there is
    no room, `KeyTampered` for a row that does not open: nothing is lost then, and the old KEKs stay.
    """
    if keks.purposes != set(PURPOSES):
        raise KeyWithheld("only a process that holds the KEKs of every purpose can rotate them")
    with _alone(keks.path):
        epoch = _begun(database, keks)
        if epoch is None:
            epoch = _begin(database, keks, folder)
        rewrapped = _rewrap(database, keks, epoch, progress)
        with database.writing() as c:
            # Risk: a KEK destroyed while a row is still under it loses that key for good. So it is looked at once more, with every
            # writer kept out, before the epoch is called finished.
            if left := sum(_left(c, epoch).values()):
                raise KeysUnavailable(
                    f"{left} rows of an older epoch were written meanwhile; no KEK was destroyed",
                    remedy="stop processes of an older program, then run it again",
                )
            set_meta(c, "epoch", str(epoch))
        proved = backup.take(database, keks, folder, epoch)
        for old in keks.remains():
            if old != epoch:
                keks.destroy_epoch(old)
        backup.delete_earlier(folder, epoch)
        with database.writing() as c:
            set_meta(c, "rotating", None)
    return Rotation(epoch, rewrapped, proved)


def _begun(database: Database, keks: KekDirectory) -> int | None:
    """The epoch that an interrupted rotation goes to."""
    with database.reading() as c:
        rotating, epoch = get_meta(c, "rotating"), get_meta(c, "epoch")
    if rotating is None or (rotating == epoch and keks.remains() == [int(rotating)]):
        return None  # the second: nothing was left to do but to clear it, as in a backup taken at step 6
    return int(rotating)


def _begin(database: Database, keks: KekDirectory, folder: Path) -> int:
    with database.reading() as c:
        old = writing_epoch(c)
    backup.take(database, keks, folder, old)
    epoch = max([old, *keks.remains()]) + 1
    keks.make_epoch(epoch)
    with database.writing() as c:
        set_meta(c, "rotating", str(epoch))
    return epoch


def _rewrap(database: Database, keks: KekDirectory, epoch: int, progress: Progress) -> int:
    with database.reading() as c:
        total = sum(_left(c, epoch).values())
    done = 0
    progress(0, total)
    for table in _TABLES:
        after = table.first
        while True:
            with database.writing() as c:
                rewrap = Rewrapping(keks, epoch)
                rows = c.execute(table.select, (*after, epoch, ROWS_AT_ONCE)).fetchall()
                width = len(table.first)
                c.executemany(table.update, [(epoch, table.rewrapped(rewrap, row), *row[:width]) for row in rows])
            if not rows:
                break
            after = rows[-1][:width]
            done += len(rows)
            progress(done, total)
            time.sleep(PAUSE_SECONDS)
    return done


def _left(c: sqlite3.Connection, epoch: int) -> dict[str, int]:
    """By table: rows of another epoch."""
    return {
        table.name: c.execute(f"SELECT count(*) FROM {table.name} WHERE epoch <> ?", (epoch,)).fetchone()[0]  # noqa: S608 (our own names)
        for table in _TABLES
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One rotation at a time, whichever process runs it. The lock ends with its process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KeysUnavailable("a rotation is under way already", remedy="wait until it is finished") from None
        yield
    finally:
        os.close(descriptor)
