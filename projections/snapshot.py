"""A copy of what can be queried, as one DuckDB file that any DuckDB opens: for analysts who use tools of their own.

One consistent state, with the positions in the logs that it reaches. Views are copied as tables, since they stand on layers that are
not in the copy; comments come along. Sealed payloads are left out unless they are asked for; nothing in it can be opened without the
key store anyway. It does not follow later erasures: whoever takes a copy has to delete it when its time is over.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from projections import views
from projections.file import insert
from projections.store import Store
from vault.errors import BadInput, Unavailable

COPIED = (*views.VIEWS, "disclosure", "register_event", "position", "unreadable")
"""What people ask for; the layers below are how this program keeps it."""
SEALED = "sealed"
"""The column that is left out."""
RANGE_ROWS = 500_000
"""Events, about, of the persons whose rows are put together at once, since that takes memory."""
BATCH_ROWS = 50_000
READABLE_SINCE = "v1.0.0"
"""The first version of DuckDB that opens the file."""

_NOTE = (
    "What this file is a copy of, and when it was made. One row.",
    {
        "made_at": ("TIMESTAMPTZ", "When it was made."),
        "log_id": ("UUID", "The log that the rows come from."),
        "layout": ("INTEGER", "Version of the tables it was copied from."),
        "with_sealed": ("BOOLEAN", "Whether the sealed payloads are in it."),
    },
)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Snapshot:
    """A file that was written: rows by table, and by log and partition the first offset that is not in it."""

    path: Path
    rows: Mapping[str, int]
    positions: Mapping[tuple[str, int], int]
    size_bytes: int


def snapshot(
    store: Store,
    path: Path,
    *,
    with_sealed: bool = False,
    overwrite: bool = False,
    memory_mb: int = 192,
    progress: Progress = lambda done, total: None,
) -> Snapshot:
    """Writes the file, mode 0600, whole or not at all. `memory_mb` bounds what writing it takes, beside the store's own memory.

    Raises `BadInput` when it cannot be there, `Unavailable` when disk or memory do not suffice. `progress` may raise to give up.
    """
    path = path.absolute()
    _check(path, overwrite)
    # In a folder of its own, which only the owner enters, so that neither the file nor DuckDB's log beside it is ever open to others.
    folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        folder.mkdir(mode=0o700)
        try:
            part = folder / "snapshot.duckdb"
            with store.reading() as cursor:
                rows, positions = _write(cursor, part, with_sealed, memory_mb, progress)
            part.chmod(0o600)
            _sync(part)
            _check(path, overwrite)
            os.replace(part, path)
            _sync(path.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", remedy="choose another place") from error
    except duckdb.Error as error:
        if isinstance(error, duckdb.OutOfMemoryException) or "could not allocate" in str(error):
            raise Unavailable(
                "the snapshot needs more memory than duckdb_memory_mb", remedy="raise the limit"
            ) from None
        raise Unavailable(
            f"{path} could not be written ({next(iter(str(error).splitlines()), '')[:200]})",
            remedy="free some disk space, or choose another place",
        ) from None
    return Snapshot(path, rows, positions, path.stat().st_size)


def _check(path: Path, overwrite: bool) -> None:
    if path.exists() and not (overwrite and path.is_file()):
        remedy = "give another name, or --force" if path.is_file() else "give another name"
        raise BadInput(f"{path} exists already", remedy=remedy)
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {path.parent}", remedy="make it, or choose another place")


def _write(
    cursor: Any, part: Path, with_sealed: bool, memory_mb: int, progress: Progress
) -> tuple[dict[str, int], dict[tuple[str, int], int]]:
    new = duckdb.connect(
        str(part),
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": 1,
            "temp_directory": "",
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "python_enable_replacements": False,
            "storage_compatibility_version": READABLE_SINCE,
        },
    )
    try:
        new.execute("SET enable_external_access = false")
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        try:
            copying = _Copying(cursor, new, with_sealed)
            rows = copying.copy(progress)
            positions = {
                (log, partition): next_offset
                for log, partition, next_offset in cursor.execute(
                    "SELECT log, partition, next_offset FROM position ORDER BY log, partition"
                ).fetchall()
            }
        finally:
            cursor.execute("ROLLBACK")
        new.execute("CHECKPOINT")
    except BaseException:
        with suppress(duckdb.Error):
            new.close()
        raise
    new.close()
    return rows, positions


class _Copying:
    """One copy on the way: reads by one cursor in one transaction, writes by another connection."""

    def __init__(self, cursor: Any, new: Any, with_sealed: bool) -> None:
        self._cursor = cursor
        self._new = new
        self._with_sealed = with_sealed

    def copy(self, progress: Progress) -> dict[str, int]:
        """How many rows of each table."""
        comments = dict(
            self._cursor.execute(
                "SELECT table_name, comment FROM duckdb_tables() UNION ALL SELECT view_name, comment FROM duckdb_views()"
            ).fetchall()
        )
        self._note()
        ranges = list(self._ranges())
        columns = {name: self._columns(name) for name in COPIED}
        steps = [
            (name, step) for name in COPIED for step in (ranges if "subject" in dict(columns[name]) else [("", [])])
        ]
        rows = dict.fromkeys(COPIED, 0)
        for name in COPIED:
            declared = {column: (kind, meaning) for column, (kind, meaning) in columns[name]}
            self._make(name, comments[name], declared)
        for done, (name, (where, bounds)) in enumerate(steps):
            progress(done, len(steps))
            rows[name] += self._carry(name, [column for column, _ in columns[name]], where, bounds)
        progress(len(steps), len(steps))
        return rows

    def _note(self) -> None:
        comment, declared = _NOTE
        self._make("snapshot", comment, declared)
        log_id, layout = self._cursor.execute("SELECT log_id, layout FROM projection").fetchone()
        self._new.execute("INSERT INTO snapshot VALUES (now(), ?, ?, ?)", [log_id, layout, self._with_sealed])

    def _columns(self, name: str) -> list[tuple[str, tuple[str, str]]]:
        found = self._cursor.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
            [name],
        ).fetchall()
        return [(column, (kind, comment)) for column, kind, comment in found if self._with_sealed or column != SEALED]

    def _make(self, name: str, comment: str, declared: Mapping[str, tuple[str, str]]) -> None:
        body = ", ".join(f"{_quoted(column)} {kind}" for column, (kind, _) in declared.items())
        self._new.execute(f"CREATE TABLE {_quoted(name)} ({body})")
        self._new.execute(f"COMMENT ON TABLE {_quoted(name)} IS {_text(comment)}")
        for column, (_, meaning) in declared.items():
            self._new.execute(f"COMMENT ON COLUMN {_quoted(name)}.{_quoted(column)} IS {_text(meaning)}")

    def _ranges(self) -> Iterator[tuple[str, list[UUID]]]:
        """Conditions that between them take every person once, each about as many events."""
        (events,) = self._cursor.execute("SELECT count(*) FROM sealed_event").fetchone()
        parts = 1 + events // RANGE_ROWS
        sampled = self._cursor.execute("SELECT subject FROM sealed_event USING SAMPLE 10000 ROWS").fetchall()
        subjects = sorted(row[0] for row in sampled)
        cuts = sorted({subjects[len(subjects) * part // parts] for part in range(1, parts)}) if subjects else []
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            bounds = {"subject > ?": low, "subject <= ?": high}
            given = {condition: bound for condition, bound in bounds.items() if bound is not None}
            yield " AND ".join(given), list(given.values())

    def _carry(self, name: str, columns: Sequence[str], where: str, bounds: Sequence[UUID]) -> int:
        names = ", ".join(map(_quoted, columns))
        query = f"SELECT {names} FROM {_quoted(name)}" + (f" WHERE {where}" if where else "")  # noqa: S608 (our names)
        rows = 0
        with self._cursor.sql(query, params=list(bounds)).to_arrow_reader(BATCH_ROWS) as reader:
            for batch in reader:
                insert(self._new, _quoted(name), batch)
                rows += batch.num_rows
        return rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
