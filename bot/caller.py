"""What the bot wants done, beside the fold: connectors are called and timers run out, each once in the log.

Follows from accepted `Called` and `TimerSet` events; what comes of them are `Returned` and `TimerDue`, which the bot hears. A call
has the key `interaction:step`, by which the other system knows a repeat after a crash. Calls wait in lanes of their origins, so a
system that hangs holds up nobody else's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from bot.connectors import name_of, outcome_of, result_of
from bot.memory import PURPOSE
from bot.outgoing import Answer, Client
from bot.state import bounded_result
from vault.conversations import Accepted, Conversations
from vault.effects import EffectLimits, Effects, Wanted, now_us
from vault.errors import PartitionStopped, SubjectErased
from vault.ids import uuid_of
from vault.interaction import Called, Returned, TimerDue, TimerSet, companion_id
from vault.mapper import Closed, SealingMapper
from vault.outstanding import Outstanding
from vault.seal import Packed, read_header, stored

NAME = "caller"


class Caller:
    """Carries out what the bot wants of all partitions. `idle_us`: a call that is older waits for nobody any more, and is not made."""

    def __init__(
        self,
        conversations: Conversations,
        mapper: SealingMapper,
        client: Client,
        *,
        idle_us: int,
        outstanding: Outstanding | None = None,
        limits: EffectLimits | None = None,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._conversations = conversations
        self._mapper = mapper
        self._client = client
        self._idle_us = idle_us
        self._outstanding = outstanding
        self._limits = limits
        self._clock = clock
        self._effects: list[Effects] = []

    def start(self) -> None:
        for number in range(self._conversations.partitions):
            effects = Effects(
                self._conversations.partition(number),
                self._wanted,
                self._begin,
                name=NAME,
                outstanding=self._outstanding,
                limits=self._limits,
                clock=self._clock,
            )
            self._effects.append(effects)
            effects.start()

    @property
    def stopped(self) -> list[PartitionStopped]:
        """The partitions that cannot be followed, and why."""
        return [effects.stopped for effects in self._effects if effects.stopped is not None]

    def _wanted(self, accepted: Accepted) -> Sequence[Wanted]:
        found = []
        for index, event in enumerate(accepted.commit.packed):
            if index in accepted.void:
                continue
            if event[2] == Called.TOPIC and read_header(event[3]).at_us > self._clock() - self._idle_us:
                found.append(Wanted(_outcome(event, Returned.TOPIC), event))
            elif event[2] == TimerSet.TOPIC:
                timer = self._mapper.open(stored(event), PURPOSE)
                if isinstance(timer, TimerSet):
                    found.append(Wanted(_outcome(event, TimerDue.TOPIC), event, timer.due_at_us))
        return found

    def _begin(self, wanted: Wanted) -> Future[StoredEvent]:
        """Raises `SubjectErased` where the event may not be opened any more: nothing follows from it."""
        packed: Packed = wanted.about  # type: ignore[assignment]
        event = self._mapper.open(stored(packed), PURPOSE)
        if isinstance(event, Closed):
            raise SubjectErased(f"event {event.originator_id}: {event.why.value}")
        made: Future[StoredEvent] = Future()
        if isinstance(event, TimerSet):
            made.set_result(self._timer_due(wanted, event))
            return made
        assert isinstance(event, Called)
        answered = self._client.submit(
            name_of(event.connector, event.operation),
            json.loads(event.arguments),
            key=f"{event.interaction_id}:{event.step}",
        )
        answered.add_done_callback(lambda ended: self._answered(wanted, event, ended, made))
        return made

    def _answered(self, wanted: Wanted, call: Called, ended: Future[Answer], made: Future[StoredEvent]) -> None:
        try:
            made.set_result(self._returned(wanted, call, ended.result()))
        except BaseException as error:  # whoever waits for the outcome gets it
            made.set_exception(error)

    def _returned(self, wanted: Wanted, call: Called, answer: Answer) -> StoredEvent:
        return self._mapper.to_stored_event(
            Returned(
                originator_id=wanted.outcome,
                subject=call.subject,
                at_us=self._clock(),
                channel=call.channel,
                interaction_id=call.interaction_id,
                step=call.step,
                outcome=outcome_of(answer),
                status=answer.status,
                result=json.dumps(bounded_result(result_of(answer)), ensure_ascii=False),
                duration_ms=answer.duration_ms,
            )
        )

    def _timer_due(self, wanted: Wanted, timer: TimerSet) -> StoredEvent:
        return self._mapper.to_stored_event(
            TimerDue(
                originator_id=wanted.outcome,
                subject=timer.subject,
                at_us=self._clock(),
                channel=timer.channel,
                interaction_id=timer.interaction_id,
                step=timer.step,
                flow=timer.flow,
                slots=timer.slots,
                language=timer.language,
            )
        )

    def close(self) -> None:
        """Begins nothing more, and waits for the calls under way, each at most for its time."""
        for effects in self._effects:
            effects.close()


def _outcome(event: Packed, topic: str) -> UUID:
    """The originator id of what comes of an event."""
    return companion_id(uuid_of(event[0]), topic)
