"""The rows that the projection holds on one person: the one place where the report asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from projections.rows import stored
from projections.store import Store
from vault.ids import KeyId


@dataclass(frozen=True, slots=True)
class Row:
    """A row of either log. `place`: where it stands in its log. `at_us`: microseconds since the epoch, UTC."""

    place: dict[str, int]
    stored: StoredEvent
    at_us: int
    channel: str
    key_id: KeyId
    is_conversation: bool

    @property
    def topic(self) -> str:
        return self.stored.topic

    @property
    def originator(self) -> UUID:
        return self.stored.originator_id  # type: ignore[return-value]


def conversation_rows(store: Store, subject: UUID) -> Sequence[Row]:
    """What was said with a person, in order."""
    with store.reading() as cursor:
        cursor.execute(
            'SELECT partition, "offset", "index", originator, version, event_topic, epoch_us(happened_at), channel, key_id, sealed'
            ' FROM sealed_event WHERE subject = ? ORDER BY partition, "offset", "index"',
            [subject],
        )
        return [
            Row(
                {"partition": partition, "offset": offset, "index": index},
                stored(originator, version, topic, subject, at_us, channel, key_id, sealed),
                at_us,
                channel,
                KeyId(key_id),
                True,
            )
            for partition, offset, index, originator, version, topic, at_us, channel, key_id, sealed in cursor.fetchall()
        ]


def register_rows(store: Store, case: UUID) -> Sequence[Row]:
    """What the register holds on a case, in order."""
    with store.reading() as cursor:
        cursor.execute(
            "SELECT partition, id, originator, version, event_topic, epoch_us(happened_at), key_id, sealed"
            ' FROM register_event WHERE "case" = ? ORDER BY partition, id',
            [case],
        )
        return [
            Row(
                {"partition": partition, "id": number},
                stored(originator, version, topic, case, at_us, "", key_id, sealed),
                at_us,
                "",
                KeyId(key_id),
                False,
            )
            for partition, number, originator, version, topic, at_us, key_id, sealed in cursor.fetchall()
        ]
