"""What a process remembers of the conversations it has folded, so that a restart need not read them all again.

A cache: made from the log, thrown away whenever it does not fit (other log, other rules, torn file), and then made again. It holds
positions and pseudonyms, nothing sealed and nothing personal.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vault.fold import FOLD_VERSION, FoldState
from vault.ids import LogId

_TABLES = """
CREATE TABLE made_for (log_id BLOB, fold_version INTEGER);
CREATE TABLE reached (partition INTEGER PRIMARY KEY, log_start INTEGER, next_offset INTEGER);
CREATE TABLE position (partition INTEGER, follower TEXT, upto INTEGER, PRIMARY KEY (partition, follower));
CREATE TABLE erased (partition INTEGER, subject BLOB, "offset" INTEGER, PRIMARY KEY (partition, subject)) WITHOUT ROWID;
CREATE TABLE refused (partition INTEGER, "offset" INTEGER, PRIMARY KEY (partition, "offset")) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Remembered:
    """One partition as it was folded, and the offsets of the commits that were refused."""

    fold: FoldState
    refused: set[int]


class LocalState:
    """The file. Thread-safe."""

    def __init__(self, path: Path, log_id: LogId) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = self._open()
        try:
            made_for = self._connection.execute("SELECT log_id, fold_version FROM made_for").fetchone()
        except sqlite3.Error:
            made_for = None
        if made_for != (log_id.bytes, FOLD_VERSION):
            self._connection.close()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            self._connection = self._open()
            self._connection.executescript(_TABLES)
            self._connection.execute("INSERT INTO made_for VALUES (?, ?)", (log_id.bytes, FOLD_VERSION))

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        with contextlib.suppress(sqlite3.DatabaseError):  # torn: the first read fails too, and the file is made again
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def load(self, partition: int) -> Remembered | None:
        """What is remembered of a partition; None when nothing is, or it cannot be read."""
        with self._lock:
            read = self._connection.execute
            try:
                reached = read(
                    "SELECT log_start, next_offset FROM reached WHERE partition = ?", (partition,)
                ).fetchone()
                if reached is None:
                    return None
                positions = read("SELECT follower, upto FROM position WHERE partition = ?", (partition,)).fetchall()
                erased = read('SELECT subject, "offset" FROM erased WHERE partition = ?', (partition,)).fetchall()
                refused = read('SELECT "offset" FROM refused WHERE partition = ?', (partition,)).fetchall()
            except sqlite3.DatabaseError:
                return None
        log_start, next_offset = reached
        fold = FoldState(FOLD_VERSION, log_start, next_offset, dict(positions), dict(erased))
        return Remembered(fold, {row[0] for row in refused})

    def save(self, partition: int, fold: FoldState, refused: Iterable[int]) -> None:
        """Remembers a fold; `refused` is added to what is there."""
        with self._lock:
            connection = self._connection
            many = connection.executemany
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "INSERT OR REPLACE INTO reached VALUES (?, ?, ?)", (partition, fold.log_start, fold.next_offset)
                )
                many(
                    "INSERT OR REPLACE INTO position VALUES (?, ?, ?)",
                    [(partition, name, upto) for name, upto in fold.positions.items()],
                )
                many(
                    "INSERT OR IGNORE INTO erased VALUES (?, ?, ?)", [(partition, *row) for row in fold.erased.items()]
                )
                many("INSERT OR IGNORE INTO refused VALUES (?, ?)", [(partition, offset) for offset in refused])
                connection.execute("COMMIT")
            except sqlite3.Error:  # only a cache: without this save a restart reads more of the log
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
