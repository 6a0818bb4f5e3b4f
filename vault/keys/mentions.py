"""What people typed that may name somebody, e-mail addresses and telephone numbers, findable by whoever knows the whole value.

Never proof of identity: anybody can type anybody's address. A row says by keyed hash which value stands in which message, and, wrapped
like a tie, who typed it; the value itself is nowhere. It is gone with its person, its message's redaction or its month's retention.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from uuid import UUID

from vault.errors import KeyTampered
from vault.keys.chapters import is_fenced
from vault.keys.database import Database, writing_epoch
from vault.keys.identity import KEK, tied
from vault.keys.index import KeyedIndex
from vault.keys.kek import KekDirectory
from vault.keys.model import Mention, Month, Person, month_of
from vault.keys.wrap import REMEDY, mention_place, unwrap, wrap

MENTIONS_MAX = 10_000
"""Of one person; what they type beyond that is not entered."""
FOUND_MAX = 1_000
"""People that one value is said to be mentioned by."""


class Mentions:
    """The mentions that a key store knows. Thread-safe."""

    def __init__(self, database: Database, keks: KekDirectory, index: KeyedIndex) -> None:
        self._database = database
        self._keks = keks
        self._index = index

    def enter(self, mentions: Iterable[Mention]) -> int:
        """Enters what is not there yet, all in one transaction, and returns how many; none of who is unknown or erased."""
        rows = {
            (self._index.mention(one.kind, one.value), self._index.message(one.originator)): one for one in mentions
        }
        with self._database.reading() as c:
            new = {place: one for place, one in rows.items() if not _is_entered(c, place)}
        if not new:
            return 0
        entered = 0
        with self._database.writing() as c:
            epoch = writing_epoch(c)
            people: dict[UUID, tuple[Person | None, int]] = {}
            for place, one in new.items():
                if one.subject not in people:
                    people[one.subject] = self._standing(c, one.subject)
                person, held = people[one.subject]
                if person is None or held >= MENTIONS_MAX or _is_entered(c, place):
                    continue
                if is_redacted(c, self._index.subject(person.subject), place[1]):
                    continue
                self._keep(c, epoch, place, person, month_of(one.at_us))
                people[one.subject] = person, held + 1
                entered += 1
        return entered

    def _standing(self, c: sqlite3.Connection, subject: UUID) -> tuple[Person | None, int]:
        """Whose pseudonym it is, None for nobody's that anything may be entered of; and how much is entered of them."""
        keyed = self._index.subject(subject)
        person = None if is_fenced(c, subject) else tied(c, self._keks, "keyed_subject", keyed)
        return person, c.execute("SELECT count(*) FROM mention WHERE keyed_subject = ?", (keyed,)).fetchone()[0]

    def _keep(
        self, c: sqlite3.Connection, epoch: int, place: tuple[bytes, bytes], person: Person, month: Month
    ) -> None:
        keyed_subject = self._index.subject(person.subject)
        plain = person.subject.bytes + person.case.bytes
        wrapped = wrap(self._keks, KEK, epoch, mention_place(*place, keyed_subject), plain)
        c.execute("INSERT INTO mention VALUES (?, ?, ?, ?, ?, ?)", (*place, keyed_subject, month, epoch, wrapped))

    def find(self, kind: str, value: str) -> list[Person]:
        """Who typed the value, in its normal form; in no order that says anything. Raises `KeyTampered`."""
        with self._database.reading() as c:
            rows = c.execute(
                "SELECT entry, keyed_message, keyed_subject, epoch, wrapped FROM mention WHERE entry = ?"
                " GROUP BY keyed_subject LIMIT ?",
                (self._index.mention(kind, value), FOUND_MAX),
            ).fetchall()
            return [open_mention(self._keks, *row) for row in rows]


def forget_message(c: sqlite3.Connection, index: KeyedIndex, subject: UUID, originator: UUID, month: Month) -> None:
    """Deletes what was entered of one message, and remembers until `month` is over that nothing may be; in the caller's transaction."""
    place = index.subject(subject), index.message(originator)
    c.execute("DELETE FROM mention WHERE keyed_subject = ? AND keyed_message = ?", place)
    if not is_fenced(c, subject):
        c.execute("INSERT OR IGNORE INTO redacted VALUES (?, ?, ?)", (place[1], place[0], month))


def forget_person(c: sqlite3.Connection, keyed_subject: bytes) -> None:
    """Deletes all that was entered of a person, within the caller's transaction."""
    c.execute("DELETE FROM mention WHERE keyed_subject = ?", (keyed_subject,))
    c.execute("DELETE FROM redacted WHERE keyed_subject = ?", (keyed_subject,))


def forget_months(c: sqlite3.Connection, before: Month) -> None:
    """The same of earlier months."""
    c.execute("DELETE FROM mention WHERE month < ?", (before,))
    c.execute("DELETE FROM redacted WHERE month < ?", (before,))


def is_redacted(c: sqlite3.Connection, keyed_subject: bytes, keyed_message: bytes) -> bool:
    """Whether the person's message is not to be opened any more."""
    place = keyed_subject, keyed_message
    found = c.execute("SELECT 1 FROM redacted WHERE keyed_subject = ? AND keyed_message = ?", place)
    return found.fetchone() is not None


def open_mention(
    keks: KekDirectory, entry: bytes, keyed_message: bytes, keyed_subject: bytes, epoch: int, wrapped: bytes
) -> Person:
    """What a mention's row says. Raises `KeyTampered`."""
    plain = unwrap(keks, KEK, epoch, mention_place(entry, keyed_message, keyed_subject), wrapped)
    if len(plain) != 32:
        raise KeyTampered("a mention holds something else than two pseudonyms", remedy=REMEDY)
    return Person(UUID(bytes=plain[:16]), UUID(bytes=plain[16:]))


def _is_entered(c: sqlite3.Connection, place: tuple[bytes, bytes]) -> bool:
    return c.execute("SELECT 1 FROM mention WHERE entry = ? AND keyed_message = ?", place).fetchone() is not None
