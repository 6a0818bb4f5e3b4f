"""The model file: one header line of JSON and the arrays as they lie in memory. Loading it runs no code.

    header    one line of JSON (sorted keys, UTF-8), filled up with spaces so that the next byte is at a multiple of 64
    arrays    little-endian, C order, each filled up with zero bytes to a multiple of 64
    digest    SHA-256 of all bytes before it, 32 bytes

The header holds `format` (1), `trained_on` (digest of the training data), `made_at` (given by the caller), `metrics`, and `parts`: by
name, `meta` (JSON) and `arrays` (name, dtype, shape, and offset from the end of the header). The same parts give the same bytes.
The digest finds damage; it does not prove who made the file. A model that was trained on people lies on the disk sealed
(nlu/sealed_model.py).
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from nlu.sealed_model import Learnt, Seals, is_sealed
from vault.errors import BadInput, StartRefused

FORMAT = 1
ALIGNED_BYTES = 64
DIGEST_BYTES = 32
HEADER_BYTES_MAX = 64 * 2**20
MODEL_BYTES_MAX = 2**30
DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"})
AGAIN = "train it again with `parloir train FOLDER`"

Json = dict[str, Any]
Arrays = dict[str, NDArray[Any]]
Parts = dict[str, tuple[Json, Arrays]]


@dataclass(frozen=True)
class Model:
    """What a file holds. The arrays are read-only views of the mapped file. `digest` names the model: 64 hexadecimal digits.

    `sealed`: the id under which it was sealed, where it was trained on people; `lineage` says on which of their messages.
    """

    digest: str
    trained_on: str
    made_at: str
    metrics: Json
    parts: Parts
    sealed: UUID | None = None
    lineage: tuple[Learnt, ...] = ()


def write_model(path: Path, parts: Parts, *, trained_on: str, made_at: str, metrics: Json) -> str:
    """Writes the file in one step (mode 0600) and returns its digest. An interrupted writing leaves the old file."""
    body = model_bytes(parts, trained_on=trained_on, made_at=made_at, metrics=metrics)
    put(path, body)
    return body[-DIGEST_BYTES:].hex()


def model_bytes(parts: Parts, *, trained_on: str, made_at: str, metrics: Json) -> bytes:
    """The bytes of a model file."""
    described: Json = {}
    bodies: list[bytes] = []
    offset = 0
    for part, (meta, arrays) in sorted(parts.items()):
        placed = []
        for name, array in sorted(arrays.items()):
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            if little.dtype.str not in DTYPES:
                raise TypeError(f"{part}.{name} is of type {little.dtype}, which a model file does not hold")
            placed.append({"name": name, "dtype": little.dtype.str, "shape": list(array.shape), "offset": offset})
            bodies.append(_filled(little.tobytes()))
            offset += len(bodies[-1])
        described[part] = {"meta": meta, "arrays": placed}
    header = {"format": FORMAT, "trained_on": trained_on, "made_at": made_at, "metrics": metrics, "parts": described}
    line = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    line += b" " * (-(len(line) + 1) % ALIGNED_BYTES) + b"\n"
    body = b"".join((line, *bodies))
    return body + hashlib.sha256(body).digest()


def put(path: Path, body: bytes) -> None:
    """Makes a file of mode 0600 in one step: an interrupted writing leaves the old one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadInput(f"cannot write {path}: {error.strerror}", remedy="give another -o FILE") from error


def read_model(path: Path, seals: Seals | None = None) -> Model:
    """Maps the file and checks its digest. Raises `BadInput` where there is none and `StartRefused` for one that is unfit.

    `seals` opens a model that was trained on people; without it such a model is refused.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if is_sealed(file.read(ALIGNED_BYTES)):
                return _unsealed(path, seals)
            if not ALIGNED_BYTES + DIGEST_BYTES <= size <= MODEL_BYTES_MAX:
                raise StartRefused(f"{path} is not a model of Parloir: {size} bytes", remedy=AGAIN)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BadInput(
            f"cannot read the model {path}: {error.strerror}",
            remedy="give another --model FILE, or make one with `parloir train FOLDER`",
        ) from error
    return _model(path, mapped)


def _unsealed(path: Path, seals: Seals | None) -> Model:
    if seals is None:
        raise StartRefused(
            f"{path} was trained on people, and opens only where their home is open", remedy="name the home by --home"
        )
    opened = seals.open(path.read_bytes(), path)
    if len(opened.file) < ALIGNED_BYTES + DIGEST_BYTES:
        raise StartRefused(f"{path} is damaged: it holds no model", remedy=f"restore it, or {AGAIN}")
    return replace(_model(path, opened.file), sealed=opened.model, lineage=opened.lineage)


def _model(path: Path, mapped: mmap.mmap | bytes) -> Model:
    # Before anything is believed: of a damaged file not even the header is.
    digest = hashlib.sha256(memoryview(mapped)[:-DIGEST_BYTES])
    whole = digest.digest() == mapped[-DIGEST_BYTES:]
    end = mapped.find(b"\n", 0, HEADER_BYTES_MAX) + 1
    try:
        header = json.loads(mapped[:end])
        version = header["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StartRefused(f"{path} is not a model of Parloir, or is damaged", remedy=AGAIN) from None
    if version != FORMAT:
        raise StartRefused(
            f"{path} is a model of format {version!r}, this program reads format {FORMAT}",
            remedy=f"{AGAIN}, or run the program that made it",
        )
    if not whole:
        raise StartRefused(f"{path} is damaged: its digest is another", remedy=f"restore it, or {AGAIN}")
    try:
        parts = {name: (of["meta"], _arrays(mapped, end, of["arrays"])) for name, of in header["parts"].items()}
        return Model(digest.hexdigest(), header["trained_on"], header["made_at"], header["metrics"], parts)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StartRefused(f"{path} does not describe its arrays", remedy=AGAIN) from None


def _arrays(mapped: mmap.mmap | bytes, start: int, described: list[Mapping[str, Any]]) -> Arrays:
    arrays: Arrays = {}
    limit = len(mapped) - DIGEST_BYTES
    for one in described:
        count, offset = math.prod(one["shape"]), start + one["offset"]
        if one["dtype"] not in DTYPES or min([count, one["offset"], *one["shape"]], default=0) < 0:
            raise ValueError("not an array of ours")
        dtype = np.dtype(one["dtype"])
        if offset + count * dtype.itemsize > limit:
            raise ValueError("beyond the end")
        arrays[one["name"]] = np.frombuffer(mapped, dtype, count, offset).reshape(one["shape"])
    return arrays


def _filled(body: bytes) -> bytes:
    return body + bytes(-len(body) % ALIGNED_BYTES)
