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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import duckdb
import numpy as np
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from projections import vectors
from projections.query_keys import WITHHELD, Grants, QueryKeys
from projections.vectors import Named, Numbers
from projections.words import reader
from vault.errors import BadInput, VaultError
from vault.seal import CHANNEL_BYTES_MAX, KEY_ID_SIZE, NONCE_SIZE, TAG_SIZE, VERSION

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
_LAYOUT = bytes([VERSION])

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
        """The words of rows, as an Arrow array of text: NULL where a row does not open."""
        opens = _usable(columns)
        if not opens.any():
            return pa.nulls(len(opens), pa.string())
        columns = vectors.only(columns, opens)
        _, _, _, subject, _, _, key_id, _ = columns
        codes = self._keys.codes(vectors.joined(vectors.fixed(subject, _ID), vectors.fixed(key_id, KEY_ID_SIZE)))
        granted = codes != WITHHELD
        opens[opens] = granted
        if not granted.any():
            return pa.nulls(len(opens), pa.string())
        return vectors.spread(self._open(vectors.only(columns, granted), codes[granted]), opens)

    def _open(self, columns: Sequence[pa.Array], codes: Numbers) -> pa.Array:
        """The same, of rows that have everything; `codes`: of their keys, which are granted."""
        topics = vectors.named(columns[2])
        payloads = _decrypted(self._keys.aeads(codes), columns[7], _bound(columns, topics))
        opened = [payload for payload in payloads if payload is not None]
        if len(opened) == len(payloads):
            self._keys.count(codes)
            return _read(topics, opened)
        opens = np.array([payload is not None for payload in payloads])
        self._keys.count(codes[opens])
        names, of_each = topics
        return vectors.spread(_read((names, of_each[opens]), opened), opens)


def _decrypted(aeads: Sequence[AESGCM], sealed: pa.Array, bound: Sequence[bytes]) -> Sequence[bytes | None]:
    """The payload of each row, None for one that does not open. The innermost loop."""
    nonces, ciphertexts = _pieces(sealed)
    try:
        return list(map(AESGCM.decrypt, aeads, nonces, ciphertexts, bound))
    except InvalidTag:
        return list(map(_or_none, aeads, nonces, ciphertexts, bound))


def _or_none(aead: AESGCM, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes | None:
    try:
        return aead.decrypt(nonce, ciphertext, bound)
    except InvalidTag:
        return None


def _pieces(sealed: pa.Array) -> tuple[list[bytes], list[bytes]]:
    """The nonce and the ciphertext of each row. Arrow cuts all of them in a quarter of the time that slicing each would take."""
    starts = vectors.offsets(sealed)
    if starts[-1] - starts[0] > VECTOR_BYTES_MAX:
        raise BadInput(
            f"{len(sealed):,} payloads that are opened together weigh more than {VECTOR_BYTES_MAX >> 20} MB",
            remedy="leave the longest ones out: WHERE octet_length(e.sealed) < 30000",
        )
    edges = np.empty(2 * len(sealed) + 1, np.int32)
    edges[::2], edges[1::2] = starts, starts[:-1] + NONCE_SIZE
    pieces = vectors.cut(sealed.buffers()[2], edges).to_numpy(zero_copy_only=False)
    return pieces[::2].tolist(), pieces[1::2].tolist()


def _read(topics: Named, payloads: Sequence[bytes]) -> pa.Array:
    """The words of payloads."""
    names, codes = topics
    if not payloads:
        return pa.nulls(0, pa.string())
    if len(names) == 1:
        return reader(names[0])(payloads)
    places, words = [], []
    for code, rows in vectors.by_code(codes):
        places.append(rows)
        words.append(reader(names[code])([payloads[row] for row in rows.tolist()]))
    return vectors.in_order(words, places)


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


def _bound(columns: Sequence[pa.Array], topics: Named) -> list[bytes]:
    """The associated data of each row, by the layout in vault/seal.py; at once for rows of one event topic and one channel, which
    have headers of one length."""
    originator, version, _, subject, happened_at, channel, key_id, _ = columns
    fields = (
        vectors.fixed(originator, _ID),
        vectors.numbers(version, np.uint32).astype(">u4"),
        vectors.fixed(subject, _ID),
        vectors.numbers(happened_at, np.int64).astype(">i8"),
        vectors.fixed(key_id, KEY_ID_SIZE),
    )
    (topic_names, topic_codes), (channel_names, channel_codes) = topics, vectors.named(channel)
    bound = np.empty(len(topic_codes), object)
    for code, rows in vectors.by_code(topic_codes * len(channel_names) + channel_codes):
        topic_code, channel_code = divmod(code, len(channel_names))
        event_topic = topic_names[topic_code].encode() + b"\0"
        name = channel_names[channel_code].encode()
        place, number, person, at, key = (field[rows] for field in fields)
        bound[rows] = vectors.joined(place, number, event_topic + _LAYOUT, person, at, bytes([len(name)]) + name, key)
    found: list[bytes] = bound.tolist()
    return found
