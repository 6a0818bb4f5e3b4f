"""Who wins: the laws over drawn histories, and that a law whose cause is taken away is seen broken."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vault import laws
from tests.vault.histories import RECEIVED, History, begin
from tests.vault.laws import Recipe, settled
from vault.commit import Commit
from vault.fold import _ACCEPTED, Fold, Judged, Verdict, begun_by

RECIPES = st.builds(
    Recipe,
    horizon=st.sampled_from(laws.HORIZONS),
    log_start=st.sampled_from(laws.LOG_STARTS),
    batch_records=st.integers(1, 4),
    choices=st.binary(min_size=40, max_size=400),
)
SOURCES = st.randoms(use_true_random=False)
bounded = settings(
    max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

# Laws


@bounded
@given(RECIPES)
def test_every_commit_is_judged_as_the_rules_are_written(recipe: Recipe) -> None:
    laws.check_the_book(settled(recipe).world)


@bounded
@given(RECIPES, SOURCES)
def test_readers_restarted_at_any_offset_agree_on_every_commit(recipe: Recipe, source: random.Random) -> None:
    world = settled(recipe).world
    laws.check_agreement(world, source.sample(range(len(world.log) + 1), min(12, len(world.log) + 1)))


@bounded
@given(RECIPES)
def test_nothing_is_accepted_twice_at_any_moment(recipe: Recipe) -> None:
    history = recipe.run()
    laws.check_no_double(history.world)
    history.settle()
    laws.check_no_double(history.world)


@bounded
@given(RECIPES)
def test_followers_skip_nothing(recipe: Recipe) -> None:
    laws.check_no_gap(settled(recipe).world)


@bounded
@given(RECIPES)
def test_nothing_that_was_acknowledged_or_accepted_is_lost(recipe: Recipe) -> None:
    laws.check_no_loss(settled(recipe).world)


@bounded
@given(RECIPES)
def test_all_comes_to_rest_and_idle_followers_write_nothing(recipe: Recipe) -> None:
    laws.check_rest(settled(recipe))


@bounded
@given(RECIPES, SOURCES)
def test_a_reader_that_begins_where_retention_cut_the_log_comes_to_believe_what_the_others_know(
    recipe: Recipe, source: random.Random
) -> None:
    history = settled(replace(recipe, log_start=0))
    history.settle(range(5, 10))
    for cut in source.sample(range(1, history.world.end), min(12, history.world.end - 1)):
        laws.check_cut(history.world, cut)


@bounded
@given(RECIPES, st.integers(0, 30))
def test_what_lands_late_is_stale_exactly_beyond_the_horizon(recipe: Recipe, late: int) -> None:
    world = recipe.run().world
    commit = begin(1 << 100, RECEIVED, 1, world.end)
    for _ in range(late):
        world.noise(1)
    expected = Verdict.STALE if late > world.horizon else Verdict.ACCEPTED
    assert world.store(commit).verdict is expected


# The laws can be broken: each of these takes away what a law rests on, and a search finds the breach.


class NeverStale(Fold):
    def _begins(self, offset: int, commit: Commit) -> Judged:
        return super()._begins(offset, commit._replace(based_on=offset))


class AnyPosition(Fold):
    def _follows(self, offset: int, commit: Commit) -> Judged:
        self.positions[commit.follower or ""] = -1 if commit.after is None else commit.after
        return super()._follows(offset, commit)


class ShortWindow(Fold):
    def _begins(self, offset: int, commit: Commit) -> Judged:
        stood = self._begun.get(begun_by(offset, commit)[0], offset)
        judged = super()._begins(offset, commit)
        return _ACCEPTED if judged.verdict is Verdict.REPEATED and offset - stood > self.horizon // 2 else judged


class NobodyErased(Fold):
    def _void(self, offset: int, commit: Commit) -> frozenset[int]:
        super()._void(offset, commit)
        return frozenset()


class StrictAfterTheCut(Fold):
    """Compares with what was taken at the cut as if it were known."""

    def _follows(self, offset: int, commit: Commit) -> Judged:
        believed = self.positions.get(commit.follower or "")
        if believed is not None and commit.after != believed:
            return Judged(Verdict.OUTRUN)
        return super()._follows(offset, commit)


def breach(
    check: Callable[[History], Any], tries: int = 3_000, log_starts: Any = laws.LOG_STARTS, **broken: Any
) -> int | None:
    """The number of the first drawn history, made with something broken, on which the check fails."""
    for number in range(tries):
        recipe = Recipe.drawn(random.Random(number), log_starts)
        history = recipe.run(**broken)
        with suppress(AssertionError):  # "livelock": what is broken may also keep it from coming to rest
            history.settle()
        try:
            check(history)
        except AssertionError:
            return number
    return None


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (lambda history: laws.check_no_double(history.world), {"make_fold": NeverStale}),
        (lambda history: laws.check_no_double(history.world), {"claims_compare": False}),
        (lambda history: laws.check_no_double(history.world), {"make_fold": AnyPosition}),
        (lambda history: laws.check_no_double(history.world), {"make_fold": ShortWindow}),
        (lambda history: laws.check_the_book(history.world), {"make_fold": ShortWindow}),
        (lambda history: laws.check_the_book(history.world), {"make_fold": NobodyErased}),
        (lambda history: laws.check_agreement(history.world, range(len(history.world.log)), warm=False), {}),
    ],
    ids=["no staleness", "claims overwritten", "positions not compared", "window cut, doubles", "window cut, book", "erasures ignored",
         "restarted without warming"],
)  # fmt: skip
def test_a_law_whose_cause_is_taken_away_is_seen_broken(
    check: Callable[[History], Any], broken: dict[str, Any]
) -> None:
    assert breach(check, **broken) is not None


def test_a_fold_that_trusts_what_it_took_at_a_cut_is_seen_to_differ_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "Fold", StrictAfterTheCut)

    def check(history: History) -> None:
        history.settle(range(5, 10))
        for cut in range(1, history.world.end):
            laws.check_cut(history.world, cut)

    assert breach(check, log_starts=[0]) is not None
