"""Addresses and numbers that people typed are entered as mentioned, from what understanding found, and found by any way to write them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import pytest

from nlu.mentions import Mentions, looked_for
from nlu.personal import PersonalData
from nlu.span import Span
from tests.nlu.people import NOW_US, meet
from tests.vault.conftest import Vault
from vault.errors import BadInput


@dataclass(frozen=True)
class Message:
    interaction: UUID
    subject: UUID
    at_us: int = NOW_US


@dataclass(frozen=True)
class Found:
    personal: tuple[Span, ...]


def understood(subject: UUID, *texts: str, language: str = "fr") -> list[tuple[Message, Found]]:
    found = PersonalData.default().find(texts, [language] * len(texts))
    return [(Message(UUID(int=n), subject), Found(tuple(spans))) for n, spans in enumerate(found)]


def who(vault: Vault, value: str) -> set[UUID]:
    return {person.subject for kind, form in looked_for(value) for person in vault.keys.mentioned(kind, form)}


def test_what_was_typed_is_found_however_it_is_written(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    Mentions(vault.keys)(understood(subject, "mon adresse : Someone.Else@Example.ORG", "appelez le 01 23 45 67 89 svp"))
    for value in ("someone.else@example.org", " SOMEONE.ELSE@EXAMPLE.ORG ", "someone.else (at) example.org"):
        assert who(vault, value) == {subject}
    for value in ("0123456789", "01.23.45.67.89", "+33 1 23 45 67 89", "0033123456789"):
        assert who(vault, value) == {subject}
    assert who(vault, "else@example.org") == set()
    assert who(vault, "01 23 45 67 80") == set()


def test_nothing_but_addresses_and_numbers_is_entered(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    Mentions(vault.keys)(
        understood(subject, "carte 4111 1111 1111 1111, IBAN FR76 3000 6000 0112 3456 7890 189", "je m'appelle Zork")
    )
    assert vault.keys.counts()["mention"] == 0


def test_the_same_batch_again_is_entered_once_and_a_batch_of_nothing_is_none(vault: Vault) -> None:
    (subject,) = meet(vault, "one")
    enter = Mentions(vault.keys)
    for _ in range(2):
        enter(understood(subject, "a@example.org b@example.org", "a@example.org"))
    assert vault.keys.counts()["mention"] == 3
    enter([])
    enter(understood(subject, "rien"))
    assert vault.keys.counts()["mention"] == 3


@pytest.mark.parametrize(
    "value", ["", " ", "hello", "12", "1" * 400, "a" * 400 + "@example.org", "\x00", "\ud800", "++33", "'; --"]
)
def test_what_is_neither_is_refused_without_being_repeated(value: str) -> None:
    with pytest.raises(BadInput) as refused:
        looked_for(value)
    assert "neither an e-mail address nor a telephone number" in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_number_without_its_country_is_looked_for_in_each_whose_plan_has_it() -> None:
    forms = looked_for("0123456789")
    assert ("phone", "+33123456789") in forms
    assert {kind for kind, _ in forms} == {"phone"}
