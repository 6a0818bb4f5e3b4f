"""What holds of every history of a partition, as checks that test_fold.py runs on drawn histories and this module on many more.

python -m tests.vault.laws --histories 5000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.vault.histories import (
    ANSWERED,
    MADE_FROM,
    MESSAGES,
    RECEIVED,
    RETURNED,
    History,
    World,
    message_of,
    returned_for,
)
from vault.commit import Commit
from vault.fold import ERASED_TOPIC, Fold, FoldState, Judged, Verdict

LOG_STARTS = (0, 0, 7, 1_000)
HORIZONS = range(2, 13)


@dataclass(frozen=True)
class Recipe:
    """All that a history is made from."""

    horizon: int
    log_start: int
    batch_records: int
    choices: bytes

    @classmethod
    def drawn(cls, source: random.Random, log_starts: Sequence[int] = LOG_STARTS) -> Recipe:
        return cls(
            source.choice(HORIZONS),
            source.choice(log_starts),
            source.randint(1, 4),
            source.randbytes(source.randrange(400)),
        )

    def run(self, *, make_fold: Callable[..., Fold] = Fold, claims_compare: bool = True) -> History:
        world = World(self.horizon, self.log_start, make_fold, claims_compare)
        return History(world, self.choices, self.batch_records)


def settled(recipe: Recipe) -> History:
    history = recipe.run()
    history.settle()
    return history


# Agreement


def by_the_book(log: list[Commit], horizon: int, log_start: int) -> list[tuple[Verdict, set[int]]]:
    """The rules of "Who wins" as they are written, with no thought of speed: the oracle for the fold."""
    outcomes: list[tuple[Verdict, set[int]]] = []
    positions: dict[str, int] = {}
    erased: dict[bytes, int] = {}
    events = [commit.events for commit in log]
    for at, commit in enumerate(log):
        offset, void = log_start + at, set()
        if commit.follower is not None:
            stands = positions.get(commit.follower, -1 if log_start == 0 else commit.after)
            follows_on = stands == commit.after if log_start == 0 else stands <= commit.after
            verdict = Verdict.ACCEPTED if follows_on else Verdict.OUTRUN
            if follows_on:
                positions[commit.follower] = commit.upto
        elif offset - commit.based_on > horizon:
            verdict = Verdict.STALE
        else:
            stood = any(
                earlier.based_on is not None
                and log_start + there - earlier.based_on <= horizon
                and events[there][0].originator_id == events[at][0].originator_id
                for there, earlier in enumerate(log[max(at - horizon, 0) : at], max(at - horizon, 0))
            )
            verdict = Verdict.REPEATED if stood else Verdict.ACCEPTED
        if verdict is Verdict.ACCEPTED:
            for index, event in enumerate(events[at]):
                who = event.state[1:17]
                if event.topic == ERASED_TOPIC:
                    erased.setdefault(who, offset)
                if erased.get(who, offset) < offset:
                    void.add(index)
        outcomes.append((verdict, void))
    return outcomes


def check_the_book(world: World) -> None:
    book = by_the_book(world.log, world.horizon, world.log_start)
    assert [(judged.verdict, set(judged.void)) for judged in world.judged] == book


def restarted(world: World, state: FoldState, *, warm: bool = True) -> tuple[list[Judged], FoldState]:
    """What a reader makes of the rest of the log that starts again from what was saved; and what it would save at the end."""
    fold = Fold.restored(state, world.horizon)
    if warm:
        for offset in range(max(state.next_offset - world.horizon, world.log_start), state.next_offset):
            fold.warm(offset, world.log[offset - world.log_start])
    judged = [fold.step(offset, world.log[offset - world.log_start]) for offset in range(state.next_offset, world.end)]
    return judged, fold.saved()


def check_agreement(world: World, offsets: Iterable[int], *, warm: bool = True) -> None:
    """A reader of the whole log and readers restarted at any offset decide the same and end in the same state."""
    wanted = set(offsets)
    fold = Fold(world.horizon, next_offset=world.log_start)
    states = []
    for at, commit in enumerate(world.log):
        if at in wanted:
            states.append(fold.saved())
        assert fold.step(world.log_start + at, commit) == world.judged[at]
    assert fold.saved() == world.fold.saved()
    for state in states:
        judged, end = restarted(world, state, warm=warm)
        assert judged == world.judged[state.next_offset - world.log_start :]
        assert end == fold.saved()


def check_cut(world: World, cut: int) -> None:
    """A reader that begins where retention has moved the log's start to decides like the others beyond the horizon, and where
    a follower has gone on since, believes of it what the others know."""
    fold = Fold(world.horizon)
    for offset in range(cut, world.end):
        judged = fold.step(offset, world.log[offset - world.log_start])
        known = world.judged[offset - world.log_start]
        if world.log[offset - world.log_start].follower is None and offset >= cut + world.horizon:
            assert judged.verdict is known.verdict
    for name, position in fold.positions.items():
        truly = [
            c.upto
            for c, j in zip(world.log[cut - world.log_start :], world.judged[cut - world.log_start :], strict=True)
            if c.follower == name and j.verdict is Verdict.ACCEPTED
        ]
        reach = max((c.upto for c in world.log if c.follower == name), default=-1)
        if truly and truly[-1] == reach:
            assert position == truly[-1]


# Once, and not lost


def standing(world: World, topic: str) -> Counter[int]:
    """How many accepted events of a topic stand, by originator; void ones do not."""
    found: Counter[int] = Counter()
    for _, event, void in world.accepted(world.log_start, 1 << 30):
        if event.topic == topic and not void:
            assert isinstance(event.originator_id, UUID)
            found[event.originator_id.int] += 1
    return found


def made(world: World, topic: str) -> Counter[int]:
    """The same, with those that are void."""
    events = [event for _, event, _ in world.accepted(world.log_start, 1 << 30) if event.topic == topic]
    return Counter(event.originator_id.int for event in events if isinstance(event.originator_id, UUID))


def by_message(received: Counter[int]) -> Counter[int]:
    found: Counter[int] = Counter()
    for originator, times in received.items():
        found[message_of(originator)[0]] += times
    return found


def check_no_double(world: World) -> None:
    """At any moment: no message stands twice, no input of a follower was worked into two results, no call returned twice.

    A record that was on its way when its person was fenced may still be stored before `Erased` is, and its message again under
    the new person: the first one's keys are gone, so it is no double that anybody could read.
    """
    received = standing(world, RECEIVED)
    assert max(received.values(), default=0) <= 1
    living = Counter({name: times for name, times in received.items() if message_of(name)[1] not in world.fenced})
    assert max(by_message(living).values(), default=0) <= 1
    for topic in (RETURNED, *(made_topic for _, made_topic, _ in MADE_FROM.values())):
        assert max(made(world, topic).values(), default=0) <= 1


def check_no_gap(world: World) -> None:
    """At any moment: each accepted commit of a follower begins exactly where its last one ended."""
    positions: dict[str | None, int | None] = {}
    for commit, judged in zip(world.log, world.judged, strict=True):
        if commit.follower is not None and judged.verdict is Verdict.ACCEPTED:
            assert commit.after == positions.get(commit.follower, -1)
            positions[commit.follower] = commit.upto


def check_no_loss(world: World, messages: range = range(MESSAGES)) -> None:
    """Once settled: each message stands, and everything that stands went all its way."""
    assert set(by_message(standing(world, RECEIVED))) == set(messages)
    assert world.acknowledged == set(messages)
    for read, made_topic, _ in MADE_FROM.values():
        assert set(standing(world, read)) <= set(made(world, made_topic))
    returned = made(world, RETURNED)
    assert {returned_for(answered) for answered in standing(world, ANSWERED)} <= set(returned)


def check_rest(history: History) -> None:
    """Once settled: nobody writes anything any more, not even after a restart or when every webhook comes again."""
    world, end = history.world, history.world.end
    for _ in range(3):
        for actor in history.actors:
            actor.forget()
        for gateway, message in zip(history.gateways, range(MESSAGES), strict=False):
            gateway.deliver(message)
        for _ in range(5):
            for actor in history.actors:
                actor.step()
        assert not world.flights
        assert world.end == end


def check_all(recipe: Recipe, source: random.Random) -> int:
    """Every law on one history; returns how many records it had."""
    history = recipe.run()
    world = history.world
    check_no_double(world)
    history.settle()
    check_no_gap(world)
    check_the_book(world)
    check_agreement(world, source.sample(range(len(world.log) + 1), min(10, len(world.log) + 1)))
    check_no_double(world)
    check_no_loss(world)
    check_rest(history)
    if world.log_start == 0:
        history.settle(range(MESSAGES, 2 * MESSAGES))
        for cut in source.sample(range(1, world.end), min(5, world.end - 1)):
            check_cut(world, cut)
    return len(world.log)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.vault.laws", description=__doc__)
    parser.add_argument("--histories", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    begun, records = time.monotonic(), 0
    for number in range(given.histories):
        source = random.Random(f"{given.seed}/{number}")
        recipe = Recipe.drawn(source)
        try:
            records += check_all(recipe, source)
        except AssertionError:
            print(f"history {number} of seed {given.seed} breaks a law: {recipe}")
            raise
    print(f"{given.histories} histories, {records} records, {time.monotonic() - begun:.1f} s: every law held")


if __name__ == "__main__":
    main()
