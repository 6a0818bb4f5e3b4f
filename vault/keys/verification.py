"""The key store held against itself: does everything open, and does everything have what it needs?

Reads all of it in bounded steps, so that others work meanwhile. Opens what this process may open and compares; shows no key, no
name and no pseudonym that is not in the clear anyway.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from vault.errors import KeyTampered
from vault.keys import notes
from vault.keys.chapters import EVIDENCE_MONTH, MODEL_MONTH, is_fenced, is_known
from vault.keys.database import Database, get_meta, row_of, translated
from vault.keys.identity import KEK, open_identity, open_tie, tied
from vault.keys.index import KeyedIndex
from vault.keys.kek import KekDirectory
from vault.keys.mentions import open_mention
from vault.keys.models import standing, standings
from vault.keys.wrap import unwrap_dek

ROWS_AT_ONCE = 2_000
PROBLEMS_MAX = 20
"""Problems of one kind that are told; of the rest only the number."""

Row = tuple[Any, ...]
RESTORE = "restore the key store from a proved backup"


def verify(database: Database, keks: KekDirectory, index: KeyedIndex) -> list[str]:
    """What is wrong, one line each with what to do; empty when all is well."""
    with database.reading() as c:
        (found,) = c.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return [f"the key store {database.path} is damaged; stop, and restore it from a backup"]
    checks: list[Callable[[Database, KekDirectory, KeyedIndex], Iterator[str]]] = [_epochs, _deks, _orphans, _models]
    if KEK in keks.purposes:
        checks += [_identities, _ties, _mentions, _notes]
    problems = []
    for check in checks:
        with translated(database.path):
            told = list(check(database, keks, index))
        problems += told[:PROBLEMS_MAX]
        if len(told) > PROBLEMS_MAX:
            problems.append(f"and {len(told) - PROBLEMS_MAX} more like that")
    return problems


def _epochs(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    with database.reading() as c:
        epoch, rotating = get_meta(c, "epoch"), get_meta(c, "rotating")
    if rotating is not None and rotating != epoch:
        yield f"a rotation to epoch {rotating} is not finished; run `parloir rotate`"
    elif keks.remains() != [int(epoch or 0)]:
        yield f"KEKs of other epochs than {epoch} are in {keks.path}; run `parloir rotate`, which destroys them"


def _deks(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    query = "SELECT id, key_id, owner, month FROM dek WHERE id > ? ORDER BY id LIMIT ?"
    for c, (number, key_id, owner, month) in _rows(database, query, -1):
        name = f"key {key_id.hex()[:16]}"
        if number != row_of(key_id):
            yield f"{name} stands in another key's row; {RESTORE}"
        if month == MODEL_MONTH:
            if standing(c, UUID(bytes=owner)) is None:
                yield f"{name} seals a model this key store does not know; {RESTORE}"
        elif month != EVIDENCE_MONTH:
            if is_fenced(c, UUID(bytes=owner)):
                yield f"{name} belongs to subject {UUID(bytes=owner)}, who was erased; {RESTORE}"
            elif not is_known(c, index, UUID(bytes=owner)):
                yield f"{name} belongs to nobody this key store knows; {RESTORE}"
        grants = c.execute("SELECT purpose, epoch, wrapped FROM key_grant WHERE dek = ?", (number,)).fetchall()
        for purpose, epoch, wrapped in grants:
            if purpose in keks.purposes:
                try:
                    unwrap_dek(keks, key_id, owner, purpose, epoch, wrapped)
                except KeyTampered as error:
                    yield str(error)


def _orphans(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    with database.reading() as c:
        (lost,) = c.execute("SELECT count(*) FROM key_grant WHERE dek NOT IN (SELECT id FROM dek)").fetchone()
    if lost:
        yield f"{lost} grants are of no key; {RESTORE}"


def _identities(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    query = "SELECT entry, keyed_subject, epoch, wrapped FROM identity WHERE entry > ? ORDER BY entry LIMIT ?"
    for c, row in _rows(database, query, b""):
        name = f"identity entry {row[0].hex()}"
        try:
            person, (channel, external_id) = open_identity(keks, *row)
            tie = tied(c, keks, "keyed_subject", row[1])
        except KeyTampered as error:
            yield f"{name}: {error}"
            continue
        if index.entry(channel, external_id) != row[0] or index.subject(person.subject) != row[1]:
            yield f"{name} says somebody else than its place; {RESTORE}"
        if tie != person:
            yield f"{name} has no tie; {RESTORE}"


def _ties(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    query = "SELECT keyed_subject, keyed_case, epoch, wrapped FROM tie WHERE keyed_subject > ? ORDER BY keyed_subject LIMIT ?"
    for c, row in _rows(database, query, b""):
        name = f"tie {row[0].hex()}"
        try:
            person = open_tie(keks, *row)
        except KeyTampered as error:
            yield f"{name}: {error}"
            continue
        if index.subject(person.subject) != row[0] or index.case(person.case) != row[1]:
            yield f"{name} says somebody else than its place; {RESTORE}"
        evidence = c.execute(
            "SELECT 1 FROM dek WHERE owner = ? AND month = ?", (person.case.bytes, EVIDENCE_MONTH)
        ).fetchone()
        if not evidence:
            yield f"{name}: its case has no evidence key; {RESTORE}"
        if is_fenced(c, person.subject):
            yield f"{name} is of subject {person.subject}, who was erased; {RESTORE}"


def _mentions(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    query = (
        "SELECT entry, keyed_message, keyed_subject, epoch, wrapped FROM mention"
        " WHERE (entry, keyed_message) > (?, ?) ORDER BY entry, keyed_message LIMIT ?"
    )
    for c, row in _rows(database, query, b"", b""):
        name = f"mention {row[0].hex()}"
        try:
            person = open_mention(keks, *row)
            tie = tied(c, keks, "keyed_subject", row[2])
        except KeyTampered as error:
            yield f"{name}: {error}"
            continue
        if index.subject(person.subject) != row[2] or tie != person:
            yield f"{name} says somebody else than its place; {RESTORE}"


def _models(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    with database.reading() as c:
        for one in standings(c):
            if not c.execute("SELECT 1 FROM dek WHERE owner = ? AND month = ?", (one.id.bytes, MODEL_MONTH)).fetchone():
                yield f"model {one.id} has no key; {RESTORE}"


def _notes(database: Database, keks: KekDirectory, index: KeyedIndex) -> Iterator[str]:
    with database.reading() as c:
        kinds = [row[0] for row in c.execute("SELECT DISTINCT kind FROM note")]
        for kind in kinds:
            try:
                notes.pending(c, keks, kind)
            except KeyTampered as error:
                yield f"a note of kind {kind}: {error}"


def _rows(database: Database, query: str, *after: int | bytes) -> Iterator[tuple[sqlite3.Connection, Row]]:
    """Rows in the order of their first columns, some at a time, and what else to ask of that same moment."""
    while True:
        with database.snapshot() as c:
            rows = c.execute(query, (*after, ROWS_AT_ONCE)).fetchall()
            for row in rows:
                yield c, row
        if not rows:
            return
        after = rows[-1][: len(after)]
