"""What tests of the report are made of: a declaration, events appended by hand, a report made, and its pages read back."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent
from pypdf import PdfReader

from projections.declaration import Declaration, parse
from projections.report import Asked, Report, report
from projections.worker import Projector
from tests.projections.conftest import subject_of
from tests.vault.conftest import Vault
from vault.commit import Commit
from vault.ids import partition_of
from vault.interaction import ConversationEvent, Received, companion_id
from vault.keys import Person
from vault.seal import stored

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER_US = 1_760_000_000_000_000
"""9 October 2025, 08:53:20 UTC."""

DECLARED = """
version = 1

[controller]
name = "Town hall of the tests"
address = "1 Test Street, 00000 Example"
contact = "data@town-hall.example"

[data_protection_officer]
contact = "officer@town-hall.example"

[authority]
name = "Authority of the tests"
contact = "2 Test Street, 00000 Example"

[[category]]
id = "messages"
name = { fr = "les messages", en = "the messages" }

[[category]]
id = "health"
name = { fr = "la santé", en = "health" }
special = true

[[purpose]]
id = "service"
name = { fr = "répondre", en = "answering" }
legal_basis = "public_task"
special_basis = "explicit_consent"
retention_days = 365
categories = ["messages", "health"]

[[purpose]]
id = "improvement"
name = { fr = "améliorer", en = "improving" }
legal_basis = "consent"
retention_days = 30
categories = ["messages"]
profiling = true
automated_decisions = true
logic = { fr = "un calcul", en = "a calculation" }

[[recipient]]
id = "appointments"
name = "Appointments office"
country = "FR"
purposes = ["service"]
fields = ["day"]

[[recipient]]
id = "carrier"
name = "Carrier of messages"
country = "US"
safeguard = "standard_clauses"
purposes = ["service"]
channels = ["web"]

[[source]]
name = { fr = "le registre des tests", en = "the register of the tests" }
"""


def declaration() -> Declaration:
    return parse(DECLARED)


def person(vault: Vault, sender: str = "visitor") -> Person:
    found = vault.keys.find("web", sender)
    assert found is not None
    return found


def make(vault: Vault, projector: Projector, sender: str = "visitor", **options: Any) -> Report:
    options = {"timeout_ms": 10_000, "clock": lambda: NOW, "asked": Asked(by="officer", reason="a request"), **options}
    return report(projector, vault.keys, vault.mapper, person(vault, sender), **options)


def append(vault: Vault, event: ConversationEvent) -> None:
    partition = vault.conversations.partition(partition_of(event.subject))
    partition.append([Commit.of((vault.mapper.to_stored_event(event),), based_on=partition.catch_up())])


def companion(vault: Vault, kind: type[Any], interaction: str, **fields: Any) -> Any:
    """An event that belongs to one of the visitor's interactions."""
    place = {"subject": subject_of(vault, "visitor"), "at_us": LATER_US, "channel": "web", **fields}
    originator = companion_id(UUID(interaction), f"{kind.TOPIC}/{uuid4()}")
    return kind(originator_id=originator, interaction_id=UUID(interaction), **place)


UNDERSTOOD_BEFORE = {
    "language": "en",
    "intent": "greet",
    "confidence": 0.5,
    "alternatives": [],
    "entities": [{"start": 0, "end": 5, "entity": "thing", "value": "words"}],
    "personal_data": [{"start": 6, "end": 8, "kind": "email"}],
    "model": "an earlier program's",
}
"""A payload of interaction.understood.1."""


def understood_before(vault: Vault) -> StoredEvent:
    """What an earlier version of the program understood of a message of the visitor, as it stands in the log."""
    who = (subject_of(vault, "visitor"), LATER_US, "web")
    sealed = vault.mapper.seal_fields("interaction.understood.1", uuid4(), 2, *who, UNDERSTOOD_BEFORE)
    partition = vault.conversations.partition(partition_of(who[0]))
    upto = partition.catch_up() - 1
    partition.append([Commit((sealed,), follower="nlu", after=partition.position("nlu"), upto=upto)])
    return stored(sealed)


def received(vault: Vault, text: str, **fields: Any) -> Received:
    """A message of the visitor that came in by no gateway, so of any size."""
    place = {"subject": subject_of(vault, "visitor"), "at_us": LATER_US, "channel": "web", **fields}
    return Received(originator_id=uuid4(), account="site", sender="visitor", message_id="m", text=text, **place)


def read_pdf(content: bytes) -> tuple[PdfReader, str]:
    """The PDF and all its text, without the places where lines may be broken and where they were."""
    reader = PdfReader(io.BytesIO(content))
    return reader, joined("".join(page.extract_text() for page in reader.pages))


def joined(text: str) -> str:
    """A text without anything that is not seen, so that what was wrapped can be found."""
    return "".join(text.replace("\u200b", "").split())
