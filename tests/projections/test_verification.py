"""The projection held against the log: whatever was changed is found and named."""

from __future__ import annotations

import pytest

from projections.verification import verify
from projections.worker import Projector
from tests.projections.conftest import change, said, subject_of
from tests.vault.conftest import Vault


def test_a_projection_as_it_was_made_has_no_problems_and_is_counted(vault: Vault, projector: Projector) -> None:
    said(vault, people=4, turns=12)
    vault.registrar.erase(subject_of(vault, "visitor-1"), ground="request 1", decided_by="officer")
    said(vault, people=4, turns=8, first=100)
    found = verify(projector)
    assert found.problems == []
    counted = [found.counts[f"conversations/{n}"] for n in range(2)]
    assert sum(count.get("interaction.received.1", 0) for count in counted) == 12 - 3 + 8
    assert sum(found.counts[f"register/{n}"].get("subject.registered.1", 0) for n in range(2)) == 5
    assert [count["position"] for count in counted] == [vault.conversations.log.end(n) for n in range(2)]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ('DELETE FROM recent_event WHERE "offset" = 1 AND "index" = 1', "the event at offset 1 is missing"),
        ('DELETE FROM recent_event WHERE "offset" >= 2', "the event at offset 2 is missing"),
        (
            'INSERT INTO recent_event SELECT * FROM recent_event WHERE "offset" = 1 AND "index" = 0',
            "offset 1 is held that the log does not have",
        ),
        ("UPDATE recent_event SET channel = 'sms' WHERE \"offset\" = 1", "the event at offset 1 is held otherwise"),
        (
            "UPDATE recent_event SET sealed = '\\x00'::BLOB WHERE \"offset\" = 0",
            "the event at offset 0 is held otherwise",
        ),
        (
            'UPDATE recent_event SET "offset" = 9999 WHERE "offset" = 1 AND "index" = 2',
            "the event at offset 1 is missing",
        ),
        ("DELETE FROM register_event WHERE id = 1", "the event at id 1 is missing"),
    ],
)
def test_the_first_difference_is_named(vault: Vault, projector: Projector, statement: str, named: str) -> None:
    said(vault, people=1, turns=6)
    projector.catch_up()
    change(projector.store, statement)
    (problem,) = verify(projector).problems
    assert named in problem
    assert "parloir rebuild" in problem


def test_a_stranger_s_record_is_named_and_what_was_read_is_still_compared(vault: Vault, projector: Projector) -> None:
    said(vault, people=1, turns=6)
    number = vault.keys.find("web", "visitor-0").subject.int >> 112  # type: ignore[union-attr]
    vault.conversations.log.send(number, [b"a record of a stranger"]).wait(1_000)
    found = verify(projector)
    assert any(f"partition {number} stopped at offset 6" in problem for problem in found.problems)
    assert found.counts[f"conversations/{number}"]["interaction.received.1"] == 6
