"""The projection's file written anew: recent rows sorted in with the settled ones, and everything left out that is gone.

Made person by person, in ranges of pseudonyms that hold so many rows each, so that memory is bounded by a range however large the
file is. Every range is read in a short transaction of its own: rows only ever come behind the positions that were noted at the
beginning, and who is removed meanwhile is noted too and removed from the new file before it serves. So reading and writing go on;
then what came meanwhile is carried over, in rounds, and the last round is done while the writer waits.

Rows travel as Arrow columns through this process: both files are shut off from the file system, and neither can attach the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from projections import removal, tables, views
from projections.file import insert
from projections.rows import CONVERSATIONS, REGISTER
from projections.sources import Keys
from projections.store import Removed, Store, positions
from vault.errors import Unavailable
from vault.ids import KeyId

RANGE_ROWS = 40_000
"""Rows, about, that are sorted at once."""
ROW_GROUP_ROWS = 122_880
"""DuckDB's own. Whole row groups go to the disk at once; others are held in memory, and written again at the next checkpoint."""
RUNS_FROM_ROWS = 2_000_000
"""From so many recent rows on, as after a long catching up, they are first made sorted runs of: every range is found in all of them,
and in the order of arrival each would be read from the whole file."""
DELTA_ROWS = 20_000
"""What came meanwhile is carried over again and again until it is less than this, `ROUNDS_MAX` times at most."""
ROUNDS_MAX = 20
BATCH_ROWS = 50_000

_PERSONS = 1 << 112
"""As many ids begin with the number of one partition."""
_BY_SUBJECT = 'subject, partition, "offset", "index"'
_ORDER = {
    "sealed_event": _BY_SUBJECT,
    "disclosure": _BY_SUBJECT,
    "register_event": '"case", partition, id',
}
_BULK = ("settled_event", "settled_interaction", "disclosure", "register_event")

Places = Mapping[tuple[str, int], int]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settled:
    """`events` of the conversations that the file holds now; `dropped`: rows left out because their chapters are over; `left`: rows
    removed while the file was made, whose bytes may be in it until the next time; `waited_ms`: how long the writer waited."""

    events: int
    dropped: int
    left: int
    seconds: float
    waited_ms: float


def settle(store: Store, keys: Keys, progress: Progress = lambda done, total: None) -> Settled:
    """Makes the next file out of the one in service and puts it in its place. One at a time: waits while another is being made.

    What was removed before is not in the new file, not in its free pages either. Raises `Unavailable` when there is no disk or
    memory for it; then, as after a crash at any moment, the old file is in service and the new one is gone.
    """
    with store.making_another:
        began = time.monotonic()
        with store.writing() as old:
            upto = positions(old)
            store.removed = Removed()
        try:
            beside = store.beside()
            try:
                made = _Making(store, beside, keys, progress)
                made.copy(upto)
                events, waited_s = made.finish(upto)
            except BaseException:
                beside.discard()
                raise
        except (Unavailable, duckdb.Error) as error:
            raise Unavailable(
                f"the projection was not settled, the old file stays in service: {_said(error)}",
                remedy="free some disk space or memory; it is tried again",
            ) from error
        finally:
            store.removed = None
        store.wait_for_ended()
        return Settled(events, made.dropped, made.left, time.monotonic() - began, waited_s * 1_000)


class _Making:
    """One new file on the way."""

    def __init__(self, old: Store, new: Store, keys: Keys, progress: Progress) -> None:
        self._old = old
        self._new = new
        self._keys = keys
        self._progress = progress
        self._done = 0
        self._total = 0
        self._runs: Store | None = None
        self.dropped = 0
        self.left = 0

    # The bulk, sorted by person

    def copy(self, upto: Places) -> None:
        """Everything that was read up to these positions."""
        before = _before(upto, CONVERSATIONS)
        with self._old.reading() as cursor:
            events = _counted(cursor, "sealed_event", f'WHERE "offset" < {before}')
            evidence = _counted(cursor, "register_event", f"WHERE id < {_before(upto, REGISTER)}")
            (recent,) = cursor.execute(f'SELECT count(*) FROM recent_event WHERE "offset" < {before}').fetchone()  # noqa: S608
        self._total = sum(events.values()) + sum(evidence.values())
        if recent < RUNS_FROM_ROWS:
            self._fill(events, evidence, before, upto)
            return
        self._total += recent
        self._runs = self._old.beside()
        try:
            self._make_runs(self._runs, before)
            self._fill(events, evidence, before, upto)
        finally:
            self._runs.discard()

    def _make_runs(self, runs: Store, before: str) -> None:
        """What is recent, in runs of a row group each that are sorted by person."""
        with runs.writing() as connection:
            filling = Filling(connection, "recent_event", _BY_SUBJECT)
            for rows in self._between("recent_event", f'"offset" < {before}'):
                filling.add(rows)
                self._tell(rows.num_rows)
            filling.end()

    def _fill(self, events: Mapping[int, int], evidence: Mapping[int, int], before: str, upto: Places) -> None:
        with self._new.writing() as connection:
            # No transaction around it: the catalogue would keep every batch until its end.
            filling = {table: Filling(connection, table) for table in _BULK}
            for low, high in _ranges(events):
                self._persons(connection, filling, low, high, before)
            for low, high in _ranges(evidence):
                rows = self._read(
                    connection,
                    "register_event",
                    f'"case" BETWEEN ? AND ? AND id < {_before(upto, REGISTER)}',
                    low,
                    high,
                )
                filling["register_event"].add(rows)
                self._tell(rows.num_rows)
            for each in filling.values():
                each.end()
            connection.execute("CHECKPOINT")

    def _persons(self, connection: Any, filling: Mapping[str, Filling], low: UUID, high: UUID, before: str) -> None:
        """The persons between two ids, both included."""
        read = self._read_events(connection, low, high, before)
        calls = self._read(connection, "disclosure", f'subject BETWEEN ? AND ? AND "offset" < {before}', low, high)
        rows, over = self._split(read)
        filling["settled_event"].add(rows)
        filling["settled_interaction"].add(asked(connection, rows, views.settled_interactions("arriving")))
        if over.num_rows:
            self.dropped += over.num_rows
            connection.register("over", over)
            source = f"({views.put_together(views.partial('over'))})"
            removal.count_gone(connection, source, views.WAS_OPENED, "count(DISTINCT subject)", [])
            calls = asked(connection, calls, f"SELECT * FROM arriving WHERE {_NOT_OVER}")  # noqa: S608 (our names)
            connection.unregister("over")
        filling["disclosure"].add(calls)
        self._tell(read.num_rows)

    def _split(self, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The rows to keep, and those whose chapter is over."""
        key_ids = pc.unique(rows["key_id"])
        expired = self._keys.expired(KeyId(key_id) for key_id in key_ids.to_pylist())
        if not expired:
            return rows, rows.slice(0, 0)
        over = pc.is_in(rows["key_id"], pa.array(expired, pa.binary()))
        return rows.filter(pc.invert(over)), rows.filter(over)

    def _read_events(self, connection: Any, low: UUID, high: UUID, before: str) -> pa.Table:
        between = "subject BETWEEN ? AND ?"
        if self._runs is None:
            return self._read(connection, "sealed_event", f'{between} AND "offset" < {before}', low, high)
        found = [
            self._asked_of(self._old, "settled_event", between, low, high),
            self._asked_of(self._runs, "recent_event", between, low, high),
        ]
        return asked(connection, pa.concat_tables(found), f"SELECT * FROM arriving ORDER BY {_BY_SUBJECT}")  # noqa: S608

    def _read(self, connection: Any, table: str, where: str, low: UUID, high: UUID) -> pa.Table:
        """Rows of the old file, sorted in the new one, whose memory nobody else needs."""
        rows = self._asked_of(self._old, table, where, low, high)
        return asked(connection, rows, f"SELECT * FROM arriving ORDER BY {_ORDER[table]}")  # noqa: S608

    def _asked_of(self, store: Store, table: str, where: str, low: UUID, high: UUID) -> pa.Table:
        names = ", ".join(f'"{name}"' for name in tables.columns(_LIKE.get(table, table)))
        with store.reading() as cursor:
            query = f"SELECT {names} FROM {table} WHERE {where}"  # noqa: S608 (our names)
            return cursor.sql(query, params=[low, high]).to_arrow_table()

    def _tell(self, rows: int) -> None:
        self._done += rows
        self._progress(self._done, max(self._total, self._done))

    # What came meanwhile

    def finish(self, upto: Places) -> tuple[int, float]:
        """Carries over what came meanwhile and puts the new file in service. Returns its events, and seconds the writer waited."""
        for _ in range(ROUNDS_MAX):
            with self._old.writing() as connection:
                now, removed = positions(connection), self._taken()
            carried = self._carry(upto, now, removed)
            upto = now
            if carried < DELTA_ROWS:
                break
        began = time.monotonic()
        with self._old.writing() as old:
            now, removed = positions(old), self._taken()
            self._carry(upto, now, removed)
            with self._new.writing() as new:
                events = self._carry_small(old, new)
            self._old.replace_by(self._new)
        return events, time.monotonic() - began

    def _taken(self) -> Removed:
        """What was removed since this was last asked; to be called while nobody writes."""
        taken = self._old.removed
        assert taken is not None
        self._old.removed = Removed()
        return taken

    def _carry(self, since: Places, upto: Places, removed: Removed) -> int:
        """Rows read between two positions, and then the removals until the later one. Returns how many rows."""
        carried = 0
        with self._new.writing() as connection:
            connection.execute("BEGIN")
            for source, target, place, name in (
                ("recent_event", "recent_event", '"offset"', CONVERSATIONS),
                ("disclosure", "disclosure", '"offset"', CONVERSATIONS),
                ("register_event", "register_event", "id", REGISTER),
            ):
                for rows in self._between(
                    source, f"{place} >= {_before(since, name)} AND {place} < {_before(upto, name)}"
                ):
                    insert(connection, target, rows)
                    carried += rows.num_rows
            self.left += removal.remove_interactions(connection, removed.interactions, counting=False)
            self.left += removal.remove_persons(connection, removed.persons, counting=False)
            connection.execute("COMMIT")
        return carried

    def _between(self, table: str, where: str) -> Iterator[pa.Table]:
        names = ", ".join(f'"{name}"' for name in tables.columns(table))
        with self._old.reading() as cursor:
            reader = cursor.sql(f"SELECT {names} FROM {table} WHERE {where}").to_arrow_reader(BATCH_ROWS)  # noqa: S608 (our names)
            for batch in reader:
                yield pa.Table.from_batches([batch])

    def _carry_small(self, old: Any, new: Any) -> int:
        """The tables without persons, and what the new file is. Returns how many events it holds."""
        new.execute("BEGIN")
        new.execute("DELETE FROM redaction")  # those of the removals come with the rest
        for table in ("position", "unreadable", "redaction"):
            insert(new, table, old.sql(f"SELECT * FROM {table}").to_arrow_table())  # noqa: S608 (our names)
        gone = f"SELECT {removal.GONE} FROM"
        new.register("arriving", old.sql(f"{gone} gone_daily ORDER BY ALL").to_arrow_table())
        removal.merge_gone(new, f"{gone} arriving")
        new.unregister("arriving")
        (building,) = old.execute("SELECT is_building FROM projection").fetchone()
        new.execute("UPDATE projection SET removed_rows = ?, is_building = ?", [self.left, building])
        new.execute("COMMIT")
        (held,) = old.execute("SELECT count(*) FROM sealed_event").fetchone()
        (events,) = new.execute("SELECT count(*) FROM sealed_event").fetchone()
        if events != held - self.dropped:  # a file that lost rows must never serve
            raise Unavailable(f"the new file holds {events} events instead of {held - self.dropped}")
        return int(events)


_NOT_OVER = '(partition, "offset", "index") NOT IN (SELECT (partition, "offset", "index") FROM over)'
_LIKE = {"sealed_event": "settled_event"}
"""Views that have the columns of a table."""


class Filling:
    """One table of a new file, filled in whole row groups; with `order`, each of them sorted."""

    def __init__(self, connection: Any, table: str, order: str = "") -> None:
        self._connection = connection
        self._table = table
        self._order = order
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._rows += rows.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            held = pa.concat_tables(self._waiting)
            whole = self._rows - self._rows % ROW_GROUP_ROWS
            for start in range(0, whole, ROW_GROUP_ROWS):
                insert(self._connection, self._table, held.slice(start, ROW_GROUP_ROWS), order=self._order)
            self._waiting, self._rows = [held.slice(whole)], self._rows - whole

    def end(self) -> None:
        """The rows that make no whole row group."""
        if self._rows:
            insert(self._connection, self._table, pa.concat_tables(self._waiting), order=self._order)


def asked(connection: Any, rows: pa.Table, query: str) -> pa.Table:
    """The answer to a query of Arrow rows, which it calls `arriving`."""
    connection.register("arriving", rows)
    answer = connection.sql(query).to_arrow_table()
    connection.unregister("arriving")
    return answer


def _before(places: Places, log: str) -> str:
    """An expression: where a log was read to in the row's partition."""
    cases = " ".join(f"WHEN {number} THEN {place}" for (name, number), place in sorted(places.items()) if name == log)
    return f"(CASE partition {cases} ELSE 0 END)" if cases else "0"


def _counted(cursor: Any, table: str, where: str) -> dict[int, int]:
    """Rows by partition."""
    query = f"SELECT partition, count(*) FROM {table} {where} GROUP BY partition ORDER BY partition"  # noqa: S608 (our names)
    return dict(cursor.execute(query).fetchall())


def _ranges(counted: Mapping[int, int]) -> Sequence[tuple[UUID, UUID]]:
    """Ranges of persons' ids that hold about `RANGE_ROWS` rows each and together are all ids. A person is in one of them."""
    edges = [0]
    for partition, rows in sorted(counted.items()):
        parts = max(1, -(-rows // RANGE_ROWS))
        edges += [partition * _PERSONS + part * _PERSONS // parts for part in range(parts)]
    edges = sorted(set(edges))
    return [(UUID(int=low), UUID(int=high - 1)) for low, high in zip(edges, [*edges[1:], 1 << 128], strict=True)]


def _said(error: BaseException) -> str:
    return str(error.args[0]) if isinstance(error, Unavailable) else type(error).__name__
