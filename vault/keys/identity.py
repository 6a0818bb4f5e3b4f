"""Who is who: from a channel's name for a person to the two pseudonyms, and from one pseudonym to the other.

On the data's way this comes first: a gateway resolves whoever writes before it seals what they wrote. A person who is unknown is
made in one transaction: identity entry, tie, the evidence DEK of the case, and a note so that the register hears of them.

Plain text of an identity (integers big-endian), wrapped as vault/keys/wrap.py says:

    subject (16) ‖ case (16) ‖ length of the channel (2) ‖ channel, UTF-8 ‖ external id, UTF-8
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from uuid import UUID

from vault.errors import BadInput, KeyTampered, PersonUnknown
from vault.ids import PARTITIONS_MAX, new_id
from vault.keys import notes
from vault.keys.cache import LeasedCache
from vault.keys.chapters import make_evidence
from vault.keys.database import Database, writing_epoch
from vault.keys.index import KeyedIndex
from vault.keys.kek import KekDirectory
from vault.keys.model import Person
from vault.keys.wrap import REMEDY, identity_place, tie_place, unwrap, wrap

KEK = "identity"
Name = tuple[str, str]
"""(channel, external id): how a channel knows a person."""


class People:
    """The people a key store knows. Thread-safe."""

    def __init__(
        self, database: Database, keks: KekDirectory, index: KeyedIndex, cache: LeasedCache[Name, Person]
    ) -> None:
        self._database = database
        self._keks = keks
        self._index = index
        self._cache = cache

    def resolve_many(self, names: Sequence[Name], *, partitions: int) -> list[Person]:
        """The person behind each name, made if unknown, all in one transaction. A name twice is one person."""
        if not 0 < partitions <= PARTITIONS_MAX:
            raise BadInput(f"{partitions} is no number of partitions", remedy=f"1 to {PARTITIONS_MAX}")
        cached = self._cache.get
        people = [cached(name) for name in names]
        unknown = dict.fromkeys(name for name, person in zip(names, people, strict=True) if person is None)
        if not unknown:
            return people  # type: ignore[return-value]
        made = self._load_or_make(unknown, partitions)
        return [person or made[name] for name, person in zip(names, people, strict=True)]

    def _load_or_make(self, names: Iterable[Name], partitions: int) -> dict[Name, Person]:
        drops = self._cache.drops
        unknown = {self._index.entry(*name): name for name in names}
        with self._database.reading() as c:
            found = {entry: person for entry in unknown if (person := self._load(c, entry)) is not None}
        if len(found) < len(unknown):
            with self._database.writing() as c:
                found |= self._make(c, {entry: unknown[entry] for entry in unknown if entry not in found}, partitions)
        people = {unknown[entry]: person for entry, person in found.items()}
        for name, person in people.items():
            self._cache.put(name, Person(person.subject, person.case), person.subject.int, drops)
        return people

    def _make(self, c: sqlite3.Connection, unknown: dict[bytes, Name], partitions: int) -> dict[bytes, Person]:
        people: dict[bytes, Person] = {}
        new: list[dict[str, str]] = []
        epoch = writing_epoch(c)
        for entry, (channel, external_id) in unknown.items():
            person = self._load(c, entry)  # somebody else may have been first
            if person is None:
                # Two partitions drawn apart from each other, so that neither id says anything about the other.
                person = Person(new_id(secrets.randbelow(partitions)), new_id(secrets.randbelow(partitions)), True)
                self._tie(c, epoch, person)
                self._keep(c, epoch, entry, person, channel, external_id)
                make_evidence(c, self._keks, epoch, person.case)
                new.append({"case": str(person.case), "channel": channel})
            people[entry] = person
        notes.add(c, self._keks, "register", new)
        return people

    def _tie(self, c: sqlite3.Connection, epoch: int, person: Person) -> None:
        keyed = self._index.subject(person.subject), self._index.case(person.case)
        wrapped = wrap(self._keks, KEK, epoch, tie_place(*keyed), person.subject.bytes + person.case.bytes)
        c.execute("INSERT INTO tie VALUES (?, ?, ?, ?)", (*keyed, epoch, wrapped))

    def _keep(
        self, c: sqlite3.Connection, epoch: int, entry: bytes, person: Person, channel: str, external_id: str
    ) -> None:
        keyed_subject = self._index.subject(person.subject)
        name = channel.encode()
        plain = b"".join(
            (person.subject.bytes, person.case.bytes, len(name).to_bytes(2, "big"), name, external_id.encode())
        )
        wrapped = wrap(self._keks, KEK, epoch, identity_place(entry, keyed_subject), plain)
        c.execute("INSERT INTO identity VALUES (?, ?, ?, ?)", (entry, keyed_subject, epoch, wrapped))

    def _load(self, c: sqlite3.Connection, entry: bytes) -> Person | None:
        row = c.execute("SELECT keyed_subject, epoch, wrapped FROM identity WHERE entry = ?", (entry,)).fetchone()
        return None if row is None else open_identity(self._keks, entry, *row)[0]

    def find(self, channel: str, external_id: str) -> Person | None:
        """The person behind a name; None when there is none."""
        with self._database.reading() as c:
            return self._load(c, self._index.entry(channel, external_id))

    def of_subject(self, subject: UUID) -> Person | None:
        with self._database.reading() as c:
            return tied(c, self._keks, "keyed_subject", self._index.subject(subject))

    def of_case(self, case: UUID) -> Person | None:
        with self._database.reading() as c:
            return tied(c, self._keks, "keyed_case", self._index.case(case))

    def link(self, subject: UUID, channel: str, external_id: str) -> None:
        """Gives a person another name. Raises `BadInput` when it is somebody else's, `PersonUnknown` when there is no such person."""
        entry = self._index.entry(channel, external_id)
        with self._database.writing() as c:
            person = tied(c, self._keks, "keyed_subject", self._index.subject(subject))
            if person is None:
                raise PersonUnknown("nobody is known under that pseudonym")
            held = self._load(c, entry)
            if held is None:
                self._keep(c, writing_epoch(c), entry, person, channel, external_id)
            elif held.subject != subject:
                raise BadInput("that identity belongs to another person", remedy="check who it is before linking it")

    def names(self, subject: UUID) -> list[Name]:
        """Every name the person is known under."""
        with self._database.reading() as c:
            rows = c.execute(
                "SELECT entry, keyed_subject, epoch, wrapped FROM identity WHERE keyed_subject = ?",
                (self._index.subject(subject),),
            ).fetchall()
            return sorted(open_identity(self._keks, *row)[1] for row in rows)


def open_identity(
    keks: KekDirectory, entry: bytes, keyed_subject: bytes, epoch: int, wrapped: bytes
) -> tuple[Person, Name]:
    """What an identity row says. Raises `KeyTampered`."""
    plain = unwrap(keks, KEK, epoch, identity_place(entry, keyed_subject), wrapped)
    person = Person(UUID(bytes=plain[:16]), UUID(bytes=plain[16:32]))
    at = 34 + int.from_bytes(plain[32:34], "big")
    return person, (plain[34:at].decode(), plain[at:].decode())


def tied(c: sqlite3.Connection, keks: KekDirectory, column: str, keyed: bytes) -> Person | None:
    """The person whose `keyed_subject` or `keyed_case` it is. Raises `KeyTampered`."""
    assert column in ("keyed_subject", "keyed_case")
    row = c.execute(
        f"SELECT keyed_subject, keyed_case, epoch, wrapped FROM tie WHERE {column} = ?",  # noqa: S608 (one of two names)
        (keyed,),
    ).fetchone()
    return None if row is None else open_tie(keks, *row)


def open_tie(keks: KekDirectory, keyed_subject: bytes, keyed_case: bytes, epoch: int, wrapped: bytes) -> Person:
    """What a tie row says. Raises `KeyTampered`."""
    plain = unwrap(keks, KEK, epoch, tie_place(keyed_subject, keyed_case), wrapped)
    if len(plain) != 32:
        raise KeyTampered("a tie holds something else than two pseudonyms", remedy=REMEDY)
    return Person(UUID(bytes=plain[:16]), UUID(bytes=plain[16:]))
