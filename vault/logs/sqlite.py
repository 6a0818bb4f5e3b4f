"""A log in one SQLite file: the embedded default, for one owner process at a time.

WAL with `synchronous=FULL`: an acknowledged record is on disk. What deleted pages keep is sealed, so WAL is safe here, unlike in
the key store.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from vault.errors import LogMismatch, LogUnavailable
from vault.log import Raw
from vault.logs.limit import RECORD_BYTES_MAX, refuse_large

_TABLES = """
CREATE TABLE IF NOT EXISTS record (partition INTEGER, "offset" INTEGER, bytes BLOB, PRIMARY KEY (partition, "offset")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shape (topic TEXT, partitions INTEGER);
"""


class SqliteLog:
    """A `Log` in a SQLite file. Raises `LogMismatch` when the file was made with other partitions or for another topic."""

    def __init__(
        self,
        path: Path,
        topic: str,
        partitions: int,
        *,
        busy_timeout_ms: int = 5_000,
        record_bytes_max: int = RECORD_BYTES_MAX,
    ) -> None:
        self.topic = topic
        self.partitions = partitions
        self.path = path
        self._lock = threading.Lock()
        self._appended = threading.Condition()
        self._busy_timeout_ms = busy_timeout_ms
        self._record_bytes_max = record_bytes_max
        self._closed = False
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = self.connect()
            try:
                self._ends = self._prepare()
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise _unavailable(path, error) from error

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout_ms / 1000, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _prepare(self) -> dict[int, int]:
        """Makes or checks the tables. Returns the partitions' ends."""
        execute = self._connection.execute
        self._connection.executescript(_TABLES)
        made = execute("SELECT topic, partitions FROM shape").fetchone()
        if made is None:
            execute("INSERT INTO shape VALUES (?, ?)", (self.topic, self.partitions))
        elif made != (self.topic, self.partitions):
            raise LogMismatch(
                f"{self.path} holds topic {made[0]} with {made[1]} partitions, "
                f"the settings say {self.topic} with {self.partitions}",
                remedy="set log_partitions back, or begin a new home",
            )
        ends = execute('SELECT partition, max("offset") + 1 FROM record GROUP BY partition').fetchall()
        return dict.fromkeys(range(self.partitions), 0) | dict(ends)

    def send(self, partition: int, records: Sequence[bytes]) -> _Stored:
        refuse_large(self.topic, records, self._record_bytes_max)
        with self._lock:
            start = self._ends[partition]
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(
                    "INSERT INTO record VALUES (?, ?, ?)",
                    ((partition, start + i, record) for i, record in enumerate(records)),
                )
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise _unavailable(self.path, error, not_stored=len(records)) from error
            self._ends[partition] = start + len(records)
        with self._appended:
            self._appended.notify_all()
        return _Stored(range(start, start + len(records)))

    def bounds(self, partition: int) -> tuple[int, int]:
        try:
            with self._lock:
                (first,) = self._connection.execute(
                    'SELECT min("offset") FROM record WHERE partition = ?', (partition,)
                ).fetchone()
        except sqlite3.Error as error:
            raise _unavailable(self.path, error) from error
        return first or 0, self._ends[partition]

    def end(self, partition: int) -> int:
        return self._ends[partition]

    def tail(self, partition: int, start: int) -> _SqliteTail:
        try:
            return _SqliteTail(self, partition, start)
        except sqlite3.Error as error:
            raise _unavailable(self.path, error) from error

    def wait(self, partition: int, offset: int, timeout_ms: int) -> bool:
        """Waits until the log holds `offset`."""
        with self._appended:
            self._appended.wait_for(lambda: self._closed or self._ends[partition] > offset, timeout_ms / 1000)
        return self._ends[partition] > offset and not self._closed

    def close(self) -> None:
        with self._appended:
            self._closed = True
            self._appended.notify_all()
        with self._lock:
            self._connection.close()


class _Stored:
    def __init__(self, offsets: range) -> None:
        self._offsets = offsets

    def wait(self, timeout_ms: int) -> Sequence[int]:
        del timeout_ms
        return self._offsets


class _SqliteTail:
    def __init__(self, log: SqliteLog, partition: int, start: int) -> None:
        self._log = log
        self._partition = partition
        self._next = start
        self._connection = log.connect()

    def poll(self, timeout_ms: int, limit: int) -> list[Raw]:
        log, start = self._log, self._next
        if start > log.end(self._partition):
            raise _gone(log, self._partition, start)
        if not log.wait(self._partition, start, timeout_ms):
            return []
        try:
            # Not beyond the end that is known: what is committed a moment before its writer says so is not there for anybody yet.
            rows = self._connection.execute(
                'SELECT "offset", bytes FROM record WHERE partition = ? AND "offset" >= ? AND "offset" < ? ORDER BY "offset" LIMIT ?',
                (self._partition, start, log.end(self._partition), limit),
            )
            raws = [Raw(*row) for row in rows]
        except sqlite3.Error as error:
            raise _unavailable(log.path, error) from error
        if not raws or raws[0].offset != start:
            raise _gone(log, self._partition, start)
        self._next = raws[-1].offset + 1
        return raws

    def seek(self, offset: int) -> None:
        self._next = offset

    def close(self) -> None:
        self._connection.close()


def _gone(log: SqliteLog, partition: int, offset: int) -> LogMismatch:
    return LogMismatch(
        f"{log.topic}/{partition} does not hold offset {offset} to read on from; it ends at {log.end(partition)}",
        remedy="restore the log's file; or delete the local state and rebuild the projections (`parloir rebuild`)",
    )


def _unavailable(path: Path, error: sqlite3.Error, *, not_stored: int = 0) -> LogUnavailable:
    reason = str(error)
    remedy = (
        "free some space" if "full" in reason or "disk I/O" in reason else "see that no other program has the file open"
    )
    return LogUnavailable(
        f"{path.name}: {reason}; {not_stored} records not stored", not_stored=not_stored, remedy=remedy
    )
