"""What can be queried, as Parquet files by partition, readable by any engine: the copy that several processes make together.

    FOLDER/interaction/partition=2/rows.parquet

Each process writes the partitions it has. A row belongs to the partition that its person's id begins with. The daily statistics are
not copied: their small groups are protected over everybody, so they cannot be put together from parts; `interaction` counts the same.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow import parquet

from projections.store import Store
from vault.errors import BadInput, Unavailable
from vault.ids import ids_in

PERSON_OF = {
    "sealed_event": "subject",
    "interaction": "subject",
    "subject": "subject",
    "disclosure": "subject",
    "consent": "case",
    "request": "case",
    "access_log": "case",
}
"""The tables that are copied, and the column that says whom a row is about."""
SEALED = "sealed"
BATCH_ROWS = 50_000

Progress = Callable[[int, int], None]


def export(
    store: Store,
    folder: Path,
    partitions: Collection[int],
    *,
    with_sealed: bool = False,
    progress: Progress = lambda done, total: None,
) -> Counter[str]:
    """Writes the files of these partitions, each whole or not at all, of mode 0600. Returns rows by table.

    One consistent state of the store. Raises `BadInput` when the folder cannot be written, `Unavailable` when disk or memory do not
    suffice.
    """
    rows: Counter[str] = Counter()
    steps = [(table, partition) for table in PERSON_OF for partition in sorted(partitions)]
    try:
        with store.reading() as cursor:
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            try:
                for done, (table, partition) in enumerate(steps):
                    progress(done, len(steps))
                    place = folder / table / f"partition={partition}"
                    place.mkdir(mode=0o700, parents=True, exist_ok=True)
                    rows[table] += _write(cursor, table, partition, place / "rows.parquet", with_sealed)
            finally:
                cursor.execute("ROLLBACK")
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror}", remedy="choose another place") from error
    except duckdb.Error as error:
        raise Unavailable(
            f"{folder} could not be written ({type(error).__name__})", remedy="free some memory or disk space"
        ) from error
    progress(len(steps), len(steps))
    return rows


def _write(cursor: Any, table: str, partition: int, path: Path, with_sealed: bool) -> int:
    left_out = {"partition"} if with_sealed else {"partition", SEALED}  # the partition is in the folder's name
    described = cursor.execute(f"SELECT * FROM {table} LIMIT 0").description  # noqa: S608 (our names)
    columns = [f'"{column[0]}"' for column in described if column[0] not in left_out]
    query = f'SELECT {", ".join(columns)} FROM {table} WHERE "{PERSON_OF[table]}" BETWEEN ? AND ?'  # noqa: S608 (our names)
    part = path.with_suffix(".part")
    rows = 0
    try:
        with (
            cursor.sql(query, params=list(ids_in(partition))).to_arrow_reader(BATCH_ROWS) as reader,
            open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out,
        ):
            with parquet.ParquetWriter(out, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_table(pa.Table.from_batches([batch]))
                    rows += batch.num_rows
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return rows
