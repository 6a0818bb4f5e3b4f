"""The rows of a query, as an Arrow table: for notebooks, for the terminal and for the socket that carries them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from vault.errors import BadInput

_WANTED = {"HUGEINT": pa.int64(), "UHUGEINT": pa.int64(), "INTERVAL": pa.duration("us")}


class Result:
    """What a query gave. `cut`: there were more rows than it may give (`sql_rows_max`).

    Times are UTC, UUIDs are text, intervals are durations in which a month is 30 days.
    """

    def __init__(self, table: pa.Table, *, cut: bool) -> None:
        self.table = table
        self.cut = cut

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.table.column_names)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as Python values."""
        columns = [column.to_pylist(maps_as_pydicts="lossy") for column in self.table.columns]
        return list(zip(*columns, strict=True))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows as Python values, as DB-API calls it."""
        return self.rows

    def arrow(self) -> pa.Table:
        return self.table

    def df(self) -> Any:
        """A pandas data frame. Raises `BadInput` where pandas is not installed."""
        try:
            return self.table.to_pandas()
        except ImportError:
            raise BadInput("pandas is not installed here", remedy="pip install pandas, or use .arrow()") from None

    def pl(self) -> Any:
        """A Polars data frame. Raises `BadInput` where Polars is not installed."""
        try:
            import polars  # noqa: PLC0415 (optional)
        except ImportError:
            raise BadInput("Polars is not installed here", remedy="pip install polars, or use .arrow()") from None
        return polars.from_arrow(self.table)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def to_ipc(self) -> bytes:
        """The table in Arrow's IPC stream format, compressed."""
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, self.table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(self.table)
        return bytes(out.getvalue())

    @classmethod
    def from_ipc(cls, stream: bytes, *, cut: bool) -> Result:
        with pa.ipc.open_stream(stream) as reader:
            return cls(reader.read_all(), cut=cut)


def narrowed(table: pa.Table, types: Sequence[str]) -> pa.Table:
    """The table in types that everything can count with. `types` are DuckDB's, of each column.

    Sums, which are 128 bits wide in DuckDB, come as 64-bit integers where they fit; intervals, given in microseconds, as durations.
    """
    for at, (name, kind) in enumerate(zip(table.column_names, types, strict=True)):
        if kind in _WANTED:
            with suppress(pa.ArrowInvalid):
                table = table.set_column(at, name, table.column(at).cast(_WANTED[kind]))
    return table
