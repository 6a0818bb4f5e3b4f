from __future__ import annotations

from uuid import UUID

import pytest

from vault.errors import BadInput
from vault.keys.index import KeyedIndex

INDEX = KeyedIndex(bytes(range(32)))
SUBJECT = UUID(int=7)


def test_hashes_are_frozen_because_they_stand_in_key_stores_and_logs() -> None:
    assert INDEX.entry("web", "s1").hex() == "0a9b6c4932f24632349270e34001c520"
    assert INDEX.subject(SUBJECT).hex() == "8a7ffa7096cab5dd5fd277b1a2a85951"
    assert INDEX.case(SUBJECT).hex() == "2ce512b04fac263f6b7367a388e9b635"
    assert INDEX.claim("web", "shop", "s1", "m1").hex() == "e64b68280ccbb550a970cdf612c4aba0"
    assert INDEX.interaction("web", "shop", "s1", "m1", SUBJECT).hex == "5982a5c659032a19c714594d590fd065"
    assert INDEX.check() == "17b9d3b4aac4c3bfea8c028e4f9e145e"


def test_text_cannot_be_shifted_from_one_part_to_the_next() -> None:
    messages = [
        ("web", "shop", "s1", "m1"),
        ("we", "bshop", "s1", "m1"),
        ("web", "shops", "1", "m1"),
        ("web", "shop", "s1m", "1"),
    ]
    assert len({INDEX.claim(*message) for message in messages}) == len(messages)
    assert INDEX.entry("web", "s1") != INDEX.entry("webs", "1")


def test_no_hash_serves_in_anothers_place() -> None:
    hashes = {
        INDEX.entry("", ""),
        INDEX.subject(SUBJECT),
        INDEX.case(SUBJECT),
        INDEX.claim("a", "b", "c", "d"),
        INDEX.interaction("a", "b", "c", "d", SUBJECT).bytes,
    }
    assert len(hashes) == 5


def test_the_same_message_of_another_person_is_another_interaction_under_the_same_claim() -> None:
    message = ("web", "shop", "s1", "m1")
    assert INDEX.interaction(*message, SUBJECT) != INDEX.interaction(*message, UUID(int=8))


def test_another_secret_gives_other_hashes_and_another_check() -> None:
    other = KeyedIndex(bytes(32))
    assert other.entry("web", "s1") != INDEX.entry("web", "s1")
    assert other.check() != INDEX.check()


@pytest.mark.parametrize(("channel", "external_id"), [("c" * 256, "x"), ("web", "é" * 513)])
def test_names_beyond_their_limit_are_refused_without_being_repeated(channel: str, external_id: str) -> None:
    with pytest.raises(BadInput) as refused:
        INDEX.entry(channel, external_id)
    assert channel * 2 not in str(refused.value)
    assert external_id[:20] not in str(refused.value) or len(external_id) < 20


def test_names_at_their_limit_are_taken() -> None:
    assert len(INDEX.entry("c" * 255, "é" * 512)) == 16
