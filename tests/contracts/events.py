"""Small events for tests that need a log and no keys."""

from __future__ import annotations

from uuid import UUID, uuid4

from eventsourcing.persistence import StoredEvent

from vault.commit import Commit
from vault.conversations import Accepted, ConversationPartition, Reader
from vault.seal import seal, stored

LOG_KEY = bytes(range(32))
NOTED = "test.noted.1"


def event(subject: UUID, originator: UUID | None = None, version: int = 1, topic: str = NOTED) -> StoredEvent:
    return stored(
        seal(
            originator_id=originator or uuid4(),
            version=version,
            event_topic=topic,
            person=subject,
            at_us=1,
            channel="web",
            dek=None,
        )
    )


def begin(event: StoredEvent, based_on: int) -> Commit:
    return Commit.of((event,), based_on=based_on)


def everything(partition: ConversationPartition, start: int = 0) -> list[Accepted]:
    """All accepted commits from `start` to the log's end as of now."""
    end = partition.catch_up()
    found: list[Accepted] = []
    with Reader(partition, start) as reader:
        while reader.next_offset < end:
            found += reader.read(7, 1_000)
    return found
