"""Rows made of very many commits at once: the same as event by event, and up to the first that is not as it was written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.rows import Columns
from vault import codec
from vault.commit import Commit
from vault.conversations import Accepted
from vault.fold import ERASED_TOPIC
from vault.ids import KeyId
from vault.keys.model import Unreadable
from vault.seal import Dek, Packed, open_payload, read_header, seal, stored

PARTITION, START = 2, 100
UNDERSTOOD, ANSWERED, RECEIVED = "interaction.understood.1", "interaction.answered.1", "interaction.received.1"
DEKS = [Dek(bytes([number] * 32)) for number in range(3)]
PEOPLE = [UUID(int=number + 1) for number in range(3)]
PAYLOADS = {
    UNDERSTOOD: codec.encode(
        UNDERSTOOD,
        {"language": "fr", "intent": "greet", "confidence": 0.5, "model": "recorded"}
        | {"alternatives": [], "entities": [], "personal_data": []},
    ),
    ANSWERED: codec.encode(
        ANSWERED,
        {"replies": [{"text": "hello"}], "fallback": True, "assistant": "a", "effects": [], "dialogue_state": None},
    ),
    RECEIVED: b"something",
    ERASED_TOPIC: b"",
}
FACTS = {UNDERSTOOD: ("fr", "greet", 0.5, None), ANSWERED: (None, None, None, True)}


class Keys:
    """A key a person; those of the last are withheld."""

    def opening(self, key_id: KeyId, owner: UUID, purpose: str | None = None) -> Dek | Unreadable:
        number = PEOPLE.index(owner)
        return Unreadable.WITHHELD if number == 2 else DEKS[number]

    def sealing(self, owner: UUID, at_us: int) -> Dek:
        raise NotImplementedError

    def sealing_evidence(self, case: UUID) -> Dek:
        raise NotImplementedError


def event(number: int, topic: str, person: int, channel: str = "web") -> Packed:
    return seal(
        originator_id=UUID(int=number),
        version=number % 300 + 1,
        event_topic=topic,
        person=PEOPLE[person],
        at_us=number - 5,
        channel=channel,
        dek=None if topic == ERASED_TOPIC else DEKS[person],
        payload=PAYLOADS[topic],
    )


def taken(commits: list[Accepted]) -> Any:
    columns = Columns(PARTITION, None, START, Keys())
    columns.add(commits, START + len(commits))
    return (*columns.take(), columns)


def row(offset: int, index: int, packed: Packed) -> tuple[Any, ...]:
    """What a row has to say of an event, by reading it alone."""
    originator, version, topic, state = packed
    header = read_header(state)
    withheld = header.person == PEOPLE[2]
    if topic in FACTS and not withheld:
        open_payload(stored(packed), header, DEKS[PEOPLE.index(header.person)])
    return (
        *(PARTITION, offset, index, originator, version, topic),
        *(header.person.bytes, header.at_us, header.channel, header.key_id, state[header.size :]),
        *((None,) * 4 if withheld else FACTS.get(topic, (None,) * 4)),
    )


def rows(table: Any) -> list[tuple[Any, ...]]:
    """A table's rows, with ids as bytes and times as microseconds."""
    plain = {"originator": "binary", "subject": "binary", "happened_at": "int64"}
    columns = []
    for name in table.column_names:
        column = table[name].combine_chunks()
        if plain.get(name) == "binary":
            column = column.storage
        elif name in plain:
            column = column.cast("int64")
        columns.append(column.to_pylist())
    return list(zip(*columns, strict=True))


def numbered(commits: list[list[Packed]], void: frozenset[int] = frozenset()) -> list[Accepted]:
    return [Accepted(START + at, Commit(tuple(events)), void) for at, events in enumerate(commits)]


drawn = st.tuples(st.sampled_from([UNDERSTOOD, ANSWERED, RECEIVED]), st.integers(0, 2), st.text(max_size=20))


@given(st.lists(st.lists(drawn, max_size=4), max_size=6))
def test_rows_are_what_reading_each_event_alone_gives(drawn: list[list[tuple[str, int, str]]]) -> None:
    numbers = iter(range(100))
    commits = [[event(next(numbers), *each) for each in of_one] for of_one in drawn]
    batch, tampered, _ = taken(numbered(commits))
    expected = [row(START + at, index, each) for at, events in enumerate(commits) for index, each in enumerate(events)]
    assert tampered is None
    assert (rows(batch.events) if expected else []) == expected
    unreadable = [(topic, who) for events in drawn for topic, who, _ in events if who == 2 and topic in FACTS]
    assert sum((batch.unreadable or {}).values()) == len(unreadable)


def test_void_events_and_erasures_give_no_rows_and_the_erased_are_named() -> None:
    events = [event(1, RECEIVED, 0), event(2, ERASED_TOPIC, 1), event(3, ERASED_TOPIC, 0), event(4, ANSWERED, 1)]
    batch, _, _ = taken(numbered([events], frozenset({0, 2})))
    assert rows(batch.events) == [row(START, 3, events[3])]
    assert batch.erased == {PEOPLE[1].bytes}
    batch, _, _ = taken(numbered([[events[1]]]))
    assert (batch.events.num_rows, batch.erased) == (0, {PEOPLE[1].bytes})


def spoilt(at: int, by: bytes) -> Packed:
    originator, version, topic, state = event(7, ANSWERED, 0)
    return originator, version, topic, state[:at] + by + state[at + len(by) :]


TAMPERED = {
    "another layout": spoilt(0, b"\2"),
    "another person": spoilt(1, PEOPLE[1].bytes),
    "a longer channel": spoilt(25, b"\xff"),
    "a channel that is no text": (bytes(16), 1, RECEIVED, event(7, RECEIVED, 0)[3][:26] + b"\xff" + bytes(90)),
    "another text": spoilt(75, bytes(3)),
    "cut short": (bytes(16), 1, RECEIVED, event(7, RECEIVED, 0)[3][:80]),
    "a header cut short": (bytes(16), 1, RECEIVED, event(7, RECEIVED, 0)[3][:40]),
    "nothing": (bytes(16), 1, RECEIVED, b""),
}


@pytest.mark.parametrize("bad", TAMPERED.values(), ids=TAMPERED)
def test_rows_end_before_the_first_record_that_is_not_as_it_was_written(bad: Packed) -> None:
    sound = [[event(number, UNDERSTOOD, 0), event(number, ANSWERED, 2)] for number in range(7)]
    erasing = [event(9, ERASED_TOPIC, 1)]
    for at in range(len(sound)):
        commits = [*sound[:at], [event(8, UNDERSTOOD, 0), bad], erasing, *sound[at:], [bad]]
        batch, tampered, columns = taken(numbered(commits))
        assert tampered is not None
        assert [(span.start, span.end) for span in batch.spans] == [(None, START + at)]
        assert columns.known == columns.end == START + at
        assert batch.events.num_rows == 2 * at
        assert not batch.erased, "an erasure beyond is not reached"
        assert sum((batch.unreadable or {}).values()) == at, "what cannot be opened is counted once"


def test_what_follows_is_taken_with_the_next_batch() -> None:
    columns = Columns(PARTITION, 7, 7, Keys())
    for offset in (START, START + 1):
        said = event(offset, RECEIVED, 0)
        columns.add([Accepted(offset, Commit((said,)))], offset + 1)
        batch, _ = columns.take()
        assert [(span.start, span.end) for span in batch.spans] == [(7 if offset == START else START + 1, offset + 1)]
        assert (len(columns), columns.is_new) == (0, False)
        assert rows(batch.events) == [row(offset, 0, said)]
