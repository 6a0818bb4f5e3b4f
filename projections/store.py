"""The DuckDB file of the projection: sealed rows and pseudonymous facts, with the positions in the logs that they reach.

A cache in the sense that it is made from the logs and may be thrown away at any time; yet it is what the desk, the report and
analysts read. One process owns the file, one writer writes it, and rows and positions go in together or not at all.

Risks and what removes them. SQL that comes from outside could read or write files, so the file system, extensions, attaching and
changes of configuration are shut off before anything else runs. DuckDB spills to a temporary directory, which would outlive an
erasure: there is none, and a query that would need one fails. Deleted rows stay in the file's free pages until it is written anew
(`parloir rebuild`); what they hold is sealed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from projections import tables
from projections.rows import EVENT_COLUMNS, EVIDENCE_COLUMNS, Batch, Span
from vault.errors import BadInput, HomeBusy, HomeNewer, LogMismatch, StartRefused, Unavailable

REMEDY = "delete the file, it is made anew from the logs, or run `parloir rebuild`"


class Store:
    """The projection's file, open. Thread-safe; `write` is for one thread at a time."""

    def __init__(self, path: Path, log_id: UUID, memory_mb: int, threads: int) -> None:
        self.path = path
        self.log_id = log_id
        self._memory_mb = memory_mb
        self._threads = threads
        self._writing = threading.Lock()
        self._state = threading.Condition()
        self._readers: set[Any] = set()
        self._swapping = False
        self._connection: Any = None

    @classmethod
    def open(cls, path: Path, *, log_id: UUID, memory_mb: int = 192, threads: int = 2) -> Store:
        """Opens the file, or makes it; one of an older layout is made anew, empty, to be filled from the logs.

        Raises `LogMismatch` for a file of another log, `HomeNewer` for one of a newer program, `HomeBusy` when another process
        owns it, `StartRefused` when it cannot be used.
        """
        store = cls(path, log_id, memory_mb, threads)
        store._connection = store._connect()
        try:
            if store._is_older():
                store._connection.close()
                remove(path)
                store._connection = store._connect()
                store._is_older()
        except BaseException:
            store._connection.close()
            raise
        return store

    def beside(self, suffix: str) -> Store:
        """A new, empty store of the same log in a file beside this one."""
        path = self.path.with_name(self.path.name + suffix)
        remove(path)
        return Store.open(path, log_id=self.log_id, memory_mb=self._memory_mb, threads=self._threads)

    def _connect(self) -> Any:
        try:
            connection = duckdb.connect(
                str(self.path),
                config={
                    "memory_limit": f"{self._memory_mb}MB",
                    "threads": self._threads,
                    "temp_directory": "",
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "allow_community_extensions": False,
                    "allow_persistent_secrets": False,
                    "python_enable_replacements": False,
                    # Every checkpoint writes the last row group again, so small ones cost more than the rows; what waits for one
                    # lies in memory.
                    "checkpoint_threshold": f"{max(16, self._memory_mb // 3)}MB",
                },
            )
        except duckdb.Error as error:
            raise _refused(self.path, error) from error
        # Pseudonyms and facts are for the owner of the home only; set before the first row is written.
        self.path.chmod(0o600)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _is_older(self) -> bool:
        """Makes the tables if there are none. True when they are of an older layout."""
        connection = self._connection
        known = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'projection'").fetchone()[0]
        if not known:
            if connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()[0]:
                raise StartRefused(f"{self.path} is not a projection", remedy=REMEDY)
            connection.execute("BEGIN")
            for statement in tables.statements():
                connection.execute(statement)
            connection.execute("INSERT INTO projection VALUES (?, ?)", [self.log_id, tables.LAYOUT])
            connection.execute("COMMIT")
            return False
        log_id, layout = connection.execute("SELECT log_id, layout FROM projection").fetchone()
        if layout > tables.LAYOUT:
            raise HomeNewer(
                f"{self.path} has layout {layout}, this program knows {tables.LAYOUT}",
                remedy=f"use the newer program, or {REMEDY}",
            )
        if log_id != self.log_id:
            raise LogMismatch(f"{self.path} was made from log {log_id}, this is log {self.log_id}", remedy=REMEDY)
        return bool(layout < tables.LAYOUT)

    # Writing

    def write(self, batch: Batch) -> bool:
        """Stores a batch, and its positions with it. False, and nothing is stored, when it does not begin where the last ended.

        Raises `Unavailable` when DuckDB has no memory or no disk left; the same batch may be given again.
        """
        with self._writing:
            connection = self._connection
            try:
                connection.execute("BEGIN")
                if not all(_advance(connection, span) for span in batch.spans):
                    connection.execute("ROLLBACK")
                    return False
                for table, rows, columns in (
                    ("event", batch.events, EVENT_COLUMNS),
                    ("register_event", batch.evidence, EVIDENCE_COLUMNS),
                ):
                    if rows.num_rows:
                        names = ", ".join(f'"{name}"' for name in columns)
                        connection.register("arriving", rows)
                        connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM arriving")  # noqa: S608
                        connection.unregister("arriving")
                if batch.erased:
                    erased = [UUID(bytes=subject) for subject in batch.erased]
                    connection.execute("DELETE FROM event WHERE subject IN (SELECT unnest(?::UUID[]))", [erased])
                for (partition, event_topic, reason), count in (batch.unreadable or {}).items():
                    connection.execute(
                        "MERGE INTO unreadable u USING (SELECT ? AS p, ? AS t, ? AS r, ? AS n) a"
                        " ON u.partition = a.p AND u.event_topic = a.t AND u.reason = a.r"
                        " WHEN MATCHED THEN UPDATE SET events = u.events + a.n"
                        " WHEN NOT MATCHED THEN INSERT VALUES (a.p, a.t, a.r, a.n)",
                        [partition, event_topic, reason, count],
                    )
                connection.execute("COMMIT")
            except duckdb.Error as error:
                self._roll_back()
                raise Unavailable(
                    f"{self.path.name} could not be written ({type(error).__name__})",
                    remedy="free some memory or disk space; what was being stored is tried again",
                ) from error
            return True

    def _roll_back(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.Error:  # the transaction was over, or the database gave up: only opening it again helps with that
            try:
                self._connection.execute("SELECT 1")
            except duckdb.Error:
                self._exchange(lambda: None)

    # Reading

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A cursor that sees what is committed. Waits while the file is being swapped."""
        with self._state:
            self._state.wait_for(lambda: not self._swapping)
            if self._connection is None:
                raise Unavailable("the projection is closed")
            cursor = self._connection.cursor()
            self._readers.add(cursor)
        try:
            yield cursor
        finally:
            cursor.close()
            with self._state:
                self._readers.discard(cursor)
                self._state.notify_all()

    def position(self, log: str, partition: int) -> int | None:
        """How far a partition was read: the next offset, in the register the next event's id; None when nothing was."""
        with self.reading() as cursor:
            row = cursor.execute(
                "SELECT next_offset FROM position WHERE log = ? AND partition = ?", [log, partition]
            ).fetchone()
        return None if row is None else int(row[0])

    def positions(self) -> dict[tuple[str, int], int]:
        """The same for every log and partition that anything was read of."""
        with self.reading() as cursor:
            rows = cursor.execute("SELECT log, partition, next_offset FROM position").fetchall()
        return {(log, partition): next_offset for log, partition, next_offset in rows}

    def count_events(self, subject: UUID) -> int:
        """How many events of a person are held."""
        with self.reading() as cursor:
            return int(cursor.execute("SELECT count(*) FROM event WHERE subject = ?", [subject]).fetchone()[0])

    # Swapping and closing

    def replace_by(self, other: Store) -> None:
        """Puts another store's file in place of this one; who is reading finishes first, who comes next reads the new one."""
        with self._writing:
            with other.reading() as cursor:
                cursor.execute("CHECKPOINT")
            other.close()
            self._exchange(lambda: _move(other.path, self.path))

    def _exchange(self, change: Any) -> None:
        """Closes the file, lets `change` work on it, and opens it again. Readers wait."""
        with self._state:
            self._swapping = True
            self._state.wait_for(lambda: not self._readers)
            try:
                self._connection.close()
                change()
                self._connection = self._connect()
            finally:
                self._swapping = False
                self._state.notify_all()

    def discard(self) -> None:
        """Closes the file and removes it."""
        self.close()
        remove(self.path)

    def close(self) -> None:
        """Ends what is being read, waits for what is being written, and closes the file."""
        with self._writing, self._state:
            for cursor in self._readers:
                cursor.interrupt()
            self._state.wait_for(lambda: not self._readers, timeout=5)
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _advance(connection: Any, span: Span) -> bool:
    """Moves a partition's position if it stands where the span begins."""
    known = connection.execute(
        "SELECT next_offset FROM position WHERE log = ? AND partition = ?", [span.log, span.partition]
    ).fetchone()
    if (None if known is None else known[0]) != span.start:
        return False
    if known is None:
        connection.execute("INSERT INTO position VALUES (?, ?, ?)", [span.log, span.partition, span.end])
        return True
    connection.execute(
        "UPDATE position SET next_offset = ? WHERE log = ? AND partition = ?", [span.end, span.log, span.partition]
    )
    return True


def remove(path: Path) -> None:
    """Removes a store's file, and its log of what is not in it yet."""
    for name in (path, wal_of(path)):
        name.unlink(missing_ok=True)


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _move(new: Path, old: Path) -> None:
    # A crash in between leaves the old file without what was not yet in it: its position says so, and it is read again.
    wal_of(old).unlink(missing_ok=True)
    os.replace(new, old)
    folder = os.open(old.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refused(path: Path, error: duckdb.Error) -> StartRefused | BadInput:
    text = str(error)
    if "lock" in text.lower():
        return HomeBusy(f"{path} is in use by another process", remedy="stop it, or ask it")
    return StartRefused(f"{path} cannot be opened as a projection ({type(error).__name__})", remedy=REMEDY)
