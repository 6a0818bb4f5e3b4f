"""Notes of what was begun and must be finished, written in the very transaction that begins it.

A note may name both pseudonyms of a person, so it is wrapped like the tie between them, under the `identity` KEK, and is gone
once it is finished.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from vault.keys.database import writing_epoch
from vault.keys.kek import KekDirectory
from vault.keys.model import Pending
from vault.keys.wrap import note_place, unwrap, wrap

KEK = "identity"


def add(c: sqlite3.Connection, keks: KekDirectory, kind: str, bodies: Iterable[Mapping[str, Any]]) -> None:
    """Adds a note for each body, within the caller's transaction."""
    epoch = writing_epoch(c)
    last = c.execute("SELECT seq FROM sqlite_sequence WHERE name = 'note'").fetchone()
    rows = []
    for number, body in enumerate(bodies, start=1 + (last[0] if last else 0)):
        plain = json.dumps(dict(body), separators=(",", ":")).encode()
        rows.append((number, kind, epoch, wrap(keks, KEK, epoch, note_place(number, kind), plain)))
    c.executemany("INSERT INTO note (id, kind, epoch, wrapped) VALUES (?, ?, ?, ?)", rows)


def pending(c: sqlite3.Connection, keks: KekDirectory, kind: str) -> list[Pending]:
    """The notes of a kind, oldest first."""
    rows = c.execute("SELECT id, epoch, wrapped FROM note WHERE kind = ? ORDER BY id", (kind,)).fetchall()
    return [
        Pending(number, kind, json.loads(unwrap(keks, KEK, epoch, note_place(number, kind), wrapped)))
        for number, epoch, wrapped in rows
    ]


def finish(c: sqlite3.Connection, numbers: Iterable[int]) -> None:
    c.executemany("DELETE FROM note WHERE id = ?", [(number,) for number in numbers])
