"""What the gateway puts on record beside messages: that a reply was delivered (`Delivered`), that the notice was shown (`NoticeShown`).

Both follow what happened; who waits for a reply does not wait for them. A delivery that a crash leaves unrecorded is recorded when the
conversation is resumed, because the replies are then delivered again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from bot.channels.channel import Spoken
from bot.gateway.delivery import delivered_id
from bot.gateway.lane import Lane
from vault.commit import Commit
from vault.conversations import Conversations
from vault.errors import LimitExceeded, SubjectErased, Unavailable, VaultError
from vault.fold import Verdict
from vault.ids import partition_of
from vault.interaction import Delivered
from vault.keys import KeyStore
from vault.mapper import SealingMapper
from vault.registrar import Registrar, now_us

DELIVERED, FAILED = "delivered", "failed"
AT_ONCE = 500
WAITING_MAX = 20_000
ATTEMPTS_MAX = 3
RETRY_S = 1.0
REST_S = 0.25
"""After recording deliveries, those of the next moment are left to come together: each commit is one more that turns wait beside."""
REMEMBERED_MAX = 100_000

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Shown:
    subject: UUID
    version: str
    language: str


class Evidence:
    """Records in the background, in batches. Belongs to the event loop of the gateway."""

    def __init__(
        self,
        conversations: Conversations,
        mapper: SealingMapper,
        keys: KeyStore,
        registrar: Registrar,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._conversations = conversations
        self._mapper = mapper
        self._keys = keys
        self._registrar = registrar
        self._clock = clock
        self._closing = threading.Event()
        self._known: OrderedDict[tuple[UUID, str], None] = OrderedDict()
        self._deliveries: Lane[tuple[Spoken, str], None] = Lane(
            "deliveries", self._record_deliveries, at_once=AT_ONCE, waiting_max=WAITING_MAX
        )
        self._notices: Lane[_Shown, None] = Lane(
            "notices", self._record_notices, at_once=AT_ONCE, waiting_max=WAITING_MAX
        )

    def delivered(self, spoken: Spoken, outcome: str = DELIVERED) -> None:
        """The channel has taken what was said, or for good did not (`FAILED`)."""
        self._put(self._deliveries, (spoken, outcome))

    def notice_shown(self, subject: UUID, version: str, language: str) -> None:
        """The person saw this version of the notice. Recorded once a version."""
        if (subject, version) not in self._known:
            self._known[subject, version] = None
            if len(self._known) > REMEMBERED_MAX:
                self._known.popitem(last=False)
            self._put(self._notices, _Shown(subject, version, language))

    def _put(self, lane: Lane[T, None], item: T) -> None:
        try:
            lane.put(item).add_done_callback(_seen)
        except LimitExceeded as error:
            log.error("evidence lost", extra={"reason": str(error)})

    def _record_deliveries(self, batch: Sequence[tuple[Spoken, str]]) -> Sequence[Exception | None]:
        left = list(batch)
        for _ in range(ATTEMPTS_MAX):
            try:
                left = self._append(left)
            except Unavailable as error:
                log.warning("evidence waits", extra={"reason": str(error)})
                if self._closing.wait(RETRY_S):
                    break
            if not left:
                break
        if left:
            log.error("deliveries not recorded", extra={"records": len(left)})
        self._closing.wait(REST_S)
        return [None] * len(batch)

    def _append(self, batch: Sequence[tuple[Spoken, str]]) -> list[tuple[Spoken, str]]:
        """Appends one commit each. Returns those that the log found stale: they are to be appended again."""
        at_us = self._clock()
        self._keys.prepare({(spoken.subject, at_us) for spoken, _ in batch})
        partitions: dict[int, list[tuple[tuple[Spoken, str], Commit]]] = {}
        for item in batch:
            spoken, outcome = item
            number = partition_of(spoken.subject)
            end = self._conversations.partition(number).next_offset
            event = Delivered(
                originator_id=delivered_id(spoken),
                subject=spoken.subject,
                at_us=at_us,
                channel=spoken.channel,
                interaction_id=spoken.interaction,
                step=spoken.step,
                outcome=outcome,
            )
            try:
                commit = Commit.of((self._mapper.to_stored_event(event),), based_on=end)
            except SubjectErased:
                continue
            partitions.setdefault(number, []).append((item, commit))
        appending = self._conversations.appending()
        try:
            for number, made in partitions.items():
                appending.start(number, [commit for _, commit in made])
        finally:
            outcomes = appending.finish()
        return [
            item
            for made, judgements in zip(partitions.values(), outcomes, strict=True)
            for (item, _), (_, judged) in zip(made, judgements, strict=True)
            if judged.verdict is Verdict.STALE
        ]

    def _record_notices(self, batch: Sequence[_Shown]) -> Sequence[Exception | None]:
        try:
            self._registrar.show_notices({shown.subject: (shown.version, shown.language) for shown in batch})
        except VaultError as error:
            for shown in batch:  # so that the next message tries again
                self._known.pop((shown.subject, shown.version), None)
            return [error] * len(batch)
        return [None] * len(batch)

    async def close(self) -> None:
        """Records what waits."""
        self._closing.set()
        await self._deliveries.close()
        await self._notices.close()


def _seen(future: asyncio.Future[None]) -> None:
    error = None if future.cancelled() else future.exception()
    if isinstance(error, VaultError):
        log.warning("evidence not recorded", extra={"reason": str(error)})
    elif error is not None:
        log.error("evidence not recorded", exc_info=error)
