"""Arrow columns out of bytes: whole columns at a time, by Arrow's own kernels where there is one, since those let other threads run."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

_FIXED = 26
"""Bytes of a state's header before the channel's name; the last of them is the name's length (vault/seal.py)."""
_KEY_ID_SIZE = 32


class Headers(NamedTuple):
    """What the clear headers of states say, and what follows them; a column each."""

    person: pa.Array
    happened_at: pa.Array
    channel: pa.Array
    key_id: pa.Array
    sealed: pa.Array


def headers(states: Sequence[bytes]) -> Headers:
    """The columns of states whose headers were checked."""
    rows = len(states)
    whole = pa.array(states, pa.binary())
    # Where the rest stands depends on the length of the channel's name, of which there are few.
    lengths = numbers(pa.uint8(), "B", [state[_FIXED - 1] for state in states], rows)
    longest = max(map(len, states), default=0)
    found = None
    for length in pc.unique(lengths).to_pylist():
        end = _FIXED + length
        here = (
            pc.binary_slice(whole, _FIXED, end),
            pc.binary_slice(whole, end, end + _KEY_ID_SIZE),
            pc.binary_slice(whole, end + _KEY_ID_SIZE, longest),  # without a stop, Arrow 26 fails on some lengths
        )
        if found is None:
            found = here
        else:
            is_here = pc.equal(lengths, pa.scalar(length, pa.uint8()))
            found = tuple(pc.if_else(is_here, new, old) for new, old in zip(here, found, strict=True))
    channel, key_id, sealed = found or (whole, whole, whole)
    return Headers(
        person=uuids(_data(pc.binary_slice(whole, 1, 17), 16 * rows), rows),
        happened_at=_times(_data(pc.binary_slice(whole, 17, 25), 8 * rows), rows),
        channel=channel.cast(pa.string()).dictionary_encode(),
        key_id=key_id,
        sealed=sealed,
    )


def _data(values: pa.Array, size: int) -> bytes:
    """The bytes of all values, one after the other: `size` of them."""
    data = values.buffers()[2]
    return b"" if data is None else data.slice(0, size).to_pybytes()


def uuids(sixteens: bytes, rows: int) -> pa.Array:
    """UUIDs out of their bytes, one after the other."""
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(sixteens)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _times(eights: bytes, rows: int) -> pa.Array:
    """Times out of big-endian microseconds, one after the other."""
    values = array("q", eights)
    values.byteswap()
    return pa.Array.from_buffers(pa.timestamp("us", tz="UTC"), rows, [None, pa.py_buffer(values)])


def numbers(kind: pa.DataType, code: str, values: Iterable[int], rows: int) -> pa.Array:
    """Integers of a kind; `code` is the same kind to `array`."""
    return pa.Array.from_buffers(kind, rows, [None, pa.py_buffer(array(code, values))])


def names(values: Sequence[str]) -> pa.Array:
    """Text of which little is different, each kept once."""
    return pa.array(values, pa.string()).dictionary_encode()


def texts(values: Sequence[bytes | None]) -> pa.Array:
    """Text out of UTF-8."""
    return pa.array(values, pa.binary()).cast(pa.string())
