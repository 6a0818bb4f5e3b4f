"""Plain SQL for analysts: one SELECT over the projection's tables, read-only, bounded in rows, bytes, time and memory.

Whoever may ask is trusted with pseudonymous facts, not with the machine. Five walls, each enough against reading a file: the store's
connection cannot reach the file system nor be configured; only one SELECT is taken, of tables and functions on lists
(projections/sql_check.py); it runs in a read-only transaction; it is interrupted when its time is up; and its rows are first laid down
in memory that DuckDB counts, so that a text of a megabyte which stands in a million rows never reaches Python.

Where a query calls `reveal` (projections/reveal.py), what it opened is recorded as accesses before anything is handed over, an error
included; and no error then carries DuckDB's words, since they quote values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa

from projections.query_keys import Grants
from projections.result import Result, narrowed
from projections.reveal import Revealing
from projections.sql_check import Checked, check
from projections.store import Store
from vault.errors import BadInput, PersonUnknown, Unavailable

RESULT_BYTES_MAX = 64 * 1024 * 1024
AT_ONCE_MAX = 4
"""Queries that run at the same time; others wait."""

_STEP_ROWS = 2_048  # DuckDB's own vector: what is fetched at once before it is weighed
_AS = {"HUGEINT": "DECIMAL(38,0)", "UHUGEINT": "DECIMAL(38,0)"} | dict.fromkeys(
    ("UUID", "TIME WITH TIME ZONE", "TIMESTAMP_NS", "BIT", "BIGNUM"), "VARCHAR"
)
"""What is handed over in place of types that Arrow, or who reads it, cannot hold as they are."""

_running = threading.BoundedSemaphore(AT_ONCE_MAX)


@dataclass(frozen=True)
class Reveal:
    """What a query needs that calls `reveal`. `record` is told by subject how many payloads were opened; when it raises, nothing is
    handed over."""

    grants: Grants
    record: Callable[[Mapping[UUID, int]], None]
    persons_max: int


def query(
    store: Store, text: str, *, rows_max: int = 10_000, timeout_ms: int = 30_000, reveal: Reveal | None = None
) -> Result:
    """The first `rows_max` rows of one SELECT. Raises `BadInput`, which says what is not allowed or what went wrong."""
    if not _running.acquire(timeout=timeout_ms / 1_000):
        raise BadInput(f"{AT_ONCE_MAX} queries are running already", remedy="try again when they are done")
    try:
        with store.reading() as cursor:
            return _Query(cursor, rows_max, timeout_ms).run(text, reveal)
    finally:
        _running.release()


class _Query:
    def __init__(self, cursor: Any, rows_max: int, timeout_ms: int) -> None:
        self._cursor = cursor
        self._rows_max = rows_max
        self._timeout_ms = timeout_ms
        self._stopped = threading.Event()

    def run(self, text: str, reveal: Reveal | None) -> Result:
        try:
            checked = check(self._cursor, text)
        except duckdb.Error as error:
            raise self._refused(error) from None
        if not checked.reveals:
            return self._run(checked, None)
        if reveal is None:
            raise BadInput(
                "reveal opens what people said, and why is recorded with them", remedy="give a reason (--reason)"
            )
        revealing = Revealing(reveal.grants, persons_max=reveal.persons_max)
        try:
            return self._run(checked, revealing)
        finally:
            # Also when it failed: that a query fails may tell what a person said.
            if opened := revealing.opened:
                _record(reveal, opened)

    def _run(self, checked: Checked, revealing: Revealing | None) -> Result:
        with ExitStack() as on:
            if revealing is not None:
                on.enter_context(revealing.on(self._cursor))
            on.enter_context(self._stopping())
            try:
                self._cursor.execute("BEGIN TRANSACTION READ ONLY")
                try:
                    return self._rows(checked.text)
                finally:
                    with suppress(duckdb.Error):  # it failed, and with it its transaction ended
                        self._cursor.execute("ROLLBACK")
            except (duckdb.Error, OSError) as error:  # what comes while rows are read is an OSError of Arrow's
                if revealing is None:
                    raise self._refused(error) from None
                raise revealing.failed or self._refused(error, quotes=bool(revealing.opened)) from None

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Interrupts the cursor when the time is up; `stopped` then is set."""
        finished = threading.Event()

        def stop() -> None:
            self._stopped.set()
            while not finished.wait(0.05):  # an interrupt that comes between two statements is forgotten by the next
                self._cursor.interrupt()

        timer = threading.Timer(self._timeout_ms / 1_000, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            finished.set()
            timer.cancel()
            timer.join()

    def _rows(self, text: str) -> Result:
        cursor = self._cursor
        # Somebody else's text in the middle of ours is what this is for; it was checked to be one SELECT.
        cursor.execute(f"CREATE TEMP TABLE result AS SELECT * FROM (\n{text}\n) LIMIT {self._rows_max + 1}")  # noqa: S608
        columns = cursor.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'temp' AND table_name = 'result'"
            " ORDER BY column_index"
        ).fetchall()
        shown = ", ".join(_shown(name, kind) for name, kind in columns)
        batches: list[pa.RecordBatch] = []
        size = 0
        kept = cursor.sql(f"SELECT {shown} FROM temp.main.result")  # noqa: S608 (DuckDB's names, quoted)
        with kept.to_arrow_reader(_STEP_ROWS) as reader:
            for batch in reader:
                size += batch.nbytes
                if size > RESULT_BYTES_MAX:
                    raise BadInput(
                        f"the result is larger than {RESULT_BYTES_MAX >> 20} MB", remedy="select fewer columns or rows"
                    )
                if self._stopped.is_set():
                    raise duckdb.InterruptException("out of time")
                batches.append(batch)
            table = pa.Table.from_batches(batches, reader.schema)
        return Result(
            narrowed(table.slice(0, self._rows_max), [kind for _, kind in columns]), cut=len(table) > self._rows_max
        )

    def _refused(self, error: Exception, *, quotes: bool = False) -> BadInput:
        text = str(error)
        if self._stopped.is_set() or isinstance(error, duckdb.InterruptException):
            return BadInput(
                f"the query did not end within sql_timeout_ms ({self._timeout_ms})",
                remedy="narrow it, or raise the limit",
            )
        if isinstance(error, duckdb.OutOfMemoryException) or text.startswith("Out of Memory"):
            return BadInput(
                "the query needs more memory than duckdb_memory_mb",
                remedy="sort, group or return less, or raise the limit",
            )
        if quotes:
            kind = text.partition(":")[0] if isinstance(error, OSError) else type(error).__name__
            return BadInput(
                f"the query cannot be run ({kind}); more is not shown, since it might quote what was revealed",
                remedy="try it on event_topic in place of reveal(e)",
            )
        return BadInput(f"the query cannot be run: {next(iter(text.splitlines()), '')[:300]}")


def _shown(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "INTERVAL":
        return f"epoch_us({quoted}) AS {quoted}"
    return f"TRY_CAST({quoted} AS {_AS[kind]}) AS {quoted}" if kind in _AS else quoted


def _record(reveal: Reveal, opened: Mapping[UUID, int]) -> None:
    try:
        reveal.record(opened)
    except PersonUnknown:
        raise Unavailable(
            "somebody whose words the query revealed was erased meanwhile", remedy="run it again"
        ) from None
