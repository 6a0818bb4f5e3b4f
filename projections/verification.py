"""The projection held against the log it was made from: every row, every position, and the first difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from projections.rows import CONVERSATIONS
from projections.views import OWN_WORDS
from projections.worker import Projector
from vault.conversations import Accepted, Reader
from vault.errors import VaultError
from vault.fold import ERASED_TOPIC
from vault.ids import KeyId
from vault.seal import read_header

READ_RECORDS = 2_000

Row = tuple[Any, ...]
_KEY_ID = 8
"""Where it stands in a row of the conversations."""


@dataclass(frozen=True)
class Verification:
    """`counts`: for each log and partition its position and its events by topic. `problems`: one line each."""

    counts: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def verify(projector: Projector) -> Verification:
    """Brings the projection to the logs' ends and compares. Partitions that are stopped are compared as far as they were read."""
    found = Verification()
    positions: dict[tuple[str, int], int] = {}
    try:
        positions = projector.catch_up()
    except VaultError as error:
        found.problems.append(f"projection: {error}")
    for stopped in projector.stopped.values():
        found.problems.append(str(stopped))
    for (log, partition), position in sorted(positions.items()):
        compare = _conversations if log == CONVERSATIONS else _register
        seen, difference = compare(projector, partition, position)
        found.counts[f"{log}/{partition}"] = {"position": position, **dict(sorted(seen.items()))}
        if difference:
            found.problems.append(f"projection of {log}/{partition}: {difference}; run `parloir rebuild`")
    return found


def _conversations(projector: Projector, number: int, position: int) -> tuple[Counter[str], str]:
    partition = projector.conversations.partition(number)
    erased = set(partition.fold.erased)
    seen: Counter[str] = Counter()
    with Reader(partition, partition.first_offset) as reader, projector.store.reading() as cursor:
        start = reader.next_offset
        redacted = {row[0] for row in cursor.execute("SELECT interaction FROM redaction").fetchall()}
        while start < position:
            commits = reader.read(READ_RECORDS, 500)
            end = min(reader.next_offset, position)
            if end == start:
                return seen, f"the log could not be read on from offset {start}"
            expected = [
                row for accepted in commits if accepted.offset < position for row in _rows(accepted, erased, redacted)
            ]
            held = cursor.execute(
                'SELECT "offset", "index", originator, version, event_topic, subject, epoch_us(happened_at), channel, key_id,'
                ' sealed FROM sealed_event WHERE partition = ? AND "offset" >= ? AND "offset" < ? ORDER BY "offset", "index"',
                [number, start, end],
            ).fetchall()
            seen.update(row[4] for row in held)
            if expected != held:
                expected = _without_expired(expected, held, projector)
            if difference := _difference(expected, held, "offset"):
                return seen, difference
            start = end
        stray = cursor.execute(
            'SELECT min("offset") FROM sealed_event WHERE partition = ? AND ("offset" >= ? OR "offset" < ?)',
            [number, position, partition.first_offset],
        ).fetchone()[0]
    return seen, "" if stray is None else f"an event at offset {stray} is held that was not read"


def _rows(accepted: Accepted, erased: set[bytes], redacted: set[UUID]) -> Iterable[Row]:
    for index, event in enumerate(accepted.commit.events):
        if index in accepted.void or event.topic == ERASED_TOPIC or event.state[1:17] in erased:
            continue
        if event.originator_id in redacted and event.topic in OWN_WORDS:
            continue
        yield (accepted.offset, index, *_content(event, channel=True))


def _without_expired(expected: list[Row], held: list[Row], projector: Projector) -> list[Row]:
    """Rows of chapters that are over may be held until the file is made anew, and need not be."""
    places = {row[:2] for row in held}
    expired = projector.keys.expired({KeyId(row[_KEY_ID]) for row in expected if row[:2] not in places})
    return [row for row in expected if row[:2] in places or row[_KEY_ID] not in expired]


def _register(projector: Projector, number: int, position: int) -> tuple[Counter[str], str]:
    seen: Counter[str] = Counter()
    after = 0
    with projector.store.reading() as cursor:
        while after < position - 1:
            events = [event for event in projector.register.notifications(number, after) if event.id < position]
            if not events:
                break
            held = cursor.execute(
                'SELECT id, originator, version, event_topic, "case", epoch_us(happened_at), key_id, sealed FROM register_event'
                " WHERE partition = ? AND id > ? AND id <= ? ORDER BY id",
                [number, after, events[-1].id],
            ).fetchall()
            seen.update(row[3] for row in held)
            if difference := _difference([(event.id, *_content(event, channel=False)) for event in events], held, "id"):
                return seen, difference
            after = events[-1].id
        stray = cursor.execute(
            "SELECT min(id) FROM register_event WHERE partition = ? AND id > ?", [number, after]
        ).fetchone()[0]
    return seen, "" if stray is None else f"an event of id {stray} is held that was not read"


def _content(event: StoredEvent, *, channel: bool) -> Row:
    header = read_header(event.state)
    place: tuple[UUID, int, str] = (event.originator_id, event.originator_version, event.topic)  # type: ignore[assignment]
    named = (header.channel,) if channel else ()
    return (*place, header.person, header.at_us, *named, bytes(header.key_id), event.state[header.size :])


def _difference(expected: list[Row], held: list[Row], what: str) -> str:
    """The first difference, in words without content; "" when there is none."""
    if expected == held:
        return ""
    for wanted, found in zip(expected, held, strict=False):
        if wanted != found:
            if wanted[0] < found[0] or wanted[:2] < found[:2]:
                return f"the event at {what} {wanted[0]} is missing"
            if wanted[0] > found[0] or wanted[:2] > found[:2]:
                return f"an event at {what} {found[0]} is held that the log does not have"
            return f"the event at {what} {wanted[0]} is held otherwise than it was written"
    if len(expected) > len(held):
        return f"the event at {what} {expected[len(held)][0]} is missing"
    return f"an event at {what} {held[len(expected)][0]} is held that the log does not have"
