"""The projection's file, open: sealed rows and pseudonymous facts, with the positions in the logs that they reach.

A cache in the sense that it is made from the logs and may be thrown away at any time; yet it is what the desk, the report and
analysts read. One process owns the folder that the files live in (projections/generations.py), one writer writes, and rows and
positions go in together or not at all. Another file can be put in place of the one in service while people read: who is at work
finishes on the old one, who comes next reads the new one, and nobody waits.

Risks and what removes them. SQL that comes from outside could read or write files, so the file system, extensions, attaching and
changes of configuration are shut off before anything else runs. DuckDB spills to a temporary directory, which would outlive an
erasure: there is none, and a query that would need one fails. Deleted rows stay in the file's free pages until it is made anew
(`parloir settle`); what they hold is sealed. A damaged file is set aside, never deleted and never served.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from projections import removal, tables, views
from projections.file import (
    File,
    Options,
    being_built,
    close_and_remove,
    connect,
    gone_of,
    insert,
    is_damage,
    layout_of,
    made,
    open_sound,
    refused,
)
from projections.generations import Generations, remove
from projections.removal import Redaction
from projections.rows import CONVERSATIONS, Batch, Span
from vault.errors import Unavailable

log = logging.getLogger(__name__)


@dataclass
class Removed:
    """Who and what was removed while another file is being made."""

    persons: set[UUID] = field(default_factory=set)
    interactions: list[Redaction] = field(default_factory=list)


class Store:
    """The projection's tables. Thread-safe; `write` is for one thread at a time."""

    def __init__(self, generations: Generations, options: Options, file: File, *, owns_folder: bool) -> None:
        """Use `open` or `beside`."""
        self._generations = generations
        self._options = options
        self._file: File | None = file
        self._owns_folder = owns_folder
        self._writing = threading.RLock()
        self._state = threading.Condition()
        self._reopening = False
        self._earlier: Path | None = None
        self._ending: list[threading.Thread] = []
        self.making_another = threading.Lock()
        """Held by who makes a file that is to replace this one."""
        self.counting = True
        """Whether what is removed is added to the counts without persons."""
        self.removed: Removed | None = None
        """What is removed is noted here while another file is being made."""
        self.begun_anew = 0
        """How often the file was replaced by an empty one: whoever remembers how far it was read, begins again."""

    @classmethod
    def open(cls, folder: Path, *, log_id: UUID, memory_mb: int = 192, threads: int = 2, persons_min: int = 5) -> Store:
        """Opens the file in service, or makes one. `persons_min`: fewest persons that a group of the daily statistics is shown with.

        One of an older layout is kept, unread, until the new one that is made from the logs has reached their ends (`built`). A
        damaged one is set aside. Raises `LogMismatch` for a file of another log, `HomeNewer` for one of a newer program,
        `HomeBusy` when another process owns the folder, `StartRefused` when it cannot be used.
        """
        options = Options(log_id, memory_mb, threads, persons_min)
        generations = Generations(folder)
        try:
            current = generations.current()
            file, earlier, gone = None, None, None
            if current is not None:
                file = open_sound(generations, current, options)
                if file is not None and layout_of(file, options) < tables.LAYOUT:
                    gone = gone_of(file)
                    file.connection.close()
                    earlier, file = current, being_built(generations, current, options)
            if file is None:
                file = made(generations, options, gone)
            file.serve(options)
            if earlier is None:
                generations.put_in_service(file.path)
            generations.clean([file.path, *([earlier] if earlier else [])])
        except BaseException:
            generations.close()
            raise
        store = cls(generations, options, file, owns_folder=True)
        store._earlier = earlier
        with store.writing() as connection:
            connection.execute("UPDATE projection SET persons_min = ?", [options.persons_min])
        return store

    def beside(self) -> Store:
        """A new, empty store of the same log, as the next generation, not in service. It does not count what it removes."""
        other = Store(self._generations, self._options, made(self._generations, self._options), owns_folder=False)
        other.counting = False
        other.removed = Removed()
        return other

    @property
    def path(self) -> Path:
        """The file."""
        return self._opened().path

    @property
    def folder(self) -> Path:
        return self._generations.folder

    @property
    def is_building(self) -> bool:
        """Whether it was made empty and has not reached the ends of the logs yet."""
        with self.reading() as cursor:
            return bool(cursor.execute("SELECT is_building FROM projection").fetchone()[0])

    def built(self) -> None:
        """The ends of the logs were reached: from now on this file is the one in service, and an earlier one goes."""
        if not self.is_building:
            return
        with self._writing:
            self._opened().connection.execute("UPDATE projection SET is_building = false")
            if self._earlier is not None:
                self._generations.put_in_service(self.path)
                self._in_thread(remove, self._earlier)
                self._earlier = None

    def _opened(self) -> File:
        if self._file is None:
            raise Unavailable("the projection is closed")
        return self._file

    # Sharing out

    def held(self) -> frozenset[int]:
        """The partitions of the conversations that anything is held of."""
        return frozenset(partition for log, partition in self.positions() if log == CONVERSATIONS)

    def forget(self, partition: int) -> None:
        """Deletes everything of a partition of the conversations, and its position: somebody else follows it now.

        What was counted of people who are gone stays: nobody else can count it again. Waits while another file is being made.
        """
        with self.making_another, self.writing() as connection:
            connection.execute("BEGIN")
            removal.remove_partition(connection, partition)
            connection.execute("DELETE FROM position WHERE log = ? AND partition = ?", [CONVERSATIONS, partition])
            connection.execute("COMMIT")

    # Writing

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """The connection that writes, for the caller alone. DuckDB's errors come out as `Unavailable`, and nothing is stored."""
        with self._writing:
            file = self._opened()
            try:
                yield file.connection
            except duckdb.Error as error:
                self._roll_back(file, error)
                raise Unavailable(
                    f"{file.path.name} could not be written ({type(error).__name__})",
                    remedy="free some memory or disk space; what was being stored is tried again",
                ) from error

    def write(self, batch: Batch) -> bool:
        """Stores a batch, and its positions with it. False, and nothing is stored, when it does not begin where the last ended.

        Raises `Unavailable` when DuckDB has no memory or no disk left; the same batch may be given again.
        """
        with self.writing() as connection:
            connection.execute("BEGIN")
            if not all(_advance(connection, span) for span in batch.spans):
                connection.execute("ROLLBACK")
                return False
            for table, rows in (
                ("recent_event", batch.events),
                ("register_event", batch.evidence),
                ("disclosure", batch.disclosed),
            ):
                if rows:
                    insert(connection, table, rows, _NOT_REDACTED if table == "recent_event" else "")
            self._remove(connection, {UUID(bytes=subject) for subject in batch.erased}, batch.redacted)
            for (partition, event_topic, reason), count in (batch.unreadable or {}).items():
                connection.execute(
                    "MERGE INTO unreadable u USING (SELECT ? AS p, ? AS t, ? AS r, ? AS n) a"
                    " ON u.partition = a.p AND u.event_topic = a.t AND u.reason = a.r"
                    " WHEN MATCHED THEN UPDATE SET events = u.events + a.n"
                    " WHEN NOT MATCHED THEN INSERT VALUES (a.p, a.t, a.r, a.n)",
                    [partition, event_topic, reason, count],
                )
            connection.execute("COMMIT")
            if self.removed is not None:
                self.removed.persons.update(UUID(bytes=subject) for subject in batch.erased)
                self.removed.interactions.extend(batch.redacted)
            return True

    def _remove(self, connection: Any, persons: set[UUID], redacted: frozenset[Redaction]) -> None:
        if persons or redacted:
            removed = removal.remove_interactions(connection, redacted, counting=self.counting)
            removed += removal.remove_persons(connection, persons, counting=self.counting)
            if removed:
                connection.execute("UPDATE projection SET removed_rows = removed_rows + ?", [removed])

    def _roll_back(self, file: File, error: duckdb.Error) -> None:
        if is_damage(error):
            self._begin_anew(file)
            return
        try:
            file.connection.execute("ROLLBACK")
        except duckdb.Error:  # the transaction was over, or the database gave up: only opening it again helps with that
            try:
                file.connection.execute("SELECT 1")
            except duckdb.Error:
                self._reopen(file)

    # Reading

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A cursor that sees what is committed.

        Raises `Unavailable` when the file turns out to be damaged; it was set aside then, and is made anew from the logs.
        """
        with self._state:
            self._state.wait_for(lambda: not self._reopening)
            file = self._opened()
            cursor = file.connection.cursor()
            file.readers.add(cursor)
        damaged = False
        try:
            yield cursor
        except Exception as error:
            damaged = is_damage(error) or is_damage(error.__context__)
            if not damaged:
                raise
        finally:
            cursor.close()
            with self._state:
                file.readers.discard(cursor)
                last = file.is_retired and not file.readers
                self._state.notify_all()
            if last:
                self._end(file)
        if damaged:
            with self._writing:
                self._begin_anew(file)
            raise Unavailable(
                "the projection's file is damaged; it was set aside, and is made anew from the logs",
                remedy="ask again when it has caught up",
            )

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
            return positions(cursor)

    def count_events(self, subject: UUID) -> int:
        """How many events of a person are held."""
        with self.reading() as cursor:
            row = cursor.execute("SELECT count(*) FROM sealed_event WHERE subject = ?", [subject]).fetchone()
        return int(row[0])

    # Replacing and closing

    def replace_by(self, other: Store) -> None:
        """Puts another store's file in place of this one's. To be called within `writing`, so that nothing is lost between.

        Who is reading finishes on the old file, which then is removed; nobody waits. `other` is not to be used any more. On an
        error this file stays in service.
        """
        with self._writing:
            new, old = other._opened(), self._opened()
            try:
                new.serve(self._options)
                self._generations.put_in_service(new.path)
            except (OSError, duckdb.Error) as error:
                raise Unavailable(
                    f"{new.path.name} could not be put in service ({type(error).__name__})",
                    remedy="free some disk space or memory",
                ) from error
            other._file = None
            self._exchange(old, new)

    def _exchange(self, old: File, new: File) -> None:
        with self._state:
            self._file = new
            old.is_retired = True
            last = not old.readers
        if last:
            self._end(old)

    def _end(self, file: File) -> None:
        """Closes and removes a file that nobody reads any more."""
        self._in_thread(close_and_remove, file)

    def _in_thread(self, task: Callable[..., None], *arguments: object) -> None:
        """Does what takes longer, for a large file, than anybody should wait."""
        thread = threading.Thread(target=task, args=arguments, name="projection-end", daemon=True)
        thread.start()
        with self._state:
            self._ending = [*(each for each in self._ending if each.is_alive()), thread]

    def wait_for_ended(self) -> None:
        """Returns when files that were replaced are removed; not those that somebody still reads."""
        for thread in list(self._ending):
            thread.join()

    def _begin_anew(self, file: File) -> None:
        """An empty file in place of a damaged one, unless another thread did that before."""
        if self._file is not file:
            return
        gone = gone_of(file)
        aside = self._generations.set_aside(file.path)
        new = made(self._generations, self._options, gone)
        new.serve(self._options)
        log.warning("projection damaged", extra={"set_aside": aside.name, "made": new.path.name})
        self._generations.put_in_service(new.path)
        self.begun_anew += 1
        self._exchange(file, new)

    def _reopen(self, file: File) -> None:
        """Closes the file and opens it again. Readers wait."""
        with self._state:
            self._reopening = True
            try:
                self._state.wait_for(lambda: not file.readers)
                file.connection.close()
                file.connection = connect(file.path, self._options)
                file.serve(self._options)
            except duckdb.Error as error:
                if is_damage(error):
                    self._begin_anew(file)
                else:
                    raise refused(file.path, error) from error
            finally:
                self._reopening = False
                self._state.notify_all()

    def discard(self) -> None:
        """Closes the file and removes it."""
        file = self._file
        self.close()
        if file is not None:
            remove(file.path)

    def close(self) -> None:
        """Ends what is being read, waits for what is being written, and closes the file."""
        with self._writing, self._state:
            file, self._file = self._file, None
            if file is not None:
                for cursor in file.readers:
                    cursor.interrupt()
                self._state.wait_for(lambda: not file.readers, timeout=5)
                with suppress(duckdb.Error):  # without room it stays in the log beside the file, and is read from there
                    file.connection.execute("CHECKPOINT")
                file.connection.close()
                self.wait_for_ended()
                if self._owns_folder:
                    self._generations.close()


# Rows


_NOT_REDACTED = f"event_topic NOT IN {views.OWN_WORDS} OR originator NOT IN (SELECT interaction FROM redaction)"  # noqa: S608 (our names)
"""What was redacted does not come back with what was understood of it later."""


def positions(connection: Any) -> dict[tuple[str, int], int]:
    """How far every partition of every log was read."""
    rows = connection.execute("SELECT log, partition, next_offset FROM position").fetchall()
    return {(name, partition): next_offset for name, partition, next_offset in rows}


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
