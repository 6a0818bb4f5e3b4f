"""The key store's file: one SQLite database, one connection, one transaction at a time.

A rollback journal and `secure_delete`, because what is deleted here must be gone from the file when the transaction ends; a
write-ahead log would keep it until a checkpoint. What `secure_delete` leaves is taken away after each: see `unallocated`.
`synchronous=FULL`, because a key that sealed something must not be lost. The journal of a transaction is unlinked when it ends; what
a disk keeps of unlinked blocks is wrapped under KEKs that a rotation ends.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vault.errors import HomeNewer, KeysUnavailable, StartRefused, VaultError
from vault.keys.unallocated import Unallocated

CLEANED_AT_ONCE = 5_000
"""Pages that are looked at, when a key store is opened, before other processes may write again."""

SCHEMA_VERSION = 2
APPLICATION_ID = 0x50_41_52_4C
"""`PARL`: tells a key store from any other SQLite file."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- A DEK by its commitment. id: see row_of. owner: subject or case. month: see vault.keys.model; -1: the evidence DEK of a case;
-- -2: of a model that was trained on people.
-- consented: made while its person consented to improvement, and that consent was never withdrawn since.
CREATE TABLE dek (
    id INTEGER PRIMARY KEY, key_id BLOB NOT NULL, owner BLOB NOT NULL, month INTEGER NOT NULL,
    serial INTEGER NOT NULL, consented INTEGER NOT NULL, UNIQUE (owner, month, serial));

-- The DEK wrapped for one purpose. No row: the DEK does not serve it.
CREATE TABLE key_grant (
    dek INTEGER NOT NULL REFERENCES dek (id), purpose TEXT NOT NULL, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (dek, purpose)) WITHOUT ROWID;

-- serial: of the chapter that is written in; goes up when consent changes, or when another chapter must begin.
-- No row: 0, nothing consented, nothing restricted.
CREATE TABLE standing (
    subject BLOB PRIMARY KEY, serial INTEGER NOT NULL, improvement INTEGER NOT NULL, restricted INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE fence (subject BLOB PRIMARY KEY, at_us INTEGER NOT NULL, log_offset INTEGER) WITHOUT ROWID;

-- Keyed hashes only; who they mean is in the wrapped values.
CREATE TABLE identity (
    entry BLOB PRIMARY KEY, keyed_subject BLOB NOT NULL, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX identity_of ON identity (keyed_subject);
CREATE TABLE tie (
    keyed_subject BLOB PRIMARY KEY, keyed_case BLOB NOT NULL UNIQUE, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE note (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL);

-- How far the register's accepted events have been followed, by partition.
CREATE TABLE followed (partition INTEGER PRIMARY KEY, position INTEGER NOT NULL);
"""

_SINCE_2 = """
-- E-mail addresses and telephone numbers that people typed, by keyed hash, and in which of their messages. No proof of identity.
CREATE TABLE IF NOT EXISTS mention (
    entry BLOB NOT NULL, keyed_message BLOB NOT NULL, keyed_subject BLOB NOT NULL, month INTEGER NOT NULL,
    epoch INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (entry, keyed_message)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS mention_of ON mention (keyed_subject, keyed_message);

-- Messages that are not to be opened any more: nothing is entered of them, or learnt from them, by whoever is late.
CREATE TABLE IF NOT EXISTS redacted (
    keyed_message BLOB PRIMARY KEY, keyed_subject BLOB NOT NULL, month INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS redacted_of ON redacted (keyed_subject);

-- A model that was trained on people; the DEK that seals it has its id as owner. stale_us: since when somebody it learnt from does
-- not agree any more; null while all do.
CREATE TABLE IF NOT EXISTS model (id BLOB PRIMARY KEY, made_us INTEGER NOT NULL, stale_us INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS learnt_from (
    model BLOB NOT NULL REFERENCES model (id), keyed_message BLOB NOT NULL, keyed_subject BLOB NOT NULL, month INTEGER NOT NULL,
    PRIMARY KEY (model, keyed_message)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS learnt_from_of ON learnt_from (keyed_subject, keyed_message);
"""

TABLES = (
    "dek",
    "key_grant",
    "standing",
    "fence",
    "identity",
    "tie",
    "mention",
    "redacted",
    "model",
    "learnt_from",
    "note",
)


class Database:
    """An open key store file. Thread-safe: `reading` and `writing` take turns on the one connection."""

    def __init__(self, path: Path, connection: sqlite3.Connection, busy_timeout_ms: int) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.lock = threading.RLock()
        self._connection = connection
        self._busy_timeout_ms = busy_timeout_ms
        with translated(path):
            self._unallocated = Unallocated(path)
        self._uncleaned: set[int] = set()

    @classmethod
    def create(cls, path: Path, busy_timeout_ms: int) -> Database:
        """A new file, mode 0600. `StartRefused` when there is one already."""
        with translated(path):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                raise StartRefused(
                    f"the key store {path} is there already", remedy="open it, or choose a new home"
                ) from None
            except OSError as error:
                raise StartRefused(
                    f"the key store {path} cannot be made: {error.strerror}",
                    remedy="make its folder and let this user write in it",
                ) from error
            connection = _connect(path, busy_timeout_ms)
            connection.executescript(
                f"BEGIN; {_SCHEMA} {_SINCE_2} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
        return cls(path, connection, busy_timeout_ms)

    @classmethod
    def open(cls, path: Path, busy_timeout_ms: int) -> Database:
        """The file that is there. `HomeNewer` when a newer program made it, `StartRefused` when it is missing or is no key store."""
        if not path.is_file():
            raise StartRefused(f"the key store {path} is missing", remedy="restore it from a backup")
        try:
            with translated(path):
                connection = _connect(path, busy_timeout_ms)
                (application_id,) = connection.execute("PRAGMA application_id").fetchone()
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").fetchone()
        except KeysUnavailable as error:
            if is_damage(error):
                raise StartRefused(
                    f"{path} is not a key store, or is damaged", remedy="restore it from a backup"
                ) from error
            raise
        if application_id != APPLICATION_ID or version < 1 or not tables:
            connection.close()
            raise StartRefused(f"{path} is not a key store", remedy="restore it from a backup")
        if version > SCHEMA_VERSION:
            connection.close()
            raise HomeNewer(
                f"the key store {path} is of version {version}, this program knows {SCHEMA_VERSION}",
                remedy="use the newer program",
            )
        if version < SCHEMA_VERSION:
            with translated(path):
                connection.executescript(f"BEGIN IMMEDIATE; {_SINCE_2} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        database = cls(path, connection, busy_timeout_ms)
        database._clean_all()
        return database

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, while no transaction of this process is under way."""
        with self.lock, translated(self.path):
            yield self._connection

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """The same, and until it ends no other process writes either."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is stored, or, when anything is raised, none of it."""
        with self.lock, translated(self.path):
            connection = self._connection
            begin_writing(connection, self._busy_timeout_ms)
            pages, free = self._unallocated.pages(), self._unallocated.free()
            try:
                yield connection
                written = self._unallocated.being_written()
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # on a full disk SQLite rolls back by itself
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise
            self._uncleaned |= written | (free - self._unallocated.free())
            self._uncleaned.update(range(pages + 1, self._unallocated.pages() + 1))
            self._clean()

    def _clean(self) -> None:
        """Takes away what the last transactions left. Where that cannot be done now, because another process writes, the next does it."""
        try:
            begin_writing(self._connection, self._busy_timeout_ms)
        except sqlite3.OperationalError:
            return
        try:
            with suppress(OSError):
                self._unallocated.clean(self._uncleaned)
                self._uncleaned.clear()
        finally:
            self._connection.execute("ROLLBACK")

    def _clean_all(self) -> None:
        """The same for every page: whoever had the file last may have been stopped before it could."""
        pages = self._unallocated.pages()
        for first in range(1, pages + 1, CLEANED_AT_ONCE):
            self._uncleaned = set(range(first, min(first + CLEANED_AT_ONCE, pages + 1)))
            self._clean()

    def close(self) -> None:
        with self.lock:
            self._connection.close()
            self._unallocated.close()


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=busy_timeout_ms / 1_000, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    for pragma in (
        "journal_mode=DELETE",
        "secure_delete=ON",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",  # no temporary file ever holds a row
        "cache_size=-32768",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchone()
    return connection


def begin_writing(c: sqlite3.Connection, busy_timeout_ms: int) -> None:
    """Begins a write transaction, waiting for other processes within the timeout.

    SQLite itself asks ever more seldom, up to every 100 ms, so a process that writes without a pause could keep an erasure out.
    """
    ends = time.monotonic() + busy_timeout_ms / 1_000
    c.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                c.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= ends:
                    raise
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 (so that two who wait do not keep step)
    finally:
        c.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")


def row_of(key_id: bytes) -> int:
    """The row of a DEK: the first 63 bits of its key id.

    Risk: rows numbered as they are made would show, by lying next to each other, which subject and which case are one person.
    Two of a billion DEKs share a number with a probability of 1 in 18; the later one is then refused, and trying again makes another.
    """
    return int.from_bytes(key_id[:8], "big") >> 1


def get_meta(c: sqlite3.Connection, name: str) -> str | None:
    row = c.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_meta(c: sqlite3.Connection, name: str, value: str | None) -> None:
    """Sets a value; None removes it."""
    if value is None:
        c.execute("DELETE FROM meta WHERE name = ?", (name,))
    else:
        c.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
        )


def writing_epoch(c: sqlite3.Connection) -> int:
    """The epoch to wrap under: while a rotation runs, already the one it goes to."""
    epoch = get_meta(c, "rotating") or get_meta(c, "epoch")
    assert epoch is not None
    return int(epoch)


_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SAID = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another process",
        "try again; if it stays so, stop the process that holds it (`fuser` names it) or raise key_store_timeout_ms",
    ),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", "try again"),
    sqlite3.SQLITE_FULL: ("has no room left; nothing of this was stored", "free space on its disk, then try again"),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written; nothing of this was stored",
        "see to its disk and its free space, then try again",
    ),
    sqlite3.SQLITE_READONLY: ("cannot be written", "let this user write the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "let this user read and write the file and its folder"),
    sqlite3.SQLITE_PERM: ("cannot be used", "let this user read and write the file and its folder"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "stop, and restore it from a backup"),
    sqlite3.SQLITE_NOTADB: ("is damaged", "stop, and restore it from a backup"),
}


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_damage(error: KeysUnavailable) -> bool:
    """Whether SQLite said that the file is torn or is none of its own."""
    return isinstance(error.__cause__, sqlite3.Error) and _code(error.__cause__) in _DAMAGED


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as the vault's, with what to do about them."""
    try:
        yield
    except VaultError:
        raise
    except sqlite3.ProgrammingError as error:
        raise KeysUnavailable(f"the key store {path} is closed", remedy="open it again") from error
    except PermissionError as error:
        said, remedy = _SAID[sqlite3.SQLITE_PERM]
        raise KeysUnavailable(f"the key store {path} {said}", remedy=remedy) from error
    except sqlite3.Error as error:
        said, remedy = _SAID.get(
            _code(error), (f"failed: {type(error).__name__} {_code(error)}", "run `parloir verify`")
        )
        raise KeysUnavailable(f"the key store {path} {said}", remedy=remedy) from error
