"""Copies of the key store that have been proved to open: taken before a rotation, and again after it.

Files keys-epoch-N-TIME.db, mode 0600, in a folder of mode 0700. A copy opens nothing without the KEKs of its epoch, so a rotation
ends every copy from before it, and with it whatever was erased since.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from vault.errors import KeysUnavailable
from vault.keys.database import TABLES, Database, translated
from vault.keys.identity import open_identity, open_tie
from vault.keys.index import SIZE
from vault.keys.kek import KekDirectory
from vault.keys.mentions import open_mention
from vault.keys.wrap import unwrap_dek

SAMPLE = 500
"""DEKs of a copy whose grants are opened to prove it; and as many identities, ties and mentions."""

_NAME = re.compile(r"keys-epoch-([1-9][0-9]{0,8})-[0-9TZ]+\.db")


def take(database: Database, keks: KekDirectory, folder: Path, epoch: int) -> Path:
    """A new copy, on the disk and proved. Raises `KeysUnavailable` when it cannot be written, `KeyTampered` when it does not open.

    Other threads wait while the pages are copied, about 0.2 s for 100 MB.
    """
    name = f"keys-epoch-{epoch}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.db"
    draft = folder / f"{name}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for leftover in folder.glob("keys-epoch-*.part"):
            leftover.unlink()
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        counts = _copy(database, draft)
        _prove(draft, keks, counts)
        draft.rename(folder / name)
        _sync(folder)
    except OSError as error:
        raise KeysUnavailable(
            f"no backup can be written to {folder}: {error.strerror}; nothing was changed",
            remedy="make room there, or let this user write in it, then run it again",
        ) from error
    return folder / name


def delete_earlier(folder: Path, epoch: int) -> int:
    """Deletes the copies of earlier epochs, which nothing opens any more. Returns how many."""
    dead = [path for path in folder.iterdir() if (found := _NAME.fullmatch(path.name)) and int(found[1]) < epoch]
    for path in dead:
        path.unlink()
    _sync(folder)
    return len(dead)


def _copy(database: Database, draft: Path) -> dict[str, int]:
    """Copies every page, and counts the rows of the moment that was copied."""
    with translated(draft), closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous=OFF")  # synced as a whole, below
        with database.snapshot() as c:
            counts = _counts(c)
            c.backup(copy)
    _sync(draft)
    return counts


def _counts(c: sqlite3.Connection) -> dict[str, int]:
    return {table: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}  # noqa: S608 (our own names)


def _prove(path: Path, keks: KekDirectory, counts: dict[str, int]) -> None:
    """The copy is whole, has as many rows of each kind, and what is in it opens."""
    with translated(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as c:
        (found,) = c.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok" or _counts(c) != counts:
            raise KeysUnavailable(
                f"the backup {path} is not whole; nothing was changed", remedy="see to the disk, then run it again"
            )
        for _ in range(
            SAMPLE
        ):  # DEKs and hashes are spread evenly, so whatever comes after a random place is a fair draw
            for row in c.execute(
                "SELECT d.key_id, d.owner, g.purpose, g.epoch, g.wrapped FROM dek d JOIN key_grant g ON g.dek = d.id"
                " WHERE d.id = (SELECT id FROM dek WHERE id >= ? ORDER BY id LIMIT 1)",
                (secrets.randbits(63),),
            ):
                unwrap_dek(keks, *row)
            at = (secrets.token_bytes(SIZE),)
            for row in c.execute("SELECT * FROM identity WHERE entry >= ? ORDER BY entry LIMIT 1", at):
                open_identity(keks, *row)
            for row in c.execute("SELECT * FROM tie WHERE keyed_subject >= ? ORDER BY keyed_subject LIMIT 1", at):
                open_tie(keks, *row)
            for row in c.execute(
                "SELECT entry, keyed_message, keyed_subject, epoch, wrapped FROM mention WHERE entry >= ? ORDER BY entry LIMIT 1",
                at,
            ):
                open_mention(keks, *row)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
