"""Histories of one partition: gateways, callers, followers and registrars that pause, crash, repeat themselves and overtake one another.

A history is made from bytes, so that Hypothesis can draw and shrink it: each byte lets one actor take one step, crash, give up
waiting, or lets the log store, lose or repeat a record. Between any two steps an actor may pause for as long as the others like,
and a record that was sent may be stored long after its writer is gone. In the end (`settle`) nobody fails any more, and everything
must come to rest.

The actors keep the discipline of "Who wins": a message id is claimed before it is appended; whoever finds it claimed searches the
log from the claim's end and bases the commit on where the search ended; a claim moves to another originator only if it is still
what was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from vault.commit import Commit
from vault.fold import ERASED_TOPIC, Fold, Judged, Verdict

RECEIVED = "interaction.received.1"
UNDERSTOOD = "interaction.understood.1"
ANSWERED = "interaction.answered.1"
RETURNED = "call.returned.1"
MADE_FROM = {"nlu": (RECEIVED, UNDERSTOOD, 2), "bot": (UNDERSTOOD, ANSWERED, 3)}
"""By follower: what it reads, what it makes of each, at which version."""

MESSAGES = 5
SENDERS = 2
ROUNDS_MAX = 200

_NOISE, _MESSAGE, _RETURN, _ERASE = (kind << 64 for kind in range(1, 5))

Seen = tuple[int, StoredEvent, bool]
"""Offset, event, and whether it is void."""


def event(originator: int, version: int, topic: str, person: int) -> StoredEvent:
    return StoredEvent(UUID(int=originator), version, topic, b"\1" + person.to_bytes(16, "big"))


def person(stored: StoredEvent) -> int:
    return int.from_bytes(stored.state[1:17], "big")


def begin(originator: int, topic: str, who: int, based_on: int) -> Commit:
    return Commit.of((event(originator, 1, topic, who),), based_on=based_on)


def message_of(received: int) -> tuple[int, int]:
    """(message, person) of a `Received`'s originator."""
    return received >> 32 & 0xFFFF, received & 0xFFFFFFFF


def returned_for(answered: int) -> int:
    """The originator of what comes back of an answer's call, derived from the answer."""
    return _RETURN + answered


@dataclass(frozen=True)
class Claim:
    originator: int
    end: int
    done: bool = False


@dataclass
class Flight:
    """A record on its way. `judged` when it is stored and folded; `lost` when it never will be, as its writer is told."""

    commit: Commit
    judged: Judged | None = None
    lost: bool = False


@dataclass
class World:
    """The log, the key store's database, and the reference reader, which folds every record as it is stored."""

    horizon: int
    log_start: int = 0
    make_fold: Callable[..., Fold] = Fold
    claims_compare: bool = True
    """False breaks the discipline: a claim is moved to another originator whatever it has become meanwhile."""
    log: list[Commit] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    flights: deque[Flight] = field(default_factory=deque)
    claims: dict[int, Claim] = field(default_factory=dict)
    persons: dict[int, int] = field(default_factory=lambda: {s: 1 + s for s in range(SENDERS)})
    fenced: list[int] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    seen: list[list[Seen] | None] = field(default_factory=list)
    """By record: what a reader sees of an accepted commit; None of a refused one."""
    begun: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)
    """By originator: offsets of accepted commits that begin it, and whether they are void."""
    noises: int = 0

    def __post_init__(self) -> None:
        self.fold = self.make_fold(self.horizon, next_offset=self.log_start)

    @property
    def end(self) -> int:
        return self.fold.next_offset

    def send(self, commit: Commit) -> Flight:
        flight = Flight(commit)
        self.flights.append(flight)
        return flight

    def store(self, commit: Commit) -> Judged:
        offset = self.end
        judged = self.fold.step(offset, commit)
        self.log.append(commit)
        self.judged.append(judged)
        if judged.verdict is not Verdict.ACCEPTED:
            self.seen.append(None)
            return judged
        events = commit.events
        self.seen.append([(offset, each, index in judged.void) for index, each in enumerate(events)])
        if commit.based_on is not None:
            originator = events[0].originator_id
            assert isinstance(originator, UUID)
            self.begun.setdefault(originator.int, []).append((offset, 0 in judged.void))
        return judged

    def land(self, index: int) -> None:
        flight = self.flights[index]
        del self.flights[index]
        flight.judged = self.store(flight.commit)

    def noise(self, records: int) -> None:
        """Others write too: so many records of no concern here."""
        for _ in range(records):
            self.noises += 1
            self.store(begin(_NOISE + self.noises, "noise", 0, self.end))

    def find(self, originator: int, start: int, end: int) -> bool | None:
        """Searches [start, end): None when no accepted commit begins the originator there, else whether it is not void."""
        found = [not void for offset, void in self.begun.get(originator, ()) if start <= offset < end]
        return any(found) if found else None

    def erase(self, sender: int) -> None:
        """The key store's part: the person is fenced, and whoever writes from now on is somebody new."""
        self.fenced.append(self.persons[sender])
        self.persons[sender] += SENDERS

    def accepted(self, start: int, limit: int) -> list[Seen]:
        """What is seen of up to `limit` accepted commits from `start` on."""
        found: list[Seen] = []
        for seen in islice(self.seen, max(start - self.log_start, 0), None):
            if seen is not None:
                found += seen
                limit -= 1
                if limit == 0:
                    break
        return found


class Actor:
    """One process. A subclass's `act` takes one step and says whether there was one to take."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flight: Flight | None = None
        self.stage = ""
        self.forget()

    def forget(self) -> None:
        """A crash, and a restart with nothing remembered. What was sent may still be stored."""
        self.flight, self.stage = None, ""

    def give_up(self) -> None:
        """Waited long enough: looks again, not knowing whether what it sent will ever be stored."""
        if self.flight is not None:
            self.flight, self.stage = None, "look"

    def step(self) -> bool:
        if self.flight is None:
            return self.act()
        if self.flight.judged is None and not self.flight.lost:
            return False
        judged, self.flight = self.flight.judged, None
        self.learn(judged)
        return True

    def act(self) -> bool:
        raise NotImplementedError

    def learn(self, judged: Judged | None) -> None:
        self.stage = "look"


class Gateway(Actor):
    """Takes one message at a time from its channel, which repeats it until it is acknowledged, and sometimes after."""

    def forget(self) -> None:
        super().forget()
        self.message: int | None = None

    def deliver(self, message: int) -> None:
        if self.message is None:
            self.message, self.stage = message, "look"
            self.end = self.world.end

    def act(self) -> bool:
        world, message = self.world, self.message
        if message is None:
            return False
        if self.stage == "look":
            who = world.persons[message % SENDERS]
            fresh = Claim(self.originator(message, who), self.end)
            self.claim = world.claims.setdefault(message, fresh)
            self.based_on, self.stands = fresh.end, None
            self.stage = "finish" if self.claim.done else "send" if self.claim is fresh else "search"
        elif self.stage == "search":
            self.based_on = world.end
            self.stands = world.find(self.claim.originator, self.claim.end, world.end)
            self.stage = "finish" if self.stands else "resolve"
        elif self.stage == "resolve":
            originator = self.originator(message, world.persons[message % SENDERS])
            self.moved = Claim(originator, self.based_on)
            self.stage = "send" if originator == self.claim.originator else "move"
        elif self.stage == "move":
            if world.claims[message] == self.claim or not world.claims_compare:
                world.claims[message] = self.claim = self.moved
                self.stage = "send"
            else:
                self.stage = "look"
        elif self.stage == "send":
            _, who = message_of(self.claim.originator)
            self.flight = world.send(begin(self.claim.originator, RECEIVED, who, self.based_on))
        else:
            world.claims[message] = replace(world.claims[message], done=True)
            world.acknowledged.add(message)
            self.forget()
        return True

    def learn(self, judged: Judged | None) -> None:
        stands = judged is not None and judged.verdict is Verdict.ACCEPTED and not judged.void
        self.stage = "finish" if stands else "look"

    @staticmethod
    def originator(message: int, who: int) -> int:
        return _MESSAGE + (message << 32) + who


class Caller(Actor):
    """Carries out what an accepted `Answered` wants, and appends what came back. Knows no claims: the log says what is missing."""

    def act(self) -> bool:
        world = self.world
        if self.stage == "send":
            self.flight = world.send(begin(self.originator, RETURNED, self.who, self.based_on))
            return True
        for offset, answered, void in world.accepted(world.log_start, 1 << 30):
            if answered.topic == ANSWERED and not void:
                assert isinstance(answered.originator_id, UUID)
                self.originator = returned_for(answered.originator_id.int)
                self.who, self.based_on = person(answered), world.end
                if world.find(self.originator, offset, world.end) is None:
                    self.stage = "send"
                    return True
        return False


class Registrar(Actor):
    """Appends `Erased` for everybody who is fenced."""

    def act(self) -> bool:
        world = self.world
        if self.stage == "send":
            self.flight = world.send(begin(_ERASE + self.who, ERASED_TOPIC, self.who, self.based_on))
            return True
        for who in world.fenced:
            if who.to_bytes(16, "big") not in world.fold.erased:
                self.who, self.based_on, self.stage = who, world.end, "send"
                return True
        return False


class Worker(Actor):
    """One process of a follower. Any number of them may run under one name."""

    def __init__(self, world: World, name: str, batch_records: int) -> None:
        self.name, self.batch_records = name, batch_records
        super().__init__(world)

    def forget(self) -> None:
        super().forget()
        self.resume()

    def give_up(self) -> None:
        super().give_up()
        if self.stage == "look":
            self.resume()

    def resume(self) -> None:
        self.stage = ""
        self.after = self.world.fold.positions.get(self.name, -1)
        self.cursor = self.after + 1

    def act(self) -> bool:
        world = self.world
        if self.stage == "send":
            self.flight = world.send(self.made)
            return True
        if self.after != world.fold.positions.get(self.name, -1):
            self.resume()
        batch = world.accepted(self.cursor, self.batch_records)
        if not batch:
            return False
        read, made, version = MADE_FROM[self.name]
        upto = batch[-1][0]
        events = []
        for _, seen, void in batch:
            if seen.topic == read and not void:
                assert isinstance(seen.originator_id, UUID)
                events.append(event(seen.originator_id.int, version, made, person(seen)))
        self.cursor = upto + 1
        if events:
            self.made = Commit.of(events, follower=self.name, after=self.after, upto=upto)
            self.stage = "send"
        return True

    def learn(self, judged: Judged | None) -> None:
        self.resume()


class History:
    """Runs the bytes, and then settles."""

    def __init__(self, world: World, choices: bytes, batch_records: int = 3) -> None:
        self.world = world
        self.gateways = [Gateway(world) for _ in range(3)]
        others = [Caller(world), Caller(world), Registrar(world), Registrar(world)]
        workers = [Worker(world, name, batch_records + n) for name in MADE_FROM for n in range(2)]
        self.actors: list[Actor] = [*self.gateways, *workers, *others]
        for choice in choices:
            self._take(choice)

    def _take(self, choice: int) -> None:
        world, actors, gateways = self.world, self.actors, self.gateways
        if choice < 110:
            actors[choice % len(actors)].step()
        elif choice < 140:
            gateways[choice % len(gateways)].deliver(choice % MESSAGES)
        elif choice < 160:
            gateways[choice % len(gateways)].step()
        elif choice < 200:
            if world.flights:
                world.land(choice % len(world.flights))
        elif choice < 206:
            if world.flights:
                lost = world.flights[choice % len(world.flights)]
                world.flights.remove(lost)
                lost.lost = True
        elif choice < 217:
            actors[choice % len(actors)].forget()
        elif choice < 228:
            actors[choice % len(actors)].give_up()
        elif choice < 234:
            world.erase(choice % SENDERS)
        elif choice < 244:
            if world.log:
                world.store(world.log[-1 - choice % min(len(world.log), 10)])  # a sender repeats what was stored
        else:
            world.noise(1 + choice % (world.horizon + 3))

    def settle(self, messages: range = range(MESSAGES)) -> None:
        """From now on nobody fails; runs until a whole round changes nothing. A round is one turn of everybody.

        Where the horizon is smaller than what everybody may write at once, searching and landing are one turn.
        """
        world = self.world
        crowded = world.horizon <= len(self.actors)
        rounds_left = ROUNDS_MAX + len(world.log)  # a worker that reads one record at a time needs a round for each
        moved = True
        while moved:
            rounds_left -= 1
            assert rounds_left, "livelock"
            moved = False
            while world.flights:
                world.land(0)
                moved = True
            waiting = [message for message in messages if message not in world.acknowledged]
            for gateway, message in zip(self.gateways, waiting, strict=False):
                gateway.deliver(message)
            for actor in self.actors:
                steps_left = ROUNDS_MAX + len(world.log)
                while actor.step():
                    steps_left -= 1
                    assert steps_left, "livelock"
                    moved = True
                    if not crowded:
                        break
                    while world.flights:
                        world.land(0)
