"""Arrow columns as NumPy arrays, and back: whole vectors at a time, without making an object a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
"""A matrix of bytes, a row a value."""
Numbers = np.ndarray[Any, np.dtype[np.int64]]


def whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def offsets(column: pa.Array) -> Numbers:
    """Where each value begins in the column's bytes, and where the last one ends."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    return offsets.astype(np.int64)


def sizes(column: pa.Array) -> Numbers:
    return np.diff(offsets(column))


def fixed(column: pa.Array, size: int) -> Bytes:
    """Values of one size, a row each."""
    start = int(offsets(column)[0])
    values = np.frombuffer(column.buffers()[2] or b"", np.uint8)[start : start + size * len(column)]
    return values.reshape(len(column), size)


def big_endian(column: pa.Array, kind: Any, wanted: str) -> Bytes:
    """Numbers as bytes, a row each."""
    values = np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)].astype(wanted)
    return values.view(np.uint8).reshape(len(column), -1)


def codes(encoded: pa.DictionaryArray) -> Numbers:
    indices = encoded.indices
    return np.frombuffer(indices.buffers()[1], np.int32)[indices.offset : indices.offset + len(indices)].astype(
        np.int64
    )


def values(rows: Bytes) -> list[bytes]:
    """The rows of a matrix as bytes."""
    values: list[bytes] = rows.view(f"V{rows.shape[1]}").ravel().tolist()
    return values


def in_order(found: Iterable[pa.Array], places: Numbers, rows: int) -> pa.Array:
    """Arrays as one of so many rows: each value at the place that is given for it, NULL elsewhere."""
    words = pa.concat_arrays([pa.nulls(0, pa.string()), *found])
    taken = np.full(rows, -1, np.int64)
    taken[places] = np.arange(len(words))
    return words.take(pa.array(taken, mask=taken < 0))
