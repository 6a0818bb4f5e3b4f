"""Rights carried out: consent, restriction and erasure, as grants and as evidence, through crashes and restored backups."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from tests.contracts.events import everything
from tests.vault.conftest import PARTITIONS, Vault
from tests.vault.killed import STEPS
from tests.vault.test_intake import message, received
from vault.errors import BadInput, PersonUnknown
from vault.fold import ERASED_TOPIC
from vault.interaction import Received
from vault.keys import Person, Unreadable
from vault.mapper import Closed
from vault.subject import DataSubject


def say(vault: Vault, number: int, text: str = "Bonjour") -> UUID:
    (receipt,) = vault.intake.receive([message(number, text=text)])
    return receipt.subject


def opened_for(vault: Vault, purpose: str) -> list[str | Unreadable]:
    """What each message says to a process that opens for one purpose, or why it says nothing."""
    found: list[str | Unreadable] = []
    for number in range(PARTITIONS):
        for accepted in everything(vault.conversations.partition(number)):
            for stored in accepted.standing():
                event = vault.mapper.open(stored, purpose)
                if isinstance(event, Closed):
                    found.append(event.why)
                elif isinstance(event, Received):
                    found.append(event.text)
    return found


def person(vault: Vault, subject: UUID) -> Person:
    found = vault.keys.person(subject)
    assert found is not None
    return found


def evidence(vault: Vault, case: UUID) -> list[str]:
    """The event topics of a case, in order."""
    return [n.topic for p in range(PARTITIONS) for n in vault.register.all_notifications(p) if n.originator_id == case]


def erasures(vault: Vault) -> int:
    """How many accepted `Erased` stand in the conversations."""
    return sum(
        event.topic == ERASED_TOPIC
        for number in range(PARTITIONS)
        for accepted in everything(vault.conversations.partition(number))
        for event in accepted.standing()
    )


W = Unreadable.WITHHELD


def test_a_person_is_registered_once_when_first_seen(vault: Vault) -> None:
    subject = say(vault, 1)
    say(vault, 2)
    assert evidence(vault, person(vault, subject).case) == ["subject.registered.1"]


def test_consent_opens_for_improvement_what_is_said_after_it_and_withdrawal_closes_all_of_it(vault: Vault) -> None:
    subject = say(vault, 1, "before")
    vault.registrar.show_notice(subject, notice_version="1", language="fr")
    vault.registrar.give_consent(subject, purpose="improvement", notice_version="1")
    say(vault, 2, "consented")
    assert opened_for(vault, "improvement") == [W, "consented"]
    vault.registrar.withdraw_consent(subject, purpose="improvement")
    say(vault, 3, "after")
    assert opened_for(vault, "improvement") == [W, W, W]
    assert opened_for(vault, "service") == opened_for(vault, "rights") == ["before", "consented", "after"]


def test_many_who_are_seen_first_together_are_registered_once_each(vault: Vault) -> None:
    receipts = vault.intake.receive([message(n, sender=f"visitor-{n}") for n in range(30)])
    cases = {person(vault, receipt.subject).case for receipt in receipts}
    assert len(cases) == 30
    vault.registrar.register_new()
    for case in cases:
        assert evidence(vault, case) == [DataSubject.Registered.TOPIC]


def test_who_was_registered_by_somebody_else_meanwhile_keeps_nobody_from_being_registered(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = vault.keys.resolve_many([("web", f"visitor-{n}") for n in range(6)], partitions=PARTITIONS)
    vault.register.save(DataSubject.register(case=resolved[0].case, channel="web"), case=resolved[0].case)
    known, asked = vault.register.subject, iter([True])

    def as_if_not_yet(case: UUID) -> DataSubject | None:
        """What a process sees that has not read the other's record."""
        return None if case == resolved[0].case and next(asked, False) else known(case)

    monkeypatch.setattr(vault.register, "subject", as_if_not_yet)
    vault.registrar.register_new()
    for one in resolved:
        assert evidence(vault, one.case) == [DataSubject.Registered.TOPIC]
    assert vault.keys.pending("register") == []


def test_a_notice_shown_to_many_is_recorded_once_a_version_and_not_for_who_was_erased(vault: Vault) -> None:
    subjects = [
        receipt.subject for receipt in vault.intake.receive([message(n, sender=f"visitor-{n}") for n in range(9)])
    ]
    cases = [person(vault, subject).case for subject in subjects]
    vault.registrar.erase(subjects[0], ground="asked", decided_by="test")
    for _ in range(2):
        vault.registrar.show_notices({subject: ("1", "fr") for subject in subjects})
    vault.registrar.show_notices({subjects[1]: ("2", "en")})
    assert DataSubject.NoticeShown.TOPIC not in evidence(vault, cases[0])
    for case in cases[2:]:
        assert evidence(vault, case) == [DataSubject.Registered.TOPIC, DataSubject.NoticeShown.TOPIC]
    told = vault.register.subject(cases[1])
    assert told is not None
    assert told.notices == ["1", "2"]


def test_consent_without_a_notice_is_refused(vault: Vault) -> None:
    subject = say(vault, 1)
    with pytest.raises(BadInput, match="notice 1 was not shown"):
        vault.registrar.give_consent(subject, purpose="improvement", notice_version="1")


def test_restriction_leaves_only_access_until_it_is_lifted(vault: Vault) -> None:
    subject = say(vault, 1, "one")
    vault.registrar.restrict(subject, ground="request 1")
    say(vault, 2, "two")
    assert opened_for(vault, "service") == [W, W]
    assert opened_for(vault, "rights") == ["one", "two"]
    vault.registrar.lift_restriction(subject, ground="request 1")
    assert opened_for(vault, "service") == ["one", "two"]


def test_a_grant_that_a_crash_left_undone_is_made_at_the_next_start(
    opened: Callable[[], Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = opened()
    subject = say(vault, 1)
    vault.registrar.show_notice(subject, notice_version="1", language="fr")
    with monkeypatch.context() as crash:
        crash.setattr(vault.registrar, "apply_register", lambda *_: None)
        vault.registrar.give_consent(subject, purpose="improvement", notice_version="1")
    vault.close()
    restarted = opened()
    say(restarted, 2, "consented")
    assert opened_for(restarted, "improvement") == [W, "consented"]


def test_erasure_destroys_every_content_key_and_names_them(vault: Vault) -> None:
    subject = say(vault, 1)
    case = person(vault, subject).case
    keys = vault.keys.count_deks(subject)
    receipt = vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    assert len(receipt.key_ids) == keys == 1
    assert not receipt.already
    assert opened_for(vault, "rights") == [Unreadable.ERASED]
    assert vault.keys.person(subject) is None
    assert vault.keys.find("web", "visitor-1") is None
    assert evidence(vault, case) == ["subject.registered.1", DataSubject.Erased.TOPIC]
    recorded = vault.register.subject(case)
    assert recorded is not None
    assert recorded.erased
    assert not vault.keys.pending("erase")


def test_a_second_erasure_says_that_it_is_done_and_when(vault: Vault) -> None:
    subject = say(vault, 1)
    first = vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    second = vault.registrar.erase(subject, ground="request 2", decided_by="officer")
    assert (second.already, second.at_us, second.key_ids) == (True, first.at_us, ())
    assert erasures(vault) == 1


def test_what_concerns_an_erased_person_is_refused(vault: Vault) -> None:
    subject = say(vault, 1)
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    with pytest.raises(PersonUnknown):
        vault.registrar.restrict(subject, ground="request 2")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_killed_at_a_step_is_finished_at_the_next_start_and_only_once(
    opened: Callable[[], Vault], tmp_path: Path, step: str, when: str
) -> None:
    vault = opened()
    subject, other = say(vault, 1), vault.intake.receive([message(2, sender="visitor-2")])[0].subject
    case = person(vault, subject).case
    vault.close()
    command = [sys.executable, "-m", "tests.vault.killed", str(tmp_path / "vault"), str(subject), step, when]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    restarted = opened()
    if (step, when) == (next(iter(STEPS)), "before"):  # nothing had happened yet
        assert person(restarted, subject).case == case
        restarted.registrar.erase(subject, ground="request 1", decided_by="officer")
    assert restarted.keys.fenced(subject) is not None
    assert restarted.keys.fenced(subject).offset is not None  # type: ignore[union-attr]
    assert evidence(restarted, case) == ["subject.registered.1", DataSubject.Erased.TOPIC]
    assert erasures(restarted) == 1
    assert not restarted.keys.pending("erase")
    assert [m.subject for m in received(restarted)] == [other]
    assert restarted.registrar.erase(subject, ground="request 2", decided_by="officer").already


def test_a_key_store_restored_from_before_an_erasure_applies_it_before_it_serves(
    opened: Callable[[], Vault], tmp_path: Path
) -> None:
    vault = opened()
    subject, other = say(vault, 1), vault.intake.receive([message(2, sender="visitor-2")])[0].subject
    vault.close()
    backup = tmp_path / "backup.db"
    shutil.copy(tmp_path / "vault" / "keys.db", backup)
    vault = opened()
    vault.registrar.erase(subject, ground="request 1", decided_by="officer")
    vault.close()
    shutil.copy(backup, tmp_path / "vault" / "keys.db")
    restored = opened()
    assert restored.keys.fenced(subject) is not None
    assert restored.keys.person(subject) is None
    assert [m.subject for m in received(restored)] == [other]
    assert erasures(restored) == 1
    assert not restored.keys.pending("erase")


def test_the_register_tells_nothing_about_who_a_case_is(vault: Vault, tmp_path: Path) -> None:
    vault.intake.receive([message(1, sender="visitor-with-a-marked-name", text="a marked sentence")])
    vault.close()
    for file in (tmp_path / "vault").rglob("*"):
        if file.is_file():
            assert b"marked" not in file.read_bytes(), file
