"""A data subject's request under GDPR Art. 15 to 22, from its arrival to its answer, with the statutory clock.

An aggregate in the register, with an id in the partition of its case. The term is one month from receipt and may be extended by
two more, told with reasons within the first (Art. 12(3)); which day that is, the caller counts.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from eventsourcing.domain import Aggregate

from vault.errors import BadInput
from vault.ids import new_id, partition_of
from vault.subject import RegisterEvent

KINDS = ("access", "portability", "rectification", "restriction", "objection", "erasure")
ASSURANCES = ("browser", "channel", "site", "verified")


class PrivacyRequest(Aggregate):
    """One request and what became of it."""

    TOPIC = "privacy_request"

    class Event(RegisterEvent):
        pass

    class Received(Event, Aggregate.Created):
        TOPIC: ClassVar[str] = "request.received.1"
        kind: str
        assurance: str
        due_at_us: int

    class IdentityChecked(Event):
        TOPIC: ClassVar[str] = "request.identity_checked.1"
        method: str
        outcome: str

        def apply(self, aggregate: PrivacyRequest) -> None:
            aggregate.identity_confirmed = self.outcome == "confirmed"

    class Extended(Event):
        TOPIC: ClassVar[str] = "request.extended.1"
        due_at_us: int
        reasons: str

        def apply(self, aggregate: PrivacyRequest) -> None:
            aggregate.due_at_us = self.due_at_us
            aggregate.extended = True

    class Answered(Event):
        TOPIC: ClassVar[str] = "request.answered.1"
        outcome: str

        def apply(self, aggregate: PrivacyRequest) -> None:
            aggregate.closed = True

    class Refused(Event):
        TOPIC: ClassVar[str] = "request.refused.1"
        ground: str

        def apply(self, aggregate: PrivacyRequest) -> None:
            aggregate.closed = True

    Created = Received
    EVENTS = (Received, IdentityChecked, Extended, Answered, Refused)

    def __init__(self, case: UUID, kind: str, assurance: str, due_at_us: int) -> None:
        self.case = case
        self.kind = kind
        self.assurance = assurance
        self.due_at_us = due_at_us
        self.identity_confirmed = False
        self.extended = False
        self.closed = False

    @classmethod
    def receive(cls, *, case: UUID, kind: str, assurance: str, due_at_us: int) -> PrivacyRequest:
        """A request that arrived. Raises `BadInput` for a kind or assurance that the law or the design does not know."""
        for what, value, known in (("kind", kind, KINDS), ("assurance", assurance, ASSURANCES)):
            if value not in known:
                raise BadInput(f"unknown {what} of request", remedy=f"one of {', '.join(known)}")
        request_id = new_id(partition_of(case))
        return cls._create(cls.Received, id=request_id, case=case, kind=kind, assurance=assurance, due_at_us=due_at_us)

    def _record(self, event: type[RegisterEvent], **payload: object) -> None:
        if self.closed:
            raise BadInput(f"request {self.id} is closed")
        self.trigger_event(event, case=self.case, **payload)

    def check_identity(self, *, method: str, outcome: str) -> None:
        """`outcome` is confirmed or not_confirmed."""
        self._record(self.IdentityChecked, method=method, outcome=outcome)

    def extend(self, *, due_at_us: int, reasons: str) -> None:
        if self.extended:
            raise BadInput(f"request {self.id} was extended before", remedy="a term is extended once (Art. 12(3))")
        if due_at_us <= self.due_at_us:
            raise BadInput(f"request {self.id} cannot be extended to an earlier day")
        self._record(self.Extended, due_at_us=due_at_us, reasons=reasons)

    def answer(self, *, outcome: str) -> None:
        self._record(self.Answered, outcome=outcome)

    def refuse(self, *, ground: str) -> None:
        self._record(self.Refused, ground=ground)
