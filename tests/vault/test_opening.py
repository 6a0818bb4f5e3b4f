"""Payloads opened in bulk: the same as one by one, and the same refusals."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import EventTampered
from vault.ids import KeyId
from vault.keys.model import Unreadable
from vault.opening import Opener
from vault.seal import Dek, Packed, open_payload, read_header, seal, stored

SAID, NOTED = "interaction.received.1", "interaction.rated.1"
DEKS = [Dek(bytes([number] * 32)) for number in range(3)]
PEOPLE = [UUID(int=number) for number in range(3)]


class Keys:
    """A key a person; what was asked is counted."""

    def __init__(self, withheld: UUID | None = None) -> None:
        self.withheld = withheld
        self.asked = 0

    def opening(self, key_id: KeyId, owner: UUID, purpose: str | None = None) -> Dek | Unreadable:
        assert purpose == "service"
        self.asked += 1
        return Unreadable.WITHHELD if owner == self.withheld else DEKS[owner.int]

    def sealing(self, owner: UUID, at_us: int) -> Dek:
        raise NotImplementedError

    def sealing_evidence(self, case: UUID) -> Dek:
        raise NotImplementedError


def said(person: int = 0, payload: bytes = b"something", topic: str = SAID, **other: Any) -> Packed:
    place: dict[str, Any] = {"originator_id": uuid4(), "version": 1, "at_us": 5, "channel": "web"}
    return seal(event_topic=topic, person=PEOPLE[person], dek=DEKS[person], payload=payload, **{**place, **other})


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.binary(max_size=90),
            st.sampled_from([SAID, NOTED]),
            st.text(max_size=20),
            st.integers(0, 300),
        )
    )
)
def test_in_bulk_is_the_same_as_one_by_one(drawn: list[tuple[int, bytes, str, str, int]]) -> None:
    events = [said(who, payload, topic, channel=channel, version=v) for who, payload, topic, channel, v in drawn]
    opened = Opener(Keys(), "service").open(events)
    expected = [
        open_payload(stored(event), read_header(event[3]), DEKS[who])
        for event, (who, *_) in zip(events, drawn, strict=True)
    ]
    assert opened == expected


def test_a_key_is_asked_for_once_and_what_is_withheld_says_so_in_its_place() -> None:
    keys = Keys(withheld=PEOPLE[1])
    assert Opener(keys, "service").open([said(0), said(1), said(0, b"else"), said(1)]) == [
        b"something",
        Unreadable.WITHHELD,
        b"else",
        Unreadable.WITHHELD,
    ]
    assert keys.asked == 2


def changed(at: int, by: bytes) -> Packed:
    originator, version, topic, state = said()
    return originator, version, topic, state[:at] + by + state[at + len(by) :]


def other(**place: Any) -> Packed:
    originator, version, topic, state = said()
    return place.get("originator", originator), place.get("version", version), place.get("topic", topic), state


TAMPERED = {
    "another layout": changed(0, b"\2"),
    "another person": changed(1, PEOPLE[1].bytes),
    "another time": changed(17, bytes(8)),
    "a longer channel": changed(25, b"\xff"),
    "another channel": changed(26, b"s"),
    "another nonce": changed(70, bytes(12)),
    "another text": changed(75, bytes(3)),
    "nothing at all": (uuid4().bytes, 1, SAID, b""),
    "a header alone": (uuid4().bytes, 1, SAID, said()[3][:61]),
    "no tag": (uuid4().bytes, 1, SAID, said()[3][:75]),
    "another originator": other(originator=bytes(16)),
    "another version": other(version=2),
    "another event topic": other(topic=NOTED),
    "not sealed": seal(
        originator_id=uuid4(), version=1, event_topic=SAID, person=PEOPLE[0], at_us=5, channel="web", dek=None
    ),
}


@pytest.mark.parametrize("event", TAMPERED.values(), ids=TAMPERED)
def test_an_event_that_is_not_as_it_was_written_is_refused(event: Packed) -> None:
    with pytest.raises(EventTampered):
        Opener(Keys(), "service").open([said(), event])
