"""Who opened whose data, when and why: one aggregate, one event an access, in the register beside the person's case."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from eventsourcing.domain import Aggregate

from vault.ids import new_id, partition_of
from vault.subject import RegisterEvent


class DataAccess(Aggregate):
    """One access to a person's data."""

    TOPIC = "data_access"

    class Event(RegisterEvent):
        pass

    class Opened(Event, Aggregate.Created):
        TOPIC: ClassVar[str] = "access.opened.1"
        actor: str
        reason: str
        request_id: UUID | None
        events: int

    Created = Opened
    EVENTS = (Opened,)

    def __init__(self, case: UUID) -> None:
        self.case = case

    @classmethod
    def record(cls, *, case: UUID, actor: str, reason: str, events: int, request_id: UUID | None = None) -> DataAccess:
        """An access that took place: who, why, and how many events were opened."""
        return cls._create(
            cls.Opened,
            id=new_id(partition_of(case)),
            case=case,
            actor=actor,
            reason=reason,
            request_id=request_id,
            events=events,
        )
