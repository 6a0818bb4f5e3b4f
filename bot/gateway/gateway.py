"""The gateway: what adapters ask. Takes messages in, in batches beside the event loop, and has delivered what the log accepted.

On the data's way it is the first and the last: a message that comes in is stored before it is acknowledged, and a reply is one only
when the log has accepted it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

from bot.channels.channel import Incoming, Listener, Outcome, Spoken, Taken
from bot.gateway.delivery import Delivery, History
from bot.gateway.evidence import DELIVERED, Evidence
from bot.gateway.lane import Lane
from bot.gateway.limits import GatewayLimits
from bot.gateway.rate import Rate
from bot.gateway.spoken import number_of
from vault.conversations import Conversations
from vault.errors import AppendRefused, BadInput, LimitExceeded, PartitionStopped, Unavailable, VaultError
from vault.ids import partition_of
from vault.intake import Intake, Message, Receipt
from vault.interaction import Received
from vault.keys import KeyStore
from vault.mapper import SealingMapper
from vault.registrar import Registrar, now_us

LOOKING = 4
"""Threads that look messages and conversations up; a look-up that is slow keeps no message from being taken in."""
BUSY_RETRY_S = 2
COUNTED_EVERY_S = 60
AGAIN = Taken(Outcome.BUSY, retry_after_s=BUSY_RETRY_S)

R = TypeVar("R")

log = logging.getLogger(__name__)


class Gateway:
    """What adapters ask. Belongs to one event loop, in which `open` and everything else is called."""

    def __init__(
        self,
        conversations: Conversations,
        keys: KeyStore,
        mapper: SealingMapper,
        intake: Intake,
        registrar: Registrar,
        limits: GatewayLimits,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self.limits = limits
        self.counts: Counter[tuple[str, Outcome]] = Counter()
        """How many messages of each channel became what."""
        self._conversations = conversations
        self._keys = keys
        self._intake = intake
        self._clock = clock
        self._rate = Rate(burst=limits.burst_messages, minute=limits.minute_messages)
        self._lane: Lane[tuple[Incoming, Listener | None], Receipt] = Lane(
            "intake", self._take, at_once=limits.batch_records, waiting_max=limits.waiting_max
        )
        self._looking = ThreadPoolExecutor(LOOKING, thread_name_prefix="gateway")
        self._delivery = Delivery(conversations, mapper, self._call, replay_records=limits.replay_records)
        self._evidence = Evidence(conversations, mapper, keys, registrar, clock=clock)
        self._logged: Counter[tuple[str, Outcome]] = Counter()

    async def open(self) -> None:
        """Begins to deliver. Before that, nothing may be received."""
        self._loop = asyncio.get_running_loop()
        await self._look(self._delivery.start)
        self._tell_counts()

    def _tell_counts(self) -> None:
        """What was not stored, for the operator: how many since the last time, never what."""
        for (channel, outcome), count in (self.counts - self._logged).items():
            if outcome not in (Outcome.TAKEN, Outcome.REPEATED):
                log.warning("messages refused", extra={"kind": f"{channel} {outcome.value}", "records": count})
        self._logged = self.counts.copy()
        self._telling = self._loop.call_later(COUNTED_EVERY_S, self._tell_counts)

    # Messages in

    async def receive(self, incoming: Incoming, listener: Listener | None = None) -> Taken:
        """Stores a message, once, and says what became of it. A `listener` is told what is said from this message on.

        A message that is not stored leaves nothing behind: no subject, no key.
        """
        taken = await self._received(incoming, listener)
        self.counts[incoming.channel, taken.outcome] += 1
        return taken

    async def _received(self, incoming: Incoming, listener: Listener | None) -> Taken:
        refused = self._readable(incoming)
        if refused is not None:
            return Taken(refused)
        wait_s = self._rate.wait_s(incoming.channel, incoming.sender)
        if wait_s:
            return Taken(Outcome.TOO_FAST, retry_after_s=int(wait_s) + 1)
        try:
            receipt = await self._lane.put((incoming, listener))
            if receipt.repeated:
                return await self._look(self._repeated, incoming, receipt, listener)
        except (Unavailable, LimitExceeded, AppendRefused, PartitionStopped) as error:
            log.warning("message not taken in", extra={"reason": str(error)})
            return AGAIN
        if incoming.notice:
            self.notice_shown(receipt.subject, incoming.notice, incoming.language or "")
        return Taken(Outcome.TAKEN, receipt)

    def _readable(self, incoming: Incoming) -> Outcome | None:
        """Why a message cannot be taken in, before it is put together with those of others."""
        try:
            words = (incoming.text + (incoming.payload or "")).encode()
            f"{incoming.sender}{incoming.message_id}{incoming.language}".encode()
        except UnicodeEncodeError:
            return Outcome.UNREADABLE
        if len(words) > self.limits.message_bytes_max:
            return Outcome.TOO_LONG
        return None if words.strip() and incoming.sender and incoming.message_id else Outcome.UNREADABLE

    def _take(self, batch: Sequence[tuple[Incoming, Listener | None]]) -> Sequence[Receipt | Exception]:
        """In the lane's thread: one batch of messages in."""
        messages = [self._message(incoming) for incoming, _ in batch]
        receipts: Sequence[Receipt | Exception]
        try:
            receipts = self._intake.receive(messages)
        except (PartitionStopped, BadInput) as error:
            if len(batch) == 1:
                return [error]
            # One person's partition or message must not keep out those of others.
            return [each for one in batch for each in self._take([one])]
        return [self._joined(receipt, listener) for receipt, (_, listener) in zip(receipts, batch, strict=True)]

    def _joined(self, receipt: Receipt, listener: Listener | None) -> Receipt | Exception:
        if listener is not None and not receipt.repeated:
            try:
                self._delivery.listen(receipt.subject, listener, receipt.since)
            except VaultError as error:
                return error
        return receipt

    def _message(self, incoming: Incoming) -> Message:
        return Message(
            channel=incoming.channel,
            account=incoming.account,
            sender=incoming.sender,
            message_id=incoming.message_id,
            text=incoming.text,
            at_us=self._clock(),
            locale=incoming.language,
            payload=incoming.payload,
        )

    def _repeated(self, incoming: Incoming, receipt: Receipt, listener: Listener | None) -> Taken:
        """Whether it is the message that was stored under this id."""
        stored = self._delivery.received(receipt.subject, receipt.interaction_id, receipt.since)
        if not isinstance(stored, Received):
            return Taken(Outcome.GONE, receipt)
        if (stored.text, stored.payload) != (incoming.text, incoming.payload):
            return Taken(Outcome.CONFLICT)
        if listener is not None:
            self._delivery.listen(receipt.subject, listener, receipt.since)
        return Taken(Outcome.REPEATED, receipt)

    # Replies out

    async def find(self, channel: str, sender: str) -> UUID | None:
        """The subject of a sender who wrote before, or None. Makes nobody."""
        person = await self._look(self._keys.find, channel, sender)
        return None if person is None else person.subject

    def ends_at(self, subject: UUID) -> int:
        """The number above everything that has been said in the person's partition."""
        return number_of(self._conversations.partition(partition_of(subject)).next_offset, 0)

    async def listen(self, subject: UUID, listener: Listener, since: int) -> None:
        """Tells the listener what was said from offset `since` on, and what comes."""
        await self._look(self._delivery.listen, subject, listener, since)

    async def replay(self, subject: UUID, listener: Listener, since: int, begin: Callable[[History], None]) -> None:
        """Calls `begin` once with what was said by and to the person from offset `since` on; the listener is told what comes after."""
        await self._look(self._delivery.replay, subject, listener, since, begin)

    def leave(self, subject: UUID, listener: Listener) -> None:
        """Tells the listener nothing any more."""
        self._delivery.leave(subject, listener)

    def delivered(self, spoken: Spoken, outcome: str = DELIVERED) -> None:
        """The channel took it: that is recorded, and so is the notice if one of the replies told it."""
        if not spoken.delivered:
            self._evidence.delivered(spoken, outcome)
        if outcome == DELIVERED:
            self._told(spoken)

    def delivered_elsewhere(self, spoken: Spoken) -> None:
        """The same for what is on record as delivered already; may be called by any thread."""
        self._call([lambda: self._told(spoken)])

    def _told(self, spoken: Spoken) -> None:
        if spoken.notice:
            self.notice_shown(spoken.subject, spoken.notice, spoken.notice_language)

    def notice_shown(self, subject: UUID, version: str, language: str) -> None:
        """The person saw the notice before writing; recorded once a version."""
        self._evidence.notice_shown(subject, version, language)

    async def _look(self, do: Callable[..., R], *of: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._looking, do, *of)

    def _call(self, calls: Sequence[Callable[[], None]]) -> None:
        def all_of_them() -> None:
            for call in calls:
                call()

        self._loop.call_soon_threadsafe(all_of_them)

    async def close(self) -> None:
        """Takes nothing more in, finishes what is under way, records what was delivered."""
        self._telling.cancel()
        await self._lane.close()
        await self._evidence.close()
        await self._look(self._delivery.close)
        self._looking.shutdown()
