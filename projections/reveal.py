"""`reveal(e)` in SQL: the words of a sealed event, where its person consented to improvement; NULL everywhere else.

`e` names a whole row of `sealed_event` (or of a query that keeps its columns), because all of the clear header is bound to the
payload: `SELECT reveal(e) FROM sealed_event e`. A row that was changed, whose person was erased, restricted or withdrew, or whose
time is over is NULL like one that never was consented to; so is every row in a process without the purpose's KEK.

A function of DuckDB in Python, given a vector of at most 2,048 rows at a time as Arrow columns. What is bound to each payload
(vault/seal.py) is laid out for all of them at once; a key is asked for once a query, of the key store itself and not of its leases,
so a withdrawal is honoured by the next query. DuckDB does not count what Python holds: one vector is opened at a time, and one that is
too heavy is refused.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag

from projections import vectors
from projections.query_keys import WITHHELD, Decrypt, Grants, QueryKeys
from projections.vectors import Bytes, Numbers
from projections.words import reader
from vault.errors import BadInput, VaultError
from vault.seal import CHANNEL_BYTES_MAX, KEY_ID_SIZE, NONCE_SIZE, TAG_SIZE

VECTOR_BYTES_MAX = 64 * 1024 * 1024
"""Sealed bytes opened at once. About three times that is held while they are: the bytes, the payloads and the words."""
HEAP_BYTES = 16 * 1024 * 1024
"""Freed memory that the process may keep, about, instead of giving it back and taking it anew at every vector."""


_PARAMETERS = {
    "originator": ("BLOB", "::BLOB"),
    "version": ("UINTEGER", ""),
    "event_topic": ("VARCHAR", ""),
    "subject": ("BLOB", "::BLOB"),
    "happened_at": ("TIMESTAMPTZ", ""),
    "channel": ("VARCHAR", ""),
    "key_id": ("BLOB", ""),
    "sealed": ("BLOB", ""),
}
_ID = 16
_SEAL = NONCE_SIZE + TAG_SIZE

_numbers = itertools.count(1)


class Revealing:
    """What one query reveals. `failed` is the error that ended it, if one of ours did."""

    def __init__(self, grants: Grants, *, persons_max: int) -> None:
        self.failed: VaultError | None = None
        self._lock = threading.Lock()
        self._keys = QueryKeys(grants, persons_max)
        # glibc keeps blocks up to the size of the largest that was freed. Without this, new pages for what a vector needs take a
        # third of the time.
        bytearray(HEAP_BYTES)

    @property
    def opened(self) -> Mapping[UUID, int]:
        """By subject, how many payloads were opened, whether or not the query showed them. An event used twice may count twice."""
        return self._keys.opened()

    @contextmanager
    def on(self, cursor: Any) -> Iterator[None]:
        """While it lasts, `reveal` can be called on this cursor, and by nobody else."""
        name = f"reveal_{next(_numbers)}"
        kinds = [kind for kind, _ in _PARAMETERS.values()]

        def reveal(  # DuckDB counts the parameters
            originator: Any, version: Any, topic: Any, subject: Any, at: Any, channel: Any, key_id: Any, sealed: Any
        ) -> pa.Array:
            return self._vector(originator, version, topic, subject, at, channel, key_id, sealed)

        cursor.create_function(name, reveal, kinds, "VARCHAR", type="arrow", null_handling="special")
        try:
            columns = ", ".join(f"struct_extract(e, '{column}'){cast}" for column, (_, cast) in _PARAMETERS.items())
            cursor.execute(f"CREATE TEMP MACRO reveal(e) AS {name}({columns})")
            yield
        finally:
            with suppress(duckdb.Error):  # closed meanwhile: then both are gone already
                cursor.execute("DROP MACRO IF EXISTS temp.reveal")
                cursor.remove_function(name)

    def _vector(self, *columns: pa.ChunkedArray) -> pa.Array:
        with self._lock:
            try:
                return self._words([vectors.whole(column) for column in columns])
            except VaultError as error:
                self.failed = error
                raise
            except Exception as error:
                # DuckDB would put its text, which may quote a payload, into its own.
                raise RuntimeError(type(error).__name__) from None

    def _words(self, columns: Sequence[pa.Array]) -> pa.Array:
        usable = _usable(columns)
        if usable.all() and len(usable):
            return self._open(columns)
        if not usable.any():
            return pa.nulls(len(usable), pa.string())
        mask = pa.array(usable)
        words = self._open([column.filter(mask) for column in columns])
        return pc.replace_with_mask(pa.nulls(len(usable), pa.string()), mask, words)

    def _open(self, columns: Sequence[pa.Array]) -> pa.Array:
        """The words of rows that have everything, as an Arrow array of text: NULL where a row does not open."""
        originator, version, topic, subject, happened_at, channel, key_id, sealed = columns
        rows, keys = len(sealed), self._keys
        owners = np.concatenate([vectors.fixed(subject, _ID), vectors.fixed(key_id, KEY_ID_SIZE)], axis=1)
        codes = np.fromiter(map(keys.__getitem__, vectors.values(owners)), np.int64, rows)
        head = np.concatenate(
            [
                vectors.fixed(originator, _ID),
                vectors.big_endian(version, np.uint32, ">u4"),
                owners[:, :_ID],
                vectors.big_endian(happened_at, np.int64, ">i8"),
            ],
            axis=1,
        )
        data = _Sealed(sealed)
        order: list[Numbers] = []
        topics: list[tuple[str, int]] = []
        payloads: list[bytes | None] = []
        for event_topic, channel_name, group in _groups(topic, channel):
            places = group[codes[group] != WITHHELD]
            if not len(places):
                continue
            bound = _bound(head[places], owners[places, _ID:], event_topic.encode(), channel_name.encode())
            payloads += data.open(keys.decrypts(codes[places]), places, vectors.values(bound))
            order.append(places)
            topics.append((event_topic, len(places)))
        if not order:
            return pa.nulls(rows, pa.string())
        places = np.concatenate(order)
        codes = codes[places]
        if None in payloads:
            codes = codes[[payload is not None for payload in payloads]]
        keys.count(codes)
        return vectors.in_order(_read(topics, payloads), places, rows)


def _read(topics: Iterable[tuple[str, int]], payloads: Sequence[bytes | None]) -> Iterator[pa.Array]:
    """The words of payloads that are sorted by event topic; `topics` says how many are of which."""
    at = 0
    for event_topic, runs in itertools.groupby(topics, lambda run: run[0]):
        start, at = at, at + sum(count for _, count in runs)
        some = payloads[start:at]
        opened = [payload for payload in some if payload is not None]
        words = reader(event_topic)(opened)
        if len(opened) == len(some):
            yield words
        else:
            places = np.flatnonzero([payload is not None for payload in some])
            yield vectors.in_order([words], places, len(some))


def _usable(columns: Sequence[pa.Array]) -> Any:
    """Which rows have everything, in the sizes that a sealed event has: an array of booleans."""
    originator, _, _, subject, _, channel, key_id, sealed = columns
    usable = vectors.sizes(originator) == _ID
    usable &= vectors.sizes(subject) == _ID
    usable &= vectors.sizes(key_id) == KEY_ID_SIZE
    usable &= vectors.sizes(channel) <= CHANNEL_BYTES_MAX
    usable &= vectors.sizes(sealed) >= _SEAL
    for column in columns:
        if column.null_count:
            usable &= np.array(column.is_valid().to_pylist(), np.bool_)
    return usable


def _groups(topic: pa.Array, channel: pa.Array) -> Iterator[tuple[str, str, Numbers]]:
    """Rows with the same event topic and channel, which is to say with headers of one length."""
    topics, channels = topic.dictionary_encode(), channel.dictionary_encode()
    topic_names, channel_names = topics.dictionary.to_pylist(), channels.dictionary.to_pylist()
    both = vectors.codes(topics) * len(channel_names) + vectors.codes(channels)
    for code in range(len(topic_names) * len(channel_names)):
        group = np.flatnonzero(both == code)
        if len(group):
            name, channel_name = divmod(code, len(channel_names))
            yield topic_names[name], channel_names[channel_name], group


def _bound(head: Bytes, key_ids: Bytes, event_topic: bytes, channel: bytes) -> Bytes:
    """The associated data of each row, by the layout in vault/seal.py. `head`: originator, version, person, time."""
    parts: tuple[bytes | Bytes, ...] = (
        head[:, : _ID + 4],
        event_topic + b"\0\x01",
        head[:, _ID + 4 :],
        bytes([len(channel)]) + channel,
        key_ids,
    )
    sizes = [len(part) if isinstance(part, bytes) else part.shape[1] for part in parts]
    bound = np.empty((len(head), sum(sizes)), np.uint8)
    at = 0
    for part, size in zip(parts, sizes, strict=True):
        same_or_each: Bytes = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part
        bound[:, at : at + size] = same_or_each
        at += size
    return bound


class _Sealed:
    """The sealed bytes of a vector's rows."""

    def __init__(self, sealed: pa.Array) -> None:
        self._starts = vectors.offsets(sealed)
        first, end = int(self._starts[0]), int(self._starts[-1])
        if end - first > VECTOR_BYTES_MAX:
            raise BadInput(
                f"{len(sealed):,} payloads that are opened together weigh more than {VECTOR_BYTES_MAX >> 20} MB",
                remedy="leave the longest ones out: WHERE octet_length(e.sealed) < 30000",
            )
        self._starts -= first
        data = sealed.buffers()[2]
        self._data = b"" if data is None else data.slice(first, end - first).to_pybytes()

    def open(self, decrypts: Sequence[Decrypt], places: Numbers, bound: Sequence[bytes]) -> list[bytes | None]:
        """The payload of each row that is named, None for one that does not open. The innermost loop."""
        data, first = self._data, self._starts[places]
        rows = (decrypts, first.tolist(), (first + NONCE_SIZE).tolist(), self._starts[places + 1].tolist(), bound)
        try:
            return [
                decrypt(data[start:middle], data[middle:end], binding)
                for decrypt, start, middle, end, binding in zip(*rows, strict=True)
            ]
        except InvalidTag:
            return [
                _or_none(decrypt, data[start:middle], data[middle:end], binding)
                for decrypt, start, middle, end, binding in zip(*rows, strict=True)
            ]


def _or_none(decrypt: Decrypt, nonce: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    try:
        return decrypt(nonce, sealed, bound)
    except InvalidTag:
        return None
