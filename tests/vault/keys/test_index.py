from __future__ import annotations

from uuid import UUID

import pytest

from vault.errors import BadInput
from vault.keys.index import KeyedIndex

INDEX = KeyedIndex(bytes(range(32)))
SUBJECT = UUID(int=7)
CLAIM = INDEX.claim("web", "shop", "s1", "m1")


def test_hashes_are_frozen_because_they_stand_in_key_stores_and_logs() -> None:
    assert INDEX.entry("web", "s1").hex() == "c021057d329227f459b9a0473cba176e"
    assert INDEX.subject(SUBJECT).hex() == "f2a5b497cd7f884d2711c1616469a967"
    assert INDEX.case(SUBJECT).hex() == "4cdc13b73f06071d994fc5f6130ba75a"
    assert CLAIM.hex() == "d9a5251db45fe9c262e3c748ed4cb9da"
    assert INDEX.interaction(CLAIM, SUBJECT).hex == "9053448337972d45c285e76d7067f014"
    assert INDEX.mention("email", "s1@example.invalid").hex() == "216b3813d79fd464fca1913f73f4fb3a"
    assert INDEX.message(SUBJECT).hex() == "932b773371cd3c7748300e336472b5b0"
    assert INDEX.check() == "bb53ae405d01e14a8bf400da74df9754"


def test_text_cannot_be_shifted_from_one_part_to_the_next() -> None:
    messages = [
        ("web", "shop", "s1", "m1"),
        ("we", "bshop", "s1", "m1"),
        ("web", "shops", "1", "m1"),
        ("web", "shop", "s1m", "1"),
    ]
    assert len({INDEX.claim(*message) for message in messages}) == len(messages)
    assert INDEX.entry("web", "s1") != INDEX.entry("webs", "1")
    assert INDEX.mention("email", "a@b.example") != INDEX.mention("emaila", "@b.example")


def test_no_hash_serves_in_anothers_place() -> None:
    hashes = {
        INDEX.entry("", ""),
        INDEX.subject(SUBJECT),
        INDEX.case(SUBJECT),
        INDEX.claim("a", "b", "c", "d"),
        INDEX.interaction(CLAIM, SUBJECT).bytes,
        INDEX.mention("", ""),
        INDEX.message(SUBJECT),
    }
    assert len(hashes) == 7


def test_the_same_message_of_another_person_is_another_interaction_under_the_same_claim() -> None:
    assert INDEX.interaction(CLAIM, SUBJECT) != INDEX.interaction(CLAIM, UUID(int=8))


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
