"""Who wins: one pure function over the records of a partition, in the log's order. No I/O, no clock.

In *conversations* a commit that begins something is refused when it is stale (its own offset more than the horizon beyond the end
its writer had searched to), or when a commit that was not stale and begins the same originator stands in the horizon before it. A
follower's commit is accepted if and only if it does not begin before the end of that follower's last accepted commit; it begins
there exactly, unless retention took what lies between. Events of a person who was erased at an earlier offset are void, one by
one. In the *register* a commit is accepted if and only if every event's version is its originator's last plus one.

Everybody who folds the same records decides the same, so duplicates, zombies and races are harmless. What a reader must keep to
go on after a restart is a `FoldState` and the last `horizon` records, which it reads back from the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from vault.commit import Commit
from vault.errors import RecordForeign, StartRefused
from vault.seal import person_of

FOLD_VERSION = 1
"""Changes when the rules do: what was remembered under other rules is made again."""

HORIZON = 65_536
"""Records. How far a commit may land from where its writer had searched to, and how far back a repeat is recognised."""

ERASED_TOPIC = "subject.erased.1"
_NOTHING: frozenset[int] = frozenset()


class Verdict(Enum):
    """What the fold made of a commit."""

    ACCEPTED = "accepted"
    STALE = "stale"
    """It begins something, and landed more than the horizon beyond what its writer had searched."""
    REPEATED = "repeated"
    """It begins what a commit within the horizon began before."""
    OUTRUN = "outrun"
    """A follower's, and it begins before the end of that follower's last accepted commit."""
    PASSED_OVER = "passed over"
    """An operator decided to go on without it."""


class Judged(NamedTuple):
    """The verdict, and the indexes of an accepted commit's events that are void because their person was erased before."""

    verdict: Verdict
    void: frozenset[int] = _NOTHING


_ACCEPTED = Judged(Verdict.ACCEPTED)
_STALE = Judged(Verdict.STALE)
_REPEATED = Judged(Verdict.REPEATED)
_OUTRUN = Judged(Verdict.OUTRUN)
_PASSED_OVER = Judged(Verdict.PASSED_OVER)


@dataclass(frozen=True, slots=True)
class FoldState:
    """What a reader keeps of a partition. `erased` is by the person's 16 bytes. `log_start` is where its first reader began."""

    version: int
    log_start: int
    next_offset: int
    positions: Mapping[str, int]
    erased: Mapping[bytes, int]


class Fold:
    """One partition of the conversations, folded up to `next_offset`.

    `Fold(next_offset=first)` begins at the log's start; if that has moved on by the time of the first `step`, the step says where
    it is. `Fold.restored(state)` goes on from what was saved, after `warm` was given the last `horizon` records before it.

    A follower nobody has heard of stands at -1. Only where retention had moved the log's start before this fold, or the one whose
    state it goes on from, began (`log_start` > 0) can nobody tell what came before: there the first commit of a follower is taken
    as it stands, and if it had lost to one that is gone, the next that was truly accepted begins beyond it and puts that right.
    """

    def __init__(
        self,
        horizon: int = HORIZON,
        *,
        next_offset: int = 0,
        positions: Mapping[str, int] | None = None,
        erased: Mapping[bytes, int] | None = None,
        log_start: int | None = None,
    ) -> None:
        self.horizon = horizon
        self.next_offset = next_offset
        self.positions = dict(positions or {})
        self.erased = dict(erased or {})
        self.log_start = next_offset if log_start is None else log_start
        self._may_begin_later = log_start is None and not positions and not erased
        # The window: who was begun where, and the same in the order of offsets, for forgetting. Three flat containers that share
        # their integers take 173 bytes an entry, 11 MB when full (65,536); a deque of pairs takes 220.
        self._begun: dict[bytes, int] = {}
        self._offsets: deque[int] = deque()
        self._originators: deque[bytes] = deque()

    @classmethod
    def restored(cls, state: FoldState, horizon: int = HORIZON) -> Fold:
        """The fold that `state` was saved from, still to be warmed. Raises `StartRefused` when other rules made it."""
        if state.version != FOLD_VERSION:
            raise StartRefused(
                f"the local state was folded by version {state.version} of the rules, this program has {FOLD_VERSION}",
                remedy="delete the local state; it is made again from the log",
            )
        return cls(
            horizon,
            next_offset=state.next_offset,
            positions=state.positions,
            erased=state.erased,
            log_start=state.log_start,
        )

    def saved(self) -> FoldState:
        """What to keep for `restored`; a copy."""
        return FoldState(FOLD_VERSION, self.log_start, self.next_offset, dict(self.positions), dict(self.erased))

    def step(self, offset: int, commit: Commit) -> Judged:
        """Judges the commit at `offset`, which must be `next_offset`.

        Raises `RecordForeign`, and stays where it is, when it is no well-formed commit.
        """
        (judged,) = self.steps(((offset, commit),))
        return judged

    def steps(self, commits: Iterable[tuple[int, Commit]]) -> list[Judged]:
        """Judges commits in order, the first of them at `next_offset`; as many as there are before one that is not well-formed.

        Raises `RecordForeign`, and stays where it is, when that is the first.
        """
        verdicts: list[Judged] = []
        add, begins, follows, void_of = verdicts.append, self._begins, self._follows, self._void
        try:
            for offset, commit in commits:
                if offset != self.next_offset:
                    self._begin_later(offset)
                judged = begins(offset, commit) if commit.follower is None else follows(offset, commit)
                if judged is _ACCEPTED:
                    void = void_of(offset, commit)
                    if void:
                        judged = Judged(Verdict.ACCEPTED, void)
                add(judged)
                self.next_offset = offset + 1
        except RecordForeign:
            if not verdicts:
                raise
        return verdicts

    def pass_over(self, offset: int) -> Judged:
        """Goes on without the record at `offset`, which must be `next_offset`, as an operator decided."""
        if offset != self.next_offset:
            self._begin_later(offset)
        self.next_offset = offset + 1
        return _PASSED_OVER

    def warm(self, offset: int, commit: Commit) -> None:
        """Puts a record before `next_offset` into the window; in order, and without those that were passed over."""
        if offset >= self.next_offset or (self._offsets and offset <= self._offsets[-1]):
            raise ValueError(f"offset {offset} does not warm a fold at {self.next_offset}")
        self._may_begin_later = False
        based_on = commit.based_on
        if based_on is not None and offset - based_on <= self.horizon:
            self._stand(offset, begun_by(offset, commit)[0])

    def _begin_later(self, offset: int) -> None:
        fresh = self._may_begin_later and self.next_offset == self.log_start
        if not fresh or offset < self.next_offset:
            raise ValueError(f"the fold is at {self.next_offset}, not at {offset}")
        self.log_start = self.next_offset = offset

    def _begins(self, offset: int, commit: Commit) -> Judged:
        originator, based_on = begun_by(offset, commit)
        horizon, begun = self.horizon, self._begun
        if offset - based_on > horizon:
            return _STALE
        stood = begun.get(originator)
        self._stand(offset, originator)
        return _ACCEPTED if stood is None or offset - stood > horizon else _REPEATED

    def _stand(self, offset: int, originator: bytes) -> None:
        begun, offsets, originators = self._begun, self._offsets, self._originators
        begun[originator] = offset
        offsets.append(offset)
        originators.append(originator)
        oldest = offset - self.horizon
        while offsets[0] < oldest:
            gone, name = offsets.popleft(), originators.popleft()
            if begun[name] == gone:
                del begun[name]

    def _follows(self, offset: int, commit: Commit) -> Judged:
        name, after, upto = commit.follower, commit.after, commit.upto
        if name is None or after is None or upto is None or commit.based_on is not None:
            raise RecordForeign(f"the commit at offset {offset} neither begins nor follows")
        if not -1 <= after < upto < offset:
            raise RecordForeign(f"the follower's commit at offset {offset} claims to have read what it cannot have")
        stands = self.positions.get(name, -1 if self.log_start == 0 else after)
        # Where retention took the commits that would tell, what is believed may come from a commit that had lost. The next that was
        # truly accepted begins beyond it, and puts that right.
        if after < stands or (after > stands and self.log_start == 0):
            return _OUTRUN
        self.positions[name] = upto
        return _ACCEPTED

    def _void(self, offset: int, commit: Commit) -> frozenset[int]:
        erased, events = self.erased, commit.packed
        void: frozenset[int] = _NOTHING
        if not erased:
            for event in events:
                if event[2] == ERASED_TOPIC:
                    break
            else:
                return void
        for index, (_, _, event_topic, state) in enumerate(events):
            if event_topic == ERASED_TOPIC:
                since = erased.setdefault(person_of(state), offset)
            elif erased:
                since = erased.get(person_of(state), offset)
            else:
                continue
            if since < offset:
                void |= {index}
        return void


def begun_by(offset: int, commit: Commit) -> tuple[bytes, int]:
    """The one originator (16 bytes) that a commit begins, from version 1, and what it is based on.

    Raises `RecordForeign` when it begins none.
    """
    events, based_on, follower, after, upto, _ = commit
    if based_on is None or not events or follower is not None or after is not None or upto is not None:
        raise RecordForeign(f"the commit at offset {offset} neither begins nor follows")
    first = events[0][0]
    expected = 1
    for originator, version, _, _ in events:
        if version != expected or originator != first:
            raise RecordForeign(f"the commit at offset {offset} begins more than one originator, or not from version 1")
        expected += 1
    if not 0 <= based_on <= offset:
        raise RecordForeign(f"the commit at offset {offset} is based on what did not exist")
    return first, based_on


def judge_register(
    commit: Commit, last_version: Callable[[bytes], int | None], last_tracked: Callable[[str], int | None]
) -> bool:
    """Whether a commit of the register is accepted: every event's version is its originator's last plus one (0 or 1 begins),
    every tracking position is greater than its application's last. Originators are 16 bytes."""
    versions: dict[bytes, int] = {}
    for originator, version, _, _ in commit.packed:
        last = versions.get(originator)
        if last is None:
            last = last_version(originator)
        if version not in (0, 1) if last is None else version != last + 1:
            return False
        versions[originator] = version
    tracked: dict[str, int] = {}
    for tracking in commit.tracking:
        name = tracking.application_name
        position = tracked.get(name, last_tracked(name))
        if position is not None and tracking.notification_id <= position:
            return False
        tracked[name] = tracking.notification_id
    return True
