"""How the rows of a query are shown: as a table for people, or as CSV, JSON or Parquet for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

import pyarrow as pa
from pyarrow import parquet

from projections.result import Result
from vault.errors import BadInput

CELL_CHARS = 60

Writer = Callable[[Result, TextIO], None]


def rendered(result: Result, format: str) -> bytes:
    """The rows in one of `FORMATS`; all but Parquet are UTF-8 text."""
    if format == "parquet":
        out = pa.BufferOutputStream()
        parquet.write_table(_distinct(result.table), out)
        return bytes(out.getvalue())
    if format not in _WRITERS:
        raise BadInput(f"no format is called {format}", remedy=f"one of {', '.join(FORMATS)}")
    text = io.StringIO(newline="")
    _WRITERS[format](result, text)
    return text.getvalue().encode()


def _plain(value: Any) -> Any:
    """A value as JSON has it: times in UTC, bytes in hexadecimal."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return (value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()).replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
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
        out.write(f"(the first {len(result):,} rows)\n")


def _cell(text: str) -> str:
    """One line of printable characters, so that no value can move a terminal's cursor."""
    shown = "".join(character if character.isprintable() else "·" for character in text[: CELL_CHARS + 1])
    return shown if len(shown) <= CELL_CHARS else shown[: CELL_CHARS - 1] + "…"


def _write_csv(result: Result, out: TextIO) -> None:
    writer = csv.writer(out)
    writer.writerow(map(_harmless, result.columns))
    for row in result.rows:
        writer.writerow([_harmless(_text(value)) if isinstance(value, str) else _text(value) for value in row])


def _harmless(text: str) -> str:
    # Risk: a channel may be called "=cmd…", people write what they like, and spreadsheets run what begins like that (OWASP: CSV
    # injection).
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _write_json(result: Result, out: TextIO) -> None:
    rows = [dict(zip(_distinct(result.table).column_names, map(_plain, row), strict=True)) for row in result.rows]
    json.dump(rows, out, ensure_ascii=False)
    out.write("\n")


def _distinct(table: pa.Table) -> pa.Table:
    """The table with columns of one name told apart."""
    names = table.column_names
    return table.rename_columns([name if names.index(name) == at else f"{name}_{at}" for at, name in enumerate(names)])


_WRITERS: Mapping[str, Writer] = {"table": _write_table, "csv": _write_csv, "json": _write_json}
FORMATS = (*_WRITERS, "parquet")
