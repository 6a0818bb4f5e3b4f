"""Addresses and numbers that people typed are entered as mentioned, from what understanding found, and found by any way to write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from infra.nlu_verbs import plugs
from nlu.mentions import Mentions, looked_for
from nlu.personal import PersonalData
from nlu.span import Span
from nlu.understanding import Understanding
from tests.nlu.following import handled, in_service, message, say, worker
from tests.nlu.people import NOW_US, meet, redact
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


def test_the_worker_enters_what_it_understood_and_forgets_what_is_redacted(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    understanding.save(tmp_path / "m", trained_on="t", made_at="2026-01-01", metrics={})
    working = worker(
        vault,
        in_service(tmp_path / "m", plugs()),
        on_understood=Mentions(vault.keys),
        on_redacted=vault.keys.redact,
    )
    first, second = say(
        vault, message("mon adresse est a.b@example.org", 1), message("a.b@example.org ou 0123456789", 2)
    )
    assert len(handled(vault, working)) == 2
    assert who(vault, "a.b@example.org") == who(vault, "0123456789") == {first.subject}
    redact(vault, second.subject, second.interaction_id)
    handled(vault, working)
    assert who(vault, "0123456789") == set()
    assert who(vault, "a.b@example.org") == {first.subject}
    vault.registrar.restrict(first.subject, ground="contested")
    redact(vault, first.subject, first.interaction_id)
    handled(vault, working)
    assert who(vault, "a.b@example.org") == set()


def test_what_was_redacted_before_it_was_understood_is_never_entered_for_long(
    vault: Vault, understanding: Understanding, tmp_path: Path
) -> None:
    understanding.save(tmp_path / "m", trained_on="t", made_at="2026-01-01", metrics={})
    working = worker(
        vault,
        in_service(tmp_path / "m", plugs()),
        on_understood=Mentions(vault.keys),
        on_redacted=vault.keys.redact,
    )
    (receipt,) = say(vault, message("mon adresse est a.b@example.org", 1))
    redact(vault, receipt.subject, receipt.interaction_id)
    handled(vault, working)
    assert vault.keys.counts()["mention"] == 0
