"""The bot as a follower: what was understood, what a call returned and what ran out is decided about, in the order of the log.

Nothing slow happens here: what a decision wants done is written with it, and done beside the fold (bot/caller.py, the gateway). A
person's conversation is decided about message by message; where it stands is known from the log alone (bot/memory.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from bot import heard as heard_of
from bot.assistant import Assistant
from bot.decide import Decision, decide
from bot.events import Draft, events
from bot.memory import NAME, PURPOSE, Memory, MemoryLimits
from bot.state import State
from bot.understood import Heard
from vault import codec
from vault.conversations import Accepted, ConversationPartition
from vault.effects import now_us
from vault.errors import SubjectErased
from vault.ids import uuid_of
from vault.interaction import Answered, Received, Returned, TimerDue, Understood
from vault.mapper import KeySource, SealingMapper
from vault.opening import Opened, Opener
from vault.seal import Packed, person_of, read_header, stored

_HEARD = frozenset({Understood.TOPIC, Returned.TOPIC, TimerDue.TOPIC})


class Keys(KeySource, Protocol):
    """Where DEKs come from, and where those that are missing are made."""

    def prepare(self, pairs: Sequence[tuple[UUID, int]]) -> None: ...


class _Task(NamedTuple):
    """Something to decide about. `place`: of its commit in the batch. `received`: the message that was understood."""

    place: int
    event: Packed
    received: Packed | None


class BotWorker:
    """Decides for one assistant. `handle` may be called for several partitions at once, each by one thread."""

    name = NAME

    def __init__(
        self,
        assistant: Assistant,
        mapper: SealingMapper,
        keys: Keys,
        *,
        limits: MemoryLimits | None = None,
        clock: Callable[[], int] = now_us,
    ) -> None:
        """`clock`: microseconds UTC, for when something was decided."""
        self._assistant = assistant
        self._mapper = mapper
        self._keys = keys
        self._limits = limits
        self._clock = clock
        self._memories: dict[int, Memory] = {}

    def begin(self, partition: ConversationPartition, after: int) -> None:
        """Work on a partition begins, or begins again, after an offset: see `vault.follow.Follower`."""
        memory = self._memories.get(partition.partition)
        if memory is None:
            memory = Memory(partition, self._keys, idle_us=self._assistant.idle_us, limits=self._limits)
            self._memories[partition.partition] = memory
        memory.begin(after)

    def handle(self, partition: int, batch: Sequence[Accepted]) -> Sequence[Sequence[StoredEvent]]:
        memory = self._memories[partition]
        tasks: list[_Task] = []
        for place, accepted in enumerate(batch):
            memory.take(accepted)
            tasks += _tasks(memory, place, accepted)
        made: list[list[StoredEvent]] = [[] for _ in batch]
        if not tasks:
            return made
        opened = self._opened(tasks)
        at_us = self._clock()
        self._keys.prepare([(uuid_of(person_of(task.event[3])), at_us) for task in tasks])
        decided: dict[bytes, tuple[bytes, State, bytes]] = {}
        for task, payloads in zip(tasks, opened, strict=True):
            heard = _heard(task, *payloads)
            if heard is None:
                continue
            subject = person_of(task.event[3])
            before = decided[subject][1] if subject in decided else memory.state(subject)
            decision = decide(before, heard, self._assistant)
            if task.received is None and _changes_nothing(before, decision):
                continue
            interaction = heard_of.interaction_of(heard)
            state = decision.state.to_bytes()
            drafts = events(interaction, heard, decision, state, self._assistant)
            try:
                made[task.place] += self._sealed(drafts, task.event, at_us)
            except SubjectErased:
                continue
            decided[subject] = (drafts[0].originator.bytes, decision.state, state)
        for subject, (originator, _, state) in decided.items():
            memory.draft(subject, originator, state)
        return made

    def _opened(self, tasks: Sequence[_Task]) -> list[tuple[Opened, Opened]]:
        """Of each task the payloads of its event and its message."""
        wanted = [event for task in tasks for event in (task.event, task.received or task.event)]
        opened = iter(Opener(self._keys, PURPOSE).open(wanted))
        return list(zip(opened, opened, strict=True))

    def _sealed(self, drafts: Sequence[Draft], cause: Packed, at_us: int) -> list[StoredEvent]:
        """Raises `SubjectErased`."""
        header = read_header(cause[3])
        seal = self._mapper.seal_fields
        return [
            stored(seal(each.topic, each.originator, each.version, header.person, at_us, header.channel, each.fields))
            for each in drafts
        ]

    def close(self) -> None:
        """Call it when no `handle` is under way."""
        for memory in self._memories.values():
            memory.close()


def _tasks(memory: Memory, place: int, accepted: Accepted) -> list[_Task]:
    """What a commit wants decided. A recorded turn holds its answer: nothing is left to decide."""
    found = []
    answered = {event[0] for event in accepted.commit.packed if event[2] == Answered.TOPIC}
    for index, event in enumerate(accepted.commit.packed):
        if event[2] not in _HEARD or index in accepted.void or event[0] in answered:
            continue
        received = memory.received(event[0], accepted.offset + 1) if event[2] == Understood.TOPIC else None
        if received is not None or event[2] != Understood.TOPIC:
            found.append(_Task(place, event, received))
    return found


def _heard(task: _Task, payload: Opened, of_message: Opened) -> Heard | None:
    """What the dialogue hears; None where a payload may not be opened any more."""
    if not isinstance(payload, bytes) or not isinstance(of_message, bytes):
        return None
    originator, _, topic, state = task.event
    fields: dict[str, Any] = codec.decode(topic, payload)
    id, header = uuid_of(originator), read_header(state)
    if task.received is not None:
        received = read_header(task.received[3])
        said = codec.decode(Received.TOPIC, of_message)
        return heard_of.message(id, received.at_us, received.channel, said, fields)
    hear = heard_of.returned if topic == Returned.TOPIC else heard_of.timer
    return hear(id, header.at_us, fields)


def _changes_nothing(before: State, decision: Decision) -> bool:
    """Whether a decision comes to nothing: what came back was not waited for any more."""
    after = decision.state
    unchanged = (after.frames, after.slots, after.results) == (before.frames, before.slots, before.results)
    return unchanged and not decision.replies and not decision.effects
