"""A vault with its projection, embedded: messages taken in, understood and answered, and the store they are followed into."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from projections.store import Store
from projections.worker import ProjectionLimits, Projector
from tests.vault.conftest import LOG_ID, Vault, open_vault
from vault.intake import Message
from vault.interaction import Answered, ConversationEvent, Understood

START_US = 1_750_000_000_000_000
QUICK = ProjectionLimits(batch_events=50, poll_ms=20, retry_ms=20, stuck_ms=5_000)

Table = list[tuple[Any, ...]]


def turn(sender: str, number: int, text: str = "words of no importance", **understood: Any) -> Message:
    """A whole recorded turn: received, understood and answered in one commit."""
    at_us = START_US + number * 1_000_000

    def and_then(interaction_id: UUID, subject: UUID) -> Sequence[ConversationEvent]:
        common: dict[str, Any] = {"originator_id": interaction_id, "subject": subject, "channel": "web"}
        facts = {"language": "en", "intent": "greet", "confidence": 0.75, "model": "recorded", **understood}
        facts.setdefault("outcome", "understood" if facts["intent"] else "not_understood")
        return [
            Understood(originator_version=2, at_us=at_us + 2_000, **common, **facts),
            Answered(
                originator_version=3,
                at_us=at_us + 180_000,
                replies=[{"text": "a reply " * 20}, {"text": "and another"}],
                fallback=not facts["intent"],
                assistant="recorded",
                **common,
            ),
        ]

    return Message("web", "site", sender, f"m{number}", text, at_us, "en", and_then)


def said(vault: Vault, people: int = 4, turns: int = 12, first: int = 0, text: str = "words of no importance") -> None:
    """`turns` turns of `people` people, taking turns."""
    vault.intake.receive([turn(f"visitor-{n % people}", n, text) for n in range(first, first + turns)])


def subject_of(vault: Vault, sender: str) -> UUID:
    found = vault.keys.find("web", sender)
    assert found is not None
    return found.subject


def rows(store: Store, query: str, *parameters: Any) -> Table:
    with store.reading() as cursor:
        found: Table = cursor.execute(query, list(parameters)).fetchall()
        return found


def everything(store: Store) -> dict[str, Table]:
    """All that a store holds, in an order that does not depend on when it was written."""
    tables = (
        "sealed_event",
        "register_event",
        "position",
        "unreadable",
        "disclosure",
        "interaction",
        "subject",
        "redaction",
    )
    return {name: rows(store, f"SELECT * FROM {name} ORDER BY ALL") for name in tables}


def open_store(folder: Path) -> Store:
    return Store.open(folder / "projection", log_id=LOG_ID, memory_mb=128, threads=1)


def files(store: Store) -> list[str]:
    """The generations that are there, once those that were replaced are gone."""
    deadline = time.monotonic() + 5
    while len(found := sorted(path.name for path in store.folder.glob("*.duckdb"))) > 1:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return found


def change(store: Store, statement: str) -> None:
    """Changes what the file holds behind the projection's back."""
    with store.writing() as connection:
        connection.execute(statement)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    (tmp_path / "vault").mkdir()
    one = open_vault(tmp_path / "vault")
    yield one
    one.close()


@pytest.fixture
def project(vault: Vault, tmp_path: Path) -> Iterator[Callable[[], Projector]]:
    """Opens the projection, or opens it again after closing it."""
    held: list[Projector] = []

    def make() -> Projector:
        store = open_store(tmp_path)
        held.append(Projector(store, vault.conversations, vault.register, vault.keys, vault.mapper, QUICK))
        return held[-1]

    yield make
    for projector in held:
        close(projector)


def close(projector: Projector) -> None:
    projector.close()
    projector.store.close()


@pytest.fixture
def projector(project: Callable[[], Projector]) -> Projector:
    return project()
