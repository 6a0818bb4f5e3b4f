"""One file of the projection: made, opened, told whether it is sound and of which layout, and shut off from everything else.

What is done with it is the store's affair (projections/store.py); where it lies, that of its folder (projections/generations.py).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from projections import removal, tables
from projections.generations import Generations, remove
from vault.errors import HomeBusy, HomeNewer, LogMismatch, StartRefused, Unavailable

log = logging.getLogger(__name__)

MAKING_MEMORY_MB = 192
"""Least memory that a file is made with: a checkpoint of many rows needs as much, whatever serving takes."""

REMEDY = "delete the projection's folder, it is made anew from the logs"


@dataclass(frozen=True)
class Options:
    """What every file of a folder is opened with."""

    log_id: UUID
    memory_mb: int
    threads: int
    persons_min: int


class File:
    """One generation, open. `readers` are the cursors that are at work on it."""

    def __init__(self, path: Path, connection: Any) -> None:
        """To be made to serve by `serve`, before anybody's SQL reaches it."""
        self.path = path
        self.connection = connection
        self.readers: set[Any] = set()
        self.is_retired = False

    def serve(self, options: Options) -> None:
        """Gives it the memory and threads of a file in service, and locks them."""
        self.connection.execute(f"SET memory_limit = '{options.memory_mb}MB'")
        self.connection.execute(f"SET threads = {options.threads}")
        self.connection.execute("SET lock_configuration = true")


def gone_of(file: File) -> Any:
    """The counts without persons of a file that is to be made anew, which the logs cannot tell again; None when it has none that can
    be read."""
    with suppress(duckdb.Error):
        return file.connection.sql(f"SELECT {removal.GONE} FROM gone_daily").to_arrow_table()  # noqa: S608 (our names)
    return None


def made(generations: Generations, options: Options, gone: Any = None) -> File:
    """A new file, not in service; empty but for the counts without persons."""
    path = generations.next()
    try:
        file = File(path, connect(path, options))
        try:
            file.connection.execute("BEGIN")
            for statement in tables.statements():
                file.connection.execute(statement)
            file.connection.execute(
                "INSERT INTO projection VALUES (?, ?, now(), 0, ?, true)",
                [options.log_id, tables.LAYOUT, options.persons_min],
            )
            if gone:
                insert(file.connection, "gone_daily", gone)
            file.connection.execute("COMMIT")
            # The pointer may only ever name a file whose bytes are on the disk.
            file.connection.execute("CHECKPOINT")
        except BaseException:
            file.connection.close()
            raise
    except duckdb.Error as error:
        remove(path)
        raise Unavailable(
            f"{path} could not be made ({type(error).__name__})", remedy="free some memory or disk space"
        ) from error
    return file


def open_sound(generations: Generations, path: Path, options: Options) -> File | None:
    """The file, open; None when it is damaged, and then it was set aside."""
    try:
        file = File(path, connect(path, options))
        try:
            _check_size(file)
            file.connection.execute("SELECT log_id, layout FROM projection").fetchone()
        except BaseException:
            file.connection.close()
            raise
    except duckdb.Error as error:
        if not (is_damage(error) or isinstance(error, _GARBLED)):
            raise refused(path, error) from error
    else:
        return file
    aside = generations.set_aside(path)
    log.warning("projection damaged", extra={"set_aside": aside.name, "made": generations.next().name})
    return None


def _check_size(file: File) -> None:
    """DuckDB opens a file that was cut short, and finds out when it reads what is not there."""
    block_size, blocks = file.connection.execute(
        "SELECT block_size, total_blocks FROM pragma_database_size()"
    ).fetchone()
    if file.path.stat().st_size < _HEADERS_BYTES + blocks * block_size:
        raise duckdb.SerializationException("the file was cut short")


def being_built(generations: Generations, current: Path, options: Options) -> File | None:
    """The file that a killed process was making in place of one of an older layout; None when there is none to go on with."""
    for path in reversed(generations.all()):
        if path != current:
            file = open_sound(generations, path, options)
            if file is not None and layout_of(file, options) == tables.LAYOUT:
                return file
            if file is not None:
                file.connection.close()
    return None


def layout_of(file: File, options: Options) -> int:
    """The layout of an open file, which may be older than this program's. Closes the file when it refuses it."""
    log_id, layout = file.connection.execute("SELECT log_id, layout FROM projection").fetchone()
    wrong: StartRefused | None = None
    if layout > tables.LAYOUT:
        wrong = HomeNewer(
            f"{file.path} has layout {layout}, this program knows {tables.LAYOUT}",
            remedy=f"use the newer program, or {REMEDY}",
        )
    elif log_id != options.log_id:
        wrong = LogMismatch(f"{file.path} was made from log {log_id}, this is log {options.log_id}", remedy=REMEDY)
    if wrong:
        file.connection.close()
        raise wrong
    return int(layout)


def connect(path: Path, options: Options) -> Any:
    """The file, open, with what it takes to fill it by one thread: many leave row groups half full."""
    connection = duckdb.connect(
        str(path),
        config={
            "memory_limit": f"{max(options.memory_mb, MAKING_MEMORY_MB)}MB",
            "threads": 1,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            # Rows are carried from one file to the next as Arrow columns: a UUID stays 16 bytes.
            "arrow_lossless_conversion": True,
            # Every checkpoint writes the last row group again, so small ones cost more than the rows; what waits for one
            # lies in memory.
            "checkpoint_threshold": f"{max(16, options.memory_mb // 3)}MB",
        },
    )
    # Pseudonyms and facts are for the owner of the home only; set before the first row is written.
    path.chmod(0o600)
    connection.execute("SET enable_external_access = false")
    # Closing a file that was replaced would first write into it what is to be thrown away. `Store.close` does it by itself.
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    return connection


def close_and_remove(file: File) -> None:
    file.connection.close()
    remove(file.path)


_HEADERS_BYTES = 3 * 4_096
"""What stands before the blocks of a DuckDB file."""
_GARBLED = (duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException, duckdb.CatalogException)
"""What opening a file may raise when its bytes are not what DuckDB wrote, or not ours."""
_DAMAGE = ("Corrupt database", "Could not read enough bytes", "not a valid DuckDB database")


def is_damage(error: BaseException | None) -> bool:
    """Whether DuckDB says that bytes of its file are not what it wrote."""
    return isinstance(error, duckdb.Error) and any(text in str(error) for text in _DAMAGE)


def refused(path: Path, error: duckdb.Error) -> StartRefused:
    if "lock" in str(error).lower():
        return HomeBusy(f"{path} is in use by another process", remedy="stop it, or ask it")
    return StartRefused(f"{path} cannot be opened as a projection ({type(error).__name__})", remedy=REMEDY)


def insert(connection: Any, table: str, rows: Any, where: str = "", order: str = "") -> None:
    """Inserts Arrow rows, columns by name, in the caller's transaction."""
    names = ", ".join(f'"{name}"' for name in rows.column_names)
    connection.register("arriving", rows)
    connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM arriving"  # noqa: S608 (our names)
        + (f" WHERE {where}" if where else "")
        + (f" ORDER BY {order}" if order else "")
    )
    connection.unregister("arriving")
