"""The register: data subjects, their requests, and who opened their data, as aggregates that are loaded and checked.

One application of the `eventsourcing` package a partition; a case and everything about it live in one partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, Notification
from eventsourcing.utils import Environment

from vault.ids import partition_of
from vault.mapper import KeySource, SealingMapper
from vault.request import PrivacyRequest
from vault.subject import DataSubject

Saved = Any  # an aggregate of the register, or one of its events
FactoryMaker = Callable[[Environment, int], InfrastructureFactory[Any]]


class RegisterPartition(Application[UUID]):
    """One partition of the register."""

    name = "register"

    def __init__(self, env: Mapping[str, str], keys: KeySource, make_factory: FactoryMaker, partition: int) -> None:
        self._make_factory = make_factory
        self._partition = partition
        super().__init__({"MAPPER_TOPIC": "vault.mapper:SealingMapper", **env})
        assert isinstance(self.mapper, SealingMapper)
        self.mapper.use(keys)

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        return self._make_factory(env, self._partition)


class Register:
    """All partitions of the register."""

    def __init__(self, partitions: Sequence[RegisterPartition]) -> None:
        self._partitions = partitions

    @property
    def partitions(self) -> int:
        return len(self._partitions)

    def recorder(self, partition: int) -> ApplicationRecorder:
        return self._partitions[partition].recorder

    def save(self, *aggregates: Saved, case: UUID) -> None:
        """Appends the pending events of aggregates of one case as one commit.

        Raises `IntegrityError` of the library when somebody else changed one of them first: load again and decide again;
        `LogUnavailable`, with what is known to be stored, when the log did not answer in time.
        """
        self._partitions[partition_of(case)].save(*aggregates)

    def subject(self, case: UUID) -> DataSubject | None:
        """The data subject of a case; None when nobody was registered."""
        try:
            found: DataSubject = self._partitions[partition_of(case)].repository.get(case)
        except AggregateNotFoundError:
            return None
        return found

    def request(self, request_id: UUID) -> PrivacyRequest | None:
        try:
            found: PrivacyRequest = self._partitions[partition_of(request_id)].repository.get(request_id)
        except AggregateNotFoundError:
            return None
        return found

    def notifications(self, partition: int, after: int, limit: int = 1_000) -> Sequence[Notification]:
        """Accepted events of a partition in order, ids greater than `after`: all that any process recorded before the call.

        Raises `PartitionStopped` at a record that must not be passed, after what stands before it was returned.
        """
        return self.recorder(partition).select_notifications(after, limit, inclusive_of_start=False)

    def all_notifications(self, partition: int, after: int = 0) -> Iterator[Notification]:
        """Every accepted event of a partition after `after`, in order."""
        while batch := self.notifications(partition, after):
            yield from batch
            after = batch[-1].id

    def end(self, partition: int) -> int:
        """The id of the last accepted event; 0 when there is none."""
        return self.recorder(partition).max_notification_id() or 0

    def close(self) -> None:
        for partition in self._partitions:
            partition.close()
