"""People who agree to improvement or do not, what they say, and what reviewers say of it: for tests of learning from the log."""

from __future__ import annotations

from uuid import UUID

from nlu import from_log, review
from nlu.from_log import Heard, Reading
from tests.projections.conftest import START_US, turn
from tests.vault.conftest import Vault
from vault.commit import Commit
from vault.ids import partition_of
from vault.intake import Message
from vault.interaction import Redacted, companion_id
from vault.keys import IMPROVEMENT

NOW_US = START_US + 1_000_000_000


def meet(vault: Vault, *names: str, agree: bool = True) -> list[UUID]:
    """Makes people known, and has them agree."""
    people = [vault.keys.resolve("web", name, partitions=vault.conversations.partitions) for name in names]
    vault.registrar.register_new()
    for person in people:
        if agree:
            vault.registrar.show_notice(person.subject, notice_version="v1", language="en")
            vault.registrar.give_consent(person.subject, purpose=IMPROVEMENT, notice_version="v1")
    return [person.subject for person in people]


def say(vault: Vault, name: str, text: str, number: int = 1, intent: str = "book", **understood: object) -> UUID:
    """A message, understood; the interaction."""
    message: Message = turn(name, number, text, intent=intent, **understood)
    (receipt,) = vault.intake.receive([message])
    return receipt.interaction_id


def read(vault: Vault, **more: object) -> Reading:
    return from_log.read(vault.conversations, vault.keys, **{"messages_max": 1_000, **more})  # type: ignore[arg-type]


def heard(vault: Vault) -> dict[str, Heard]:
    """What may be learnt from now, by its words."""
    return {one.open_text(): one for one in read(vault).heard}


def decide(vault: Vault, text: str, verdict: str, intent: str = "") -> None:
    """A reviewer's decision on the message with these words."""
    reading = read(vault)
    (one,) = [each for each in reading.heard if each.open_text() == text]
    review.append(
        vault.conversations,
        vault.mapper,
        reading,
        [review.Review(one, verdict, intent)],
        decided_by="reviewer",
        at_us=NOW_US,
    )


def redact(vault: Vault, subject: UUID, interaction: UUID, at_us: int = NOW_US) -> None:
    """Appends a redaction of a message."""
    event = Redacted(
        originator_id=companion_id(interaction, Redacted.TOPIC),
        subject=subject,
        at_us=at_us,
        channel="web",
        interaction_id=interaction,
        ground="asked for",
    )
    partition = vault.conversations.partition(partition_of(subject))
    partition.append([Commit.of((vault.mapper.to_stored_event(event),), based_on=partition.catch_up())])
