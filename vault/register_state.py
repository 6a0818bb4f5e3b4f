"""What a process remembers of one partition of the register: everything, folded, in a SQLite database of its own.

A cache, made from the log: events are found in it by aggregate and in order, and a restart goes on from the offset that was saved
in the same transaction as what was folded up to it. Whatever does not fit (other log, other rules, torn file) is thrown away and
made again. Events lie in it as they lie in the log, sealed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import DatabaseError
from eventsourcing.sqlite import SQLiteAggregateRecorder, SQLiteProcessRecorder

from vault.commit import Commit, Envelope
from vault.errors import HomeBusy
from vault.fold import FOLD_VERSION, judge_register
from vault.recorder import RegisterUnavailable
from vault.sqlite import Datastore, Pool

VERSIONS_MAX = 50_000
"""Aggregates whose last version is kept in memory; of others it is looked up."""

Ids = Sequence[int]
"""Notification ids of an accepted commit's events."""

_NOT_TORN = ("full", "locked", "disk I/O", "unable to open", "readonly")
"""In what SQLite says when a state cannot be used now, and may be sound."""

_FOLDED = "CREATE TABLE IF NOT EXISTS folded (log BLOB, fold_version INTEGER, next_offset INTEGER)"
_INSERT = "INSERT INTO stored_events (rowid, originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?, ?)"


class _CachePool(Pool):
    # A lost tail is folded again from the log; a power cut still leaves a sound file, because WAL is written in order.
    synchronous = "NORMAL"


class _CacheDatastore(Datastore):
    pool_class = _CachePool
    what = "the register's local state"
    torn_remedy = "start again: it is made anew from the log"


class RegisterState:
    """The database. `fold` is called by one thread at a time; everything else is thread-safe.

    Without a path it is in memory, and every start reads the log from its beginning. Raises `HomeBusy` when another has the file.
    """

    def __init__(self, path: Path | None, envelope: Envelope) -> None:
        self._path = path
        # An empty record is different for every log id, log key, topic and partition.
        self._made_for = (hashlib.sha256(envelope.write(Commit())).digest(), FOLD_VERSION)
        self._lock: int | None = None
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _own(path)
        self._versions: dict[bytes, int] = {}
        self._tracked: dict[str, int | None] = {}
        self._cursor: sqlite3.Cursor | None = None
        try:
            self._open_or_make()
        except BaseException:
            self.close()
            raise

    def _open_or_make(self) -> None:
        try:
            fits = self._open()
        except DatabaseError as error:
            if any(reason in str(error) for reason in _NOT_TORN):
                raise
            fits = False
        if not fits:
            self._throw_away()
            if not self._open():
                raise AssertionError("a new local state does not fit")

    def _open(self) -> bool:
        """Whether the file was made for this log and can be read."""
        name = str(self._path) if self._path else f"file:register-{uuid4().hex}?mode=memory&cache=shared"
        self.datastore = _CacheDatastore(name)
        self.recorder = SQLiteProcessRecorder(self.datastore)
        self.recorder.create_table()
        with self.datastore.transaction(commit=True) as wrapped:
            cursor = wrapped.sqlite_cursor
            cursor.execute(_FOLDED)
            rows = cursor.execute("SELECT log, fold_version, next_offset FROM folded").fetchall()
            if not rows:
                cursor.execute("INSERT INTO folded VALUES (?, ?, 0)", self._made_for)
                rows = [(*self._made_for, 0)]
            self.next_offset: int = rows[0][2]
            self.last_id: int = cursor.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0
            sound = cursor.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        return sound and tuple(rows[0])[:2] == self._made_for

    def _throw_away(self) -> None:
        self.datastore.close()
        if self._path is not None:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def snapshots(self, purpose: str) -> SQLiteAggregateRecorder:
        """A recorder of snapshots: they can be made again from events, so they live and die with this file."""
        recorder = SQLiteAggregateRecorder(self.datastore, f"stored_{purpose}")
        recorder.create_table()
        return recorder

    def is_late(self, commit: Commit) -> bool:
        """Whether it is known without asking anybody that the log would refuse the commit: versions and positions only grow."""
        for originator, version, _, _ in commit.packed:
            last = self._versions.get(originator)
            if last is not None and version <= last:
                return True
        for tracking in commit.tracking:
            position = self._tracked.get(tracking.application_name)
            if position is not None and tracking.notification_id <= position:
                return True
        return False

    def fold(self, commits: Sequence[tuple[int, Commit]]) -> list[Ids | None]:
        """Judges commits in order, records what is accepted, and where the log was read to, in one transaction.

        Returns notification ids for what was accepted, None for what was not. Raises `RegisterUnavailable`, and has done nothing.
        """
        verdicts: list[Ids | None] = []
        rows: list[tuple[Any, ...]] = []
        positions: list[tuple[str, int]] = []
        last_id, versions = self.last_id, self._versions
        try:
            with self.datastore.transaction(commit=True) as wrapped:
                self._cursor = cursor = wrapped.sqlite_cursor
                for _, commit in commits:
                    if not judge_register(commit, self._last_version, self._last_tracked):
                        verdicts.append(None)
                        continue
                    first = last_id + 1
                    for originator, version, event_topic, state in commit.packed:
                        last_id += 1
                        versions.pop(originator, None)  # so that the one written last is the last to be forgotten
                        versions[originator] = version
                        rows.append((last_id, originator.hex(), version, event_topic, state))
                    for tracking in commit.tracking:
                        self._tracked[tracking.application_name] = tracking.notification_id
                        positions.append((tracking.application_name, tracking.notification_id))
                    verdicts.append(range(first, last_id + 1))
                cursor.executemany(_INSERT, rows)
                cursor.executemany("INSERT OR REPLACE INTO tracking VALUES (?, ?)", positions)
                cursor.execute("UPDATE folded SET next_offset = ?", (commits[-1][0] + 1,))
        except BaseException as error:
            versions.clear()
            self._tracked.clear()
            if isinstance(error, RegisterUnavailable):  # the commits are in the log all the same
                error.not_stored, error.unknown = 0, len(commits)
            raise
        self.last_id = last_id
        while len(versions) > VERSIONS_MAX:
            del versions[next(iter(versions))]
        return verdicts

    def _last_version(self, originator: bytes) -> int | None:
        last = self._versions.get(originator)
        if last is None:
            assert self._cursor is not None
            self._cursor.execute(
                "SELECT max(originator_version) FROM stored_events WHERE originator_id = ?", (originator.hex(),)
            )
            last = self._cursor.fetchone()[0]
        return last

    def _last_tracked(self, application: str) -> int | None:
        if application not in self._tracked:
            assert self._cursor is not None
            self._cursor.execute("SELECT max(notification_id) FROM tracking WHERE application_name = ?", (application,))
            self._tracked[application] = self._cursor.fetchone()[0]
        return self._tracked[application]

    def close(self) -> None:
        if hasattr(self, "datastore"):
            self.datastore.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _own(path: Path) -> int:
    """Takes the lock beside a state's file; it is held until its descriptor is closed."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise HomeBusy(
            f"{path} is in use by another process or application", remedy="stop it, or set another state folder"
        ) from None
    return descriptor
