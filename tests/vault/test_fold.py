"""Who wins: each verdict by itself, malformed commits, saved states, and the register. The laws are in test_fold_laws.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import Tracking

from tests.vault.histories import RECEIVED, begin, event
from vault.commit import Commit
from vault.errors import RecordForeign, StartRefused
from vault.fold import ERASED_TOPIC, FOLD_VERSION, Fold, Judged, Verdict, judge_register

H = 4
SOMEBODY, ANOTHER = 1, 2
"""Pseudonyms."""


# Each verdict


def folded(*commits: Commit, fold: Fold | None = None) -> list[Verdict]:
    fold = fold or Fold(H)
    return [fold.step(offset, commit).verdict for offset, commit in enumerate(commits, fold.next_offset)]


def noise(number: int, based_on: int) -> Commit:
    return begin((1 << 90) + number, "noise", 0, based_on)


def follow(name: str, after: int | None, upto: int | None, *originators: int, **others: Any) -> Commit:
    return Commit.of(
        tuple(event(o, 2, "made", SOMEBODY) for o in originators), follower=name, after=after, upto=upto, **others
    )


def test_what_begins_an_originator_is_accepted_once_and_refused_within_the_horizon() -> None:
    first = begin(7, RECEIVED, SOMEBODY, 0)
    assert folded(first, first) == [Verdict.ACCEPTED, Verdict.REPEATED]
    fillers = [noise(n, 0) for n in range(H - 1)]
    assert folded(first, *fillers, first._replace(based_on=1))[-1] is Verdict.REPEATED
    assert folded(first, *fillers, noise(99, 1), first._replace(based_on=1))[-1] is Verdict.ACCEPTED


def test_a_repeat_that_was_refused_itself_keeps_later_ones_out() -> None:
    commits = [
        begin(7, RECEIVED, SOMEBODY, 0),
        noise(1, 1),
        noise(2, 2),
        begin(7, RECEIVED, SOMEBODY, 3),
        noise(3, 4),
        noise(4, 5),
    ]
    assert folded(*commits, begin(7, RECEIVED, SOMEBODY, 6))[-1] is Verdict.REPEATED


def test_a_stale_commit_keeps_nobody_out() -> None:
    commits = [noise(n, n) for n in range(H + 1)]
    assert folded(*commits, begin(7, RECEIVED, SOMEBODY, 0), begin(7, RECEIVED, SOMEBODY, H + 2))[-2:] == [
        Verdict.STALE,
        Verdict.ACCEPTED,
    ]


def test_staleness_begins_one_beyond_the_horizon() -> None:
    commits = [noise(n, n) for n in range(H)]
    assert folded(*commits, begin(7, RECEIVED, SOMEBODY, 0))[-1] is Verdict.ACCEPTED
    assert folded(*commits, noise(H, H), begin(7, RECEIVED, SOMEBODY, 0))[-1] is Verdict.STALE


def test_the_window_keeps_no_more_than_the_horizon() -> None:
    fold = Fold(H)
    folded(*(begin(n % 20, RECEIVED, SOMEBODY, n) for n in range(500)), fold=fold)
    assert len(fold._begun) <= len(fold._offsets) <= H + 1
    assert len(fold._originators) == len(fold._offsets)


def test_followers_go_on_from_where_they_were_accepted() -> None:
    fold = Fold(H)
    start = [noise(0, 0), noise(1, 1)]
    assert folded(*start, follow("nlu", -1, 0), follow("nlu", -1, 1), follow("nlu", 0, 2), fold=fold)[2:] == [
        Verdict.ACCEPTED,
        Verdict.OUTRUN,
        Verdict.ACCEPTED,
    ]
    assert folded(follow("nlu", 1, 4), follow("nlu", 0, 2), follow("bot", -1, 6), fold=fold) == [
        Verdict.OUTRUN,
        Verdict.OUTRUN,
        Verdict.ACCEPTED,
    ]
    assert fold.positions == {"nlu": 2, "bot": 6}


def test_where_retention_cut_the_log_a_loser_that_is_taken_as_it_stands_is_put_right() -> None:
    fold = Fold(H)
    fold.step(100, follow("nlu", 60, 70))
    assert folded(
        follow("nlu", 60, 80), follow("nlu", 65, 90), follow("nlu", 90, 95), follow("nlu", 95, 96), fold=fold
    ) == [
        Verdict.OUTRUN,
        Verdict.OUTRUN,
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
    ]


def test_a_commit_that_claims_to_begin_beyond_the_accepted_position_is_refused() -> None:
    assert folded(noise(0, 0), noise(1, 1), follow("nlu", 0, 1), follow("nlu", -1, 1), follow("nlu", 2, 3))[2:] == [
        Verdict.OUTRUN,
        Verdict.ACCEPTED,
        Verdict.OUTRUN,
    ]


def test_a_follower_new_to_a_log_that_was_cut_begins_at_minus_one_for_everybody() -> None:
    informed, anew = Fold(H), Fold(H, next_offset=50)
    folded(*(noise(n, n) for n in range(50)), fold=informed)
    later = [noise(50, 50), follow("nlu", -1, 50), follow("nlu", -1, 51), follow("nlu", 50, 52)]
    expected = [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.OUTRUN, Verdict.ACCEPTED]
    assert folded(*later, fold=informed) == folded(*later, fold=anew) == expected


def test_events_after_an_erasure_are_void_one_by_one_and_only_of_that_person() -> None:
    fold = Fold(H)
    erased, again = begin(5, ERASED_TOPIC, SOMEBODY, 0), begin(6, ERASED_TOPIC, SOMEBODY, 1)
    events = (event(8, 2, "made", ANOTHER), event(9, 2, "made", SOMEBODY), event(10, 2, "made", SOMEBODY))
    mixed = Commit.of(events, follower="nlu", after=-1, upto=0)
    judged = [
        fold.step(offset, commit)
        for offset, commit in enumerate((erased, again, mixed, begin(11, RECEIVED, SOMEBODY, 3)))
    ]
    assert [(j.verdict, set(j.void)) for j in judged] == [
        (Verdict.ACCEPTED, set()),
        (Verdict.ACCEPTED, {0}),
        (Verdict.ACCEPTED, {1, 2}),
        (Verdict.ACCEPTED, {0}),
    ]
    assert fold.erased == {SOMEBODY.to_bytes(16, "big"): 0}


def test_what_stands_in_the_commit_of_the_erasure_is_not_void() -> None:
    both = Commit.of((event(5, 1, ERASED_TOPIC, SOMEBODY), event(5, 2, "made", SOMEBODY)), based_on=0)
    assert Fold(H).step(0, both) == Judged(Verdict.ACCEPTED)


def test_an_erasure_that_was_refused_erases_nobody() -> None:
    fold = Fold(H)
    commits = [noise(n, n) for n in range(H + 1)]
    assert folded(*commits, begin(5, ERASED_TOPIC, SOMEBODY, 0), fold=fold)[-1] is Verdict.STALE
    assert fold.erased == {}


# Malformed commits, and what an operator passes over

ONE, TWO = event(1, 1, RECEIVED, SOMEBODY), event(1, 2, "made", SOMEBODY)
MALFORMED = {
    "nothing at all": Commit(),
    "neither begins nor follows": Commit.of((ONE,)),
    "begins nothing": Commit.of((), based_on=0),
    "begins and follows": Commit.of((ONE,), based_on=0, follower="nlu", after=-1, upto=0),
    "begins, with an after": Commit.of((ONE,), based_on=0, after=-1),
    "begins, with an upto": Commit.of((ONE,), based_on=0, upto=0),
    "begins at version 2": Commit.of((TWO,), based_on=0),
    "begins at version 0": Commit.of((event(1, 0, RECEIVED, SOMEBODY),), based_on=0),
    "begins with a gap": Commit.of((ONE, event(1, 3, "made", SOMEBODY)), based_on=0),
    "begins two": Commit.of((ONE, event(2, 2, "made", SOMEBODY)), based_on=0),
    "begins one twice": Commit.of((ONE, ONE), based_on=0),
    "based on what did not exist": Commit.of((ONE,), based_on=4),
    "based on less than nothing": Commit.of((ONE,), based_on=-1),
    "follows without after": follow("nlu", None, 1),
    "follows without upto": follow("nlu", -1, None),
    "has read itself": follow("nlu", -1, 3),
    "has read backwards": follow("nlu", 1, 1),
    "begins before the beginning": follow("nlu", -2, 1),
}


@pytest.mark.parametrize("commit", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_commit_leaves_the_fold_where_it_was(commit: Commit) -> None:
    fold = Fold(H)
    folded(*(noise(n, n) for n in range(3)), fold=fold)
    before, window = fold.saved(), dict(fold._begun)
    with pytest.raises(RecordForeign):
        fold.step(3, commit)
    assert (fold.saved(), fold._begun) == (before, window)
    assert fold.pass_over(3) == Judged(Verdict.PASSED_OVER)
    assert fold.step(4, noise(4, 4)) == Judged(Verdict.ACCEPTED)


def test_what_was_passed_over_counts_for_nothing() -> None:
    fold = Fold(H)
    fold.pass_over(0)
    assert folded(begin(7, RECEIVED, SOMEBODY, 1), fold=fold) == [Verdict.ACCEPTED]


def test_a_fold_takes_records_in_order_only() -> None:
    fold = Fold(H)
    folded(noise(0, 0), noise(1, 1), fold=fold)
    for offset in (0, 1, 3):
        with pytest.raises(ValueError, match="the fold is at 2"):
            fold.step(offset, noise(9, 0))
        with pytest.raises(ValueError, match="the fold is at 2"):
            fold.pass_over(offset)
    with pytest.raises(ValueError, match="does not warm"):
        fold.warm(2, noise(9, 0))
    with pytest.raises(ValueError, match="does not warm"):
        fold.warm(1, noise(9, 0))


def test_a_fold_begins_later_where_the_log_does_but_never_once_it_has_begun() -> None:
    fold = Fold(H, next_offset=5)
    with pytest.raises(ValueError, match="the fold is at 5"):
        fold.step(4, noise(0, 0))
    fold.pass_over(9)
    assert (fold.log_start, fold.next_offset) == (9, 10)
    with pytest.raises(ValueError, match="the fold is at 10"):
        fold.step(11, noise(0, 0))
    with pytest.raises(ValueError, match="the fold is at 10"):
        Fold.restored(fold.saved(), H).step(11, noise(0, 0))


# Saved and restored


def test_what_is_saved_is_a_copy() -> None:
    fold = Fold(H)
    folded(begin(5, ERASED_TOPIC, SOMEBODY, 0), fold=fold)
    saved = fold.saved()
    folded(follow("nlu", -1, 0), begin(6, ERASED_TOPIC, ANOTHER, 2), fold=fold)
    assert (saved.next_offset, dict(saved.positions), len(saved.erased)) == (1, {}, 1)


def test_a_state_of_other_rules_is_refused_with_the_remedy() -> None:
    state = replace(Fold(H).saved(), version=FOLD_VERSION + 1)
    with pytest.raises(StartRefused, match="delete the local state"):
        Fold.restored(state, H)


def test_a_restored_fold_remembers_where_its_log_began() -> None:
    fold = Fold(H)
    fold.step(50, noise(0, 50))
    restored = Fold.restored(fold.saved(), H)
    assert restored.log_start == 50


# The register


def register(*versions: tuple[int, int], tracking: tuple[tuple[str, int], ...] = ()) -> Commit:
    return Commit.of(
        tuple(event(originator, version, "made", SOMEBODY) for originator, version in versions),
        tracking=tuple(Tracking(*row) for row in tracking),
    )


@pytest.mark.parametrize(
    ("commit", "accepted"),
    [
        (register(), True),
        (register((1, 1)), True),
        (register((1, 0)), True),
        (register((1, 2)), False),
        (register((9, 5)), True),
        (register((9, 4)), False),
        (register((9, 6)), False),
        (register((9, 0)), False),
        (register((9, 5), (9, 6), (1, 1), (1, 2)), True),
        (register((9, 5), (1, 1), (9, 6)), True),
        (register((9, 5), (9, 5)), False),
        (register((9, 5), (9, 7)), False),
        (register((1, 0), (1, 1)), True),
        (register((1, 1), (1, 1)), False),
        (register((1, 1), (8, 2)), False),
        (register((8, 1)), True),
        (register((8, 0)), False),
    ],
)
def test_the_register_takes_each_originators_next_version_only(commit: Commit, accepted: bool) -> None:
    last = {UUID(int=9).bytes: 4, UUID(int=8).bytes: 0}
    assert judge_register(commit, last.get, {}.get) is accepted


@pytest.mark.parametrize(
    ("tracking", "accepted"),
    [
        ((("up", 6),), True),
        ((("up", 5),), False),
        ((("up", 4),), False),
        ((("new", 1),), True),
        ((("up", 6), ("up", 7), ("new", 1)), True),
        ((("up", 7), ("up", 6)), False),
        ((("new", 1), ("new", 1)), False),
    ],
)
def test_the_register_tracks_forward_only(tracking: tuple[tuple[str, int], ...], accepted: bool) -> None:
    assert judge_register(register((1, 1), tracking=tracking), {}.get, {"up": 5}.get) is accepted
