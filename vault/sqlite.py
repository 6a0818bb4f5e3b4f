"""The register in SQLite files, without a server: `PERSISTENCE_MODULE=vault.sqlite`, one file (`SQLITE_DBNAME`) a partition.

The library's own SQLite recorders, made durable (an accepted event is on disk before its writer hears of it) and with the
`subscribe` that they lack. A file has one owner process; its threads, recorders and factories may be many, but whoever subscribes
is woken by recorders of its own factory only.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# As modules: the library takes whatever factory class it finds among this module's names, and refuses to choose.
from eventsourcing import sqlite as library
from eventsourcing.persistence import (
    ApplicationRecorder,
    ConnectionPoolClosedError,
    DatabaseError,
    OperationalError,
    StoredEvent,
    Subscription,
)
from eventsourcing.utils import Environment, EnvType

from vault.recorder import Listeners, RegisterUnavailable, WokenSubscription

CLOSE_WAIT_S = 5.0


class Pool(library.SQLiteConnectionPool):
    """Connections with a declared durability: `FULL` waits for the disk at every commit, `NORMAL` may lose the last ones."""

    synchronous = "FULL"
    _ending = False

    def _create_connection(self) -> library.SQLiteConnection:
        connection = super()._create_connection()
        connection.cursor().execute(f"PRAGMA synchronous={self.synchronous}")
        return connection

    def get_connection(self, *args: Any, **options: Any) -> library.SQLiteConnection:
        if self._ending:
            raise ConnectionPoolClosedError
        return super().get_connection(*args, **options)

    def close(self) -> None:
        """Gives out no more connections, and closes them when those in use are back: SQLite crashes the process when one is closed
        under a statement. One that is not back in time stays open."""
        self._ending = True
        deadline = time.monotonic() + CLOSE_WAIT_S
        with self._put_condition:
            while self._in_use and time.monotonic() < deadline:
                self._put_condition.wait(0.05)
            self._in_use.clear()
        super().close()


class Datastore(library.SQLiteDatastore):
    """A SQLite database whose failures are `RegisterUnavailable`, with a remedy."""

    pool_class: type[Pool] = Pool
    what = "the register's file"
    torn_remedy = "restore it from a backup"

    def __init__(self, db_name: str, **options: Any) -> None:
        single_row_tracking = options.pop("single_row_tracking", True)
        originator_id_type = options.pop("originator_id_type", "uuid")
        super().__init__(db_name, single_row_tracking=single_row_tracking, originator_id_type=originator_id_type)
        self.pool = self.pool_class(db_name=db_name, **options)
        self.listeners = Listeners()

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Any]:
        try:
            with super().transaction(commit=commit) as cursor:
                yield cursor
        except RegisterUnavailable:
            raise
        except ConnectionPoolClosedError:
            raise RegisterUnavailable(f"{self.what} is closed", not_stored=int(commit)) from None
        except (DatabaseError, sqlite3.DatabaseError) as error:
            if not _could_not(error):
                raise
            raise RegisterUnavailable(
                f"{self.what} cannot be {'written' if commit else 'read'}: {error}",
                not_stored=int(commit),
                remedy=self._remedy(str(error)),
            ) from error

    def _remedy(self, reason: str) -> str:
        if "full" in reason or "disk I/O" in reason:
            return "free some space"
        if "malformed" in reason or "not a database" in reason:
            return self.torn_remedy
        return "see that no other program has it open"


def _could_not(error: Exception) -> bool:
    """Whether SQLite could not do its work (locked, full, torn), rather than refused what is not allowed (a version twice)."""
    return isinstance(error, OperationalError | sqlite3.OperationalError) or type(error) in (
        DatabaseError,
        sqlite3.DatabaseError,
    )


class SqliteAggregateRecorder(library.SQLiteAggregateRecorder):
    """Events, or snapshots, of aggregates."""


class SqliteApplicationRecorder(library.SQLiteApplicationRecorder):
    """Events in the order in which they were recorded, and subscriptions to them."""

    datastore: Datastore

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        ids = super().insert_events(stored_events, **kwargs)
        self.datastore.listeners.notify()
        return ids

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return WokenSubscription(self, self.datastore.listeners, gt, topics)


class SqliteTrackingRecorder(library.SQLiteTrackingRecorder):
    """How far somebody has read."""


class SqliteProcessRecorder(library.SQLiteProcessRecorder, SqliteApplicationRecorder):
    """Events, recorded together with how far their recorder has read."""


class Factory(library.SQLiteFactory):
    """Configured as the library's own: `SQLITE_DBNAME`, `SQLITE_LOCK_TIMEOUT` (seconds), `SINGLE_ROW_TRACKING`, `CREATE_TABLE`."""

    aggregate_recorder_class = SqliteAggregateRecorder
    application_recorder_class = SqliteApplicationRecorder
    tracking_recorder_class = SqliteTrackingRecorder
    process_recorder_class = SqliteProcessRecorder

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        configured = self.datastore  # has read the environment, and opened nothing yet
        self.datastore = Datastore(
            configured.pool.db_name,
            lock_timeout=configured.pool.lock_timeout,
            single_row_tracking=configured.single_row_tracking,
            originator_id_type=configured.originator_id_type,
        )
