"""What the bot knows of the conversations of one partition: where each stands, out of the log alone.

Of each person who spoke within the idle time the place of their last answer is kept, which holds the state; the states of the latest
are kept themselves. So a worker that takes a partition over reads back, opening nothing, and a state is opened when its person speaks.
A message is kept by its place too, from when it was received until it was understood.

What was decided and is not accepted yet is a draft. Whenever work begins again, drafts are dropped and what others wrote is read.
"""

from __future__ import annotations

import logging
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.state import State
from vault import codec
from vault.conversations import Accepted, ConversationPartition, Places, Reader
from vault.errors import BadInput, LogUnavailable
from vault.fold import ERASED_TOPIC
from vault.interaction import Answered, MessageSent, Received, Understood
from vault.mapper import KeySource
from vault.opening import Opener
from vault.seal import Packed, person_of

PURPOSE = "service"
NAME = "bot"
"""The follower whose commits hold states."""

log = logging.getLogger(__name__)

_SPOKEN = frozenset({Answered.TOPIC, MessageSent.TOPIC})
_UNDERSTOOD = frozenset({Understood.TOPIC})
_at_us: Callable[[bytes], tuple[int]] = lambda state: struct.unpack_from(">q", state, 17)  # noqa: E731


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Of one partition. `people_max`: places of last answers. `states_bytes_max`: of the states that are kept open. `messages_max`:
    messages that wait to be understood, or were of late. `read_back_max`: records read at a take-over; `block`: at once."""

    people_max: int = 500_000
    states_bytes_max: int = 8_000_000
    messages_max: int = 100_000
    read_back_max: int = 2_000_000
    block: int = 20_000
    read_timeout_ms: int = 30_000


class Memory:
    """One partition's. Not thread-safe."""

    def __init__(
        self, partition: ConversationPartition, keys: KeySource, *, idle_us: int, limits: MemoryLimits | None = None
    ) -> None:
        self._partition = partition
        self._keys = keys
        self._idle_us = idle_us
        self._limits = limits or MemoryLimits()
        self._places = Places(partition)
        self._answers: OrderedDict[bytes, int] = OrderedDict()
        self._states: OrderedDict[bytes, bytes] = OrderedDict()
        self._states_bytes = 0
        self._drafts: dict[bytes, tuple[bytes, bytes]] = {}
        """By subject the originator of the event that holds the state, and the state."""
        self._waiting: OrderedDict[bytes, int] = OrderedDict()
        self._understood: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        """Of messages that were understood of late where they were received, and where understood: work may begin before that again."""
        self._seen: int | None = None
        """Before this offset every answer has been seen."""

    def begin(self, after: int) -> None:
        """Work goes on after offset `after`, with what everybody's accepted commits say."""
        self._drafts.clear()
        for interaction, (received, understood) in self._understood.items():
            if understood > after:
                self._waiting[interaction] = received
        self._understood.clear()
        if self._seen is None:
            self._read_back(after + 1)
            self._seen = after + 1
        with Reader(self._partition, self._seen) as reader:
            for block in self._read(reader, self._partition.next_offset):
                for accepted in block:
                    self._look(accepted)
                self._seen = reader.next_offset

    def take(self, accepted: Accepted) -> None:
        """Notes what an accepted commit says; in the order of the log."""
        for index, (originator, _, topic, _) in enumerate(accepted.commit.packed):
            if index in accepted.void:
                continue
            if topic == Received.TOPIC:
                self._waiting[originator] = accepted.offset
                if len(self._waiting) > self._limits.messages_max:
                    self._waiting.popitem(last=False)
            elif topic in _UNDERSTOOD and originator in self._waiting:
                self._understood[originator] = (self._waiting.pop(originator), accepted.offset)
                if len(self._understood) > self._limits.messages_max:
                    self._understood.popitem(last=False)
        if self._seen is None or accepted.offset >= self._seen:
            self._look(accepted)
            self._seen = accepted.offset + 1

    def _look(self, accepted: Accepted) -> None:
        """Notes the answers of a commit, and whom it erases."""
        ours = accepted.commit.follower == NAME
        for index, (originator, _, topic, state) in enumerate(accepted.commit.packed):
            if topic == ERASED_TOPIC:
                self.forget(person_of(state))
            elif ours and topic in _SPOKEN and index not in accepted.void:
                self._settle(person_of(state), originator, accepted.offset)

    def _settle(self, subject: bytes, originator: bytes, offset: int) -> None:
        self._answers[subject] = offset
        self._answers.move_to_end(subject)
        if len(self._answers) > self._limits.people_max:
            gone, _ = self._answers.popitem(last=False)
            self._drop(gone)
            log.warning("conversation let go of", extra={"partition": self._partition.partition, "offset": offset})
        draft = self._drafts.get(subject)
        if draft is not None and draft[0] == originator:
            del self._drafts[subject]
            self._keep(subject, draft[1])
        elif draft is None:  # another worker's
            self._drop(subject)

    def forget(self, subject: bytes) -> None:
        """Lets go of a person who was erased."""
        self._answers.pop(subject, None)
        self._drafts.pop(subject, None)
        self._drop(subject)

    # States

    def state(self, subject: bytes) -> State:
        """Where a person's conversation stands; at its beginning when nothing is known of it, or nothing may be opened."""
        draft = self._drafts.get(subject)
        held = draft[1] if draft is not None else self._states.get(subject)
        if held is None:
            held = self._opened(subject)
            if held is None:
                return State()
            self._keep(subject, held)
        elif draft is None:
            self._states.move_to_end(subject)
        try:
            return State.from_bytes(held)
        except BadInput:  # of another format: the conversation begins anew
            return State()

    def draft(self, subject: bytes, originator: bytes, state: bytes) -> None:
        """Where a conversation will stand once the event of `originator` is accepted."""
        self._drafts[subject] = (originator, state)

    def _opened(self, subject: bytes) -> bytes | None:
        """The state that the person's last answer holds."""
        offset = self._answers.get(subject)
        accepted = None if offset is None else self._places.at(offset)
        if accepted is None:
            return None
        said = [event for event in accepted.commit.packed if person_of(event[3]) == subject and event[2] in _SPOKEN]
        (payload,) = Opener(self._keys, PURPOSE).open(said[-1:])
        if not isinstance(payload, bytes):
            return None
        found: bytes | None = codec.decode(said[-1][2], payload)["dialogue_state"]
        return found

    def _keep(self, subject: bytes, state: bytes) -> None:
        self._drop(subject)
        self._states[subject] = state
        self._states_bytes += len(state)
        while self._states_bytes > self._limits.states_bytes_max:
            _, oldest = self._states.popitem(last=False)
            self._states_bytes -= len(oldest)

    def _drop(self, subject: bytes) -> None:
        gone = self._states.pop(subject, None)
        if gone is not None:
            self._states_bytes -= len(gone)

    # Messages

    def received(self, interaction: bytes, before: int) -> Packed | None:
        """What a person said, as it was received before offset `before`; None where it is void or gone."""
        place = self._waiting.get(interaction)
        if place is None and interaction in self._understood:
            place = self._understood[interaction][0]
        accepted = self._places.at(place) if place is not None else self._searched(interaction, before)
        return None if accepted is None else _received(interaction, accepted)

    def _searched(self, interaction: bytes, before: int) -> Accepted | None:
        """Looks for a message whose place was let go of: backwards, block by block."""
        for block in self._blocks_before(before):
            for accepted in reversed(block):
                if _received(interaction, accepted) is not None:
                    return accepted
        return None

    # Taking over

    def _read_back(self, end: int) -> None:
        """Notes the places of last answers and of messages that wait, from `end` back to where everything has expired."""
        answered: dict[bytes, int] = {}
        waiting: dict[bytes, int] = {}
        understood: set[bytes] = set()
        erased = self._partition.fold.erased
        latest: int | None = None
        for block in self._blocks_before(end):
            earliest: int | None = None
            for accepted in reversed(block):
                ours = accepted.commit.follower == NAME
                for index, (originator, _, topic, state) in enumerate(accepted.commit.packed):
                    if topic in _UNDERSTOOD:
                        understood.add(originator)
                    if index in accepted.void or person_of(state) in erased:
                        continue
                    if ours and topic in _SPOKEN:
                        (earliest,) = _at_us(state)
                        latest = earliest if latest is None else latest
                        if earliest >= latest - self._idle_us:
                            answered.setdefault(person_of(state), accepted.offset)
                    elif topic == Received.TOPIC and originator not in understood:
                        waiting.setdefault(originator, accepted.offset)
            full = len(understood) > self._limits.messages_max or len(answered) > self._limits.people_max
            if full or (earliest is not None and latest is not None and earliest < latest - self._idle_us):
                break
        self._answers.update(reversed(answered.items()))
        self._waiting.update(reversed(waiting.items()))

    def _blocks_before(self, end: int) -> Iterator[list[Accepted]]:
        """Accepted commits before `end`, the latest block first, each in the order of the log."""
        limits = self._limits
        first = max(self._partition.first_offset, end - limits.read_back_max)
        while end > first:
            start = max(first, end - limits.block)
            block: list[Accepted] = []
            with Reader(self._partition, start) as reader:
                for read in self._read(reader, end):
                    block += read
            yield [accepted for accepted in block if accepted.offset < end]
            end = start

    def _read(self, reader: Reader, end: int) -> Iterator[list[Accepted]]:
        """What was folded before, on to `end`. Raises `LogUnavailable` when the log gives nothing in time."""
        while (at := reader.next_offset) < end:
            found = reader.read(min(self._limits.block, end - at), self._limits.read_timeout_ms)
            if reader.next_offset == at:
                raise LogUnavailable(
                    f"conversations/{self._partition.partition} did not give offset {at} "
                    f"within {self._limits.read_timeout_ms} ms",
                    remedy="check the broker",
                )
            yield found

    def close(self) -> None:
        self._places.close()


def _received(interaction: bytes, accepted: Accepted) -> Packed | None:
    for index, event in enumerate(accepted.commit.packed):
        if event[0] == interaction and event[2] == Received.TOPIC and index not in accepted.void:
            return event
    return None
