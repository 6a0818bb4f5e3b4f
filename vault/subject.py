"""The data subject, as evidence: first seen, identities linked, notices shown, consents, restriction, erasure.

An aggregate in the register. Its id is the case; who the person is stands nowhere in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from eventsourcing.domain import Aggregate

from vault.errors import BadInput


class RegisterEvent(Aggregate.Event):
    """An event in the *register*. `case` is whom it is about."""

    TOPIC: ClassVar[str]
    case: UUID

    @property
    def person(self) -> UUID:
        return self.case


class DataSubject(Aggregate):
    """What was told to, agreed with and done for one person."""

    TOPIC = "data_subject"

    class Event(RegisterEvent):
        pass

    class Registered(Event, Aggregate.Created):
        TOPIC: ClassVar[str] = "subject.registered.1"
        channel: str

    class IdentityLinked(Event):
        TOPIC: ClassVar[str] = "subject.identity_linked.1"
        channel: str
        assurance: str

    class NoticeShown(Event):
        TOPIC: ClassVar[str] = "subject.notice_shown.1"
        notice_version: str
        language: str

        def apply(self, aggregate: DataSubject) -> None:
            aggregate.notices.append(self.notice_version)

    class ConsentGiven(Event):
        TOPIC: ClassVar[str] = "subject.consent_given.1"
        purpose: str
        notice_version: str

        def apply(self, aggregate: DataSubject) -> None:
            aggregate.consents.add(self.purpose)

    class ConsentWithdrawn(Event):
        TOPIC: ClassVar[str] = "subject.consent_withdrawn.1"
        purpose: str

        def apply(self, aggregate: DataSubject) -> None:
            aggregate.consents.discard(self.purpose)

    class Rectified(Event):
        TOPIC: ClassVar[str] = "subject.rectified.1"
        ground: str
        fields: Sequence[str]

    class Restricted(Event):
        TOPIC: ClassVar[str] = "subject.restricted.1"
        ground: str

        def apply(self, aggregate: DataSubject) -> None:
            aggregate.restricted = True

    class RestrictionLifted(Event):
        TOPIC: ClassVar[str] = "subject.restriction_lifted.1"
        ground: str

        def apply(self, aggregate: DataSubject) -> None:
            aggregate.restricted = False

    class Erased(Event):
        TOPIC: ClassVar[str] = "case.erased.1"
        ground: str
        decided_by: str
        key_ids: Sequence[bytes]
        destroyed_at_us: int
        pending: Sequence[str]

        def apply(self, aggregate: DataSubject) -> None:
            aggregate.erased = True

    Created = Registered
    EVENTS = (
        Registered,
        IdentityLinked,
        NoticeShown,
        ConsentGiven,
        ConsentWithdrawn,
        Rectified,
        Restricted,
        RestrictionLifted,
        Erased,
    )

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.notices: list[str] = []
        self.consents: set[str] = set()
        self.restricted = False
        self.erased = False

    @classmethod
    def register(cls, *, case: UUID, channel: str) -> DataSubject:
        """A person seen for the first time."""
        return cls._create(cls.Registered, id=case, case=case, channel=channel)

    def _record(self, event: type[RegisterEvent], **payload: object) -> None:
        if self.erased:
            raise BadInput(f"case {self.id} is closed: the person was erased")
        self.trigger_event(event, case=self.id, **payload)

    def link_identity(self, *, channel: str, assurance: str) -> None:
        self._record(self.IdentityLinked, channel=channel, assurance=assurance)

    def show_notice(self, *, notice_version: str, language: str) -> None:
        self._record(self.NoticeShown, notice_version=notice_version, language=language)

    def give_consent(self, *, purpose: str, notice_version: str) -> None:
        """Consent for one purpose, after a notice; giving it again changes nothing."""
        if notice_version not in self.notices:
            raise BadInput(
                f"notice {notice_version} was not shown before consent", remedy="show it first (GDPR Art. 7 and 13)"
            )
        if purpose not in self.consents:
            self._record(self.ConsentGiven, purpose=purpose, notice_version=notice_version)

    def withdraw_consent(self, *, purpose: str) -> None:
        if purpose in self.consents:
            self._record(self.ConsentWithdrawn, purpose=purpose)

    def rectify(self, *, ground: str, fields: Sequence[str]) -> None:
        self._record(self.Rectified, ground=ground, fields=list(fields))

    def restrict(self, *, ground: str) -> None:
        if not self.restricted:
            self._record(self.Restricted, ground=ground)

    def lift_restriction(self, *, ground: str) -> None:
        if self.restricted:
            self._record(self.RestrictionLifted, ground=ground)

    def erase(
        self, *, ground: str, decided_by: str, key_ids: Sequence[bytes], destroyed_at_us: int, pending: Sequence[str]
    ) -> None:
        """The last event: the keys were destroyed."""
        self._record(
            self.Erased,
            ground=ground,
            decided_by=decided_by,
            key_ids=list(key_ids),
            destroyed_at_us=destroyed_at_us,
            pending=list(pending),
        )
