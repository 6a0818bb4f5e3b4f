"""Arrow columns out of bytes: whole columns at a time, by NumPy and by Arrow's own kernels, without making an object a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vault.errors import EventTampered
from vault.seal import CHANNEL_SIZE_AT, KEY_ID_SIZE, NONCE_SIZE, TAG_SIZE, VERSION

Numbers = np.ndarray[Any, np.dtype[np.int64]]

_CHANNEL_AT = CHANNEL_SIZE_AT + 1
_PADDING = bytes(64)
"""Behind the last value, so that what stands at a place in a value can be taken before it is known to be within."""


_BYTES_MAX = (1 << 31) - 1


class Joined:
    """Values, one after the other in one piece of memory: where each begins and how long it is, in bytes; `data` goes on beyond."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.bytes = b"".join((*values, _PADDING))
        self.data = np.frombuffer(self.bytes, np.uint8)
        self.sizes = np.fromiter(map(len, values), np.int64, len(values))
        self.ends = self.sizes.cumsum()
        self.starts = self.ends - self.sizes

    def fixed(self, places: Numbers, kind: str) -> np.ndarray[Any, Any]:
        """What stands at `places`, as values of a NumPy kind; a copy."""
        size = np.dtype(kind).itemsize
        windows = np.ndarray((len(self.bytes) - size + 1,), kind, self.bytes, strides=(1,))
        return windows[places]

    def varying(self, places: Numbers, sizes: Numbers) -> pa.Array:
        """What stands at `places`, of so many bytes each."""
        ends = np.concatenate(([0], sizes.cumsum()))
        taken = self.data[np.repeat(places - ends[:-1], sizes) + np.arange(ends[-1])]
        return _binary(ends, taken)

    def array(self) -> pa.Array:
        """All values; nothing is copied."""
        return _binary(np.concatenate(([0], self.ends)), self.bytes)


def _binary(offsets: Numbers, data: Any) -> pa.Array:
    if offsets[-1] > _BYTES_MAX:
        raise OverflowError(f"{offsets[-1]} bytes do not go into one column")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


class Headers(NamedTuple):
    """What the clear headers of states say, and what follows them; a column each."""

    person: pa.Array
    happened_at: pa.Array
    channel: pa.Array
    key_id: pa.Array
    sealed: pa.Array


def unusual(states: Joined) -> Numbers:
    """Which of the states are not sealed, or not whole, or of another layout."""
    data, starts = states.data, states.starts
    short = states.sizes <= CHANNEL_SIZE_AT
    sizes = states.sizes - data[starts + CHANNEL_SIZE_AT] - (_CHANNEL_AT + KEY_ID_SIZE + NONCE_SIZE + TAG_SIZE)
    return np.flatnonzero(short | (sizes < 0) | (data[starts] != VERSION))


def headers(states: Joined) -> Headers:
    """The columns of states that are whole. Raises `EventTampered` when the name of a channel is not text."""
    rows, starts = len(states.starts), states.starts
    lengths = states.data[starts + CHANNEL_SIZE_AT].astype(np.int64)
    channel = states.varying(starts + _CHANNEL_AT, lengths).dictionary_encode()
    try:
        channels = channel.dictionary.cast(pa.string())
    except pa.ArrowInvalid:
        raise EventTampered("the header of a sealed event cannot be read") from None
    key_ids = states.fixed(starts + lengths + _CHANNEL_AT, f"V{KEY_ID_SIZE}")
    return Headers(
        person=uuids(states.fixed(starts + 1, "V16"), rows),
        happened_at=numbers(pa.timestamp("us", tz="UTC"), states.fixed(starts + 17, ">i8").astype(np.int64)),
        channel=pa.DictionaryArray.from_arrays(channel.indices, channels),
        key_id=_binary(np.arange(rows + 1) * KEY_ID_SIZE, key_ids),
        sealed=_after(states, lengths + _CHANNEL_AT + KEY_ID_SIZE),
    )


def _after(states: Joined, places: Numbers) -> pa.Array:
    """What follows each value's first few bytes."""
    whole, found = states.array(), None
    longest = int(states.sizes.max(initial=0))  # without a stop, Arrow 26 fails on some lengths
    for place in np.unique(places).tolist():  # there are few
        here = pc.binary_slice(whole, place, longest)
        found = here if found is None else pc.if_else(pa.array(places == place), here, found)
    return whole if found is None else found


def uuids(sixteens: Any, rows: int) -> pa.Array:
    """UUIDs out of their bytes, one after the other."""
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(sixteens)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def numbers(kind: pa.DataType, values: np.ndarray[Any, Any]) -> pa.Array:
    """Numbers of a kind, out of an array of as many bytes each."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
