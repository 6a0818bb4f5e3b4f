"""What is said to people, out of the log and to whoever waits for it: one reader a partition, from its end as of the start.

Every gateway reads every partition and looks at the people it has listeners for; it opens nothing of anybody else. What was said
before a listener came is read back from where that listener asks, so nothing falls between the two.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from bot.channels.channel import Listener, Said, Spoken
from bot.gateway import spoken as spoken_of
from vault.conversations import Accepted, ConversationPartition, Conversations, Reader
from vault.errors import PartitionStopped, Unavailable, VaultError
from vault.fold import ERASED_TOPIC
from vault.ids import partition_of
from vault.interaction import Answered, Delivered, MessageSent, Received, companion_id
from vault.mapper import Closed, SealingMapper
from vault.seal import Packed, person_of, stored

READ_RECORDS = 500
POLL_MS = 200
RETRY_S = 0.5

log = logging.getLogger(__name__)

SERVICE = "service"
_SPOKEN = frozenset({Answered.TOPIC, MessageSent.TOPIC})
Call = Callable[[Sequence[Callable[[], None]]], None]
"""Has functions called in the event loop, in order."""


@dataclass
class History:
    """What was said by and to one person since some offset, in order."""

    items: list[Said | Spoken] = field(default_factory=list)
    delivered: set[UUID] = field(default_factory=set)

    def mark(self) -> None:
        """Says of each reply whether it was delivered, as `delivered` has it."""
        if self.delivered:
            self.items = [
                replace(each, delivered=True)
                if isinstance(each, Spoken) and delivered_id(each) in self.delivered
                else each
                for each in self.items
            ]


def delivered_id(spoken: Spoken) -> UUID:
    """The originator id that `Delivered` of something said has, whoever delivers it."""
    return companion_id(spoken.id, Delivered.TOPIC, spoken.step)


@dataclass
class _Post:
    """One partition: how far it was handed out, and to whom."""

    partition: ConversationPartition
    next_offset: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    listeners: dict[bytes, list[Listener]] = field(default_factory=dict)


class Delivery:
    """Hands out what is said. Thread-safe; listeners are called by `call`, in the event loop."""

    def __init__(self, conversations: Conversations, mapper: SealingMapper, call: Call, *, replay_records: int) -> None:
        """`replay_records`: most records that are read back from the log for one listener."""
        self._conversations = conversations
        self._mapper = mapper
        self._call = call
        self._replay_records = replay_records
        self._reading_back = threading.Lock()
        self._posts: dict[int, _Post] = {}
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self.stopped: dict[int, PartitionStopped] = {}

    def start(self) -> None:
        """Reads every partition to its end, and from there on by a thread each."""
        for number in range(self._conversations.partitions):
            partition = self._conversations.partition(number)
            try:
                end = partition.catch_up()
            except PartitionStopped as stopped:
                end = stopped.offset
            self._posts[number] = _Post(partition, end)
            thread = threading.Thread(target=self._run, args=(number,), name=f"delivery-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, number: int) -> None:
        post = self._posts[number]
        while not self._closing.is_set():
            try:
                with Reader(post.partition, post.next_offset) as reader:
                    while not self._closing.is_set():
                        batch = reader.read(READ_RECORDS, POLL_MS)
                        self._hand_out(post, batch, reader.next_offset)
            except Unavailable as error:
                log.warning("delivery waits", extra={"partition": number, "reason": str(error)})
                self._closing.wait(RETRY_S)
            except PartitionStopped as stopped:
                self.stopped[number] = stopped
                log.error("delivery stopped", extra={"partition": number, "reason": str(stopped)})
                return

    def _hand_out(self, post: _Post, batch: Sequence[Accepted], upto: int) -> None:
        with post.lock:
            calls: list[Callable[[], None]] = []
            waiting = post.listeners
            for accepted in batch if waiting else ():
                for place, packed in enumerate(accepted.commit.packed):
                    to = waiting.get(person_of(packed[3]))
                    if not to or place in accepted.void:
                        continue
                    if packed[2] == ERASED_TOPIC:
                        calls += [each.erased for each in waiting.pop(person_of(packed[3]))]
                    elif packed[2] in _SPOKEN:
                        found = self._opened(packed, accepted.offset, place)
                        if isinstance(found, Spoken):
                            calls += [_hear(each, found) for each in to]
            post.next_offset = upto
            if calls:
                self._call(calls)

    def _opened(self, packed: Packed, offset: int, place: int) -> Said | Spoken | None:
        """What an event says; None for who was erased or restricted meanwhile, and for what does not open, which is logged."""
        try:
            event = self._mapper.open(stored(packed), SERVICE)
        except VaultError as error:
            log.error("not delivered", extra={"offset": offset, "event_topic": packed[2], "reason": str(error)})
            return None
        number = spoken_of.number_of(offset, place)
        if isinstance(event, Answered):
            return spoken_of.answered(event, number)
        if isinstance(event, MessageSent):
            return spoken_of.sent(event, number)
        return spoken_of.said(event, number) if isinstance(event, Received) else None

    # Listeners

    def listen(self, subject: UUID, listener: Listener, since: int) -> None:
        """Tells the listener what was said from offset `since` on, and from now on what comes."""
        post = self._posts[partition_of(subject)]
        before = self._read_back(post, subject, since, post.next_offset)
        self._join(post, subject, listener, before)

    def replay(self, subject: UUID, listener: Listener, since: int, begin: Callable[[History], None]) -> None:
        """Calls `begin` with what was said from `since` on, and tells the listener what comes after it."""
        post = self._posts[partition_of(subject)]
        before = self._read_back(post, subject, since, post.next_offset)
        self._join(post, subject, listener, before, begin)

    def _join(
        self,
        post: _Post,
        subject: UUID,
        listener: Listener,
        before: tuple[History, int],
        begin: Callable[[History], None] | None = None,
    ) -> None:
        history, read_to = before
        with post.lock:  # the reader waits meanwhile, for what came since the reading back
            self._read(post.partition, subject, read_to, post.next_offset, history)
            history.mark()
            if begin is not None:
                self._call([lambda: begin(history)])
            else:
                self._call([_hear(listener, each) for each in history.items if isinstance(each, Spoken)])
            if post.partition.fold.erased.get(subject.bytes) is not None:
                self._call([listener.erased])
                return
            to = post.listeners.setdefault(subject.bytes, [])
            if listener not in to:
                to.append(listener)

    def leave(self, subject: UUID, listener: Listener) -> None:
        """Tells the listener nothing any more."""
        post = self._posts[partition_of(subject)]
        with post.lock:
            held = [each for each in post.listeners.get(subject.bytes, ()) if each is not listener]
            if held:
                post.listeners[subject.bytes] = held
            else:
                post.listeners.pop(subject.bytes, None)

    # What was said before

    def _read_back(self, post: _Post, subject: UUID, since: int, end: int) -> tuple[History, int]:
        """What the log holds in [since, end), at most `replay_records` of it, the latest; and `end`."""
        history = History()
        start = max(since, end - self._replay_records)
        if post.partition.recent(start, 1) is not None:
            self._read(post.partition, subject, start, end, history)
        else:
            with (
                self._reading_back
            ):  # one at a time, so that many who come back do not take the machine from who is here
                self._read(post.partition, subject, start, end, history)
        return history, end

    def _read(self, partition: ConversationPartition, subject: UUID, start: int, end: int, into: History) -> None:
        for offset, place, packed in _events_of(partition, subject, start, end):
            if packed[2] == Delivered.TOPIC:
                into.delivered.add(stored(packed).originator_id)  # type: ignore[arg-type]
            elif packed[2] in _SPOKEN or packed[2] == Received.TOPIC:
                found = self._opened(packed, offset, place)
                if found is not None:
                    into.items.append(found)

    def received(self, subject: UUID, interaction: UUID, since: int) -> Received | Closed | None:
        """The message of an interaction, looked for from `since` on; None when it is not within `replay_records`."""
        partition = self._conversations.partition(partition_of(subject))
        end = min(partition.next_offset, since + self._replay_records)
        for _, _, packed in _events_of(partition, subject, since, end):
            if packed[0] == interaction.bytes and packed[2] == Received.TOPIC:
                opened = self._mapper.open(stored(packed), SERVICE)
                return opened if isinstance(opened, Received | Closed) else None
        return None

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()


def _hear(listener: Listener, spoken: Spoken) -> Callable[[], None]:
    return lambda: listener.heard(spoken)


def _events_of(
    partition: ConversationPartition, subject: UUID, start: int, end: int
) -> Iterator[tuple[int, int, Packed]]:
    """Offset, place and event of everything that stands about a person in [start, end)."""
    if start >= end:
        return
    wanted = subject.bytes
    with Reader(partition, start) as reader:
        while reader.next_offset < end:
            before = reader.next_offset
            for accepted in reader.read(READ_RECORDS, POLL_MS):
                if accepted.offset >= end:
                    return
                for place, packed in enumerate(accepted.commit.packed):
                    if person_of(packed[3]) == wanted and place not in accepted.void:
                        yield accepted.offset, place, packed
            if reader.next_offset == before:
                raise Unavailable("the log does not answer", remedy="check the broker")
