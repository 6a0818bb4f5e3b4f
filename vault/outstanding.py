"""Which effects were still open when a process stopped, so that a restart need not read the whole log for them.

A cache: made from the log, thrown away whenever it does not fit (another log, a torn file), and then made again by reading from the
log's start. It holds offsets, nothing sealed and nothing personal.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vault.ids import LogId

FORMAT = 1

_TABLES = """
CREATE TABLE made_for (log_id BLOB, format INTEGER);
CREATE TABLE reached (name TEXT, partition INTEGER, next_offset INTEGER, PRIMARY KEY (name, partition));
CREATE TABLE open (name TEXT, partition INTEGER, "offset" INTEGER, PRIMARY KEY (name, partition, "offset")) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Up to where, without it, the log was read, and the offsets before it of commits that want something still to be done."""

    next_offset: int = 0
    offsets: tuple[int, ...] = ()


class Outstanding:
    """The file. Thread-safe."""

    def __init__(self, path: Path, log_id: LogId) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = self._open()
        try:
            made_for = self._connection.execute("SELECT log_id, format FROM made_for").fetchone()
        except sqlite3.Error:
            made_for = None
        if made_for != (log_id.bytes, FORMAT):
            self._connection.close()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            self._connection = self._open()
            self._connection.executescript(_TABLES)
            self._connection.execute("INSERT INTO made_for VALUES (?, ?)", (log_id.bytes, FORMAT))

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        with contextlib.suppress(sqlite3.DatabaseError):  # torn: the first read fails too, and the file is made again
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def load(self, name: str, partition: int) -> Kept:
        """What is kept of a partition for the effects of a name; the log's start when nothing is, or it cannot be read."""
        place = (name, partition)
        with self._lock:
            read = self._connection.execute
            try:
                reached = read("SELECT next_offset FROM reached WHERE name = ? AND partition = ?", place).fetchone()
                offsets = read(
                    'SELECT "offset" FROM open WHERE name = ? AND partition = ? ORDER BY 1', place
                ).fetchall()
            except sqlite3.DatabaseError:
                return Kept()
        return Kept(reached[0], tuple(row[0] for row in offsets)) if reached else Kept()

    def save(self, name: str, partition: int, next_offset: int, offsets: Iterable[int]) -> None:
        with self._lock:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT OR REPLACE INTO reached VALUES (?, ?, ?)", (name, partition, next_offset))
                connection.execute("DELETE FROM open WHERE name = ? AND partition = ?", (name, partition))
                rows = [(name, partition, offset) for offset in sorted(set(offsets))]
                connection.executemany("INSERT INTO open VALUES (?, ?, ?)", rows)
                connection.execute("COMMIT")
            except sqlite3.Error:  # only a cache: without this save a restart reads more of the log
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
