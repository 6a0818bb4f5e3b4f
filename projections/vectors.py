"""Arrow columns as NumPy arrays, and back: whole vectors at a time, without making an object a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Values = np.ndarray[Any, np.dtype[Any]]
"""Values of one size, of which `tolist` makes bytes unless they are numbers."""
Numbers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
Named = tuple[list[str], Numbers]
"""The texts that occur in a column, and for each row which of them it has."""


def whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def offsets(column: pa.Array) -> Numbers:
    """Where each value begins in the column's bytes, and where the last one ends."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    return offsets.astype(np.int64)


def sizes(column: pa.Array) -> Numbers:
    return np.diff(offsets(column))


def fixed(column: pa.Array, size: int) -> Values:
    """Values of one size."""
    return np.frombuffer(column.buffers()[2] or b"", f"V{size}", len(column), int(offsets(column)[0]))


def numbers(column: pa.Array, kind: Any) -> Values:
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)]


def joined(*fields: bytes | Values) -> Values:
    """What stands in each row of some arrays, one behind the other; bytes are the same in every row."""
    columns = [np.void(field) if isinstance(field, bytes) else field for field in fields]
    kind = np.dtype([("", column.dtype) for column in columns])
    rows = np.empty(max(column.size for column in columns), kind)
    for name, column in zip(kind.names or (), columns, strict=True):
        rows[name] = column
    return rows.view(f"V{kind.itemsize}")


def named(column: pa.Array) -> Named:
    encoded = column.dictionary_encode()
    indices = encoded.indices
    codes = np.frombuffer(indices.buffers()[1], np.int32)[indices.offset : indices.offset + len(indices)]
    return encoded.dictionary.to_pylist(), codes.astype(np.int64)


def by_code(codes: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Each code that occurs, and the rows that have it."""
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        yield code, np.flatnonzero(codes == code)


def cut(data: pa.Buffer | None, edges: np.ndarray[Any, np.dtype[np.int32]]) -> pa.Array:
    """The parts of some bytes between each edge and the next."""
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(edges) - 1, [None, pa.py_buffer(edges), pa.py_buffer(b"") if data is None else data]
    )


def only(columns: Sequence[pa.Array], wanted: Booleans) -> Sequence[pa.Array]:
    """Some rows of columns."""
    if wanted.all():
        return columns
    mask = pa.array(wanted)
    return [column.filter(mask) for column in columns]


def spread(texts: pa.Array, places: Booleans) -> pa.Array:
    """Texts at the places that are marked, in order, and NULL at the others."""
    if places.all():
        return texts
    return pc.replace_with_mask(pa.nulls(len(places), pa.string()), pa.array(places), texts)


def in_order(found: Sequence[pa.Array], places: Sequence[Numbers]) -> pa.Array:
    """Arrays as one: each value at the place that is given for it."""
    return pa.concat_arrays(found).take(pa.array(np.argsort(np.concatenate(places))))
