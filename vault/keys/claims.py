"""Claims of message ids: who is about to append which message, so that no message is stored twice.

In a file of its own beside the key store, because every message goes through it: a write-ahead log, `synchronous=FULL`. It holds
keyed hashes and log positions only, so what is deleted need not be overwritten. What arrives while a transaction is being written
shares the next one: whoever comes first writes for all who wait, and no message waits for a timer.

A lost or older file would let messages in twice without anybody noticing. So the key store knows the file's id and how often it was
opened, and refuses another (`vault.keys.start`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from vault.errors import HomeNewer, KeysUnavailable, StartRefused, VaultError
from vault.keys.database import begin_writing, is_damage, translated
from vault.keys.model import NEW_CLAIM, Claim, ClaimState

SCHEMA_VERSION = 1
APPLICATION_ID = 0x50_41_52_43
"""`PARC`"""
RETENTION_DAYS = 30
CLAIMS_AT_ONCE = 20_000
"""Most claims that share a transaction."""
PRUNED_AT_ONCE = 1_000
"""Rows that one step of pruning looks at."""
DAY_SECONDS = 86_400

_SCHEMA = """
CREATE TABLE meta (id BLOB NOT NULL, generation INTEGER NOT NULL);
-- log_end: up to where its writer had searched the log. day: of the last change, days since 1970. In the order of arrival, so that
-- what is claimed together is finished in the same few pages; only the index on the random hashes lies all over the file.
CREATE TABLE claim (
    id INTEGER PRIMARY KEY, claim_id BLOB NOT NULL UNIQUE, originator BLOB NOT NULL, partition INTEGER NOT NULL,
    log_end INTEGER NOT NULL, done INTEGER NOT NULL, day INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class ClaimOptions:
    """`now` gives seconds since 1970, UTC."""

    busy_timeout_ms: int
    retention_days: int = RETENTION_DAYS
    now: Callable[[], float] = time.time


class Claims:
    """An open file of claims. Thread-safe."""

    def __init__(self, path: Path, connection: sqlite3.Connection, options: ClaimOptions) -> None:
        """Use `create` or `open`."""
        self.path = path
        self._connection = connection
        self._busy_timeout_ms = options.busy_timeout_ms
        self._now = options.now
        self._retention_days = options.retention_days
        self._writing = threading.Lock()
        self._line = threading.Lock()
        self._waiting: list[_Turn] = []
        self._unpruned = 0
        self._pruned_to = 0

    @classmethod
    def create(cls, path: Path, claims_id: UUID, options: ClaimOptions) -> Claims:
        """A new file, mode 0600. `StartRefused` when there is one already."""
        with translated(path):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                raise StartRefused(f"the claims {path} are there already", remedy="choose a new home") from None
            connection = _connect(path, options.busy_timeout_ms)
            connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )
            connection.execute("INSERT INTO meta VALUES (?, 0)", (claims_id.bytes,))
        return cls(path, connection, options)

    @classmethod
    def open(cls, path: Path, options: ClaimOptions) -> Claims:
        """The file that is there. `StartRefused` when it is missing or something else, `HomeNewer` when a newer program made it."""
        if not path.is_file():
            raise StartRefused(f"the claims {path} are missing", remedy=REMEDY)
        try:
            with translated(path):
                connection = _connect(path, options.busy_timeout_ms)
                (application_id,) = connection.execute("PRAGMA application_id").fetchone()
                (version,) = connection.execute("PRAGMA user_version").fetchone()
        except KeysUnavailable as error:
            if is_damage(error):
                raise StartRefused(f"the claims {path} are damaged", remedy=REMEDY) from error
            raise
        if application_id != APPLICATION_ID or version < 1:
            connection.close()
            raise StartRefused(f"{path} is not a file of claims", remedy=REMEDY)
        if version > SCHEMA_VERSION:
            connection.close()
            raise HomeNewer(
                f"the claims {path} are of version {version}, this program knows {SCHEMA_VERSION}",
                remedy="use the newer program",
            )
        return cls(path, connection, options)

    # Which file this is

    def identity(self) -> tuple[UUID, int]:
        """The file's id, and how often it was opened."""
        with self._writing, translated(self.path):
            claims_id, generation = self._connection.execute("SELECT id, generation FROM meta").fetchone()
        return UUID(bytes=claims_id), generation

    def set_generation(self, generation: int) -> None:
        with self._writing, self._transaction() as c:
            c.execute("UPDATE meta SET generation = max(generation, ?)", (generation,))

    # Claiming

    def claim(self, claims: Sequence[Claim]) -> list[ClaimState]:
        """Claims all of them, durably, in one transaction: `NEW_CLAIM` for who is first, otherwise what is known of it."""
        if not claims:
            return []
        turn = _Turn(claims)
        with self._line:
            self._waiting.append(turn)
        with self._writing:
            while turn.states is None and turn.error is None:  # else somebody before us wrote for us too
                self._write(self._next_in_line())
        if turn.error is not None:
            raise turn.error
        assert turn.states is not None
        return turn.states

    def _next_in_line(self) -> list[_Turn]:
        with self._line:
            taken = size = 0
            for turn in self._waiting:
                size += len(turn.claims)
                if taken and size > CLAIMS_AT_ONCE:
                    break
                taken += 1
            turns, self._waiting = self._waiting[:taken], self._waiting[taken:]
            return turns

    def _write(self, turns: Sequence[_Turn]) -> None:
        try:
            with self._transaction() as c:
                day = self._day()
                states = [_claim_all(c, turn.claims, day) for turn in turns]
                self._prune(c, sum(len(turn.claims) for turn in turns))
        except BaseException as error:
            for turn in turns:
                turn.error = _again(error)
            if not isinstance(error, VaultError):
                raise
            return
        for turn, found in zip(turns, states, strict=True):
            turn.states = found

    def move(self, before: ClaimState, after: Claim) -> bool:
        """Gives a claim another originator and end, if it is still what was read; False when it changed since."""
        with self._writing, self._transaction() as c:
            moved = c.execute(
                "UPDATE claim SET originator = ?, partition = ?, log_end = ?, done = 0, day = ? WHERE claim_id = ?"
                " AND originator = ? AND partition = ? AND log_end = ? AND done = ?",
                (
                    *(after.originator.bytes, after.partition, after.end, self._day(), after.claim_id),
                    *(before.originator.bytes, before.partition, before.end, int(before.is_done)),
                ),
            ).rowcount
        return moved == 1

    def complete(self, claim_ids: Iterable[bytes]) -> None:
        """Marks claims as done. Not synced by itself: one that a power cut takes back is pending, and is searched for again."""
        day = self._day()
        done = list(claim_ids)
        if not done:
            return
        with self._writing, translated(self.path):
            self._connection.execute("PRAGMA synchronous=NORMAL")
            try:
                with self._transaction() as c:
                    for at in range(0, len(done), _AT_ONCE):
                        some = done[at : at + _AT_ONCE]
                        c.execute(_done(len(some)), (day, *some))
            finally:
                self._connection.execute("PRAGMA synchronous=FULL")

    def _prune(self, c: sqlite3.Connection, claimed: int) -> None:
        """Deletes done claims that are over their retention, looking at twice as many as came in, a bounded step at a time."""
        self._unpruned += claimed
        if self._unpruned * 2 < PRUNED_AT_ONCE:
            return
        self._unpruned = 0
        rows = c.execute(
            "SELECT id, done AND day < ? FROM claim WHERE id > ? ORDER BY id LIMIT ?",
            (self._day() - self._retention_days, self._pruned_to, PRUNED_AT_ONCE),
        ).fetchall()
        c.executemany("DELETE FROM claim WHERE id = ?", [row[:1] for row in rows if row[1]])
        self._pruned_to = rows[-1][0] if len(rows) == PRUNED_AT_ONCE else 0

    def _day(self) -> int:
        return int(self._now() // DAY_SECONDS)

    # The file

    def counts(self) -> dict[str, int]:
        with self._writing, translated(self.path):
            claims, done = self._connection.execute("SELECT count(*), coalesce(sum(done), 0) FROM claim").fetchone()
        return {"claims": claims, "claims_pending": claims - done}

    def problems(self) -> list[str]:
        """What is wrong with the file, one line each."""
        with self._writing, translated(self.path):
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        return [] if found == "ok" else [f"the claims {self.path} are damaged; {REMEDY}"]

    def close(self) -> None:
        with self._writing:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        c = self._connection
        with translated(self.path):
            begin_writing(c, self._busy_timeout_ms)
            try:
                yield c
                c.execute("COMMIT")
            except BaseException:
                if c.in_transaction:
                    with suppress(sqlite3.Error):
                        c.execute("ROLLBACK")
                raise


class _Turn:
    """One call waiting for its claims to be written."""

    __slots__ = ("claims", "error", "states")

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.claims = claims
        self.states: list[ClaimState] | None = None
        self.error: VaultError | None = None


# One statement for many rows: each statement lets go of the interpreter's lock and waits to get it back.
_AT_ONCE = 250


@lru_cache(_AT_ONCE)
def _insert(rows: int) -> str:
    return f"INSERT INTO claim VALUES {', '.join(['(NULL, ?, ?, ?, ?, 0, ?)'] * rows)} ON CONFLICT DO NOTHING"  # noqa: S608 (question marks)


@lru_cache(_AT_ONCE)
def _done(rows: int) -> str:
    return f"UPDATE claim SET done = 1, day = ? WHERE claim_id IN ({', '.join('?' * rows)})"  # noqa: S608 (question marks)


def _row(claim: Claim, day: int) -> tuple[bytes, bytes, int, int, int]:
    return (claim.claim_id, claim.originator.bytes, claim.partition, claim.end, day)


def _claim_all(c: sqlite3.Connection, claims: Sequence[Claim], day: int) -> list[ClaimState]:
    """Most messages are new, and then one statement makes all the rows; when any was claimed before, each is asked for."""
    before = c.total_changes
    c.execute("SAVEPOINT all_new")
    for at in range(0, len(claims), _AT_ONCE):
        some = claims[at : at + _AT_ONCE]
        values = [value for claim in some for value in _row(claim, day)]
        c.execute(_insert(len(some)), values)
    all_new = c.total_changes - before == len(claims)
    if not all_new:
        c.execute("ROLLBACK TO all_new")
    c.execute("RELEASE all_new")
    return [NEW_CLAIM] * len(claims) if all_new else [_claim(c, claim, day) for claim in claims]


def _claim(c: sqlite3.Connection, claim: Claim, day: int) -> ClaimState:
    if c.execute(_insert(1), _row(claim, day)).rowcount:
        return NEW_CLAIM
    originator, partition, end, done = c.execute(
        "SELECT originator, partition, log_end, done FROM claim WHERE claim_id = ?", (claim.claim_id,)
    ).fetchone()
    return ClaimState(False, bool(done), UUID(bytes=originator), partition, end)


def _again(error: BaseException) -> VaultError:
    """The error for one more caller, who must not share an exception object with another thread."""
    if isinstance(error, VaultError):
        made = type(error)(error.args[0], remedy=error.remedy)
    else:
        made = KeysUnavailable("the claims were not written", remedy="try again")
    made.__cause__ = error
    return made


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_timeout_ms / 1_000, isolation_level=None, check_same_thread=False)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "temp_store=MEMORY",
        "cache_size=-16384",
        "wal_autocheckpoint=8000",  # the index is touched all over by every batch: fewer checkpoints write its pages less often
    ):
        connection.execute(f"PRAGMA {pragma}").fetchone()
    return connection


REMEDY = (
    "restore claims.db from beside the key store as it was when last closed, or run `parloir serve --new-claims`, knowing that "
    "a message which a channel repeats from before may then be stored twice"
)
