"""The door: what repeated, rival, interrupted and hostile messages become in the log."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from tests.contracts.events import everything
from tests.vault.conftest import PARTITIONS, Vault
from vault.errors import BadInput, LogUnavailable
from vault.ids import partition_of
from vault.intake import Message
from vault.interaction import Received
from vault.keys import Claim


def message(number: int = 1, sender: str = "visitor-1", text: str = "Bonjour", **more: str) -> Message:
    options: dict[str, str | int] = {"channel": "web", "account": "site", "at_us": 1_700_000_000_000_000 + number}
    options.update(more)
    return Message(sender=sender, message_id=f"m{number}", text=text, **options)  # type: ignore[arg-type]


def received(vault: Vault) -> list[Received]:
    """Every message that stands, opened, in each partition's order."""
    found = []
    for number in range(PARTITIONS):
        for accepted in everything(vault.conversations.partition(number)):
            for stored in accepted.standing():
                opened = vault.mapper.open(stored)
                if isinstance(opened, Received):
                    found.append(opened)
    return found


def test_a_message_is_stored_sealed_under_its_person_and_opens_as_it_was(vault: Vault) -> None:
    (receipt,) = vault.intake.receive([message(text="Où est la mairie ?", locale="fr")])
    (stored,) = received(vault)
    assert (stored.originator_id, stored.subject) == (receipt.interaction_id, receipt.subject)
    assert (stored.text, stored.locale, stored.sender, stored.account) == (
        "Où est la mairie ?",
        "fr",
        "visitor-1",
        "site",
    )
    assert not receipt.repeated
    assert receipt.partition == partition_of(receipt.subject)
    person = vault.keys.find("web", "visitor-1")
    assert person is not None
    assert person.subject == receipt.subject
    assert vault.register.subject(person.case) is not None


def test_the_same_message_again_is_stored_once_and_its_first_receipt_is_told(opened: Callable[[], Vault]) -> None:
    vault = opened()
    (first,) = vault.intake.receive([message()])
    (again,) = vault.intake.receive([message()])
    vault.close()
    reopened = opened()
    (later,) = reopened.intake.receive([message()])
    for receipt in (again, later):
        assert receipt.repeated
        assert receipt.interaction_id == first.interaction_id
    assert len(received(reopened)) == 1


def test_a_batch_that_holds_a_message_twice_stores_it_once(vault: Vault) -> None:
    receipts = vault.intake.receive([message(1), message(2), message(1)])
    assert [receipt.repeated for receipt in receipts] == [False, False, True]
    assert receipts[0].interaction_id == receipts[2].interaction_id
    assert len(received(vault)) == 2


def test_rival_threads_with_the_same_messages_store_each_once(vault: Vault) -> None:
    messages = [message(n, sender=f"visitor-{n % 7}") for n in range(60)]
    receipts: list[object] = []
    barrier = threading.Barrier(4)

    def deliver() -> None:
        barrier.wait()
        for start in range(0, 60, 10):
            receipts.extend(vault.intake.receive(messages[start : start + 10]))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 240
    assert Counter(m.message_id for m in received(vault)) == {f"m{n}": 1 for n in range(60)}


def test_one_persons_messages_stand_in_the_order_they_were_given(vault: Vault) -> None:
    vault.intake.receive([message(n) for n in range(30)])
    assert [m.message_id for m in received(vault)] == [f"m{n}" for n in range(30)]


def test_a_message_claimed_before_a_crash_and_never_appended_is_appended(vault: Vault) -> None:
    keys = vault.keys
    person = keys.resolve("web", "visitor-1", partitions=PARTITIONS)
    claim_id = keys.claim_id("web", "site", "visitor-1", "m1")
    originator = keys.interaction_id(claim_id, person.subject)
    keys.claim([Claim(claim_id, originator, partition_of(person.subject), 0)])
    (receipt,) = vault.intake.receive([message()])
    assert not receipt.repeated
    assert len(received(vault)) == 1


def test_a_message_appended_before_a_crash_and_not_marked_is_found_in_the_log(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crash:
        crash.setattr(vault.keys, "complete_claims", lambda ids: None)
        (first,) = vault.intake.receive([message()])
    (again,) = vault.intake.receive([message()])
    assert again.repeated
    assert again.offset == first.offset
    assert len(received(vault)) == 1


def test_a_message_of_which_nobody_knows_whether_it_was_stored_is_looked_up_before_it_is_sent_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.intake.receive([message(0)])
    log = vault.conversations.log
    send = log.send

    def lost_answer(partition: int, records: list[bytes]) -> object:
        send(partition, records)
        raise LogUnavailable("no answer", unknown=len(records))

    with monkeypatch.context() as away:
        away.setattr(log, "send", lost_answer)
        with pytest.raises(LogUnavailable):
            vault.intake.receive([message(1)])
    (receipt,) = vault.intake.receive([message(1)])
    assert receipt.repeated
    assert len(received(vault)) == 2


def test_who_writes_after_being_erased_is_somebody_new_with_nothing_of_the_old(vault: Vault) -> None:
    (old,) = vault.intake.receive([message(1)])
    vault.registrar.erase(old.subject, ground="test", decided_by="test")
    (new,) = vault.intake.receive([message(2)])
    assert new.subject != old.subject
    assert [m.message_id for m in received(vault)] == ["m2"]


def test_a_message_whose_person_is_erased_while_it_is_on_its_way_is_stored_under_the_new_person(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = vault.intake.receive([message(1)])
    seal = vault.intake._seal
    erased = []

    def erase_meanwhile(draft: object) -> object:
        sealed = seal(draft)  # type: ignore[arg-type]
        if not erased:
            erased.append(vault.registrar.erase(old.subject, ground="test", decided_by="test"))
        return sealed

    monkeypatch.setattr(vault.intake, "_seal", erase_meanwhile)
    (receipt,) = vault.intake.receive([message(2)])
    assert receipt.subject != old.subject
    assert not receipt.repeated
    (stored,) = received(vault)
    assert (stored.message_id, stored.subject) == ("m2", receipt.subject)
    (again,) = vault.intake.receive([message(2)])
    assert again.repeated


def test_a_message_over_the_limit_is_refused_and_nothing_of_its_batch_is_stored(vault: Vault) -> None:
    with pytest.raises(BadInput, match=r"message 1 of 2 on channel web is longer than message_bytes_max \(1000\)"):
        vault.intake.receive([message(1), message(2, text="é" * 501)])
    assert received(vault) == []
    vault.intake.receive([message(2, text="é" * 500)])
    assert len(received(vault)) == 1


@pytest.mark.parametrize("field", ["text", "sender"])
def test_what_is_no_text_is_refused_and_nothing_of_its_batch_is_stored(vault: Vault, field: str) -> None:
    with pytest.raises(BadInput, match="message 1 of 2 holds half a surrogate pair"):
        vault.intake.receive([message(1), message(2, **{field: "\ud800"})])
    assert received(vault) == []


def test_message_ids_are_the_channels_own_and_do_not_meet_across_channels_accounts_or_senders(vault: Vault) -> None:
    messages = [
        message(1),
        message(1, sender="visitor-2"),
        message(1, account="other"),
        message(1, channel="messenger"),
        message(1, sender="visitor-1m", account="site"),
    ]
    receipts = vault.intake.receive(messages)
    assert len({receipt.interaction_id for receipt in receipts}) == 5
    assert not any(receipt.repeated for receipt in receipts)
