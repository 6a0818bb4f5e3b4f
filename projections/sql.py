"""Plain SQL for analysts: one SELECT over the projection's tables, read-only, bounded in rows, bytes, time and memory.

Whoever may ask is trusted with pseudonymous facts, not with the machine. Five walls, each enough against reading a file: the store's
connection cannot reach the file system nor be configured; only a statement that DuckDB itself can write out as a SELECT is taken;
its tree may call functions of a list only (projections/sql_functions.py); it runs in a read-only transaction; and it is interrupted
when its time is up.
"""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import duckdb
import pyarrow as pa
from pyarrow import parquet

from projections import sql_functions, tables
from projections.store import Store
from vault.errors import BadInput

QUERY_CHARS_MAX = 20_000
RESULT_BYTES_MAX = 64 * 1024 * 1024
TRY = f"query {', '.join(tables.NAMES)}"
FORMATS = ("table", "csv", "json", "parquet")
_CELL_CHARS = 60
_STEP_ROWS = 2_048  # DuckDB's own vector: what is fetched at once before it is weighed


@dataclass(frozen=True)
class Result:
    """The rows of a query. `cut`: there were more than `rows_max`."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    cut: bool


def query(store: Store, text: str, *, rows_max: int = 10_000, timeout_ms: int = 30_000) -> Result:
    """The first `rows_max` rows of one SELECT. Raises `BadInput`, which says what is not allowed or what went wrong."""
    if len(text) > QUERY_CHARS_MAX:
        raise BadInput(f"the query is longer than {QUERY_CHARS_MAX} characters")
    with store.reading() as cursor, _stopping(cursor, timeout_ms) as stopped:
        try:
            _check(cursor, text)
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            try:
                cursor.execute(text)
                return _fetch(cursor, rows_max, stopped)
            finally:
                _roll_back(cursor)
        except duckdb.Error as error:
            raise _refused(error, stopped, timeout_ms) from None


@contextmanager
def _stopping(cursor: Any, timeout_ms: int) -> Iterator[threading.Event]:
    """Interrupts the cursor when the time is up; the event then is set."""
    stopped, finished = threading.Event(), threading.Event()

    def stop() -> None:
        stopped.set()
        while not finished.wait(0.05):  # an interrupt that comes between two statements is forgotten by the next
            cursor.interrupt()

    timer = threading.Timer(timeout_ms / 1_000, stop)
    timer.daemon = True
    timer.start()
    try:
        yield stopped
    finally:
        finished.set()
        timer.cancel()
        timer.join()


def _check(cursor: Any, text: str) -> None:
    """Raises `BadInput` unless the text is one SELECT that names nothing but what it may."""
    kinds = [statement.type for statement in duckdb.extract_statements(text)]
    if len(kinds) != 1:
        raise BadInput(f"one statement is taken, these are {len(kinds)}", remedy="give one SELECT")
    if kinds[0] is not duckdb.StatementType.SELECT:
        raise BadInput(f"{kinds[0].name} is not allowed", remedy="give one SELECT")
    (written,) = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchone()
    tree = json.loads(written)
    if tree["error"]:
        raise BadInput("this kind of SELECT is not allowed", remedy="write it without PIVOT, parameters or extensions")
    joined, recursive = 0, False
    in_from: set[int] = set()
    for node in _nodes(tree["statements"]):
        kind, name = str(node.get("type", "")), str(node.get("function_name", "")).lower()
        if kind == "TABLE_FUNCTION":
            in_from.add(id(node["function"]))
            name = str(node["function"].get("function_name", "")).lower()
            if name not in sql_functions.TABLES:
                raise BadInput(f"the table function {name} is not allowed", remedy=TRY)
        elif kind == "BASE_TABLE" and ("/" in (table := str(node.get("table_name", ""))) or "." in table):
            raise BadInput("files cannot be queried", remedy=TRY)
        elif kind == "LAMBDA":
            raise BadInput("lambdas are not allowed")
        elif any(isinstance(value, str) and len(value) > sql_functions.CONSTANT_CHARS_MAX for value in node.values()):
            raise BadInput(f"a constant is longer than {sql_functions.CONSTANT_CHARS_MAX} characters")
        elif name and name not in sql_functions.ALLOWED and id(node) not in in_from:
            raise BadInput(f"the function {name} is not one of those that a query may use")
        if name in sql_functions.JOINING or kind == "ARRAY_CONSTRUCTOR":
            joined += max(len(node.get(place) or ()) for place in ("arguments", "children"))
        recursive = recursive or kind == "RECURSIVE_CTE_NODE"
    if joined > (0 if recursive else sql_functions.JOINED_MAX):
        raise BadInput("too much is joined (||, concat, lists)", remedy="join less, and nothing in a recursive query")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of a tree; without recursion, for a query may be nested as deep as it is long."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _fetch(cursor: Any, rows_max: int, stopped: threading.Event) -> Result:
    columns = tuple(str(column[0]) for column in cursor.description)
    types = tuple(str(column[1]) for column in cursor.description)
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) <= rows_max:
        step = cursor.fetchmany(min(_STEP_ROWS, rows_max + 1 - len(rows)))
        if not step:
            break
        size += sum(_weight(value) for row in step for value in row)
        if size > RESULT_BYTES_MAX:
            raise BadInput(
                f"the result is larger than {RESULT_BYTES_MAX >> 20} MB", remedy="select fewer columns or rows"
            )
        if stopped.is_set():
            raise duckdb.InterruptException("out of time")
        rows.extend(step)
    return Result(columns, types, rows[:rows_max], len(rows) > rows_max)


def _weight(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value) + 32
    if isinstance(value, list | tuple):
        return 32 + sum(map(_weight, value))
    if isinstance(value, dict):
        return 64 + sum(map(_weight, value.values()))
    return 32


def _roll_back(cursor: Any) -> None:
    with suppress(duckdb.Error):  # it failed, and with it its transaction ended
        cursor.execute("ROLLBACK")


def _refused(error: duckdb.Error, stopped: threading.Event, timeout_ms: int) -> BadInput:
    if isinstance(error, duckdb.InterruptException) or stopped.is_set():
        return BadInput(
            f"the query did not end within sql_timeout_ms ({timeout_ms})", remedy="narrow it, or raise the limit"
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return BadInput(
            "the query needs more memory than duckdb_memory_mb", remedy="sort or group less, or raise the limit"
        )
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return BadInput(f"the query cannot be run: {reason[:300]}")


# Showing


def render(result: Result, format: str = "table", output: str | Path | None = None) -> dict[str, Any]:
    """What a verb returns: the rows as text, or the file they were written to (mode 0600), and how many.

    Cells of a CSV that a spreadsheet would run as a formula are preceded by an apostrophe. Parquet needs an `output`.
    """
    if format not in FORMATS:
        raise BadInput(f"no format is called {format}", remedy=f"one of {', '.join(FORMATS)}")
    shown: dict[str, Any] = {"columns": list(result.columns), "rows": len(result.rows), "truncated": result.cut}
    if output is None:
        if format == "parquet":
            raise BadInput("parquet is not for a terminal", remedy="give a file to write to (-o FILE)")
        text = io.StringIO()
        _WRITERS[format](result, text)
        return {**shown, "text": text.getvalue().rstrip("\n")}
    path = Path(output)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out:
            os.fchmod(out.fileno(), 0o600)
            if format == "parquet":
                parquet.write_table(_arrow(result), out)
            else:
                with io.TextIOWrapper(out, encoding="utf-8", newline="") as text_out:
                    _WRITERS[format](result, text_out)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error
    return {**shown, "output": str(path)}


def _plain(value: Any) -> Any:
    """A value as JSON has it: times in UTC, bytes in hexadecimal."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return (value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()).replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value)


def _text(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _write_table(result: Result, out: TextIO) -> None:
    cells = [[_cell(name) for name in result.columns], *([_cell(_text(value)) for value in row] for row in result.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        out.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
        if not number:
            out.write("  ".join("-" * width for width in widths) + "\n")
    if result.cut:
        out.write(f"(the first {len(result.rows)} rows)\n")


def _cell(text: str) -> str:
    """One line of printable characters, so that no value can move a terminal's cursor."""
    shown = "".join(character if character.isprintable() else "·" for character in text)
    return shown if len(shown) <= _CELL_CHARS else shown[: _CELL_CHARS - 1] + "…"


def _write_csv(result: Result, out: TextIO) -> None:
    writer = csv.writer(out)
    writer.writerow(map(_harmless, result.columns))
    for row in result.rows:
        writer.writerow([_harmless(_text(value)) if isinstance(value, str) else _text(value) for value in row])


def _harmless(text: str) -> str:
    # A channel may be called "=cmd…", and spreadsheets run what begins like that (OWASP: CSV injection).
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _write_json(result: Result, out: TextIO) -> None:
    rows = [dict(zip(result.columns, map(_plain, row), strict=True)) for row in result.rows]
    json.dump(rows, out, ensure_ascii=False)
    out.write("\n")


def _arrow(result: Result) -> pa.Table:
    columns = list(zip(*result.rows, strict=True)) or [()] * len(result.columns)
    names = [name if result.columns.index(name) == at else f"{name}_{at}" for at, name in enumerate(result.columns)]
    return pa.table(dict(zip(names, map(_column, columns), strict=True)))


def _column(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if value is None else _text(value) for value in values], pa.string())


_WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json}
